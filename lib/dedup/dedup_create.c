/* SPDX-License-Identifier: BSD-3-Clause */
#include "dedup.h"

#include <sodium.h>

#include "../memory/memory.h"
#include "dedup_internal.h"

_Static_assert(sizeof(((struct atr_tag_key *)0)->bytes) == crypto_shorthash_KEYBYTES,
	       "a tag key is a SipHash key");

size_t atr_window_footprint(uint32_t size)
{
	return sizeof(struct atr_window) + (size_t)size * sizeof(uint32_t);
}

struct atr_window *atr_window_create(uint32_t size, uint32_t max_ahead, uint64_t start, int socket)
{
	struct atr_window *window;

	if (size < WINDOW_SIZE_MIN || size > WINDOW_SIZE_MAX || (size & (size - 1)))
		return NULL;
	window = atr_memory_alloc(atr_window_footprint(size), socket);
	if (!window)
		return NULL;
	window->start = start;
	window->top = start;
	window->mask = size - 1;
	window->max_ahead = max_ahead;
	return window;
}

void atr_window_free(struct atr_window *window)
{
	atr_memory_free(window);
}

void atr_tag_key_init(struct atr_tag_key *key)
{
	randombytes_buf(key->bytes, sizeof(key->bytes));
}
