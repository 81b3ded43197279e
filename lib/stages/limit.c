/* SPDX-License-Identifier: BSD-3-Clause */
/* Stage 9, gate 4 continued: token buckets, after identity has been tested, so that replays drain
 * nobody. Envelopes admitted by the control lcore draw on the same buckets. */
#include "stages.h"

static bool take(struct atr_limit *limit, uint64_t now_tsc)
{
	return !limit || rte_meter_srtcm_color_blind_check(&limit->meter, &limit->profile, now_tsc,
							   1) == RTE_COLOR_GREEN;
}

static uint8_t draw(const struct atr_shard *shard, uint32_t source, uint32_t topic,
		    uint64_t now_tsc)
{
	const struct atr_program *program = shard->program;

	if (unlikely(!take(program->source_limit[source], now_tsc)))
		return ATR_REASON_RATE_SOURCE;
	if (unlikely(!take(program->topic_limit[shard->id * program->plan->topic_slots + topic],
			   now_tsc)))
		return ATR_REASON_RATE_TOPIC;
	return ATR_OK;
}

unsigned int atr_stage_limit(struct atr_shard *shard, struct atr_batch *batch)
{
	const struct atr_program *program = shard->program;
	unsigned int events = batch->admit_count;

	for (unsigned int i = 0; i < batch->live_count; i++) {
		unsigned int f = batch->live[i];
		const struct atr_frame *frame = &batch->frame[f];
		uint8_t *reason = &batch->event_reason[batch->event_first[f]];

		events += frame->packet_count;
		if (!program->limits_topics && !program->source_limit[frame->hdr->source])
			continue;
		for (unsigned int e = 0; e < frame->packet_count; e++)
			if (likely(reason[e] == ATR_OK))
				reason[e] = draw(shard, frame->hdr->source,
						 frame->packets[e].topic_id, batch->now_tsc);
	}
	for (unsigned int i = 0; i < batch->admit_count; i++) {
		const struct atr_meta *meta = atr_meta(batch->admit[i]);

		/* None is under way while programs change: its ids may mean nothing here. */
		if (unlikely(meta->generation != program->generation))
			batch->admit_reason[i] = ATR_REASON_BRIDGE_FULL;
		else
			batch->admit_reason[i] =
				draw(shard, meta->source, meta->topic, batch->now_tsc);
	}
	return events;
}
