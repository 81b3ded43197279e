# SPDX-License-Identifier: BSD-3-Clause
"""The plan that the end-to-end tests run: rich enough that traffic can provoke every refusal."""
import base64
import json
import struct

import atrwire as wire

REALM = 0xA7E5700000000E2E
PORT = 26400
ENVELOPE_BYTES = 1280
ENVELOPE_BYTES_JUMBO = 8400  # with an MTU of 9,000: room for more values than the parser takes
FEEDS = {0: 'all', 1: 'strong', 2: 'grouped'}
DURABLE = {0, 1}  # feeds of class D; the other one does not wait for the disk
FEED_PORT = 26500  # of feed n: FEED_PORT + n
GROUP = '239.77.0.1'
INGRESS_GROUP = '239.77.0.9'
WINDOW, MAX_AHEAD = 256, 1024
LEAP_AHEAD = 1 << 26  # max_ahead of source 'leap': beyond what is reserved on disk in one go
SLOW_BURST = 4

# name -> (id, security level, keys as {number: validity})
SOURCES = {
    'alpha': (1, 3, {1: {}}),
    'beta': (2, 3, {1: {}}),
    'low': (3, 0, {1: {}}),
    'slow': (4, 3, {1: {}}),
    'aged': (5, 3, {1: {'not_after': '2020-01-01T00:00:00Z'},
                    2: {'not_before': '2200-01-01T00:00:00Z'}, 3: {}}),
    'flood': (6, 3, {1: {}}),
    'gamma': (7, 3, {1: {}}),
    'delta': (8, 3, {1: {}}),
    'outcast': (9, 3, {1: {}}),
    'leap': (10, 3, {1: {}}),
}
SOURCES.update({f'extra{n}': (20 + n, 3, {1: {}}) for n in range(16)})
TOPICS = {'test.plain': 1, 'test.other': 2, 'test.secret': 3, 'test.slow': 4, 'test.closed': 5}
TYPES = {'reading': 1, 'note': 2, 'document': 3}


ENVELOPE_KEYS = 100  # ids of keys that sign envelopes begin here


def key(source, number=1):
    """The key that signs frames."""
    return wire.Key(f'atr e2e {source} {number}', number)


def envelope_key(source, number=1):
    """The key that signs envelopes: one key signs one kind of thing."""
    return wire.Key(f'atr e2e {source} {number} envelopes', ENVELOPE_KEYS + number)


def reading(number=1, mag=3.0, kind=1, name=b'quake', value=0):
    """Payload of type reading."""
    raw = -32768 if mag is None else round(mag * 100)
    return struct.pack('<IhBx8sq', number, raw, kind, name, value)


def note(number=1, text='a note'):
    """Payload of type note: fixed part and UTF-8 tail."""
    return struct.pack('<II', number, 0) + text.encode()


DOCUMENT = {
    'type': 'object', 'required': ['n'], 'additionalProperties': False, 'minProperties': 1,
    'maxProperties': 6,
    'properties': {
        'n': {'type': 'integer', 'minimum': 0, 'maximum': 1000000},
        'mag': {'type': ['number', 'null'], 'minimum': -5, 'maximum': 12},
        'step': {'type': 'number', 'multipleOf': 0.5},
        'text': {'type': 'string', 'minLength': 1, 'maxLength': 8},
        'code': {'type': 'string', 'pattern': '^[a-z]{2}[0-9]+$'},
        'slow': {'type': 'string', 'pattern': '^(a+)+$'},
        'kind': {'enum': ['quake', 'blast']},
        'unit': {'const': 'km'},
        'list': {'type': 'array', 'items': {'type': 'integer'}, 'minItems': 1, 'maxItems': 3,
                 'uniqueItems': True},
    },
}


def source_entry(name):
    number, level, keys = SOURCES[name]
    entry = {'id': number, 'name': name, 'role': 'outcast' if name == 'outcast' else 'producer',
             'level': level, 'priority': 0, 'window': WINDOW,
             'max_ahead': LEAP_AHEAD if name == 'leap' else MAX_AHEAD,
             'keys': [{'id': signer.number, 'use': use, 'public': signer.public.hex(), **validity}
                      for n, validity in keys.items()
                      for use, signer in (('frames', key(name, n)),
                                          ('envelopes', envelope_key(name, n)))]}
    if name == 'slow':
        entry['rate'] = {'per_second': 1, 'burst': SLOW_BURST}
    return entry


def document(destination='10.77.0.2', group=GROUP, envelope_bytes=ENVELOPE_BYTES, **change):
    """The plan as a value. destination: address of the unicast subscriber."""
    def to(feed):
        return [{'to': f'{destination}:{FEED_PORT + feed}'}]

    value = {
        'atr_plan': 1, 'name': 'e2e', 'version': 1, 'realm': f'{REALM:016x}',
        'ingress': {'udp_port': PORT, 'groups': [INGRESS_GROUP], 'envelope_bytes': envelope_bytes},
        'identity': {'uuid_past_ms': 600000, 'uuid_future_ms': 60000},
        'sources': [source_entry(name) for name in SOURCES],
        'types': [
            {'id': 1, 'name': 'reading',
             'binary': {'size': 24, 'fields': [
                 {'name': 'n', 'at': 0, 'kind': 'u32', 'min': 1, 'max': 1000000},
                 {'name': 'mag', 'at': 4, 'kind': 'i16', 'scale': 2, 'min': -5, 'max': 12,
                  'absent_raw': -32768},
                 {'name': 'kind', 'at': 6, 'kind': 'u8', 'enum': [1, 2, 3]},
                 {'name': 'label', 'at': 8, 'kind': 'text', 'width': 8},
                 {'name': 'value', 'at': 16, 'kind': 'i64'}]},
             'json': {'type': 'object', 'required': ['n', 'mag'], 'properties': {
                 'n': {'type': 'integer', 'minimum': 1, 'maximum': 1000000},
                 'mag': {'type': ['number', 'null'], 'minimum': -5, 'maximum': 12}}}},
            {'id': 2, 'name': 'note',
             'binary': {'size': 8, 'tail': {'name': 'text', 'max': 1000}, 'fields': [
                 {'name': 'n', 'at': 0, 'kind': 'u32'}]}},
            {'id': 3, 'name': 'document', 'json': DOCUMENT},
        ],
        'topics': [{'id': number, 'name': name, 'level': 2 if name == 'test.secret' else 0,
                    'priority': 0,
                    **({'rate': {'per_second': 1, 'burst': SLOW_BURST}} if name == 'test.slow'
                       else {})} for name, number in TOPICS.items()],
        'rules': [
            {'name': 'plain', 'roles': ['producer'], 'topics': ['test.plain', 'test.other'],
             'types': ['reading', 'note', 'document'], 'feeds': ['all', 'grouped']},
            {'name': 'limited', 'roles': ['producer'], 'topics': ['test.slow'],
             'types': ['reading'], 'feeds': ['all']},
            {'name': 'secret', 'roles': ['producer'], 'topics': ['test.secret'],
             'types': ['reading'], 'feeds': ['all']},
            # Must not open test.closed, nor name a type that has no field mag.
            {'name': 'strong', 'roles': ['producer'],
             'topics': [name for name in TOPICS if name != 'test.closed'], 'types': ['reading'],
             'where': [{'field': 'mag', 'op': '>=', 'value': 4.5}], 'feeds': ['strong']},
        ],
        'feeds': [
            {'id': 0, 'name': 'all', 'level': 3, 'durability': 'commit', 'destinations': to(0)},
            {'id': 1, 'name': 'strong', 'level': 3, 'durability': 'commit',
             'destinations': to(1)},
            {'id': 2, 'name': 'grouped', 'level': 3, 'durability': 'none',
             'destinations': [{'to': f'{group}:{FEED_PORT + 2}', 'ttl': 1}]},
        ],
    }
    value.update(change)
    return value


GOVERNANCE = {'plan-chunk': (10, 'chunk'), 'plan-change': (11, 'change'),
              'plan-approval': (12, 'approval')}  # types: (id, use)


def govern(value, operators, topic='test.plain', role='producer', approvals=2):
    """The plan with operators that may change it, and a role that may send to that topic."""
    value['types'] += [{'id': number, 'name': name, 'governance': use}
                       for name, (number, use) in GOVERNANCE.items()]
    value['rules'].append({'name': 'governance', 'roles': [role], 'topics': [topic],
                           'types': list(GOVERNANCE), 'feeds': []})
    value['governance'] = {'operators': list(operators), 'approvals': approvals}
    return value


def governed_document():
    """What test_reasons.py runs: two operators, who must both approve."""
    return govern(document(), ['alpha', 'beta'])


CHUNK = 510  # bytes of a document that fit an envelope


def chunks(text, size=CHUNK):
    """Payloads of chunks of a document."""
    data, digest = text.encode(), wire.sha256(text.encode()).hex()
    return [{'bytes': base64.b64encode(data[at:at + size]).decode(), 'digest': digest,
             'offset': at, 'total': len(data)} for at in range(0, len(data), size)]


def write(path, value=None):
    with open(path, 'w', encoding='utf-8') as file:
        json.dump(document() if value is None else value, file, indent=1)
    return path
