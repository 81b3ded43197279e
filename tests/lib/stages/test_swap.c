/* SPDX-License-Identifier: BSD-3-Clause */
/* Changes of program while frames and envelopes run: who judged what is read back from the log by
 * lib/replay, which refuses an event that another plan than the one in force judged, and feed
 * positions that are not what the plans in force make of the events. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <rte_cycles.h>

#include "rig.h"

#define EVENTS_MAX 65536
#define TEXT_MAX   32768
#define STORM      300 /* changes */
#define TREE       4   /* frames */
#define BATCH      3   /* events a frame */
#define TURNS_MAX  100000

static struct rig_store store;
static struct rig_event events[EVENTS_MAX];

static struct rig *begin(unsigned int shards)
{
	const struct rig_options options = {
		.window = 4096, .max_ahead = 50000, .shards = shards, .store = &store};
	struct rig *rig;

	rig_store_init(&store, shards, 1);
	rig = rig_start(&options);
	if (!rig)
		fail_msg("%s", store.error);
	rig_settle(rig);
	return rig;
}

/* Replaces from, which must be there, by to. */
static void replace(char *text, const char *from, const char *to)
{
	char *at = strstr(text, from), rest[TEXT_MAX];

	assert_non_null(at);
	strcpy(rest, at + strlen(from));
	sprintf(at, "%s%s", to, rest);
}

/* The plan in force with one text in the place of another, on its way into force. */
static void change(struct rig *rig, const char *from, const char *to)
{
	const struct atr_program *now = rig->program;
	struct atr_machine machine = {.ifaces = rig->iface,
				      .iface_count = RIG_PORTS,
				      .neighbours = rig->neighbours,
				      .state = rig->state,
				      .shards = rig->shards,
				      .class_d = rig->store != NULL,
				      .feed_src_port = 26401,
				      .before = now};
	char text[TEXT_MAX], error[400] = "";
	struct atr_program *program;
	struct atr_plan *plan;

	memcpy(text, now->plan->document, now->plan->document_length);
	text[now->plan->document_length] = '\0';
	replace(text, from, to);
	plan = atr_plan_load_behind(text, strlen(text), now->plan, error, sizeof(error));
	if (!plan)
		fail_msg("%s", error);
	assert_int_equal(atr_plan_compatible(now->plan, plan, error, sizeof(error)), 0);
	plan->generation = now->generation + 1;
	atr_plan_number_keys(now->plan, plan);
	program = atr_program_create(plan, plan->generation, &machine, error, sizeof(error));
	if (!program)
		fail_msg("%s", error);
	program->owns_plan = true;
	if (rig->store)
		assert_int_equal(atr_program_log(program), 0);
	assert_int_equal(atr_control_publish(rig->control, program, 0, error, sizeof(error)), 0);
}

/* Until the change is through; frames of the tests wait meanwhile where they are. */
static void through(struct rig *rig)
{
	for (unsigned int i = 0; rig->control->swap.step != ATR_SWAP_NONE; i++) {
		assert_true(i < TURNS_MAX);
		for (unsigned int s = 0; s < rig->shards; s++)
			atr_shard_run(rig->shard[s]);
		atr_control_run(rig->control);
		if (rig->store)
			rig_store_work(rig->store);
	}
}

static void end(struct rig *rig)
{
	rig_stop(rig);
	rig_store_free(&store);
	memset(&store, 0, sizeof(store));
}

/* What the log says, read by its own plans. */
static void reread(unsigned int shards, uint64_t generation)
{
	struct atr_hash *hash = atr_hash_create(-1, 512, store.error, sizeof(store.error));

	for (unsigned int s = 0; s < shards; s++) {
		const struct atr_recovery_params params = {.name = "log",
							   .storage = &store.disk[s].base,
							   .shard = s,
							   .shards = shards,
							   .hash = hash};
		struct atr_recovery recovery = {0};

		if (atr_recovery_read(&recovery, &params, store.error, sizeof(store.error)) < 0)
			fail_msg("%s", store.error);
		assert_int_equal(atr_replay_generation(recovery.replay), generation);
		atr_recovery_free(&recovery);
	}
	atr_hash_free(hash);
}

/* Invariant: through a storm of changes no frame and no envelope is lost or judged by a mixture,
 * and every plan is in every shard's log before anything that it judged. */
static void storm(void **state)
{
	static const char *const values[] = {"\"value\":500", "\"value\":900"};
	uint64_t next[RIG_SOURCES + 1] = {0}, sent = 0, envelopes = 0, generation;
	struct rig *rig = begin(RIG_SHARDS);
	unsigned int made = 0, n = 0;

	(void)state;
	srand(7);
	for (unsigned int turn = 0; made < STORM; turn++) {
		struct rig_frame frame[TREE];
		struct rig_datagram d[TREE], envelope;
		uint32_t source = 1 + (uint32_t)rand() % RIG_SOURCES;

		assert_true(turn < TURNS_MAX);
		if (rig->control->swap.step == ATR_SWAP_NONE) {
			change(rig, values[made % 2], values[(made + 1) % 2]);
			made++;
		}
		for (unsigned int i = 0; i < TREE; i++) {
			frame[i] = (struct rig_frame){.source = source,
						      .first = next[source],
						      .count = BATCH,
						      .value = 400 + (uint32_t)rand() % 600};
			next[source] += BATCH;
			sent += BATCH;
		}
		if (turn % 8) {
			rig_tree(rig, frame, TREE, d);
			for (unsigned int i = 0; i < TREE; i++)
				rig_inject(rig, 0, (unsigned int)rand() % rig->shards, &d[i]);
		} else {
			next[source] -= TREE * BATCH;
			sent -= TREE * BATCH;
			rig_envelope(rig, source, 400 + (uint32_t)rand() % 600, NULL, &envelope);
			rig_inject(rig, 0, (unsigned int)rand() % rig->shards, &envelope);
			envelopes++;
		}
		for (unsigned int s = 0; s < rig->shards; s++)
			if (rand() % 3)
				rig_turn(rig, s);
		if (rand() % 2)
			atr_control_run(rig->control);
		rig_store_work(rig->store);
		n += rig_collect(rig, events, EVENTS_MAX);
	}
	through(rig);
	rig_settle(rig);
	rig_collect(rig, events, EVENTS_MAX);
	assert_int_equal(rig_events(rig).refused_total, 0);
	assert_int_equal(rig_events(rig).admitted, sent + envelopes);
	assert_int_equal(rig->control->swap.done, STORM);
	generation = rig->program->generation;
	assert_int_equal(generation, STORM + 1);
	rig_stop(rig);
	reread(RIG_SHARDS, generation);
	rig_store_free(&store);
}

/* Invariant: a revoked key is refused from the next batch, what was proven under it included; the
 * same tree passes again only if the key comes back, and is asked for anew then. */
static void revoked(void **state)
{
	struct rig *rig = begin(1);
	const struct rig_frame frame[2] = {{.source = 1, .first = 1, .count = 1, .value = 1},
					   {.source = 1, .first = 2, .count = 1, .value = 1}};
	struct rig_datagram d[2];
	uint64_t roots;

	(void)state;
	rig_tree(rig, frame, 2, d);
	rig_inject(rig, 0, 0, &d[0]);
	rig_settle(rig);
	assert_int_equal(rig_events(rig).admitted, 1);
	roots = rig->control->stats.roots_verified;
	change(rig, "{\"id\":1,\"public\"", "{\"id\":9,\"public\"");
	through(rig);
	rig_inject(rig, 0, 0, &d[1]);
	rig_settle(rig);
	assert_int_equal(rig_events(rig).admitted, 1);
	assert_int_equal(rig_events(rig).refused[ATR_REASON_UNKNOWN_KEY], 1);
	change(rig, "{\"id\":9,\"public\"", "{\"id\":1,\"public\"");
	through(rig);
	rig_inject(rig, 0, 0, &d[1]);
	rig_settle(rig);
	assert_int_equal(rig_events(rig).admitted, 2);
	assert_int_equal(rig->control->stats.roots_verified, roots + 1);
	end(rig);
}

/* Invariant: a frame that waits for its root, and a root that is being verified, while the key is
 * revoked are judged by the plan in force when they come out. */
static void revoked_while_asked(void **state)
{
	struct rig *rig = begin(1);
	const struct rig_frame frame = {.source = 1, .first = 1, .count = 1, .value = 1};

	(void)state;
	rig_send(rig, &frame);
	rig_turn(rig, 0);
	assert_int_equal(rig_events(rig).in_hold, 1);
	change(rig, "{\"id\":1,\"public\"", "{\"id\":9,\"public\"");
	through(rig);
	rig_settle(rig);
	assert_int_equal(rig_events(rig).admitted, 0);
	assert_int_equal(rig_events(rig).refused[ATR_REASON_UNKNOWN_KEY], 1);
	end(rig);
}

/* Invariant: a source that a plan leaves out and a later one has again goes on where it was: what
 * it sent before is a duplicate, never applied twice. */
static void source_comes_back(void **state)
{
	const struct rig_frame frame = {.source = 1, .first = 5, .count = 1, .value = 1};
	struct rig *rig = begin(1);
	char text[TEXT_MAX], *from, *to;

	(void)state;
	rig_send(rig, &frame);
	rig_settle(rig);
	/* The source's whole entry. */
	memcpy(text, rig->program->plan->document, rig->program->plan->document_length);
	text[rig->program->plan->document_length] = '\0';
	from = strstr(text, "\"sources\":[") + strlen("\"sources\":[");
	to = strstr(from, "},{\"id\":2,\"keys\"");
	assert_non_null(to);
	to[2] = '\0';
	change(rig, from, "");
	through(rig);
	rig_send(rig, &frame);
	rig_settle(rig);
	assert_int_equal(rig_events(rig).refused[ATR_REASON_UNKNOWN_SOURCE], 1);
	{
		char back[TEXT_MAX];

		snprintf(back, sizeof(back), "\"sources\":[%s", from);
		change(rig, "\"sources\":[", back);
	}
	through(rig);
	rig_send(rig, &frame);
	rig_settle(rig);
	assert_int_equal(rig_events(rig).admitted, 1);
	assert_int_equal(rig_events(rig).duplicate, 1);
	end(rig);
}

/* Invariant: a feed that is retired gets everything that the old plan sent to it, then its end of
 * session, once; the others go on. */
static void feed_retired(void **state)
{
	const struct rig_frame frame = {.source = 1, .first = 1, .count = 1, .value = 600};
	const struct rig_frame second = {.source = 1, .first = 2, .count = 1, .value = 600};
	struct rig *rig = begin(1);
	unsigned int n, ends, last = 0;

	(void)state;
	rig_send(rig, &frame);
	rig_settle(rig);
	assert_int_equal(rig_collect(rig, events, EVENTS_MAX), 2);
	rig_send(rig, &second);
	for (unsigned int i = 0; i < 4; i++) {
		rig_turn(rig, 0);
		atr_control_run(rig->control);
	}
	/* Logged, not durable yet; feed 0 waits for that. */
	change(rig,
	       "\"destinations\":[{\"to\":\"10.0.0.9:5000\"}],\"durability\":\"commit\",\"id\":0",
	       "\"destinations\":[],\"durability\":\"commit\",\"id\":5");
	ends = rig_ends(rig);
	through(rig);
	rig_settle(rig);
	n = rig_collect(rig, events, EVENTS_MAX);
	for (unsigned int i = 0; i < n; i++)
		last += events[i].feed == 0 && events[i].sequence == second.first;
	assert_int_equal(last, 1);
	assert_int_equal(rig_ends(rig) - ends, 3);
	rig->ends = 0;
	rig_kill(rig);
	rig_store_free(&store);
	memset(&store, 0, sizeof(store));
}

/* Invariant: a limit whose rate stays is drained on over a change; a new rate begins with its
 * burst.
 */
static void limits_stay(void **state)
{
	struct rig *rig = begin(1);
	const struct atr_limit *before;

	(void)state;
	before = rig->program->topic_limit[TOPIC_SLOW];
	for (unsigned int i = 0; i < 4; i++)
		rig_send(rig, &(struct rig_frame){.source = 1,
						  .first = 1 + i,
						  .count = 1,
						  .value = 1,
						  .topic = TOPIC_SLOW});
	rig_settle(rig);
	assert_int_equal(rig_events(rig).admitted, 4);
	change(rig, "\"value\":500", "\"value\":900");
	through(rig);
	assert_ptr_equal(rig->program->topic_limit[TOPIC_SLOW], before);
	rig_send(rig,
		 &(struct rig_frame){
			 .source = 1, .first = 9, .count = 1, .value = 1, .topic = TOPIC_SLOW});
	rig_settle(rig);
	assert_int_equal(rig_events(rig).refused[ATR_REASON_RATE_TOPIC], 1);
	change(rig, "\"burst\":4", "\"burst\":5");
	through(rig);
	rig_send(rig,
		 &(struct rig_frame){
			 .source = 1, .first = 9, .count = 1, .value = 1, .topic = TOPIC_SLOW});
	rig_settle(rig);
	assert_int_equal(rig_events(rig).admitted, 5);
	end(rig);
}

/* Invariant: at most one change is under way. */
static void one_at_a_time(void **state)
{
	struct rig *rig = begin(1);
	char error[400];

	(void)state;
	change(rig, "\"value\":500", "\"value\":900");
	assert_int_equal(atr_control_publish(rig->control, rig->program, 0, error, sizeof(error)),
			 -16);
	assert_non_null(strstr(error, "under way"));
	through(rig);
	end(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(storm),
		cmocka_unit_test(revoked),
		cmocka_unit_test(revoked_while_asked),
		cmocka_unit_test(source_comes_back),
		cmocka_unit_test(feed_retired),
		cmocka_unit_test(limits_stay),
		cmocka_unit_test(one_at_a_time),
	};

	return cmocka_run_group_tests_name("swap", tests, rig_boot, rig_end);
}
