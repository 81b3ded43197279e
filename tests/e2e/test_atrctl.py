#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Drives the built atrctl as a user would. Usage: test_atrctl.py PATH-OF-ATRCTL SOURCE-ROOT"""
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import unittest

ATRCTL, ROOT = sys.argv[1], sys.argv[2]
COMMANDS = ['keygen', 'sign', 'verify', 'pub', 'sub', 'inspect', 'status', 'stats', 'path',
            'quarantine']
HOST = '127.0.0.1'
SLOW = 60


def run(*args, stdin=None, status=0, env=None):
    """Runs atrctl; the exit status must be as told."""
    if isinstance(stdin, str):
        stdin = stdin.encode()
    done = subprocess.run([ATRCTL, *map(str, args)], input=stdin if stdin is not None else b'',
                          capture_output=True, timeout=SLOW, env=env)
    if done.returncode != status:
        raise AssertionError(f'atrctl {args}: status {done.returncode}, expected {status}\n'
                             f'{done.stdout[-800:]}\n{done.stderr[-800:]}')
    return done


def lines_json(done):
    return [json.loads(line) for line in done.stdout.decode().splitlines()]


def plan_document(public):
    return {
        'atr_plan': 1, 'name': 'test', 'version': 1, 'realm': '00000000000000aa',
        'ingress': {'udp_port': 26400, 'envelope_bytes': 1280},
        'sources': [
            {'id': 1, 'name': 'one', 'role': 'sensors', 'keys': [{'id': 3, 'public': public[0]}]},
            {'id': 2, 'name': 'two', 'role': 'guests', 'keys': [{'id': 1, 'public': public[1]}]},
        ],
        'types': [{
            'id': 1, 'name': 'reading',
            'binary': {
                'size': 12, 'tail': {'max': 200, 'name': 'text'},
                'fields': [
                    {'name': 'celsius', 'at': 0, 'kind': 'i32', 'scale': 3, 'min': -273.15,
                     'max': 1000, 'absent_raw': -2147483648},
                    {'name': 'count', 'at': 4, 'kind': 'u16'},
                    {'name': 'code', 'at': 6, 'kind': 'text', 'width': 6},
                ]},
            'json': {'type': 'object', 'additionalProperties': False,
                     'required': ['celsius'],
                     'properties': {'celsius': {'type': ['number', 'null'], 'minimum': -273.15},
                                    'count': {'type': 'integer'}, 'code': {'type': 'string'},
                                    'text': {'type': 'string'}}}}],
        'topics': [{'id': 1, 'name': 'room.cellar'}, {'id': 2, 'name': 'room.roof'}],
        'rules': [{'name': 'sensors report', 'roles': ['sensors'], 'topics': ['room.*'],
                   'types': ['reading'], 'feeds': ['all']}],
        'feeds': [{'id': 0, 'name': 'all', 'durability': 'none',
                   'destinations': [{'to': '10.77.0.2:26501'}]}],
    }


def event(i, **more):
    return json.dumps({'topic': 'room.cellar', 'type': 'reading',
                       'timestamp': '2024-02-29T12:00:00Z',
                       'payload': {'celsius': i / 1000, 'count': i % 65536, 'code': f'c{i % 10}',
                                   'text': 'x' * (i % 80)}, **more})


class Lab(unittest.TestCase):
    """A directory with two keys and a plan that knows them."""

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.keys = self.path('keys')
        os.mkdir(self.keys)
        public = [run('keygen', '--out', self.path(f'keys/{name}.key')).stdout.decode().strip()
                  for name in ('one', 'two')]
        self.plan = self.path('plan.json')
        self.document = plan_document(public)
        self.write_plan()

    def write_plan(self):
        with open(self.plan, 'w', encoding='utf-8') as file:
            json.dump(self.document, file)

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def key(self, name='one'):
        return self.path(f'keys/{name}.key')

    def sign(self, text, source='one', status=0):
        return run('sign', '--plan', self.plan, '--source', source, '--key', self.key(source),
                   stdin=text, status=status)

    def save(self, text, *more, status=0, name='out.pcap', way='frames'):
        """Publishes JSON lines into a capture; returns the report."""
        if way == 'frames' and '--sequence-file' not in more and '--first-sequence' not in more:
            more = ('--first-sequence', 1, *more)
        done = run('pub', '--plan', self.plan, '--key-dir', self.keys, '--to', '10.77.0.1:26400',
                   '--from', '10.77.0.2:4000', '--jsonl', '-', '--as', way, '--json', '--save',
                   self.path(name), *more, stdin=text, status=status)
        return json.loads(done.stdout)

    def inspect(self, name='out.pcap', status=0):
        return lines_json(run('inspect', self.path(name), '--plan', self.plan, '--json',
                              status=status))

    def datagrams(self, name='out.pcap'):
        """UDP payloads of a little-endian pcap that we wrote."""
        with open(self.path(name), 'rb') as file:
            data = file.read()
        at, found = 24, []
        while at < len(data):
            length = struct.unpack_from('<I', data, at + 8)[0]
            found.append(data[at + 16 + 42:at + 16 + length])
            at += 16 + length
        return found


class Help(unittest.TestCase):
    """Invariant: every command teaches, and says what is wrong, without doing anything."""

    def test_every_help_has_examples(self):
        for command in COMMANDS:
            text = run(command, '--help').stdout.decode()
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
            self.assertIn(b'takes an address', run('sub', '--bind', bad, status=2).stderr)
        self.assertIn(b'percentage', run('pub', '--loss', '101', '1', status=2).stderr)
        self.assertIn(b'not expected', run('status', 'surplus', status=2).stderr)


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
        before = open(self.key(), 'rb').read()
        run('keygen', '--out', self.key(), status=2)
        self.assertEqual(open(self.key(), 'rb').read(), before)

    def test_phrase_is_deterministic_and_warns(self):
        a = run('keygen', '--out', self.path('a'), '--from-phrase', 'atr demo source ci')
        b = run('keygen', '--out', self.path('b'), '--from-phrase', 'atr demo source ci')
        self.assertEqual(a.stdout, b.stdout)
        self.assertIn(b'demonstration only', a.stderr)
        plan = json.load(open(os.path.join(ROOT, 'pipelines/earthquakes.json'), encoding='utf-8'))
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


class Frames(Lab):
    """Invariant: published frames pass every gate and carry every event, in order, once."""

    def test_capture_round_trip(self):
        count = 3000
        sources = ['one' if i % 3 else 'two' for i in range(count)]
        self.document['rules'][0]['roles'] = ['sensors', 'guests']
        self.write_plan()
        report = self.save('\n'.join(event(i, source=s) for i, s in enumerate(sources)),
                           '--tree', 7)
        self.assertEqual(report['events'], count)
        self.assertFalse(report['acknowledged'])
        found = {'one': [], 'two': []}
        *packets, summary = self.inspect()
        self.assertEqual((summary['admitted'], summary['refused'], summary['events']),
                         (report['frames'], 0, count))
        for packet in packets:
            self.assertLessEqual(packet['bytes'], 1500 - 28)
            self.assertLessEqual(packet['frame']['leaf_count'], 7)
            for e in packet['events']:
                found[e['source']].append((e['sequence'], e['payload']))
        for name, got in found.items():
            want = [json.loads(event(i))['payload'] for i in range(count) if sources[i] == name]
            got.sort(key=lambda pair: pair[0])
            self.assertEqual([sequence for sequence, _ in got], list(range(1, len(want) + 1)))
            self.assertEqual([payload for _, payload in got], want)

    def test_any_changed_byte_is_refused(self):
        self.save('\n'.join(event(i, source='one') for i in range(45)), '--tree', 4)
        frames = self.datagrams()
        self.assertGreater(len(frames), 2)
        frame = frames[1]
        for at in range(0, len(frame), 7):
            changed = frame[:at] + bytes([frame[at] ^ 0x20]) + frame[at + 1:]
            run('verify', '--plan', self.plan, '--json', stdin=changed, status=1)

    def test_unfit_lines_are_numbered_and_the_rest_goes(self):
        text = '\n'.join([event(1, source='one'),
                          event(2, source='one').replace('0.002', '0.0021'),
                          event(3, source='nobody'),
                          event(4, source='one').replace('"c4"', '"toolong"'),
                          event(5, source='one').replace('0.005', 'null')])
        done = run('pub', '--plan', self.plan, '--key-dir', self.keys, '--to', '10.77.0.1:26400',
                   '--from', '10.77.0.2', '--jsonl', '-', '--as', 'frames', '--first-sequence', 9,
                   '--save', self.path('out.pcap'), '--json', stdin=text, status=1)
        report = json.loads(done.stdout)
        self.assertEqual((report['events'], report['lines_unfit']), (2, 3))
        for number in (2, 3, 4):
            self.assertIn(f'line {number}:'.encode(), done.stderr)
        events = self.inspect()[0]['events']
        self.assertEqual([(e['sequence'], e['payload']['celsius']) for e in events],
                         [(9, 0.001), (10, None)])

    def test_source_filters(self):
        text = '\n'.join(event(i, source='one' if i % 2 else 'two') for i in range(10))
        report = self.save(text, '--source', 'one')
        self.assertEqual((report['events'], report['lines_of_other_sources']), (5, 5))

    def test_shuffle_loss_repeat(self):
        text = '\n'.join(event(i, source='one') for i in range(2000))
        plain = self.save(text)['datagrams_sent']
        a = self.save(text, '--shuffle', 1, '--loss', '10', '5', '--repeat', 2)
        self.assertEqual(a['datagrams_sent'] + a['datagrams_lost_on_purpose'], 2 * plain)
        self.assertGreater(a['datagrams_lost_on_purpose'], 0)
        *packets, summary = self.inspect(status=0)
        self.assertEqual(summary['refused'], 0)
        self.assertGreater(summary['duplicate'], 0)
        order = [p['frame']['first_sequence'] for p in packets]
        self.assertNotEqual(order, sorted(order))

    def test_csv(self):
        text = ('topic,type,source,timestamp,celsius,count,code,text\r\n'
                'room.cellar,reading,one,2024-02-29T12:00:00Z,1.5,7,12,"a ""b"", c\nd"\r\n'
                'room.roof,reading,one,2024-02-29T12:00:00Z,,8,,plain\r\n'
                'room.roof,reading,one,2024-02-29T12:00:00Z,1\r\n')
        done = run('pub', '--plan', self.plan, '--key-dir', self.keys, '--to', '10.77.0.1:26400',
                   '--from', '10.77.0.2', '--csv', '-', '--as', 'frames', '--first-sequence', 1,
                   '--save', self.path('out.pcap'), stdin=text.replace('\nd', ' d'), status=1)
        self.assertIn(b'line 4:', done.stderr)
        events = self.inspect()[0]['events']
        self.assertEqual([e['payload'] for e in events],
                         [{'celsius': 1.5, 'count': 7, 'code': '12', 'text': 'a "b", c d'},
                          {'celsius': None, 'count': 8, 'code': '', 'text': 'plain'}])

    def test_generate(self):
        report = json.loads(run(
            'pub', '--plan', self.plan, '--source', 'one', '--key', self.key(), '--to',
            '10.77.0.1:26400', '--from', '10.77.0.2', '--generate', 5000, '--topic', 'room.roof',
            '--type', 'reading', '--as', 'frames', '--first-sequence', 1, '--save',
            self.path('out.pcap'), '--json', '--mtu', 9000).stdout)
        self.assertEqual((report['events'], report['lines_unfit']), (5000, 0))
        self.assertEqual(self.inspect()[-1]['events'], 5000)

    def test_options_are_checked(self):
        base = ('pub', '--plan', self.plan, '--key-dir', self.keys, '--to', '10.77.0.1:1')
        self.assertIn(b'--sequence-file', run(*base, '--as', 'frames', '--jsonl', '-',
                                              status=2).stderr)
        self.assertIn(b'--as', run(*base, '--as', 'pigeons', '--jsonl', '-', status=2).stderr)
        self.assertIn(b'--jsonl', run(*base, '--as', 'envelopes', status=2).stderr)
        self.assertIn(b'--from', run(*base, '--as', 'envelopes', '--jsonl', '-', '--save',
                                     self.path('x'), status=2).stderr)
        run(*base, '--as', 'envelopes', '--jsonl', self.path('missing'), status=2)


class Sequences(Lab):
    """Invariant: no sequence is given to two events, whatever run or crash lies in between."""

    def next(self):
        with open(self.path('seq'), encoding='utf-8') as file:
            return json.load(file)['next']

    def publish(self, count, **more):
        return self.save('\n'.join(event(i, source='one') for i in range(count)),
                         '--sequence-file', self.path('seq'), **more)

    def test_kept_across_runs(self):
        self.publish(50, name='a.pcap')
        self.publish(70, name='b.pcap')
        sequences = [e['sequence'] for name in ('a.pcap', 'b.pcap')
                     for p in self.inspect(name)[:-1] for e in p['events']]
        self.assertEqual(sequences, list(range(1, 121)))
        self.assertEqual(self.next(), {'one': 121})

    def test_reserved_before_sending(self):
        """Killed while it sends: what was received lies below what the file gives next."""
        receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        receiver.bind((HOST, 0))
        receiver.settimeout(SLOW)
        text = '\n'.join(event(i, source='one') for i in range(3000))
        process = subprocess.Popen(
            [ATRCTL, 'pub', '--plan', self.plan, '--key-dir', self.keys, '--to',
             f'{HOST}:{receiver.getsockname()[1]}', '--jsonl', '-', '--as', 'frames', '--tree',
             '4', '--rate', '200', '--sequence-file', self.path('seq')],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        threading.Thread(target=lambda: self.feed(process, text), daemon=True).start()
        highest = 0
        for _ in range(20):
            frame = receiver.recv(9000)
            count = struct.unpack_from('<H', frame, 6)[0]
            highest = max(highest, struct.unpack_from('<Q', frame, 24)[0] + count - 1)
            self.assertGreater(self.next()['one'], highest)
        process.send_signal(signal.SIGKILL)
        process.wait()
        receiver.settimeout(0.2)
        try:
            while True:
                frame = receiver.recv(9000)
                count = struct.unpack_from('<H', frame, 6)[0]
                highest = max(highest, struct.unpack_from('<Q', frame, 24)[0] + count - 1)
        except socket.timeout:
            pass
        receiver.close()
        self.assertGreater(self.next()['one'], highest)
        reserved = self.next()['one']
        self.publish(5)
        self.assertEqual(self.inspect()[0]['frame']['first_sequence'], reserved)

    @staticmethod
    def feed(process, text):
        try:
            process.stdin.write(text.encode())
            process.stdin.close()
        except BrokenPipeError:
            pass

    def test_damaged_file_stops(self):
        for text in ('', '{', '[]', '{"atr_sequences":2,"next":{}}',
                     '{"atr_sequences":1,"next":{"one":-1}}',
                     '{"atr_sequences":1,"next":{"one":"1"}}',
                     '{"atr_sequences":1,"next":{"one":1,"one":2}}'):
            with open(self.path('seq'), 'w', encoding='utf-8') as file:
                file.write(text)
            done = run('pub', '--plan', self.plan, '--key-dir', self.keys, '--to', '10.77.0.1:1',
                       '--jsonl', '-', '--as', 'frames', '--sequence-file', self.path('seq'),
                       stdin=event(1, source='one'), status=2)
            self.assertIn(b'--first-sequence', done.stderr)


class Replies(threading.Thread):
    """Stands in for the appliance's replies: answers as the script tells, by arrival."""

    def __init__(self, answer):
        super().__init__(daemon=True)
        self.answer, self.seen, self.times = answer, [], {}
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((HOST, 0))
        self.port = self.socket.getsockname()[1]
        self.start()

    def run(self):
        while True:
            try:
                data, peer = self.socket.recvfrom(9000)
            except OSError:
                return
            uuid = json.loads(data)['header']['id']
            self.seen.append(data)
            nth = self.times[uuid] = self.times.get(uuid, 0) + 1
            reply = self.answer(len(self.times), nth)
            if isinstance(reply, bytes):
                self.socket.sendto(reply, peer)
            elif reply:
                self.socket.sendto(json.dumps({'atr': 1, 'id': uuid, **reply}).encode(), peer)


class Envelopes(Lab):
    """Invariant: every envelope ends in exactly one account: admitted, duplicate, refused by a
    reason, or unanswered; a resend is the same bytes."""

    def publish(self, answer, count, *more, status=0):
        replies = Replies(answer)
        self.addCleanup(replies.socket.close)
        done = run('pub', '--plan', self.plan, '--key-dir', self.keys, '--to',
                   f'{HOST}:{replies.port}', '--jsonl', '-', '--as', 'envelopes', '--json',
                   '--wait', 40, *more, status=status,
                   stdin='\n'.join(event(i, source='one') for i in range(count)))
        return json.loads(done.stdout), replies

    def test_all_admitted(self):
        report, replies = self.publish(lambda n, nth: {'result': 'admitted', 'shard': 0,
                                                       'position': n, 'durability': 'none'}, 500)
        self.assertEqual(report['replies']['admitted'], 500)
        self.assertEqual(len(replies.times), 500)
        done = lines_json(run('verify', '--plan', self.plan, '--json',
                              stdin=b'\n'.join(sorted(set(replies.seen)))))
        self.assertEqual(len(done), 500)

    def test_unanswered_are_sent_again_the_same(self):
        report, replies = self.publish(
            lambda n, nth: {'result': 'admitted'} if nth == 3 else None, 5)
        self.assertEqual(report['replies']['admitted'], 5)
        self.assertEqual(report['replies']['retransmissions'], 10)
        self.assertEqual(len(set(replies.seen)), 5)

    def test_reasons_and_silence(self):
        def answer(n, nth):
            if n % 3 == 0:
                return None
            if n % 3 == 1:
                return {'result': 'refused', 'reason': 'stale', 'gate': 'identity', 'final': True}
            return b'\xff{}'

        report, _ = self.publish(answer, 9, '--retries', 1, '--window', 1, status=1)
        self.assertEqual(report['replies']['reasons'], {'stale': 3})
        self.assertEqual(report['replies']['unanswered'], 6)
        self.assertGreaterEqual(report['replies']['foreign_replies'], 6)

    def test_retry_reasons_are_retried(self):
        report, _ = self.publish(
            lambda n, nth: {'result': 'admitted'} if nth == 2 else
            {'result': 'refused', 'reason': 'bridge_full', 'gate': 'overload', 'final': False}, 4)
        self.assertEqual((report['replies']['admitted'], report['replies']['refused']), (4, 0))
        report, _ = self.publish(
            lambda n, nth: {'result': 'refused', 'reason': 'rate_source', 'gate': 'ruleset',
                            'final': False}, 2, '--retries', 1, status=1)
        self.assertEqual(report['replies']['reasons'], {'rate_source': 2})

    def test_save_and_inspect(self):
        self.save('\n'.join(event(i, source='one') for i in range(30)), way='envelopes')
        *packets, summary = self.inspect()
        self.assertEqual((summary['admitted'], summary['refused']), (30, 0))
        self.assertEqual({p['kind'] for p in packets}, {'envelope'})


class Inspect(Lab):
    """Invariant: inspect survives any file and names what is wrong with each packet."""

    def test_without_plan(self):
        self.save('\n'.join(event(i, source='one') for i in range(3)))
        done = run('inspect', self.path('out.pcap'))
        self.assertIn(b'only structure and canonical form', done.stdout)

    def test_damaged_checksum_and_truncation(self):
        self.save(event(1, source='one'))
        data = bytearray(open(self.path('out.pcap'), 'rb').read())
        data[-1] ^= 1
        open(self.path('bad.pcap'), 'wb').write(data)
        self.assertEqual(self.inspect('bad.pcap', status=1)[0]['reason'], 'udp_checksum')
        data[24 + 16 + 14 + 8] ^= 1
        open(self.path('bad.pcap'), 'wb').write(data)
        self.assertEqual(self.inspect('bad.pcap', status=1)[0]['reason'], 'ip_checksum')
        open(self.path('bad.pcap'), 'wb').write(data[:-5])
        run('inspect', self.path('bad.pcap'), '--plan', self.plan, status=1)
        open(self.path('bad.pcap'), 'wb').write(b'no capture')
        run('inspect', self.path('bad.pcap'), status=2)


def packet(i, flags=1, payload=b'', topic=1):
    """A 64-byte packet of type 1: inline if it fits, else in the arena form."""
    head = struct.pack('<QIIQI', flags, topic, 1, 1700000000 * 10**9 + i, 1)
    if flags & 2:
        return head + struct.pack('<II28x', 0, len(payload))
    return head + payload.ljust(36, b'\0')


def block(sequence, packet_bytes, arena=b''):
    body = struct.pack('<Q', sequence) + packet_bytes + arena
    return struct.pack('>H', len(body)) + body


def mold(sequence, blocks=(), count=None, session=b'0000000001'):
    return session + struct.pack('>QH', sequence, len(blocks) if count is None else count) + \
        b''.join(blocks)


def reading(i, text=b''):
    return struct.pack('<iH6s', 1000 * i, i, b'c') + text


class Sub(Lab):
    """Invariant: sub prints every event once, and accounts for gaps, duplicates and ends."""

    def receive(self, datagrams, *more, status=0, plan=True, ready=b'-- listening'):
        port = self.free_port()
        args = [ATRCTL, 'sub', '--bind', f'{HOST}:{port}', '--until-end', '--seconds', '30',
                *(['--plan', self.plan] if plan else []), *more]
        process = subprocess.Popen(args, stdout=subprocess.PIPE)
        self.wait_bound(port)
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        for datagram in datagrams:
            sender.sendto(datagram, (HOST, port))
        sender.close()
        out = process.communicate(timeout=SLOW)[0]
        self.assertEqual(process.returncode, status, out)
        return out

    @staticmethod
    def free_port():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind((HOST, 0))
            return probe.getsockname()[1]

    @staticmethod
    def wait_bound(port):
        import time
        for _ in range(1000):
            with open('/proc/net/udp', encoding='ascii') as file:
                if f':{port:04X} ' in file.read():
                    return
            time.sleep(0.01)
        raise AssertionError('sub does not listen')

    def test_events_and_units(self):
        out = self.receive([
            mold(1, [block(7, packet(0, payload=reading(20, b'hi'))),
                     block(8, packet(1, 2, reading(21, b'y' * 60)), reading(21, b'y' * 60))]),
            mold(3, []), mold(3, count=0xFFFF)], '--json')
        a, b, end, summary = map(json.loads, out.decode().splitlines())
        self.assertEqual((a['sequence'], a['payload']['celsius'], a['payload']['text']),
                         (7, 20, 'hi'))
        self.assertEqual((a['source'], a['topic'], a['type']), ('one', 'room.cellar', 'reading'))
        self.assertEqual(b['payload']['text'], 'y' * 60)
        self.assertEqual(end['note'], 'end of session')
        self.assertEqual({k: summary[k] for k in ('events', 'gaps', 'missing', 'duplicates',
                                                  'heartbeats', 'sessions', 'ended')},
                         {'events': 2, 'gaps': 0, 'missing': 0, 'duplicates': 0, 'heartbeats': 1,
                          'sessions': 1, 'ended': 1})

    def test_gaps_late_and_duplicates(self):
        def one(n):
            return mold(n, [block(n, packet(n, payload=reading(n)))])

        out = self.receive([one(1), one(5), one(3), one(3), one(1), one(6), mold(9, count=0xFFFF)],
                           '--json', status=1)
        *_, summary = map(json.loads, out.decode().splitlines())
        self.assertEqual((summary['events'], summary['gaps'], summary['missing'], summary['late'],
                          summary['duplicates']), (4, 2, 4, 1, 2))

    def test_from_start(self):
        datagrams = [mold(4, [block(4, packet(4, payload=reading(4)))]), mold(5, count=0xFFFF)]
        self.receive(datagrams, '--json')
        out = self.receive(datagrams, '--json', '--from-start', status=1)
        self.assertEqual(json.loads(out.decode().splitlines()[-1])['missing'], 3)

    def test_hostile_text_never_reaches_the_terminal(self):
        text = b'\x1b]0;owned\x07\xc2\x9b2J\xe2\x80\xae\xff\\'
        evil = mold(1, [block(1, packet(1, payload=reading(1, text)))], session=b'\x1b[31mABCDE')
        for plan in (True, False):
            out = self.receive([evil, mold(2, count=0xFFFF, session=b'\x1b[31mABCDE')], plan=plan)
            self.assertNotIn(b'\x1b', out)
            self.assertNotIn(b'\x07', out)
            self.assertNotIn(b'\xc2\x9b', out)
            self.assertNotIn('\u202e'.encode(), out)

    def test_malformed_packets_are_counted(self):
        good = mold(1, [block(1, packet(1, payload=reading(1)))])
        bad = [good[:-1], good + b'x', b'', b'short', mold(2, [struct.pack('>H', 5) + b'12345']),
               mold(2**64 - 1, [block(1, packet(1))])]
        out = self.receive([good, *bad, mold(3, count=0xFFFF)], '--json', status=1)
        summary = json.loads(out.decode().splitlines()[-1])
        self.assertEqual(summary['events'], 1)
        self.assertEqual(summary['malformed'], len(bad))

    def test_envelope_signatures(self):
        good = self.sign(event(3)).stdout.strip()
        bad = good.replace(b'"count":3', b'"count":4')
        datagrams = [mold(1, [block(1, packet(1, 0x12, good), good)]), mold(2, count=0xFFFF)]
        out = self.receive(datagrams, '--json')
        self.assertTrue(json.loads(out.decode().splitlines()[0])['signature_ok'])
        datagrams[0] = mold(1, [block(1, packet(1, 0x12, bad), bad)])
        out = self.receive(datagrams, '--json', status=1)
        self.assertFalse(json.loads(out.decode().splitlines()[0])['signature_ok'])

    def test_count_and_interrupt(self):
        one = mold(1, [block(1, packet(1, payload=reading(1)))])
        self.assertIn(b'events=1 ', self.receive([one], '--count', '1'))
        port = self.free_port()
        process = subprocess.Popen([ATRCTL, 'sub', '--bind', f'{HOST}:{port}'],
                                   stdout=subprocess.PIPE)
        self.wait_bound(port)
        process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        self.assertIn(b'events=0 ', process.communicate(timeout=SLOW)[0])
        self.assertEqual(process.returncode, 0)

    def test_sub_in_capture(self):
        """inspect reads feeds in a capture by their port."""
        self.save(event(1, source='one'))
        data = bytearray(open(self.path('out.pcap'), 'rb').read())
        feed = mold(1, [block(7, packet(0, payload=reading(20)))])
        eth, ip, udp = data[40:54], data[54:74], data[74:82]
        struct.pack_into('>H', ip, 2, 28 + len(feed))
        struct.pack_into('>H', ip, 10, 0)
        total = sum(struct.unpack('>10H', ip))
        total = (total & 0xFFFF) + (total >> 16)
        struct.pack_into('>H', ip, 10, ~total & 0xFFFF)
        struct.pack_into('>HHHH', udp, 0, 26400, 26501, 8 + len(feed), 0)
        frame = bytes(eth + ip + udp) + feed
        with open(self.path('feed.pcap'), 'wb') as file:
            file.write(data[:24] + data[24:32] + struct.pack('<II', len(frame), len(frame)) + frame)
        done = lines_json(run('inspect', self.path('feed.pcap'), '--plan', self.plan, '--json',
                              '--feed-port', 26501))
        self.assertEqual(done[0]['events'][0]['payload']['celsius'], 20)


class Telemetry(threading.Thread):
    """Stands in for an appliance's telemetry socket."""

    def __init__(self, path, answers):
        super().__init__(daemon=True)
        self.answers = answers
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.bind(path)
        self.socket.listen(4)
        self.start()

    def run(self):
        while True:
            try:
                peer, _ = self.socket.accept()
            except OSError:
                return
            peer.send(b'{"version":"DPDK 22.11.0","pid":1,"max_output_len":16384}')
            while True:
                command = peer.recv(1024).decode()
                if not command:
                    break
                name = command.split(',')[0]
                value = self.answers.get(command, self.answers.get(name))
                peer.send(value if isinstance(value, bytes) else
                          json.dumps({name: value}).encode())
            peer.close()


def ledger(received=10, admitted=6):
    part = {'received': received, 'admitted': admitted, 'refused': 2, 'duplicate': 1,
            'in_flight': {'hold': 1, 'handover': 0, 'bridge': 0}}
    return {'datagrams': part, 'events': dict(part), 'link': {'arp': 1, 'nic_missed': 0}}


class Appliance(Lab):
    """Invariant: what the appliance tells is printed whole and safe, and sums are checked."""

    def answer(self, answers):
        path = self.path(f's{len(os.listdir(self.folder.name))}')
        server = Telemetry(path, answers)
        self.addCleanup(server.socket.close)
        return ('--socket', path)

    def test_nobody_there(self):
        for command in ('status', 'stats', 'path', 'quarantine'):
            done = run(command, '--socket', self.path('none'), status=1)
            self.assertIn(b'is atr running', done.stderr)
            done = run(command, '--file-prefix', 'surely-not-there', status=1)
            self.assertIn(b'surely-not-there/dpdk_telemetry.v2', done.stderr)

    def test_status(self):
        where = self.answer({'/atr/status': {'version': '0.1.0', 'durability': 'none',
                                             'plan': {'name': 'x\x1b[2J', 'version': 3},
                                             'lcores': [{'id': 1, 'shard': 0},
                                                        {'id': 2, 'shard': 1}]}})
        done = run('status', *where)
        for part in (b'durability', b'none', b'0.1.0', b'shard'):
            self.assertIn(part, done.stdout)
        self.assertNotIn(b'\x1b', done.stdout)
        self.assertEqual(json.loads(run('status', *where, '--json').stdout)['plan']['version'], 3)

    def test_stats_balance(self):
        pages = {'/atr/reasons,0': {'stale': {'datagrams': 1, 'events': 1}, 'next': 5},
                 '/atr/reasons,5': {'level': {'datagrams': 1, 'events': 1}, 'next': 5},
                 '/atr/stages': [{'name': 'rx', 'calls': 1, 'items': 2, 'cycles': 3}]}
        where = self.answer({'/atr/ledger': ledger(), **pages})
        done = run('stats', *where)
        self.assertEqual(done.stdout.count(b'balances: '), 2)
        for part in (b'stale', b'level', b'rx', b'nic_missed', b'in_flight'):
            self.assertIn(part, done.stdout)
        where = self.answer({'/atr/ledger': ledger(admitted=7), **pages})
        self.assertIn(b'DOES NOT BALANCE', run('stats', *where, status=1).stdout)
        self.assertFalse(json.loads(run('stats', *where, '--json', status=1).stdout)['balanced'])
        where = self.answer({'/atr/ledger': {'datagrams': {}}, **pages})
        run('stats', *where, status=1)

    def test_path(self):
        where = self.answer({'/atr/path': [{'name': 'rx', 'description': 'bursts off the ring'},
                                           {'name': 'parse', 'description': 'structure'}]})
        text = run('path', *where).stdout.decode()
        self.assertLess(text.index('[ rx'), text.index('[ parse'))
        self.assertIn('bursts off the ring', text)

    def test_hostile_answers(self):
        for answer in (b'', b'{', b'[]', b'null', b'{"/atr/status":null}', b'\xff\xfe'):
            where = self.answer({'/atr/status': answer})
            if answer:
                run('status', *where, status=1)

    def test_quarantine(self):
        where = self.answer({'/atr/quarantine': {'written': 3, 'disk_stopped': False}})
        folder = self.path('q')
        os.mkdir(folder)
        for number, lines in ((2, 3), (10, 4)):
            with open(f'{folder}/audit-{number:06}.jsonl', 'w', encoding='utf-8') as file:
                for i in range(lines):
                    file.write(f'{{"n":"{number}.{i}","evil":"\x1b[31m"}}\n')
        open(f'{folder}/other.jsonl', 'w', encoding='utf-8').write('not ours\n')
        done = run('quarantine', *where, '--dir', folder, '--last', 5)
        text = done.stdout.decode()
        self.assertIn('written', text)
        self.assertNotIn('\x1b', text)
        self.assertNotIn('not ours', text)
        self.assertEqual([f'{n}' in text for n in ('"2.1"', '"2.2"', '"10.0"', '"10.3"')],
                         [False, True, True, True])
        run('quarantine', *where, '--dir', self.path('missing'), status=2)


if __name__ == '__main__':
    unittest.main(argv=[sys.argv[0], '-v', *sys.argv[3:]])
