/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <rte_ethdev.h>
#include <rte_ip.h>

#include "../../../lib/wire/moldudp64.h"
#include "rig.h"

#define SRC_IP    0x0A000002
#define SRC_PORT  7000
#define HDRS      42
#define SETTLED   4 /* turns in which nothing moved */
#define TURNS_MAX 100000

void rig_inject_raw(struct rig *rig, unsigned int port, unsigned int queue, const uint8_t *bytes,
		    unsigned int length, unsigned int segment)
{
	struct rte_mbuf *first = NULL;

	for (unsigned int at = 0; at < length || !first;) {
		unsigned int n = segment && length - at > segment ? segment : length - at;
		struct rte_mbuf *m = rte_pktmbuf_alloc(rig->rx);

		assert_non_null(m);
		memcpy(rte_pktmbuf_mtod(m, void *), bytes + at, n);
		m->data_len = (uint16_t)n;
		m->pkt_len = n;
		at += n;
		if (!first)
			first = m;
		else
			assert_int_equal(rte_pktmbuf_chain(first, m), 0);
	}
	assert_int_equal(rte_ring_enqueue(rig->in[port][queue], first), 0);
	rig->injected++;
}

void rig_inject(struct rig *rig, unsigned int port, unsigned int queue,
		const struct rig_datagram *datagram)
{
	uint8_t bytes[HDRS + RIG_DATAGRAM] = {0};
	struct rte_ether_hdr *eth = (void *)bytes;
	struct rte_ipv4_hdr *ip = (void *)(eth + 1);
	struct rte_udp_hdr *udp = (void *)(ip + 1);

	eth->dst_addr = rig->iface[port].mac;
	eth->src_addr = (struct rte_ether_addr){{2, 0, 0, 0, 0, 7}};
	eth->ether_type = rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV4);
	ip->version_ihl = 0x45;
	ip->total_length = rte_cpu_to_be_16((uint16_t)(28 + datagram->length));
	ip->time_to_live = 64;
	ip->next_proto_id = IPPROTO_UDP;
	ip->src_addr = rte_cpu_to_be_32(SRC_IP + (port << 8));
	ip->dst_addr = rte_cpu_to_be_32(rig->iface[port].ip);
	ip->hdr_checksum = rte_ipv4_cksum(ip);
	udp->src_port = rte_cpu_to_be_16(SRC_PORT);
	udp->dst_port = rte_cpu_to_be_16(RIG_UDP_PORT);
	udp->dgram_len = rte_cpu_to_be_16((uint16_t)(8 + datagram->length));
	memcpy(udp + 1, datagram->bytes, datagram->length);
	rig_inject_raw(rig, port, queue, bytes, HDRS + datagram->length, 0);
}

void rig_send(struct rig *rig, const struct rig_frame *frame)
{
	struct rig_datagram d;

	rig_tree(rig, frame, 1, &d);
	rig_inject(rig, 0, frame->source % rig->shards, &d);
}

static void check(const struct atr_ledger_total *t)
{
	assert_true(t->received == t->admitted + t->refused_total + t->duplicate + t->in_hold +
					   t->in_handover + t->in_bridge);
}

/* The books of nodes that all stand still between two turns are a consistent cut. */
struct atr_ledger_reading rig_ledger(struct rig *rig)
{
	struct atr_ledger_reading reading;

	for (unsigned int i = 0; i < rig->ledger.nodes; i++)
		atr_ledger_snapshot(rig->ledger.node[i], rig->ledger.requested + 1);
	assert_int_equal(atr_ledger_read(&rig->ledger, 0, &reading), 0);
	check(&reading.datagrams);
	check(&reading.events);
	return reading;
}

struct atr_ledger_total rig_events(struct rig *rig)
{
	return rig_ledger(rig).events;
}

struct atr_ledger_total rig_datagrams(struct rig *rig)
{
	return rig_ledger(rig).datagrams;
}

void rig_turn(struct rig *rig, unsigned int shard)
{
	atr_shard_run(rig->shard[shard]);
	rig_ledger(rig);
}

/* Shards that wait for a disk that works. */
static unsigned int committing(const struct rig *rig)
{
	unsigned int waiting = 0;

	for (unsigned int s = 0; s < rig->shards; s++)
		waiting += atr_log_state(rig->store->log[s], NULL) == ATR_LOG_OK &&
			   atr_commit_busy(&rig->shard[s]->commit);
	return rig_store_crashed(rig->store) ? 0 : waiting;
}

void rig_settle(struct rig *rig)
{
	unsigned int quiet = 0;

	for (unsigned int turn = 0; quiet < SETTLED; turn++) {
		struct atr_ledger_reading r;
		unsigned int moved = 0;

		assert_true(turn < TURNS_MAX);
		for (unsigned int s = 0; s < rig->shards; s++)
			moved += atr_shard_run(rig->shard[s]);
		moved += atr_control_run(rig->control);
		if (rig->store && !rig_store_crashed(rig->store))
			moved += rig_store_work(rig->store) + committing(rig);
		r = rig_ledger(rig);
		moved += r.datagrams.in_handover + r.datagrams.in_bridge > 0;
		for (unsigned int s = 0; s < rig->shards; s++)
			moved += rte_ring_count(rig->bridge.verify[s]) +
				 rte_ring_count(rig->bridge.down[s]);
		quiet = moved ? 0 : quiet + 1;
	}
}

static unsigned int one_mold(struct rig *rig, unsigned int port_feed, const uint8_t *data,
			     unsigned int length, struct rig_event *events, unsigned int capacity)
{
	struct atr_mold_packet packet;
	struct atr_mold_event e;
	uint32_t feed, shard, epoch;
	unsigned int n = 0;
	size_t cursor = 0;

	assert_int_equal(atr_mold_parse(data, length, &packet), 0);
	assert_int_equal(atr_mold_session_parse(packet.session, &feed, &shard, &epoch), 0);
	assert_int_equal(feed, port_feed);
	assert_true(shard < rig->shards);
	assert_int_equal(epoch, rig->mold_epoch[feed][shard]);
	assert_true(packet.sequence == rig->mold_next[feed][shard]);
	if (packet.count == ATR_MOLD_COUNT_END) {
		rig->ends++;
		return 0;
	}
	rig->mold_next[feed][shard] += packet.count;
	while (atr_mold_next(&packet, &cursor, &e) == 1) {
		struct rig_event out = {.feed = feed,
					.shard = shard,
					.number = packet.sequence + n,
					.sequence = e.sequence,
					.source = e.packet->sender_id,
					.envelope = e.packet->flags & ATR_FLAG_ENVELOPE};

		memcpy(&out.value, e.payload ? e.payload : e.packet->payload, sizeof(out.value));
		if (n < capacity)
			events[n] = out;
		n++;
	}
	assert_int_equal(n, packet.count);
	return n;
}

struct ack_context {
	const struct rig *rig;
};

static void ack_entry(void *context, const struct atr_ack_notice *notice,
		      const struct atr_ack_entry *entry)
{
	const struct rig *rig = ((const struct ack_context *)context)->rig;

	if (rig->options.on_ack)
		rig->options.on_ack(rig->options.listener, notice, entry);
}

/* A reply in JSON, or an acknowledgement, which must be right in every byte. */
static void to_producer(struct rig *rig, const uint8_t *data, unsigned int length)
{
	struct ack_context context = {rig};
	const struct atr_ack_visitor visitor = {ack_entry, &context};

	if (data[0] != '{') {
		assert_non_null(rig->store);
		assert_int_equal(atr_ack_parse(&rig->ack_reader, data, length, &visitor), ATR_OK);
		return;
	}
	assert_true(length < sizeof(rig->reply));
	memcpy(rig->reply, data, length);
	rig->reply[length] = '\0';
	if (rig->options.on_reply)
		rig->options.on_reply(rig->options.listener, rig->reply);
}

static unsigned int one_packet(struct rig *rig, const uint8_t *p, unsigned int length,
			       struct rig_event *events, unsigned int capacity)
{
	const struct rte_ether_hdr *eth = (const void *)p;
	const struct rte_ipv4_hdr *ip = (const void *)(eth + 1);
	const struct rte_udp_hdr *udp = (const void *)(ip + 1);
	unsigned int port;

	if (length < HDRS || eth->ether_type != rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV4)) {
		rig->other_packets++;
		return 0;
	}
	assert_int_equal(rte_be_to_cpu_16(ip->total_length), length - 14);
	port = rte_be_to_cpu_16(udp->dst_port);
	if (ip->next_proto_id == IPPROTO_UDP && (port == 5000 || port == 5001))
		return one_mold(rig, port - 5000, p + HDRS, length - HDRS, events, capacity);
	rig->other_packets++;
	if (ip->next_proto_id == IPPROTO_UDP && port == SRC_PORT)
		to_producer(rig, p + HDRS, length - HDRS);
	return 0;
}

unsigned int rig_collect(struct rig *rig, struct rig_event *events, unsigned int capacity)
{
	uint8_t bytes[HDRS + RIG_DATAGRAM];
	unsigned int n = 0;
	void *entry;

	for (unsigned int p = 0; p < RIG_PORTS; p++) {
		for (unsigned int q = 0; q < rig->shards; q++) {
			while (rte_ring_dequeue(rig->out[p][q], &entry) == 0) {
				struct rte_mbuf *m = entry;
				unsigned int length = m->pkt_len;
				const void *data;

				assert_true(length <= sizeof(bytes));
				data = rte_pktmbuf_read(m, 0, length, bytes);
				assert_non_null(data);
				if (data != bytes)
					memcpy(bytes, data, length);
				rte_pktmbuf_free(m);
				if (rig->dead)
					continue;
				n += one_packet(rig, bytes, length,
						n < capacity ? events + n : NULL,
						n < capacity ? capacity - n : 0);
			}
		}
	}
	return n;
}

unsigned int rig_other_packets(const struct rig *rig)
{
	return rig->other_packets;
}

unsigned int rig_ends(const struct rig *rig)
{
	return rig->ends;
}

const char *rig_reply(const struct rig *rig)
{
	return rig->reply;
}
