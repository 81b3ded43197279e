#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# release only
# needs root: a namespace with a veth pair
"""The plan changes while the appliance serves: chunks, approvals and changes through the gates,
keys that come and go, and restarts in the middle."""
import copy
import json
import os
import subprocess
import time

import atr_harness as harness
import atrwire as wire
import classd_forge
import classd_lab
import plan
import test_identity
from atr_harness import Report, case, wait_for
from test_identity import Client

ATRCTL = os.path.join(harness.BUILD, 'app', 'atrctl', 'atrctl')
OPERATORS = {'op-a': 50, 'op-b': 51, 'op-c': 52}
SOURCES = {**OPERATORS, 'op-x': 53}  # the last is allowed to send, and no operator


def governed_plan():
    value = classd_forge.class_d_plan()
    for name, number in SOURCES.items():
        signer = plan.envelope_key(name)
        value['sources'].append({'id': number, 'name': name, 'role': 'operator', 'level': 3,
                                 'keys': [{'id': signer.number, 'use': 'envelopes',
                                           'public': signer.public.hex()}]})
    value['topics'].append({'id': 10, 'name': 'plan'})
    return plan.govern(value, OPERATORS, 'plan', 'operator')


def digest_of(text):
    return wire.sha256(text.encode()).hex()


class World:
    """An appliance whose plan three operators govern, two of them at a time."""

    def __init__(self):
        test_identity.laboratory()
        self.value = governed_plan()
        self.lab = classd_lab.Lab(['--log-segment-bytes', 4 << 20], value=self.value, fresh=False)
        self.lab.start()
        self.client = Client(self.lab)
        self.next = 1

    def close(self):
        self.lab.close()

    # --- asking ---

    def governance(self):
        return self.lab.atr.query('/atr/governance')

    def refusal(self):
        return ''.join(self.governance()['refusal'])

    def in_force(self):
        return self.governance()['digest']

    # --- saying ---

    def say(self, source, type_name, payload):
        """The reply to an envelope of a source; a reason, or how it was taken."""
        now = time.time_ns()
        envelope = wire.sign_envelope(wire.envelope_value(
            wire.uuid7(now // 10**6), source, 'plan', type_name, payload, now), plan.REALM,
            plan.envelope_key(source))
        return self.tell(envelope)

    def tell(self, envelope):
        reply = self.client.reply(envelope)
        return reply.get('reason', reply['result'])

    def push(self, text, source='op-a', digest=None):
        for chunk in plan.chunks(text):
            said = self.say(source, 'plan-chunk', {**chunk, 'digest': digest or chunk['digest']})
            assert said == 'admitted', (chunk['offset'], said, self.refusal())

    def motion(self, text, **more):
        return {'digest': digest_of(text), 'replaces': self.in_force(),
                'version': json.loads(text)['version'], **more}

    def approve(self, text, *names):
        for name in names:
            said = self.say(name, 'plan-approval', self.motion(text))
            assert said == 'admitted', (said, self.refusal())

    def change(self, text, source='op-a', **more):
        return self.say(source, 'plan-change', {**self.motion(text), 'why': 'a test', **more})

    def revise(self, edit):
        """The plan in force, one version later, as edit makes it."""
        value = copy.deepcopy(self.value)
        value['version'] += 1
        edit(value)
        return wire.canonical(value)

    def put_in_force(self, text):
        """All of it, as operators do it."""
        swaps = self.governance()['swaps']
        self.push(text)
        self.approve(text, 'op-a', 'op-b')
        said = self.change(text)
        assert said == 'admitted', (said, self.refusal())
        wait_for('the change', lambda: self.governance()['swaps'] == swaps + 1, 20)
        self.value = json.loads(text)
        assert self.in_force() == digest_of(text)

    def frame(self, number=1):
        """A frame of beta's, signed by its key of that number; a new one each time."""
        one = wire.Frame(plan.REALM, test_identity.NUMBER, number, self.next,
                         [wire.Event(1, 1, plan.reading(1, 5.0))])
        self.next += 1
        return wire.seal([one], plan.key(test_identity.SOURCE, number))[0]


def renamed(text):
    def edit(value):
        value['name'] = text
    return edit


@case
def threshold(world):
    """Invariant: a change takes effect when as many different operators as the plan asks have
    approved, no sooner; a second approval of one counts once, one of nobody is refused."""
    text = world.revise(renamed('threshold'))
    world.push(text)
    assert world.change(text) == 'gov_approvals', world.refusal()
    assert '0 of 2' in world.refusal()
    world.approve(text, 'op-a', 'op-a')
    assert world.say('op-x', 'plan-approval', world.motion(text)) == 'gov_operator'
    assert world.say('beta', 'plan-approval', world.motion(text)) == 'not_allowed'
    assert world.change(text) == 'gov_approvals'
    assert '1 of 2' in world.refusal()
    under_way, = world.governance()['documents'].values()
    assert under_way['approvals'] == ['op-a'] and under_way['bytes'] == len(text), under_way
    world.client.taken(world.frame())
    world.approve(text, 'op-c')
    now = time.time_ns()
    envelope = wire.sign_envelope(wire.envelope_value(
        wire.uuid7(now // 10**6), 'op-b', 'plan', 'plan-change',
        world.motion(text, why='all agree'), now), plan.REALM, plan.envelope_key('op-b'))
    assert world.tell(envelope) == 'admitted', world.refusal()
    wait_for('the change', lambda: world.in_force() == digest_of(text), 20)
    status = world.governance()
    assert status['version'] == 2 == status['generation'] and not status['documents'], status
    # Replayed it is a duplicate, said anew it is stale.
    assert world.tell(envelope) == 'duplicate'
    assert world.say('op-b', 'plan-change', {**world.motion(text), 'why': 'again'}) == 'gov_stale'
    world.value = json.loads(text)
    world.client.taken(world.frame())


@case
def refused_and_unchanged(world):
    """Invariant: what is stale, not whole, forged or gives an id a second meaning leaves the plan
    as it is, and the culprit is named by its path."""
    before = world.in_force()
    text = world.revise(renamed('refused'))
    stale = {**world.motion(text), 'replaces': 64 * '0'}
    assert world.say('op-a', 'plan-approval', stale) == 'gov_stale'
    assert world.change(text, version=world.value['version']) == 'gov_stale'
    assert world.change(text) == 'gov_document' and 'push it first' in world.refusal()
    piece = plan.chunks(text)[0]
    assert world.say('op-a', 'plan-chunk', piece) == 'admitted'
    assert world.change(text) == 'gov_document' and 'not whole' in world.refusal()
    assert world.say('op-a', 'plan-chunk', {**piece, 'offset': 1}) == 'gov_chunk'
    assert world.say('op-a', 'plan-chunk', {**piece, 'total': 9}) == 'gov_chunk'
    world.push('{"no":"plan"}', digest=64 * 'a')
    assert world.say('op-a', 'plan-change', {'digest': 64 * 'a', 'replaces': before, 'version': 99,
                                             'why': 'x'}) == 'gov_document'
    assert 'another digest' in world.refusal()

    def second_meaning(value):
        value['topics'][1]['name'] = 'test.renamed'
        for rule in value['rules']:
            rule['topics'] = ['test.renamed' if name == 'test.other' else name
                              for name in rule['topics']]
    text = world.revise(second_meaning)
    world.push(text, 'op-b')
    world.approve(text, 'op-b', 'op-c')
    assert world.change(text, 'op-b') == 'gov_document'
    assert 'topics[1].name' in world.refusal(), world.refusal()
    assert world.in_force() == before and world.governance()['swaps'] == 1
    audit = [line for line in world.lab.atr.audit() if line.get('reason') == 'gov_document']
    assert any('topics[1].name' in line.get('detail', '') for line in audit), audit
    world.client.taken(world.frame())


@case
def rotation_and_revocation(world):
    """Invariant: a new key signs from the change on, beside the old one; a revoked one no longer,
    not even for a tree that was proven under it."""
    def both(value):
        source, = (one for one in value['sources'] if one['name'] == test_identity.SOURCE)
        source['keys'].append({'id': 2, 'use': 'frames',
                               'public': plan.key(test_identity.SOURCE, 2).public.hex()})

    def new_only(value):
        source, = (one for one in value['sources'] if one['name'] == test_identity.SOURCE)
        source['keys'] = [key for key in source['keys'] if key['id'] != 1]
    frames = [wire.Frame(plan.REALM, test_identity.NUMBER, 1, world.next + n,
                         [wire.Event(1, 1, plan.reading(1, 5.0))]) for n in range(3)]
    world.next += 3
    tree = wire.seal(frames, plan.key(test_identity.SOURCE))
    world.client.taken(tree[0])
    world.put_in_force(world.revise(both))
    world.client.taken(world.frame(2))
    world.client.taken(tree[1])
    world.put_in_force(world.revise(new_only))
    world.client.taken(world.frame(2))

    def refused():
        return world.lab.atr.reasons().get('unknown_key', {'datagrams': 0})['datagrams']
    before = refused()
    world.client.send(tree[2])
    world.client.send(world.frame(1))
    wait_for('refusals', lambda: refused() >= before + 2, 10)


@case
def killed_in_the_middle(world):
    """Invariant: chunks and approvals outlive kill -9, a change whose reply has come is in force
    after it, and the log says what plan judged what."""
    text = world.revise(renamed('killed'))
    world.push(text)
    world.approve(text, 'op-b')
    world.lab.kill()
    world.lab.start()
    under_way, = world.governance()['documents'].values()
    assert under_way['ready'] and under_way['approvals'] == ['op-b'], under_way
    world.approve(text, 'op-c')
    assert world.change(text) == 'admitted', world.refusal()
    world.lab.kill()
    world.lab.start()
    status = world.governance()
    assert status['digest'] == digest_of(text), status
    assert status['generation'] == 5 and not status['documents'], status
    world.value = json.loads(text)
    world.client.taken(world.frame(2))
    # The first FILE was given again, and is accepted; any other is refused.
    other = plan.write(f'{world.lab.work}/other.json', {**governed_plan(), 'name': 'other'})
    first, world.lab.plan = world.lab.plan, other
    world.lab.stop()
    assert 'differs from the plan in force' in world.lab.refused()
    world.lab.plan = first
    subprocess.run([ATRCTL, 'log', 'verify', '--key', world.lab.keys[1].hex(), world.lab.log],
                   check=True, capture_output=True)
    rebuilt = subprocess.run([ATRCTL, 'snapshot', 'rebuild', '--json', world.lab.log], check=True,
                             capture_output=True, text=True).stdout
    assert all(json.loads(line)['file'] == 'same' for line in rebuilt.splitlines()), rebuilt
    world.lab.start()
    assert world.in_force() == digest_of(text)


@case
def clean_stop(world):
    """Invariant: a clean stop ends with a snapshot, behind which nothing is under way; the plan in
    force stays, and the document can be sent again."""
    text = world.revise(renamed('stopped'))
    before = world.in_force()
    world.push(text)
    world.approve(text, 'op-a')
    world.lab.stop()
    world.lab.start()
    assert world.in_force() == before and not world.governance()['documents']
    world.put_in_force(text)


@case
def under_traffic(world):
    """Invariant: while plans change one after the other no frame of a busy source is lost."""
    sent = []
    for number in range(3):
        text = world.revise(renamed(f'busy{number}'))
        world.push(text)
        world.approve(text, 'op-a', 'op-b')
        for _ in range(20):
            sent.append(world.frame(2))
            world.client.send(sent[-1])
        assert world.change(text) == 'admitted', world.refusal()
        for _ in range(20):
            sent.append(world.frame(2))
            world.client.send(sent[-1])
        wait_for('the change', lambda text=text: world.in_force() == digest_of(text), 20)
        world.value = json.loads(text)
    for one in sent:
        entry, _ = world.client.ask(one)
        assert entry.results[0][0] in (0, 255), entry.results
    print(f'# longest change {world.governance()["longest_swap_us"]} us')


if __name__ == '__main__':
    Report.main(World)
