#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# sanitizers only
# needs root: a namespace with a veth pair
"""Refusals under disturbance: full rings, holds and memories, a reservation that waits, shutdown. A
thread is held for a moment; afterwards the ledger balances and valid traffic is admitted."""
import glob
import json

import plan
import provoke
import scenarios
from atr_harness import CASES, Report, private_namespace, veth
from lab import OUR_MAC, VethLab, exists
from packets import pcapng_comments



def wide(name):
    """The plan, with a source that may run far ahead: overload is to be what refuses it."""
    value = plan.document()
    source = next(one for one in value['sources'] if one['name'] == name)
    source.update(window=4096, max_ahead=65536)
    return value


ARGUMENTS = {
    'handover_full': {'args': ['--shards', 2], 'data_lcores': 2, 'vdev': ',qpairs=2'},
    'hold_full': {'args': ['--hold', 64], 'value': wide('delta')},
    'root_budget': {'args': ['--roots', 16]},
    'memory_full': {'args': ['--identities', scenarios.IDENTITIES]},
    # In class D no high-water is reserved.
    'reserve_wait': {'state_bytes': 64 << 10, 'durability': 'none'},
    'log_wait': {'args': ['--log-buffers', 2, '--commit-bytes', scenarios.COMMIT_BYTES]},
    # What waits for room, a group a buffer, must fit the room that comes.
    'log_full': {'args': ['--log-segment-bytes', 4 << 20, '--log-buffers', 4], 'log_disk': 16,
                 'log_room': 5},
    'log_broken': {'args': ['--log-segment-bytes', 4 << 20], 'log_disk': 16, 'log_room': 10},
    **{f'shed_{what}': {'args': ['--hold', scenarios.HOLD]}
       for what in ('p3', 'p2', 'large', 'p1')},
    'no_plan': {'value': False},
    'shutdown': {'args': ['--drain-ms', 0]},
}
REPLIED = {'reserve_wait', 'memory_full', 'no_plan', 'log_wait', 'log_broken'}
FOR_GOOD = {'no_plan', 'log_broken'}  # until a restart


def overload(name):
    lab = VethLab(fresh=False, **ARGUMENTS.get(name, {}))
    try:
        lab.traffic = provoke.Traffic(lab.link)
        scenarios.SCENARIOS[name](lab, lab.traffic)
        if name != 'shutdown':
            books = lab.settle(60)
            assert lab.atr.reasons().get(name, {}).get('datagrams', 0) > 0, (books,
                                                                             lab.atr.reasons())
            if name in REPLIED:
                got = [reply.get('reason') for reply in lab.replies(4096, 0.5)]
                assert name in got, f'no reply names {name}: {set(got)}'
            if name not in FOR_GOOD:
                before = books['datagrams']['admitted']
                lab.send([lab.traffic.datagram('low')])
                assert lab.settle()['datagrams']['admitted'] == before + 1, lab.atr.reasons()
        lab.atr.stop()
        assert any(name in json.dumps(line) for line in lab.atr.audit()), f'no {name} in the audit'
        comments = [comment for path in glob.glob(f'{lab.atr.quarantine}/*.pcapng')
                    for _, comment in pcapng_comments(path)]
        assert any(name in comment for comment in comments), f'no {name} in the pcapng file'
    finally:
        lab.close()


def laboratory():
    exists()
    private_namespace()
    veth(mac=OUR_MAC)


def add_cases():
    for name in scenarios.SCENARIOS:
        def one(_, name=name):
            overload(name)
        one.__name__ = name
        CASES.append(one)


if __name__ == '__main__':
    add_cases()
    Report.main(laboratory)
