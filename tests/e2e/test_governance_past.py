#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# release only
"""'atrctl governance log', 'show' and 'rehearse' over logs that are written here, byte by byte from
docs/log-format.md, with envelopes that 'atrctl governance' made."""
import copy
import hashlib
import json
import os

import atrwire as wire
import classd_forge as forge
from atrctl_lab import main
from governance_lab import (APPROVAL, CELLAR, CHANGE, GOVERNANCE, READING, SENSOR, GovernanceLab,
                            GovernedLog, frame, frame_key, sensor_envelope)


def second(document):
    """What version 2 changes: a limit, and a topic."""
    document['sources'][SENSOR - 1]['rate'] = {'per_second': 7, 'burst': 9}
    document['topics'].append({'id': 3, 'name': 'reading.attic'})


class Past(GovernanceLab):
    """A log: a plan, readings, two approvals and a change, the next plan, readings."""

    def setUp(self):
        super().setUp()
        self.new = self.changed(change=second)
        with open(self.new, encoding='utf-8') as file:
            self.second = json.load(file)
        self.propose(self.new)
        for name in ('op-b', 'op-c'):
            self.approve(name)
        self.log = os.path.join(self.folder, 'log')
        self.make().write(self.log)

    def make(self, second_plan=True):
        log = GovernedLog(self.document)
        # The last event was not admitted, and no plan would say why: a duplicate.
        log.put(0, forge.frame_record(frame(1, [20.0, 21.5, 1.0]), 0b011))
        log.put(1, forge.frame_record(frame(4, [30.0, 999.0])))
        log.put(0, forge.envelope_record(sensor_envelope(40.5, 1), SENSOR, CELLAR, READING, 0b01))
        log.put(1, self.motion('op-b.jsonl', 2, APPROVAL))
        log.put(0, self.motion('op-c.jsonl', 3, APPROVAL), self.motion('op-c.jsonl', 3, APPROVAL))
        log.put(1, self.motion('proposal.jsonl', 1, CHANGE))
        if second_plan:
            log.put_plan(self.second)
        log.put(0, forge.frame_record(frame(10, [50.0])))
        return log

    def motion(self, name, source, type_id):
        """The last envelope of a file, as the log has it."""
        return forge.envelope_record(self.lines(name)[-1], source, GOVERNANCE, type_id, 0b10)

    def rehearse(self, change=lambda document: None, *more, version=3):
        """Rehearses the second plan with a change; the report."""
        document = copy.deepcopy(self.second)
        document['version'] = version
        change(document)
        return self.json('rehearse', '--plan', self.write_plan('third.json', document), '--log',
                         self.log, *more)


class Log(Past):
    """Invariant: each plan is told with its change, reason and approvals, wherever these lie."""

    def test_plans(self):
        found = self.json('log', '--log', self.log)
        first, then = found['plans']
        digests = [hashlib.sha256(wire.canonical(d).encode()).hexdigest()
                   for d in (self.document, self.second)]
        self.assertEqual([(p['generation'], p['version'], p['digest']) for p in found['plans']],
                         [(1, 1, digests[0]), (2, 2, digests[1])])
        self.assertEqual((first['change'], first['approvals'], first['difference']),
                         (None, [], None))
        self.assertEqual((then['change']['source'], then['change']['why'],
                          then['change']['shard']), ('op-a', 'a reason', 1))
        self.assertEqual([(a['source'], a['shard']) for a in then['approvals']],
                         [('op-c', 0), ('op-b', 1)])
        self.assertEqual(then['difference'], {
            'plan': {'added': 0, 'removed': 0, 'changed': 1},
            'limit': {'added': 1, 'removed': 0, 'changed': 0},
            'topic': {'added': 1, 'removed': 0, 'changed': 0}})
        self.assertEqual([place['shard'] for place in then['in_force_from']], [0, 1])
        text = self.govern('log', '--log', self.log).stdout.decode()
        for part in ('generation 2: governed version 2', 'op-a, signed', 'a reason',
                     'limit 1 added', '2 plans in the log of 2 shards', 'begins with it'):
            self.assertIn(part, text)

    def test_a_change_that_never_came_into_force(self):
        log = os.path.join(self.folder, 'other')
        self.make(second_plan=False).write(log)
        self.assertEqual(len(self.json('log', '--log', log)['plans']), 1)

    def test_damage_is_told(self):
        path = os.path.join(self.log, 'shard-1', f'segment-{0:016x}.atr')
        with open(path, 'r+b') as file:
            file.seek(9000)
            file.write(b'x')
        for command in (['log'], ['show'], ['rehearse', '--plan', self.new]):
            done = self.govern(*command, '--log', self.log, status=1)
            self.assertIn(b'shard-1', done.stderr)
            self.assertIn(b'byte', done.stderr)

    def test_a_plan_that_does_not_load(self):
        log = GovernedLog(self.document)
        log.put_plan({'atr_plan': 1})
        log.write(os.path.join(self.folder, 'bad'))
        for command in (['log'], ['show'], ['rehearse', '--plan', self.new]):
            done = self.govern(*command, '--log', os.path.join(self.folder, 'bad'), status=1)
            self.assertIn(b'generation 2', done.stderr)

    def test_envelopes_of_governance_that_are_none(self):
        """The log's reader does not look into envelopes: neither may this break."""
        log = GovernedLog(self.document)
        for body in (b'{}', b'{', b'{"header":1}' * 50, b'{' * 500,
                     self.lines('proposal.jsonl')[0], self.lines('op-b.jsonl')[0]):
            log.put(0, forge.envelope_record(body, 1, GOVERNANCE, CHANGE, 0))
        log.put(1, forge.envelope_record(self.lines('op-b.jsonl')[0], 60000, 9, APPROVAL, 0))
        log.put_plan(self.second)
        log.write(os.path.join(self.folder, 'odd'))
        found = self.json('log', '--log', os.path.join(self.folder, 'odd'))
        self.assertIsNone(found['plans'][1]['change'])
        self.rehearse()


class Show(Past):
    """Invariant: what is shown is the document, byte for byte if asked for."""

    def show(self, *more, status=0):
        return self.govern('show', '--log', self.log, *more, status=status).stdout

    def test_selectors(self):
        first, then = (wire.canonical(d).encode() for d in (self.document, self.second))
        place = self.json('log', '--log', self.log)['plans'][1]['in_force_from'][1]['position']
        for args, want in (((), then), (('--generation', 1), first), (('--version', 2), then),
                           (('--version', 1), first), (('--at', f'1:{place}'), then),
                           (('--at', f'1:{place - 1}'), first)):
            self.assertEqual(self.show('--canonical', *args), want, args)
            self.assertEqual(json.loads(self.show(*args)), json.loads(want))
        self.assertIn(b'-273.15,', self.show())
        with open(self.path('again.json'), 'wb') as file:
            file.write(self.show())
        self.assertEqual(self.json('diff', self.path('again.json'), self.new, status=1)['changes'],
                         [])

    def test_no_such_plan(self):
        for args, status in ((('--generation', 3), 1), (('--version', 9), 1), (('--at', '0:0'), 1),
                             (('--at', '0:999999'), 1), (('--at', '7:1'), 2), (('--at', '0'), 2),
                             (('--at', 'x:1'), 2), (('--at', ':'), 2),
                             (('--at', '0:1', '--version', 1), 2)):
            self.show(*args, status=status)


class Rehearse(Past):
    """Invariant: every logged event is judged as the plan's own gates would, and told once."""

    def test_nothing_differs(self):
        found = self.rehearse()
        self.assertEqual((found['judged_otherwise'], found['routed_otherwise']), (0, 0))
        # Readings, one envelope of the sensor, the governance envelopes; not the duplicate.
        self.assertEqual((found['events'], found['passed_over'], found['unreadable']), (10, 1, 0))
        self.assertTrue(found['may_follow'])
        self.assertFalse(self.rehearse(version=2)['may_follow'])
        text = self.govern('rehearse', '--plan', self.new, '--log', self.log).stdout.decode()
        self.assertIn('not judged: limits', text)

    def verdicts(self, change):
        found = self.rehearse(change)
        self.assertEqual(sum(v['count'] for v in found['verdicts']), found['judged_otherwise'])
        return {(v['was'], v['would_be']): (v['count'], v['first'], v['shard'])
                for v in found['verdicts']}

    def test_keys(self):
        def keys(change):
            return lambda document: change(document['sources'][SENSOR - 1]['keys'])
        frames = (5, 'sensor:1', 0)
        self.assertEqual(self.verdicts(keys(lambda k: k.pop(0))),
                         {('admitted', 'unknown_key'): frames})
        self.assertEqual(
            self.verdicts(keys(lambda k: k[0].update(not_after='2020-01-01T00:00:00Z'))),
            {('admitted', 'key_time'): frames})
        self.assertEqual(
            self.verdicts(keys(lambda k: k[0].update(public=wire.Key('x').public.hex()))),
            {('admitted', 'bad_signature'): frames})
        (key, (count, first, _)), = self.verdicts(keys(lambda k: k.pop(1))).items()
        self.assertEqual((key, count), (('admitted', 'unknown_key'), 1))
        self.assertRegex(first, r'sensor:[0-9a-f]{8}-')
        more = {'id': 8, 'use': 'envelopes', 'public': wire.Key('y').public.hex()}
        self.assertEqual(self.verdicts(keys(lambda k: k.append(more))), {})
        self.assertEqual(
            self.verdicts(keys(lambda k: k[1].update(public=more['public'])))[
                ('admitted', 'bad_signature')][0], 1)

    def test_rules_schema_levels(self):
        def rule(document):
            document['rules'][0]['topics'] = ['reading.attic']
        self.assertEqual(self.verdicts(rule)[('admitted', 'not_allowed')], (6, 'sensor:1', 0))

        def level(document):
            document['topics'][0]['level'] = 3
            document['feeds'][0]['level'] = 3
        self.assertEqual(self.verdicts(level)[('admitted', 'level')][0], 6)

        def narrow(document):
            document['types'][0]['binary']['fields'][0]['max'] = 100
            document['types'][0]['json']['properties']['celsius']['maximum'] = 10
        found = self.verdicts(narrow)
        self.assertEqual(found[('admitted', 'field_range')], (1, 'sensor:5', 1))
        self.assertEqual(found[('admitted', 'payload_range')][0], 1)
        self.assertFalse(self.rehearse(narrow)['may_follow'])

        def nobody(document):
            document['sources'].pop(SENSOR - 1)
            document['rules'].pop(0)
        self.assertEqual(self.verdicts(nobody)[('admitted', 'unknown_source')][0], 6)

    def test_refused_then_and_admitted_now(self):
        """An event that the plan of its time refused by itself."""
        first = copy.deepcopy(self.document)
        first['types'][0]['binary']['fields'][0]['max'] = 100
        log = GovernedLog(first)
        log.put(0, forge.frame_record(frame(1, [20.0, 500.0]), 0b01))
        self.log = os.path.join(self.folder, 'narrow')
        log.write(self.log)
        self.assertEqual(self.verdicts(lambda document: None),
                         {('field_range', 'admitted'): (1, 'sensor:2', 0)})

    def test_feeds(self):
        def change(document):
            document['rules'][0]['feeds'] = []
            document['rules'].append({
                'name': 'hot', 'roles': ['sensors'], 'topics': ['reading.*'], 'types': ['reading'],
                'where': [{'field': 'celsius', 'op': '>=', 'value': 30}], 'feeds': ['governance']})
        found = self.rehearse(change)
        self.assertEqual(found['judged_otherwise'], 0)
        routes = {(r['feed'], r['change']): (r['count'], r['first']) for r in found['routes']}
        self.assertEqual(routes[('all', 'no more')], (6, 'sensor:1'))
        self.assertEqual(routes[('governance', 'also')][0], 4)  # 30, 999, 50 and the envelope
        self.assertEqual(found['routed_otherwise'], 6)
        text = self.govern('rehearse', '--plan', self.path('third.json'), '--log',
                           self.log).stdout.decode()
        self.assertIn("no more to feed 0 'all'", text)
        self.assertIn('could follow', text)

    def test_last(self):
        self.assertEqual(self.rehearse(lambda document: None, '--last', 1)['events'], 2)
        self.assertEqual(self.rehearse(lambda document: None, '--last', 10**6)['events'], 10)

    def test_records_that_contradict_their_plan(self):
        log = GovernedLog(self.document)
        stranger = forge.frame_record(frame(1, [1.0]))
        log.put(0, stranger)
        log.put(0, forge.frame_record(frame(50, [1.0], frame_key('nobody', 77))))
        log.put(1, forge.envelope_record(b'{}', SENSOR, CELLAR, READING, 1))
        self.log = os.path.join(self.folder, 'contradiction')
        log.write(self.log)
        found = self.rehearse()
        self.assertEqual((found['events'], found['unreadable']), (1, 2))


main()
