/* SPDX-License-Identifier: BSD-3-Clause */
#include "plan_track.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REASON_SIZE 300

static int no_memory(struct plan_track *track)
{
	snprintf(track->error, sizeof(track->error),
		 "out of memory for a plan, or it is larger than one can be");
	return -ENOMEM;
}

static void drop(struct plan_track *track)
{
	free(track->text);
	track->text = NULL;
	track->length = 0;
}

/* The document is whole. */
static int adopt(struct plan_track *track, const struct atr_record_hdr *record, uint64_t generation)
{
	char reason[REASON_SIZE];
	struct atr_plan *plan = atr_plan_load_behind(track->text, track->length, track->plan,
						     reason, sizeof(reason));

	drop(track);
	if (!plan) {
		snprintf(track->error, sizeof(track->error),
			 "the plan of generation %" PRIu64 ", leaf %" PRIu64 ", does not load: %s",
			 generation, record->leaf, reason);
		return -EBADMSG;
	}
	plan->generation = generation;
	atr_plan_free(track->previous);
	track->previous = track->plan;
	track->plan = plan;
	track->since = record->leaf + 1;
	return 1;
}

int plan_track_take(struct plan_track *track, const struct atr_record_hdr *record,
		    const uint8_t *body)
{
	struct atr_plan_chunk chunk;
	uint64_t length = record->body_length - sizeof(chunk);

	if (record->kind != ATR_RECORD_PLAN)
		return 0;
	memcpy(&chunk, body, sizeof(chunk));
	if (chunk.offset == 0) {
		drop(track);
		track->total = chunk.total;
		track->text =
			chunk.total <= ATR_GOVERNANCE_DOCUMENT_MAX ? malloc(chunk.total) : NULL;
	}
	if (!track->text || chunk.offset != track->length || length > track->total - track->length)
		return no_memory(track);
	memcpy(track->text + track->length, body + sizeof(chunk), length);
	track->length += length;
	return track->length == track->total ? adopt(track, record, chunk.generation) : 0;
}

void plan_track_free(struct plan_track *track)
{
	drop(track);
	atr_plan_free(track->plan);
	atr_plan_free(track->previous);
	track->plan = track->previous = NULL;
}
