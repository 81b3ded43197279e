/* SPDX-License-Identifier: BSD-3-Clause */
/* Frames: parsing stays in bounds, every payload of a parsed frame is readable, and a canonical
 * frame rebuilt from its events has the same bytes. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../lib/reason/reason.h"
#include "../../lib/wire/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Touches every payload byte; the sum keeps the reads from being optimised away. */
static uint8_t walk(const struct atr_frame *frame)
{
	uint8_t sum = 0;

	for (unsigned int i = 0; i < frame->packet_count; i++) {
		uint32_t length;
		const uint8_t *payload = atr_frame_payload(frame, i, &length);

		for (uint32_t b = 0; b < length; b++)
			sum ^= payload[b];
	}
	for (unsigned int b = 0; b < frame->proof_nodes * (unsigned int)ATR_HASH_SIZE; b++)
		sum ^= frame->proof[b];
	return sum ^ frame->signature[ATR_SIGNATURE_SIZE - 1];
}

static int is_canonical(const struct atr_frame *frame)
{
	if (atr_frame_canonical(frame) != ATR_OK)
		return 0;
	for (unsigned int i = 0; i < frame->packet_count; i++)
		if (atr_packet_canonical(&frame->packets[i], frame->hdr->source) != ATR_OK)
			return 0;
	return 1;
}

static void rebuild(const struct atr_frame *frame)
{
	struct atr_event *events = calloc(frame->packet_count, sizeof(*events));
	uint8_t *out = malloc(frame->leaf_size);
	struct atr_frame_spec spec = {
		.realm = frame->hdr->realm,
		.source = frame->hdr->source,
		.key = frame->hdr->key,
		.first_sequence = frame->hdr->first_sequence,
		.timestamp_ns = frame->hdr->timestamp_ns,
		.leaf_index = frame->hdr->leaf_index,
		.leaf_count = frame->hdr->leaf_count,
	};

	if (!events || !out)
		abort();
	for (unsigned int i = 0; i < frame->packet_count; i++) {
		const struct atr_packet *p = &frame->packets[i];

		events[i].topic_id = p->topic_id;
		events[i].type_id = p->type_id;
		events[i].timestamp_ns = p->timestamp_ns;
		events[i].priority =
			(uint8_t)((p->flags & ATR_FLAG_PRIORITY_MASK) >> ATR_FLAG_PRIORITY_SHIFT);
		events[i].payload = atr_frame_payload(frame, i, &events[i].payload_length);
	}
	if (atr_frame_build_body(&spec, events, frame->packet_count, out, frame->leaf_size) !=
	    (int)frame->leaf_size)
		abort();
	if (memcmp(out, frame->hdr, frame->leaf_size) != 0)
		abort();
	free(out);
	free(events);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *exact = malloc(size ? size : 1);
	struct atr_frame frame;
	volatile uint8_t sum = 0;

	if (!exact)
		abort();
	if (size)
		memcpy(exact, data, size);
	if (atr_frame_parse(exact, size, &frame) == ATR_OK) {
		sum = walk(&frame);
		if (is_canonical(&frame))
			rebuild(&frame);
	}
	(void)sum;
	free(exact);
	return 0;
}
