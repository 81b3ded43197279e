/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "../../../lib/log/crc.h"
#include "../../../lib/replay/snapshot.h"
#include "replay_log.h"

#define SEED   20261125u
#define GROUPS 40

static struct replay_log logged;
static char error[512];

/* Random groups of everything, behind a plan in chunks. */
static int fresh(void **state)
{
	uint64_t next[2] = {1, 1};

	(void)state;
	srandom(SEED);
	replay_log_init(&logged);
	replay_log_begin(&logged);
	replay_log_chunk(&logged, 1, 0, 700);
	replay_log_finish(&logged, 0);
	replay_log_begin(&logged);
	replay_log_chunk(&logged, 1, 700, logged.document_length - 700);
	logged.commit.generation = 1;
	memcpy(logged.commit.plan_digest, logged.digest, sizeof(logged.digest));
	replay_log_finish(&logged, 1);
	for (uint32_t g = 2; g < GROUPS; g++) {
		replay_log_begin(&logged);
		for (unsigned int i = 0; i < 5; i++) {
			unsigned int s = (unsigned int)random() % 2;
			unsigned int count = 1 + (unsigned int)random() % 30;
			char label[4] = {(char)('a' + random() % 9)};

			replay_log_all(&logged, s + 1, next[s], count, (int32_t)random() % 200);
			next[s] += count + (uint64_t)random() % 3;
			replay_log_kept(&logged, s + 1, next[s]++, 2 + (uint32_t)random() % 5,
					random() % 1000, 10, label);
			replay_log_envelope(&logged, g * 100, g * 100 + i);
		}
		/* A plan that never becomes whole. */
		if (g == GROUPS / 2)
			replay_log_chunk(&logged, 2, 0, 100);
		replay_log_finish(&logged, g * 100);
	}
	return 0;
}

static int done(void **state)
{
	(void)state;
	replay_log_free(&logged);
	return 0;
}

/* Goes on from a place to a group, then makes a snapshot; the replay is freed. */
static struct atr_snapshot go_on(struct atr_replay *replay, const struct atr_log_end *at,
				 uint64_t below)
{
	struct atr_log_follow_params params = {.storage = &logged.disk.storage, .at = *at};
	struct atr_log_follow *follow = atr_log_follow_open(&params, error, sizeof(error));
	struct atr_snapshot snapshot;

	assert_non_null(follow);
	if (atr_log_follow_take(follow, below, GROUPS, atr_replay_visitor(replay), error,
				sizeof(error)) < 0)
		fail_msg("%s%s", error, atr_replay_error(replay));
	if (atr_snapshot_make(replay, atr_log_follow_end(follow), &snapshot, error, sizeof(error)) <
	    0)
		fail_msg("%s", error);
	atr_log_follow_close(follow);
	atr_replay_free(replay);
	return snapshot;
}

static struct atr_snapshot from_start(uint64_t below)
{
	struct atr_replay_params params = {.shard = 1, .shards = 2};
	struct atr_replay *replay = atr_replay_create(&params, error, sizeof(error));

	assert_non_null(replay);
	return go_on(replay, &(struct atr_log_end){0}, below);
}

static struct atr_replay *load(const struct atr_snapshot *snapshot, struct atr_log_end *end)
{
	struct atr_replay_params params = {.shard = 1, .shards = 2};

	return atr_snapshot_load(&params, snapshot->bytes, snapshot->length, end, error,
				 sizeof(error));
}

/* Invariant: going on from a snapshot, whenever it was made, leads to the same bytes as the log
 * from its beginning. */
static void goes_on(void **state)
{
	struct atr_snapshot whole = from_start(GROUPS);

	(void)state;
	assert_int_equal(whole.groups, GROUPS);
	assert_int_equal(whole.leaves, logged.naive.leaves);
	for (uint64_t at = 1; at < GROUPS; at++) {
		struct atr_snapshot early = from_start(at), late;
		struct atr_log_end end;
		struct atr_replay *replay = load(&early, &end);

		if (!replay)
			fail_msg("at %u: %s", (unsigned int)at, error);
		assert_int_equal(end.group, at);
		late = go_on(replay, &end, GROUPS);
		assert_int_equal(late.length, whole.length);
		assert_memory_equal(late.bytes, whole.bytes, whole.length);
		assert_memory_equal(late.digest, whole.digest, sizeof(whole.digest));
		free(early.bytes);
		free(late.bytes);
	}
	free(whole.bytes);
}

static void mend(struct atr_snapshot *snapshot)
{
	struct atr_snapshot_hdr *hdr = (struct atr_snapshot_hdr *)snapshot->bytes;

	hdr->crc = 0;
	hdr->crc = atr_log_crc_end(
		atr_log_crc_add(ATR_LOG_CRC_BEGIN, snapshot->bytes, snapshot->length));
}

/* Invariant: a flipped bit anywhere is found; with a CRC made right again it is refused or makes
 * the same bytes, and stays in bounds either way. */
static void flipped(void **state)
{
	struct atr_snapshot snapshot = from_start(GROUPS);
	struct atr_log_end end;

	(void)state;
	for (size_t at = 0; at < snapshot.length; at += 1 + (size_t)random() % 97) {
		uint8_t bit = (uint8_t)(1u << (random() % 8));
		struct atr_replay *replay;

		snapshot.bytes[at] ^= bit;
		assert_null(load(&snapshot, &end));
		mend(&snapshot);
		replay = load(&snapshot, &end);
		if (replay) {
			struct atr_snapshot again;

			assert_int_equal(
				atr_snapshot_make(replay, &end, &again, error, sizeof(error)), 0);
			assert_memory_equal(again.bytes, snapshot.bytes, snapshot.length);
			free(again.bytes);
			atr_replay_free(replay);
		}
		snapshot.bytes[at] ^= bit;
		mend(&snapshot);
	}
	for (size_t length = 0; length < snapshot.length; length += 61) {
		struct atr_snapshot cut = snapshot;

		cut.bytes = malloc(length + 1);
		cut.length = length;
		memcpy(cut.bytes, snapshot.bytes, length);
		assert_null(load(&cut, &end));
		free(cut.bytes);
	}
	free(snapshot.bytes);
}

/* Invariant: a snapshot of another shard or bound is refused. */
static void strangers(void **state)
{
	struct atr_snapshot snapshot = from_start(GROUPS);
	struct atr_replay_params params = {.shard = 0, .shards = 2};
	struct atr_log_end end;

	(void)state;
	assert_null(atr_snapshot_load(&params, snapshot.bytes, snapshot.length, &end, error,
				      sizeof(error)));
	assert_non_null(strstr(error, "another shard"));
	params = (struct atr_replay_params){.shard = 1, .shards = 2, .state_keys = 5};
	assert_null(atr_snapshot_load(&params, snapshot.bytes, snapshot.length, &end, error,
				      sizeof(error)));
	assert_non_null(strstr(error, "bound on keys"));
	free(snapshot.bytes);
}

/* Invariant: a saved snapshot is read back as it was, under its name; the newest come first. */
static void files(void **state)
{
	char directory[] = "snapshots-XXXXXX", path[128];
	struct atr_snapshot snapshot, back;
	uint64_t groups[2];

	(void)state;
	assert_non_null(mkdtemp(directory));
	for (uint64_t at = 5; at < 8; at++) {
		snapshot = from_start(at);
		assert_int_equal(atr_snapshot_save(directory, &snapshot, error, sizeof(error)), 0);
		snprintf(path, sizeof(path), "%s/" ATR_SNAPSHOT_NAME, directory, at);
		assert_int_equal(atr_snapshot_read(path, &back, error, sizeof(error)), 0);
		assert_int_equal(back.length, snapshot.length);
		assert_int_equal(back.groups, at);
		assert_int_equal(back.leaves, snapshot.leaves);
		assert_memory_equal(back.bytes, snapshot.bytes, snapshot.length);
		assert_memory_equal(back.digest, snapshot.digest, sizeof(back.digest));
		free(back.bytes);
		free(snapshot.bytes);
	}
	assert_int_equal(atr_snapshot_list(directory, groups, 2), 2);
	assert_int_equal(groups[0], 7);
	assert_int_equal(groups[1], 6);
	for (uint64_t at = 5; at < 8; at++) {
		snprintf(path, sizeof(path), "%s/" ATR_SNAPSHOT_NAME, directory, at);
		assert_int_equal(unlink(path), 0);
	}
	assert_int_equal(rmdir(directory), 0);
	assert_int_equal(atr_snapshot_read(path, &back, error, sizeof(error)), -ENOENT);
	assert_int_equal(atr_snapshot_list(directory, groups, 2), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(goes_on, fresh, done),
		cmocka_unit_test_setup_teardown(flipped, fresh, done),
		cmocka_unit_test_setup_teardown(strangers, fresh, done),
		cmocka_unit_test_setup_teardown(files, fresh, done),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
