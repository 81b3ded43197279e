# SPDX-License-Identifier: BSD-3-Clause
"""For every reason code that traffic alone can provoke: the traffic that must be refused for just
that reason, under the plan of plan.py. Reasons that need the machinery disturbed as well live in
scenarios.py. PROVOCATIONS maps a reason's name to its function."""
import json
import time

import atrwire as wire
import plan

PROVOCATIONS = {}


def provokes(name):
    def register(function):
        assert name not in PROVOCATIONS
        PROVOCATIONS[name] = function
        return function
    return register


class Traffic:
    """What was refused so far counts for nothing: hands out sequences, keys, frames, envelopes.

    link is a packets.Wire, for what is wrong below UDP."""

    def __init__(self, link=None, first=1):
        self.link, self.first, self.used = link, first, {}

    def sequence(self, source, count=1):
        start = self.used.get(source, self.first)
        self.used[source] = start + count
        return start

    def event(self, topic='test.plain', type_name='reading', payload=None, **more):
        return wire.Event(plan.TOPICS[topic], plan.TYPES[type_name],
                          plan.reading() if payload is None else payload, **more)

    def frame(self, source='alpha', events=None, first=None, key=1, **wrong):
        events = [self.event()] if events is None else events
        if first is None:
            first = self.sequence(source, max(1, len(events)))
        frame = wire.Frame(plan.REALM, plan.SOURCES[source][0], key, first, events)
        for name, value in wrong.items():
            assert hasattr(frame, name), name
            setattr(frame, name, value)
        return frame

    def seal(self, *frames, source='alpha', key=1):
        return wire.seal(frames, plan.key(source, key))

    def datagram(self, source='alpha', events=None, **wrong):
        return self.seal(self.frame(source, events, **wrong), source=source)[0]

    def envelope_value(self, source='alpha', topic='test.plain', type_name='document', payload=None,
                       meta=None, ms=None):
        now = time.time_ns()
        return wire.envelope_value(wire.uuid7(now // 10**6 if ms is None else ms), source, topic,
                                   type_name, {'n': 1} if payload is None else payload, now, meta)

    def envelope(self, source='alpha', realm=plan.REALM, key=1, **more):
        return wire.sign_envelope(self.envelope_value(source, **more), realm,
                                  plan.envelope_key(source, key))


class Refused(list):
    """Datagrams that must all be refused. first: datagrams to send before, which are admitted.
    packets: they are whole packets already. some: at least one is refused, others are admitted.
    pcap: net_af_packet cannot receive them: too long, or fragments, which the kernel joins."""

    def __init__(self, *datagrams, first=(), packets=False, some=False, pcap=False):
        super().__init__(datagrams)
        self.first, self.packets, self.some, self.pcap = list(first), packets, some, pcap


# --- ingress ---

@provokes('ip_malformed')
def _(t):
    return Refused(t.link.datagram(t.datagram(), total_length=10),
                   t.link.datagram(t.datagram(), total_length=4000),
                   t.link.datagram(t.datagram(), version_ihl=0x44), packets=True)


@provokes('ip_checksum')
def _(t):
    return Refused(t.link.datagram(t.datagram(), checksum=0x1234), packets=True)


@provokes('ip_fragment')
def _(t):
    return Refused(t.link.datagram(t.datagram(), fragment=0x2000),
                   t.link.datagram(t.datagram(), fragment=0x0003), packets=True, pcap=True)


@provokes('udp_malformed')
def _(t):
    return Refused(t.link.datagram(t.datagram(), length=7),
                   t.link.datagram(t.datagram(), length=4000), packets=True)


@provokes('udp_checksum')
def _(t):
    return Refused(t.link.datagram(t.datagram(), udp_checksum=0x1234), packets=True)


@provokes('not_atr')
def _(t):
    return Refused(b'hello', b'\x01' + t.datagram()[1:], b'[1]')


# --- schema: frames ---

@provokes('frame_truncated')
def _(t):
    return Refused(t.datagram()[:-1], t.datagram()[:63], b'\0ATR', t.datagram()[:128],
                   t.datagram(packet_count=60000), t.datagram(arena_length=0xFFFFFFFF))


@provokes('frame_trailing')
def _(t):
    return Refused(t.datagram() + b'\0', t.datagram() + bytes(32))


@provokes('frame_magic')
def _(t):
    return Refused(t.datagram(magic=b'\0XTR'), t.datagram(magic=b'\0ATS'))


@provokes('frame_version')
def _(t):
    return Refused(t.datagram(version=0), t.datagram(version=2))


@provokes('frame_empty')
def _(t):
    return Refused(t.datagram(events=[]))


@provokes('frame_leaf')
def _(t):
    return Refused(t.datagram(leaf_index=1), t.datagram(leaf_count=0))


@provokes('sequence_wrap')
def _(t):
    return Refused(t.datagram(events=[t.event(), t.event()], first=2**64 - 1))


@provokes('arena_bounds')
def _(t):
    text = plan.note(text='x' * 40)
    return Refused(t.datagram(events=[t.event(type_name='note', payload=text, offset=1)]),
                   t.datagram(events=[t.event(type_name='note', payload=text, length=2**32 - 1)]),
                   t.datagram(events=[t.event(type_name='note', payload=text,
                                              offset=2**32 - 1, length=2**32 - 1)]))


@provokes('unknown_source')
def _(t):
    return Refused(*(_foreign_source(t, number) for number in (0, 999, 2**32 - 1)))


def _foreign_source(t, number):
    frame = t.frame()
    frame.source = number
    return t.seal(frame)[0]


@provokes('unknown_topic')
def _(t):
    return Refused(*(t.datagram(events=[wire.Event(n, 1, plan.reading())])
                     for n in (0, 999, 2**32 - 1)))


@provokes('unknown_type')
def _(t):
    return Refused(*(t.datagram(events=[wire.Event(1, n, plan.reading())])
                     for n in (0, plan.TYPES['document'], 999, 2**32 - 1)),
                   t.envelope(type_name='note', payload={}), t.envelope(type_name='nothing'))


@provokes('payload_length')
def _(t):
    return Refused(t.datagram(events=[t.event(payload=plan.reading() + bytes(13))]),
                   t.datagram(events=[t.event(type_name='note',
                                              payload=plan.note(text='x' * 1001))]))


@provokes('field_range')
def _(t):
    return Refused(*(t.datagram(events=[t.event(payload=p)]) for p in (
        plan.reading(number=0), plan.reading(number=1000001), plan.reading(mag=12.01),
        plan.reading(mag=-5.01))))


@provokes('field_enum')
def _(t):
    return Refused(*(t.datagram(events=[t.event(payload=plan.reading(kind=k))])
                     for k in (0, 4, 255)))


@provokes('field_text')
def _(t):
    return Refused(*(t.datagram(events=[t.event(payload=plan.reading(name=n))])
                     for n in (b'\xff', b'a\x1bb', b'\xc0\x80', b'\xed\xa0\x80')),
                   t.datagram(events=[t.event(type_name='note',
                                              payload=plan.note() + b'\x07' + b'x' * 40)]))


# --- schema: envelopes ---

def text_provocation(name, *texts):
    """Short texts get no reply, as it would be longer; with a long name they do."""
    long = [text.replace(b'"a"', b'"' + b'a' * 100 + b'"')
            .replace(b'"\\u0061"', b'"\\u0061' + b'a' * 99 + b'"')
            for text in texts if b'"a"' in text]

    @provokes(name)
    def _(_):
        return Refused(*texts, *long)


text_provocation('json_syntax', b'{', b'{"a":}', b'{"a":01}', b'{\'a\':1}', b'{"a":1,}')
text_provocation('json_utf8', b'{"a":"\xff"}', b'{"a":"\xc0\xaf"}', b'{"a":"\xed\xa0\x80"}')
text_provocation('json_duplicate_name', b'{"a":1,"a":1}', b'{"a":1,"\\u0061":2}')
text_provocation('json_surrogate', b'{"a":"\\ud800"}', b'{"a":"\\udc00x"}')
text_provocation('json_number', b'{"a":1e999}', b'{"a":9007199254740992}')
text_provocation('json_depth', b'{"a":' + b'[' * 40 + b']' * 40 + b'}')


@provokes('json_size')
def _(_):
    return Refused(b'{"a":[' + b','.join([b'0'] * 4096) + b']}', pcap=True)


text_provocation('json_trailing', b'{"a":1}x', b'{"a":1}{}', b'{"a":1}\0')


def envelope_provocation(name, *changes):
    """Each change makes an otherwise right envelope wrong, and signs what came out."""
    @provokes(name)
    def _(t):
        made = []
        for change in changes:
            value = t.envelope_value()
            change(value)
            signed = json.loads(wire.sign_envelope(value, plan.REALM, plan.envelope_key('alpha')))
            if 'signature' in value:
                signed['signature'] = value['signature']
            made.append(wire.canonical(signed).encode())
        return Refused(*made)


def put(name, value):
    return lambda envelope: envelope['header'].__setitem__(name, value)


envelope_provocation('envelope_member', lambda e: e.pop('payload'), lambda e: e.update(extra=1),
                     lambda e: e['header'].pop('type'), put('more', 1), put('topic', 7),
                     lambda e: e.update(meta=[]), put('version', '1'))
envelope_provocation('envelope_id', put('id', '018f0000-0000-4000-8000-000000000000'),
                     put('id', '018F0000-0000-7000-8000-00000000000A'), put('id', ''))
envelope_provocation('envelope_timestamp', put('timestamp', '2024-02-30T00:00:00Z'),
                     put('timestamp', '2024-01-01T00:00:00+00:00'), put('timestamp', 'now'),
                     put('timestamp', '2024-01-01T00:00:00.10Z'))
envelope_provocation('envelope_version', put('version', 2), put('version', 0))
envelope_provocation('envelope_signature_form', lambda e: e.update(signature='AB' * 64),
                     lambda e: e.update(signature='ab' * 63),
                     lambda e: e.update(signature='zz' * 64))


@provokes('envelope_size')
def _(t):
    spare = plan.ENVELOPE_BYTES - len(t.envelope(payload={'text': ''}))
    return Refused(t.envelope(payload={'text': 'x' * (spare + 32)}))


def payload_provocation(name, *payloads):
    @provokes(name)
    def _(t):
        return Refused(*(t.envelope(payload=payload) for payload in payloads))


payload_provocation('payload_type', {'n': 'x'}, {'n': 1.5}, [1], {'n': 1, 'list': ['x']})
payload_provocation('payload_required', {'mag': 1})
payload_provocation('payload_additional', {'n': 1, 'x': 1})
payload_provocation('payload_enum', {'n': 1, 'kind': 'storm'})
payload_provocation('payload_const', {'n': 1, 'unit': 'mi'})
payload_provocation('payload_range', {'n': -1}, {'n': 1000001}, {'n': 1, 'mag': 12.5})
payload_provocation('payload_multiple', {'n': 1, 'step': 0.3})
payload_provocation('payload_string_length', {'n': 1, 'text': ''},
                    {'n': 1, 'text': '\U0001F30B' * 9})
payload_provocation('payload_pattern', {'n': 1, 'code': 'X1'})
payload_provocation('payload_pattern_limit', {'n': 1, 'slow': 'a' * 60 + '!'})
payload_provocation('payload_items', {'n': 1, 'list': []}, {'n': 1, 'list': [1, 2, 3, 4]})
payload_provocation('payload_unique', {'n': 1, 'list': [1, 2, 1]})
payload_provocation('payload_properties', {'n': 1, 'mag': 1, 'step': 1, 'text': 'x', 'code': 'ab1',
                                           'kind': 'quake', 'unit': 'km'})


# --- canonical ---

@provokes('frame_flags')
def _(t):
    return Refused(t.datagram(flags=1), t.datagram(flags=0x80))


@provokes('frame_reserved')
def _(t):
    return Refused(t.datagram(zeros=bytes(11) + b'\1'), t.datagram(zeros=b'\1' + bytes(11)))


@provokes('packet_flags')
def _(t):
    return Refused(*(t.datagram(events=[t.event(flags=flags)]) for flags in (
        0, wire.INLINE | 1 << 5, wire.INLINE | wire.ENVELOPE, wire.INLINE | 1 << 63)))


@provokes('packet_reserved')
def _(t):
    return Refused(t.datagram(events=[t.event(type_name='note', payload=plan.note(text='x' * 40),
                                              zeros=bytes(27) + b'\1')]))


@provokes('sender_mismatch')
def _(t):
    return Refused(t.datagram(events=[t.event(sender=2)]))


@provokes('arena_layout')
def _(t):
    text = plan.note(text='x' * 40)
    double = [t.event(type_name='note', payload=text), t.event(type_name='note', payload=text,
                                                               offset=0)]
    return Refused(t.datagram(events=[t.event(type_name='note', payload=plan.note(text='x' * 12),
                                              arena=True)]),
                   t.datagram(arena_extra=b'more'), t.datagram(events=double))


@provokes('payload_padding')
def _(t):
    gap, tail = bytearray(plan.reading()), bytearray(plan.reading().ljust(36, b'\0'))
    gap[7], tail[35] = 1, 1
    text = plan.reading(name=b'ab\0c')
    return Refused(*(t.datagram(events=[t.event(payload=bytes(p))]) for p in (gap, tail, text)))


@provokes('envelope_not_canonical')
def _(t):
    good = t.envelope()
    return Refused(good.replace(b'{"header"', b'{ "header"', 1), good + b'\n',
                   good.replace(b'"n":1', b'"n":1.0', 1), good.replace(b'"n"', b'"\\u006e"', 1))


# --- signature ---

@provokes('realm')
def _(t):
    return Refused(t.datagram(realm=plan.REALM ^ 1), t.datagram(realm=0))


@provokes('unknown_key')
def _(t):
    return Refused(t.datagram(key=2), t.datagram(key=0))


@provokes('key_time')
def _(t):
    return Refused(*(t.seal(t.frame('aged', key=n), source='aged', key=n)[0] for n in (1, 2)))


@provokes('bad_proof')
def _(t):
    frames = [t.frame() for _ in range(4)]
    good = t.seal(*frames)
    spoiled = [bytearray(datagram) for datagram in good[1:]]
    spoiled[0][-1] ^= 1  # the proof
    spoiled[1][64 + 16] ^= 1  # a timestamp: the frame leads to another root
    spoiled[2][-33] ^= 0x80  # an earlier node of the proof
    return Refused(*map(bytes, spoiled), first=good[:1])


@provokes('bad_signature')
def _(t):
    flipped = bytearray(t.datagram())
    flipped[-1] ^= 1
    stolen = wire.seal([t.frame()], plan.key('beta'))[0]
    order = 2**252 + 27742317777372353535851937790883648493
    good = t.datagram()
    malleated = good[:-32] + (int.from_bytes(good[-32:], 'little') + order).to_bytes(32, 'little')
    return Refused(bytes(flipped), stolen, malleated, t.envelope(realm=plan.REALM ^ 1),
                   wire.sign_envelope(t.envelope_value(), plan.REALM, plan.envelope_key('beta')))


# --- ruleset ---

@provokes('not_allowed')
def _(t):
    return Refused(t.datagram(events=[t.event('test.closed')]), t.datagram('outcast'),
                   t.envelope(topic='test.closed'), t.envelope(source='outcast'))


@provokes('level')
def _(t):
    return Refused(t.datagram('low', [t.event('test.secret')]))


@provokes('rate_source')
def _(t):
    return Refused(*(t.datagram('slow') for _ in range(4 * plan.SLOW_BURST)), some=True)


@provokes('rate_topic')
def _(t):
    return Refused(*(t.datagram('beta', [t.event('test.slow')])
                     for _ in range(4 * plan.SLOW_BURST)), some=True)


# --- governance: plan.py's governed_document ---

def governing(t, type_name, payload, source='alpha'):
    return t.envelope(source=source, type_name=type_name, payload=payload)


def motion(text, **change):
    """What an approval says of a document that is to replace the plan in force."""
    replaced = wire.canonical(plan.governed_document())
    return {'digest': wire.sha256(text.encode()).hex(),
            'replaces': wire.sha256(replaced.encode()).hex(), 'version': 2, **change}


@provokes('gov_operator')
def _(t):
    return Refused(governing(t, 'plan-approval', motion('x'), 'gamma'),
                   governing(t, 'plan-chunk', plan.chunks('x')[0], 'gamma'))


@provokes('gov_stale')
def _(t):
    return Refused(governing(t, 'plan-approval', motion('x', replaces=64 * '0')),
                   governing(t, 'plan-change', motion('x', version=1, why='no higher version')))


@provokes('gov_chunk')
def _(t):
    chunk, = plan.chunks('a document of no plan')
    first = {**chunk, 'total': 99}
    return Refused(governing(t, 'plan-chunk', {**chunk, 'offset': 1 << 20}),
                   governing(t, 'plan-chunk', {**first, 'offset': 1}),
                   governing(t, 'plan-chunk', {**first, 'bytes': 'AAA'}),
                   first=[governing(t, 'plan-chunk', first)])


@provokes('gov_document')
def _(t):
    chunk, = plan.chunks('{"no":"plan"}')
    return Refused(governing(t, 'plan-change', motion('nowhere', why='not pushed')),
                   governing(t, 'plan-change', motion('{"no":"plan"}', why='no plan')),
                   first=[governing(t, 'plan-chunk', chunk)])


@provokes('gov_approvals')
def _(t):
    text = wire.canonical({**plan.governed_document(), 'version': 2})
    first = [governing(t, 'plan-chunk', chunk) for chunk in plan.chunks(text)]
    first.append(governing(t, 'plan-approval', motion(text)))
    return Refused(governing(t, 'plan-change', motion(text, why='one is not enough')),
                   first=first)


# --- identity ---

@provokes('stale')
def _(t):
    first = t.sequence('delta')
    leap = t.datagram('delta', first=first + plan.MAX_AHEAD - 1)
    old = wire.uuid7(time.time_ns() // 10**6 - 3600_000)
    value = t.envelope_value()
    value['header']['id'] = old
    return Refused(t.datagram('delta', first=first + 1),
                   wire.sign_envelope(value, plan.REALM, plan.envelope_key('alpha')),
                   first=[t.datagram('delta', first=first), leap])


@provokes('ahead')
def _(t):
    value = t.envelope_value()
    value['header']['id'] = wire.uuid7(time.time_ns() // 10**6 + 3600_000)
    start = t.sequence('gamma')
    return Refused(t.datagram('gamma', first=start + 1 + plan.MAX_AHEAD),
                   t.datagram('gamma', first=2**64 - 1),
                   wire.sign_envelope(value, plan.REALM, plan.envelope_key('alpha')),
                   first=[t.datagram('gamma', first=start)])


@provokes('conflict')
def _(t):
    sequence, value = t.sequence('beta'), t.envelope_value()
    other = {**value, 'payload': {'n': 2}}
    sign = lambda v: wire.sign_envelope(v, plan.REALM, plan.envelope_key('alpha'))
    return Refused(t.datagram('beta', [t.event(payload=plan.reading(2))], first=sequence),
                   sign(other), first=[t.datagram('beta', first=sequence), sign(value)])
