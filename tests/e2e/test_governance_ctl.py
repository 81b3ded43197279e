#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# release only
"""Drives 'atrctl governance' as an operator would, without a running appliance: proposals,
approvals, pushing, differences. test_governance_past.py has what reads logs."""
import base64
import hashlib
import json

import atrwire as wire
import plan
from atrctl_lab import main, run
from governance_lab import Answering, GovernanceLab, envelope_key

COMMANDS = ('propose', 'approve', 'push', 'diff', 'log', 'show', 'rehearse')


def add_source(document):
    key = frame_public(document)
    document['sources'].append({'id': 5, 'name': 'attic', 'role': 'sensors', 'keys': [
        {'id': 1, 'use': 'frames', 'public': key}]})


def frame_public(document):
    return document['sources'][3]['keys'][0]['public']


class Help(GovernanceLab):
    """Invariant: every command teaches, and says what is wrong, without doing anything."""

    def test_every_command_teaches(self):
        for command in COMMANDS:
            text = self.govern(command, '--help').stdout.decode()
            for part in (f'usage: atrctl governance {command}', 'options:', 'examples:',
                         'exit status', f'atrctl governance {command} '):
                self.assertIn(part, text, command)
            self.assertLess(max(map(len, text.splitlines())), 110, command)
            self.assertIn(command, self.govern('--help').stdout.decode())
            done = self.govern(command, '--nonsense', status=2)
            self.assertIn(b'--nonsense', done.stderr)
            self.govern(command, status=2)

    def test_missing_files_are_named(self):
        nowhere = self.path('nowhere')
        for args in (('diff', nowhere, self.old), ('diff', self.old, nowhere),
                     ('push', '--to', '127.0.0.1:9', nowhere), ('log', '--log', nowhere),
                     ('show', '--log', nowhere),
                     ('rehearse', '--plan', self.old, '--log', nowhere),
                     ('approve', '--proposal', nowhere, '--source', 'op-a', '--key', 'k', '--out',
                      self.path('o'))):
            done = self.govern(*args, status=2)
            self.assertIn(b'nowhere', done.stderr)
            self.assertEqual(done.stderr.count(b'\n'), 1, done.stderr)


class Diff(GovernanceLab):
    """Invariant: every difference of two plans is told once, by name, and nothing else."""

    def changes(self, change, status=0):
        found = self.json('diff', self.old, self.changed(change=change), status=status)
        self.assertIn({'member': 'version', 'old': 1, 'new': 2}, found['changes'][0]['members'])
        return found, found['changes'][1:]

    def test_same(self):
        found = self.json('diff', self.old, self.old, status=1)  # its version is not above
        self.assertEqual((found['changes'], found['summary']), ([], {}))
        self.assertIn('version', found['why_not'])

    def test_sources_keys_limits(self):
        def change(document):
            add_source(document)
            sensor = document['sources'][3]
            sensor['rate'] = {'per_second': 5, 'burst': 5}
            sensor['level'] = 2
            sensor['keys'].pop(1)
            sensor['keys'][0]['not_after'] = '2027-01-01T00:00:00Z'
            sensor['keys'].append({'id': 9, 'use': 'envelopes',
                                   'public': wire.Key('another').public.hex()})
        found, changes = self.changes(change)
        self.assertTrue(found['may_follow'])
        told = {(c['what'], c.get('id', c.get('name')), c['change']) for c in changes}
        self.assertEqual(told, {('source', 5, 'added'), ('source', 4, 'changed'),
                                ('limit', 'sensor', 'added'), ('key', 1, 'changed'),
                                ('key', 2, 'removed'), ('key', 9, 'added')})
        self.assertEqual(found['summary']['key'], {'added': 1, 'removed': 1, 'changed': 1})
        text = self.govern('diff', self.old, self.path('new.json')).stdout.decode()
        for line in ("+ source 'attic' (5)", "- key 2 of source 'sensor'",
                     "+ limit of source 'sensor'", 'level: not given -> 2'):
            self.assertIn(line, text)

    def test_rules_topics_types_feeds_governance(self):
        def change(document):
            document['rules'][0]['feeds'] = ['all', 'governance']
            document['rules'][2]['name'] = 'told'
            document['topics'].append({'id': 3, 'name': 'reading.attic'})
            document['types'].append({'id': 9, 'name': 'note', 'json': {'type': 'object'}})
            document['feeds'][1]['destinations'] = []
            document['governance']['approvals'] = 3
            document['ingress']['envelope_bytes'] = 1400
        _, changes = self.changes(change)
        told = {(c['what'], c.get('name'), c['change']) for c in changes}
        self.assertEqual(told, {
            ('rule', 'sensors report', 'changed'), ('rule', 'told', 'added'),
            ('rule', 'changes are told', 'removed'), ('topic', 'reading.attic', 'added'),
            ('type', 'note', 'added'), ('feed', 'governance', 'changed'),
            ('governance', None, 'changed')})
        rule = next(c for c in changes if c.get('name') == 'sensors report')
        self.assertEqual(rule['members'], [{'member': 'feeds', 'added': ['governance'],
                                            'removed': []}])

    def test_rules_of_one_name(self):
        """Rules may share a name: each counts."""
        def change(document):
            document['rules'].append(dict(document['rules'][0], feeds=['governance']))
        _, changes = self.changes(change)
        self.assertEqual([(c['name'], c['change']) for c in changes], [('sensors report', 'added')])

    def test_incompatible_is_said(self):
        def change(document):
            document['sources'][3]['name'] = 'sensors'
            document['rules'][0]['roles'] = ['sensors']
        found, _ = self.changes(change, status=1)
        self.assertFalse(found['may_follow'])
        self.assertIn('sources[3].name', found['why_not'])

    def test_names_cannot_steer_a_terminal(self):
        def change(document):
            document['types'][0]['json']['title'] = '\x1b[2J\u202e'
        text = self.govern('diff', self.old, self.changed(change=change), status=1)
        self.assertNotIn(b'\x1b', text.stdout + text.stderr)


class Propose(GovernanceLab):
    """Invariant: what is proposed passes the gates of the plan in force, and is the document."""

    def test_envelopes(self):
        new = self.changed(change=add_source)
        report = json.loads(self.propose(new, 'proposal.jsonl', '--json').stdout)
        envelopes = [json.loads(line) for line in self.lines('proposal.jsonl')]
        *chunks, change = [e['payload'] for e in envelopes]
        with open(new, encoding='utf-8') as file:
            text = wire.canonical(json.load(file)).encode()
        digest = hashlib.sha256(text).hexdigest()
        self.assertEqual(b''.join(base64.b64decode(c['bytes'], validate=True) for c in chunks),
                         text)
        self.assertEqual([c['offset'] for c in chunks],
                         [sum(len(base64.b64decode(c['bytes'])) for c in chunks[:i])
                          for i in range(len(chunks))])
        self.assertEqual({(c['digest'], c['total']) for c in chunks}, {(digest, len(text))})
        old = hashlib.sha256(wire.canonical(self.document).encode()).hexdigest()
        self.assertEqual(change, {'digest': digest, 'replaces': old, 'version': 2,
                                  'why': 'a reason'})
        self.assertEqual((report['plan']['digest'], report['replaces'], report['chunks'],
                          report['approvals']), (digest, old, len(chunks), 2))
        run('verify', '--plan', self.old, stdin=self.read('proposal.jsonl'))
        self.assertLessEqual(max(map(len, self.lines('proposal.jsonl'))), 1280)
        for envelope in envelopes:
            signed = wire.sign_envelope(envelope, plan.REALM, envelope_key('op-a'))
            self.assertEqual(signed, wire.canonical(envelope).encode())

    def test_large_chunks_where_the_path_allows(self):
        self.document['ingress']['envelope_bytes'] = 8000
        self.old = self.write_plan('plan.json', self.document)
        new = self.changed(change=add_source)
        for mtu, most in (('9000', 8000), ('1500', 1472), ('600', 572)):
            self.propose(new, f'{mtu}.jsonl', '--mtu', mtu)
            longest = max(map(len, self.lines(f'{mtu}.jsonl')))
            self.assertLessEqual(longest, most)
            self.assertGreater(longest, min(most, 3400) - 30)

    def test_by_digest_and_change_only(self):
        new = self.changed(change=add_source)
        digest = hashlib.sha256(wire.canonical(self.document).encode()).hexdigest()
        done = self.govern('propose', '--plan', new, '--replaces', digest, '--source', 'op-b',
                           '--key', self.path('op-b.key'), '--why', 'w' * 500, '--out',
                           self.path('p'), '--change-only')
        self.assertIn(b'unknown: only the digest', done.stdout)
        line, = self.lines('p')
        self.assertEqual(json.loads(line)['payload']['replaces'], digest)

    def refused(self, *args, said, status, **kwargs):
        done = self.propose(*args, status=status, **kwargs)
        self.assertIn(said, done.stderr.decode())
        self.assertEqual(done.stdout, b'')
        self.assertRaises(FileNotFoundError, self.read, 'proposal.jsonl')

    def test_refused(self):
        good = self.changed(change=add_source)
        self.refused(good, said='no operator', status=2, source='sensor')
        self.refused(self.old, said='version', status=1)
        self.refused(self.changed(change=lambda d: d.update(realm='0' * 16)), said='realm',
                     status=1)
        self.refused(self.changed(change=lambda d: d.update(nonsense=1)), said='nonsense',
                     status=2)
        good = self.changed(change=add_source)
        self.refused(good, 'proposal.jsonl', '--why', 'w' * 501, said='maxLength', status=1)
        self.refused(good, 'proposal.jsonl', '--why', '', said='--why', status=2)
        self.propose(good)
        before = self.read('proposal.jsonl')
        self.assertIn(b'nothing is overwritten', self.propose(good, status=2).stderr)
        self.assertEqual(self.read('proposal.jsonl'), before)

    def test_no_governance_no_rule(self):
        good = self.changed(change=add_source)
        self.document['rules'][1]['types'] = ['plan-chunk']
        self.document['rules'].pop()
        self.old = self.write_plan('plan.json', self.document)
        self.refused(good, said='no rule', status=2)
        del self.document['governance']
        self.document['types'] = self.document['types'][:1]
        self.document['rules'] = self.document['rules'][:1]
        self.old = self.write_plan('plan.json', self.document)
        self.refused(good, said='nobody can change it', status=2)

    def test_warns_of_the_last_change(self):
        def change(document):
            del document['governance']
            document['types'] = document['types'][:1]
            document['rules'] = document['rules'][:1]
        done = self.propose(self.changed(change=change))
        self.assertIn(b'warning', done.stderr)


class Approve(GovernanceLab):
    """Invariant: an approval is over what was shown, and nothing that could not come is signed."""

    def setUp(self):
        super().setUp()
        self.propose(self.changed(change=add_source))
        self.change = json.loads(self.lines('proposal.jsonl')[-1])['payload']

    def test_approval(self):
        shown = self.approve('op-b').stdout.decode()
        for part in ("+ source 'attic' (5)", self.change['digest'], 'a reason', 'compiles'):
            self.assertIn(part, shown)
        line, = self.lines('op-b.jsonl')
        approval = json.loads(line)
        self.assertEqual(approval['payload'],
                         {name: self.change[name] for name in ('digest', 'replaces', 'version')})
        self.assertEqual(wire.sign_envelope(approval, plan.REALM, envelope_key('op-b')), line)
        run('verify', '--plan', self.old, stdin=line + b'\n')
        self.assertIn(b'nothing is overwritten', self.approve('op-b', status=2).stderr)

    def test_by_digest(self):
        args = ('approve', '--digest', self.change['digest'], '--replaces',
                self.change['replaces'], '--version', 2, '--source', 'op-c', '--key',
                self.path('op-c.key'), '--out', self.path('c'))
        self.assertIn(b'--plan OLD', self.govern(*args, status=2).stderr)
        found = self.json(*args, '--plan', self.old)
        self.assertFalse(found['document'])
        self.assertEqual(json.loads(self.lines('c')[0])['payload']['version'], 2)
        self.govern(*args[:-1], self.path('d'), '--plan', self.path('new.json'), status=1)

    def altered(self, said, status, change):
        lines = [json.loads(line) for line in self.lines('proposal.jsonl')]
        change(lines)
        with open(self.path('altered.jsonl'), 'wb') as file:
            for value in lines:
                if isinstance(value, dict):
                    value = wire.sign_envelope(value, plan.REALM, envelope_key('op-a'))
                file.write(value + b'\n')
        done = self.approve('op-b', 'altered.jsonl', status=status)
        self.assertIn(said, done.stderr.decode())
        self.assertRaises(FileNotFoundError, self.read, 'op-b.jsonl')

    def test_altered_proposals(self):
        def version(lines):
            lines[-1]['payload']['version'] = 3

        def replaces(lines):
            lines[-1]['payload']['replaces'] = 'ab' * 32

        def digest(lines):
            for line in lines:
                line['payload']['digest'] = 'cd' * 32

        def byte(lines):
            bad = bytearray(base64.b64decode(lines[0]['payload']['bytes']))
            bad[20] ^= 1
            lines[0]['payload']['bytes'] = base64.b64encode(bad).decode()

        self.altered('version 3', 1, version)
        self.altered('replaces another plan', 1, replaces)
        self.altered('another digest', 1, digest)
        self.altered('another digest', 1, byte)
        self.altered('not whole', 1, lambda lines: lines.pop(0))
        self.altered('holds no change', 2, lambda lines: lines.pop())
        self.altered('second change', 2, lambda lines: lines.append(lines[-1]))
        self.altered('line 1: ', 2, lambda lines: lines.insert(0, b'{"a":1}'))
        self.altered('line 1: ', 2, lambda lines: lines.insert(0, b'\x1b[2J' + bytes(9000)))
        self.altered('reaches beyond', 2,
                     lambda lines: lines[0]['payload'].update(offset=10**6))
        self.altered('malformed', 2, lambda lines: lines[0]['payload'].update(total=2.5))
        self.altered('malformed', 2, lambda lines: lines[0]['payload'].update(bytes='===='))
        self.altered('another document', 2,
                     lambda lines: lines[1]['payload'].update(total=10**6))
        self.altered('contradicts', 2, lambda lines: lines[1]['payload'].update(offset=0))

    def test_forged_proposer(self):
        change = json.loads(self.lines('proposal.jsonl')[-1])
        forged = wire.sign_envelope(change, plan.REALM, envelope_key('sensor'))
        self.altered('not signed', 1, lambda lines: lines.__setitem__(-1, forged))


class Push(GovernanceLab):
    """Invariant: chunks, then approvals, then the change; 0 only if that was admitted; every
    refusal is named."""

    def setUp(self):
        super().setUp()
        self.propose(self.changed(change=add_source))
        self.approve('op-b')
        self.approve('op-c')
        self.files = [self.path(f'{name}.jsonl') for name in ('op-c', 'proposal', 'op-b')]
        self.chunks = len(self.lines('proposal.jsonl')) - 1

    def push(self, verdict, *more, files=None, status=0):
        with Answering(verdict) as appliance:
            done = self.govern('push', '--to', appliance.to, '--wait', 40, '--json', *more,
                               *(files or self.files), status=status)
        return json.loads(done.stdout), appliance

    def test_order(self):
        report, appliance = self.push(lambda *_: 'admitted')
        self.assertEqual(appliance.order, ['plan-chunk'] * self.chunks + ['plan-approval'] * 2 +
                         ['plan-change'])
        self.assertEqual((report['change'], report['admitted'], report['durability']),
                         ('admitted', self.chunks + 3, 'commit'))

    def test_lost_and_again(self):
        report, appliance = self.push(lambda _, times: 'admitted' if times > 1 else None)
        self.assertEqual(set(appliance.seen.values()), {2})
        self.assertEqual((report['change'], report['sent_again']), ('admitted', self.chunks + 3))
        report, _ = self.push(lambda *_: 'duplicate')
        self.assertEqual(report['change'], 'duplicate')

    def test_refusals_are_named(self):
        def verdict(envelope, _):
            return 'gov_approvals' if 'why' in envelope['payload'] else 'admitted'
        report, appliance = self.push(verdict, status=1)
        refusal, = report['refusals']
        self.assertEqual((report['change'], refusal['reason'], refusal['what'], refusal['gate'],
                          refusal['line']),
                         ('refused', 'gov_approvals', 'change', 'ruleset', self.chunks + 1))
        self.assertIn('fewer operators', refusal['text'])
        self.assertEqual(set(appliance.seen.values()), {1})
        with Answering(verdict) as appliance:
            done = self.govern('push', '--to', appliance.to, *self.files, status=1)
        self.assertIn(b'gov_approvals', done.stderr)
        self.assertIn(b'missing approvals', done.stderr)
        self.assertIn(b'change: refused', done.stdout)

    def test_an_approval_refused_does_not_stop_it(self):
        def verdict(envelope, _):
            return 'gov_operator' if envelope['header']['source'] == 'op-c' else 'admitted'
        report, _ = self.push(verdict)
        self.assertEqual((report['change'], report['refused']), ('admitted', 1))

    def test_nothing_behind_a_missing_chunk(self):
        for said in ('gov_chunk', None):
            report, appliance = self.push(
                lambda e, _, said=said: said if e['payload'].get('offset') == 0 else 'admitted',
                '--retries', 1, status=1)
            self.assertEqual(set(appliance.order), {'plan-chunk'})
            self.assertEqual(report['change'], 'not sent')
            self.assertEqual(report['refused'] + report['unanswered'], 1)

    def test_parts(self):
        files = [self.path('op-b.jsonl')]
        report, _ = self.push(lambda *_: 'admitted', '--parts', files=files)
        self.assertEqual((report['change'], report['admitted']), ('none', 1))
        self.push(lambda *_: 'gov_stale', '--parts', files=files, status=1)
        for args in ((files, ()), (self.files, ('--parts',))):
            done = self.govern('push', '--to', '127.0.0.1:9', *args[0], *args[1], status=2)
            self.assertIn(b'--parts', done.stderr)

    def test_files_that_do_not_belong_together(self):
        self.propose(self.changed('other.json', version=3), 'other.jsonl')
        for files, said in (
                ([*self.files, self.path('other.jsonl')], 'another'),
                ([self.path('op-b.jsonl'), self.path('other.jsonl')], 'something else'),
                ([self.old], 'line 1: '), (['/dev/null'], 'no file')):
            done = self.govern('push', '--to', '127.0.0.1:9', *files, status=2)
            self.assertIn(said, done.stderr.decode())

    def test_hostile_replies(self):
        """What is no reply to an envelope under way is passed over."""
        with Answering(lambda *_: 'admitted') as appliance:
            send = appliance.socket.sendto

            class Noisy:
                def sendto(self, data, to):
                    for bad in (b'', b'{', b'\xff' * 100, data[:-1], b'[]',
                                data.replace(b'"admitted"', b'"refused"'),
                                data.replace(b'"atr":1', b'"atr":2')):
                        send(bad, to)
                    send(data, to)

                def __getattr__(self, name):
                    return getattr(appliance_socket, name)
            appliance_socket, appliance.socket = appliance.socket, Noisy()
            report = self.json('push', '--to', appliance.to, *self.files)
        self.assertEqual((report['change'], report['refused']), ('admitted', 0))


main()
