#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# release only
# needs root: a namespace with a veth pair
"""The ladder of docs/overload.md: more than the appliance can do comes in without end, and is shed
in order; relief brings it back to GREEN; people and programs are told."""
import glob
import json
import re
import subprocess
import time

import plan
import provoke
import scenarios
from atr_harness import ATRCTL, Report, case, wait_for
from lab import APPLIANCE_IP, PcapLab, VethLab, exists, wires
from packets import pcapng_comments

FRAMES, EVENTS = 32, 4  # of each priority
GREEN_AGAIN_S = 5
SENTENCE = re.compile(r'^atr: shard (\d+) (GREEN|YELLOW|ORANGE|RED), was (\w+): (.*)$', re.M)


def load(lab):
    return lab.atr.pages('/atr/overload')['0']


def transitions(lab):
    page = lab.atr.query('/atr/transitions,0')
    return [page[number] for number in sorted(page, key=int)]


def status(lab):
    return subprocess.run([ATRCTL, 'status', '--socket', lab.atr.socket_path],
                          capture_output=True, text=True, check=True).stdout


def told(lab):
    """What the appliance printed must be its transitions, once each, in order."""
    made = [(one['from'].upper(), one['to'].upper()) for one in transitions(lab)]
    # The control lcore looks a hundred times a second.
    time.sleep(0.1)
    lab.atr.stop()
    printed = [(was, now) for _, now, was, _ in SENTENCE.findall(lab.atr.output)]
    assert printed[:len(made)] == made, (printed, made)


def mixture(link, priorities):
    traffic, content = provoke.Traffic(link), []
    for priority in priorities:
        content += traffic.seal(*(traffic.frame(events=[traffic.event(priority=priority)
                                                        for _ in range(EVENTS)])
                                  for _ in range(FRAMES)))
    return [link.datagram(d) for d in content]


@case
def sheds_in_order(_):
    """Invariant: under traffic without end a shard goes through the states in order, by the signal
    that says so; each measure sheds what it names; P0 is never shed, and the books balance."""
    content = mixture(wires(), (0, 1, 2, 3))
    with PcapLab([content], infinite=True) as lab:
        wait_for('the shard to be RED', lambda: load(lab)['state'] == 'red', 20)
        first = load(lab)
        time.sleep(0.2)
        then = load(lab)
        lab.atr.ledger()
        # Upwards, if by more than one step at a time where the lcore itself was kept waiting.
        steps = transitions(lab)
        order = [steps[0]['from']] + [one['to'] for one in steps]
        assert order == [one for one in ('green', 'yellow', 'orange', 'red') if one in order]
        assert steps[-1]['signal'] == 'rx', steps
        assert then['shed']['shed_p3'] > first['shed']['shed_p3'] > 0, (first, then)
        assert then['shed']['shed_p2'] > first['shed']['shed_p2'] > 0, (first, then)
        assert then['shed']['shed_p1'] > first['shed']['shed_p1'], (first, then)
        assert then['shed']['shed_p3'] >= then['shed']['shed_p2'] > then['shed']['shed_p1'], then
        # P0: admitted once, then duplicates; a quarter of what came is never shed.
        events = lab.atr.ledger()['events']
        shed = sum(load(lab)['shed'].values())
        assert events['admitted'] >= FRAMES * EVENTS, events
        assert events['received'] - shed >= events['received'] // 4 - 1000, (events, shed)
        page = status(lab)
        assert re.search(r'\bred\b', page) and re.search(r'\brx\b', page), page
        told(lab)


@case
def priority_0_alone_is_served(_):
    """Invariant: whatever the state, events of priority 0 are never refused by the ladder."""
    content = mixture(wires(), (0,))
    with PcapLab([content], infinite=True) as lab:
        wait_for('the shard to be RED', lambda: load(lab)['state'] == 'red', 20)
        assert not any(load(lab)['shed'].values()), load(lab)
        assert lab.atr.ledger()['events']['admitted'] == FRAMES * EVENTS
        assert not [name for name in lab.atr.reasons() if name.startswith('shed')]


@case
def green_again(_):
    """Invariant: a shard that was RED is GREEN within seconds of relief, a state at a time; what
    was shed is admitted when it is sent again."""
    lab = VethLab(args=['--hold', scenarios.HOLD])
    try:
        again = [scenarios.claiming(lab.traffic, priority) for priority in (1, 2, 3)]
        scenarios.in_state(lab, lab.traffic, 90, again)
        admitted = lab.settle()['datagrams']['admitted']
        wait_for('the shard to be GREEN', lambda: load(lab)['state'] == 'green', GREEN_AGAIN_S)
        steps = [one['to'] for one in transitions(lab)]
        assert steps[-4:] == ['red', 'orange', 'yellow', 'green'], steps
        lab.send(again)
        assert lab.settle()['datagrams']['admitted'] == admitted + len(again), lab.atr.reasons()
        assert re.search(r'green +[\d.]+ s +calm, was yellow', status(lab)), status(lab)
        told(lab)
    finally:
        lab.close()


@case
def put_back(_):
    """Invariant: what was shed is in the quarantine, and put back by an operator it passes every
    gate; nothing else is sent by its reason, and nothing is sent by --dry-run."""
    lab = VethLab(args=['--hold', scenarios.HOLD])
    try:
        again = [scenarios.claiming(lab.traffic, priority) for priority in (1, 2, 3)]
        scenarios.in_state(lab, lab.traffic, 90, again)
        lab.send([lab.traffic.datagram('beta', realm=1)])
        admitted = lab.settle()['datagrams']['admitted']
        file = wait_for('the quarantine file', lambda: (
            [path for path in glob.glob(f'{lab.atr.quarantine}/*.pcapng')
             if len(list(pcapng_comments(path))) == 4] or [None])[0])
        wait_for('the shard to be GREEN', lambda: load(lab)['state'] == 'green', GREEN_AGAIN_S)

        def put(*options, status=0):
            done = subprocess.run([ATRCTL, 'putback', file, '--json', *options],
                                  capture_output=True, text=True)
            assert done.returncode == status, done
            return done.stdout and json.loads(done.stdout)

        assert put('--dry-run') == {'packets': 4, 'chosen': 4, 'sent': 0, 'not_udp': 0,
                                    'failed': 0, 'whole': True}
        assert put('--to', f'{APPLIANCE_IP}:{plan.PORT}', '--reason', 'shed_p3')['sent'] == 1
        lab.sent += 1
        assert lab.settle()['datagrams']['admitted'] == admitted + 1
        assert put('--to', f'{APPLIANCE_IP}:{plan.PORT}')['sent'] == 4
        lab.sent += 4
        books = lab.settle()['datagrams']
        assert books['admitted'] == admitted + 3 and books['duplicate'] == 1, books
        assert lab.atr.reasons()['realm']['datagrams'] == 2
        assert not put('--reason', 'no_such', '--dry-run', status=2)
        with open(file, 'r+b') as damaged:
            damaged.truncate(100)
        assert put('--dry-run', status=1)['whole'] is False
    finally:
        lab.close()


if __name__ == '__main__':
    Report.main(exists)
