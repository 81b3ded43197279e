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

#include "../../../lib/query/query.h"
#include "../log/reader_fixture.h"

#define SOURCE 3 /* of the naive log's frames */
#define STEP   (40u << 10)

static struct atr_query *read_all(uint64_t step)
{
	struct atr_query *query = atr_query_create(&disk.storage, error, sizeof(error));
	int rc;

	assert_non_null(query);
	while ((rc = atr_query_refresh(query, UINT64_MAX, step, error, sizeof(error))) == 1)
		;
	if (rc < 0)
		fail_msg("%s", error);
	assert_int_equal(atr_query_leaves(query), naive.leaves);
	return query;
}

static int find(struct atr_query *query, uint64_t sequence, struct atr_query_event *event)
{
	const struct atr_query_key key = {.source = SOURCE, .sequence = sequence};

	return atr_query_find(query, &key, event, error, sizeof(error));
}

static void expect_proof(struct atr_query *query, uint64_t leaf, uint64_t leaves)
{
	uint8_t proof[ATR_QUERY_NODES][ATR_HASH_SIZE], root[ATR_HASH_SIZE];
	int nodes = atr_query_prove(query, leaf, leaves, proof, error, sizeof(error));

	assert_true(nodes >= 0);
	atr_merkle_root(naive.leaf[0], leaves, root);
	assert_true(atr_merkle_inclusion_ok(leaf, leaves, naive.leaf[leaf], proof[0], (size_t)nodes,
					    root));
}

/* Invariant: every event is found where it is, in an index made in one pass or in many, and while
 * the log grows; others are not. */
static void found(void **state)
{
	struct atr_query *query;
	struct atr_query_event event;
	struct atr_log_scan s;

	(void)state;
	write_sample(20);
	assert_int_equal(scan(&s), 0);
	expect_whole(&s);
	query = read_all(STEP);
	write_sample(20);
	assert_int_equal(atr_query_refresh(query, UINT64_MAX, UINT64_MAX, error, sizeof(error)), 0);
	assert_int_equal(atr_query_leaves(query), naive.leaves);
	for (uint64_t sequence = 1; sequence < naive.sequence; sequence += 37) {
		const struct atr_frame_hdr *frame;
		const struct atr_record_hdr *record;

		assert_int_equal(find(query, sequence, &event), 1);
		assert_int_equal(event.key.sequence, sequence);
		assert_true(event.admitted);
		assert_int_equal(event.offset, naive.at[event.group].offset);
		assert_int_equal(event.segment, naive.at[event.group].segment);
		assert_int_equal(event.committed_ns, event.group + 1000);
		assert_memory_equal(event.leaf_hash, naive.leaf[event.leaf], ATR_HASH_SIZE);
		assert_true(event.commit_leaf > event.leaf);
		record = (const void *)(naive_bytes(&naive, event.group) +
					sizeof(struct atr_group_hdr));
		frame = (const void *)(record + 1);
		assert_true(frame->first_sequence <= sequence);
		/* The naive log has no plan that could be compiled. */
		assert_false(event.feeds_known);
		expect_proof(query, event.leaf, naive.leaves);
	}
	assert_int_equal(find(query, naive.sequence, &event), 0);
	assert_int_equal(find(query, 0, &event), 0);
	atr_query_free(query);
}

/* Invariant: an event that was refused is told as such; if the same sequence was admitted later,
 * that is told. */
static void refused(void **state)
{
	const struct naive_group shape = {.frames = 1, .packets = 5};
	struct atr_record_hdr *record;
	struct atr_query_event event;
	struct atr_query *query;

	(void)state;
	naive_group(&naive, &shape);
	record = (struct atr_record_hdr *)(naive_bytes(&naive, 0) + sizeof(struct atr_group_hdr));
	((uint8_t *)(record + 1))[record->body_length] = 0x1D;
	naive_reseal(naive_bytes(&naive, 0));
	query = read_all(UINT64_MAX);
	assert_int_equal(find(query, 2, &event), 1);
	assert_false(event.admitted);
	assert_int_equal(event.index, 1);
	assert_int_equal(find(query, 3, &event), 1);
	assert_true(event.admitted);
	naive.sequence = 1;
	naive_group(&naive, &shape);
	assert_int_equal(atr_query_refresh(query, UINT64_MAX, UINT64_MAX, error, sizeof(error)), 0);
	assert_int_equal(find(query, 2, &event), 1);
	assert_true(event.admitted);
	assert_int_equal(event.group, 1);
	assert_int_equal(event.committed_ns, 1001);
	atr_query_free(query);
}

/* Invariant: pages of a range hold every event once and in order, whatever their size. */
static void pages(void **state)
{
	struct atr_query_event event[64];
	struct atr_query *query;

	(void)state;
	write_sample(30);
	query = read_all(STEP);
	for (unsigned int max = 1; max <= 64; max += 21) {
		struct atr_query_cursor cursor = {0};
		uint64_t next = 10;
		int n;

		do {
			n = atr_query_range(query, SOURCE, 10, naive.sequence - 5, &cursor, event,
					    max, error, sizeof(error));
			assert_true(n >= 0);
			for (int i = 0; i < n; i++, next++) {
				assert_int_equal(event[i].key.sequence, next);
				assert_true(event[i].commit_leaf > event[i].leaf);
			}
		} while (n == (int)max);
		assert_int_equal(next, naive.sequence - 4);
	}
	atr_query_free(query);
}

/* Invariant: proofs hold for any leaf and size, across chunks of the index. */
static void proofs(void **state)
{
	struct atr_query *query;
	uint8_t proof[ATR_QUERY_NODES][ATR_HASH_SIZE];

	(void)state;
	naive.segment_bytes = 4u << 20;
	for (unsigned int i = 0; i < 5; i++)
		naive_group(&naive, &(struct naive_group){.frames = 2100, .packets = 1});
	query = read_all(UINT64_MAX);
	for (uint64_t leaves = 1; leaves <= naive.leaves; leaves += 1021) {
		expect_proof(query, 0, leaves);
		expect_proof(query, leaves - 1, leaves);
		expect_proof(query, leaves * 2 / 3, leaves);
	}
	expect_proof(query, 4095, 8192);
	expect_proof(query, 4096, 8192);
	assert_int_equal(atr_query_prove(query, 7, naive.leaves + 1, proof, error, sizeof(error)),
			 -EINVAL);
	assert_int_equal(atr_query_prove(query, 7, 7, proof, error, sizeof(error)), -EINVAL);
	atr_query_free(query);
}

/* Invariant: in a log that gave up entries, before the index was made or after, what is left is
 * found and proven, and what is not is not found. */
static void pruned(void **state)
{
	struct atr_log_retain_params params = {.keep_bytes = 1};
	struct atr_query *query, *later;
	struct atr_log_retained out;
	struct atr_query_event event;

	(void)state;
	write_sample(45);
	query = read_all(STEP);
	disk.writable = true;
	params.segment = naive.segment - 1;
	params.snapshot_leaves = naive.leaves;
	assert_int_equal(atr_log_retain(&disk.storage, &params, 2, &out, error, sizeof(error)), 0);
	assert_int_equal(out.segments, 2);
	later = read_all(STEP);
	assert_true(atr_query_pruned(later) > 0);
	assert_int_equal(find(later, 1, &event), 0);
	assert_int_equal(find(query, 1, &event), 0);
	assert_int_equal(find(later, naive.sequence - 1, &event), 1);
	assert_int_equal(find(query, naive.sequence - 1, &event), 1);
	expect_proof(later, event.leaf, naive.leaves);
	expect_proof(later, 2, naive.leaves);
	expect_proof(query, 2, naive.leaves);
	atr_query_free(query);
	atr_query_free(later);
}

/* Invariant: an event whose segment goes while it is looked for is found, or is not and then the
 * log is told to have given up what lies there; the same while the index is made. */
static void recycled_while_searched(void **state)
{
	unsigned int gone = 0;

	(void)state;
	for (unsigned int reads = 1; reads < 12; reads++)
		for (unsigned int making = 0; making < 2; making++) {
			struct atr_query_event event;
			struct atr_query *query;
			int rc;

			done(NULL);
			fresh(NULL);
			write_sample(45);
			disk.writable = true;
			if (making)
				recycle_at_read(reads, ATR_LOG_BLOCK * (reads % 4), reads % 2);
			query = read_all(STEP);
			if (!making)
				recycle_at_read(reads, ATR_LOG_BLOCK * (reads % 4), reads % 2);
			rc = find(query, 40, &event);
			if (rc < 0)
				fail_msg("read %u: %s", reads, error);
			assert_true(rc || atr_query_pruned(query) > 0);
			gone += rc == 0;
			expect_proof(query, 2, naive.leaves);
			atr_query_free(query);
		}
	assert_true(gone > 2);
}

#define T(name) cmocka_unit_test_setup_teardown(name, fresh, done)

int main(void)
{
	const struct CMUnitTest tests[] = {T(found),  T(refused), T(pages),
					   T(proofs), T(pruned),  T(recycled_while_searched)};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
