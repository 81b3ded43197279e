#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# release only
"""Both ledgers balance whenever they are asked, while traffic of every kind runs on two shards."""
import time

import provoke
from atr_harness import Report, case, total
from lab import PcapLab, exists, wires

READINGS = 400


def mixture(link):
    """Valid, duplicate, refused at every gate, and held: in one capture."""
    traffic, content = provoke.Traffic(link), []
    for source in 'alpha', 'beta', 'gamma', 'delta':
        content += traffic.seal(*(traffic.frame(source, [traffic.event() for _ in range(7)])
                                  for _ in range(16)), source=source)
    content += [traffic.envelope() for _ in range(8)]
    for name in 'bad_signature', 'field_range', 'json_syntax', 'not_allowed', 'realm', 'not_atr':
        content += provoke.PROVOCATIONS[name](traffic)
    return [link.datagram(d) for d in content]


def balanced_under_load(durability):
    """received = admitted + refused + duplicate + in flight, at every moment."""
    link = wires()
    content = mixture(link)
    with PcapLab([content, content], infinite=True, durability=durability) as lab:
        before, waited = 0, 0
        for _ in range(READINGS):
            books = lab.atr.ledger()
            now = books['datagrams']['received']
            assert now >= before, 'received went backwards'
            waited += total(books['datagrams']['in_flight']) > 0
            before = now
        assert before > 10000, f'only {before} datagrams while the ledger was read'
        assert lab.atr.ledgers_read >= READINGS
        print(f'# {READINGS} readings, {before} datagrams, {waited} readings with some in flight')


@case
def balanced_while_frames_reserve(_):
    """Invariant: the ledgers balance with durability none, where frames wait for high-waters."""
    balanced_under_load('none')


@case
def balanced_while_envelopes_wait_for_the_disk(_):
    """Invariant: the ledgers balance in class D, where envelopes wait for their sync."""
    balanced_under_load('commit')


@case
def settled_books(_):
    """Invariant: refusals by reason add up to the ledger's sum, for datagrams and for events."""
    link = wires()
    content = mixture(link)
    with PcapLab([content, []]) as lab:
        books = lab.atr.settled(len(content))
        time.sleep(0.1)
        for kind in 'datagrams', 'events':
            by_reason = sum(entry[kind] for entry in lab.atr.reasons().values())
            assert by_reason == total(books[kind]['refused']), (kind, by_reason, books)


if __name__ == '__main__':
    Report.main(exists)
