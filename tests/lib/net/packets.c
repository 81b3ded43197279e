/* SPDX-License-Identifier: BSD-3-Clause */
#include "packets.h"

const struct rte_ether_addr our_mac = {{0x02, 0x11, 0x22, 0x33, 0x44, 0x55}};
const struct rte_ether_addr peer_mac = {{0x02, 0xAA, 0xBB, 0xCC, 0xDD, 0xEE}};

struct packet packet_default(void)
{
	return (struct packet){.dst_mac = our_mac,
			       .vlan = -1,
			       .ethertype = 0x0800,
			       .src_ip = PEER_IP,
			       .dst_ip = OUR_IP,
			       .proto = 17,
			       .dst_port = OUR_PORT,
			       .payload = 33,
			       .icmp_type = 8};
}

struct atr_iface iface_default(void)
{
	return (struct atr_iface){.port_id = 3,
				  .vlan = ATR_VLAN_NONE,
				  .mtu = 1500,
				  .prefix_length = 24,
				  .ip = OUR_IP,
				  .gateway = 0x0A0000FE,
				  .mac = our_mac};
}

static void put16(uint8_t *out, unsigned int value)
{
	out[0] = (uint8_t)(value >> 8);
	out[1] = (uint8_t)value;
}

static void put32(uint8_t *out, uint32_t value)
{
	put16(out, value >> 16);
	put16(out + 2, value & 0xFFFF);
}

uint16_t naive_checksum(const uint8_t *bytes, size_t length, uint32_t start)
{
	uint64_t sum = start;

	for (size_t i = 0; i < length; i++)
		sum += i % 2 ? bytes[i] : (uint64_t)bytes[i] << 8;
	while (sum > 0xFFFF)
		sum = (sum & 0xFFFF) + (sum >> 16);
	return (uint16_t)(0xFFFF - sum);
}

uint16_t naive_udp_checksum(const uint8_t *ip, const uint8_t *udp, size_t length)
{
	uint32_t pseudo = 17 + (uint32_t)length;

	for (unsigned int i = 12; i < 20; i += 2)
		pseudo += (uint32_t)ip[i] << 8 | ip[i + 1];
	return naive_checksum(udp, length, pseudo);
}

size_t packet_write(const struct packet *packet, uint8_t *out)
{
	size_t l2 = packet->vlan >= 0 ? 18 : 14, header = 20 + packet->options;
	size_t l4 = 8 + packet->payload, total = header + l4;
	uint8_t *ip = out + l2, *l4_data = ip + header;

	memset(out, 0, l2 + total + packet->padding);
	memcpy(out, &packet->dst_mac, 6);
	memcpy(out + 6, &peer_mac, 6);
	if (packet->vlan >= 0) {
		put16(out + 12, 0x8100);
		put16(out + 14, (unsigned int)packet->vlan);
	}
	put16(out + l2 - 2, packet->ethertype);
	ip[0] = (uint8_t)(0x40 | header / 4);
	put16(ip + 2, (unsigned int)((int)total + packet->total_length_delta));
	put16(ip + 6, packet->fragment);
	ip[8] = 64;
	ip[9] = packet->proto;
	put32(ip + 12, packet->src_ip);
	put32(ip + 16, packet->dst_ip);
	memset(ip + 20, 1, packet->options); /* no-operation options */
	put16(ip + 10, naive_checksum(ip, header, 0));
	for (unsigned int i = 0; i < packet->payload; i++)
		l4_data[8 + i] = (uint8_t)(i * 7 + 3);
	memset(ip + total, 0xEE, packet->padding);
	if (packet->proto == 1) {
		l4_data[0] = packet->icmp_type;
		put32(l4_data + 4, 0x12340001);
		put16(l4_data + 2, naive_checksum(l4_data, l4, 0));
		return l2 + total + packet->padding;
	}
	put16(l4_data, PEER_PORT);
	put16(l4_data + 2, packet->dst_port);
	put16(l4_data + 4, (unsigned int)((int)l4 + packet->udp_length_delta));
	if (!packet->no_udp_checksum)
		put16(l4_data + 6, naive_udp_checksum(ip, l4_data, l4));
	return l2 + total + packet->padding;
}

struct rte_mbuf *mbuf_of(const uint8_t *bytes, size_t length, uint16_t headroom, uint16_t tailroom)
{
	size_t size = headroom + length + tailroom;
	struct rte_mbuf *mbuf = aligned_alloc(RTE_CACHE_LINE_SIZE, sizeof(*mbuf));

	assert_non_null(mbuf);
	memset(mbuf, 0, sizeof(*mbuf));
	mbuf->buf_addr = malloc(size ? size : 1);
	assert_non_null(mbuf->buf_addr);
	mbuf->buf_len = (uint16_t)size;
	mbuf->data_off = headroom;
	mbuf->data_len = (uint16_t)length;
	mbuf->pkt_len = (uint32_t)length;
	mbuf->nb_segs = 1;
	rte_mbuf_refcnt_set(mbuf, 1);
	memset(mbuf->buf_addr, 0xA5, size);
	memcpy((uint8_t *)mbuf->buf_addr + headroom, bytes, length);
	return mbuf;
}

void mbuf_drop(struct rte_mbuf *mbuf)
{
	free(mbuf->buf_addr);
	free(mbuf);
}
