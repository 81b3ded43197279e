#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Two data lcores: frames that arrive at the wrong one, and duplicates split across both, are still
applied once."""
import random

import plan
import provoke
from atr_harness import Report, case, total
from lab import PcapLab, exists, wires

SOURCES = ('alpha', 'beta', 'gamma', 'delta')


def trees(traffic, frames=32, events=4):
    made = []
    for source in SOURCES:
        made += traffic.seal(*(traffic.frame(source, [traffic.event() for _ in range(events)])
                               for _ in range(frames)), source=source)
    return made


def once(lab, events):
    """Every event on feed 0 exactly once, over the sessions of both shards."""
    feed = lab.feed(0)
    identities = [(e['source'], e['sequence']) for e in feed.events]
    assert len(identities) == len(set(identities)), 'an event was applied twice'
    assert len(identities) == events, f'{len(identities)} of {events} events left'
    assert feed.gaps == 0 and feed.repeats == 0


@case
def every_frame_on_both_queues(_):
    """Invariant: of two copies that arrive on two lcores, one is admitted, one is a duplicate."""
    link, rng = wires(), random.Random(3)
    good = trees(provoke.Traffic(link))
    queues = [[link.datagram(d) for d in rng.sample(good, len(good))] for _ in range(2)]
    with PcapLab(queues) as lab:
        books = lab.finish(2 * len(good))
        assert books['datagrams']['admitted'] == len(good), books
        assert books['datagrams']['duplicate'] == len(good), books
        assert books['events']['admitted'] == 4 * len(good), books
        once(lab, 4 * len(good))


@case
def everything_on_one_queue(_):
    """Invariant: sources of the shard that receives nothing are served by hand-over."""
    link = wires()
    good = trees(provoke.Traffic(link))
    for busy in 0, 1:
        queues = [[], []]
        queues[busy] = [link.datagram(d) for d in good]
        with PcapLab(queues) as lab:
            books = lab.finish(len(good))
            assert books['datagrams']['admitted'] == len(good), books
            assert total(books['datagrams']['refused']) == 0, lab.reasons
            once(lab, 4 * len(good))


@case
def envelopes_on_both_queues(_):
    """Invariant: an envelope that arrives on both lcores is applied once and answered twice."""
    link = wires()
    traffic = provoke.Traffic(link)
    good = [traffic.envelope(source) for source in SOURCES for _ in range(10)]
    queues = [[link.datagram(d) for d in good] for _ in range(2)]
    with PcapLab(queues) as lab:
        books = lab.finish(2 * len(good))
        assert books['datagrams']['admitted'] == len(good), books
        assert books['datagrams']['duplicate'] == len(good), books
        results = [reply['result'] for reply in lab.replies()]
        assert results.count('admitted') == len(good), results
        assert results.count('duplicate') == len(good), results
        assert len(lab.feed(0).events) == len(good)


@case
def two_shards_on_one_lcore(_):
    """Invariant: the number of shards does not depend on the number of lcores."""
    link = wires()
    good = trees(provoke.Traffic(link), frames=8)
    with PcapLab([[link.datagram(d) for d in good], []], data_lcores=1) as lab:
        assert lab.finish(len(good))['datagrams']['admitted'] == len(good)
        once(lab, 4 * len(good))


@case
def verifiers_beside_the_control_lcore(_):
    """Invariant: with verifier lcores every root has the verdict that it has without, and what is
    admitted of a source stays in order."""
    link, traffic = wires(), provoke.Traffic(wires())
    queue, admitted, forged = [], 0, 0
    for number in range(60):
        source = SOURCES[number % len(SOURCES)]
        frames = [traffic.frame(source, [traffic.event()]) for _ in range(2)]
        good = number % 5 > 0
        key = source if good else SOURCES[(number + 1) % len(SOURCES)]
        queue += traffic.seal(*frames, source=key)
        admitted, forged = admitted + 2 * good, forged + 2 * (not good)
    with PcapLab([[link.datagram(d) for d in queue]], args=('--verifiers', 2),
                 data_lcores=3) as lab:
        books = lab.finish(len(queue))
        assert books['datagrams']['admitted'] == admitted, books
        assert lab.reasons['bad_signature']['datagrams'] == forged, lab.reasons
        once(lab, admitted)
        for source in SOURCES:
            number = plan.SOURCES[source][0]
            order = [e['sequence'] for e in lab.feed(0).events if e['source'] == number]
            assert order == sorted(order), f'{source}: {order}'
        assert 'verifier' in lab.atr.tail(200), lab.atr.tail(200)


@case
def verifiers_leave_a_data_lcore(_):
    """Invariant: more verifiers than lcores can be spared are refused, with what to give."""
    atr = PcapLab([[]], args=('--verifiers', 1), data_lcores=1).atr
    try:
        atr.start()
    except AssertionError:
        assert 'leaves no data lcore' in atr.tail(), atr.tail()
    else:
        atr.kill()
        raise AssertionError('atr starts without a data lcore')


if __name__ == '__main__':
    assert plan.PORT
    Report.main(exists)
