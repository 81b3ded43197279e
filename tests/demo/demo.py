# SPDX-License-Identifier: BSD-3-Clause
"""The inside of app/demo: starts the appliance in a namespace, publishes, listens, and checks the
numbers against the input file. Needs root; leaves nothing behind."""
import collections
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(os.path.dirname(HERE), 'e2e'), HERE]

import atrwire as wire  # noqa: E402
import expect  # noqa: E402
import hostile  # noqa: E402
from atr_harness import (ATRCTL, ROOT, Appliance, private_namespace, run, total,  # noqa: E402
                         wait_for)

APPLIANCE_IP, OUR_IP, INTERFACE = '10.77.0.1', '10.77.0.2', 'atrdemo0'
PLAN = os.path.join(ROOT, 'pipelines/earthquakes.json')
INPUT = os.path.join(ROOT, 'tests/data/earthquakes.geojson')
REPLAYED = 20  # datagrams of each kind that are sent again, byte for byte
RATE = {'frames': 40, 'envelopes': 500}  # datagrams a second: slow enough to be watched
STARTED = time.monotonic()
TTY = sys.stdout.isatty()


def say(text):
    print(('\r\x1b[K' if TTY else '') + f'[{time.monotonic() - STARTED:4.1f}s] {text}', flush=True)


class Sniffer(threading.Thread):
    """Keeps the first datagrams that are published, to replay them later."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.port, self.kept = port, {0x00: [], 0x7B: []}
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        self.socket.bind((INTERFACE, 0))

    def run(self):
        while any(len(kept) < REPLAYED for kept in self.kept.values()):
            packet = self.socket.recv(65536)
            if packet[12:14] != b'\x08\0' or packet[23] != 17:
                continue
            head = 14 + (packet[14] & 15) * 4
            dport, length = struct.unpack_from('>HH', packet, head + 2)
            payload = packet[head + 8:head + length]
            kept = self.kept.get(payload[0]) if payload else None
            if dport == self.port and kept is not None and len(kept) < REPLAYED:
                kept.append(payload)


class Feed(threading.Thread):
    """One `atrctl sub`, whose lines are counted as they come."""

    def __init__(self, number, name, destination):
        super().__init__(daemon=True)
        self.number, self.name, self.events, self.summary = number, name, 0, None
        self.strongest = []
        self.process = subprocess.Popen(
            [ATRCTL, 'sub', '--bind', destination, '--plan', PLAN, '--json', '--until-end'],
            stdout=subprocess.PIPE, text=True)

    def run(self):
        for line in self.process.stdout:
            value = json.loads(line)
            if value.get('note') == 'summary':
                self.summary = value
            elif 'note' not in value:
                self.events += 1
                if self.number == 1:
                    self.show(value)

    def show(self, value):
        """Prints a strong quake once, though it arrives as frame and as envelope."""
        fields = hostile.payload_of(value)
        if fields.get('mag') is not None and fields not in self.strongest:
            self.strongest.append(fields)
            if fields['mag'] >= 5:
                say(f'  M {fields["mag"]:.1f}  {fields.get("place") or fields.get("text", "")}')


def publish(kind, lines, keys):
    """Runs atrctl pub over all sources; returns its report."""
    command = [ATRCTL, 'pub', '--plan', PLAN, '--key-dir', keys, '--to',
               f'{APPLIANCE_IP}:{json.load(open(PLAN))["ingress"]["udp_port"]}', '--from', OUR_IP,
               '--jsonl', lines, '--as', kind, '--json', '--rate', str(RATE[kind])]
    if kind == 'frames':
        command += ['--no-acks', '--first-sequence', '1']
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise AssertionError(f'atrctl pub: {(done.stderr or done.stdout).strip()[-400:]}')
    return json.loads(done.stdout.strip().splitlines()[-1])


def watch(atr, feeds, stop):
    """The running line."""
    while not stop.wait(0.25 if TTY else 1.0):
        try:
            books = atr.query('/atr/ledger')
        except OSError:
            return
        events = books['events']
        line = (f'received {total(events["received"])} admitted {total(events["admitted"])} '
                f'refused {total(books["datagrams"]["refused"])} duplicate '
                f'{total(events["duplicate"])} | '
                + ' '.join(f'{feed.name} {feed.events}' for feed in feeds))
        if TTY:
            print(f'\r\x1b[K[{time.monotonic() - STARTED:4.1f}s] {line}', end='', flush=True)
        else:
            say(line)


def gates(atr):
    """Refused datagrams by gate."""
    text = open(os.path.join(ROOT, 'lib/reason/reason.def'), encoding='utf-8').read()
    gate = dict(re.findall(r'^ATR_REASON\(\d+, \w+, (\w+), (\w+)', text, re.M))
    counts = collections.OrderedDict((name, collections.Counter()) for name in
                                     ('INGRESS', 'SCHEMA', 'CANONICAL', 'SIGNATURE', 'RULESET',
                                      'IDENTITY', 'OVERLOAD'))
    for reason, entry in atr.reasons().items():
        counts[gate[reason]][reason] += entry['datagrams']
    return counts


def demonstrate(work):
    plan = json.load(open(PLAN, encoding='utf-8'))
    wanted = expect.expected(INPUT, plan)
    say(f'{wanted.events} earthquakes in the input, {len(wanted.sources)} networks; expected on '
        + ', '.join(f'{name} {count}' for name, count in wanted.feeds.items()))
    keys = {kind: os.path.join(work, f'{kind}-keys') for kind in hostile.PHRASES}
    for kind, directory in keys.items():
        os.mkdir(directory, 0o700)
        for name in sorted(wanted.sources):
            subprocess.run([ATRCTL, 'keygen', '--out', f'{directory}/{name}.key', '--from-phrase',
                            hostile.PHRASES[kind].format(name)], check=True, capture_output=True)
    lines = os.path.join(work, 'quakes.jsonl')
    with open(lines, 'w', encoding='utf-8') as file:
        subprocess.run([os.path.join(ROOT, 'tests/data/quakes-to-jsonl'), INPUT], stdout=file,
                       check=True)
    feeds = []
    try:
        return wanted, feeds, *perform(work, plan, wanted, lines, keys, feeds)
    finally:
        for feed in feeds:
            feed.process.terminate()
            feed.process.wait()


def perform(work, plan, wanted, lines, keys, feeds):
    """Everything between the start of the appliance and its end."""
    stop, refused, replayed, offered = threading.Event(), [], [], 0
    with Appliance(PLAN, [f'net_tap0,iface={INTERFACE}'], ['--addr', f'0={APPLIANCE_IP}/24'],
                   work=work) as atr:
        run('ip', 'addr', 'add', f'{OUR_IP}/24', 'dev', INTERFACE)
        run('ip', 'link', 'set', INTERFACE, 'up')
        say(f'appliance is up on net_tap {APPLIANCE_IP}, durability none')
        for entry in plan['feeds']:
            feeds.append(Feed(entry['id'], entry['name'], entry['destinations'][0]['to']))
            feeds[-1].start()
        wait_for('the appliance to answer ARP',
                 lambda: subprocess.run(['ping', '-c1', '-W1', APPLIANCE_IP],
                                        capture_output=True).returncode == 0
                 if shutil.which('ping') else time.sleep(1.5) or True, 10)
        sniffer = Sniffer(plan['ingress']['udp_port'])
        sniffer.start()
        threading.Thread(target=watch, args=(atr, feeds, stop), daemon=True).start()
        try:
            say('publishing as frames')
            publish('frames', lines, keys['frames'])
            say('publishing as envelopes')
            publish('envelopes', lines, keys['envelopes'])
            say('hostile traffic: tampered, unknown key, malformed, not allowed, replayed')
            refused = hostile.datagrams(plan, lines, sniffer.kept[0x00])
            replayed = sniffer.kept[0x00] + sniffer.kept[0x7B]
            link = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            for datagram in refused + replayed:
                link.sendto(datagram, (APPLIANCE_IP, plan['ingress']['udp_port']))
                time.sleep(0.0002)
            offered = 2 * wanted.events + len(refused) + events_in(replayed)
            wait_for('everything to be judged', lambda: judged(atr, offered), 20)
            wait_for('the feeds to arrive', lambda: sum(f.events for f in feeds)
                     >= 2 * sum(wanted.feeds.values()), 10)
        except AssertionError as error:
            say(f'{error}')
        stop.set()
        books, by_gate = atr.ledger(), gates(atr)
        atr.stop()
    for feed in feeds:
        feed.join(10)
    return books, by_gate, refused, replayed, offered


def events_in(datagrams):
    return sum(struct.unpack_from('<H', d, 6)[0] if d[0] == 0 else 1 for d in datagrams)


def judged(atr, offered):
    books = atr.ledger()
    return (total(books['events']['admitted']) + total(books['events']['duplicate'])
            + total(books['datagrams']['refused']) >= offered
            and total(books['datagrams']['in_flight']) == 0)


def conclude(wanted, feeds, books, by_gate, refused, replayed, offered):
    """Prints what happened and returns what does not add up."""
    print()
    for gate, reasons in by_gate.items():
        listed = ', '.join(f'{name} {count}' for name, count in sorted(reasons.items()))
        print(f'  {gate.lower():10} refused {sum(reasons.values()):5}  {listed}'.rstrip())
    for feed in feeds:
        print(f'  feed {feed.name:10} delivered {feed.events:5}')
    delivered = sum(feed.events for feed in feeds)
    admitted, duplicate = total(books['events']['admitted']), total(books['events']['duplicate'])
    count = total(books['datagrams']['refused'])
    wrong = []

    def check(what, got, expected):
        if got != expected:
            wrong.append(f'{what}: {got}, but the input file says {expected}')

    check('admitted events', admitted, 2 * wanted.events)
    check('refused datagrams', count, len(refused))
    check('duplicate events', duplicate, events_in(replayed))
    check('replayed datagrams', len(replayed), 2 * REPLAYED)
    check('offered', offered, admitted + count + duplicate)
    for feed in feeds:
        check(f'feed {feed.name}', feed.events, 2 * wanted.feeds[feed.name])
        check(f'summary of feed {feed.name}',
              feed.summary and (feed.summary['lost'], feed.summary['envelopes_bad'],
                                feed.summary['malformed']), (0, 0, 0))
    print(f'demo: offered={offered} admitted={admitted} refused={count} duplicate={duplicate} '
          f'delivered={delivered}')
    return wrong


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if os.geteuid() != 0:
        sys.exit('demo.py needs root for a network namespace; run ./app/demo')
    assert wire.INLINE
    work = tempfile.mkdtemp(prefix='atr-demo-')
    try:
        private_namespace()
        wrong = conclude(*demonstrate(work))
    except KeyboardInterrupt:
        print('\ninterrupted; everything is cleaned up', file=sys.stderr)
        sys.exit(130)
    except (AssertionError, OSError, subprocess.CalledProcessError) as error:
        print(f'\ndemo failed: {error}', file=sys.stderr)
        sys.exit(1)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    for line in wrong:
        print(f'does not add up: {line}', file=sys.stderr)
    sys.exit(1 if wrong else 0)


if __name__ == '__main__':
    main()
