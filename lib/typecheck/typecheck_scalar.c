/* SPDX-License-Identifier: BSD-3-Clause */
#include "typecheck_internal.h"

#define MASK_BITS 64

static bool ranges(const struct typecheck_ranges *r, const uint8_t *payload)
{
	bool ok = true;

	for (uint32_t i = 0; i < r->count; i++) {
		uint64_t word;
		int64_t v;

		memcpy(&word, payload + r->offset[i], sizeof(word));
		v = (int64_t)((word << r->shift[i]) ^ r->bias[i]);
		ok &= (v >= r->min[i] && v <= r->max[i]) || v == r->absent[i];
	}
	return ok;
}

static bool bits(const struct typecheck_bits *b, const uint8_t *payload)
{
	bool ok = true;

	for (uint32_t i = 0; i < b->count; i++) {
		uint64_t v;

		memcpy(&v, payload + b->offset[i], sizeof(v));
		v = (v << b->shift[i]) >> b->shift[i];
		ok &= (v < MASK_BITS && (b->mask[i] >> v & 1)) || v == b->absent[i];
	}
	return ok;
}

static bool zeros(const struct typecheck_zeros *z, uint32_t count, const uint8_t *payload)
{
	uint64_t set = 0;

	for (uint32_t i = 0; i < count; i++) {
		const uint8_t *block = payload + z[i].offset;

		for (uint32_t w = 0; w < z[i].word_count; w++) {
			uint64_t word;

			memcpy(&word, block + w * TYPECHECK_WORD, sizeof(word));
			set |= word & z[i].words[w];
		}
	}
	return set == 0;
}

const struct typecheck_variant typecheck_scalar = {ranges, bits, zeros};
