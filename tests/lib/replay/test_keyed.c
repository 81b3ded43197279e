/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "replay_log.h"

#define LAST 2
#define SUM  3
#define MOST 4
#define SET  5
#define GONE 6
#define SEED 20261125u

static struct replay_log logged;
static struct atr_replay *replay;
static uint64_t sequence;

static int fresh(void **state)
{
	(void)state;
	replay_log_init(&logged);
	replay_log_plan(&logged);
	replay_log_begin(&logged);
	sequence = 1;
	return 0;
}

static int done(void **state)
{
	(void)state;
	atr_replay_free(replay);
	replay = NULL;
	replay_log_free(&logged);
	return 0;
}

static void kept(uint32_t type, int64_t value, uint64_t room, const char *label)
{
	replay_log_kept(&logged, 1, sequence++, type, value, room, label);
}

static void finish(void)
{
	replay_log_finish(&logged, 1);
	if (replay_log_scan(&logged, &replay) != 0)
		fail_msg("%s", atr_replay_error(replay));
}

static const struct atr_state_entry *find(uint32_t type, const char *key)
{
	return atr_replay_state(replay, 1, type, key, (uint32_t)strlen(key));
}

static void expect(uint32_t type, const char *key, int64_t number)
{
	const struct atr_state_entry *entry = find(type, key);

	if (!entry)
		fail_msg("nothing is kept for %s", key);
	assert_int_equal(entry->number, number);
	assert_int_equal(entry->scale, 2);
	assert_int_equal(entry->type, type);
}

/* Invariant: sums and maxima are those of the events of a key, whatever their form; both forms of
 * an event have the same key. */
static void sums(void **state)
{
	(void)state;
	kept(SUM, 250, 15, "a");
	kept(SUM, -1, 15, "a"); /* absent */
	kept(SUM, 100, 15, "b");
	kept(MOST, -5, 20, "");
	kept(MOST, -7, 20, "");
	replay_log_json(&logged, 1, SUM, "{\"label\":\"a\",\"room\":1.5,\"value\":0.25}");
	replay_log_json(&logged, 2, SUM, "{\"label\":\"a\",\"room\":1.5,\"value\":1e-3}");
	replay_log_json(&logged, 3, MOST, "{\"label\":\"\",\"room\":2,\"value\":-0.04}");
	replay_log_json(&logged, 4, SUM, "{\"label\":\"a\",\"value\":1}");
	finish();
	expect(SUM, "[1.5,\"a\"]", 275);
	expect(SUM, "[1.5,\"b\"]", 100);
	expect(SUM, "[null,\"a\"]", 100);
	expect(MOST, "[2,\"\"]", -4);
	assert_null(find(SUM, "[1.5,\"\"]"));
	assert_null(find(MOST, "[1.5,\"a\"]"));
	assert_int_equal(find(SUM, "[1.5,\"a\"]")->position, 7);
	assert_null(atr_replay_state(replay, 2, SUM, "[1.5,\"a\"]", 9));
}

/* Invariant: a sum stops at the ends of 64 bits; numbers that the scale cannot hold, and absent
 * ones, change nothing and are counted. */
static void ends(void **state)
{
	struct atr_state_stats stats;

	(void)state;
	kept(SUM, INT64_MAX, 0, "up");
	kept(SUM, 1, 0, "up");
	kept(SUM, INT64_MIN, 0, "down");
	kept(SUM, -2, 0, "down");
	replay_log_json(&logged, 1, SUM, "{\"label\":\"up\",\"room\":0,\"value\":1e300}");
	replay_log_json(&logged, 2, SUM, "{\"label\":\"x\",\"room\":0,\"value\":0.001}");
	replay_log_json(&logged, 3, SUM, "{\"label\":\"x\",\"room\":0}");
	kept(SUM, -1, 0, "x");
	finish();
	expect(SUM, "[0,\"up\"]", INT64_MAX);
	expect(SUM, "[0,\"down\"]", INT64_MIN);
	assert_null(find(SUM, "[0,\"x\"]"));
	atr_replay_state_stats(replay, &stats);
	assert_int_equal(stats.unfit, 3);
	assert_int_equal(stats.keys, 2);
}

/* Invariant: the last payload is kept as it came, the set value as JSON. */
static void values(void **state)
{
	static const char json[] = "{\"label\":\"j\",\"room\":1,\"value\":3}";
	const struct atr_state_entry *entry;

	(void)state;
	kept(LAST, 1, 10, "b");
	kept(LAST, 2, 10, "b");
	kept(SET, 105, 10, "");
	kept(SET, -1, 11, "");
	replay_log_json(&logged, 1, LAST, json);
	finish();
	entry = find(LAST, "[1,\"b\"]");
	assert_non_null(entry);
	assert_true(entry->binary);
	assert_int_equal(entry->value_length, ATR_INLINE_MAX);
	assert_int_equal(entry->value[0], 2);
	assert_int_equal(entry->value[16], 'b');
	entry = find(LAST, "[1,\"j\"]");
	assert_non_null(entry);
	assert_false(entry->binary);
	assert_int_equal(entry->value_length, strlen(json));
	assert_memory_equal(entry->value, json, strlen(json));
	entry = find(SET, "[1,\"\"]");
	assert_non_null(entry);
	assert_int_equal(entry->value_length, 4);
	assert_memory_equal(entry->value, "1.05", 4);
	entry = find(SET, "[1.1,\"\"]");
	assert_non_null(entry);
	assert_memory_equal(entry->value, "null", 4);
}

/* Invariant: a deletion removes the other type's state of its source and key, and that only. */
static void deletes(void **state)
{
	(void)state;
	kept(SUM, 1, 0, "a");
	kept(SUM, 1, 0, "b");
	kept(MOST, 1, 0, "a");
	replay_log_kept(&logged, 2, 1, SUM, 1, 0, "a");
	kept(GONE, 0, 0, "a");
	kept(GONE, 0, 0, "c");
	finish();
	assert_null(find(SUM, "[0,\"a\"]"));
	expect(SUM, "[0,\"b\"]", 1);
	expect(MOST, "[0,\"a\"]", 1);
	assert_non_null(atr_replay_state(replay, 2, SUM, "[0,\"a\"]", 7));
}

/* Invariant: beyond the limit no key is taken, those that are there go on, and a freed place is
 * used again; refused events are counted. */
static void limit(void **state)
{
	struct atr_state_stats stats;

	(void)state;
	logged.state_keys = 2;
	kept(SUM, 1, 0, "a");
	kept(SUM, 1, 0, "b");
	kept(SUM, 1, 0, "c");
	kept(SUM, 1, 0, "a");
	kept(GONE, 0, 0, "b");
	kept(SUM, 1, 0, "d");
	finish();
	expect(SUM, "[0,\"a\"]", 2);
	expect(SUM, "[0,\"d\"]", 1);
	assert_null(find(SUM, "[0,\"c\"]"));
	atr_replay_state_stats(replay, &stats);
	assert_int_equal(stats.keys, 2);
	assert_int_equal(stats.limit, 2);
	assert_int_equal(stats.refused, 1);
	assert_int_equal(stats.bytes, 14);
}

struct seen {
	unsigned int count;
	struct atr_state_entry last;
};

static int see(void *ctx, const struct atr_state_entry *entry)
{
	struct seen *seen = ctx;

	if (seen->count++ && seen->last.source == entry->source && seen->last.type == entry->type)
		assert_true(strncmp(seen->last.key, entry->key, entry->key_length) < 0);
	else if (seen->count > 1)
		assert_true(seen->last.type < entry->type || seen->last.source < entry->source);
	seen->last = *entry;
	return 0;
}

static int stop(void *ctx, const struct atr_state_entry *entry)
{
	(void)ctx;
	assert_int_equal(entry->type, MOST);
	return 7;
}

/* Invariant: iteration is in order, from any place on, over many keys, some of them deleted. */
static void iterates(void **state)
{
	static uint8_t present[2][500];
	struct seen seen = {0};
	unsigned int expected = 0, tail = 0;
	char label[8], key[16];

	(void)state;
	srandom(SEED);
	for (unsigned int i = 0; i < 1500; i++) {
		unsigned int n = (unsigned int)random() % 500, type = SUM + i % 2;
		bool gone = i % 4 == 2 && random() % 2;

		if (i % 300 == 299) {
			replay_log_finish(&logged, 1);
			replay_log_begin(&logged);
		}
		snprintf(label, sizeof(label), "%03u", n);
		kept(gone ? GONE : type, 1, 0, label);
		present[type - SUM][n] = !gone;
	}
	finish();
	for (unsigned int t = 0; t < 2; t++)
		for (unsigned int n = 0; n < 500; n++) {
			expected += present[t][n];
			tail += present[t][n] && (t || n >= 250);
			snprintf(key, sizeof(key), "[0,\"%03u\"]", n);
			assert_int_equal(find(SUM + t, key) != NULL, present[t][n]);
		}
	assert_int_equal(atr_replay_states(replay, 0, 0, "", 0, see, &seen), 0);
	assert_int_equal(seen.count, expected);
	seen = (struct seen){0};
	assert_int_equal(atr_replay_states(replay, 1, SUM, "[0,\"250\"]", 9, see, &seen), 0);
	assert_int_equal(seen.count, tail);
	assert_int_equal(atr_replay_states(replay, 1, SUM, "[0,\"999\"]", 9, stop, NULL), 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(sums, fresh, done),
		cmocka_unit_test_setup_teardown(ends, fresh, done),
		cmocka_unit_test_setup_teardown(values, fresh, done),
		cmocka_unit_test_setup_teardown(deletes, fresh, done),
		cmocka_unit_test_setup_teardown(limit, fresh, done),
		cmocka_unit_test_setup_teardown(iterates, fresh, done),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
