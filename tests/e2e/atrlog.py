#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""ATR's log, read a second time and independently, from docs/log-format.md alone: segments, groups,
records, the RFC 6962 tree, commit records and checkpoints. Nothing of the C code.

usage: atrlog.py DIRECTORY   a log, or the directory of one shard; exits 1 on damage"""
import base64
import ctypes
import functools
import hashlib
import mmap
import os
import re
import struct
import subprocess
import sys
import tempfile

from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey

import atrwire as wire

BLOCK, SECTOR = 4096, 512
GROUP_MAX, RECORDS_MAX, FEEDS_MAX = 1 << 20, 4097, 64
SEGMENT = struct.Struct('<8sII16sQIIQQQQ32s')
GROUP = struct.Struct('<4sIII16sIIQQQQQQ32s')
RECORD = struct.Struct('<IIHBBHHQQQIIIIQ')
PLAN = struct.Struct('<4sIQQQ32s')
SNAPSHOT = struct.Struct('<4sIQQ32s')
COMMIT = struct.Struct('<4sIQQQQQ32s32s')
POSITION = struct.Struct('<IIQ')
assert (SEGMENT.size, GROUP.size, RECORD.size, COMMIT.size) == (112, 120, 64, 112)
FRAME_KIND, ENVELOPE_KIND, COMMIT_KIND, PLAN_KIND, SNAPSHOT_KIND = range(1, 6)
EMPTY_ROOT = hashlib.sha256(b'').digest()
NAME = re.compile(r'segment-([0-9a-f]{16})\.atr')


class Damage(Exception):
    """What is no log as the page describes it: file, byte offset and why."""

    def __init__(self, path, offset, why):
        super().__init__(f'{path}, byte {offset}: {why}')
        self.path, self.offset, self.why = path, offset, why


@functools.cache
def _library():
    """The CRC in C: Python's own loop would take minutes for what this does in a second."""
    source = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'crc32c.c')
    with tempfile.TemporaryDirectory(prefix='atr-crc-') as work:
        path = f'{work}/crc32c.so'
        subprocess.run([os.environ.get('CC', 'cc').split()[-1], '-O2', '-shared', '-fPIC', '-o',
                        path, source], check=True)
        library = ctypes.CDLL(path)
    library.crc32c_add.restype = ctypes.c_uint32
    library.crc32c_add.argtypes = [ctypes.c_uint32, ctypes.c_char_p, ctypes.c_size_t]
    return library


def crc32c(data, zero_at=0, zero=0):
    """CRC32C of bytes, of which `zero` from zero_at on are taken as zeros."""
    add, crc = _library().crc32c_add, 0xFFFFFFFF
    for part in data[:zero_at], bytes(zero), data[zero_at + zero:]:
        crc = add(crc, part, len(part))
    return crc ^ 0xFFFFFFFF


def zeros(data):
    return data == bytes(len(data))


def round_up(value, unit):
    return -(-value // unit) * unit


class Tree:
    """An RFC 6962 tree that grows."""

    def __init__(self):
        self.leaves, self.peaks = [], []  # peaks: (height, hash) of perfect subtrees, left to right

    def add(self, leaf):
        self.leaves.append(leaf)
        height = 0
        while self.peaks and self.peaks[-1][0] == height:
            leaf = wire.node_hash(self.peaks.pop()[1], leaf)
            height += 1
        self.peaks.append((height, leaf))

    def root(self):
        if not self.peaks:
            return EMPTY_ROOT
        node = self.peaks[-1][1]
        for _, left in reversed(self.peaks[:-1]):
            node = wire.node_hash(left, node)
        return node

    def root_at(self, size):
        return wire.levels(self.leaves[:size])[-1][0] if size else EMPTY_ROOT


class Record:
    """One record; position is (path, offset). Fields as in the page."""

    __slots__ = ('kind', 'events', 'leaf', 'receive_ns', 'generation', 'source', 'topic', 'type',
                 'priority', 'feeds', 'body', 'decisions', 'leaf_hash', 'header', 'where')

    def admitted(self, event=0):
        if self.kind == ENVELOPE_KIND:
            return True
        return bool(self.decisions[event // 8] >> event % 8 & 1)


class Group:
    """One group: header fields, its records (the commit record not among them), its commit."""

    __slots__ = ('number', 'unsynced', 'segment', 'offset', 'first_leaf', 'committed', 'epoch',
                 'records', 'generation', 'plan_digest', 'positions', 'commit_leaf', 'end')


class Shard:
    """A shard's log, read whole. Raises Damage. torn: (path, offset) of a torn tail, or None."""

    def __init__(self, directory):
        self.directory = directory
        self.log_id = self.realm = self.shard = self.shards = None
        self.groups, self.tree, self.epoch = [], Tree(), 0
        self.torn, self.segments_used, self.end = None, 0, None
        names = sorted(name for name in os.listdir(directory) if NAME.fullmatch(name))
        self.paths = [os.path.join(directory, name) for name in names]
        for number, name in enumerate(names):
            if int(NAME.fullmatch(name)[1], 16) != number:
                raise Damage(self.paths[number], 0, f'segment {number} is missing')
        for number, path in enumerate(self.paths):
            if not self._segment(number, path):
                break
        self.paths = self.paths[:self.segments_used]

    def _segment(self, number, path):
        with open(path, 'rb') as file:
            size = os.fstat(file.fileno()).st_size
            if size == 0:
                data = b''
            else:
                data = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
        last = number == len(self.paths) - 1
        block = bytes(data[:BLOCK])
        why = self._header_wrong(block, size)
        if why:
            if last and (zeros(block) or self._probe(path, data, number, BLOCK)[0] != 'complete'):
                return False
            raise Damage(path, 0, why)
        if self.torn:
            raise Damage(*self.torn, 'incomplete group, and a later segment is in use')
        self._header(block, number, path, size)
        self.segments_used = number + 1
        offset = BLOCK
        while offset < size:
            kind, why, at = self._probe(path, data, number, offset)
            if kind != 'complete':
                self._tail(path, data, number, offset, why, at)
                break
            length = round_up(GROUP.unpack_from(data, offset)[2], BLOCK)
            group = self._group(path, bytes(data[offset:offset + length]), number, offset)
            self.groups.append(group)
            offset = group.end
        self.end = (path, offset)
        return True

    @staticmethod
    def _header_wrong(block, size):
        if size < BLOCK:
            return f'{size} bytes are less than a header'
        magic, version, crc = SEGMENT.unpack_from(block)[:3]
        if magic != b'\0ATRLOG1':
            return 'no header of a segment'
        if crc != crc32c(block, 12, 4):
            return 'header with a wrong CRC'
        return None if version == 1 else f'version {version}'

    def _header(self, block, number, path, size):
        (_, _, _, log_id, realm, shard, shards, segment, bytes_, leaf, group,
         root) = SEGMENT.unpack_from(block)
        if number == 0:
            self.log_id, self.realm, self.shard, self.shards = log_id, realm, shard, shards
            named = re.fullmatch(r'shard-(\d+)', os.path.basename(os.path.normpath(self.directory)))
            if named and int(named[1]) != shard:
                raise Damage(path, 40, f'shard {shard}')
            if shard >= shards:
                raise Damage(path, 40, f'shard {shard} of {shards}')
        expected = {'log id': (16, log_id, self.log_id), 'realm': (32, realm, self.realm),
                    'shard': (40, shard, self.shard), 'shards': (44, shards, self.shards),
                    'segment number': (48, segment, number), 'size': (56, bytes_, size),
                    'first leaf': (64, leaf, len(self.tree.leaves)),
                    'first group': (72, group, len(self.groups)),
                    'root': (80, root, self.tree.root()), 'zeros': (112, zeros(block[112:]), True),
                    'alignment': (56, size % BLOCK, 0)}
        for what, (offset, found, wanted) in expected.items():
            if found != wanted:
                raise Damage(path, offset, f'{what} is {found!r}, not {wanted!r}')

    def _probe(self, path, data, number, offset):
        """('complete' or None, why not, at which byte) of what lies at an offset."""
        left = len(data) - offset
        if left < BLOCK:
            return None, 'no group', offset
        (magic, crc, length, _, log_id, shard, _, segment, place, _, _, _, epoch,
         _) = GROUP.unpack_from(data, offset)
        if magic != b'AGRP':
            return None, 'no group', offset
        known = self.log_id is None or (log_id == self.log_id and shard == self.shard)
        if not known or segment != number or place != offset or epoch < self.epoch:
            return None, 'a group of another place or log', offset
        if not GROUP.size <= length <= GROUP_MAX or round_up(length, BLOCK) > left:
            return None, f'group of {length} bytes', offset + 8
        if crc32c(bytes(data[offset:offset + length]), 4, 4) != crc:
            return None, 'group with a wrong CRC', offset + 4
        if not zeros(bytes(data[offset + length:offset + round_up(length, BLOCK)])):
            return None, 'bytes behind a group', offset + length
        return 'complete', path, offset

    def _tail(self, path, data, number, offset, why, at):
        """Clean, torn or damaged? What lies behind the last complete group of a segment."""
        rest = bytes(data[offset:])
        if zeros(rest):
            return
        torn = zeros(rest[:SECTOR])
        if not torn and len(rest) >= BLOCK:
            (magic, _, length, _, log_id, shard, _, segment, place, group, leaf, _, epoch,
             _) = GROUP.unpack_from(rest)
            torn = (magic == b'AGRP' and log_id == self.log_id and shard == self.shard and
                    segment == number and place == offset and epoch >= self.epoch and
                    group == len(self.groups) and leaf == len(self.tree.leaves) and
                    GROUP.size <= length <= GROUP_MAX and
                    any(zeros(rest[i:i + SECTOR])
                        for i in range(0, min(length, len(rest)), SECTOR)))
        if not torn:
            raise Damage(path, at, why)
        for behind in range(offset + BLOCK, len(data), BLOCK):
            if self._probe(path, data, number, behind)[0] != 'complete':
                continue
            fields = GROUP.unpack_from(data, behind)
            if fields[9] - fields[6] > len(self.groups):
                raise Damage(path, at, f'{why}, but the group at {behind} counts it as durable')
        self.torn = (path, offset)

    def _group(self, path, data, number, offset):
        (_, _, length, count, _, _, unsynced, _, _, group_number, leaf, committed, epoch,
         pad) = GROUP.unpack_from(data)

        def need(good, at, why):
            if not good:
                raise Damage(path, offset + at, why)

        group = Group()
        group.number, group.unsynced, group.segment = group_number, unsynced, number
        group.offset, group.first_leaf, group.committed = offset, leaf, committed
        group.epoch, group.records, group.end = epoch, [], offset + round_up(length, BLOCK)
        need(group_number == len(self.groups), 56, f'group {group_number}')
        need(unsynced <= group_number, 36, f'{unsynced} groups before it')
        need(leaf == len(self.tree.leaves), 64, f'first leaf {leaf}')
        need(1 <= count <= RECORDS_MAX, 12, f'{count} records')
        need(zeros(pad), 88, 'bytes that are not zeros')
        need(not self.groups or committed >= self.groups[-1].committed, 72, 'time falls')
        at, decided = GROUP.size, []
        for i in range(count):
            need(at + RECORD.size <= length, at, 'record beyond the group')
            record = self._record(path, data, offset, at, length)
            record.where = (path, offset + at)
            need(record.leaf == len(self.tree.leaves), at + 16, f'leaf {record.leaf}')
            need((record.kind == COMMIT_KIND) == (i == count - 1), at + 10,
                 'the commit record is the last of a group, and only there')
            size = RECORD.size + len(record.body) + len(record.decisions)
            if record.kind == COMMIT_KIND:
                self._commit(group, record, decided, lambda good, where, why, at=at:
                             need(good, at + RECORD.size + where, why))
            else:
                decided.append(record.header + record.decisions)
                group.records.append(record)
            self.tree.add(record.leaf_hash)
            need(zeros(data[at + size:at + round_up(size, 8)]), at + size, 'padding')
            at += round_up(size, 8)
        need(at == round_up(length, 8), 8, f'records end at {at}, group at {length}')
        self.epoch = epoch
        return group

    def _record(self, path, data, offset, at, length):
        def need(good, where, why):
            if not good:
                raise Damage(path, offset + at + where, why)

        record = Record()
        (crc, body, decisions, record.kind, zero1, record.events, zero2, record.leaf,
         record.receive_ns, record.generation, record.source, record.topic, record.type,
         record.priority, record.feeds) = RECORD.unpack_from(data, at)
        end = at + RECORD.size + body + decisions
        need(end <= length, 4, 'record beyond the group')
        need(crc == crc32c(data[at:end], 0, 4), 0, 'record with a wrong CRC')
        need(zero1 == zero2 == 0, 11, 'bytes that are not zeros')
        record.header = data[at:at + RECORD.size]
        record.body = data[at + RECORD.size:at + RECORD.size + body]
        record.decisions = data[end - decisions:end]
        check = {FRAME_KIND: self._frame, ENVELOPE_KIND: self._envelope, COMMIT_KIND: self._inner,
                 PLAN_KIND: self._inner, SNAPSHOT_KIND: self._inner}.get(record.kind)
        need(check, 10, f'kind {record.kind}')
        record.leaf_hash = check(record, need)
        return record

    @staticmethod
    def _frame(record, need):
        try:
            frame = wire.open_frame(record.body)
        except (AssertionError, struct.error) as error:
            need(False, RECORD.size, f'no frame: {error}')
        count = len(frame['packets'])
        need(record.events == count > 0, 12, f'{record.events} events of {count} packets')
        need(record.source == frame['source'], 40, f'source {record.source}')
        need(record.topic == record.type == record.feeds == 0, 44, 'topic, type or feeds')
        bits = int.from_bytes(record.decisions, 'little')
        need(len(record.decisions) == -(-count // 8), 8, f'{len(record.decisions)} decisions')
        need(bits >> count == 0, RECORD.size + len(record.body), 'decisions beyond the events')
        return wire.sha256(record.body[:64 + 64 * count + len(frame['arena'])])

    @staticmethod
    def _envelope(record, need):
        need(record.body[:1] == b'{', RECORD.size, 'no envelope')
        need(record.events == 1, 12, f'{record.events} events')
        need(not record.decisions, 8, 'decisions of an envelope')
        return wire.leaf_hash(record.body)

    @staticmethod
    def _inner(record, need):
        size, letter = {COMMIT_KIND: (COMMIT.size, b'C'), PLAN_KIND: (PLAN.size, b'P'),
                        SNAPSHOT_KIND: (SNAPSHOT.size, b'S')}[record.kind]
        need(len(record.body) >= size, 4, 'short body')
        need(record.body[:4] == b'\0AT' + letter, RECORD.size, 'no body of this kind')
        need(record.events == 0 and not record.decisions, 8, 'events or decisions')
        need(record.kind != SNAPSHOT_KIND or len(record.body) == size, 4, 'long body')
        need(record.kind == COMMIT_KIND or zeros(record.body[4:8]), RECORD.size + 4, 'not zeros')
        return wire.sha256(record.body)

    def _commit(self, group, record, decided, need):
        (_, feeds, number, first, leaves, committed, group.generation, group.plan_digest,
         digest) = COMMIT.unpack_from(record.body)
        need(feeds <= FEEDS_MAX, 4, f'{feeds} feeds')
        need(len(record.body) == COMMIT.size + feeds * POSITION.size, 4, 'length')
        need(number == group.number, 8, f'group {number}')
        need(first == group.first_leaf, 16, f'first leaf {first}')
        need(leaves == len(group.records), 24, f'{leaves} leaves')
        need(committed == group.committed, 32, f'committed {committed}')
        need(digest == wire.sha256(b''.join(decided)), 80, 'digest of the decisions')
        group.positions, last, group.commit_leaf = {}, -1, record.leaf
        for i in range(feeds):
            at = COMMIT.size + i * POSITION.size
            feed, zero, following = POSITION.unpack_from(record.body, at)
            need(last < feed < FEEDS_MAX and zero == 0, at, f'feed {feed}')
            group.positions[feed] = following
            last = feed

    def records(self):
        """(group, record) of every record that is no commit record, in order."""
        for group in self.groups:
            for record in group.records:
                yield group, record


class Plans:
    """Plan documents put together from their chunks. Raises ValueError."""

    def __init__(self):
        self.pending, self.documents = None, {}
        self.generation, self.document = 0, None

    def chunk(self, body):
        """Takes a plan record's body; True when it was the last of a document."""
        _, _, generation, offset, total, digest = PLAN.unpack_from(body)
        if offset == 0:
            if self.pending:
                raise ValueError('a plan begins before another ends')
            self.pending = (generation, total, digest, b'')
        if not self.pending or self.pending[:3] != (generation, total, digest):
            raise ValueError('a chunk of no plan that began')
        text = self.pending[3]
        if offset != len(text) or len(text) + len(body) - PLAN.size > total:
            raise ValueError(f'chunk at {offset} behind {len(text)} bytes of {total}')
        text += body[PLAN.size:]
        self.pending = (generation, total, digest, text)
        if len(text) < total:
            return False
        if wire.sha256(text) != digest:
            raise ValueError('digest of the document')
        if generation != self.generation + 1:
            raise ValueError(f'generation {generation} behind {self.generation}')
        self.pending, self.generation, self.document = None, generation, text
        self.documents[generation] = text
        return True


# --- checkpoints ---

def open_checkpoint(note, public):
    """(origin, size, root) of a signed checkpoint; raises ValueError."""
    text, _, signatures = note.partition('\n\n')
    text += '\n'
    lines = text.split('\n')
    if len(lines) != 4 or not lines[1].isdigit() or str(int(lines[1])) != lines[1]:
        raise ValueError(f'no checkpoint: {note!r}')
    origin, root = lines[0], base64.b64decode(lines[2], validate=True)
    key_id = hashlib.sha256(origin.encode() + b'\n\1' + public).digest()[:4]
    for line in signatures.split('\n'):
        found = re.fullmatch(r'— (\S+) (\S+)', line)
        blob = base64.b64decode(found[2], validate=True) if found else b''
        if found and found[1] == origin and blob[:4] == key_id:
            try:
                VerifyKey(public).verify(text.encode(), blob[4:])
            except BadSignatureError:
                raise ValueError('signature of the checkpoint') from None
            return origin, int(lines[1]), root
    raise ValueError('no signature by this key')


def read(directory):
    """{shard: Shard} of a log's directory, or of one shard's."""
    names = sorted(name for name in os.listdir(directory) if re.fullmatch(r'shard-\d+', name))
    shards = [Shard(os.path.join(directory, name)) for name in names] or [Shard(directory)]
    for one in shards:
        if one.log_id and shards[0].log_id and (one.log_id, one.realm, one.shards) != (
                shards[0].log_id, shards[0].realm, shards[0].shards):
            raise Damage(one.paths[0], 16, 'a shard of another log')
    return {number if one.shard is None else one.shard: one for number, one in enumerate(shards)}


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__.rsplit('\n\n', 1)[1])
    try:
        for number, shard in read(sys.argv[1]).items():
            kinds = {}
            for _, record in shard.records():
                kinds[record.kind] = kinds.get(record.kind, 0) + 1
            events = sum(sum(record.admitted(i) for i in range(record.events))
                         for _, record in shard.records())
            frames, envelopes, chunks = (kinds.get(kind, 0) for kind in
                                         (FRAME_KIND, ENVELOPE_KIND, PLAN_KIND))
            print(f'shard {number}: {shard.segments_used} segments, {len(shard.groups)} groups, '
                  f'{len(shard.tree.leaves)} leaves, {frames} frames, {envelopes} envelopes, '
                  f'{chunks} plan chunks, {events} events admitted, '
                  f'root {shard.tree.root().hex()}')
            if shard.torn:
                print(f'shard {number}: torn at {shard.torn[0]}, byte {shard.torn[1]}')
    except Damage as damage:
        print(f'damage: {damage}')
        sys.exit(1)


if __name__ == '__main__':
    main()
