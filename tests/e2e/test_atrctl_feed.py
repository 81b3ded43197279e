#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Drives atrctl sub, and what asks a running appliance, as a user would."""
import fcntl
import json
import os
import signal
import socket
import struct
import subprocess
import threading
import time

import atrlog
from atrctl_lab import ATRCTL, HOST, ROOT, SLOW, Lab, event, lines_json, main, read, run, write


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


class Receiver(Lab):
    """Runs sub on datagrams."""

    def receive(self, datagrams, *more, status=0, plan=True):
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
        for _ in range(1000):
            with open('/proc/net/udp', encoding='ascii') as file:
                if f':{port:04X} ' in file.read():
                    return
            time.sleep(0.01)
        raise AssertionError('sub does not listen')


class FromSnapshot(Receiver):
    """Invariant: sub begins only from a snapshot of the log that it then follows, as far as realm,
    log and session tell, and says what it cannot fetch."""

    def kept(self, name='one', change=b''):
        """A file of the snapshot, which is of shard 1 in a log of epoch 7 and realm 2a; change:
        other bytes at the beginning of the log's id."""
        data = bytearray(read(os.path.join(ROOT, 'tests/fuzz/seeds/snapshot/whole')))
        data[24:24 + len(change)] = change
        data[12:16] = struct.pack('<I', atrlog.crc32c(bytes(data), 12, 4))
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        write(path, bytes(data))
        return path

    def start(self, *more, status=0):
        return run('sub', '--bind', f'{HOST}:{self.free_port()}', '--seconds', '1', *more,
                   status=status)

    def test_session_of_another_log(self):
        args = ['--from-snapshot', self.kept(), '--json']
        out = self.receive([mold(1, count=0xFFFF, session=b'0001000007')], *args, plan=False)
        self.assertNotIn(b'not in the snapshot', out)
        for session, status in (b'0001000008', 1), (b'0101000008', 1), (b'0201000008', 0):
            out = self.receive([mold(1, [block(7, packet(0))], session=session),
                                mold(2, count=0xFFFF, session=session)],
                               *args, status=status, plan=False)
            self.assertEqual(b'"message"' in out, status == 0, out)
            self.assertEqual(b'not in the snapshot' in out, status == 0, out)

    def test_realm_of_the_plan(self):
        done = self.start('--plan', self.plan, '--from-snapshot', self.kept(), status=2)
        self.assertEqual(done.stdout, b'')
        self.assertIn(b'realm 000000000000002a, the plan is of realm 00000000000000aa', done.stderr)

    def test_shards_of_two_logs(self):
        name = 'snapshot-000000000000000a.atr'
        self.kept(f'logs/shard-0/{name}')
        self.kept(f'logs/shard-1/{name}')
        self.start('--from-snapshot', self.path('logs'))
        self.kept(f'logs/shard-1/{name}', b'other')
        done = self.start('--from-snapshot', self.path('logs'), status=2)
        self.assertIn(b'another log', done.stderr)

    def test_warns_without_request(self):
        for more, warned in ([], True), (['--request', f'{HOST}:9'], False):
            done = self.start('--from-snapshot', self.kept(), *more)
            self.assertEqual(b'warning: --from-snapshot without --request' in done.stderr, warned)


class Sub(Receiver):
    """Invariant: sub prints every event once, and accounts for gaps, duplicates and ends."""

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
        self.assertEqual({k: summary[k] for k in ('events', 'gaps', 'lost', 'duplicates',
                                                  'heartbeats', 'sessions', 'ended')},
                         {'events': 2, 'gaps': 0, 'lost': 0, 'duplicates': 0, 'heartbeats': 1,
                          'sessions': 1, 'ended': 1})

    def test_gaps_late_and_duplicates(self):
        def one(n):
            return mold(n, [block(n, packet(n, payload=reading(n)))])

        out = self.receive([one(1), one(5), one(3), one(3), one(1), one(6), mold(9, count=0xFFFF)],
                           '--json', status=1)
        *_, summary = map(json.loads, out.decode().splitlines())
        self.assertEqual((summary['events'], summary['gaps'], summary['lost'], summary['recovered'],
                          summary['duplicates']), (4, 2, 4, 1, 2))

    def test_from_start(self):
        datagrams = [mold(4, [block(4, packet(4, payload=reading(4)))]), mold(5, count=0xFFFF)]
        self.receive(datagrams, '--json')
        out = self.receive(datagrams, '--json', '--from-sequence', '1', status=1)
        self.assertEqual(json.loads(out.decode().splitlines()[-1])['lost'], 3)

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
        data = bytearray(read(self.path('out.pcap')))
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


def load_of(state, was, signal, value, **shed):
    """What /atr/overload says of a shard."""
    return {'state': state, 'ms_in_state': 1500, 'transitions': 1, 'was': was, 'signal': signal,
            'value': value, 'signals': {signal: value}, 'shed': shed}


def log_of(state='ok', sentence='', leaves=0):
    return {'state': state, 'sentence': sentence, 'leaves': leaves, 'groups': 9,
            'groups_under_way': 0, 'syncs': 8, 'sync_us_mean': 7, 'commit_us_mean': 6,
            'commit_us_max': 5, 'acks': 4, 'acks_dropped': 3, 'shed': 2, 'bytes': 1}


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

    def test_starting(self):
        """An appliance that is not ready yet is no other program."""
        where = self.answer({f'/atr/{name}': {'starting': 1}
                             for name in ('status', 'ledger', 'path', 'quarantine')})
        for command in 'status', 'stats', 'path', 'quarantine':
            done = run(command, *where, status=1)
            self.assertEqual(done.stdout, b'')
            self.assertIn(b'is starting', done.stderr)
            self.assertIn(b'ask again', done.stderr)

    def test_state_without_types(self):
        """Where the plan keeps no state it is said; where it does, nothing of it is."""
        for types in 0, 2:
            where = self.answer({'/atr/state': {'found': 0}, '/atr/states': {},
                                 '/atr/status': {'shards': 1, 'state_types': types}})
            for args, status in ((('state', 1, 1, '[1]'), 1), (('states',), 0)):
                done = run('query', *args, *where, status=status)
                self.assertEqual(b'keeps state of no type' in done.stderr, types == 0, args)

    def test_names(self):
        """A name on the command line is a number on the wire."""
        event = {'ready': 1, 'found': 1, 'admitted': 1, 'event': 0, 'events': 1}
        where = self.answer({'/atr/event,2:7': event})
        for identity in '2:7', 'two:7':
            told = json.loads(run('query', 'event', identity, '--plan', self.plan, '--json',
                                  *where).stdout)
            self.assertEqual(told['identity'], '2:7')

    def test_closed_pipe(self):
        """Who reads no further ends it quietly."""
        entry = {'source': 1, 'type': 1, 'op': 'last', 'form': 'binary', 'value_length': 0,
                 'value_hex': [''], 'position': 1, 'event': 0}
        page = {str(i): {**entry, 'key_hex': [f'[{i:04}]'.encode().hex()]} for i in range(500)}
        where = self.answer({'/atr/states': page, '/atr/status': {'shards': 1}})
        whole = run('query', 'states', *where)
        self.assertEqual(len(whole.stdout.splitlines()), 500)
        with subprocess.Popen([ATRCTL, 'query', 'states', *where], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE) as process:
            fcntl.fcntl(process.stdout, fcntl.F_SETPIPE_SZ, 4096)
            process.stdout.readline()
            process.stdout.close()
            self.assertEqual(process.stderr.read(), b'')
            self.assertEqual(process.wait(SLOW), -signal.SIGPIPE)

    def test_status(self):
        where = self.answer({'/atr/status': {'version': '0.1.0', 'durability': 'none',
                                             'plan': {'name': 'x\x1b[2J', 'version': 3},
                                             'lcores': [{'id': 1, 'shard': 0},
                                                        {'id': 2, 'shard': 1}]},
                             '/atr/overload': {
                                 '0': load_of('orange', 'yellow', 'hold', 80, shed_p3=12345),
                                 '1': load_of('yellow', 'red\x1b[2J', 'rx', 5)},
                             '/atr/log': {}})
        done = run('status', *where)
        for part in (b'durability', b'none', b'0.1.0', b'shard', b'orange', b'hold 80 %',
                     b'12,345', b'shed_p3', b'calm, was red'):
            self.assertIn(part, done.stdout)
        self.assertNotIn(b'\x1b', done.stdout)
        self.assertNotIn(b'leaves', done.stdout)
        self.assertEqual(json.loads(run('status', *where, '--json').stdout)['plan']['version'], 3)

    def test_log(self):
        """Every shard's log has a line, and one that is not well its sentence."""
        pages = {'/atr/log,0': {'0': log_of(leaves=1234567), 'next': 1},
                 '/atr/log,1': {'1': log_of(state='broken', sentence='a sync\x1b[2J failed')}}
        where = self.answer({'/atr/status': {'durability': 'commit'}, '/atr/ledger': ledger(),
                             '/atr/overload': {},
                             '/atr/reasons': {}, '/atr/stages': {},
                             '/atr/feeds': {
                                 f'{number}/{shard}': {'feed': name, 'durability': durability}
                                 for number, name, durability in ((0, 'all', 'commit'),
                                                                  (1, 'fast', 'none'))
                                 for shard in range(2)}, **pages})
        for command in ('status',), ('stats', '--feeds'):
            text = run(*command, *where).stdout.decode()
            lines = [line.split() for line in text[text.index('log\n'):].splitlines()]
            self.assertEqual(lines[1][:3], ['shard', 'state', 'leaves'])
            self.assertEqual(lines[2][:3], ['0', 'ok', '1,234,567'])
            self.assertEqual(lines[3][:2], ['1', 'broken'])
            self.assertIn('shard 1: a sync', text)
            self.assertNotIn('\x1b', text)
            told = json.loads(run(*command, *where, '--json').stdout)
            self.assertEqual(told['log']['1']['state'], 'broken')
        self.assertLess(text.index('feeds, durability commit'), text.index(' all '))
        self.assertLess(text.index(' all '), text.index('feeds, durability none'))
        self.assertLess(text.index('feeds, durability none'), text.index(' fast '))

    def test_stats_balance(self):
        pages = {'/atr/reasons,0': {'stale': {'datagrams': 1, 'events': 1}, 'next': 5},
                 '/atr/reasons,5': {'level': {'datagrams': 1, 'events': 1}, 'next': 5},
                 '/atr/log': {},
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
        write(f'{folder}/other.jsonl', b'not ours\n')
        done = run('quarantine', *where, '--dir', folder, '--last', 5)
        text = done.stdout.decode()
        self.assertIn('written', text)
        self.assertNotIn('\x1b', text)
        self.assertNotIn('not ours', text)
        self.assertEqual([f'{n}' in text for n in ('"2.1"', '"2.2"', '"10.0"', '"10.3"')],
                         [False, True, True, True])
        run('quarantine', *where, '--dir', self.path('missing'), status=2)


if __name__ == '__main__':
    main()
