/* SPDX-License-Identifier: BSD-3-Clause */
/* A packet is one vector: every field is widened into a lane by one byte permutation and compared
 * with its bounds there. */
#include <immintrin.h>

#include "typecheck_internal.h"

static inline __m512i load(const void *at)
{
	return _mm512_loadu_si512(at);
}

static inline __m512i pick(const struct typecheck_pick *from, __m512i packet)
{
	return _mm512_maskz_permutexvar_epi8(from->used, load(from->index), packet);
}

static inline __mmask8 outside(const struct typecheck_wide_range *r, __m512i packet)
{
	__m512i v = _mm512_xor_si512(pick(&r->pick, packet), load(r->bias));
	__mmask8 bad =
		_mm512_cmplt_epi64_mask(v, load(r->min)) | _mm512_cmpgt_epi64_mask(v, load(r->max));

	return bad & _mm512_cmpneq_epi64_mask(v, load(r->absent));
}

static inline __mmask8 no_member(const struct typecheck_wide_set *s, __m512i packet)
{
	__m512i v = pick(&s->pick, packet);
	__m512i member = _mm512_srlv_epi64(load(s->mask), v);

	return _mm512_testn_epi64_mask(member, _mm512_set1_epi64(1)) &
	       _mm512_cmpneq_epi64_mask(v, load(s->absent));
}

unsigned int typecheck_packets_vbmi(const struct atr_typecheck *type, uint32_t type_id,
				    uint32_t sender, const struct atr_packet *packets,
				    unsigned int count, uint8_t *passed)
{
	const struct typecheck_wide *wide = &type->wide;
	const struct atr_packet same = {
		.flags = ATR_FLAG_INLINE, .sender_id = sender, .type_id = type_id};
	__m512i expected = load(&same), care = load(wide->care);
	unsigned int all = 0;

	for (unsigned int i = 0; i < count; i++) {
		__m512i packet = load(&packets[i]);
		unsigned int bad = _mm512_test_epi64_mask(_mm512_xor_si512(packet, expected), care);

		for (unsigned int r = 0; r < wide->ranges; r++)
			bad |= outside(&wide->range[r], packet);
		if (wide->has_set)
			bad |= no_member(&wide->set, packet);
		passed[i] = bad == 0;
		all += bad == 0;
	}
	return all;
}
