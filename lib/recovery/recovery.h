/* SPDX-License-Identifier: BSD-3-Clause */
/* What a start takes from the logs of its shards, and the first records of an empty one.
 *
 * In the order of a start: atr_recovery_read for each shard, atr_recovery_agree, atr_recovery_plan;
 * then atr_recovery_load, atr_log_open behind scan.end and, in logs that hold no plan yet,
 * atr_genesis; atr_recovery_shard before a shard is created, atr_recovery_windows before its
 * program is published, atr_recovery_identities after. Nothing here changes a log but atr_genesis.
 *
 * Layer 6: lib/replay, lib/log, lib/program, lib/shard. Control lcore, before shards run.
 */
#ifndef ATR_RECOVERY_H
#define ATR_RECOVERY_H

#include <stddef.h>
#include <stdint.h>

#include "../identity/identity.h"
#include "../log/log.h"
#include "../log/reader.h"
#include "../program/program.h"
#include "../replay/replay.h"
#include "../shard/shard.h"

/* Groups that a stop may leave durable and unpublished: no more than a shard may have buffers. */
#define ATR_RECOVERY_GROUPS_MAX 64

#define ATR_GENESIS_GENERATION 1 /* of the plan that genesis logs */

/* Where a group lies. */
struct atr_group_place {
	uint64_t segment, offset;
	uint32_t length; /* without padding */
};

/* A plan that judged some of the last groups. */
struct atr_recovered_plan {
	uint64_t generation, group; /* it is in force from that group on, or from within it */
	char *document;
	size_t length;
	struct atr_plan *plan; /* once it was needed */
};

/* One shard's. All zero: of a shard without a log. */
struct atr_recovery {
	const char *name; /* of the log, in sentences; the caller's */
	struct atr_storage *storage;
	uint32_t shard, shards;
	struct atr_log_scan scan; /* counts what was read: with a snapshot, behind it */
	struct atr_replay *replay;
	uint64_t snapshot_group; /* first group that was read, by a snapshot; 0: none was used */
	uint64_t snapshot_leaves;
	/* The last groups, newest at (places - 1) % ATR_RECOVERY_GROUPS_MAX. */
	struct atr_group_place place[ATR_RECOVERY_GROUPS_MAX];
	uint64_t places;
	/* Plans in force at those groups, oldest first, the newest of the log among them. */
	struct atr_recovered_plan past[ATR_RECOVERY_GROUPS_MAX + 2];
	unsigned int past_count;
	/* atr_recovery_load: those groups, oldest first; NULL before, and without a plan. */
	struct atr_group_buf *group;
	unsigned int group_count;
	uint64_t feed_next[ATR_FEEDS_MAX]; /* message numbers before them */
};

struct atr_recovery_params {
	const char *name;
	struct atr_storage *storage; /* the caller's, until atr_recovery_load has returned */
	uint32_t shard, shards;
	uint64_t state_keys;   /* atr_replay_params' */
	const char *snapshots; /* directory that may hold snapshots of the shard; NULL: the whole
				* log is read */
	/* The log must keep this promise, which lies in the file anchor_name; NULL: no demand. */
	const struct atr_checkpoint *anchored;
	const char *anchor_name;
	struct atr_hash *hash; /* as atr_log_scan_options' */
	void *context;
	/* A snapshot that cannot be used, and why; NULL is allowed. */
	void (*passed_over)(void *context, const char *sentence);
	/* An envelope whose type governs, under the plan then in force; NULL is allowed. 0 or
	 * -ENOMEM. */
	int (*governs)(void *context, const struct atr_plan *plan,
		       const struct atr_record_hdr *record, const uint8_t *body);
	void (*progress)(void *context, uint64_t bytes, uint64_t total,
			 uint64_t leaves); /* as atr_log_visitor's; NULL is allowed */
};

/* Reads and replays a shard's log, from the newest snapshot on that can be used: one that is
 * damaged, made under other bounds, or contradicted by the log behind it is passed over for an
 * older one, and with none left the whole log is read. recovery must be all zero and is freed by
 * atr_recovery_free whatever this returns: 0, or -EBADMSG (damage), -EIO, -ENOMEM with a sentence
 * that names the file. */
int atr_recovery_read(struct atr_recovery *recovery, const struct atr_recovery_params *params,
		      char *error, size_t size);
void atr_recovery_free(struct atr_recovery *recovery);

/* The logs of all shards belong together: -EBADMSG with a sentence if not. Logs that are empty or
 * hold no plan stand beside others only where a first start was interrupted: no event is in any. */
int atr_recovery_agree(const struct atr_recovery *recovery, unsigned int shards, char *error,
		       size_t size);

/* The log with the newest plan (a stop may have kept it from others), the first that has a segment;
 * NULL if there is none. */
const struct atr_recovery *atr_recovery_with_plan(const struct atr_recovery *recovery,
						  unsigned int shards);
const struct atr_recovery *atr_recovery_with_log(const struct atr_recovery *recovery,
						 unsigned int shards);

/* The plan in force, with its generation, for the caller to free; NULL if there is none in any log
 * (0) or with a sentence (-EBADMSG). */
int atr_recovery_plan(const struct atr_recovery *recovery, unsigned int shards,
		      struct atr_plan **plan, char *error, size_t size);

/* Loads the last groups of the log, which may not have been published, with the feeds of their
 * events under plan, and finds the message numbers before them. Does nothing where the log holds no
 * plan. Negative errno with a sentence. */
int atr_recovery_load(struct atr_recovery *recovery, const struct atr_plan *plan, char *error,
		      size_t size);

/* What a shard that writes the log on is to know: groups to be published, message numbers, epoch of
 * class D sessions. epoch: of this start. The recovery must outlive the shard. */
void atr_recovery_shard(const struct atr_recovery *recovery, uint64_t epoch,
			struct atr_shard_config *config);

/* Fills the windows of the program's sources with what the log has admitted. */
void atr_recovery_windows(const struct atr_recovery *recovery, const struct atr_program *program,
			  const struct atr_tag_key *key);

/* Fills the memory of envelopes. -ENOSPC or -ENOMEM with a sentence if it is too small. */
int atr_recovery_identities(const struct atr_recovery *recovery, struct atr_identity *memory,
			    char *error, size_t size);

/* The digest of the first plan that the log ever had. 0; -ENOENT: there is none; other errors with
 * a sentence. Reads the beginning of the log. */
int atr_recovery_genesis(const struct atr_recovery *recovery, uint8_t digest[ATR_HASH_SIZE],
			 char *error, size_t size);

/* Logs the plan's document under its generation (0: ATR_GENESIS_GENERATION), and waits until it is
 * durable. The
 * log must have no groups under way. wait is called between looks; a negative value of it ends the
 * genesis and is returned. Other errors: -EIO (the log is broken), -ENOMEM, with a sentence. */
int atr_genesis(struct atr_log *log, const struct atr_plan *plan, int (*wait)(void *context),
		void *context, char *error, size_t size);

#endif
