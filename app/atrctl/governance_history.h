/* SPDX-License-Identifier: BSD-3-Clause */
/* What a log says of its plans: which were in force from where on, and the envelopes that changed
 * and approved them, of all shards together. */
#ifndef ATRCTL_GOVERNANCE_HISTORY_H
#define ATRCTL_GOVERNANCE_HISTORY_H

#include <jansson.h>

#include "log_walk.h"
#include "proposal.h"

/* A change or approval that is in the log. */
struct history_motion {
	struct proposal_motion motion;
	bool is_change;
	char source[ATR_NAME_MAX + 1];
	char *why; /* of a change; malloc'd */
	uint8_t uuid[16];
	uint64_t uuid_ms; /* when it was signed */
	uint32_t shard;
	uint64_t leaf, rx_ns;
};

/* Where a plan is in force from. */
struct history_place {
	uint32_t shard;
	uint64_t leaf;
};

struct history_plan {
	uint64_t generation;
	uint32_t version;
	uint8_t digest[PROPOSAL_DIGEST];
	char name[ATR_NAME_MAX + 1];
	uint64_t bytes;
	uint64_t committed_ns; /* of the first group that had all of it */
	struct history_place *place;
	uint32_t places;
	json_t *summary; /* of the difference to the plan before; NULL: it is the first */
};

struct history {
	struct history_plan *plan; /* by generation */
	size_t plans, plan_room;
	struct history_motion *motion; /* in the order of shards and their logs */
	size_t motions, motion_room;
	uint64_t pruned; /* envelopes that govern, whose bytes retention gave up */
	uint32_t shards;
	struct atr_json_parser *parser;
};

/* Reads the log. 0, or an exit status after a sentence. history_free also after a failure. */
int history_read(struct history *history, const char *command, const char *path,
		 struct progress *progress);
void history_free(struct history *history);

/* The change that put a plan in force; NULL if the log has none. */
const struct history_motion *history_change(const struct history *history,
					    const struct history_plan *plan);
/* The next approval of it behind *at (0 at first) by an operator not seen before; NULL at the end.
 */
const struct history_motion *history_approval(const struct history *history,
					      const struct history_motion *change, size_t *at);

#endif
