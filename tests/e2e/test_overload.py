#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# needs root: a namespace with a veth pair
"""Refusals under disturbance: full rings, holds and memories, a reservation that waits, shutdown. A
thread is starved for a moment; afterwards the ledger balances and valid traffic is admitted."""
import json

import plan
import provoke
import scenarios
from atr_harness import CASES, Report, private_namespace, run, veth
from lab import OUR_MAC, VethLab, exists

ARGUMENTS = {
    'handover_full': {'args': ['--shards', 2], 'data_lcores': 2, 'vdev': ',qpairs=2'},
    'hold_full': {'args': ['--hold', 64]},
    'root_budget': {'args': ['--roots', 16]},
    'memory_full': {'args': ['--identities', 1024]},
    'no_plan': {'value': False},
}


def overload(name):
    lab = VethLab(fresh=False, **ARGUMENTS.get(name, {}))
    try:
        lab.traffic = provoke.Traffic(lab.link)
        scenarios.SCENARIOS[name](lab, lab.traffic)
        if name != 'shutdown':
            books = lab.settle(60)
            assert lab.atr.reasons().get(name, {}).get('datagrams', 0) > 0, (books,
                                                                             lab.atr.reasons())
            if name != 'no_plan':
                before = books['datagrams']['admitted']
                lab.send([lab.traffic.datagram('low')])
                assert lab.settle()['datagrams']['admitted'] == before + 1, lab.atr.reasons()
        lab.atr.stop()
        assert any(name in json.dumps(line) for line in lab.atr.audit()), f'no {name} in the audit'
    finally:
        lab.close()


def laboratory():
    exists()
    private_namespace()
    veth(mac=OUR_MAC)
    run('sysctl', '-q', '-w', 'net.core.rmem_max=67108864', check=False)
    assert plan.PORT


def add_cases():
    for name in scenarios.SCENARIOS:
        def one(_, name=name):
            overload(name)
        one.__name__ = name
        CASES.append(one)


if __name__ == '__main__':
    add_cases()
    Report.main(laboratory)
