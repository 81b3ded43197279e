/* SPDX-License-Identifier: BSD-3-Clause */
/* Every test ends with rig_stop: ledgers balance with nothing in flight, no mbuf is lost. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <rte_cycles.h>
#include <sodium.h>

#include "rig.h"

#define EVENTS_MAX 512

static const struct rig_options usual = {.window = 256, .max_ahead = 1000};

/* Invariant: an event of a good frame is admitted once, and leaves in the feeds that its content
 * chooses, in order. */
static void good_frames_leave(void **state)
{
	struct rig *rig = rig_start(&usual);
	struct rig_event e[EVENTS_MAX];

	(void)state;
	rig_send(rig, &(struct rig_frame){.source = 1, .first = 1, .count = 10, .value = 495});
	rig_settle(rig);
	assert_int_equal(rig_events(rig).admitted, 10);
	assert_int_equal(rig_datagrams(rig).admitted, 1);
	assert_int_equal(rig_collect(rig, e, EVENTS_MAX), 15);
	for (unsigned int i = 0; i < 15; i++) {
		unsigned int k = i < 10 ? i : i - 5;

		assert_int_equal(e[i].feed, i >= 10);
		assert_int_equal(e[i].sequence, 1 + k);
		assert_int_equal(e[i].value, 495 + k);
		assert_int_equal(e[i].source, 1);
	}
	rig_send(rig, &(struct rig_frame){.source = 1, .first = 1, .count = 10, .value = 495});
	rig_settle(rig);
	assert_int_equal(rig_events(rig).duplicate, 10);
	assert_int_equal(rig_datagrams(rig).duplicate, 1);
	assert_int_equal(rig_collect(rig, e, EVENTS_MAX), 0);
	rig_stop(rig);
}

struct refusal {
	const char *what;
	struct rig_frame frame;
	uint8_t reason;
};

/* Invariant: each gate refuses by name, both ledgers say so, and nothing is published. */
static void gates_refuse_by_name(void **state)
{
	static const struct refusal table[] = {
		{"source", {.source = 7, .first = 1, .count = 3}, ATR_REASON_UNKNOWN_SOURCE},
		{"topic",
		 {.source = 1, .first = 1, .count = 3, .topic = 9},
		 ATR_REASON_UNKNOWN_TOPIC},
		{"type", {.source = 1, .first = 1, .count = 3, .type = 9}, ATR_REASON_UNKNOWN_TYPE},
		{"range",
		 {.source = 1, .first = 1, .count = 3, .value = 1000001},
		 ATR_REASON_FIELD_RANGE},
		{"realm", {.source = 1, .first = 1, .count = 3, .realm = 8}, ATR_REASON_REALM},
		{"key", {.source = 1, .first = 1, .count = 3, .key = 9}, ATR_REASON_UNKNOWN_KEY},
		{"use", {.source = 1, .first = 1, .count = 3, .key = 2}, ATR_REASON_UNKNOWN_KEY},
		{"time", {.source = 1, .first = 1, .count = 3, .key = 3}, ATR_REASON_KEY_TIME},
		{"forged",
		 {.source = 1, .first = 1, .count = 3, .forged = true},
		 ATR_REASON_BAD_SIGNATURE},
		{"rule",
		 {.source = 1, .first = 1, .count = 3, .topic = TOPIC_SHUT},
		 ATR_REASON_NOT_ALLOWED},
		{"level",
		 {.source = 1, .first = 1, .count = 3, .topic = TOPIC_HIGH},
		 ATR_REASON_LEVEL},
		{"ahead", {.source = 1, .first = 1000, .count = 3}, ATR_REASON_AHEAD},
	};

	(void)state;
	for (unsigned int i = 0; i < RTE_DIM(table); i++) {
		struct rig *rig = rig_start(&usual);
		struct atr_ledger_reading r;

		rig_send(rig, &table[i].frame);
		rig_settle(rig);
		r = rig_ledger(rig);
		if (r.events.refused[table[i].reason] != 3 ||
		    r.datagrams.refused[table[i].reason] != 1)
			fail_msg("%s", table[i].what);
		assert_int_equal(rig_collect(rig, NULL, 0), 0);
		rig_stop(rig);
	}
}

/* Invariant: a frame is judged event by event; what is refused harms no neighbour, and a resend
 * finds the admitted ones duplicate. */
static void partial_refusal(void **state)
{
	struct rig *rig = rig_start(&usual);
	struct rig_frame f = {.source = 2, .first = 5, .count = 8, .value = 999997};
	struct atr_ledger_total t;
	struct rig_event e[EVENTS_MAX];

	(void)state;
	rig_send(rig, &f);
	rig_settle(rig);
	t = rig_events(rig);
	assert_int_equal(t.admitted, 4);
	assert_int_equal(t.refused[ATR_REASON_FIELD_RANGE], 4);
	assert_int_equal(rig_datagrams(rig).admitted, 1);
	assert_int_equal(rig_collect(rig, e, EVENTS_MAX), 8);
	rig_send(rig, &f);
	rig_settle(rig);
	t = rig_events(rig);
	assert_int_equal(t.duplicate, 4);
	assert_int_equal(t.refused[ATR_REASON_FIELD_RANGE], 8);
	/* The sequences of refused events are free for other bytes, those of admitted ones not. */
	f.value = 100;
	rig_send(rig, &f);
	rig_settle(rig);
	t = rig_events(rig);
	assert_int_equal(t.refused[ATR_REASON_CONFLICT], 4);
	assert_int_equal(t.admitted, 8);
	rig_stop(rig);
}

/* Invariant: without a plan everything is refused; the plan that follows rules the next batch. */
static void no_plan_then_plan(void **state)
{
	struct rig_options o = usual;
	struct rig *rig;
	struct rig_datagram d;

	(void)state;
	o.no_plan = true;
	rig = rig_start(&o);
	rig_send(rig, &(struct rig_frame){.source = 1, .first = 1, .count = 5});
	rig_envelope(rig, 1, 5, NULL, &d);
	rig_inject(rig, 0, 0, &d);
	rig_settle(rig);
	assert_int_equal(rig_events(rig).refused[ATR_REASON_NO_PLAN], 6);
	assert_int_equal(rig_datagrams(rig).refused[ATR_REASON_NO_PLAN], 2);
	rig_publish(rig);
	rig_send(rig, &(struct rig_frame){.source = 1, .first = 1, .count = 5});
	rig_inject(rig, 0, 0, &d);
	rig_settle(rig);
	assert_int_equal(rig_events(rig).admitted, 6);
	rig_stop(rig);
}

/* Invariant: any bytes end in exactly one count, whatever they are and however they are cut. */
static void garbage(void **state)
{
	struct rig *rig = rig_start(&usual);
	struct atr_ledger_reading r;
	struct rig_datagram d;
	uint8_t bytes[1600];

	(void)state;
	for (unsigned int i = 0; i < 4000; i++) {
		unsigned int length = 1 + randombytes_uniform(sizeof(bytes) - 1);
		unsigned int segment = i % 3 ? 0 : 1 + randombytes_uniform(length);

		if (segment && length / segment > 40)
			segment = 0;
		randombytes_buf(bytes, length);
		if (i & 1 && length > 40) {
			memcpy(bytes, &rig->iface[0].mac, 6);
			bytes[12] = 8;
			bytes[13] = i & 2 ? 0 : 6;
			bytes[14] = 0x45;
		}
		rig_inject_raw(rig, 0, 0, bytes, length, segment);
		d.length = (uint16_t)randombytes_uniform(300);
		randombytes_buf(d.bytes, d.length);
		if (d.length > 4 && i & 1)
			memcpy(d.bytes, i & 2 ? "{\"he" : "\0ATR", 4);
		rig_inject(rig, 1, 0, &d);
		if (i % 16 == 0)
			rig_settle(rig);
	}
	rig_settle(rig);
	r = rig_ledger(rig);
	assert_true(r.datagrams.received + r.foreign + r.arp + r.icmp == rig->injected);
	assert_true(r.datagrams.refused_total == r.datagrams.received);
	assert_int_equal(r.events.admitted, 0);
	rig_stop(rig);
}

/* Invariant: a good frame with any byte changed or cut off is refused, never admitted. */
static void tampered(void **state)
{
	struct rig *rig = rig_start(&usual);
	struct rig_datagram good[2], d;
	struct rig_frame f[2] = {{.source = 3, .first = 1, .count = 2, .type = TYPE_NOTE},
				 {.source = 3, .first = 3, .count = 2, .value = 5}};

	(void)state;
	rig_tree(rig, f, 2, good);
	for (unsigned int k = 0; k < 2; k++) {
		for (unsigned int i = 0; i < good[k].length; i++) {
			d = good[k];
			d.bytes[i] ^= (uint8_t)(1u << (i & 7));
			rig_inject(rig, 0, 0, &d);
			d = good[k];
			d.length = (uint16_t)i;
			rig_inject(rig, 0, 0, &d);
			if (i % 8 == 7)
				rig_settle(rig);
		}
		rig_settle(rig);
	}
	assert_int_equal(rig_events(rig).admitted, 0);
	assert_int_equal(rig_collect(rig, NULL, 0), 0);
	/* And none of them stands in the way of the good ones. */
	rig_inject(rig, 0, 0, &good[0]);
	rig_inject(rig, 0, 0, &good[1]);
	rig_settle(rig);
	assert_int_equal(rig_events(rig).admitted, 4);
	rig_stop(rig);
}

/* Invariant: replays draw nothing from the buckets; what is over the limit is not remembered. */
static void limits(void **state)
{
	struct rig_options o = usual;
	struct rig_frame f = {.source = 1, .first = 1, .count = 4};
	struct rig *rig;

	(void)state;
	o.rate = 8;
	rig = rig_start(&o);
	for (unsigned int i = 0; i < 30; i++) {
		rig_send(rig, &f);
		rig_settle(rig);
	}
	assert_int_equal(rig_events(rig).admitted, 4);
	assert_int_equal(rig_events(rig).duplicate, 29 * 4);
	f.first = 5;
	f.count = 10;
	rig_send(rig, &f);
	rig_settle(rig);
	/* A bucket of 8 held 4 more; the clock may have added some since. */
	assert_in_range(rig_events(rig).admitted, 8, 12);
	assert_int_equal(rig_events(rig).refused[ATR_REASON_RATE_SOURCE],
			 14 - rig_events(rig).admitted);
	rig_send(rig,
		 &(struct rig_frame){.source = 2, .first = 1, .count = 8, .topic = TOPIC_SLOW});
	rig_settle(rig);
	assert_in_range(rig_events(rig).refused[ATR_REASON_RATE_TOPIC], 1, 4);
	rig_stop(rig);
}

/* Invariant: packets are for the control lcore, and it answers; foreign ones cost nothing. */
static void arp_is_answered(void **state)
{
	struct rig *rig = rig_start(&usual);
	uint8_t arp[60] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0,  7, 8, 6,
			   0,    1,    8,    0,    6,    4,    0, 1, 2, 0, 0,  0, 0, 7,
			   10,   0,    0,    2,    0,    0,    0, 0, 0, 0, 10, 0, 0, 1};

	(void)state;
	rig_inject_raw(rig, 0, 0, arp, sizeof(arp), 0);
	rig_settle(rig);
	assert_int_equal(rig_ledger(rig).arp, 1);
	rig_collect(rig, NULL, 0);
	assert_int_equal(rig_other_packets(rig), 1);
	rig_stop(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_frames_leave),
		cmocka_unit_test(gates_refuse_by_name),
		cmocka_unit_test(partial_refusal),
		cmocka_unit_test(no_plan_then_plan),
		cmocka_unit_test(garbage),
		cmocka_unit_test(tampered),
		cmocka_unit_test(limits),
		cmocka_unit_test(arp_is_answered),
	};

	return cmocka_run_group_tests(tests, rig_boot, rig_end);
}
