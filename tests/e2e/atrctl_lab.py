# SPDX-License-Identifier: BSD-3-Clause
"""What the tests of atrctl share: running it, and a folder with two keys and a plan.
ATR_BUILD names the build directory."""
import json
import os
import struct
import subprocess
import sys
import tempfile
import traceback
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
ATRCTL = os.path.join(os.environ.get('ATR_BUILD', os.path.join(ROOT, 'build')), 'app/atrctl/atrctl')
HOST = '127.0.0.1'
SLOW = 60


def read(path):
    with open(path, 'rb') as file:
        return file.read()


def write(path, data):
    with open(path, 'wb') as file:
        file.write(data)


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
            {'id': 1, 'name': 'one', 'role': 'sensors', 'keys': [
                {'id': 3, 'use': 'frames', 'public': public[0]},
                {'id': 4, 'use': 'envelopes', 'public': public[2]}]},
            {'id': 2, 'name': 'two', 'role': 'guests', 'keys': [
                {'id': 1, 'use': 'frames', 'public': public[1]},
                {'id': 2, 'use': 'envelopes', 'public': public[3]}]},
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
    """Two directories with a key each for two sources, and a plan that knows them."""

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.keys, self.envelope_keys = self.path('keys'), self.path('envelope-keys')
        public = []
        for folder in self.keys, self.envelope_keys:
            os.mkdir(folder)
            public += [run('keygen', '--out', f'{folder}/{name}.key').stdout.decode().strip()
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
        return run('sign', '--plan', self.plan, '--source', source, '--key',
                   f'{self.envelope_keys}/{source}.key',
                   stdin=text, status=status)

    def save(self, text, *more, status=0, name='out.pcap', way='frames'):
        """Publishes JSON lines into a capture; returns the report."""
        if way == 'frames' and '--sequence-file' not in more and '--first-sequence' not in more:
            more = ('--first-sequence', 1, *more)
        if way == 'frames':
            more = ('--no-acks', *more)
        keys = self.keys if way == 'frames' else self.envelope_keys
        done = run('pub', '--plan', self.plan, '--key-dir', keys, '--to', '10.77.0.1:26400',
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


class Lines(unittest.TestResult):
    """Prints "ok NAME" and "not ok NAME: why"."""

    def addSuccess(self, test):
        super().addSuccess(test)
        print(f'ok {name(test)}', flush=True)

    def failed(self, test, error):
        traceback.print_exception(*error)
        print(f'not ok {name(test)}: {error[1]!r}'.replace('\n', ' ')[:600], flush=True)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.failed(test, err)

    def addError(self, test, err):
        super().addError(test, err)
        self.failed(test, err)


def name(test):
    return getattr(test, '_testMethodName', str(test)).removeprefix('test_')


def main():
    """Runs the calling script's tests; its arguments name classes or tests, none being all."""
    loader, module = unittest.defaultTestLoader, sys.modules['__main__']
    suite = (loader.loadTestsFromNames(sys.argv[1:], module) if sys.argv[1:]
             else loader.loadTestsFromModule(module))
    result = Lines()
    suite.run(result)
    sys.exit(0 if result.wasSuccessful() and result.testsRun else 1)
