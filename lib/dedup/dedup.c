/* SPDX-License-Identifier: BSD-3-Clause */
#include "dedup.h"

#include <sodium.h>
#include <string.h>

#include "../reason/reason.h"
#include "dedup_internal.h"

/* A part of a frame's range: events begin..end-1. */
struct part {
	unsigned int begin, end;
};

uint32_t atr_tag(const struct atr_tag_key *key, const uint8_t leaf[ATR_TAG_LEAF])
{
	uint8_t out[crypto_shorthash_BYTES];
	uint32_t tag;

	crypto_shorthash(out, leaf, ATR_TAG_LEAF, key->bytes);
	memcpy(&tag, out, sizeof(tag));
	return tag == TAG_FREE ? 1 : tag;
}

uint64_t atr_window_floor(const struct atr_window *window)
{
	uint64_t size = (uint64_t)window->mask + 1;
	uint64_t low = window->top > size ? window->top - size : 0;

	return low > window->start ? low : window->start;
}

uint64_t atr_window_top(const struct atr_window *window)
{
	return window->top;
}

/* Lowest sequence that is AHEAD. */
static uint64_t window_limit(const struct atr_window *window)
{
	uint64_t room = UINT64_MAX - window->top;

	return window->max_ahead < room ? window->top + window->max_ahead : UINT64_MAX;
}

/* Number of events of [first, first + count) that lie below bound. */
static unsigned int events_below(uint64_t first, unsigned int count, uint64_t bound)
{
	if (bound <= first)
		return 0;
	return bound - first < count ? (unsigned int)(bound - first) : count;
}

static void refuse(uint8_t *reason, struct part part, uint8_t why)
{
	for (unsigned int i = part.begin; i < part.end; i++)
		reason[i] = reason[i] == ATR_OK ? why : reason[i];
}

/* Events whose slots are slot[0..count), without wrap. */
static void test_slots(const uint32_t *slot, unsigned int count, uint32_t tag, uint8_t *reason)
{
	uint32_t taken = 0, differ = 0;

	for (unsigned int i = 0; i < count; i++) {
		taken |= slot[i];
		differ |= slot[i] ^ tag;
	}
	if (taken == TAG_FREE)
		return;
	if (differ == 0) {
		refuse(reason, (struct part){0, count}, ATR_DUPLICATE);
		return;
	}
	for (unsigned int i = 0; i < count; i++)
		if (slot[i] != TAG_FREE && reason[i] == ATR_OK)
			reason[i] = slot[i] == tag ? ATR_DUPLICATE : ATR_REASON_CONFLICT;
}

unsigned int atr_window_test(const struct atr_window *window, uint64_t first, unsigned int count,
			     uint32_t tag, uint8_t *reason)
{
	unsigned int stale = events_below(first, count, atr_window_floor(window));
	unsigned int known = events_below(first, count, window->top);
	unsigned int near = events_below(first, count, window_limit(window));
	unsigned int left = 0;

	if (stale)
		refuse(reason, (struct part){0, stale}, ATR_REASON_STALE);
	if (near < count)
		refuse(reason, (struct part){near, count}, ATR_REASON_AHEAD);
	for (unsigned int i = stale; i < known;) {
		uint32_t at = (uint32_t)(first + i) & window->mask;
		unsigned int run = window->mask + 1 - at;

		if (run > known - i)
			run = known - i;
		test_slots(window->tag + at, run, tag, reason + i);
		i += run;
	}
	for (unsigned int i = 0; i < count; i++)
		left += reason[i] == ATR_OK;
	return left;
}

/* Frees the slots of sequences from..to-1. */
static void clear_slots(struct atr_window *window, uint64_t from, uint64_t to)
{
	uint64_t size = (uint64_t)window->mask + 1;

	if (to - from >= size) {
		memset(window->tag, 0, size * sizeof(window->tag[0]));
		return;
	}
	while (from < to) {
		uint32_t at = (uint32_t)from & window->mask;
		uint64_t run = size - at < to - from ? size - at : to - from;

		memset(window->tag + at, 0, run * sizeof(window->tag[0]));
		from += run;
	}
}

static unsigned int last_admitted(const uint8_t *reason, unsigned int count)
{
	while (count > 0 && reason[count - 1] != ATR_OK)
		count--;
	return count;
}

void atr_window_set(struct atr_window *window, uint64_t first, unsigned int count, uint32_t tag,
		    const uint8_t *reason)
{
	uint64_t top;
	unsigned int begin;

	count = last_admitted(reason, count);
	if (count == 0)
		return;
	top = first + count;
	if (top > window->top) {
		clear_slots(window, window->top, top);
		window->top = top;
	}
	/* A frame longer than the window is remembered as far as the window reaches. */
	begin = events_below(first, count, atr_window_floor(window));
	for (unsigned int i = begin; i < count;) {
		uint32_t at = (uint32_t)(first + i) & window->mask;
		unsigned int run = window->mask + 1 - at;
		uint32_t *slot = window->tag + at;

		if (run > count - i)
			run = count - i;
		for (unsigned int j = 0; j < run; j++)
			slot[j] = reason[i + j] == ATR_OK ? tag : slot[j];
		i += run;
	}
}
