/* SPDX-License-Identifier: BSD-3-Clause */
/* Stage 5: what the shard's state of load says is shed, before a hash is spent on it, or
 * when its root has been proven and the state has become worse. */
#include "stages.h"

static unsigned int priority_of(const struct atr_plan *plan, const struct atr_source *source,
				const struct atr_packet *packet)
{
	unsigned int claimed = (packet->flags & ATR_FLAG_PRIORITY_MASK) >> ATR_FLAG_PRIORITY_SHIFT;
	unsigned int best = atr_plan_priority(source, &plan->topics[packet->topic_id]);

	return RTE_MAX(claimed, best);
}

static void shed(struct atr_shard *shard, struct atr_batch *batch, unsigned int f)
{
	const struct atr_frame *frame = &batch->frame[f];
	uint8_t *reason = &batch->event_reason[batch->event_first[f]];
	unsigned int left = 0, gone = 0;

	for (unsigned int e = 0; e < frame->packet_count; e++) {
		const struct atr_packet *packet = &frame->packets[e];
		enum atr_measure measure;

		if (reason[e] != ATR_OK)
			continue;
		measure = atr_overload_sheds(
			shard->overload.measures,
			priority_of(shard->program->plan, batch->source[f], packet),
			(packet->flags & ATR_FLAG_ARENA) != 0);
		left += measure == ATR_MEASURES;
		if (measure == ATR_MEASURES)
			continue;
		reason[e] = atr_measure_info[measure].reason;
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

		shed(shard, batch, f);
		events += batch->frame[f].packet_count;
	}
	atr_batch_compact(batch);
	return events;
}
