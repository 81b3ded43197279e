/* SPDX-License-Identifier: BSD-3-Clause */
/* Plan and snapshot records, whose rules reach over groups; what an anchor demands of a log. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "../../../lib/log/reader.h"
#include "reader_fixture.h"

static struct atr_record_hdr *first_record(uint64_t group)
{
	return (struct atr_record_hdr *)(naive_bytes(&naive, group) + sizeof(struct atr_group_hdr));
}

static struct atr_plan_chunk *chunk_of(uint64_t group)
{
	return (struct atr_plan_chunk *)(first_record(group) + 1);
}

/* A group's bytes changed by a forger, who makes CRCs and digests right again. */
static void expect_forged(uint64_t group, const char *says)
{
	struct atr_log_scan s;

	naive_reseal(naive_bytes(&naive, group));
	assert_int_equal(scan(&s), -EBADMSG);
	if (!strstr(error, says))
		fail_msg("'%s' does not say '%s'", error, says);
	assert_non_null(strstr(error, "segment-0000000000000000.atr, byte"));
}

/* Invariant: a document's chunks may lie in several groups, with other records between them; one
 * that is not finished when the log ends is no damage. */
static void documents(void **state)
{
	const struct naive_group one = {.plans = 1}, two = {.plans = 2}, other = {.envelopes = 1};
	struct atr_log_scan s;

	(void)state;
	naive_group(&naive, &one);
	assert_int_equal(scan(&s), 0);
	naive_group(&naive, &other);
	naive_group(&naive, &one);
	naive_group(&naive, &two);
	naive_group(&naive, &two);
	naive_group(&naive, &one);
	assert_int_equal(scan(&s), 0);
	expect_whole(&s);
}

/* Invariant: every field of every chunk is held against its document and the one before. */
static void forged_chunks(void **state)
{
	const struct naive_group one = {.plans = 1};
	uint8_t saved[SEGMENT];

	(void)state;
	for (unsigned int i = 0; i < 4; i++)
		naive_group(&naive, &one);
	for (uint64_t g = 0; g < 4; g++) {
		struct atr_plan_chunk *c = chunk_of(g);
		uint8_t *fields[] = {c->magic + 1,
				     (uint8_t *)&c->zero,
				     (uint8_t *)&c->generation,
				     (uint8_t *)&c->offset,
				     (uint8_t *)&c->total,
				     c->digest,
				     c->digest + 31,
				     (uint8_t *)(c + 1),
				     (uint8_t *)(c + 1) + NAIVE_CHUNK - 1};
		uint32_t length = naive.at[g].length;

		memcpy(saved, naive_bytes(&naive, g), length);
		for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
			for (unsigned int bit = 0; bit < 8; bit++) {
				*fields[i] ^= (uint8_t)(1 << bit);
				expect_forged(g, "a plan's");
				memcpy(naive_bytes(&naive, g), saved, length);
			}
	}
	/* A generation that was in force before. */
	chunk_of(2)->generation = chunk_of(3)->generation = 1;
	naive_reseal(naive_bytes(&naive, 3));
	expect_forged(2, "not above");
}

/* Invariant: a document is given up only by another start, and never gone on with by it. */
static void unfinished_document(void **state)
{
	const struct naive_group one = {.plans = 1};
	struct atr_log_scan s;

	(void)state;
	naive_group(&naive, &one);
	naive.plan_at = 0;
	naive.epoch++;
	naive_group(&naive, &one);
	naive_group(&naive, &one);
	assert_int_equal(scan(&s), 0);
	naive_group(&naive, &one);
	naive.plan_at = 0;
	naive_group(&naive, &one);
	assert_int_equal(scan(&s), -EBADMSG);
	assert_non_null(strstr(error, "not finished"));
}

/* Invariant: a chunk of one start is not gone on with by the next. */
static void document_of_two_starts(void **state)
{
	const struct naive_group one = {.plans = 1};
	struct atr_log_scan s;

	(void)state;
	naive_group(&naive, &one);
	naive.epoch++;
	naive_group(&naive, &one);
	assert_int_equal(scan(&s), -EBADMSG);
	assert_non_null(strstr(error, "does not follow"));
}

/* Invariant: a snapshot record claims nothing that is not before it. */
static void forged_snapshots(void **state)
{
	const struct naive_group other = {.envelopes = 1}, snapshot = {.snapshots = 1};
	struct atr_snapshot_body *body, saved;
	struct atr_log_scan s;

	(void)state;
	naive_group(&naive, &other);
	naive_group(&naive, &snapshot);
	assert_int_equal(scan(&s), 0);
	body = (struct atr_snapshot_body *)(first_record(1) + 1);
	saved = *body;
	body->magic[3]++;
	expect_forged(1, "no snapshot");
	*body = saved;
	body->zero = 1;
	expect_forged(1, "no snapshot");
	*body = saved;
	body->group = 2;
	expect_forged(1, "not before it");
	*body = saved;
	body->group = 0;
	expect_forged(1, "not before it");
	*body = saved;
	body->leaves--;
	expect_forged(1, "not before it");
	*body = saved;
	body->leaves += 5;
	expect_forged(1, "not before it");
}

static int scan_anchored(const struct atr_checkpoint *anchored)
{
	const struct atr_log_scan_options options = {.anchored = anchored,
						     .anchor_name = "anchor/shard-1.checkpoint"};
	struct atr_log_scan s;

	return scan_with(&options, &s);
}

/* Invariant: a log must reach what the anchor says, at a group's end and with its root; a torn tail
 * is torn only above that. */
static void anchored(void **state)
{
	struct atr_checkpoint checkpoint = {0};
	uint64_t sizes[12];

	(void)state;
	assert_int_equal(scan_anchored(&checkpoint), 0);
	for (unsigned int g = 0; g < 12; g++) {
		write_sample(1);
		sizes[g] = naive.leaves;
	}
	for (unsigned int g = 0; g < 12; g++) {
		checkpoint.size = sizes[g];
		atr_merkle_root(naive.leaf[0], sizes[g], checkpoint.root);
		assert_int_equal(scan_anchored(&checkpoint), 0);
		checkpoint.root[g] ^= 1;
		assert_int_equal(scan_anchored(&checkpoint), -EBADMSG);
		assert_non_null(strstr(error, "contradicts"));
		assert_non_null(strstr(error, "shard-1.checkpoint"));
		checkpoint.root[g] ^= 1;
		checkpoint.size--;
		if (g == 0 || sizes[g - 1] != checkpoint.size)
			assert_int_equal(scan_anchored(&checkpoint), -EBADMSG);
	}
	checkpoint.size = sizes[11];
	atr_merkle_root(naive.leaf[0], sizes[11], checkpoint.root);
	memset(naive_bytes(&naive, 11), 0, 512);
	assert_int_equal(scan_anchored(NULL), 0);
	assert_int_equal(scan_anchored(&checkpoint), -EBADMSG);
	assert_non_null(strstr(error, "rolled back"));
	checkpoint.size = sizes[10];
	atr_merkle_root(naive.leaf[0], sizes[10], checkpoint.root);
	assert_int_equal(scan_anchored(&checkpoint), 0);
}

/* Invariant: a directory without a segment, though an anchor says otherwise, is refused. */
static void anchored_and_gone(void **state)
{
	struct atr_checkpoint checkpoint = {.size = 3};

	(void)state;
	assert_int_equal(scan_anchored(&checkpoint), -EBADMSG);
	assert_non_null(strstr(error, "rolled back"));
}

static struct atr_log_end ends[40];

static int keep_end(void *context, const struct atr_group_hdr *group, uint64_t leaves,
		    const uint8_t root[ATR_HASH_SIZE])
{
	const struct atr_log_scan *s = context;

	(void)leaves;
	(void)root;
	ends[group->group] = s->end;
	return 0;
}

/* Invariant: a pass from any group's end comes to the same end as one from the first byte, and one
 * from a place that never was is refused. */
static void from_within(void **state)
{
	struct atr_log_scan s, whole;
	struct atr_log_visitor visitor = {&whole, NULL, keep_end, NULL};
	struct atr_log_scan_options options = {0};

	(void)state;
	write_sample(40);
	assert_true(naive.segment > 2);
	assert_int_equal(atr_log_scan(&disk.storage, &visitor, &whole, error, sizeof(error)), 0);
	for (unsigned int g = 0; g < 40; g++) {
		struct atr_log_end wrong = ends[g];

		options.from = &ends[g];
		assert_int_equal(scan_with(&options, &s), 0);
		assert_int_equal(s.groups, 39 - g);
		assert_memory_equal(&s.end, &whole.end, sizeof(s.end));
		if (ends[g].segment == whole.end.segment)
			continue;
		options.from = &wrong;
		wrong.frontier.node[__builtin_ctzll(wrong.frontier.size)][5] ^= 1;
		assert_int_equal(scan_with(&options, &s), -EBADMSG);
		wrong = ends[g];
		wrong.offset -= ATR_LOG_BLOCK;
		assert_int_equal(scan_with(&options, &s), -EBADMSG);
	}
}

/* Invariant: a pass may begin at the anchored size, or behind it, with groups to follow, and is
 * refused where the tree there has another root. */
static void anchored_where_the_pass_begins(void **state)
{
	struct atr_log_scan s, whole;
	struct atr_log_visitor visitor = {&whole, NULL, keep_end, NULL};
	struct atr_checkpoint checkpoint = {0};
	struct atr_log_scan_options options = {.anchored = &checkpoint, .anchor_name = "a"};

	(void)state;
	write_sample(12);
	assert_int_equal(atr_log_scan(&disk.storage, &visitor, &whole, error, sizeof(error)), 0);
	for (unsigned int g = 0; g < 12; g++) {
		checkpoint.size = ends[g].frontier.size;
		atr_frontier_root(&ends[g].frontier, checkpoint.root);
		for (unsigned int from = g; from < 12; from++) {
			options.from = &ends[from];
			assert_int_equal(scan_with(&options, &s), 0);
		}
		options.from = &ends[g];
		checkpoint.root[g] ^= 1;
		assert_int_equal(scan_with(&options, &s), -EBADMSG);
	}
}

#define T(name) cmocka_unit_test_setup_teardown(name, fresh, done)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(documents),
		T(forged_chunks),
		T(unfinished_document),
		T(document_of_two_starts),
		T(forged_snapshots),
		T(anchored),
		T(anchored_and_gone),
		T(from_within),
		T(anchored_where_the_pass_begins),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
