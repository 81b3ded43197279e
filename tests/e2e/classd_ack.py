# SPDX-License-Identifier: BSD-3-Clause
"""Acknowledgements of frames, read from docs/wire-format.md alone."""
import struct

from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey

import atrwire as wire

PREFIX = b'ATR/ackshead/v1\n'
HEAD, ENTRY = struct.Struct('<IIQ'), struct.Struct('<QQ32sHBBI')
assert HEAD.size == 16 and ENTRY.size == 56
NO_POSITION = 2**64 - 1
OK, DUPLICATE = 0, 255
MIXED, FINAL = 1, 2
TYPE, KEY = 1, 1


class AckError(ValueError):
    """A datagram that is no acknowledgement of this appliance's."""


class Entry:
    """One frame's. results: (reason code, final) for each of its events."""

    __slots__ = ('source', 'first', 'position', 'leaf', 'events', 'results')

    def taken(self):
        """Is every event admitted, now or before?"""
        return all(code in (OK, DUPLICATE) for code, _ in self.results)

    def over(self):
        """Will no resend change anything?"""
        return all(final or code in (OK, DUPLICATE) for code, final in self.results)


def _need(good, why):
    if not good:
        raise AckError(why)


def _proven(datagram, realm, public):
    """The frame, its signature and path checked."""
    try:
        frame = wire.open_frame(datagram)
        head = wire.tree_head(realm, 0, frame['key'], frame['leaf_count'], frame['root'])
        VerifyKey(public).verify(PREFIX + head[len(PREFIX):], frame['signature'])
    except (AssertionError, struct.error) as error:
        raise AckError(f'no frame: {error}') from None
    except BadSignatureError:
        raise AckError('signature') from None
    return frame


def open_ack(datagram, realm, public):
    """(number, [(source, floor, [Entry])]) of an acknowledgement; raises AckError."""
    frame = _proven(datagram, realm, public)
    _need(frame['realm'] == realm, 'realm')
    _need(frame['source'] == 0 and frame['key'] == KEY, 'source or key')
    bodies, end = [], 0
    for flags, topic, sender, _, type_id, data in frame['packets']:
        offset, length = struct.unpack_from('<II', data)
        _need(flags == wire.ARENA and topic == sender == 0 and type_id == TYPE, 'packet')
        _need(offset == end and not any(data[8:]), 'arena of a packet')
        end = offset + length
        bodies.append(open_body(frame['arena'][offset:end]))
    _need(end == len(frame['arena']), 'arena')
    return frame['first'], bodies


def open_body(body):
    """(source, floor, [Entry])."""
    _need(len(body) >= HEAD.size, 'short body')
    source, count, floor = HEAD.unpack_from(body)
    at, entries = HEAD.size, []
    _need(count > 0, 'no entries')
    for _ in range(count):
        _need(at + ENTRY.size <= len(body), 'short entry')
        entry = Entry()
        (entry.first, entry.position, entry.leaf, entry.events, result, flags,
         zero) = ENTRY.unpack_from(body, at)
        entry.source = source
        at += ENTRY.size
        _need(zero == 0 and flags & ~(MIXED | FINAL) == 0 and entry.events > 0, 'entry')
        if flags & MIXED:
            size = -(-2 * entry.events // 8) * 8
            _need(at + size <= len(body), 'short results')
            raw = body[at:at + size]
            _need(not any(raw[2 * entry.events:]), 'zeros behind the results')
            entry.results = [(raw[2 * i], raw[2 * i + 1]) for i in range(entry.events)]
            _need(all(final in (0, 1) for _, final in entry.results), 'final')
            refused = [code for code, _ in entry.results if code not in (OK, DUPLICATE)]
            _need(len(set(entry.results)) > 1 and refused[:1] in ([result], []), 'results')
            at += size
        else:
            entry.results = [(result, bool(flags & FINAL))] * entry.events
        entries.append(entry)
    _need(at == len(body), 'bytes behind the entries')
    return source, floor, entries


def seal_acks(bodies, realm, signer, numbers, timestamp_ns=0):
    """Datagrams of one signed tree, one body each: for tests of the reader."""
    frames = []
    for number, body in zip(numbers, bodies):
        event = wire.Event(0, TYPE, body, timestamp_ns, priority=0, arena=True, sender=0)
        frames.append(wire.Frame(realm, 0, KEY, number, [event], timestamp_ns))
    raw = [frame.body(i, len(frames)) for i, frame in enumerate(frames)]
    rows = wire.levels([wire.sha256(one) for one in raw])
    head = wire.tree_head(realm, 0, KEY, len(frames), rows[-1][0])
    signature = signer.sign(PREFIX + head[len(PREFIX):])
    return [one + signature + b''.join(wire.path(rows, i)) for i, one in enumerate(raw)]
