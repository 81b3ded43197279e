/* SPDX-License-Identifier: BSD-3-Clause */
/* Segments that give up their entries, and the forecast of a full disk. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "reader_fixture.h"

#define P0 "pruned-0000000000000000.atr"
#define S0 "segment-0000000000000000.atr"

static uint64_t kept_bodies, lost_bodies, decisions_sum;

static int see_record(void *context, const struct atr_group_hdr *group,
		      const struct atr_record_hdr *record, const uint8_t *body,
		      const uint8_t *decisions, const uint8_t leaf[ATR_HASH_SIZE])
{
	(void)context;
	(void)group;
	assert_memory_equal(leaf, naive.leaf[record->leaf], ATR_HASH_SIZE);
	if (record->kind == ATR_RECORD_FRAME || record->kind == ATR_RECORD_ENVELOPE)
		body ? kept_bodies++ : lost_bodies++;
	else
		assert_non_null(body);
	for (unsigned int i = 0; i < record->decision_length; i++)
		decisions_sum += decisions[i] * (record->leaf + 1);
	return 0;
}

static void scan_all(struct atr_log_scan *s)
{
	const struct atr_log_visitor visitor = {NULL, see_record, NULL, NULL};

	kept_bodies = lost_bodies = decisions_sum = 0;
	if (atr_log_scan(&disk.storage, &visitor, s, error, sizeof(error)))
		fail_msg("%s", error);
}

static int retain(unsigned int max, struct atr_log_retained *out)
{
	const struct atr_log_retain_params params = {.keep_bytes = SEGMENT,
						     .snapshot_leaves = naive.leaves,
						     .segment = naive.segment - 1};

	return atr_log_retain(&disk.storage, &params, max, out, error, sizeof(error));
}

/* Several segments, of which the last has a snapshot of all the others. */
static void write_segments(uint64_t segments)
{
	while (naive.segment < segments)
		write_sample(1);
	write_sample(5);
	disk.writable = true;
}

/* Invariant: a log that gave up entries keeps every leaf hash, decision, number and root, loses no
 * group, and is smaller. */
static void gives_up_entries(void **state)
{
	struct atr_log_scan before, after;
	struct atr_log_retained out;
	uint64_t bodies, sum;

	(void)state;
	write_segments(6);
	scan_all(&before);
	bodies = kept_bodies;
	sum = decisions_sum;
	assert_int_equal(lost_bodies, 0);
	for (uint64_t gone = 1; gone <= 4; gone++) {
		assert_int_equal(retain(1, &out), 0);
		assert_int_equal(out.segments, 1);
		assert_true(out.bytes > 0);
		scan_all(&after);
		expect_whole(&after);
		assert_int_equal(after.pruned_segments, gone);
		assert_true(after.pruned_leaves > 0);
		assert_int_equal(kept_bodies + lost_bodies, bodies);
		assert_int_equal(decisions_sum, sum);
		assert_memory_equal(&after.end, &before.end, sizeof(after.end));
	}
	assert_true(lost_bodies > kept_bodies);
	/* One whole segment stays, beside that which is being written. */
	assert_int_equal(retain(9, &out), 0);
	assert_int_equal(out.segments, 0);
}

/* Invariant: nothing above the snapshot is given up, nothing without one, nothing at 0 bytes. */
static void keeps_what_it_must(void **state)
{
	struct atr_log_retain_params params = {.keep_bytes = SEGMENT};
	struct atr_log_retained out;
	struct atr_log_scan s;
	uint64_t second;

	(void)state;
	write_segments(4);
	params.segment = naive.segment - 1;
	second = ((struct atr_segment_hdr *)naive_file(&naive, 1)->bytes)->first_leaf;
	for (params.snapshot_leaves = 0; params.snapshot_leaves < second;
	     params.snapshot_leaves += second - 1) {
		assert_int_equal(
			atr_log_retain(&disk.storage, &params, 9, &out, error, sizeof(error)), 0);
		assert_int_equal(out.segments, 0);
	}
	params.snapshot_leaves = second;
	params.keep_bytes = 0;
	assert_int_equal(atr_log_retain(&disk.storage, &params, 9, &out, error, sizeof(error)), 0);
	assert_int_equal(out.segments, 0);
	params.keep_bytes = 1;
	assert_int_equal(atr_log_retain(&disk.storage, &params, 9, &out, error, sizeof(error)), 0);
	assert_int_equal(out.segments, 1);
	assert_int_equal(scan(&s), 0);
	expect_whole(&s);
}

/* Invariant: entries that are gone though no snapshot record covers them are damage. */
static void without_snapshot(void **state)
{
	const struct naive_group plain = {.frames = 4, .packets = 8};
	struct atr_log_retained out;
	struct atr_log_scan s;

	(void)state;
	while (naive.segment < 3)
		naive_group(&naive, &plain);
	disk.writable = true;
	assert_int_equal(retain(1, &out), 0);
	assert_int_equal(out.segments, 1);
	assert_int_equal(scan(&s), -EBADMSG);
	assert_non_null(strstr(error, P0));
	assert_non_null(strstr(error, "no snapshot"));
}

/* Invariant: a pass may begin where a segment ended that has given up its entries since, though not
 * in the midst of it. */
static void from_the_end_of_a_pruned_segment(void **state)
{
	struct atr_log_end end[NAIVE_GROUPS];
	struct atr_log_scan whole, s;
	struct atr_log_follow_params params = {.storage = &disk.storage};
	struct atr_log_scan_options options = {0};
	struct atr_log_follow *follow;
	struct atr_log_retained out;
	unsigned int ends = 0, refused = 0;

	(void)state;
	write_segments(5);
	follow = atr_log_follow_open(&params, error, sizeof(error));
	for (uint64_t g = 0; g < naive.groups; g++) {
		assert_int_equal(atr_log_follow_take(follow, naive.groups, 1,
						     &(struct atr_log_visitor){0}, error,
						     sizeof(error)),
				 1);
		end[g] = *atr_log_follow_end(follow);
	}
	atr_log_follow_close(follow);
	assert_int_equal(retain(3, &out), 0);
	scan_all(&whole);
	for (uint64_t g = 0; g + 1 < naive.groups; g++) {
		bool last = end[g].segment != end[g + 1].segment;

		options.from = &end[g];
		if (end[g].segment < 3 && !last) {
			assert_int_equal(scan_with(&options, &s), -EBADMSG);
			refused++;
			continue;
		}
		assert_int_equal(scan_with(&options, &s), 0);
		assert_int_equal(s.groups, naive.groups - 1 - g);
		assert_memory_equal(&s.end, &whole.end, sizeof(s.end));
		ends += last && end[g].segment < 3;
	}
	assert_int_equal(ends, 3);
	assert_true(refused > 0);
}

/* Invariant: wherever giving up is cut short, the log stays whole, and the next call ends it. */
static void cut_short(void **state)
{
	struct atr_log_retained out;
	struct atr_log_scan s;

	(void)state;
	write_segments(4);
	for (unsigned int step = 1; step <= 3; step++) {
		disk.names_left = step;
		if (retain(1, &out) == 0)
			break;
		assert_non_null(strstr(error, "kept"));
		disk.names_left = 0;
		assert_int_equal(scan(&s), 0);
		expect_whole(&s);
		assert_non_null(memory_find(&disk, S0));
		assert_int_equal(s.pruned_segments, 0);
	}
	disk.names_left = 0;
	assert_int_equal(retain(1, &out), 0);
	assert_int_equal(scan(&s), 0);
	assert_null(memory_find(&disk, S0));
	assert_non_null(memory_find(&disk, P0));
	assert_true(s.pruned_segments > 0);
}

/* Invariant: a segment that is damaged is not given up; it stays what it is. */
static void damaged_stays(void **state)
{
	struct atr_log_retained out;

	(void)state;
	write_segments(4);
	for (uint64_t at = 1; at < naive.at[0].offset + naive.at[0].length; at += 397) {
		naive_file(&naive, 0)->bytes[at] ^= 8;
		assert_int_equal(retain(1, &out), -EBADMSG);
		assert_non_null(strstr(error, S0 ", byte"));
		assert_null(memory_find(&disk, P0));
		naive_file(&naive, 0)->bytes[at] ^= 8;
	}
	memset(naive_bytes(&naive, 3), 0, ATR_LOG_BLOCK);
	assert_int_equal(retain(1, &out), -EBADMSG);
}

/* Invariant: pruned segments that are missing, swapped or duplicated, and a log of nothing else,
 * are damage. */
static void pruned_files(void **state)
{
	struct atr_log_retained out;
	struct memory_file *a, *b;
	struct atr_log_scan s;
	uint8_t *bytes;
	uint64_t size;

	(void)state;
	write_segments(5);
	assert_int_equal(retain(3, &out), 0);
	assert_int_equal(out.segments, 3);
	a = memory_find(&disk, P0);
	b = memory_find(&disk, "pruned-0000000000000001.atr");
	bytes = a->bytes;
	size = a->size;
	a->bytes = b->bytes;
	a->size = b->size;
	assert_int_equal(scan(&s), -EBADMSG);
	assert_non_null(strstr(error, P0 ", byte"));
	a->bytes = bytes;
	a->size = size - ATR_LOG_BLOCK;
	assert_int_equal(scan(&s), -EBADMSG);
	assert_non_null(strstr(error, P0 ", byte"));
	a->size = size;
	assert_int_equal(scan(&s), 0);
	memory_remove(&disk, "pruned-0000000000000001.atr");
	assert_int_equal(scan(&s), -EBADMSG);
	assert_non_null(strstr(error, "0000000000000001.atr"));
	memory_remove(&disk, "pruned-0000000000000002.atr");
	assert_int_equal(scan(&s), -EBADMSG);
	while (memory_find(&disk, "segment-0000000000000003.atr"))
		memory_remove(&disk, "segment-0000000000000003.atr");
	memory_remove(&disk, "segment-0000000000000004.atr");
	assert_int_equal(scan(&s), -EBADMSG);
}

static uint64_t next_leaf;

static int see_once(void *context, const struct atr_group_hdr *group,
		    const struct atr_record_hdr *record, const uint8_t *body,
		    const uint8_t *decisions, const uint8_t leaf[ATR_HASH_SIZE])
{
	assert_int_equal(record->leaf, next_leaf);
	next_leaf++;
	return see_record(context, group, record, body, decisions, leaf);
}

/* Invariant: a segment that retention takes while a pass reads it, whatever its file holds by then,
 * is no damage: every leaf is seen once, in order, and what was not read yet comes pruned. */
static void recycled_while_scanned(void **state)
{
	const struct atr_log_visitor visitor = {NULL, see_once, NULL, NULL};
	struct atr_log_retained out;
	unsigned int partly = 0;

	(void)state;
	for (uint64_t before = 0; before <= 1; before++)
		for (uint64_t over = 0; over < SEGMENT; over += 3 * ATR_LOG_BLOCK / 2) {
			struct atr_log_scan s;

			done(NULL);
			fresh(NULL);
			write_segments(4);
			assert_int_equal(retain((unsigned int)before, &out), 0);
			/* Files that were given up come last; a second one would be removed. */
			if (before)
				memory_remove(&disk, disk.file[disk.files - 1]->name);
			kept_bodies = lost_bodies = next_leaf = 0;
			recycled.oldest = before;
			recycle_at_read(1, over, over % ATR_LOG_BLOCK != 0);
			if (atr_log_scan(&disk.storage, &visitor, &s, error, sizeof(error)))
				fail_msg("over %" PRIu64 ": %s", over, error);
			assert_null(disk.before_read);
			assert_int_equal(next_leaf, naive.leaves);
			expect_whole(&s);
			assert_false(s.torn);
			/* It counts as pruned from where it was not read whole. */
			partly += s.pruned_segments == before + 1 && kept_bodies > 0;
		}
	recycled.oldest = 0;
	assert_true(partly > 10);
}

static void grow_before_read(const struct memory_file *file)
{
	struct atr_log_retained out;
	uint64_t last = naive.segment - 1;

	if (file != naive_file(&naive, last))
		return;
	disk.before_read = NULL;
	write_segments(naive.segment + 2);
	/* Up to the one that is about to be read, whose file stays as the only one given up. */
	for (uint64_t i = 0; i <= last; i++) {
		if (i > 0)
			memory_remove(&disk, disk.file[disk.files - 1]->name);
		assert_int_equal(retain(1, &out), 0);
		assert_int_equal(out.segments, 1);
	}
	assert_ptr_equal(file, disk.file[disk.files - 1]);
}

/* Invariant: when retention reaches, during a pass, the segment that was the last one as the pass
 * began, the pass goes on to those that follow it now. */
static void overtaken_while_scanned(void **state)
{
	const struct atr_log_visitor visitor = {NULL, see_once, NULL, NULL};
	struct atr_log_scan s;

	(void)state;
	write_segments(3);
	kept_bodies = lost_bodies = next_leaf = 0;
	disk.before_read = grow_before_read;
	if (atr_log_scan(&disk.storage, &visitor, &s, error, sizeof(error)))
		fail_msg("%s", error);
	assert_null(disk.before_read);
	assert_int_equal(next_leaf, naive.leaves);
	expect_whole(&s);
}

/* Invariant: the same for who reads on, who is told that the segment gave up its entries; damage
 * in a segment that stays is damage. */
static void recycled_while_followed(void **state)
{
	const struct atr_log_visitor visitor = {0};

	(void)state;
	for (int foreign = 0; foreign < 3; foreign++) {
		struct atr_log_follow_params params = {.storage = &disk.storage};
		struct atr_log_follow *follow;
		int rc;

		done(NULL);
		fresh(NULL);
		write_segments(5);
		follow = atr_log_follow_open(&params, error, sizeof(error));
		assert_int_equal(atr_log_follow_take(follow, 9, 1, &visitor, error, sizeof(error)),
				 1);
		if (foreign < 2)
			recycle_at_read(1, ATR_LOG_BLOCK, foreign);
		else
			naive_bytes(&naive, 1)[naive.at[1].length / 2] ^= 1;
		rc = atr_log_follow_take(follow, naive.groups, 99, &visitor, error, sizeof(error));
		assert_int_equal(rc, -EBADMSG);
		if (!strstr(error, foreign < 2 ? P0 ", byte 0: the segment gave up its entries"
					       : S0 ", byte"))
			fail_msg("%s", error);
		atr_log_follow_close(follow);
	}
}

/* Bug: headers and decisions of a pruned group were collected into a megabyte, though a pruned file
 * can claim a quarter more. Invariant: a forged one is refused and takes no byte that is not its
 * own. */
static void forged_decisions(void **state)
{
	enum { STUB = sizeof(struct atr_record_hdr) + ATR_HASH_SIZE + 8192, STUBS = 157 };
	const uint64_t size = 2 * ATR_LOG_BLOCK + ATR_PRUNED_BYTES_MAX;
	struct atr_log_retained out;
	struct atr_pruned_group *head;
	struct atr_group_hdr *group;
	struct atr_pruned_hdr *hdr;
	struct memory_file *file;
	struct atr_log_scan s;
	uint8_t *bytes = calloc(1, size), *at;

	(void)state;
	write_segments(4);
	assert_int_equal(retain(1, &out), 0);
	file = memory_find(&disk, P0);
	memcpy(bytes, file->bytes, 2 * ATR_LOG_BLOCK + sizeof(*head) + sizeof(*group));
	hdr = (struct atr_pruned_hdr *)bytes;
	head = (struct atr_pruned_group *)(bytes + 2 * ATR_LOG_BLOCK);
	group = (struct atr_group_hdr *)(head + 1);
	at = (uint8_t *)(group + 1);
	group->records = STUBS + 1;
	for (uint64_t i = 0; i < STUBS; i++, at += STUB) {
		const struct atr_record_hdr stub = {.kind = ATR_RECORD_FRAME,
						    .events = UINT16_MAX,
						    .decision_length = 8192,
						    .leaf = i};

		memcpy(at, &stub, sizeof(stub));
		memset(at + sizeof(stub) + ATR_HASH_SIZE, 0x55, stub.decision_length);
	}
	head->length = (uint32_t)(at - (const uint8_t *)head);
	assert_in_range(head->length, ATR_GROUP_BYTES_MAX + (200u << 10), ATR_PRUNED_BYTES_MAX);
	head->crc = 0;
	head->crc = naive_crc((const uint8_t *)head, head->length);
	hdr->bytes = size;
	hdr->crc = 0;
	hdr->crc = naive_crc(bytes, ATR_LOG_BLOCK);
	free(file->bytes);
	file->bytes = bytes;
	file->size = size;
	assert_int_equal(scan(&s), -EBADMSG);
	if (!strstr(error, P0 ", byte"))
		fail_msg("%s", error);
	/* It came as far as the end of what was forged. */
	assert_non_null(strstr(error, "does not end within"));
}

/* Invariant: the forecast is the window's own rate, and never divides by nothing. */
static void forecast(void **state)
{
	struct atr_log_forecast f = {0};
	uint64_t rate, seconds;

	(void)state;
	atr_log_forecast_read(&f, 1000, &rate, &seconds);
	assert_int_equal(rate, 0);
	assert_true(seconds == UINT64_MAX);
	for (uint64_t s = 1; s <= 100; s++)
		atr_log_forecast_add(&f, s * 1000000000, s < 50 ? 0 : (s - 50) * 500);
	atr_log_forecast_add(&f, 5, 77);
	atr_log_forecast_read(&f, 1000000, &rate, &seconds);
	/* 25,000 bytes in the last 59 seconds. */
	assert_int_equal(rate, 25000 / 59);
	assert_int_equal(seconds, 1000000 / rate);
	for (uint64_t s = 101; s <= 200; s++)
		atr_log_forecast_add(&f, s * 1000000000, 25000);
	atr_log_forecast_read(&f, 1000000, &rate, &seconds);
	assert_int_equal(rate, 0);
	assert_true(seconds == UINT64_MAX);
}

#define T(name) cmocka_unit_test_setup_teardown(name, fresh, done)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(gives_up_entries),
		T(keeps_what_it_must),
		T(without_snapshot),
		T(cut_short),
		T(damaged_stays),
		T(pruned_files),
		T(forecast),
		T(from_the_end_of_a_pruned_segment),
		T(recycled_while_scanned),
		T(recycled_while_followed),
		T(overtaken_while_scanned),
		T(forged_decisions),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
