/* SPDX-License-Identifier: BSD-3-Clause */
/* All shards of a log, record by record, with the plan in force at each. */
#ifndef ATRCTL_LOG_WALK_H
#define ATRCTL_LOG_WALK_H

#include <stdbool.h>

#include "log_tool.h"
#include "plan_track.h"
#include "term.h"

struct log_walk {
	/* Filled in by the caller. */
	const char *command; /* for sentences */
	const char *path;    /* directory that holds shard-0 */
	/* Called for each frame and envelope, under track.plan (NULL: none yet). body is NULL where
	 * retention gave the entry up. May be NULL. Negative: ends all; -ECANCELED without a
	 * word. */
	int (*entry)(struct log_walk *walk, const struct atr_record_hdr *record,
		     const uint8_t *body, const uint8_t *decisions);
	/* Called where another plan is in force from track.since on; may be NULL, and as above. */
	int (*plan)(struct log_walk *walk);
	void *ctx;
	/* While it walks. */
	uint32_t shard, shards;
	struct plan_track track;
	const struct atr_group_hdr *group;
	struct progress *progress;
	uint64_t leaves;                  /* of the shard that was walked last */
	uint64_t records, events, pruned; /* of the shards that are done */
};

/* Walks one shard from its first record to its last. 0, or an exit status after a sentence;
 * -ECANCELED if a callback said so. */
int log_walk_shard(struct log_walk *walk, uint32_t shard);
/* The same for all shards. */
int log_walk_all(struct log_walk *walk);

#endif
