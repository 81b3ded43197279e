/* SPDX-License-Identifier: BSD-3-Clause */
/* The commit stage by itself: when a group is sealed, what leaves when one is durable, which
 * acknowledgements wait and where they go. The disk finishes only what a test lets it. Every test
 * ends with rig_stop: ledgers balance with nothing in flight, no mbuf is lost. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "rig.h"

#define EVENTS_MAX 2048
#define TURNS      8 /* until a frame is proven and logged, or an answer is made */
#define NEVER      UINT64_MAX
#define SECOND     UINT64_C(10000000000) /* in cycles, roughly */
#define MANY       100                   /* frames; more than are published in a turn */

static struct rig_store store;
static struct rig_event events[EVENTS_MAX];
static unsigned int told[256], tellings;
static uint64_t order[EVENTS_MAX];

static void on_ack(void *listener, const struct atr_ack_notice *notice,
		   const struct atr_ack_entry *entry)
{
	(void)listener;
	(void)notice;
	told[entry->result]++;
	order[tellings++ % EVENTS_MAX] = entry->first_sequence;
}

static struct rig *start(void)
{
	const struct rig_options options = {
		.window = 4096, .max_ahead = 5000, .store = &store, .on_ack = on_ack};
	struct rig *rig;

	memset(told, 0, sizeof(told));
	tellings = 0;
	rig = rig_start(&options);
	if (!rig)
		fail_msg("%s", store.error);
	return rig;
}

/* Nothing is sealed by age, and by size only when a group is full. */
static struct rig *begin(unsigned int acks)
{
	struct rig *rig;

	rig_store_init(&store, 1, 1);
	if (acks)
		store.acks = acks;
	rig = start();
	rig->shard[0]->commit.seal_tsc = NEVER;
	return rig;
}

static void end(struct rig *rig)
{
	rig_stop(rig);
	rig_store_free(&store);
	memset(&store, 0, sizeof(store));
}

/* The disk does nothing meanwhile. */
static void turns(struct rig *rig)
{
	for (unsigned int i = 0; i < TURNS; i++) {
		rig_turn(rig, 0);
		atr_control_run(rig->control);
	}
}

static void send_from(struct rig *rig, unsigned int port, uint32_t source, uint64_t first)
{
	struct rig_datagram d;

	rig_tree(rig, &(struct rig_frame){.source = source, .first = first, .count = 1, .value = 1},
		 1, &d);
	rig_inject(rig, port, 0, &d);
	turns(rig);
}

static void send_one(struct rig *rig, uint64_t first)
{
	send_from(rig, 0, 1, first);
}

/* What was sealed becomes durable; the shard has not looked yet. */
static void let_the_disk_work(void)
{
	struct atr_log_stats stats;

	do {
		rig_store_work(&store);
		atr_log_stats(store.log[0], &stats);
	} while (stats.groups_under_way > 0);
}

/* One run of the stage at a time of the test's; true if it sealed the open group. */
static bool seals_at(struct rig *rig, uint64_t now_tsc)
{
	struct atr_shard *shard = rig->shard[0];
	bool open = shard->commit.open;

	shard->program = rig->program;
	shard->batch->now_tsc = now_tsc;
	atr_stage_commit(shard, shard->batch);
	return open && !shard->commit.open;
}

/* Invariant: a group is sealed at once when nothing is under way; while something is, when it has
 * the bytes, and not one byte before. */
static void sealed_by_size(void **state)
{
	struct rig *rig = begin(0);
	struct atr_commit *commit = &rig->shard[0]->commit;

	(void)state;
	send_one(rig, 1);
	assert_null(commit->open);
	assert_int_equal(commit->stats.groups, 1);
	send_one(rig, 2);
	assert_non_null(commit->open);
	commit->seal_bytes = commit->open->used + 1;
	assert_false(seals_at(rig, commit->open->opened_tsc));
	commit->seal_bytes = commit->open->used;
	assert_true(seals_at(rig, commit->open->opened_tsc));
	assert_int_equal(atr_log_under_way(commit->log), 2);
	/* Also where no more may be sealed by age. */
	commit->seal_ahead = 1;
	commit->seal_bytes = 1;
	send_one(rig, 3);
	assert_null(commit->open);
	assert_int_equal(commit->stats.groups, 3);
	let_the_disk_work();
	turns(rig);
	assert_int_equal(rig_collect(rig, events, EVENTS_MAX), 3);
	end(rig);
}

/* Invariant: a group is sealed at its age and not one cycle before, while fewer than seal_ahead are
 * under way; at that many it grows, until one has come back. */
static void sealed_by_age(void **state)
{
	struct rig *rig = begin(0);
	struct atr_commit *commit = &rig->shard[0]->commit;
	uint64_t opened;

	(void)state;
	commit->seal_ahead = 2;
	send_one(rig, 1);
	send_one(rig, 2);
	opened = commit->open->opened_tsc;
	commit->seal_tsc = SECOND;
	assert_false(seals_at(rig, opened + SECOND - 1));
	assert_true(seals_at(rig, opened + SECOND));
	commit->seal_tsc = NEVER;
	send_one(rig, 3);
	opened = commit->open->opened_tsc;
	commit->seal_tsc = SECOND;
	assert_int_equal(atr_log_under_way(commit->log), 2);
	assert_false(seals_at(rig, opened + SECOND));
	assert_false(seals_at(rig, opened + 100 * SECOND));
	let_the_disk_work();
	assert_true(seals_at(rig, opened));
	let_the_disk_work();
	turns(rig);
	assert_int_equal(rig_collect(rig, events, EVENTS_MAX), 3);
	end(rig);
}

/* Invariant: groups are published in log order, records in theirs, a bounded number in a turn, and
 * a buffer is given back when all of it has left; acknowledgements come in the same order. */
static void published_in_order(void **state)
{
	struct rig *rig = begin(0);
	struct atr_commit *commit = &rig->shard[0]->commit;
	unsigned int n;

	(void)state;
	send_one(rig, 1);
	for (uint64_t s = 2; s <= MANY; s++)
		send_one(rig, s);
	assert_int_equal(commit->open->records, MANY - 1);
	atr_commit_seal(rig->shard[0]);
	send_one(rig, MANY + 1);
	assert_int_equal(rig_collect(rig, events, EVENTS_MAX), 0);
	let_the_disk_work();
	seals_at(rig, 0);
	assert_non_null(commit->publishing);
	assert_true(commit->cursor > 0 && commit->cursor < MANY - 1);
	assert_int_equal(commit->stats.events, 1 + commit->cursor);
	seals_at(rig, 0);
	assert_null(commit->publishing);
	assert_int_equal(commit->stats.events, MANY);
	turns(rig);
	let_the_disk_work();
	turns(rig);
	n = rig_collect(rig, events, EVENTS_MAX);
	assert_int_equal(n, MANY + 1);
	assert_int_equal(tellings, n);
	for (unsigned int i = 0; i < n; i++) {
		assert_int_equal(events[i].sequence, i + 1);
		assert_int_equal(events[i].number, i + 1);
		assert_int_equal(order[i], i + 1);
	}
	end(rig);
}

/* Invariant: the answer to a duplicate waits for the group that its original is in. */
static void a_duplicate_waits_for_its_original(void **state)
{
	struct rig *rig = begin(0);

	(void)state;
	send_one(rig, 1);
	send_one(rig, 1);
	assert_int_equal(rig_events(rig).duplicate, 1);
	rig_collect(rig, NULL, 0);
	assert_int_equal(tellings, 0);
	let_the_disk_work();
	turns(rig);
	assert_int_equal(rig_collect(rig, events, EVENTS_MAX), 1);
	assert_int_equal(told[ATR_OK], 1);
	assert_int_equal(told[ATR_DUPLICATE], 1);
	end(rig);
}

/* Invariant: an acknowledgement that finds no room is dropped and counted, the event is not; who
 * asks again is told. */
static void without_room_they_are_dropped(void **state)
{
	struct rig *rig = begin(2);
	struct atr_commit *commit = &rig->shard[0]->commit;

	(void)state;
	/* An address and a frame fill it. */
	send_one(rig, 1);
	assert_int_equal(commit->acks.tail - commit->acks.head, 2);
	send_one(rig, 2);
	assert_int_equal(commit->stats.acks_dropped, 1);
	assert_int_equal(commit->acks.tail - commit->acks.head, 2);
	atr_commit_seal(rig->shard[0]);
	let_the_disk_work();
	turns(rig);
	assert_int_equal(rig_collect(rig, events, EVENTS_MAX), 2);
	assert_int_equal(told[ATR_OK], 1);
	send_one(rig, 2);
	turns(rig);
	rig_collect(rig, NULL, 0);
	assert_int_equal(told[ATR_DUPLICATE], 1);
	end(rig);
}

/* Invariant: while the control lcore takes none, they wait, in order, and none is lost. */
static void a_full_bridge_makes_them_wait(void **state)
{
	struct rig *rig = begin(0);
	struct atr_commit *commit = &rig->shard[0]->commit;
	struct rte_ring *ring = rig->bridge.acks[0];
	struct atr_ack_item item = {0};
	unsigned int filled = 0;

	(void)state;
	send_one(rig, 1);
	let_the_disk_work();
	while (rte_ring_sp_enqueue_elem(ring, &item, sizeof(item)) == 0)
		filled++;
	seals_at(rig, 0);
	assert_int_equal(commit->durable, 1);
	assert_int_equal(commit->acks.tail - commit->acks.head, 2);
	while (filled-- > 0)
		assert_int_equal(rte_ring_sc_dequeue_elem(ring, &item, sizeof(item)), 0);
	turns(rig);
	assert_int_equal(commit->acks.tail, commit->acks.head);
	assert_int_equal(rig_collect(rig, events, EVENTS_MAX), 1);
	assert_int_equal(told[ATR_OK], 1);
	end(rig);
}

/* Invariant: acknowledgements of a source go to where its latest tree came from that brought
 * something new; a replay from elsewhere turns nothing. Before any has, to the latest frame's. */
static void where_they_go(void **state)
{
	struct rig *rig = begin(0);
	struct atr_source_state *source = &rig->program->source[1];
	uint32_t here, there;

	(void)state;
	send_from(rig, 0, 1, 1);
	here = source->ack_ip;
	assert_true(source->ack_earned);
	send_from(rig, 1, 1, 1);
	assert_int_equal(source->ack_ip, here);
	send_from(rig, 1, 1, 2);
	there = source->ack_ip;
	assert_int_not_equal(there, here);
	send_from(rig, 0, 1, 2);
	assert_int_equal(source->ack_ip, there);
	let_the_disk_work();
	rig_settle(rig);
	rig_collect(rig, events, EVENTS_MAX);
	rig_stop(rig);
	rig = start();
	source = &rig->program->source[1];
	/* After a restart nothing is earned. */
	send_from(rig, 0, 1, 1);
	assert_false(source->ack_earned);
	assert_int_equal(source->ack_ip, here);
	send_from(rig, 1, 1, 1);
	assert_int_equal(source->ack_ip, there);
	end(rig);
}

/* Invariant: a stop with groups under way and one open seals that and settles envelopes (or
 * rig_stop would miss them), and loses nothing: the next start publishes it, and resends are
 * duplicates. */
static void stopped_under_way(void **state)
{
	struct rig *rig = begin(0);
	struct rig_datagram envelope;

	(void)state;
	send_one(rig, 1);
	rig_envelope(rig, 2, 5, NULL, &envelope);
	rig_inject(rig, 0, 0, &envelope);
	turns(rig);
	send_one(rig, 2);
	assert_int_equal(rig->shard[0]->commit.open->records, 2);
	assert_int_equal(rig_collect(rig, events, EVENTS_MAX), 0);
	assert_int_equal(tellings, 0);
	rig_stop(rig);
	rig = start();
	rig_settle(rig);
	assert_int_equal(rig_collect(rig, events, EVENTS_MAX), 3);
	assert_int_equal(rig->shard[0]->commit.stats.republished, 3);
	send_one(rig, 1);
	send_one(rig, 2);
	rig_inject(rig, 0, 0, &envelope);
	rig_settle(rig);
	assert_int_equal(rig_collect(rig, events, EVENTS_MAX), 0);
	assert_int_equal(told[ATR_DUPLICATE], 2);
	assert_int_equal(told[ATR_OK], 0);
	end(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sealed_by_size),
		cmocka_unit_test(sealed_by_age),
		cmocka_unit_test(published_in_order),
		cmocka_unit_test(a_duplicate_waits_for_its_original),
		cmocka_unit_test(without_room_they_are_dropped),
		cmocka_unit_test(a_full_bridge_makes_them_wait),
		cmocka_unit_test(where_they_go),
		cmocka_unit_test(stopped_under_way),
	};

	return cmocka_run_group_tests_name("commit", tests, rig_boot, rig_end);
}
