/* SPDX-License-Identifier: BSD-3-Clause */
#include <immintrin.h>

#include "typecheck_internal.h"

#define LANES 4

static inline __m256i gather(const uint8_t *payload, const int32_t *offset)
{
	__m128i index = _mm_load_si128((const __m128i *)offset);

	return _mm256_i32gather_epi64((const long long *)payload, index, 1);
}

static inline __m256i load(const void *p)
{
	return _mm256_load_si256(p);
}

static bool ranges(const struct typecheck_ranges *r, const uint8_t *payload)
{
	__m256i bad = _mm256_setzero_si256();

	for (uint32_t i = 0; i < r->count; i += LANES) {
		__m256i v = gather(payload, &r->offset[i]);
		__m256i low, high, absent;

		v = _mm256_sllv_epi64(v, load(&r->shift[i]));
		v = _mm256_xor_si256(v, load(&r->bias[i]));
		low = _mm256_cmpgt_epi64(load(&r->min[i]), v);
		high = _mm256_cmpgt_epi64(v, load(&r->max[i]));
		absent = _mm256_cmpeq_epi64(v, load(&r->absent[i]));
		bad = _mm256_or_si256(bad, _mm256_andnot_si256(absent, _mm256_or_si256(low, high)));
	}
	return _mm256_testz_si256(bad, bad);
}

static bool bits(const struct typecheck_bits *b, const uint8_t *payload)
{
	const __m256i one = _mm256_set1_epi64x(1);
	__m256i good = _mm256_set1_epi64x(-1);

	for (uint32_t i = 0; i < b->count; i += LANES) {
		__m256i shift = load(&b->shift[i]);
		__m256i v = gather(payload, &b->offset[i]);
		__m256i member, absent;

		v = _mm256_srlv_epi64(_mm256_sllv_epi64(v, shift), shift);
		member = _mm256_and_si256(_mm256_srlv_epi64(load(&b->mask[i]), v), one);
		absent = _mm256_cmpeq_epi64(v, load(&b->absent[i]));
		good = _mm256_and_si256(good,
					_mm256_or_si256(absent, _mm256_cmpeq_epi64(member, one)));
	}
	return _mm256_testc_si256(good, _mm256_set1_epi64x(-1));
}

static bool zeros(const struct typecheck_zeros *z, uint32_t count, const uint8_t *payload)
{
	uint64_t set = 0;

	for (uint32_t i = 0; i < count; i++) {
		const uint8_t *block = payload + z[i].offset;
		uint32_t w = 0;

		/* The last words one by one: 32-byte loads could reach too far behind the payload.
		 */
		for (; w + LANES <= z[i].word_count; w += LANES) {
			__m256i data =
				_mm256_loadu_si256((const void *)(block + w * TYPECHECK_WORD));
			__m256i mask = _mm256_loadu_si256((const void *)&z[i].words[w]);

			set |= !_mm256_testz_si256(data, mask);
		}
		for (; w < z[i].word_count; w++) {
			uint64_t word;

			memcpy(&word, block + w * TYPECHECK_WORD, sizeof(word));
			set |= word & z[i].words[w];
		}
	}
	return set == 0;
}

const struct typecheck_variant typecheck_avx2 = {ranges, bits, zeros};
