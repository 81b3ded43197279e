/* SPDX-License-Identifier: BSD-3-Clause */
/* SHA-256 of sixteen buffers side by side, a 32-bit lane of AVX-512 each, and nothing around it.
 * ipsec-mb does the same behind its job queues, which cost a lone node of a tree twice its hash and
 * a frame's leaf a fifth (docs/performance.md). */
#include <immintrin.h>
#include <string.h>

#include "hash_internal.h"

#define LANES        HASH_LANES
#define WORDS        16 /* of a block */
#define STATE        8
#define LENGTH_BYTES 8 /* of the length in bits that ends the padding */

_Static_assert(LANES * sizeof(uint32_t) == sizeof(__m512i), "a vector holds a word of each lane");

/* What a lane has left: whole blocks of its data, then its padded end. */
struct lane {
	const uint8_t *data;
	uint32_t whole;
	uint32_t blocks; /* whole ones and those of the end */
	uint8_t end[2 * HASH_BLOCK];
};

/* Macros, since without optimisation an argument is no immediate. */
#define ROR3(v, a, b, c)                                                          \
	_mm512_ternarylogic_epi32(_mm512_ror_epi32(v, a), _mm512_ror_epi32(v, b), \
				  _mm512_ror_epi32(v, c), 0x96)
#define SMALL_SIGMA(v, a, b, shift)                                               \
	_mm512_ternarylogic_epi32(_mm512_ror_epi32(v, a), _mm512_ror_epi32(v, b), \
				  _mm512_srli_epi32(v, shift), 0x96)

static inline __m512i add(__m512i a, __m512i b)
{
	return _mm512_add_epi32(a, b);
}

/* Row i, a lane's block, becomes column i; the words' bytes are swapped. */
static inline void transpose(__m512i w[WORDS])
{
	const __m512i swap =
		_mm512_broadcast_i32x4(_mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203));
	__m512i t[WORDS];

#pragma GCC unroll 8
	for (int i = 0; i < WORDS; i += 2) {
		t[i] = _mm512_unpacklo_epi32(w[i], w[i + 1]);
		t[i + 1] = _mm512_unpackhi_epi32(w[i], w[i + 1]);
	}
#pragma GCC unroll 4
	for (int i = 0; i < WORDS; i += 4) {
		w[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
		w[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
		w[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
		w[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
	}
#pragma GCC unroll 4
	for (int i = 0; i < 4; i++) {
		t[i] = _mm512_shuffle_i32x4(w[i], w[i + 4], 0x88);
		t[i + 4] = _mm512_shuffle_i32x4(w[i], w[i + 4], 0xdd);
		t[i + 8] = _mm512_shuffle_i32x4(w[i + 8], w[i + 12], 0x88);
		t[i + 12] = _mm512_shuffle_i32x4(w[i + 8], w[i + 12], 0xdd);
	}
#pragma GCC unroll 4
	for (int i = 0; i < 4; i++) {
		w[i] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0x88);
		w[i + 8] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0xdd);
		w[i + 4] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0x88);
		w[i + 12] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0xdd);
	}
#pragma GCC unroll 16
	for (int i = 0; i < WORDS; i++)
		w[i] = _mm512_shuffle_epi8(w[i], swap);
}

/* FIPS 180-4, 6.2.2: round i with its word; names rotate instead of values. */
#define ROUND(w, a, b, c, d, e, f, g, h, i)                                                        \
	do {                                                                                       \
		__m512i t1 =                                                                       \
			add(add(h, ROR3(e, 6, 11, 25)),                                            \
			    add(_mm512_ternarylogic_epi32(e, f, g, 0xca),                          \
				add(w[(i)&15], _mm512_set1_epi32((int)hash_round[(i) + group])))); \
		d = add(d, t1);                                                                    \
		h = add(t1, add(ROR3(a, 2, 13, 22), _mm512_ternarylogic_epi32(a, b, c, 0xe8)));    \
	} while (0)

/* The word that round i + 16 will take. */
#define EXPAND(w, i)                                                               \
	(w[(i)&15] = add(add(w[(i)&15], SMALL_SIGMA(w[((i) + 1) & 15], 7, 18, 3)), \
			 add(w[((i) + 9) & 15], SMALL_SIGMA(w[((i) + 14) & 15], 17, 19, 10))))

static inline void add_state(__m512i s[STATE], const __m512i end[STATE], __mmask16 active)
{
	for (int i = 0; i < STATE; i++)
		s[i] = _mm512_mask_add_epi32(s[i], active, s[i], end[i]);
}

static inline void block16(__m512i s[STATE], __m512i w[WORDS], __mmask16 active)
{
	__m512i a = s[0], b = s[1], c = s[2], d = s[3], e = s[4], f = s[5], g = s[6], h = s[7];

	transpose(w);
	for (int group = 0; group < HASH_ROUNDS; group += WORDS) {
#pragma GCC unroll 2
		for (int i = 0; i < WORDS; i += STATE) {
			ROUND(w, a, b, c, d, e, f, g, h, i);
			ROUND(w, h, a, b, c, d, e, f, g, i + 1);
			ROUND(w, g, h, a, b, c, d, e, f, i + 2);
			ROUND(w, f, g, h, a, b, c, d, e, i + 3);
			ROUND(w, e, f, g, h, a, b, c, d, i + 4);
			ROUND(w, d, e, f, g, h, a, b, c, i + 5);
			ROUND(w, c, d, e, f, g, h, a, b, i + 6);
			ROUND(w, b, c, d, e, f, g, h, a, i + 7);
		}
		if (group == HASH_ROUNDS - WORDS)
			break;
#pragma GCC unroll 16
		for (int i = 0; i < WORDS; i++)
			EXPAND(w, i);
	}
	add_state(s, (const __m512i[STATE]){a, b, c, d, e, f, g, h}, active);
}

/* A round of one set waits for the one before; a second set fills that time. */
#define ROUND2(a, b, c, d, e, f, g, h, i)                                    \
	do {                                                                 \
		ROUND(v, a##0, b##0, c##0, d##0, e##0, f##0, g##0, h##0, i); \
		ROUND(w, a##1, b##1, c##1, d##1, e##1, f##1, g##1, h##1, i); \
	} while (0)

static inline void block32(__m512i s[2][STATE], __m512i v[WORDS], __m512i w[WORDS],
			   const __mmask16 active[2])
{
	__m512i a0 = s[0][0], b0 = s[0][1], c0 = s[0][2], d0 = s[0][3];
	__m512i e0 = s[0][4], f0 = s[0][5], g0 = s[0][6], h0 = s[0][7];
	__m512i a1 = s[1][0], b1 = s[1][1], c1 = s[1][2], d1 = s[1][3];
	__m512i e1 = s[1][4], f1 = s[1][5], g1 = s[1][6], h1 = s[1][7];

	transpose(v);
	transpose(w);
	for (int group = 0; group < HASH_ROUNDS; group += WORDS) {
#pragma GCC unroll 2
		for (int i = 0; i < WORDS; i += STATE) {
			ROUND2(a, b, c, d, e, f, g, h, i);
			ROUND2(h, a, b, c, d, e, f, g, i + 1);
			ROUND2(g, h, a, b, c, d, e, f, i + 2);
			ROUND2(f, g, h, a, b, c, d, e, i + 3);
			ROUND2(e, f, g, h, a, b, c, d, i + 4);
			ROUND2(d, e, f, g, h, a, b, c, i + 5);
			ROUND2(c, d, e, f, g, h, a, b, i + 6);
			ROUND2(b, c, d, e, f, g, h, a, i + 7);
		}
		if (group == HASH_ROUNDS - WORDS)
			break;
#pragma GCC unroll 16
		for (int i = 0; i < WORDS; i++) {
			EXPAND(v, i);
			EXPAND(w, i);
		}
	}
	add_state(s[0], (const __m512i[STATE]){a0, b0, c0, d0, e0, f0, g0, h0}, active[0]);
	add_state(s[1], (const __m512i[STATE]){a1, b1, c1, d1, e1, f1, g1, h1}, active[1]);
}

static void lane_set(struct lane *lane, const uint8_t *data, uint32_t length)
{
	uint32_t rest = length % HASH_BLOCK;
	uint32_t ends = rest < HASH_BLOCK - LENGTH_BYTES ? 1 : 2;
	uint64_t bits = __builtin_bswap64((uint64_t)length * 8);

	lane->data = data;
	lane->whole = length / HASH_BLOCK;
	lane->blocks = lane->whole + ends;
	memset(lane->end, 0, sizeof(lane->end));
	if (rest)
		memcpy(lane->end, data + (length - rest), rest);
	lane->end[rest] = 0x80;
	memcpy(lane->end + ends * HASH_BLOCK - LENGTH_BYTES, &bits, sizeof(bits));
}

static inline const uint8_t *block_of(const struct lane *lane, uint32_t b)
{
	if (b < lane->whole)
		return lane->data + (size_t)b * HASH_BLOCK;
	return lane->end + (b - lane->whole) % 2 * HASH_BLOCK;
}

static void put_digests(const __m512i s[STATE], uint8_t (*out)[ATR_HASH_BYTES], unsigned int count)
{
	uint32_t word[STATE][LANES];

	for (unsigned int i = 0; i < STATE; i++)
		_mm512_storeu_si512(word[i], s[i]);
	for (unsigned int l = 0; l < count; l++) {
		for (unsigned int i = 0; i < STATE; i++) {
			uint32_t swapped = __builtin_bswap32(word[i][l]);

			memcpy(out[l] + i * sizeof(swapped), &swapped, sizeof(swapped));
		}
	}
}

/* Lanes without a buffer of their own repeat the last one, and are not written. Returns the blocks
 * of the longest. */
static uint32_t lanes_set(struct lane lane[LANES], const uint8_t *const data[],
			  const uint32_t length[], unsigned int count)
{
	uint32_t most = 0;

	for (unsigned int l = 0; l < LANES; l++) {
		unsigned int from = l < count ? l : count - 1;

		lane_set(&lane[l], data[from], length[from]);
		most = lane[l].blocks > most ? lane[l].blocks : most;
	}
	return most;
}

/* Block b of every lane; which lanes have one. */
static inline __mmask16 load(const struct lane lane[LANES], uint32_t b, __m512i w[WORDS])
{
	__mmask16 active = 0;

	for (unsigned int l = 0; l < LANES; l++) {
		w[l] = _mm512_loadu_si512(block_of(&lane[l], b));
		active |= (__mmask16)((b < lane[l].blocks) << l);
	}
	return active;
}

static void start(__m512i s[STATE])
{
	static const uint32_t word[STATE] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
					     0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

	for (unsigned int i = 0; i < STATE; i++)
		s[i] = _mm512_set1_epi32((int)word[i]);
}

void hash_x16(const uint8_t *const data[], const uint32_t length[], uint8_t (*out)[ATR_HASH_BYTES],
	      unsigned int count)
{
	struct lane lane[LANES];
	uint32_t most = lanes_set(lane, data, length, count);
	__m512i s[STATE], w[WORDS];

	start(s);
	for (uint32_t b = 0; b < most; b++) {
		__mmask16 active = load(lane, b, w);

		block16(s, w, active);
	}
	put_digests(s, out, count);
}

void hash_x32(const uint8_t *const data[], const uint32_t length[], uint8_t (*out)[ATR_HASH_BYTES],
	      unsigned int count)
{
	struct lane lane[2][LANES];
	uint32_t most = lanes_set(lane[0], data, length, LANES);
	uint32_t other = lanes_set(lane[1], data + LANES, length + LANES, count - LANES);
	__m512i s[2][STATE], v[WORDS], w[WORDS];

	start(s[0]);
	start(s[1]);
	for (uint32_t b = 0; b < most || b < other; b++) {
		const __mmask16 active[2] = {load(lane[0], b, v), load(lane[1], b, w)};

		block32(s, v, w, active);
	}
	put_digests(s[0], out, LANES);
	put_digests(s[1], out + LANES, count - LANES);
}
