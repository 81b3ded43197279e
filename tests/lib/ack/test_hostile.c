/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "../../../lib/merkle/merkle.h"
#include "ack_rig.h"

#define BODY_AT  (ATR_FRAME_HDR_SIZE + ATR_PACKET_SIZE)
#define ENTRY_AT (BODY_AT + sizeof(struct atr_ack_body))
#define SOURCES  10

static unsigned int visits;

static void count_visit(void *ctx, const struct atr_ack_notice *notice,
			const struct atr_ack_entry *entry)
{
	(void)ctx;
	(void)notice;
	(void)entry;
	visits++;
}

static const struct atr_ack_visitor counter = {count_visit, NULL};

static struct rig *two_datagrams(void)
{
	static const uint8_t reasons[] = {ATR_OK, ATR_REASON_LEVEL, ATR_REASON_RATE_SOURCE};
	struct rig *rig = rig_create(ATR_ACK_DATAGRAM_DEFAULT, SOURCES);
	struct atr_ack_item item = rig_frame(4, 1, 1, ATR_OK);

	rig_address(rig, 3);
	rig_address(rig, 4);
	rig_mixed(rig, 0, rig_frame(3, 10, sizeof(reasons), 0), reasons);
	atr_acker_take(rig->acker, 0, &item, 1);
	assert_int_equal(rig_flush(rig), 2);
	return rig;
}

/* Invariant: no bit of a datagram can change without its being refused, before anything of it is
 * visited. */
static void every_bit_is_checked(void **state)
{
	struct rig *rig = two_datagrams();
	struct rig_datagram *d = &rig->datagram[0];

	(void)state;
	for (size_t bit = 0; bit < d->length * 8; bit++) {
		d->bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_not_equal(atr_ack_parse(&rig->reader, d->bytes, d->length, &counter),
				     ATR_OK);
		d->bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	assert_int_equal(visits, 0);
	/* Also once its head was proven, when no signature is verified again. */
	assert_int_equal(atr_ack_parse(&rig->reader, d->bytes, d->length, &counter), ATR_OK);
	assert_int_equal(visits, 1);
	for (size_t bit = 0; bit < d->length * 8; bit++) {
		d->bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_not_equal(atr_ack_parse(&rig->reader, d->bytes, d->length, &counter),
				     ATR_OK);
		d->bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	assert_int_equal(visits, 1);
	visits = 0;
	rig_free(rig);
}

/* Invariant: every length but the right one is refused, and no byte behind it is read. */
static void every_length(void **state)
{
	struct rig *rig = two_datagrams();
	const struct rig_datagram *d = &rig->datagram[0];

	(void)state;
	for (size_t length = 0; length < d->length; length++) {
		uint8_t *exact = malloc(length ? length : 1);

		assert_non_null(exact);
		memcpy(exact, d->bytes, length);
		assert_int_equal(atr_ack_parse(&rig->reader, exact, length, &counter),
				 ATR_REASON_FRAME_TRUNCATED);
		free(exact);
	}
	rig->datagram[0].bytes[d->length] = 0;
	assert_int_equal(atr_ack_parse(&rig->reader, d->bytes, d->length + 1, &counter),
			 ATR_REASON_FRAME_TRAILING);
	assert_int_equal(visits, 0);
	rig_free(rig);
}

/* Invariant: another realm, key id or public key, or the prefix of producers' trees, is refused. */
static void foreign_origin(void **state)
{
	struct rig *rig = two_datagrams();
	const struct rig_datagram *d = &rig->datagram[0];
	struct atr_ack_reader other = rig->reader;

	(void)state;
	other.realm++;
	assert_int_equal(atr_ack_parse(&other, d->bytes, d->length, &counter), ATR_REASON_REALM);
	other = rig->reader;
	other.key++;
	assert_int_equal(atr_ack_parse(&other, d->bytes, d->length, &counter),
			 ATR_REASON_UNKNOWN_KEY);
	other = rig->reader;
	other.public_key[0] ^= 1;
	assert_int_equal(atr_ack_parse(&other, d->bytes, d->length, &counter),
			 ATR_REASON_BAD_SIGNATURE);
	assert_int_equal(visits, 0);
	rig_free(rig);
}

/* Signs bytes that are no acker's work: one datagram, alone in its tree. */
static size_t sign_alone(const struct rig *rig, uint8_t *bytes, size_t body, const char *prefix)
{
	struct atr_frame_hdr *hdr = (struct atr_frame_hdr *)bytes;
	struct atr_tree_head head;
	uint8_t leaf[ATR_MERKLE_HASH];

	hdr->leaf_index = 0;
	hdr->leaf_count = 1;
	hdr->arena_length = (uint32_t)body;
	((struct atr_packet *)(bytes + ATR_FRAME_HDR_SIZE))->arena.length = (uint32_t)body;
	atr_merkle_leaf(bytes + 1, BODY_AT + body - 1, leaf);
	atr_tree_head_init(&head, hdr->realm, hdr->source, hdr->key, 1, leaf);
	memcpy(head.prefix, prefix, sizeof(head.prefix));
	atr_signer_sign(rig->signer, (const uint8_t *)&head, sizeof(head), bytes + BODY_AT + body);
	return BODY_AT + body + ATR_SIGNATURE_SIZE;
}

/* A change to a valid body, signed all the same. */
struct change {
	uint8_t reason;
	uint16_t offset; /* in the datagram */
	uint8_t size;
	uint64_t value;
	int grow; /* bytes added to the body */
};

#define BODY(member)  (BODY_AT + offsetof(struct atr_ack_body, member))
#define ENTRY(member) (ENTRY_AT + offsetof(struct atr_ack_wire_entry, member))
#define RESULT(i)     (ENTRY_AT + sizeof(struct atr_ack_wire_entry) + (i)*2)
#define PACKET(m)     (ATR_FRAME_HDR_SIZE + offsetof(struct atr_packet, m))

static const struct change changes[] = {
	{ATR_REASON_FIELD_RANGE, BODY(source), 4, 0, 0},
	{ATR_REASON_FIELD_RANGE, BODY(source), 4, 65536, 0},
	{ATR_REASON_FIELD_RANGE, BODY(count), 4, 0, 0},
	{ATR_REASON_PAYLOAD_LENGTH, BODY(count), 4, 2, 0},
	{ATR_REASON_PAYLOAD_LENGTH, BODY(count), 4, UINT32_MAX, 0},
	{ATR_REASON_PAYLOAD_LENGTH, 0, 0, 0, 8},
	{ATR_REASON_PAYLOAD_LENGTH, 0, 0, 0, -8},
	{ATR_REASON_FIELD_RANGE, ENTRY(events), 2, 0, 0},
	{ATR_REASON_FIELD_RANGE, ENTRY(events), 2, ATR_FRAME_PACKETS_MAX + 1, 0},
	{ATR_REASON_FIELD_RANGE, ENTRY(first_sequence), 8, UINT64_MAX - 1, 0},
	{ATR_REASON_FIELD_RANGE, ENTRY(result), 1, ATR_OK, 0},
	{ATR_REASON_FIELD_RANGE, ENTRY(result), 1, ATR_REASON_RATE_SOURCE, 0},
	{ATR_REASON_FIELD_RANGE, ENTRY(flags), 1, 5, 0},
	{ATR_REASON_FIELD_RANGE, ENTRY(flags), 1, ATR_ACK_FLAG_MIXED | ATR_ACK_FLAG_FINAL, 0},
	{ATR_REASON_PAYLOAD_LENGTH, ENTRY(flags), 1, 0, 0},
	{ATR_REASON_PAYLOAD_PADDING, ENTRY(zero) + 3, 1, 1, 0},
	{ATR_REASON_FIELD_RANGE, RESULT(0), 2, ATR_OK, 0},
	{ATR_REASON_FIELD_RANGE, RESULT(1), 2, ATR_REASON_LEVEL | 2 << 8, 0},
	{ATR_REASON_PAYLOAD_PADDING, RESULT(3) + 1, 1, 1, 0},
	{ATR_REASON_PACKET_FLAGS, PACKET(flags), 8, ATR_FLAG_ARENA | 4, 0},
	{ATR_REASON_UNKNOWN_TOPIC, PACKET(topic_id), 4, 1, 0},
	{ATR_REASON_UNKNOWN_TYPE, PACKET(type_id), 4, 2, 0},
	{ATR_REASON_SENDER_MISMATCH, PACKET(sender_id), 4, 1, 0},
	{ATR_REASON_UNKNOWN_SOURCE, offsetof(struct atr_frame_hdr, source), 4, 1, 0},
};

/* Invariant: a body that breaks a rule of the format is refused for it even under a right
 * signature, whose prefix must be that of acknowledgements. */
static void signed_nonsense(void **state)
{
	struct rig *rig = two_datagrams();
	const struct rig_datagram *d = &rig->datagram[0];
	uint8_t bytes[ATR_DATAGRAM_MAX];
	const size_t body = sizeof(struct atr_ack_body) + sizeof(struct atr_ack_wire_entry) + 8;
	size_t length;

	(void)state;
	memcpy(bytes, d->bytes, d->length);
	length = sign_alone(rig, bytes, body, ATR_ACK_HEAD_PREFIX);
	assert_int_equal(atr_ack_parse(&rig->reader, bytes, length, &counter), ATR_OK);
	assert_int_equal(visits, 1);
	length = sign_alone(rig, bytes, body, ATR_TREE_HEAD_PREFIX);
	assert_int_equal(atr_ack_parse(&rig->reader, bytes, length, &counter),
			 ATR_REASON_BAD_SIGNATURE);
	for (unsigned int i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		const struct change *c = &changes[i];
		uint8_t reason;

		memcpy(bytes, d->bytes, d->length);
		memset(bytes + BODY_AT + body, 0, 64);
		memcpy(bytes + c->offset, &c->value, c->size);
		length = sign_alone(rig, bytes, (size_t)((ptrdiff_t)body + c->grow),
				    ATR_ACK_HEAD_PREFIX);
		reason = atr_ack_parse(&rig->reader, bytes, length, &counter);
		if (reason != c->reason)
			fail_msg("change %u: %s instead of %s", i, atr_reason_name(reason),
				 atr_reason_name(c->reason));
	}
	assert_int_equal(visits, 1);
	rig_free(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_bit_is_checked),
		cmocka_unit_test(every_length),
		cmocka_unit_test(foreign_origin),
		cmocka_unit_test(signed_nonsense),
	};

	return cmocka_run_group_tests_name("ack_hostile", tests, NULL, NULL);
}
