#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# release only
# needs root: a namespace with a veth pair
"""Identities of class D through restarts: resends, conflicts, windows and shed commits."""
import json
import select
import socket
import time

import atr_harness as harness
import atrlog
import atrwire as wire
import classd_ack
import classd_check
import classd_disk
import classd_record
import lab
import plan
from atr_harness import Report, case

SOURCE, NUMBER = 'beta', plan.SOURCES['beta'][0]
WINDOW, MAX_AHEAD = 4096, 65536  # classd_forge.class_d_plan
CODES = {name: code for code, name in ((130, 'stale'), (131, 'ahead'), (132, 'conflict'),
                                       (158, 'log_full'))}
QUIET = 0.7
EVENTS = 18  # what an MTU of 1,500 holds
# A window full of frames fills them.
FEW_BUFFERS = ['--log-segment-bytes', 4 << 20, '--log-buffers', 2, '--commit-bytes', 16384]


class Client:
    """Sends what it is told to and says what was answered; writes everything down."""

    def __init__(self, one):
        self.lab, self.journal = one, classd_record.Journal(one.journal('client'))
        self.socket = lab.udp_socket(lab.OUR_IP, 0)

    def frame(self, first, value=1, count=3):
        """A frame; value makes its bytes differ."""
        events = [wire.Event(1, 1, plan.reading(value, 5.0)) for _ in range(count)]
        return wire.seal([wire.Frame(plan.REALM, NUMBER, 1, first, events)], plan.key(SOURCE))[0]

    @staticmethod
    def envelope(value=1, uuid=None):
        now = time.time_ns()
        return wire.sign_envelope(wire.envelope_value(
            uuid or wire.uuid7(now // 10**6), SOURCE, 'test.plain', 'reading',
            {'n': value, 'mag': 5}, now), plan.REALM, plan.envelope_key(SOURCE))

    def send(self, datagram):
        if datagram[:1] == b'{':
            entry = {'k': 'envelope', 'id': json.loads(datagram)['header']['id']}
        else:
            entry = {'k': 'frame', 'leaf': classd_check.leaf_of(datagram).hex()}
        self.journal.write({**entry, 'bytes': datagram.hex()})
        self.socket.sendto(datagram, (lab.APPLIANCE_IP, plan.PORT))

    def receive(self, seconds):
        """One datagram, or None."""
        if not select.select([self.socket], [], [], seconds)[0]:
            return None
        data = self.socket.recv(65536, socket.MSG_DONTWAIT)
        self.journal.write({'k': 'reply', 'text': data.decode()} if data[:1] == b'{' else
                           {'k': 'ack', 'bytes': data.hex()})
        return data

    def ask(self, datagram, seconds=10):
        """Sends a frame until it is acknowledged; (entry, floor)."""
        leaf, end = classd_check.leaf_of(datagram), time.monotonic() + seconds
        while time.monotonic() < end:
            self.send(datagram)
            data = self.receive(QUIET)
            while data:
                if data[:1] != b'{':
                    for _, floor, entries in classd_ack.open_ack(data, plan.REALM,
                                                                 self.lab.keys[0])[1]:
                        for entry in entries:
                            if entry.leaf == leaf:
                                return entry, floor
                data = self.receive(0)
        raise AssertionError(f'no acknowledgement; {self.lab.atr.reasons()}')

    def reply(self, envelope, seconds=10):
        uuid, end = json.loads(envelope)['header']['id'], time.monotonic() + seconds
        while time.monotonic() < end:
            self.send(envelope)
            data = self.receive(QUIET)
            while data:
                if data[:1] == b'{' and json.loads(data)['id'] == uuid:
                    return json.loads(data)
                data = self.receive(0)
        raise AssertionError(f'no reply; {self.lab.atr.reasons()}')

    def taken(self, datagram):
        entry, _ = self.ask(datagram)
        assert entry.taken(), entry.results
        return entry

    def refused(self, datagram, name):
        """All events of a frame are refused so; whether that is final is as the pages say."""
        entry, floor = self.ask(datagram)
        assert entry.results == [(CODES[name], name != 'ahead')] * entry.events, entry.results
        return entry, floor


class World(classd_disk.DiskLab):
    """A lab and a client. disk: megabytes of a disk for the log alone."""

    def __init__(self, disk=0, args=()):
        super().__init__(args, disk)

    def begin(self):
        self.client = Client(self.lab)

    def restart(self, how):
        getattr(self.lab, how)()
        self.lab.start()

    def end(self):
        self.lab.finish(self.subscriber)
        self.lab.fill()
        self.lab.checkpoints()
        self.lab.stop()
        return self.lab.judge()


def through_restarts(world, judge):
    """Once before a restart, once after kill -9, once after a clean stop."""
    judge()
    for how in 'kill', 'stop':
        world.restart(how)
        # An address is learnt from what is new only.
        world.client.fresh += 1
        world.client.taken(world.client.frame(world.client.fresh, count=1))
        judge()


@case
def resent_frame(_):
    """Invariant: a resend is a duplicate, with the original's position or none, before and after a
    restart."""
    with World() as world:
        frame = world.client.frame(1)
        position, world.client.fresh = world.client.taken(frame).position, 10
        assert position != classd_ack.NO_POSITION

        def judge():
            entry, _ = world.client.ask(frame)
            assert [code for code, _ in entry.results] == [classd_ack.DUPLICATE] * 3
            assert entry.position in (position, classd_ack.NO_POSITION), entry.position
        through_restarts(world, judge)
        assert world.end()['events in the log'] == 3 + 2


@case
def resent_envelope(_):
    """Invariant: the same for an envelope, which is told its original's position."""
    with World() as world:
        envelope, world.client.fresh = world.client.envelope(), 1
        original = world.client.reply(envelope)
        assert original['result'] == 'admitted' and original['durability'] == 'commit', original

        def judge():
            assert world.client.reply(envelope) == {**original, 'result': 'duplicate'}
        through_restarts(world, judge)
        assert world.end()['events in the log'] == 1 + 2


@case
def other_bytes(_):
    """Invariant: other bytes under a used identity are a conflict, before and after a restart;
    wholly and partly overlapping frames, and envelopes."""
    with World() as world:
        world.client.taken(world.client.frame(1))
        envelope, world.client.fresh = world.client.envelope(), 10
        world.client.reply(envelope)
        uuid = json.loads(envelope)['header']['id']
        later = iter(range(100, 200, 10))

        def judge():
            world.client.refused(world.client.frame(1, value=2), 'conflict')
            world.client.refused(world.client.frame(3, value=2, count=1), 'conflict')
            first = next(later)
            world.client.taken(world.client.frame(first, count=2))
            entry, _ = world.client.ask(world.client.frame(first + 1, value=3, count=2))
            assert [code for code, _ in entry.results] == [CODES['conflict'], classd_ack.OK]
            assert [final for code, final in entry.results if code] == [True]
            reply = world.client.reply(world.client.envelope(2, uuid))
            assert (reply['result'], reply.get('reason')) == ('refused', 'conflict'), reply
            assert reply['final'] is True
        through_restarts(world, judge)
        world.end()


@case
def windows(_):
    """Invariant: floor, stale and ahead reach the producer, and a restart changes none of them."""
    with World() as world:
        base, world.client.fresh = 3 * WINDOW, 4 * WINDOW
        world.client.taken(world.client.frame(base, count=1))

        def judge():
            following = max(base + 1, world.client.fresh + 1 if judge.again else 0)
            floor = following - WINDOW
            _, told = world.client.refused(world.client.frame(floor - 1, count=1), 'stale')
            assert told == floor, (told, floor)
            world.client.refused(world.client.frame(following + MAX_AHEAD, count=1), 'ahead')
            old = world.client.envelope(uuid=wire.uuid7(time.time_ns() // 10**6 - 3600_000))
            assert world.client.reply(old)['reason'] == 'stale'
            far = world.client.envelope(uuid=wire.uuid7(time.time_ns() // 10**6 + 3600_000))
            reply = world.client.reply(far)
            assert reply['reason'] == 'ahead' and reply['final'] is False, reply
            judge.again = True
        judge.again = False
        through_restarts(world, judge)
        # What the window had not seen is admitted still, right above the floor.
        world.client.taken(world.client.frame(world.client.fresh + 1 - WINDOW, count=1))
        world.end()


@case
def shed_and_sent_again(_):
    """Invariant: what a full disk shed is admitted once when it is sent again; what it had taken
    before and could not acknowledge is a duplicate then."""
    with World(disk=16, args=FEW_BUFFERS) as world:
        client, frames = world.client, []
        client.taken(client.frame(1))
        world.disk.fill()
        first = 10
        end = time.monotonic() + 120
        while 'log_full' not in world.lab.atr.reasons():
            assert time.monotonic() < end, world.lab.atr.query('/atr/log')
            # Slowly towards the end: what was shed must be in the window still below.
            well = world.lab.atr.query('/atr/log')['0']['state'] == 'ok'
            for _ in range(8 if well else 1):
                frames.append(client.frame(first, count=EVENTS))
                client.send(frames[-1])
                first += EVENTS
            client.receive(0)
            time.sleep(0.005)
        world.disk.free()
        harness.wait_for('the log to go on', lambda: world.lab.atr.query('/atr/log')['0']['state']
                         == 'ok', 30)
        while client.receive(QUIET):
            pass
        for frame in frames[-(WINDOW // EVENTS - 2):]:
            client.taken(frame)
        world.end()
        shards = atrlog.read(world.lab.log)
        leaves = {record.leaf_hash for _, record in shards[0].records()}
        for frame in frames[-(WINDOW // EVENTS - 2):]:
            assert classd_check.leaf_of(frame) in leaves


def laboratory():
    lab.exists()
    harness.private_namespace()
    harness.veth(mac=lab.OUR_MAC)


if __name__ == '__main__':
    Report.main(laboratory)
