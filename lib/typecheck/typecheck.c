/* SPDX-License-Identifier: BSD-3-Clause */
#include "typecheck_internal.h"

#include "../reason/reason.h"

#define BITS_AVX2   256
#define BITS_AVX512 512

static const struct typecheck_variant *variant = &typecheck_scalar;
static typecheck_packets_fn packets_variant = typecheck_packets_scalar;

enum atr_simd atr_typecheck_select(unsigned int max_bits)
{
	__builtin_cpu_init();
	packets_variant = typecheck_packets_scalar;
	if (max_bits >= BITS_AVX512 && __builtin_cpu_supports("avx512f") &&
	    __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
	    __builtin_cpu_supports("avx512dq")) {
		variant = &typecheck_avx512;
		if (__builtin_cpu_supports("avx512vbmi"))
			packets_variant = typecheck_packets_vbmi;
		return ATR_SIMD_AVX512;
	}
	if (max_bits >= BITS_AVX2 && __builtin_cpu_supports("avx2")) {
		variant = &typecheck_avx2;
		return ATR_SIMD_AVX2;
	}
	variant = &typecheck_scalar;
	return ATR_SIMD_SCALAR;
}

static bool lists_ok(const struct atr_typecheck *type, const uint8_t *payload)
{
	for (uint32_t i = 0; i < type->list_count; i++) {
		const struct typecheck_list *list = &type->lists[i];
		int64_t v = atr_lane_load(&list->lane, payload);
		uint32_t low = 0, high = list->count;

		while (low < high) {
			uint32_t middle = (low + high) / 2;

			if (list->values[middle] < v)
				low = middle + 1;
			else
				high = middle;
		}
		if (low == list->count || list->values[low] != v)
			return false;
	}
	return true;
}

static bool texts_ok(const struct atr_typecheck *type, const uint8_t *payload, uint32_t length,
		     bool in_arena)
{
	uint32_t tail = in_arena ? length - type->fixed_size : type->inline_tail;
	int32_t used;

	for (uint32_t i = 0; i < type->text_count; i++)
		if (typecheck_text_length(payload + type->texts[i].offset, type->texts[i].width) <
		    0)
			return false;
	if (tail == 0)
		return true;
	used = typecheck_text_length(payload + type->fixed_size, tail);
	/* In the arena the length is exact: a zero byte would be a control character. */
	return used >= 0 && (!in_arena || (uint32_t)used == tail);
}

uint8_t atr_typecheck_schema(const struct atr_typecheck *type, const uint8_t *payload,
			     uint32_t length, bool in_arena)
{
	if (in_arena ? length < type->fixed_size || length - type->fixed_size > type->tail_max
		     : length != ATR_INLINE_MAX || !type->fits_inline)
		return ATR_REASON_PAYLOAD_LENGTH;
	if (!variant->ranges(&type->ranges, payload))
		return ATR_REASON_FIELD_RANGE;
	if (!variant->bits(&type->bits, payload) || !lists_ok(type, payload))
		return ATR_REASON_FIELD_ENUM;
	if (!texts_ok(type, payload, length, in_arena))
		return ATR_REASON_FIELD_TEXT;
	return ATR_OK;
}

/* True if all bytes of a text behind its first zero are zero. */
static bool padding_ok(const uint8_t *text, uint32_t width)
{
	const uint8_t *end = memchr(text, 0, width);
	uint8_t set = 0;

	if (end)
		for (const uint8_t *p = end; p < text + width; p++)
			set |= *p;
	return set == 0;
}

uint8_t atr_typecheck_canonical(const struct atr_typecheck *type, const uint8_t *payload,
				uint32_t length, bool in_arena)
{
	bool ok = true;

	(void)length;
	if (in_arena)
		ok = variant->zeros(type->zeros, type->zero_count, payload);
	else
		ok = variant->zeros(&type->inline_zeros, 1, payload);
	for (uint32_t i = 0; i < type->text_count; i++)
		ok &= padding_ok(payload + type->texts[i].offset, type->texts[i].width);
	if (!in_arena && type->inline_tail)
		ok &= padding_ok(payload + type->fixed_size, type->inline_tail);
	return ok ? ATR_OK : ATR_REASON_PAYLOAD_PADDING;
}

unsigned int atr_typecheck_packets(const struct atr_typecheck *type, uint32_t type_id,
				   uint32_t sender, const struct atr_packet *packets,
				   unsigned int count, uint8_t *passed)
{
	if (type->wide.usable)
		return packets_variant(type, type_id, sender, packets, count, passed);
	memset(passed, 0, count);
	return 0;
}

uint32_t atr_typecheck_max_size(const struct atr_typecheck *type)
{
	return type->fixed_size + type->tail_max;
}
