/* SPDX-License-Identifier: BSD-3-Clause */
/* A log on a real disk over several starts: snapshots, retention, segments used again, an anchor.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "../../../lib/log/reader.h"
#include "../../../lib/log/retain.h"

#define BUFFERS 4
#define SEGMENT (ATR_LOG_BLOCK + 2 * ATR_GROUP_BYTES_MAX)
#define RECORD  60000
#define RECORDS 10 /* in a group */
#define NAP_US  200
#define ORIGIN  "test/shard/0"

static struct life {
	char directory[64], logs[96], anchors[96];
	struct atr_storage *storage, *beside;
	struct atr_anchor *anchor;
	struct atr_signer *signer;
	uint8_t key[ATR_PUBLIC_KEY_SIZE];
	struct atr_log *log;
	uint64_t epoch, durable;
} life;
static char error[512];

static int begin(void **state)
{
	(void)state;
	memset(&life, 0, sizeof(life));
	snprintf(life.directory, sizeof(life.directory), "test_lifecycle_XXXXXX");
	assert_non_null(mkdtemp(life.directory));
	snprintf(life.logs, sizeof(life.logs), "%s/shard-0", life.directory);
	snprintf(life.anchors, sizeof(life.anchors), "%s", life.directory);
	life.signer = atr_signer_generate();
	atr_signer_public(life.signer, life.key);
	life.anchor = atr_anchor_open(life.anchors, error, sizeof(error));
	life.storage = atr_storage_open(life.logs, "pwritev2", error, sizeof(error));
	assert_non_null(life.storage);
	life.beside = atr_storage_open(life.logs, "beside", error, sizeof(error));
	assert_non_null(life.beside);
	return 0;
}

static int end(void **state)
{
	char command[128];

	(void)state;
	atr_log_close(life.log);
	life.storage->ops->destroy(life.storage);
	life.beside->ops->destroy(life.beside);
	atr_anchor_close(life.anchor);
	atr_signer_free(life.signer);
	snprintf(command, sizeof(command), "rm -r %s", life.directory);
	return system(command);
}

static int scan(struct atr_log_scan *s)
{
	char file[ATR_ANCHOR_FILE_MAX];
	struct atr_checkpoint anchored;
	struct atr_log_scan_options options = {.anchored = &anchored, .anchor_name = file};
	int rc = atr_anchor_load(life.anchor, 0, ORIGIN, life.key, &anchored, error, sizeof(error));

	atr_anchor_file(life.anchor, 0, file, sizeof(file));
	return rc ? rc : atr_log_scan_with(life.storage, &options, NULL, s, error, sizeof(error));
}

static struct atr_log *open_at(const struct atr_log_end *at)
{
	struct atr_log_params params = {.storage = life.storage,
					.signer = life.signer,
					.anchor = life.anchor,
					.name = "test",
					.realm = 42,
					.shards = 1,
					.segment_bytes = SEGMENT,
					.buffers = BUFFERS,
					.epoch = ++life.epoch,
					.socket = -1};

	return atr_log_open(&params, at, error, sizeof(error));
}

/* Opens the log where a scan ends. */
static void start(void)
{
	struct atr_log_scan s;

	if (scan(&s))
		fail_msg("%s", error);
	life.log = open_at(&s.end);
	if (!life.log)
		fail_msg("%s", error);
	life.durable = 0;
}

static void seal(struct atr_group_buf *group)
{
	static uint8_t body[RECORD];
	struct atr_record_hdr header = {
		.kind = ATR_RECORD_ENVELOPE, .body_length = RECORD, .events = 1, .source = 3};
	uint8_t leaf[ATR_HASH_SIZE];

	memset(body, '{', sizeof(body));
	atr_merkle_leaf(body, sizeof(body), leaf);
	for (unsigned int i = 0; i < RECORDS; i++)
		atr_log_append(group, &header, body, NULL, leaf);
	group->feed_set = 1;
	group->feed_next[0] = 77;
	group->generation = 9;
	atr_log_seal(life.log, group);
}

static void take(void)
{
	struct atr_group_buf *group;
	const char *sentence;

	atr_log_work(life.log);
	while ((group = atr_log_durable(life.log))) {
		life.durable++;
		atr_log_release(life.log, group);
	}
	if (atr_log_state(life.log, &sentence) == ATR_LOG_BROKEN)
		fail_msg("%s", sentence);
}

static void write_groups(unsigned int groups)
{
	uint64_t until = life.durable + groups;

	for (unsigned int sealed = 0; life.durable < until;) {
		struct atr_group_buf *group = sealed < groups ? atr_log_begin(life.log, 0) : NULL;

		if (group) {
			seal(group);
			sealed++;
		}
		take();
	}
	assert_int_equal(atr_log_under_way(life.log), 0);
}

/* Asks for a snapshot record of all that is durable. */
static int snapshot(uint64_t group)
{
	struct atr_log_stats stats;
	struct atr_snapshot_body body = {.group = group, .digest = {0xD1}};

	atr_log_stats(life.log, &stats);
	body.leaves = stats.leaves;
	return atr_log_snapshot(life.log, &body);
}

static uint64_t snapshot_leaves(void)
{
	struct atr_log_stats stats;

	atr_log_stats(life.log, &stats);
	return stats.snapshot_leaves;
}

struct seen {
	uint64_t snapshots, alone, positions;
	struct atr_group_hdr group;
	uint32_t records;
};

static int see_record(void *context, const struct atr_group_hdr *group,
		      const struct atr_record_hdr *record, const uint8_t *body,
		      const uint8_t *decisions, const uint8_t leaf[ATR_HASH_SIZE])
{
	struct seen *seen = context;

	(void)decisions;
	(void)leaf;
	if (record->kind == ATR_RECORD_SNAPSHOT) {
		seen->snapshots++;
		seen->alone += group->records == 2;
		assert_int_equal(record->leaf, group->first_leaf + group->records - 2);
	}
	if (record->kind == ATR_RECORD_COMMIT) {
		const struct atr_commit_body *commit = (const void *)body;
		const struct atr_feed_position *feed = (const void *)(commit + 1);

		seen->positions += commit->feed_count == 1 && feed->next == 77;
	}
	return 0;
}

/* Invariant: a snapshot's record is the last of the next group, or of a group of its own, which is
 * not given to the shard and repeats positions; before the first group there is none. */
static void snapshots(void **state)
{
	struct seen seen = {0};
	const struct atr_log_visitor visitor = {&seen, see_record, NULL, NULL};
	struct atr_log_scan s;

	(void)state;
	start();
	assert_int_equal(snapshot(0), 0);
	for (unsigned int i = 0; i < 100; i++, usleep(NAP_US))
		take();
	assert_int_equal(snapshot(0), -EBUSY);
	write_groups(1);
	assert_int_equal(snapshot(1), 0);
	assert_int_equal(snapshot(1), -EBUSY);
	write_groups(2);
	assert_true(snapshot_leaves() > 0);
	assert_int_equal(snapshot(3), 0);
	for (unsigned int i = 0; i < 10000 && snapshot_leaves() < 3 * RECORDS; i++, usleep(NAP_US))
		take();
	assert_true(snapshot_leaves() > 3 * RECORDS);
	assert_int_equal(life.durable, 3);
	/* Of what is not durable, and one that contradicts the log. */
	assert_int_equal(
		atr_log_snapshot(life.log, &(struct atr_snapshot_body){.group = 9, .leaves = 999}),
		-EINVAL);
	assert_int_equal(
		atr_log_snapshot(life.log, &(struct atr_snapshot_body){.group = 99, .leaves = 3}),
		0);
	write_groups(1);
	atr_log_close(life.log);
	life.log = NULL;
	assert_int_equal(atr_log_scan(life.storage, &visitor, &s, error, sizeof(error)), 0);
	assert_int_equal(s.groups, 5);
	assert_int_equal(seen.snapshots, 3);
	assert_int_equal(seen.alone, 1);
	assert_int_equal(seen.positions, 5);
}

static bool exists(const char *name)
{
	char path[192];

	snprintf(path, sizeof(path), "%s/%s", life.logs, name);
	return access(path, F_OK) == 0;
}

/* Invariant: over starts, with segments given up and their blocks used again, the log stays whole,
 * is anchored to its end, and uses no more segments than it keeps. */
static void given_up_and_used_again(void **state)
{
	struct atr_log_retain_params params = {.keep_bytes = SEGMENT};
	uint64_t group = 0, given = 0, used_again = 0;
	struct atr_log_retained out;
	struct atr_log_stats stats;
	struct atr_log_scan s;

	(void)state;
	for (unsigned int round = 0; round < 4; round++) {
		start();
		write_groups(8);
		group += 8;
		assert_int_equal(snapshot(group), 0);
		write_groups(2);
		group += 2;
		atr_log_stats(life.log, &stats);
		assert_true(stats.anchors > 0);
		params.snapshot_leaves = stats.snapshot_leaves;
		params.segment = stats.segment;
		if (atr_log_retain(life.beside, &params, 99, &out, error, sizeof(error)))
			fail_msg("%s", error);
		given += out.segments;
		used_again += exists("used-0000000000201000");
		write_groups(4);
		group += 4;
		atr_log_close(life.log);
		life.log = NULL;
		if (scan(&s))
			fail_msg("%s", error);
		assert_int_equal(s.groups, group);
		assert_false(s.torn);
		assert_int_equal(s.pruned_segments, given);
	}
	assert_true(given > 4);
	assert_true(used_again > 0);
	assert_true(exists("pruned-0000000000000000.atr"));
	assert_false(exists("segment-0000000000000000.atr"));
}

/* Invariant: a log that was put back to where it was before is refused by the scan, and by the
 * writer for one who did not scan; nothing is signed. */
static void put_back(void **state)
{
	struct atr_log_scan first, second;
	char command[512];

	(void)state;
	start();
	write_groups(2);
	atr_log_close(life.log);
	life.log = NULL;
	assert_int_equal(scan(&first), 0);
	snprintf(command, sizeof(command), "cp -r %s %s/copy", life.logs, life.directory);
	assert_int_equal(system(command), 0);
	start();
	write_groups(1);
	atr_log_close(life.log);
	life.log = NULL;
	assert_int_equal(scan(&second), 0);
	snprintf(command, sizeof(command), "cp %s/copy/* %s", life.directory, life.logs);
	assert_int_equal(system(command), 0);
	assert_int_equal(scan(&second), -EBADMSG);
	assert_non_null(strstr(error, "shard-0.checkpoint"));
	assert_non_null(strstr(error, "rolled back"));
	assert_null(open_at(&first.end));
	assert_non_null(strstr(error, "contradicts"));
	assert_int_equal(atr_log_scan(life.storage, NULL, &second, error, sizeof(error)), 0);
	assert_int_equal(second.groups, 2);
}

/* Invariant: groups that a start finds beyond the anchor are anchored when the log is opened,
 * before they can be published. */
static void what_is_found_is_anchored(void **state)
{
	struct atr_checkpoint anchored;
	struct atr_log_scan s;
	char command[256];

	(void)state;
	start();
	write_groups(1);
	snprintf(command, sizeof(command), "cp %s/shard-0.checkpoint %s/before", life.anchors,
		 life.directory);
	assert_int_equal(system(command), 0);
	write_groups(1);
	atr_log_close(life.log);
	life.log = NULL;
	snprintf(command, sizeof(command), "mv %s/before %s/shard-0.checkpoint", life.directory,
		 life.anchors);
	assert_int_equal(system(command), 0);
	assert_int_equal(scan(&s), 0);
	life.log = open_at(&s.end);
	assert_non_null(life.log);
	assert_int_equal(
		atr_anchor_load(life.anchor, 0, ORIGIN, life.key, &anchored, error, sizeof(error)),
		0);
	assert_int_equal(anchored.size, s.end.frontier.size);
}

#define T(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {T(snapshots), T(given_up_and_used_again), T(put_back),
					   T(what_is_found_is_anchored)};

	if (atr_sign_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
