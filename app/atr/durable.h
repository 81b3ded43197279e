/* SPDX-License-Identifier: BSD-3-Clause */
/* Class D and its logs: keys, recovery at start, the first plan of an empty log, the log thread.
 *
 * In the order of a start: durable_open (reads what is there), durable_plan, durable_start (logs
 * are writable, their thread runs), durable_windows (before a program is published),
 * durable_identities (after). durable_stop ends the thread when no shard runs any more.
 */
#ifndef ATR_DURABLE_H
#define ATR_DURABLE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../../lib/ack/ack.h"
#include "../../lib/identity/identity.h"
#include "../../lib/log/log.h"
#include "../../lib/program/program.h"
#include "../../lib/recovery/recovery.h"
#include "../../lib/shard/shard.h"
#include "../../lib/sign/sign.h"
#include "options.h"
#include "recall.h"

struct shard_log {
	char directory[4096];
	struct atr_storage *storage;
	struct atr_log *log;
};

struct durable {
	enum atr_durability durability;
	unsigned int shards;
	uint8_t log_id[16];
	uint64_t epoch;       /* of this start */
	char directory[4096]; /* of the log: holds those of the shards */
	struct shard_log shard[ATR_SHARDS_MAX];
	struct atr_recovery recovery[ATR_SHARDS_MAX];
	struct atr_signer *checkpoint_key, *acks_key;
	struct atr_acker *acker;
	struct atr_anchor *anchor; /* NULL: none was asked for */
	double recovery_seconds;
	uint64_t recovery_events;
	struct recall recall;
	struct atr_governor *governor; /* as the log left it; whoever takes it sets it to NULL */
	pthread_t thread;
	bool running;
	bool stop; /* writer: control lcore; reader: the log thread */
};

/* Opens keys and directories, reads and replays the logs of all shards. Negative errno with a
 * sentence that names file and remedy: damage, another count of shards, a class that contradicts
 * what is there. Nothing is changed. */
int durable_open(struct durable *d, const struct options *options, unsigned int shards,
		 uint32_t epoch, char *error, size_t size);

/* The plan in force: the log's (or that of a change which is durable there and was not put in
 * force); for an empty log, or without one, --pipeline's. *plan is NULL where there is none, and
 * the caller's to free. A FILE that is neither the log's plan nor its first one is refused. */
int durable_plan(struct durable *d, const struct options *options, struct atr_plan **plan,
		 char *error, size_t size);

/* Opens the logs for writing, cuts torn tails (and says so), starts the log thread, and brings the
 * plan into logs that lack it: it is the first record of an empty one. */
int durable_start(struct durable *d, const struct options *options, const struct atr_plan *plan,
		  char *error, size_t size);

/* What all shards, and one, are to know of it. */
void durable_configure(const struct durable *d, const struct options *options,
		       const struct atr_plan *plan, struct atr_shard_config *config);
void durable_shard(const struct durable *d, unsigned int shard, struct atr_shard_config *config);

/* Rebuilds the windows of a program's sources from the logs. With `async`, too: what class D
 * admitted before has no high-water. */
void durable_windows(const struct durable *d, const struct atr_program *program,
		     const struct atr_tag_key *key);

/* Rebuilds the memory of envelopes. -ENOSPC with a sentence if it is too small. */
int durable_identities(const struct durable *d, struct atr_identity *memory, char *error,
		       size_t size);

/* Ends the log thread, after what was sealed is durable or the log has failed, and closes. */
void durable_stop(struct durable *d);

/* Frees what durable_open made. */
void durable_close(struct durable *d);

#endif
