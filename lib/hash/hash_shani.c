/* SPDX-License-Identifier: BSD-3-Clause */
/* SHA-256 of one buffer with the CPU's SHA extensions and nothing around it. ipsec-mb has these
 * instructions behind its job queues only, which cost as much as the hash of a tree node. */
#include "hash_internal.h"

#include <immintrin.h>
#include <string.h>

#define BLOCK        HASH_BLOCK
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

__attribute__((target("sha,sse4.1"))) static inline struct state blocks(struct state s,
									const uint8_t *data,
									size_t count)
{
	const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);

	for (; count > 0; count--, data += BLOCK) {
		struct state before = s;
		__m128i w[4];

#pragma GCC unroll 16
		for (unsigned int i = 0; i < GROUPS; i++) {
			__m128i *now = &w[i & 3], x;

			if (i < 4) {
				x = _mm_loadu_si128((const __m128i *)(const void *)data + i);
				*now = _mm_shuffle_epi8(x, swap);
			} else {
				x = _mm_sha256msg1_epu32(*now, w[(i + 1) & 3]);
				x = _mm_add_epi32(
					x, _mm_alignr_epi8(w[(i + 3) & 3], w[(i + 2) & 3], 4));
				*now = _mm_sha256msg2_epu32(x, w[(i + 3) & 3]);
			}
			x = _mm_load_si128((const __m128i *)(const void *)hash_round + i);
			x = _mm_add_epi32(*now, x);
			s.cdgh = _mm_sha256rnds2_epu32(s.cdgh, s.abef, x);
			s.abef = _mm_sha256rnds2_epu32(s.abef, s.cdgh, _mm_shuffle_epi32(x, 0x0E));
		}
		s.abef = _mm_add_epi32(s.abef, before.abef);
		s.cdgh = _mm_add_epi32(s.cdgh, before.cdgh);
	}
	return s;
}

__attribute__((target("sha,sse4.1"))) void hash_shani(const uint8_t *data, uint32_t length,
						      uint8_t out[ATR_HASH_BYTES])
{
	const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
	struct state s = {
		.abef = _mm_set_epi32(0x6a09e667, (int)0xbb67ae85, 0x510e527f, (int)0x9b05688c),
		.cdgh = _mm_set_epi32(0x3c6ef372, (int)0xa54ff53a, 0x1f83d9ab, 0x5be0cd19)};
	uint8_t tail[2 * BLOCK] = {0};
	uint32_t rest = length % BLOCK;
	size_t tail_blocks = rest < BLOCK - LENGTH_BYTES ? 1 : 2;
	uint64_t bits = __builtin_bswap64((uint64_t)length * 8);
	__m128i low, high;

	s = blocks(s, data, length / BLOCK);
	if (rest)
		memcpy(tail, data + (length - rest), rest);
	tail[rest] = 0x80;
	memcpy(tail + tail_blocks * BLOCK - LENGTH_BYTES, &bits, sizeof(bits));
	s = blocks(s, tail, tail_blocks);
	low = _mm_unpackhi_epi64(s.cdgh, s.abef);  /* D C B A from the top: words CD, AB */
	high = _mm_unpacklo_epi64(s.cdgh, s.abef); /* words GH, EF */
	low = _mm_shuffle_epi8(_mm_shuffle_epi32(low, 0x1B), swap);
	high = _mm_shuffle_epi8(_mm_shuffle_epi32(high, 0x1B), swap);
	_mm_storeu_si128((__m128i *)(void *)out, low);
	_mm_storeu_si128((__m128i *)(void *)out + 1, high);
}
