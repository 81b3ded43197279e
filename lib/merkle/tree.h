/* SPDX-License-Identifier: BSD-3-Clause */
/* A Merkle tree with all of its levels, so that the proof of every leaf is only read off.
 *
 * Layer 1, as merkle.h: for producers, tools and the control lcore. An object belongs to one
 * thread at a time.
 */
#ifndef ATR_MERKLE_TREE_H
#define ATR_MERKLE_TREE_H

#include <stddef.h>
#include <stdint.h>

#include "merkle.h"

#define ATR_MERKLE_TREE_LEVELS 33 /* leaf counts are u32 */

struct atr_merkle_tree {
	uint8_t (*nodes)[ATR_MERKLE_HASH];        /* level 0 first */
	size_t level[ATR_MERKLE_TREE_LEVELS + 1]; /* where each level begins */
	unsigned int levels;
	size_t capacity;
};

/* Memory for trees of up to capacity leaves (1 to 2^32 - 1); -ENOMEM if there is none. */
int atr_merkle_tree_init(struct atr_merkle_tree *tree, size_t capacity);
void atr_merkle_tree_fini(struct atr_merkle_tree *tree);

/* Builds the tree over count leaf hashes (1 to capacity), in the place of the one before. */
void atr_merkle_tree_build(struct atr_merkle_tree *tree, const uint8_t (*leaves)[ATR_MERKLE_HASH],
			   size_t count);

/* Root of the tree built last; valid until the next one is built. */
const uint8_t *atr_merkle_tree_root(const struct atr_merkle_tree *tree);

/* Writes the inclusion proof of leaf index (below count) and returns its length in nodes. */
unsigned int atr_merkle_tree_proof(const struct atr_merkle_tree *tree, size_t index,
				   uint8_t *proof);

#endif
