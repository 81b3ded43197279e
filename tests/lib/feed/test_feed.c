/* SPDX-License-Identifier: BSD-3-Clause */
/* After each test every pool holds what it held before: shared payloads come back. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <rte_ip.h>

#include "../../../lib/feed/feed.h"
#include "one_wire.h"

#define FEED    5
#define DEST_IP 0x0A000009

static struct atr_iface iface;
static struct atr_neighbours *neighbours;
static struct atr_plan plan;
static struct atr_feed plan_feeds[FEED + 1];
static struct atr_feed_routes routes[FEED + 1];
static struct atr_program program;
static struct atr_feeds feeds;
static struct atr_packet event = {.flags = ATR_FLAG_INLINE, .topic_id = 3, .sender_id = 4};

static int boot(void **state)
{
	(void)state;
	return boot_wire(0);
}

static int begin(void **state)
{
	static const struct rte_ether_addr mac = {{2, 0, 0, 0, 0, 9}};

	(void)state;
	iface = (struct atr_iface){.port_id = port,
				   .vlan = ATR_VLAN_NONE,
				   .mtu = 1500,
				   .prefix_length = 24,
				   .ip = 0x0A000001,
				   .tx_multi_seg = true};
	neighbours = atr_neighbours_create(16);
	memset(&feeds, 0, sizeof(feeds));
	memset(routes, 0, sizeof(routes));
	plan_feeds[FEED].present = true;
	plan = (struct atr_plan){.feeds = plan_feeds, .feed_slots = FEED + 1};
	program = (struct atr_program){.plan = &plan, .routes = routes};
	routes[FEED].count = 1;
	routes[FEED].route[0].neighbour = 0;
	routes[FEED].route[0].flow = (struct atr_flow){
		.dst_ip = DEST_IP, .dst_port = 5000, .src_port = 26401, .ttl = 64};
	atr_mold_session(feeds.feed[FEED].session, FEED, 0, 1);
	feeds.feed[FEED].next_sequence = 1;
	feeds.tx[0].port_id = port;
	feeds.ifaces = &iface;
	feeds.iface_count = 1;
	feeds.neighbours = neighbours;
	feeds.payloads = payloads;
	feeds.headers = headers;
	feeds.flush_tsc = 100;
	feeds.heartbeat_tsc = 1000;
	feeds.datagram_max = 1500 - 28;
	return atr_neighbour_add_static(neighbours, &iface, DEST_IP, &mac) < 0;
}

static int end(void **state)
{
	(void)state;
	atr_neighbours_free(neighbours);
	return rte_mempool_in_use_count(payloads) || rte_mempool_in_use_count(headers) ||
	       rte_ring_count(wire);
}

static void publish(uint64_t sequence, uint32_t length, uint64_t now)
{
	static uint8_t payload[4096];
	struct atr_message m = {.sequence = sequence, .packet = &event};

	for (uint32_t i = 0; i < length; i++)
		payload[i] = (uint8_t)(sequence + i);
	m.payload = length ? payload : NULL;
	m.payload_length = length;
	event.flags = length ? ATR_FLAG_ARENA : ATR_FLAG_INLINE;
	event.arena.offset = 0;
	event.arena.length = length;
	atr_feeds_publish(&feeds, &program, UINT64_C(1) << FEED, &m, now);
}

/* Next packet on the wire, flat; 0 if there is none. */
static unsigned int next(uint8_t *out, struct atr_mold_packet *packet)
{
	unsigned int hdr = atr_net_hdr_size(&iface), length;
	const void *data;
	void *entry;

	if (rte_ring_dequeue(wire, &entry) != 0)
		return 0;
	length = ((struct rte_mbuf *)entry)->pkt_len;
	data = rte_pktmbuf_read(entry, 0, length, out);
	assert_non_null(data);
	if (data != out)
		memcpy(out, data, length);
	rte_pktmbuf_free(entry);
	assert_int_equal(atr_mold_parse(out + hdr, length - hdr, packet), 0);
	return length;
}

/* Invariant: packets are filled to the MTU and not beyond; sequences continue over packets. */
static void packing(void **state)
{
	uint64_t expected = 1, events = 0;
	struct atr_mold_packet p;
	uint8_t bytes[ROOM];
	unsigned int length;

	(void)state;
	/* 19 blocks of 74 and 20 bytes of header are 1426; a 20th of 46 less would not fit. */
	for (unsigned int i = 0; i < 19; i++)
		publish(i, 0, 0);
	atr_tx_flush(&feeds.tx[0]);
	assert_int_equal(next(bytes, &p), 0);
	publish(19, 0, 0);
	atr_tx_flush(&feeds.tx[0]);
	length = next(bytes, &p);
	assert_int_equal(length, 42 + 20 + 19 * 74);
	assert_int_equal(p.count, 19);
	atr_feeds_poll(&feeds, &program, 100, false);
	atr_tx_flush(&feeds.tx[0]);
	assert_true(next(bytes, &p) > 0 && p.count == 1 && p.sequence == 20);
	expected = 21;
	/* Exactly full, and one byte more. */
	publish(20, 1472 - 20 - 2 * 74 - 3, 200);
	publish(21, 3, 200);
	publish(22, 1472 - 20 - 2 * 74 - 3, 200);
	publish(23, 4, 200);
	atr_feeds_poll(&feeds, &program, 300, false);
	atr_tx_flush(&feeds.tx[0]);
	while ((length = next(bytes, &p)) > 0) {
		struct atr_mold_event e;
		size_t cursor = 0;

		assert_true(p.sequence == expected);
		assert_int_equal(length, p.count == 2       ? 1514
					 : p.sequence == 23 ? 42 + 20 + 74 + 1301
							    : 42 + 20 + 78);
		expected += p.count;
		while (atr_mold_next(&p, &cursor, &e) == 1) {
			assert_true(e.sequence == 20 + events++);
			for (uint32_t k = 0; k < e.payload_length; k++)
				assert_int_equal(e.payload[k], (uint8_t)(e.sequence + k));
		}
	}
	assert_int_equal(events, 4);
	assert_int_equal(feeds.feed[FEED].stats.messages, 24);
}

/* Invariant: all destinations, chained or copied, with a tag or without, get the same payload; only
 * their headers differ. */
static void same_bytes_everywhere(void **state)
{
	uint8_t first[ROOM] = {0}, bytes[ROOM];
	struct atr_mold_packet p;

	(void)state;
	routes[FEED].count = ATR_DESTS_MAX;
	for (unsigned int d = 0; d < ATR_DESTS_MAX; d++) {
		routes[FEED].route[d] = routes[FEED].route[0];
		routes[FEED].route[d].flow.dst_port = (uint16_t)(6000 + d);
	}
	for (unsigned int way = 0; way < 4; way++) {
		unsigned int hdr;

		iface.tx_multi_seg = way & 1;
		iface.vlan = way & 2 ? 7 : ATR_VLAN_NONE;
		hdr = atr_net_hdr_size(&iface);
		feeds.feed[FEED].next_sequence = 1;
		publish(1, 700, 0);
		publish(2, 0, 0);
		atr_feeds_poll(&feeds, &program, 100, false);
		atr_tx_flush(&feeds.tx[0]);
		for (unsigned int d = 0; d < ATR_DESTS_MAX; d++) {
			struct rte_ipv4_hdr *ip = (void *)(bytes + hdr - 28);
			struct rte_udp_hdr *udp = (void *)(ip + 1);
			unsigned int length = next(bytes, &p);

			assert_int_equal(length, hdr + 20 + 74 + 774);
			assert_int_equal(rte_be_to_cpu_16(udp->dst_port), 6000 + d);
			assert_int_equal(rte_ipv4_udptcp_cksum(ip, udp), 0xFFFF);
			assert_int_equal(rte_be_to_cpu_16(*(uint16_t *)(bytes + 12)),
					 way & 2 ? RTE_ETHER_TYPE_VLAN : RTE_ETHER_TYPE_IPV4);
			if (way == 0 && d == 0)
				memcpy(first, bytes + hdr, length - hdr);
			assert_memory_equal(first, bytes + hdr, length - hdr);
		}
		assert_int_equal(next(bytes, &p), 0);
	}
	assert_int_equal(feeds.feed[FEED].stats.sent, 4 * ATR_DESTS_MAX);
}

/* Invariant: a destination that cannot be reached loses its packet, counted; others lose nothing.
 */
static void unresolved_neighbour(void **state)
{
	struct atr_mold_packet p;
	uint8_t bytes[ROOM];

	(void)state;
	routes[FEED].count = 3;
	routes[FEED].route[1] = routes[FEED].route[0];
	routes[FEED].route[2] = routes[FEED].route[0];
	routes[FEED].route[1].neighbour = atr_neighbour_add(neighbours, &iface, DEST_IP + 1);
	assert_true(routes[FEED].route[1].neighbour > 0);
	publish(1, 0, 0);
	atr_feeds_poll(&feeds, &program, 100, false);
	atr_tx_flush(&feeds.tx[0]);
	assert_true(next(bytes, &p) > 0);
	assert_true(next(bytes, &p) > 0);
	assert_int_equal(next(bytes, &p), 0);
	assert_int_equal(feeds.feed[FEED].stats.no_neighbour, 1);
	assert_int_equal(feeds.feed[FEED].stats.sent, 2);
}

/* Invariant: with a pool empty messages are lost and counted, their numbers are not given twice. */
static void empty_pools(void **state)
{
	struct rte_mbuf *taken[MBUFS];
	struct atr_mold_packet p;
	uint8_t bytes[ROOM];

	(void)state;
	assert_int_equal(rte_pktmbuf_alloc_bulk(payloads, taken, MBUFS), 0);
	publish(1, 0, 0);
	publish(2, 0, 0);
	rte_pktmbuf_free_bulk(taken, MBUFS);
	assert_int_equal(feeds.feed[FEED].stats.no_mbuf, 2);
	publish(3, 0, 0);
	atr_feeds_poll(&feeds, &program, 100, false);
	atr_tx_flush(&feeds.tx[0]);
	assert_true(next(bytes, &p) > 0 && p.sequence == 3 && p.count == 1);
	assert_int_equal(rte_pktmbuf_alloc_bulk(headers, taken, MBUFS), 0);
	publish(4, 0, 200);
	atr_feeds_poll(&feeds, &program, 300, false);
	rte_pktmbuf_free_bulk(taken, MBUFS);
	assert_int_equal(feeds.feed[FEED].stats.no_mbuf, 3);
	atr_tx_flush(&feeds.tx[0]);
	assert_int_equal(next(bytes, &p), 0);
}

/* Bug: an event larger than a packet's memory was written past its end where a feed had no
 * destination, whose MTU would have refused the plan. Invariant: it is lost, and counted. */
static void larger_than_memory(void **state)
{
	(void)state;
	routes[FEED].count = 0;
	publish(1, ROOM - 20 - 74 + 1, 0);
	assert_int_equal(feeds.feed[FEED].stats.no_mbuf, 1);
	assert_null(feeds.feed[FEED].open);
	publish(2, ROOM - 20 - 74, 0);
	assert_int_equal(feeds.feed[FEED].open->data_len, ROOM);
	atr_feeds_poll(&feeds, &program, 100, false);
	assert_int_equal(feeds.feed[FEED].next_sequence, 3);
}

/* Invariant: an idle feed says every second what comes next; its end says so too. */
static void heartbeats_and_end(void **state)
{
	struct atr_mold_packet p;
	uint8_t bytes[ROOM];

	(void)state;
	publish(1, 0, 5000);
	atr_feeds_poll(&feeds, &program, 5099, false);
	atr_tx_flush(&feeds.tx[0]);
	assert_int_equal(next(bytes, &p), 0);
	atr_feeds_poll(&feeds, &program, 5100, false);
	atr_feeds_poll(&feeds, &program, 6099, false);
	atr_tx_flush(&feeds.tx[0]);
	assert_true(next(bytes, &p) > 0 && p.count == 1);
	assert_int_equal(next(bytes, &p), 0);
	atr_feeds_poll(&feeds, &program, 6100, false);
	atr_tx_flush(&feeds.tx[0]);
	assert_true(next(bytes, &p) == 42 + 20 && p.count == 0 && p.sequence == 2);
	publish(2, 0, 6200);
	atr_feeds_end(&feeds, &program, 6200);
	atr_tx_flush(&feeds.tx[0]);
	assert_true(next(bytes, &p) > 0 && p.count == 1 && p.sequence == 2);
	assert_true(next(bytes, &p) > 0 && p.count == ATR_MOLD_COUNT_END && p.sequence == 3);
	assert_int_equal(next(bytes, &p), 0);
}

/* Invariant: a packet waits for more messages only while there is other work, and never beyond its
 * flush time. */
static void flush_when_idle(void **state)
{
	struct atr_mold_packet p;
	uint8_t bytes[ROOM];

	(void)state;
	publish(0, 0, 200);
	atr_feeds_poll(&feeds, &program, 201, false);
	atr_tx_flush(&feeds.tx[0]);
	assert_int_equal(next(bytes, &p), 0);
	atr_feeds_poll(&feeds, &program, 202, true);
	atr_tx_flush(&feeds.tx[0]);
	assert_true(next(bytes, &p) > 0 && p.count == 1 && p.sequence == 1);
	publish(1, 0, 300);
	atr_feeds_poll(&feeds, &program, 300 + feeds.flush_tsc, false);
	atr_tx_flush(&feeds.tx[0]);
	assert_true(next(bytes, &p) > 0 && p.count == 1 && p.sequence == 2);
}

/* Invariant: a port that takes nothing costs the packets that find the queue full, no more. */
static void full_port(void **state)
{
	struct atr_mold_packet p;
	uint8_t bytes[ROOM];
	unsigned int got = 0;

	(void)state;
	for (unsigned int i = 0; i < 300; i++) {
		publish(i, 0, 1000 * i);
		atr_feeds_poll(&feeds, &program, 1000 * i + 100, false);
	}
	for (unsigned int i = 0; i < 5; i++)
		atr_tx_flush(&feeds.tx[0]);
	assert_int_equal(feeds.tx[0].sent, RING_SIZE - 1);
	assert_int_equal(feeds.tx[0].count, ATR_TX_BURST);
	assert_int_equal(feeds.tx[0].dropped, 300 - (RING_SIZE - 1) - ATR_TX_BURST);
	while (next(bytes, &p) > 0)
		assert_true(p.sequence == ++got);
	atr_tx_flush(&feeds.tx[0]);
	while (next(bytes, &p) > 0)
		got++;
	assert_int_equal(got, RING_SIZE - 1 + ATR_TX_BURST);
}

/* Invariant: each message of the packets kept is found in the packet that it was sent in, and none
 * that was dropped for newer ones, is not sent yet or never was put into a packet. */
static void recent_packets(void **state)
{
	struct atr_recent recent;
	uint64_t first[64];

	(void)state;
	assert_int_equal(atr_recent_slots(1024, 3), 256);
	assert_int_equal(atr_recent_slots(2, 3), 0);
	assert_int_equal(atr_recent_slots(7, 0), 0);
	for (uint32_t slots = 1; slots <= 16; slots *= 2) {
		uint64_t sequence = 5;

		assert_int_equal(atr_recent_create(&recent, slots, 0), 0);
		assert_null(atr_recent_find(&recent, 5));
		for (unsigned int n = 0; n < 40; n++) {
			unsigned int oldest = n + 1 > slots ? n + 1 - slots : 0;

			/* Packets of 1 to 3 messages; before every fourth one message is lost. */
			sequence += n % 4 == 3;
			first[n] = sequence;
			atr_recent_put(&recent, sequence, (uint16_t)(1 + n % 3),
				       rte_pktmbuf_alloc(payloads));
			sequence += 1 + n % 3;
			assert_int_equal(rte_mempool_in_use_count(payloads), n + 1 - oldest);
			for (uint64_t s = 0; s < sequence + 2; s++) {
				const struct atr_recent_packet *p = atr_recent_find(&recent, s);
				bool expected = false;

				for (unsigned int k = oldest; k <= n; k++)
					if (s >= first[k] && s < first[k] + 1 + k % 3) {
						expected = true;
						assert_non_null(p);
						assert_int_equal(p->first, first[k]);
					}
				assert_int_equal(p != NULL, expected);
			}
		}
		atr_recent_free(&recent);
	}
}

/* Invariant: a packet is sent again byte for byte, to the requester alone, chained or copied; a
 * message that is still waiting in a packet, or was never sent, is not. */
static void resend(void **state)
{
	struct atr_flow flow = {.dst_mac = {{2, 0, 0, 0, 0, 7}},
				.dst_ip = 0x0A000007,
				.dst_port = 777,
				.src_port = 26401,
				.ttl = 64};
	uint8_t sent[ROOM], again[ROOM];
	struct atr_mold_packet p, q;
	unsigned int length;

	(void)state;
	assert_int_equal(atr_recent_create(&feeds.feed[FEED].recent, 4, 0), 0);
	publish(1, 0, 0);
	publish(2, 50, 0);
	assert_false(atr_feeds_resend(&feeds, FEED, 1, 0, &flow));
	atr_feeds_poll(&feeds, &program, 100, false);
	atr_tx_flush(&feeds.tx[0]);
	length = next(sent, &p);
	assert_true(length > 0);
	for (unsigned int way = 0; way < 2; way++) {
		iface.tx_multi_seg = way == 0;
		assert_true(atr_feeds_resend(&feeds, FEED, 2, 0, &flow));
		assert_false(atr_feeds_resend(&feeds, FEED, 3, 0, &flow));
		assert_false(atr_feeds_resend(&feeds, FEED, 0, 0, &flow));
		atr_tx_flush(&feeds.tx[0]);
		assert_int_equal(next(again, &q), length);
		assert_memory_equal(again + 42, sent + 42, length - 42);
		assert_memory_equal(again, &flow.dst_mac, 6);
		assert_int_equal(again[33], 7);
		assert_int_equal(again[36] << 8 | again[37], 777);
		assert_int_equal(next(again, &q), 0);
	}
	atr_recent_free(&feeds.feed[FEED].recent);
}

#define feed_test(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		feed_test(packing),
		feed_test(flush_when_idle),
		feed_test(same_bytes_everywhere),
		feed_test(unresolved_neighbour),
		feed_test(empty_pools),
		feed_test(larger_than_memory),
		feed_test(heartbeats_and_end),
		feed_test(full_port),
		feed_test(recent_packets),
		feed_test(resend),
	};

	return cmocka_run_group_tests(tests, boot, NULL);
}
