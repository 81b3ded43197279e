/* SPDX-License-Identifier: BSD-3-Clause */
/* Stage 4, gate 2: an event has exactly one encoding, and this is it. */
#include "stages.h"

static uint8_t check(const struct atr_plan *plan, const struct atr_frame *frame, unsigned int i)
{
	const struct atr_packet *p = &frame->packets[i];
	uint8_t reason = atr_packet_canonical(p, frame->hdr->source);
	const uint8_t *payload;
	uint32_t length;

	if (unlikely(reason != ATR_OK))
		return reason;
	payload = atr_frame_payload(frame, i, &length);
	return atr_typecheck_canonical(plan->types[p->type_id].binary, payload, length,
				       (p->flags & ATR_FLAG_ARENA) != 0);
}

/* Events that schema let pass without a word on this gate. Returns how many are good now. */
static unsigned int check_rest(const struct atr_plan *plan, const struct atr_frame *frame,
			       const uint8_t *passed, uint8_t *reason)
{
	unsigned int good = 0;

	for (unsigned int e = 0; e < frame->packet_count; e++) {
		if (!passed[e] && reason[e] == ATR_OK)
			reason[e] = check(plan, frame, e);
		good += reason[e] == ATR_OK;
	}
	return good;
}

unsigned int atr_stage_canonical(struct atr_shard *shard, struct atr_batch *batch)
{
	const struct atr_plan *plan = shard->program->plan;
	unsigned int events = 0;

	for (unsigned int i = 0; i < batch->live_count; i++) {
		unsigned int f = batch->live[i];
		const struct atr_frame *frame = &batch->frame[f];
		uint8_t *reason = &batch->event_reason[batch->event_first[f]];
		unsigned int good = batch->passed[f];

		if (unlikely(good < frame->packet_count))
			good = check_rest(plan, frame, &batch->event_passed[batch->event_first[f]],
					  reason);
		if (!frame->in_arena)
			batch->passed[f] = (uint16_t)good;
		events += frame->packet_count;
		if (!batch->checked[f])
			batch->reason[f] = atr_frame_canonical(frame);
		/* Nothing left to authenticate: the first refusal stands for the frame. */
		if (good == 0 && batch->reason[f] == ATR_OK)
			batch->reason[f] = reason[0];
	}
	atr_batch_compact(batch);
	return events;
}
