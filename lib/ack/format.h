/* SPDX-License-Identifier: BSD-3-Clause */
/* Acknowledgements on the wire (docs/wire-format.md): frames from source 0, the appliance, whose
 * arena payloads are these bodies. Little-endian. */
#ifndef ATR_ACK_FORMAT_H
#define ATR_ACK_FORMAT_H

#include <stddef.h>
#include <stdint.h>

#include "../wire/frame.h"

#define ATR_ACK_SOURCE      0 /* of the frame, and its packets' sender_id */
#define ATR_ACK_TOPIC       0
#define ATR_ACK_TYPE        1
#define ATR_ACK_KEY         1 /* id of the appliance's key for acknowledgements */
#define ATR_ACK_NO_POSITION UINT64_MAX

/* In the place of ATR_TREE_HEAD_PREFIX, so that no key signs two kinds of things alike. */
#define ATR_ACK_HEAD_PREFIX "ATR/ackshead/v1\n"
_Static_assert(sizeof(ATR_ACK_HEAD_PREFIX) == sizeof(ATR_TREE_HEAD_PREFIX), "prefix is 16 bytes");

struct atr_ack_body {
	uint32_t source; /* whose frames are acknowledged */
	uint32_t count;  /* entries that follow, at least 1 */
	uint64_t floor;  /* sequences below are stale now */
} __attribute__((packed));

#define ATR_ACK_FLAG_MIXED UINT8_C(0x01) /* results of every event follow the entry */
#define ATR_ACK_FLAG_FINAL UINT8_C(0x02) /* a resend of the frame can change nothing */

struct atr_ack_wire_entry {
	uint64_t first_sequence;
	uint64_t position; /* log index of the frame's record; ATR_ACK_NO_POSITION: not told */
	uint8_t leaf[ATR_HASH_SIZE];
	uint16_t events; /* at least 1 */
	uint8_t result;  /* of all events; when mixed the first refusal, ATR_OK if none */
	uint8_t flags;
	uint8_t zero[4];
} __attribute__((packed));

/* One an event behind a mixed entry, then zeros up to a multiple of ATR_ACK_ALIGN. */
struct atr_ack_result {
	uint8_t reason; /* ATR_OK, ATR_DUPLICATE or why it was refused */
	uint8_t final;  /* 1: a resend can change nothing; 0 */
} __attribute__((packed));

#define ATR_ACK_ALIGN 8

_Static_assert(sizeof(struct atr_ack_body) == 16, "body's head is 16 bytes");
_Static_assert(sizeof(struct atr_ack_wire_entry) == 56, "entry is 56 bytes");
_Static_assert(offsetof(struct atr_ack_wire_entry, leaf) == 16, "leaf at 16");
_Static_assert(offsetof(struct atr_ack_wire_entry, events) == 48, "events at 48");
_Static_assert(offsetof(struct atr_ack_wire_entry, result) == 50, "result at 50");
_Static_assert(offsetof(struct atr_ack_wire_entry, flags) == 51, "flags at 51");
_Static_assert(sizeof(struct atr_ack_result) == 2, "result is 2 bytes");

/* Bytes of the results of so many events, padded. */
static inline size_t atr_ack_results_size(size_t events)
{
	return (events * sizeof(struct atr_ack_result) + ATR_ACK_ALIGN - 1) / ATR_ACK_ALIGN *
	       ATR_ACK_ALIGN;
}

#endif
