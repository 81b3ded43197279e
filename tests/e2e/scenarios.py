# SPDX-License-Identifier: BSD-3-Clause
"""Refusals that traffic alone does not provoke: a ring, a hold or a memory must be full, or the
appliance must be stopping. A thread is held still by ptrace, for as long as that takes.

SCENARIOS maps a reason's name to a function of (lab, traffic) that leaves the appliance settled."""
import ctypes
import errno
import os
import time

import atrwire as wire
import plan
from atr_harness import wait_for

SCENARIOS = {}
BRIDGE_RING = 1024  # envelopes
IDENTITIES = 1024  # remembered, with --identities of that
PAGE_RECORDS = 4096 // 32  # of the file that keeps the high-waters
BEYOND_RESERVE = (1 << 24) + 2  # sequences: further than one reservation reaches
HANDOVER_RING, BATCH = 1024, 64  # frames
HOLD = 200  # frames, with --hold of that
COMMIT_BYTES = 4096  # with --commit-bytes of that
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


def control(lab):
    """Thread id of the control lcore."""
    return lab.atr.process.pid


def refused(lab, name):
    return lab.atr.reasons().get(name, {}).get('datagrams', 0)


@scenario('hold_full')
def _(lab, t):
    tree = t.seal(*(t.frame('delta') for _ in range(256)), source='delta')
    with Stopped(control(lab)):
        lab.send(tree)
        time.sleep(0.2)


@scenario('root_budget')
def _(lab, t):
    with Stopped(control(lab)):
        lab.send([t.datagram('flood') for _ in range(64)])
        time.sleep(0.2)


@scenario('bridge_full')
def _(lab, t):
    envelopes = [t.envelope() for _ in range(BRIDGE_RING + 256)]
    with Stopped(control(lab)):
        lab.send(envelopes)
        time.sleep(0.2)


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
    # No more at once than the bridge holds, or a slow control lcore would refuse the rest there.
    for count in (IDENTITIES // 2, IDENTITIES // 2, 256):
        lab.send([t.envelope(ms=now) for _ in range(count)])
        lab.settle()


def in_state(lab, t, percent, shed):
    """Sends datagrams, each to be shed whole, while so much of the hold is full."""
    # A source has half of the hold, once its sender has proven a root.
    lab.send([t.datagram('alpha')])
    lab.settle()
    hold = [one for source in ('alpha', 'gamma')
            for one in t.seal(*(t.frame(source) for _ in range(HOLD * percent // 200)),
                              source=source)]
    with Stopped(control(lab)):
        lab.send(hold)
        time.sleep(0.05)  # a reading of the signals comes every millisecond
        lab.send(shed)
        time.sleep(0.1)
    lab.settle()
    assert lab.atr.ledger()['datagrams']['admitted'] == 1 + len(hold), lab.atr.reasons()


def claiming(t, priority, **more):
    return t.datagram('beta', [t.event(priority=priority, **more)])


@scenario('shed_p3')
def _(lab, t):
    in_state(lab, t, 50, [claiming(t, 3)])


@scenario('shed_p2')
def _(lab, t):
    in_state(lab, t, 75, [claiming(t, 3), claiming(t, 2)])


@scenario('shed_large')
def _(lab, t):
    in_state(lab, t, 75, [claiming(t, 1, type_name='note', payload=plan.note(text='n' * 100))])


@scenario('shed_p1')
def _(lab, t):
    in_state(lab, t, 90, [claiming(t, 2), claiming(t, 1)])


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

    def handed_over():
        return lab.atr.pages('/atr/shards')['0']['handed_over']

    before, sent = handed_over(), 0
    with Stopped(worker(lab, 1)):
        # Slowly: with its queue full, the kernel would spread packets over the other one.
        for _ in range(2 * HANDOVER_RING // len(tree)):
            lab.send(tree, src_port=port)
            sent += len(tree)
            time.sleep(0.02)
            # More than a batch, which may be under way.
            if sent - (handed_over() - before) > BATCH:
                break
    # A frame that is shed is refused by name, whatever its place in the batch held before.
    lab.settle()
    assert refused(lab, 'handover_full') == sent - (handed_over() - before) > 0, \
        (lab.atr.reasons(), sent, before, handed_over())


@scenario('log_wait')
def _(lab, t):
    # The log thread is what would give buffers back. The first group is sealed at once, the second
    # and last one when it is full.
    with Stopped(lab.atr.threads()['atr-log']):
        for _ in range(COMMIT_BYTES // wire.HEADER.size):
            lab.send([t.datagram()])
            lab.settle()
            if refused(lab, 'log_wait'):
                break
        lab.send([t.envelope()])
        lab.settle()
    lab.atr.durable()
    assert refused(lab, 'log_wait') == 2, lab.atr.reasons()


@scenario('log_full')
def _(lab, t):
    end = time.monotonic() + 60
    text = plan.note(text='n' * 1000)
    while not refused(lab, 'log_full'):
        assert time.monotonic() < end, lab.atr.query('/atr/log')
        lab.send(t.seal(*(t.frame(events=[t.event(type_name='note', payload=text)])
                          for _ in range(64))))
        lab.settle()
    lab.log_disk.free()
    wait_for('the log to go on', lambda: lab.atr.query('/atr/log')['0']['state'] == 'ok', 30, 0.1)


@scenario('log_broken')
def _(lab, t):
    lab.log_disk.shut_down()
    lab.send([t.datagram()])
    wait_for('the log to break', lambda: lab.atr.query('/atr/log')['0']['state'] == 'broken', 10)
    lab.send([t.datagram() for _ in range(10)] + [t.envelope()])


@scenario('shutdown')
def _(lab, t):
    # A flood of roots, none of which the control lcore gets to verify before it is told to stop.
    roots = [t.datagram('flood') for _ in range(200)]
    with Stopped(control(lab)):
        lab.send(roots)
        time.sleep(0.2)
        lab.atr.terminate()
        time.sleep(0.1)
    lab.atr.process.wait(30)


@scenario('no_plan')
def _(lab, t):
    lab.send([t.datagram(), t.envelope()])
    assert wire.INLINE
