# SPDX-License-Identifier: BSD-3-Clause
"""What is compared, with which settings, and the table of it."""
import os
import subprocess

import atr_sockets
import servers

# What a system checks or keeps, by letter; see CHECKS.
CHECKS = {
    's': 'schema: binary layout and ranges of every message, refused otherwise',
    'c': 'canonical bytes: one encoding of a message only',
    'g': 'signature: Ed25519 covers every message (a signed tree of frames), verified before use',
    'r': 'rules: which role may publish which topic and type, on every message',
    'd': 'durable: synced to the disk before the publisher is told',
    'o': 'order: one for all subscribers, with a number or id on each message (the others keep '
         'each publisher\'s order only)',
    'v': 'verifiable log: whoever has the public key proves what is in it',
}


class System:
    def __init__(self, key, title, durability, checks, peer=None, server=None, bench=None, rate=0):
        self.key, self.title, self.durability, self.checks = key, title, durability, checks
        self.peer, self.server, self.bench, self.rate = peer, server, bench, rate


def plain(kind):
    return lambda _, work: kind(work=work)


def sockets(durability):
    return lambda subscribers, work: atr_sockets.Sockets(durability, subscribers, work)


# class: memory; file: written, synced later than acknowledged; synced: before that.
SYSTEMS = [
    System('atr-rings', 'ATR, rings (tier3-ceiling)', 'memory', 'scgro', bench='tier3'),
    System('atr-rings-durable', 'ATR, rings (class-d)', 'synced', 'scgrdov', bench='class-d'),
    System('atr-sockets', 'ATR, veth, class none', 'memory', 'scgro', 'atr', sockets('none'),
           rate=1000000),
    System('atr-sockets-durable', 'ATR, veth, class D', 'synced', 'scgrdov', 'atr',
           sockets('commit')),
    System('nats', 'NATS core', 'memory', '', 'nats', plain(servers.Nats)),
    System('jetstream', 'NATS JetStream, file', 'file', 'o', 'jetstream',
           plain(servers.JetStream)),
    System('zeromq', 'ZeroMQ PUB/SUB', 'memory', '', 'zeromq', plain(servers.NoServer)),
    System('redis', 'Redis Streams, memory', 'memory', 'o', 'redis', plain(servers.Redis)),
    System('redis-everysec', 'Redis Streams, everysec', 'file', 'o', 'redis',
           plain(servers.RedisSecond)),
    System('redis-always', 'Redis Streams, always', 'synced', 'do', 'redis',
           plain(servers.RedisAlways)),
]

FOOT = """
msg/s: messages a second, each to all subscribers, from the first publish until the last subscriber
has the last message and the publisher its last acknowledgement. Every subscriber's count, order,
length and content were checked; a row that lost one message says FAILED. rings/it, veth/it: how
many times as many ATR takes, between rings and over sockets, with the same size and number of
subscribers: its class none for class memory, its class D for classes file and synced.

Rules: NATS and Redis can restrict a client to subjects and keys; here they are open.

Class: memory: on no disk; file: written, but synced after the acknowledgement (JetStream every two
minutes, everysec every second); synced: on the disk before the acknowledgement.

Settings: all processes may use all CPUs; atr-bench pins its two lcores to CPUs 0 and 1. Servers on
loopback, one publisher and each subscriber a process of its own with one connection. NATS core:
asynchronous publish, max_pending 1 GB. JetStream: file storage, asynchronous publish with up to
4,096 unacknowledged, ordered consumers; this server has no setting to sync sooner. ZeroMQ: XPUB
that waits instead of dropping, 100,000 messages of queue. Redis: XADD in pipelines of 256, up to
2,048 unanswered, XREAD of up to 1,000. ATR, veth: the appliance on net_af_packet without huge
pages, libatr in trees of signed frames; class D with an outbox, that is every frame on the
publisher's disk, too, and acknowledged; class none has no acknowledgements, so that it is offered
the highest rate tried that lost nothing. ATR, rings: no sockets at all, the figures of atr-bench,
for a NIC that DPDK drives; MTU 1,500, frames signed beforehand, 4,096 frames a pass, {pages} pages.
A message of ATR is 64 bytes (28 of header in it) or 1,024; of the others as much payload."""


def ratios(rows):
    """Adds to each row the ratios of ATR's rows of the same size and class to it."""
    median = {row['name']: row.get('median') for row in rows}
    for row in rows:
        row['ratios'] = {}
        suffix = '' if row['class'] == 'memory' else '-durable'
        for place in 'rings', 'sockets':
            other = median.get(f'atr-{place}{suffix}.{row["bytes"]}.{row["subscribers"]}')
            if other and row.get('median'):
                row['ratios'][place] = other / row['median']


def machine(load, pages):
    with open('/proc/cpuinfo', encoding='utf-8') as file:
        model = next((line.split(':')[1].strip() for line in file if line[:10] == 'model name'), '')
    return {'cpu': model, 'cpus': len(os.sched_getaffinity(0)), 'load': load, 'pages': pages,
            'kernel': os.uname().release}


def versions():
    packages = ['nats-server', 'libnats3.4', 'redis-server', 'libhiredis0.14', 'libzmq5']
    out = subprocess.run(['dpkg-query', '-W', '-f', '${Package} ${Version}\n', *packages],
                         capture_output=True, text=True, check=False).stdout
    return dict(line.split() for line in out.splitlines() if len(line.split()) == 2)


def number(value):
    return f'{value:,.0f}'


def ratio(row, place):
    value = row['ratios'].get(place)
    return f'{value:,.1f}' if value and value >= 10 else f'{value:.2f}' if value else ''


def line(row):
    head = f'| {row["title"]} | {row["class"]} | {row["bytes"]} | {row["subscribers"]} |'
    if 'failed' in row:
        return f'{head} FAILED: {row["failed"]} | | | | | |'
    return (f'{head} {number(row["median"])} | {number(row["minimum"])} | '
            f'{number(row["maximum"])} | {row["repetitions"]} | {ratio(row, "rings")} | '
            f'{ratio(row, "sockets")} |')


def show(document):
    """Prints tables (that are Markdown, too) and how they came about."""
    print('| system | class | bytes | subscribers | msg/s, median | minimum | maximum | passes '
          '| rings/it | veth/it |')
    print('| --- | --- ' + '| ---: ' * 8 + '|')
    for row in document['results']:
        print(line(row))
    words = [text.split(':')[0] for text in CHECKS.values()]
    print('\n| checks | ' + ' | '.join(words) + ' |')
    print('| --- ' * (len(CHECKS) + 1) + '|')
    for system in SYSTEMS:
        print(f'| {system.title} | ' + ' | '.join(
            'yes' if letter in system.checks else 'no' for letter in CHECKS) + ' |')
    print()
    for text in CHECKS.values():
        print(f'{text}.')
    print(FOOT.format(pages=document['machine'].get('pages', '')))
    place = document['machine']
    print(f'\n{place["cpus"]} CPUs, {place["cpu"]}, load {place["load"][0]:.1f} before and '
          f'{place["load"][1]:.1f} behind; '
          f'{document["seconds"]} s; '
          + ', '.join(f'{name} {version}' for name, version in document['versions'].items()))
    if document['quick']:
        print('A quick run: the figures mean nothing.')
