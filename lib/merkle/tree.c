/* SPDX-License-Identifier: BSD-3-Clause */
#include "tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int atr_merkle_tree_init(struct atr_merkle_tree *tree, size_t capacity)
{
	/* Each level has half of the one below, rounded up: never more than 2n + depth nodes. */
	tree->nodes = malloc((2 * capacity + ATR_MERKLE_TREE_LEVELS) * ATR_MERKLE_HASH);
	if (!tree->nodes)
		return -ENOMEM;
	tree->capacity = capacity;
	tree->levels = 0;
	return 0;
}

void atr_merkle_tree_fini(struct atr_merkle_tree *tree)
{
	free(tree->nodes);
	tree->nodes = NULL;
}

void atr_merkle_tree_build(struct atr_merkle_tree *tree, const uint8_t (*leaves)[ATR_MERKLE_HASH],
			   size_t count)
{
	size_t at = 0, width = count;

	memcpy(tree->nodes, leaves, count * ATR_MERKLE_HASH);
	tree->levels = 1;
	tree->level[0] = 0;
	while (width > 1) {
		size_t above = at + width;

		for (size_t i = 0; i + 1 < width; i += 2)
			atr_merkle_node(tree->nodes[at + i], tree->nodes[at + i + 1],
					tree->nodes[above + i / 2]);
		/* A node without sibling moves up as it is: RFC 6962's unbalanced trees. */
		if (width % 2)
			memcpy(tree->nodes[above + width / 2], tree->nodes[at + width - 1],
			       ATR_MERKLE_HASH);
		at = above;
		width = (width + 1) / 2;
		tree->level[tree->levels++] = at;
	}
	tree->level[tree->levels] = at + 1;
}

const uint8_t *atr_merkle_tree_root(const struct atr_merkle_tree *tree)
{
	return tree->nodes[tree->level[tree->levels - 1]];
}

unsigned int atr_merkle_tree_proof(const struct atr_merkle_tree *tree, size_t index, uint8_t *proof)
{
	unsigned int n = 0;

	for (unsigned int k = 0; k + 1 < tree->levels; k++, index /= 2) {
		size_t width = tree->level[k + 1] - tree->level[k];
		size_t sibling = index ^ 1;

		if (sibling >= width)
			continue;
		memcpy(proof + (size_t)n++ * ATR_MERKLE_HASH, tree->nodes[tree->level[k] + sibling],
		       ATR_MERKLE_HASH);
	}
	return n;
}
