/* SPDX-License-Identifier: BSD-3-Clause */
/* Writes logs straight from lib/log/format.h, slowly and obviously; shares no code with lib/log. */
#ifndef ATR_TEST_NAIVE_LOG_H
#define ATR_TEST_NAIVE_LOG_H

#include "../../../lib/log/format.h"
#include "memory_storage.h"

#define NAIVE_LEAVES 65536
#define NAIVE_GROUPS 256
#define NAIVE_PLAN   80 /* bytes of a plan document */
#define NAIVE_CHUNK  40 /* of it in a record */

struct naive_log {
	struct memory_storage *disk;
	uint8_t log_id[16];
	uint64_t realm, segment_bytes, epoch;
	uint32_t shard, shards;
	uint64_t segment, offset; /* segments so far; where the next group goes in the last */
	uint64_t groups, sequence, events;
	uint64_t plan_at, plan_generation;
	uint64_t leaves;
	uint8_t (*leaf)[ATR_HASH_SIZE];
	/* The group in the making. */
	uint8_t *group;
	size_t used;
	uint64_t first;
	struct {
		uint64_t segment, offset;
		uint32_t length;
	} at[NAIVE_GROUPS];
};

struct naive_group {
	unsigned int frames, packets, envelopes, plans, snapshots, feeds;
	uint32_t unsynced;
};

/* A record, to be put into a group by hand. */
struct naive_record {
	struct atr_record_hdr hdr; /* crc and leaf are filled in */
	const uint8_t *body;
	const uint8_t *decisions;
	size_t leaf_size; /* bytes of the body that the leaf hash covers; 0: all */
};

/* What its commit record says. */
struct naive_commit {
	unsigned int feeds;
	struct atr_feed_position feed[ATR_LOG_FEEDS_MAX];
	uint64_t generation;
	uint8_t plan_digest[ATR_HASH_SIZE];
	uint64_t committed_ns;
	uint32_t unsynced;
};

void naive_init(struct naive_log *log, struct memory_storage *disk, uint64_t segment_bytes);
void naive_free(struct naive_log *log);
void naive_group(struct naive_log *log, const struct naive_group *shape);

/* The same by hand: a group that takes at most room bytes, its records, its commit. */
void naive_begin(struct naive_log *log, size_t room);
void naive_put(struct naive_log *log, const struct naive_record *record);
void naive_finish(struct naive_log *log, const struct naive_commit *commit);

/* CRC32C by a table of its own. */
uint32_t naive_crc(const uint8_t *bytes, size_t length);

/* The file of a segment, and the bytes of a group in it. */
struct memory_file *naive_file(struct naive_log *log, uint64_t segment);
uint8_t *naive_bytes(struct naive_log *log, uint64_t group);

/* Writes the CRCs of a group and its records and its decision digest anew. */
void naive_reseal(uint8_t *group);

#endif
