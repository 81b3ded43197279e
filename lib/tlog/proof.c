/* SPDX-License-Identifier: BSD-3-Clause */
#include "tlog.h"

#include <errno.h>
#include <string.h>

#define NODES_MAX 65 /* of any proof: a size is a uint64_t */

struct proof {
	atr_leaf_fn leaf;
	void *context;
	uint8_t node[NODES_MAX][ATR_MERKLE_HASH]; /* from the root downwards */
	unsigned int nodes;
};

/* Largest power of two below count, which is above 1. */
static uint64_t split_of(uint64_t count)
{
	return UINT64_C(1) << (63 - (unsigned int)__builtin_clzll(count - 1));
}

/* Appends the root of count leaves from first on to the proof. */
static int proof_add(struct proof *proof, uint64_t first, uint64_t count)
{
	struct atr_frontier frontier;

	atr_frontier_init(&frontier);
	for (uint64_t i = 0; i < count; i++) {
		uint8_t hash[ATR_MERKLE_HASH];
		int err = proof->leaf(proof->context, first + i, hash);

		if (err)
			return err;
		atr_frontier_add(&frontier, hash);
	}
	atr_frontier_root(&frontier, proof->node[proof->nodes++]);
	return 0;
}

/* Proofs are written leaf to root. */
static int proof_write(const struct proof *proof, uint8_t *out, size_t capacity)
{
	if (proof->nodes > capacity)
		return -ENOSPC;
	for (unsigned int i = 0; i < proof->nodes; i++)
		memcpy(out + (size_t)i * ATR_MERKLE_HASH, proof->node[proof->nodes - 1 - i],
		       ATR_MERKLE_HASH);
	return (int)proof->nodes;
}

int atr_tlog_inclusion(atr_leaf_fn leaf, void *context, uint64_t index, uint64_t size,
		       uint8_t *proof, size_t capacity)
{
	struct proof p = {.leaf = leaf, .context = context};
	uint64_t first = 0;
	int err = 0;

	if (index >= size)
		return -EINVAL;
	while (size > 1 && !err) {
		uint64_t split = split_of(size);

		if (index - first < split) {
			err = proof_add(&p, first + split, size - split);
			size = split;
		} else {
			err = proof_add(&p, first, split);
			first += split;
			size -= split;
		}
	}
	return err ? err : proof_write(&p, proof, capacity);
}

/* RFC 6962, 2.1.2, without recursion: size1 leaves from first on among size of them. */
int atr_tlog_consistency(atr_leaf_fn leaf, void *context, uint64_t size1, uint64_t size2,
			 uint8_t *proof, size_t capacity)
{
	struct proof p = {.leaf = leaf, .context = context};
	uint64_t first = 0, size = size2;
	bool complete = true; /* the old tree's root is known to who verifies */
	int err = 0;

	if (size1 == 0 || size1 > size2)
		return -EINVAL;
	while (size1 != size && !err) {
		uint64_t split = split_of(size);

		if (size1 <= split) {
			err = proof_add(&p, first + split, size - split);
			size = split;
		} else {
			err = proof_add(&p, first, split);
			first += split;
			size1 -= split;
			size -= split;
			complete = false;
		}
	}
	if (!err && !complete)
		err = proof_add(&p, first, size);
	return err ? err : proof_write(&p, proof, capacity);
}
