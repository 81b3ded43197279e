# SPDX-License-Identifier: BSD-3-Clause
"""Laboratories: an appliance with something attached to its port.

PcapLab needs no root: what goes in is a file, and so is what comes out. VethLab needs root: the
other end of a veth pair has an address, real sockets and a raw one."""
import json
import os
import select
import shutil
import socket
import struct
import tempfile
import time

import atr_harness as harness
import atrwire as wire
import packets
import plan
import provoke
from disk_trouble import Disk

APPLIANCE_IP, OUR_IP = '10.77.0.1', '10.77.0.2'
OUR_MAC = '02:00:00:00:77:02'
PCAP_MAC = '02:70:63:61:70:00'  # of the first net_pcap port


class PcapLab:
    """One run of the appliance from capture to capture. queues: a list of lists of packets."""

    def __init__(self, queues, args=(), value=None, data_lcores=None, infinite=False):
        self.work = tempfile.mkdtemp(prefix='atr-e2e-')
        self.queues = queues
        vdev, self.outputs = 'net_pcap0', []
        for number, content in enumerate(queues):
            path = f'{self.work}/in{number}.pcap'
            packets.write_pcap(path, content)
            vdev += f',rx_pcap={path}'
        if infinite:
            vdev += ',infinite_rx=1'
        else:
            for number in range(len(queues)):
                self.outputs.append(f'{self.work}/out{number}.pcap')
                vdev += f',tx_pcap={self.outputs[-1]}'
        path = plan.write(f'{self.work}/plan.json', value)
        self.atr = harness.Appliance(
            path, [vdev], ['--addr', f'0={APPLIANCE_IP}/24', '--neigh', f'{OUR_IP}={OUR_MAC}',
                           '--shards', len(queues), *args],
            data_lcores=data_lcores or len(queues), work=self.work)

    def __enter__(self):
        self.atr.start()
        return self

    def __exit__(self, kind, *_):
        try:
            if kind:
                self.atr.kill()
            elif self.atr.process.poll() is None:
                self.atr.stop()
        finally:
            shutil.rmtree(self.work, ignore_errors=True)

    def finish(self, received):
        """Waits until everything was judged, stops the appliance; returns the last ledger."""
        books = self.atr.settled(received)
        self.reasons = self.atr.reasons()
        self.atr.stop()
        self.sent = [packets.dissect(p) for path in self.outputs for p in packets.read_pcap(path)]
        self.sent = [one for one in self.sent if one]
        for one in self.sent:
            assert one['ip_ok'] and one['udp_ok'] and one['length_ok'], one
        return books

    def feed(self, number):
        """Subscriber that has heard everything sent to a feed."""
        subscriber = wire.Subscriber()
        for one in self.sent:
            if one['dst_port'] == plan.FEED_PORT + number:
                subscriber.packet(one['payload'])
        return subscriber

    def replies(self):
        return [json.loads(one['payload']) for one in self.sent if one['payload'][:1] == b'{']


def wires(src_port=40000):
    return packets.Wire(PCAP_MAC, APPLIANCE_IP, plan.PORT, OUR_MAC, OUR_IP, src_port)


class VethLab:
    """A running appliance behind a veth pair, in a namespace of this process. value: the plan; None
    is plan.py's, False is no plan at all. state_bytes: size of a disk for the state alone.
    log_disk: MiB of a disk for the log alone, of which log_room
    are free at first."""

    def __init__(self, args=(), value=None, data_lcores=1, vdev='', fresh=True, state_bytes=0,
                 log_disk=0, log_room=0):
        if fresh:
            harness.private_namespace()
            harness.veth(mac=OUR_MAC)
        self.work = tempfile.mkdtemp(prefix='atr-e2e-')
        path = None if value is False else plan.write(f'{self.work}/plan.json', value)
        self.log_disk = Disk(self.work, log_disk) if log_disk else None
        if log_disk:
            self.log_disk.fill(log_room << 20)
            args = [*args, '--log', f'{self.log_disk.path}/log']
        self.atr = harness.Appliance(
            path, [f'net_af_packet0,iface=veth0{vdev}'],
            ['--addr', f'0={APPLIANCE_IP}/24', *args], data_lcores=data_lcores, work=self.work)
        self.state_disk = state_bytes and harness.tmpfs(self.atr.state, state_bytes)
        self.atr.start()
        self.raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        self.raw.bind(('veth1', 0))
        self.replies_socket = udp_socket(OUR_IP, 0)
        self.port = self.replies_socket.getsockname()[1]
        self.link = packets.Wire(harness.interface_mac('veth0'), APPLIANCE_IP, plan.PORT,
                                 harness.interface_mac('veth1'), OUR_IP, self.port)
        self.traffic = provoke.Traffic(self.link)
        self.sent = 0

    def close(self):
        try:
            if self.atr.process.poll() is None:
                self.atr.stop()
        finally:
            self.atr.kill()
            self.raw.close()
            self.replies_socket.close()
            if self.state_disk:
                harness.run('umount', self.state_disk)
            if self.log_disk:
                self.log_disk.close()
            shutil.rmtree(self.work, ignore_errors=True)

    def send(self, datagrams, packed=False, src_port=None):
        """Sends datagrams (or whole packets) as raw packets, paced so that no ring overruns."""
        for number, one in enumerate(datagrams):
            if not packed:
                one = self.link.datagram(one, **({'src_port': src_port} if src_port else {}))
            self.raw.send(one)
            self.sent += 1
            if number % 64 == 63:
                time.sleep(0.002)

    def settle(self, seconds=20):
        return self.atr.settled(self.sent, seconds)

    def replies(self, count, seconds=2.0):
        """Up to count replies to envelopes, waiting no longer than that."""
        got, end = [], time.monotonic() + seconds
        while len(got) < count and time.monotonic() < end:
            if select.select([self.replies_socket], [], [], 0.05)[0]:
                data = self.replies_socket.recv(65536)
                # Frames are acknowledged to the same place.
                if data[:1] == b'{':
                    got.append(json.loads(data))
        return got


def udp_socket(ip, port, group=None):
    """A UDP socket with a large buffer, in a multicast group if asked."""
    one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
    one.bind((group or ip, port))
    if group:
        one.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP,
                       struct.pack('4s4s', socket.inet_aton(group), socket.inet_aton(ip)))
    return one


def drain(one, subscriber, quiet=0.3):
    """Gives a subscriber everything that a socket receives until it is quiet for so long, which
    must be shorter than the second between two heartbeats."""
    assert quiet < 0.9
    while select.select([one], [], [], quiet)[0]:
        subscriber.packet(one.recv(65536))
    return subscriber


class Tagged:
    """A raw socket on an interface that shows VLAN tags as they were on the wire: the kernel takes
    them out of received packets and tells them separately."""
    SOL_PACKET, AUXDATA, VLAN_VALID, OUTGOING = 263, 8, 0x10, 4

    def __init__(self, interface):
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        self.socket.bind((interface, 0))
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        self.socket.setsockopt(self.SOL_PACKET, self.AUXDATA, 1)

    def send(self, packet):
        self.socket.send(packet)

    def receive(self, seconds):
        """The next packet that came in, tagged if it was; None when none came for so long."""
        while select.select([self.socket], [], [], seconds)[0]:
            packet, extra, _, sender = self.socket.recvmsg(65536, 256)
            if sender[2] == self.OUTGOING:
                continue
            for level, kind, data in extra:
                status, = struct.unpack_from('=I', data)
                if (level, kind) == (self.SOL_PACKET, self.AUXDATA) and status & self.VLAN_VALID:
                    tci, = struct.unpack_from('=H', data, 16)
                    tag = struct.pack('>HH', packets.VLAN, tci)
                    packet = packet[:12] + tag + packet[12:]
            return packet
        return None


def tshark_mold(path, ports):
    """(rows of session, sequence, count; malformed packets) of feeds, as tshark decodes them."""
    decode = [word for port in ports for word in ('-d', f'udp.port=={port},moldudp64')]
    rows = harness.run('tshark', '-r', path, *decode, '-Y', 'moldudp64', '-T', 'fields', '-e',
                       'udp.dstport', '-e', 'moldudp64.session', '-e', 'moldudp64.sequence', '-e',
                       'moldudp64.count')
    # Envelope replies and ARP are no feeds; what tshark cannot read of them does not count.
    wrong = ' || '.join(('_ws.malformed', 'moldudp64.msglen.invalid', 'moldudp64.count.invalid',
                         'moldudp64.end_of_session_extra'))
    where = ' || '.join(f'udp.dstport=={port}' for port in ports)
    bad = harness.run('tshark', '-r', path, *decode, '-Y', f'({wrong}) && ({where})')
    return [row.split('\t') for row in rows.splitlines()], bad.splitlines()


def exists():
    """The program under test; a missing one is a failure, not a skipped test."""
    assert os.path.exists(harness.ATR), f'{harness.ATR} is not built'
