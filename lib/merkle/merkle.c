/* SPDX-License-Identifier: BSD-3-Clause */
#include "merkle.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

#define LEAF_PREFIX 0x00
#define NODE_PREFIX 0x01
#define LEVELS_MAX  64 /* a size is a uint64_t */
_Static_assert(ATR_MERKLE_HASH == crypto_hash_sha256_BYTES, "SHA-256");

void atr_merkle_leaf(const uint8_t *data, size_t length, uint8_t out[ATR_MERKLE_HASH])
{
	const uint8_t prefix = LEAF_PREFIX;
	crypto_hash_sha256_state state;

	crypto_hash_sha256_init(&state);
	crypto_hash_sha256_update(&state, &prefix, 1);
	if (length)
		crypto_hash_sha256_update(&state, data, length);
	crypto_hash_sha256_final(&state, out);
}

void atr_merkle_node(const uint8_t left[ATR_MERKLE_HASH], const uint8_t right[ATR_MERKLE_HASH],
		     uint8_t out[ATR_MERKLE_HASH])
{
	uint8_t bytes[1 + 2 * ATR_MERKLE_HASH];

	bytes[0] = NODE_PREFIX;
	memcpy(bytes + 1, left, ATR_MERKLE_HASH);
	memcpy(bytes + 1 + ATR_MERKLE_HASH, right, ATR_MERKLE_HASH);
	crypto_hash_sha256(out, bytes, sizeof(bytes));
}

void atr_merkle_root(const uint8_t *leaves, size_t count, uint8_t out[ATR_MERKLE_HASH])
{
	/* Roots of the complete subtrees met so far, largest first: one for each bit of i. */
	uint8_t stack[LEVELS_MAX][ATR_MERKLE_HASH];
	unsigned int depth = 0;

	if (count == 0) {
		crypto_hash_sha256(out, (const uint8_t *)"", 0);
		return;
	}
	for (size_t i = 0; i < count; i++) {
		memcpy(stack[depth++], leaves + i * ATR_MERKLE_HASH, ATR_MERKLE_HASH);
		for (size_t bits = i; bits & 1; bits >>= 1) {
			depth--;
			atr_merkle_node(stack[depth - 1], stack[depth], stack[depth - 1]);
		}
	}
	while (depth > 1) {
		depth--;
		atr_merkle_node(stack[depth - 1], stack[depth], stack[depth - 1]);
	}
	memcpy(out, stack[0], ATR_MERKLE_HASH);
}

static unsigned int bit_length(uint64_t value)
{
	return value ? 64 - (unsigned int)__builtin_clzll(value) : 0;
}

/* Splits the inclusion proof of index in a tree of size leaves: the lower inner nodes lie on either
 * side of the path, the upper border nodes all on its left. */
static void proof_shape(uint64_t index, uint64_t size, unsigned int *inner, unsigned int *border)
{
	*inner = bit_length(index ^ (size - 1));
	*border = *inner < 64 ? (unsigned int)__builtin_popcountll(index >> *inner) : 0;
}

/* Largest power of two below count, which is above 1: leaves of the left subtree. */
static size_t split_of(size_t count)
{
	size_t k = 1;

	while (k < count - k)
		k *= 2;
	return k;
}

int atr_merkle_inclusion(const uint8_t *leaves, size_t count, size_t index, uint8_t *proof,
			 size_t capacity)
{
	unsigned int inner, border, nodes;

	if (index >= count)
		return -EINVAL;
	proof_shape(index, count, &inner, &border);
	nodes = inner + border;
	if (nodes > capacity)
		return -ENOSPC;
	/* From the root downwards; the proof is written from its end. */
	for (unsigned int at = nodes; at > 0; at--) {
		size_t split = split_of(count);
		uint8_t *out = proof + (size_t)(at - 1) * ATR_MERKLE_HASH;

		if (index < split) {
			atr_merkle_root(leaves + split * ATR_MERKLE_HASH, count - split, out);
			count = split;
		} else {
			atr_merkle_root(leaves, split, out);
			leaves += split * ATR_MERKLE_HASH;
			count -= split;
			index -= split;
		}
	}
	return (int)nodes;
}

/* Goes up through count inner nodes; bit i of path says on which side node i joins. */
static void climb_inner(uint64_t path, const uint8_t *proof, unsigned int count, uint8_t *hash)
{
	for (unsigned int i = 0; i < count; i++, proof += ATR_MERKLE_HASH) {
		if ((path >> i) & 1)
			atr_merkle_node(proof, hash, hash);
		else
			atr_merkle_node(hash, proof, hash);
	}
}

/* The same, leaving out the nodes on the right. */
static void climb_inner_left(uint64_t path, const uint8_t *proof, unsigned int count, uint8_t *hash)
{
	for (unsigned int i = 0; i < count; i++, proof += ATR_MERKLE_HASH)
		if ((path >> i) & 1)
			atr_merkle_node(proof, hash, hash);
}

static void climb_border(const uint8_t *proof, unsigned int count, uint8_t *hash)
{
	for (unsigned int i = 0; i < count; i++, proof += ATR_MERKLE_HASH)
		atr_merkle_node(proof, hash, hash);
}

int atr_merkle_inclusion_root(uint64_t index, uint64_t size, const uint8_t leaf[ATR_MERKLE_HASH],
			      const uint8_t *proof, size_t nodes, uint8_t root[ATR_MERKLE_HASH])
{
	unsigned int inner, border;
	uint8_t hash[ATR_MERKLE_HASH];

	if (index >= size)
		return -EINVAL;
	proof_shape(index, size, &inner, &border);
	if (nodes != (size_t)inner + border)
		return -EINVAL;
	memcpy(hash, leaf, sizeof(hash));
	if (nodes) {
		climb_inner(index, proof, inner, hash);
		climb_border(proof + (size_t)inner * ATR_MERKLE_HASH, border, hash);
	}
	memcpy(root, hash, sizeof(hash));
	return 0;
}

bool atr_merkle_inclusion_ok(uint64_t index, uint64_t size, const uint8_t leaf[ATR_MERKLE_HASH],
			     const uint8_t *proof, size_t nodes,
			     const uint8_t root[ATR_MERKLE_HASH])
{
	uint8_t led_to[ATR_MERKLE_HASH];

	if (atr_merkle_inclusion_root(index, size, leaf, proof, nodes, led_to) < 0)
		return false;
	return memcmp(led_to, root, sizeof(led_to)) == 0;
}

static bool consistency_climb(uint64_t size1, uint64_t size2, const uint8_t *proof, size_t nodes,
			      const uint8_t *root1, const uint8_t *root2)
{
	unsigned int shift = (unsigned int)__builtin_ctzll(size1);
	bool complete = (size1 & (size1 - 1)) == 0;
	uint8_t hash1[ATR_MERKLE_HASH], hash2[ATR_MERKLE_HASH];
	unsigned int inner, border;
	uint64_t path = (size1 - 1) >> shift;

	proof_shape(size1 - 1, size2, &inner, &border);
	inner -= shift;
	if (nodes != (complete ? 0 : 1) + (size_t)inner + border)
		return false;
	/* A complete old tree is a subtree of the new one, and its root is where the climb begins;
	 * otherwise the proof's first node is. */
	memcpy(hash1, complete ? root1 : proof, sizeof(hash1));
	memcpy(hash2, hash1, sizeof(hash2));
	if (!complete)
		proof += ATR_MERKLE_HASH;

	climb_inner_left(path, proof, inner, hash1);
	climb_border(proof + (size_t)inner * ATR_MERKLE_HASH, border, hash1);
	climb_inner(path, proof, inner, hash2);
	climb_border(proof + (size_t)inner * ATR_MERKLE_HASH, border, hash2);
	return memcmp(hash1, root1, sizeof(hash1)) == 0 && memcmp(hash2, root2, sizeof(hash2)) == 0;
}

bool atr_merkle_consistency_ok(uint64_t size1, uint64_t size2, const uint8_t *proof, size_t nodes,
			       const uint8_t root1[ATR_MERKLE_HASH],
			       const uint8_t root2[ATR_MERKLE_HASH])
{
	uint8_t empty[ATR_MERKLE_HASH];

	if (size1 > size2)
		return false;
	atr_merkle_root(NULL, 0, empty);
	if (size1 == 0 && (size2 != 0 || memcmp(root1, empty, sizeof(empty)) != 0))
		return false;
	if (size1 == size2)
		return nodes == 0 && memcmp(root1, root2, sizeof(empty)) == 0;
	if (nodes == 0)
		return false;
	return consistency_climb(size1, size2, proof, nodes, root1, root2);
}
