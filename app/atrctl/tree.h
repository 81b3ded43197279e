/* SPDX-License-Identifier: BSD-3-Clause */
/* A Merkle tree with all of its levels, so that the proof of every leaf is only read off. */
#ifndef ATRCTL_TREE_H
#define ATRCTL_TREE_H

#include <stddef.h>
#include <stdint.h>

#include "../../lib/merkle/merkle.h"
#include "../../lib/wire/frame.h"

struct tree {
	uint8_t (*nodes)[ATR_MERKLE_HASH]; /* level 0 first */
	size_t level[ATR_PROOF_MAX + 2];   /* where each level begins */
	unsigned int levels;
};

/* Builds the tree over count leaf hashes. 0 or -ENOMEM. */
int tree_build(struct tree *tree, const uint8_t (*leaves)[ATR_MERKLE_HASH], size_t count);
void tree_free(struct tree *tree);

const uint8_t *tree_root(const struct tree *tree);

/* Writes the inclusion proof of leaf index and returns its length in nodes. */
unsigned int tree_proof(const struct tree *tree, size_t index, uint8_t *proof);

#endif
