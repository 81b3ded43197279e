/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <linux/magic.h>

#include "bench.h"

static void put_payloads(struct atr_quarantine *quarantine, unsigned int count, uint16_t length)
{
	uint8_t payload[1400];

	memset(payload, 'p', sizeof(payload));
	for (unsigned int i = 0; i < count; i++) {
		struct atr_quarantine_item item = item_of(payload, length, ATR_REASON_REALM);

		put(quarantine, i % 2, &item);
	}
}

static uint64_t file_size(const char *name)
{
	char path[128];
	struct stat status;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	return stat(path, &status) == 0 ? (uint64_t)status.st_size : 0;
}

/* Invariant: no file grows beyond its bound, no more files than asked are kept of each kind, and
 * files that are not ours, however similar their names, are left alone. */
static void rotation_is_bounded(void **state)
{
	static const char *const strangers[] = {
		"quarantine-1.pcapng",       "quarantine-000000.pcapng",
		"quarantine-0000001.pcapng", "quarantine-000001.pcapng~",
		"xquarantine-000001.pcapng", "audit-000001.json"};
	struct atr_quarantine_params params = params_default();
	struct atr_quarantine_stats stats;
	struct atr_quarantine *quarantine;
	uint64_t total = 0;
	char *names, *save = NULL;
	unsigned int kinds[2] = {0};

	(void)state;
	for (unsigned int i = 0; i < RTE_DIM(strangers); i++)
		free(output_of("echo keep > %s/%s", directory, strangers[i]));
	params.file_bytes = QUARANTINE_FILE_MIN;
	params.files = 3;
	quarantine = start(&params);
	put_payloads(quarantine, 500, 700);
	stats = wait_for(quarantine, 500);
	assert_int_equal(stats.written, 500);
	names = output_of("cd %s && ls", directory);
	for (char *name = strtok_r(names, "\n", &save); name; name = strtok_r(NULL, "\n", &save)) {
		unsigned int number;
		bool ours = strlen(name) == 24 || strlen(name) == 18;

		for (unsigned int i = 0; i < RTE_DIM(strangers); i++)
			ours = ours && strcmp(name, strangers[i]) != 0;
		if (!ours)
			continue;
		assert_int_equal(sscanf(strchr(name, '-'), "-%u", &number), 1);
		assert_true(file_size(name) <= QUARANTINE_FILE_MIN);
		total += file_size(name);
		kinds[name[0] == 'a']++;
	}
	assert_int_equal(kinds[0], 3);
	assert_int_equal(kinds[1], 3);
	assert_int_equal(stats.bytes, total);
	for (unsigned int i = 0; i < RTE_DIM(strangers); i++)
		assert_int_equal(file_size(strangers[i]), 5);
	free(names);
	atr_quarantine_stop(quarantine);
	free(output_of("for f in %s/quarantine-0000[1-9]?.pcapng; do tshark -r $f >/dev/null "
		       "2>&1 || exit 1; done",
		       directory));
}

/* Invariant: a restart goes on numbering, beyond anything that bears a name of ours, and does not
 * write through a link. */
static void restart_goes_on_numbering(void **state)
{
	struct atr_quarantine_params params = params_default();
	struct atr_quarantine *quarantine;
	struct atr_quarantine_stats stats;

	(void)state;
	for (unsigned int run = 1; run <= 3; run++) {
		char name[128];

		quarantine = start(&params);
		put_payloads(quarantine, run, 10);
		stats = wait_for(quarantine, run);
		snprintf(name, sizeof(name), "%s/quarantine-%06u.pcapng", directory, run);
		assert_string_equal(stats.pcapng, name);
		snprintf(name, sizeof(name), "%s/audit-%06u.jsonl", directory, run);
		assert_string_equal(stats.audit, name);
		atr_quarantine_stop(quarantine);
	}
	free(output_of("echo keep > %s/victim && ln -s victim %s/quarantine-000900.pcapng",
		       directory, directory));
	quarantine = start(&params);
	atr_quarantine_stats(quarantine, &stats);
	assert_non_null(strstr(stats.pcapng, "quarantine-000901.pcapng"));
	atr_quarantine_stop(quarantine);
	assert_int_equal(file_size("victim"), 5);
}

/* Invariant: what was put is on disk within moments, while the writer still runs. */
static void fresh_data_is_seen(void **state)
{
	struct atr_quarantine_params params = params_default();
	struct atr_quarantine *quarantine = start(&params);
	char *text;

	(void)state;
	put_payloads(quarantine, 3, 10);
	wait_for(quarantine, 3);
	text = output_of("tshark -n -r %s/quarantine-000001.pcapng 2>/dev/null", directory);
	assert_int_equal(lines_in(text), 3);
	free(text);
	text = output_of("cat %s/audit-000001.jsonl", directory);
	assert_int_equal(lines_in(text), 3);
	free(text);
	atr_quarantine_stop(quarantine);
}

/* Size limit of files in this process: a disk that is full at a chosen byte. */
static void limit_files(rlim_t bytes)
{
	struct rlimit limit;

	getrlimit(RLIMIT_FSIZE, &limit);
	limit.rlim_cur = bytes;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* Invariant: a failed write leaves only whole records, is said in the counters, drops and counts
 * what comes, and writing goes on by itself when there is room again. */
static void full_disk_stops_and_recovers(void **state)
{
	struct atr_quarantine_params params = params_default();
	struct atr_quarantine_stats stats;
	struct atr_quarantine *quarantine;
	uint64_t written, put_so_far = 40;
	json_t *lines;
	char *text;

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	quarantine = start(&params);
	atomic_store(&quarantine->retry_after_ns, SECOND_NS / 5);
	put_payloads(quarantine, 40, 100);
	stats = wait_for(quarantine, put_so_far);
	assert_int_equal(stats.written, 40);
	assert_false(stats.disk_stopped);

	/* Room for a part of one more record of each kind. */
	limit_files((rlim_t)RTE_MIN(file_size("quarantine-000001.pcapng"),
				    file_size("audit-000001.jsonl")) +
		    50);
	for (unsigned int i = 0; i < 60; i++, put_so_far++) {
		put_payloads(quarantine, 1, 100);
		usleep(10000);
	}
	stats = wait_for(quarantine, put_so_far);
	assert_true(stats.disk_stopped);
	assert_int_equal(stats.written + stats.dropped_disk, put_so_far);
	assert_int_equal(stats.dropped_disk, 60);
	written = stats.written;
	text = output_of("tshark -n -r %s/quarantine-000001.pcapng 2>&1 | grep -v root", directory);
	assert_int_equal(lines_in(text), written);
	free(text);
	lines = audit_lines();
	assert_int_equal(json_array_size(lines), written);
	json_decref(lines);

	limit_files(RLIM_INFINITY);
	usleep(300000);
	put_payloads(quarantine, 5, 100);
	put_so_far += 5;
	stats = wait_for(quarantine, put_so_far);
	assert_false(stats.disk_stopped);
	assert_int_equal(stats.written, written + 5);
	atr_quarantine_stop(quarantine);
	text = output_of("tshark -n -r %s/quarantine-000001.pcapng 2>&1 | grep -v root", directory);
	assert_int_equal(lines_in(text), written + 5);
	free(text);
	lines = audit_lines();
	assert_int_equal(
		json_integer_value(json_object_get(json_array_get(lines, written), "packet")),
		(json_int_t)written + 1);
	json_decref(lines);
}

/* Invariant: a disk that is full from the first byte stops nobody, and the file that begins later
 * is whole. */
static void full_from_the_beginning(void **state)
{
	struct atr_quarantine_params params = params_default();
	struct atr_quarantine_stats stats;
	struct atr_quarantine *quarantine;
	char *text;

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	limit_files(20);
	quarantine = start(&params);
	atomic_store(&quarantine->retry_after_ns, SECOND_NS / 10);
	put_payloads(quarantine, 10, 100);
	stats = wait_for(quarantine, 10);
	assert_true(stats.disk_stopped);
	assert_int_equal(stats.dropped_disk, 10);
	assert_int_equal(file_size("quarantine-000001.pcapng"), 0);
	limit_files(RLIM_INFINITY);
	for (unsigned int i = 0; i < 150 && stats.disk_stopped; i++) {
		usleep(100000);
		put_payloads(quarantine, 1, 100);
		stats = wait_for(quarantine, 11 + i);
	}
	assert_false(stats.disk_stopped);
	atr_quarantine_stop(quarantine);
	text = output_of("tshark -n -r %s/quarantine-000001.pcapng 2>&1 | grep -v root", directory);
	assert_int_equal(lines_in(text), stats.written);
	free(text);
}

static int tmpfs_make(void **state)
{
	return directory_make(state) ||
	       (mount("tmpfs", directory, "tmpfs", 0, "size=128k") != 0 && errno != EPERM);
}

static int tmpfs_remove(void **state)
{
	umount(directory);
	return directory_remove(state);
}

/* Invariant: on a filesystem that really runs full, what is on it stays whole and agrees with the
 * counters. Needs the right to mount. */
static void small_filesystem_runs_full(void **state)
{
	struct atr_quarantine_params params = params_default();
	struct atr_quarantine_stats stats;
	struct atr_quarantine *quarantine;
	struct statfs status;
	json_t *lines;
	char *text;

	(void)state;
	if (statfs(directory, &status) != 0 || status.f_type != TMPFS_MAGIC ||
	    status.f_blocks * (uint64_t)status.f_bsize != 128 << 10)
		skip();
	quarantine = start(&params);
	for (unsigned int i = 0; i < 20; i++) {
		put_payloads(quarantine, 10, 1000);
		stats = wait_for(quarantine, 10 * (i + 1));
	}
	assert_true(stats.disk_stopped);
	assert_true(stats.written > 0 && stats.dropped_disk > 0);
	assert_int_equal(stats.written + stats.dropped_disk, 200);
	atr_quarantine_stop(quarantine);
	text = output_of("tshark -n -r %s/quarantine-000001.pcapng 2>&1 | grep -v root", directory);
	assert_int_equal(lines_in(text), stats.written);
	free(text);
	lines = audit_lines();
	assert_int_equal(json_array_size(lines), stats.written);
	json_decref(lines);
}

int run_file_tests(void)
{
#define WITH_DIRECTORY(f) cmocka_unit_test_setup_teardown(f, directory_make, directory_remove)
	const struct CMUnitTest tests[] = {
		WITH_DIRECTORY(rotation_is_bounded),
		WITH_DIRECTORY(restart_goes_on_numbering),
		WITH_DIRECTORY(fresh_data_is_seen),
		WITH_DIRECTORY(full_disk_stops_and_recovers),
		WITH_DIRECTORY(full_from_the_beginning),
		cmocka_unit_test_setup_teardown(small_filesystem_runs_full, tmpfs_make,
						tmpfs_remove),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
