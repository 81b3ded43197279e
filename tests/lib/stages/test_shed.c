/* SPDX-License-Identifier: BSD-3-Clause */
/* The stage shed, and what the control lcore sheds of envelopes. Every test ends with rig_stop:
 * ledgers balance with nothing in flight, no mbuf is lost. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <rte_cycles.h>

#include "rig.h"

#define EVENTS_MAX 512
#define EVENTS     8    /* of a frame: two of each priority */
#define MIXED      0xe4 /* event i claims priority i % 4 */

static const struct rig_options usual = {.window = 256, .max_ahead = 1000};

/* Puts a shard in a state by a reading of its own, the last one. */
static void load(struct rig *rig, unsigned int shard, enum atr_load state)
{
	uint32_t value[ATR_SIGNALS] = {0};

	value[ATR_SIGNAL_HOLD] = atr_signal_info[ATR_SIGNAL_HOLD].from[state];
	atr_overload_turn(&rig->shard[shard]->overload, 0, 0, false);
	atr_overload_judge(&rig->shard[shard]->overload, value, rte_rdtsc());
	rig->shard[shard]->overload.read_tsc = UINT64_MAX;
	assert_int_equal(rig->shard[shard]->overload.state, state);
}

static struct atr_ledger_total sent(struct rig *rig, uint64_t first, uint32_t type)
{
	rig_send(rig, &(struct rig_frame){.source = 1,
					  .first = first,
					  .count = EVENTS,
					  .priority = MIXED,
					  .type = type});
	rig_settle(rig);
	return rig_events(rig);
}

/* Invariant: of a frame exactly those events are shed that the state's measures name, by reason
 * and priority; the others are admitted and published. */
static void by_priority_and_state(void **state)
{
	static const struct {
		enum atr_load load;
		uint32_t type;
		unsigned int p3, p2, large, p1;
	} table[] = {
		{ATR_GREEN, TYPE_READING, 0, 0, 0, 0},  {ATR_YELLOW, TYPE_READING, 2, 0, 0, 0},
		{ATR_ORANGE, TYPE_READING, 2, 2, 0, 0}, {ATR_RED, TYPE_READING, 2, 2, 0, 2},
		{ATR_YELLOW, TYPE_NOTE, 2, 0, 0, 0},    {ATR_ORANGE, TYPE_NOTE, 2, 2, 2, 0},
		{ATR_RED, TYPE_NOTE, 2, 2, 2, 0},
	};

	(void)state;
	for (unsigned int i = 0; i < RTE_DIM(table); i++) {
		unsigned int shed = table[i].p3 + table[i].p2 + table[i].large + table[i].p1;
		struct rig *rig = rig_start(&usual);
		struct rig_event e[EVENTS_MAX];
		struct atr_ledger_total t;

		load(rig, 0, table[i].load);
		t = sent(rig, 1, table[i].type);
		assert_int_equal(t.admitted, EVENTS - shed);
		assert_int_equal(t.refused[ATR_REASON_SHED_P3], table[i].p3);
		assert_int_equal(t.refused[ATR_REASON_SHED_P2], table[i].p2);
		assert_int_equal(t.refused[ATR_REASON_SHED_LARGE], table[i].large);
		assert_int_equal(t.refused[ATR_REASON_SHED_P1], table[i].p1);
		assert_int_equal(rig_collect(rig, e, EVENTS_MAX), EVENTS - shed);
		rig_stop(rig);
	}
}

/* Invariant: what was shed was not taken for seen: the same frame, resent after relief, brings the
 * events that are missing, and those only. */
static void resend_brings_the_rest(void **state)
{
	struct rig *rig = rig_start(&usual);
	struct rig_event e[EVENTS_MAX];
	struct rig_datagram d;
	struct atr_ledger_total t;

	(void)state;
	rig_tree(rig,
		 &(struct rig_frame){.source = 1, .first = 1, .count = EVENTS, .priority = MIXED},
		 1, &d);
	load(rig, 0, ATR_ORANGE);
	rig_inject(rig, 0, 0, &d);
	rig_settle(rig);
	assert_int_equal(rig_collect(rig, e, EVENTS_MAX), EVENTS / 2);
	atr_overload_init(&rig->shard[0]->overload, rte_rdtsc(), rte_get_tsc_hz());
	rig->shard[0]->overload.read_tsc = UINT64_MAX;
	rig_inject(rig, 0, 0, &d);
	rig_settle(rig);
	t = rig_events(rig);
	assert_int_equal(t.admitted, EVENTS);
	assert_int_equal(t.duplicate, EVENTS / 2);
	assert_int_equal(rig_collect(rig, e, EVENTS_MAX), EVENTS / 2);
	for (unsigned int i = 0; i < EVENTS / 2; i++)
		assert_in_range((e[i].sequence - 1) % 4, 2, 3);
	rig_stop(rig);
}

/* Invariant: a frame of which nothing is left is shed before its signature costs anything: no
 * root is asked for. */
static void nothing_left_costs_no_root(void **state)
{
	struct rig *rig = rig_start(&usual);

	(void)state;
	load(rig, 0, ATR_RED);
	rig_send(rig,
		 &(struct rig_frame){.source = 1, .first = 1, .count = EVENTS, .priority = 0xff});
	rig_settle(rig);
	assert_int_equal(rig_events(rig).refused[ATR_REASON_SHED_P3], EVENTS);
	assert_int_equal(rig_datagrams(rig).refused[ATR_REASON_SHED_P3], 1);
	assert_int_equal(atr_auth_stats(rig->shard[0]->auth)->roots_asked, 0);
	rig_stop(rig);
}

/* Invariant: a frame that waits for its root is judged by the state in which it goes on. */
static void held_frames_too(void **state)
{
	struct rig *rig = rig_start(&usual);

	(void)state;
	rig_send(rig,
		 &(struct rig_frame){.source = 1, .first = 1, .count = EVENTS, .priority = MIXED});
	rig_turn(rig, 0);
	assert_int_equal(rig_events(rig).in_hold, EVENTS);
	load(rig, 0, ATR_YELLOW);
	rig_settle(rig);
	assert_int_equal(rig_events(rig).admitted, EVENTS - EVENTS / 4);
	assert_int_equal(rig_events(rig).refused[ATR_REASON_SHED_P3], EVENTS / 4);
	rig_stop(rig);
}

/* Invariant: a shard in RED sheds its own sources' events, never another's. */
static void shards_are_alone(void **state)
{
	struct rig_options options = usual;
	struct rig *rig;
	struct atr_ledger_total t;

	(void)state;
	options.shards = 2;
	rig = rig_start(&options);
	load(rig, 0, ATR_RED);
	for (uint32_t source = 1; source <= 2; source++)
		rig_send(rig,
			 &(struct rig_frame){
				 .source = source, .first = 1, .count = EVENTS, .priority = MIXED});
	rig_settle(rig);
	t = rig_events(rig);
	assert_int_equal(t.admitted, EVENTS + EVENTS / 4);
	assert_int_equal(rig->shard[1]->overload.state, ATR_GREEN);
	rig_stop(rig);
}

/* Invariant: an envelope has the best priority that its source and topic may claim: P0 in this
 * plan, so that no state sheds it; capped to P1 it is shed from ORANGE on, with a reply. */
static void envelopes_too(void **state)
{
	struct rig *rig = rig_start(&usual);
	struct rig_datagram d;

	(void)state;
	load(rig, 0, ATR_RED);
	rig_envelope(rig, 1, 5, NULL, &d);
	rig_inject(rig, 0, 0, &d);
	rig_settle(rig);
	assert_int_equal(rig_events(rig).admitted, 1);
	rig->plan->sources[2].priority = 1;
	rig_envelope(rig, 2, 5, NULL, &d);
	rig_inject(rig, 0, 0, &d);
	rig_settle(rig);
	assert_int_equal(rig_events(rig).refused[ATR_REASON_SHED_LARGE], 1);
	rig_stop(rig);
}

/* Invariant: the plan caps what an event may claim: P0 from a source of priority 2 is P2. */
static void plan_caps_the_claim(void **state)
{
	struct rig *rig = rig_start(&usual);

	(void)state;
	rig->plan->sources[1].priority = 2;
	load(rig, 0, ATR_ORANGE);
	rig_send(rig, &(struct rig_frame){.source = 1, .first = 1, .count = EVENTS});
	rig_settle(rig);
	assert_int_equal(rig_events(rig).refused[ATR_REASON_SHED_P2], EVENTS);
	rig_stop(rig);
}

/* Invariant: in RED a source has a quarter of its unproven roots under way, elsewhere all. */
static void few_roots_in_red(void **state)
{
	struct rig *rig = rig_start(&usual);

	(void)state;
	load(rig, 0, ATR_RED);
	atr_auth_tighten(rig->shard[0]->auth, true);
	for (unsigned int i = 0; i < 16; i++)
		rig_send(rig, &(struct rig_frame){.source = 1, .first = 1 + i, .count = 1});
	rig_turn(rig, 0);
	assert_int_equal(atr_auth_stats(rig->shard[0]->auth)->pending_roots, 4);
	assert_int_equal(rig_events(rig).refused[ATR_REASON_ROOT_BUDGET], 12);
	atr_auth_tighten(rig->shard[0]->auth, false);
	for (unsigned int i = 16; i < 28; i++)
		rig_send(rig, &(struct rig_frame){.source = 1, .first = 1 + i, .count = 1});
	rig_turn(rig, 0);
	assert_int_equal(atr_auth_stats(rig->shard[0]->auth)->pending_roots, 16);
	rig_settle(rig);
	rig_stop(rig);
}

/* Invariant: roots forged in a source's name from another address, however many, leave the source
 * itself its frames: each is admitted at its first try. */
static void forged_elsewhere(void **state)
{
	struct rig_options options = usual;
	struct rig_datagram forged, good;
	struct rig *rig;

	(void)state;
	options.senders = true;
	rig = rig_start(&options);
	rig_send(rig, &(struct rig_frame){.source = 1, .first = 1, .count = 1});
	rig_settle(rig);
	for (unsigned int round = 1; round <= 50; round++) {
		for (unsigned int i = 0; i < 30; i++) {
			rig_tree(rig,
				 &(struct rig_frame){.source = 1,
						     .first = 100 + 30 * round + i,
						     .count = 1,
						     .forged = true},
				 1, &forged);
			rig_inject(rig, 1, 0, &forged);
		}
		rig_turn(rig, 0);
		rig_tree(rig, &(struct rig_frame){.source = 1, .first = 1 + round, .count = 1}, 1,
			 &good);
		rig_inject(rig, 0, 0, &good);
		rig_settle(rig);
		assert_int_equal(rig_events(rig).admitted, 1 + round);
	}
	assert_in_range(rig_events(rig).refused[ATR_REASON_BAD_SIGNATURE], 64, 200);
	rig_stop(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(by_priority_and_state),
		cmocka_unit_test(resend_brings_the_rest),
		cmocka_unit_test(nothing_left_costs_no_root),
		cmocka_unit_test(held_frames_too),
		cmocka_unit_test(shards_are_alone),
		cmocka_unit_test(envelopes_too),
		cmocka_unit_test(plan_caps_the_claim),
		cmocka_unit_test(few_roots_in_red),
		cmocka_unit_test(forged_elsewhere),
	};

	return cmocka_run_group_tests(tests, rig_boot, rig_end);
}
