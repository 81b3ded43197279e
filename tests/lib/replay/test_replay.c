/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "replay_log.h"

#define SEED 20261125u

static struct replay_log logged;
static struct atr_replay *replay;

static int fresh(void **state)
{
	(void)state;
	replay_log_init(&logged);
	replay = NULL;
	return 0;
}

static int done(void **state)
{
	(void)state;
	atr_replay_free(replay);
	replay_log_free(&logged);
	return 0;
}

static void expect_whole(void)
{
	if (replay_log_scan(&logged, &replay) != 0)
		fail_msg("%s", atr_replay_error(replay));
	assert_string_equal(atr_replay_error(replay), "");
	assert_int_equal(atr_replay_groups(replay), logged.naive.groups);
	assert_int_equal(atr_replay_leaves(replay), logged.naive.leaves);
}

/* By the replay, or by the reader, which comes first. */
static void expect_refusal(const char *says)
{
	int rc = replay_log_scan(&logged, &replay);
	const char *error = atr_replay_error(replay);

	assert_int_equal(rc, -EBADMSG);
	error = error[0] ? error : logged.error;
	if (!strstr(error, says))
		fail_msg("'%s' does not say '%s'", error, says);
	assert_non_null(strstr(error, "segment-0000000000000000.atr"));
}

struct frames {
	unsigned int count;
	struct {
		uint32_t source;
		struct atr_replay_frame frame;
	} seen[256];
};

static int see_frame(void *ctx, uint32_t source, const struct atr_replay_frame *frame)
{
	struct frames *frames = ctx;

	assert_true(frames->count < 256);
	frames->seen[frames->count].source = source;
	frames->seen[frames->count++].frame = *frame;
	return 0;
}

static struct frames frames_of(const struct atr_replay *of)
{
	struct frames frames = {0};

	assert_int_equal(atr_replay_frames(of, see_frame, &frames), 0);
	return frames;
}

/* Invariant: a log without groups makes a state of nothing. */
static void nothing(void **state)
{
	size_t length = 1;

	(void)state;
	expect_whole();
	assert_null(atr_replay_plan(replay));
	assert_null(atr_replay_document(replay, &length));
	assert_int_equal(length, 0);
	assert_int_equal(atr_replay_generation(replay), 0);
	assert_int_equal(atr_replay_feed_next(replay, 0), 1);
	assert_int_equal(atr_replay_feed_next(replay, 64), 1);
	assert_int_equal(atr_replay_next(replay, 1), 0);
	assert_int_equal(atr_replay_first_epoch(replay), 0);
	assert_int_equal(frames_of(replay).count, 0);
}

/* Invariant: a plan in chunks over several groups is the one that was cut up, in force behind its
 * last chunk; a document that a stop cut short begins anew. */
static void plan_in_chunks(void **state)
{
	size_t length, step = 100;

	(void)state;
	replay_log_begin(&logged);
	replay_log_chunk(&logged, 1, 0, 50);
	replay_log_finish(&logged, 0);
	/* The next start begins anew. */
	logged.naive.epoch = 8;
	for (size_t at = 0; at < logged.document_length; at += 3 * step) {
		replay_log_begin(&logged);
		for (size_t i = at; i < at + 3 * step && i < logged.document_length; i += step)
			replay_log_chunk(&logged, 1, i,
					 logged.document_length - i < step
						 ? logged.document_length - i
						 : step);
		if (at + 3 * step >= logged.document_length)
			replay_log_all(&logged, 1, 1, 3, 0);
		replay_log_finish(&logged, 1);
	}
	logged.commit.generation = 1;
	memcpy(logged.commit.plan_digest, logged.digest, sizeof(logged.digest));
	replay_log_begin(&logged);
	logged.naive.epoch = 9;
	replay_log_finish(&logged, 2);
	expect_whole();
	assert_memory_equal(atr_replay_document(replay, &length), logged.document,
			    logged.document_length);
	assert_int_equal(length, logged.document_length);
	assert_memory_equal(atr_replay_plan(replay)->digest, logged.digest, 32);
	assert_int_equal(atr_replay_generation(replay), 1);
	assert_int_equal(atr_replay_plan(replay)->generation, 1);
	assert_int_equal(atr_replay_first_epoch(replay), 7);
	assert_int_equal(atr_replay_last_epoch(replay), 9);
	assert_int_equal(atr_replay_committed_ns(replay), (START_MS + 2) * 1000000);
	assert_int_equal(atr_replay_feed_next(replay, 0), 4);
}

/* Invariant: events that were not admitted count for no feed and for no window; a frame logged
 * again with others of its events is remembered both times. */
static void decisions(void **state)
{
	static const uint8_t some[] = {0x05, 0x02}, others[] = {0x0A, 0x01}, none[] = {0, 0};
	struct frames frames;

	(void)state;
	replay_log_plan(&logged);
	replay_log_begin(&logged);
	replay_log_frame(&logged, 2, 100, 12, 95, some);
	replay_log_frame(&logged, 2, 300, 12, 95, none);
	replay_log_frame(&logged, 2, 100, 12, 95, others);
	replay_log_finish(&logged, 1);
	assert_int_equal(logged.commit.feed[0].next, 7);
	assert_int_equal(logged.commit.feed[1].next, 3);
	expect_whole();
	assert_int_equal(atr_replay_next(replay, 2), 110);
	assert_int_equal(atr_replay_next(replay, 1), 0);
	assert_int_equal(atr_replay_feed_next(replay, 0), 7);
	assert_int_equal(atr_replay_feed_next(replay, 1), 3);
	assert_int_equal(atr_replay_feed_next(replay, 2), 1);
	assert_int_equal(atr_replay_events(replay), 6);
	frames = frames_of(replay);
	assert_int_equal(frames.count, 2);
	for (unsigned int i = 0; i < 2; i++) {
		const struct atr_replay_frame *frame = &frames.seen[i].frame;

		assert_int_equal(frames.seen[i].source, 2);
		assert_int_equal(frame->first, 100);
		assert_int_equal(frame->count, 12);
		assert_memory_equal(frame->admitted, i ? others : some, 2);
		assert_int_equal(frame->position, i ? 4 : 2);
		assert_memory_equal(frame->leaf, logged.naive.leaf[frame->position], 16);
	}
}

/* Invariant: what a window remembers are exactly the frames that reach above next - window, sorted,
 * whatever the order they came in. */
static void windows(void **state)
{
	uint64_t first = 1, floor;
	unsigned int expected = 0;
	struct frames frames;

	(void)state;
	replay_log_plan(&logged);
	srandom(SEED);
	for (unsigned int g = 0; g < 40; g++) {
		replay_log_begin(&logged);
		/* Two by two the wrong way round. */
		for (unsigned int i = 0; i < 4; i++, first += 14) {
			replay_log_all(&logged, 1, first + 7, 7, 0);
			replay_log_all(&logged, 1, first, 7, 0);
			replay_log_all(&logged, 2, first, 14, 0);
		}
		replay_log_finish(&logged, g);
	}
	expect_whole();
	assert_int_equal(atr_replay_next(replay, 1), first);
	assert_int_equal(atr_replay_floor(replay, 1), first - 64);
	assert_int_equal(atr_replay_floor(replay, 2), first - 1024);
	frames = frames_of(replay);
	for (unsigned int i = 0; i < frames.count; i++) {
		const struct atr_replay_frame *frame = &frames.seen[i].frame;

		floor = atr_replay_floor(replay, frames.seen[i].source);
		assert_true(frame->first + frame->count > floor);
		if (i && frames.seen[i - 1].source == frames.seen[i].source)
			assert_true(frame->first > frames.seen[i - 1].frame.first);
	}
	for (uint64_t at = 1; at < first; at += 7)
		expected += at + 7 > first - 64;
	for (uint64_t at = 1; at < first; at += 14)
		expected += at + 14 > first - 1024;
	assert_int_equal(frames.count, expected);
}

static int count_envelope(void *ctx, const struct atr_replay_envelope *envelope)
{
	uint64_t *seen = ctx;

	if (seen[0])
		assert_true(envelope->position > seen[1]);
	seen[0]++;
	seen[1] = envelope->position;
	assert_int_equal(envelope->source, 1);
	assert_memory_equal(envelope->leaf, logged.naive.leaf[envelope->position], 16);
	return 0;
}

/* Invariant: envelopes are remembered while their UUID's time is in the plan's window before the
 * newest commit, by the log's clock alone; then their ids may come again. */
static void envelopes(void **state)
{
	uint64_t seen[2] = {0};

	(void)state;
	replay_log_plan(&logged);
	for (uint32_t g = 0; g < 30; g++) {
		replay_log_begin(&logged);
		for (uint32_t i = 0; i < 20; i++)
			replay_log_envelope(&logged, (uint64_t)g * 100, g * 20 + i);
		replay_log_finish(&logged, (uint64_t)g * 100);
	}
	replay_log_begin(&logged);
	replay_log_envelope(&logged, 0, 3);
	replay_log_finish(&logged, 100);
	expect_whole();
	/* The newest commit was at 2900: times from 1900 on. */
	assert_int_equal(atr_replay_envelopes(replay, count_envelope, seen), 0);
	assert_int_equal(seen[0], 11 * 20);
	assert_int_equal(atr_replay_feed_next(replay, 0), 602);
}

/* Invariant: positions that the events contradict, by one in either direction, or of a feed that is
 * not of class commit, are refused with the feed's number. */
static void positions(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++) {
		replay_log_plan(&logged);
		replay_log_begin(&logged);
		replay_log_all(&logged, 1, 1, 3, 99);
		if (i < 2)
			logged.commit.feed[1].next += i ? 1 : UINT64_MAX;
		else
			logged.commit.feed[1].feed = 2;
		replay_log_finish(&logged, 1);
		expect_refusal(i < 2 ? "feed 1 goes on with message"
				     : "feed 2 goes on with message 3");
		/* It takes nothing more. */
		assert_int_equal(
			atr_replay_visitor(replay)->record(atr_replay_visitor(replay)->context,
							   NULL, NULL, NULL, NULL, NULL),
			-EBADMSG);
		done(NULL);
		fresh(NULL);
	}
}

static void broken_twice(void)
{
	replay_log_all(&logged, 1, 1, 10, 0);
	replay_log_all(&logged, 1, 10, 3, 0);
}

static void broken_below(void)
{
	replay_log_all(&logged, 1, 200, 10, 0);
	replay_log_all(&logged, 1, 145, 3, 0);
}

static void broken_source(void)
{
	replay_log_all(&logged, 3, 1, 1, 0);
}

static void broken_generation(void)
{
	logged.generation = 2;
	replay_log_all(&logged, 1, 1, 1, 0);
}

static void broken_envelope(void)
{
	replay_log_envelope(&logged, 0, 7);
	replay_log_envelope(&logged, 0, 7);
}

static void broken_chunk(void)
{
	replay_log_chunk(&logged, 2, 10, 10);
}

static void broken_older(void)
{
	replay_log_chunk(&logged, 1, 0, 10);
}

static void broken_document(void)
{
	logged.document[logged.document_length - 1] = ' ';
	crypto_hash_sha256(logged.digest, (const uint8_t *)logged.document, logged.document_length);
	replay_log_chunk(&logged, 2, 0, logged.document_length);
}

static void broken_digest(void)
{
	logged.digest[0] ^= 1;
	replay_log_chunk(&logged, 2, 0, logged.document_length);
}

static void broken_commit(void)
{
	logged.commit.plan_digest[3] ^= 1;
}

static void broken_named(void)
{
	logged.commit.generation = 3;
}

/* Invariant: a log that contradicts itself is refused, each time with what is wrong. */
static void contradictions(void **state)
{
	static const struct {
		void (*make)(void);
		const char *says;
	} cases[] = {
		{broken_twice, "had been admitted before"},
		{broken_below, "lies below the source's window"},
		{broken_source, "source 3 is not in the plan"},
		{broken_generation, "plan 2 judged the event, but plan 1 was in force"},
		{broken_envelope, "id had been admitted before"},
		{broken_chunk, "does not follow the one before"},
		{broken_older, "generation is not above"},
		{broken_document, "the plan does not load"},
		{broken_digest, "differs from its digest"},
		{broken_commit, "names another digest for plan 1"},
		{broken_named, "names plan 3"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		replay_log_plan(&logged);
		replay_log_begin(&logged);
		cases[i].make();
		replay_log_finish(&logged, 1);
		expect_refusal(cases[i].says);
		done(NULL);
		fresh(NULL);
	}
}

/* Invariant: events without a plan, and another shard's groups, are refused. */
static void strangers(void **state)
{
	(void)state;
	replay_log_begin(&logged);
	replay_log_all(&logged, 1, 1, 1, 0);
	replay_log_finish(&logged, 1);
	expect_refusal("before any plan");
	done(NULL);
	fresh(NULL);
	logged.naive.shard = 0;
	replay_log_plan(&logged);
	expect_refusal("is of shard 0, not of 1");
}

/* Invariant: groups that do not follow what has been taken are refused, not taken twice. */
static void order(void **state)
{
	struct atr_log_scan scan;
	char error[512];

	(void)state;
	replay_log_plan(&logged);
	expect_whole();
	assert_int_equal(atr_log_scan(&logged.disk.storage, atr_replay_visitor(replay), &scan,
				      error, sizeof(error)),
			 -EBADMSG);
	assert_non_null(strstr(atr_replay_error(replay), "group 0 comes where 1 is next"));
}

/* Invariant: two replays of a log of random groups tell the same. */
static void deterministic(void **state)
{
	uint64_t next[2] = {1, 1};
	struct frames a, b;
	struct atr_replay *other;

	(void)state;
	srandom(SEED);
	replay_log_plan(&logged);
	for (unsigned int g = 1; g < 60; g++) {
		replay_log_begin(&logged);
		for (long i = random() % 6; i >= 0; i--) {
			unsigned int s = (unsigned int)random() % 2;
			unsigned int count = 1 + (unsigned int)random() % 40;
			uint8_t bits[ATR_REPLAY_DECISIONS] = {0};

			for (unsigned int e = 0; e < count; e++)
				bits[e / 8] |= (uint8_t)((random() % 3 > 0) << (e % 8));
			replay_log_frame(&logged, s + 1, next[s], count, (int32_t)random() % 200,
					 bits);
			next[s] += count + (uint64_t)random() % 5;
		}
		replay_log_envelope(&logged, (uint64_t)g * 50, g);
		replay_log_finish(&logged, (uint64_t)g * 50);
	}
	expect_whole();
	other = replay;
	expect_whole();
	a = frames_of(other);
	b = frames_of(replay);
	assert_true(a.count > 20);
	assert_memory_equal(&a, &b, sizeof(a));
	for (uint32_t f = 0; f < 64; f++)
		assert_int_equal(atr_replay_feed_next(other, f), atr_replay_feed_next(replay, f));
	atr_replay_free(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(nothing, fresh, done),
		cmocka_unit_test_setup_teardown(plan_in_chunks, fresh, done),
		cmocka_unit_test_setup_teardown(decisions, fresh, done),
		cmocka_unit_test_setup_teardown(windows, fresh, done),
		cmocka_unit_test_setup_teardown(envelopes, fresh, done),
		cmocka_unit_test_setup_teardown(positions, fresh, done),
		cmocka_unit_test_setup_teardown(contradictions, fresh, done),
		cmocka_unit_test_setup_teardown(strangers, fresh, done),
		cmocka_unit_test_setup_teardown(order, fresh, done),
		cmocka_unit_test_setup_teardown(deterministic, fresh, done),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
