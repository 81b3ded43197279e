/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../libatr/producer_internal.h"
#include "fake_appliance.h"
#include "memory_files.h"
#include "network.h"

#define WINDOW      1024
#define TIMES       64
#define STEP_MS     5
#define STEPS_MAX   100000
#define RESULTS_MAX 4096

/* A producer, a network that loses, doubles and reorders, an appliance, and a clock. */
struct rig {
	struct fake_appliance *appliance;
	struct memory_files disk;
	struct atr_producer_transport transport;
	struct producer_env env;
	struct atr_producer_config config;
	struct atr_producer *producer;
	struct network network;
	uint64_t now_ns;
	bool silent; /* the appliance hears nothing */
	struct network_way out, back;
	unsigned int sent_count;
	uint64_t sent_at[TIMES];
	struct atr_producer_result results[RESULTS_MAX];
	unsigned int result_count;
	uint8_t reasons[ATR_FRAME_PACKETS_MAX]; /* of the last mixed result */
	uint64_t reserved;
};

static int rig_send(void *context, const void *datagram, size_t length)
{
	struct rig *r = context;

	if (r->sent_count < TIMES)
		r->sent_at[r->sent_count] = r->now_ns / NS_PER_MS;
	r->sent_count++;
	network_put(&r->network, &r->out, datagram, length);
	return 0;
}

static int rig_receive(void *context, void *buffer, size_t size)
{
	struct rig *r = context;

	(void)size;
	return r->back.count ? (int)network_get(&r->network, &r->back, buffer) : -EAGAIN;
}

static uint64_t rig_now(void *context)
{
	return ((struct rig *)context)->now_ns;
}

static void on_result(void *context, const struct atr_producer_result *result)
{
	struct rig *r = context;

	assert_true(r->result_count < RESULTS_MAX);
	r->results[r->result_count++] = *result;
	if (result->reasons)
		memcpy(r->reasons, result->reasons, result->events);
}

static int on_reserve(void *context, uint64_t next)
{
	((struct rig *)context)->reserved = next;
	return 0;
}

static struct rig *rig_create(void)
{
	static const uint8_t seed[ATR_SEED_SIZE] = {FAKE_SEED};
	struct rig *r = calloc(1, sizeof(*r));

	r->appliance = fake_create(WINDOW);
	memory_files_init(&r->disk);
	r->transport = (struct atr_producer_transport){
		.context = r, .send = rig_send, .receive = rig_receive, .fd = -1};
	r->env = (struct producer_env){rig_now, rig_now, r, &r->disk.files};
	r->config = (struct atr_producer_config){.size = sizeof(r->config),
						 .realm = FAKE_REALM,
						 .source = FAKE_SOURCE,
						 .key = FAKE_KEY,
						 .seed = seed,
						 .transport = &r->transport,
						 .outbox = "in memory",
						 .acks_key = r->appliance->acks_key,
						 .window = WINDOW,
						 .mtu = 576,
						 .tree = 16,
						 .result = on_result,
						 .context = r};
	return r;
}

static bool rig_open(struct rig *r)
{
	char error[ATR_CLIENT_ERROR] = "";

	r->producer = producer_open(&r->config, &r->env, error, sizeof(error));
	if (!r->producer && !r->disk.crashed)
		fail_msg("%s", error);
	return r->producer;
}

static void rig_close(struct rig *r)
{
	atr_producer_close(r->producer);
	r->producer = NULL;
}

static void rig_free(struct rig *r)
{
	rig_close(r);
	fake_free(r->appliance);
	memory_files_free(&r->disk);
	network_clear(&r->out);
	network_clear(&r->back);
	free(r);
}

static void emit(void *context, const struct atr_ack_address *to, const uint8_t *payload,
		 size_t length)
{
	struct rig *r = context;

	(void)to;
	network_put(&r->network, &r->back, payload, length);
}

/* Lets time and datagrams pass, and the producer work. */
static int rig_step(struct rig *r)
{
	uint8_t datagram[ATR_DATAGRAM_MAX];
	int n;

	r->now_ns += STEP_MS * NS_PER_MS;
	while (r->out.count) {
		size_t length = network_get(&r->network, &r->out, datagram);

		if (!r->silent)
			fake_take(r->appliance, datagram, length);
	}
	fake_flush(r->appliance, emit, r);
	n = atr_producer_poll(r->producer, 0);
	return n;
}

static struct atr_producer_stats stats_of(struct rig *r)
{
	struct atr_producer_stats stats;

	atr_producer_stats(r->producer, &stats, sizeof(stats));
	return stats;
}

static int publish(struct rig *r, uint64_t value)
{
	return atr_producer_publish(r->producer, 1, 1, 0, 0, &value, sizeof(value), NULL);
}

static void publish_one(struct rig *r)
{
	assert_int_equal(publish(r, 1), 0);
	assert_int_equal(atr_producer_flush(r->producer), 0);
}

/* Invariant: through a network that loses, doubles and reorders a third of everything, every event
 * is admitted once, none is ever pushed out of the appliance's window, and the outbox is empty. */
static void test_bad_network(void **state)
{
	(void)state;
	for (unsigned int seed = 0; seed < 5; seed++) {
		struct rig *r = rig_create();
		struct atr_producer_stats stats;
		unsigned int done = 0, steps = 0;

		r->network.random = seed;
		r->network.loss = 33;
		assert_true(rig_open(r));
		while (done < 5000) {
			int err = publish(r, done);

			assert_true(err == 0 || err == -EAGAIN);
			done += err == 0;
			if (err || done % 64 == 0)
				assert_true(rig_step(r) >= 0);
			assert_true(steps++ < STEPS_MAX);
		}
		assert_int_equal(atr_producer_flush(r->producer), 0);
		while (rig_step(r) > 0)
			assert_true(steps++ < STEPS_MAX);
		stats = stats_of(r);
		assert_int_equal(stats.unsettled, 0);
		assert_int_equal(stats.admitted + stats.duplicate, 5000);
		assert_true(stats.resent > 0 && stats.refused == 0);
		assert_int_equal(r->appliance->admitted, 5000);
		assert_int_equal(
			r->appliance->stale + r->appliance->reused + r->appliance->unproven, 0);
		assert_true(stats.floor > 5000 - WINDOW - 100);
		rig_free(r);
	}
}

/* Invariant: what is not acknowledged is sent again after 200, 400, 800 ms and so on up to the
 * maximum, then given up; it stays in the outbox, goes out as the same bytes when that is opened
 * again, and an acknowledgement then empties it. */
static void test_backoff_and_giving_up(void **state)
{
	static const uint64_t want[] = {0, 200, 600, 1400, 2400};
	struct rig *r = rig_create();

	(void)state;
	r->silent = true;
	r->config.attempts = 5;
	r->config.max_backoff_ms = 1000;
	assert_true(rig_open(r));
	publish_one(r);
	for (unsigned int i = 0; i < 1000; i++)
		rig_step(r);
	assert_int_equal(r->sent_count, 5);
	for (unsigned int i = 0; i < 5; i++)
		assert_in_range(r->sent_at[i], want[i], want[i] + STEP_MS * (i + 1));
	assert_int_equal(r->result_count, 1);
	assert_int_equal(r->results[0].outcome, ATR_PRODUCER_GIVEN_UP);
	assert_int_equal(r->results[0].attempts, 5);
	assert_int_equal(atr_producer_poll(r->producer, 0), 0);
	assert_int_equal(stats_of(r).unsettled, 1);
	rig_close(r);
	r->silent = false;
	assert_true(rig_open(r));
	assert_int_equal(stats_of(r).recovered, 1);
	assert_int_equal(atr_producer_poll(r->producer, 0), 1);
	while (rig_step(r) > 0)
		;
	assert_int_equal(stats_of(r).admitted, 1);
	assert_int_equal(r->appliance->reused, 0);
	rig_close(r);
	assert_true(rig_open(r));
	assert_int_equal(stats_of(r).recovered, 0);
	assert_int_equal(stats_of(r).next_sequence, 2);
	rig_free(r);
}

/* Even sequences: refused for good. Others: for now, as long as `context` is not zero. */
static uint8_t judge_parity(void *context, uint64_t sequence)
{
	if (sequence % 2 == 0)
		return ATR_REASON_NOT_ALLOWED;
	return *(int *)context ? ATR_REASON_RATE_SOURCE : ATR_OK;
}

/* Invariant: a frame stays as long as one of its events is refused only for now, and every event
 * of a settled frame is reported with its own result. */
static void test_refusals(void **state)
{
	struct rig *r = rig_create();
	struct atr_producer_stats stats;
	int busy = 1;

	(void)state;
	r->appliance->judge = judge_parity;
	r->appliance->context = &busy;
	assert_true(rig_open(r));
	for (unsigned int i = 0; i < 4; i++)
		assert_int_equal(publish(r, i), 0);
	assert_int_equal(atr_producer_flush(r->producer), 0);
	for (unsigned int i = 0; i < 100; i++)
		assert_int_equal(rig_step(r), 1);
	assert_true(stats_of(r).retries > 1);
	assert_int_equal(r->results[0].outcome, ATR_PRODUCER_RETRY);
	assert_int_equal(r->results[0].reason, ATR_REASON_RATE_SOURCE);
	busy = 0;
	while (rig_step(r) > 0)
		;
	stats = stats_of(r);
	assert_int_equal(stats.admitted, 2);
	assert_int_equal(stats.refused, 2);
	assert_int_equal(stats.refused_by_reason[ATR_REASON_NOT_ALLOWED], 2);
	assert_int_equal(r->results[r->result_count - 1].outcome, ATR_PRODUCER_SETTLED);
	assert_int_equal(r->results[r->result_count - 1].reason, ATR_REASON_NOT_ALLOWED);
	assert_memory_equal(r->reasons,
			    ((uint8_t[]){0, ATR_REASON_NOT_ALLOWED, 0, ATR_REASON_NOT_ALLOWED}), 4);
	rig_free(r);
}

/* Invariant: stale and conflict reach the producer as final refusals, and are not sent again. */
static void test_stale_and_conflict(void **state)
{
	struct rig *r = rig_create();

	(void)state;
	r->appliance->next = 10 * WINDOW;
	fake_occupy(r->appliance, 10 * WINDOW);
	assert_true(rig_open(r));
	publish_one(r);
	while (rig_step(r) > 0)
		;
	assert_int_equal(stats_of(r).refused_by_reason[ATR_REASON_STALE], 1);
	rig_close(r);
	r->config.first_sequence = 10 * WINDOW;
	assert_true(rig_open(r));
	publish_one(r);
	while (rig_step(r) > 0)
		;
	assert_int_equal(stats_of(r).refused_by_reason[ATR_REASON_CONFLICT], 1);
	assert_int_equal(stats_of(r).floor, 9 * WINDOW);
	rig_free(r);
}

/* Invariant: an acknowledgement under another key, of other bytes, or garbage settles nothing. */
static void test_forged_acknowledgements(void **state)
{
	struct rig *r = rig_create();
	uint8_t garbage[100] = {0};

	(void)state;
	assert_true(rig_open(r));
	r->silent = true;
	publish_one(r);
	network_put(&r->network, &r->back, garbage, sizeof(garbage));
	/* The right frame, acknowledged by somebody else. */
	fake_take(r->appliance, r->out.item[0].bytes, r->out.item[0].length);
	fake_flush(r->appliance, emit, r);
	r->producer->reader.public_key[0] ^= 1;
	assert_int_equal(rig_step(r), 1);
	assert_int_equal(stats_of(r).acks_bad, 2);
	r->producer->reader.public_key[0] ^= 1;
	/* Another frame under the same sequence, acknowledged by the right one. */
	r->producer->kept[0].leaf[0] ^= 1;
	atr_producer_flush(r->producer);
	r->silent = false;
	for (unsigned int i = 0; i < 100; i++)
		assert_int_equal(rig_step(r), 1);
	assert_true(stats_of(r).acks_unmatched > 0);
	rig_free(r);
}

/* Invariant: the queue is bounded, says so, and takes on again when acknowledgements come. */
static void test_queue_is_bounded(void **state)
{
	struct rig *r = rig_create();
	unsigned int n = 0;

	(void)state;
	r->config.queue = 16;
	r->silent = true;
	assert_true(rig_open(r));
	while (publish(r, n) == 0)
		assert_true(n++ < 1000);
	assert_int_equal(publish(r, n), -EAGAIN);
	assert_true(stats_of(r).unsettled <= 16);
	r->silent = false;
	assert_int_equal(atr_producer_flush(r->producer), 0);
	while (rig_step(r) > 0)
		;
	assert_int_equal(publish(r, n), 0);
	rig_free(r);
}

/* Invariant: wherever the process or machine dies, no sequence is used for other bytes, and every
 * event whose publishing was flushed is admitted in the end, once. */
static void test_crashes(void **state)
{
	(void)state;
	for (unsigned int seed = 0; seed < 150; seed++) {
		struct rig *r = rig_create();
		uint64_t flushed = 0;

		r->network.random = r->disk.random = seed;
		r->network.loss = 20;
		for (unsigned int life = 0; life < 6; life++) {
			bool last = life == 5;

			r->disk.crash_at =
				last ? NO_CRASH : (uint32_t)(test_random(&r->network.random) % 60);
			if (rig_open(r)) {
				for (unsigned int i = 0; i < 10; i++) {
					int err = publish(r, test_random(&r->network.random));

					if (!err)
						err = atr_producer_flush(r->producer);
					flushed += err == 0;
					if (err || rig_step(r) < 0)
						break;
				}
				while (last && rig_step(r) > 0)
					;
			}
			if (last)
				assert_int_equal(stats_of(r).unsettled, 0);
			rig_close(r);
			memory_files_restart(&r->disk);
		}
		assert_int_equal(r->appliance->reused + r->appliance->stale, 0);
		assert_true(r->appliance->admitted >= flushed);
		rig_free(r);
	}
}

/* Invariant: without outbox a tree is reserved before it is sent, and sent once. */
static void test_fire_and_forget(void **state)
{
	struct rig *r = rig_create();

	(void)state;
	r->config.outbox = r->config.acks_key = NULL;
	r->config.first_sequence = 100;
	r->config.reserve = on_reserve;
	r->env.files = NULL;
	assert_true(rig_open(r));
	publish_one(r);
	assert_int_equal(r->reserved, 101);
	assert_int_equal(r->sent_count, 1);
	for (unsigned int i = 0; i < 1000; i++)
		assert_int_equal(rig_step(r), 0);
	assert_int_equal(r->sent_count, 1);
	assert_int_equal(r->appliance->admitted, 1);
	assert_true(r->appliance->was_admitted[100]);
	rig_free(r);
}

/* Invariant: a configuration that cannot be is refused with a sentence. */
static void test_configurations(void **state)
{
	struct rig *r = rig_create();
	struct atr_producer_config good = r->config, bad[8];
	char error[ATR_CLIENT_ERROR];

	(void)state;
	for (unsigned int i = 0; i < 8; i++)
		bad[i] = good;
	bad[0].size--;
	bad[1].key_file = "both";
	bad[2].to = "127.0.0.1:1";
	bad[3].acks_key = NULL;
	bad[4].acks_key = "00";
	bad[5].tree = 70000;
	bad[6].source = 0;
	bad[7].mtu = 200;
	for (unsigned int i = 0; i < 8; i++) {
		error[0] = '\0';
		assert_null(producer_open(&bad[i], &r->env, error, sizeof(error)));
		assert_true(strlen(error) > 10);
	}
	rig_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bad_network),
		cmocka_unit_test(test_backoff_and_giving_up),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_stale_and_conflict),
		cmocka_unit_test(test_forged_acknowledgements),
		cmocka_unit_test(test_queue_is_bounded),
		cmocka_unit_test(test_crashes),
		cmocka_unit_test(test_fire_and_forget),
		cmocka_unit_test(test_configurations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
