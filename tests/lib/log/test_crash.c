/* SPDX-License-Identifier: BSD-3-Clause */
/* Crashes at every boundary. ATR_CRASH_SEED replays one seed, ATR_CRASH_SEEDS sets how many run. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "../../../lib/log/reader.h"
#include "log_drive.h"

#define GROUPS_FIRST  14
#define GROUPS_SECOND 24
#define SEEDS_DEFAULT 4
/* The sanitizers, which are ten times slower, take some of the boundaries of each script, the
 * release build takes all. */
#ifdef __SANITIZE_ADDRESS__
#define STRIDE 13
#else
#define STRIDE 1
#endif

static unsigned int runs, torn_runs, behind_runs, beyond_runs;

/* The appliance's own reader comes to the same end. (Every other seed; the others have decisions
 * and bodies of any bytes.) */
static const char *reader_agrees(struct drive *drive, const struct finding *finding)
{
	static const struct atr_log_visitor visitor;
	const struct atr_log_scan_options options = {.hash = drive->params.hash};
	struct atr_log_scan *scan = calloc(1, sizeof(*scan));
	static char error[256];
	const char *wrong = NULL;
	uint8_t root[32];

	if (atr_log_scan_with(&drive->disk.base, &options, &visitor, scan, error, sizeof(error)) <
	    0) {
		wrong = error;
	} else if (finding->end.offset != 0) {
		atr_frontier_root(&scan->end.frontier, root);
		if (scan->end.segment != finding->end.segment ||
		    scan->end.offset != finding->end.offset ||
		    scan->end.group != finding->end.group ||
		    memcmp(root, finding->root, sizeof(root)) != 0)
			wrong = "the reader finds another end than the checker";
		else if (scan->torn != finding->torn)
			wrong = "reader and checker differ about a torn tail";
	}
	free(scan);
	return wrong;
}

/* What a restart finds must be all that was released, and go on from there. */
static const char *after_crash(struct drive *drive, struct finding *finding)
{
	const char *wrong = drive->wrong;

	drive_close(drive);
	simdisk_restart(&drive->disk);
	if (!wrong)
		wrong = check_log(&drive->disk, &drive->model, drive->released, finding);
	if (!wrong && drive->readable)
		wrong = reader_agrees(drive, finding);
	if (wrong)
		return wrong;
	torn_runs += finding->torn;
	behind_runs += finding->behind > 0;
	beyond_runs += finding->groups > drive->released;
	drive->released = finding->groups;
	return NULL;
}

/* Once the log is open again, what it has cut off is gone; until then it may be there. */
static bool reopen(struct drive *drive, const struct finding *finding)
{
	if (!drive_open(drive, &finding->end))
		return false;
	model_cut(&drive->model, finding->groups);
	return true;
}

/* One life until the crash, a second one until another, and a third in peace. Returns whether the
 * first crash came at all. */
static bool one_run(uint64_t seed, uint64_t crash_at)
{
	struct drive *drive = malloc(sizeof(*drive));
	struct finding *finding = calloc(1, sizeof(*finding));
	const char *wrong;
	bool crashed;

	drive_init(drive, seed);
	drive->readable = seed % 2;
	drive->disk.crash_at = crash_at;
	if (drive_open(drive, &finding->end))
		drive_run(drive, GROUPS_FIRST);
	crashed = drive->disk.crashed;
	wrong = after_crash(drive, finding);
	if (!wrong) {
		drive->disk.crash_at = 1 + sim_random(&drive->random) % 150;
		if (reopen(drive, finding))
			drive_run(drive, GROUPS_SECOND);
		wrong = after_crash(drive, finding);
	}
	if (!wrong && reopen(drive, finding)) {
		unsigned int groups = finding->groups + 3;

		drive_run(drive, groups);
		if (!drive->wrong && drive->released != groups)
			drive->wrong = "the third life does not end";
		wrong = after_crash(drive, finding);
	}
	if (!wrong)
		wrong = drive->wrong;
	runs++;
	if (wrong)
		fprintf(stderr, "seed %llu, crash at boundary %llu: %s\n", (unsigned long long)seed,
			(unsigned long long)crash_at, wrong);
	drive_free(drive);
	free(drive);
	free(finding);
	assert_null(wrong);
	return crashed;
}

/* Invariant: whatever a crash drops, keeps or tears, at any boundary, every group that came back as
 * durable is intact and in order, and what follows is a tail that the format allows. */
static void every_boundary(void **state)
{
	const char *one = getenv("ATR_CRASH_SEED"), *many = getenv("ATR_CRASH_SEEDS");
	uint64_t first = one ? strtoull(one, NULL, 10) : 1;
	uint64_t last = one ? first : first - 1 + (many ? strtoull(many, NULL, 10) : SEEDS_DEFAULT);

	(void)state;
	for (uint64_t seed = first; seed <= last; seed++)
		for (uint64_t boundary = 1 + seed % STRIDE; one_run(seed, boundary);
		     boundary += one || many ? 1 : STRIDE)
			;
	print_message("%u runs; a torn tail in %u, complete groups behind a missing one in %u, "
		      "groups kept that were never released in %u\n",
		      runs, torn_runs, behind_runs, beyond_runs);
	/* The test would be blind if crashes did not do what they are there for. */
	assert_true(runs > (one || many ? 100 : 400 / STRIDE));
	assert_true(torn_runs > runs / 20);
	assert_true(behind_runs > 0);
	assert_true(beyond_runs > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_boundary),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
