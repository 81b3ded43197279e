/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "json_internal.h"

#define LEAD_HIGH_BMP 0xEE /* first byte of U+E000..U+FFFF */
#define LEAD_ASTRAL   0xF0

int atr_json_compare_names(const char *a, size_t a_length, const char *b, size_t b_length)
{
	size_t shorter = a_length < b_length ? a_length : b_length;
	size_t i = 0;
	uint8_t x, y;

	while (i < shorter && a[i] == b[i])
		i++;
	if (i == shorter)
		return a_length < b_length ? -1 : a_length > b_length;
	x = (uint8_t)a[i];
	y = (uint8_t)b[i];
	/* UTF-8 sorts like code points; UTF-16 puts surrogates, hence astral characters, before
	 * U+E000..U+FFFF. */
	if (x >= LEAD_HIGH_BMP && y >= LEAD_HIGH_BMP && (x >= LEAD_ASTRAL) != (y >= LEAD_ASTRAL))
		return x >= LEAD_ASTRAL ? -1 : 1;
	return x < y ? -1 : 1;
}

const struct atr_json *atr_json_member(const struct atr_json *object, const char *name)
{
	size_t length = strlen(name);

	if (object->type != ATR_JSON_OBJECT)
		return NULL;
	for (const struct atr_json *m = object->child; m; m = m->next)
		if (m->name_length == length && memcmp(m->name, name, length) == 0)
			return m;
	return NULL;
}

bool atr_json_string_is(const struct atr_json *value, const char *text)
{
	size_t length = strlen(text);

	return value->type == ATR_JSON_STRING && value->string_length == length &&
	       memcmp(value->string, text, length) == 0;
}

static bool equal_children(const struct atr_json *a, const struct atr_json *b)
{
	bool object = a->type == ATR_JSON_OBJECT;

	if (a->count != b->count)
		return false;
	a = a->child;
	b = b->child;
	for (; a && b; a = a->next, b = b->next) {
		if (object && (a->name_length != b->name_length ||
			       memcmp(a->name, b->name, a->name_length) != 0))
			return false;
		if (!atr_json_equal(a, b))
			return false;
	}
	return !a && !b;
}

bool atr_json_equal(const struct atr_json *a, const struct atr_json *b)
{
	if (a->type != b->type)
		return false;
	switch (a->type) {
	case ATR_JSON_NUMBER: return a->number == b->number;
	case ATR_JSON_STRING:
		return a->string_length == b->string_length &&
		       memcmp(a->string, b->string, a->string_length) == 0;
	case ATR_JSON_ARRAY:
	case ATR_JSON_OBJECT: return equal_children(a, b);
	default: return true;
	}
}
