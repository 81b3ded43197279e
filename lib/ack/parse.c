/* SPDX-License-Identifier: BSD-3-Clause */
#include "ack.h"

#include <string.h>

#include "../merkle/merkle.h"

static bool all_zero(const uint8_t *bytes, size_t size)
{
	uint8_t any = 0;

	for (size_t i = 0; i < size; i++)
		any |= bytes[i];
	return any == 0;
}

static bool settled(uint8_t reason)
{
	return reason == ATR_OK || reason == ATR_DUPLICATE;
}

/* A mixed entry's results: what the entry says of the whole must be what they say. */
static uint8_t check_results(const struct atr_ack_wire_entry *entry,
			     const struct atr_ack_result *results)
{
	uint8_t first = ATR_OK, final = 1, differ = 0;

	for (unsigned int i = 0; i < entry->events; i++) {
		const struct atr_ack_result *r = &results[i];

		if (r->final > 1 || (settled(r->reason) && !r->final))
			return ATR_REASON_FIELD_RANGE;
		if (settled(first) && !settled(r->reason))
			first = r->reason;
		final &= r->final;
		differ |= (uint8_t)(r->reason ^ results[0].reason);
	}
	if (!differ || entry->result != first || final != !!(entry->flags & ATR_ACK_FLAG_FINAL))
		return ATR_REASON_FIELD_RANGE;
	return ATR_OK;
}

static uint8_t check_entry(const struct atr_ack_wire_entry *entry)
{
	bool mixed = entry->flags & ATR_ACK_FLAG_MIXED;

	if (entry->events == 0 || entry->events > ATR_FRAME_PACKETS_MAX ||
	    entry->first_sequence > UINT64_MAX - (entry->events - 1U) ||
	    (entry->flags & ~(ATR_ACK_FLAG_MIXED | ATR_ACK_FLAG_FINAL)))
		return ATR_REASON_FIELD_RANGE;
	if (!mixed && settled(entry->result) && !(entry->flags & ATR_ACK_FLAG_FINAL))
		return ATR_REASON_FIELD_RANGE;
	return all_zero(entry->zero, sizeof(entry->zero)) ? ATR_OK : ATR_REASON_PAYLOAD_PADDING;
}

static void visit(const struct atr_ack_visitor *visitor, const struct atr_ack_notice *notice,
		  const struct atr_ack_wire_entry *wire, const struct atr_ack_result *results)
{
	struct atr_ack_entry entry = {
		.first_sequence = wire->first_sequence,
		.position = wire->position,
		.leaf = wire->leaf,
		.events = wire->events,
		.result = wire->result,
		.final = wire->flags & ATR_ACK_FLAG_FINAL,
		.results = results,
	};

	visitor->entry(visitor->ctx, notice, &entry);
}

/* Checks one body, or, with a visitor, visits one that was checked. */
static uint8_t read_body(struct atr_ack_notice *notice, const uint8_t *bytes, size_t length,
			 const struct atr_ack_visitor *visitor)
{
	const struct atr_ack_body *body = (const struct atr_ack_body *)bytes;
	size_t at = sizeof(*body);

	if (length < at)
		return ATR_REASON_PAYLOAD_LENGTH;
	if (body->source == 0 || body->source > UINT16_MAX || body->count == 0)
		return ATR_REASON_FIELD_RANGE;
	notice->source = body->source;
	notice->count = body->count;
	notice->floor = body->floor;
	for (uint32_t i = 0; i < body->count; i++) {
		const struct atr_ack_wire_entry *entry =
			(const struct atr_ack_wire_entry *)(bytes + at);
		const struct atr_ack_result *results = NULL;
		size_t size, used;
		uint8_t reason;

		if (length - at < sizeof(*entry))
			return ATR_REASON_PAYLOAD_LENGTH;
		at += sizeof(*entry);
		reason = check_entry(entry);
		if (reason != ATR_OK)
			return reason;
		if (entry->flags & ATR_ACK_FLAG_MIXED) {
			results = (const struct atr_ack_result *)(bytes + at);
			used = entry->events * sizeof(*results);
			size = atr_ack_results_size(entry->events);
			if (length - at < size)
				return ATR_REASON_PAYLOAD_LENGTH;
			reason = check_results(entry, results);
			if (reason == ATR_OK && !all_zero(bytes + at + used, size - used))
				reason = ATR_REASON_PAYLOAD_PADDING;
			if (reason != ATR_OK)
				return reason;
			at += size;
		}
		if (visitor)
			visit(visitor, notice, entry, results);
	}
	return at == length ? ATR_OK : ATR_REASON_PAYLOAD_LENGTH;
}

static uint8_t check_packet(const struct atr_packet *packet)
{
	uint8_t reason = atr_packet_canonical(packet, ATR_ACK_SOURCE);

	if (reason != ATR_OK)
		return reason;
	if (packet->flags != ATR_FLAG_ARENA)
		return ATR_REASON_PACKET_FLAGS;
	if (packet->topic_id != ATR_ACK_TOPIC)
		return ATR_REASON_UNKNOWN_TOPIC;
	return packet->type_id == ATR_ACK_TYPE ? ATR_OK : ATR_REASON_UNKNOWN_TYPE;
}

static uint8_t read_bodies(const struct atr_frame *frame, const struct atr_ack_visitor *visitor)
{
	for (unsigned int i = 0; i < frame->packet_count; i++) {
		struct atr_ack_notice notice = {
			.number = frame->hdr->first_sequence + i,
			.timestamp_ns = frame->packets[i].timestamp_ns,
		};
		uint8_t reason = check_packet(&frame->packets[i]);
		const uint8_t *bytes;
		uint32_t length;

		if (reason != ATR_OK)
			return reason;
		bytes = atr_frame_payload(frame, i, &length);
		reason = read_body(&notice, bytes, length, visitor);
		if (reason != ATR_OK)
			return reason;
	}
	return ATR_OK;
}

static uint8_t authenticate(struct atr_ack_reader *reader, const uint8_t *datagram,
			    const struct atr_frame *frame)
{
	uint8_t leaf[ATR_MERKLE_HASH], root[ATR_MERKLE_HASH];
	const struct atr_frame_hdr *hdr = frame->hdr;
	struct atr_tree_head head;

	if (hdr->realm != reader->realm)
		return ATR_REASON_REALM;
	if (hdr->key != reader->key)
		return ATR_REASON_UNKNOWN_KEY;
	/* The datagram's first byte is the leaf prefix. */
	atr_merkle_leaf(datagram + 1, frame->leaf_size - 1, leaf);
	if (atr_merkle_inclusion_root(hdr->leaf_index, hdr->leaf_count, leaf, frame->proof,
				      frame->proof_nodes, root) < 0)
		return ATR_REASON_BAD_PROOF;
	atr_tree_head_init(&head, hdr->realm, hdr->source, hdr->key, hdr->leaf_count, root);
	memcpy(head.prefix, ATR_ACK_HEAD_PREFIX, sizeof(head.prefix));
	if (reader->proven && memcmp(&head, &reader->head, sizeof(head)) == 0 &&
	    memcmp(frame->signature, reader->signature, ATR_SIGNATURE_SIZE) == 0)
		return ATR_OK;
	if (!atr_verify(reader->public_key, (const uint8_t *)&head, sizeof(head), frame->signature))
		return ATR_REASON_BAD_SIGNATURE;
	reader->proven = true;
	reader->head = head;
	memcpy(reader->signature, frame->signature, ATR_SIGNATURE_SIZE);
	return ATR_OK;
}

uint8_t atr_ack_parse(struct atr_ack_reader *reader, const uint8_t *datagram, size_t length,
		      const struct atr_ack_visitor *visitor)
{
	struct atr_frame frame;
	uint8_t reason = atr_frame_parse(datagram, length, &frame);

	if (reason != ATR_OK)
		return reason;
	if (frame.hdr->source != ATR_ACK_SOURCE)
		return ATR_REASON_UNKNOWN_SOURCE;
	reason = atr_frame_canonical(&frame);
	if (reason == ATR_OK)
		reason = read_bodies(&frame, NULL);
	if (reason == ATR_OK)
		reason = authenticate(reader, datagram, &frame);
	return reason == ATR_OK ? read_bodies(&frame, visitor) : reason;
}
