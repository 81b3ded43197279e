# SPDX-License-Identifier: BSD-3-Clause
"""ATR behind a veth pair, spoken to by libatr over UDP sockets of the kernel. Root only: interfaces
are made in a network namespace of this process."""
import json
import os
import shutil
import subprocess
import sys

import servers

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__)))))
sys.path.insert(0, os.path.join(ROOT, 'tests/e2e'))
import atr_harness as harness  # pylint: disable=wrong-import-position

OURS, THEIRS = '10.77.0.1', '10.77.0.2'
INGRESS, FEED_PORT, SUBSCRIBER_PORT = 26400, 26401, 26501
WINDOW = 65536
TAIL_MAX = 1024
RECEIVE_RING = 16384
MEMORY_MIB = 1000
RUNTIME = '/var/run/dpdk'


def plan(public, subscribers, durability):
    """One source, one type (two numbers and a text), as many feeds as subscribers."""
    names = [f'feed{n}' for n in range(subscribers)]
    return {
        'atr_plan': 1, 'name': 'compare', 'version': 1, 'realm': '00000000000000c0',
        'ingress': {'udp_port': INGRESS},
        'sources': [{'id': 1, 'name': 'publisher', 'role': 'publishers', 'window': WINDOW,
                     'keys': [{'id': 1, 'use': 'frames', 'public': public}]}],
        'types': [{'id': 1, 'name': 'numbered', 'binary': {
            'size': 16, 'tail': {'name': 'text', 'max': TAIL_MAX},
            'fields': [{'name': 'number', 'at': 0, 'kind': 'u64'},
                       {'name': 'mark', 'at': 8, 'kind': 'u64'}]}}],
        'topics': [{'id': 1, 'name': 'compare'}],
        'rules': [{'name': 'all', 'roles': ['publishers'], 'topics': ['compare'],
                   'types': ['numbered'], 'feeds': names}],
        'feeds': [{'id': n, 'name': name, 'durability': durability,
                   'destinations': [{'to': f'{THEIRS}:{SUBSCRIBER_PORT + n}'}]}
                  for n, name in enumerate(names)]}


class Sockets(servers.Server):
    """Use as a context manager, like the other servers."""

    def __init__(self, durability, subscribers, work=None):
        super().__init__(None, work)
        self.durability, self.subscribers = durability, subscribers
        self.address, self.atr = f'{OURS}:{INGRESS}', None

    @staticmethod
    def prepare():
        """Once, before the first one."""
        harness.veth()

    def open(self):
        key, path = (os.path.join(self.directory, name) for name in ('publisher.key', 'plan.json'))
        public = subprocess.run([harness.ATRCTL, 'keygen', '--out', key], check=True,
                                capture_output=True, text=True).stdout.strip()
        with open(path, 'w', encoding='utf-8') as file:
            json.dump(plan(public, self.subscribers, self.durability), file)
        self.atr = harness.Appliance(
            path, [f'net_af_packet0,iface=veth0,framecnt={RECEIVE_RING}'],
            ['--addr', f'0={OURS}/24', '--log-segment-bytes', 256 << 20], work=self.directory,
            memory=MEMORY_MIB, durability=self.durability)
        self.atr.command = ['setpriv', '--pdeathsig', 'KILL', '--', *self.atr.command]
        try:
            self.atr.start()
        except AssertionError as error:
            raise servers.Failed(str(error)) from None
        self.publisher = ['--key', key]
        if self.durability == 'commit':
            status = self.atr.query('/atr/status')
            self.publisher += ['--acks-key', status['acks_key'], '--outbox',
                               os.path.join(self.directory, 'outbox')]

    def subscriber(self, index):
        """Options of that subscriber: it listens at its feed and asks there for what it missed."""
        return ['--address', f'{OURS}:{FEED_PORT}', '--bind', f'{THEIRS}:{SUBSCRIBER_PORT + index}']

    def alive(self):
        try:
            self.atr.alive()
        except AssertionError as error:
            raise servers.Failed(str(error)) from None

    def __exit__(self, *_):
        if self.atr:
            self.atr.kill()
            shutil.rmtree(f'{RUNTIME}/{self.atr.prefix}', ignore_errors=True)
        super().__exit__()
