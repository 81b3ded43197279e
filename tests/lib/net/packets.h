/* SPDX-License-Identifier: BSD-3-Clause */
/* Crafted packets in mbufs whose bytes are one exact-size heap block each, so that
 * AddressSanitizer sees a read of one byte too many (it cannot see into mempools). */
#ifndef TEST_PACKETS_H
#define TEST_PACKETS_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "../../../lib/net/net.h"
#include "../../../lib/reason/reason.h"

#define OUR_IP    0x0A000002u
#define PEER_IP   0x0A000001u
#define OUR_PORT  5000
#define FEED_PORT 5001
#define PEER_PORT 40000
#define OUR_VLAN  42

extern const struct rte_ether_addr our_mac, peer_mac;

/* What a packet is made of; packet_default() gives a good one. */
struct packet {
	struct rte_ether_addr dst_mac;
	int vlan; /* -1: none */
	uint16_t ethertype;
	uint32_t src_ip, dst_ip;
	uint8_t proto;
	uint16_t fragment;
	unsigned int options; /* bytes, a multiple of 4 */
	unsigned int padding; /* bytes behind the IPv4 packet */
	uint16_t dst_port;
	unsigned int payload; /* bytes */
	int udp_length_delta, total_length_delta;
	int no_udp_checksum;
	uint8_t icmp_type;
};

struct packet packet_default(void);
struct atr_iface iface_default(void);

/* Writes the packet to out and returns its length. */
size_t packet_write(const struct packet *packet, uint8_t *out);

/* mbuf over an exact-size copy of bytes with headroom and tailroom as asked. */
struct rte_mbuf *mbuf_of(const uint8_t *bytes, size_t length, uint16_t headroom, uint16_t tailroom);
void mbuf_drop(struct rte_mbuf *mbuf);

/* RFC 1071 over big-endian words, byte by byte: nothing shared with the code under test. Zero over
 * bytes that hold a right checksum. */
uint16_t naive_checksum(const uint8_t *bytes, size_t length, uint32_t start);
/* The same over a UDP datagram at udp inside the IPv4 packet at ip. */
uint16_t naive_udp_checksum(const uint8_t *ip, const uint8_t *udp, size_t length);

/* Tests of what ATR sends; the number of failures. */
int run_answer_tests(void);

#endif
