#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
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
import lab
import plan
import test_identity
from atr_harness import Report, case, wait_for
from test_identity import EVENTS, Client

ATRCTL = os.path.join(harness.BUILD, 'app', 'atrctl', 'atrctl')
SEGMENT = 4 << 20
INLINE = 36  # bytes of a payload in its packet
BURST = 62  # frames under one signature


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
        self.lab = test_identity.classd_lab.Lab(
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

    def notes(self, *texts):
        """A frame of notes, each of a key of its own."""
        events = [wire.Event(1, 2, plan.note(number, text)) for number, text in texts]
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
def retention(world):
    """Invariant: below two snapshots old segments give up their entries; the log stays verifiable,
    and a start goes on from a snapshot."""
    world.stop()
    world.start('--retain-bytes', SEGMENT)
    world.fill(200000)
    pruned = wait_for('segments to be pruned',
                      lambda: world.log()['pruned_segments'], 60)
    assert world.log()['keeper'] == '' == world.log()['follower'], world.log()
    world.stop()
    assert glob.glob(f'{world.lab.log}/shard-0/pruned-*') and pruned
    atrctl('log', 'verify', '--key', world.key(), world.lab.log)
    world.start('--retain-bytes', SEGMENT)
    assert 'from a snapshot at group' in world.lab.atr.tail(100)
    print(f'# served {world.lab.served[-1]:.2f} s after its start; '
          + re.search(r'recovered .*', world.lab.atr.tail(100)).group(0).split(' | ')[0])


if __name__ == '__main__':
    Report.main(World)
