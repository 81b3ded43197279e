#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# release only
"""From capture file to capture file: no root, no hugepages. Everything valid comes out, everything
hostile is counted under its reason, and tshark's own MoldUDP64 dissector reads the feeds."""
import random
import struct
import time

import atrwire as wire
import plan
import provoke
from atr_harness import Report, case
from lab import PcapLab, exists, tshark_mold, wires

TREES, FRAMES, EVENTS = 6, 16, 5


def valid(traffic, rng):
    """Datagrams, number of events, events with mag >= 4.5, and of those envelopes."""
    datagrams, strong, envelopes = [], 0, 0
    for tree in range(TREES):
        source = ('alpha', 'beta', 'gamma')[tree % 3]
        frames = []
        for _ in range(FRAMES):
            events = []
            for _ in range(EVENTS):
                if rng.random() < 0.3:
                    text = 'grün ' * rng.randrange(8, 30)
                    events.append(traffic.event(type_name='note', payload=plan.note(1, text)))
                else:
                    mag = rng.choice((None, 1.2, 4.49, 4.5, 6.4))
                    strong += mag is not None and mag >= 4.5
                    events.append(traffic.event(payload=plan.reading(2, mag)))
            frames.append(traffic.frame(source, events))
        datagrams += traffic.seal(*frames, source=source)
    for n in range(20):
        mag = 4.4 + n / 10
        datagrams.append(traffic.envelope(type_name='reading', payload={'n': 1, 'mag': mag}))
        strong += mag >= 4.5
        envelopes += 1
    return datagrams, TREES * FRAMES * EVENTS + envelopes, strong, envelopes


def frame_leaf(datagram):
    count, arena = struct.unpack_from('<H', datagram, 6)[0], struct.unpack_from('<I', datagram, 40)
    return wire.sha256(datagram[:64 + 64 * count + arena[0]])


@case
def valid_and_hostile(_):
    """Invariant: counts equal what was put in, one reason for each hostile datagram; every valid
    event leaves exactly once on every feed that its content chooses; just the valid frames are
    acknowledged as admitted."""
    rng = random.Random(7)
    link = wires()
    traffic = provoke.Traffic(link)
    good, events, strong, envelopes = valid(traffic, rng)
    content, expected = [link.datagram(d) for d in good], {}
    for reason, make in provoke.PROVOCATIONS.items():
        refused = make(provoke.Traffic(link, first=5000))
        if refused.first or refused.some or reason == 'json_size':
            continue
        expected[reason] = len(refused)
        content += refused if refused.packets else [link.datagram(d) for d in refused]
    with PcapLab([content]) as lab:
        books = lab.finish(len(content))
        counts = {name: entry['datagrams'] for name, entry in lab.reasons.items()
                  if entry['datagrams']}
        assert counts == expected, {n: (counts.get(n), expected.get(n))
                                    for n in {*counts, *expected}
                                    if counts.get(n) != expected.get(n)}
        assert books['datagrams']['received'] == len(content)
        assert books['datagrams']['admitted'] == len(good), books
        assert books['events']['admitted'] == events, books
        everything, selected, grouped = (lab.feed(n) for n in range(3))
        assert (len(everything.events), len(selected.events)) == (events, strong)
        assert len(grouped.events) == events
        for number, feed in enumerate((everything, selected, grouped)):
            assert feed.gaps == 0 and feed.repeats == 0
            # A session of class D goes on at the next start.
            assert feed.ended == (set() if number in plan.DURABLE else set(feed.next))
            identities = {(e['source'], e['sequence'], bool(e['envelope'])) for e in feed.events}
            assert len(identities) == len(feed.events), 'an event left twice'
        replies = lab.replies()
        assert sum(r['result'] == 'admitted' for r in replies) == envelopes
        assert {r['durability'] for r in replies if r['result'] == 'admitted'} == {'commit'}
        acknowledged = {entry.leaf for entry in lab.acks() if entry.taken()}
        assert acknowledged == {frame_leaf(d) for d in good if d[:1] == b'\0'}
        ports = [plan.FEED_PORT + n for n in range(3)]
        rows, malformed = tshark_mold(lab.outputs[0], ports)
        assert not malformed, malformed[:3]
        counted = sum(int(row[3]) for row in rows
                      if row[0] == str(ports[0]) and row[3] not in ('65535', '0xffff'))
        assert counted == events, f'tshark counts {counted} messages, {events} were admitted'


@case
def nothing_in_nothing_out(_):
    """Invariant: idle feeds send heartbeats, and end of session at the end, but in class D."""
    for durability, going_on in ('commit', plan.DURABLE), ('none', ()):
        with PcapLab([[]], durability=durability) as lab:
            time.sleep(2.5)
            lab.finish(0)
            for number in range(3):
                feed = lab.feed(number)
                assert feed.heartbeats >= 1 and not feed.events, vars(feed)
                assert bool(feed.ended) == (number not in going_on), vars(feed)


if __name__ == '__main__':
    Report.main(exists)
