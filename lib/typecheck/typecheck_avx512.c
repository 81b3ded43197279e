/* SPDX-License-Identifier: BSD-3-Clause */
#include <immintrin.h>

#include "typecheck_internal.h"

#define LANES 8
_Static_assert(LANES == TYPECHECK_GROUP, "lanes are padded to the widest variant");

static inline __m512i gather(const uint8_t *payload, const int32_t *offset)
{
	__m256i index = _mm256_load_si256((const __m256i *)offset);

	return _mm512_i32gather_epi64(index, payload, 1);
}

static bool ranges(const struct typecheck_ranges *r, const uint8_t *payload)
{
	__mmask8 bad = 0;

	for (uint32_t i = 0; i < r->count; i += LANES) {
		__m512i v = gather(payload, &r->offset[i]);
		__mmask8 outside;

		v = _mm512_sllv_epi64(v, _mm512_load_si512(&r->shift[i]));
		v = _mm512_xor_si512(v, _mm512_load_si512(&r->bias[i]));
		outside = _mm512_cmplt_epi64_mask(v, _mm512_load_si512(&r->min[i])) |
			  _mm512_cmpgt_epi64_mask(v, _mm512_load_si512(&r->max[i]));
		bad |= outside & _mm512_cmpneq_epi64_mask(v, _mm512_load_si512(&r->absent[i]));
	}
	return bad == 0;
}

static bool bits(const struct typecheck_bits *b, const uint8_t *payload)
{
	const __m512i one = _mm512_set1_epi64(1);
	__mmask8 bad = 0;

	for (uint32_t i = 0; i < b->count; i += LANES) {
		__m512i shift = _mm512_load_si512(&b->shift[i]);
		__m512i v = gather(payload, &b->offset[i]);
		__m512i member;

		v = _mm512_srlv_epi64(_mm512_sllv_epi64(v, shift), shift);
		member = _mm512_srlv_epi64(_mm512_load_si512(&b->mask[i]), v);
		bad |= _mm512_testn_epi64_mask(member, one) &
		       _mm512_cmpneq_epi64_mask(v, _mm512_load_si512(&b->absent[i]));
	}
	return bad == 0;
}

static bool zeros(const struct typecheck_zeros *z, uint32_t count, const uint8_t *payload)
{
	__mmask64 set = 0;

	for (uint32_t i = 0; i < count; i++) {
		__m512i data = _mm512_maskz_loadu_epi8(z[i].bits, payload + z[i].offset);

		set |= _mm512_test_epi8_mask(data, data);
	}
	return set == 0;
}

const struct typecheck_variant typecheck_avx512 = {ranges, bits, zeros};
