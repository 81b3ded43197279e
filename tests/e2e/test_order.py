#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Frames in every order, with loss, a tree's first frame last; and roots that flood in from one
source while another one keeps its service."""
import itertools
import random

import plan
import provoke
from atr_harness import Report, case, total
from lab import PcapLab, exists, wires

EXTRA = [name for name in plan.SOURCES if name.startswith('extra')]


def tree(traffic, source, frames):
    return traffic.seal(*(traffic.frame(source, [traffic.event(), traffic.event()])
                          for _ in range(frames)), source=source)


def all_admitted(content, link, events):
    with PcapLab([[link.datagram(d) for d in content]]) as lab:
        books = lab.finish(len(content))
        assert books['datagrams']['admitted'] == len(content), (books, lab.reasons)
        assert books['events']['admitted'] == events, books
        feed = lab.feed(0)
        assert len({(e['source'], e['sequence']) for e in feed.events}) == events
        assert feed.gaps == 0 and feed.repeats == 0


@case
def every_order_of_four(_):
    """Invariant: the order in which frames of a tree arrive changes nothing."""
    link = wires()
    traffic, content = provoke.Traffic(link), []
    for number, order in enumerate(itertools.permutations(range(4))):
        frames = tree(traffic, EXTRA[number % len(EXTRA)], 4)
        content += [frames[i] for i in order]
    all_admitted(content, link, 2 * len(content))


@case
def loss_and_first_frame_last(_):
    """Invariant: every frame that arrives is admitted, whichever others were lost."""
    link, rng = wires(), random.Random(11)
    traffic, content = provoke.Traffic(link), []
    for source, size in zip(EXTRA, (2, 3, 5, 8, 31, 32, 33, 64, 100)):
        frames = tree(traffic, source, size)
        kept = [f for f in frames[1:] if rng.random() > 0.3]
        rng.shuffle(kept)
        content += kept + frames[:1]
    all_admitted(content, link, 2 * len(content))


@case
def interleaved_trees(_):
    """Invariant: trees of many sources mix freely."""
    link, rng = wires(), random.Random(12)
    traffic, content = provoke.Traffic(link), []
    for source in EXTRA:
        content += tree(traffic, source, 16)
    rng.shuffle(content)
    all_admitted(content, link, 2 * len(content))


@case
def root_flood(_):
    """Invariant: false roots of one source cost another source none of its frames."""
    link, rng = wires(), random.Random(13)
    traffic, content = provoke.Traffic(link), []
    good = [frame for source in ('alpha', 'beta') for _ in range(3)
            for frame in tree(traffic, source, 40)]
    for _ in range(6000):
        false = bytearray(traffic.datagram('flood'))
        false[-40] ^= 1 + rng.randrange(255)
        content.append(bytes(false))
    for number, frame in enumerate(good):
        content.insert(number * len(content) // len(good), frame)
    with PcapLab([[link.datagram(d) for d in content]]) as lab:
        books = lab.finish(len(content))
        assert books['datagrams']['admitted'] == len(good), (books, lab.reasons)
        assert len(lab.feed(0).events) == 2 * len(good)
        assert set(lab.reasons) <= {'bad_signature', 'root_budget', 'hold_full', 'bridge_full'}
        assert total(books['datagrams']['refused']) == 6000, lab.reasons


if __name__ == '__main__':
    Report.main(exists)
