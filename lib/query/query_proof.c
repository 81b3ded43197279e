/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "query_internal.h"

/* Leaf hashes of one chunk, read from the log. */
struct chunk {
	uint64_t first, count;
	uint8_t leaf[QUERY_CHUNK][ATR_HASH_SIZE];
};

static int see_leaf(void *context, const struct atr_group_hdr *group,
		    const struct atr_record_hdr *record, const uint8_t *body,
		    const uint8_t *decisions, const uint8_t leaf[ATR_HASH_SIZE])
{
	struct chunk *chunk = context;

	(void)group;
	(void)body;
	(void)decisions;
	if (record->leaf < chunk->first)
		return 0;
	memcpy(chunk->leaf[record->leaf - chunk->first], leaf, ATR_HASH_SIZE);
	chunk->count++;
	return 0;
}

/* The chunk's leaves, of a log of so many. */
static int read_chunk(struct atr_query *query, uint64_t number, uint64_t leaves,
		      struct chunk *chunk, char *error, size_t size)
{
	uint64_t end = (number + 1) * QUERY_CHUNK;
	int rc;

	end = end < leaves ? end : leaves;
	chunk->first = number * QUERY_CHUNK;
	chunk->count = 0;
	if (number == query->chunks) {
		chunk->count = end - chunk->first;
		memcpy(chunk->leaf, query->leaf, sizeof(chunk->leaf));
		return 0;
	}
	rc = query_pass(query, chunk->first, end, see_leaf, chunk, NULL, error, size);
	if (rc == 0 && chunk->count != end - chunk->first) {
		snprintf(error, size, "the log has lost leaves since it was read; verify it");
		return -EBADMSG;
	}
	return rc;
}

static int leaf_of_chunk(void *context, uint64_t index, uint8_t out[ATR_HASH_SIZE])
{
	const struct chunk *chunk = context;

	memcpy(out, chunk->leaf[index], ATR_HASH_SIZE);
	return 0;
}

/* The tree over chunks, of which the last may not be full. */
struct upper {
	const struct atr_query *query;
	uint64_t whole;
	uint8_t last[ATR_HASH_SIZE];
};

static int root_of_chunk(void *context, uint64_t index, uint8_t out[ATR_HASH_SIZE])
{
	const struct upper *upper = context;

	memcpy(out, index < upper->whole ? upper->query->chunk[index] : upper->last, ATR_HASH_SIZE);
	return 0;
}

/* A tree's leaves split into aligned chunks, so its path is one within the chunk and one above. */
static int prove(struct atr_query *query, struct chunk *chunk, uint64_t leaf, uint64_t leaves,
		 uint8_t *proof, char *error, size_t size)
{
	struct upper upper = {.query = query, .whole = leaves / QUERY_CHUNK};
	uint64_t number = leaf / QUERY_CHUNK, rest = leaves % QUERY_CHUNK;
	int below, above, rc = 0;

	if (rest)
		rc = read_chunk(query, upper.whole, leaves, chunk, error, size);
	if (rc < 0)
		return rc;
	if (rest)
		atr_merkle_root(chunk->leaf[0], rest, upper.last);
	if (!rest || number != upper.whole)
		rc = read_chunk(query, number, leaves, chunk, error, size);
	if (rc < 0)
		return rc;
	below = atr_tlog_inclusion(leaf_of_chunk, chunk, leaf % QUERY_CHUNK, chunk->count, proof,
				   ATR_QUERY_NODES);
	if (below < 0)
		return below;
	above = atr_tlog_inclusion(root_of_chunk, &upper, number, upper.whole + (rest != 0),
				   proof + (size_t)below * ATR_HASH_SIZE,
				   (size_t)(ATR_QUERY_NODES - below));
	return above < 0 ? above : below + above;
}

int atr_query_prove(struct atr_query *query, uint64_t leaf, uint64_t leaves,
		    uint8_t proof[ATR_QUERY_NODES][ATR_HASH_SIZE], char *error, size_t size)
{
	struct chunk *chunk;
	int rc;

	if (leaf >= leaves || leaves > atr_query_leaves(query)) {
		snprintf(error, size, "the log has not so many leaves, or was not read so far");
		return -EINVAL;
	}
	chunk = calloc(1, sizeof(*chunk));
	if (!chunk) {
		snprintf(error, size, "out of memory for a proof");
		return -ENOMEM;
	}
	rc = prove(query, chunk, leaf, leaves, proof[0], error, size);
	free(chunk);
	return rc;
}
