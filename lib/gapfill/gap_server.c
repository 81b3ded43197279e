/* SPDX-License-Identifier: BSD-3-Clause */
#include "gap_server.h"

#include <rte_ip.h>

#include "gap_gate.h"

#define FOLLOW_MAX 256 /* groups of a log a turn */
#define BURST      16  /* requests of a shard a turn */
#define ANSWER_TTL 64

/* Writes the answer's payload behind where the headers go; its length, 0 or negative errno. */
static int build(struct atr_gap_server *server, const struct atr_gap_wanted *wanted, uint8_t *out,
		 uint16_t capacity)
{
	struct atr_gap_question question = {
		.plan = server->plan,
		.context = server->context,
		.feed = wanted->feed,
		.count = wanted->count,
		.sequence = wanted->sequence,
	};

	int length;

	memcpy(question.session, wanted->session, sizeof(question.session));
	if (server->hold)
		server->hold(server->context);
	length = atr_gap_reader_answer(server->reader[wanted->shard], &question, out, capacity,
				       server->error, sizeof(server->error));
	if (server->release)
		server->release(server->context);
	return length;
}

/* Turns a request into its answer. False if there is none. */
static bool answer(struct atr_gap_server *server, unsigned int shard, struct rte_mbuf *m)
{
	const struct atr_meta *meta = atr_meta(m);
	const struct atr_iface *iface = &server->ifaces[meta->port_id];
	uint16_t hdr_size = atr_net_hdr_size(iface), capacity = server->datagram_max;
	struct atr_flow flow = {
		.dst_mac = rte_pktmbuf_mtod(m, const struct rte_ether_hdr *)->src_addr,
		.dst_ip = meta->src_ip,
		.dst_port = meta->src_port,
		.src_port = server->feed_port,
		.ttl = ANSWER_TTL,
	};
	struct atr_gap_wanted wanted;
	uint8_t *payload;
	int length;

	if (atr_gap_wanted(rte_pktmbuf_mtod_offset(m, const uint8_t *, meta->offset), meta->length,
			   &wanted) < 0 ||
	    wanted.shard >= server->bridge->shards || !server->reader[wanted.shard])
		return false;
	rte_pktmbuf_reset(m);
	if (rte_pktmbuf_tailroom(m) < hdr_size + capacity)
		capacity = (uint16_t)(rte_pktmbuf_tailroom(m) - hdr_size);
	payload = rte_pktmbuf_mtod_offset(m, uint8_t *, hdr_size);
	length = build(server, &wanted, payload, capacity);
	server->counts[shard].not_there += length == 0;
	server->counts[shard].failed += length < 0;
	if (length <= 0)
		return false;
	m->data_len = (uint16_t)(hdr_size + length);
	m->pkt_len = m->data_len;
	atr_net_udp_headers(m, iface, &flow, (uint16_t)length,
			    atr_net_sum(payload, (size_t)length));
	return true;
}

static unsigned int serve(struct atr_gap_server *server, unsigned int shard)
{
	struct atr_msg msg[BURST];
	unsigned int n = atr_receive(server->bridge->requests[shard], msg, BURST);

	for (unsigned int i = 0; i < n; i++) {
		struct rte_mbuf *m = msg[i].ptr;
		uint16_t iface = atr_meta(m)->port_id;

		if (!answer(server, shard, m)) {
			rte_pktmbuf_free(m);
			continue;
		}
		if (atr_send(server->bridge->answers[shard], ATR_MSG_SEND, 0, iface, m)) {
			server->counts[shard].answered++;
			continue;
		}
		server->counts[shard].dropped++;
		rte_pktmbuf_free(m);
	}
	return n;
}

static unsigned int follow(struct atr_gap_server *server, unsigned int shard)
{
	uint64_t durable;
	int n;

	if (!server->reader[shard])
		return 0;
	durable = __atomic_load_n(server->durable[shard], __ATOMIC_ACQUIRE);
	n = atr_gap_reader_follow(server->reader[shard], durable, FOLLOW_MAX, server->error,
				  sizeof(server->error));
	return n > 0 ? (unsigned int)n : 0;
}

unsigned int atr_gap_server_turn(struct atr_gap_server *server)
{
	unsigned int done = 0;

	/* A request may name any shard, whichever ring it is on. */
	for (unsigned int s = 0; s < server->bridge->shards; s++)
		done += follow(server, s);
	for (unsigned int s = 0; s < server->bridge->shards; s++)
		done += serve(server, s);
	return done;
}
