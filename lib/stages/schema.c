/* SPDX-License-Identifier: BSD-3-Clause */
/* Stage 3, gate 1: every id is in the plan, every field within its declared range.
 *
 * Runs of inline packets of one type are checked for both gates at once, since their bytes are in
 * registers then; what does not pass so is looked at by itself, gate by gate, for its reason. */
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

/* Packets from first on that share topic and type, if the plan has that topic; else 0. */
static unsigned int run_of(const struct atr_plan *plan, const struct atr_frame *frame,
			   unsigned int first)
{
	const struct atr_packet *p = frame->packets;
	uint32_t type = p[first].type_id, topic = p[first].topic_id;
	unsigned int end = first + 1;

	if (unlikely(!atr_plan_topic(plan, topic)))
		return 0;
	while (end < frame->packet_count && p[end].type_id == type && p[end].topic_id == topic)
		end++;
	return end - first;
}

/* Fills passed[] of all packets; returns how many passed. one_run: all share topic and type. */
static unsigned int pass_runs(const struct atr_plan *plan, const struct atr_frame *frame,
			      uint8_t *passed, bool *one_run)
{
	unsigned int all = 0;

	*one_run = false;
	for (unsigned int e = 0; e < frame->packet_count;) {
		uint32_t id = frame->packets[e].type_id;
		const struct atr_type *type = atr_plan_type(plan, id);
		unsigned int run = type && type->binary ? run_of(plan, frame, e) : 0;

		if (unlikely(run == 0)) {
			passed[e++] = 0;
			continue;
		}
		all += atr_typecheck_packets(type->binary, id, frame->hdr->source,
					     &frame->packets[e], run, passed + e);
		e += run;
		*one_run = run == frame->packet_count;
	}
	return all;
}

unsigned int atr_stage_schema(struct atr_shard *shard, struct atr_batch *batch)
{
	const struct atr_plan *plan = shard->program->plan;
	unsigned int events = 0;

	for (unsigned int i = 0; i < batch->live_count; i++) {
		unsigned int f = batch->live[i];
		const struct atr_frame *frame = &batch->frame[f];
		uint8_t *reason = &batch->event_reason[batch->event_first[f]];
		uint8_t *passed = &batch->event_passed[batch->event_first[f]];
		bool one_run;

		batch->source[f] = atr_plan_source(plan, frame->hdr->source);
		if (unlikely(!batch->source[f])) {
			batch->reason[f] = ATR_REASON_UNKNOWN_SOURCE;
			continue;
		}
		events += frame->packet_count;
		if (batch->checked[f]) {
			batch->passed[f] = frame->packet_count;
			batch->topic[f] = atr_meta(batch->mbuf[f])->topic;
			continue;
		}
		batch->passed[f] = (uint16_t)pass_runs(plan, frame, passed, &one_run);
		batch->topic[f] = 0;
		if (likely(batch->passed[f] == frame->packet_count)) {
			batch->topic[f] = one_run ? frame->packets->topic_id : 0;
			continue;
		}
		for (unsigned int e = 0; e < frame->packet_count; e++)
			if (!passed[e])
				reason[e] = check(plan, frame, e);
	}
	atr_batch_compact(batch);
	return events;
}
