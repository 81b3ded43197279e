/* SPDX-License-Identifier: BSD-3-Clause */
#include "capture.h"

#include <errno.h>
#include <pcap/dlt.h>
#include <stdbool.h>
#include <string.h>

#include "../../lib/reason/reason.h"

#define ETH_HDR       14
#define VLAN_TAG      4
#define VLAN_TAGS_MAX 2
#define SLL_HDR       16 /* Linux cooked capture */
#define SLL_PROTOCOL  14
#define SLL2_HDR      20
#define NULL_HDR      4 /* BSD loopback */
#define IP_HDR        20
#define UDP_HDR       8
#define TYPE_IPV4     0x0800
#define TYPE_VLAN     0x8100
#define TYPE_QINQ     0x88A8
#define PROTOCOL_UDP  17
#define TTL           64
#define FRAGMENT_BITS 0x3FFF /* more fragments, and the offset */
#define DONT_FRAGMENT 0x40

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)get16(p) << 16 | get16(p + 2);
}

static void put16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, (uint16_t)(v >> 16));
	put16(p + 2, (uint16_t)v);
}

static uint32_t sum16(const uint8_t *p, size_t length, uint32_t sum)
{
	for (; length > 1; p += 2, length -= 2)
		sum += get16(p);
	if (length)
		sum += (uint32_t)p[0] << 8;
	return sum;
}

static uint16_t fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xFFFF) + (sum >> 16);
	return (uint16_t)sum;
}

/* Sum of a UDP datagram with its pseudo header; ip points to the IPv4 header. */
static uint16_t udp_sum(const uint8_t *ip, const uint8_t *udp, uint16_t length)
{
	uint32_t sum = PROTOCOL_UDP + length;

	sum = sum16(ip + 12, 8, sum);
	return fold(sum16(udp, length, sum));
}

int capture_build(const struct capture_flow *flow, const uint8_t *data, size_t length, uint8_t *out,
		  size_t capacity)
{
	size_t total = ETH_HDR + IP_HDR + UDP_HDR + length;
	uint8_t *ip = out + ETH_HDR, *udp = ip + IP_HDR;
	uint16_t sum;

	if (length > UINT16_MAX - IP_HDR - UDP_HDR || total > capacity)
		return -EMSGSIZE;
	memset(out, 0, ETH_HDR + IP_HDR + UDP_HDR);
	memcpy(out, flow->mac_dst, 6);
	memcpy(out + 6, flow->mac_src, 6);
	put16(out + 12, TYPE_IPV4);
	ip[0] = 0x45;
	put16(ip + 2, (uint16_t)(IP_HDR + UDP_HDR + length));
	ip[6] = DONT_FRAGMENT;
	ip[8] = TTL;
	ip[9] = PROTOCOL_UDP;
	put32(ip + 12, flow->src_ip);
	put32(ip + 16, flow->dst_ip);
	put16(ip + 10, (uint16_t)~fold(sum16(ip, IP_HDR, 0)));
	put16(udp, flow->src_port);
	put16(udp + 2, flow->dst_port);
	put16(udp + 4, (uint16_t)(UDP_HDR + length));
	memcpy(udp + UDP_HDR, data, length);
	sum = (uint16_t)~udp_sum(ip, udp, (uint16_t)(UDP_HDR + length));
	put16(udp + 6, sum ? sum : 0xFFFF);
	return (int)total;
}

/* Offset of the IPv4 header, or -ENOENT. */
static int find_ip(int link_type, const uint8_t *p, size_t length, struct capture_flow *flow)
{
	size_t at = ETH_HDR;

	switch (link_type) {
	case DLT_RAW:
	case DLT_IPV4: return 0;
	case DLT_NULL:
	case DLT_LOOP: return NULL_HDR;
	case DLT_LINUX_SLL:
		return length >= SLL_HDR && get16(p + SLL_PROTOCOL) == TYPE_IPV4 ? SLL_HDR
										 : -ENOENT;
	case DLT_LINUX_SLL2:
		return length >= SLL2_HDR && get16(p) == TYPE_IPV4 ? SLL2_HDR : -ENOENT;
	case DLT_EN10MB: break;
	default: return -ENOENT;
	}
	if (length < ETH_HDR)
		return -ENOENT;
	memcpy(flow->mac_dst, p, 6);
	memcpy(flow->mac_src, p + 6, 6);
	for (int tags = 0; tags < VLAN_TAGS_MAX && length >= at + VLAN_TAG; tags++) {
		uint16_t type = get16(p + at - 2);

		if (type != TYPE_VLAN && type != TYPE_QINQ)
			break;
		at += VLAN_TAG;
	}
	return get16(p + at - 2) == TYPE_IPV4 ? (int)at : -ENOENT;
}

static int check_ip(const uint8_t *ip, size_t length, size_t *header, size_t *total)
{
	*header = (size_t)(ip[0] & 15) * 4;
	*total = get16(ip + 2);
	if (ip[0] >> 4 != 4 || *header < IP_HDR || *header > length || *total < *header ||
	    *total > length)
		return ATR_REASON_IP_MALFORMED;
	if (fold(sum16(ip, *header, 0)) != 0xFFFF)
		return ATR_REASON_IP_CHECKSUM;
	if (get16(ip + 6) & FRAGMENT_BITS)
		return ATR_REASON_IP_FRAGMENT;
	return 0;
}

int capture_find(int link_type, const uint8_t *packet, size_t length, struct capture_flow *flow,
		 const uint8_t **data, size_t *data_length)
{
	const uint8_t *ip, *udp;
	size_t header, total, left;
	uint16_t udp_length;
	int at, err;

	memset(flow, 0, sizeof(*flow));
	at = find_ip(link_type, packet, length, flow);
	if (at < 0 || (size_t)at + IP_HDR > length)
		return -ENOENT;
	ip = packet + at;
	if (ip[9] != PROTOCOL_UDP)
		return -ENOENT;
	flow->src_ip = get32(ip + 12);
	flow->dst_ip = get32(ip + 16);
	err = check_ip(ip, length - (size_t)at, &header, &total);
	if (err)
		return err;
	udp = ip + header;
	left = total - header;
	if (left < UDP_HDR)
		return ATR_REASON_UDP_MALFORMED;
	flow->src_port = get16(udp);
	flow->dst_port = get16(udp + 2);
	udp_length = get16(udp + 4);
	if (udp_length < UDP_HDR || udp_length > left)
		return ATR_REASON_UDP_MALFORMED;
	if (get16(udp + 6) && udp_sum(ip, udp, udp_length) != 0xFFFF)
		return ATR_REASON_UDP_CHECKSUM;
	*data = udp + UDP_HDR;
	*data_length = udp_length - UDP_HDR;
	return 0;
}
