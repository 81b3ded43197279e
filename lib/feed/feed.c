/* SPDX-License-Identifier: BSD-3-Clause */
#include "feed.h"

#include <string.h>

#include <rte_ethdev.h>
#include <rte_ip.h>

#define OPEN_PREFETCH 1536 /* bytes of a new packet; what follows the CPU sees coming */

void atr_tx_flush(struct atr_tx_queue *tx)
{
	uint16_t ready, sent;

	if (tx->count == 0)
		return;
	ready = rte_eth_tx_prepare(tx->port_id, tx->queue_id, tx->mbuf, tx->count);
	if (unlikely(ready == 0)) {
		/* The driver refuses the first packet for good: it must not block those behind. */
		rte_pktmbuf_free(tx->mbuf[0]);
		tx->dropped++;
		tx->count--;
		memmove(tx->mbuf, tx->mbuf + 1, tx->count * sizeof(tx->mbuf[0]));
		return;
	}
	sent = rte_eth_tx_burst(tx->port_id, tx->queue_id, tx->mbuf, ready);
	tx->sent += sent;
	tx->count -= sent;
	memmove(tx->mbuf, tx->mbuf + sent, tx->count * sizeof(tx->mbuf[0]));
}

void atr_tx_put(struct atr_tx_queue *tx, struct rte_mbuf *mbuf)
{
	if (tx->count == ATR_TX_BURST)
		atr_tx_flush(tx);
	if (unlikely(tx->count == ATR_TX_BURST)) {
		rte_pktmbuf_free(mbuf);
		tx->dropped++;
		return;
	}
	tx->mbuf[tx->count++] = mbuf;
}

/* Headers for one destination before the shared payload: a segment of their own chained to it, or
 * one mbuf with a copy. NULL when a pool is empty. Takes no reference that it does not return. */
static struct rte_mbuf *address(struct atr_feeds *feeds, const struct atr_iface *iface,
				struct rte_mbuf *payload)
{
	uint16_t hdr_size = atr_net_hdr_size(iface);
	struct rte_mbuf *m;

	if (iface->tx_multi_seg) {
		m = rte_pktmbuf_alloc(feeds->headers);
		if (unlikely(!m))
			return NULL;
		m->data_len = hdr_size;
		m->pkt_len = hdr_size + payload->pkt_len;
		m->nb_segs = 2;
		rte_mbuf_refcnt_update(payload, 1);
		m->next = payload;
		return m;
	}
	m = rte_pktmbuf_alloc(feeds->payloads);
	if (unlikely(!m))
		return NULL;
	m->data_len = hdr_size + payload->data_len;
	m->pkt_len = m->data_len;
	memcpy(rte_pktmbuf_mtod_offset(m, uint8_t *, hdr_size),
	       rte_pktmbuf_mtod(payload, uint8_t *), payload->data_len);
	return m;
}

/* The payload's sum, unless every port on the way computes checksums. */
static uint32_t sum_of(const struct atr_feeds *feeds, const struct atr_feed_routes *routes,
		       const struct rte_mbuf *payload)
{
	for (unsigned int d = 0; d < routes->count; d++)
		if (!feeds->ifaces[routes->route[d].iface].tx_udp_checksum)
			return atr_net_sum(rte_pktmbuf_mtod(payload, void *), payload->data_len);
	return 0;
}

/* Sends payload (a complete MoldUDP64 packet; the reference stays) to all destinations. */
static void fan_out(struct atr_feeds *feeds, struct atr_feed_out *out,
		    const struct atr_feed_routes *routes, struct rte_mbuf *payload,
		    uint64_t now_tsc)
{
	uint32_t sum = sum_of(feeds, routes, payload);

	for (unsigned int d = 0; d < routes->count; d++) {
		const struct atr_route *route = &routes->route[d];
		const struct atr_iface *iface = &feeds->ifaces[route->iface];
		struct atr_flow flow = route->flow;
		struct rte_mbuf *m;

		if (!atr_neighbour_mac(feeds->neighbours, route->neighbour, &flow.dst_mac)) {
			out->stats.no_neighbour++;
			continue;
		}
		m = address(feeds, iface, payload);
		if (unlikely(!m)) {
			out->stats.no_mbuf++;
			continue;
		}
		atr_net_udp_headers(m, iface, &flow, payload->data_len, sum);
		atr_tx_put(&feeds->tx[route->iface], m);
		out->stats.sent++;
	}
	out->sent_tsc = now_tsc;
}

static void flush(struct atr_feeds *feeds, struct atr_feed_out *out,
		  const struct atr_feed_routes *routes, uint64_t now_tsc)
{
	uint64_t first = out->next_sequence - out->open_count;
	uint16_t count = out->open_count;
	struct rte_mbuf *m = out->open;

	atr_mold_hdr_write(rte_pktmbuf_mtod(m, uint8_t *), out->session, first, count);
	out->open = NULL;
	out->open_count = 0;
	out->stats.packets++;
	fan_out(feeds, out, routes, m, now_tsc);
	atr_recent_put(&out->recent, first, count, m);
}

static bool open_packet(struct atr_feeds *feeds, struct atr_feed_out *out, uint64_t now_tsc)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(feeds->payloads);

	if (unlikely(!m))
		return false;
	m->data_len = ATR_MOLD_HDR_SIZE;
	m->pkt_len = ATR_MOLD_HDR_SIZE;
	for (unsigned int at = 0; at < feeds->datagram_max && at < OPEN_PREFETCH;
	     at += RTE_CACHE_LINE_SIZE)
		__builtin_prefetch(rte_pktmbuf_mtod_offset(m, void *, at), 1);
	out->open = m;
	out->opened_tsc = now_tsc;
	return true;
}

static void append(struct rte_mbuf *m, const struct atr_message *message)
{
	uint8_t *p = rte_pktmbuf_mtod_offset(m, uint8_t *, m->data_len);
	uint16_t length = (uint16_t)(8 + ATR_PACKET_SIZE + message->payload_length);

	p[0] = (uint8_t)(length >> 8);
	p[1] = (uint8_t)length;
	memcpy(p + ATR_MOLD_LENGTH_SIZE, &message->sequence, 8);
	memcpy(p + ATR_MOLD_LENGTH_SIZE + 8, message->packet, ATR_PACKET_SIZE);
	if (message->payload_length > 0)
		memcpy(p + ATR_MOLD_BLOCK_SIZE(0), message->payload, message->payload_length);
	m->data_len += ATR_MOLD_LENGTH_SIZE + length;
	m->pkt_len = m->data_len;
}

/* Makes the open packet one that has room for need bytes; false if there is none. */
static bool make_room(struct atr_feeds *feeds, struct atr_feed_out *out,
		      const struct atr_feed_routes *routes, uint32_t need, uint64_t now_tsc)
{
	if (out->open && (out->open->data_len + need > feeds->datagram_max ||
			  need > rte_pktmbuf_tailroom(out->open)))
		flush(feeds, out, routes, now_tsc);
	if (!out->open && !open_packet(feeds, out, now_tsc))
		return false;
	if (likely(need <= rte_pktmbuf_tailroom(out->open)))
		return true;
	/* Only where no destination's MTU bounds the feed; the packet is empty then. */
	rte_pktmbuf_free(out->open);
	out->open = NULL;
	return false;
}

static void publish(struct atr_feeds *feeds, const struct atr_program *program, unsigned int id,
		    const struct atr_message *message, uint64_t now_tsc)
{
	struct atr_feed_out *out = &feeds->feed[id];
	uint32_t need = ATR_MOLD_BLOCK_SIZE(message->payload_length);
	bool room = make_room(feeds, out, &program->routes[id], need, now_tsc);

	/* The message keeps its number even if no memory is left for it: subscribers see a gap. */
	out->next_sequence++;
	out->stats.messages++;
	if (unlikely(!room)) {
		out->stats.no_mbuf++;
		return;
	}
	append(out->open, message);
	out->open_count++;
}

void atr_feeds_publish(struct atr_feeds *feeds, const struct atr_program *program, uint64_t set,
		       const struct atr_message *message, uint64_t now_tsc)
{
	while (set) {
		publish(feeds, program, (unsigned int)__builtin_ctzll(set), message, now_tsc);
		set &= set - 1;
	}
}

/* Copies count inline packets behind m's bytes, which have room for them. */
static void append_run(struct rte_mbuf *m, uint64_t sequence, const struct atr_packet *packets,
		       unsigned int count)
{
	const uint16_t length = RTE_STATIC_BSWAP16(8 + ATR_PACKET_SIZE);
	uint8_t *p = rte_pktmbuf_mtod_offset(m, uint8_t *, m->data_len);

	for (unsigned int i = 0; i < count; i++, p += ATR_MOLD_BLOCK_SIZE(0), sequence++) {
		memcpy(p, &length, sizeof(length));
		memcpy(p + ATR_MOLD_LENGTH_SIZE, &sequence, sizeof(sequence));
		memcpy(p + ATR_MOLD_LENGTH_SIZE + sizeof(sequence), &packets[i], ATR_PACKET_SIZE);
	}
	m->data_len += (uint16_t)(count * ATR_MOLD_BLOCK_SIZE(0));
	m->pkt_len = m->data_len;
}

/* How many more inline packets the open packet takes: at least one, after make_room. */
static unsigned int room_for(const struct atr_feeds *feeds, const struct rte_mbuf *open)
{
	unsigned int to_limit = feeds->datagram_max - open->data_len;

	return RTE_MAX(RTE_MIN(to_limit, rte_pktmbuf_tailroom(open)) / ATR_MOLD_BLOCK_SIZE(0), 1u);
}

static void publish_run(struct atr_feeds *feeds, const struct atr_program *program, unsigned int id,
			uint64_t sequence, const struct atr_packet *packets, unsigned int count,
			uint64_t now_tsc)
{
	const struct atr_feed_routes *routes = &program->routes[id];
	struct atr_feed_out *out = &feeds->feed[id];

	while (count > 0) {
		bool room = make_room(feeds, out, routes, ATR_MOLD_BLOCK_SIZE(0), now_tsc);
		unsigned int n = room ? RTE_MIN(count, room_for(feeds, out->open)) : 1;

		if (likely(room)) {
			append_run(out->open, sequence, packets, n);
			out->open_count += (uint16_t)n;
		} else {
			out->stats.no_mbuf++;
		}
		out->next_sequence += n;
		out->stats.messages += n;
		sequence += n;
		packets += n;
		count -= n;
	}
}

void atr_feeds_publish_run(struct atr_feeds *feeds, const struct atr_program *program, uint64_t set,
			   uint64_t sequence, const struct atr_packet *packets, unsigned int count,
			   uint64_t now_tsc)
{
	for (; set; set &= set - 1)
		publish_run(feeds, program, (unsigned int)__builtin_ctzll(set), sequence, packets,
			    count, now_tsc);
}

/* A packet without messages: count 0 is a heartbeat, ATR_MOLD_COUNT_END the end of the session. */
static void send_empty(struct atr_feeds *feeds, struct atr_feed_out *out,
		       const struct atr_feed_routes *routes, uint16_t count, uint64_t now_tsc)
{
	if (!open_packet(feeds, out, now_tsc)) {
		out->stats.no_mbuf++;
		return;
	}
	struct rte_mbuf *m = out->open;

	out->open = NULL;
	atr_mold_hdr_write(rte_pktmbuf_mtod(m, uint8_t *), out->session, out->next_sequence, count);
	fan_out(feeds, out, routes, m, now_tsc);
	rte_pktmbuf_free(m);
}

bool atr_feeds_resend(struct atr_feeds *feeds, unsigned int id, uint64_t sequence,
		      unsigned int iface_index, const struct atr_flow *flow)
{
	const struct atr_recent_packet *kept = atr_recent_find(&feeds->feed[id].recent, sequence);
	const struct atr_iface *iface = &feeds->ifaces[iface_index];
	struct rte_mbuf *m;

	if (!kept)
		return false;
	m = address(feeds, iface, kept->payload);
	if (unlikely(!m))
		return false;
	atr_net_udp_headers(
		m, iface, flow, kept->payload->data_len,
		atr_net_sum(rte_pktmbuf_mtod(kept->payload, void *), kept->payload->data_len));
	atr_tx_put(&feeds->tx[iface_index], m);
	return true;
}

void atr_feeds_poll(struct atr_feeds *feeds, const struct atr_program *program, uint64_t now_tsc,
		    bool idle)
{
	const struct atr_plan *plan = program->plan;

	for (uint32_t id = 0; plan && id < plan->feed_slots; id++) {
		struct atr_feed_out *out = &feeds->feed[id];

		if (!plan->feeds[id].present)
			continue;
		if (out->open) {
			if (idle || now_tsc - out->opened_tsc >= feeds->flush_tsc)
				flush(feeds, out, &program->routes[id], now_tsc);
		} else if (now_tsc - out->sent_tsc >= feeds->heartbeat_tsc) {
			out->stats.heartbeats++;
			send_empty(feeds, out, &program->routes[id], 0, now_tsc);
		}
	}
}

static void send_open(struct atr_feeds *feeds, const struct atr_program *program, unsigned int id,
		      uint64_t now_tsc)
{
	struct atr_feed_out *out = &feeds->feed[id];

	if (out->open)
		flush(feeds, out, &program->routes[id], now_tsc);
}

void atr_feeds_retire(struct atr_feeds *feeds, const struct atr_program *program, unsigned int id,
		      uint64_t now_tsc)
{
	send_open(feeds, program, id, now_tsc);
	send_empty(feeds, &feeds->feed[id], &program->routes[id], ATR_MOLD_COUNT_END, now_tsc);
}

void atr_feeds_end(struct atr_feeds *feeds, const struct atr_program *program, uint64_t now_tsc)
{
	const struct atr_plan *plan = program->plan;

	for (uint32_t id = 0; plan && id < plan->feed_slots; id++) {
		if (!plan->feeds[id].present)
			continue;
		if (program->waiting_feeds >> id & 1)
			send_open(feeds, program, id, now_tsc);
		else
			atr_feeds_retire(feeds, program, id, now_tsc);
	}
}
