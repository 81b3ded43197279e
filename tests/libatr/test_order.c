/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../libatr/order.h"
#include "memory_files.h"

#define SESSION    "0000000001"
#define MS         UINT64_C(1000000)
#define LOG_MAX    70000
#define REQUESTS   1024
#define BLOCK      12 /* length field, and the number as payload */
#define TIMEOUT_MS 500

/* A subscriber's order, and what came out of it. */
struct rig {
	struct order_params params;
	struct order_sink sink;
	struct order *order;
	uint64_t now_ns;
	uint64_t delivered[LOG_MAX];
	unsigned int count, gaps, ends;
	uint64_t lost_first, lost;
	struct {
		uint64_t first;
		uint16_t count;
		uint64_t at_ms;
	} request[REQUESTS];
	unsigned int requests;
};

static void on_deliver(void *context, const struct order *order, uint64_t number,
		       const uint8_t *block, size_t length, bool recovered)
{
	struct rig *r = context;
	uint64_t inside;

	(void)order;
	(void)recovered;
	assert_int_equal(length, BLOCK);
	memcpy(&inside, block + ATR_MOLD_LENGTH_SIZE, sizeof(inside));
	assert_int_equal(inside, number);
	r->delivered[r->count++] = number;
}

static void on_gap(void *context, const struct order *order, uint64_t first, uint64_t count)
{
	(void)order;
	(void)first;
	(void)count;
	((struct rig *)context)->gaps++;
}

static void on_lost(void *context, const struct order *order, uint64_t first, uint64_t count)
{
	struct rig *r = context;

	(void)order;
	r->lost_first = first;
	r->lost += count;
}

static void on_end(void *context, const struct order *order, uint64_t next)
{
	(void)order;
	(void)next;
	((struct rig *)context)->ends++;
}

static void on_request(void *context, const struct order *order, uint64_t first, uint16_t count)
{
	struct rig *r = context;

	assert_memory_equal(order_session(order), SESSION, ATR_MOLD_SESSION_SIZE);
	assert_true(r->requests < REQUESTS);
	r->request[r->requests].first = first;
	r->request[r->requests].count = count;
	r->request[r->requests++].at_ms = r->now_ns / MS;
}

static struct rig *rig_create(struct order_params params)
{
	struct rig *r = calloc(1, sizeof(*r));

	r->params = params;
	r->params.retry_ns = 50 * MS;
	r->params.timeout_ns = TIMEOUT_MS * MS;
	r->sink = (struct order_sink){on_deliver, on_gap, on_lost, on_end, on_request, r};
	r->order = order_create(SESSION, &r->params, &r->sink);
	return r;
}

static void rig_free(struct rig *r)
{
	order_free(r->order);
	free(r);
}

/* Messages [first, first + count), or a heartbeat, or the end of the session. */
static void packet(struct rig *r, uint64_t first, uint16_t count)
{
	uint8_t blocks[64 * BLOCK];
	struct atr_mold_packet p = {.sequence = first, .count = count, .blocks = blocks};
	unsigned int n = count == ATR_MOLD_COUNT_END ? 0 : count;

	for (unsigned int i = 0; i < n; i++) {
		uint64_t number = first + i;

		blocks[i * BLOCK] = 0;
		blocks[i * BLOCK + 1] = BLOCK - ATR_MOLD_LENGTH_SIZE;
		memset(blocks + i * BLOCK + 2, 0, BLOCK - 2);
		memcpy(blocks + i * BLOCK + 2, &number, sizeof(number));
	}
	p.length = n * BLOCK;
	memcpy(p.session, SESSION, sizeof(p.session));
	order_packet(r->order, &p);
	order_tick(r->order, r->now_ns);
}

static void wait_ms(struct rig *r, unsigned int ms)
{
	for (unsigned int i = 0; i < ms; i++) {
		r->now_ns += MS;
		order_tick(r->order, r->now_ns);
	}
}

/* Delivered: exactly first..last in order, but for what is in the gap [hole, hole_end). */
static void delivered(const struct rig *r, uint64_t first, uint64_t last, uint64_t hole,
		      uint64_t hole_end)
{
	unsigned int i = 0;

	for (uint64_t n = first; n <= last; n++)
		if (n < hole || n >= hole_end)
			assert_int_equal(r->delivered[i++], n);
	assert_int_equal(r->count, i);
}

/* Invariant: messages come out in order, once, however they come in. */
static void test_order_and_duplicates(void **state)
{
	struct rig *r = rig_create((struct order_params){.buffer = 64});

	(void)state;
	packet(r, 1, 2);
	packet(r, 5, 2);
	packet(r, 4, 1);
	packet(r, 4, 2);
	packet(r, 1, 1);
	packet(r, 3, 4);
	delivered(r, 1, 6, 0, 0);
	assert_int_equal(order_stats(r->order)->duplicates, 6);
	assert_int_equal(order_stats(r->order)->recovered, 2);
	assert_int_equal(order_stats(r->order)->gaps, 1);
	assert_int_equal(order_missing(r->order), 0);
	rig_free(r);
}

/* Invariant: without anybody to ask, a gap is given up after the timeout and delivery goes on; the
 * end of the session is told when all of it is delivered or lost. */
static void test_lost(void **state)
{
	struct rig *r = rig_create((struct order_params){.buffer = 64});

	(void)state;
	packet(r, 1, 1);
	packet(r, 4, 2);
	packet(r, 6, ATR_MOLD_COUNT_END);
	wait_ms(r, TIMEOUT_MS - 1);
	assert_int_equal(r->count, 1);
	assert_int_equal(r->ends, 0);
	wait_ms(r, 1);
	delivered(r, 1, 5, 2, 4);
	assert_int_equal(r->lost_first, 2);
	assert_int_equal(r->lost, 2);
	assert_int_equal(r->ends, 1);
	assert_true(order_ended(r->order));
	assert_int_equal(r->requests, 0);
	packet(r, 2, 2);
	assert_int_equal(r->count, 3);
	rig_free(r);
}

/* Invariant: heartbeats tell of losses at the end of the stream. */
static void test_heartbeat(void **state)
{
	struct rig *r = rig_create((struct order_params){.buffer = 64, .requests = 4});

	(void)state;
	packet(r, 7, 1);
	packet(r, 8, 0);
	assert_int_equal(r->requests, 0);
	packet(r, 11, 0);
	assert_int_equal(order_missing(r->order), 3);
	assert_int_equal(r->request[0].first, 8);
	assert_int_equal(r->request[0].count, 3);
	packet(r, 8, 3);
	delivered(r, 7, 10, 0, 0);
	assert_int_equal(order_stats(r->order)->heartbeats, 2);
	rig_free(r);
}

/* Invariant: a request is repeated after 50, 100, 200 ms; an answer to a part of it brings the
 * request for the rest at once. */
static void test_request_backoff(void **state)
{
	struct rig *r = rig_create((struct order_params){.buffer = 64, .requests = 1});
	static const uint64_t want[] = {0, 50, 150, 350};

	(void)state;
	packet(r, 1, 1);
	packet(r, 12, 1);
	wait_ms(r, TIMEOUT_MS - 50);
	assert_int_equal(r->requests, 4);
	for (unsigned int i = 0; i < 4; i++)
		assert_int_equal(r->request[i].at_ms, want[i]);
	packet(r, 2, 4);
	assert_int_equal(r->requests, 5);
	assert_int_equal(r->request[4].first, 6);
	assert_int_equal(r->request[4].count, 6);
	/* Progress: the gap has its whole time again. */
	wait_ms(r, TIMEOUT_MS - 1);
	assert_int_equal(r->lost, 0);
	wait_ms(r, 1);
	assert_int_equal(r->lost, 6);
	delivered(r, 1, 12, 6, 12);
	rig_free(r);
}

/* Invariant: what is under way is bounded, each missing message is asked for by one request, and
 * what has come meanwhile is not asked for. */
static void test_requests_are_bounded(void **state)
{
	struct rig *r = rig_create((struct order_params){.buffer = 1000, .requests = 3});

	(void)state;
	packet(r, 1, 1);
	for (uint64_t n = 3; n < 30; n += 2)
		packet(r, n, 1);
	packet(r, 900, 1);
	assert_int_equal(r->requests, 3);
	for (unsigned int i = 0; i < 3; i++) {
		assert_int_equal(r->request[i].first, 2 + 2 * i);
		assert_int_equal(r->request[i].count, 1);
	}
	packet(r, 4, 1);
	assert_int_equal(r->requests, 4);
	assert_int_equal(r->request[3].first, 8);
	rig_free(r);
}

/* Invariant: starting at a sequence asks for everything from there, and delivers nothing before. */
static void test_from(void **state)
{
	struct rig *r = rig_create((struct order_params){.buffer = 64, .requests = 4, .from = 3});

	(void)state;
	packet(r, 10, 1);
	assert_int_equal(r->request[0].first, 3);
	assert_int_equal(r->request[0].count, 7);
	packet(r, 1, 5);
	packet(r, 6, 4);
	delivered(r, 3, 10, 0, 0);
	assert_int_equal(order_stats(r->order)->duplicates, 0);
	rig_free(r);
}

/* Invariant: messages beyond the buffer are dropped, counted, and asked for when there is room. */
static void test_buffer_is_bounded(void **state)
{
	struct rig *r = rig_create((struct order_params){.buffer = 16, .requests = 4});

	(void)state;
	packet(r, 1, 1);
	for (uint64_t n = 3; n <= 60; n++)
		packet(r, n, 1);
	assert_true(order_stats(r->order)->overflows > 0);
	packet(r, 2, 1);
	delivered(r, 1, 17, 0, 0);
	assert_int_equal(r->request[r->requests - 1].first, 18);
	rig_free(r);
}

/* Invariant: a claim of 2^62 messages costs neither time nor memory, only a note. */
static void test_hostile_reach(void **state)
{
	struct rig *r = rig_create((struct order_params){.buffer = 64, .requests = 64});

	(void)state;
	packet(r, 1, 1);
	packet(r, UINT64_C(1) << 62, 0);
	wait_ms(r, TIMEOUT_MS);
	assert_int_equal(r->lost, (UINT64_C(1) << 62) - 2);
	assert_int_equal(order_missing(r->order), 0);
	rig_free(r);
}

/* Invariant: with an appliance that answers, everything comes in the end, in order, once, whatever
 * the network loses, doubles and reorders. */
static void test_bad_network(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 20; seed++) {
		struct rig *r =
			rig_create((struct order_params){.buffer = 256, .requests = 8, .from = 1});
		uint64_t random = seed, sent = 1;

		/* So long that no gap is given up for bad luck alone. */
		r->params.timeout_ns = 60000 * MS;
		while (r->count < 3000 || r->ends == 0) {
			uint16_t n = (uint16_t)(1 + test_random(&random) % 5);

			if (sent <= 3000 && sent + n > 3000)
				n = (uint16_t)(3001 - sent);
			if (sent > 3000)
				packet(r, 3001, ATR_MOLD_COUNT_END);
			else if (test_random(&random) % 3)
				packet(r, sent, n);
			sent += sent > 3000 ? 0 : n;
			for (unsigned int i = 0; i < r->requests; i++)
				if (test_random(&random) % 3)
					packet(r, r->request[i].first,
					       r->request[i].count > 7 ? 7 : r->request[i].count);
			r->requests = 0;
			wait_ms(r, 1);
		}
		delivered(r, 1, 3000, 0, 0);
		assert_int_equal(r->lost, 0);
		rig_free(r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order_and_duplicates),
		cmocka_unit_test(test_lost),
		cmocka_unit_test(test_heartbeat),
		cmocka_unit_test(test_request_backoff),
		cmocka_unit_test(test_requests_are_bounded),
		cmocka_unit_test(test_from),
		cmocka_unit_test(test_buffer_is_bounded),
		cmocka_unit_test(test_hostile_reach),
		cmocka_unit_test(test_bad_network),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
