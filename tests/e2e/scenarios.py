# SPDX-License-Identifier: BSD-3-Clause
"""Refusals that traffic alone does not provoke: a ring, a hold or a memory must be full, or the
appliance must be stopping. A thread is starved by giving its CPU to one that never sleeps.

SCENARIOS maps a reason's name to a function of (lab, traffic) that leaves the appliance settled."""
import ctypes
import errno
import os
import time

import atrwire as wire
import plan
from atr_harness import wait_for

SCENARIOS = {}
ENOUGH = 40000  # datagrams; more than any table or ring of the appliance holds
PAGE_RECORDS = 4096 // 32  # of the file that keeps the high-waters
BEYOND_RESERVE = (1 << 20) + 2  # sequences: further than one reservation reaches
HANDOVER_RING = 1024  # frames
EVEN, ODD = 'extra0', 'extra1'  # sources of shards 0 and 1 of two


def scenario(name):
    def register(function):
        SCENARIOS[name] = function
        return function
    return register


def worker(lab, number):
    """Thread id of the data lcore that runs shard number."""
    names = sorted(name for name in lab.atr.threads() if 'worker' in name)
    return lab.atr.threads()[names[number]]


class Stopped:
    """One thread of the appliance stands still inside this context, as a debugger would hold it."""
    SEIZE, INTERRUPT, DETACH = 0x4206, 0x4207, 17
    WALL = 0x40000000

    def __init__(self, thread_id):
        self.thread_id, self.libc = thread_id, ctypes.CDLL(None, use_errno=True)

    def _ptrace(self, request):
        if self.libc.ptrace(request, self.thread_id, None, None):
            raise OSError(ctypes.get_errno(), f'ptrace: {os.strerror(ctypes.get_errno())}')

    def __enter__(self):
        self._ptrace(self.SEIZE)
        self._ptrace(self.INTERRUPT)
        os.waitpid(self.thread_id, self.WALL)

    def __exit__(self, *_):
        self._ptrace(self.DETACH)


class ControlStarved:
    """The control lcore hardly runs inside this context."""

    def __init__(self, lab):
        self.lab, self.control, self.data = lab, lab.atr.process.pid, worker(lab, 0)

    def __enter__(self):
        self.lab.atr.starve(self.control, self.data)

    def __exit__(self, *_):
        self.lab.atr.feed_again(self.control, self.data)


def refused(lab, name):
    return lab.atr.reasons().get(name, {}).get('datagrams', 0)


def flood(lab, name, datagrams, chunk=500):
    """Sends until a refusal for the reason is counted; fails if none ever is."""
    before = refused(lab, name)
    pending = []
    for number, datagram in enumerate(datagrams):
        pending.append(datagram)
        if len(pending) == chunk:
            lab.send(pending)
            pending = []
            if number % (4 * chunk) == 4 * chunk - 1 and refused(lab, name) > before:
                return
    lab.send(pending)
    time.sleep(0.2)


@scenario('hold_full')
def _(lab, t):
    frames = [t.frame('delta') for _ in range(256)]
    with ControlStarved(lab):
        flood(lab, 'hold_full', t.seal(*frames, source='delta'))


@scenario('root_budget')
def _(lab, t):
    with ControlStarved(lab):
        flood(lab, 'root_budget', (t.datagram('flood') for _ in range(4000)))


@scenario('bridge_full')
def _(lab, t):
    with ControlStarved(lab):
        flood(lab, 'bridge_full', (t.envelope() for _ in range(ENOUGH)))


@scenario('reserve_wait')
def _(lab, t):
    # The last page of the state's file has room for some records even when the disk is full.
    fill = f'{lab.state_disk}/fill'
    with open(fill, 'wb', buffering=0) as file:
        try:
            while file.write(bytes(4096)):
                pass
        except OSError as error:
            assert error.errno == errno.ENOSPC
    first = t.sequence('leap')
    for step in range(PAGE_RECORDS):
        lab.send([t.datagram('leap', first=first + step * BEYOND_RESERVE)])
        lab.settle()
        if refused(lab, 'reserve_wait'):
            break
    lab.send([t.envelope(ms=time.time_ns() // 10**6 + 30000)])
    lab.settle()
    assert refused(lab, 'reserve_wait') == 2, lab.atr.reasons()
    os.unlink(fill)
    # Tried again every second: with room on the disk, the source goes on.
    wait_for('the high-water to be reserved', lambda: leaps(lab, t, first, step), 10, 0.5)


def leaps(lab, t, first, step):
    before = lab.atr.ledger()['datagrams']['admitted']
    lab.send([t.datagram('leap', first=first + step * BEYOND_RESERVE)])
    return lab.settle()['datagrams']['admitted'] > before


@scenario('memory_full')
def _(lab, t):
    now = time.time_ns() // 10**6
    flood(lab, 'memory_full', (t.envelope(ms=now) for _ in range(ENOUGH)), chunk=256)


def port_to_first(lab, t):
    """A source port whose datagrams arrive on the queue of shard 0."""
    for port in range(41000, 41100):
        before = lab.atr.pages('/atr/shards')['0']['rx_packets']
        lab.send([t.datagram(EVEN)] * 8, src_port=port)
        lab.settle()
        if lab.atr.pages('/atr/shards')['0']['rx_packets'] >= before + 8:
            return port
    raise AssertionError('no port leads to the queue of shard 0')


@scenario('handover_full')
def _(lab, t):
    port = port_to_first(lab, t)
    tree = t.seal(*(t.frame(ODD) for _ in range(64)), source=ODD)

    def kept():
        shard = lab.atr.pages('/atr/shards')['0']
        return shard['rx_packets'] - shard['handed_over']

    before = kept()
    with Stopped(worker(lab, 1)):
        # Slowly: with its queue full, the kernel would spread packets over the other one.
        for _ in range(2 * HANDOVER_RING // 64):
            lab.send(tree, src_port=port)
            time.sleep(0.02)
            if kept() > before:
                break
    # A frame that is shed is refused by name, whatever its place in the batch held before.
    lab.settle()
    assert refused(lab, 'handover_full') == kept() - before > 0, lab.atr.reasons()


@scenario('shutdown')
def _(lab, t):
    # A flood of roots, none of which the control lcore gets to verify before it is told to stop.
    with ControlStarved(lab):
        lab.send([t.datagram('flood') for _ in range(128)])
        lab.atr.terminate()
        lab.atr.process.wait(30)


@scenario('no_plan')
def _(lab, t):
    lab.send([t.datagram(), t.envelope()])
    assert wire.INLINE
