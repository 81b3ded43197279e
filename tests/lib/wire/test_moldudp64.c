/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "../../../lib/wire/moldudp64.h"

#define ROUNDS 20000
#define BYTES  2048

static uint64_t random_state = 1442695040888963407ULL;

static uint32_t next_random(void)
{
	random_state = random_state * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(random_state >> 33);
}

static void session_names(void **state)
{
	char session[ATR_MOLD_SESSION_SIZE];
	uint32_t feed, shard, epoch;

	(void)state;
	atr_mold_session(session, 1, 0, 1);
	assert_memory_equal(session, "0100000001", 10);
	atr_mold_session(session, 1295, 35, 2176782335U);
	assert_memory_equal(session, "ZZ0ZZZZZZZ", 10);
	/* Invariant: parse is the inverse of naming. */
	for (unsigned int i = 0; i < ROUNDS; i++) {
		uint32_t f = next_random() % 1296, s = next_random() % 1296;
		uint32_t e = next_random() % 2176782336U;

		atr_mold_session(session, f, s, e);
		assert_int_equal(atr_mold_session_parse(session, &feed, &shard, &epoch), 0);
		assert_int_equal(feed, f);
		assert_int_equal(shard, s);
		assert_int_equal(epoch, e);
	}
}

/* Invariant: no character but 0-9 and A-Z makes a session, at any place. */
static void foreign_sessions_are_refused(void **state)
{
	(void)state;
	for (unsigned int at = 0; at < ATR_MOLD_SESSION_SIZE; at++) {
		for (unsigned int c = 0; c < 256; c++) {
			char session[] = "0100000001";
			uint32_t f, s, e;
			int ok = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z');

			session[at] = (char)c;
			assert_int_equal(atr_mold_session_parse(session, &f, &s, &e),
					 ok ? 0 : -EINVAL);
		}
	}
}

/* Invariant: the header's bytes are MoldUDP64's: session, sequence and count, big-endian. */
static void header_bytes(void **state)
{
	static const uint8_t expected[20] = {'0', '1', '0', '0', '0', '0', '0', '0', '0',  '1',
					     1,   2,   3,   4,   5,   6,   7,   8,   0xfe, 0xdc};
	uint8_t out[20];

	(void)state;
	atr_mold_hdr_write(out, "0100000001", 0x0102030405060708, 0xfedc);
	assert_memory_equal(out, expected, sizeof(out));
}

/* Appends a block; returns its size. */
static size_t put_block(uint8_t *at, uint64_t sequence, const struct atr_packet *packet,
			const uint8_t *payload, uint32_t payload_length)
{
	size_t size = 8 + ATR_PACKET_SIZE + payload_length;

	at[0] = (uint8_t)(size >> 8);
	at[1] = (uint8_t)size;
	memcpy(at + 2, &sequence, 8);
	memcpy(at + 10, packet, ATR_PACKET_SIZE);
	if (payload_length)
		memcpy(at + 10 + ATR_PACKET_SIZE, payload, payload_length);
	return 2 + size;
}

/* Inline event, arena event, envelope; to an exact-size heap block. */
static uint8_t *three_blocks(size_t *length)
{
	struct atr_packet inline_packet = {.flags = ATR_FLAG_INLINE | 4, .topic_id = 5};
	struct atr_packet arena_packet = {.flags = ATR_FLAG_ARENA};
	struct atr_packet envelope;
	uint8_t payload[100], scratch[BYTES], *exact;
	size_t at = ATR_MOLD_HDR_SIZE;

	memset(payload, 0xab, sizeof(payload));
	arena_packet.arena.offset = 1234;
	arena_packet.arena.length = 40;
	atr_mold_envelope_packet(&envelope, 1, 2, 3, 4, 100);
	atr_mold_hdr_write(scratch, "0100000001", 17, 3);
	at += put_block(scratch + at, 70, &inline_packet, NULL, 0);
	at += put_block(scratch + at, 71, &arena_packet, payload, 40);
	at += put_block(scratch + at, 5, &envelope, payload, 100);
	exact = malloc(at);
	assert_non_null(exact);
	memcpy(exact, scratch, at);
	*length = at;
	return exact;
}

/* Invariant: blocks read back as they were written, and sizes are as ATR_MOLD_BLOCK_SIZE says. */
static void blocks_round_trip(void **state)
{
	struct atr_mold_packet packet;
	struct atr_mold_event event;
	size_t length, cursor = 0;
	uint8_t *bytes = three_blocks(&length);

	(void)state;
	assert_int_equal(length, ATR_MOLD_HDR_SIZE + ATR_MOLD_BLOCK_SIZE(0) +
					 ATR_MOLD_BLOCK_SIZE(40) + ATR_MOLD_BLOCK_SIZE(100));
	assert_int_equal(atr_mold_parse(bytes, length, &packet), 0);
	assert_int_equal(packet.sequence, 17);
	assert_int_equal(packet.count, 3);
	assert_memory_equal(packet.session, "0100000001", 10);

	assert_int_equal(atr_mold_next(&packet, &cursor, &event), 1);
	assert_int_equal(event.sequence, 70);
	assert_int_equal(event.packet->topic_id, 5);
	assert_null(event.payload);
	assert_int_equal(event.payload_length, 0);

	assert_int_equal(atr_mold_next(&packet, &cursor, &event), 1);
	assert_int_equal(event.sequence, 71);
	assert_int_equal(event.payload_length, 40);
	assert_int_equal(event.payload[39], 0xab);

	assert_int_equal(atr_mold_next(&packet, &cursor, &event), 1);
	assert_int_equal(event.packet->flags, ATR_FLAG_ARENA | ATR_FLAG_ENVELOPE);
	assert_int_equal(event.packet->topic_id, 1);
	assert_int_equal(event.packet->type_id, 2);
	assert_int_equal(event.packet->sender_id, 3);
	assert_int_equal(event.packet->timestamp_ns, 4);
	assert_int_equal(event.payload_length, 100);
	assert_int_equal(atr_mold_next(&packet, &cursor, &event), 0);
	free(bytes);
}

/* Invariant: a downstream packet cut anywhere or with bytes behind it is refused; a heartbeat and
 * an end of session are exactly a header. */
static void length_is_exact(void **state)
{
	struct atr_mold_packet packet;
	size_t length;
	uint8_t *bytes = three_blocks(&length), header[21] = {0};

	(void)state;
	for (size_t cut = 0; cut < length; cut++) {
		uint8_t *part = malloc(cut ? cut : 1);

		assert_non_null(part);
		memcpy(part, bytes, cut);
		assert_int_equal(atr_mold_parse(part, cut, &packet), -EBADMSG);
		free(part);
	}
	bytes[19] = 2;
	assert_int_equal(atr_mold_parse(bytes, length, &packet), -EBADMSG);
	bytes[19] = 4;
	assert_int_equal(atr_mold_parse(bytes, length, &packet), -EBADMSG);
	free(bytes);

	for (unsigned int end = 0; end < 2; end++) {
		atr_mold_hdr_write(header, "0100000001", 9, end ? ATR_MOLD_COUNT_END : 0);
		assert_int_equal(atr_mold_parse(header, 20, &packet), 0);
		assert_int_equal(packet.length, 0);
		assert_int_equal(atr_mold_parse(header, 21, &packet), -EBADMSG);
	}
}

static int judge_block(uint64_t flags, uint32_t arena_length, size_t block_size)
{
	struct atr_packet raw = {.flags = flags};
	uint8_t *bytes = calloc(1, ATR_MOLD_HDR_SIZE + 2 + block_size), block[256] = {0};
	struct atr_mold_packet packet;
	struct atr_mold_event event;
	size_t cursor = 0;
	int rc;

	assert_non_null(bytes);
	raw.arena.length = arena_length;
	put_block(block, 1, &raw, NULL, 0);
	block[1] = (uint8_t)block_size;
	memcpy(bytes + ATR_MOLD_HDR_SIZE, block, 2 + block_size);
	atr_mold_hdr_write(bytes, "0100000001", 1, 1);
	assert_int_equal(atr_mold_parse(bytes, ATR_MOLD_HDR_SIZE + 2 + block_size, &packet), 0);
	rc = atr_mold_next(&packet, &cursor, &event);
	free(bytes);
	return rc;
}

/* Invariant: a block that is no ATR event is refused: too short, flags without meaning, payload
 * length that differs from the packet's. */
static void foreign_blocks_are_refused(void **state)
{
	(void)state;
	for (size_t size = 0; size < 72; size++)
		assert_int_equal(judge_block(ATR_FLAG_INLINE, 0, size), -EBADMSG);
	assert_int_equal(judge_block(ATR_FLAG_INLINE, 0, 72), 1);
	/* Inline bytes where an arena length would stand mean nothing. */
	assert_int_equal(judge_block(ATR_FLAG_INLINE, 99, 72), 1);
	assert_int_equal(judge_block(ATR_FLAG_INLINE, 0, 73), -EBADMSG);
	assert_int_equal(judge_block(ATR_FLAG_ARENA, 40, 112), 1);
	assert_int_equal(judge_block(ATR_FLAG_ARENA, 41, 112), -EBADMSG);
	assert_int_equal(judge_block(ATR_FLAG_ARENA, UINT32_MAX, 112), -EBADMSG);
	assert_int_equal(judge_block(ATR_FLAG_ARENA | ATR_FLAG_ENVELOPE, 40, 112), 1);
	assert_int_equal(judge_block(ATR_FLAG_ARENA | ATR_FLAG_INLINE, 0, 72), -EBADMSG);
	assert_int_equal(judge_block(ATR_FLAG_INLINE | ATR_FLAG_ENVELOPE, 0, 72), -EBADMSG);
	assert_int_equal(judge_block(ATR_FLAG_ENVELOPE, 0, 72), -EBADMSG);
	assert_int_equal(judge_block(0, 0, 72), -EBADMSG);
	for (unsigned int bit = 5; bit < 64; bit++)
		assert_int_equal(judge_block(ATR_FLAG_INLINE | UINT64_C(1) << bit, 0, 72),
				 -EBADMSG);
}

/* Invariant: whatever arrives, reading stays in bounds and ends. */
static void mutations_stay_in_bounds(void **state)
{
	unsigned int events = 0;

	(void)state;
	for (unsigned int round = 0; round < ROUNDS; round++) {
		struct atr_mold_packet packet;
		struct atr_mold_event event;
		size_t length, cursor = 0;
		uint8_t *bytes = three_blocks(&length);

		for (unsigned int n = next_random() % 3; n > 0; n--)
			bytes[next_random() % length] ^= (uint8_t)(1U << next_random() % 8);
		if (atr_mold_parse(bytes, length, &packet) == 0) {
			while (atr_mold_next(&packet, &cursor, &event) == 1) {
				for (uint32_t b = 0; b < event.payload_length; b++)
					events += event.payload[b] == 0xab;
				events += event.packet->topic_id == 5;
			}
			assert_true(cursor <= packet.length);
		}
		free(bytes);
	}
	assert_true(events > ROUNDS);
}

/* Invariant: a gap request is exactly a header that asks for 1 to 65,534 messages. */
static void gap_requests(void **state)
{
	struct atr_mold_hdr request;
	uint8_t bytes[21] = {0};

	(void)state;
	atr_mold_hdr_write(bytes, "0100000001", 5, 1);
	assert_int_equal(atr_mold_request_parse(bytes, 20, &request), 0);
	assert_memory_equal(&request, bytes, 20);
	assert_int_equal(atr_mold_request_parse(bytes, 19, &request), -EBADMSG);
	assert_int_equal(atr_mold_request_parse(bytes, 21, &request), -EBADMSG);
	assert_int_equal(atr_mold_request_parse(bytes, 0, &request), -EBADMSG);
	atr_mold_hdr_write(bytes, "0100000001", 5, 0);
	assert_int_equal(atr_mold_request_parse(bytes, 20, &request), -EBADMSG);
	atr_mold_hdr_write(bytes, "0100000001", 5, ATR_MOLD_COUNT_MAX);
	assert_int_equal(atr_mold_request_parse(bytes, 20, &request), 0);
	atr_mold_hdr_write(bytes, "0100000001", 5, ATR_MOLD_COUNT_END);
	assert_int_equal(atr_mold_request_parse(bytes, 20, &request), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(session_names),
		cmocka_unit_test(foreign_sessions_are_refused),
		cmocka_unit_test(header_bytes),
		cmocka_unit_test(blocks_round_trip),
		cmocka_unit_test(length_is_exact),
		cmocka_unit_test(foreign_blocks_are_refused),
		cmocka_unit_test(mutations_stay_in_bounds),
		cmocka_unit_test(gap_requests),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
