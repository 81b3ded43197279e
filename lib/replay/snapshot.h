/* SPDX-License-Identifier: BSD-3-Clause */
/* Snapshots: a replay at the end of a group, as bytes (docs/snapshot-format.md).
 *
 * The bytes are a function of the log and of the bound on keys of state: two replays of the same
 * groups, from the beginning or from an earlier snapshot, make the same. Any thread but a data
 * lcore's.
 */
#ifndef ATR_SNAPSHOT_H
#define ATR_SNAPSHOT_H

#include <stddef.h>
#include <stdint.h>

#include "replay.h"

#define ATR_SNAPSHOT_MAGIC   UINT64_C(0x31504E5352544100) /* 00 'A' 'T' 'R' 'S' 'N' 'P' '1' */
#define ATR_SNAPSHOT_VERSION 1
#define ATR_SNAPSHOT_NAME    "snapshot-%016" PRIx64 ".atr" /* by the number of the next group */
#define ATR_SNAPSHOT_MAX     (UINT64_C(4) << 30)           /* bytes of a file */

/* At the beginning of the file; sections follow in the order of their counts, each padded with
 * zeros to a multiple of 8. All integers are little-endian. */
struct atr_snapshot_hdr {
	uint64_t magic;
	uint32_t version;
	uint32_t crc;   /* CRC32C of the file with this field zero */
	uint64_t bytes; /* of the file */
	uint8_t log_id[16];
	uint32_t shard, shards;
	uint64_t groups, leaves, events; /* so far */
	uint64_t segment, offset;        /* behind the last group */
	uint64_t committed_ns, oldest_ms, first_epoch, last_epoch;
	uint64_t generation, group_generation;
	uint64_t state_limit, state_refused, state_unfit;
	uint64_t feed_next[ATR_LOG_FEEDS_MAX];
	/* Sections. Nodes of the frontier, one for each bit that is set in leaves, lowest first. */
	uint64_t document; /* bytes of the plan in force; 0: none */
	uint64_t assembly; /* bytes of a plan so far, behind its struct atr_plan_chunk; 0: none */
	uint64_t windows;
	uint64_t envelopes; /* by position */
	uint64_t states;    /* by source, type, key */
};
_Static_assert(sizeof(struct atr_snapshot_hdr) == 712, "snapshot header");

/* A source's window, sources ascending; its frames follow, by first sequence and position. */
struct atr_snapshot_window {
	uint32_t source, size;
	uint64_t next, floor;
	uint64_t frames;
};
_Static_assert(sizeof(struct atr_snapshot_window) == 32, "snapshot window");

struct atr_snapshot_frame {
	uint64_t first, position;
	uint16_t count;
	uint8_t admitted[ATR_REPLAY_DECISIONS];
	uint8_t zero[4];
	uint8_t leaf[ATR_REPLAY_IDENTITY];
};
_Static_assert(sizeof(struct atr_snapshot_frame) == 56, "snapshot frame");

struct atr_snapshot_envelope {
	uint32_t source, zero;
	uint8_t uuid[16];
	uint8_t leaf[ATR_REPLAY_IDENTITY];
	uint64_t position;
};
_Static_assert(sizeof(struct atr_snapshot_envelope) == 48, "snapshot envelope");

/* Key and value follow, then zeros to a multiple of 8. */
struct atr_snapshot_state {
	uint32_t source, type;
	uint8_t op, binary, scale, zero;
	uint16_t event, zero2;
	uint32_t key_length, value_length;
	int64_t number;
	uint64_t position;
};
_Static_assert(sizeof(struct atr_snapshot_state) == 40, "snapshot state");

struct atr_snapshot {
	uint8_t *bytes; /* free() it */
	size_t length;
	uint8_t digest[ATR_HASH_SIZE]; /* SHA-256 of the bytes */
	uint64_t groups, leaves;       /* what a snapshot record says of it */
};

/* The state of a replay between two groups. end: where the reader stands that fed it, with the
 * whole frontier. -EINVAL if that is not where the replay stands, or before group 1, -ENOMEM, with
 * a sentence in error. */
int atr_snapshot_make(const struct atr_replay *replay, const struct atr_log_end *end,
		      struct atr_snapshot *snapshot, char *error, size_t size);

/* A replay that goes on where the snapshot was made, and *end for a follower or a writer. Every
 * byte is checked: NULL with a sentence in error where they are not exactly what atr_snapshot_make
 * writes, or of another shard or bound than params says. */
struct atr_replay *atr_snapshot_load(const struct atr_replay_params *params, const uint8_t *bytes,
				     size_t length, struct atr_log_end *end, char *error,
				     size_t size);

/* Writes it to its name in the shard's directory: a temporary file, fsync, rename, fsync of the
 * directory. Negative errno with a sentence in error. Blocks. */
int atr_snapshot_save(const char *directory, const struct atr_snapshot *snapshot, char *error,
		      size_t size);

/* Reads a snapshot's file whole, with groups, leaves and digest; nothing else is checked. free()
 * snapshot->bytes. Negative errno with a sentence in error. */
int atr_snapshot_read(const char *path, struct atr_snapshot *snapshot, char *error, size_t size);

/* Numbers of the snapshots in a directory, newest first, at most capacity of them; how many, or
 * negative errno. */
int atr_snapshot_list(const char *directory, uint64_t *groups, unsigned int capacity);

#endif
