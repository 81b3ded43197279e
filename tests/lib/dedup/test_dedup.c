/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <sodium.h>

#include "../../../lib/dedup/dedup.h"
#include "../../../lib/reason/reason.h"

#define EVENTS_MAX 200 /* more than a frame holds, and more than the smallest window */
#define TAG_A      0xA1u
#define TAG_B      0xB2u

/* What the header promises, with a list of everything ever taken. */
struct model {
	uint64_t start, top;
	uint32_t size, max_ahead;
	unsigned int used;
	struct {
		uint64_t sequence;
		uint32_t tag;
	} taken[1 << 14];
};

static uint64_t model_floor(const struct model *m)
{
	uint64_t low = m->top > m->size ? m->top - m->size : 0;

	return low > m->start ? low : m->start;
}

static uint8_t model_reason(const struct model *m, uint64_t sequence, uint32_t tag)
{
	unsigned __int128 limit = (unsigned __int128)m->top + m->max_ahead;

	if (limit > UINT64_MAX)
		limit = UINT64_MAX;
	if (sequence < model_floor(m))
		return ATR_REASON_STALE;
	if (sequence >= limit)
		return ATR_REASON_AHEAD;
	for (unsigned int i = m->used; i > 0; i--)
		if (m->taken[i - 1].sequence == sequence)
			return m->taken[i - 1].tag == tag ? ATR_DUPLICATE : ATR_REASON_CONFLICT;
	return ATR_OK;
}

static void model_set(struct model *m, uint64_t sequence, uint32_t tag)
{
	/* Forget what can no longer matter, so that the list stays short. */
	if (m->used == sizeof(m->taken) / sizeof(m->taken[0])) {
		unsigned int kept = 0;

		for (unsigned int i = 0; i < m->used; i++)
			if (m->taken[i].sequence >= model_floor(m))
				m->taken[kept++] = m->taken[i];
		m->used = kept;
	}
	assert_true(m->used < sizeof(m->taken) / sizeof(m->taken[0]));
	m->taken[m->used].sequence = sequence;
	m->taken[m->used++].tag = tag;
	if (sequence + 1 > m->top)
		m->top = sequence + 1;
}

/* One frame through window and model; they must agree in every event. */
static void step(struct atr_window *window, struct model *m, uint64_t first, unsigned int count,
		 uint32_t tag, const uint8_t *before, int set)
{
	uint8_t reason[EVENTS_MAX + 1], expected[EVENTS_MAX];
	unsigned int left, expected_left = 0;

	memcpy(reason, before, count);
	reason[count] = 0x5A;
	for (unsigned int i = 0; i < count; i++) {
		expected[i] = before[i] == ATR_OK ? model_reason(m, first + i, tag) : before[i];
		expected_left += expected[i] == ATR_OK;
	}
	left = atr_window_test(window, first, count, tag, reason);
	assert_memory_equal(reason, expected, count);
	assert_int_equal(reason[count], 0x5A);
	assert_int_equal(left, expected_left);
	if (set) {
		atr_window_set(window, first, count, tag, reason);
		for (unsigned int i = 0; i < count; i++)
			if (expected[i] == ATR_OK)
				model_set(m, first + i, tag);
	}
	assert_true(atr_window_top(window) == m->top);
	assert_true(atr_window_floor(window) == model_floor(m));
}

static void random_run(uint64_t start, uint32_t size, uint32_t max_ahead, unsigned int steps)
{
	static struct model m;
	struct atr_window *window = atr_window_create(size, max_ahead, start, 0);

	assert_non_null(window);
	m.start = m.top = start;
	m.size = size;
	m.max_ahead = max_ahead;
	m.used = 0;
	for (unsigned int n = 0; n < steps; n++) {
		unsigned int count = 1 + randombytes_uniform(EVENTS_MAX);
		uint64_t centre = m.top, first;
		uint8_t before[EVENTS_MAX] = {0};

		switch (randombytes_uniform(6)) {
		case 0: first = centre; break;
		case 1: first = centre - randombytes_uniform(size + 100); break;
		case 2: first = centre + randombytes_uniform(100); break;
		case 3: first = centre + max_ahead - randombytes_uniform(EVENTS_MAX); break;
		case 4: first = model_floor(&m) - randombytes_uniform(EVENTS_MAX); break;
		default: first = centre - randombytes_uniform(300); break;
		}
		if (first > UINT64_MAX - count + 1)
			first = UINT64_MAX - count + 1;
		if (randombytes_uniform(3) == 0)
			for (unsigned int i = 0; i < count; i++)
				before[i] =
					randombytes_uniform(3) ? ATR_OK : ATR_REASON_FIELD_RANGE;
		step(window, &m, first, count, 1 + randombytes_uniform(3), before,
		     randombytes_uniform(4) != 0);
	}
	atr_window_free(window);
}

/* Invariant: the window answers as a complete memory would, anywhere in the sequence space. */
static void agrees_with_a_naive_model(void **state)
{
	(void)state;
	random_run(0, 64, 1000, 400);
	random_run(0, 256, 100, 400);
	random_run(1, 64, 64, 400);
	random_run(1000000, 1024, 5000, 400);
	random_run(UINT64_MAX - 20000, 256, 300, 400);
	random_run(UINT64_MAX - 100, 64, 1000, 500);
	random_run(UINT64_MAX, 64, 1000, 100);
	random_run(UINT32_MAX - 500ull, 4096, 10000, 400);
	random_run(5, 128, 0, 100);
	random_run(5, 128, 1, 500);
	random_run(7, 64, UINT32_MAX, 500);
}

static uint8_t ask(struct atr_window *window, uint64_t sequence, uint32_t tag)
{
	uint8_t reason = ATR_OK;

	atr_window_test(window, sequence, 1, tag, &reason);
	return reason;
}

static void take(struct atr_window *window, uint64_t sequence, uint32_t tag)
{
	uint8_t reason = ATR_OK;

	assert_int_equal(atr_window_test(window, sequence, 1, tag, &reason), 1);
	atr_window_set(window, sequence, 1, tag, &reason);
}

/* Invariant: the edges of the window are where the header puts them. */
static void edges(void **state)
{
	struct atr_window *w = atr_window_create(64, 100, 10, 0);

	(void)state;
	assert_non_null(w);
	assert_int_equal(ask(w, 9, TAG_A), ATR_REASON_STALE);
	assert_int_equal(ask(w, 10, TAG_A), ATR_OK);
	assert_int_equal(ask(w, 109, TAG_A), ATR_OK);
	assert_int_equal(ask(w, 110, TAG_A), ATR_REASON_AHEAD);
	take(w, 10, TAG_A);
	assert_int_equal(ask(w, 10, TAG_A), ATR_DUPLICATE);
	assert_int_equal(ask(w, 10, TAG_B), ATR_REASON_CONFLICT);
	assert_int_equal(ask(w, 110, TAG_A), ATR_OK);
	assert_int_equal(ask(w, 111, TAG_A), ATR_REASON_AHEAD);
	take(w, 73, TAG_B); /* top 74: floor is start, 10 */
	assert_int_equal(ask(w, 10, TAG_A), ATR_DUPLICATE);
	take(w, 74, TAG_B); /* the slot of 10 speaks for 74 now */
	assert_int_equal(ask(w, 10, TAG_A), ATR_REASON_STALE);
	assert_int_equal(ask(w, 74, TAG_B), ATR_DUPLICATE);
	assert_int_equal(ask(w, 11, TAG_A), ATR_OK);
	take(w, 173, TAG_A); /* a jump over more than the window frees what lies between */
	for (uint64_t s = 110; s < 173; s++)
		assert_int_equal(ask(w, s, TAG_A), ATR_OK);
	assert_int_equal(ask(w, 109, TAG_A), ATR_REASON_STALE);
	atr_window_free(w);
}

/* Invariant: 2^64-1 is never taken (top could not say so), and nothing wraps round to 0. */
static void the_end_of_the_sequence_space(void **state)
{
	struct atr_window *w = atr_window_create(64, UINT32_MAX, UINT64_MAX - 200, 0);
	uint8_t reason[3] = {0};

	(void)state;
	assert_non_null(w);
	assert_int_equal(atr_window_test(w, UINT64_MAX - 2, 3, TAG_A, reason), 2);
	assert_int_equal(reason[2], ATR_REASON_AHEAD);
	atr_window_set(w, UINT64_MAX - 2, 3, TAG_A, reason);
	assert_true(atr_window_top(w) == UINT64_MAX);
	assert_true(atr_window_floor(w) == UINT64_MAX - 64);
	assert_int_equal(ask(w, UINT64_MAX - 1, TAG_A), ATR_DUPLICATE);
	assert_int_equal(ask(w, UINT64_MAX, TAG_A), ATR_REASON_AHEAD);
	assert_int_equal(ask(w, 0, TAG_A), ATR_REASON_STALE);
	atr_window_free(w);

	w = atr_window_create(64, 10, 0, 0);
	assert_non_null(w);
	take(w, 0, TAG_A);
	assert_int_equal(ask(w, 0, TAG_A), ATR_DUPLICATE);
	assert_true(atr_window_floor(w) == 0 && atr_window_top(w) == 1);
	atr_window_free(w);
}

/* Invariant: only power-of-two sizes in range make a window. */
static void sizes(void **state)
{
	static const uint32_t bad[] = {0, 1, 32, 63, 65, 100, (1u << 20) + 1, 1u << 21, UINT32_MAX};
	struct atr_window *w;

	(void)state;
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_null(atr_window_create(bad[i], 10, 0, 0));
	w = atr_window_create(1u << 20, 10, 0, 0);
	assert_non_null(w);
	assert_true(atr_window_footprint(1u << 20) >= (4u << 20));
	take(w, 5, TAG_A);
	atr_window_free(w);
	atr_window_free(NULL);
}

/* Invariant: a tag depends on the key and on each of the first 16 bytes of the leaf, and is never
 * 0. */
static void tags(void **state)
{
	struct atr_tag_key a, b;
	uint8_t leaf[32];
	uint32_t tag;
	unsigned int same = 0;

	(void)state;
	atr_tag_key_init(&a);
	atr_tag_key_init(&b);
	assert_memory_not_equal(a.bytes, b.bytes, sizeof(a.bytes));
	randombytes_buf(leaf, sizeof(leaf));
	tag = atr_tag(&a, leaf);
	assert_int_equal(tag, atr_tag(&a, leaf));
	same += tag == atr_tag(&b, leaf);
	for (unsigned int i = 0; i < ATR_TAG_LEAF; i++) {
		leaf[i] ^= 1;
		same += tag == atr_tag(&a, leaf);
		leaf[i] ^= 1;
	}
	assert_true(same < 3); /* each coincidence has probability 2^-32 */
	for (unsigned int i = 0; i < 100000; i++) {
		memcpy(leaf, &i, sizeof(i));
		assert_int_not_equal(atr_tag(&a, leaf), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(agrees_with_a_naive_model),
		cmocka_unit_test(edges),
		cmocka_unit_test(the_end_of_the_sequence_space),
		cmocka_unit_test(sizes),
		cmocka_unit_test(tags),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
