/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "typecheck_internal.h"

#define WORD_BITS 64

struct kind {
	uint16_t width;
	bool is_signed;
};

static const struct kind kinds[ATR_FIELD_TEXT] = {
	[ATR_FIELD_U8] = {1, false},  [ATR_FIELD_U16] = {2, false}, [ATR_FIELD_U32] = {4, false},
	[ATR_FIELD_U64] = {8, false}, [ATR_FIELD_I8] = {1, true},   [ATR_FIELD_I16] = {2, true},
	[ATR_FIELD_I32] = {4, true},  [ATR_FIELD_I64] = {8, true},
};

static bool in_kind(const struct kind *kind, int64_t raw)
{
	unsigned int bits = kind->width * 8u;

	if (bits == WORD_BITS)
		return true;
	if (kind->is_signed)
		return raw >= -(INT64_C(1) << (bits - 1)) && raw < INT64_C(1) << (bits - 1);
	return raw >= 0 && raw < INT64_C(1) << bits;
}

static int64_t lane_value(const struct atr_lane *lane, int64_t raw)
{
	return (int64_t)(((uint64_t)raw << lane->shift) ^ lane->bias);
}

int atr_lane_compile(const struct atr_field *field, int64_t min_raw, int64_t max_raw, bool negate,
		     struct atr_lane *lane)
{
	const struct kind *kind;

	if (field->kind >= ATR_FIELD_TEXT)
		return -EINVAL;
	kind = &kinds[field->kind];
	if (!in_kind(kind, min_raw) || !in_kind(kind, max_raw) ||
	    (field->has_absent && !in_kind(kind, field->absent_raw)))
		return -ERANGE;
	lane->offset = field->offset;
	lane->shift = (uint8_t)(WORD_BITS - kind->width * 8u);
	lane->negate = negate;
	lane->has_absent = field->has_absent;
	lane->bias = kind->is_signed ? 0 : UINT64_C(1) << (WORD_BITS - 1);
	lane->min = lane_value(lane, min_raw);
	lane->max = lane_value(lane, max_raw);
	lane->absent = field->has_absent ? lane_value(lane, field->absent_raw) : lane->min;
	return 0;
}

__attribute__((format(printf, 3, 4))) static int fail(char *error, size_t size, const char *format,
						      ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(error, size, format, args);
	va_end(args);
	return -EINVAL;
}

static int claim_bytes(const struct atr_field *field, uint32_t fixed_size, bool *taken, char *error,
		       size_t size)
{
	uint32_t width = field->kind < ATR_FIELD_TEXT ? kinds[field->kind].width : field->width;

	if (width == 0 || field->width != width)
		return fail(error, size, "field '%s' has a width of %u bytes; its kind takes %u",
			    field->name, field->width, width ? width : 1);
	if (field->offset + width > fixed_size)
		return fail(error, size,
			    "field '%s' ends at byte %u, beyond the fixed size of %u bytes",
			    field->name, field->offset + width, fixed_size);
	for (uint32_t i = field->offset; i < field->offset + width; i++) {
		if (taken[i])
			return fail(error, size, "field '%s' overlaps another field at byte %u",
				    field->name, i);
		taken[i] = true;
	}
	return 0;
}

static int compare_values(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static void add_bits(struct atr_typecheck *type, const struct atr_field *field,
		     const struct atr_lane *lane)
{
	struct typecheck_bits *b = &type->bits;
	uint32_t i = b->count++;

	b->offset[i] = lane->offset;
	b->shift[i] = lane->shift;
	b->mask[i] = 0;
	for (unsigned int e = 0; e < field->enum_count; e++)
		b->mask[i] |= UINT64_C(1) << field->enum_raw[e];
	b->absent[i] = field->has_absent
			       ? ((uint64_t)field->absent_raw << lane->shift) >> lane->shift
			       : (uint64_t)field->enum_raw[0];
}

static int add_enum(struct atr_typecheck *type, const struct atr_field *field,
		    const struct atr_lane *lane, char *error, size_t size)
{
	struct typecheck_list list = {.lane = *lane};
	bool small = true;

	if (field->enum_count > ATR_FIELD_ENUM_MAX)
		return fail(error, size, "field '%s' enumerates more than %u values", field->name,
			    ATR_FIELD_ENUM_MAX);
	for (unsigned int e = 0; e < field->enum_count; e++) {
		int64_t raw = field->enum_raw[e], value = lane_value(lane, raw);

		if (!in_kind(&kinds[field->kind], raw) || value < lane->min || value > lane->max)
			return fail(error, size,
				    "field '%s' enumerates raw value %lld outside its range",
				    field->name, (long long)raw);
		small = small && raw >= 0 && raw < WORD_BITS;
		list.values[list.count++] = value;
	}
	if (field->has_absent)
		list.values[list.count++] = lane->absent;
	qsort(list.values, list.count, sizeof(list.values[0]), compare_values);
	for (uint32_t i = 1; i < list.count; i++)
		if (list.values[i] == list.values[i - 1])
			return fail(error, size, "field '%s' enumerates a value twice",
				    field->name);
	if (small)
		add_bits(type, field, lane);
	else
		type->lists[type->list_count++] = list;
	return 0;
}

static int add_field(struct atr_typecheck *type, const struct atr_field *field, char *error,
		     size_t size)
{
	struct typecheck_ranges *r = &type->ranges;
	struct atr_lane lane;
	uint32_t i;

	if (field->kind == ATR_FIELD_TEXT) {
		if (field->enum_count || field->has_absent)
			return fail(error, size,
				    "field '%s' is a text and can have neither enumeration nor "
				    "absent value",
				    field->name);
		type->texts[type->text_count++] =
			(struct typecheck_text){field->offset, field->width};
		return 0;
	}
	if (atr_lane_compile(field, field->min_raw, field->max_raw, false, &lane) < 0)
		return fail(error, size,
			    "field '%s' has a range or absent value that its kind cannot hold",
			    field->name);
	if (lane.min > lane.max)
		return fail(error, size, "field '%s' has an empty range", field->name);
	i = r->count++;
	r->offset[i] = lane.offset;
	r->shift[i] = lane.shift;
	r->bias[i] = lane.bias;
	r->min[i] = lane.min;
	r->max[i] = lane.max;
	r->absent[i] = lane.absent;
	return field->enum_count ? add_enum(type, field, &lane, error, size) : 0;
}

static void pad_lanes(struct atr_typecheck *type)
{
	struct typecheck_ranges *r = &type->ranges;
	struct typecheck_bits *b = &type->bits;

	/* Arrays are zero from calloc: offset 0, no shift, no bias. */
	for (; r->count % TYPECHECK_GROUP; r->count++) {
		r->min[r->count] = INT64_MIN;
		r->max[r->count] = INT64_MAX;
	}
	for (; b->count % TYPECHECK_GROUP; b->count++) {
		b->shift[b->count] = WORD_BITS - 1; /* the value is one bit */
		b->mask[b->count] = 3;
	}
}

/* Fills a mask for bytes [offset, min(offset + 64, end)) that must be zero. */
static bool fill_zeros(struct typecheck_zeros *zeros, const bool *taken, uint32_t offset,
		       uint32_t end)
{
	*zeros = (struct typecheck_zeros){.offset = offset};
	for (uint32_t i = offset; i < end && i < offset + TYPECHECK_BLOCK; i++) {
		uint32_t at = i - offset, word = at / TYPECHECK_WORD;

		if (taken[i])
			continue;
		zeros->bits |= UINT64_C(1) << at;
		zeros->words[word] |= UINT64_C(0xFF) << (at % TYPECHECK_WORD * 8);
		zeros->word_count = word + 1;
	}
	return zeros->bits != 0;
}

static void compile_zeros(struct atr_typecheck *type, bool *taken)
{
	for (uint32_t at = 0; at < type->fixed_size; at += TYPECHECK_BLOCK)
		if (fill_zeros(&type->zeros[type->zero_count], taken, at, type->fixed_size))
			type->zero_count++;
	type->fits_inline = type->fixed_size <= ATR_INLINE_MAX;
	if (!type->fits_inline)
		return;
	type->inline_tail = ATR_INLINE_MAX - type->fixed_size;
	if (type->inline_tail > type->tail_max)
		type->inline_tail = type->tail_max;
	for (uint32_t i = 0; i < type->inline_tail; i++)
		taken[type->fixed_size + i] = true;
	fill_zeros(&type->inline_zeros, taken, 0, ATR_INLINE_MAX);
}

static struct atr_typecheck *allocate(const struct atr_field *fields, unsigned int count,
				      uint32_t fixed_size)
{
	struct atr_typecheck *type = aligned_alloc(_Alignof(struct atr_typecheck), sizeof(*type));

	size_t lists = 1;

	if (!type)
		return NULL;
	memset(type, 0, sizeof(*type));
	for (unsigned int i = 0; i < count; i++)
		lists += fields[i].enum_count != 0;
	type->lists = calloc(lists, sizeof(*type->lists));
	type->zeros = calloc(fixed_size / TYPECHECK_BLOCK + 1, sizeof(*type->zeros));
	if (type->lists && type->zeros)
		return type;
	atr_typecheck_free(type);
	return NULL;
}

struct atr_typecheck *atr_typecheck_compile(const struct atr_field *fields, unsigned int count,
					    uint32_t fixed_size, uint32_t tail_max, char *error,
					    size_t size)
{
	bool taken[ATR_BINARY_SIZE_MAX + ATR_INLINE_MAX] = {false};
	struct atr_typecheck *type;

	if (fixed_size > ATR_BINARY_SIZE_MAX || tail_max > ATR_BINARY_SIZE_MAX - fixed_size) {
		fail(error, size, "fixed size and tail together exceed %u bytes",
		     ATR_BINARY_SIZE_MAX);
		return NULL;
	}
	if (count > ATR_FIELDS_MAX) {
		fail(error, size, "more than %u fields", ATR_FIELDS_MAX);
		return NULL;
	}
	type = allocate(fields, count, fixed_size);
	if (!type) {
		fail(error, size, "out of memory");
		return NULL;
	}
	type->fixed_size = fixed_size;
	type->tail_max = tail_max;
	for (unsigned int i = 0; i < count; i++) {
		if (claim_bytes(&fields[i], fixed_size, taken, error, size) < 0 ||
		    add_field(type, &fields[i], error, size) < 0) {
			atr_typecheck_free(type);
			return NULL;
		}
	}
	pad_lanes(type);
	compile_zeros(type, taken);
	typecheck_compile_wide(type);
	return type;
}

void atr_typecheck_free(struct atr_typecheck *type)
{
	if (!type)
		return;
	free(type->lists);
	free(type->zeros);
	free(type);
}
