/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>

#include <rte_ip.h>

#include "packets.h"

static const uint8_t *bytes_of(const struct rte_mbuf *mbuf)
{
	return rte_pktmbuf_mtod(mbuf, const uint8_t *);
}

/* Writes headers in front of a payload and checks every byte of them. */
static uint16_t check_headers(struct atr_iface *iface, const uint8_t *payload, uint16_t length)
{
	const struct atr_flow flow = {.dst_mac = peer_mac,
				      .dst_ip = PEER_IP,
				      .dst_port = 26477,
				      .src_port = 5001,
				      .ttl = 7};
	uint16_t header = atr_net_hdr_size(iface), stored;
	uint8_t bytes[ATR_NET_HDR_MAX + 2048] = {0};
	const uint8_t *ip, *udp;
	struct rte_mbuf *mbuf;

	memcpy(bytes + header, payload, length);
	mbuf = mbuf_of(bytes, (size_t)header + length, 0, 0);
	mbuf->ol_flags = RTE_MBUF_F_TX_TCP_CKSUM | RTE_MBUF_F_EXTERNAL;
	atr_net_udp_headers(mbuf, iface, &flow, length,
			    rte_raw_cksum(bytes_of(mbuf) + header, length));
	ip = bytes_of(mbuf) + header - 28;
	udp = ip + 20;
	assert_memory_equal(bytes_of(mbuf), &peer_mac, 6);
	assert_memory_equal(bytes_of(mbuf) + 6, &our_mac, 6);
	if (iface->vlan != ATR_VLAN_NONE)
		assert_memory_equal(bytes_of(mbuf) + 12, "\x81\x00\x00\x2A", 4);
	assert_memory_equal(ip - 2, "\x08\x00\x45\x00", 4);
	assert_int_equal(ip[2] << 8 | ip[3], 28 + length);
	assert_memory_equal(ip + 4, "\x00\x00\x40\x00\x07\x11", 6);
	assert_memory_equal(ip + 12, "\x0A\x00\x00\x02\x0A\x00\x00\x01", 8);
	assert_int_equal(udp[0] << 8 | udp[1], 5001);
	assert_int_equal(udp[2] << 8 | udp[3], 26477);
	assert_int_equal(udp[4] << 8 | udp[5], 8 + length);
	assert_memory_equal(udp + 8, payload, length);
	stored = (uint16_t)(udp[6] << 8 | udp[7]);
	assert_true(mbuf->ol_flags & RTE_MBUF_F_EXTERNAL);
	if (iface->tx_ip_checksum)
		assert_true(mbuf->ol_flags & RTE_MBUF_F_TX_IP_CKSUM);
	else
		assert_int_equal(naive_checksum(ip, 20, 0), 0);
	if (iface->tx_udp_checksum) {
		assert_int_equal(mbuf->ol_flags & RTE_MBUF_F_TX_L4_MASK, RTE_MBUF_F_TX_UDP_CKSUM);
		/* What a port finishes: adding the datagram to the pseudo header's sum. */
		assert_int_equal((uint16_t)~naive_udp_checksum(ip, (const uint8_t *)"", 0) + 8 +
					 length,
				 stored);
	} else {
		assert_int_equal(mbuf->ol_flags & RTE_MBUF_F_TX_L4_MASK, 0);
		assert_int_not_equal(stored, 0);
		assert_int_equal(naive_udp_checksum(ip, udp, 8u + length), 0);
	}
	if (iface->tx_udp_checksum || iface->tx_ip_checksum)
		assert_true(mbuf->ol_flags & RTE_MBUF_F_TX_IPV4);
	assert_int_equal(mbuf->l2_len, header - 28);
	assert_int_equal(mbuf->l3_len, 20);
	mbuf_drop(mbuf);
	return stored;
}

/* Invariant: headers are right to the byte, for odd and even payloads, with and without VLAN,
 * computed here or by the port. */
static void udp_headers_are_right(void **state)
{
	uint8_t payload[1500];

	(void)state;
	srandom(11);
	for (unsigned int variant = 0; variant < 8; variant++)
		for (uint16_t length = 0; length <= 1400; length += length < 40 ? 1 : 97) {
			struct atr_iface iface = iface_default();

			iface.vlan = variant & 1 ? OUR_VLAN : ATR_VLAN_NONE;
			iface.tx_ip_checksum = variant & 2;
			iface.tx_udp_checksum = variant & 4;
			for (unsigned int i = 0; i < length; i++)
				payload[i] = (uint8_t)random();
			check_headers(&iface, payload, length);
		}
}

/* Invariant: a sum that comes out as zero is sent as 0xFFFF, since zero means "no checksum". */
static void zero_checksum_is_sent_as_ones(void **state)
{
	struct atr_iface iface = iface_default();
	unsigned int ones = 0;

	(void)state;
	for (unsigned int word = 0; word < 0x10000; word++) {
		const uint8_t payload[2] = {(uint8_t)(word >> 8), (uint8_t)word};

		ones += check_headers(&iface, payload, sizeof(payload)) == 0xFFFF;
	}
	assert_int_equal(ones, 1);
}

static void arp_bytes(uint8_t *out, uint16_t opcode, uint32_t sender, uint32_t target)
{
	const uint8_t fixed[] = {0x08, 0x06, 0, 1, 8, 0, 6, 4, 0};

	memset(out, 0, 60);
	memset(out, 0xFF, 6);
	memcpy(out + 6, &peer_mac, 6);
	memcpy(out + 12, fixed, sizeof(fixed));
	out[21] = (uint8_t)opcode;
	memcpy(out + 22, &peer_mac, 6);
	for (unsigned int i = 0; i < 4; i++) {
		out[28 + i] = (uint8_t)(sender >> (24 - 8 * i));
		out[38 + i] = (uint8_t)(target >> (24 - 8 * i));
	}
}

/* Invariant: a request for our address becomes its reply; probes with sender 0 are answered too. */
static void arp_requests_are_answered(void **state)
{
	const uint32_t senders[] = {PEER_IP, 0};
	struct atr_iface iface = iface_default();

	(void)state;
	for (unsigned int i = 0; i < 2; i++) {
		uint8_t bytes[60], reply[60];
		struct rte_ether_addr mac;
		struct rte_mbuf *mbuf;
		uint32_t ip;

		arp_bytes(bytes, 1, senders[i], OUR_IP);
		mbuf = mbuf_of(bytes, 60, 0, 0);
		assert_true(atr_net_arp_answer(mbuf, &iface, &ip, &mac));
		assert_int_equal(ip, senders[i]);
		assert_memory_equal(&mac, &peer_mac, 6);
		arp_bytes(reply, 2, OUR_IP, senders[i]);
		memcpy(reply, &peer_mac, 6);
		memcpy(reply + 6, &our_mac, 6);
		memcpy(reply + 22, &our_mac, 6);
		memcpy(reply + 32, &peer_mac, 6);
		assert_int_equal(mbuf->data_len, 42);
		assert_memory_equal(bytes_of(mbuf), reply, 42);
		mbuf_drop(mbuf);
	}
}

/* Invariant: replies and requests for others teach the sender's address and are not answered;
 * anything malformed or claiming our address or a group teaches nothing. */
static void other_arp_is_not_answered(void **state)
{
	struct atr_iface iface = iface_default();
	struct rte_ether_addr mac;
	struct rte_mbuf *mbuf;
	uint8_t bytes[60];
	uint32_t ip;

	(void)state;
	for (uint16_t opcode = 1; opcode <= 2; opcode++) {
		arp_bytes(bytes, opcode, PEER_IP, opcode == 1 ? PEER_IP : OUR_IP);
		mbuf = mbuf_of(bytes, 42, 0, 0);
		assert_false(atr_net_arp_answer(mbuf, &iface, &ip, &mac));
		assert_int_equal(ip, PEER_IP);
		assert_memory_equal(&mac, &peer_mac, 6);
		mbuf_drop(mbuf);
	}
	for (size_t cut = 0; cut < 42; cut++) {
		arp_bytes(bytes, 1, PEER_IP, OUR_IP);
		mbuf = mbuf_of(bytes, cut, 0, 0);
		assert_false(atr_net_arp_answer(mbuf, &iface, &ip, &mac));
		assert_int_equal(ip, 0);
		mbuf_drop(mbuf);
	}
	for (size_t field = 12; field < 23; field++) {
		arp_bytes(bytes, 1, PEER_IP, OUR_IP);
		bytes[field] ^= 0x41; /* in the sender's MAC this sets the group bit */
		mbuf = mbuf_of(bytes, 60, 0, 0);
		assert_false(atr_net_arp_answer(mbuf, &iface, &ip, &mac));
		assert_int_equal(ip, 0);
		mbuf_drop(mbuf);
	}
	const uint32_t claims[] = {OUR_IP, 0xEF000001, UINT32_MAX};

	for (unsigned int i = 0; i < 3; i++) {
		arp_bytes(bytes, 1, claims[i], OUR_IP);
		mbuf = mbuf_of(bytes, 60, 0, 0);
		assert_false(atr_net_arp_answer(mbuf, &iface, &ip, &mac));
		assert_int_equal(ip, 0);
		mbuf_drop(mbuf);
	}
}

/* Invariant: a tag that the port stripped is back in the reply, or there is no reply. */
static void stripped_tag_returns(void **state)
{
	struct atr_iface iface = iface_default();
	struct rte_ether_addr mac;
	uint8_t bytes[60];
	uint32_t ip;

	(void)state;
	iface.vlan = OUR_VLAN;
	arp_bytes(bytes, 1, PEER_IP, OUR_IP);
	for (uint16_t headroom = 0; headroom <= 4; headroom += 4) {
		struct rte_mbuf *mbuf = mbuf_of(bytes, 60, headroom, 0);

		mbuf->ol_flags = RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_VLAN_STRIPPED;
		mbuf->vlan_tci = OUR_VLAN;
		assert_int_equal(atr_net_arp_answer(mbuf, &iface, &ip, &mac), headroom == 4);
		if (headroom == 4) {
			assert_int_equal(mbuf->data_len, 46);
			assert_int_equal(mbuf->ol_flags, 0);
			assert_memory_equal(bytes_of(mbuf), &peer_mac, 6);
			assert_memory_equal(bytes_of(mbuf) + 6, &our_mac, 6);
			assert_memory_equal(bytes_of(mbuf) + 12, "\x81\x00\x00\x2A\x08\x06", 6);
		}
		mbuf_drop(mbuf);
	}
}

/* Invariant: an echo request becomes its reply, without options and padding, checksums right. */
static void echo_requests_are_answered(void **state)
{
	struct atr_iface iface = iface_default();

	(void)state;
	for (unsigned int options = 0; options <= 40; options += 8)
		for (unsigned int payload = 0; payload < 60; payload += 7) {
			struct packet p = packet_default();
			uint8_t bytes[256];
			const uint8_t *ip;
			struct rte_mbuf *mbuf;

			p.proto = 1;
			p.options = options;
			p.payload = payload;
			p.padding = 5;
			mbuf = mbuf_of(bytes, packet_write(&p, bytes), 0, 0);
			assert_true(atr_net_icmp_answer(mbuf, &iface));
			assert_int_equal(mbuf->data_len, 14 + 20 + 8 + payload);
			assert_int_equal(mbuf->pkt_len, mbuf->data_len);
			ip = bytes_of(mbuf) + 14;
			assert_memory_equal(bytes_of(mbuf), &peer_mac, 6);
			assert_memory_equal(bytes_of(mbuf) + 6, &our_mac, 6);
			assert_int_equal(ip[0], 0x45);
			assert_int_equal(ip[3], 28 + payload);
			assert_memory_equal(ip + 12, "\x0A\x00\x00\x02\x0A\x00\x00\x01", 8);
			assert_int_equal(naive_checksum(ip, 20, 0), 0);
			assert_int_equal(ip[20], 0);
			assert_int_equal(naive_checksum(ip + 20, 8 + payload, 0), 0);
			assert_memory_equal(ip + 24, bytes + 14 + 20 + options + 4, 4 + payload);
			mbuf_drop(mbuf);
		}
}

/* Invariant: what is cut, wrong in a checksum, from no host or not for us is not answered. */
static void malformed_echo_is_not_answered(void **state)
{
	const uint32_t sources[] = {0, OUR_IP, 0xEF010101, UINT32_MAX};
	struct atr_iface iface = iface_default();
	struct packet p = packet_default();
	uint8_t bytes[256];
	struct rte_mbuf *mbuf;
	size_t length;

	(void)state;
	p.proto = 1;
	length = packet_write(&p, bytes);
	for (size_t cut = 0; cut < length; cut++) {
		mbuf = mbuf_of(bytes, cut, 0, 0);
		assert_false(atr_net_icmp_answer(mbuf, &iface));
		mbuf_drop(mbuf);
	}
	for (size_t bit = 14 * 8; bit < length * 8; bit++) {
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		mbuf = mbuf_of(bytes, length, 0, 0);
		assert_false(atr_net_icmp_answer(mbuf, &iface));
		mbuf_drop(mbuf);
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	for (unsigned int i = 0; i < 4; i++) {
		p.src_ip = sources[i];
		mbuf = mbuf_of(bytes, packet_write(&p, bytes), 0, 0);
		assert_false(atr_net_icmp_answer(mbuf, &iface));
		mbuf_drop(mbuf);
	}
	p = packet_default();
	p.proto = 1;
	p.dst_ip++;
	mbuf = mbuf_of(bytes, packet_write(&p, bytes), 0, 0);
	assert_false(atr_net_icmp_answer(mbuf, &iface));
	mbuf_drop(mbuf);
}

/* Invariant: our own request is one that we would answer if it were for us. */
static void arp_request_is_well_formed(void **state)
{
	(void)state;
	for (unsigned int tagged = 0; tagged < 2; tagged++) {
		struct atr_iface iface = iface_default(), other = iface_default();
		uint16_t length = tagged ? 46 : 42;
		struct rte_ether_addr mac;
		struct rte_mbuf *mbuf;
		uint32_t ip;

		iface.vlan = other.vlan = tagged ? OUR_VLAN : ATR_VLAN_NONE;
		other.ip = PEER_IP;
		other.mac = peer_mac;
		mbuf = mbuf_of((const uint8_t *)"", 0, 0, length - 1);
		assert_int_equal(atr_net_arp_request(mbuf, &iface, PEER_IP), -ENOSPC);
		mbuf_drop(mbuf);
		mbuf = mbuf_of((const uint8_t *)"", 0, 0, length);
		assert_int_equal(atr_net_arp_request(mbuf, &iface, PEER_IP), 0);
		assert_int_equal(mbuf->pkt_len, length);
		assert_memory_equal(bytes_of(mbuf), "\xFF\xFF\xFF\xFF\xFF\xFF", 6);
		assert_true(atr_net_arp_answer(mbuf, &other, &ip, &mac));
		assert_int_equal(ip, OUR_IP);
		assert_memory_equal(&mac, &our_mac, 6);
		mbuf_drop(mbuf);
	}
}

/* Invariant: RFC 1112: the low 23 bits of the group. */
static void multicast_macs(void **state)
{
	struct rte_ether_addr mac;

	(void)state;
	atr_net_multicast_mac(0xEFFF8001, &mac);
	assert_memory_equal(&mac, "\x01\x00\x5E\x7F\x80\x01", 6);
	assert_true(atr_net_is_multicast(0xE0000000));
	assert_true(atr_net_is_multicast(0xEFFFFFFF));
	assert_false(atr_net_is_multicast(0xF0000000));
	assert_false(atr_net_is_multicast(0xDFFFFFFF));
}

int run_answer_tests(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(udp_headers_are_right),
		cmocka_unit_test(zero_checksum_is_sent_as_ones),
		cmocka_unit_test(arp_requests_are_answered),
		cmocka_unit_test(other_arp_is_not_answered),
		cmocka_unit_test(stripped_tag_returns),
		cmocka_unit_test(echo_requests_are_answered),
		cmocka_unit_test(malformed_echo_is_not_answered),
		cmocka_unit_test(arp_request_is_well_formed),
		cmocka_unit_test(multicast_macs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
