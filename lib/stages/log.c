/* SPDX-License-Identifier: BSD-3-Clause */
/* Stage 9: the identity is taken and a log position assigned; nothing is shed behind this point.
 * With durability `none` no byte goes to disk: restarts are safe because no sequence is admitted
 * above its source's durable high-water. */
#include "stages.h"

static bool any_admitted(const uint8_t *reason, unsigned int count)
{
	for (unsigned int e = 0; e < count; e++)
		if (reason[e] == ATR_OK)
			return true;
	return false;
}

unsigned int atr_stage_log(struct atr_shard *shard, struct atr_batch *batch)
{
	unsigned int logged = 0;

	for (unsigned int i = 0; i < batch->live_count; i++) {
		unsigned int f = batch->live[i];
		const struct atr_frame *frame = &batch->frame[f];
		const uint8_t *reason = &batch->event_reason[batch->event_first[f]];

		if (!any_admitted(reason, frame->packet_count))
			continue;
		atr_window_set(shard->program->source[frame->hdr->source].window,
			       frame->hdr->first_sequence, frame->packet_count, batch->tag[f],
			       reason);
		shard->log_index++;
		logged++;
	}
	for (unsigned int i = 0; i < batch->admit_count; i++) {
		if (batch->admit_reason[i] != ATR_OK)
			continue;
		atr_meta(batch->admit[i])->position = shard->log_index++;
		logged++;
	}
	return logged;
}
