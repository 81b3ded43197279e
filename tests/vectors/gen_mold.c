/* SPDX-License-Identifier: BSD-3-Clause */
#include "gen_wire.h"

#include <string.h>

#define FEED          1
#define SHARD         0
#define EPOCH         1
#define FIRST_MESSAGE 41
#define BYTES_MAX     2048

static size_t put_block(uint8_t *at, uint64_t sequence, const struct atr_packet *packet,
			const void *payload, uint32_t length)
{
	size_t size = ATR_MOLD_BLOCK_SIZE(length) - ATR_MOLD_LENGTH_SIZE;

	at[0] = (uint8_t)(size >> 8);
	at[1] = (uint8_t)size;
	memcpy(at + 2, &sequence, sizeof(sequence));
	memcpy(at + 10, packet, sizeof(*packet));
	memcpy(at + 10 + sizeof(*packet), payload, length);
	return ATR_MOLD_BLOCK_SIZE(length);
}

/* Both events of frame 1 of the tree, and the envelope, in one downstream packet. */
void gen_mold(struct gen *gen, json_t *root)
{
	const struct atr_frame *frame = &gen->frame;
	char session[ATR_MOLD_SESSION_SIZE + 1] = "";
	uint8_t bytes[BYTES_MAX], header[3][ATR_MOLD_HDR_SIZE];
	struct atr_packet envelope;
	size_t at = ATR_MOLD_HDR_SIZE;

	atr_mold_session(session, FEED, SHARD, EPOCH);
	atr_mold_hdr_write(bytes, session, FIRST_MESSAGE, 3);
	for (unsigned int i = 0; i < frame->packet_count; i++) {
		uint32_t length;
		const uint8_t *payload = atr_frame_payload(frame, i, &length);

		if (frame->packets[i].flags & ATR_FLAG_INLINE)
			length = 0;
		at += put_block(bytes + at, frame->hdr->first_sequence + i, &frame->packets[i],
				payload, length);
	}
	atr_mold_envelope_packet(&envelope, GEN_TOPIC, GEN_TYPE, GEN_SOURCE, GEN_ENVELOPE_NS,
				 (uint32_t)gen->envelope_length);
	at += put_block(bytes + at, 7, &envelope, gen->envelope, (uint32_t)gen->envelope_length);
	atr_mold_hdr_write(header[0], session, FIRST_MESSAGE + 3, 0);
	atr_mold_hdr_write(header[1], session, FIRST_MESSAGE + 3, ATR_MOLD_COUNT_END);
	atr_mold_hdr_write(header[2], session, FIRST_MESSAGE, 3);
	json_object_set_new(root, "mold",
			    json_pack("{ss si si si so so so so so}", "session", session, "feed",
				      FEED, "shard", SHARD, "epoch", EPOCH, "sequence",
				      gen_u64(FIRST_MESSAGE), "packet", gen_hex(bytes, at),
				      "heartbeat", gen_hex(header[0], ATR_MOLD_HDR_SIZE),
				      "end_of_session", gen_hex(header[1], ATR_MOLD_HDR_SIZE),
				      "gap_request", gen_hex(header[2], ATR_MOLD_HDR_SIZE)));
}
