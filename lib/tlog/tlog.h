/* SPDX-License-Identifier: BSD-3-Clause */
/* Append-only RFC 6962 trees, leaf by leaf, and C2SP checkpoints (tlog-checkpoint in signed note).
 *
 * Layer 2: lib/merkle, lib/sign, lib/hash. Log thread, control lcore and tools; not for data
 * lcores.
 */
#ifndef ATR_TLOG_H
#define ATR_TLOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../hash/hash.h"
#include "../merkle/merkle.h"
#include "../sign/sign.h"

/* --- The right edge of a growing tree --- */

/* Roots of the full subtrees that make up the tree, largest first: node[k] is used where bit k of
 * size is set. */
struct atr_frontier {
	uint64_t size; /* leaves */
	uint8_t node[64][ATR_MERKLE_HASH];
};

void atr_frontier_init(struct atr_frontier *frontier);

/* Appends a leaf hash. Amortised one node hash. */
void atr_frontier_add(struct atr_frontier *frontier, const uint8_t leaf[ATR_MERKLE_HASH]);

/* Appends count leaf hashes, level by level in bursts: the same tree as one by one, several times
 * faster. Overwrites leaves. */
void atr_frontier_add_burst(struct atr_frontier *frontier, struct atr_hash *hash,
			    uint8_t (*leaves)[ATR_MERKLE_HASH], size_t count);

/* Root of the tree; SHA-256("") while it is empty. */
void atr_frontier_root(const struct atr_frontier *frontier, uint8_t root[ATR_MERKLE_HASH]);

/* --- Proofs over all leaf hashes of a log, read through a callback (tools) --- */

/* Copies leaf hash index to out; 0 or negative errno, which the callers below pass on. */
typedef int (*atr_leaf_fn)(void *context, uint64_t index, uint8_t out[ATR_MERKLE_HASH]);

/* Inclusion proof of leaf index in the tree of the first size leaves, which are read once each.
 * Returns nodes; -EINVAL if index >= size, -ENOSPC if capacity is too small. */
int atr_tlog_inclusion(atr_leaf_fn leaf, void *context, uint64_t index, uint64_t size,
		       uint8_t *proof, size_t capacity);

/* Consistency proof from the tree of size1 leaves to that of size2. Returns nodes (0 for equal
 * sizes); -EINVAL if size1 is 0 (which RFC 6962 has no proof for) or above size2, -ENOSPC. */
int atr_tlog_consistency(atr_leaf_fn leaf, void *context, uint64_t size1, uint64_t size2,
			 uint8_t *proof, size_t capacity);

/* --- Checkpoints --- */

#define ATR_ORIGIN_MAX     255
#define ATR_CHECKPOINT_MAX 1024 /* bytes of a signed checkpoint */

struct atr_checkpoint {
	char origin[ATR_ORIGIN_MAX + 1]; /* "<log name>/shard/<n>", also the signer's key name */
	uint64_t size;
	uint8_t root[ATR_MERKLE_HASH];
};

/* Writes the signed note; returns its length or -EMSGSIZE, -EINVAL (origin empty, not UTF-8, or
 * with white space, a control character or a plus sign). Key id: first 4 bytes of SHA-256(name, LF,
 * 0x01, public key). */
int atr_checkpoint_sign(const struct atr_checkpoint *checkpoint, const struct atr_signer *signer,
			char *out, size_t capacity);

/* Parses a signed note and verifies the signature of the key given (others are skipped), whose name
 * must be the origin. -EBADMSG malformed (also for extension lines, which ATR does not write),
 * -EKEYREJECTED no valid signature by this key. */
int atr_checkpoint_verify(const char *note, size_t length, const uint8_t key[ATR_PUBLIC_KEY_SIZE],
			  struct atr_checkpoint *checkpoint);

#endif
