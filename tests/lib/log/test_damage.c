/* SPDX-License-Identifier: BSD-3-Clause */
/* Flips bits in every field and region of every kind of file of a log; each must be found and
 * named. Checkpoint and anchor files: tests/lib/anchor. */
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

#include "../../../lib/log/retain.h"
#include "reader_fixture.h"

#define GROUPS 40
#define PRUNED 2
#define SPARSE 61 /* every so-manieth byte of what is long */
#ifdef __SANITIZE_ADDRESS__
#define BIT_STEP 8 /* one bit of each byte, another in the next: ten times slower here */
#else
#define BIT_STEP 1
#endif
#define REGIONS  24
#define REGION   24
#define SENTENCE (MEMORY_NAME + 16)

/* How many flips a region of a kind has seen, and how many were found. */
static struct tally {
	char region[REGION];
	unsigned int flips, found;
} tally[REGIONS];

static struct tally *tally_of(const char *region)
{
	for (unsigned int i = 0; i < REGIONS; i++) {
		if (!tally[i].region[0])
			snprintf(tally[i].region, REGION, "%s", region);
		if (strcmp(tally[i].region, region) == 0)
			return &tally[i];
	}
	abort();
}

static void flip(const char *region, struct memory_file *file, uint64_t at, unsigned int bit)
{
	struct tally *t = tally_of(region);
	char named[SENTENCE], *number;
	struct atr_log_scan s;
	int rc;

	file->bytes[at] ^= (uint8_t)(1u << bit);
	rc = scan(&s);
	snprintf(named, sizeof(named), "%s, byte ", file->name);
	number = strstr(error, named);
	t->flips++;
	if (rc == -EBADMSG && number && strtoull(number + strlen(named), NULL, 10) <= at)
		t->found++;
	else
		print_message("%s: %s byte %llu bit %u: %d %s\n", region, file->name,
			      (unsigned long long)at, bit, rc, error);
	file->bytes[at] ^= (uint8_t)(1u << bit);
}

/* Every bit of a few bytes, or one bit of every so-manieth byte. */
static void flip_all(const char *region, struct memory_file *file, uint64_t from, uint64_t to)
{
	for (uint64_t at = from; at < to; at++)
		for (unsigned int bit = (unsigned int)at % BIT_STEP; bit < 8; bit += BIT_STEP)
			flip(region, file, at, bit);
}

static void flip_some(const char *region, struct memory_file *file, uint64_t from, uint64_t to)
{
	for (uint64_t at = from; at < to; at += 1 + (uint64_t)random() % SPARSE)
		flip(region, file, at, (unsigned int)random() % 8);
	if (to > from)
		flip(region, file, to - 1, 7);
}

static const char *body_name(unsigned int kind)
{
	static const char *const names[] = {
		"", "frame body", "envelope body", "commit body", "plan body", "snapshot body"};

	assert_in_range(kind, 1, 5);
	return names[kind];
}

/* Records of a group that begin at `at` of the file, kept whole or as stubs. */
static uint64_t flip_records(struct memory_file *file, uint64_t at, uint32_t records, bool pruned,
			     bool thorough)
{
	for (uint32_t i = 0; i < records; i++) {
		const struct atr_record_hdr *r = (const void *)(file->bytes + at);
		bool stub = pruned && r->kind <= ATR_RECORD_ENVELOPE;
		uint32_t body = stub ? ATR_HASH_SIZE : r->body_length;
		uint64_t begin = at + sizeof(*r), used = begin + body + r->decision_length;
		uint64_t next = (used + 7) / 8 * 8;

		if (thorough && (i == 0 || i == records - 1))
			flip_all("record header", file, at, begin);
		else
			flip_some("record header", file, at, begin);
		flip_some(stub ? "pruned leaf hash" : body_name(r->kind), file, begin,
			  begin + body);
		flip_some("decisions", file, begin + body, used);
		flip_some("record padding", file, used, next);
		at = next;
	}
	return at;
}

/* Invariant: every bit flipped in a whole segment (headers, records of all kinds, decisions,
 * paddings) is found and named with file and offset, in any segment and in the last group too. */
static void whole_segments(void **state)
{
	(void)state;
	write_sample(GROUPS);
	srandom(SEED);
	flip_all("segment header", naive_file(&naive, 0), 0, sizeof(struct atr_segment_hdr));
	for (uint64_t s = 0; s < naive.segment; s++)
		flip_some("segment header block", naive_file(&naive, s), 0, ATR_LOG_BLOCK);
	for (uint64_t g = 0; g < GROUPS; g += g < 5 || g > GROUPS - 5 ? 1 : 4) {
		struct memory_file *file = naive_file(&naive, naive.at[g].segment);
		uint64_t at = naive.at[g].offset, end = at + naive.at[g].length;
		const struct atr_group_hdr *hdr = (const void *)(file->bytes + at);

		if (g == 0 || g == GROUPS - 1)
			flip_all("group header", file, at, at + sizeof(*hdr));
		else
			flip_some("group header", file, at, at + sizeof(*hdr));
		assert_int_equal(flip_records(file, at + sizeof(*hdr), hdr->records, false, g < 3),
				 end);
		flip_some("group padding", file, end, (end + 4095) / 4096 * 4096);
	}
}

/* Invariant: the same in segments that gave up their entries. */
static void pruned_segments(void **state)
{
	struct atr_log_retain_params params = {.keep_bytes = 1};
	struct atr_log_retained out;

	(void)state;
	write_sample(GROUPS);
	write_sample(5);
	disk.writable = true;
	params.segment = naive.segment - 1;
	params.snapshot_leaves = naive.leaves;
	assert_int_equal(atr_log_retain(&disk.storage, &params, PRUNED, &out, error, sizeof(error)),
			 0);
	assert_int_equal(out.segments, PRUNED);
	for (unsigned int i = 0; i < PRUNED; i++) {
		char name[MEMORY_NAME];
		struct memory_file *file;
		uint64_t at = 2 * ATR_LOG_BLOCK;

		snprintf(name, sizeof(name), ATR_PRUNED_NAME, (uint64_t)i);
		file = memory_find(&disk, name);
		flip_all("pruned header", file, 0, sizeof(struct atr_pruned_hdr));
		flip_some("pruned header block", file, sizeof(struct atr_pruned_hdr),
			  ATR_LOG_BLOCK);
		flip_some("pruned segment header", file, ATR_LOG_BLOCK, at);
		while (at < file->size) {
			const struct atr_pruned_group *head = (const void *)(file->bytes + at);
			const struct atr_group_hdr *hdr = (const void *)(head + 1);
			uint64_t end = at + head->length;

			flip_all("pruned group header", file, at, at + sizeof(*head));
			flip_some("pruned group header", file, at + sizeof(*head),
				  at + sizeof(*head) + sizeof(*hdr));
			assert_int_equal(flip_records(file, at + sizeof(*head) + sizeof(*hdr),
						      hdr->records, true, false),
					 end);
			at = (end + 4095) / 4096 * 4096;
			flip_some("pruned padding", file, end, at);
		}
	}
}

/* Invariant: behind the end of the log a flipped bit is damage or, where a write that was cut short
 * could have left it, is told as a torn tail; what is before it stays. */
static void behind_the_end(void **state)
{
	struct memory_file *file;

	(void)state;
	write_sample(7);
	file = naive_file(&naive, naive.segment - 1);
	srandom(SEED);
	for (uint64_t at = naive.offset; at < file->size; at += 1 + (uint64_t)random() % 499) {
		struct atr_log_scan s;
		int rc;

		file->bytes[at] ^= 16;
		rc = scan(&s);
		if (rc == 0) {
			assert_true(s.torn);
			assert_int_equal(s.torn_offset, naive.offset);
			expect_whole(&s);
		} else {
			assert_int_equal(rc, -EBADMSG);
		}
		file->bytes[at] ^= 16;
	}
}

/* Invariant: a directory that was put back to an earlier state is whole by itself, and is refused
 * by what the anchor says, at every group. */
static void rolled_back(void **state)
{
	struct atr_checkpoint checkpoint = {0};
	const struct atr_log_scan_options options = {.anchored = &checkpoint,
						     .anchor_name = "shard-1.checkpoint"};
	uint64_t leaves[GROUPS];
	struct atr_log_scan s;

	(void)state;
	for (unsigned int g = 0; g < GROUPS; g++) {
		write_sample(1);
		leaves[g] = naive.leaves;
	}
	checkpoint.size = leaves[GROUPS - 1];
	atr_merkle_root(naive.leaf[0], checkpoint.size, checkpoint.root);
	assert_int_equal(scan_with(&options, &s), 0);
	for (unsigned int g = GROUPS - 1; g > 0; g--) {
		struct memory_file *file = naive_file(&naive, naive.at[g].segment);

		memset(file->bytes + naive.at[g].offset, 0, file->size - naive.at[g].offset);
		if (naive.at[g].segment != naive.at[g - 1].segment)
			memory_remove(&disk, file->name);
		assert_int_equal(scan(&s), 0);
		assert_int_equal(s.end.frontier.size, leaves[g - 1]);
		assert_int_equal(scan_with(&options, &s), -EBADMSG);
		assert_non_null(strstr(error, "shard-1.checkpoint"));
		assert_non_null(strstr(error, "rolled back"));
	}
}

/* Invariant: all of the above: not one flip was missed. */
static void every_flip_was_found(void **state)
{
	unsigned int flips = 0;

	(void)state;
	for (unsigned int i = 0; i < REGIONS && tally[i].region[0]; i++) {
		print_message("%-22s %5u of %5u flips found\n", tally[i].region, tally[i].found,
			      tally[i].flips);
		assert_true(tally[i].flips > 0);
		assert_int_equal(tally[i].found, tally[i].flips);
		flips += tally[i].flips;
	}
	assert_true(flips > 5000);
}

#define T(name) cmocka_unit_test_setup_teardown(name, fresh, done)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(whole_segments),
		T(pruned_segments),
		T(behind_the_end),
		T(rolled_back),
		cmocka_unit_test(every_flip_was_found),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
