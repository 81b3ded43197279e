/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <rte_cycles.h>

#include "../../../lib/gapfill/gap_gate.h"
#include "../../../lib/gapfill/gap_server.h"
#include "../feed/one_wire.h"
#include "gap_log.h"

#define SHARD      GAP_SHARD
#define SHARDS     5
#define EPOCH      9
#define SUBSCRIBER 0x0A000009u /* unicast destination of feed 0 */
#define OUR_IP     0x0A000001u
#define FEED_PORT  26401
#define REQUESTS   64

static struct atr_iface iface;
static struct atr_feeds feeds;
static struct atr_feed_routes routes[3];
static struct atr_program program;
static struct atr_gap_gate gate;
static struct gap_log *gap;
static uint64_t now_tsc;

static int boot(void **state)
{
	(void)state;
	return boot_wire(RTE_ALIGN(sizeof(struct atr_meta), 64));
}

/* Feed 0 goes to one host, feed 1 to a group on interface 0. Messages 1 to 20 of each were sent,
 * 11 to 20 are in memory. */
static int begin(void **state)
{
	(void)state;
	gap = gap_log_create(256u << 10);
	iface = (struct atr_iface){.port_id = port,
				   .vlan = ATR_VLAN_NONE,
				   .mtu = 1500,
				   .prefix_length = 24,
				   .ip = OUR_IP,
				   .tx_multi_seg = true};
	memset(&feeds, 0, sizeof(feeds));
	memset(routes, 0, sizeof(routes));
	feeds.ifaces = &iface;
	feeds.iface_count = 1;
	feeds.payloads = payloads;
	feeds.headers = headers;
	feeds.tx[0].port_id = port;
	for (unsigned int f = 0; f < GAP_FEEDS; f++) {
		struct atr_feed_out *out = &feeds.feed[f];
		struct rte_mbuf *m = rte_pktmbuf_alloc(payloads);

		atr_mold_session(out->session, f, SHARD, EPOCH);
		out->next_sequence = 21;
		if (!m || atr_recent_create(&out->recent, 4, 0) < 0)
			return -1;
		atr_mold_hdr_write((uint8_t *)rte_pktmbuf_append(m, ATR_MOLD_HDR_SIZE),
				   out->session, 11, 10);
		atr_recent_put(&out->recent, 11, 10, m);
		routes[f].count = 1;
	}
	routes[0].route[0].flow.dst_ip = SUBSCRIBER;
	routes[1].route[0].flow.dst_ip = 0xEF010101;
	program = (struct atr_program){.plan = gap->plan,
				       .waiting_feeds = 3,
				       .routes = routes,
				       .ports = {.ingress = 1, .feed = FEED_PORT}};
	now_tsc = rte_rdtsc();
	return atr_gap_gate_init(&gate, ATR_GAP_PER_SECOND, ATR_GAP_BURST);
}

/* Packets on the wire, which are given back. */
static unsigned int sent(void)
{
	unsigned int n = 0;
	void *m;

	atr_tx_flush(&feeds.tx[0]);
	while (rte_ring_dequeue(wire, &m) == 0) {
		rte_pktmbuf_free(m);
		n++;
	}
	return n;
}

static int end(void **state)
{
	(void)state;
	sent();
	for (unsigned int f = 0; f < GAP_FEEDS; f++)
		atr_recent_free(&feeds.feed[f].recent);
	gap_log_free(gap);
	return rte_mempool_in_use_count(payloads) || rte_mempool_in_use_count(headers);
}

static void request(uint8_t *out, uint32_t feed, uint32_t shard, uint32_t epoch, uint64_t sequence)
{
	char session[ATR_MOLD_SESSION_SIZE];

	atr_mold_session(session, feed, shard, epoch);
	atr_mold_hdr_write(out, session, sequence, 5);
}

static enum atr_gap_verdict judge(uint32_t feed, uint32_t shard, uint32_t epoch, uint64_t sequence,
				  uint32_t ip)
{
	uint8_t data[ATR_MOLD_HDR_SIZE];
	struct atr_gap_asker asker = {
		.data = data, .mac = {{2, 0, 0, 0, 0, 7}}, .ip = ip, .port = 4000};
	uint64_t before;
	enum atr_gap_verdict verdict;

	request(data, feed, shard, epoch, sequence);
	before = gate.verdicts[ATR_GAP_MEMORY];
	verdict = atr_gap_judge(&gate, &feeds, &program, SHARD, SHARDS, &asker, now_tsc);
	assert_int_equal(sent(), verdict == ATR_GAP_MEMORY);
	assert_int_equal(gate.verdicts[ATR_GAP_MEMORY] - before, verdict == ATR_GAP_MEMORY);
	assert_true(gate.verdicts[verdict] > 0);
	return verdict;
}

/* Invariant: what is in memory is answered at once, what is older or another shard's goes to the
 * log, what was not sent yet to nobody; and so do sessions that are not ours. */
static void where_answers_come_from(void **state)
{
	(void)state;
	assert_int_equal(judge(0, SHARD, EPOCH, 11, SUBSCRIBER), ATR_GAP_MEMORY);
	assert_int_equal(judge(0, SHARD, EPOCH, 20, SUBSCRIBER), ATR_GAP_MEMORY);
	assert_int_equal(judge(0, SHARD, EPOCH, 10, SUBSCRIBER), ATR_GAP_LOG);
	assert_int_equal(judge(0, SHARD, EPOCH, 21, SUBSCRIBER), ATR_GAP_NOT_THERE);
	assert_int_equal(judge(0, SHARD, EPOCH, 0, SUBSCRIBER), ATR_GAP_NOT_THERE);
	assert_int_equal(judge(0, SHARD + 1, EPOCH, 11, SUBSCRIBER), ATR_GAP_LOG);
	assert_int_equal(judge(0, SHARDS, EPOCH, 11, SUBSCRIBER), ATR_GAP_UNKNOWN_SESSION);
	assert_int_equal(judge(0, SHARD, EPOCH + 1, 11, SUBSCRIBER), ATR_GAP_UNKNOWN_SESSION);
	assert_int_equal(judge(2, SHARD, EPOCH, 11, SUBSCRIBER), ATR_GAP_UNKNOWN_SESSION);
	program.waiting_feeds = 0;
	assert_int_equal(judge(0, SHARD, EPOCH, 10, SUBSCRIBER), ATR_GAP_NOT_THERE);
	program.plan = NULL;
	assert_int_equal(judge(0, SHARD, EPOCH, 11, SUBSCRIBER), ATR_GAP_UNKNOWN_SESSION);
}

/* Invariant: nobody but subscribers of the feed gets anything: destinations, or hosts on the subnet
 * of a multicast feed's port. */
static void subscribers_only(void **state)
{
	(void)state;
	assert_int_equal(judge(0, SHARD, EPOCH, 11, SUBSCRIBER + 1), ATR_GAP_NOT_SUBSCRIBER);
	assert_int_equal(judge(1, SHARD, EPOCH, 11, SUBSCRIBER + 1), ATR_GAP_MEMORY);
	assert_int_equal(judge(1, SHARD, EPOCH, 11, 0x0A000101), ATR_GAP_NOT_SUBSCRIBER);
	assert_int_equal(judge(1, SHARD, EPOCH, 11, OUR_IP), ATR_GAP_NOT_SUBSCRIBER);
	assert_int_equal(judge(1, SHARD, EPOCH, 11, 0x0A0000FF), ATR_GAP_NOT_SUBSCRIBER);
	assert_int_equal(judge(1, SHARD, EPOCH, 11, 0xEF010101), ATR_GAP_NOT_SUBSCRIBER);
	routes[1].route[0].iface = 1;
	assert_int_equal(judge(1, SHARD, EPOCH, 11, SUBSCRIBER + 1), ATR_GAP_NOT_SUBSCRIBER);
}

/* Invariant: a requester gets its burst and then its rate; another one is not touched by that; all
 * together get no more than their common bucket, also when there are more than are remembered. */
static void rates(void **state)
{
	unsigned int answered = 0;

	(void)state;
	for (unsigned int i = 0; i < 3 * ATR_GAP_BURST; i++)
		answered += judge(1, SHARD, EPOCH, 11, SUBSCRIBER) == ATR_GAP_MEMORY;
	assert_int_equal(answered, ATR_GAP_BURST);
	assert_int_equal(judge(1, SHARD, EPOCH, 11, SUBSCRIBER), ATR_GAP_OVER_RATE);
	assert_int_equal(judge(1, SHARD, EPOCH, 11, SUBSCRIBER + 1), ATR_GAP_MEMORY);
	now_tsc += rte_get_tsc_hz() / ATR_GAP_PER_SECOND * 10;
	answered = 0;
	for (unsigned int i = 0; i < ATR_GAP_BURST; i++)
		answered += judge(1, SHARD, EPOCH, 11, SUBSCRIBER) == ATR_GAP_MEMORY;
	assert_in_range(answered, 9, 12);
	/* A second later, from every address there is. */
	now_tsc += rte_get_tsc_hz();
	answered = 0;
	for (unsigned int i = 0; i < 50; i++)
		for (uint32_t ip = 0x0A000002; ip < 0x0A0000FF; ip++)
			answered += judge(1, SHARD, EPOCH, 11, ip) == ATR_GAP_MEMORY;
	assert_true(answered <= ATR_GAP_BURST * ATR_GAP_TOGETHER);
	assert_true(answered >= ATR_GAP_BURST);
}

/* Invariant: bytes that are no request are none, whoever sends them; every verdict has a name. */
static void malformed(void **state)
{
	uint8_t data[ATR_MOLD_HDR_SIZE];
	struct atr_gap_asker asker = {
		.data = data, .mac = {{2, 0, 0, 0, 0, 7}}, .ip = SUBSCRIBER, .port = 4000};

	(void)state;
	request(data, 0, SHARD, EPOCH, 11);
	data[0] = '!';
	assert_int_equal(atr_gap_judge(&gate, &feeds, &program, SHARD, SHARDS, &asker, now_tsc),
			 ATR_GAP_MALFORMED);
	request(data, 0, SHARD, EPOCH, 11);
	data[18] = data[19] = 0;
	assert_int_equal(atr_gap_judge(&gate, &feeds, &program, SHARD, SHARDS, &asker, now_tsc),
			 ATR_GAP_MALFORMED);
	assert_int_equal(sent(), 0);
	assert_int_equal(atr_gap_gate_init(&gate, 0, 1), -22);
	for (unsigned int v = 0; v < ATR_GAP_VERDICTS; v++)
		assert_string_not_equal(atr_gap_verdict_name(v), "?");
}

static const struct atr_plan *plan_of(void *context, uint64_t generation)
{
	(void)generation;
	return context;
}

/* Invariant: a request on the ring becomes its answer, in the same mbuf, to the requester, from the
 * log of the shard that it names; what cannot be answered is given back. */
static void server_answers(void **state)
{
	static const struct atr_bridge_sizes sizes = {.verify = 64,
						      .envelopes = 64,
						      .link = 64,
						      .down = 64,
						      .handover = 64,
						      .gaps = REQUESTS};
	struct atr_gap_server server = {.plan = plan_of,
					.context = gap->plan,
					.ifaces = &iface,
					.feed_port = FEED_PORT,
					.datagram_max = 1472};
	struct atr_bridge bridge;
	struct atr_mold_packet packet;
	struct atr_msg msg;
	char error[256];
	const uint8_t *bytes;

	(void)state;
	assert_int_equal(atr_bridge_create(&bridge, SHARDS, &sizes, 0, error, sizeof(error)), 0);
	for (unsigned int g = 0; g < 20; g++) {
		gap_log_frame(gap, 3);
		gap_log_commit(gap);
	}
	server.bridge = &bridge;
	server.reader[SHARD] =
		atr_gap_reader_create(&gap->disk.storage, SHARD, 16, error, sizeof(error));
	server.durable[SHARD] = &gap->groups;
	for (uint64_t sequence = 5; sequence < 2000; sequence += 1990) {
		struct rte_mbuf *m = rte_pktmbuf_alloc(payloads);
		uint8_t *p = (uint8_t *)rte_pktmbuf_append(m, 42 + ATR_MOLD_HDR_SIZE);

		memset(p, 0, 42);
		p[6] = 2;
		p[11] = 7;
		request(p + 42, 0, SHARD, EPOCH, sequence);
		*atr_meta(m) = (struct atr_meta){.src_ip = SUBSCRIBER,
						 .src_port = 4000,
						 .offset = 42,
						 .length = ATR_MOLD_HDR_SIZE};
		assert_true(atr_send(bridge.requests[1], ATR_MSG_REQUEST, 0, 1, m));
	}
	assert_true(atr_gap_server_turn(&server) > 2);
	if (server.counts[1].answered != 1)
		fail_msg("%u not there, %u failed: %s", (unsigned int)server.counts[1].not_there,
			 (unsigned int)server.counts[1].failed, server.error);
	assert_int_equal(server.counts[1].not_there, 1);
	assert_int_equal(server.counts[1].failed, 0);
	assert_int_equal(atr_receive(bridge.answers[1], &msg, 1), 1);
	assert_int_equal(msg.kind, ATR_MSG_SEND);
	bytes = rte_pktmbuf_mtod((struct rte_mbuf *)msg.ptr, const uint8_t *);
	assert_int_equal(bytes[0], 2);
	assert_int_equal(bytes[5], 7);
	assert_int_equal(bytes[34] << 8 | bytes[35], FEED_PORT);
	assert_int_equal(bytes[36] << 8 | bytes[37], 4000);
	assert_int_equal(
		atr_mold_parse(bytes + 42, ((struct rte_mbuf *)msg.ptr)->pkt_len - 42, &packet), 0);
	assert_int_equal(packet.sequence, 5);
	assert_int_equal(packet.count, 5);
	rte_pktmbuf_free(msg.ptr);
	assert_int_equal(atr_gap_server_turn(&server), 0);
	atr_gap_reader_free(server.reader[SHARD]);
	atr_bridge_free(&bridge);
}

#define gap_test(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		gap_test(where_answers_come_from),
		gap_test(subscribers_only),
		gap_test(rates),
		gap_test(malformed),
		gap_test(server_answers),
	};

	return cmocka_run_group_tests_name("gap_gate", tests, boot, NULL);
}
