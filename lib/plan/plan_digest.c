/* SPDX-License-Identifier: BSD-3-Clause */
/* RFC 8785 form of a document, and its SHA-256. */
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plan_internal.h"

#define SPACE_FIRST 4096
#define NUMBER_TEXT 32
#define ESCAPE_TEXT 8

_Static_assert(crypto_hash_sha256_BYTES == sizeof(((struct atr_plan *)0)->digest), "digest size");

struct writer {
	struct plan_loader *loader;
	char *text;
	size_t length, space;
	bool no_memory; /* the text is not complete */
};

static void put(struct writer *w, const char *bytes, size_t length)
{
	size_t space = w->space ? w->space : SPACE_FIRST;

	if (w->no_memory)
		return;
	while (space - w->length < length)
		space *= 2;
	if (space != w->space) {
		char *text = realloc(w->text, space);

		w->no_memory = !text;
		if (!text)
			return;
		w->text = text;
		w->space = space;
	}
	memcpy(w->text + w->length, bytes, length);
	w->length += length;
}

/* True if valid UTF-8 holds a noncharacter, which I-JSON does not allow: U+FDD0..FDEF, and the last
 * two code points of every plane. */
static bool has_noncharacter(const char *text, size_t length)
{
	const unsigned char *p = (const unsigned char *)text;

	for (size_t i = 2; i < length; i++) {
		if (p[i - 2] == 0xEF && p[i - 1] == 0xB7 && p[i] >= 0x90 && p[i] <= 0xAF)
			return true;
		if (p[i - 1] != 0xBF || p[i] < 0xBE || p[i] > 0xBF)
			continue;
		if (p[i - 2] == 0xEF || (i >= 3 && p[i - 3] >= 0xF0 && (p[i - 2] & 0x0F) == 0x0F))
			return true;
	}
	return false;
}

static int put_string(struct writer *w, const char *text, size_t length)
{
	static const char short_forms[] = "\bb\tt\nn\ff\rr\"\"\\\\";
	size_t start = 0;

	put(w, "\"", 1);
	for (size_t i = 0; i < length; i++) {
		unsigned char c = (unsigned char)text[i];
		char escape[ESCAPE_TEXT];
		const char *form;

		if (c >= ' ' && c != '"' && c != '\\')
			continue;
		put(w, text + start, i - start);
		start = i + 1;
		for (form = short_forms; *form && (unsigned char)*form != c; form += 2)
			;
		if (*form) {
			put(w, "\\", 1);
			put(w, form + 1, 1);
		} else {
			put(w, escape, (size_t)snprintf(escape, sizeof(escape), "\\u%04x", c));
		}
	}
	put(w, text + start, length - start);
	put(w, "\"", 1);
	return has_noncharacter(text, length)
		       ? plan_fail(w->loader, "noncharacters are not allowed in names and strings")
		       : 0;
}

/* UTF-8 bytes in the order of UTF-16 code units: characters beyond the basic plane (lead bytes
 * F0..F4) come before U+E000..U+FFFF (lead bytes EE and EF). */
static unsigned int utf16_rank(unsigned char c)
{
	return c == 0xEE || c == 0xEF ? c + 0x10u : c;
}

static int compare_names(const void *a, const void *b)
{
	const unsigned char *x = *(const unsigned char *const *)a;
	const unsigned char *y = *(const unsigned char *const *)b;

	while (*x && *x == *y)
		x++, y++;
	return (int)utf16_rank(*x) - (int)utf16_rank(*y);
}

static int put_value(struct writer *w, const json_t *value, unsigned int depth);

static int put_object(struct writer *w, const json_t *object, unsigned int depth)
{
	size_t count = 0;
	const char **names = malloc((json_object_size(object) + 1) * sizeof(*names));
	const char *name;
	json_t *member;
	int ret = 0;

	if (!names)
		return plan_no_memory(w->loader);
	json_object_foreach((json_t *)(uintptr_t)object, name, member) names[count++] = name;
	qsort(names, count, sizeof(*names), compare_names);
	put(w, "{", 1);
	for (size_t i = 0; i < count && ret == 0; i++) {
		size_t mark = plan_path_member(w->loader, names[i]);

		if (i)
			put(w, ",", 1);
		ret = put_string(w, names[i], strlen(names[i]));
		put(w, ":", 1);
		if (ret == 0)
			ret = put_value(w, json_object_get(object, names[i]), depth + 1);
		plan_path_cut(w->loader, mark);
	}
	put(w, "}", 1);
	free(names);
	return ret;
}

static int put_array(struct writer *w, const json_t *array, unsigned int depth)
{
	int ret = 0;

	put(w, "[", 1);
	for (size_t i = 0; i < json_array_size(array) && ret == 0; i++) {
		size_t mark = plan_path_index(w->loader, i);

		if (i)
			put(w, ",", 1);
		ret = put_value(w, json_array_get(array, i), depth + 1);
		plan_path_cut(w->loader, mark);
	}
	put(w, "]", 1);
	return ret;
}

static int put_integer(struct writer *w, const json_t *value)
{
	long long v = json_integer_value(value);
	char text[NUMBER_TEXT];

	if (v > PLAN_INTEGER_MAX || v < -PLAN_INTEGER_MAX)
		return plan_fail(w->loader, "integers beyond 2^53-1 are not allowed");
	put(w, text, (size_t)snprintf(text, sizeof(text), "%lld", v));
	return 0;
}

static int put_value(struct writer *w, const json_t *value, unsigned int depth)
{
	char text[NUMBER_TEXT];

	if (depth > PLAN_DEPTH_MAX)
		return plan_fail(w->loader, "nested deeper than %u", PLAN_DEPTH_MAX);
	switch (json_typeof(value)) {
	case JSON_OBJECT: return put_object(w, value, depth);
	case JSON_ARRAY: return put_array(w, value, depth);
	case JSON_STRING: return put_string(w, json_string_value(value), json_string_length(value));
	case JSON_INTEGER: return put_integer(w, value);
	case JSON_REAL:
		put(w, text, (size_t)atr_json_number(json_real_value(value), text));
		return 0;
	case JSON_TRUE: put(w, "true", 4); return 0;
	case JSON_FALSE: put(w, "false", 5); return 0;
	case JSON_NULL: put(w, "null", 4); return 0;
	}
	return plan_fail(w->loader, "is of no JSON type");
}

int plan_canonical(struct plan_loader *loader, const json_t *document)
{
	struct atr_plan *plan = loader->plan;
	struct writer w = {.loader = loader};
	int ret = put_value(&w, document, 0);

	plan->document = w.text;
	plan->document_length = w.length;
	if (ret == 0 && w.no_memory)
		return plan_no_memory(loader);
	if (ret == 0)
		crypto_hash_sha256(plan->digest, (const uint8_t *)w.text, w.length);
	return ret;
}
