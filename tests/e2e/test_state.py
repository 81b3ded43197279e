#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# release only
# needs root: a namespace with a veth pair
"""State that is kept of the log: followed while the appliance serves, saved in snapshots, found
again by a start that reads no more of the log than lies behind the newest one."""
import glob
import json
import os
import re
import subprocess

import atr_harness as harness
import atrlog
import atrwire as wire
import classd_forge
import classd_lab
import lab
import plan
import test_identity
from atr_harness import Report, case, wait_for
from test_identity import EVENTS, Client

ATRCTL = os.path.join(harness.BUILD, 'app', 'atrctl', 'atrctl')
SEGMENT = 4 << 20
INLINE = 36  # bytes of a payload in its packet
BURST = 62  # frames under one signature
REMARK = 9  # a type whose state is kept by its text
LONG = 500  # bytes of a long key's text


def atrctl(*args, status=0):
    done = subprocess.run([ATRCTL, *map(str, args)], capture_output=True, text=True)
    assert done.returncode == status, (args, done.returncode, done.stdout, done.stderr)
    return done.stdout


class World:
    """An appliance that keeps state of the readings: the sum of `value` by `kind`."""

    def __init__(self):
        test_identity.laboratory()
        value = classd_forge.class_d_plan()
        value['types'][1]['state'] = {'op': 'last', 'key': ['n']}
        value['types'].append({**value['types'][1], 'id': REMARK, 'name': 'remark',
                               'state': {'op': 'last', 'key': ['text']}})
        value['rules'][0]['types'].append('remark')
        self.lab = classd_lab.Lab(
            ['--log-segment-bytes', SEGMENT, '--snapshot-events', 20000], value=value, fresh=False)
        self.next = 1
        self.start()
        self.client = Client(self.lab)

    def start(self, *more):
        self.lab.start(*more)

    def stop(self):
        return self.lab.stop()

    def close(self):
        self.lab.close()

    def key(self):
        return self.lab.keys[1].hex()

    def log(self):
        return self.lab.atr.query('/atr/log')['0']

    def notes(self, *texts, type_id=2):
        """A frame of notes, each of a key of its own."""
        events = [wire.Event(1, type_id, plan.note(number, text)) for number, text in texts]
        frame = wire.Frame(plan.REALM, test_identity.NUMBER, 1, self.next, events)
        self.next += len(events)
        self.client.taken(wire.seal([frame], plan.key(test_identity.SOURCE))[0])

    def fill(self, events):
        """So many events, in large frames; the last of each burst is acknowledged."""
        end = self.next + events
        while self.next < end:
            frames = []
            for _ in range(BURST):
                one = [wire.Event(1, 1, plan.reading(1, 5.0))] * EVENTS
                frames.append(wire.Frame(plan.REALM, test_identity.NUMBER, 1, self.next, one))
                self.next += EVENTS
            datagrams = wire.seal(frames, plan.key(test_identity.SOURCE))
            for one in datagrams[:-1]:
                self.client.socket.sendto(one, (lab.APPLIANCE_IP, plan.PORT))
            self.client.taken(datagrams[-1])

    def ask(self, *args, status=0):
        """Lines of atrctl query."""
        return [json.loads(line) for line in atrctl(
            'query', *args, '--json', '--file-prefix', self.lab.atr.prefix,
            status=status).splitlines()]

    def subscriber(self, *args):
        """atrctl sub on feed 0, with gap fill."""
        return subprocess.Popen(
            [ATRCTL, 'sub', '--bind', f'{lab.OUR_IP}:{plan.FEED_PORT}', '--request',
             f'{lab.APPLIANCE_IP}:26401', '--json', '--seconds', '30', *map(str, args)],
            stdout=subprocess.PIPE, text=True)

    def subscribe(self, *args):
        """Its events. Of its status nothing is expected: with --count it leaves some behind."""
        with self.subscriber(*args) as process:
            lines = [json.loads(line) for line in process.stdout]
        return [one for one in lines if 'message' in one]

    def trace(self, identity, status=0):
        return json.loads(atrctl('trace', identity, '--log', self.lab.log, '--key', self.key(),
                                 '--json', status=status))

    def snapshots(self):
        return sorted(glob.glob(f'{self.lab.log}/shard-0/snapshot-*.atr'))


@case
def snapshot_is_rebuilt(world):
    """Invariant: a snapshot made while serving, and its record, are what the log alone makes."""
    world.notes((1, 'one'), (2, 'two'))
    world.stop()
    assert world.snapshots()
    lines = [json.loads(line) for line in atrctl(
        'snapshot', 'rebuild', '--json', world.lab.log).splitlines()]
    assert lines and all(one['file'] == 'same' == one['record'] for one in lines), lines
    world.start()


@case
def state_of_a_key(world):
    """Invariant: a key's state is that of its last durable event, before and after a restart."""
    world.notes((70, 'old'), (70, 'new'), (71, 'other'))
    position = world.log()['leaves']

    def value(key):
        answer = world.lab.atr.query(f'/atr/state,{test_identity.NUMBER},2,{key}')
        return answer['found'] and bytes.fromhex(''.join(answer['value_hex']))
    wait_for('the follower', lambda: world.log().get('followed_behind') == 0, 20)
    for how in ('served', 'restarted'):
        for key, text in (('[70]', 'new'), ('[71]', 'other'), (b'[70]'.hex(), 'new')):
            wait_for(f'{key}, {how}', lambda k=key, t=text: value(k) == plan.note(
                71 if k == '[71]' else 70, t).ljust(INLINE, b'\0'), 20)
        assert not value('[72]')
        if how == 'served':
            world.stop()
            world.start()
    listed = world.lab.atr.query(f'/atr/states,0,{test_identity.NUMBER},2,[70]')
    assert [bytes.fromhex(''.join(listed[n]['key_hex'])) for n in '01'] == [b'[70]', b'[71]']
    assert listed['0']['position'] < position


@case
def restart_from_a_snapshot(world):
    """Invariant: a start from a snapshot knows what the whole log says: identities, and windows."""
    world.notes((1, 'uno'))
    resent = world.client.frame(world.next)
    world.client.taken(resent)
    world.next += 3
    world.stop()
    world.start()
    output = world.lab.atr.tail(100)
    assert 'from a snapshot at group' in output, output
    entry, _ = world.client.ask(resent)
    assert entry.taken(), entry.results
    world.client.refused(world.client.frame(world.next - 3, value=2), 'conflict')
    atrctl('log', 'verify', '--key', world.key(), world.lab.log)


@case
def damaged_snapshots(world):
    """Invariant: a snapshot that is not as written is passed over and said, and nothing is lost."""
    world.notes((3, 'tres'))
    world.stop()
    for path in world.snapshots():
        with open(path, 'r+b') as file:
            file.seek(800)
            byte = file.read(1)
            file.seek(800)
            file.write(bytes([byte[0] ^ 1]))
    world.start()
    output = world.lab.atr.tail(100)
    assert 'is passed over' in output and 'from a snapshot at group' not in output, output
    world.client.refused(world.client.frame(1, value=2), 'conflict')


@case
def checkpoint_beside_the_log(world):
    """Invariant: the newest checkpoint lies in a file beside the shards, and trace proves by it."""
    number = world.next
    world.notes((4, 'before'))
    world.stop()
    world.start()
    after = world.next
    world.notes((4, 'after'))
    wait_for('the checkpoint to be kept', lambda: atrlog.open_checkpoint(
        open(f'{world.lab.log}/shard-0.checkpoint', encoding='utf-8').read(),
        world.lab.keys[1])[1] == world.log()['leaves'], 5)
    for sequence in (number, after):
        story = json.loads(atrctl('trace', f'{test_identity.NUMBER}:{sequence}', '--log',
                                  world.lab.log, '--key', world.key(), '--json'))
        assert story, story


@case
def story_of_an_event(world):
    """Invariant: the appliance, asked, and trace, reading the log, tell the same of an event of a
    frame and of an envelope; its number is that under which the feed has it, the proof holds."""
    sequence = world.next
    world.notes((80, 'eighty'), (81, 'eighty-one'))
    envelope = world.client.envelope()
    reply = world.client.reply(envelope)
    frame = f'{test_identity.NUMBER}:{sequence + 1}'
    letter = f'{test_identity.NUMBER}:{reply["id"]}'
    for identity in frame, letter:
        told, = world.ask('event', identity, '--key', world.key())
        assert told['proven'] and told['admitted'], told
        wait_for('the checkpoint to be kept', lambda i=identity: world.trace(i)['checkpoint'], 5)
        story = world.trace(identity)
        assert story['checkpoint']['proven'], story
        for name in ('shard', 'leaf', 'event', 'group', 'leaf_hash', 'commit_leaf', 'generation',
                     'plan_digest', 'received_ns', 'committed_ns', 'topic', 'type'):
            assert told[name] == story[name], (name, told, story)
        # The same number in text, counted from 0 there too.
        assert f'event {told["event"]} (from 0) of ' in atrctl(
            'query', 'event', identity, '--file-prefix', world.lab.atr.prefix)
        assert f'event {told["event"]} (from 0) of ' in atrctl(
            'trace', identity, '--log', world.lab.log)
        assert told['event'] == (identity == frame), told
        numbers = dict(zip(told['feeds'], told['feed_numbers']))
        assert numbers == {one['feed']: one['message'] for one in story['feeds']}, (told, story)
        assert story['acknowledgement'] == {
            'result': 'admitted', 'position': told['leaf'], 'again': 'duplicate',
            'from_checkpoint': told['commit_leaf'] + 1}
        got = world.subscribe('--from-sequence', numbers[0], '--count', 1)
        assert got[0]['message'] == numbers[0], got
        assert got[0]['sequence'] == (sequence + 1 if identity == frame else told['leaf']), got
    assert world.trace(letter)['acknowledgement']['position'] == reply['position']
    world.ask('event', f'{test_identity.NUMBER}:{world.next}', status=1)
    world.ask('event', f'1:{reply["id"]}', status=1)
    assert world.lab.atr.query('/atr/event,nonsense') is None


@case
def range_and_states(world):
    """Invariant: pages of a range, and of keys, hold each once and whole, long keys too."""
    first = world.next
    for number in range(6):
        world.notes(*((1000 + 18 * number + n, 'many') for n in range(18)))
    rows = world.ask('range', test_identity.NUMBER, first, world.next - 1)
    assert [row['sequence'] for row in rows] == list(range(first, world.next)), rows
    assert all(row['admitted'] for row in rows) and rows[0]['leaf'] < rows[-1]['leaf']
    world.ask('range', test_identity.NUMBER, world.next, world.next + 5, status=1)
    texts = [f'{number:04}' + 'x' * LONG for number in range(20)]
    for number in range(0, len(texts), 2):
        world.notes((1, texts[number]), (2, texts[number + 1]), type_id=REMARK)
    wait_for('the follower', lambda: world.log().get('followed_behind') == 0, 20)
    states = world.ask('states')
    keys = [one['key'] for one in states if one['type'] == REMARK]
    assert keys == [json.dumps([text]) for text in texts], keys
    notes = [one['key'] for one in states if one['type'] == 2]
    assert len(notes) == len(set(notes)) and {f'[{1000 + n}]' for n in range(108)} <= set(notes)
    one, = world.ask('state', test_identity.NUMBER, REMARK, keys[3])
    assert bytes.fromhex(one['value_hex']) == plan.note(2, texts[3]), one
    world.ask('state', test_identity.NUMBER, REMARK, '["none"]', status=1)


@case
def sources_of_class_d(world):
    """Bug: a source without a high-water on disk told one beyond what JSON readers take, and
    nothing at all was shown."""
    told = json.loads(atrctl('stats', '--sources', '--json', '--file-prefix',
                             world.lab.atr.prefix))
    assert told['sources'][str(test_identity.NUMBER)]['next'] == world.next, told['sources']


@case
def subscribe_from_a_snapshot(world):
    """Invariant: who starts from a snapshot has its state, and then every later event in order and
    once, those from before it subscribed and those after."""
    world.notes((90, 'in the snapshot'))
    world.stop()
    world.start()
    snapshot, begin = world.snapshots()[-1], world.next
    for number in range(20):
        world.notes((90, f'later {number}'), (91, 'more'))
    with world.subscriber('--from-snapshot', snapshot) as process:
        lines = [json.loads(process.stdout.readline())]
        for number in range(20):
            world.notes((90, f'live {number}'), (91, 'more'))
        while lines[-1].get('sequence') != world.next - 1:
            line = process.stdout.readline()
            assert line, lines[-3:]
            lines.append(json.loads(line))
        process.terminate()
        assert process.wait(20) == 0
    assert lines[0]['note'] == 'snapshot', lines[0]
    state = [one for one in lines if one.get('note') == 'state']
    assert len(state) == lines[0]['state'], lines[0]
    kept, = (one for one in state if one['type'] == 2 and one['key'] == '[90]')
    assert bytes.fromhex(kept['value_hex']) == plan.note(90, 'in the snapshot').ljust(
        INLINE, b'\0'), kept
    events = [one for one in lines if 'sequence' in one]
    assert [one['sequence'] for one in events] == list(range(begin, world.next)), events
    numbers = [one['message'] for one in events]
    assert numbers == list(range(numbers[0], numbers[0] + len(events))), numbers
    assert not [one for one in lines if one.get('note') == 'lost'], lines


@case
def retention(world):
    """Invariant: below two snapshots old segments give up their entries; the log stays verifiable,
    and a start goes on from a snapshot."""
    world.stop()
    world.start('--retain-bytes', SEGMENT)
    # The index of the query gate stands within a segment that is pruned soon.
    world.ask('event', f'{test_identity.NUMBER}:{world.next - 1}')
    # Of what is sent without waiting a slow machine sheds some, so that it takes more of it.
    pruned = wait_for('segments to be pruned',
                      lambda: world.fill(50000) or world.log()['pruned_segments'], 120)
    assert world.log()['keeper'] == '' == world.log()['follower'], world.log()
    world.ask('event', f'{test_identity.NUMBER}:{world.next - 1}')
    world.stop()
    assert glob.glob(f'{world.lab.log}/shard-0/pruned-*') and pruned
    atrctl('log', 'verify', '--key', world.key(), world.lab.log)
    world.start('--retain-bytes', SEGMENT)
    assert 'from a snapshot at group' in world.lab.atr.tail(100)
    print(f'# served {world.lab.served[-1]:.2f} s after its start; '
          + re.search(r'recovered .*', world.lab.atr.tail(100)).group(0).split(' | ')[0])


if __name__ == '__main__':
    Report.main(World)
