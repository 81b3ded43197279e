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

#include "../../../lib/replay/follower.h"
#include "replay_log.h"

#define SUM         3
#define GROUPS      20
#define PATIENCE_MS 20000

static struct replay_log logged;
static uint64_t durable;
static unsigned int told;
static struct atr_snapshot newest;
static char directory[32];

static int fresh(void **state)
{
	(void)state;
	replay_log_init(&logged);
	replay_log_plan(&logged);
	for (uint64_t g = 1; g < GROUPS; g++) {
		replay_log_begin(&logged);
		replay_log_kept(&logged, 1, g, SUM, 100, 10, g % 2 ? "odd" : "even");
		replay_log_finish(&logged, g);
	}
	durable = 0;
	told = 0;
	strcpy(directory, "follower-XXXXXX");
	assert_non_null(mkdtemp(directory));
	return 0;
}

static int done(void **state)
{
	uint64_t groups[64];
	int count = atr_snapshot_list(directory, groups, 64);

	(void)state;
	for (int i = 0; i < count; i++) {
		char path[96];

		snprintf(path, sizeof(path), "%s/" ATR_SNAPSHOT_NAME, directory, groups[i]);
		unlink(path);
	}
	rmdir(directory);
	replay_log_free(&logged);
	return 0;
}

static void tell(void *ctx, unsigned int shard, const struct atr_snapshot *snapshot)
{
	assert_ptr_equal(ctx, &told);
	assert_int_equal(shard, 0);
	assert_null(snapshot->bytes);
	newest = *snapshot;
	__atomic_add_fetch(&told, 1, __ATOMIC_RELEASE);
}

static struct atr_follower *start(uint64_t snapshot_events)
{
	struct atr_replay_params params = {.shard = 1, .shards = 2};
	struct atr_follower_shard shard = {
		.storage = &logged.disk.storage, .directory = directory, .durable = &durable};
	struct atr_follower_params follower_params = {.shard = &shard,
						      .shards = 1,
						      .snapshot_events = snapshot_events,
						      .keep = 2,
						      .snapshot = tell,
						      .ctx = &told};
	char error[512];
	struct atr_follower *follower;

	shard.replay = atr_replay_create(&params, error, sizeof(error));
	assert_non_null(shard.replay);
	follower = atr_follower_start(&follower_params, error, sizeof(error));
	if (!follower)
		fail_msg("%s", error);
	return follower;
}

static struct atr_follower_status wait_for(struct atr_follower *follower, uint64_t groups)
{
	struct atr_follower_status status = {0};

	for (int i = 0; i < PATIENCE_MS; i++) {
		int err = atr_follower_status(follower, 0, &status);

		assert_true(err == 0 || err == -EAGAIN);
		if (err == 0 && (status.groups >= groups || status.error[0]))
			return status;
		usleep(1000);
	}
	fail_msg("the follower took %u groups only", (unsigned int)status.groups);
	return status;
}

static int count(void *ctx, const struct atr_state_entry *entry)
{
	assert_int_equal(entry->type, SUM);
	(*(unsigned int *)ctx)++;
	return 0;
}

/* Invariant: exactly what is durable is taken, and queries tell what it makes, within their bounds.
 */
static void follows(void **state)
{
	struct atr_follower *follower = start(0);
	struct atr_follower_status status;
	struct atr_state_entry entry;
	unsigned int calls = 0;

	(void)state;
	__atomic_store_n(&durable, 5, __ATOMIC_RELEASE);
	status = wait_for(follower, 5);
	assert_string_equal(status.error, "");
	assert_int_equal(status.groups, 5);
	assert_int_equal(atr_follower_state(follower, 0, 1, SUM, "[1,\"odd\"]", 9, &entry, NULL, 0),
			 0);
	assert_int_equal(entry.number, 200);
	__atomic_store_n(&durable, GROUPS, __ATOMIC_RELEASE);
	status = wait_for(follower, GROUPS);
	assert_int_equal(status.behind, 0);
	assert_int_equal(status.events, GROUPS - 1);
	assert_int_equal(status.state.keys, 2);
	assert_int_equal(atr_follower_state(follower, 0, 1, SUM, "[1,\"odd\"]", 9, &entry, NULL, 0),
			 0);
	assert_int_equal(entry.number, 1000);
	assert_int_equal(atr_follower_state(follower, 0, 1, SUM, "[2,\"odd\"]", 9, &entry, NULL, 0),
			 -ENOENT);
	assert_int_equal(atr_follower_state(follower, 1, 1, SUM, "", 0, &entry, NULL, 0), -EINVAL);
	assert_int_equal(atr_follower_states(follower, 0, 0, 0, "", 0, 10, count, &calls), 2);
	assert_int_equal(atr_follower_states(follower, 0, 0, 0, "", 0, 1, count, &calls), 1);
	assert_int_equal(calls, 3);
	atr_follower_stop(follower, false);
	assert_int_equal(told, 0);
}

/* Invariant: snapshots come by events and at a clean stop, the oldest go, and the last one is what
 * a replay from the beginning makes. */
static void snapshots(void **state)
{
	struct atr_follower *follower = start(4);
	struct atr_replay_params params = {.shard = 1, .shards = 2};
	struct atr_snapshot snapshot;
	struct atr_replay *replay;
	struct atr_log_end end;
	uint64_t groups[8];
	char path[96], error[512];

	(void)state;
	__atomic_store_n(&durable, 10, __ATOMIC_RELEASE);
	wait_for(follower, 10);
	__atomic_store_n(&durable, GROUPS, __ATOMIC_RELEASE);
	atr_follower_stop(follower, true);
	/* Behind events 4, 8, 12, 16 and 19. */
	assert_int_equal(told, 5);
	assert_int_equal(newest.groups, GROUPS);
	assert_int_equal(newest.leaves, logged.naive.leaves);
	assert_int_equal(atr_snapshot_list(directory, groups, 8), 2);
	assert_int_equal(groups[0], GROUPS);
	assert_int_equal(groups[1], 17);
	snprintf(path, sizeof(path), "%s/" ATR_SNAPSHOT_NAME, directory, groups[0]);
	assert_int_equal(atr_snapshot_read(path, &snapshot, error, sizeof(error)), 0);
	assert_memory_equal(snapshot.digest, newest.digest, sizeof(newest.digest));
	replay = atr_snapshot_load(&params, snapshot.bytes, snapshot.length, &end, error,
				   sizeof(error));
	if (!replay)
		fail_msg("%s", error);
	assert_int_equal(atr_replay_state(replay, 1, SUM, "[1,\"odd\"]", 9)->number, 1000);
	atr_replay_free(replay);
	free(snapshot.bytes);
}

/* Invariant: a shard whose log is damaged is not followed further, and says why. */
static void trouble(void **state)
{
	struct atr_follower *follower = start(4);
	struct atr_follower_status status;

	(void)state;
	naive_bytes(&logged.naive, 3)[200] ^= 1;
	__atomic_store_n(&durable, GROUPS, __ATOMIC_RELEASE);
	status = wait_for(follower, GROUPS);
	assert_int_equal(status.groups, 3);
	assert_non_null(strstr(status.error, "segment-0000000000000000.atr"));
	atr_follower_stop(follower, true);
	assert_int_equal(told, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(follows, fresh, done),
		cmocka_unit_test_setup_teardown(snapshots, fresh, done),
		cmocka_unit_test_setup_teardown(trouble, fresh, done),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
