#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""A producer of frames and envelopes that is told what became of them, made from the pages alone.
It writes down every datagram before it sends it, resends until it is told, and goes on from its
journal after a crash of its own.

usage: classd_producer.py --journal FILE --source NAME --port N --acks-key HEX [options]
SIGTERM: nothing new is sent any more; ends when all is settled, or after --drain seconds."""
import argparse
import json
import random
import select
import signal
import socket
import struct
import sys
import time

import atrwire as wire
import classd_ack
import classd_record
import plan

TICK = 0.02
RESEND_FIRST, RESEND_MOST, RESENDS_A_TICK = 0.2, 1.6, 100
# Of the window of 4,096: beyond soft, only a trickle that keeps the address known; never beyond
# hard, or what is not settled would become stale.
SOFT_SPAN, HARD_SPAN, TRICKLE = 1500, 3000, 0.1
CLOSED_ONE_IN, IMPOSTOR_ONE_IN, NOTE_ONE_IN = 50, 40, 8


class Waiting:
    """A datagram that is not settled. last: the last sequence of a frame, None for envelopes."""

    def __init__(self, datagram, last, again, now):
        self.datagram, self.last, self.again = datagram, last, again
        self.due, self.pause = now + RESEND_FIRST, RESEND_FIRST


class Producer:
    """One source of plan.py's. Call step() often."""

    def __init__(self, journal, source, port, acks_key, ip='10.77.0.2', to=('10.77.0.1', plan.PORT),
                 rate=500, envelopes=5, seed=None):
        self.name, self.number = source, plan.SOURCES[source][0]
        self.public, self.random = acks_key, random.Random(seed)
        self.rate, self.envelope_rate = rate, envelopes
        self.open, self.next = {}, 1  # leaf hash or envelope id: Waiting
        self.settled = []  # a few datagrams that were acknowledged
        self.counts = {'sent': 0, 'resent': 0, 'taken': 0, 'refused': 0, 'shed': 0, 'impostors': 0}
        self.reasons, self.stopping, self.impostors = {}, False, set()
        self._recover(journal)
        self.journal = classd_record.Journal(journal)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.socket.bind((ip, port))
        self.socket.setblocking(False)
        self.to, self.ticked, self.trickled = to, time.monotonic(), 0.0
        self.owed = self.owed_envelopes = 0.0

    def _recover(self, journal):
        """Where a run before this one stopped."""
        now = time.monotonic()
        try:
            for entry in classd_record.read(journal):
                if entry['k'] == 'frame':
                    last = entry['first'] + entry['events'] - 1
                    self.next = max(self.next, last + 1)
                    if not entry.get('impostor'):
                        self.open[entry['leaf']] = Waiting(
                            bytes.fromhex(entry['bytes']), last,
                            {'k': 'again', 'leaf': entry['leaf']}, now)
                elif entry['k'] == 'envelope':
                    self.open[entry['id']] = Waiting(bytes.fromhex(entry['bytes']), None,
                                                     dict(entry), now)
                elif entry['k'] == 'ack':
                    self._ack(bytes.fromhex(entry['bytes']))
                elif entry['k'] == 'reply':
                    self._reply(json.loads(entry['text']))
        except FileNotFoundError:
            pass

    # --- what comes ---

    def _receive(self):
        while True:
            try:
                data = self.socket.recv(65536)
            except BlockingIOError:
                return
            except OSError:
                continue  # what ICMP told of a restart
            if data[:1] == b'{':
                self.journal.write({'k': 'reply', 'text': data.decode()})
                self._reply(json.loads(data))
            else:
                self.journal.write({'k': 'ack', 'bytes': data.hex()})
                self._ack(data)

    def _ack(self, data):
        try:
            _, bodies = classd_ack.open_ack(data, plan.REALM, self.public)
        except classd_ack.AckError:
            return  # is in the journal, for the checker
        for source, _, entries in bodies:
            for entry in entries if source == self.number else ():
                leaf = entry.leaf.hex()
                if not entry.over():
                    self.counts['shed'] += 1
                    continue
                waiting = self.open.pop(leaf, None)
                if waiting:
                    self._settle(entry.taken(), [code for code, _ in entry.results])
                    if entry.taken() and len(self.settled) < 64:
                        self.settled.append(waiting.datagram)

    def _reply(self, value):
        if value['result'] == 'refused' and not value['final']:
            self.counts['shed'] += 1
        elif self.open.pop(value['id'], None):
            self._settle(value['result'] != 'refused', [value.get('reason', 0)])

    def _settle(self, taken, codes):
        self.counts['taken' if taken else 'refused'] += 1
        for code in codes:
            if code not in (classd_ack.OK, classd_ack.DUPLICATE):
                self.reasons[code] = self.reasons.get(code, 0) + 1

    # --- what goes ---

    def _event(self):
        pick = self.random
        if pick.randrange(CLOSED_ONE_IN) == 0:
            return wire.Event(plan.TOPICS['test.closed'], 1, plan.reading(), time.time_ns())
        if pick.randrange(NOTE_ONE_IN) == 0:
            return wire.Event(plan.TOPICS['test.plain'], plan.TYPES['note'],
                              plan.note(1, 'n' * pick.randrange(60)), time.time_ns())
        topic = pick.choice(('test.plain', 'test.other', 'test.secret'))
        mag = pick.choice((None, 1.0, 4.49, 4.5, 6.0))
        return wire.Event(plan.TOPICS[topic], 1, plan.reading(pick.randrange(1, 10**6), mag),
                          time.time_ns())

    def send_tree(self, count):
        """Sends a tree of new frames."""
        frames = []
        for _ in range(count):
            events = [self._event() for _ in range(self.random.randrange(1, 6))]
            frames.append(wire.Frame(plan.REALM, self.number, 1, self.next, events,
                                     time.time_ns()))
            self.next += len(events)
        self._send_new(frames)

    def _send_new(self, frames, impostor=False):
        entries, now = [], time.monotonic()
        datagrams = wire.seal(frames, plan.key(self.name))
        for frame, datagram in zip(frames, datagrams):
            count, arena = len(frame.events), struct.unpack_from('<I', datagram, 40)[0]
            leaf = wire.sha256(datagram[:64 + 64 * count + arena]).hex()
            entries.append({'k': 'frame', 'source': self.number, 'first': frame.first,
                            'events': count, 'leaf': leaf, 'bytes': datagram.hex(),
                            **({'impostor': True} if impostor else {})})
            if not impostor:
                self.open[leaf] = Waiting(datagram, frame.first + count - 1,
                                          {'k': 'again', 'leaf': leaf}, now)
        self.journal.write(*entries)
        self._send(datagrams)
        self.counts['impostors' if impostor else 'sent'] += len(frames)

    def send_envelope(self):
        value = wire.envelope_value(wire.uuid7(time.time_ns() // 10**6), self.name, 'test.plain',
                                    'reading', {'n': self.random.randrange(1, 100), 'mag':
                                                self.random.choice((None, 4.4, 5))}, time.time_ns())
        datagram = wire.sign_envelope(value, plan.REALM, plan.envelope_key(self.name))
        entry = {'k': 'envelope', 'id': value['header']['id'], 'bytes': datagram.hex()}
        self.journal.write(entry)
        self.open[entry['id']] = Waiting(datagram, None, entry, time.monotonic())
        self._send([datagram])
        self.counts['sent'] += 1

    def send_impostor(self):
        """Other bytes under an identity that was acknowledged."""
        old = wire.open_frame(self.random.choice(self.settled))
        self._send_new([wire.Frame(plan.REALM, self.number, 1, old['first'],
                                   [wire.Event(1, 1, plan.reading(7, 1.25))])], impostor=True)

    def _send(self, datagrams):
        for one in datagrams:
            try:
                self.socket.sendto(one, self.to)
            except OSError:
                pass  # lost, like any datagram; it is sent again

    def _resend(self, now):
        due = [one for one in self.open.values() if one.due <= now][:RESENDS_A_TICK]
        if due:
            self.journal.write(*({k: v for k, v in one.again.items() if k != 't'} for one in due))
            self._send([one.datagram for one in due])
        for one in due:
            one.pause = min(2 * one.pause, RESEND_MOST)
            one.due = now + one.pause
        self.counts['resent'] += len(due)

    def _room(self, now):
        """How many new frames may be sent now."""
        lowest = min((one.last for one in self.open.values() if one.last is not None),
                     default=self.next)
        span = self.next - lowest
        if span < SOFT_SPAN:
            return (SOFT_SPAN - span) // 5
        if span < HARD_SPAN and now - self.trickled > TRICKLE:
            self.trickled = now
            return 1
        return 0

    def step(self):
        """Sends what is due and takes what came, for one tick."""
        now = time.monotonic()
        passed, self.ticked = min(now - self.ticked, 0.2), now
        self._receive()
        if not self.stopping:
            self.owed = min(self.owed + passed * self.rate, self.rate)
            self.owed_envelopes = min(self.owed_envelopes + passed * self.envelope_rate, 10)
            count = min(int(self.owed), self._room(now), 64)
            if count > 0:
                self.send_tree(count)
                self.owed -= count
            if self.owed_envelopes >= 1 and len(self.open) < SOFT_SPAN:
                self.send_envelope()
                self.owed_envelopes -= 1
            if self.settled and self.random.randrange(IMPOSTOR_ONE_IN) == 0:
                self.send_impostor()
        elif now - self.trickled > 1 and self.open:
            # An address is learnt from new frames only, and may have been forgotten meanwhile.
            self.trickled = now
            self.send_tree(1)
        self._resend(now)
        select.select([self.socket], [], [], TICK)

    def summary(self):
        return {**self.counts, 'open': len(self.open), 'next': self.next, 'reasons': self.reasons}


def main():
    options = argparse.ArgumentParser()
    options.add_argument('--journal', required=True)
    options.add_argument('--source', required=True)
    options.add_argument('--port', type=int, required=True)
    options.add_argument('--acks-key', type=bytes.fromhex, required=True)
    options.add_argument('--rate', type=float, default=500)
    options.add_argument('--envelopes', type=float, default=5)
    options.add_argument('--drain', type=float, default=30)
    given = options.parse_args()
    producer = Producer(given.journal, given.source, given.port, given.acks_key, rate=given.rate,
                        envelopes=given.envelopes)
    ends = []

    def stop(*_):
        producer.stopping = True
        ends.append(time.monotonic() + given.drain)

    signal.signal(signal.SIGTERM, stop)
    while not producer.stopping or (producer.open and time.monotonic() < ends[0]):
        producer.step()
    print(json.dumps(producer.summary()), flush=True)
    sys.exit(1 if producer.open else 0)


if __name__ == '__main__':
    main()
