# SPDX-License-Identifier: BSD-3-Clause
"""The hostile traffic of the demo: datagrams that must all be refused, made by the independent
implementation of the wire formats with keys that anybody can make."""
import json
import time

import atrwire as wire

# One key signs one kind of thing, so every source has two; anybody can make them.
PHRASES = {'frames': 'atr demo source {}', 'envelopes': 'atr demo source {} envelopes'}
EACH = 15  # datagrams of every kind
KEY, REALM = 12, 16  # offsets in a frame's header
EVENT_TIME = 64 + 16  # of the low byte of the first event's time


def payload_of(line):
    """The payload's members of one line of `atrctl sub --json`, frame or envelope."""
    for name in 'payload', 'fields':
        if isinstance(line.get(name), dict):
            return line[name]
    envelope = line.get('envelope')
    return envelope.get('payload', {}) if isinstance(envelope, dict) else {}


def datagrams(plan, lines, frames):
    """Tampered, of unknown keys, of another realm, malformed and not allowed, EACH of every kind.
    frames are valid ones that were published before."""
    realm = int(plan['realm'], 16)
    with open(lines, encoding='utf-8') as file:
        events = [json.loads(next(file)) for _ in range(EACH)]
    made = []
    for number, event in enumerate(events):
        key = wire.Key(PHRASES['envelopes'].format(event['source']))
        value = wire.envelope_value(wire.uuid7(time.time_ns() // 10**6), event['source'],
                                    event['topic'], event['type'], event['payload'],
                                    time.time_ns())
        good = wire.sign_envelope(value, realm, key)
        frame = frames[number % len(frames)]
        made += [
            tamper(value, realm, key),
            wire.sign_envelope(value, realm, wire.Key('nobody that the plan knows')),
            good[:len(good) * (number + 1) // (EACH + 1)],
            good.replace(b'"version":1', b'"version": 1'),
            patch(frame, EVENT_TIME, bytes([frame[EVENT_TIME] ^ (number + 1)])),
            patch(frame, KEY, (999).to_bytes(4, 'little')),
            patch(frame, REALM, bytes(8)),
            frame[:len(frame) - 1 - number],
            b'\0ATR' + bytes([number]) * (number + 1),
            bytes([0x80 + number]) * 50,
        ]
        foreign = not_ours(plan, event)
        if foreign:
            header = {**value['header'], 'topic': foreign}
            made.append(wire.sign_envelope({**value, 'header': header}, realm, key))
    return made


def patch(frame, at, content):
    """A frame with some bytes replaced by others, which differ."""
    assert frame[at:at + len(content)] != content
    return frame[:at] + content + frame[at + len(content):]


def tamper(value, realm, key):
    """The canonical envelope of one value under the signature of another."""
    signature = json.loads(wire.sign_envelope(value, realm, key))['signature']
    header = {**value['header'], 'timestamp': wire.timestamp(10**18)}
    return wire.canonical({**value, 'header': header, 'signature': signature}).encode()


def not_ours(plan, event):
    """A topic that no rule opens to this event's source and type."""
    role = next(s for s in plan['sources'] if s['name'] == event['source']).get('role')
    for topic in plan['topics']:
        if not any(event['type'] in rule['types'] and any(match(p, topic['name'])
                                                          for p in rule['topics'])
                   and (rule.get('any_source') or event['source'] in rule.get('sources', [])
                        or role in rule.get('roles', []))
                   for rule in plan['rules']):
            return topic['name']
    return None


def match(pattern, name):
    """Wildcards of topics: '*' one token, a final '>' one or more."""
    wanted, got = pattern.split('.'), name.split('.')
    for position, token in enumerate(wanted):
        if token == '>' and position == len(wanted) - 1:
            return len(got) > position
        if position >= len(got) or token not in ('*', got[position]):
            return False
    return len(wanted) == len(got)
