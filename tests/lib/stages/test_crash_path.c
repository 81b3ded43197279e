/* SPDX-License-Identifier: BSD-3-Clause */
/* Crash anywhere: the data path of two shards, the log's writer on disks that lose and tear, and
 * the recovery. Power fails at every boundary of a disk in turn, and again in the second life. A
 * model that shares no code with them holds the promises of class D.
 *
 * Run n is replayed by ATR_CRASH_SEED=n. ATR_CRASH_SEEDS says how many are made, from there on if
 * both are given; thousands are the full form. Runs of one script (n / RUNS_A_SCRIPT) take its
 * boundaries in turn, one disk after the other. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <sodium.h>

#include "crash_model.h"

#define RUNS_A_SCRIPT 512
#define RUNS_DEFAULT  20 /* in strides: over the first script */
#define STRIDE        9
#define STEPS         14
#define EVENTS_MAX    4096
#define SECOND_MAX    160 /* boundaries of the second life, roughly */
#define LIVES         3
#define RESENDS       3

struct run {
	struct rig_store store;
	struct crash_model model;
	struct rig_options options;
	struct rig *rig;
	uint64_t random;
	uint64_t next[RIG_SOURCES + 1];
};

static struct run run;
static struct rig_event events[EVENTS_MAX];
static unsigned int crashes;

static unsigned int pick(unsigned int n)
{
	return (unsigned int)(sim_random(&run.random) >> 20) % n;
}

/* --- Producers --- */

static void send_frame(const struct model_frame *f)
{
	rig_inject(run.rig, pick(RIG_PORTS), pick(run.options.shards), &f->sent);
}

/* What was drawn before, to the bit, is a resend: an answer cannot say which of the two it means.
 */
static void new_frame(const struct rig_frame *is)
{
	struct model_frame *f = &run.model.frame[run.model.frames];

	if (run.model.frames == MODEL_FRAMES)
		return;
	*f = (struct model_frame){.is = *is};
	rig_tree(run.rig, is, 1, &f->sent);
	crypto_hash_sha256(f->leaf, f->sent.bytes, f->sent.length - ATR_SIGNATURE_SIZE);
	for (const struct model_frame *old = run.model.frame; old < f; old++)
		if (memcmp(old->leaf, f->leaf, sizeof(f->leaf)) == 0) {
			send_frame(old);
			return;
		}
	run.model.frames++;
	send_frame(f);
}

static void frame(void)
{
	static const uint32_t topics[] = {TOPIC_OPEN, TOPIC_OPEN, TOPIC_OPEN, TOPIC_OPEN,
					  TOPIC_HIGH, TOPIC_SHUT, TOPIC_SLOW, TOPIC_SLOW};
	struct rig_frame f = {.source = 1 + pick(RIG_SOURCES),
			      .count = 1 + pick(MODEL_EVENTS),
			      .value = pick(1000),
			      .topic = topics[pick(RTE_DIM(topics))],
			      .type = 1 + (pick(5) == 0)};

	f.first = 1 + run.next[f.source];
	run.next[f.source] += f.count;
	new_frame(&f);
}

/* Other bytes under identities of which some are used. */
static void conflict(void)
{
	struct rig_frame f;

	if (run.model.frames == 0)
		return;
	f = run.model.frame[pick(run.model.frames)].is;
	f.first += pick(f.count);
	f.count = 1 + pick(MODEL_EVENTS);
	f.value = 1000 + pick(1000);
	f.topic = TOPIC_OPEN;
	if (run.next[f.source] < f.first + f.count - 1)
		run.next[f.source] = f.first + f.count - 1;
	new_frame(&f);
}

static void envelope(void)
{
	struct model_envelope *e = &run.model.envelope[run.model.envelopes];
	const char *id;

	if (run.model.envelopes == MODEL_ENVELOPES)
		return;
	run.model.envelopes++;
	*e = (struct model_envelope){.source = 1 + pick(RIG_SOURCES), .value = pick(1000)};
	rig_envelope(run.rig, e->source, e->value, NULL, &e->sent);
	e->sent.bytes[e->sent.length] = '\0';
	id = strstr((const char *)e->sent.bytes, "\"id\":\"");
	assert_non_null(id);
	memcpy(e->uuid, id + strlen("\"id\":\""), MODEL_UUID);
	rig_inject(run.rig, 0, 0, &e->sent);
}

static void action(void)
{
	unsigned int what = pick(20);

	if (what < 12)
		frame();
	else if (what < 14 && run.model.frames > 0)
		send_frame(&run.model.frame[pick(run.model.frames)]);
	else if (what < 16)
		conflict();
	else if (what < 19)
		envelope();
	else if (run.model.envelopes > 0)
		rig_inject(run.rig, 1, 0, &run.model.envelope[pick(run.model.envelopes)].sent);
}

/* What is not answered for good; or everything. */
static void resend(bool all)
{
	for (unsigned int i = 0; i < run.model.frames; i++) {
		const struct model_frame *f = &run.model.frame[i];

		if (all || !f->answered)
			send_frame(f);
	}
	for (unsigned int i = 0; i < run.model.envelopes; i++)
		if (all || run.model.envelope[i].told != TOLD_IN)
			rig_inject(run.rig, 0, 0, &run.model.envelope[i].sent);
}

/* --- Turning --- */

static void look(void)
{
	unsigned int n = rig_collect(run.rig, events, EVENTS_MAX);

	assert_true(n <= EVENTS_MAX);
	model_got(&run.model, events, n);
	if (!model_check(&run.model))
		fail_msg("%s", run.model.wrong);
}

static bool crashed(void)
{
	return rig_store_crashed(&run.store);
}

/* The log's turns are few, so that groups and answers pile up. */
static void turns(unsigned int n)
{
	for (; n > 0 && !crashed(); n--) {
		unsigned int what = pick(6);

		if (what == 0)
			atr_control_run(run.rig->control);
		else if (what < 3)
			rig_store_work(&run.store);
		else
			rig_turn(run.rig, what % run.options.shards);
	}
	/* What left before the power failed has left. */
	look();
}

static void settle(void)
{
	if (!crashed())
		rig_settle(run.rig);
	look();
}

/* --- Lives --- */

static bool start(void)
{
	run.rig = rig_start(&run.options);
	if (!run.rig && !crashed())
		fail_msg("no start: %s", run.store.error);
	return run.rig;
}

static void power_returns(void)
{
	if (run.rig)
		rig_kill(run.rig);
	run.rig = NULL;
	rig_store_restart(&run.store);
	crashes++;
	if (!model_check(&run.model))
		fail_msg("after a crash: %s", run.model.wrong);
}

static void life(void)
{
	bool open = start();

	if (open)
		resend(false);
	for (unsigned int step = 0; open && step < STEPS && !crashed(); step++) {
		for (unsigned int i = 1 + pick(3); i > 0; i--)
			action();
		turns(pick(12));
		if (pick(6) == 0)
			settle();
	}
	/* A stop in the midst of it, and the log thread's last work. */
	if (open && !crashed()) {
		rig_stop(run.rig);
		run.rig = NULL;
	}
	if (crashed())
		power_returns();
	if (!model_check(&run.model))
		fail_msg("after a stop: %s", run.model.wrong);
}

static void last_life(void)
{
	assert_true(start());
	for (unsigned int i = 0; i < RESENDS; i++) {
		resend(false);
		settle();
	}
	resend(true);
	settle();
	/* Once more: what the limits had refused is a duplicate now, or refused again. */
	resend(true);
	settle();
	if (!model_check_end(&run.model))
		fail_msg("at the end: %s", run.model.wrong);
	rig_stop(run.rig);
	run.rig = NULL;
	if (!model_check(&run.model))
		fail_msg("after the end: %s", run.model.wrong);
}

static void prepare(unsigned int script)
{
	uint64_t seed = script + 1;

	run.random = seed;
	memset(&run.model, 0, sizeof(run.model));
	memset(run.next, 0, sizeof(run.next));
	rig_store_init(&run.store, 2, seed);
	run.store.seal_bytes = pick(2) ? 1 + pick(4000) : 1000000;
	run.store.seal_us = pick(2) ? 0 : 1000;
	run.options = (struct rig_options){.shards = 2,
					   .window = 4096,
					   .max_ahead = 5000,
					   .store = &run.store,
					   .big_waits = pick(2),
					   .listener = &run.model,
					   .on_reply = model_reply,
					   .on_ack = model_ack};
	run.model.disk = run.store.disk;
	run.model.shards = 2;
	run.model.waiting = run.options.big_waits ? 3 : 1;
	for (unsigned int s = 0; s < 2; s++)
		run.store.disk[s].slowness = pick(2) ? pick(6) : 0;
}

/* Boundaries of the first life, without a crash. */
static void measure(unsigned int script, uint64_t boundaries[2])
{
	prepare(script);
	life();
	for (unsigned int s = 0; s < 2; s++)
		boundaries[s] = run.store.disk[s].boundary;
	last_life();
	rig_store_free(&run.store);
}

static void one_run(unsigned int n, const uint64_t boundaries[2])
{
	uint64_t at = n % RUNS_A_SCRIPT % (boundaries[0] + boundaries[1]);
	unsigned int disk = at >= boundaries[0];

	prepare(n / RUNS_A_SCRIPT);
	run.store.disk[disk].crash_at = 1 + at - (disk ? boundaries[0] : 0);
	life();
	for (unsigned int i = 1; i < LIVES; i++) {
		/* From here on each run goes its own way. */
		run.random += n;
		disk = pick(2);
		for (unsigned int s = 0; s < 2; s++)
			run.store.disk[s].crash_at = 0;
		run.store.disk[disk].crash_at =
			run.store.disk[disk].boundary + 1 + pick(i == 1 ? SECOND_MAX : 30);
		life();
	}
	for (unsigned int s = 0; s < 2; s++)
		run.store.disk[s].crash_at = 0;
	last_life();
	rig_store_free(&run.store);
}

/* Invariant: at any moment, and after a crash at any boundary, what was acknowledged, answered or
 * published on class D feeds is durable, in order, under one number, once; nothing refused is; and
 * after a restart and resends everything is there once and answered as the log has it. */
static void a_crash_anywhere_loses_and_doubles_nothing(void **state)
{
	const char *one = getenv("ATR_CRASH_SEED"), *many = getenv("ATR_CRASH_SEEDS");
	unsigned int first = one ? (unsigned int)strtoul(one, NULL, 10) : 0;
	unsigned int count = many ? (unsigned int)strtoul(many, NULL, 10) : RUNS_DEFAULT;
	unsigned int script = UINT32_MAX;
	uint64_t boundaries[2] = {0};

	(void)state;
	count = one && !many ? 1 : count;
	for (unsigned int i = 0; i < count; i++) {
		unsigned int n = first + i * (one || many ? 1 : STRIDE);

		if (n / RUNS_A_SCRIPT != script) {
			script = n / RUNS_A_SCRIPT;
			measure(script, boundaries);
			printf("script %u: %llu and %llu boundaries\n", script,
			       (unsigned long long)boundaries[0],
			       (unsigned long long)boundaries[1]);
		}
		fprintf(stderr, "\rATR_CRASH_SEED=%u ", n);
		one_run(n, boundaries);
	}
	printf("%u runs, %u crashes\n", count, crashes);
	assert_true(crashes > 0);
}

/* Bug of the test: run 1497 drew a frame twice and waited for two answers. Invariant: the same
 * bytes are one frame, however often they are drawn and sent. */
static void a_frame_drawn_twice_is_one(void **state)
{
	const struct rig_frame drawn = {
		.source = 1, .first = 1, .count = 1, .value = 1266, .topic = TOPIC_OPEN, .type = 1};

	(void)state;
	prepare(0);
	assert_true(start());
	new_frame(&drawn);
	new_frame(&drawn);
	assert_int_equal(run.model.frames, 1);
	settle();
	rig_stop(run.rig);
	last_life();
	rig_store_free(&run.store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_frame_drawn_twice_is_one),
		cmocka_unit_test(a_crash_anywhere_loses_and_doubles_nothing),
	};

	return cmocka_run_group_tests_name("crash_path", tests, rig_boot, rig_end);
}
