#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# release only
# needs root: a namespace with a veth pair
"""A log that is not as it was written stops the start of the appliance: with a sentence that names
file and byte, and with nothing changed or deleted."""
import os
import re
import shutil

import atr_harness as harness
import atrlog
import atrwire as wire
import classd_forge
import classd_lab
import lab
import plan
import test_identity
from atr_harness import CASES, Report, case, wait_for
from test_identity import EVENTS, Client

SEGMENT = 4 << 20
SHARDS = 2
FRAMES = 6200  # of 1.4 kB: into a third segment
TREE = 62


class Damage:
    """A log of two shards, the first of several segments, and copies of it that are broken."""

    def __init__(self):
        test_identity.laboratory()
        self.lab = classd_lab.Lab(['--log-segment-bytes', SEGMENT], shards=SHARDS, fresh=False)
        self.anchor = harness.tmpfs(f'{self.lab.work}/anchor', 1 << 20)
        self.lab.start()
        self.client = Client(self.lab)
        self.client.taken(self.client.frame(1))
        self._fill()
        other = self.lab.producer('alpha', rate=300)
        self.lab.pause(1, other)
        self.lab.settle(other)
        # Not a clean stop: that would make a snapshot, and the whole log is to be read.
        self.lab.kill()
        self.good = f'{self.lab.work}/good'
        self.log = self.lab.log
        shutil.copytree(self.log, self.good)
        shards = atrlog.read(self.log)
        assert shards[0].segments_used >= 3 and len(shards[1].groups) > 3, (
            shards[0].segments_used, len(shards[1].groups))
        self.groups = shards[0].groups

    def _fill(self):
        first = 10
        for _ in range(FRAMES // TREE):
            frames = []
            for _ in range(TREE):
                events = [wire.Event(1, 1, plan.reading(1, 5.0))] * EVENTS
                frames.append(wire.Frame(plan.REALM, test_identity.NUMBER, 1, first, events))
                first += EVENTS
            datagrams = wire.seal(frames, plan.key(test_identity.SOURCE))
            for one in datagrams[:-1]:
                self.client.socket.sendto(one, (lab.APPLIANCE_IP, plan.PORT))
            self.client.taken(datagrams[-1])

    def close(self):
        harness.run('umount', '-l', self.anchor)
        self.lab.close()

    def segment(self, number=0, shard=0):
        return f'{self.log}/shard-{shard}/segment-{number:016x}.atr'

    def restore(self):
        shutil.rmtree(self.log)
        shutil.copytree(self.good, self.log)

    def refused(self, *more):
        """The appliance does not start and leaves the log alone; what it printed."""
        before = classd_lab.digests(self.log)
        output = self.lab.refused(*more)
        after = classd_lab.digests(self.log)
        assert after == before, f'changed: {sorted({*before.items()} ^ {*after.items()})}; {output}'
        return output

    def flip(self, path, offset):
        with open(path, 'r+b') as file:
            file.seek(offset)
            byte = file.read(1)
            file.seek(offset)
            file.write(bytes([byte[0] ^ 4]))


def damage(*words, where=None):
    """Registers a way to break the log. words: what the sentence must hold besides file and byte.
    where: the segment that it must name, the first of shard 0 by default."""
    def register(function):
        def one(world):
            world.restore()
            function(world)
            named = os.path.basename(where or world.segment())
            output = world.refused()
            assert named in output, f'{named} is not named: {output}'
            assert re.search(r'byte \d+|missing|not there', output), f'no place: {output}'
            for word in words:
                assert word in output, f'"{word}" is not in: {output}'
        one.__name__, one.__doc__ = function.__name__, function.__doc__
        one.__module__ = '__main__'
        CASES.append(one)
        return function
    return register


@case
def whole(world):
    """Invariant: the copy that the cases below break is good."""
    world.restore()
    world.lab.start()
    world.lab.stop()


@damage()
def flipped_in_an_event(world):
    record = world.groups[5].records[0]
    world.flip(record.where[0], record.where[1] + atrlog.RECORD.size + 100)


@damage()
def flipped_in_a_decision(world):
    record = world.groups[5].records[0]
    world.flip(record.where[0], record.where[1] + atrlog.RECORD.size + len(record.body))


@damage()
def flipped_in_a_position(world):
    group = world.groups[5]
    last = group.records[-1]
    size = atrlog.RECORD.size + len(last.body) + len(last.decisions)
    commit = last.where[1] + atrlog.round_up(size, 8)
    world.flip(last.where[0], commit + atrlog.RECORD.size + atrlog.COMMIT.size + 8)


@damage()
def flipped_in_the_plan(world):
    record = world.groups[0].records[0]
    world.flip(record.where[0], record.where[1] + atrlog.RECORD.size + atrlog.PLAN.size + 50)


@damage()
def flipped_in_a_group_header(world):
    world.flip(world.segment(), world.groups[5].offset + 72)


@damage()
def flipped_in_a_segment_header(world):
    world.flip(world.segment(), 56)


@damage(where='segment-0000000000000002.atr')
def flipped_in_the_last_group(world):
    """All its sectors are there, so it is not torn."""
    group = world.groups[-1]
    world.flip(world.segment(group.segment), group.offset + atrlog.GROUP.size + 10)


@damage(where='segment-0000000000000001.atr')
def missing_segment(world):
    os.remove(world.segment(1))


@damage()
def missing_first_segment(world):
    os.remove(world.segment(0))


@damage()
def swapped_segments(world):
    os.rename(world.segment(0), f'{world.log}/away')
    os.rename(world.segment(1), world.segment(0))
    os.rename(f'{world.log}/away', world.segment(1))


@damage(where='segment-0000000000000001.atr')
def duplicated_segment(world):
    shutil.copyfile(world.segment(0), world.segment(1))


@damage()
def truncated_segment(world):
    os.truncate(world.segment(0), world.groups[5].offset)


@damage(where='segment-0000000000000002.atr')
def truncated_last_segment(world):
    os.truncate(world.segment(2), atrlog.BLOCK + 1)


@damage()
def lengthened_segment(world):
    os.truncate(world.segment(0), SEGMENT + atrlog.BLOCK)


@damage()
def swapped_shards(world):
    os.rename(f'{world.log}/shard-0', f'{world.log}/away')
    os.rename(f'{world.log}/shard-1', f'{world.log}/shard-0')
    os.rename(f'{world.log}/away', f'{world.log}/shard-1')


@case
def foreign_shard(world):
    """Invariant: shard 1 of another log of the same realm and plan is none of this one."""
    world.restore()
    shutil.rmtree(f'{world.log}/shard-1')
    writer, made = classd_forge.ShardWriter(1, SHARDS, SEGMENT), classd_forge.World()
    writer.group(made.groups[0], {}, made.digest)
    writer.write(world.log)
    assert re.search('shard-1 .*another log', world.refused())


@case
def missing_shard(world):
    """Invariant: a shard whose directory is gone is not begun anew."""
    world.restore()
    shutil.rmtree(f'{world.log}/shard-1')
    assert 'shard' in world.refused()


@case
def another_number_of_shards(world):
    """Invariant: shards are fixed when the log is made."""
    world.restore()
    assert 'shard' in world.refused('--shards', 1)


@case
def another_plan(world):
    """Invariant: a log with a plan goes on with it, and refuses another one."""
    world.restore()
    good = world.lab.plan
    world.lab.plan = plan.write(f'{world.lab.work}/other.json',
                                classd_forge.class_d_plan(version=2))
    try:
        output = world.refused()
    finally:
        world.lab.plan = good
    assert 'plan' in output, output
    world.lab.start(pipeline=False)
    world.lab.stop()


@case
def torn_tail(world):
    """Invariant: only a torn tail is cut, and the appliance says so."""
    world.restore()
    group = world.groups[-1]
    with open(world.segment(group.segment), 'r+b') as file:
        file.seek(group.offset)
        file.write(bytes(atrlog.SECTOR))
    world.lab.start()
    output = world.lab.stop()
    assert re.search(r'torn|cut', output), output
    assert not atrlog.read(world.log)[0].torn


@case
def rolled_back_directory(world):
    """Invariant: with an anchor elsewhere, an older copy of the log is refused, and so is none."""
    world.restore()
    anchor = ('--anchor', world.anchor)
    world.lab.start(*anchor)
    wait_for('the groups found at start to be out',
             lambda: world.lab.atr.query('/atr/log')['0']['republished'], 10)
    world.lab.pause(1)
    world.client.taken(world.client.frame(10 + FRAMES * EVENTS, count=2))
    world.lab.stop()
    newer = classd_lab.digests(world.log)
    shutil.copytree(world.log, f'{world.lab.work}/newer')
    world.restore()
    output = world.refused(*anchor)
    assert world.anchor in output or 'anchor' in output or 'checkpoint' in output, output
    shutil.rmtree(world.log)
    os.mkdir(world.log)
    world.refused(*anchor)
    shutil.rmtree(world.log)
    os.rename(f'{world.lab.work}/newer', world.log)
    assert classd_lab.digests(world.log) == newer
    world.lab.start(*anchor)
    world.lab.stop()


if __name__ == '__main__':
    Report.main(Damage)
