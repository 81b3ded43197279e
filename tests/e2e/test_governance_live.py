#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# release only
# needs root: a namespace with a veth pair
"""'atrctl governance' against a running appliance of two shards: what is proposed, approved and
pushed comes into force, what may not is refused by name, and the log tells the story."""
import copy
import json
import os

import atrwire as wire
import lab
import plan
from atr_harness import Report, case, wait_for
from atrctl_lab import ROOT, run
from governance_lab import SENSOR, frame, frame_key

TO = f'{lab.APPLIANCE_IP}:{plan.PORT}'


class World:
    """The appliance under pipelines/governed.json, and files of its operators."""

    def __init__(self):
        with open(os.path.join(ROOT, 'pipelines/governed.json'), encoding='utf-8') as file:
            self.document = json.load(file)
        self.document['realm'] = f'{plan.REALM:016x}'
        self.lab = lab.VethLab(['--shards', 2], value=self.document, vdev=',qpairs=2')
        self.log = f'{self.lab.atr.state}/log'
        for name in ('op-a', 'op-b', 'op-c', 'sensor'):
            run('keygen', '--out', self.path(f'{name}.key'), '--from-phrase',
                f'atr demo source {name} envelopes')
        self.old = self.plan('plan-1.json', self.document)

    def close(self):
        self.lab.close()

    def path(self, name):
        return os.path.join(self.lab.work, name)

    def plan(self, name, document):
        with open(self.path(name), 'w', encoding='utf-8') as file:
            json.dump(document, file)
        return self.path(name)

    def propose(self, new, out, source='op-a', replaces=None, more=()):
        return run('governance', 'propose', '--plan', new, '--replaces', replaces or self.old,
                   '--source', source, '--key', self.path(f'{source}.key'), '--why',
                   f'why {out}', '--out', self.path(out), *more)

    def approve(self, proposal, source):
        run('governance', 'approve', '--proposal', self.path(proposal), '--plan', self.old,
            '--source', source, '--key', self.path(f'{source}.key'), '--out',
            self.path(f'{source}-{proposal}'))

    def push(self, *names, status=0, parts=()):
        done = run('governance', 'push', '--to', TO, '--json', *parts, *map(self.path, names),
                   status=status)
        report = json.loads(done.stdout)
        return report['change'], [r['reason'] for r in report['refusals']]

    def log_of(self, command, *more):
        return run('governance', command, '--log', self.log, *more).stdout


def revised(world, version, edit):
    document = copy.deepcopy(world.document)
    document['version'] = version
    edit(document)
    return document


@case
def approvals_are_asked_for(world):
    """Invariant: one approval of two is told as missing; with the second the change is admitted."""
    def rotate(document):
        document['sources'][SENSOR - 1]['keys'][0] = {
            'id': 3, 'use': 'frames', 'public': frame_key('next', 3).public.hex()}

    world.lab.send([frame(1, [20.0, 21.0])])
    world.lab.settle()
    world.second = revised(world, 2, rotate)
    world.new = world.plan('plan-2.json', world.second)
    world.propose(world.new, 'second')
    for name in ('op-b', 'op-c'):
        world.approve('second', name)
    assert world.push('second', 'op-b-second', status=1) == ('refused', ['gov_approvals'])
    assert world.push('op-c-second', parts=['--parts']) == ('none', [])
    assert world.push('second', 'op-b-second', 'op-c-second') == ('admitted', [])
    digest = wire.sha256(wire.canonical(world.second).encode()).hex()
    wait_for('the plan', lambda: world.lab.atr.query('/atr/governance')['digest'] == digest, 20)


@case
def what_was_admitted_is_a_duplicate(world):
    """Invariant: pushing again does no harm, and is told as done."""
    assert world.push('second', 'op-b-second', 'op-c-second')[0] == 'duplicate'


@case
def refusals_have_names(world):
    """Invariant: a plan that is not in force any more, and a source that is no operator."""
    world.propose(world.plan('plan-3.json', revised(world, 3, lambda d: None)), 'third')
    change, reasons = world.push('third', status=1)
    assert (change, reasons) == ('refused', ['gov_stale']), (change, reasons)
    world.propose(world.plan('plan-3.json', revised(world, 3, lambda d: None)), 'missing',
                  replaces=world.new, more=['--change-only'])
    done = run('governance', 'push', '--to', TO, '--socket', world.lab.atr.socket_path,
               world.path('missing'), status=1)
    for part in b'gov_approvals', b"last refusal: ", b'0 of 2 approvals':
        assert part in done.stderr, done.stderr


@case
def the_log_tells(world):
    """Invariant: log, show and rehearse agree with what was pushed."""
    world.lab.send([frame(10, [30.0], frame_key('next', 3)), frame(11, [31.0])])
    world.lab.settle()
    world.lab.atr.durable()
    world.lab.atr.stop()
    found = json.loads(world.log_of('log', '--json'))
    first, then = found['plans']
    assert (first['version'], then['version']) == (1, 2), found
    assert then['change']['why'] == 'why second', then
    assert sorted(a['source'] for a in then['approvals']) == ['op-b', 'op-c'], then
    assert [p['shard'] for p in then['in_force_from']] == [0, 1], then
    assert world.log_of('show', '--canonical') == wire.canonical(world.second).encode()
    assert world.log_of('show', '--canonical', '--version', 1) == wire.canonical(
        world.document).encode()
    report = json.loads(world.log_of('rehearse', '--plan', world.new, '--json'))
    # The reading of the key that was replaced is what the new plan would not have let in.
    assert [(v['was'], v['would_be'], v['count']) for v in report['verdicts']] == [
        ('admitted', 'unknown_key', 2)], report
    assert (report['unreadable'], report['routed_otherwise']) == (0, 0), report


if __name__ == '__main__':
    Report.main(World)
