# SPDX-License-Identifier: BSD-3-Clause
"""What the tests of 'atrctl governance' share: a governed plan and its keys, a log that knows its
changes, and an appliance that answers as it is told."""
import copy
import json
import os
import socket
import struct
import tempfile
import threading
import unittest

import atrlog
import atrwire as wire
import classd_forge as forge
import plan
from atrctl_lab import HOST, ROOT, run

OPERATORS = ('op-a', 'op-b', 'op-c')
SENSOR, CELLAR, READING = 4, 1, 1  # ids in pipelines/governed.json
CHANGE, APPROVAL = 3, 4
GOVERNANCE = 2  # the topic


def envelope_key(name):
    return wire.Key(f'atr demo source {name} envelopes')


def frame_key(name, number=1):
    return wire.Key(f'atr demo source {name}', number)


def reading(celsius):
    return struct.pack('<i', round(celsius * 1000)) + bytes(4)


def frame(first, values, key=None):
    events = [wire.Event(CELLAR, READING, reading(value)) for value in values]
    one = wire.Frame(plan.REALM, SENSOR, key or frame_key('sensor'), first, events)
    return wire.seal([one], key or frame_key('sensor'))[0]


def sensor_envelope(celsius, number):
    value = wire.envelope_value(
        wire.uuid7(forge.NOW // 10**6, bytes([number] * 10)), 'sensor', 'reading.cellar', 'reading',
        {'celsius': celsius}, forge.NOW)
    return wire.sign_envelope(value, plan.REALM, envelope_key('sensor'))


class GovernanceLab(unittest.TestCase):
    """A folder with the governed plan (plan.json) and its operators' keys."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix='atr-governance-')
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        with open(os.path.join(ROOT, 'pipelines/governed.json'), encoding='utf-8') as file:
            self.document = json.load(file)
        self.document['realm'] = f'{plan.REALM:016x}'
        self.old = self.write_plan('plan.json', self.document)
        for name in OPERATORS + ('sensor',):
            run('keygen', '--out', self.path(f'{name}.key'), '--from-phrase',
                f'atr demo source {name} envelopes')

    def path(self, name):
        return os.path.join(self.folder, name)

    def read(self, name):
        with open(self.path(name), 'rb') as file:
            return file.read()

    def write_plan(self, name, document):
        with open(self.path(name), 'w', encoding='utf-8') as file:
            json.dump(document, file, indent=1)
        return self.path(name)

    def changed(self, name='new.json', version=2, change=lambda document: None):
        """A plan file with a higher version and what change does to its document."""
        document = copy.deepcopy(self.document)
        document['version'] = version
        change(document)
        return self.write_plan(name, document)

    def govern(self, *args, status=0):
        return run('governance', *args, status=status)

    def json(self, *args, status=0):
        return json.loads(self.govern(*args, '--json', status=status).stdout)

    def propose(self, new, out='proposal.jsonl', *more, source='op-a', status=0):
        return self.govern('propose', '--plan', new, '--replaces', self.old, '--source', source,
                           '--key', self.path(f'{source}.key'), '--why', 'a reason', '--out',
                           self.path(out), *more, status=status)

    def approve(self, source, proposal='proposal.jsonl', *more, status=0):
        return self.govern('approve', '--proposal', self.path(proposal), '--plan', self.old,
                           '--source', source, '--key', self.path(f'{source}.key'), '--out',
                           self.path(f'{source}.jsonl'), *more, status=status)

    def lines(self, name):
        return self.read(name).splitlines()


class GovernedLog:
    """A log of two shards in which a first plan was followed by others."""

    def __init__(self, document):
        self.shards = [forge.ShardWriter(shard, 2) for shard in range(2)]
        self.generation, self.digest = 0, bytes(32)
        self.put_plan(document)

    def put_plan(self, document):
        """The document in force in both shards from here on."""
        text = wire.canonical(document).encode()
        self.generation += 1
        records = forge.plan_records(text, self.generation)
        self.digest = wire.sha256(text)
        for shard in self.shards:
            shard.group(records, {}, self.digest, self.generation)

    def put(self, shard, *records):
        for one in records:
            one['generation'] = self.generation
        self.shards[shard].group(list(records), {}, self.digest, self.generation)

    def write(self, directory):
        for shard in self.shards:
            shard.write(directory)
        atrlog.read(directory)  # is what docs/log-format.md says
        return directory


class Answering:
    """A socket that answers envelopes with what verdict(envelope, times it came) says: a reason,
    'admitted', 'duplicate', or None for silence."""

    def __init__(self, verdict):
        self.verdict, self.seen, self.order = verdict, {}, []
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((HOST, 0))
        self.socket.settimeout(0.2)
        self.to = f'{HOST}:{self.socket.getsockname()[1]}'
        self.stop = False
        self.thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop = True
        self.thread.join()
        self.socket.close()

    def _serve(self):
        while not self.stop:
            try:
                data, sender = self.socket.recvfrom(9000)
            except socket.timeout:
                continue
            envelope = json.loads(data)
            identity = envelope['header']['id']
            self.seen[identity] = self.seen.get(identity, 0) + 1
            self.order.append(envelope['header']['type'])
            said = self.verdict(envelope, self.seen[identity])
            if said is None:
                continue
            answer = {'atr': 1, 'id': identity, 'result': said}
            if said in ('admitted', 'duplicate'):
                answer.update(durability='commit', position=1, shard=0)
            else:
                answer.update(result='refused', reason=said, gate='ruleset', final=True)
            self.socket.sendto(wire.canonical(answer).encode(), sender)
