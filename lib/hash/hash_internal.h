/* SPDX-License-Identifier: BSD-3-Clause */
/* What hash.c (hot path) and hash_create.c (boot) share; tests force managers through it. */
#ifndef ATR_HASH_INTERNAL_H
#define ATR_HASH_INTERNAL_H

#include <intel-ipsec-mb.h>
#include <stdbool.h>

#include "hash.h"

#define HASH_MANAGERS    6 /* sse, avx, avx2, avx512 of ipsec-mb, and two of our own */
#define HASH_SHANI       4 /* those below are ipsec-mb's */
#define HASH_X16         5
#define HASH_SIZES       9 /* bursts of 1, 2, 4, .. ATR_HASH_BURST_MAX */
#define HASH_BLOCK       64
#define HASH_ROUNDS      64
#define HASH_LANES       16 /* buffers that HASH_X16 hashes side by side */
#define HASH_NODE_BYTES  65
#define HASH_LEAF_BYTES  1216
#define HASH_SHORT_BELOW 281 /* mean length, geometric mean of the two measured ones */

_Static_assert(1 << (HASH_SIZES - 1) == ATR_HASH_BURST_MAX, "last size is the largest burst");
_Static_assert(ATR_HASH_BURST_MAX <= UINT8_MAX + 1, "struct hash_step holds burst sizes less one");

enum hash_class { HASH_SHORT, HASH_LONG, HASH_CLASSES };

/* How to begin a burst of n buffers: which manager takes how many of them. */
struct hash_step {
	uint8_t manager;
	uint8_t take_less_1;
};

struct atr_hash {
	bool present[HASH_MANAGERS];     /* neither the CPU nor max_bits excludes it */
	IMB_MGR *manager[HASH_MANAGERS]; /* of those present that are ipsec-mb's */
	uint8_t lone[HASH_CLASSES];
	struct hash_step step[HASH_CLASSES][ATR_HASH_BURST_MAX + 1];
	double ns[HASH_CLASSES][HASH_MANAGERS][HASH_SIZES]; /* a buffer, measured */
	double chosen_ns[HASH_SIZES]; /* a long buffer, as step[] does a burst of 2^i */
};

extern const uint32_t hash_round[HASH_ROUNDS]; /* constants of FIPS 180-4, 4.2.2 */
extern const char *const hash_manager_name[HASH_MANAGERS];

/* Hashes count (1..ATR_HASH_BURST_MAX) buffers with one manager. */
void hash_with(struct atr_hash *hash, unsigned int manager, const uint8_t *const data[],
	       const uint32_t length[], uint8_t (*out)[ATR_HASH_BYTES], unsigned int count);

/* SHA-256 of one buffer; only where the CPU has the SHA extensions. */
void hash_shani(const uint8_t *data, uint32_t length, uint8_t out[ATR_HASH_BYTES]);

/* The same of two buffers of one length. */
void hash_shani_two(const uint8_t *const data[2], uint32_t length, uint8_t (*out)[ATR_HASH_BYTES]);

/* SHA-256 of count (1..HASH_LANES) buffers side by side, in the time of the longest; only where the
 * CPU has AVX-512 F and BW. */
void hash_x16(const uint8_t *const data[], const uint32_t length[], uint8_t (*out)[ATR_HASH_BYTES],
	      unsigned int count);

/* The same of count (HASH_LANES + 1..2 * HASH_LANES) buffers, in less than twice that time. */
void hash_x32(const uint8_t *const data[], const uint32_t length[], uint8_t (*out)[ATR_HASH_BYTES],
	      unsigned int count);

/* Derives lone[] and step[] from ns[]. */
void hash_choose(struct atr_hash *hash);

/* Makes one present manager do everything, for tests. */
void hash_force(struct atr_hash *hash, unsigned int manager);

#endif
