/* SPDX-License-Identifier: BSD-3-Clause */
/* A thread that keeps the replays of all shards current while the appliance serves, makes
 * snapshots, and answers queries of state.
 *
 * It runs at the lowest priority and reads only what the shards have said is durable; no data lcore
 * ever waits for it. Queries come from control threads, which wait for a group's replay at most; a
 * snapshot under way makes them -EAGAIN.
 */
#ifndef ATR_FOLLOWER_H
#define ATR_FOLLOWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "snapshot.h"

#define ATR_FOLLOWER_EVENTS UINT64_C(5000000) /* between snapshots, where nothing else is said */
#define ATR_FOLLOWER_ERROR  512

struct atr_follower;

struct atr_follower_shard {
	struct atr_storage *storage; /* of the shard's directory, opened for reading; the follower's
				      * alone while it runs, the caller's to free */
	const char *directory;       /* where snapshots go, copied; NULL: none are made */
	struct atr_replay *replay;   /* the follower's from here on, freed by it */
	struct atr_log_end at;       /* where the replay stands, with the whole frontier */
	const uint64_t *durable; /* number of the first group that is not durable; atomic, written
				  * by the shard (release), read here (acquire) */
};

struct atr_follower_params {
	const struct atr_follower_shard *shard;
	unsigned int shards;
	uint64_t snapshot_events; /* of a shard from one snapshot to the next; 0: the default */
	uint64_t bytes_second;    /* of all logs together; 0: as fast as it can */
	unsigned int keep;        /* snapshots kept a shard, older ones are removed; 0: all */
	/* Called on the follower's thread for each snapshot that is in its place; bytes is NULL. */
	void (*snapshot)(void *ctx, unsigned int shard, const struct atr_snapshot *snapshot);
	void *ctx;
};

/* Starts the thread. NULL with a sentence in error; the replays are the caller's then. */
struct atr_follower *atr_follower_start(const struct atr_follower_params *params, char *error,
					size_t size);

/* Ends it: with last_snapshot what is durable by now is taken first, and each shard that went on
 * since its last snapshot gets another. Waits for the thread; frees the replays. NULL is allowed.
 */
void atr_follower_stop(struct atr_follower *follower, bool last_snapshot);

/* A copy of what is kept of a key: entry->value points into value (at most capacity bytes are
 * copied; value_length is the whole length), entry->key is NULL. 0, -ENOENT, -EAGAIN (busy),
 * -EINVAL (no such shard). Any control thread. */
int atr_follower_state(struct atr_follower *follower, unsigned int shard, uint32_t source,
		       uint32_t type, const char *key, uint32_t key_length,
		       struct atr_state_entry *entry, uint8_t *value, size_t capacity);

/* Calls fn for at most max entries from (source, type, key) on, as atr_replay_states; fn must be
 * quick: the shard's replay waits. Returns the number of calls, fn's value if that was negative,
 * -EAGAIN or -EINVAL. */
int atr_follower_states(struct atr_follower *follower, unsigned int shard, uint32_t source,
			uint32_t type, const char *key, uint32_t key_length, unsigned int max,
			int (*fn)(void *ctx, const struct atr_state_entry *entry), void *ctx);

struct atr_follower_status {
	uint64_t groups, events;            /* taken */
	uint64_t behind;                    /* groups that are durable and not taken */
	uint64_t snapshots, snapshot_group; /* made by this follower, and the newest one's groups */
	struct atr_state_stats state;
	char error[ATR_FOLLOWER_ERROR]; /* why this shard is not followed any more, or has no newer
					 * snapshot; "" while all is well */
};
/* 0, -EAGAIN or -EINVAL. */
int atr_follower_status(struct atr_follower *follower, unsigned int shard,
			struct atr_follower_status *status);

#endif
