#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Drives the built atrctl as a user would: help, keys, envelopes, captures."""
import json
import os
import unittest

from atrctl_lab import ROOT, Lab, event, lines_json, main, read, run, write

COMMANDS = ['keygen', 'sign', 'verify', 'pub', 'sub', 'inspect', 'status', 'stats', 'path',
            'quarantine', 'putback', 'trace']
QUERIES = ['query state', 'query states', 'query event', 'query range']

class Help(unittest.TestCase):
    """Invariant: every command teaches, and says what is wrong, without doing anything."""

    def test_every_help_has_examples(self):
        for command in COMMANDS + QUERIES:
            text = run(*command.split(), '--help').stdout.decode()
            for part in (f'usage: atrctl {command}', 'options:', 'examples:', 'exit status',
                         f'atrctl {command} '):
                self.assertIn(part, text, command)
            self.assertLess(max(map(len, text.splitlines())), 110, command)

    def test_table(self):
        text = run('--help').stdout.decode()
        for command in COMMANDS:
            self.assertIn(f'  {command}', text)
        run(status=2)
        self.assertIn(b'no command', run('nonsense', status=2).stderr)

    def test_unknown_options(self):
        for command in COMMANDS:
            done = run(command, '--nonsense', status=2)
            self.assertIn(b'--nonsense', done.stderr)
            self.assertIn(b'--help', done.stderr)

    def test_missing_and_wrong_values(self):
        self.assertIn(b'needs FILE', run('keygen', '--out', status=2).stderr)
        for bad in ('0', '-1', 'x', '', '99999999999999999999'):
            self.assertIn(b'--count takes a number', run('sub', '--count', bad, status=2).stderr)
        for bad in ('1.2.3', '1.2.3.4.5:6', '1.2.3.4:65536', '1.2.3.4:x', 'host:1'):
            self.assertIn(b'IP:PORT', run('sub', '--bind', bad, status=2).stderr)
        self.assertIn(b'percentage', run('pub', '--loss', '101', '1', status=2).stderr)
        self.assertIn(b'not expected', run('status', 'surplus', status=2).stderr)


class Groups(Lab):
    """Invariant: what is wrong is said under the name that was typed, with a remedy that fits, and
    2 is the status of a wrong command line alone."""

    def said(self, *args, status=2):
        done = run(*args, status=status)
        self.assertEqual(done.stdout, b'')
        self.assertEqual(done.stderr.count(b'\n'), 1, done.stderr)
        return done.stderr.decode()

    def test_names_as_typed(self):
        for args in (('query', 'event', '--key'), ('query', 'range', '--nonsense'),
                     ('query', 'state', '1'), ('log', 'verify', '--key'),
                     ('log', 'prove', '--leaf', 'x'), ('snapshot', 'show', '--nonsense'),
                     ('snapshot', 'rebuild', '--shard')):
            self.assertTrue(self.said(*args).startswith(f'atrctl {args[0]} {args[1]}: '), args)
        for group in 'query', 'log', 'snapshot', 'governance':
            self.assertIn(f"atrctl {group}: no command 'nonsense'", self.said(group, 'nonsense'))
            self.assertIn(b'COMMAND', run(group, '--help').stdout)
            run(group, status=2)

    def test_names_and_numbers(self):
        """SOURCE and TYPE by number or, with a plan, by name; both is said in the help."""
        for command in 'query event', 'query range', 'query state', 'trace':
            text = run(*command.split(), '--help').stdout.decode()
            self.assertIn('number', text)
            self.assertIn('with --plan, ', ' '.join(text.split()))
        self.assertIn("'one' is no number", self.said('query', 'event', 'one:7'))
        self.assertIn("no source 'three'",
                      self.said('query', 'event', 'three:7', '--plan', self.plan))
        self.assertIn("no type 'none'", self.said('query', 'state', 'one', 'none', '[1]', '--plan',
                                                  self.plan))
        for bad in 'one', ':7', 'one:', 'one:x', 'one:7:8':
            self.said('query', 'event', bad, '--plan', self.plan)

    def test_missing_paths(self):
        nowhere = self.path('nowhere')
        for args in (('snapshot', 'show', nowhere), ('snapshot', 'rebuild', nowhere),
                     ('log', 'verify', nowhere), ('trace', '1:7', '--log', nowhere),
                     ('sub', '--bind', '127.0.0.1:9', '--from-snapshot', nowhere),
                     ('inspect', nowhere)):
            text = self.said(*args)
            self.assertIn('nowhere', text)
            self.assertNotIn('disk', text)


class Keys(Lab):
    """Invariant: a private key is never printed, never overwritten, never readable by others."""

    def test_mode_and_public(self):
        for umask in (0, 0o077):
            old = os.umask(umask)
            try:
                made = run('keygen', '--out', self.path(f'k{umask}'))
            finally:
                os.umask(old)
            self.assertEqual(os.stat(self.path(f'k{umask}')).st_mode & 0o777, 0o600)
            self.assertRegex(made.stdout.decode(), r'\A[0-9a-f]{64}\n\Z')
            seen = run('keygen', '--public', self.path(f'k{umask}'))
            self.assertEqual(seen.stdout, made.stdout)
            with open(self.path(f'k{umask}'), encoding='utf-8') as file:
                seed = json.load(file)['seed']
            self.assertNotIn(seed.encode(), made.stdout + made.stderr + seen.stdout)

    def test_no_overwrite(self):
        before = read(self.key())
        run('keygen', '--out', self.key(), status=2)
        self.assertEqual(read(self.key()), before)

    def test_phrase_is_deterministic_and_warns(self):
        a = run('keygen', '--out', self.path('a'), '--from-phrase', 'atr demo source ci')
        b = run('keygen', '--out', self.path('b'), '--from-phrase', 'atr demo source ci')
        self.assertEqual(a.stdout, b.stdout)
        self.assertIn(b'demonstration only', a.stderr)
        plan = json.loads(read(os.path.join(ROOT, 'pipelines/earthquakes.json')))
        ci = next(s for s in plan['sources'] if s['name'] == 'ci')
        self.assertEqual(a.stdout.decode().strip(), ci['keys'][0]['public'])

    def test_unsafe_files_are_refused(self):
        os.chmod(self.key(), 0o644)
        self.assertIn(self.key().encode(), run('keygen', '--public', self.key(), status=2).stderr)
        run('keygen', '--out', self.path('a'), '--public', self.key(), status=2)
        run('keygen', status=2)


class SignVerify(Lab):
    """Invariant: what sign writes verifies; any change of it names the gate that refuses."""

    def verify(self, text, status=0):
        return lines_json(run('verify', '--plan', self.plan, '--json', stdin=text, status=status))

    def test_round_trip(self):
        signed = self.sign('\n'.join(event(i) for i in range(20)) + '\n').stdout
        results = self.verify(signed)
        self.assertEqual([r['result'] for r in results], ['admitted'] * 20)
        ids = {json.loads(line)['header']['id'] for line in signed.decode().splitlines()}
        self.assertEqual(len(ids), 20)

    def test_every_tampered_byte_is_refused(self):
        signed = self.sign(event(7, meta={'a': [1, None]})).stdout.rstrip(b'\n')
        changed = []
        for at in range(len(signed)):
            c = signed[at] ^ 1
            if c not in b'\n':
                changed.append(signed[:at] + bytes([c]) + signed[at + 1:])
        results = self.verify(b'\n'.join(changed), status=1)
        self.assertEqual(len(results), len(changed))
        for text, result in zip(changed, results):
            self.assertEqual(result['result'], 'refused', text)

    def test_gates_are_named(self):
        good = self.sign(event(7)).stdout.decode().strip()
        two = json.loads(good)
        cases = [
            (good.replace('"version":1', '"version": 1'), 'canonical', 'envelope_not_canonical'),
            (good.replace('room.cellar', 'room.attic'), 'schema', 'unknown_topic'),
            (good.replace('room.cellar', 'room.roof'), 'signature', 'bad_signature'),
            (good.replace('"celsius":0.007', '"celsius":-300'), 'schema', 'payload_range'),
            (good[:-1], 'schema', 'json_syntax'),
            ('x', 'ingress', 'not_atr'),
            (self.sign(event(7), 'two').stdout.decode().strip(), 'ruleset', 'not_allowed'),
            (json.dumps({k: v for k, v in two.items() if k != 'payload'}), 'schema',
             'envelope_member'),
        ]
        results = self.verify('\n'.join(text for text, _, _ in cases), status=1)
        self.assertEqual([(r['gate'], r['reason']) for r in results],
                         [(gate, reason) for _, gate, reason in cases])
        self.assertEqual([r['result'] for r in self.verify(f'{good}\n{good}', status=1)],
                         ['admitted', 'duplicate'])

    def test_bad_lines_have_numbers(self):
        text = '\n'.join([event(1), '{"topic":', event(2, extra=1),
                          event(3, timestamp='2024-02-30T00:00:00Z'), event(4)])
        done = self.sign(text, status=1)
        self.assertEqual(len(done.stdout.splitlines()), 2)
        for number in (2, 3, 4):
            self.assertIn(f'line {number}:'.encode(), done.stderr)

    def test_wrong_key_is_refused(self):
        done = run('sign', '--plan', self.plan, '--source', 'one', '--key', self.key('two'),
                   stdin=event(1), status=2)
        self.assertIn(b'no key of source', done.stderr)

    def test_frame_file(self):
        self.save('\n'.join(event(i, source='one') for i in range(3)))
        frame = self.datagrams()[0]
        with open(self.path('frame'), 'wb') as file:
            file.write(frame)
        run('verify', '--plan', self.plan, self.path('frame'))
        done = run('verify', '--plan', self.plan, '--json', stdin=frame[:-1], status=1)
        self.assertEqual(json.loads(done.stdout)['reason'], 'frame_truncated')
        run('verify', '--plan', self.plan, '--json', stdin=b'', status=2)


class Inspect(Lab):
    """Invariant: inspect survives any file and names what is wrong with each packet."""

    def test_without_plan(self):
        self.save('\n'.join(event(i, source='one') for i in range(3)))
        done = run('inspect', self.path('out.pcap'))
        self.assertIn(b'only structure and canonical form', done.stdout)

    def test_damaged_checksum_and_truncation(self):
        self.save(event(1, source='one'))
        data = bytearray(read(self.path('out.pcap')))
        data[-1] ^= 1
        write(self.path('bad.pcap'), data)
        self.assertEqual(self.inspect('bad.pcap', status=1)[0]['reason'], 'udp_checksum')
        data[24 + 16 + 14 + 8] ^= 1
        write(self.path('bad.pcap'), data)
        self.assertEqual(self.inspect('bad.pcap', status=1)[0]['reason'], 'ip_checksum')
        write(self.path('bad.pcap'), data[:-5])
        run('inspect', self.path('bad.pcap'), '--plan', self.plan, status=1)
        write(self.path('bad.pcap'), b'no capture')
        run('inspect', self.path('bad.pcap'), status=2)


if __name__ == '__main__':
    main()
