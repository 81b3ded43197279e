/* SPDX-License-Identifier: BSD-3-Clause */
/* SHA-256 of one buffer with the CPU's SHA extensions and nothing around it. ipsec-mb has these
 * instructions behind its job queues only, which cost as much as the hash of a tree node. */
#include "hash_internal.h"

#include <immintrin.h>
#include <string.h>

#define LENGTH_BYTES 8 /* of the length in bits that ends the padding */
#define GROUPS       (HASH_ROUNDS / 4)

const uint32_t hash_round[HASH_ROUNDS] __attribute__((aligned(16))) = {
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4,
	0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe,
	0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f,
	0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7,
	0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc,
	0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
	0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116,
	0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
	0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7,
	0xc67178f2};

/* The instructions want the state as words ABEF and CDGH, highest first. */
struct state {
	__m128i abef, cdgh;
};

#define SHANI __attribute__((target("sha,sse4.1")))

SHANI static inline struct state start(void)
{
	return (struct state){
		.abef = _mm_set_epi32(0x6a09e667, (int)0xbb67ae85, 0x510e527f, (int)0x9b05688c),
		.cdgh = _mm_set_epi32(0x3c6ef372, (int)0xa54ff53a, 0x1f83d9ab, 0x5be0cd19)};
}

/* Four rounds of one block. w: the last sixteen words of its schedule. */
SHANI static inline void four_rounds(struct state *s, __m128i w[4], const uint8_t *data,
				     unsigned int i)
{
	const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
	__m128i *now = &w[i & 3], x;

	if (i < 4) {
		x = _mm_loadu_si128((const __m128i *)(const void *)data + i);
		*now = _mm_shuffle_epi8(x, swap);
	} else {
		x = _mm_sha256msg1_epu32(*now, w[(i + 1) & 3]);
		x = _mm_add_epi32(x, _mm_alignr_epi8(w[(i + 3) & 3], w[(i + 2) & 3], 4));
		*now = _mm_sha256msg2_epu32(x, w[(i + 3) & 3]);
	}
	x = _mm_load_si128((const __m128i *)(const void *)hash_round + i);
	x = _mm_add_epi32(*now, x);
	s->cdgh = _mm_sha256rnds2_epu32(s->cdgh, s->abef, x);
	s->abef = _mm_sha256rnds2_epu32(s->abef, s->cdgh, _mm_shuffle_epi32(x, 0x0E));
}

SHANI static inline void add_state(struct state *s, struct state before)
{
	s->abef = _mm_add_epi32(s->abef, before.abef);
	s->cdgh = _mm_add_epi32(s->cdgh, before.cdgh);
}

SHANI static inline struct state blocks(struct state s, const uint8_t *data, size_t count)
{
	for (; count > 0; count--, data += HASH_BLOCK) {
		struct state before = s;
		__m128i w[4];

#pragma GCC unroll 16
		for (unsigned int i = 0; i < GROUPS; i++)
			four_rounds(&s, w, data, i);
		add_state(&s, before);
	}
	return s;
}

/* Two at once: a round waits for the one before, so that one buffer leaves half of the time. */
SHANI static inline void blocks_of_two(struct state s[2], const uint8_t *a, const uint8_t *b,
				       size_t count)
{
	struct state p = s[0], q = s[1];

	for (; count > 0; count--, a += HASH_BLOCK, b += HASH_BLOCK) {
		struct state before_p = p, before_q = q;
		__m128i v[4], w[4];

#pragma GCC unroll 16
		for (unsigned int i = 0; i < GROUPS; i++) {
			four_rounds(&p, v, a, i);
			four_rounds(&q, w, b, i);
		}
		add_state(&p, before_p);
		add_state(&q, before_q);
	}
	s[0] = p;
	s[1] = q;
}

/* The padded end of a buffer; returns its blocks. */
static inline size_t pad(const uint8_t *data, uint32_t length, uint8_t tail[2 * HASH_BLOCK])
{
	uint32_t rest = length % HASH_BLOCK;
	size_t count = rest < HASH_BLOCK - LENGTH_BYTES ? 1 : 2;
	uint64_t bits = __builtin_bswap64((uint64_t)length * 8);

	memset(tail, 0, 2 * HASH_BLOCK);
	if (rest)
		memcpy(tail, data + (length - rest), rest);
	tail[rest] = 0x80;
	memcpy(tail + count * HASH_BLOCK - LENGTH_BYTES, &bits, sizeof(bits));
	return count;
}

SHANI static inline void put(struct state s, uint8_t out[ATR_HASH_BYTES])
{
	const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
	__m128i low = _mm_unpackhi_epi64(s.cdgh, s.abef);  /* D C B A from the top */
	__m128i high = _mm_unpacklo_epi64(s.cdgh, s.abef); /* H G F E */

	low = _mm_shuffle_epi8(_mm_shuffle_epi32(low, 0x1B), swap);
	high = _mm_shuffle_epi8(_mm_shuffle_epi32(high, 0x1B), swap);
	_mm_storeu_si128((__m128i *)(void *)out, low);
	_mm_storeu_si128((__m128i *)(void *)out + 1, high);
}

SHANI void hash_shani(const uint8_t *data, uint32_t length, uint8_t out[ATR_HASH_BYTES])
{
	uint8_t tail[2 * HASH_BLOCK];
	size_t tail_blocks = pad(data, length, tail);
	struct state s = blocks(start(), data, length / HASH_BLOCK);

	put(blocks(s, tail, tail_blocks), out);
}

SHANI void hash_shani_two(const uint8_t *const data[2], uint32_t length,
			  uint8_t (*out)[ATR_HASH_BYTES])
{
	uint8_t tail[2][2 * HASH_BLOCK];
	struct state s[2] = {start(), start()};
	size_t tail_blocks = pad(data[0], length, tail[0]);

	pad(data[1], length, tail[1]);
	blocks_of_two(s, data[0], data[1], length / HASH_BLOCK);
	blocks_of_two(s, tail[0], tail[1], tail_blocks);
	put(s[0], out[0]);
	put(s[1], out[1]);
}
