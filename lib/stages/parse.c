/* SPDX-License-Identifier: BSD-3-Clause */
/* Stage 2: from Ethernet to the frame's structure; what the control lcore answers goes up the
 * bridge, and a frame of another shard's source goes to that shard. */
#include <string.h>

#include <rte_prefetch.h>

#include "stages.h"

#define PREFETCH_AHEAD 2    /* packets */
#define PREFETCH_BYTES 2048 /* of each; what follows the CPU sees coming */

static void give(struct atr_batch *batch, unsigned int f)
{
	batch->mbuf[f] = NULL;
}

static void punt_link(struct atr_shard *shard, struct atr_batch *batch, unsigned int f)
{
	if (atr_send(shard->bridge->link[shard->id], ATR_MSG_LINK, (uint16_t)shard->node->epoch, 0,
		     batch->mbuf[f])) {
		give(batch, f);
		return;
	}
	shard->rx.link_dropped++;
	rte_pktmbuf_free(batch->mbuf[f]);
	give(batch, f);
}

/* Gap requests are no datagrams of producers: the gate's own counters tell of them. */
static void request(struct atr_shard *shard, struct atr_batch *batch, unsigned int f,
		    const struct atr_net_datagram *d)
{
	struct rte_mbuf *m = batch->mbuf[f];
	struct atr_meta *meta = atr_meta(m);
	struct atr_gap_asker asker = {
		.data = rte_pktmbuf_mtod_offset(m, const uint8_t *, d->offset),
		.mac = rte_pktmbuf_mtod(m, const struct rte_ether_hdr *)->src_addr,
		.ip = d->src_ip,
		.port = d->src_port,
		.iface = meta->port_id,
	};
	enum atr_gap_verdict verdict =
		atr_gap_judge(&shard->gap, shard->feeds, shard->program, shard->id, shard->shards,
			      &asker, batch->now_tsc);

	give(batch, f);
	if (verdict == ATR_GAP_LOG) {
		meta->src_ip = d->src_ip;
		meta->src_port = d->src_port;
		meta->offset = d->offset;
		meta->length = d->length;
		if (atr_send(shard->bridge->requests[shard->id], ATR_MSG_REQUEST, 0, shard->id, m))
			return;
		shard->gap.verdicts[ATR_GAP_BUSY]++;
	}
	rte_pktmbuf_free(m);
}

/* Link layer to UDP. True if a datagram for ATR is left to look at. */
static bool datagram(struct atr_shard *shard, struct atr_batch *batch, unsigned int f)
{
	struct rte_mbuf *m = batch->mbuf[f];
	struct atr_meta *meta = atr_meta(m);
	const struct atr_iface *iface = &shard->ifaces[meta->port_id];
	struct atr_book *book = &shard->node->book;
	struct atr_net_datagram d;

	if (unlikely(m->nb_segs > 1) && rte_pktmbuf_linearize(m) < 0) {
		book->datagrams.received++;
		meta->offset = 0;
		meta->length = 0;
		batch->reason[f] = ATR_REASON_IP_MALFORMED;
		return false;
	}
	d.offset = 0;
	d.length = 0;
	d.src_ip = 0;
	d.src_port = 0;
	d.dst_ip = 0;
	switch (atr_net_classify(m, iface, &shard->program->groups, &shard->program->ports, &d)) {
	case ATR_NET_ARP:
		book->arp++;
		punt_link(shard, batch, f);
		return false;
	case ATR_NET_ICMP:
		book->icmp++;
		punt_link(shard, batch, f);
		return false;
	case ATR_NET_REQUEST: request(shard, batch, f, &d); return false;
	case ATR_NET_FOREIGN:
		book->foreign++;
		rte_pktmbuf_free(m);
		give(batch, f);
		return false;
	case ATR_NET_REFUSED: batch->reason[f] = d.reason; break;
	case ATR_NET_DATAGRAM: break;
	}
	book->datagrams.received++;
	meta->src_ip = d.src_ip;
	meta->dst_ip = d.dst_ip;
	meta->src_port = d.src_port;
	meta->offset = d.offset;
	meta->length = d.length;
	return batch->reason[f] == ATR_OK;
}

static void envelope(struct atr_shard *shard, struct atr_batch *batch, unsigned int f)
{
	struct atr_book *book = &shard->node->book;

	book->events.received++;
	atr_meta(batch->mbuf[f])->events = 1;
	if (!atr_send(shard->bridge->envelopes[shard->id], ATR_MSG_ENVELOPE,
		      (uint16_t)shard->node->epoch, shard->id, batch->mbuf[f])) {
		batch->reason[f] = ATR_REASON_BRIDGE_FULL;
		return;
	}
	book->datagrams.bridge_out++;
	book->events.bridge_out++;
	give(batch, f);
}

static void hand_over(struct atr_shard *shard, struct atr_batch *batch, unsigned int f,
		      unsigned int owner)
{
	struct atr_book *book = &shard->node->book;

	if (!atr_send(shard->bridge->handover[shard->id][owner], ATR_MSG_FRAME,
		      (uint16_t)shard->node->epoch, 0, batch->mbuf[f])) {
		batch->reason[f] = ATR_REASON_HANDOVER_FULL;
		return;
	}
	book->datagrams.handover_out++;
	book->events.handover_out += batch->frame[f].packet_count;
	shard->rx.handed_over++;
	give(batch, f);
}

static void begin_events(struct atr_batch *batch, unsigned int f)
{
	unsigned int count = batch->frame[f].packet_count;

	batch->event_first[f] = batch->event_count;
	memset(&batch->event_reason[batch->event_count], ATR_OK, count);
	batch->event_count += count;
}

/* Every event passed, so none has its payload in the arena. */
static bool checked(const struct atr_shard *shard, const struct atr_meta *meta)
{
	return (meta->origin == ATR_ORIGIN_HOLD || meta->origin == ATR_ORIGIN_RESERVE) &&
	       meta->generation > 0 && meta->generation == shard->program->generation;
}

static void frame(struct atr_shard *shard, struct atr_batch *batch, unsigned int f)
{
	struct rte_mbuf *m = batch->mbuf[f];
	struct atr_meta *meta = atr_meta(m);
	const uint8_t *data = rte_pktmbuf_mtod_offset(m, const uint8_t *, meta->offset);
	struct atr_frame *fr = &batch->frame[f];
	unsigned int owner;

	batch->checked[f] = checked(shard, meta);
	if (batch->checked[f]) {
		atr_frame_reopen(data, fr);
		begin_events(batch, f);
		return;
	}
	batch->reason[f] = atr_frame_parse(data, meta->length, fr);
	if (batch->reason[f] != ATR_OK) {
		fr->hdr = NULL;
		return;
	}
	/* Before anything can refuse the frame: settling it reads its events' reasons. */
	begin_events(batch, f);
	if (meta->origin == ATR_ORIGIN_PORT) {
		meta->events = fr->packet_count;
		shard->node->book.events.received += fr->packet_count;
		owner = fr->hdr->source % shard->shards;
		if (owner != shard->id) {
			hand_over(shard, batch, f, owner);
			if (batch->mbuf[f] == NULL)
				return;
		}
	}
	if (unlikely(!shard->program->plan) && batch->reason[f] == ATR_OK)
		batch->reason[f] = ATR_REASON_NO_PLAN;
}

/* All bytes of a packet are read in this batch, the first ones here. */
static void prefetch(const struct atr_batch *batch, unsigned int i)
{
	const struct rte_mbuf *m = batch->mbuf[batch->live[i]];
	unsigned int length = RTE_MIN(m->data_len, PREFETCH_BYTES);

	for (unsigned int at = 0; at < length; at += RTE_CACHE_LINE_SIZE)
		rte_prefetch0(rte_pktmbuf_mtod_offset(m, const void *, at));
}

unsigned int atr_stage_parse(struct atr_shard *shard, struct atr_batch *batch)
{
	unsigned int n = batch->live_count;

	for (unsigned int i = 0; i < n && i < PREFETCH_AHEAD; i++)
		prefetch(batch, i);
	for (unsigned int i = 0; i < n; i++) {
		unsigned int f = batch->live[i];
		struct atr_meta *meta = atr_meta(batch->mbuf[f]);
		uint8_t first;

		if (i + PREFETCH_AHEAD < n)
			prefetch(batch, i + PREFETCH_AHEAD);

		if (meta->origin == ATR_ORIGIN_PORT && !datagram(shard, batch, f))
			continue;
		first = meta->length == 0 ? UINT8_MAX
					  : *rte_pktmbuf_mtod_offset(batch->mbuf[f],
								     const uint8_t *, meta->offset);
		if (likely(first == ATR_FIRST_BYTE_FRAME))
			frame(shard, batch, f);
		else if (first == ATR_FIRST_BYTE_ENVELOPE)
			envelope(shard, batch, f);
		else
			batch->reason[f] = ATR_REASON_NOT_ATR;
	}
	atr_batch_compact(batch);
	return n;
}
