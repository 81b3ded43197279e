/* SPDX-License-Identifier: BSD-3-Clause */
#include "packets.h"

#include <rte_ip.h>

static const uint32_t group_ips[] = {0xEF010101, 0xEF020202};
static const struct atr_groups groups = {group_ips, 2};
static const struct atr_net_ports our_ports = {OUR_PORT, FEED_PORT};

/* Classifies a packet as is; *out receives what is told about it. */
static enum atr_net_class classify_flags(const struct packet *packet, const struct atr_iface *iface,
					 uint64_t ol_flags, uint16_t tci,
					 struct atr_net_datagram *out)
{
	uint8_t bytes[2048];
	struct rte_mbuf *mbuf = mbuf_of(bytes, packet_write(packet, bytes), 0, 0);
	enum atr_net_class class;

	mbuf->ol_flags = ol_flags;
	mbuf->vlan_tci = tci;
	class = atr_net_classify(mbuf, iface, &groups, &our_ports, out);
	mbuf_drop(mbuf);
	return class;
}

static enum atr_net_class classify(const struct packet *packet, struct atr_net_datagram *out)
{
	struct atr_iface iface = iface_default();

	return classify_flags(packet, &iface, 0, 0, out);
}

static void expect_refused(const struct packet *packet, uint8_t reason)
{
	struct atr_net_datagram d;

	assert_int_equal(classify(packet, &d), ATR_NET_REFUSED);
	assert_int_equal(d.reason, reason);
}

static void expect_foreign(const struct packet *packet)
{
	struct atr_net_datagram d;

	assert_int_equal(classify(packet, &d), ATR_NET_FOREIGN);
}

/* Invariant: a datagram to us is found where it is, whatever lies around its payload. */
static void datagrams_are_found(void **state)
{
	struct atr_net_datagram d;

	(void)state;
	for (unsigned int payload = 0; payload < 70; payload++)
		for (unsigned int options = 0; options <= 40; options += 4)
			for (unsigned int padding = 0; padding < 20; padding += 6) {
				struct packet p = packet_default();

				p.payload = payload;
				p.options = options;
				p.padding = padding;
				assert_int_equal(classify(&p, &d), ATR_NET_DATAGRAM);
				assert_int_equal(d.offset, 14 + 20 + options + 8);
				assert_int_equal(d.length, payload);
				assert_int_equal(d.src_ip, PEER_IP);
				assert_int_equal(d.dst_ip, OUR_IP);
				assert_int_equal(d.src_port, PEER_PORT);
				assert_int_equal(d.reason, ATR_OK);
			}
}

/* Invariant: what goes to the port of our feeds is a request only from one host to this one, whole
 * and 20 bytes long; everything else there is foreign and named to nobody. */
static void requests_are_found(void **state)
{
	struct atr_net_datagram d;
	struct packet good = packet_default(), p;

	(void)state;
	good.dst_port = FEED_PORT;
	for (unsigned int payload = 0; payload < 70; payload++) {
		p = good;
		p.payload = payload;
		assert_int_equal(classify(&p, &d), payload == ATR_NET_REQUEST_SIZE
							   ? ATR_NET_REQUEST
							   : ATR_NET_FOREIGN);
	}
	good.payload = ATR_NET_REQUEST_SIZE;
	assert_int_equal(classify(&good, &d), ATR_NET_REQUEST);
	assert_int_equal(d.offset, 14 + 20 + 8);
	assert_int_equal(d.length, ATR_NET_REQUEST_SIZE);
	assert_int_equal(d.src_ip, PEER_IP);
	assert_int_equal(d.src_port, PEER_PORT);
	p = good;
	p.dst_ip = group_ips[0];
	expect_foreign(&p);
	p = good;
	memset(&p.dst_mac, 0xFF, sizeof(p.dst_mac));
	expect_foreign(&p);
	p = good;
	p.udp_length_delta = 1;
	expect_foreign(&p);
	p = good;
	p.dst_port = FEED_PORT + 1;
	expect_foreign(&p);
}

/* Invariant: only our MAC or a group MAC, our IP or a group of the plan, UDP to our port. */
static void foreign_packets_are_told_apart(void **state)
{
	struct atr_net_datagram d;
	struct packet p;

	(void)state;
	p = packet_default();
	p.dst_mac.addr_bytes[5] ^= 1;
	expect_foreign(&p);
	memset(&p.dst_mac, 0xFF, sizeof(p.dst_mac));
	assert_int_equal(classify(&p, &d), ATR_NET_DATAGRAM);
	p.dst_ip = group_ips[1];
	atr_net_multicast_mac(p.dst_ip, &p.dst_mac);
	assert_int_equal(classify(&p, &d), ATR_NET_DATAGRAM);
	p.dst_ip = 0xEF030303;
	expect_foreign(&p);
	p = packet_default();
	p.dst_ip ^= 1;
	expect_foreign(&p);
	p.dst_ip = UINT32_MAX;
	expect_foreign(&p);
	p = packet_default();
	p.dst_port++;
	expect_foreign(&p);
	p = packet_default();
	p.proto = 6;
	expect_foreign(&p);
	p = packet_default();
	p.ethertype = 0x86DD;
	expect_foreign(&p);
	p.ethertype = 0x0806;
	assert_int_equal(classify(&p, &d), ATR_NET_ARP);
}

/* Invariant: echo requests to our address go to the control lcore, no other ICMP does. */
static void only_echo_requests_are_icmp(void **state)
{
	struct packet p = packet_default();
	struct atr_net_datagram d;

	(void)state;
	p.proto = 1;
	assert_int_equal(classify(&p, &d), ATR_NET_ICMP);
	p.icmp_type = 0;
	expect_foreign(&p);
	p.icmp_type = 8;
	p.fragment = 0x2000;
	expect_foreign(&p);
	p.fragment = 0;
	p.total_length_delta = 1;
	expect_foreign(&p);
	p.total_length_delta = 0;
	p.dst_ip = group_ips[0];
	expect_foreign(&p);
}

/* Invariant: each way in which a datagram to us can be malformed has its own reason. */
static void malformed_datagrams_are_named(void **state)
{
	struct packet p = packet_default();

	(void)state;
	p.total_length_delta = 1;
	expect_refused(&p, ATR_REASON_IP_MALFORMED);
	p.total_length_delta = -(int)(28 + p.payload) + 19;
	expect_refused(&p, ATR_REASON_IP_MALFORMED);
	p.total_length_delta = -(int)p.payload - 1; /* UDP header of 7 bytes */
	expect_refused(&p, ATR_REASON_UDP_MALFORMED);
	p.total_length_delta = -(int)p.payload - 8; /* no UDP header at all */
	expect_refused(&p, ATR_REASON_UDP_MALFORMED);
	p.total_length_delta = -1;
	expect_refused(&p, ATR_REASON_UDP_MALFORMED);
	p = packet_default();
	p.fragment = 0x2000; /* more fragments */
	expect_refused(&p, ATR_REASON_IP_FRAGMENT);
	p.fragment = 0x0001; /* offset */
	expect_refused(&p, ATR_REASON_IP_FRAGMENT);
	p.fragment = 0x4000; /* do not fragment: fine */
	p.udp_length_delta = 1;
	expect_refused(&p, ATR_REASON_UDP_MALFORMED);
	p.udp_length_delta = -1;
	expect_refused(&p, ATR_REASON_UDP_MALFORMED);
	p.udp_length_delta = -(int)(8 + p.payload);
	expect_refused(&p, ATR_REASON_UDP_MALFORMED);
	p.udp_length_delta = 0;
	p.padding = 9;
	p.total_length_delta = 9; /* IPv4 says more than UDP */
	expect_refused(&p, ATR_REASON_UDP_MALFORMED);
}

/* Invariant: header lengths below 20 bytes and versions other than 4 are malformed, not read. */
static void bad_version_and_header_length(void **state)
{
	struct atr_iface iface = iface_default();
	struct packet p = packet_default();
	uint8_t bytes[256];
	size_t length = packet_write(&p, bytes);

	(void)state;
	for (unsigned int first = 0; first < 256; first++) {
		struct atr_net_datagram d;
		struct rte_mbuf *mbuf;

		if (first == 0x45)
			continue;
		bytes[14] = (uint8_t)first;
		mbuf = mbuf_of(bytes, length, 0, 0);
		assert_int_equal(atr_net_classify(mbuf, &iface, &groups, &our_ports, &d),
				 ATR_NET_REFUSED);
		if (first >> 4 != 4 || (first & 15) < 5)
			assert_int_equal(d.reason, ATR_REASON_IP_MALFORMED);
		mbuf_drop(mbuf);
	}
}

/* Invariant: any one flipped bit in what a checksum covers is noticed, unless the packet becomes
 * somebody else's; a UDP checksum of zero means that there is none. */
static void flipped_bits_are_noticed(void **state)
{
	struct atr_iface iface = iface_default();
	struct packet p = packet_default();
	uint8_t bytes[256];
	size_t length = packet_write(&p, bytes);

	(void)state;
	for (size_t bit = 14 * 8; bit < length * 8; bit++) {
		struct atr_net_datagram d;
		struct rte_mbuf *mbuf;
		enum atr_net_class class;

		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		mbuf = mbuf_of(bytes, length, 0, 0);
		class = atr_net_classify(mbuf, &iface, &groups, &our_ports, &d);
		assert_true(class == ATR_NET_REFUSED || class == ATR_NET_FOREIGN);
		if (bit >= 42 * 8)
			assert_int_equal(d.reason, ATR_REASON_UDP_CHECKSUM);
		mbuf_drop(mbuf);
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	bytes[24] ^= 1;
	struct rte_mbuf *mbuf = mbuf_of(bytes, length, 0, 0);
	struct atr_net_datagram d;

	assert_int_equal(atr_net_classify(mbuf, &iface, &groups, &our_ports, &d), ATR_NET_REFUSED);
	assert_int_equal(d.reason, ATR_REASON_IP_CHECKSUM);
	mbuf_drop(mbuf);
	p.no_udp_checksum = 1;
	assert_int_equal(classify(&p, &d), ATR_NET_DATAGRAM);
}

/* Invariant: flags of the port are believed exactly when the port checks; UNKNOWN is checked in
 * software; a checksum of zero is none whatever the port says about it. */
static void offload_flags_are_believed_only_if_negotiated(void **state)
{
	const uint64_t bad_ip = RTE_MBUF_F_RX_IP_CKSUM_BAD, good_ip = RTE_MBUF_F_RX_IP_CKSUM_GOOD;
	const uint64_t bad_l4 = RTE_MBUF_F_RX_L4_CKSUM_BAD, good_l4 = RTE_MBUF_F_RX_L4_CKSUM_GOOD;
	struct atr_iface on = iface_default(), off = iface_default();
	struct packet p = packet_default();
	struct atr_net_datagram d;
	uint8_t bytes[256];
	struct rte_mbuf *mbuf;

	(void)state;
	on.rx_checksum = true;
	assert_int_equal(classify_flags(&p, &off, bad_ip | bad_l4, 0, &d), ATR_NET_DATAGRAM);
	assert_int_equal(classify_flags(&p, &on, 0, 0, &d), ATR_NET_DATAGRAM);
	assert_int_equal(classify_flags(&p, &on, bad_ip | good_l4, 0, &d), ATR_NET_REFUSED);
	assert_int_equal(d.reason, ATR_REASON_IP_CHECKSUM);
	assert_int_equal(classify_flags(&p, &on, good_ip | bad_l4, 0, &d), ATR_NET_REFUSED);
	assert_int_equal(d.reason, ATR_REASON_UDP_CHECKSUM);
	p.no_udp_checksum = 1;
	assert_int_equal(classify_flags(&p, &on, good_ip | bad_l4, 0, &d), ATR_NET_DATAGRAM);
	p.no_udp_checksum = 0;

	mbuf = mbuf_of(bytes, packet_write(&p, bytes), 0, 0);
	rte_pktmbuf_mtod(mbuf, uint8_t *)[24] ^= 1;
	rte_pktmbuf_mtod(mbuf, uint8_t *)[40] ^= 1;
	mbuf->ol_flags = good_ip | good_l4;
	assert_int_equal(atr_net_classify(mbuf, &on, NULL, &our_ports, &d), ATR_NET_DATAGRAM);
	assert_int_equal(atr_net_classify(mbuf, &off, NULL, &our_ports, &d), ATR_NET_REFUSED);
	mbuf->ol_flags = RTE_MBUF_F_RX_IP_CKSUM_NONE | RTE_MBUF_F_RX_L4_CKSUM_NONE;
	assert_int_equal(atr_net_classify(mbuf, &on, NULL, &our_ports, &d), ATR_NET_DATAGRAM);
	mbuf->ol_flags = good_ip;
	assert_int_equal(atr_net_classify(mbuf, &on, NULL, &our_ports, &d), ATR_NET_REFUSED);
	assert_int_equal(d.reason, ATR_REASON_UDP_CHECKSUM);
	mbuf->ol_flags = good_l4;
	assert_int_equal(atr_net_classify(mbuf, &on, NULL, &our_ports, &d), ATR_NET_REFUSED);
	assert_int_equal(d.reason, ATR_REASON_IP_CHECKSUM);
	mbuf_drop(mbuf);
}

/* Invariant: exactly the interface's tag is ours, in the packet or stripped; priority bits do not
 * matter; a tag inside a stripped tag is foreign. */
static void vlan_tags_must_match(void **state)
{
	const uint64_t stripped = RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_VLAN_STRIPPED;
	struct atr_iface tagged = iface_default(), plain = iface_default();
	struct packet p = packet_default();
	struct atr_net_datagram d;

	(void)state;
	tagged.vlan = OUR_VLAN;
	assert_int_equal(classify_flags(&p, &tagged, 0, 0, &d), ATR_NET_FOREIGN);
	assert_int_equal(classify_flags(&p, &tagged, stripped, OUR_VLAN, &d), ATR_NET_DATAGRAM);
	assert_int_equal(d.offset, 42);
	assert_int_equal(classify_flags(&p, &tagged, stripped, 0xE000 | OUR_VLAN, &d),
			 ATR_NET_DATAGRAM);
	assert_int_equal(classify_flags(&p, &tagged, stripped, OUR_VLAN + 1, &d), ATR_NET_FOREIGN);
	assert_int_equal(classify_flags(&p, &plain, stripped, OUR_VLAN, &d), ATR_NET_FOREIGN);
	p.vlan = OUR_VLAN;
	assert_int_equal(classify_flags(&p, &tagged, 0, 0, &d), ATR_NET_DATAGRAM);
	assert_int_equal(d.offset, 46);
	assert_int_equal(classify_flags(&p, &plain, 0, 0, &d), ATR_NET_FOREIGN);
	assert_int_equal(classify_flags(&p, &tagged, stripped, OUR_VLAN, &d), ATR_NET_FOREIGN);
	p.vlan = 0xA000 | OUR_VLAN;
	assert_int_equal(classify_flags(&p, &tagged, 0, 0, &d), ATR_NET_DATAGRAM);
	p.vlan = OUR_VLAN - 1;
	assert_int_equal(classify_flags(&p, &tagged, 0, 0, &d), ATR_NET_FOREIGN);
}

/* Invariant: cut anywhere, a packet is never read beyond its end and never taken for a datagram. */
static void truncated_packets_are_never_datagrams(void **state)
{
	struct atr_iface iface = iface_default();

	(void)state;
	for (int vlan = -1; vlan <= OUR_VLAN; vlan += OUR_VLAN + 1)
		for (unsigned int options = 0; options <= 40; options += 20) {
			struct packet p = packet_default();
			uint8_t bytes[256];
			size_t length, l2 = vlan < 0 ? 14 : 18;

			p.vlan = vlan;
			p.options = options;
			iface.vlan = vlan < 0 ? ATR_VLAN_NONE : OUR_VLAN;
			length = packet_write(&p, bytes);
			for (size_t cut = 0; cut < length; cut++) {
				struct rte_mbuf *mbuf = mbuf_of(bytes, cut, 0, 0);
				struct atr_net_datagram d;
				enum atr_net_class class =
					atr_net_classify(mbuf, &iface, &groups, &our_ports, &d);

				assert_int_equal(class,
						 cut < l2 + 20 ? ATR_NET_FOREIGN : ATR_NET_REFUSED);
				if (class == ATR_NET_REFUSED)
					assert_int_equal(d.reason, ATR_REASON_IP_MALFORMED);
				mbuf_drop(mbuf);
			}
		}
}

/* Invariant: whatever the bytes, a datagram's payload lies inside the packet. */
static void random_packets_stay_in_bounds(void **state)
{
	struct atr_iface iface = iface_default();
	unsigned int datagrams = 0;

	(void)state;
	srandom(7);
	iface.rx_checksum = true;
	for (unsigned int round = 0; round < 200000; round++) {
		struct packet p = packet_default();
		struct atr_net_datagram d;
		uint8_t bytes[256];
		struct rte_mbuf *mbuf;
		size_t length;

		p.payload = (unsigned int)random() % 40;
		p.options = (unsigned int)random() % 11 * 4;
		p.proto = random() % 8 ? 17 : 1;
		length = packet_write(&p, bytes);
		for (long flips = random() % 4; flips > 0; flips--)
			bytes[(size_t)random() % length] = (uint8_t)random();
		length -= random() % 3 ? 0 : (size_t)random() % length;
		mbuf = mbuf_of(bytes, length, 0, 0);
		mbuf->ol_flags = RTE_MBUF_F_RX_IP_CKSUM_GOOD | RTE_MBUF_F_RX_L4_CKSUM_GOOD;
		if (atr_net_classify(mbuf, &iface, &groups, &our_ports, &d) == ATR_NET_DATAGRAM) {
			assert_true((size_t)d.offset + d.length <= length);
			assert_true(d.offset >= 42);
			datagrams++;
		}
		mbuf_drop(mbuf);
	}
	assert_true(datagrams > 1000);
}

/* Invariant: every variant sums as DPDK does, whatever length and alignment, and reads no byte
 * behind the end (the block is exactly that large). */
static void sums_equal_dpdks(void **state)
{
	static const unsigned int bits[] = {64, 256, 512};

	(void)state;
	for (unsigned int round = 0; round < 3000; round++) {
		size_t length = (size_t)rand() % 600, shift = (size_t)rand() % 8;
		uint8_t *p = malloc(length + shift + 1), *data = p + shift + 1;

		assert_non_null(p);
		for (size_t i = 0; i < length; i++)
			data[i] = round % 3 == 0 ? UINT8_MAX : (uint8_t)rand();
		for (unsigned int v = 0; v < RTE_DIM(bits); v++) {
			atr_net_select(bits[v]);
			assert_int_equal(atr_net_sum(data, length), rte_raw_cksum(data, length));
		}
		free(p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sums_equal_dpdks),
		cmocka_unit_test(datagrams_are_found),
		cmocka_unit_test(requests_are_found),
		cmocka_unit_test(foreign_packets_are_told_apart),
		cmocka_unit_test(only_echo_requests_are_icmp),
		cmocka_unit_test(malformed_datagrams_are_named),
		cmocka_unit_test(bad_version_and_header_length),
		cmocka_unit_test(flipped_bits_are_noticed),
		cmocka_unit_test(offload_flags_are_believed_only_if_negotiated),
		cmocka_unit_test(vlan_tags_must_match),
		cmocka_unit_test(truncated_packets_are_never_datagrams),
		cmocka_unit_test(random_packets_stay_in_bounds),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	return failed + run_answer_tests();
}
