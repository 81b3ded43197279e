# SPDX-License-Identifier: BSD-3-Clause
"""Writes small logs and the evidence that belongs to them, right in every byte unless told
otherwise: what the tests of the checker break."""
import copy
import os
import struct

import atrlog
import atrwire as wire
import classd_ack
import classd_check
import classd_record
import plan

LOG_ID, EPOCH, NOW = bytes(range(16)), 7, 1_800_000_000_000_000_000
SEGMENT_BYTES = 1 << 18
ACKS = wire.Key('atr e2e appliance acks')
CHECKPOINTS = wire.Key('atr e2e appliance checkpoints')
ORIGIN = f'atr.{plan.REALM:016x}'


def class_d_plan(**change):
    """plan.py's, its feeds of class D but for 'grouped', with wide windows."""
    value = copy.deepcopy(plan.document(**change))
    for feed in value['feeds']:
        feed['durability'] = 'none' if feed['name'] == 'grouped' else 'commit'
    for source in value['sources']:
        source.update(window=4096, max_ahead=65536)
        source.pop('rate', None)
    return value


def record(kind, body, **fields):
    return {'kind': kind, 'body': body, 'decisions': b'', 'events': 0, 'source': 0, 'topic': 0,
            'type': 0, 'feeds': 0, 'generation': 1, **fields}


def frame_record(datagram, bits=None):
    """bits: which events are admitted; all by default."""
    count, = struct.unpack_from('<H', datagram, 6)
    source, = struct.unpack_from('<I', datagram, 8)
    bits = (1 << count) - 1 if bits is None else bits
    return record(atrlog.FRAME_KIND, datagram, source=source, events=count,
                  decisions=bits.to_bytes(-(-count // 8), 'little'))


def envelope_record(datagram, source, topic, type_id, feeds):
    return record(atrlog.ENVELOPE_KIND, datagram, source=source, topic=topic, type=type_id,
                  feeds=feeds, events=1)


def plan_records(text, generation=1, step=1000):
    head = (b'\0ATP', 0, generation)
    return [record(atrlog.PLAN_KIND, generation=generation - 1, body=atrlog.PLAN.pack(
        *head, at, len(text), wire.sha256(text)) + text[at:at + step])
            for at in range(0, len(text), step)]


class ShardWriter:
    """Forges the log of one shard in memory."""

    def __init__(self, shard=0, shards=1, segment_bytes=SEGMENT_BYTES):
        self.shard, self.shards, self.segment_bytes = shard, shards, segment_bytes
        self.segments, self.tree, self.groups = [], atrlog.Tree(), 0

    def _segment(self):
        fields = [b'\0ATRLOG1', 1, 0, LOG_ID, plan.REALM, self.shard, self.shards,
                  len(self.segments), self.segment_bytes, len(self.tree.leaves), self.groups,
                  self.tree.root()]
        block = atrlog.SEGMENT.pack(*fields).ljust(atrlog.BLOCK, b'\0')
        block = block[:12] + struct.pack('<I', atrlog.crc32c(block)) + block[16:]
        self.segments.append(bytearray(block))

    def group(self, records, positions, plan_digest, generation=1, epoch=EPOCH, unsynced=0):
        first, time, decided, body = len(self.tree.leaves), NOW + self.groups, b'', b''
        for one in records:
            raw = self._record(one, first + one_index(records, one), time)
            decided += raw[:atrlog.RECORD.size] + one['decisions']
            body += raw.ljust(atrlog.round_up(len(raw), 8), b'\0')
            self.tree.add(leaf_hash(one))
        commit = record(atrlog.COMMIT_KIND, atrlog.COMMIT.pack(
            b'\0ATC', len(positions), self.groups, first, len(records), time, generation,
            plan_digest, wire.sha256(decided)) + b''.join(
                atrlog.POSITION.pack(feed, 0, following)
                for feed, following in sorted(positions.items())), generation=generation)
        body += self._record(commit, first + len(records), time)
        length = atrlog.GROUP.size + len(body)
        padded = atrlog.round_up(length, atrlog.BLOCK)
        if not self.segments or len(self.segments[-1]) + padded > self.segment_bytes:
            self._segment_before(first)
        offset = len(self.segments[-1])
        header = atrlog.GROUP.pack(b'AGRP', 0, length, len(records) + 1, LOG_ID, self.shard,
                                   unsynced, len(self.segments) - 1, offset, self.groups, first,
                                   time, epoch, bytes(32))
        whole = header + body
        whole = whole[:4] + struct.pack('<I', atrlog.crc32c(whole)) + whole[8:]
        self.segments[-1] += whole.ljust(padded, b'\0')
        self.tree.add(leaf_hash(commit))
        self.groups += 1

    def _segment_before(self, first):
        """A segment whose header knows the tree up to this group."""
        later = self.tree
        self.tree = atrlog.Tree()
        for leaf in later.leaves[:first]:
            self.tree.add(leaf)
        self._segment()
        self.tree = later

    @staticmethod
    def _record(one, leaf, time):
        raw = atrlog.RECORD.pack(0, len(one['body']), len(one['decisions']), one['kind'], 0,
                                 one['events'], 0, leaf, time, one['generation'], one['source'],
                                 one['topic'], one['type'], 0, one['feeds'])
        raw += one['body'] + one['decisions']
        return struct.pack('<I', atrlog.crc32c(raw)) + raw[4:]

    def write(self, directory):
        path = f'{directory}/shard-{self.shard}'
        os.makedirs(path, exist_ok=True)
        for number, content in enumerate(self.segments):
            with open(f'{path}/segment-{number:016x}.atr', 'wb') as file:
                file.write(bytes(content).ljust(self.segment_bytes, b'\0'))

    def checkpoint(self, size=None):
        """A signed checkpoint."""
        size = len(self.tree.leaves) if size is None else size
        origin = f'{ORIGIN}/shard/{self.shard}'
        encode = atrlog.base64.b64encode
        text = f'{origin}\n{size}\n{encode(self.tree.root_at(size)).decode()}\n'
        key_id = wire.sha256(origin.encode() + b'\n\1' + CHECKPOINTS.public)[:4]
        blob = encode(key_id + CHECKPOINTS.sign(text.encode())).decode()
        return f'{text}\n— {origin} {blob}\n'


def one_index(records, one):
    return next(i for i, other in enumerate(records) if other is one)


def leaf_hash(one):
    if one['kind'] == atrlog.FRAME_KIND:
        return classd_check.leaf_of(one['body'])
    if one['kind'] == atrlog.ENVELOPE_KIND:
        return wire.leaf_hash(one['body'])
    return wire.sha256(one['body'])


def entry(first, position, leaf, events, result=classd_ack.OK, final=False, mixed=None):
    """An entry of an acknowledgement. mixed: [(code, final)] an event."""
    flags = (classd_ack.MIXED if mixed else 0) | (classd_ack.FINAL if final else 0)
    raw = classd_ack.ENTRY.pack(first, position, leaf, events, result, flags, 0)
    if mixed:
        raw += b''.join(bytes((code, last)) for code, last in mixed)
        raw += bytes(-2 * len(mixed) % 8)
    return raw


def body(source, floor, *entries):
    return classd_ack.HEAD.pack(source, len(entries), floor) + b''.join(entries)


def downstream(feed, shard, sequence, blocks, epoch=EPOCH, count=None):
    session = ''.join(wire.BASE36[n] for n in (*divmod(feed, 36), *divmod(shard, 36)))
    session += ''.join(wire.BASE36[epoch // 36**i % 36] for i in range(5, -1, -1))
    return struct.pack('>10sQH', session.encode(), sequence,
                       len(blocks) if count is None else count) + b''.join(
                           struct.pack('>H', len(block)) + block for block in blocks)


class World:
    """One source's frames and one envelope in a log of one shard, and the whole evidence."""

    def __init__(self):
        self.text = wire.canonical(class_d_plan()).encode()
        self.digest = wire.sha256(self.text)
        self.frames = [self.frame(1 + 4 * i) for i in range(6)]
        self.envelope = wire.sign_envelope(wire.envelope_value(
            wire.uuid7(NOW // 10**6, bytes(10)), 'alpha', 'test.plain', 'reading',
            {'n': 1, 'mag': 5}, NOW + 500_000_000), plan.REALM, plan.envelope_key('alpha'))
        records = [frame_record(one) for one in self.frames[:5]]
        records[2]['decisions'] = b'\x07'  # its last event was refused
        self.envelope_entry = envelope_record(self.envelope, 1, 1, 1, 0b111)
        self.groups = [plan_records(self.text), records[:3], [self.envelope_entry],
                       records[3:]]
        self.positions = [{}, {0: 12, 1: 4}, {0: 13, 1: 5}, {0: 21, 1: 7}]
        self.acks = self.replies = None
        self.starts, self.complete, self.digests = [], True, [('state', 'ab', 'ab')]

    @staticmethod
    def frame(first, mags=(1.0, 4.5, None, 4.0), source='alpha', topic='test.plain'):
        events = [wire.Event(plan.TOPICS[topic], 1, plan.reading(1 + first, mag)) for mag in mags]
        one = wire.Frame(plan.REALM, plan.SOURCES[source][0], 1, first, events)
        return wire.seal([one], plan.key(source))[0]

    def writer(self):
        writer = ShardWriter()
        for records, positions in zip(self.groups, self.positions):
            writer.group(records, positions, self.digest)
        return writer

    def build(self, directory):
        """Writes the log and makes the evidence that fits it; returns (evidence, shards, notes)."""
        writer = self.writer()
        writer.write(directory)
        shards = atrlog.read(directory)
        evidence = classd_record.Evidence()
        evidence.frames = {one: 1 for one in self.frames}
        evidence.envelopes = {self.envelope: 1}
        evidence.starts = self.starts
        bodies = self.bodies(shards[0])
        evidence.acks = [(NOW, one) for one in classd_ack.seal_acks(
            bodies, plan.REALM, ACKS, range(1, 1 + len(bodies)))]
        leaf = next(one.leaf for _, one in shards[0].records()
                    if one.kind == atrlog.ENVELOPE_KIND)
        identity = classd_check.json.loads(self.envelope)['header']['id']
        evidence.replies = [(NOW, {'atr': 1, 'durability': 'commit', 'id': identity,
                                   'position': leaf, 'result': result, 'shard': 0})
                            for result in ('admitted', 'duplicate')]
        judge = classd_check.Check(evidence, shards)
        judge.log()
        for (feed, shard), messages in judge.messages.items():
            blocks = [classd_check.message(*one) for one in messages]
            half = len(blocks) // 2
            for at, some in ((1, blocks[:half]), (1 + half, blocks[half:])):
                evidence.packets.append((NOW + at, 'live', downstream(feed, shard, at, some)))
            evidence.packets.append((NOW + 100, 'live', downstream(feed, shard, 1 + len(blocks),
                                                                   [])))
        return evidence, shards, [writer.checkpoint(), writer.checkpoint(5)]

    def bodies(self, shard):
        frames = [one for _, one in shard.records() if one.kind == atrlog.FRAME_KIND]
        entries = [entry(1 + 4 * i, one.leaf, one.leaf_hash, 4) for i, one in enumerate(frames)]
        entries[2] = entry(9, frames[2].leaf, frames[2].leaf_hash, 4, 114,
                           mixed=[(0, 0), (0, 0), (0, 0), (114, 0)])
        refused = entry(21, classd_ack.NO_POSITION, classd_check.leaf_of(self.frames[5]), 4, 111,
                        final=True)
        again = entry(1, classd_ack.NO_POSITION, frames[0].leaf_hash, 4, classd_ack.DUPLICATE)
        return [body(1, 0, *entries), body(1, 0, refused, again)]

    def judge(self, directory, change=None):
        """Violations of this world; change(evidence, shards) breaks what was built."""
        evidence, shards, notes = self.build(directory)
        if change:
            change(evidence, shards)
        return classd_check.check(evidence, shards, ACKS.public, complete=self.complete,
                                  notes=notes, checkpoint_key=CHECKPOINTS.public,
                                  digests=self.digests)[0]
