/* SPDX-License-Identifier: BSD-3-Clause */
/* Stage 1: what enters a batch, oldest first: frames that waited, then what other shards handed
 * over, then the port queues. New frames come only when no released one is left behind them, so
 * that the hold never reorders a source's sequences. */
#include <rte_ethdev.h>
#include <rte_prefetch.h>

#include "stages.h"

#define HANDOVER_MAX 16 /* frames a turn from all other shards */
#define DOWN_MAX     ATR_BATCH_ADMITS
#define ANSWERS_MAX  4
#define HASH_LANES                                                                 \
	16 /* new frames come in so many where there are as many: leaf hashes fill \
	    * their vectors then */

static void add(struct atr_batch *batch, struct rte_mbuf *mbuf, enum atr_origin origin,
		uint8_t reason)
{
	unsigned int f = batch->count++;
	struct atr_meta *meta = atr_meta(mbuf);

	meta->origin = origin;
	meta->reason = reason;
	batch->mbuf[f] = mbuf;
	batch->frame[f].hdr = NULL;
	batch->reason[f] = ATR_OK;
	batch->live[batch->live_count++] = (uint16_t)f;
}

static void leave_hold(struct atr_shard *shard, struct rte_mbuf *mbuf)
{
	shard->node->book.datagrams.held--;
	shard->node->book.events.held -= atr_meta(mbuf)->events;
}

static void from_hold(struct atr_shard *shard, struct atr_batch *batch)
{
	void *cookie[ATR_BATCH_FRAMES];
	uint8_t reason[ATR_BATCH_FRAMES];
	unsigned int n =
		atr_auth_release(shard->auth, cookie, reason, ATR_BATCH_FRAMES - batch->count);

	for (unsigned int i = 0; i < n; i++) {
		leave_hold(shard, cookie[i]);
		rte_prefetch0(atr_meta(cookie[i])->leaf);
		add(batch, cookie[i], ATR_ORIGIN_HOLD, reason[i]);
	}
}

static struct rte_mbuf *pop(struct atr_shard *shard, struct atr_queue *queue)
{
	struct rte_mbuf *mbuf = queue->slot[queue->head++ & queue->mask];

	leave_hold(shard, mbuf);
	return mbuf;
}

static void from_deferred(struct atr_shard *shard, struct atr_batch *batch)
{
	while (atr_queue_count(&shard->deferred) > 0 && batch->count < ATR_BATCH_FRAMES) {
		struct rte_mbuf *mbuf = pop(shard, &shard->deferred);
		/* Whoever was before the frames of its source in `reserving` stays so. */
		bool reserved = atr_meta(mbuf)->origin == ATR_ORIGIN_RESERVE;

		add(batch, mbuf, reserved ? ATR_ORIGIN_RESERVE : ATR_ORIGIN_HOLD, ATR_OK);
	}
}

/* What the source of a frame in `reserving` waits with, whether the plan still has it or not; NULL
 * if no program of this line ever had it. */
static struct atr_source_state *source_of(const struct atr_shard *shard, struct rte_mbuf *mbuf)
{
	const struct atr_frame_hdr *hdr =
		rte_pktmbuf_mtod_offset(mbuf, const struct atr_frame_hdr *, atr_meta(mbuf)->offset);
	struct atr_source_state *state = &shard->program->source[hdr->source];

	return state->reserve ? state : NULL;
}

/* Frames whose question has been answered, in order. */
static void from_reserving(struct atr_shard *shard, struct atr_batch *batch)
{
	struct atr_queue *queue = &shard->reserving;

	while (atr_queue_count(queue) > 0 && batch->count < ATR_BATCH_FRAMES) {
		uint32_t at = queue->head & queue->mask;
		struct atr_source_state *state = source_of(shard, queue->slot[at]);
		bool late = batch->now_tsc - queue->since_tsc[at] > shard->reserve_timeout_tsc;
		bool asked = state && atr_reserve_asked(state->reserve);

		if (asked && !late && !shard->stopping)
			return;
		if (state)
			state->waiting--;
		add(batch, pop(shard, queue), ATR_ORIGIN_RESERVE,
		    asked ? ATR_REASON_RESERVE_WAIT : ATR_OK);
	}
}

/* The batch has begun: some of what this shard has is in no book now. So frames of a newer epoch
 * stay on their ring until the next batch, which copies the book first. */
static void from_handover(struct atr_shard *shard, struct atr_batch *batch)
{
	struct atr_msg msg[HANDOVER_MAX];
	unsigned int room = HANDOVER_MAX;

	for (unsigned int i = 0; i < shard->shards && room > 0; i++) {
		unsigned int from = shard->next_handover++ % shard->shards;
		unsigned int n;

		if (from == shard->id)
			continue;
		/* What is of a newer cut waits for the next turn, which begins with that cut. */
		n = atr_receive_until(shard->bridge->handover[from][shard->id], msg, room,
				      (uint16_t)shard->node->epoch);
		for (unsigned int k = 0; k < n; k++) {
			struct rte_mbuf *mbuf = msg[k].ptr;

			shard->node->book.datagrams.handover_in++;
			shard->node->book.events.handover_in += atr_meta(mbuf)->events;
			add(batch, mbuf, ATR_ORIGIN_HANDOVER, ATR_OK);
		}
		room -= n;
	}
}

static void from_control(struct atr_shard *shard, struct atr_batch *batch)
{
	struct atr_msg msg[DOWN_MAX];
	unsigned int n = atr_receive(shard->bridge->down[shard->id], msg, DOWN_MAX);

	if (n > 0)
		atr_ledger_meet(shard->ledger, shard->node, msg[n - 1].epoch);
	for (unsigned int i = 0; i < n; i++) {
		switch (msg[i].kind) {
		case ATR_MSG_VERDICT: atr_auth_verdict(shard->auth, msg[i].ptr); break;
		case ATR_MSG_ADMIT:
			shard->node->book.datagrams.bridge_in++;
			shard->node->book.events.bridge_in++;
			batch->admit_reason[batch->admit_count] = ATR_OK;
			batch->admit[batch->admit_count++] = msg[i].ptr;
			break;
		case ATR_MSG_SEND: atr_tx_put(&shard->feeds->tx[msg[i].arg], msg[i].ptr); break;
		}
	}
}

/* Few a turn: live traffic comes first. */
static void from_gap_thread(struct atr_shard *shard)
{
	struct atr_msg msg[ANSWERS_MAX];
	unsigned int n = atr_receive(shard->bridge->answers[shard->id], msg, ANSWERS_MAX);

	for (unsigned int i = 0; i < n; i++)
		atr_tx_put(&shard->feeds->tx[msg[i].arg], msg[i].ptr);
}

static void from_port(struct atr_shard *shard, struct atr_batch *batch, unsigned int port)
{
	struct rte_mbuf **mbuf = &batch->mbuf[batch->count];
	unsigned int room = RTE_MIN(ATR_BATCH_FRAMES - batch->count, (unsigned int)ATR_RX_BURST);
	uint16_t asked = (uint16_t)(room - room % HASH_LANES), n;

	if (asked == 0) { /* the next batch has room: nearly all of this one waited */
		shard->overload.full = true;
		return;
	}
	n = rte_eth_rx_burst(shard->ifaces[port].port_id, shard->rx_queue, mbuf, asked);
	shard->rx.polls++;
	shard->rx.empty_polls += n == 0;
	shard->overload.full |= n == asked;
	shard->rx.packets += n;
	for (unsigned int i = 0; i < n; i++) {
		struct rte_mbuf *m = mbuf[i];

		rte_prefetch0(rte_pktmbuf_mtod(m, void *));
		shard->rx.bytes += m->pkt_len;
		add(batch, m, ATR_ORIGIN_PORT, ATR_OK);
		atr_meta(m)->rx_ns = batch->now_ns;
		atr_meta(m)->port_id = (uint16_t)port;
		atr_meta(m)->events = 0;
		atr_meta(m)->generation = 0;
	}
}

unsigned int atr_stage_rx(struct atr_shard *shard, struct atr_batch *batch)
{
	batch->number++;
	batch->count = 0;
	batch->live_count = 0;
	batch->event_count = 0;
	batch->admit_count = 0;
	from_control(shard, batch);
	from_gap_thread(shard);
	from_deferred(shard, batch);
	from_reserving(shard, batch);
	from_hold(shard, batch);
	if (atr_queue_count(&shard->deferred) > 0)
		return batch->count + batch->admit_count;
	if (shard->shards > 1 && batch->count <= ATR_BATCH_FRAMES - HANDOVER_MAX)
		from_handover(shard, batch);
	/* Another port begins each turn: two busy ones could fill every batch. */
	for (unsigned int p = 0; p < shard->iface_count && !shard->stopping; p++)
		if (batch->count < ATR_BATCH_FRAMES)
			from_port(shard, batch, (batch->number + p) % shard->iface_count);
	return batch->count + batch->admit_count;
}
