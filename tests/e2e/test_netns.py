#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# release only
# needs root: a namespace with interfaces of its own
"""Real sockets against the appliance over veth, over a VLAN and over net_tap: ARP, ping, feeds to
two subscribers and a multicast group, replies to envelopes."""
import json
import os
import shutil
import socket
import struct
import tempfile
import time

import atrwire as wire
import packets
import plan
import provoke
from atr_harness import (Appliance, Report, case, interface_mac, private_namespace, run, tmpfs,
                         total, veth, wait_for)
from classd_ack import open_ack
from lab import APPLIANCE_IP, OUR_IP, OUR_MAC, Tagged, drain, exists, replies, udp_socket
from packets import ARP, IPV4, VLAN

EVENTS, FRAMES = 4, 64
SECOND = 3  # a second unicast subscriber of feed 0


def acknowledged(atr, datagrams):
    """Events that proven acknowledgements call admitted, or admitted before."""
    key = bytes.fromhex(atr.query('/atr/status')['acks_key'])
    return sum(entry.events for datagram in datagrams
               for _, _, entries in open_ack(datagram, plan.REALM, key)[1]
               for entry in entries if entry.taken())


def exchange(atr, interface):
    """Publishes over an ordinary socket in class D and reads every feed over ordinary sockets."""
    subscribers = {n: wire.Subscriber() for n in (*plan.FEEDS, SECOND)}
    sockets = {n: udp_socket(OUR_IP, plan.FEED_PORT + n) for n in (0, 1, SECOND)}
    sockets[2] = udp_socket(OUR_IP, plan.FEED_PORT + 2, plan.GROUP)
    publisher, acks = udp_socket(OUR_IP, 0), []
    run('ping', '-c', '2', '-i', '0.2', '-W', '2', APPLIANCE_IP)
    neighbour = run('ip', 'neigh', 'show', APPLIANCE_IP, 'dev', interface)
    assert 'lladdr' in neighbour, neighbour
    traffic = provoke.Traffic()
    events = [traffic.event(payload=plan.reading(1, mag)) for mag in (1.0, 4.5, None, 6.4)]
    frames = traffic.seal(*(traffic.frame('alpha', events) for _ in range(FRAMES)))
    for frame in frames:
        publisher.sendto(frame, (APPLIANCE_IP, plan.PORT))
    envelope = traffic.envelope(type_name='reading', payload={'n': 1, 'mag': 5})
    for expected in 'admitted', 'duplicate':
        publisher.sendto(envelope, (APPLIANCE_IP, plan.PORT))
        reply, = replies(publisher, 1, 5, acks)
        assert reply['result'] == expected and reply['durability'] == 'commit', reply
        assert reply['id'] == json.loads(envelope)['header']['id']
    publisher.sendto(b'{"header":', (APPLIANCE_IP, plan.PORT))
    publisher.sendto(frames[0], (APPLIANCE_IP, plan.PORT))
    books = atr.settled(FRAMES + 4)
    assert books['datagrams']['admitted'] == FRAMES + 1, (books, atr.reasons())
    assert books['datagrams']['duplicate'] == 2, books
    assert set(atr.reasons()) == {'json_syntax'}, atr.reasons()
    time.sleep(1.5)  # longer than the second between two heartbeats
    replies(publisher, 1, 0.2, acks)
    # One frame was sent twice.
    assert acknowledged(atr, acks) == (FRAMES + 1) * EVENTS, len(acks)
    for number, one in sockets.items():
        drain(one, subscribers[number])
        assert subscribers[number].gaps == 0, f'feed {number} lost {subscribers[number].gaps}'
        assert subscribers[number].heartbeats > 0, f'feed {number} has no heartbeats'
    counts = [len(one.events) for one in subscribers.values()]
    every = FRAMES * EVENTS + 1
    assert counts == [every, FRAMES * 2 + 1, every, every], counts
    atr.stop()
    for number, one in sockets.items():
        drain(one, subscribers[number], 0.3)
        assert bool(subscribers[number].ended) == (number not in {SECOND, *plan.DURABLE}), number
        one.close()


def appliance(work, vdev, address=f'{APPLIANCE_IP}/24', args=(), durability='commit'):
    value = plan.document()
    value['feeds'][0]['destinations'].append({'to': f'{OUR_IP}:{plan.FEED_PORT + SECOND}'})
    return Appliance(plan.write(f'{work}/plan.json', value), [vdev],
                     ['--addr', f'0={address}', *args], work=work, durability=durability)


class Folder:
    def __enter__(self):
        self.path = tempfile.mkdtemp(prefix='atr-e2e-')
        return self.path

    def __exit__(self, *_):
        shutil.rmtree(self.path, ignore_errors=True)


@case
def over_veth(_):
    """Invariant: hosts reach the appliance with nothing but ARP, and each feed its subscribers."""
    veth()
    with Folder() as work, appliance(work, 'net_af_packet0,iface=veth0') as atr:
        exchange(atr, 'veth1')
    run('ip', 'link', 'del', 'veth1')


class VlanHost:
    """A host on a VLAN, made of raw packets: no 8021q module is needed. Answers ARP, and keeps all
    that the appliance sends."""

    def __init__(self, interface, vlan):
        self.link = packets.Wire(interface_mac('veth0'), APPLIANCE_IP, plan.PORT,
                                 interface_mac(interface), OUR_IP, vlan=vlan)
        self.tagged, self.got = Tagged(interface), []

    def listen(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            packet = self.tagged.receive(0.1)
            if packet is None:
                continue
            self.got.append(packet)
            if self.kind(packet) == ARP and self.opcode(packet) == 1:
                self.tagged.send(self.link.arp_reply())

    @staticmethod
    def kind(packet):
        at = 16 if packet[12:14] == VLAN.to_bytes(2, 'big') else 12
        return int.from_bytes(packet[at:at + 2], 'big')

    @staticmethod
    def opcode(packet):
        return packet[18 + 7] if packet[12:14] == VLAN.to_bytes(2, 'big') else packet[14 + 7]

    def datagrams(self, port):
        found = (packets.dissect(packet) for packet in self.got)
        return [one for one in found if one and one['dst_port'] == port]


@case
def over_vlan(_):
    """Invariant: with a VLAN, everything in and out is tagged with it, and packets with another tag
    or none are foreign. With durability none, no frame is acknowledged and every session ends."""
    veth(mac=OUR_MAC, ip=None)
    with Folder() as work, appliance(work, 'net_af_packet0,iface=veth0',
                                     f'{APPLIANCE_IP}/24@77', durability='none') as atr:
        host = VlanHost('veth1', 77)
        link, traffic = host.link, provoke.Traffic()
        host.tagged.send(link.arp_request())
        host.tagged.send(link.ping())
        host.listen(1.5)
        assert any(VlanHost.kind(p) == ARP and VlanHost.opcode(p) == 2 for p in host.got)
        assert any(VlanHost.kind(p) == IPV4 and p[18 + 9] == 1 for p in host.got), 'no echo reply'
        frames = traffic.seal(*(traffic.frame() for _ in range(FRAMES)))
        for datagram in (*frames, traffic.envelope()):
            host.tagged.send(link.datagram(datagram))
        foreign = atr.ledger()['link']['foreign']
        other = packets.Wire(interface_mac('veth0'), APPLIANCE_IP, plan.PORT, OUR_MAC, OUR_IP)
        for other.vlan in None, 78:
            host.tagged.send(other.datagram(traffic.datagram()))
        host.listen(1.5)
        books = atr.settled(FRAMES + 1)
        assert books['datagrams']['received'] == FRAMES + 1, books
        assert books['datagrams']['admitted'] == FRAMES + 1, (books, atr.reasons())
        assert books['link']['foreign'] >= foreign + 2, books
        atr.stop()
        host.listen(0.5)
    for packet in host.got:
        assert packet[12:16] == struct.pack('>HH', VLAN, 77), packet[:18].hex()
    answers = [json.loads(one['payload']) for one in host.datagrams(link.src_port)]
    told = [(one['result'], one['durability']) for one in answers]
    assert told == [('admitted', 'none')], answers
    for number in 0, 2:
        subscriber = wire.Subscriber()
        for one in host.datagrams(plan.FEED_PORT + number):
            assert one['ip_ok'] and one['udp_ok'] and one['length_ok'], one
            subscriber.packet(one['payload'])
        assert len(subscriber.events) == FRAMES + 1 and subscriber.gaps == 0, number
        assert subscriber.heartbeats > 0 and subscriber.ended, number
    run('ip', 'link', 'del', 'veth1')


@case
def over_tap(_):
    """Invariant: net_tap serves as any other port."""
    # The driver makes the device node's interface; the node itself comes with the system.
    assert os.path.exists('/dev/net/tun'), 'no /dev/net/tun'
    with Folder() as work, appliance(work, 'net_tap0,iface=atrtap0') as atr:
        run('ip', 'addr', 'add', f'{OUR_IP}/24', 'dev', 'atrtap0')
        run('ip', 'link', 'set', 'atrtap0', 'up')
        exchange(atr, 'atrtap0')


@case
def slow_subscriber_costs_nobody(_):
    """Invariant: a destination that is not there takes nothing away from another one."""
    value = plan.document()
    value['feeds'][0]['destinations'].insert(0, {'to': f'10.77.0.99:{plan.FEED_PORT}'})
    veth()
    with Folder() as work:
        path = plan.write(f'{work}/plan.json', value)
        with Appliance(path, ['net_af_packet0,iface=veth0'], ['--addr', f'0={APPLIANCE_IP}/24'],
                       work=work) as atr:
            listener = udp_socket(OUR_IP, plan.FEED_PORT)
            publisher = udp_socket(OUR_IP, 0)
            run('ping', '-c', '1', '-W', '2', APPLIANCE_IP)
            wait_for('a heartbeat', lambda: listener.recv(65536), 5)
            traffic = provoke.Traffic()
            for _ in range(50):
                publisher.sendto(traffic.datagram(), (APPLIANCE_IP, plan.PORT))
            books = atr.settled(50)
            assert total(books['datagrams']['admitted']) == 50, books
            assert len(drain(listener, wire.Subscriber()).events) == 50
    run('ip', 'link', 'del', 'veth1')


@case
def full_disk_under_quarantine(_):
    """Invariant: a full disk stops the writing of quarantine, is reported, and costs no valid
    event; what was written before is whole."""
    veth()
    with Folder() as work:
        directory = tmpfs(f'{work}/small', 192 << 10)
        path = plan.write(f'{work}/plan.json')
        atr = Appliance(path, ['net_af_packet0,iface=veth0'], ['--addr', f'0={APPLIANCE_IP}/24'],
                        work=work)
        at = atr.command.index('--quarantine')
        atr.command[at + 1] = atr.quarantine = f'{directory}/quarantine'
        with atr:
            publisher = udp_socket(OUR_IP, 0)
            run('ping', '-c', '1', '-W', '2', APPLIANCE_IP)
            traffic, sent = provoke.Traffic(), 0
            for _ in range(60):
                for _ in range(20):
                    publisher.sendto(b'x' * 1000, (APPLIANCE_IP, plan.PORT))
                publisher.sendto(traffic.datagram(), (APPLIANCE_IP, plan.PORT))
                sent += 21
                time.sleep(0.02)
            books = atr.settled(sent)
            assert books['datagrams']['admitted'] == 60, books
            assert total(books['datagrams']['refused']) == 1200, books
            status = atr.query('/atr/quarantine')
            assert status['disk'] == 'stopped' and status['dropped_disk'] > 0, status
            assert 'disk' in atr.tail(100) or 'space' in atr.tail(100)
            for line in atr.audit():
                assert line
        import glob
        from packets import pcapng_comments
        files = glob.glob(f'{atr.quarantine}/*.pcapng')
        assert files and sum(len(pcapng_comments(name)) for name in files) > 10
        run('umount', directory)
    run('ip', 'link', 'del', 'veth1')


def laboratory():
    exists()
    private_namespace()
    assert socket.AF_INET


if __name__ == '__main__':
    Report.main(laboratory)
