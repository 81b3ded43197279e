#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# release only
"""The independent reader of the log (atrlog.py), checked: forged logs pass, damage is found, and
torn is told from damaged by the rule of docs/log-format.md."""
import os
import struct
import subprocess
import tempfile

import atrlog
import classd_forge as forge
from atr_harness import BUILD, Report, case


def forged(directory, segment_bytes=forge.SEGMENT_BYTES):
    world = forge.World()
    writer = forge.ShardWriter(segment_bytes=segment_bytes)
    for records, positions in zip(world.groups, world.positions):
        writer.group(records, positions, world.digest)
    writer.write(directory)
    return writer


def judged(directory):
    """'whole', 'torn' or 'damaged'."""
    try:
        return 'torn' if atrlog.read(directory)[0].torn else 'whole'
    except atrlog.Damage:
        return 'damaged'


class Segment:
    """A forged log's segment that is written to and put back."""

    def __init__(self, work, number=0):
        self.work, self.path = work, f'{work}/shard-0/segment-{number:016x}.atr'
        with open(self.path, 'rb') as file:
            self.data = file.read()

    def with_bytes(self, at, content):
        data = self.data[:at] + content + self.data[at + len(content):]
        return self.judged(data)

    def judged(self, data):
        with open(self.path, 'wb') as file:
            file.write(data)
        found = judged(self.work)
        with open(self.path, 'wb') as file:
            file.write(self.data)
        return found


def groups_of(data):
    at = atrlog.BLOCK
    while data[at:at + 4] == b'AGRP':
        length = atrlog.GROUP.unpack_from(data, at)[2]
        yield at, length
        at += atrlog.round_up(length, atrlog.BLOCK)


@case
def every_flipped_bit_is_damage(_):
    """Invariant: one flipped bit in any field of header, groups and records is damage, if whole
    sectors are there."""
    with tempfile.TemporaryDirectory() as work:
        forged(work)
        segment = Segment(work)
        assert judged(work) == 'whole'
        end = max(at + length for at, length in groups_of(segment.data))
        for at in [*range(0, 128), 4095, *range(atrlog.BLOCK, end, 61), end - 1, end, end + 100]:
            flipped = bytes([segment.data[at] ^ 1 << at % 8])
            assert segment.with_bytes(at, flipped) == 'damaged', f'byte {at}'
        # Behind a sector of zeros it may be what is left of groups that were never whole.
        assert segment.with_bytes(forge.SEGMENT_BYTES - 1, b'x') == 'torn'


@case
def torn_and_damaged_are_told_apart(_):
    """Invariant: the page's rule, case by case."""
    with tempfile.TemporaryDirectory() as work:
        forged(work)
        segment = Segment(work)
        *_, (before, _), (at, length) = groups_of(segment.data)
        sector = bytes(atrlog.SECTOR)
        assert segment.with_bytes(at + 512, sector) == 'torn'  # a sector never came
        assert segment.with_bytes(at, sector) == 'torn'  # the first
        assert segment.with_bytes(at, bytes(length)) == 'whole'  # nothing came
        assert segment.with_bytes(before + 512, sector) == 'damaged'  # the next counts it
        number = struct.pack('<Q', 99)
        spoiled = segment.data[at:at + 56] + number + segment.data[at + 64:at + 512] + sector
        assert segment.with_bytes(at, spoiled) == 'damaged'  # of another group
        assert segment.judged(segment.data[:-100]) == 'damaged'
        assert segment.judged(segment.data[:atrlog.BLOCK]) == 'damaged'


@case
def unsynced_groups_may_be_missing(_):
    """Invariant: a group that the next one did not count as durable may be torn."""
    with tempfile.TemporaryDirectory() as work:
        world, writer = forge.World(), forge.ShardWriter()
        for number, (records, positions) in enumerate(zip(world.groups, world.positions)):
            writer.group(records, positions, world.digest, unsynced=number == 3)
        writer.write(work)
        segment = Segment(work)
        *_, (before, _), _ = groups_of(segment.data)
        assert segment.with_bytes(before + 512, bytes(atrlog.SECTOR)) == 'torn'


@case
def segments_are_told_apart(_):
    """Invariant: a missing, swapped, truncated, foreign or torn earlier segment is damage; a last
    one that is not in use is none."""
    with tempfile.TemporaryDirectory() as work:
        count = len(forged(work, 20 << 10).segments)
        assert count > 1 and judged(work) == 'whole'
        shard = f'{work}/shard-0'
        name = [f'{shard}/segment-{n:016x}.atr' for n in range(count + 1)]
        os.rename(name[0], f'{shard}/away')
        assert judged(work) == 'damaged'
        os.rename(name[1], name[0])
        os.rename(f'{shard}/away', name[1])
        assert judged(work) == 'damaged'
        os.rename(name[1], f'{shard}/away')
        os.rename(name[0], name[1])
        os.rename(f'{shard}/away', name[0])
        first = Segment(work)
        *_, (at, length) = groups_of(first.data)
        assert first.with_bytes(at, bytes(length)) == 'damaged'
        assert first.judged(first.data + bytes(4096)) == 'damaged'
        with open(name[count], 'wb') as file:
            file.write(bytes(20 << 10))
        assert judged(work) == 'whole'
        with open(name[count], 'wb') as file:
            file.write(b'\0ATRLOG1'.ljust(20 << 10, b'\0'))
        assert judged(work) == 'whole'
        os.rename(shard, f'{work}/shard-1')
        assert judged(work) == 'damaged'


@case
def reads_what_the_other_writer_wrote(_):
    """Invariant: two writers and this reader, each made from the page alone, agree, and so does the
    signed checkpoint."""
    with tempfile.TemporaryDirectory() as work:
        key = subprocess.run([f'{BUILD}/app/atrctl/write_naive_log', work], check=True,
                             capture_output=True, text=True).stdout.strip()
        for number, shard in atrlog.read(work).items():
            for name in 'old', 'new':
                with open(f'{work}/{name}-{number}', encoding='utf-8') as file:
                    _, size, root = atrlog.open_checkpoint(file.read(), bytes.fromhex(key))
                assert shard.tree.root_at(size) == root
            assert size == len(shard.tree.leaves)
    assert atrlog.crc32c(b'123456789') == 0xE3069283


if __name__ == '__main__':
    Report.main()
