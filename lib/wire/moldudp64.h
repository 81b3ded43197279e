/* SPDX-License-Identifier: BSD-3-Clause */
/* MoldUDP64 (Nasdaq, version 1.00) downstream packets, and the message block that ATR puts in them.
 *
 * Layer 1: no DPDK. MoldUDP64 is big-endian; the event inside a block is little-endian as on
 * ingress. Every function is pure and may be called from any lcore.
 */
#ifndef ATR_MOLDUDP64_H
#define ATR_MOLDUDP64_H

#include <stddef.h>
#include <stdint.h>

#include "frame.h"

#define ATR_MOLD_SESSION_SIZE 10
#define ATR_MOLD_HDR_SIZE     20
#define ATR_MOLD_LENGTH_SIZE  2
#define ATR_MOLD_COUNT_END    0xFFFF /* message count of an end-of-session packet */
#define ATR_MOLD_COUNT_MAX    0xFFFE
/* Bytes of a message block with a payload of n arena bytes: length field, sequence, packet, n. */
#define ATR_MOLD_BLOCK_SIZE(n) (ATR_MOLD_LENGTH_SIZE + 8 + ATR_PACKET_SIZE + (n))

struct atr_mold_hdr {
	char session[ATR_MOLD_SESSION_SIZE];
	uint8_t sequence[8]; /* big-endian: number of the first message, or the next one */
	uint8_t count[2];    /* big-endian: messages; 0 heartbeat; 0xFFFF end of session */
} __attribute__((packed));
_Static_assert(sizeof(struct atr_mold_hdr) == ATR_MOLD_HDR_SIZE, "MoldUDP64 header is 20 bytes");

/* Writes the session name of a feed on a shard in an epoch: two base-36 digits of feed, two of
 * shard, six of epoch, upper case ("0100000001"). feed and shard are below 1,296, epoch
 * is below 36^6 (2,176,782,336). Not terminated. */
void atr_mold_session(char session[ATR_MOLD_SESSION_SIZE], uint32_t feed, uint32_t shard,
		      uint32_t epoch);

/* Inverse of atr_mold_session; -EINVAL if session is not of that form. */
int atr_mold_session_parse(const char session[ATR_MOLD_SESSION_SIZE], uint32_t *feed,
			   uint32_t *shard, uint32_t *epoch);

/* Writes a downstream header to out (20 bytes). */
void atr_mold_hdr_write(uint8_t *out, const char session[ATR_MOLD_SESSION_SIZE], uint64_t sequence,
			uint16_t count);

/* Fills the packet under which an envelope leaves: flags ARENA and ENVELOPE, arena form with offset
 * 0 and the length of the envelope's canonical bytes, which follow the packet as its payload. */
void atr_mold_envelope_packet(struct atr_packet *packet, uint32_t topic, uint32_t type,
			      uint32_t source, uint64_t timestamp_ns, uint32_t length);

/* A received downstream packet. */
struct atr_mold_packet {
	char session[ATR_MOLD_SESSION_SIZE];
	uint64_t sequence;
	uint16_t count;
	const uint8_t *blocks; /* length bytes */
	size_t length;
};

/* Parses a downstream packet's header and checks that its blocks fill it exactly.
 * -EBADMSG if not. */
int atr_mold_parse(const uint8_t *data, size_t length, struct atr_mold_packet *packet);

/* One event of a message block. */
struct atr_mold_event {
	uint64_t sequence; /* producer's sequence; for envelopes the log index */
	const struct atr_packet *packet;
	const uint8_t *payload; /* arena payload or envelope; NULL when inline */
	uint32_t payload_length;
};

/* Reads the block at *cursor (starting with 0) and advances it. 1 if a block was read, 0 at the
 * end, -EBADMSG if the block is not an ATR event (shorter than 72 bytes; flags without meaning,
 * which includes ENVELOPE without ARENA; payload length different from the packet's). */
int atr_mold_next(const struct atr_mold_packet *packet, size_t *cursor,
		  struct atr_mold_event *event);

/* A gap request is a downstream header whose sequence is the first message wanted and whose count
 * is how many. Parses it: length must be exactly 20 and count 1..0xFFFE; -EBADMSG if not. */
int atr_mold_request_parse(const uint8_t *data, size_t length, struct atr_mold_hdr *request);

#endif
