/* SPDX-License-Identifier: BSD-3-Clause */
/* Do the logs of the shards belong together, and which plan is in force? */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "recovery.h"

const struct atr_recovery *atr_recovery_with_log(const struct atr_recovery *recovery,
						 unsigned int shards)
{
	for (unsigned int s = 0; s < shards; s++)
		if (recovery[s].scan.segments > 0)
			return &recovery[s];
	return NULL;
}

const struct atr_recovery *atr_recovery_with_plan(const struct atr_recovery *recovery,
						  unsigned int shards)
{
	const struct atr_recovery *newest = NULL;

	for (unsigned int s = 0; s < shards; s++)
		if (recovery[s].replay && atr_replay_plan(recovery[s].replay) &&
		    (!newest || atr_replay_generation(recovery[s].replay) >
					atr_replay_generation(newest->replay)))
			newest = &recovery[s];
	return newest;
}

/* Shards count themselves in every segment: their number cannot change. */
static int check_place(const struct atr_recovery *recovery, unsigned int shards,
		       const struct atr_log_scan *first, char *error, size_t size)
{
	const struct atr_log_scan *scan = &recovery->scan;
	bool foreign = memcmp(scan->log_id, first->log_id, sizeof(scan->log_id)) != 0 ||
		       scan->realm != first->realm;

	if (scan->shards == shards && scan->shard == recovery->shard && !foreign)
		return 0;
	snprintf(error, size,
		 "log %s belongs to shard %u of %u of %s log; start with --shards %u, or with an "
		 "empty log",
		 recovery->name, scan->shard, scan->shards, foreign ? "another" : "this",
		 first->shards);
	return -EBADMSG;
}

/* A log without plan stands beside others only where no shard has ever run. */
static int check_begun(const struct atr_recovery *recovery, unsigned int shards,
		       const struct atr_recovery *without, char *error, size_t size)
{
	for (unsigned int s = 0; s < shards; s++) {
		const struct atr_recovery *other = &recovery[s];

		if (atr_replay_events(other->replay) == 0 && other->scan.events == 0 &&
		    atr_replay_generation(other->replay) <= ATR_GENESIS_GENERATION)
			continue;
		snprintf(error, size,
			 "log %s holds no plan, and that of shard %u has been written to; put the "
			 "missing directory back, or start with an empty log",
			 without->name, s);
		return -EBADMSG;
	}
	return 0;
}

static int check_plan(const struct atr_recovery *recovery, const struct atr_recovery *first,
		      char *error, size_t size)
{
	/* A stop may have kept the newest plan from some of the logs. */
	if (atr_replay_generation(recovery->replay) < atr_replay_generation(first->replay) ||
	    memcmp(atr_replay_plan(recovery->replay)->digest,
		   atr_replay_plan(first->replay)->digest, ATR_HASH_SIZE) == 0)
		return 0;
	snprintf(error, size,
		 "log %s: its plan is another than that of shard %u; put the directories back from "
		 "one copy",
		 recovery->name, first->shard);
	return -EBADMSG;
}

int atr_recovery_agree(const struct atr_recovery *recovery, unsigned int shards, char *error,
		       size_t size)
{
	const struct atr_recovery *log = atr_recovery_with_log(recovery, shards);
	const struct atr_recovery *plan = atr_recovery_with_plan(recovery, shards);
	int rc = 0;

	for (unsigned int s = 0; rc == 0 && log && s < shards; s++) {
		const struct atr_recovery *one = &recovery[s];

		if (one->scan.segments > 0)
			rc = check_place(one, shards, &log->scan, error, size);
		if (rc == 0 && !atr_replay_plan(one->replay))
			rc = check_begun(recovery, shards, one, error, size);
		else if (rc == 0)
			rc = check_plan(one, plan, error, size);
	}
	return rc;
}

int atr_recovery_plan(const struct atr_recovery *recovery, unsigned int shards,
		      struct atr_plan **plan, char *error, size_t size)
{
	const struct atr_recovery *logged = atr_recovery_with_plan(recovery, shards);
	const char *document;
	size_t length;

	*plan = NULL;
	if (!logged)
		return 0;
	document = atr_replay_document(logged->replay, &length);
	*plan = atr_plan_load(document, length, error, size);
	if (!*plan)
		return -EBADMSG;
	(*plan)->generation = atr_replay_generation(logged->replay);
	return 0;
}
