# SPDX-License-Identifier: BSD-3-Clause
"""Ethernet, VLAN, ARP, IPv4, ICMP and UDP packets, and pcap files, for tests."""
import socket
import struct

ARP, IPV4, VLAN = 0x0806, 0x0800, 0x8100
BROADCAST = b'\xff' * 6


def mac(text):
    return bytes.fromhex(text.replace(':', ''))


def address(ip):
    return socket.inet_aton(ip)


def checksum(data):
    data += b'\0' * (len(data) % 2)
    total = sum(struct.unpack(f'>{len(data) // 2}H', data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ethernet(dst, src, ethertype, payload, vlan=None):
    tag = b'' if vlan is None else struct.pack('>HH', VLAN, vlan)
    return dst + src + tag + struct.pack('>H', ethertype) + payload


def ipv4(src, dst, protocol, payload, **wrong):
    """wrong: version_ihl, total_length, fragment, checksum, options override the right values."""
    options = wrong.get('options', b'')
    header = struct.pack('>BBHHHBBH4s4s', wrong.get('version_ihl', 0x45 + len(options) // 4), 0,
                         wrong.get('total_length', 20 + len(options) + len(payload)),
                         wrong.get('ident', 1), wrong.get('fragment', 0), 64, protocol, 0,
                         address(src), address(dst)) + options
    value = wrong.get('checksum', checksum(header))
    return header[:10] + struct.pack('>H', value) + header[12:] + payload


def udp(src, dst, sport, dport, payload, **wrong):
    """wrong: length, udp_checksum override the right values."""
    length = wrong.get('length', 8 + len(payload))
    bare = struct.pack('>HHHH', sport, dport, length, 0) + payload
    pseudo = address(src) + address(dst) + struct.pack('>BBH', 0, 17, 8 + len(payload))
    value = wrong.get('udp_checksum')
    if value is None:
        value = checksum(pseudo + bare) or 0xFFFF
    return bare[:6] + struct.pack('>H', value) + payload


class Wire:
    """Where datagrams go to and come from, as packets."""

    def __init__(self, dst_mac, dst_ip, dst_port, src_mac='02:00:00:00:77:01', src_ip='10.77.0.2',
                 src_port=40000, vlan=None):
        self.dst_mac, self.src_mac = mac(dst_mac), mac(src_mac)
        self.dst_ip, self.src_ip = dst_ip, src_ip
        self.dst_port, self.src_port, self.vlan = dst_port, src_port, vlan

    def datagram(self, payload, **wrong):
        ip_wrong = {k: v for k, v in wrong.items() if k not in ('length', 'udp_checksum')}
        udp_wrong = {k: v for k, v in wrong.items() if k in ('length', 'udp_checksum')}
        sport = ip_wrong.pop('src_port', self.src_port)
        dport = ip_wrong.pop('dst_port', self.dst_port)
        inner = udp(self.src_ip, self.dst_ip, sport, dport, payload, **udp_wrong)
        return ethernet(self.dst_mac, self.src_mac, IPV4,
                        ipv4(self.src_ip, self.dst_ip, 17, inner, **ip_wrong), self.vlan)

    def arp_request(self):
        return ethernet(BROADCAST, self.src_mac, ARP,
                        struct.pack('>HHBBH6s4s6s4s', 1, IPV4, 6, 4, 1, self.src_mac,
                                    address(self.src_ip), bytes(6), address(self.dst_ip)),
                        self.vlan)

    def arp_reply(self):
        return ethernet(self.dst_mac, self.src_mac, ARP,
                        struct.pack('>HHBBH6s4s6s4s', 1, IPV4, 6, 4, 2, self.src_mac,
                                    address(self.src_ip), self.dst_mac, address(self.dst_ip)),
                        self.vlan)

    def ping(self, payload=b'atr', sequence=1):
        head = struct.pack('>BBHHH', 8, 0, 0, 0x77, sequence) + payload
        head = head[:2] + struct.pack('>H', checksum(head)) + head[4:]
        return ethernet(self.dst_mac, self.src_mac, IPV4,
                        ipv4(self.src_ip, self.dst_ip, 1, head), self.vlan)


def dissect(packet):
    """dict of a UDP/IPv4 packet's addresses, ports, VLAN, payload and checksum verdicts, or None if
    it is something else."""
    ethertype, at, vlan = struct.unpack_from('>H', packet, 12)[0], 14, None
    if ethertype == VLAN:
        vlan, ethertype = struct.unpack_from('>HH', packet, 14)
        at = 18
    if ethertype != IPV4 or packet[at] >> 4 != 4 or packet[at + 9] != 17:
        return None
    head = (packet[at] & 15) * 4
    total, = struct.unpack_from('>H', packet, at + 2)
    src, dst = packet[at + 12:at + 16], packet[at + 16:at + 20]
    segment = packet[at + head:at + total]
    sport, dport, length, given = struct.unpack_from('>HHHH', segment)
    pseudo = src + dst + struct.pack('>BBH', 0, 17, length)
    return {'vlan': vlan, 'src_mac': packet[6:12], 'dst_mac': packet[:6],
            'src_ip': socket.inet_ntoa(src), 'dst_ip': socket.inet_ntoa(dst), 'src_port': sport,
            'dst_port': dport, 'ttl': packet[at + 8], 'payload': segment[8:length],
            'ip_ok': checksum(packet[at:at + head]) == 0, 'length_ok': length == len(segment),
            'udp_ok': given == 0 or checksum(pseudo + segment) == 0}


def write_pcap(path, packets):
    with open(path, 'wb') as file:
        file.write(struct.pack('<IHHiIII', 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        for number, packet in enumerate(packets):
            file.write(struct.pack('<IIII', 1_700_000_000 + number // 10**6, number % 10**6,
                                   len(packet), len(packet)) + packet)


def read_pcap(path):
    with open(path, 'rb') as file:
        data = file.read()
    if not data:
        return []
    magic, = struct.unpack_from('<I', data)
    assert magic in (0xA1B2C3D4, 0xA1B23C4D), f'{path} is no pcap file'
    packets, at = [], 24
    while at + 16 <= len(data):
        _, _, captured, _ = struct.unpack_from('<IIII', data, at)
        packets.append(data[at + 16:at + 16 + captured])
        at += 16 + captured
    return packets


def pcapng_comments(path):
    """(packet, comment) of each enhanced packet block of a pcapng file."""
    with open(path, 'rb') as file:
        data = file.read()
    found, at = [], 0
    while at + 12 <= len(data):
        kind, length = struct.unpack_from('<II', data, at)
        assert length >= 12 and length % 4 == 0 and at + length <= len(data), 'torn block'
        assert struct.unpack_from('<I', data, at + length - 4)[0] == length
        if kind == 6:
            captured, = struct.unpack_from('<I', data, at + 20)
            packet, option, comment = data[at + 28:at + 28 + captured], at + 28, None
            option += captured + -captured % 4
            while option + 4 <= at + length - 4:
                code, size = struct.unpack_from('<HH', data, option)
                if code == 0:
                    break
                if code == 1:
                    comment = data[option + 4:option + 4 + size].decode('utf-8')
                option += 4 + size + -size % 4
            found.append((packet, comment))
        at += length
    assert at == len(data), 'torn file'
    return found
