/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <string.h>

#include "../envelope/envelope.h"
#include "query_internal.h"

#define DECIMAL   10
#define UUID_DASH 8 /* where the first one stands */

static int parse_number(const char *text, size_t length, uint64_t max, uint64_t *out)
{
	uint64_t value = 0;

	if (length == 0)
		return -EINVAL;
	for (size_t i = 0; i < length; i++)
		if (text[i] < '0' || text[i] > '9' ||
		    __builtin_mul_overflow(value, DECIMAL, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(text[i] - '0'), &value))
			return -EINVAL;
	*out = value;
	return value <= max ? 0 : -EINVAL;
}

int atr_query_identity(const char *text, size_t length, struct atr_query_key *key)
{
	const char *colon = length ? memchr(text, ':', length) : NULL;
	size_t before = colon ? (size_t)(colon - text) : 0, behind = length - before - 1;
	uint64_t source;

	if (!colon || parse_number(text, before, UINT32_MAX, &source))
		return -EINVAL;
	*key = (struct atr_query_key){.source = (uint32_t)source};
	key->by_uuid = behind > UUID_DASH && colon[1 + UUID_DASH] == '-';
	return key->by_uuid ? atr_uuid7_parse(colon + 1, behind, key->uuid)
			    : parse_number(colon + 1, behind, UINT64_MAX, &key->sequence);
}
