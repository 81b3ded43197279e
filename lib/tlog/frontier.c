/* SPDX-License-Identifier: BSD-3-Clause */
#include "tlog.h"

#include <sodium.h>
#include <string.h>

#define NODE_PREFIX 0x01
#define NODE_BYTES  (1 + 2 * ATR_MERKLE_HASH)
#define PAIRS_MAX   64 /* nodes hashed at once; bounds the stack */

_Static_assert(PAIRS_MAX <= ATR_HASH_BURST_MAX, "one burst");

void atr_frontier_init(struct atr_frontier *frontier)
{
	memset(frontier, 0, sizeof(*frontier));
}

void atr_frontier_add(struct atr_frontier *frontier, const uint8_t leaf[ATR_MERKLE_HASH])
{
	uint8_t carry[ATR_MERKLE_HASH];
	unsigned int level = 0;

	memcpy(carry, leaf, sizeof(carry));
	for (uint64_t bits = frontier->size; bits & 1; bits >>= 1)
		atr_merkle_node(frontier->node[level++], carry, carry);
	memcpy(frontier->node[level], carry, sizeof(carry));
	frontier->size++;
}

/* Parents of pairs pairs of nodes, behind first if it is not NULL. in and out may be the same: a
 * burst is copied before it is hashed, and parents never outrun what they come from. */
static void hash_pairs(struct atr_hash *hash, const uint8_t *first,
		       uint8_t (*nodes)[ATR_MERKLE_HASH], size_t pairs)
{
	uint8_t bytes[PAIRS_MAX][NODE_BYTES];
	const uint8_t *data[PAIRS_MAX];
	uint32_t length[PAIRS_MAX];
	size_t taken = 0;

	for (size_t done = 0; done < pairs;) {
		size_t n = pairs - done < PAIRS_MAX ? pairs - done : PAIRS_MAX;

		for (size_t i = 0; i < n; i++) {
			bytes[i][0] = NODE_PREFIX;
			memcpy(&bytes[i][1], first ? first : nodes[taken++], ATR_MERKLE_HASH);
			first = NULL;
			memcpy(&bytes[i][1 + ATR_MERKLE_HASH], nodes[taken++], ATR_MERKLE_HASH);
			data[i] = bytes[i];
			length[i] = NODE_BYTES;
		}
		atr_hash_burst(hash, data, length, nodes + done, (unsigned int)n);
		done += n;
	}
}

void atr_frontier_add_burst(struct atr_frontier *frontier, struct atr_hash *hash,
			    uint8_t (*leaves)[ATR_MERKLE_HASH], size_t count)
{
	uint64_t before = frontier->size;

	frontier->size += count;
	for (unsigned int level = 0; count; level++) {
		uint8_t first[ATR_MERKLE_HASH];
		bool joined = (before >> level) & 1;
		size_t nodes = count + joined;

		memcpy(first, frontier->node[level], sizeof(first));
		if (nodes & 1)
			memcpy(frontier->node[level], leaves[count - 1], sizeof(first));
		hash_pairs(hash, joined ? first : NULL, leaves, nodes / 2);
		count = nodes / 2;
	}
}

void atr_frontier_root(const struct atr_frontier *frontier, uint8_t root[ATR_MERKLE_HASH])
{
	unsigned int level;

	if (frontier->size == 0) {
		crypto_hash_sha256(root, (const uint8_t *)"", 0);
		return;
	}
	level = (unsigned int)__builtin_ctzll(frontier->size);
	memcpy(root, frontier->node[level], ATR_MERKLE_HASH);
	for (level++; level < 64; level++)
		if ((frontier->size >> level) & 1)
			atr_merkle_node(frontier->node[level], root, root);
}
