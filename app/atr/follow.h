/* SPDX-License-Identifier: BSD-3-Clause */
/* What goes on behind the data path, from what is durable: the follower keeps the replays current
 * and makes snapshots; a keeper thread writes the checkpoint file of each log, puts snapshot
 * records into the logs, gives up what need not be retained, and watches the disk.
 *
 * follow_start after the shards exist and what recovery knows was read out; follow_stop when no
 * shard runs any more and the log thread still does.
 */
#ifndef ATR_FOLLOW_H
#define ATR_FOLLOW_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../../lib/log/retain.h"
#include "../../lib/replay/follower.h"
#include "durable.h"

#define FOLLOW_ERROR 512

/* What the keeper tells of a shard. */
struct kept {
	struct atr_log_forecast forecast;
	uint64_t free_bytes; /* of the log's file system */
	uint64_t pruned_segments, pruned_bytes;
	char error[FOLLOW_ERROR]; /* "" while all is well */
};

struct followed_shard {
	struct atr_storage *reader;    /* the follower's while it runs */
	struct atr_storage *retainer;  /* the keeper's; NULL: everything is retained */
	char note[ATR_CHECKPOINT_MAX]; /* the keeper's: what the checkpoint file holds */
	size_t note_length;
	uint64_t covered[2]; /* the keeper's: leaves of the last two durable snapshot records */
	/* Under the lock. Writer: the follower's thread; reader: the keeper, which takes it. */
	struct atr_snapshot_body record;
	bool record_waits;
	struct kept kept; /* under the lock; writer: the keeper; readers: telemetry threads */
};

struct follow {
	struct durable *durable;
	const struct options *options;
	struct atr_shard *const *shards;
	struct atr_follower *follower; /* under asking; NULL: none runs */
	pthread_mutex_t asking;
	struct atr_anchor *checkpoints; /* in the log's own directory */
	struct followed_shard shard[ATR_SHARDS_MAX];
	pthread_mutex_t lock;
	pthread_t keeper;
	bool running;
	bool stop;   /* writer: control lcore; reader: the keeper */
	int started; /* writer: the keeper, 1 or negative errno; reader: control lcore */
	char error[FOLLOW_ERROR]; /* of that, written before it */
};

/* Takes over the replays that recovery has made. shards must outlive it. Does nothing where no log
 * is written. Negative errno with a sentence. */
int follow_start(struct follow *follow, struct durable *durable, const struct options *options,
		 struct atr_shard *const *shards, char *error, size_t size);

/* Follows what is durable to its end, makes last snapshots and their records, keeps the last
 * checkpoints, and ends both threads. */
void follow_stop(struct follow *follow);

/* Frees what is left of a start that failed, too. */
void follow_close(struct follow *follow);

/* The follower, to be asked until follow_leave; NULL (and nothing to leave) if none runs. Any
 * control thread. */
struct atr_follower *follow_enter(struct follow *follow);
void follow_leave(struct follow *follow);

/* A copy. Any control thread. */
void follow_kept(struct follow *follow, unsigned int shard, struct kept *out);

#endif
