/* SPDX-License-Identifier: BSD-3-Clause */
/* Stage 3, gate 1: every id is in the plan, every field within its declared range. */
#include "stages.h"

static uint8_t check(const struct atr_plan *plan, const struct atr_frame *frame, unsigned int i)
{
	const struct atr_packet *p = &frame->packets[i];
	const struct atr_type *type;
	const uint8_t *payload;
	uint32_t length;

	if (unlikely(!atr_plan_topic(plan, p->topic_id)))
		return ATR_REASON_UNKNOWN_TOPIC;
	type = atr_plan_type(plan, p->type_id);
	if (unlikely(!type || !type->binary))
		return ATR_REASON_UNKNOWN_TYPE;
	payload = atr_frame_payload(frame, i, &length);
	return atr_typecheck_schema(type->binary, payload, length,
				    (p->flags & ATR_FLAG_ARENA) != 0);
}

unsigned int atr_stage_schema(struct atr_shard *shard, struct atr_batch *batch)
{
	const struct atr_plan *plan = shard->program->plan;
	unsigned int events = 0;

	for (unsigned int i = 0; i < batch->live_count; i++) {
		unsigned int f = batch->live[i];
		const struct atr_frame *frame = &batch->frame[f];
		uint8_t *reason = &batch->event_reason[batch->event_first[f]];

		batch->source[f] = atr_plan_source(plan, frame->hdr->source);
		if (unlikely(!batch->source[f])) {
			batch->reason[f] = ATR_REASON_UNKNOWN_SOURCE;
			continue;
		}
		for (unsigned int e = 0; e < frame->packet_count; e++)
			reason[e] = check(plan, frame, e);
		events += frame->packet_count;
	}
	atr_batch_compact(batch);
	return events;
}
