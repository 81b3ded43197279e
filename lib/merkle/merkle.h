/* SPDX-License-Identifier: BSD-3-Clause */
/* RFC 6962 Merkle trees over SHA-256: roots, inclusion and consistency proofs.
 *
 * Layer 1: libsodium's SHA-256. For producers, tools and the control lcore; the data path's
 * multi-buffer hashing lives in lib/hash. Digests are 32 bytes. Functions are pure and may be
 * called from any thread, but not from data lcores.
 */
#ifndef ATR_MERKLE_H
#define ATR_MERKLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ATR_MERKLE_HASH 32

/* SHA-256(0x00 || data): the leaf hash of RFC 6962, section 2.1. */
void atr_merkle_leaf(const uint8_t *data, size_t length, uint8_t out[ATR_MERKLE_HASH]);

/* SHA-256(0x01 || left || right). out may alias either input. */
void atr_merkle_node(const uint8_t left[ATR_MERKLE_HASH], const uint8_t right[ATR_MERKLE_HASH],
		     uint8_t out[ATR_MERKLE_HASH]);

/* Root of count leaf hashes laid out one after the other; count 0 gives SHA-256(""). */
void atr_merkle_root(const uint8_t *leaves, size_t count, uint8_t out[ATR_MERKLE_HASH]);

/* Writes the inclusion proof of leaf index among count leaf hashes to proof (capacity nodes) and
 * returns its length in nodes. -EINVAL if index >= count, -ENOSPC if capacity is too small. */
int atr_merkle_inclusion(const uint8_t *leaves, size_t count, size_t index, uint8_t *proof,
			 size_t capacity);

/* Root that leaf and proof lead to (RFC 9162, 2.1.3.2, without the final comparison).
 * -EINVAL if index >= size or the proof has not exactly the length that index and size require. */
int atr_merkle_inclusion_root(uint64_t index, uint64_t size, const uint8_t leaf[ATR_MERKLE_HASH],
			      const uint8_t *proof, size_t nodes, uint8_t root[ATR_MERKLE_HASH]);

/* True if leaf is at index in the tree of size leaves and this root. */
bool atr_merkle_inclusion_ok(uint64_t index, uint64_t size, const uint8_t leaf[ATR_MERKLE_HASH],
			     const uint8_t *proof, size_t nodes,
			     const uint8_t root[ATR_MERKLE_HASH]);

/* True if the tree (size2, root2) extends the tree (size1, root1) (RFC 9162, 2.1.4.2). A
 * proof from an empty tree says nothing and is refused, as in the reference vectors: size1 = 0 is
 * accepted only with size2 = 0, both roots the empty root and an empty proof. */
bool atr_merkle_consistency_ok(uint64_t size1, uint64_t size2, const uint8_t *proof, size_t nodes,
			       const uint8_t root1[ATR_MERKLE_HASH],
			       const uint8_t root2[ATR_MERKLE_HASH]);

#endif
