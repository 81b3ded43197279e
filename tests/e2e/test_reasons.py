#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# needs root: a namespace with a veth pair
"""Every reason code, provoked in the running appliance: it shows in the counters, in the comment of
the packet in the pcapng file, in the audit and, for envelopes, in the reply."""
import glob
import json
import re

import atrwire as wire
import plan
import provoke
import provoke_governance
import scenarios
from atr_harness import CASES, ROOT, Report, case, wait_for
from lab import PcapLab, VethLab, exists, wires
from packets import dissect, pcapng_comments

DECLARED = re.findall(r'^ATR_REASON\((\d+), \w+, (\w+), (\w+), (\w+)',
                      open(f'{ROOT}/lib/reason/reason.def', encoding='utf-8').read(), re.M)
FINAL = {name: final == 'FINAL' for _, name, _, final in DECLARED}
assert provoke_governance.motion  # its provocations are among provoke's
UUID7 = re.compile(r'[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}')
GATE = {name: gate.lower() for _, name, gate, _ in DECLARED}


def laboratory():
    exists()
    return VethLab(value=plan.governed_document())


@case
def every_reason_has_a_provocation(_):
    """Invariant: no reason is declared that the tests below do not provoke."""
    names = {name for _, name, _, _ in DECLARED}
    assert len(names) == len(DECLARED) and len(names) > 60
    provoked = {*provoke.PROVOCATIONS, *scenarios.SCENARIOS}
    assert not names - provoked, f'never provoked: {sorted(names - provoked)}'
    assert not provoked - names, f'not declared: {sorted(provoked - names)}'


def counters(lab):
    return {name: entry['datagrams'] for name, entry in lab.atr.reasons().items()}


def change(before, after):
    return {name: after[name] - before.get(name, 0) for name in after
            if after[name] != before.get(name, 0)}


def quarantined(atr, name, payloads):
    """All payloads are in the pcapng file with this reason in their comment, and in the audit."""
    found = [comment for path in glob.glob(f'{atr.quarantine}/*.pcapng')
             for packet, comment in pcapng_comments(path) if any(p in packet for p in payloads)]
    audit = [line for line in atr.audit() if name in json.dumps(line)]
    return (len(found) >= len(payloads) and audit and
            sum(bool(re.search(rf'\b{name}\b', comment or '')) for comment in found)
            >= len(payloads))


def provoke_one(name, lab):
    """Invariant: exactly this reason is counted, once for each datagram."""
    refused = provoke.PROVOCATIONS[name](lab.traffic)
    if refused.first:
        lab.send(refused.first)
        lab.settle()
    lab.replies(len(refused.first), 0.3)
    before, admitted = counters(lab), lab.atr.ledger()['datagrams']['admitted']
    lab.send(refused, packed=refused.packets)
    books = lab.settle()
    difference = change(before, counters(lab))
    if refused.some:
        assert set(difference) == {name}, difference
        assert books['datagrams']['admitted'] > admitted, 'some should have been admitted'
    else:
        assert difference == {name: len(refused)}, difference
        assert books['datagrams']['admitted'] == admitted
    payloads = list(refused)
    if refused.packets:
        payloads = [packet[14:] for packet in refused]
    if not refused.some:
        wait_for(f'pcapng and audit to show {name}',
                 lambda: quarantined(lab.atr, name, [p for p in payloads if len(p) > 3]), 5)
    if not refused.some:
        check_replies(name, payloads, lab.replies(sum(answered(name, p) for p in payloads)))
    assert not lab.replies(1, 0.05), 'a reply too many'


def identity(datagram):
    """The well-formed id of an envelope; None when none can be read."""
    try:
        value = json.loads(datagram)['header']['id']
        return value if UUID7.fullmatch(value) else None
    except (ValueError, KeyError, TypeError):
        return None


def refusal(name, uuid):
    return {'atr': 1, 'final': FINAL[name], 'gate': GATE[name], 'id': uuid, 'reason': name,
            'result': 'refused'}


def answered(name, datagram):
    """Is there a reply? Not to frames, and never a longer one than the datagram."""
    reply = wire.canonical(refusal(name, identity(datagram)))
    return datagram[:1] == b'{' and len(reply) <= len(datagram)


def check_replies(name, payloads, replies):
    """Invariant: each envelope has its reply, with its id if that could be read."""
    expected = [refusal(name, identity(p)) for p in payloads if answered(name, p)]
    assert len(replies) == len(expected), f'{len(replies)} replies to {len(expected)}: {replies}'
    for reply, wanted in zip(replies, expected):
        # What comes before the id is read decides whether a wrong envelope has one.
        if GATE[name] == 'schema' and reply['id'] is None:
            wanted = {**wanted, 'id': None}
        assert reply == wanted, (reply, wanted)


def provoke_in_capture(name):
    """Invariant: as provoke_one, through net_pcap with an MTU of 9,000."""
    link = wires()
    refused = provoke.PROVOCATIONS[name](provoke.Traffic(link))
    value = plan.document(envelope_bytes=plan.ENVELOPE_BYTES_JUMBO)
    content = refused if refused.packets else [link.datagram(d) for d in refused]
    with PcapLab([content], ['--mtu', 9000], value) as lab:
        lab.finish(len(refused))
        counts = {n: entry['datagrams'] for n, entry in lab.reasons.items() if entry['datagrams']}
        assert counts == {name: len(refused)}, counts
        payloads = [p[14:] for p in refused] if refused.packets else refused
        assert quarantined(lab.atr, name, payloads), 'not in pcapng and audit'
        check_replies(name, payloads, lab.replies())


def add_cases():
    for name in provoke.PROVOCATIONS:
        def one(lab, name=name):
            if provoke.PROVOCATIONS[name](provoke.Traffic(lab.link)).pcap:
                provoke_in_capture(name)
            else:
                provoke_one(name, lab)
        one.__name__ = name
        CASES.append(one)


@case
def valid_traffic_first(lab):
    """Invariant: what is right is admitted, so that what is refused below is refused for cause."""
    for source in plan.SOURCES:
        if source not in ('outcast', 'aged', 'slow'):
            lab.send([lab.traffic.datagram(source)])
    lab.send([lab.traffic.envelope()])
    books = lab.settle()
    assert books['datagrams']['admitted'] == lab.sent, (books, lab.atr.reasons())
    assert [reply['result'] for reply in lab.replies(1)] == ['admitted']
    assert dissect(lab.link.datagram(b'x'))['udp_ok']


if __name__ == '__main__':
    add_cases()
    Report.main(laboratory)
