#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# needs root: a namespace with a TAP interface
"""Class D over a TAP: nothing is acknowledged, answered or published before its sync; a restart,
clean or not, goes on with identities, sessions and numbers; what contradicts the log is refused."""
import os
import select
import shutil
import subprocess
import tempfile
import time

import atr_harness as harness
import atrwire as wire
import lab
import plan
import provoke
import scenarios
from atr_harness import Report, case, run, wait_for
from classd_ack import open_ack

INTERFACE = 'atrtap0'
EVENTS, FRAMES = 4, 3
SLOW_FRAMES = 48  # more than --log-buffers
QUIET = 0.6  # seconds in which nothing may come
CONFLICT = 132


class Tap(harness.Appliance):
    """An appliance on a TAP interface, which gets its address whenever it appears."""

    def _ready(self):
        if not self.addressed:
            done = subprocess.run(['ip', 'addr', 'replace', f'{lab.OUR_IP}/24', 'dev', INTERFACE],
                                  capture_output=True)
            if done.returncode == 0:
                run('ip', 'link', 'set', INTERFACE, 'up')
                self.addressed = True
        return super()._ready() and self.addressed

    def start(self, seconds=40):
        self.addressed = False
        return super().start(seconds)


class Feed:
    """All messages of one feed over all starts: a number never stands for two messages."""

    def __init__(self, number):
        self.socket = lab.udp_socket('', plan.FEED_PORT + number)
        self.messages, self.ended = {}, set()

    def sessions(self):
        return sorted(self.messages)

    def drain(self, quiet=0.3):
        while select.select([self.socket], [], [], quiet)[0]:
            session, sequence, count, messages = wire.mold_packet(self.socket.recv(65536))
            if count == wire.END:
                self.ended.add(session)
            known = self.messages.setdefault(session, {})
            for number, message in enumerate(messages, sequence):
                assert known.setdefault(number, message) == message, f'{number} is two messages'
        return self

    def holds(self, count):
        """All its sessions together have so many messages, each session from 1 without a gap."""
        self.drain(0.05)
        for numbers in self.messages.values():
            assert sorted(numbers) == list(range(1, len(numbers) + 1)), sorted(numbers)
        return sum(map(len, self.messages.values())) == count


class ClassD:
    """The laboratory: one state, many starts."""

    def __init__(self):
        lab.exists()
        harness.private_namespace()
        self.work = tempfile.mkdtemp(prefix='atr-e2e-')
        value = plan.document()
        value['feeds'][2]['destinations'] = [{'to': f'{lab.OUR_IP}:{plan.FEED_PORT + 2}'}]
        self.plan = plan.write(f'{self.work}/plan.json', value)
        self.other = plan.write(f'{self.work}/other.json', {**value, 'version': 2})
        self.feeds = [Feed(number) for number in plan.FEEDS]
        self.socket, self.acks, self.key, self.atr = lab.udp_socket('', 0), [], None, None
        self.traffic, self.events, self.frames = provoke.Traffic(), 0, []
        try:
            self.start()
        except BaseException:
            self.close()
            raise

    def appliance(self, path, *args, **more):
        return Tap(path, [f'net_tap0,iface={INTERFACE}'],
                   ['--addr', f'0={lab.APPLIANCE_IP}/24', *args], work=self.work, **more)

    def start(self, path=True):
        self.atr = self.appliance(self.plan if path is True else path)
        self.atr.start()
        status = self.atr.query('/atr/status')
        assert status['durability'] == 'commit' and len(status['checkpoint_key']) == 64, status
        assert self.key in (None, bytes.fromhex(status['acks_key'])), 'another key'
        self.key = bytes.fromhex(status['acks_key'])

    def kill(self):
        self.atr.kill()
        if self.atr.socket_path:
            shutil.rmtree(os.path.dirname(self.atr.socket_path), ignore_errors=True)

    def close(self):
        self.kill()
        shutil.rmtree(self.work, ignore_errors=True)

    def leaves(self):
        """Size of the log, with nothing under way."""
        return self.atr.durable()['0']['leaves']

    def send(self, *datagrams):
        for one in datagrams:
            self.socket.sendto(one, (lab.APPLIANCE_IP, plan.PORT))

    def listen(self, seconds):
        """Entries of acknowledgements that come, and replies."""
        datagrams = []
        replies = lab.replies(self.socket, 2**16, seconds, datagrams)
        return [entry for one in datagrams
                for _, _, entries in open_ack(one, plan.REALM, self.key)[1]
                for entry in entries], replies

    def told(self, datagrams, seconds=10):
        """Sends frames; the entry of each, in order."""
        self.send(*datagrams)
        leaves, found = [leaf(one) for one in datagrams], {}

        def all_told():
            found.update((entry.leaf, entry) for entry in self.listen(0.1)[0])
            return all(one in found for one in leaves)
        wait_for('acknowledgements', all_told, seconds)
        return [found[one] for one in leaves]

    def reply(self, envelope):
        self.send(envelope)
        answer, = lab.replies(self.socket, 1, 5)
        return answer

    def tree(self, frames=FRAMES):
        made = self.traffic.seal(*(self.traffic.frame('alpha', [self.traffic.event()] * EVENTS)
                                   for _ in range(frames)))
        self.events += frames * EVENTS
        return made

    def arrive(self, *numbers):
        """Everything admitted so far is on these feeds, once."""
        for number in numbers or (0, 2):
            feed = self.feeds[number]
            wait_for(f'{self.events} messages on feed {number}',
                     lambda f=feed: f.holds(self.events))

    def verified(self):
        """Leaves of the log, as atrctl log verify counts them."""
        text = run(harness.ATRCTL, 'log', 'verify', f'{self.atr.state}/log')
        assert 'torn' not in text, text
        return int(text.splitlines()[1])

    def refused(self, path, *args, **more):
        """An appliance that must not start; what it says."""
        atr = self.appliance(path, *args, **more)
        try:
            atr.start()
        except AssertionError:
            atr.process.wait(30)
            assert atr.process.returncode == 1, f'{atr.process.returncode}: {atr.tail()}'
            return atr.tail()
        finally:
            atr.kill()
        raise AssertionError('it starts')


def leaf(frame):
    count, arena = int.from_bytes(frame[6:8], 'little'), int.from_bytes(frame[40:44], 'little')
    return wire.sha256(frame[:64 + 64 * count + arena])


@case
def answered_and_published(one):
    """Invariant: frames are acknowledged and envelopes answered with the index of their leaf, and
    both are on every feed once."""
    wait_for('the appliance to be reached', lambda: subprocess.run(
        ['ping', '-c1', '-W1', lab.APPLIANCE_IP], capture_output=True).returncode == 0)
    before = one.leaves()
    one.frames = one.tree()
    entries = one.told(one.frames)
    assert all(entry.taken() and entry.over() for entry in entries)
    positions = [entry.position for entry in entries]
    assert before <= positions[0] < positions[1] < positions[2] < one.leaves(), (before, positions)
    before = one.leaves()
    one.value = one.traffic.envelope_value()
    one.envelope = wire.sign_envelope(one.value, plan.REALM, plan.envelope_key('alpha'))
    one.events += 1
    answer = one.reply(one.envelope)
    assert (answer['result'], answer['durability']) == ('admitted', 'commit'), answer
    assert (answer['position'], answer['shard']) == (before, 0), (answer, before)
    one.position = before
    again, = one.told(one.tree(1))
    assert again.position == one.leaves() - 2, 'its record and the commit record are the last'
    one.arrive()
    assert len(one.feeds[0].sessions()) == 1


@case
def nothing_before_the_sync(one):
    """Invariant: while the log's disk stands still, class D is silent, and what need not wait for
    it goes on."""
    with scenarios.Stopped(one.atr.threads()['atr-log']):
        before = len(one.feeds[0].drain().messages[one.feeds[0].sessions()[0]])
        frame, = one.tree(1)
        one.send(frame, one.traffic.envelope())
        entries, replies = one.listen(QUIET)
        assert not entries and not replies, (entries, replies)
        one.feeds[0].drain()
        assert len(one.feeds[0].messages[one.feeds[0].sessions()[0]]) == before
        one.arrive(2)
        flight = one.atr.ledger()['datagrams']['in_flight']
        assert sum(flight.values()) == 1, flight  # the envelope, which has no position yet
    one.events += 1
    entries, replies = one.listen(2)
    assert [entry.leaf for entry in entries] == [leaf(frame)] and entries[0].taken(), entries
    assert [reply['result'] for reply in replies] == ['admitted'], replies
    one.arrive()


@case
def slow_disk_makes_groups_larger(one):
    """Invariant: single events that come while the disk stands still do not use up the buffers."""
    frames = [one.tree(1)[0] for _ in range(SLOW_FRAMES)]
    with scenarios.Stopped(one.atr.threads()['atr-log']):
        for frame in frames:
            one.send(frame)
            time.sleep(0.01)
        one.atr.settled(SLOW_FRAMES)
        assert 'log_wait' not in one.atr.reasons(), one.atr.reasons()
    one.arrive()


def goes_on(one):
    """After a restart: the same answers for what was sent before, the same sessions and numbers."""
    entries = one.told(one.frames)
    assert all(code == 255 for entry in entries for code, _ in entry.results), vars(entries[0])
    first = plan.TOPICS['test.plain']
    other = one.traffic.seal(one.traffic.frame(
        'alpha', [wire.Event(first, 1, plan.reading(2))] * EVENTS, first=1))
    entry, = one.told(other)
    assert entry.results == [(CONFLICT, 1)] * EVENTS, entry.results
    answer = one.reply(one.envelope)
    assert (answer['result'], answer['position']) == ('duplicate', one.position), answer
    conflict = {**one.value, 'payload': {'n': 2}}
    answer = one.reply(wire.sign_envelope(conflict, plan.REALM, plan.envelope_key('alpha')))
    assert (answer['result'], answer['reason']) == ('refused', 'conflict'), answer
    before = one.leaves()
    entry, = one.told(one.tree(1))
    assert entry.taken() and entry.position == before, (entry.position, before)
    one.arrive()
    assert len(one.feeds[0].sessions()) == 1, 'feeds of class D keep their session'


@case
def clean_restart(one):
    """Invariant: after a clean stop identities, sessions and numbers go on, and no session of class
    D has ended."""
    leaves = one.leaves()
    one.atr.stop()
    for feed in one.feeds:
        feed.drain()
    assert [bool(feed.ended) for feed in one.feeds] == [n not in plan.DURABLE for n in plan.FEEDS]
    # A clean stop leaves a snapshot: its record, and the commit of its group.
    assert one.verified() == leaves + 2
    one.start()
    goes_on(one)
    assert len(one.feeds[2].sessions()) == 2, 'a feed of class none has a session a start'


@case
def killed(one):
    """Invariant: the same after kill -9, with the plan from the log."""
    leaves = one.leaves()
    one.kill()
    assert one.verified() == leaves
    one.start(None)
    assert one.atr.query('/atr/status')['plan'] == 'e2e'
    goes_on(one)


@case
def contradictions_are_refused(one):
    """Invariant: another plan, class or number of shards than the log's is refused with the
    remedy, and the log is not touched."""
    leaves = one.leaves()
    one.atr.stop()
    stopped = one.verified()
    assert stopped in (leaves, leaves + 2), 'nothing but a snapshot is added by a stop'
    for words, path, args, more in (
            (('--pipeline', 'differs from the plan in force', 'leave --pipeline out'), one.other,
             (), {}),
            (('--durability none', 'holds a log', '--durability commit'), one.plan, (),
             {'durability': 'none'}),
            (('shard 0 of 1', '--shards 1'), one.plan, ('--shards', 2), {'data_lcores': 2})):
        said = one.refused(path, *args, **more)
        assert all(word in said for word in words), said
    assert one.verified() == stopped
    one.start()
    goes_on(one)


@case
def weaker_class_forgets_nothing(one):
    """Invariant: with durability async on a log of class D, what was admitted before is not
    admitted again; no frame is acknowledged; and class D goes on afterwards."""
    one.atr.stop()
    one.atr = one.appliance(None, durability='async')
    one.atr.start()
    one.send(*one.frames, one.envelope)
    entries, replies = one.listen(QUIET)
    assert not entries, entries
    assert [reply['result'] for reply in replies] == ['duplicate'], replies
    books = one.atr.settled(len(one.frames) + 1)['datagrams']
    assert (books['admitted'], books['duplicate']) == (0, len(one.frames) + 1), books
    one.atr.stop()
    assert one.verified()
    one.start(None)
    entries = one.told(one.frames)
    assert not any(entry.results[0][0] == 0 for entry in entries), vars(entries[0])


if __name__ == '__main__':
    Report.main(ClassD)
