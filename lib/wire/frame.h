/* SPDX-License-Identifier: BSD-3-Clause */
/* ATR frames: the binary ingress format (docs/wire-format.md).
 *
 * Layer 1: depends on lib/reason. No DPDK. All integers are little-endian on the wire; structures
 * here are the wire layout and are read in place. Every function is pure and may be called from
 * any lcore; none allocates.
 */
#ifndef ATR_FRAME_H
#define ATR_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "ATR reads little-endian structures in place"
#endif

#define ATR_FRAME_VERSION    1
#define ATR_FRAME_HDR_SIZE   64
#define ATR_PACKET_SIZE      64
#define ATR_PACKET_DATA_SIZE 48
#define ATR_INLINE_MAX       36 /* payload bytes that fit a packet; longer ones go to the arena */
#define ATR_SIGNATURE_SIZE   64
#define ATR_HASH_SIZE        32 /* SHA-256 */
#define ATR_PROOF_MAX        32 /* nodes: leaf_count is a u32 */

/* Largest UDP payload accepted: MTU 9,000 less IPv4 and UDP headers. */
#define ATR_DATAGRAM_MAX (9000 - 20 - 8)
/* Packets that fit the largest datagram. */
#define ATR_FRAME_PACKETS_MAX \
	((ATR_DATAGRAM_MAX - ATR_FRAME_HDR_SIZE - ATR_SIGNATURE_SIZE) / ATR_PACKET_SIZE)

/* First byte of a datagram: RFC 6962's leaf prefix for frames, '{' for envelopes. */
#define ATR_FIRST_BYTE_FRAME    0x00
#define ATR_FIRST_BYTE_ENVELOPE 0x7B

/* Packet flags. Exactly one of INLINE and ARENA; PRIORITY is P0 (highest) to P3.
 * ENVELOPE occurs on feeds only, together with ARENA, and is refused on ingress. */
#define ATR_FLAG_INLINE         UINT64_C(0x01)
#define ATR_FLAG_ARENA          UINT64_C(0x02)
#define ATR_FLAG_PRIORITY_SHIFT 2
#define ATR_FLAG_PRIORITY_MASK  UINT64_C(0x0C)
#define ATR_FLAG_ENVELOPE       UINT64_C(0x10)
#define ATR_FLAGS_INGRESS       (ATR_FLAG_INLINE | ATR_FLAG_ARENA | ATR_FLAG_PRIORITY_MASK)

struct atr_frame_hdr {
	uint8_t magic[4]; /* 00 'A' 'T' 'R' */
	uint8_t version;
	uint8_t flags; /* zero */
	uint16_t packet_count;
	uint32_t source;
	uint32_t key;
	uint64_t realm;
	uint64_t first_sequence;
	uint32_t leaf_index;
	uint32_t leaf_count;
	uint32_t arena_length;
	uint64_t timestamp_ns; /* Unix time at which the producer built the frame */
	uint8_t zero[12];
} __attribute__((packed));

struct atr_packet {
	uint64_t flags;
	uint32_t topic_id;
	uint32_t sender_id;    /* equals the frame's source */
	uint64_t timestamp_ns; /* Unix time of the event; data[0..8) */
	uint32_t type_id;      /* data[8..12) */
	union {                /* data[12..48) */
		uint8_t payload[ATR_INLINE_MAX];
		struct {
			uint32_t offset; /* into the arena */
			uint32_t length;
			uint8_t zero[28];
		} __attribute__((packed)) arena;
	};
} __attribute__((packed));

_Static_assert(sizeof(struct atr_frame_hdr) == ATR_FRAME_HDR_SIZE, "header is 64 bytes");
_Static_assert(offsetof(struct atr_frame_hdr, packet_count) == 6, "packet_count at 6");
_Static_assert(offsetof(struct atr_frame_hdr, source) == 8, "source at 8");
_Static_assert(offsetof(struct atr_frame_hdr, key) == 12, "key at 12");
_Static_assert(offsetof(struct atr_frame_hdr, realm) == 16, "realm at 16");
_Static_assert(offsetof(struct atr_frame_hdr, first_sequence) == 24, "first_sequence at 24");
_Static_assert(offsetof(struct atr_frame_hdr, leaf_index) == 32, "leaf_index at 32");
_Static_assert(offsetof(struct atr_frame_hdr, leaf_count) == 36, "leaf_count at 36");
_Static_assert(offsetof(struct atr_frame_hdr, arena_length) == 40, "arena_length at 40");
_Static_assert(offsetof(struct atr_frame_hdr, timestamp_ns) == 44, "timestamp_ns at 44");
_Static_assert(offsetof(struct atr_frame_hdr, zero) == 52, "zeros at 52");
_Static_assert(sizeof(struct atr_packet) == ATR_PACKET_SIZE, "packet is 64 bytes");
_Static_assert(offsetof(struct atr_packet, topic_id) == 8, "topic_id at 8");
_Static_assert(offsetof(struct atr_packet, sender_id) == 12, "sender_id at 12");
_Static_assert(offsetof(struct atr_packet, timestamp_ns) == 16, "data at 16");
_Static_assert(offsetof(struct atr_packet, type_id) == 24, "type_id at data + 8");
_Static_assert(offsetof(struct atr_packet, payload) == 28, "payload at data + 12");
_Static_assert(offsetof(struct atr_packet, arena.length) == 32, "arena length at data + 16");

/* A parsed frame: pointers into the caller's bytes, valid as long as those are. */
struct atr_frame {
	const struct atr_frame_hdr *hdr;
	const struct atr_packet *packets; /* packet_count of them */
	const uint8_t *arena;             /* arena_length bytes */
	const uint8_t *signature;         /* 64 bytes */
	const uint8_t *proof;             /* proof_nodes * 32 bytes, leaf to root */
	uint32_t leaf_size;               /* bytes of header..arena, what the leaf hash covers */
	uint16_t packet_count;
	uint16_t proof_nodes;
	bool in_arena; /* any packet has the flag ARENA */
	/* Of the source's key in the plan in force: set by who looks that up; 0 after parsing. */
	uint32_t key_serial;
};

/* Length in nodes of the RFC 6962 inclusion proof of leaf_index in a tree of leaf_count leaves.
 * leaf_index must be below leaf_count. Result is at most ATR_PROOF_MAX. */
unsigned int atr_frame_proof_nodes(uint32_t leaf_index, uint32_t leaf_count);

/* Checks the structure of a datagram (below 4 GiB) as a frame and fills *frame. Reads no byte at or
 * beyond data + length. After ATR_OK every pointer of *frame is in bounds, and so is every arena
 * payload of every packet that has the ARENA flag (offset + length <= arena_length).
 *
 * Order of checks, first failure wins: FRAME_TRUNCATED (below 64 bytes), FRAME_MAGIC,
 * FRAME_VERSION, FRAME_EMPTY, FRAME_LEAF, SEQUENCE_WRAP (first_sequence + packet_count - 1 beyond
 * 2^64-1), FRAME_TRUNCATED (shorter than header + packets + arena + signature + proof),
 * FRAME_TRAILING, ARENA_BOUNDS. */
uint8_t atr_frame_parse(const uint8_t *data, size_t length, struct atr_frame *frame);

/* Fills *frame for bytes that atr_frame_parse accepted before and that have no packet in the arena,
 * without checking anything again. */
void atr_frame_reopen(const uint8_t *data, struct atr_frame *frame);

/* Canonical checks that concern a frame as a whole: FRAME_FLAGS, FRAME_RESERVED, ARENA_LAYOUT
 * (arena payloads in packet order, without gap, each longer than ATR_INLINE_MAX, together exactly
 * arena_length). Call after atr_frame_parse returned ATR_OK. */
uint8_t atr_frame_canonical(const struct atr_frame *frame);

/* Canonical checks of one packet apart from its payload: PACKET_FLAGS, SENDER_MISMATCH,
 * PACKET_RESERVED (28 zeros of an arena packet). */
uint8_t atr_packet_canonical(const struct atr_packet *packet, uint32_t source);

/* Payload of packet i: pointer and length in bytes. Inline payloads are always 36 bytes. */
static inline const uint8_t *atr_frame_payload(const struct atr_frame *frame, unsigned int i,
					       uint32_t *length)
{
	const struct atr_packet *p = &frame->packets[i];

	if (p->flags & ATR_FLAG_ARENA) {
		*length = p->arena.length;
		return frame->arena + p->arena.offset;
	}
	*length = ATR_INLINE_MAX;
	return p->payload;
}

/* --- Building frames (producers, tests, benchmarks) --- */

/* One event to be put into a frame. */
struct atr_event {
	uint32_t topic_id;
	uint32_t type_id;
	uint64_t timestamp_ns;
	uint8_t priority;       /* 0..3 */
	const uint8_t *payload; /* payload_length bytes */
	uint32_t payload_length;
};

/* Bytes that the body (header, packets, arena) of a frame with these events takes. */
size_t atr_frame_body_size(const struct atr_event *events, unsigned int count);

/* What the header of a frame under construction holds. */
struct atr_frame_spec {
	uint64_t realm;
	uint32_t source;
	uint32_t key;
	uint64_t first_sequence;
	uint64_t timestamp_ns;
	uint32_t leaf_index;
	uint32_t leaf_count;
};

/* Writes the header of a frame of count packets (1 to 65,535). */
void atr_frame_write_hdr(const struct atr_frame_spec *spec, unsigned int count,
			 uint32_t arena_length, struct atr_frame_hdr *hdr);

/* Writes header, packets and arena (the leaf's bytes) to out and returns their length.
 * -EMSGSIZE if capacity is too small, -EINVAL for no events, too many, or a priority above 3. */
int atr_frame_build_body(const struct atr_frame_spec *spec, const struct atr_event *events,
			 unsigned int count, uint8_t *out, size_t capacity);

/* The bytes that a producer signs for a tree. */
#define ATR_TREE_HEAD_PREFIX "ATR/treehead/v1\n"
struct atr_tree_head {
	uint8_t prefix[16];
	uint64_t realm;
	uint32_t source;
	uint32_t key;
	uint32_t leaf_count;
	uint8_t root[ATR_HASH_SIZE];
} __attribute__((packed));
_Static_assert(sizeof(struct atr_tree_head) == 68, "tree head is 68 bytes");
_Static_assert(sizeof(ATR_TREE_HEAD_PREFIX) - 1 == 16, "prefix is 16 bytes");

/* Fills *head. */
void atr_tree_head_init(struct atr_tree_head *head, uint64_t realm, uint32_t source, uint32_t key,
			uint32_t leaf_count, const uint8_t root[ATR_HASH_SIZE]);

#endif
