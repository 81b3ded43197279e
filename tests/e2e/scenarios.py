# SPDX-License-Identifier: BSD-3-Clause
"""Refusals that traffic alone does not provoke: a ring, a hold or a memory must be full, or the
appliance must be stopping. A thread is starved by giving its CPU to one that never sleeps.

SCENARIOS maps a reason's name to a function of (lab, traffic) that leaves the appliance settled."""
import time

import atrwire as wire
import plan

SCENARIOS = {}
ENOUGH = 40000  # datagrams; more than any table or ring of the appliance holds


def scenario(name):
    def register(function):
        SCENARIOS[name] = function
        return function
    return register


def worker(lab, number):
    """Thread id of the data lcore that runs shard number."""
    names = sorted(name for name in lab.atr.threads() if 'worker' in name)
    return lab.atr.threads()[names[number]]


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
    frames = [t.frame('gamma') for _ in range(2048)]
    datagrams = t.seal(*frames, source='gamma')
    with ControlStarved(lab):
        flood(lab, 'hold_full', datagrams)


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
    # Both frames belong to one proven tree, so that only the reservation has to wait.
    start = t.sequence('leap', 2)
    tree = t.seal(t.frame('leap', first=start),
                  t.frame('leap', first=start + plan.LEAP_AHEAD - 16), source='leap')
    lab.send(tree[:1])
    lab.settle()
    with ControlStarved(lab):
        lab.send(tree[1:])
        time.sleep(0.5)


@scenario('memory_full')
def _(lab, t):
    now = time.time_ns() // 10**6
    flood(lab, 'memory_full', (t.envelope(ms=now) for _ in range(ENOUGH)), chunk=256)


@scenario('handover_full')
def _(lab, t):
    starved, other = worker(lab, 1), worker(lab, 0)
    lab.atr.starve(starved, other)
    try:
        sources = [name for name in plan.SOURCES if name.startswith('extra')]
        ready = [t.seal(*(t.frame(s) for _ in range(64)), source=s) for s in sources]
        for turn in range(ENOUGH // 1024):
            for port in range(41000, 41016):
                lab.send(ready[turn % len(ready)], src_port=port)
            if refused(lab, 'handover_full'):
                break
    finally:
        lab.atr.feed_again(starved, other)


@scenario('shutdown')
def _(lab, t):
    frames = [t.frame('delta') for _ in range(64)]
    with ControlStarved(lab):
        lab.send(t.seal(*frames, source='delta')[1:])
        lab.send([t.envelope() for _ in range(64)])
        time.sleep(0.2)
        lab.atr.terminate()
    lab.atr.process.wait(30)


@scenario('no_plan')
def _(lab, t):
    lab.send([t.datagram(), t.envelope()])
    assert wire.INLINE
