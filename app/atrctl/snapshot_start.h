/* SPDX-License-Identifier: BSD-3-Clause */
/* A subscriber's start from snapshots: the state in them, and the message of each session of class
 * D that comes behind it. */
#ifndef ATRCTL_SNAPSHOT_START_H
#define ATRCTL_SNAPSHOT_START_H

#include <stdbool.h>
#include <stdint.h>

struct atr_plan;
struct snapshot_start;

/* path: a snapshot's file, or a log's directory (shard-0, ..), of which the newest snapshot of each
 * shard is taken; they are of one log. NULL with a sentence in error (ERROR_SIZE bytes). */
struct snapshot_start *snapshot_start_load(const char *path, char *error);
void snapshot_start_free(struct snapshot_start *start); /* NULL is allowed */

/* Prints, shard by shard, where the snapshot stands and every key with what is kept. */
void snapshot_start_print(const struct snapshot_start *start, bool json);

/* Is the plan of the realm that the snapshots are of, as far as they say? 0, or -1 with a sentence
 * in error (ERROR_SIZE bytes). */
int snapshot_start_check(const struct snapshot_start *start, const struct atr_plan *plan,
			 char *error);

enum snapshot_session {
	SNAPSHOT_UNKNOWN, /* they say nothing of it */
	SNAPSHOT_KNOWN,
	SNAPSHOT_FOREIGN /* it is of another log: the feed is of class D, the epoch another one */
};

/* What the snapshots know of a session (10 characters); *from, if they know it: the first message
 * behind them. */
enum snapshot_session snapshot_start_from(const struct snapshot_start *start, const char *session,
					  uint64_t *from);

#endif
