#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Telemetry clients that misbehave harm nobody."""
import json
import socket
import threading
import time

import provoke
from atr_harness import Report, case, wait_for
from lab import PcapLab, wires


def leave(path, command):
    """Asks and goes away without waiting for the answer."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as link:
        link.connect(path)
        try:
            link.recv(65536)
            link.send(command)
        except OSError:
            pass  # ten clients at once are all that DPDK takes


def status(running):
    """The appliance's state, or None while all connections are taken."""
    try:
        return running.atr.query('/atr/status')['state']
    except (OSError, ValueError):
        return None


def lab():
    link = wires()
    traffic = provoke.Traffic(link)
    frame = traffic.seal(traffic.frame('alpha', [traffic.event()]), source='alpha')
    return PcapLab([[link.datagram(d) for d in frame]])


@case
def eal_forgot_the_vector_width(_):
    """Bug: the width was set before EAL started, which put its own default of 256 bits back."""
    with lab() as running:
        assert running.atr.query('/atr/status')['simd_bits'] == 512


@case
def asked_while_it_starts(_):
    """Invariant: from the first answer on an appliance is one that starts, until it serves."""
    with lab() as running:
        *before, last = running.atr.early
        assert last['state'] == 'serving', last
        assert all(one == {'starting': 1} for one in before), before


@case
def clients_that_leave(_):
    """Invariant: the appliance outlives clients that leave before they are answered."""
    with lab() as running:
        for _ in range(50):
            leave(running.atr.socket_path, b'/atr/ledger,')
            running.atr.alive()
        assert wait_for('an answer', lambda: status(running)) == 'serving'


@case
def asked_while_it_stops(_):
    """Invariant: the appliance ends cleanly however busily it is asked meanwhile."""
    with lab() as running:
        path, over = running.atr.socket_path, threading.Event()

        def ask():
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as link:
                link.connect(path)
                link.recv(65536)
                while not over.is_set():
                    try:
                        link.send(b'/atr/sources,0')
                        json.loads(link.recv(65536))
                    except (OSError, ValueError):
                        return

        clients = [threading.Thread(target=ask) for _ in range(4)]
        for client in clients:
            client.start()
        time.sleep(0.3)
        running.atr.stop()
        over.set()
        for client in clients:
            client.join(10)


if __name__ == '__main__':
    Report.main()
