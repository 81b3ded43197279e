/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "ack_rig.h"

#define SOURCES     1000
#define SMALL       ATR_ACK_DATAGRAM_DEFAULT
#define A_DATAGRAM  18 /* plain entries that a datagram of SMALL bytes holds */
#define EVENTS      5
#define EVENTS_MOST ATR_FRAME_PACKETS_MAX

/* Invariant: what shards said of a frame is what its producer reads: leaf, place, result, floor. */
static void round_trip(void **state)
{
	static const uint8_t reasons[] = {ATR_OK, ATR_DUPLICATE, ATR_REASON_RATE_SOURCE,
					  ATR_REASON_STALE};
	static const bool final[] = {true, true, false, true};
	struct rig *rig = rig_create(SMALL, SOURCES);

	(void)state;
	rig_address(rig, 3);
	for (unsigned int i = 0; i < sizeof(reasons); i++) {
		struct atr_ack_item item = rig_frame(3, 100 + i * EVENTS, EVENTS, reasons[i]);

		atr_acker_take(rig->acker, i % RIG_SHARDS, &item, 1);
	}
	assert_int_equal(rig_flush(rig), 1);
	assert_int_equal(rig->datagram[0].to.ip, 0x0A000003);
	assert_int_equal(rig->datagram[0].to.port, 1003);
	rig_read(rig);
	assert_int_equal(rig->entries, sizeof(reasons));
	for (unsigned int i = 0; i < sizeof(reasons); i++) {
		const struct rig_entry *e = &rig->entry[i];
		struct atr_ack_item item = rig_frame(3, 100 + i * EVENTS, EVENTS, reasons[i]);

		assert_int_equal(e->notice.source, 3);
		assert_int_equal(e->notice.count, sizeof(reasons));
		assert_int_equal(e->notice.number, (uint64_t)RIG_EPOCH << 32);
		assert_int_equal(e->notice.timestamp_ns, RIG_NOW);
		assert_int_equal(e->notice.floor, (100 + 3 * EVENTS) / 2);
		assert_int_equal(e->entry.first_sequence, item.frame.first_sequence);
		assert_int_equal(e->entry.position, item.frame.position);
		assert_memory_equal(e->entry.leaf, item.frame.leaf, ATR_HASH_SIZE);
		assert_int_equal(e->entry.events, EVENTS);
		assert_int_equal(e->entry.result, reasons[i]);
		assert_int_equal(e->entry.final, final[i]);
		assert_null(e->entry.results);
	}
	rig_free(rig);
}

/* Invariant: events of one frame keep their own results, for every number of events; the entry
 * names the first refusal and is final only if all of them are. */
static void mixed_results(void **state)
{
	struct rig *rig = rig_create(SMALL, SOURCES);
	uint8_t reasons[EVENTS_MOST];

	(void)state;
	rig_address(rig, 3);
	for (unsigned int events = 2; events <= EVENTS_MOST; events++) {
		bool retry = events % 2;

		memset(reasons, ATR_OK, events);
		reasons[0] = ATR_DUPLICATE;
		reasons[events - 1] = retry ? ATR_REASON_RATE_TOPIC : ATR_REASON_FIELD_RANGE;
		rig_mixed(rig, 1, rig_frame(3, events, (uint16_t)events, 0), reasons);
		assert_int_equal(rig_flush(rig), 1);
		assert_true(rig->datagram[0].length <= SMALL);
		rig_read(rig);
		assert_int_equal(rig->entries, 1);
		assert_int_equal(rig->entry[0].entry.result, reasons[events - 1]);
		assert_int_equal(rig->entry[0].entry.final, !retry);
		assert_non_null(rig->entry[0].entry.results);
		for (unsigned int i = 0; i < events; i++) {
			const struct atr_ack_result *r = &rig->entry[0].entry.results[i];

			assert_int_equal(r->reason, reasons[i]);
			assert_int_equal(r->final, !(retry && i == events - 1));
		}
	}
	rig_free(rig);
}

/* Invariant: a frame without a refusal says ATR_OK even if its events differ; one whose events
 * turn out alike has the short form. */
static void mixed_without_refusal(void **state)
{
	struct rig *rig = rig_create(SMALL, SOURCES);
	static const uint8_t some[] = {ATR_DUPLICATE, ATR_OK, ATR_DUPLICATE};
	static const uint8_t alike[] = {ATR_DUPLICATE, ATR_DUPLICATE};

	(void)state;
	rig_address(rig, 3);
	rig_mixed(rig, 0, rig_frame(3, 1, sizeof(some), ATR_REASON_REALM), some);
	rig_mixed(rig, 0, rig_frame(3, 4, sizeof(alike), ATR_REASON_REALM), alike);
	rig_flush(rig);
	rig_read(rig);
	assert_int_equal(rig->entries, 2);
	assert_int_equal(rig->entry[0].entry.result, ATR_OK);
	assert_true(rig->entry[0].entry.final);
	assert_int_equal(rig->entry[1].entry.result, ATR_DUPLICATE);
	assert_null(rig->entry[1].entry.results);
	rig_free(rig);
}

/* Invariant: a mixed frame survives being cut anywhere, flushes and other shards in between. */
static void items_in_pieces(void **state)
{
	struct rig *rig = rig_create(SMALL, SOURCES);
	struct atr_ack_item frame = rig_frame(3, 10, EVENTS_MOST, 0), more = {.kind = ATR_ACK_MORE};
	struct atr_ack_item other = rig_frame(4, 1, 1, ATR_OK);
	unsigned int n = atr_ack_items(EVENTS_MOST, true);

	(void)state;
	rig_address(rig, 3);
	rig_address(rig, 4);
	frame.kind |= ATR_ACK_MIXED;
	atr_acker_take(rig->acker, 1, &frame, 1);
	for (unsigned int i = 1; i < n; i++) {
		atr_acker_take(rig->acker, 0, &other, 1);
		assert_int_equal(rig_flush(rig), 1);
		rig_read(rig);
		assert_int_equal(rig->entry[0].notice.source, 4);
		memset(more.reasons, i == 1 ? ATR_OK : ATR_REASON_LEVEL, sizeof(more.reasons));
		atr_acker_take(rig->acker, 1, &more, 1);
	}
	assert_int_equal(rig_flush(rig), 1);
	rig_read(rig);
	assert_int_equal(rig->entry[0].notice.source, 3);
	assert_int_equal(rig->entry[0].entry.results[ATR_ACK_ITEM_RESULTS - 1].reason, ATR_OK);
	assert_int_equal(rig->entry[0].entry.results[ATR_ACK_ITEM_RESULTS].reason,
			 ATR_REASON_LEVEL);
	rig_free(rig);
}

/* Invariant: a source's entries fill datagrams before a new one is begun; none is larger than the
 * limit, at the smallest, the default and the largest. */
static void fills_datagrams(void **state)
{
	static const uint32_t limits[] = {ATR_ACK_DATAGRAM_MIN, SMALL, ATR_DATAGRAM_MAX};
	static const unsigned int expected[] = {10, A_DATAGRAM, 151};

	(void)state;
	for (unsigned int l = 0; l < 3; l++) {
		struct rig *rig = rig_create(limits[l], SOURCES);
		unsigned int n = expected[l] * 3 + 1;

		rig_address(rig, 3);
		for (unsigned int i = 0; i < n; i++) {
			struct atr_ack_item item = rig_frame(3, i, 1, ATR_OK);

			atr_acker_take(rig->acker, 0, &item, 1);
		}
		assert_int_equal(rig_flush(rig), 4);
		rig_read(rig);
		assert_int_equal(rig->entries, n);
		for (unsigned int i = 0; i < 4; i++)
			assert_true(rig->datagram[i].length <= limits[l]);
		for (unsigned int i = 0; i < n; i++)
			assert_int_equal(rig->entry[i].entry.first_sequence, i);
		rig_free(rig);
	}
}

/* Invariant: one signature a flush, whatever the number of datagrams, and every one of them
 * verifies alone, within the limit even with the longest proof. Numbers go on counting. */
static void one_signature_a_flush(void **state)
{
	struct rig *rig = rig_create(SMALL, SOURCES);
	uint64_t number = (uint64_t)RIG_EPOCH << 32;

	(void)state;
	for (uint32_t source = 1; source <= RIG_DATAGRAMS; source++)
		rig_address(rig, source);
	for (unsigned int n = 1; n <= RIG_DATAGRAMS; n = n < 20 ? n + 1 : n * 2 - 3) {
		uint64_t before = atr_acker_stats(rig->acker)->signatures;

		for (uint32_t source = 1; source <= n; source++)
			for (unsigned int i = 0; i < A_DATAGRAM; i++) {
				struct atr_ack_item item = rig_frame(source, i, 1, ATR_OK);

				atr_acker_take(rig->acker, 0, &item, 1);
			}
		assert_int_equal(atr_acker_room(rig->acker), RIG_DATAGRAMS - n);
		assert_int_equal(rig_flush(rig), n);
		assert_int_equal(atr_acker_room(rig->acker), RIG_DATAGRAMS);
		assert_int_equal(atr_acker_stats(rig->acker)->signatures, before + 1);
		for (unsigned int d = 0; d < n; d++)
			assert_true(rig->datagram[d].length <= SMALL);
		rig_read(rig);
		assert_int_equal(rig->entries, n * A_DATAGRAM);
		for (unsigned int d = 0; d < n; d++)
			assert_int_equal(rig->entry[d * A_DATAGRAM].notice.number, number++);
	}
	assert_int_equal(atr_acker_flush(rig->acker, RIG_NOW, NULL, NULL), 0);
	rig_free(rig);
}

/* Invariant: nothing is sent for a source without a known address, nor beyond the room of a flush;
 * both are counted, and a later flush works again. */
static void drops_are_counted(void **state)
{
	struct rig *rig = rig_create(SMALL, SOURCES);
	const struct atr_acker_stats *stats = atr_acker_stats(rig->acker);
	struct atr_ack_item item = rig_frame(9, 1, 1, ATR_OK);
	static const uint8_t reasons[] = {ATR_OK, ATR_REASON_LEVEL};

	(void)state;
	atr_acker_take(rig->acker, 0, &item, 1);
	rig_mixed(rig, 0, rig_frame(9, 2, 2, 0), reasons);
	assert_int_equal(stats->no_address, 2);
	assert_int_equal(rig_flush(rig), 0);
	for (uint32_t source = 1; source <= RIG_DATAGRAMS + 1; source++) {
		rig_address(rig, source);
		item = rig_frame(source, 1, 1, ATR_OK);
		atr_acker_take(rig->acker, 0, &item, 1);
	}
	assert_int_equal(stats->no_room, 1);
	assert_int_equal(rig_flush(rig), RIG_DATAGRAMS);
	atr_acker_take(rig->acker, 0, &item, 1);
	assert_int_equal(rig_flush(rig), 1);
	assert_int_equal(stats->frames, RIG_DATAGRAMS + 1);
	assert_int_equal(stats->datagrams, RIG_DATAGRAMS + 1);
	rig_free(rig);
}

/* Invariant: entries go to the address known at the flush, not to the one before. */
static void newest_address(void **state)
{
	struct rig *rig = rig_create(SMALL, SOURCES);
	struct atr_ack_item item = rig_frame(3, 1, 1, ATR_OK), to = {.kind = ATR_ACK_ADDRESS};

	(void)state;
	rig_address(rig, 3);
	atr_acker_take(rig->acker, 0, &item, 1);
	to.address.source = 3;
	to.address.to.ip = 0x0B000001;
	atr_acker_take(rig->acker, 1, &to, 1);
	assert_int_equal(rig_flush(rig), 1);
	assert_int_equal(rig->datagram[0].to.ip, 0x0B000001);
	rig_free(rig);
}

/* Invariant: items that no shard should send change nothing but a counter. */
static void odd_items(void **state)
{
	struct rig *rig = rig_create(SMALL, SOURCES);
	struct atr_ack_item odd[] = {
		rig_frame(0, 1, 1, ATR_OK),
		rig_frame(SOURCES, 1, 1, ATR_OK),
		rig_frame(UINT32_MAX, 1, 1, ATR_OK),
		rig_frame(3, 1, 0, ATR_OK),
		rig_frame(3, 1, EVENTS_MOST + 1, ATR_OK),
		{.kind = 0},
		{.kind = ATR_ACK_MORE},
		{.kind = ATR_ACK_ADDRESS},
		{.kind = ATR_ACK_MORE | ATR_ACK_MIXED},
		{.kind = ATR_ACK_ADDRESS | ATR_ACK_MIXED},
	};
	unsigned int n = sizeof(odd) / sizeof(odd[0]);
	struct atr_ack_item cut = rig_frame(3, 1, 2, 0), good = rig_frame(3, 5, 1, ATR_OK);

	(void)state;
	rig_address(rig, 3);
	atr_acker_take(rig->acker, 0, odd, n);
	assert_int_equal(atr_acker_stats(rig->acker)->malformed, n);
	assert_int_equal(rig_flush(rig), 0);
	/* A mixed frame whose results never come is forgotten when the next frame comes. */
	cut.kind |= ATR_ACK_MIXED;
	atr_acker_take(rig->acker, 0, &cut, 1);
	atr_acker_take(rig->acker, 0, &good, 1);
	assert_int_equal(atr_acker_stats(rig->acker)->malformed, n + 1);
	assert_int_equal(rig_flush(rig), 1);
	rig_read(rig);
	assert_int_equal(rig->entries, 1);
	assert_int_equal(rig->entry[0].entry.first_sequence, 5);
	rig_free(rig);
}

/* Invariant: parameters out of range are refused with a sentence. */
static void refuses_parameters(void **state)
{
	const uint8_t seed[ATR_SEED_SIZE] = {1};
	struct atr_signer *signer;
	char error[256];

	(void)state;
	assert_int_equal(atr_sign_init(), 0);
	signer = atr_signer_from_seed(seed);
	const struct atr_acker_params good = {1, 1, 2, 1, SMALL, signer};
	struct atr_acker_params bad[] = {good, good, good, good, good, good};
	struct atr_acker *acker = atr_acker_create(&good, error, sizeof(error));

	assert_non_null(acker);
	atr_acker_free(acker);
	bad[0].sources = 1;
	bad[1].sources = 65537;
	bad[2].shards = 0;
	bad[3].datagram_max = ATR_ACK_DATAGRAM_MIN - 1;
	bad[4].datagram_max = ATR_DATAGRAM_MAX + 1;
	bad[5].signer = NULL;
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		error[0] = 0;
		assert_null(atr_acker_create(&bad[i], error, sizeof(error)));
		assert_true(strlen(error) > 20);
	}
	atr_acker_free(NULL);
	atr_signer_free(signer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trip),
		cmocka_unit_test(mixed_results),
		cmocka_unit_test(mixed_without_refusal),
		cmocka_unit_test(items_in_pieces),
		cmocka_unit_test(fills_datagrams),
		cmocka_unit_test(one_signature_a_flush),
		cmocka_unit_test(drops_are_counted),
		cmocka_unit_test(newest_address),
		cmocka_unit_test(odd_items),
		cmocka_unit_test(refuses_parameters),
	};

	return cmocka_run_group_tests_name("acker", tests, NULL, NULL);
}
