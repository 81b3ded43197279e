/* SPDX-License-Identifier: BSD-3-Clause */
/* What every test of the reader starts from; included once, behind cmocka. */
#ifndef ATR_TEST_READER_FIXTURE_H
#define ATR_TEST_READER_FIXTURE_H

#include "../../../lib/log/reader_internal.h"
#include "../../../lib/log/retain.h"
#include "naive_log.h"

#define SEGMENT (64u << 10)
#define SEED    20261122u

static struct memory_storage disk;
static struct naive_log naive;
static char error[512];

/* With one engine for all passes: a test makes thousands. */
static int scan_with(const struct atr_log_scan_options *options, struct atr_log_scan *out)
{
	static struct atr_hash *hash;

	if (!hash)
		hash = atr_hash_create(-1, 512, error, sizeof(error));
	assert_non_null(hash);
	return reader_scan(&disk.storage, options, NULL, out, hash, error, sizeof(error));
}

static int scan(struct atr_log_scan *out)
{
	return scan_with(NULL, out);
}

static int fresh(void **state)
{
	(void)state;
	memory_init(&disk);
	naive_init(&naive, &disk, SEGMENT);
	return 0;
}

static int done(void **state)
{
	(void)state;
	naive_free(&naive);
	memory_clear(&disk);
	return 0;
}

/* Groups of every shape, in as many segments as they need. */
static void write_sample(unsigned int groups)
{
	static const struct naive_group shapes[] = {
		{.frames = 3, .packets = 9, .envelopes = 1, .feeds = 2},
		{.plans = 1},
		{.envelopes = 5, .snapshots = 1, .feeds = 1},
		{.frames = 10, .packets = 20, .feeds = 3},
		{.frames = 1, .packets = 1},
	};

	for (unsigned int i = 0; i < groups; i++)
		naive_group(&naive, &shapes[naive.groups % 5]);
}

/* Retention takes the oldest whole segment just before a read of a whole one, and from the byte
 * `over` on its file has been overwritten by then: with zeros, or with those of another segment. */
static struct {
	unsigned int reads_left;
	uint64_t oldest, over;
	bool foreign;
} recycled;

static inline void recycle_before_read(const struct memory_file *file)
{
	const struct atr_log_retain_params params = {
		.keep_bytes = 1, .snapshot_leaves = naive.leaves, .segment = naive.segment - 1};
	struct memory_file *oldest = naive_file(&naive, recycled.oldest);
	const uint8_t *other = naive_file(&naive, naive.segment - 1)->bytes;
	struct atr_log_retained out;
	char why[sizeof(error)];

	if (strncmp(file->name, "segment-", strlen("segment-")) != 0 || --recycled.reads_left > 0)
		return;
	disk.before_read = NULL;
	assert_int_equal(atr_log_retain(&disk.storage, &params, 1, &out, why, sizeof(why)), 0);
	assert_int_equal(out.segments, 1);
	for (uint64_t i = recycled.over; i < oldest->size; i++)
		oldest->bytes[i] = recycled.foreign ? other[i] : 0;
}

static inline void recycle_at_read(unsigned int reads, uint64_t over, bool foreign)
{
	recycled.reads_left = reads;
	recycled.over = over;
	recycled.foreign = foreign;
	disk.before_read = recycle_before_read;
}

static void expect_whole(const struct atr_log_scan *s)
{
	uint8_t root[ATR_HASH_SIZE], expected[ATR_HASH_SIZE];

	assert_int_equal(s->groups, naive.groups);
	assert_int_equal(s->records, naive.leaves);
	assert_int_equal(s->events, naive.events);
	assert_int_equal(s->segments, naive.segment);
	assert_int_equal(s->end.segment, naive.segment - 1);
	assert_int_equal(s->end.offset, naive.offset);
	assert_int_equal(s->end.group, naive.groups);
	assert_int_equal(s->shard, 1);
	assert_int_equal(s->shards, 2);
	assert_int_equal(s->realm, 42);
	assert_memory_equal(s->log_id, naive.log_id, 16);
	atr_frontier_root(&s->end.frontier, root);
	atr_merkle_root(naive.leaf[0], naive.leaves, expected);
	assert_memory_equal(root, expected, sizeof(root));
}

#endif
