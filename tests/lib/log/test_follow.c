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

#include "../../../lib/log/reader.h"
#include "reader_fixture.h"

#define ALL 1000000u

/* What a visitor was shown, and the mode in which. */
struct seen {
	enum atr_log_follow_mode mode;
	uint64_t records, groups;
	int stop_with;
};

static int see_record(void *context, const struct atr_group_hdr *group,
		      const struct atr_record_hdr *record, const uint8_t *body,
		      const uint8_t *decisions, const uint8_t *leaf)
{
	struct seen *seen = context;

	assert_int_equal(record->leaf, seen->records);
	assert_int_equal(group->group, seen->groups);
	assert_ptr_equal(decisions, body + record->body_length);
	if (seen->mode == ATR_FOLLOW_CRC)
		assert_null(leaf);
	else
		assert_memory_equal(leaf, naive.leaf[seen->records], ATR_HASH_SIZE);
	seen->records++;
	return seen->stop_with;
}

static int see_group(void *context, const struct atr_group_hdr *group, uint64_t leaves,
		     const uint8_t *root)
{
	struct seen *seen = context;
	uint8_t expected[ATR_HASH_SIZE];

	assert_int_equal(group->group, seen->groups);
	assert_int_equal(leaves, seen->records);
	atr_merkle_root(naive.leaf[0], leaves, expected);
	if (seen->mode == ATR_FOLLOW_TREE)
		assert_memory_equal(root, expected, sizeof(expected));
	else
		assert_null(root);
	seen->groups++;
	return 0;
}

static struct seen seen;
static const struct atr_log_visitor visitor = {&seen, see_record, see_group, NULL};

static struct atr_log_follow *open_at(const struct atr_log_end *at, enum atr_log_follow_mode mode)
{
	struct atr_log_follow_params params = {.storage = &disk.storage, .mode = mode};
	struct atr_log_follow *follow;

	if (at)
		params.at = *at;
	seen = (struct seen){.mode = mode, .groups = params.at.group};
	seen.records = params.at.frontier.size;
	follow = atr_log_follow_open(&params, error, sizeof(error));
	if (!follow)
		fail_msg("%s", error);
	return follow;
}

static int take(struct atr_log_follow *follow, uint64_t below, unsigned int max)
{
	return atr_log_follow_take(follow, below, max, &visitor, error, sizeof(error));
}

/* Invariant: a log is read as it grows, over many segments, in every mode; what is handed out is
 * what a scan hands out, group by group. */
static void grows(void **state)
{
	(void)state;
	for (int mode = ATR_FOLLOW_TREE; mode <= ATR_FOLLOW_CRC; mode++) {
		struct atr_log_follow *follow = open_at(NULL, mode);
		const struct atr_log_end *end = atr_log_follow_end(follow);
		struct atr_log_scan s;

		assert_int_equal(take(follow, 0, ALL), 0);
		/* Sometimes one group stays for later, sometimes all are taken, one by one. */
		for (unsigned int i = 0; i < 40; i++) {
			uint64_t below;

			write_sample(1 + i % 3);
			below = naive.groups - (i % 2);
			if (i % 5 == 0)
				while (end->group < below)
					assert_int_equal(take(follow, below, 1), 1);
			else
				assert_int_equal(take(follow, below, ALL), below - seen.groups);
			assert_int_equal(seen.groups, below);
			assert_int_equal(take(follow, below, ALL), 0);
		}
		assert_int_equal(take(follow, naive.groups, ALL), 1);
		assert_int_equal(scan(&s), 0);
		expect_whole(&s);
		assert_true(naive.segment > 3);
		assert_int_equal(end->group, s.end.group);
		assert_int_equal(end->segment, s.end.segment);
		assert_int_equal(end->offset, s.end.offset);
		assert_int_equal(end->frontier.size, s.end.frontier.size);
		assert_int_equal(seen.records, naive.leaves);
		atr_log_follow_close(follow);
		done(NULL);
		fresh(NULL);
	}
}

/* Invariant: a follower goes on where a scan ended, wherever that was, with the same tree. */
static void goes_on(void **state)
{
	struct atr_log_end at[60] = {0};

	(void)state;
	for (unsigned int i = 0; i < 60; i++) {
		struct atr_log_scan s;

		assert_int_equal(scan(&s), 0);
		at[i] = s.end;
		write_sample(1);
	}
	for (unsigned int i = 0; i < 60; i += 7) {
		struct atr_log_follow *follow = open_at(&at[i], ATR_FOLLOW_TREE);

		for (unsigned int n = i; n < 60; n += 10)
			assert_int_equal(take(follow, 60, 10), n + 10 < 60 ? 10 : 60 - n);
		assert_int_equal(seen.groups, 60);
		assert_int_equal(seen.records, naive.leaves);
		atr_log_follow_close(follow);
	}
}

/* Invariant: a durable group that is not there, or not whole, is damage with its file and place;
 * the follower stays at it. */
static void damage(void **state)
{
	(void)state;
	write_sample(12);
	for (uint64_t g = 0; g < naive.groups; g++) {
		struct atr_log_follow *follow = open_at(NULL, ATR_FOLLOW_CRC);
		uint8_t *bytes = naive_bytes(&naive, g);
		char name[64];

		bytes[naive.at[g].length / 2] ^= 1;
		assert_int_equal(take(follow, naive.groups, ALL), -EBADMSG);
		snprintf(name, sizeof(name), ATR_SEGMENT_NAME, naive.at[g].segment);
		assert_non_null(strstr(error, name));
		assert_int_equal(atr_log_follow_end(follow)->group, g);
		bytes[naive.at[g].length / 2] ^= 1;
		assert_int_equal(take(follow, naive.groups, ALL), -EBADMSG);
		atr_log_follow_close(follow);
		follow = open_at(NULL, ATR_FOLLOW_TREE);
		assert_int_equal(take(follow, naive.groups + 1, ALL), -EBADMSG);
		assert_int_equal(seen.groups, naive.groups);
		atr_log_follow_close(follow);
	}
}

/* Invariant: what the visitor returns ends it; reading trouble is told as such. */
static void stops(void **state)
{
	struct atr_log_follow *follow;

	(void)state;
	write_sample(3);
	follow = open_at(NULL, ATR_FOLLOW_TREE);
	seen.stop_with = -ECANCELED;
	assert_int_equal(take(follow, 3, ALL), -ECANCELED);
	assert_int_equal(seen.records, 1);
	atr_log_follow_close(follow);
	follow = open_at(NULL, ATR_FOLLOW_TREE);
	disk.fail_read = -EIO;
	assert_int_equal(take(follow, 3, ALL), -EIO);
	assert_non_null(strstr(error, "cannot be read"));
	disk.fail_read = 0;
	atr_log_follow_close(follow);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(grows, fresh, done),
		cmocka_unit_test_setup_teardown(goes_on, fresh, done),
		cmocka_unit_test_setup_teardown(damage, fresh, done),
		cmocka_unit_test_setup_teardown(stops, fresh, done),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
