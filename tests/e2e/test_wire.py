#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The independent implementation held against reference vectors, against itself, and against the
project's own vectors. A pass means that two pieces of code which share nothing agree."""
import base64
import glob
import json
import os
import random
import struct

import atrwire as wire
from atr_harness import Report, ROOT, case
from packets import Wire, dissect


@case
def jcs_vectors(_):
    """Invariant: RFC 8785 output equals the reference bytes."""
    for path in glob.glob(f'{ROOT}/tests/vectors/jcs/input/*.json'):
        value = json.load(open(path, encoding='utf-8'))
        expected = open(path.replace('/input/', '/output/'), encoding='utf-8').read()
        assert wire.canonical(value) == expected.rstrip('\n'), path


@case
def numbers(_):
    """Invariant: numbers take ECMAScript's form (RFC 8785, appendix B)."""
    for bits, text in ((0x0000000000000001, '5e-324'), (0x8000000000000000, '0'),
                       (0x7FEFFFFFFFFFFFFF, '1.7976931348623157e+308'),
                       (0x4340000000000000, '9007199254740992'), (0x444B1AE4D6E2EF50, '1e+21'),
                       (0x444B1AE4D6E2EF4F, '999999999999999900000'),
                       (0x3EB0C6F7A0B5ED8D, '0.000001'),
                       (0x3EB0C6F7A0B5ED8C, '9.999999999999997e-7'),
                       (0x41B3DE4355555553, '333333333.3333332'), (0xBECBF647612F3696,
                                                                   '-0.0000033333333333333333')):
        assert wire.number(struct.unpack('>d', bits.to_bytes(8, 'big'))[0]) == text, text


@case
def merkle_vectors(_):
    """Invariant: a path is accepted exactly when the reference verifier accepts it."""
    cases = json.load(open(f'{ROOT}/tests/vectors/merkle/inclusion.json'))
    assert len(cases) > 10
    for one in cases:
        decode = lambda text: base64.b64decode(text or '')
        index, size = one['leafIdx'], one['treeSize']
        root = None
        if 0 <= index < size and len(decode(one['leafHash'])) == len(decode(one['root'])) == 32:
            root = wire.root_from_path(index, size, decode(one['leafHash']),
                                       [decode(p) for p in one['proof'] or []])
        assert (root is None or root != decode(one['root'])) == one['wantErr'], one['desc']


@case
def frames_open_again(_):
    """Invariant: every frame of a tree of any size verifies alone."""
    key, rng = wire.Key('wire test'), random.Random(1)
    for size in (1, 2, 3, 7, 8, 9, 31, 64):
        events = [wire.Event(1, 1, rng.randbytes(rng.choice((4, 36, 37, 300)))) for _ in range(3)]
        frames = [wire.Frame(7, 1, key, 1 + 3 * i, events) for i in range(size)]
        for number, datagram in enumerate(wire.seal(frames, key)):
            opened = wire.open_frame(datagram, key.signer.verify_key)
            assert opened['first'] == 1 + 3 * number and opened['leaf_count'] == size
            assert len(opened['packets']) == 3


@case
def packets_read_back(_):
    """Invariant: what packets.py writes it reads, with both checksums right."""
    for vlan in (None, 77):
        link = Wire('02:00:00:00:00:01', '10.77.0.1', 26400, vlan=vlan)
        for size in (0, 1, 2, 3, 1471):
            got = dissect(link.datagram(bytes(range(256))[:1] * size))
            assert got['ip_ok'] and got['udp_ok'] and got['length_ok'] and got['vlan'] == vlan
            assert len(got['payload']) == size and got['dst_port'] == 26400


def rebuilt(vectors, tree):
    """Datagrams of a tree of the project's vectors, built again from its events and the seed."""
    source = vectors['source']
    key = wire.Key('', source['key'])
    key.signer = wire.SigningKey(bytes.fromhex(source['seed']))
    frames = []
    for one in tree['frames']:
        events = [wire.Event(e['topic_id'], e['type_id'], bytes.fromhex(e['payload']),
                             int(e['timestamp_ns']), e['priority']) for e in one['events']]
        frames.append(wire.Frame(int(vectors['realm']), source['id'], key,
                                 int(one['first_sequence']), events, int(one['timestamp_ns'])))
    return wire.seal(frames, key)


@case
def project_vectors(_):
    """Invariant: from the events alone, this code makes the very bytes that the C code made."""
    vectors = json.load(open(f'{ROOT}/tests/vectors/wire.json', encoding='utf-8'))
    for tree in vectors['tree'], vectors['single']:
        wanted = [bytes.fromhex(frame['datagram']) for frame in tree['frames']]
        assert rebuilt(vectors, tree) == wanted
        public = wire.SigningKey(bytes.fromhex(vectors['source']['seed'])).verify_key
        for datagram in wanted:
            assert wire.open_frame(datagram, public)['root'].hex() == tree['root']
    envelope = bytes.fromhex(vectors['envelope']['datagram'])
    value = json.loads(envelope)
    signer = wire.Key('', 1)
    signer.signer = wire.SigningKey(bytes.fromhex(vectors['source']['seed']))
    assert wire.sign_envelope(value, int(vectors['realm']), signer) == envelope
    mold = vectors['mold']
    session, sequence, count, messages = wire.mold_packet(bytes.fromhex(mold['packet']))
    assert wire.mold_session(session) == (mold['feed'], mold['shard'], mold['epoch'])
    events = [wire.mold_event(message) for message in messages]
    assert sequence == int(mold['sequence']) and count == len(events) == 3
    assert events[2]['envelope'] == value and not events[0]['envelope']
    assert wire.mold_packet(bytes.fromhex(mold['heartbeat']))[2] == wire.HEARTBEAT
    assert wire.mold_packet(bytes.fromhex(mold['end_of_session']))[2] == wire.END


if __name__ == '__main__':
    assert os.path.isdir(ROOT)
    Report.main()
