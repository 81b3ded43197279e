/* SPDX-License-Identifier: BSD-3-Clause */
/* Places where frames and envelopes wait: hold, deferral, reservation, hand-over, bridge. Every
 * test ends with rig_stop: ledgers balance with nothing in flight, no mbuf is lost. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <rte_malloc.h>
#include <signal.h>
#include <sodium.h>
#include <sys/resource.h>

#include "rig.h"

#define EVENTS_MAX 1024
#define TREE       200

static const struct rig_options usual = {.window = 4096, .max_ahead = 5000};
static struct rig_datagram tree[TREE];

static void make_tree(struct rig *rig, uint32_t source, unsigned int count)
{
	struct rig_frame f[TREE];

	for (unsigned int i = 0; i < count; i++)
		f[i] = (struct rig_frame){
			.source = source, .first = 1 + 2 * i, .count = 2, .value = 2 * i};
	rig_tree(rig, f, count, tree);
}

/* Invariant: frames that waited for their root leave before, and in the order of, newer ones. */
static void the_hold_keeps_order(void **state)
{
	struct rig *rig = rig_start(&usual);
	struct rig_event e[EVENTS_MAX];
	unsigned int n = 0;

	(void)state;
	make_tree(rig, 1, TREE);
	for (unsigned int i = 0; i < 150; i++)
		rig_inject(rig, 0, 0, &tree[i]);
	for (unsigned int i = 0; i < 8; i++)
		rig_turn(rig, 0);
	assert_int_equal(rig_datagrams(rig).in_hold, 150);
	assert_int_equal(rig_events(rig).in_hold, 300);
	for (unsigned int i = 150; i < TREE; i++)
		rig_inject(rig, 0, 0, &tree[i]);
	rig_settle(rig);
	assert_int_equal(rig_events(rig).admitted, 2 * TREE);
	n = rig_collect(rig, e, EVENTS_MAX);
	assert_int_equal(n, 2 * TREE);
	for (unsigned int i = 0; i < n; i++)
		assert_int_equal(e[i].sequence, i + 1);
	rig_stop(rig);
}

/* Invariant: what was found out about a frame before it waited for its root holds under that plan
 * only; under another one it is judged again. */
static void a_new_plan_judges_what_waited(void **state)
{
	struct rig *rig = rig_start(&usual);

	(void)state;
	make_tree(rig, 1, 10);
	for (unsigned int i = 0; i < 10; i++)
		rig_inject(rig, 0, 0, &tree[i]);
	rig_turn(rig, 0);
	assert_int_equal(rig_datagrams(rig).in_hold, 10);
	rig_unpublish(rig);
	rig_settle(rig);
	assert_int_equal(rig_events(rig).refused[ATR_REASON_NO_PLAN], 20);
	assert_int_equal(rig_events(rig).admitted, 0);
	rig_stop(rig);
}

/* Bug: topic 0 at the head of a frame was not looked up, and gate 4 refused what is gate 1's. */
static void topic_zero_is_unknown(void **state)
{
	struct rig *rig = rig_start(&usual);

	(void)state;
	rig_send(rig,
		 &(struct rig_frame){.source = 1, .first = 1, .count = 3, .topic = TOPIC_ZERO});
	rig_settle(rig);
	assert_int_equal(rig_events(rig).refused[ATR_REASON_UNKNOWN_TOPIC], 3);
	rig_stop(rig);
}

/* Bug: a frame whose root was refused for a reason of another gate than the signature's left the
 * hold as if the root had been proven. */
static void any_refusal_of_a_root_refuses(void **state)
{
	struct rig *rig = rig_start(&usual);
	struct atr_msg msg;

	(void)state;
	make_tree(rig, 1, 4);
	for (unsigned int i = 0; i < 4; i++)
		rig_inject(rig, 0, 0, &tree[i]);
	rig_turn(rig, 0);
	assert_int_equal(atr_receive(rig->bridge.verify[0], &msg, 1), 1);
	assert_int_equal(msg.kind, ATR_MSG_ROOT);
	((struct atr_root_request *)msg.ptr)->verdict = ATR_REASON_NO_PLAN;
	assert_true(atr_send(rig->bridge.down[0], ATR_MSG_VERDICT, msg.epoch, 0, msg.ptr));
	rig_settle(rig);
	assert_int_equal(rig_events(rig).refused[ATR_REASON_NO_PLAN], 8);
	assert_int_equal(rig_events(rig).admitted, 0);
	rig_stop(rig);
}

/* Invariant: events of a frame that waited keep the reasons that they were refused for. */
static void refused_events_wait_too(void **state)
{
	static const uint32_t topics[] = {TOPIC_OPEN, 9999, TOPIC_SHUT};
	struct rig *rig = rig_start(&usual);
	struct rig_frame f[3];

	(void)state;
	for (unsigned int i = 0; i < 3; i++)
		f[i] = (struct rig_frame){
			.source = 1, .first = 1 + 4 * i, .count = 4, .topic = topics[i]};
	rig_tree(rig, f, 3, tree);
	for (unsigned int i = 0; i < 3; i++)
		rig_inject(rig, 0, 0, &tree[i]);
	rig_settle(rig);
	assert_int_equal(rig_events(rig).admitted, 4);
	assert_int_equal(rig_events(rig).refused[ATR_REASON_UNKNOWN_TOPIC], 4);
	assert_int_equal(rig_events(rig).refused[ATR_REASON_NOT_ALLOWED], 4);
	rig_stop(rig);
}

/* Invariant: a source that fills the hold is refused by name; another keeps its service. */
static void a_full_hold_is_one_sources_trouble(void **state)
{
	struct rig_options o = usual;
	struct rig *rig;

	(void)state;
	o.hold_per_source = 8;
	rig = rig_start(&o);
	make_tree(rig, 1, 20);
	for (unsigned int i = 0; i < 20; i++)
		rig_inject(rig, 0, 0, &tree[i]);
	rig_send(rig, &(struct rig_frame){.source = 2, .first = 1, .count = 3});
	rig_turn(rig, 0);
	assert_int_equal(rig_datagrams(rig).refused[ATR_REASON_HOLD_FULL], 12);
	rig_settle(rig);
	assert_int_equal(rig_events(rig).admitted, 16 + 3);
	/* One tree too many under way. */
	for (unsigned int i = 0; i < 17; i++)
		rig_send(rig, &(struct rig_frame){.source = 3, .first = 1 + i, .count = 1});
	rig_turn(rig, 0);
	rig_settle(rig);
	assert_true(rig_datagrams(rig).refused[ATR_REASON_HOLD_FULL] == 12 + 9);
	rig_stop(rig);
}

/* Bug: frames refused because the ring to their owner was full were counted by what had stood in
 * the batch before them. */
static void handover_full_counts_by_its_own_name(void **state)
{
	struct rig_options o = usual;
	struct rig *rig;

	(void)state;
	o.shards = 2;
	o.handover_ring = 8; /* holds 7 */
	rig = rig_start(&o);
	make_tree(rig, 1, 30);
	/* Leaves duplicates behind in the batch of shard 0. */
	for (unsigned int i = 0; i < 20; i++)
		rig_send(rig, &(struct rig_frame){.source = 2, .first = 1, .count = 20});
	for (unsigned int i = 0; i < 4; i++)
		rig_settle(rig);
	assert_int_equal(rig_events(rig).duplicate, 19 * 20);
	for (unsigned int i = 0; i < 30; i++)
		rig_inject(rig, 0, 0, &tree[i]);
	rig_turn(rig, 0);
	assert_int_equal(rig_datagrams(rig).refused[ATR_REASON_HANDOVER_FULL], 23);
	assert_int_equal(rig_events(rig).refused[ATR_REASON_HANDOVER_FULL], 46);
	assert_int_equal(rig_events(rig).in_handover, 14);
	rig_settle(rig);
	assert_int_equal(rig_events(rig).admitted, 14 + 20);
	rig_stop(rig);
}

/* Bug: a shard that met frames of a newer cut on a hand-over ring copied its book in the middle of
 * a batch, when what it had taken out of the hold stood nowhere. */
static void a_cut_never_falls_into_a_batch(void **state)
{
	struct rig_options o = usual;
	struct atr_ledger_reading r;
	struct rig *rig;

	(void)state;
	o.shards = 2;
	rig = rig_start(&o);
	/* Source 2 waits for its root in shard 0, which is then proven. */
	make_tree(rig, 2, 10);
	for (unsigned int i = 0; i < 10; i++)
		rig_inject(rig, 0, 0, &tree[i]);
	rig_turn(rig, 0);
	atr_control_run(rig->control);
	/* Shard 0 has begun its turn; then a reader asks, and shard 1 hands over. */
	make_tree(rig, 4, 5);
	for (unsigned int i = 0; i < 5; i++)
		rig_inject(rig, 0, 1, &tree[i]);
	atr_ledger_poll(&rig->ledger, rig->shard[0]->node);
	rig->shard[0]->program = rig->program;
	rig->ledger.requested++;
	atr_shard_run(rig->shard[1]);
	for (unsigned int i = 0; i < atr_stage_count; i++)
		atr_stages[i].run(rig->shard[0], rig->shard[0]->batch);
	atr_control_run(rig->control);
	atr_ledger_poll(&rig->ledger, rig->shard[0]->node);
	rig->ledger.requested--;
	assert_int_equal(atr_ledger_read(&rig->ledger, 0, &r), 0);
	assert_int_equal(r.datagrams.received,
			 r.datagrams.admitted + r.datagrams.in_hold + r.datagrams.in_handover);
	rig_settle(rig);
	assert_int_equal(rig_events(rig).admitted, 30);
	rig_stop(rig);
}

/* Invariant: frames of the wrong shard reach their owner; duplicates on both sides count once. */
static void wrong_shards(void **state)
{
	struct rig_options o = usual;
	struct rig_event e[EVENTS_MAX];
	struct rig *rig;

	(void)state;
	o.shards = 2;
	rig = rig_start(&o);
	for (uint32_t s = 1; s <= 4; s++) {
		make_tree(rig, s, 40);
		for (unsigned int i = 0; i < 80; i++)
			rig_inject(rig, i % 2, (i / 40 + i) % 2, &tree[i % 40]);
		rig_turn(rig, s % 2);
	}
	rig_settle(rig);
	assert_int_equal(rig_events(rig).admitted, 4 * 80);
	assert_int_equal(rig_events(rig).duplicate, 4 * 80);
	assert_int_equal(rig_collect(rig, e, EVENTS_MAX), 4 * 80);
	for (unsigned int i = 0; i < 4 * 80; i++)
		assert_int_equal(e[i].shard, e[i].source % 2);
	rig_stop(rig);
}

/* Invariant: shutdown finds every waiting place occupied, and each datagram and event is refused
 * by name; nothing is lost and nothing stays in flight (rig_stop). */
static void shutdown_with_everything_waiting(void **state)
{
	struct rig_options o = usual;
	struct rig_datagram d;
	struct rig *rig;

	(void)state;
	o.shards = 2;
	rig = rig_start(&o);
	/* Proven root, no reservation yet: reserving. */
	make_tree(rig, 2, 10);
	for (unsigned int i = 0; i < 10; i++)
		rig_inject(rig, 0, 0, &tree[i]);
	rig_turn(rig, 0);
	atr_control_run(rig->control);
	rig_turn(rig, 0);
	assert_int_equal(atr_queue_count(&rig->shard[0]->reserving), 10);
	/* Unproven root: hold. */
	rig_send(rig, &(struct rig_frame){.source = 4, .first = 1, .count = 3});
	/* Envelopes on the bridge, one of them admitted and on its way down. */
	rig_envelope(rig, 1, 1, NULL, &d);
	rig_inject(rig, 0, 0, &d);
	rig_turn(rig, 0);
	atr_control_envelope(rig->control, ({
				     struct atr_msg m;

				     assert_int_equal(atr_receive(rig->bridge.envelopes[0], &m, 1),
						      1);
				     m.ptr;
			     }),
			     0);
	rig_inject(rig, 0, 0, &d);
	/* Handed over. */
	rig_inject(rig, 0, 1, &tree[0]);
	rig_turn(rig, 0);
	rig_turn(rig, 1);
	assert_int_equal(rig_datagrams(rig).in_hold, 11);
	assert_int_equal(rig_datagrams(rig).in_handover, 1);
	assert_int_equal(rig_datagrams(rig).in_bridge + rig_datagrams(rig).admitted, 2);
	rig_stop(rig);
}

/* Invariant: overlapping frames of one batch wait for the next and find what the first one took. */
static void copies_in_one_batch(void **state)
{
	struct rig *rig = rig_start(&usual);
	struct rig_frame f = {.source = 1, .first = 1, .count = 4};
	struct rig_frame other = {.source = 1, .first = 3, .count = 4, .value = 77};

	(void)state;
	rig_send(rig, &(struct rig_frame){.source = 1, .first = 100, .count = 1});
	rig_send(rig, &f);
	rig_send(rig, &other);
	rig_settle(rig);
	assert_int_equal(rig_events(rig).admitted, 7);
	assert_int_equal(rig_events(rig).refused[ATR_REASON_CONFLICT], 2);
	f.first = 201;
	for (unsigned int i = 0; i < 9; i++)
		rig_send(rig, &f);
	rig_turn(rig, 0);
	atr_control_run(rig->control);
	rig_turn(rig, 0);
	assert_int_equal(rig_datagrams(rig).in_hold, 8);
	assert_int_equal(atr_queue_count(&rig->shard[0]->deferred), 8);
	rig_settle(rig);
	assert_int_equal(rig_events(rig).admitted, 11);
	assert_int_equal(rig_events(rig).duplicate, 32);
	rig_stop(rig);
}

/* Invariant: an envelope is admitted once; a copy that comes while the original is on its way
 * waits for it; other bytes under the same id conflict; replies say so. */
static void envelopes(void **state)
{
	struct rig *rig = rig_start(&usual);
	struct rig_datagram d, twin;
	struct rig_event e[4];
	uint8_t uuid[16];

	(void)state;
	atr_uuid7_new((uint64_t)time(NULL) * 1000, uuid);
	rig_envelope(rig, 1, 600, uuid, &d);
	rig_envelope(rig, 1, 601, uuid, &twin);
	for (unsigned int i = 0; i < 3; i++)
		rig_inject(rig, 0, 0, &d);
	rig_turn(rig, 0);
	assert_int_equal(rig_datagrams(rig).in_bridge, 3);
	atr_control_run(rig->control);
	assert_int_equal(rig_datagrams(rig).in_bridge, 1);
	assert_int_equal(rig_datagrams(rig).in_hold, 2);
	rig_settle(rig);
	assert_int_equal(rig_events(rig).admitted, 1);
	assert_int_equal(rig_events(rig).duplicate, 2);
	assert_int_equal(rig_collect(rig, e, 4), 2);
	assert_true(e[0].envelope && e[0].source == 1);
	assert_non_null(strstr(rig_reply(rig), "\"result\":\"duplicate\""));
	rig_inject(rig, 0, 0, &twin);
	rig_settle(rig);
	rig_collect(rig, e, 4);
	assert_int_equal(rig_events(rig).refused[ATR_REASON_CONFLICT], 1);
	assert_non_null(strstr(rig_reply(rig), "\"reason\":\"conflict\""));
	/* In the signature, and still a hex digit. */
	d.bytes[d.length - 5] = d.bytes[d.length - 5] == '0' ? '1' : '0';
	rig_inject(rig, 0, 0, &d);
	rig_settle(rig);
	assert_int_equal(rig_events(rig).refused[ATR_REASON_BAD_SIGNATURE], 1);
	rig_stop(rig);
}

/* Bug: a high-water for which the state had no room left, after failed syncs, was taken for
 * durable once the disk had room again. */
static void no_reservation_without_the_disk(void **state)
{
	struct rig *rig = rig_start(&usual);
	struct atr_reserve first = {.source = 500, .wanted = 10},
			   second = {.source = 501, .wanted = 20};
	struct atr_reserve *r[2] = {&first, &second};
	struct rlimit limit;
	rlim_t before;

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &limit);
	before = limit.rlim_cur;
	limit.rlim_cur = 1;
	setrlimit(RLIMIT_FSIZE, &limit);
	for (unsigned int i = 0; i < 70; i++)
		atr_control_reserve(rig->control, &r[0], 1);
	assert_int_equal(first.reserved, 0);
	limit.rlim_cur = before;
	setrlimit(RLIMIT_FSIZE, &limit);
	atr_control_reserve(rig->control, &r[1], 1);
	assert_true(second.reserved == 20 + ATR_RESERVE_AHEAD);
	assert_true(atr_state_get(rig->state, ATR_STATE_SOURCE, 501) == second.reserved);
	rig->control->unsaved = NULL; /* these two end with this function */
	rig_stop(rig);
}

/* Invariant: a source that uses its sequences up quickly is given more of them at a time, up to a
 * limit, and a slow one as few as at first. */
static void high_waters_grow_with_the_rate(void **state)
{
	struct rig *rig = rig_start(&usual);
	struct atr_reserve one = {.source = 502}, *r = &one;
	uint64_t ahead = ATR_RESERVE_AHEAD;

	(void)state;
	for (unsigned int i = 0; i < 6; i++) {
		one.wanted = one.reserved;
		atr_control_reserve(rig->control, &r, 1);
		assert_true(one.reserved == one.wanted + ahead);
		ahead = RTE_MIN(2 * ahead, ATR_RESERVE_MOST);
	}
	assert_true(ahead == ATR_RESERVE_MOST);
	rte_delay_ms(ATR_RESERVE_SOON_MS + 1);
	one.wanted = one.reserved;
	atr_control_reserve(rig->control, &r, 1);
	assert_true(one.reserved == one.wanted + ATR_RESERVE_AHEAD);
	one.wanted = UINT64_MAX - 1;
	atr_control_reserve(rig->control, &r, 1);
	assert_true(one.reserved == UINT64_MAX);
	rig_stop(rig);
}

/* Bug: the token buckets of topics were never freed. */
static void programs_give_their_memory_back(void **state)
{
	struct rte_malloc_socket_stats before, after;
	struct rig *rig;

	(void)state;
	rte_malloc_get_socket_stats(0, &before);
	rig = rig_start(&usual);
	rig_stop(rig);
	rte_malloc_get_socket_stats(0, &after);
	assert_int_equal(after.alloc_count, before.alloc_count);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_hold_keeps_order),
		cmocka_unit_test(a_new_plan_judges_what_waited),
		cmocka_unit_test(refused_events_wait_too),
		cmocka_unit_test(topic_zero_is_unknown),
		cmocka_unit_test(any_refusal_of_a_root_refuses),
		cmocka_unit_test(a_full_hold_is_one_sources_trouble),
		cmocka_unit_test(handover_full_counts_by_its_own_name),
		cmocka_unit_test(a_cut_never_falls_into_a_batch),
		cmocka_unit_test(wrong_shards),
		cmocka_unit_test(shutdown_with_everything_waiting),
		cmocka_unit_test(copies_in_one_batch),
		cmocka_unit_test(envelopes),
		cmocka_unit_test(no_reservation_without_the_disk),
		cmocka_unit_test(high_waters_grow_with_the_rate),
		cmocka_unit_test(programs_give_their_memory_back),
	};

	return cmocka_run_group_tests(tests, rig_boot, rig_end);
}
