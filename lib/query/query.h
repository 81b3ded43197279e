/* SPDX-License-Identifier: BSD-3-Clause */
/* Where an event lies in a shard's log, and what the log knows of it.
 *
 * A query keeps an index in memory, made by one pass over the log and extended as the log grows:
 * for every stretch of some MiB which sequences and UUIDs of which sources lie in it. An answer
 * reads the stretches that can hold the event, with all checks of the reader. Nothing is written.
 *
 * Layer 5: lib/log's reader, lib/plan. Tools and threads that may wait for the disk; one thread at
 * a time. Reading while an appliance writes is allowed: the last groups may be missed.
 */
#ifndef ATR_QUERY_H
#define ATR_QUERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../log/reader.h"

#define ATR_QUERY_NODES 64 /* of an inclusion proof, at most */

struct atr_query;

/* The storage stays the caller's and is used until the query is freed. NULL with a sentence. */
struct atr_query *atr_query_create(struct atr_storage *storage, char *error, size_t size);
void atr_query_free(struct atr_query *query);

/* Work that is under way ends with -EINTR, and no sentence, soon after *stop has become true:
 * within a group of the log. stop is read atomically and outlives the query. */
void atr_query_watch(struct atr_query *query, const bool *stop);

/* Extends the index by about max_bytes of the log, and not beyond its first `groups` groups: 1 if
 * there is more, 0 at that place or the log's end, negative errno with the reader's sentence. With
 * groups that are durable only those are read, and nothing that is being written. */
int atr_query_refresh(struct atr_query *query, uint64_t groups, uint64_t max_bytes, char *error,
		      size_t size);

/* Leaves in the index: what is looked for, and proven, lies below. */
uint64_t atr_query_leaves(const struct atr_query *query);

/* Leaves from the first on whose entries the log has given up: events there cannot be found. */
uint64_t atr_query_pruned(const struct atr_query *query);

struct atr_query_key {
	uint32_t source;
	bool by_uuid; /* an envelope, else an event of a frame */
	uint64_t sequence;
	uint8_t uuid[16];
};

/* "SOURCE:SEQUENCE" or "SOURCE:UUID", the numbers in decimal, the UUID a version 7 in lowercase;
 * any bytes may be given. 0 or -EINVAL. Any thread. */
int atr_query_identity(const char *text, size_t length, struct atr_query_key *key);

struct atr_query_event {
	struct atr_query_key key;
	uint64_t leaf, group, segment, offset; /* offset: of the group in the segment */
	uint64_t commit_leaf;                  /* of the group's commit record */
	uint64_t rx_ns, committed_ns, epoch, generation;
	uint8_t leaf_hash[ATR_HASH_SIZE], plan_digest[ATR_HASH_SIZE];
	uint32_t topic, type;
	uint16_t index, events; /* which of how many in its record */
	bool admitted;
	/* Feeds that the event went to and that the commit has positions of, with its number in
	 * each; of atr_query_find only, and only if the plan in force then could be compiled. */
	bool feeds_known;
	uint64_t feeds, number[ATR_LOG_FEEDS_MAX];
};

/* 1 with *event, 0 if it is not in the index, or negative errno with a sentence. */
int atr_query_find(struct atr_query *query, const struct atr_query_key *key,
		   struct atr_query_event *event, char *error, size_t size);

/* Where the next page begins; all zero for the first. */
struct atr_query_cursor {
	uint64_t leaf;
	uint32_t index;
};

/* Events of a source with sequences from..to (frames), in the order of the log, at most max.
 * Returns how many; fewer than max: that was the last page. Negative errno with a sentence. */
int atr_query_range(struct atr_query *query, uint32_t source, uint64_t from, uint64_t to,
		    struct atr_query_cursor *cursor, struct atr_query_event *out, unsigned int max,
		    char *error, size_t size);

/* Inclusion proof of a leaf in the tree of the first `leaves` leaves, at most atr_query_leaves.
 * Returns nodes; -EINVAL, or another negative errno with a sentence. */
int atr_query_prove(struct atr_query *query, uint64_t leaf, uint64_t leaves,
		    uint8_t proof[ATR_QUERY_NODES][ATR_HASH_SIZE], char *error, size_t size);

#endif
