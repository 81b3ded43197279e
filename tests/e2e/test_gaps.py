#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# release only
# needs root: a namespace with a veth pair
"""Gap requests: atrctl sub behind a path that loses packets gets every message of class D, from
memory and from the log, over restarts and crashes; strangers get nothing, nobody gets too much, and
live traffic does not notice."""
import json
import random
import select
import signal
import struct
import subprocess
import threading
import time

import atr_harness as harness
import atrwire as wire
import classd_lab
import lab
import plan
from atr_harness import Report, case, wait_for

SOURCES = 'alpha', 'beta'  # of two shards
RATE = 400  # frames a second of each
FEED = 0
SUB_PORT = 27000
GAP_PORT = 26401
LOSS = 0.3
STRANGER, FOREIGNER = '10.77.0.3', '10.99.0.3'  # on the port's subnet, and not
PER_SECOND, BURST = 1000, 100
QUIET = 0.6
SLOW = 60


class Lossy(threading.Thread):
    """Hands packets of a feed on to the port of sub, and loses some."""

    def __init__(self, loss):
        super().__init__(daemon=True)
        self.loss, self.dice, self.lost, self.over = loss, random.Random(11), 0, False
        self.feed = lab.udp_socket(lab.OUR_IP, plan.FEED_PORT + FEED)

    def run(self):
        while not self.over:
            if not select.select([self.feed], [], [], 0.05)[0]:
                continue
            data = self.feed.recv(65536)
            if self.dice.random() < self.loss:
                self.lost += 1
            else:
                self.feed.sendto(data, (lab.OUR_IP, SUB_PORT))

    def close(self):
        self.over = True
        self.join()
        self.feed.close()


class Sub:
    """atrctl sub --request on a feed that loses packets."""

    def __init__(self, loss=LOSS, first=1):
        self.path = Lossy(loss)
        self.path.start()
        self.process = subprocess.Popen(
            [harness.ATRCTL, 'sub', '--bind', f'{lab.OUR_IP}:{SUB_PORT}', '--json', '--request',
             f'{lab.APPLIANCE_IP}:{GAP_PORT}', '--from-sequence', str(first), '--gap-timeout',
             '60000'], stdout=subprocess.PIPE)
        self.lines, self.got = [], {}
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.path.close()

    def _read(self):
        for line in self.process.stdout:
            value = json.loads(line)
            self.lines.append(value)
            if 'message' in value:
                self.got.setdefault(value['session'], []).append(value['message'])

    def has(self, ends):
        """Every session is there up to its end."""
        return all(len(self.got.get(session, ())) >= end - 1 for session, end in ends.items())

    def complete(self, ends):
        """Waits for all that was published; the closing line, and all in order, each once."""
        try:
            wait_for('every message', lambda: self.has(ends), SLOW, 0.1)
        except AssertionError as error:
            got = {session: len(one) for session, one in self.got.items()}
            raise AssertionError(f'{error}: {got} of {ends}') from None
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(SLOW) == 0, self.lines[-3:]
        self.reader.join(SLOW)
        for session, end in ends.items():
            assert self.got[session] == list(range(1, end)), session
        summary = self.lines[-1]
        assert summary['lost'] == 0, summary
        return summary


class Gaps(classd_lab.Lab):
    """Two shards, and a producer for each."""

    def __init__(self):
        lab.exists()
        super().__init__(['--log-segment-bytes', 4 << 20], shards=2)
        try:
            self.start()
            self.producers = [self.producer(source, rate=RATE, seed=3) for source in SOURCES]
        except BaseException:
            self.close()
            raise

    def traffic(self, seconds):
        self.pause(seconds, *self.producers)

    def settled(self):
        for one in self.producers:
            self.settle(one)
        self.atr.durable()

    def ends(self):
        """Session -> number of the next message, with nothing under way."""
        return {one['session']: one['next_sequence'] for key, one in
                self.atr.pages('/atr/feeds').items() if key.split('/')[0] == str(FEED)}

    def gaps(self):
        """What became of requests, of all shards together."""
        total = {}
        for one in self.atr.pages('/atr/gaps').values():
            for name, value in one.items():
                total[name] = total.get(name, 0) + value
        return total

    def ask(self, one, session, sequence=1, count=1):
        one.sendto(struct.pack('>10sQH', session.encode(), sequence, count),
                   (lab.APPLIANCE_IP, GAP_PORT))


def packets(one, seconds):
    """What a socket receives until it is quiet for so long."""
    got = []
    while select.select([one], [], [], seconds)[0]:
        got.append(one.recv(65536))
    return got


@case
def from_memory(world):
    """Invariant: what the path loses of live traffic is filled, from memory where the request comes
    by the queue of the feed's shard."""
    with Sub() as sub:
        world.traffic(2)
        world.settled()
        summary = sub.complete(world.ends())
        assert sub.path.lost > 10 and summary['recovered'] > 10, summary
    gaps = world.gaps()
    assert gaps['memory'] > 0, gaps
    assert gaps['memory'] + gaps['log_answered'] >= summary['requests'] * 0.9, (summary, gaps)


@case
def from_the_log(world):
    """Invariant: a late subscriber gets all messages from the first on, also those of before a
    restart, which no memory holds any more; and those that are lost again on the way."""
    world.stop()
    world.start()
    world.traffic(0.5)
    world.settled()
    with Sub() as sub:
        sub.complete(world.ends())
    gaps = world.gaps()
    assert gaps['log_answered'] > 0 and gaps['log_failed'] == 0, gaps


@case
def beyond_memory(world):
    """Invariant: what is no longer in memory comes from the log, what still is from memory."""
    def sent():
        world.traffic(0.5)
        return all(one['packets'] > 1200 for key, one in world.atr.pages('/atr/feeds').items()
                   if key.split('/')[0] == str(FEED))
    wait_for('more packets than memory holds', sent, SLOW, 0)
    world.settled()
    before = world.gaps()
    with Sub(loss=0) as sub:
        sub.complete(world.ends())
    gaps = world.gaps()
    assert gaps['log_answered'] > before['log_answered'], gaps
    assert gaps['memory'] > before['memory'], gaps


@case
def across_a_kill(world):
    """Invariant: a subscriber that listens on through a kill -9 under load misses nothing, and
    sees no number twice."""
    with Sub() as sub:
        world.traffic(1)
        world.kill()
        world.start()
        world.traffic(1)
        world.settled()
        summary = sub.complete(world.ends())
        assert summary['sessions'] == 2, summary
    assert world.gaps()['log_failed'] == 0


@case
def strangers(world):
    """Invariant: who does not subscribe gets not a byte; hosts on the subnet are answered for a
    multicast feed alone."""
    (session, end), *_ = world.ends().items()
    grouped = next(one['session'] for key, one in world.atr.pages('/atr/feeds').items()
                   if key.split('/')[0] == '2' and one['next_sequence'] > 1)
    for address in STRANGER, FOREIGNER:
        harness.run('ip', 'addr', 'add', f'{address}/24', 'dev', 'veth1')
    before = world.gaps()
    with lab.udp_socket(STRANGER, 0) as near, lab.udp_socket(FOREIGNER, 0) as far:
        for number in 1, end // 2, end - 1:
            world.ask(near, session, number)
            world.ask(far, session, number)
        world.ask(far, grouped)
        assert not packets(near, QUIET) and not packets(far, QUIET)
        gaps = world.gaps()
        assert gaps['not_subscriber'] - before['not_subscriber'] == 7, (before, gaps)
        last = next(one['next_sequence'] for one in world.atr.pages('/atr/feeds').values()
                    if one['session'] == grouped) - 1
    # Not of class D: only the shard of the feed knows, and a port number decides which is asked.
    for _ in range(16):
        with lab.udp_socket(STRANGER, 0) as near:
            world.ask(near, grouped, last)
            got = packets(near, QUIET / 2)
        if got:
            break
    assert len(got) == 1, got
    answer, sequence, count, _ = wire.mold_packet(got[0])
    assert answer.decode() == grouped and sequence <= last < sequence + count


@case
def nonsense(world):
    """Invariant: requests for what is not there, or that are none, get no answer and do no harm."""
    (session, end), *_ = world.ends().items()
    with lab.udp_socket(lab.OUR_IP, 0) as one:
        before = world.gaps()
        for sequence in 0, end, end + 10**6, 2**64 - 1:
            world.ask(one, session, sequence)
        for wrong in (session[:2] + '99' + session[4:], '99' + session[2:], 'ffffffffff', '~' * 10,
                      session[:4] + '000000'):
            world.ask(one, wrong)
        for data in b'', b'x', bytes(19), bytes(21), bytes(1400):
            one.sendto(data, (lab.APPLIANCE_IP, GAP_PORT))
        assert not packets(one, QUIET)
        gaps = world.gaps()
        # Of what was sent and is not in this memory only the log knows that it is not there.
        assert sum(gaps[name] - before[name] for name in ('not_there', 'log_not_there')) == 4, (
            before, gaps)
        assert gaps['unknown_session'] > before['unknown_session'], (before, gaps)
        assert gaps['malformed'] > before['malformed'], (before, gaps)
        world.ask(one, session, end - 1)
        assert len(packets(one, QUIET)) == 1
    world.atr.ledger()


@case
def rate(world):
    """Invariant: nobody gets more answers than its rate, and producers do not notice the flood."""
    (session, end), *_ = world.ends().items()
    before, books = world.gaps(), world.atr.ledger()
    taken = sum(one.counts['taken'] for one in world.producers)
    with lab.udp_socket(lab.OUR_IP, 0) as one:
        over = threading.Event()

        def flood():
            while not over.is_set():
                for _ in range(100):
                    world.ask(one, session, end - 1)
                time.sleep(0.01)

        thread, begun = threading.Thread(target=flood), time.monotonic()
        thread.start()
        try:
            world.traffic(2)
        finally:
            over.set()
            thread.join()
        spent = time.monotonic() - begun
        world.settled()
        answers = len(packets(one, QUIET))
    gaps = world.gaps()
    assert gaps['over_rate'] > before['over_rate'], gaps
    assert 0 < answers <= BURST + PER_SECOND * (spent + 1), (answers, spent)
    assert sum(one.counts['taken'] for one in world.producers) - taken > RATE, 'producers starve'
    after = world.atr.ledger()
    assert after['events']['admitted'] > books['events']['admitted']


@case
def end(world):
    """Invariant: the appliance ends cleanly while requests are under way."""
    sessions = world.ends()
    with lab.udp_socket(lab.OUR_IP, 0) as one:
        over = threading.Event()

        def ask_on():
            while not over.is_set():
                for session in sessions:
                    world.ask(one, session, 1)
                time.sleep(0.002)

        thread = threading.Thread(target=ask_on)
        thread.start()
        try:
            time.sleep(0.3)
            world.stop()
        finally:
            over.set()
            thread.join()


if __name__ == '__main__':
    Report.main(Gaps)
