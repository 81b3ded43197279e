/* SPDX-License-Identifier: BSD-3-Clause */
#include "frame.h"

#include <string.h>

#include "../reason/reason.h"

static const uint8_t frame_magic[4] = {ATR_FIRST_BYTE_FRAME, 'A', 'T', 'R'};

unsigned int atr_frame_proof_nodes(uint32_t leaf_index, uint32_t leaf_count)
{
	uint32_t differ = leaf_index ^ (leaf_count - 1);
	unsigned int inner = differ ? 32 - (unsigned int)__builtin_clz(differ) : 0;
	uint32_t above = inner < 32 ? leaf_index >> inner : 0;

	return inner + (unsigned int)__builtin_popcount(above);
}

static uint8_t check_header(const struct atr_frame_hdr *hdr)
{
	if (memcmp(hdr->magic, frame_magic, sizeof(frame_magic)) != 0)
		return ATR_REASON_FRAME_MAGIC;
	if (hdr->version != ATR_FRAME_VERSION)
		return ATR_REASON_FRAME_VERSION;
	if (hdr->packet_count == 0)
		return ATR_REASON_FRAME_EMPTY;
	if (hdr->leaf_index >= hdr->leaf_count)
		return ATR_REASON_FRAME_LEAF;
	if (hdr->first_sequence > UINT64_MAX - (hdr->packet_count - 1U))
		return ATR_REASON_SEQUENCE_WRAP;
	return ATR_OK;
}

static bool any_in_arena(const struct atr_frame *frame)
{
	uint64_t flags = 0;

	for (unsigned int i = 0; i < frame->packet_count; i++)
		flags |= frame->packets[i].flags;
	return (flags & ATR_FLAG_ARENA) != 0;
}

static bool arena_bounds_ok(const struct atr_frame *frame)
{
	uint64_t arena_length = frame->hdr->arena_length;
	unsigned int outside = 0;

	for (unsigned int i = 0; i < frame->packet_count; i++) {
		const struct atr_packet *p = &frame->packets[i];
		uint64_t end = (uint64_t)p->arena.offset + p->arena.length;

		outside |= (unsigned int)((p->flags & ATR_FLAG_ARENA) != 0) & (end > arena_length);
	}
	return !outside;
}

static uint64_t leaf_size_of(const struct atr_frame_hdr *hdr)
{
	return ATR_FRAME_HDR_SIZE + (uint64_t)hdr->packet_count * ATR_PACKET_SIZE +
	       hdr->arena_length;
}

static void place(const uint8_t *data, uint64_t leaf_size, unsigned int nodes,
		  struct atr_frame *frame)
{
	const struct atr_frame_hdr *hdr = (const struct atr_frame_hdr *)data;

	frame->hdr = hdr;
	frame->packets = (const struct atr_packet *)(data + ATR_FRAME_HDR_SIZE);
	frame->arena = data + leaf_size - hdr->arena_length;
	frame->signature = data + leaf_size;
	frame->proof = frame->signature + ATR_SIGNATURE_SIZE;
	frame->leaf_size = (uint32_t)leaf_size;
	frame->packet_count = hdr->packet_count;
	frame->proof_nodes = (uint16_t)nodes;
	frame->key_serial = 0;
}

uint8_t atr_frame_parse(const uint8_t *data, size_t length, struct atr_frame *frame)
{
	const struct atr_frame_hdr *hdr = (const struct atr_frame_hdr *)data;
	uint64_t leaf_size, total;
	unsigned int nodes;
	uint8_t reason;

	if (length < ATR_FRAME_HDR_SIZE)
		return ATR_REASON_FRAME_TRUNCATED;
	reason = check_header(hdr);
	if (reason != ATR_OK)
		return reason;

	nodes = atr_frame_proof_nodes(hdr->leaf_index, hdr->leaf_count);
	leaf_size = leaf_size_of(hdr);
	total = leaf_size + ATR_SIGNATURE_SIZE + (uint64_t)nodes * ATR_HASH_SIZE;
	if (length < total)
		return ATR_REASON_FRAME_TRUNCATED;
	if (length > total)
		return ATR_REASON_FRAME_TRAILING;

	place(data, leaf_size, nodes, frame);
	frame->in_arena = any_in_arena(frame);
	return !frame->in_arena || arena_bounds_ok(frame) ? ATR_OK : ATR_REASON_ARENA_BOUNDS;
}

void atr_frame_reopen(const uint8_t *data, struct atr_frame *frame)
{
	const struct atr_frame_hdr *hdr = (const struct atr_frame_hdr *)data;

	place(data, leaf_size_of(hdr), atr_frame_proof_nodes(hdr->leaf_index, hdr->leaf_count),
	      frame);
	frame->in_arena = false;
}

static bool arena_layout_ok(const struct atr_frame *frame)
{
	uint64_t expected = 0;
	unsigned int wrong = 0;

	if (!frame->in_arena)
		return frame->hdr->arena_length == 0;
	for (unsigned int i = 0; i < frame->packet_count; i++) {
		const struct atr_packet *p = &frame->packets[i];

		if (!(p->flags & ATR_FLAG_ARENA))
			continue;
		wrong |= p->arena.offset != expected;
		wrong |= p->arena.length <= ATR_INLINE_MAX;
		expected += p->arena.length;
	}
	return !wrong && expected == frame->hdr->arena_length;
}

uint8_t atr_frame_canonical(const struct atr_frame *frame)
{
	const struct atr_frame_hdr *hdr = frame->hdr;
	uint64_t low;
	uint32_t high;

	_Static_assert(sizeof(hdr->zero) == sizeof(low) + sizeof(high), "12 reserved bytes");
	if (hdr->flags != 0)
		return ATR_REASON_FRAME_FLAGS;
	memcpy(&low, hdr->zero, sizeof(low));
	memcpy(&high, hdr->zero + sizeof(low), sizeof(high));
	if (low | high)
		return ATR_REASON_FRAME_RESERVED;
	if (!arena_layout_ok(frame))
		return ATR_REASON_ARENA_LAYOUT;
	return ATR_OK;
}

static bool arena_packet_zeros(const struct atr_packet *packet)
{
	uint64_t words[3];
	uint32_t last;

	_Static_assert(sizeof(packet->arena.zero) == sizeof(words) + sizeof(last), "28 zeros");
	memcpy(words, packet->arena.zero, sizeof(words));
	memcpy(&last, packet->arena.zero + sizeof(words), sizeof(last));
	return (words[0] | words[1] | words[2] | last) == 0;
}

uint8_t atr_packet_canonical(const struct atr_packet *packet, uint32_t source)
{
	uint64_t flags = packet->flags;
	bool in_arena = (flags & ATR_FLAG_ARENA) != 0;
	bool is_inline = (flags & ATR_FLAG_INLINE) != 0;

	if ((flags & ~ATR_FLAGS_INGRESS) || in_arena == is_inline)
		return ATR_REASON_PACKET_FLAGS;
	if (packet->sender_id != source)
		return ATR_REASON_SENDER_MISMATCH;
	if (in_arena && !arena_packet_zeros(packet))
		return ATR_REASON_PACKET_RESERVED;
	return ATR_OK;
}
