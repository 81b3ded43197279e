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
#include <time.h>
#include <cmocka.h>

#include "../../../lib/log/crc.h"
#include "../../../lib/log/reader.h"
#include "reader_fixture.h"

/* Invariant: CRC32C is the one of RFC 3720, in the reader and in the test's own writer. */
static void crc_is_castagnoli(void **state)
{
	static const uint8_t digits[] = "123456789";

	(void)state;
	assert_int_equal(naive_crc(digits, 9), 0xE3069283u);
	assert_int_equal(atr_log_crc_end(atr_log_crc_add(ATR_LOG_CRC_BEGIN, digits, 9)),
			 0xE3069283u);
}

/* Invariant: nothing, and segments that are not in use, are an empty log. */
static void empty(void **state)
{
	struct atr_log_scan s, zero = {0};

	(void)state;
	assert_int_equal(scan(&s), 0);
	assert_memory_equal(&s, &zero, sizeof(s));
	memory_add(&disk, "lock", 0);
	memory_add(&disk, "segment-000000000000000A.atr", SEGMENT);
	memory_add(&disk, "segment-0000000000000000.atr", SEGMENT);
	assert_int_equal(scan(&s), 0);
	assert_memory_equal(&s, &zero, sizeof(s));
}

struct seen {
	uint64_t records, groups;
	int stop_at, stop_with;
};

static int see_record(void *context, const struct atr_group_hdr *group,
		      const struct atr_record_hdr *record, const uint8_t *body,
		      const uint8_t *decisions, const uint8_t leaf[ATR_HASH_SIZE])
{
	struct seen *seen = context;

	assert_int_equal(record->leaf, seen->records);
	assert_int_equal(group->group, seen->groups);
	assert_ptr_equal(decisions, body + record->body_length);
	assert_memory_equal(leaf, naive.leaf[seen->records], ATR_HASH_SIZE);
	seen->records++;
	return (int)seen->records == seen->stop_at ? seen->stop_with : 0;
}

static int see_group(void *context, const struct atr_group_hdr *group, uint64_t leaves,
		     const uint8_t root[ATR_HASH_SIZE])
{
	struct seen *seen = context;
	uint8_t expected[ATR_HASH_SIZE];

	assert_int_equal(group->group, seen->groups);
	assert_int_equal(leaves, seen->records);
	atr_merkle_root(naive.leaf[0], leaves, expected);
	assert_memory_equal(root, expected, sizeof(expected));
	seen->groups++;
	return 0;
}

/* Invariant: a whole log is read as it was written, record by record, with its tree; a visitor's
 * refusal ends the pass. */
static void whole(void **state)
{
	struct seen seen = {0};
	struct atr_log_visitor visitor = {&seen, see_record, see_group, NULL};
	struct atr_log_scan s;

	(void)state;
	for (unsigned int i = 0; i < 40; i++) {
		write_sample(1);
		seen = (struct seen){0};
		assert_int_equal(atr_log_scan(&disk.storage, &visitor, &s, error, sizeof(error)),
				 0);
		expect_whole(&s);
		assert_false(s.torn);
		assert_int_equal(seen.records, naive.leaves);
		assert_int_equal(seen.groups, naive.groups);
	}
	assert_true(naive.segment > 2);
	seen = (struct seen){.stop_at = 17, .stop_with = -ECANCELED};
	assert_int_equal(atr_log_scan(&disk.storage, &visitor, &s, error, sizeof(error)),
			 -ECANCELED);
	assert_int_equal(seen.records, 17);
}

/* Invariant: the largest groups are read, and decision digests over far more than a frame. */
static void large_group(void **state)
{
	struct atr_log_scan s;

	(void)state;
	naive.segment_bytes = 4u << 20;
	naive_group(&naive, &(struct naive_group){.frames = 3900, .packets = 1});
	naive_group(&naive, &(struct naive_group){.envelopes = 4095});
	naive_group(&naive, &(struct naive_group){.frames = 110, .packets = 138, .feeds = 64});
	assert_int_equal(scan(&s), 0);
	expect_whole(&s);
}

/* Invariant: any flipped bit in a header, a group or its padding is damage, named with the file and
 * an offset at or before the flip, never taken for a torn tail. */
static void flipped_bits(void **state)
{
	struct atr_log_scan s;
	unsigned int flips = 0;

	(void)state;
	write_sample(14);
	srandom(SEED);
	for (uint64_t g = 0; g < naive.groups - 1; g++) {
		struct memory_file *file = naive_file(&naive, naive.at[g].segment);
		uint64_t at = naive.at[g].offset, blocks = (naive.at[g].length + 4095) / 4096;
		uint64_t end = at + blocks * ATR_LOG_BLOCK;

		for (; at < end; at += 1 + (uint64_t)random() % 211) {
			uint8_t bit = (uint8_t)(1u << (random() % 8));
			char *number;

			file->bytes[at] ^= bit;
			assert_int_equal(scan(&s), -EBADMSG);
			assert_non_null(strstr(error, file->name));
			number = strstr(error, "byte ");
			assert_non_null(number);
			assert_true(strtoull(number + 5, NULL, 10) <= at);
			file->bytes[at] ^= bit;
			flips++;
		}
	}
	assert_true(flips > 300);
	for (uint64_t at = 0; at < ATR_LOG_BLOCK; at += at < 112 ? 3 : 331) {
		struct memory_file *file = naive_file(&naive, 0);

		file->bytes[at] ^= 1;
		assert_int_equal(scan(&s), -EBADMSG);
		assert_non_null(strstr(error, file->name));
		file->bytes[at] ^= 1;
	}
	assert_int_equal(scan(&s), 0);
}

/* Invariant: in the last group, too, a flipped bit is damage: no write that was cut short leaves
 * every sector something else than zeros. */
static void flipped_last(void **state)
{
	struct atr_log_scan s;
	uint8_t *bytes;

	(void)state;
	write_sample(4);
	bytes = naive_bytes(&naive, 3);
	for (uint64_t at = 0; at < naive.at[3].length; at += 57) {
		bytes[at] ^= 4;
		assert_int_equal(scan(&s), -EBADMSG);
		bytes[at] ^= 4;
	}
	assert_int_equal(scan(&s), 0);
}

/* Invariant: a last group of which sectors are missing is torn, whichever they are; what is before
 * it stays, and the cut is named. */
static void torn_tail(void **state)
{
	struct atr_log_scan s;
	uint8_t saved[SEGMENT];

	(void)state;
	write_sample(9);
	srandom(SEED);
	for (int round = 0; round < 200; round++) {
		uint64_t last = naive.groups - 1, length = naive.at[last].length, lost = 0;
		uint8_t *bytes = naive_bytes(&naive, last);

		memcpy(saved, bytes, length);
		for (uint64_t at = 0; at < length; at += 512)
			if (random() % 3 == 0 && ++lost)
				memset(bytes + at, 0, length - at < 512 ? length - at : 512);
		assert_int_equal(scan(&s), 0);
		assert_int_equal(s.groups, lost ? last : naive.groups);
		if (lost)
			assert_int_equal(s.end.offset, naive.at[last].offset);
		if (s.torn) {
			assert_int_equal(s.torn_segment, naive.at[last].segment);
			assert_int_equal(s.torn_offset, naive.at[last].offset);
			assert_true(s.torn_bytes && s.torn_bytes % ATR_LOG_BLOCK == 0);
		}
		memcpy(bytes, saved, length);
	}
}

/* Invariant: a torn group may be followed by complete ones that do not call it durable; one that
 * does makes it damage. */
static void torn_group_commit(void **state)
{
	struct naive_group next = {.frames = 2, .packets = 4};
	struct atr_log_scan s;
	uint64_t torn;

	(void)state;
	write_sample(4);
	torn = naive.groups - 1;
	next.unsynced = 1;
	naive_group(&naive, &next);
	next.unsynced = 2;
	naive_group(&naive, &next);
	memset(naive_bytes(&naive, torn) + 512, 0, 512);
	assert_int_equal(scan(&s), 0);
	assert_int_equal(s.groups, torn);
	assert_true(s.torn);
	assert_int_equal(s.torn_offset, naive.at[torn].offset);
	next.unsynced = 2;
	naive_group(&naive, &next);
	assert_int_equal(scan(&s), -EBADMSG);
	assert_non_null(strstr(error, "written after it"));
}

/* Invariant: a hole of zeros, or of other bytes, before a durable group is damage. */
static void holes(void **state)
{
	struct atr_log_scan s;

	(void)state;
	write_sample(12);
	for (uint64_t g = 0; g + 1 < naive.groups; g++) {
		uint8_t *bytes = naive_bytes(&naive, g), saved[SEGMENT];
		uint64_t length = naive.at[g].length;

		memcpy(saved, bytes, length);
		memset(bytes, 0, length);
		assert_int_equal(scan(&s), -EBADMSG);
		memset(bytes, 0x77, length);
		assert_int_equal(scan(&s), -EBADMSG);
		memcpy(bytes, saved, length);
	}
}

static void swap_files(const char *a, const char *b)
{
	struct memory_file *x = memory_find(&disk, a), *y = memory_find(&disk, b);
	uint8_t *bytes = x->bytes;

	x->bytes = y->bytes;
	y->bytes = bytes;
}

#define S0 "segment-0000000000000000.atr"
#define S1 "segment-0000000000000001.atr"
#define S2 "segment-0000000000000002.atr"
#define S3 "segment-0000000000000003.atr"

static void expect_damage(const char *name)
{
	struct atr_log_scan s;

	assert_int_equal(scan(&s), -EBADMSG);
	assert_non_null(strstr(error, name));
}

/* Invariant: missing, swapped, duplicated and truncated segments are damage, named. */
static void segments(void **state)
{
	struct atr_log_scan s;

	(void)state;
	while (naive.segment < 3)
		write_sample(1);
	assert_int_equal(scan(&s), 0);
	swap_files(S1, S2);
	expect_damage(S1);
	swap_files(S1, S2);
	memory_find(&disk, S1)->size = SEGMENT - ATR_LOG_BLOCK;
	expect_damage(S1);
	memory_find(&disk, S1)->size = ATR_LOG_BLOCK + 512;
	expect_damage(S1);
	memory_find(&disk, S1)->size = 0;
	expect_damage(S1);
	memory_find(&disk, S1)->size = SEGMENT;
	memory_add(&disk, S3, SEGMENT);
	memcpy(memory_find(&disk, S3)->bytes, memory_find(&disk, S2)->bytes, SEGMENT);
	expect_damage(S3);
	memory_remove(&disk, S3);
	memset(memory_find(&disk, S1)->bytes, 0, ATR_LOG_BLOCK);
	expect_damage(S1);
	memset(memory_find(&disk, S1)->bytes, 0, SEGMENT);
	expect_damage(S1);
	memory_remove(&disk, S1);
	expect_damage(S1);
	memory_remove(&disk, S0);
	expect_damage(S0);
}

/* Invariant: a segment of another log, shard or realm is refused, though it is whole. */
static void foreign(void **state)
{
	static const struct {
		size_t offset;
		const char *says;
	} fields[] = {
		{offsetof(struct atr_segment_hdr, log_id), "another log"},
		{offsetof(struct atr_segment_hdr, realm), "another log"},
		{offsetof(struct atr_segment_hdr, shard), "another shard"},
		{offsetof(struct atr_segment_hdr, shards), "another shard"},
		{offsetof(struct atr_segment_hdr, version), "version"},
		{offsetof(struct atr_segment_hdr, segment), "another segment"},
		{offsetof(struct atr_segment_hdr, first_leaf), "does not begin"},
		{offsetof(struct atr_segment_hdr, first_group), "does not begin"},
		{offsetof(struct atr_segment_hdr, root), "another root"},
	};
	struct atr_log_scan s;
	struct atr_segment_hdr *hdr;

	(void)state;
	while (naive.segment < 2)
		write_sample(1);
	hdr = (struct atr_segment_hdr *)memory_find(&disk, S1)->bytes;
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		struct atr_segment_hdr saved = *hdr;

		((uint8_t *)hdr)[fields[i].offset] += 2;
		if (fields[i].offset == offsetof(struct atr_segment_hdr, shard))
			hdr->shard = 0;
		hdr->crc = 0;
		hdr->crc = naive_crc((const uint8_t *)hdr, ATR_LOG_BLOCK);
		assert_int_equal(scan(&s), -EBADMSG);
		assert_non_null(strstr(error, fields[i].says));
		*hdr = saved;
	}
	assert_int_equal(scan(&s), 0);
}

/* Invariant: a segment whose making was interrupted, behind the last one, is not in use. */
static void unfinished_segment(void **state)
{
	struct atr_log_scan s;
	struct memory_file *file;

	(void)state;
	write_sample(3);
	file = memory_add(&disk, S1, SEGMENT);
	assert_int_equal(scan(&s), 0);
	assert_false(s.torn);
	expect_whole(&s);
	file->bytes[0] = 1;
	assert_int_equal(scan(&s), 0);
	assert_true(s.torn);
	assert_int_equal(s.torn_segment, 1);
	expect_whole(&s);
	file->size = 100;
	assert_int_equal(scan(&s), 0);
	expect_whole(&s);
}

/* Invariant: groups whose CRCs are right are still refused where their contents contradict each
 * other, as a forger's would. */
static void forged(void **state)
{
	struct atr_log_scan s;

	(void)state;
	write_sample(6);
	for (uint64_t g = 0; g < 5; g++) {
		uint8_t *bytes = naive_bytes(&naive, g), saved[SEGMENT];
		uint32_t length = naive.at[g].length;
		struct atr_group_hdr *hdr = (struct atr_group_hdr *)bytes;
		struct atr_record_hdr *r = (struct atr_record_hdr *)(hdr + 1);
		uint8_t *field[] = {&r->kind,
				    &r->zero,
				    (uint8_t *)&r->leaf,
				    (uint8_t *)&r->zero2,
				    (uint8_t *)&r->events,
				    (uint8_t *)&hdr->group,
				    (uint8_t *)&hdr->first_leaf,
				    hdr->zero2,
				    (uint8_t *)&hdr->committed_ns,
				    (uint8_t *)(r + 1)};

		memcpy(saved, bytes, length);
		for (size_t i = 0; i < sizeof(field) / sizeof(field[0]); i++) {
			*field[i] += 1;
			naive_reseal(bytes);
			assert_int_equal(scan(&s), -EBADMSG);
			memcpy(bytes, saved, length);
		}
	}
	assert_int_equal(scan(&s), 0);
}

/* Invariant: a decision bit changed together with both CRCs is caught by the commit's digest. */
static void forged_decision(void **state)
{
	struct atr_group_hdr *hdr;
	struct atr_record_hdr *r;

	(void)state;
	write_sample(1);
	hdr = (struct atr_group_hdr *)naive_bytes(&naive, 0);
	r = (struct atr_record_hdr *)(hdr + 1);
	((uint8_t *)(r + 1))[r->body_length] ^= 1;
	r->crc = 0;
	r->crc = naive_crc((uint8_t *)r, sizeof(*r) + r->body_length + r->decision_length);
	hdr->crc = 0;
	hdr->crc = naive_crc((uint8_t *)hdr, hdr->length);
	expect_damage("digest");
}

/* Invariant: a disk that cannot be read is no damage, and is passed on. */
static void disk_trouble(void **state)
{
	struct atr_log_scan s;

	(void)state;
	write_sample(2);
	disk.fail_read = -EIO;
	assert_int_equal(scan(&s), -EIO);
	assert_non_null(strstr(error, S0));
}

/* Invariant: a log of many full groups is read whole. Prints how fast one core does it. */
static void speed(void **state)
{
	struct timespec a, b;
	struct atr_log_scan s;
	double seconds;

	(void)state;
	naive.segment_bytes = 64u << 20;
	for (int i = 0; i < 60; i++)
		naive_group(&naive, &(struct naive_group){.frames = 650, .packets = 20});
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &a);
	assert_int_equal(scan(&s), 0);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &b);
	expect_whole(&s);
	seconds = (double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) / 1e9;
	print_message("scan from memory, a second of one core: %.2f M events/s, %.0f MB/s\n",
		      (double)s.events / seconds / 1e6, (double)s.bytes / seconds / 1e6);
}

#define T(name) cmocka_unit_test_setup_teardown(name, fresh, done)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(crc_is_castagnoli),
		T(empty),
		T(whole),
		T(large_group),
		T(flipped_bits),
		T(flipped_last),
		T(torn_tail),
		T(torn_group_commit),
		T(holes),
		T(segments),
		T(foreign),
		T(unfinished_segment),
		T(forged),
		T(forged_decision),
		T(disk_trouble),
		T(speed),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
