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

#include "../../../lib/gapfill/gap_reader.h"
#include "gap_log.h"

#define DATAGRAM  1472
#define SEGMENT   (256u << 10)
#define INDEX     64
#define ALL_COUNT ATR_MOLD_COUNT_MAX

static struct gap_log *gap;
static struct atr_gap_reader *reader;
static uint8_t out[ATR_DATAGRAM_MAX];
static char error[512];

static int begin(void **state)
{
	(void)state;
	gap = gap_log_create(SEGMENT);
	reader = atr_gap_reader_create(&gap->disk.storage, GAP_SHARD, INDEX, error, sizeof(error));
	return reader ? 0 : -1;
}

static int end(void **state)
{
	(void)state;
	atr_gap_reader_free(reader);
	gap_log_free(gap);
	return 0;
}

/* Groups small and large, with and without messages of each feed, over several segments. */
static void write_sample(unsigned int groups)
{
	for (unsigned int g = 0; g < groups; g++) {
		unsigned int frames = g % 7 == 0 ? 0 : g % 11 == 0 ? 60 : 1 + g % 4;

		if (g % 5 == 1)
			gap_log_snapshot(gap);
		for (unsigned int i = 0; i < frames; i++)
			gap_log_frame(gap, 1 + (g + i) % 9);
		if (g % 3 == 0)
			gap_log_envelope(gap);
		gap_log_commit(gap);
	}
}

static void follow_all(void)
{
	int n;

	while ((n = atr_gap_reader_follow(reader, gap->groups, 7, error, sizeof(error))) > 0)
		assert_true(n <= 7);
	assert_int_equal(n, 0);
	assert_int_equal(atr_gap_reader_group(reader), gap->groups);
}

static const struct atr_plan *plan_of(void *context, uint64_t generation)
{
	(void)generation;
	return context;
}

static int ask(uint32_t feed, uint64_t sequence, uint16_t count, size_t capacity)
{
	struct atr_gap_question question = {
		.plan = plan_of,
		.context = gap->plan,
		.feed = feed,
		.count = count,
		.sequence = sequence,
	};

	atr_mold_session(question.session, feed, GAP_SHARD, 1);
	error[0] = 0;
	return atr_gap_reader_answer(reader, &question, out, capacity, error, sizeof(error));
}

/* Checks an answer against the model; returns how many messages it has. */
static unsigned int expect_answer(uint32_t feed, uint64_t sequence, uint16_t count, size_t capacity)
{
	int length = ask(feed, sequence, count, capacity);
	struct atr_mold_packet packet;
	const uint8_t *p;
	char session[ATR_MOLD_SESSION_SIZE];

	if (length < 0)
		fail_msg("feed %u message %llu: %s", feed, (unsigned long long)sequence, error);
	assert_true(length > ATR_MOLD_HDR_SIZE && (size_t)length <= capacity);
	assert_int_equal(atr_mold_parse(out, (size_t)length, &packet), 0);
	atr_mold_session(session, feed, GAP_SHARD, 1);
	assert_memory_equal(packet.session, session, sizeof(session));
	assert_int_equal(packet.sequence, sequence);
	assert_true(packet.count >= 1 && packet.count <= count);
	p = packet.blocks;
	for (unsigned int i = 0; i < packet.count; i++) {
		const struct gap_message *m = &gap->feed[feed].message[sequence - 1 + i];

		assert_true(sequence + i <= gap->feed[feed].count);
		assert_int_equal(p[0] << 8 | p[1], m->length);
		assert_memory_equal(p + 2, m->bytes, m->length);
		p += 2 + m->length;
	}
	return packet.count;
}

/* Invariant: every message of every feed is found wherever it is asked for, and is what was
 * published under that number: bytes, order and header. */
static void every_message(void **state)
{
	(void)state;
	write_sample(150);
	follow_all();
	assert_true(gap->segments > 2);
	for (unsigned int feed = 0; feed < GAP_FEEDS; feed++) {
		assert_true(gap->feed[feed].count > 100);
		for (uint64_t s = gap->feed[feed].count; s > 0; s--)
			expect_answer(feed, s, ALL_COUNT, DATAGRAM);
		for (uint64_t s = 1; s <= gap->feed[feed].count; s += 13)
			assert_int_equal(expect_answer(feed, s, 1, DATAGRAM), 1);
	}
}

/* Invariant: asking for what follows the last answer, in turn with other feeds or alone, gives all
 * messages without gap; datagrams are filled while messages lie near. */
static void streams(void **state)
{
	unsigned int answers = 0;

	(void)state;
	write_sample(150);
	follow_all();
	for (uint64_t s = 1; s <= gap->feed[0].count; answers++)
		s += expect_answer(0, s, ALL_COUNT, DATAGRAM);
	assert_true(answers < gap->feed[0].count / 4);
	for (uint64_t s = 1, t = 1; s <= gap->feed[0].count;) {
		s += expect_answer(0, s, ALL_COUNT, DATAGRAM);
		if (t <= gap->feed[1].count)
			t += expect_answer(1, t, 3, 400);
	}
}

/* Invariant: what is not durable yet, never was or never will be is not answered; once durable it
 * is. */
static void not_there(void **state)
{
	uint64_t known;

	(void)state;
	assert_int_equal(ask(0, 1, 1, DATAGRAM), 0);
	write_sample(20);
	assert_int_equal(ask(0, 1, 1, DATAGRAM), 0);
	follow_all();
	known = gap->feed[0].count;
	assert_int_equal(ask(0, 0, 1, DATAGRAM), 0);
	assert_int_equal(ask(0, known + 1, 1, DATAGRAM), 0);
	assert_int_equal(ask(0, UINT64_MAX, ALL_COUNT, DATAGRAM), 0);
	assert_int_equal(ask(5, 1, 1, DATAGRAM), 0);
	assert_int_equal(ask(UINT32_MAX, 1, 1, DATAGRAM), 0);
	write_sample(20);
	assert_int_equal(ask(0, known + 1, 1, DATAGRAM), 0);
	assert_int_equal(atr_gap_reader_follow(reader, 20, 100, error, sizeof(error)), 0);
	follow_all();
	assert_int_equal(expect_answer(0, known + 1, 1, DATAGRAM), 1);
	assert_int_equal(expect_answer(0, known, 2, DATAGRAM), 2);
}

/* Invariant: many more groups than places to remember: all messages are still found. */
static void sparse_index(void **state)
{
	(void)state;
	atr_gap_reader_free(reader);
	reader = atr_gap_reader_create(&gap->disk.storage, GAP_SHARD, 2, error, sizeof(error));
	assert_non_null(reader);
	write_sample(200);
	follow_all();
	for (uint64_t s = gap->feed[1].count; s > 0; s -= s > 7 ? 7 : s)
		expect_answer(1, s, ALL_COUNT, DATAGRAM);
}

/* Invariant: an answer never exceeds its capacity; a message that cannot fit is named. */
static void capacities(void **state)
{
	(void)state;
	write_sample(30);
	follow_all();
	for (size_t capacity = 0; capacity < DATAGRAM; capacity += 3) {
		size_t need = ATR_MOLD_HDR_SIZE + 2 + gap->feed[0].message[9].length;

		if (capacity < need)
			assert_int_equal(ask(0, 10, ALL_COUNT, capacity), -EMSGSIZE);
		else
			expect_answer(0, 10, ALL_COUNT, capacity);
	}
}

/* Invariant: any flipped bit in the last group is noticed before anything of it is answered, and
 * another shard's or log's segment is refused. */
static void damage(void **state)
{
	struct memory_file *file;
	uint64_t first;
	size_t length;

	(void)state;
	write_sample(3);
	first = gap->feed[0].count + 1;
	gap_log_frame(gap, 3);
	gap_log_envelope(gap);
	length = gap->at;
	gap_log_commit(gap);
	file = gap_log_file(gap);
	for (size_t byte = 0; byte < length; byte++) {
		struct atr_gap_reader *r;
		int n, answered = 0;

		file->bytes[gap->last_offset + byte] ^= 0x10;
		r = atr_gap_reader_create(&gap->disk.storage, GAP_SHARD, INDEX, error,
					  sizeof(error));
		assert_non_null(r);
		n = atr_gap_reader_follow(r, gap->groups, 3, error, sizeof(error));
		assert_int_equal(n, 3);
		n = atr_gap_reader_follow(r, gap->groups, 1, error, sizeof(error));
		if (n == 1) {
			struct atr_gap_reader *whole = reader;

			reader = r;
			answered = ask(0, first, ALL_COUNT, DATAGRAM);
			reader = whole;
			n = answered;
		}
		if (n != -EBADMSG)
			fail_msg("byte %zu: %d (%s)", byte, n, error);
		assert_true(strlen(error) > 20);
		atr_gap_reader_free(r);
		file->bytes[gap->last_offset + byte] ^= 0x10;
	}
	follow_all();
	expect_answer(0, first, ALL_COUNT, DATAGRAM);
	atr_gap_reader_free(reader);
	reader = atr_gap_reader_create(&gap->disk.storage, GAP_SHARD + 1, INDEX, error,
				       sizeof(error));
	assert_int_equal(atr_gap_reader_follow(reader, gap->groups, 1, error, sizeof(error)),
			 -EBADMSG);
}

/* Invariant: a disk that does not read is an error that passes. */
static void read_errors(void **state)
{
	(void)state;
	write_sample(5);
	follow_all();
	gap->disk.fail_read = -EIO;
	assert_int_equal(ask(0, 1, 1, DATAGRAM), -EIO);
	assert_true(strlen(error) > 20);
	gap->disk.fail_read = 0;
	expect_answer(0, 1, 1, DATAGRAM);
}

/* What retention does to the first segments: each gets another name and is written over. */
static void prune(unsigned int segments)
{
	for (unsigned int i = 0; i < segments; i++) {
		char name[ATR_SEGMENT_NAME_LENGTH + 1];
		struct memory_file *file;

		snprintf(name, sizeof(name), ATR_SEGMENT_NAME, (uint64_t)i);
		file = memory_find(&gap->disk, name);
		assert_non_null(file);
		snprintf(file->name, sizeof(file->name), "used-%u", i);
		memset(file->bytes, 0, file->size);
	}
}

/* The first message of a feed that is answered, where older ones are not there any more and all
 * from it on are. */
static uint64_t expect_rest(uint32_t feed)
{
	uint64_t first = 1;
	int length = 0;

	for (; first <= gap->feed[feed].count && length == 0; first++) {
		length = ask(feed, first, 1, DATAGRAM);
		if (length < 0)
			fail_msg("message %llu: %s", (unsigned long long)first, error);
		assert_string_equal(error, "");
	}
	first--;
	for (uint64_t s = first; s <= gap->feed[feed].count; s++)
		expect_answer(feed, s, 1, DATAGRAM);
	return first;
}

/* Invariant: behind segments that were pruned before, messages are found under their numbers; older
 * ones are not there, which is no error. */
static void pruned_before(void **state)
{
	(void)state;
	write_sample(150);
	assert_true(gap->segments > 3);
	prune(2);
	follow_all();
	for (unsigned int feed = 0; feed < GAP_FEEDS; feed++)
		assert_in_range(expect_rest(feed), 2, gap->feed[feed].count - 10);
}

/* Invariant: the same for segments that are pruned while they are known, open, or yet to be looked
 * at, and nothing but what they held is lost. */
static void pruned_meanwhile(void **state)
{
	struct atr_gap_reader *behind;
	uint64_t rest;

	(void)state;
	write_sample(150);
	behind = atr_gap_reader_create(&gap->disk.storage, GAP_SHARD, INDEX, error, sizeof(error));
	assert_int_equal(atr_gap_reader_follow(behind, gap->groups, 3, error, sizeof(error)), 3);
	follow_all();
	expect_answer(0, 1, 1, DATAGRAM);
	prune(1);
	rest = expect_rest(0);
	assert_in_range(rest, 2, gap->feed[0].count / 2);
	atr_gap_reader_free(reader);
	reader = behind;
	follow_all();
	assert_int_equal(expect_rest(0), rest);
	write_sample(20);
	follow_all();
	expect_rest(1);
}

#define gap_test(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		gap_test(every_message), gap_test(streams),       gap_test(not_there),
		gap_test(sparse_index),  gap_test(capacities),    gap_test(damage),
		gap_test(read_errors),   gap_test(pruned_before), gap_test(pruned_meanwhile),
	};

	return cmocka_run_group_tests_name("gap_reader", tests, NULL, NULL);
}
