/* SPDX-License-Identifier: BSD-3-Clause */
/* A batch: the struct of arrays that is handed from stage to stage.
 *
 * A frame that is refused, handed over, held or deferred leaves `live`; refused ones stay in the
 * batch until the quarantine stage accounts for them. Indices into the per-event arrays are
 * event_first[f] + i.
 */
#ifndef ATR_BATCH_H
#define ATR_BATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "../bridge/bridge.h"
#include "../plan/plan.h"
#include "../wire/frame.h"

#define ATR_RX_BURST     32
#define ATR_BATCH_FRAMES 64 /* an RX burst, and as many from the hold and from other shards */
#define ATR_BATCH_EVENTS (ATR_BATCH_FRAMES * ATR_FRAME_PACKETS_MAX)
#define ATR_BATCH_ADMITS 32 /* envelopes admitted by the control lcore */

struct atr_batch {
	unsigned int count; /* frames: entries of the arrays below */
	unsigned int live_count;
	unsigned int event_count;
	unsigned int admit_count;
	uint64_t number; /* of this batch, from 1 */
	uint64_t now_tsc;
	uint64_t now_ns; /* Unix time */

	uint16_t live[ATR_BATCH_FRAMES]; /* indices of frames still in the running, ascending */
	struct rte_mbuf *mbuf[ATR_BATCH_FRAMES]; /* NULL once the batch has given it away */
	struct atr_frame frame[ATR_BATCH_FRAMES];
	const struct atr_source *source[ATR_BATCH_FRAMES];
	uint8_t reason[ATR_BATCH_FRAMES]; /* of the frame as a whole */
	uint32_t event_first[ATR_BATCH_FRAMES];
	uint8_t leaf[ATR_BATCH_FRAMES][ATR_HASH_SIZE];
	uint32_t tag[ATR_BATCH_FRAMES];

	/* Waited for its root after every event had passed gates 1 and 2 and its proof had led
	 * there, under the plan in force still: what was found out then holds. */
	bool checked[ATR_BATCH_FRAMES];
	uint16_t passed[ATR_BATCH_FRAMES]; /* events known to pass both, none in the arena */
	/* Of a frame whose events all passed and share topic and type: the topic; else 0. */
	uint32_t topic[ATR_BATCH_FRAMES];
	/* Every event is admitted, and to the same feeds. Written by log. */
	bool whole[ATR_BATCH_FRAMES];
	uint8_t event_reason[ATR_BATCH_EVENTS];
	uint8_t event_passed[ATR_BATCH_EVENTS]; /* by schema: passed both at once */
	uint64_t event_feeds[ATR_BATCH_EVENTS];

	struct rte_mbuf *admit[ATR_BATCH_ADMITS]; /* envelopes to log and publish */
	uint8_t admit_reason[ATR_BATCH_ADMITS];
};

/* Drops from `live` every frame that has a reason or has been given away. */
static inline void atr_batch_compact(struct atr_batch *batch)
{
	unsigned int kept = 0;

	for (unsigned int i = 0; i < batch->live_count; i++) {
		uint16_t f = batch->live[i];

		batch->live[kept] = f;
		kept += batch->reason[f] == ATR_OK && batch->mbuf[f] != NULL;
	}
	batch->live_count = kept;
}

#endif
