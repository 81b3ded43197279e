/* SPDX-License-Identifier: BSD-3-Clause */
/* What the checks of lib/typecheck mean, written so that nothing is shared with how they work. */
#ifndef ATR_TEST_TYPECHECK_MODEL_H
#define ATR_TEST_TYPECHECK_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "../../../lib/reason/reason.h"
#include "../../../lib/typecheck/typecheck.h"
#include "../../../lib/wire/frame.h"

static bool kind_signed(enum atr_field_kind kind)
{
	return kind >= ATR_FIELD_I8 && kind <= ATR_FIELD_I64;
}

/* Every field decoded by itself, byte by byte. */

static int64_t decode(const struct atr_field *f, const uint8_t *payload)
{
	uint64_t v = 0;

	for (unsigned int i = 0; i < f->width; i++)
		v |= (uint64_t)payload[f->offset + i] << (8 * i);
	if (kind_signed(f->kind) && f->width < 8 && payload[f->offset + f->width - 1] & 0x80)
		v |= UINT64_MAX << (8 * f->width);
	return (int64_t)v;
}

static bool less(const struct atr_field *f, int64_t a, int64_t b)
{
	return kind_signed(f->kind) ? a < b : (uint64_t)a < (uint64_t)b;
}

/* Decodes UTF-8 by code point; length up to the first zero, or -1. */
static int naive_text(const uint8_t *t, unsigned int n)
{
	unsigned int i = 0;

	while (i < n && t[i]) {
		unsigned int extra = t[i] < 0x80             ? 0
				     : (t[i] & 0xE0) == 0xC0 ? 1
				     : (t[i] & 0xF0) == 0xE0 ? 2
				     : (t[i] & 0xF8) == 0xF0 ? 3
							     : 9;
		static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
		uint32_t c;

		if (extra == 9 || i + extra >= n)
			return -1;
		c = extra ? t[i] & (0x3Fu >> extra) : t[i];
		for (unsigned int k = 1; k <= extra; k++) {
			if ((t[i + k] & 0xC0) != 0x80)
				return -1;
			c = c << 6 | (t[i + k] & 0x3F);
		}
		if (c < least[extra] || c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF) || c < 0x20 ||
		    (c >= 0x7F && c <= 0x9F))
			return -1;
		i += extra + 1;
	}
	return (int)i;
}

struct model {
	struct atr_field fields[ATR_FIELDS_MAX];
	unsigned int count;
	uint32_t fixed, tail;
};

static uint8_t naive_schema(const struct model *m, const uint8_t *p, uint32_t length, bool arena)
{
	uint32_t tail = 0;

	if (arena ? length < m->fixed || length > m->fixed + m->tail
		  : length != ATR_INLINE_MAX || m->fixed > ATR_INLINE_MAX)
		return ATR_REASON_PAYLOAD_LENGTH;
	for (unsigned int i = 0; i < m->count; i++) {
		const struct atr_field *f = &m->fields[i];
		int64_t v;

		if (f->kind == ATR_FIELD_TEXT)
			continue;
		v = decode(f, p);
		if (f->has_absent && v == f->absent_raw)
			continue;
		if (less(f, v, f->min_raw) || less(f, f->max_raw, v))
			return ATR_REASON_FIELD_RANGE;
	}
	for (unsigned int i = 0; i < m->count; i++) {
		const struct atr_field *f = &m->fields[i];
		bool found = f->enum_count == 0;
		int64_t v;

		if (f->kind == ATR_FIELD_TEXT)
			continue;
		v = decode(f, p);
		found |= f->has_absent && v == f->absent_raw;
		for (unsigned int e = 0; e < f->enum_count; e++)
			found |= f->enum_raw[e] == v;
		if (!found)
			return ATR_REASON_FIELD_ENUM;
	}
	for (unsigned int i = 0; i < m->count; i++)
		if (m->fields[i].kind == ATR_FIELD_TEXT &&
		    naive_text(p + m->fields[i].offset, m->fields[i].width) < 0)
			return ATR_REASON_FIELD_TEXT;
	tail = arena ? length - m->fixed : ATR_INLINE_MAX - m->fixed;
	if (!arena && tail > m->tail)
		tail = m->tail;
	if (naive_text(p + m->fixed, tail) < (arena ? (int)tail : 0))
		return ATR_REASON_FIELD_TEXT;
	return ATR_OK;
}

static uint8_t naive_canonical(const struct model *m, const uint8_t *p, uint32_t length, bool arena)
{
	bool free_byte[ATR_BINARY_SIZE_MAX] = {false};
	uint32_t end = arena ? m->fixed : ATR_INLINE_MAX;

	for (uint32_t i = 0; i < end; i++)
		free_byte[i] = true;
	for (unsigned int i = 0; i < m->count; i++)
		for (unsigned int k = 0; k < m->fields[i].width; k++)
			free_byte[m->fields[i].offset + k] = false;
	for (uint32_t i = 0; !arena && i < m->tail && m->fixed + i < end; i++)
		free_byte[m->fixed + i] = false;
	for (uint32_t i = 0; i < end; i++)
		if (free_byte[i] && p[i])
			return ATR_REASON_PAYLOAD_PADDING;
	for (unsigned int i = 0; i <= m->count; i++) {
		uint32_t at = m->fixed, width = end - m->fixed;
		bool over = false;

		if (i == m->count) {
			if (arena)
				break;
			if (width > m->tail)
				width = m->tail;
		} else {
			if (m->fields[i].kind != ATR_FIELD_TEXT)
				continue;
			at = m->fields[i].offset;
			width = m->fields[i].width;
		}
		for (uint32_t k = at; k < at + width; k++) {
			if (over && p[k])
				return ATR_REASON_PAYLOAD_PADDING;
			over |= p[k] == 0;
		}
	}
	(void)length;
	return ATR_OK;
}

#endif
