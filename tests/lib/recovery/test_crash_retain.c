/* SPDX-License-Identifier: BSD-3-Clause */
/* Crash anywhere, of what is beside the newest records: snapshots while they are written and
 * removed, retention, the anchor, and the change to a new and to a recycled segment.
 *
 * Run n is replayed by ATR_CRASH_SEED=n. ATR_CRASH_SEEDS says how many are made; thousands are the
 * full form. Runs of one script (n / RUNS_A_SCRIPT) take its boundaries in turn: first those of the
 * log's disk, then those of the files beside it. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "machine.h"

#define RUNS_A_SCRIPT 1024
#define RUNS_DEFAULT  14
#define STRIDE        139 /* over several scripts; prime */
#define STEPS         24
#define LIVES         3
#define SECOND_MAX    400 /* boundaries of a later life, roughly */
#define KILLED_MAX    6   /* steps until a kill */
#define EARLY_MAX     30  /* boundaries of a life behind a kill */
#define CLOCK_STEP_NS 100000
#define HEAP_BYTES    (256 << 20)
#define CLOCK_START_S 1795000000

static struct machine machine;
static unsigned int crashes;

/* A clock that only the log's own calls move, so that a run is the same whenever it is made. */
int __wrap_clock_gettime(clockid_t clock, struct timespec *now);
int __wrap_clock_gettime(clockid_t clock, struct timespec *now)
{
	static uint64_t ns;

	(void)clock;
	ns += CLOCK_STEP_NS;
	now->tv_sec = (time_t)(CLOCK_START_S + ns / 1000000000);
	now->tv_nsec = (long)(ns % 1000000000);
	return 0;
}

static void hold(unsigned int n)
{
	if (machine.wrong[0])
		fail_msg("ATR_CRASH_SEED=%u: %s", n, machine.wrong);
}

static void life(unsigned int n, unsigned int steps)
{
	bool up = machine_start(&machine);

	for (unsigned int step = 0; up && step < steps; step++) {
		machine_act(&machine);
		up = !machine.power_off && !machine.wrong[0];
	}
	hold(n);
	crashes += machine.power_off;
	machine_end(&machine);
}

/* The process is killed in the midst of it, power fails in the next life, before that has done
 * much. */
static void killed_life(unsigned int n)
{
	machine.disk.crash_at = crash_files.crash_at = 0;
	life(n, 1 + (unsigned int)(sim_random(&machine.random) % KILLED_MAX));
	machine.disk.crash_at = machine.disk.boundary + 1 + sim_random(&machine.random) % EARLY_MAX;
	life(n, 1);
}

/* In peace: all that was ever durable is there, and the log goes on. */
static void last_life(unsigned int n)
{
	machine.disk.crash_at = 0;
	for (unsigned int i = 0; i < 2; i++) {
		if (machine_start(&machine))
			machine_settle(&machine);
		hold(n);
		machine_end(&machine);
	}
}

static void add(struct machine_counts *sum)
{
	const struct machine_counts *one = &machine.counts;

	sum->segments += one->segments;
	sum->recycled += one->recycled;
	sum->pruned += one->pruned;
	sum->snapshots += one->snapshots;
	sum->from_snapshot += one->from_snapshot;
	sum->anchored += one->anchored;
	sum->beyond += one->beyond;
	sum->torn += one->torn;
}

/* Boundaries of the first life, without a crash: of the disk, and of the files. */
static void measure(unsigned int script, uint64_t boundaries[2])
{
	machine_init(&machine, script + 1);
	life(script * RUNS_A_SCRIPT, STEPS);
	boundaries[0] = machine.disk.boundary;
	boundaries[1] = crash_files.boundary;
	machine_free(&machine);
}

static void one_run(unsigned int n, const uint64_t boundaries[2])
{
	uint64_t at = n % RUNS_A_SCRIPT % (boundaries[0] + boundaries[1]);

	machine_init(&machine, n / RUNS_A_SCRIPT + 1);
	if (at < boundaries[0])
		machine.disk.crash_at = 1 + at;
	else
		crash_files.crash_at = 1 + at - boundaries[0];
	life(n, STEPS);
	for (unsigned int i = 1; i < LIVES; i++) {
		/* From here on each run goes its own way. */
		machine.random += n;
		if (sim_random(&machine.random) % 2)
			killed_life(n);
		at = 1 + sim_random(&machine.random) % SECOND_MAX;
		machine.disk.crash_at = i % 2 ? 0 : machine.disk.boundary + at;
		crash_files.crash_at = i % 2 ? crash_files.boundary + at / 4 : 0;
		life(n, STEPS);
	}
	crash_files.crash_at = 0;
	last_life(n);
}

/* Invariant: at any moment of them all a crash leaves a log that starts: with every group that was
 * ever durable, with the state that replay of the whole log gives, with a snapshot for all that has
 * lost its entries, and under an anchor that it keeps. */
static void a_crash_anywhere_leaves_a_log_that_starts(void **state)
{
	const char *one = getenv("ATR_CRASH_SEED"), *many = getenv("ATR_CRASH_SEEDS");
	unsigned int first = one ? (unsigned int)strtoul(one, NULL, 10) : 0;
	unsigned int count = many ? (unsigned int)strtoul(many, NULL, 10) : RUNS_DEFAULT;
	unsigned int script = UINT32_MAX;
	struct machine_counts sum = {0};
	uint64_t boundaries[2] = {0};

	(void)state;
	count = one ? 1 : count;
	for (unsigned int i = 0; i < count; i++) {
		unsigned int n = first + i * (one || many ? 1 : STRIDE);

		if (n / RUNS_A_SCRIPT != script) {
			script = n / RUNS_A_SCRIPT;
			measure(script, boundaries);
			printf("script %u: %u and %u boundaries\n", script,
			       (unsigned int)boundaries[0], (unsigned int)boundaries[1]);
		}
		one_run(n, boundaries);
		add(&sum);
		machine_free(&machine);
	}
	printf("%u runs, %u crashes; %u segments behind the first, %u pruned, %u recycled; %u "
	       "snapshots, %u starts from one; %u starts under an anchor; %u with more than was "
	       "released, %u with a torn tail; %u files torn, %u times older names\n",
	       count, crashes, sum.segments, sum.pruned, sum.recycled, sum.snapshots,
	       sum.from_snapshot, sum.anchored, sum.beyond, sum.torn, crash_files.torn,
	       crash_files.old_names);
	if (one)
		return;
	/* The test would be blind if any of these did not happen. */
	assert_true(crashes > count / 2);
	assert_true(sum.segments > count / 2);
	assert_true(sum.pruned > 0 && sum.recycled > 0);
	assert_true(sum.from_snapshot > count / 2);
	assert_true(sum.anchored > count);
	assert_true(sum.beyond > 0 && sum.torn > 0);
	assert_true(crash_files.torn > 0 && crash_files.old_names > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_crash_anywhere_leaves_a_log_that_starts),
	};

	if (atr_sign_init() < 0)
		return 1;
	/* Megabytes come and go in each life: not by way of the kernel. */
	mallopt(M_MMAP_THRESHOLD, HEAP_BYTES);
	mallopt(M_TRIM_THRESHOLD, HEAP_BYTES);
	return cmocka_run_group_tests_name("crash_retain", tests, NULL, NULL);
}
