/* SPDX-License-Identifier: BSD-3-Clause */
/* Stage 8: identity. Tested here, taken in the log stage, so that what the limit stage sheds has
 * not been remembered. The result must be as if frames came one by one: a frame whose answer
 * depends on what an earlier frame of its batch is about to take is deferred to the next batch. */
#include "stages.h"

static bool has(const uint8_t *reason, unsigned int count, uint8_t wanted)
{
	uint8_t found = 0;

	for (unsigned int e = 0; e < count; e++) /* no early end: vectors */
		found |= reason[e] == wanted;
	return found;
}

/* Would earlier frames of this batch change the answer for [first, last]? open: some of its events
 * are free or ahead. */
static bool depends(const struct atr_batch *batch, const struct atr_source_state *state,
		    uint32_t window, uint64_t first, uint64_t last, bool open, bool ahead)
{
	if (state->batch != batch->number)
		return false;
	/* It would push a deferred one below the window. */
	if (last > state->deferred_first && last - state->deferred_first >= window)
		return true;
	if (first >= state->batch_end)
		return ahead;
	if (open && last >= state->batch_first)
		return true;
	return state->batch_end > window && first < state->batch_end - window;
}

static void will_take(const struct atr_batch *batch, struct atr_source_state *state, uint64_t first,
		      uint64_t last)
{
	uint64_t end = last == UINT64_MAX ? UINT64_MAX : last + 1;

	if (state->batch != batch->number) {
		state->batch = batch->number;
		state->deferred_first = UINT64_MAX;
		state->batch_first = first;
		state->batch_end = end;
		return;
	}
	state->batch_first = RTE_MIN(state->batch_first, first);
	state->batch_end = RTE_MAX(state->batch_end, end);
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
	if (atr_reserve_asked(reserve) || !atr_may_ask(shard->bridge->verify[shard->id]))
		return;
	reserve->wanted = sequence;
	reserve->asked = atr_send(shard->bridge->verify[shard->id], ATR_MSG_RESERVE,
				  (uint16_t)shard->node->epoch, 0, reserve);
}

/* Waits for the durable high-water, behind the frames of its source that already do. */
static void wait_reserve(struct atr_shard *shard, struct atr_batch *batch, unsigned int f,
			 struct atr_source_state *state)
{
	wait_in(shard, batch, f, &shard->reserving, ATR_REASON_RESERVE_WAIT);
	state->waiting += batch->mbuf[f] == NULL;
}

/* Waits for the next batch; what it may take then counts for the frames behind it now. */
static void defer(struct atr_shard *shard, struct atr_batch *batch, unsigned int f,
		  struct atr_source_state *state, uint64_t first, uint64_t last)
{
	will_take(batch, state, first, last);
	state->deferred_first = RTE_MIN(state->deferred_first, first);
	wait_in(shard, batch, f, &shard->deferred, ATR_REASON_HOLD_FULL);
}

static void test(struct atr_shard *shard, struct atr_batch *batch, unsigned int i)
{
	unsigned int f = batch->live[i];
	const struct atr_frame *frame = &batch->frame[f];
	struct atr_source_state *state = &shard->program->source[frame->hdr->source];
	uint8_t *reason = &batch->event_reason[batch->event_first[f]];
	uint64_t first = frame->hdr->first_sequence;
	uint64_t last = first + (frame->packet_count - 1u);

	const struct atr_meta *meta = atr_meta(batch->mbuf[f]);
	unsigned int fresh;
	bool ahead;

	if (unlikely(state->waiting > 0 && meta->origin != ATR_ORIGIN_RESERVE)) {
		wait_reserve(shard, batch, f, state);
		return;
	}
	fresh = atr_window_test(state->window, first, frame->packet_count, batch->tag[f], reason);
	ahead = has(reason, frame->packet_count, ATR_REASON_AHEAD);

	if (fresh == 0 && last < atr_window_floor(state->window))
		return;
	if (unlikely(depends(batch, state, batch->source[f]->window, first, last,
			     fresh > 0 || ahead, ahead))) {
		defer(shard, batch, f, state, first, last);
		return;
	}
	if (fresh == 0)
		return;
	if (likely(last < state->reserve->reserved)) {
		will_take(batch, state, first, last);
		if (unlikely(state->reserve->reserved - last < ATR_RESERVE_AHEAD / 2))
			ask(shard, state->reserve, last);
		return;
	}
	if (meta->reason == ATR_REASON_RESERVE_WAIT) {
		batch->reason[f] = ATR_REASON_RESERVE_WAIT;
		return;
	}
	if (unlikely(state->batch == batch->number && state->deferred_first < UINT64_MAX)) {
		defer(shard, batch, f, state, first, last);
		return;
	}
	ask(shard, state->reserve, last);
	wait_reserve(shard, batch, f, state);
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
