/* SPDX-License-Identifier: BSD-3-Clause */
/* The data path against a naive memory that takes frames one by one, in the order in which they
 * came: which events are admitted, with which bytes and in which order, and what every other one
 * is refused for. Sources, ranges, order, duplicates, conflicts and batch sizes are random. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <sodium.h>

#include "rig.h"

#define TREE       60
#define SOURCES    3
#define EVENTS_MAX 16
#define TAKEN_MAX  65536
#define OUT_MAX    8192

struct taken {
	uint64_t sequence;
	unsigned int frame; /* which bytes */
};

struct model {
	uint64_t top;
	unsigned int used;
	struct taken *taken;
};

struct expected {
	uint64_t sequence;
	uint32_t value;
};

struct world {
	uint32_t window, max_ahead;
	uint64_t start;
	struct model source[SOURCES + 1];
	struct expected *out[SOURCES + 1]; /* admitted, in order */
	unsigned int out_count[SOURCES + 1];
	bool loose;
	uint64_t admitted, duplicate, refused[256];
};

static uint64_t floor_of(const struct world *w, const struct model *m)
{
	uint64_t low = m->top > w->window ? m->top - w->window : 0;

	return low > w->start ? low : w->start;
}

static uint8_t model_reason(const struct world *w, const struct model *m, uint64_t sequence,
			    unsigned int frame)
{
	if (sequence < floor_of(w, m))
		return ATR_REASON_STALE;
	if (sequence >= m->top + w->max_ahead)
		return ATR_REASON_AHEAD;
	for (unsigned int i = m->used; i > 0; i--)
		if (m->taken[i - 1].sequence == sequence)
			return m->taken[i - 1].frame == frame ? ATR_DUPLICATE : ATR_REASON_CONFLICT;
	return ATR_OK;
}

/* One frame; identity of its bytes is `frame`. */
static void model_frame(struct world *w, const struct rig_frame *f, unsigned int frame)
{
	struct model *m = &w->source[f->source];
	uint8_t reason[EVENTS_MAX];

	for (unsigned int e = 0; e < f->count; e++)
		reason[e] = model_reason(w, m, f->first + e, frame);
	for (unsigned int e = 0; e < f->count; e++) {
		if (reason[e] == ATR_DUPLICATE) {
			w->duplicate++;
			continue;
		}
		if (reason[e] != ATR_OK) {
			w->refused[reason[e]]++;
			continue;
		}
		w->admitted++;
		assert_true(m->used < TAKEN_MAX);
		m->taken[m->used++] = (struct taken){f->first + e, frame};
		if (f->first + e + 1 > m->top)
			m->top = f->first + e + 1;
		assert_true(w->out_count[f->source] < OUT_MAX);
		w->out[f->source][w->out_count[f->source]++] =
			(struct expected){f->first + e, f->value + e};
	}
}

static uint64_t random_first(const struct world *w, uint64_t centre)
{
	uint64_t first;

	switch (randombytes_uniform(8)) {
	case 0: first = centre + randombytes_uniform(8); break;
	case 1: first = centre + w->max_ahead - randombytes_uniform(EVENTS_MAX); break;
	case 2: first = centre + randombytes_uniform(w->max_ahead + 20); break;
	case 3: first = centre - randombytes_uniform(w->window + 20); break;
	case 4: first = centre + w->window - randombytes_uniform(EVENTS_MAX); break;
	default: first = centre - randombytes_uniform(30); break;
	}
	return (int64_t)first < 0 ? randombytes_uniform(10) : first;
}

/* Trees of one round, a source each; walks on from where the source is. */
static void make_round(struct rig *rig, const struct world *w,
		       struct rig_frame frame[SOURCES + 1][TREE],
		       struct rig_datagram data[SOURCES + 1][TREE], unsigned int round)
{
	for (uint32_t s = 1; s <= SOURCES; s++) {
		uint64_t centre = w->source[s].top;

		for (unsigned int i = 0; i < TREE; i++) {
			frame[s][i] = (struct rig_frame){
				.source = s,
				.first = random_first(w, centre),
				.count = 1 + randombytes_uniform(EVENTS_MAX),
				.value = 1000 * (round % 100) + EVENTS_MAX * i,
			};
			centre += randombytes_uniform(12);
		}
		rig_tree(rig, frame[s], TREE, data[s]);
	}
}

static int by_sequence(const void *a, const void *b)
{
	const struct expected *x = a, *y = b;

	return x->sequence < y->sequence ? -1 : x->sequence > y->sequence;
}

/* Deferral may let frames that do not touch each other change places: each sequence must be there
 * once, with the bytes that came first. */
static void compare_events(struct world *w, const struct rig_event *event, unsigned int n)
{
	static struct expected left[SOURCES + 1][OUT_MAX];
	unsigned int count[SOURCES + 1] = {0};

	for (unsigned int i = 0; i < n; i++) {
		uint32_t s = event[i].source;

		if (event[i].feed != 0)
			continue;
		assert_in_range(s, 1, SOURCES);
		assert_true(count[s] < w->out_count[s]);
		left[s][count[s]++] = (struct expected){event[i].sequence, event[i].value};
	}
	for (uint32_t s = 1; s <= SOURCES; s++) {
		assert_int_equal(count[s], w->out_count[s]);
		qsort(left[s], count[s], sizeof(left[s][0]), by_sequence);
		qsort(w->out[s], count[s], sizeof(w->out[s][0]), by_sequence);
		for (unsigned int i = 0; i < count[s]; i++) {
			assert_true(left[s][i].sequence == w->out[s][i].sequence);
			assert_int_equal(left[s][i].value, w->out[s][i].value);
		}
		w->out_count[s] = 0;
	}
}

static void compare(struct rig *rig, struct world *w)
{
	static struct rig_event event[OUT_MAX * SOURCES * 2];
	unsigned int n = rig_collect(rig, event, RTE_DIM(event));
	struct atr_ledger_total t = rig_events(rig);

	assert_true(n <= RTE_DIM(event));
	assert_int_equal(t.admitted, w->admitted);
	assert_int_equal(t.refused[ATR_REASON_CONFLICT], w->refused[ATR_REASON_CONFLICT]);
	assert_int_equal(t.refused[ATR_REASON_AHEAD], w->refused[ATR_REASON_AHEAD]);
	assert_int_equal(t.refused[ATR_REASON_STALE], w->refused[ATR_REASON_STALE]);
	assert_int_equal(t.duplicate, w->duplicate);
	assert_int_equal(t.in_hold, 0);
	compare_events(w, event, n);
}

/* Frames that wait for the disk more than once may be judged behind younger ones: then what must
 * hold is that no sequence leaves twice, and each with the bytes of a frame that was sent. */
static void compare_loosely(struct rig *rig, struct world *w,
			    struct rig_frame frame[SOURCES + 1][TREE], unsigned int round)
{
	static struct rig_event event[OUT_MAX * SOURCES * 2];
	unsigned int n = rig_collect(rig, event, RTE_DIM(event));
	struct atr_ledger_total t = rig_events(rig);
	uint64_t seen = 0;

	for (unsigned int i = 0; i < n; i++) {
		struct model *m = &w->source[event[i].source];
		unsigned int k = (event[i].value - 1000 * (round % 100)) / EVENTS_MAX;

		if (event[i].feed != 0)
			continue;
		seen++;
		assert_true(k < TREE);
		assert_true(event[i].sequence - frame[event[i].source][k].first ==
			    (event[i].value - 1000 * (round % 100)) % EVENTS_MAX);
		for (unsigned int j = 0; j < m->used; j++)
			assert_true(m->taken[j].sequence != event[i].sequence);
		m->taken[m->used++] = (struct taken){event[i].sequence, 0};
		if (event[i].sequence + 1 > m->top)
			m->top = event[i].sequence + 1;
	}
	w->admitted += seen;
	assert_int_equal(t.admitted, w->admitted);
	assert_int_equal(t.in_hold, 0);
}

/* Sends what a round made: some frames several times, in batches of up to `batch`. The first frame
 * of a tree goes alone, so that its root is proven and order is the order of arrival. */
static void play(struct rig *rig, struct world *w, struct rig_frame frame[SOURCES + 1][TREE],
		 struct rig_datagram data[SOURCES + 1][TREE], unsigned int round,
		 unsigned int batch, bool proven)
{
	unsigned int in_batch = 0;

	for (unsigned int i = 0; i < SOURCES * TREE * 3 / 2; i++) {
		uint32_t s = 1 + randombytes_uniform(SOURCES);
		unsigned int k = i < SOURCES ? 0 : randombytes_uniform(TREE);

		if (i < SOURCES)
			s = i + 1;
		rig_inject(rig, 0, s % rig->shards, &data[s][k]);
		if (!w->loose)
			model_frame(w, &frame[s][k], round * TREE + k);
		if (proven && i < SOURCES) {
			rig_settle(rig);
			continue;
		}
		if (++in_batch < 1 + randombytes_uniform(batch))
			continue;
		in_batch = 0;
		for (unsigned int sh = 0; sh < rig->shards; sh++)
			rig_turn(rig, sh);
		if (randombytes_uniform(4) == 0)
			atr_control_run(rig->control);
	}
	rig_settle(rig);
}

static void run(unsigned int window, unsigned int max_ahead, uint64_t start, unsigned int shards,
		unsigned int rounds, unsigned int batch)
{
	static struct rig_frame frame[SOURCES + 1][TREE];
	static struct rig_datagram data[SOURCES + 1][TREE];
	struct rig_options options = {
		.window = window, .max_ahead = max_ahead, .start = start, .shards = shards};
	struct rig *rig = rig_start(&options);
	struct world w = {.window = window,
			  .max_ahead = max_ahead,
			  .start = start,
			  .loose = max_ahead > ATR_RESERVE_AHEAD};

	for (uint32_t s = 1; s <= SOURCES; s++) {
		w.source[s].top = start;
		w.source[s].taken = calloc(TAKEN_MAX, sizeof(struct taken));
		w.out[s] = calloc(OUT_MAX, sizeof(struct expected));
	}
	for (unsigned int round = 0; round < rounds; round++) {
		make_round(rig, &w, frame, data, round);
		play(rig, &w, frame, data, round, batch, round % 2 == 0);
		if (w.loose)
			compare_loosely(rig, &w, frame, round);
		else
			compare(rig, &w);
	}
	for (uint32_t s = 1; s <= SOURCES; s++) {
		free(w.source[s].taken);
		free(w.out[s]);
	}
	rig_stop(rig);
}

static void small_batches(void **state)
{
	(void)state;
	run(64, 200, 0, 1, 12, 1);
	run(64, 50, 0, 1, 12, 4);
}

static void large_batches(void **state)
{
	(void)state;
	run(64, 200, 0, 1, 12, 64);
	run(128, 40, 5000, 1, 12, 64);
	run(256, 1000, 0, 1, 12, 32);
}

static void two_shards(void **state)
{
	(void)state;
	run(64, 100, 1, 2, 12, 64);
}

/* Sequences jump by more than a reservation, so that frames wait for the disk again and again. */
static void reserving(void **state)
{
	(void)state;
	run(64, 3u << 20, 0, 1, 12, 64);
	run(256, 3u << 20, 77, 2, 12, 16);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(small_batches),
		cmocka_unit_test(large_batches),
		cmocka_unit_test(two_shards),
		cmocka_unit_test(reserving),
	};

	return cmocka_run_group_tests(tests, rig_boot, rig_end);
}
