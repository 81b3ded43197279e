/* SPDX-License-Identifier: BSD-3-Clause */
/* The plan in force at every record of a shard's log, as the records come by. */
#ifndef ATRCTL_PLAN_TRACK_H
#define ATRCTL_PLAN_TRACK_H

#include "../../lib/log/reader.h"
#include "../../lib/plan/plan.h"

#define PLAN_TRACK_ERROR 512

struct plan_track {
	struct atr_plan *plan;     /* in force; NULL before the first. generation is filled in */
	struct atr_plan *previous; /* the one before, until the next comes; NULL: none */
	uint64_t since;            /* leaf from which on it is in force */
	/* The document under way. */
	char *text;
	uint64_t length, total;
	char error[PLAN_TRACK_ERROR]; /* why plan_track_take failed */
};

/* Takes a record that a log's scan hands out (which has checked that chunks make documents of their
 * digests). 1 if another plan is in force behind it, 0 if not; -EBADMSG (the document does not
 * compile) or -ENOMEM with a sentence. */
int plan_track_take(struct plan_track *track, const struct atr_record_hdr *record,
		    const uint8_t *body);
void plan_track_free(struct plan_track *track);

#endif
