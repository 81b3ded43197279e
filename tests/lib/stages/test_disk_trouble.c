/* SPDX-License-Identifier: BSD-3-Clause */
/* Class D on a disk in trouble, and answers after a restart. Every test ends with rig_stop: ledgers
 * balance with nothing in flight, no mbuf is lost. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "rig.h"

#define EVENTS_MAX 2048
#define AHEAD      2000
#define GROUPS     1100 /* more than a segment and the spare one have blocks */

static struct rig_store store;
static struct rig_event events[EVENTS_MAX];
static unsigned int told[256];

static void on_ack(void *listener, const struct atr_ack_notice *notice,
		   const struct atr_ack_entry *entry)
{
	(void)listener;
	(void)notice;
	told[entry->result]++;
}

static struct rig *begin(unsigned int shards)
{
	const struct rig_options options = {.shards = shards,
					    .window = 4096,
					    .max_ahead = 5000,
					    .store = &store,
					    .on_ack = on_ack};
	struct rig *rig;

	memset(told, 0, sizeof(told));
	if (!store.shards)
		rig_store_init(&store, shards, 1);
	rig = rig_start(&options);
	if (!rig)
		fail_msg("%s", store.error);
	return rig;
}

static void end(struct rig *rig)
{
	rig_stop(rig);
	rig_store_free(&store);
	memset(&store, 0, sizeof(store));
}

static void send_one(struct rig *rig, uint32_t source, uint64_t first)
{
	rig_send(rig,
		 &(struct rig_frame){.source = source, .first = first, .count = 1, .value = 1});
}

/* Spare segments are made, and room is looked for. */
static void work_ahead(void)
{
	for (unsigned int i = 0; i < AHEAD; i++)
		rig_store_work(&store);
}

/* A failing write or sync breaks the log of shard 1, of source 1; shard 0 has source 2. */
static void breaks(uint64_t *failing)
{
	struct rig *rig = begin(2);

	work_ahead();
	*failing = 1 + (failing == &store.disk[1].fail_write ? store.disk[1].writes_seen
							     : store.disk[1].syncs_seen);
	send_one(rig, 1, 1);
	rig_settle(rig);
	send_one(rig, 1, 2);
	send_one(rig, 2, 1);
	rig_settle(rig);
	assert_true(store.disk[1].failed);
	assert_int_equal(rig_collect(rig, events, EVENTS_MAX), 1);
	assert_int_equal(events[0].source, 2);
	assert_int_equal(told[ATR_OK], 1);
	assert_int_equal(rig_events(rig).refused[ATR_REASON_LOG_BROKEN], 1);
	end(rig);
}

/* Invariant: after a failed sync the shard sheds log_broken, acknowledges and publishes nothing
 * more, and other shards go on. */
static void a_failed_sync_breaks_one_shard(void **state)
{
	(void)state;
	breaks(&store.disk[1].fail_sync);
}

/* Invariant: the same for a write. */
static void a_failed_write_breaks_one_shard(void **state)
{
	(void)state;
	breaks(&store.disk[1].fail_write);
}

/* Invariant: a disk that finishes nothing makes the shard shed log_wait once no buffer is free;
 * when it goes on, what was logged is published, and what was shed can be sent again. */
static void a_slow_disk_sheds_and_recovers(void **state)
{
	struct rig *rig = begin(1);
	uint64_t shed;

	(void)state;
	rig->shard[0]->commit.seal_bytes = 1;
	for (uint64_t n = 1; n <= 2 * RIG_STORE_BUFFERS; n++) {
		send_one(rig, 1, n);
		for (unsigned int i = 0; i < 6; i++) {
			rig_turn(rig, 0);
			atr_control_run(rig->control);
		}
	}
	shed = rig_events(rig).refused[ATR_REASON_LOG_WAIT];
	assert_true(shed >= RIG_STORE_BUFFERS - 1);
	assert_int_equal(rig_collect(rig, events, EVENTS_MAX), 0);
	assert_int_equal(told[ATR_OK], 0);
	rig_settle(rig);
	assert_int_equal(rig_collect(rig, events, EVENTS_MAX), 2 * RIG_STORE_BUFFERS - shed);
	for (uint64_t n = 1; n <= 2 * RIG_STORE_BUFFERS; n++)
		send_one(rig, 1, n);
	rig_settle(rig);
	assert_int_equal(rig_collect(rig, events, EVENTS_MAX), shed);
	assert_int_equal(told[ATR_OK], 2 * RIG_STORE_BUFFERS);
	end(rig);
}

/* Invariant: where no segment can be made the shard sheds log_full, and resumes when room comes. */
static void a_full_disk_sheds_and_resumes(void **state)
{
	struct rig *rig = begin(1);
	unsigned int published = 0;
	uint64_t shed;

	(void)state;
	store.disk[0].room = 0;
	for (uint64_t n = 1; n <= GROUPS; n++) {
		send_one(rig, 1, n);
		rig_settle(rig);
		published += rig_collect(rig, events, EVENTS_MAX);
	}
	shed = rig_events(rig).refused[ATR_REASON_LOG_FULL];
	assert_true(shed > 0);
	assert_true(published < GROUPS);
	store.disk[0].room = UINT64_MAX;
	work_ahead();
	rig_settle(rig);
	for (uint64_t n = 1; n <= GROUPS; n++) {
		send_one(rig, 1, n);
		rig_settle(rig);
		published += rig_collect(rig, events, EVENTS_MAX);
	}
	assert_int_equal(published, GROUPS);
	end(rig);
}

/* Invariant (was a bug): a producer that after a restart only asks again is answered. */
static void a_source_that_only_asks_again_is_answered(void **state)
{
	struct rig *rig = begin(1);

	(void)state;
	send_one(rig, 1, 1);
	rig_settle(rig);
	rig_collect(rig, NULL, 0);
	assert_int_equal(told[ATR_OK], 1);
	rig_stop(rig);
	rig = begin(1);
	send_one(rig, 1, 1);
	rig_settle(rig);
	rig_collect(rig, NULL, 0);
	assert_int_equal(told[ATR_DUPLICATE], 1);
	end(rig);
}

/* Invariant (was a bug): copies of an envelope that is logged and not durable are settled when the
 * appliance stops. */
static void a_copy_that_waits_at_the_stop_is_settled(void **state)
{
	struct rig *rig = begin(1);
	struct rig_datagram d;

	(void)state;
	rig_envelope(rig, 1, 5, NULL, &d);
	rig_inject(rig, 0, 0, &d);
	rig_inject(rig, 0, 0, &d);
	for (unsigned int i = 0; i < 10; i++) {
		rig_turn(rig, 0);
		atr_control_run(rig->control);
	}
	assert_int_equal(rig->control->waiting, 1);
	end(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_failed_sync_breaks_one_shard),
		cmocka_unit_test(a_failed_write_breaks_one_shard),
		cmocka_unit_test(a_slow_disk_sheds_and_recovers),
		cmocka_unit_test(a_full_disk_sheds_and_resumes),
		cmocka_unit_test(a_source_that_only_asks_again_is_answered),
		cmocka_unit_test(a_copy_that_waits_at_the_stop_is_settled),
	};

	return cmocka_run_group_tests_name("disk_trouble", tests, rig_boot, rig_end);
}
