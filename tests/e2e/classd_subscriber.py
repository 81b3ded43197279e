#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""A subscriber that writes down every downstream packet and asks for what it missed.

usage: classd_subscriber.py --journal FILE [--feeds 0,1]    ends on SIGTERM"""
import argparse
import select
import signal
import socket
import struct
import time

import atrwire as wire
import classd_record
import lab
import plan

GAP_PORT = 26401
ASK_EVERY, ASK_MOST = 0.1, 1000
TURN = 0.1


class Session:
    """What is there of one session: all below next, and some above."""

    def __init__(self):
        self.next, self.above, self.top = 1, set(), 1

    def add(self, sequence, count):
        for number in range(max(sequence, self.next), sequence + count):
            self.above.add(number)
        while self.next in self.above:
            self.above.discard(self.next)
            self.next += 1
        self.top = max(self.top, sequence + count)


class Follower:
    """Listens to feeds of plan.py's. fill: asks for gaps."""

    def __init__(self, journal, feeds=(0, 1), ip='10.77.0.2', appliance='10.77.0.1', fill=True):
        self.sessions, self.fill, self.asked, self.answers = {}, fill, 0.0, 0
        try:
            for entry in classd_record.read(journal):
                if entry['k'] == 'packet':
                    self._take(bytes.fromhex(entry['bytes']))
        except FileNotFoundError:
            pass
        self.live = [lab.udp_socket(ip, plan.FEED_PORT + feed) for feed in feeds]
        self.gap = lab.udp_socket(ip, 0)
        self.journal = classd_record.Journal(journal)  # is there: listening
        self.to = (appliance, GAP_PORT)

    def _take(self, data):
        session, sequence, _, blocks = wire.mold_packet(data)
        one = self.sessions.setdefault(session, Session())
        one.add(sequence, len(blocks))
        return session

    def step(self, turn=TURN):
        """Takes what comes within a turn, and asks for what is missing."""
        for one in select.select([*self.live, self.gap], [], [], turn)[0]:
            via = 'gap' if one is self.gap else 'live'
            for _ in range(64):
                try:
                    data = one.recv(65536, socket.MSG_DONTWAIT)
                except OSError:
                    break
                self.answers += via == 'gap'
                self.journal.write({'k': 'packet', 'via': via, 'bytes': data.hex()})
                session = self._take(data)
                if via == 'gap' and self.fill:
                    self.ask(session)  # an answer is one datagram only
        now = time.monotonic()
        if self.fill and now - self.asked > ASK_EVERY:
            self.asked = now
            for session in self.sessions:
                self.ask(session)

    def ask(self, session):
        """Asks for what is missing first, if anything is."""
        one = self.sessions[session]
        count = min(min(one.above, default=one.top) - one.next, ASK_MOST)
        if count > 0:
            self.request(session, one.next, count)

    def request(self, session, sequence, count):
        try:
            self.gap.sendto(struct.pack('>10sQH', session, sequence, count), self.to)
        except OSError:
            pass  # asked again

    def missing(self):
        """Messages that are known to exist and are not there, by session."""
        return {session: one.top - one.next - len(one.above)
                for session, one in self.sessions.items() if one.next < one.top}

    def close(self):
        for one in (*self.live, self.gap):
            one.close()


def main():
    options = argparse.ArgumentParser()
    options.add_argument('--journal', required=True)
    options.add_argument('--feeds', default='0,1')
    given = options.parse_args()
    follower = Follower(given.journal, [int(feed) for feed in given.feeds.split(',')])
    ended = []
    signal.signal(signal.SIGTERM, lambda *_: ended.append(True))
    while not ended:
        follower.step()
    follower.close()


if __name__ == '__main__':
    main()
