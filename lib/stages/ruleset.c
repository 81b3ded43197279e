/* SPDX-License-Identifier: BSD-3-Clause */
/* Stage 7, gate 4: is this source allowed to say this here, and which feeds carry it? */
#include <string.h>

#include "stages.h"

/* Packets of one frame mostly share topic and type: the last answer is kept. */
struct memo {
	uint32_t topic, type;
	const struct atr_action *action;
	bool level_ok;
};

static void judge(const struct atr_plan *plan, const struct atr_source *source,
		  const struct atr_frame *frame, unsigned int e, struct memo *memo, uint8_t *reason,
		  uint64_t *feeds)
{
	const struct atr_packet *p = &frame->packets[e];
	uint32_t length;

	if (p->topic_id != memo->topic || p->type_id != memo->type) {
		memo->topic = p->topic_id;
		memo->type = p->type_id;
		memo->action = atr_plan_action(plan, source, p->topic_id, p->type_id);
		memo->level_ok = source->level >= plan->topics[p->topic_id].level;
	}
	if (unlikely(!memo->action))
		*reason = ATR_REASON_NOT_ALLOWED;
	else if (unlikely(!memo->level_ok))
		*reason = ATR_REASON_LEVEL;
	else
		*feeds = atr_action_feeds(memo->action, atr_frame_payload(frame, e, &length));
}

/* All events passed gates 1 and 2 and share topic and type: one answer for all, unless their
 * content chooses feeds. */
static bool judge_whole(const struct atr_plan *plan, const struct atr_source *source,
			const struct atr_frame *frame, uint8_t *reason, uint64_t *feeds)
{
	const struct atr_packet *p = frame->packets;
	const struct atr_action *action = atr_plan_action(plan, source, p->topic_id, p->type_id);
	uint8_t refused = ATR_OK;
	uint64_t set = 0;

	if (unlikely(!action))
		refused = ATR_REASON_NOT_ALLOWED;
	else if (unlikely(source->level < plan->topics[p->topic_id].level))
		refused = ATR_REASON_LEVEL;
	else if (!atr_action_feeds_always(action, &set))
		return false;
	if (unlikely(refused != ATR_OK)) {
		memset(reason, refused, frame->packet_count);
		return true;
	}
	for (unsigned int e = 0; e < frame->packet_count; e++)
		feeds[e] = set;
	return true;
}

unsigned int atr_stage_ruleset(struct atr_shard *shard, struct atr_batch *batch)
{
	const struct atr_plan *plan = shard->program->plan;
	unsigned int events = 0;

	for (unsigned int i = 0; i < batch->live_count; i++) {
		unsigned int f = batch->live[i];
		const struct atr_frame *frame = &batch->frame[f];
		uint8_t *reason = &batch->event_reason[batch->event_first[f]];
		uint64_t *feeds = &batch->event_feeds[batch->event_first[f]];
		struct memo memo = {0}; /* id 0 is in no plan */

		events += frame->packet_count;
		if (batch->topic[f] &&
		    likely(judge_whole(plan, batch->source[f], frame, reason, feeds)))
			continue;
		for (unsigned int e = 0; e < frame->packet_count; e++)
			if (likely(reason[e] == ATR_OK))
				judge(plan, batch->source[f], frame, e, &memo, &reason[e],
				      &feeds[e]);
	}
	return events;
}
