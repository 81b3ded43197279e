# SPDX-License-Identifier: BSD-3-Clause
"""ATR's wire formats, written a second time and independently: Merkle-batched frames, signed JSON
envelopes and MoldUDP64 feeds. Only the standard library and PyNaCl; nothing of the C code."""
import datetime
import hashlib
import json
import math
import os
import re
import struct

from nacl.signing import SigningKey

HEADER = struct.Struct('<4sBBHIIQQIIIQ12s')
PACKET = struct.Struct('<QIIQI36s')
INLINE, ARENA, ENVELOPE = 0x01, 0x02, 0x10
INLINE_MAX = 36
TREE_PREFIX = b'ATR/treehead/v1\n'
ENVELOPE_PREFIX = b'ATR/envelope/v1\n'
assert HEADER.size == 64 and PACKET.size == 64


def sha256(data):
    return hashlib.sha256(data).digest()


class Key:
    """A source's key: its number in the plan and its private half."""

    def __init__(self, phrase, number=1):
        self.number = number
        self.signer = SigningKey(sha256(phrase.encode()))
        self.public = bytes(self.signer.verify_key)

    def sign(self, message):
        return self.signer.sign(message).signature


# --- RFC 6962 ---

def leaf_hash(data):
    return sha256(b'\0' + data)


def node_hash(left, right):
    return sha256(b'\1' + left + right)


def levels(leaves):
    """All levels of the tree, leaves first; a lone last node rises unchanged."""
    rows = [list(leaves)]
    while len(rows[-1]) > 1:
        row = rows[-1]
        above = [node_hash(row[i], row[i + 1]) for i in range(0, len(row) - 1, 2)]
        rows.append(above + row[-1:] if len(row) % 2 else above)
    return rows


def path(rows, index):
    proof = []
    for row in rows[:-1]:
        sibling = index ^ 1
        if sibling < len(row):
            proof.append(row[sibling])
        index >>= 1
    return proof


def root_from_path(index, count, leaf, proof):
    """The root that a leaf and its path lead to, or None if the path has another length."""
    last, node = count - 1, leaf
    proof = list(proof)
    while last:
        if index & 1 or index < last:
            if not proof:
                return None
            sibling = proof.pop(0)
            node = node_hash(sibling, node) if index & 1 else node_hash(node, sibling)
        index >>= 1
        last >>= 1
    return None if proof else node


# --- frames ---

class Event:
    """One event of a frame. flags, sender, data and arena override what follows from the rest."""

    def __init__(self, topic, type_id, payload, timestamp_ns=1_700_000_000_000_000_000, priority=0,
                 **override):
        self.topic, self.type_id, self.payload = topic, type_id, payload
        self.timestamp_ns, self.priority, self.override = timestamp_ns, priority, override


class Frame:
    """A frame before it is signed. Members may be changed before body() to make it wrong."""

    def __init__(self, realm, source, key, first, events, timestamp_ns=1_700_000_000_000_000_000):
        self.realm, self.source, self.key = realm, source, key
        self.first, self.events, self.timestamp_ns = first, list(events), timestamp_ns
        self.magic, self.version, self.flags, self.zeros = b'\0ATR', 1, 0, bytes(12)
        self.packet_count = self.arena_length = None
        self.arena_extra = b''
        self.leaf_index = self.leaf_count = None

    def body(self, leaf_index, leaf_count):
        packets, arena = [], b''
        for event in self.events:
            if event.override.get('arena', len(event.payload) > INLINE_MAX):
                data = struct.pack('<II', event.override.get('offset', len(arena)),
                                   event.override.get('length', len(event.payload)))
                data += event.override.get('zeros', bytes(28))
                arena += event.payload
                kind = ARENA
            else:
                data, kind = event.payload.ljust(INLINE_MAX, b'\0'), INLINE
            flags = event.override.get('flags', kind | event.priority << 2)
            sender = event.override.get('sender', self.source)
            packets.append(PACKET.pack(flags, event.topic, sender, event.timestamp_ns,
                                       event.type_id, data))
        arena += self.arena_extra
        pick = lambda given, default: default if given is None else given
        header = HEADER.pack(
            self.magic, self.version, self.flags, pick(self.packet_count, len(packets)),
            self.source, pick(self.key_number(), 0), self.realm, self.first & (1 << 64) - 1,
            pick(self.leaf_index, leaf_index), pick(self.leaf_count, leaf_count),
            pick(self.arena_length, len(arena)), self.timestamp_ns, self.zeros)
        return header + b''.join(packets) + arena

    def key_number(self):
        return self.key if isinstance(self.key, int) else self.key.number


def tree_head(realm, source, key_number, leaf_count, root):
    return TREE_PREFIX + struct.pack('<QIII', realm, source, key_number, leaf_count) + root


def seal(frames, signer):
    """Signs a tree over frames of one source; returns their datagrams, in order."""
    bodies = [frame.body(i, len(frames)) for i, frame in enumerate(frames)]
    rows = levels([sha256(body) for body in bodies])
    head = tree_head(frames[0].realm, frames[0].source, frames[0].key_number(), len(frames),
                     rows[-1][0])
    signature = signer.sign(head)
    return [body + signature + b''.join(path(rows, i)) for i, body in enumerate(bodies)]


def open_frame(datagram, public=None):
    """Header fields, packets and arena of a frame, checked as far as it can be alone."""
    fields = HEADER.unpack_from(datagram)
    magic, version, flags, count, source, key, realm, first, index, leaves, arena, stamp, _ = fields
    assert magic == b'\0ATR' and version == 1 and flags == 0
    end = 64 + 64 * count + arena
    body, signature, rest = datagram[:end], datagram[end:end + 64], datagram[end + 64:]
    assert len(rest) % 32 == 0
    proof = [rest[i:i + 32] for i in range(0, len(rest), 32)]
    root = root_from_path(index, leaves, sha256(body), proof)
    assert root is not None, 'path has the wrong length'
    if public is not None:
        public.verify(tree_head(realm, source, key, leaves, root), signature)
    packets = [PACKET.unpack_from(body, 64 + 64 * i) for i in range(count)]
    return {'source': source, 'key': key, 'realm': realm, 'first': first, 'leaf_index': index,
            'leaf_count': leaves, 'timestamp_ns': stamp, 'packets': packets, 'root': root,
            'arena': body[64 + 64 * count:], 'signature': signature, 'proof': proof}


# --- RFC 8785 and envelopes ---

def number(value):
    """ECMAScript's Number::toString."""
    if isinstance(value, int):
        assert abs(value) < 1 << 53
        return str(value)
    assert math.isfinite(value)
    if value == 0:
        return '0'
    sign, digits, exponent = re.fullmatch(r'(-?)([\d.]+)(?:e([+-]\d+))?', repr(value)).groups()
    whole, _, fraction = digits.partition('.')
    point = len(whole) + int(exponent or 0)
    digits = whole + ('' if fraction == '0' else fraction)
    lead = len(digits) - len(digits.lstrip('0'))
    digits, point = digits.lstrip('0'), point - lead
    digits = digits.rstrip('0')
    count = len(digits)
    if count <= point <= 21:
        text = digits + '0' * (point - count)
    elif 0 < point <= 21:
        text = digits[:point] + '.' + digits[point:]
    elif -6 < point <= 0:
        text = '0.' + '0' * -point + digits
    else:
        text = digits[0] + ('.' + digits[1:] if count > 1 else '')
        text += f'e{"+" if point > 0 else "-"}{abs(point - 1)}'
    return sign + text


def canonical(value):
    """The RFC 8785 text of a value made of dict, list, str, int, float, bool and None."""
    if isinstance(value, dict):
        names = sorted(value, key=lambda name: name.encode('utf-16-be'))
        return '{' + ','.join(f'{canonical(n)}:{canonical(value[n])}' for n in names) + '}'
    if isinstance(value, list):
        return '[' + ','.join(map(canonical, value)) + ']'
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return number(value)
    return json.dumps(value, ensure_ascii=False)


def uuid7(milliseconds, random=None):
    bits = random if random is not None else os.urandom(10)
    raw = bytearray(milliseconds.to_bytes(6, 'big') + bits)
    raw[6] = raw[6] & 0x0F | 0x70
    raw[8] = raw[8] & 0x3F | 0x80
    text = raw.hex()
    return '-'.join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def timestamp(ns):
    whole = datetime.datetime.fromtimestamp(ns // 10**9, datetime.timezone.utc)
    fraction = f'{ns % 10**9:09d}'.rstrip('0')
    return whole.strftime('%Y-%m-%dT%H:%M:%S') + ('.' + fraction if fraction else '') + 'Z'


def envelope_value(uuid, source, topic, type_name, payload, timestamp_ns, meta=None):
    value = {'header': {'id': uuid, 'source': source, 'timestamp': timestamp(timestamp_ns),
                        'topic': topic, 'type': type_name, 'version': 1}, 'payload': payload}
    if meta is not None:
        value['meta'] = meta
    return value


def sign_envelope(value, realm, signer, text=None):
    """Datagram of an envelope; text replaces the canonical form that is signed."""
    unsigned = {name: member for name, member in value.items() if name != 'signature'}
    message = (text or canonical(unsigned)).encode()
    signature = signer.sign(ENVELOPE_PREFIX + struct.pack('<Q', realm) + message)
    return canonical({**unsigned, 'signature': signature.hex()}).encode()


# --- MoldUDP64 ---

BASE36 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ'
HEARTBEAT, END = 0, 0xFFFF


class MoldError(ValueError):
    """A downstream packet that is no MoldUDP64 packet of ATR's."""


def mold_session(session):
    """(feed, shard, epoch) of a session name."""
    text = session.decode('ascii')
    if len(text) != 10 or any(c not in BASE36 for c in text):
        raise MoldError(f'session {session!r}')
    return int(text[:2], 36), int(text[2:4], 36), int(text[4:], 36)


def mold_packet(data):
    """(session, sequence, count, messages) of a downstream packet."""
    if len(data) < 20:
        raise MoldError(f'{len(data)} bytes')
    session, sequence, count = struct.unpack_from('>10sQH', data)
    mold_session(session)
    messages, at = [], 20
    for _ in range(0 if count == END else count):
        if at + 2 > len(data):
            raise MoldError('truncated')
        length, = struct.unpack_from('>H', data, at)
        if at + 2 + length > len(data):
            raise MoldError('truncated')
        messages.append(data[at + 2:at + 2 + length])
        at += 2 + length
    if at != len(data):
        raise MoldError('trailing bytes')
    return session, sequence, count, messages


def mold_event(message):
    """One message block as a dict."""
    if len(message) < 72:
        raise MoldError('short block')
    sequence, = struct.unpack_from('<Q', message)
    flags, topic, source, stamp, type_id, data = PACKET.unpack_from(message, 8)
    payload = data
    if flags & ARENA:
        offset, length = struct.unpack_from('<II', data)
        payload = message[72:]
        if len(payload) != length or any(data[8:]):
            raise MoldError(f'arena payload of {len(payload)} bytes, packet says {length}')
    elif len(message) != 72:
        raise MoldError('bytes behind an inline packet')
    return {'sequence': sequence, 'flags': flags, 'topic': topic, 'source': source,
            'timestamp_ns': stamp, 'type': type_id, 'payload': payload,
            'envelope': json.loads(payload) if flags & ENVELOPE else None}


class Subscriber:
    """Puts the packets of one destination together; knows gaps and duplicates."""

    def __init__(self):
        self.next, self.events, self.gaps, self.repeats = {}, [], 0, 0
        self.heartbeats, self.ended = 0, set()

    def packet(self, data):
        session, sequence, count, messages = mold_packet(data)
        expected = self.next.setdefault(session, 1)
        if count == END:
            self.ended.add(session)
        elif count == HEARTBEAT:
            self.heartbeats += 1
        if sequence > expected:
            self.gaps += sequence - expected
        for offset, message in enumerate(messages):
            if sequence + offset < expected:
                self.repeats += 1
                continue
            self.events.append(mold_event(message))
        self.next[session] = max(expected, sequence + len(messages))
        return self.events[len(self.events) - len(messages):] if messages else []
