#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# release only
"""Both ledgers balance whenever they are asked, while traffic of every kind runs on two shards."""
import re
import time

import provoke
from atr_harness import Report, case, total
from lab import PcapLab, exists, wires

READINGS = 400
WARM = 100  # readings, while what is first touched by traffic is touched
GROWTH = 2 << 20  # bytes, beyond what was taken at start
MIB = 1 << 20
TABLES = ('atr_rx', 'atr_payload', 'atr_header', 'authenticate', 'dedup', 'batch', 'bridge',
          'ack rings', 'verifiers', 'quarantine', 'log buffers', 'acker', 'sources', 'plan',
          'identities', 'state keys', 'EAL', 'libc')


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


def memory(atr):
    """Bytes: allocated of EAL's memory, and anonymous pages of the process beside that memory, of
    which pages are touched as buffers come round."""
    heaps = [atr.query(f'/eal/heap_info,{heap}') for heap in atr.query('/eal/heap_list')]
    private, counted = 0, False
    with open(f'/proc/{atr.process.pid}/smaps', encoding='ascii') as file:
        for line in file:
            key, *rest = line.split()
            if not key.endswith(':'):
                counted = len(rest) < 5 or 'nohuge' not in rest[4]
            elif key == 'Anonymous:' and counted:
                private += int(rest[0]) << 10
    return sum(heap['Alloc_size'] for heap in heaps), private


def budget(atr):
    """The table that is printed at start: name -> MiB, each with its formula."""
    with open(atr.log, encoding='utf-8') as file:
        lines = file.read().split('\nmemory\n')[1].split('\n')
    rows = [re.fullmatch(r'  (\w[\w ]*?) +([\d.]+) MiB  (.+)', line) for line in lines]
    return {row.group(1): float(row.group(2)) for row in rows if row}


def balanced_under_load(durability):
    """received = admitted + refused + duplicate + in flight, at every moment. Every table has its
    line in the budget, and nothing is allocated while traffic runs."""
    link = wires()
    content = mixture(link)
    with PcapLab([content, content], infinite=True, durability=durability) as lab:
        before, waited = 0, 0
        for reading in range(READINGS):
            if reading == WARM:
                start = memory(lab.atr)
            books = lab.atr.ledger()
            now = books['datagrams']['received']
            assert now >= before, 'received went backwards'
            waited += total(books['datagrams']['in_flight']) > 0
            before = now
        grown = [now - then for now, then in zip(memory(lab.atr), start)]
        assert grown[0] == 0 and grown[1] <= GROWTH, f'{grown} bytes more than {start}'
        rows = budget(lab.atr)
        assert set(rows) == set(TABLES), set(rows) ^ set(TABLES)
        assert abs(rows['EAL'] - start[0] / MIB) < 1, (rows['EAL'], start)
        assert before > 10000, f'only {before} datagrams while the ledger was read'
        assert lab.atr.ledgers_read >= READINGS
        print(f'# {READINGS} readings, {before} datagrams, {waited} readings with some in flight, '
              f'{grown[1] >> 10} KiB more taken')


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
