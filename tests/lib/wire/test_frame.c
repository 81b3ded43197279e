/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "../../../lib/reason/reason.h"
#include "../../../lib/wire/frame.h"

#define EVENTS_MAX  8
#define ROUNDS      3000
#define FRAME_BYTES 16384

static uint64_t random_state = 88172645463325252ULL;

static uint64_t next_random(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

static uint8_t payload_bytes[4096];

struct sample {
	uint8_t *bytes; /* exact size, on the heap, so that sanitizers see every overrun */
	size_t length;
	struct atr_frame_spec spec;
	struct atr_event events[EVENTS_MAX];
	unsigned int count;
};

static size_t trailer_size(uint32_t index, uint32_t count)
{
	return ATR_SIGNATURE_SIZE + (size_t)atr_frame_proof_nodes(index, count) * ATR_HASH_SIZE;
}

static void sample_finish(struct sample *s)
{
	static uint8_t scratch[FRAME_BYTES];
	int body = atr_frame_build_body(&s->spec, s->events, s->count, scratch, sizeof(scratch));

	assert_true(body > 0);
	assert_int_equal(body, atr_frame_body_size(s->events, s->count));
	s->length = (size_t)body + trailer_size(s->spec.leaf_index, s->spec.leaf_count);
	s->bytes = malloc(s->length);
	assert_non_null(s->bytes);
	memcpy(s->bytes, scratch, (size_t)body);
	for (size_t i = (size_t)body; i < s->length; i++)
		s->bytes[i] = (uint8_t)next_random();
}

/* Three events: inline, arena, arena; leaf 2 of 5 (three proof nodes). */
static void sample_fixed(struct sample *s)
{
	memset(s, 0, sizeof(*s));
	s->spec = (struct atr_frame_spec){.realm = 7,
					  .source = 3,
					  .key = 1,
					  .first_sequence = 100,
					  .timestamp_ns = 1,
					  .leaf_index = 2,
					  .leaf_count = 5};
	s->count = 3;
	for (unsigned int i = 0; i < s->count; i++) {
		s->events[i] = (struct atr_event){.topic_id = 1 + i,
						  .type_id = 9,
						  .timestamp_ns = 5,
						  .priority = (uint8_t)i,
						  .payload = payload_bytes,
						  .payload_length = i ? 37 + 10 * i : 36};
	}
	sample_finish(s);
}

static void sample_random(struct sample *s)
{
	memset(s, 0, sizeof(*s));
	s->spec.realm = next_random();
	s->spec.source = (uint32_t)next_random();
	s->spec.key = (uint32_t)next_random();
	s->spec.first_sequence = next_random() >> 1;
	s->spec.timestamp_ns = next_random();
	s->spec.leaf_count = 1 + (uint32_t)next_random() % (1U << (next_random() % 32));
	s->spec.leaf_index = (uint32_t)next_random() % s->spec.leaf_count;
	s->count = 1 + next_random() % EVENTS_MAX;
	for (unsigned int i = 0; i < s->count; i++) {
		struct atr_event *e = &s->events[i];

		e->topic_id = (uint32_t)next_random();
		e->type_id = (uint32_t)next_random();
		e->timestamp_ns = next_random();
		e->priority = next_random() & 3;
		e->payload_length = (uint32_t)(next_random() % (next_random() & 1 ? 40 : 1000));
		e->payload = payload_bytes + next_random() % 64;
	}
	sample_finish(s);
}

static uint8_t judge(const uint8_t *bytes, size_t length)
{
	struct atr_frame frame;
	uint8_t reason = atr_frame_parse(bytes, length, &frame);

	if (reason == ATR_OK)
		reason = atr_frame_canonical(&frame);
	for (unsigned int i = 0; reason == ATR_OK && i < frame.packet_count; i++)
		reason = atr_packet_canonical(&frame.packets[i], frame.hdr->source);
	return reason;
}

/* Proof length by definition: the number of splits on the way from the root to the leaf. */
static unsigned int naive_nodes(uint64_t index, uint64_t count)
{
	uint64_t split = 1;

	if (count == 1)
		return 0;
	while (split * 2 < count)
		split *= 2;
	return 1 + (index < split ? naive_nodes(index, split)
				  : naive_nodes(index - split, count - split));
}

/* Invariant: the proof length rule equals RFC 6962's recursive definition. */
static void proof_length_is_rfc6962(void **state)
{
	(void)state;
	for (uint32_t count = 1; count <= 300; count++)
		for (uint32_t index = 0; index < count; index++)
			assert_int_equal(atr_frame_proof_nodes(index, count),
					 naive_nodes(index, count));
	for (unsigned int i = 0; i < ROUNDS; i++) {
		uint32_t count = 1 + (uint32_t)(next_random() % UINT32_MAX);
		uint32_t index = (uint32_t)next_random() % count;

		assert_int_equal(atr_frame_proof_nodes(index, count), naive_nodes(index, count));
	}
	assert_int_equal(atr_frame_proof_nodes(0, UINT32_MAX), 32);
	assert_int_equal(atr_frame_proof_nodes(UINT32_MAX - 1, UINT32_MAX),
			 naive_nodes(UINT32_MAX - 1, UINT32_MAX));
	assert_int_equal(atr_frame_proof_nodes(UINT32_MAX / 2, 0x80000000U), 31);
}

/* Invariant: what is built is canonical and reads back as what was put in. */
static void built_frames_round_trip(void **state)
{
	(void)state;
	for (unsigned int round = 0; round < ROUNDS; round++) {
		struct atr_frame frame;
		struct sample s;

		sample_random(&s);
		assert_int_equal(judge(s.bytes, s.length), ATR_OK);
		assert_int_equal(atr_frame_parse(s.bytes, s.length, &frame), ATR_OK);
		assert_int_equal(frame.hdr->realm, s.spec.realm);
		assert_int_equal(frame.hdr->source, s.spec.source);
		assert_int_equal(frame.hdr->key, s.spec.key);
		assert_int_equal(frame.hdr->first_sequence, s.spec.first_sequence);
		assert_int_equal(frame.hdr->timestamp_ns, s.spec.timestamp_ns);
		assert_int_equal(frame.packet_count, s.count);
		assert_int_equal(frame.leaf_size, atr_frame_body_size(s.events, s.count));
		assert_ptr_equal(frame.signature, s.bytes + frame.leaf_size);
		assert_ptr_equal(frame.proof + frame.proof_nodes * ATR_HASH_SIZE,
				 s.bytes + s.length);
		for (unsigned int i = 0; i < s.count; i++) {
			const struct atr_event *e = &s.events[i];
			uint32_t length;
			const uint8_t *payload = atr_frame_payload(&frame, i, &length);

			assert_int_equal(frame.packets[i].topic_id, e->topic_id);
			assert_int_equal(frame.packets[i].type_id, e->type_id);
			assert_int_equal(frame.packets[i].timestamp_ns, e->timestamp_ns);
			assert_memory_equal(payload, e->payload, e->payload_length);
			if (e->payload_length > ATR_INLINE_MAX)
				assert_int_equal(length, e->payload_length);
			else
				assert_int_equal(length, ATR_INLINE_MAX);
			for (uint32_t b = e->payload_length; b < length; b++)
				assert_int_equal(payload[b], 0);
		}
		free(s.bytes);
	}
}

/* Invariant: a frame cut anywhere, or followed by anything, is refused as such and is not read
 * beyond its end. */
static void length_is_exact(void **state)
{
	struct sample s;

	(void)state;
	sample_fixed(&s);
	for (size_t length = 0; length < s.length; length++) {
		uint8_t *cut = malloc(length ? length : 1);

		assert_non_null(cut);
		memcpy(cut, s.bytes, length);
		assert_int_equal(judge(cut, length), ATR_REASON_FRAME_TRUNCATED);
		free(cut);
	}
	for (size_t extra = 1; extra <= 64; extra++) {
		uint8_t *longer = calloc(1, s.length + extra);

		assert_non_null(longer);
		memcpy(longer, s.bytes, s.length);
		assert_int_equal(judge(longer, s.length + extra), ATR_REASON_FRAME_TRAILING);
		free(longer);
	}
	free(s.bytes);
}

static struct atr_frame_hdr *header_of(const struct sample *s)
{
	return (struct atr_frame_hdr *)s->bytes;
}

static struct atr_packet *packet_of(const struct sample *s, unsigned int i)
{
	return (struct atr_packet *)(s->bytes + ATR_FRAME_HDR_SIZE + (size_t)i * ATR_PACKET_SIZE);
}

#define EXPECT(change, reason_expected)                                      \
	do {                                                                 \
		struct sample s;                                             \
		struct atr_frame_hdr *h;                                     \
		struct atr_packet *p0, *p1, *p2;                             \
                                                                             \
		sample_fixed(&s);                                            \
		h = header_of(&s);                                           \
		p0 = packet_of(&s, 0);                                       \
		p1 = packet_of(&s, 1);                                       \
		p2 = packet_of(&s, 2);                                       \
		(void)h, (void)p0, (void)p1, (void)p2;                       \
		change;                                                      \
		assert_int_equal(judge(s.bytes, s.length), reason_expected); \
		free(s.bytes);                                               \
	} while (0)

/* Invariant: every structural fault has its own reason. */
static void structure_faults_are_named(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 4; i++)
		EXPECT(h->magic[i] ^= 1, ATR_REASON_FRAME_MAGIC);
	EXPECT(h->version = 0, ATR_REASON_FRAME_VERSION);
	EXPECT(h->version = 2, ATR_REASON_FRAME_VERSION);
	EXPECT(h->packet_count = 0, ATR_REASON_FRAME_EMPTY);
	EXPECT(h->packet_count = 2, ATR_REASON_FRAME_TRAILING);
	EXPECT(h->packet_count = 4, ATR_REASON_FRAME_TRUNCATED);
	EXPECT(h->packet_count = UINT16_MAX, ATR_REASON_FRAME_TRUNCATED);
	EXPECT(h->leaf_index = 5, ATR_REASON_FRAME_LEAF);
	EXPECT(h->leaf_index = UINT32_MAX, ATR_REASON_FRAME_LEAF);
	EXPECT(h->leaf_count = 0, ATR_REASON_FRAME_LEAF);
	EXPECT(h->leaf_count = UINT32_MAX, ATR_REASON_FRAME_TRUNCATED);
	EXPECT(h->leaf_index = 4, ATR_REASON_FRAME_TRAILING);
	EXPECT(h->first_sequence = UINT64_MAX - 2, ATR_OK);
	EXPECT(h->first_sequence = UINT64_MAX - 1, ATR_REASON_SEQUENCE_WRAP);
	EXPECT(h->first_sequence = UINT64_MAX, ATR_REASON_SEQUENCE_WRAP);
	EXPECT(h->arena_length = UINT32_MAX, ATR_REASON_FRAME_TRUNCATED);
	EXPECT(h->arena_length--, ATR_REASON_FRAME_TRAILING);
	EXPECT(p2->arena.length++, ATR_REASON_ARENA_BOUNDS);
	EXPECT(p2->arena.offset++, ATR_REASON_ARENA_BOUNDS);
	EXPECT(p1->arena.offset = UINT32_MAX, ATR_REASON_ARENA_BOUNDS);
	EXPECT(p1->arena.length = UINT32_MAX, ATR_REASON_ARENA_BOUNDS);
	EXPECT((p1->arena.offset = UINT32_MAX, p1->arena.length = UINT32_MAX),
	       ATR_REASON_ARENA_BOUNDS);
	EXPECT(p0->flags = ATR_FLAG_ARENA | ATR_FLAG_INLINE;
	       p0->arena.length = UINT32_MAX, ATR_REASON_ARENA_BOUNDS);
}

/* Invariant: where several checks would fail, the first in the documented order names it. */
static void order_of_checks_holds(void **state)
{
	(void)state;
	EXPECT((h->magic[1] = 0, h->version = 0), ATR_REASON_FRAME_MAGIC);
	EXPECT((h->version = 0, h->packet_count = 0), ATR_REASON_FRAME_VERSION);
	EXPECT((h->packet_count = 0, h->leaf_count = 0), ATR_REASON_FRAME_EMPTY);
	EXPECT((h->leaf_count = 0, h->first_sequence = UINT64_MAX), ATR_REASON_FRAME_LEAF);
	EXPECT((h->first_sequence = UINT64_MAX, h->arena_length = UINT32_MAX),
	       ATR_REASON_SEQUENCE_WRAP);
	EXPECT((h->arena_length--, p2->arena.length = UINT32_MAX), ATR_REASON_FRAME_TRAILING);
	EXPECT((p2->arena.length = UINT32_MAX, h->flags = 1), ATR_REASON_ARENA_BOUNDS);
	EXPECT((h->flags = 1, h->zero[0] = 1), ATR_REASON_FRAME_FLAGS);
	EXPECT((h->zero[0] = 1, p1->arena.offset = 1), ATR_REASON_FRAME_RESERVED);
	EXPECT((p2->arena.offset = 0, p0->flags = 0), ATR_REASON_ARENA_LAYOUT);
	EXPECT((p1->sender_id++, p1->flags |= 0x20), ATR_REASON_PACKET_FLAGS);
	EXPECT((p1->sender_id++, p1->arena.zero[0] = 1), ATR_REASON_SENDER_MISMATCH);
}

/* Invariant: no bit outside its meaning, in any reserved byte, is accepted. */
static void canonical_faults_are_named(void **state)
{
	(void)state;
	for (unsigned int bit = 0; bit < 8; bit++) {
		EXPECT(h->flags = (uint8_t)(1U << bit), ATR_REASON_FRAME_FLAGS);
		for (unsigned int i = 0; i < sizeof(((struct atr_frame_hdr *)0)->zero); i++)
			EXPECT(h->zero[i] = (uint8_t)(1U << bit), ATR_REASON_FRAME_RESERVED);
		for (unsigned int i = 0; i < sizeof(((struct atr_packet *)0)->arena.zero); i++)
			EXPECT(p1->arena.zero[i] = (uint8_t)(1U << bit),
			       ATR_REASON_PACKET_RESERVED);
	}
	for (unsigned int bit = 4; bit < 64; bit++)
		EXPECT(p0->flags |= UINT64_C(1) << bit, ATR_REASON_PACKET_FLAGS);
	EXPECT(p0->flags = 0, ATR_REASON_PACKET_FLAGS);
	EXPECT((p0->flags = ATR_FLAG_INLINE | ATR_FLAGS_INGRESS, p0->arena.offset = 0,
		p0->arena.length = 0),
	       ATR_REASON_ARENA_LAYOUT);
	for (uint64_t priority = 0; priority < 4; priority++)
		EXPECT(p0->flags = ATR_FLAG_INLINE | priority << ATR_FLAG_PRIORITY_SHIFT, ATR_OK);
	EXPECT(p0->sender_id++, ATR_REASON_SENDER_MISMATCH);
	EXPECT((p1->flags = (p1->flags & ~ATR_FLAG_ARENA) | ATR_FLAG_INLINE),
	       ATR_REASON_ARENA_LAYOUT);
	EXPECT((p1->arena.offset = 57, p2->arena.offset = 0), ATR_REASON_ARENA_LAYOUT);
	EXPECT(p1->arena.length--, ATR_REASON_ARENA_LAYOUT);
	EXPECT((p1->arena.length += 21, p2->arena.offset += 21, p2->arena.length -= 21),
	       ATR_REASON_ARENA_LAYOUT);
	EXPECT(p2->arena.length--, ATR_REASON_ARENA_LAYOUT);
}

/* Invariant: one encoding: both INLINE and ARENA on one packet are refused even where the arena
 * layout itself fits. */
static void both_forms_at_once_are_refused(void **state)
{
	(void)state;
	EXPECT(p1->flags |= ATR_FLAG_INLINE, ATR_REASON_PACKET_FLAGS);
	EXPECT(p1->flags |= ATR_FLAG_ENVELOPE, ATR_REASON_PACKET_FLAGS);
}

/* Invariant: whatever bytes come, parse never leaves a pointer out of bounds (sanitizers watch the
 * exact-size block), and what it accepts walks through to the end. */
static void mutations_stay_in_bounds(void **state)
{
	unsigned int accepted = 0;

	(void)state;
	for (unsigned int round = 0; round < 10 * ROUNDS; round++) {
		volatile uint8_t sum = 0;
		struct atr_frame frame;
		struct sample s;

		sample_random(&s);
		for (unsigned int n = next_random() % 4; n > 0; n--)
			s.bytes[next_random() % (ATR_FRAME_HDR_SIZE + 2 * ATR_PACKET_SIZE)] =
				(uint8_t)next_random();
		if (atr_frame_parse(s.bytes, s.length, &frame) == ATR_OK) {
			struct atr_frame again = frame;

			accepted++;
			if (!frame.in_arena) {
				/* Invariant: reopened, a frame is what it was. */
				memset(&again, 0, sizeof(again));
				atr_frame_reopen(s.bytes, &again);
				assert_ptr_equal(again.arena, frame.arena);
				assert_ptr_equal(again.proof, frame.proof);
				assert_int_equal(again.leaf_size, frame.leaf_size);
				assert_int_equal(again.packet_count, frame.packet_count);
				assert_int_equal(again.proof_nodes, frame.proof_nodes);
			}
			for (unsigned int i = 0; i < frame.packet_count; i++) {
				uint32_t length;
				const uint8_t *at = atr_frame_payload(&frame, i, &length);

				for (uint32_t b = 0; b < length; b++)
					sum ^= at[b];
			}
			(void)atr_frame_canonical(&frame);
		}
		free(s.bytes);
	}
	assert_true(accepted > ROUNDS);
}

/* Invariant: the builder refuses what no frame can hold, and writes nothing beyond capacity. */
static void builder_refuses(void **state)
{
	struct atr_event event = {.payload = payload_bytes, .payload_length = 37};
	struct atr_frame_spec spec = {.leaf_count = 1};
	uint8_t *out = malloc(64 + 64 + 37);

	(void)state;
	assert_non_null(out);
	assert_int_equal(atr_frame_build_body(&spec, &event, 0, out, 165), -EINVAL);
	assert_int_equal(atr_frame_build_body(&spec, &event, 65536, out, 165), -EINVAL);
	assert_int_equal(atr_frame_build_body(&spec, &event, 1, out, 164), -EMSGSIZE);
	assert_int_equal(atr_frame_build_body(&spec, &event, 1, out, 165), 165);
	event.priority = 4;
	assert_int_equal(atr_frame_build_body(&spec, &event, 1, out, 165), -EINVAL);
	free(out);
}

/* Invariant: the signed bytes of a tree head are the documented 68. */
static void tree_head_bytes(void **state)
{
	static const uint8_t expected[36] = {'A', 'T', 'R', '/', 't', 'r', 'e',  'e',  'h',
					     'e', 'a', 'd', '/', 'v', '1', '\n', 8,    7,
					     6,   5,   4,   3,   2,   1,   0x0c, 0x0b, 0x0a,
					     9,   16,  15,  14,  13,  20,  19,   18,   17};
	struct atr_tree_head head;
	uint8_t root[32];

	(void)state;
	memset(root, 0xee, sizeof(root));
	atr_tree_head_init(&head, 0x0102030405060708, 0x090a0b0c, 0x0d0e0f10, 0x11121314, root);
	assert_memory_equal(&head, expected, sizeof(expected));
	assert_memory_equal((uint8_t *)&head + sizeof(expected), root, sizeof(root));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(proof_length_is_rfc6962),
		cmocka_unit_test(built_frames_round_trip),
		cmocka_unit_test(length_is_exact),
		cmocka_unit_test(structure_faults_are_named),
		cmocka_unit_test(order_of_checks_holds),
		cmocka_unit_test(canonical_faults_are_named),
		cmocka_unit_test(both_forms_at_once_are_refused),
		cmocka_unit_test(mutations_stay_in_bounds),
		cmocka_unit_test(builder_refuses),
		cmocka_unit_test(tree_head_bytes),
	};

	for (unsigned int i = 0; i < sizeof(payload_bytes); i++)
		payload_bytes[i] = (uint8_t)(1 + i % 251);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
