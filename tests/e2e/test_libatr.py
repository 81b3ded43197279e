#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# release only
"""libatr as programs use it: installed, killed, behind a bad network, in front of an appliance that
answers gap requests."""
import json
import os
import random
import shutil
import socket
import struct
import subprocess
import threading
import time

from atrctl_lab import ATRCTL, HOST, ROOT, SLOW, Lab, event, main, run
from test_atrctl_feed import Receiver, block, mold, packet, reading

BUILD = os.path.dirname(os.path.dirname(os.path.dirname(ATRCTL)))
PEER = os.path.join(BUILD, 'tests/libatr/libatr_peer')
TEMPERATURE = os.path.join(BUILD, 'examples/temperature')
REALM, SOURCE, KEY = 0x0102030405060708, 7, 1 # as tests/libatr/fake_appliance.h has them
SEED = '02' + 31 * '00'
ROUNDS = 5 if os.environ.get('ATR_QUICK') else 15


class Peer:
    """The fake appliance, as a process."""

    def __init__(self, loss, seed):
        self.process = subprocess.Popen([PEER, str(loss), str(seed)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        port, self.key = self.process.stdout.readline().split()
        self.to = f'{HOST}:{port}'

    def end(self):
        return json.loads(self.process.communicate(timeout=SLOW)[0])


class Producer(Lab):
    """Invariant: whenever a producer is killed, no sequence is used for other bytes, and what its
    outbox held is admitted once."""

    def setUp(self):
        super().setUp()
        self.seed_key = self.path('one.key')
        with open(self.seed_key, 'w', encoding='utf-8') as file:
            json.dump({'atr_key': 1, 'seed': SEED}, file)
        os.chmod(self.seed_key, 0o600)
        public = run('keygen', '--public', self.seed_key).stdout.decode().strip()
        self.document['realm'] = f'{REALM:016x}'
        self.document['sources'][0].update(
            id=SOURCE, keys=[{'id': KEY, 'use': 'frames', 'public': public}])
        self.write_plan()

    def kill_loop(self, peer, command, stdin=None):
        """Kills it at any time, again and again; the last run may end."""
        dice = random.Random(1)
        for _ in range(ROUNDS):
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                                       stderr=subprocess.DEVNULL)
            writer = threading.Thread(target=self.write_to, args=(process, stdin), daemon=True)
            writer.start()
            time.sleep(dice.uniform(0.01, 0.3))
            process.kill()
            process.wait()
            writer.join()
        # A sync a tree: on a disk that others keep busy this takes its time.
        done = subprocess.run(command, input=stdin, capture_output=True, timeout=3 * SLOW)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        seen = peer.end()
        self.assertEqual((seen['reused'], seen['stale'], seen['unproven']), (0, 0, 0), seen)
        self.assertEqual(seen['admitted'], seen['next'] - 1, 'a sequence was left out')
        return done.stdout.decode(), seen

    @staticmethod
    def write_to(process, data):
        try:
            process.stdin.write(data or b'')
            process.stdin.close()
        except BrokenPipeError:
            pass

    def pub(self, peer, *more):
        return [ATRCTL, 'pub', '--plan', self.plan, '--source', 'one', '--key', self.seed_key,
                '--to', peer.to, '--jsonl', '-', '--as', 'frames', '--outbox',
                self.path('outbox'), '--acks-key', peer.key, '--json', *more]

    def test_example_is_killed(self):
        peer = Peer(10, 1)
        out, seen = self.kill_loop(peer, [TEMPERATURE, peer.to, peer.key, self.seed_key,
                                          self.path('outbox'), '100', str(REALM), str(SOURCE),
                                          str(KEY)])
        self.assertIn('refused 0', out)
        self.assertIn('left in it 0', out)
        self.assertGreater(seen['admitted'], 100)

    def test_pub_is_killed(self):
        text = '\n'.join(event(i, source='one') for i in range(4000)).encode()
        peer = Peer(10, 2)
        out, _ = self.kill_loop(peer, self.pub(peer, '--tree', '8', '--rate', '2000'), text)
        report = json.loads(out)
        self.assertTrue(report['acknowledged'])
        acks = report['acknowledgements']
        self.assertGreaterEqual(acks['admitted'] + acks['duplicate'], 4000)
        self.assertGreater(acks['resent'], 0)
        self.assertEqual(acks['refused'], 0)

    def test_report(self):
        peer = Peer(0, 3)
        done = subprocess.run(self.pub(peer), input=event(1, source='one').encode(),
                              capture_output=True, timeout=SLOW)
        report = json.loads(done.stdout)
        self.assertEqual(done.returncode, 0)
        self.assertEqual(report['acknowledgements']['admitted'], 1)
        peer.end()
        # Nobody answers: not acknowledged, kept, and sent by the next run that finds somebody.
        done = subprocess.run(self.pub(peer, '--retries', '1', '--wait', '20'),
                              input=event(2, source='one').encode(), capture_output=True,
                              timeout=SLOW)
        report = json.loads(done.stdout)
        self.assertEqual(done.returncode, 1)
        self.assertFalse(report['acknowledged'])
        self.assertEqual(report['acknowledgements']['frames_unacknowledged'], 1)
        peer = Peer(0, 3)
        done = subprocess.run(self.pub(peer), input=b'', capture_output=True, timeout=SLOW)
        report = json.loads(done.stdout)
        self.assertEqual(done.returncode, 0)
        self.assertEqual(report['acknowledgements']['frames_recovered'], 1)
        self.assertEqual(report['acknowledgements']['admitted'], 1)
        self.assertEqual(peer.end()['next'], 3)

    def test_outbox_belongs_to_one_process_and_source(self):
        peer = Peer(0, 4)
        subprocess.run(self.pub(peer), input=event(1, source='one').encode(), check=True,
                       capture_output=True, timeout=SLOW)
        holder = subprocess.Popen(self.pub(peer), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        for _ in range(500):
            with open('/proc/locks', encoding='ascii') as file:
                if str(holder.pid) in file.read():
                    break
            time.sleep(0.01)
        done = subprocess.run(self.pub(peer), input=b'', capture_output=True, timeout=SLOW)
        self.assertEqual(done.returncode, 1)
        self.assertIn(b'another process uses it', done.stderr)
        holder.communicate(b'')
        path = os.path.join(self.path('outbox'), f'source-{SOURCE}', 'outbox')
        with open(path, 'r+b') as file:
            file.seek(70)
            file.write(b'\xff')
        done = subprocess.run(self.pub(peer), input=b'', capture_output=True, timeout=SLOW)
        self.assertEqual(done.returncode, 1)
        self.assertIn(b'damaged at offset 64', done.stderr)
        peer.end()

    def test_installed(self):
        """The example builds against the installed library, by pkg-config alone."""
        root = self.path('root')
        subprocess.run(['meson', 'install', '-C', BUILD, '--no-rebuild', '--destdir', root],
                       check=True, capture_output=True, timeout=SLOW)
        found = subprocess.run(['find', root, '-name', 'libatr.pc'], check=True,
                               capture_output=True, text=True).stdout.split()
        self.assertEqual(len(found), 1)
        source = self.path('temperature')
        shutil.copytree(os.path.join(ROOT, 'examples/temperature'), source)
        library = os.path.dirname(os.path.dirname(found[0]))
        env = dict(os.environ, PKG_CONFIG_PATH=os.path.dirname(found[0]),
                   PKG_CONFIG_SYSROOT_DIR=root, LD_LIBRARY_PATH=library)
        subprocess.run(['make', '-C', source], check=True, env=env, capture_output=True,
                       timeout=SLOW)
        needed = subprocess.run(['ldd', os.path.join(source, 'temperature')], env=env, text=True,
                                capture_output=True, check=True).stdout
        self.assertIn('libatr.so.0 => ' + library, needed)
        self.assertNotIn('librte', needed)
        peer = Peer(0, 5)
        subprocess.run([os.path.join(source, 'temperature'), peer.to, peer.key, self.seed_key,
                        self.path('outbox'), '20', str(REALM), str(SOURCE), str(KEY)], check=True,
                       env=env, timeout=SLOW, stdout=subprocess.DEVNULL)
        self.assertEqual(peer.end()['admitted'], 20)


class Answers(threading.Thread):
    """A feed port that knows all messages of a session and answers two thirds of the requests."""

    def __init__(self, count):
        super().__init__(daemon=True)
        self.count, self.requests, self.dice = count, [], random.Random(7)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((HOST, 0))
        self.port = self.socket.getsockname()[1]
        self.start()

    def run(self):
        while True:
            try:
                request, sender = self.socket.recvfrom(2048)
            except OSError:
                return
            session, first, count = struct.unpack('>10sQH', request)
            self.requests.append((len(request), session, first, count))
            if self.dice.random() < 0.67:
                self.socket.sendto(mold(first, [message(n) for n in
                                                range(first, min(first + min(count, 9),
                                                                 self.count + 1))]), sender)


def message(n):
    return block(n, packet(n, payload=reading(n % 900)))


class GapFill(Receiver):
    """Invariant: with --request every message is printed once and in order, also those from before
    the first packet seen."""

    def test_fill(self):
        answers = Answers(200)
        self.addCleanup(answers.socket.close)
        out = self.receive([*(mold(n, [message(n)]) for n in range(50, 201, 3)),
                            mold(201, count=0xFFFF)], '--json', '--request',
                           f'{HOST}:{answers.port}', '--from-sequence', '3')
        *lines, summary = map(json.loads, out.decode().splitlines())
        self.assertEqual([line['message'] for line in lines if 'message' in line],
                         list(range(3, 201)))
        self.assertEqual((summary['events'], summary['lost']), (198, 0))
        self.assertGreater(summary['recovered'], 100)
        self.assertTrue(all(size == 20 and session == b'0000000001' and 1 <= count <= 65534
                            for size, session, _, count in answers.requests))

    def test_nobody_answers(self):
        out = self.receive([mold(1, [message(1)]), mold(4, [message(4)]), mold(5, count=0xFFFF)],
                           '--json', '--request', f'{HOST}:9', '--gap-timeout', '300', status=1)
        *lines, summary = map(json.loads, out.decode().splitlines())
        self.assertEqual([line['message'] for line in lines if 'message' in line], [1, 4])
        self.assertEqual([(line['first'], line['messages']) for line in lines
                          if line.get('note') == 'lost'], [(2, 2)])
        self.assertEqual(summary['lost'], 2)


if __name__ == '__main__':
    main()
