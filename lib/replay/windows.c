/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "replay_internal.h"

#define FRAMES_FIRST 16
#define WORD_BITS    64

bool replay_windows_fit(struct atr_replay *replay, uint32_t slots)
{
	struct replay_window **window;

	if (slots <= replay->window_slots)
		return true;
	window = realloc(replay->window, slots * sizeof(struct replay_window *));
	if (!window)
		return false;
	memset(window + replay->window_slots, 0,
	       (slots - replay->window_slots) * sizeof(struct replay_window *));
	replay->window = window;
	replay->window_slots = slots;
	return true;
}

void replay_windows_free(struct atr_replay *replay)
{
	for (uint32_t i = 0; i < replay->window_slots; i++) {
		if (!replay->window[i])
			continue;
		free(replay->window[i]->frame);
		free(replay->window[i]->taken);
		free(replay->window[i]);
	}
	free(replay->window);
}

static bool is_stale(const struct replay_window *window, const struct atr_replay_frame *frame)
{
	uint64_t end =
		frame->first > UINT64_MAX - frame->count ? UINT64_MAX : frame->first + frame->count;

	return end <= window->floor;
}

/* Removes the frames wholly below the floor. */
static void sweep(struct replay_window *window)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < window->count; i++)
		if (!is_stale(window, &window->frame[i]))
			window->frame[kept++] = window->frame[i];
	window->count = kept;
}

/* Room for one frame more; false when out of memory. Where it sweeps or grows, half of the room is
 * free then: a frame costs one sweep or copy on average. */
static bool make_room(struct replay_window *window)
{
	uint32_t space = window->space ? window->space * 2 : FRAMES_FIRST;
	struct atr_replay_frame *frame;

	if (window->count < window->space)
		return true;
	sweep(window);
	if (window->count < window->space / 2)
		return true;
	frame = realloc(window->frame, space * sizeof(*frame));
	if (!frame)
		return false;
	window->frame = frame;
	window->space = space;
	return true;
}

static bool is_taken(const struct replay_window *window, uint64_t sequence)
{
	uint32_t at = (uint32_t)sequence & (window->size - 1);

	return window->taken[at / WORD_BITS] >> (at % WORD_BITS) & 1;
}

static void take(struct replay_window *window, uint64_t sequence)
{
	uint32_t at = (uint32_t)sequence & (window->size - 1);

	window->taken[at / WORD_BITS] |= UINT64_C(1) << (at % WORD_BITS);
}

/* Frees the places of the sequences [window->next, next). */
static void clear(struct replay_window *window, uint64_t next)
{
	uint64_t sequence = window->next;

	if (next - sequence >= window->size) {
		memset(window->taken, 0, window->size / 8);
		return;
	}
	while (sequence < next) {
		uint32_t at = (uint32_t)sequence & (window->size - 1);
		uint32_t bits = WORD_BITS - at % WORD_BITS;
		uint64_t mask = ~UINT64_C(0);

		if (bits > next - sequence)
			bits = (uint32_t)(next - sequence);
		if (bits < WORD_BITS)
			mask = ((UINT64_C(1) << bits) - 1) << (at % WORD_BITS);
		window->taken[at / WORD_BITS] &= ~mask;
		sequence += bits;
	}
}

static void raise_floor(struct replay_window *window)
{
	if (window->next > window->size && window->next - window->size > window->floor)
		window->floor = window->next - window->size;
}

bool replay_window_resize(struct replay_window *window, uint32_t size)
{
	uint64_t *taken = calloc(size / WORD_BITS, sizeof(*taken));

	if (!taken)
		return false;
	free(window->taken);
	window->taken = taken;
	window->size = size;
	raise_floor(window);
	for (uint32_t i = 0; i < window->count; i++) {
		const struct atr_replay_frame *frame = &window->frame[i];

		for (unsigned int e = 0; e < frame->count; e++)
			if (replay_bit(frame->admitted, e) && frame->first + e >= window->floor)
				take(window, frame->first + e);
	}
	return true;
}

static struct replay_window *window_of(struct atr_replay *replay, const struct atr_source *source)
{
	struct replay_window **window = &replay->window[source->id];

	if (!*window)
		*window = calloc(1, sizeof(struct replay_window));
	if (*window && (*window)->size != source->window &&
	    !replay_window_resize(*window, source->window))
		return NULL;
	return *window;
}

int replay_window_put(struct atr_replay *replay, const struct atr_source *source,
		      const struct atr_replay_frame *frame)
{
	struct replay_window *window = window_of(replay, source);
	unsigned int low = 0, high = frame->count - 1u;
	uint64_t next;

	if (!window || !make_room(window))
		return -ENOMEM;
	while (!replay_bit(frame->admitted, low))
		low++;
	while (!replay_bit(frame->admitted, high))
		high--;
	if (frame->first + low < window->floor)
		return -ESTALE;
	for (unsigned int e = low; e <= high && frame->first + e < window->next; e++)
		if (replay_bit(frame->admitted, e) && is_taken(window, frame->first + e))
			return -EEXIST;
	next = frame->first + high;
	next += next < UINT64_MAX;
	if (next > window->next) {
		clear(window, next);
		window->next = next;
		raise_floor(window);
	}
	for (unsigned int e = low; e <= high; e++)
		if (replay_bit(frame->admitted, e) && frame->first + e >= window->floor)
			take(window, frame->first + e);
	window->frame[window->count++] = *frame;
	return 0;
}

static int by_sequence(const void *a, const void *b)
{
	const struct atr_replay_frame *x = a, *y = b;

	if (x->first != y->first)
		return x->first < y->first ? -1 : 1;
	return (x->position > y->position) - (x->position < y->position);
}

void replay_window_settle(struct replay_window *window)
{
	sweep(window);
	if (window->count)
		qsort(window->frame, window->count, sizeof(*window->frame), by_sequence);
}

int atr_replay_frames(const struct atr_replay *replay,
		      int (*fn)(void *ctx, uint32_t source, const struct atr_replay_frame *frame),
		      void *ctx)
{
	int ret = 0;

	for (uint32_t s = 0; s < replay->window_slots && ret == 0; s++) {
		struct replay_window *window = replay->window[s];

		if (!window || window->count == 0)
			continue;
		replay_window_settle(window);
		for (uint32_t i = 0; i < window->count && ret == 0; i++)
			ret = fn(ctx, s, &window->frame[i]);
	}
	return ret;
}

uint64_t atr_replay_next(const struct atr_replay *replay, uint32_t source)
{
	return source < replay->window_slots && replay->window[source]
		       ? replay->window[source]->next
		       : 0;
}

uint64_t atr_replay_floor(const struct atr_replay *replay, uint32_t source)
{
	return source < replay->window_slots && replay->window[source]
		       ? replay->window[source]->floor
		       : 0;
}
