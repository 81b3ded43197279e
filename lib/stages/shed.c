/* SPDX-License-Identifier: BSD-3-Clause */
/* Stage 5: what the shard's state of load says is shed, before a hash is spent on it. Frames that
 * waited for their root have been let in. */
#include "stages.h"

static const uint8_t reason_of[ATR_MEASURES] = {
	[ATR_MEASURE_P3] = ATR_REASON_SHED_P3,
	[ATR_MEASURE_P2] = ATR_REASON_SHED_P2,
	[ATR_MEASURE_LARGE] = ATR_REASON_SHED_LARGE,
	[ATR_MEASURE_P1] = ATR_REASON_SHED_P1,
};

/* What the event claims, capped by what the plan lets its source and topic claim. */
static unsigned int priority_of(const struct atr_plan *plan, const struct atr_source *source,
				const struct atr_packet *packet)
{
	unsigned int claimed = (packet->flags & ATR_FLAG_PRIORITY_MASK) >> ATR_FLAG_PRIORITY_SHIFT;
	unsigned int capped = RTE_MAX(source->priority, plan->topics[packet->topic_id].priority);

	return RTE_MAX(claimed, capped);
}

static void shed(struct atr_shard *shard, struct atr_batch *batch, unsigned int f)
{
	const struct atr_frame *frame = &batch->frame[f];
	uint8_t *reason = &batch->event_reason[batch->event_first[f]];
	unsigned int left = 0, gone = 0;

	for (unsigned int e = 0; e < frame->packet_count; e++) {
		const struct atr_packet *packet = &frame->packets[e];
		enum atr_measure measure;
		unsigned int priority;

		if (reason[e] != ATR_OK)
			continue;
		priority = priority_of(shard->program->plan, batch->source[f], packet);
		measure = atr_overload_sheds(shard->overload.measures, priority,
					     (packet->flags & ATR_FLAG_ARENA) != 0);
		left += measure == ATR_MEASURES;
		if (measure == ATR_MEASURES)
			continue;
		reason[e] = reason_of[measure];
		shard->overload.shed[measure][priority]++;
		gone++;
	}
	if (gone == 0)
		return;
	/* No longer a frame whose events all passed. */
	batch->topic[f] = 0;
	if (batch->passed[f] > 0)
		batch->passed[f] = (uint16_t)left;
	if (left == 0)
		batch->reason[f] = reason[0];
}

unsigned int atr_stage_shed(struct atr_shard *shard, struct atr_batch *batch)
{
	unsigned int events = 0;

	if (likely((shard->overload.measures & ATR_MEASURES_SHED) == 0))
		return 0;
	for (unsigned int i = 0; i < batch->live_count; i++) {
		unsigned int f = batch->live[i];

		if (atr_meta(batch->mbuf[f])->origin == ATR_ORIGIN_HOLD)
			continue;
		shed(shard, batch, f);
		events += batch->frame[f].packet_count;
	}
	atr_batch_compact(batch);
	return events;
}
