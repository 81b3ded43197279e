/* SPDX-License-Identifier: BSD-3-Clause */
/* Inside lib/query only: query_index.c (the index), query_find.c (events), query_proof.c. */
#ifndef ATR_QUERY_INTERNAL_H
#define ATR_QUERY_INTERNAL_H

#include "../plan/plan.h"
#include "query.h"

#define QUERY_STRETCH (32u << 20) /* bytes of the log that an entry of the index is for */
#define QUERY_CHUNK   4096        /* leaves whose common root is kept */
#define QUERY_SPANS   1024        /* sources of a stretch; with more, it may hold any */

/* What lies of a source in a stretch; lowest above highest: nothing. */
struct span {
	uint32_t source;
	uint64_t sequence_min, sequence_max;
	uint64_t uuid_min, uuid_max; /* first eight bytes, big-endian: time first */
};

/* Feed positions and plan before a group. */
struct before {
	uint64_t feed_set, feed_next[ATR_LOG_FEEDS_MAX];
	uint32_t plan; /* number in plans, from 1; 0: none */
};

struct stretch {
	struct atr_log_end begin;
	uint64_t first_leaf;
	struct before before;
	struct span *span;
	uint32_t spans;
	bool any;
};

struct document {
	uint64_t first_leaf; /* of the record behind its last chunk */
	char *text;
	uint64_t length;
};

struct atr_query {
	struct atr_storage *storage;
	struct atr_hash *hash;
	const bool *stop;       /* NULL: nobody stops it */
	struct atr_log_end end; /* of what is in the index */
	uint64_t pruned;
	struct stretch *stretch;
	uint32_t stretches, stretch_room;
	struct before before; /* the next group */
	uint64_t bytes;       /* in the newest stretch */
	struct document *plan;
	uint32_t plans;
	struct document open; /* whose chunks are being read */
	struct atr_plan *compiled;
	uint32_t compiled_plan;
	uint8_t (*chunk)[ATR_HASH_SIZE]; /* roots of QUERY_CHUNK leaves each */
	uint64_t chunks, chunk_room;
	uint8_t leaf[QUERY_CHUNK][ATR_HASH_SIZE]; /* of the chunk that is not full yet */
};

/* Visits the records from the stretch of leaf `from` on until those of leaf `to` would come.
 * -ECANCELED from visit ends the pass. before, if not NULL: what was in force where the pass
 * begins. Returns 0, or another negative errno of visit or the reader, a sentence written in the
 * latter case. */
typedef int (*query_visit)(void *context, const struct atr_group_hdr *group,
			   const struct atr_record_hdr *record, const uint8_t *body,
			   const uint8_t *decisions, const uint8_t leaf[ATR_HASH_SIZE]);
int query_pass(struct atr_query *query, uint64_t from, uint64_t to, query_visit visit,
	       void *context, struct before *before, char *error, size_t size);

bool query_stopped(const struct atr_query *query);

/* First leaf behind stretch i. */
uint64_t query_stretch_end(const struct atr_query *query, uint32_t i);

/* The plan in force at a leaf, compiled; NULL if there is none. The query's. */
const struct atr_plan *query_plan(struct atr_query *query, uint64_t leaf);

/* Takes the positions of a commit record. */
void query_positions(struct before *before, const uint8_t *commit);

/* UUID of a canonical envelope; false if the body does not begin as one. */
bool query_uuid(const uint8_t *body, uint32_t length, uint8_t uuid[16]);
uint64_t query_uuid_order(const uint8_t uuid[16]);

#endif
