/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../../lib/state/state.h"

#define FILE_LARGE (16 << 20)

static char directory[64];
static char path[96];

static int setup(void **unused)
{
	(void)unused;
	snprintf(directory, sizeof(directory), "/tmp/atr-state-XXXXXX");
	assert_non_null(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/state.atr", directory);
	return 0;
}

static int teardown(void **unused)
{
	(void)unused;
	unlink(path);
	snprintf(path, sizeof(path), "%s/state.atr.new", directory);
	unlink(path);
	return rmdir(directory);
}

static struct atr_state *start(void)
{
	char error[256] = "";
	struct atr_state *state = atr_state_open(directory, error, sizeof(error));

	assert_string_equal(error, "");
	assert_non_null(state);
	return state;
}

/* Files may not grow beyond bytes: a disk that is full. */
static void limit(rlim_t bytes)
{
	struct rlimit r;

	getrlimit(RLIMIT_FSIZE, &r);
	r.rlim_cur = bytes;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &r), 0);
}

/* What a successful sync covers is there after a restart, and every start counts. */
static void test_durable(void **unused)
{
	struct atr_state *state = start();

	(void)unused;
	assert_int_equal(atr_state_epoch(state), 1);
	assert_int_equal(atr_state_put(state, ATR_STATE_SOURCE, 7, 70), 0);
	assert_int_equal(atr_state_put(state, ATR_STATE_UUID, 0, 1234), 0);
	assert_int_equal(atr_state_sync(state), 0);
	atr_state_close(state);
	state = start();
	assert_int_equal(atr_state_epoch(state), 2);
	assert_int_equal(atr_state_get(state, ATR_STATE_SOURCE, 7), 70);
	assert_int_equal(atr_state_get(state, ATR_STATE_UUID, 0), 1234);
	assert_int_equal(atr_state_put(state, ATR_STATE_SOURCE, 65536, 1), -EINVAL);
	atr_state_close(state);
}

/* However long the disk was full and however often it was tried: every put either fails, or is
 * durable after the next sync that succeeds. Nothing that was queued is dropped in silence. */
static void test_full_disk(void **unused)
{
	struct atr_state *state = start();
	uint64_t accepted[200] = {0};

	(void)unused;
	limit(64); /* the two records that are there */
	for (uint64_t round = 1; round <= 100; round++) {
		assert_int_equal(atr_state_put(state, ATR_STATE_SOURCE, 5, round), 0);
		assert_true(atr_state_sync(state) < 0);
	}
	for (uint32_t id = 100; id < 200; id++)
		if (atr_state_put(state, ATR_STATE_SOURCE, id, id) == 0)
			accepted[id] = id;
	assert_int_equal(accepted[199], 0);
	assert_int_equal(accepted[100], 100);
	limit(RLIM_INFINITY);
	assert_int_equal(atr_state_put(state, ATR_STATE_SOURCE, 199, 199), 0);
	accepted[199] = 199;
	assert_int_equal(atr_state_sync(state), 0);
	atr_state_close(state);
	state = start();
	assert_int_equal(atr_state_get(state, ATR_STATE_SOURCE, 5), 100);
	for (uint32_t id = 100; id < 200; id++)
		assert_int_equal(atr_state_get(state, ATR_STATE_SOURCE, id), accepted[id]);
	atr_state_close(state);
}

/* The file stays bounded while the appliance runs, so that the next start can read it. */
static void test_bounded(void **unused)
{
	struct atr_state *state = start();
	struct stat st;

	(void)unused;
	/* As if it had run for long: the records before are all of the same key. */
	for (uint64_t value = 1; value <= FILE_LARGE / 32 + 100; value++) {
		assert_int_equal(atr_state_put(state, ATR_STATE_SOURCE, value % 64, value), 0);
		if (value % 64 == 0)
			assert_int_equal(atr_state_sync(state), 0);
	}
	assert_int_equal(atr_state_sync(state), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_true(st.st_size < 1 << 20);
	atr_state_close(state);
	state = start();
	for (uint32_t id = 0; id < 64; id++)
		assert_true(atr_state_get(state, ATR_STATE_SOURCE, id) > FILE_LARGE / 32);
	atr_state_close(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_durable, setup, teardown),
		cmocka_unit_test_setup_teardown(test_full_disk, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bounded, setup, teardown),
	};

	signal(SIGXFSZ, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
