/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "schema_internal.h"

static int compare_bytes(const char *a, size_t a_length, const char *b, size_t b_length)
{
	if (a_length != b_length)
		return a_length < b_length ? -1 : 1;
	return memcmp(a, b, a_length);
}

static int compare_children(const struct atr_json *a, const struct atr_json *b)
{
	bool object = a->type == ATR_JSON_OBJECT;
	int order = 0;

	if (a->count != b->count)
		return a->count < b->count ? -1 : 1;
	a = a->child;
	b = b->child;
	for (; a && b && order == 0; a = a->next, b = b->next) {
		if (object)
			order = compare_bytes(a->name, a->name_length, b->name, b->name_length);
		if (order == 0)
			order = schema_compare(a, b);
	}
	return order;
}

int schema_compare(const struct atr_json *a, const struct atr_json *b)
{
	if (a->type != b->type)
		return a->type < b->type ? -1 : 1;
	switch (a->type) {
	case ATR_JSON_NUMBER: return a->number < b->number ? -1 : a->number > b->number;
	case ATR_JSON_STRING:
		return compare_bytes(a->string, a->string_length, b->string, b->string_length);
	case ATR_JSON_ARRAY:
	case ATR_JSON_OBJECT: return compare_children(a, b);
	default: return 0;
	}
}

static void sift_down(const struct atr_json **values, size_t at, size_t count)
{
	for (;;) {
		size_t child = 2 * at + 1;
		const struct atr_json *swap;

		if (child >= count)
			return;
		if (child + 1 < count && schema_compare(values[child], values[child + 1]) < 0)
			child++;
		if (schema_compare(values[at], values[child]) >= 0)
			return;
		swap = values[at];
		values[at] = values[child];
		values[child] = swap;
		at = child;
	}
}

/* Heap sort: in place, and no input makes it slow. */
void schema_sort(const struct atr_json **values, size_t count)
{
	for (size_t i = count / 2; i > 0; i--)
		sift_down(values, i - 1, count);
	for (size_t left = count; left > 1; left--) {
		const struct atr_json *swap = values[0];

		values[0] = values[left - 1];
		values[left - 1] = swap;
		sift_down(values, 0, left - 1);
	}
}

bool schema_unique(const struct atr_json *array, const struct atr_json **scratch)
{
	size_t count = 0;

	if (array->count <= SCHEMA_PAIRWISE_MAX) {
		for (const struct atr_json *a = array->child; a; a = a->next)
			for (const struct atr_json *b = a->next; b; b = b->next)
				if (atr_json_equal(a, b))
					return false;
		return true;
	}
	for (const struct atr_json *a = array->child; a && count < ATR_JSON_NODES_MAX; a = a->next)
		scratch[count++] = a;
	schema_sort(scratch, count);
	for (size_t i = 1; i < count; i++)
		if (schema_compare(scratch[i - 1], scratch[i]) == 0)
			return false;
	return true;
}
