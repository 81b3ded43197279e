/* SPDX-License-Identifier: BSD-3-Clause */
#include "frame.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#define PRIORITY_LOWEST (ATR_FLAG_PRIORITY_MASK >> ATR_FLAG_PRIORITY_SHIFT)

static bool in_arena(const struct atr_event *event)
{
	return event->payload_length > ATR_INLINE_MAX;
}

size_t atr_frame_body_size(const struct atr_event *events, unsigned int count)
{
	size_t size = ATR_FRAME_HDR_SIZE + (size_t)count * ATR_PACKET_SIZE;

	for (unsigned int i = 0; i < count; i++)
		if (in_arena(&events[i]))
			size += events[i].payload_length;
	return size;
}

static void build_packet(const struct atr_event *event, uint32_t source, uint32_t arena_offset,
			 struct atr_packet *packet)
{
	memset(packet, 0, sizeof(*packet));
	packet->flags = (uint64_t)event->priority << ATR_FLAG_PRIORITY_SHIFT;
	packet->topic_id = event->topic_id;
	packet->sender_id = source;
	packet->timestamp_ns = event->timestamp_ns;
	packet->type_id = event->type_id;
	if (in_arena(event)) {
		packet->flags |= ATR_FLAG_ARENA;
		packet->arena.offset = arena_offset;
		packet->arena.length = event->payload_length;
		return;
	}
	packet->flags |= ATR_FLAG_INLINE;
	if (event->payload_length)
		memcpy(packet->payload, event->payload, event->payload_length);
}

void atr_frame_write_hdr(const struct atr_frame_spec *spec, unsigned int count,
			 uint32_t arena_length, struct atr_frame_hdr *hdr)
{
	memset(hdr, 0, sizeof(*hdr));
	hdr->magic[0] = ATR_FIRST_BYTE_FRAME;
	hdr->magic[1] = 'A';
	hdr->magic[2] = 'T';
	hdr->magic[3] = 'R';
	hdr->version = ATR_FRAME_VERSION;
	hdr->packet_count = (uint16_t)count;
	hdr->source = spec->source;
	hdr->key = spec->key;
	hdr->realm = spec->realm;
	hdr->first_sequence = spec->first_sequence;
	hdr->leaf_index = spec->leaf_index;
	hdr->leaf_count = spec->leaf_count;
	hdr->arena_length = arena_length;
	hdr->timestamp_ns = spec->timestamp_ns;
}

int atr_frame_build_body(const struct atr_frame_spec *spec, const struct atr_event *events,
			 unsigned int count, uint8_t *out, size_t capacity)
{
	size_t arena_at = ATR_FRAME_HDR_SIZE + (size_t)count * ATR_PACKET_SIZE;
	uint32_t used = 0;
	size_t size;

	if (count == 0 || count > UINT16_MAX)
		return -EINVAL;
	for (unsigned int i = 0; i < count; i++)
		if (events[i].priority > PRIORITY_LOWEST)
			return -EINVAL;
	size = atr_frame_body_size(events, count);
	if (size > capacity || size > INT_MAX)
		return -EMSGSIZE;

	for (unsigned int i = 0; i < count; i++) {
		size_t packet_at = ATR_FRAME_HDR_SIZE + (size_t)i * ATR_PACKET_SIZE;

		build_packet(&events[i], spec->source, used,
			     (struct atr_packet *)(out + packet_at));
		if (!in_arena(&events[i]))
			continue;
		memcpy(out + arena_at + used, events[i].payload, events[i].payload_length);
		used += events[i].payload_length;
	}
	atr_frame_write_hdr(spec, count, used, (struct atr_frame_hdr *)out);
	return (int)size;
}

void atr_tree_head_init(struct atr_tree_head *head, uint64_t realm, uint32_t source, uint32_t key,
			uint32_t leaf_count, const uint8_t root[ATR_HASH_SIZE])
{
	memcpy(head->prefix, ATR_TREE_HEAD_PREFIX, sizeof(head->prefix));
	head->realm = realm;
	head->source = source;
	head->key = key;
	head->leaf_count = leaf_count;
	memcpy(head->root, root, ATR_HASH_SIZE);
}
