/* SPDX-License-Identifier: BSD-3-Clause */
/* Stage 7: identity. Tested here, taken in the log stage, so that what the limit stage sheds has not
 * been remembered. Two frames of one batch that could take the same sequence are separated: the
 * later one is deferred to the next batch. */
#include "stages.h"

static bool overlaps_earlier(const struct atr_batch *batch, unsigned int upto, unsigned int f)
{
	const struct atr_frame_hdr *b = batch->frame[f].hdr;

	for (unsigned int i = 0; i < upto; i++) {
		unsigned int g = batch->live[i];
		const struct atr_frame_hdr *a = batch->frame[g].hdr;

		if (a->source == b->source && batch->mbuf[g] && batch->reason[g] == ATR_OK &&
		    a->first_sequence <= b->first_sequence + (b->packet_count - 1) &&
		    b->first_sequence <= a->first_sequence + (a->packet_count - 1))
			return true;
	}
	return false;
}

static void wait_in(struct atr_shard *shard, struct atr_batch *batch, unsigned int f,
		    struct atr_queue *queue, uint8_t reason_if_full)
{
	struct rte_mbuf *m = batch->mbuf[f];

	if (!atr_queue_put(queue, m, batch->now_tsc)) {
		batch->reason[f] = reason_if_full;
		return;
	}
	shard->node->book.datagrams.held++;
	shard->node->book.events.held += atr_meta(m)->events;
	batch->mbuf[f] = NULL;
}

/* Asks the control lcore to make a higher high-water durable, once at a time. */
static void ask(struct atr_shard *shard, struct atr_reserve *reserve, uint64_t sequence)
{
	if (reserve->asked && reserve->reserved <= reserve->wanted)
		return;
	reserve->wanted = sequence;
	reserve->asked = atr_send(shard->bridge->verify[shard->id], ATR_MSG_RESERVE,
				  (uint16_t)shard->node->epoch, 0, reserve);
}

static void test(struct atr_shard *shard, struct atr_batch *batch, unsigned int i)
{
	unsigned int f = batch->live[i];
	const struct atr_frame *frame = &batch->frame[f];
	struct atr_source_state *state = &shard->program->source[frame->hdr->source];
	uint8_t *reason = &batch->event_reason[batch->event_first[f]];
	uint64_t first = frame->hdr->first_sequence;
	uint64_t last = first + (frame->packet_count - 1u);

	if (atr_window_test(state->window, first, frame->packet_count, batch->tag[f], reason) == 0)
		return;
	if (unlikely(overlaps_earlier(batch, i, f))) {
		wait_in(shard, batch, f, &shard->deferred, ATR_REASON_HOLD_FULL);
		return;
	}
	if (likely(last < state->reserve->reserved)) {
		if (unlikely(state->reserve->reserved - last < ATR_RESERVE_AHEAD / 2))
			ask(shard, state->reserve, last);
		return;
	}
	if (atr_meta(batch->mbuf[f])->reason == ATR_REASON_RESERVE_WAIT) {
		batch->reason[f] = ATR_REASON_RESERVE_WAIT;
		return;
	}
	ask(shard, state->reserve, last);
	wait_in(shard, batch, f, &shard->reserving, ATR_REASON_RESERVE_WAIT);
}

unsigned int atr_stage_dedup(struct atr_shard *shard, struct atr_batch *batch)
{
	unsigned int events = 0;

	for (unsigned int i = 0; i < batch->live_count; i++) {
		events += batch->frame[batch->live[i]].packet_count;
		test(shard, batch, i);
	}
	atr_batch_compact(batch);
	return events;
}
