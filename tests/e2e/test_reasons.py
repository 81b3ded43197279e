#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# needs root: a namespace with a veth pair
"""Every reason code, provoked in the running appliance: it shows in the counters, in the comment of
the packet in the pcapng file, in the audit and, for envelopes, in the reply."""
import glob
import json
import re

import plan
import provoke
import scenarios
from atr_harness import CASES, ROOT, Report, case, wait_for
from lab import VethLab, exists
from packets import dissect, pcapng_comments

DECLARED = re.findall(r'^ATR_REASON\((\d+), \w+, (\w+), (\w+), (\w+)',
                      open(f'{ROOT}/lib/reason/reason.def', encoding='utf-8').read(), re.M)
FINAL = {name: final == 'FINAL' for _, name, _, final in DECLARED}
GATE = {name: gate.lower() for _, name, gate, _ in DECLARED}


def laboratory():
    exists()
    return VethLab(value=plan.document(envelope_bytes=plan.ENVELOPE_BYTES_JUMBO), mtu=9000)


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


def quarantined(lab, name, payloads):
    """All payloads are in the pcapng file with this reason in their comment, and in the audit."""
    found = [comment for path in glob.glob(f'{lab.atr.quarantine}/*.pcapng')
             for packet, comment in pcapng_comments(path) if any(p in packet for p in payloads)]
    audit = [line for line in lab.atr.audit() if name in json.dumps(line)]
    return (len(found) >= len(payloads) and audit and
            sum(bool(re.search(rf'\b{name}\b', comment or '')) for comment in found)
            >= len(payloads))


def provoke_one(name, lab):
    """Invariant: exactly this reason is counted, once for each datagram."""
    refused = provoke.PROVOCATIONS[name](lab.traffic)
    if refused.first:
        lab.send(refused.first)
        lab.settle()
    lab.replies(len(refused.first), 0.1)
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
                 lambda: quarantined(lab, name, [p for p in payloads if len(p) > 3]), 5)
    envelopes = [p for p in payloads if p.startswith(b'{"header"') and p.endswith(b'}')
                 and has_id(p)]
    if envelopes and not refused.some:
        replies = [r for r in lab.replies(len(envelopes)) if r['result'] == 'refused']
        assert len(replies) == len(envelopes), f'{len(replies)} replies to {len(envelopes)}'
        for reply in replies:
            assert reply['reason'] == name and reply['final'] == FINAL[name], reply
            assert reply['gate'] == GATE[name], reply


def has_id(datagram):
    """Only what parses as an envelope with a well-formed id is answered."""
    try:
        value = json.loads(datagram)
        return bool(re.fullmatch(r'[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-'
                                 r'[0-9a-f]{12}', value['header']['id']))
    except (ValueError, KeyError, TypeError):
        return False


def add_cases():
    for name in provoke.PROVOCATIONS:
        def one(lab, name=name):
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
    assert dissect(lab.link.datagram(b'x'))['udp_ok']


if __name__ == '__main__':
    add_cases()
    Report.main(laboratory)
