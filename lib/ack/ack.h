/* SPDX-License-Identifier: BSD-3-Clause */
/* Acknowledgements of frames: from shards' items to signed datagrams, and back to what they say.
 *
 * Layer 2: lib/wire, lib/merkle, lib/sign, lib/reason; no DPDK. A shard writes items on its ring to
 * the control lcore; the control lcore hands them to an acker, which coalesces them by source and
 * signs all datagrams of a flush by one Merkle tree. Producers read the datagrams with
 * atr_ack_parse. The format is in format.h.
 */
#ifndef ATR_ACK_H
#define ATR_ACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../reason/reason.h"
#include "../sign/sign.h"
#include "format.h"

/* --- Items: shard -> control lcore --- */

enum atr_ack_kind {
	ATR_ACK_FRAME = 1, /* what became of a frame; all events alike, or with ATR_ACK_MIXED */
	ATR_ACK_MORE,      /* results of a mixed frame's events, next in order */
	ATR_ACK_ADDRESS,   /* where acknowledgements of a source go from now on */
};
/* Set in the kind of a FRAME whose events differ: MORE items follow it until all have a result. */
#define ATR_ACK_MIXED UINT8_C(0x80)

#define ATR_ACK_ITEM_SIZE    64
#define ATR_ACK_ITEM_RESULTS 62 /* reasons in a MORE item */

/* Where a source's acknowledgements go. */
struct atr_ack_address {
	uint32_t ip;      /* host order */
	uint16_t port;    /* UDP, host order */
	uint16_t port_id; /* of the port that the frame came by */
	uint8_t mac[6];   /* of the next hop, as the frame came */
	uint8_t zero[2];
};

/* A shard writes all bytes before it enqueues; the ring orders them before the control lcore's
 * reads. The items of a mixed frame stand on the ring one after the other. */
struct atr_ack_item {
	union {
		struct {
			uint8_t leaf[ATR_HASH_SIZE];
			uint64_t first_sequence;
			uint64_t position; /* ATR_ACK_NO_POSITION: none, or not told */
			uint64_t floor;    /* of the source's window now */
			uint32_t source;
			uint16_t events; /* 1 to ATR_FRAME_PACKETS_MAX */
			uint8_t reason;  /* of all events; without meaning when mixed */
		} __attribute__((packed)) frame;
		/* As many as the frame has events left, at most ATR_ACK_ITEM_RESULTS. */
		uint8_t reasons[ATR_ACK_ITEM_RESULTS];
		struct {
			struct atr_ack_address to;
			uint32_t source;
		} __attribute__((packed)) address;
		uint8_t bytes[ATR_ACK_ITEM_SIZE - 1];
	};
	uint8_t kind; /* enum atr_ack_kind, and ATR_ACK_MIXED */
} __attribute__((aligned(8)));
_Static_assert(sizeof(struct atr_ack_item) == ATR_ACK_ITEM_SIZE, "item is one cache line");
_Static_assert(offsetof(struct atr_ack_item, kind) == ATR_ACK_ITEM_SIZE - 1, "kind is last");

/* Items that a frame with so many events takes. */
static inline unsigned int atr_ack_items(unsigned int events, bool mixed)
{
	return mixed ? 1 + (events + ATR_ACK_ITEM_RESULTS - 1) / ATR_ACK_ITEM_RESULTS : 1;
}

/* --- Acker: the control lcore --- */

/* Datagrams of a flush, all signed at once. */
#define ATR_ACK_DATAGRAMS_MAX 256
/* UDP payload that an acknowledgement may take: MTU 1,500. No datagram may be so small that the
 * largest mixed frame's entry does not fit it. */
#define ATR_ACK_DATAGRAM_DEFAULT (1500 - 20 - 8)
#define ATR_ACK_DATAGRAM_MIN     1024

struct atr_acker_params {
	uint64_t realm;
	uint32_t epoch;                  /* upper half of datagram numbers; a new one each start */
	uint32_t sources;                /* ids 1 to sources - 1 are known; at most 65,536 */
	uint32_t shards;                 /* rings that items come from */
	uint32_t datagram_max;           /* bytes; ATR_ACK_DATAGRAM_MIN to ATR_DATAGRAM_MAX */
	const struct atr_signer *signer; /* key ATR_ACK_KEY; must outlive the acker */
};

/* Written by the control lcore; readers elsewhere may see values that are one flush old. */
struct atr_acker_stats {
	uint64_t frames;     /* acknowledged in datagrams that were handed to emit */
	uint64_t datagrams;  /* handed to emit */
	uint64_t signatures; /* made: one a flush that had anything to say */
	uint64_t no_address; /* frames dropped: no address of their source is known */
	uint64_t no_room;    /* frames dropped: more sources or frames than a flush holds */
	uint64_t malformed;  /* items dropped that no shard should have sent */
};

struct atr_acker;

/* NULL with a sentence in error (a parameter out of range, out of memory). All memory is taken
 * here: about sources * 32 bytes and ATR_ACK_DATAGRAMS_MAX * datagram_max. */
struct atr_acker *atr_acker_create(const struct atr_acker_params *params, char *error, size_t size);
void atr_acker_free(struct atr_acker *acker);

/* Items that may be taken now without any being dropped for want of room; 0: flush first. */
unsigned int atr_acker_room(const struct atr_acker *acker);

/* Takes items of one shard's ring, in order; calls may end in the middle of a mixed frame.
 * Entries of a source are put together; those without address or room are dropped and counted. */
void atr_acker_take(struct atr_acker *acker, unsigned int shard, const struct atr_ack_item *items,
		    unsigned int count);

/* One datagram to be sent from the appliance's ingress port; payload is valid during the call. */
typedef void (*atr_ack_emit_fn)(void *ctx, const struct atr_ack_address *to, const uint8_t *payload,
				size_t length);

/* Signs what was taken and hands every datagram to emit, each to its source's address of now.
 * now_ns is the Unix time for the frames. Returns the number of datagrams; 0 and no signature if
 * there is nothing to say. */
unsigned int atr_acker_flush(struct atr_acker *acker, uint64_t now_ns, atr_ack_emit_fn emit,
			     void *ctx);

const struct atr_acker_stats *atr_acker_stats(const struct atr_acker *acker);

/* --- Parser: producers --- */

/* Whom to believe. One object a thread. */
struct atr_ack_reader {
	uint64_t realm;
	uint32_t key; /* id: ATR_ACK_KEY */
	uint8_t public_key[ATR_PUBLIC_KEY_SIZE];
	/* The head verified last, so that one verification serves all datagrams of a flush; kept by
	 * atr_ack_parse, zeros at first. */
	bool proven;
	struct atr_tree_head head;
	uint8_t signature[ATR_SIGNATURE_SIZE];
};

/* What precedes the entries of one body. */
struct atr_ack_notice {
	uint64_t number;       /* of the acknowledgement packet: epoch << 32 | counter */
	uint64_t timestamp_ns; /* Unix time at which the appliance signed it */
	uint64_t floor;        /* sequences of the source below are stale */
	uint32_t source;
	uint32_t count; /* entries */
};

/* What became of one frame. */
struct atr_ack_entry {
	uint64_t first_sequence;
	uint64_t position;   /* ATR_ACK_NO_POSITION: none, or not told */
	const uint8_t *leaf; /* 32 bytes */
	uint16_t events;
	uint8_t result; /* ATR_OK, ATR_DUPLICATE, or a refusal; of all events if results is NULL,
			 * otherwise the first refusal, ATR_OK if none was refused */
	bool final;     /* a resend of the frame can change nothing: it may be forgotten */
	const struct atr_ack_result *results; /* events of them; NULL: all events alike */
};

/* Called for every entry of a datagram that is right in all its bytes; pointers are valid during
 * the call. */
struct atr_ack_visitor {
	void (*entry)(void *ctx, const struct atr_ack_notice *notice,
		      const struct atr_ack_entry *entry);
	void *ctx;
};

/* Reads a datagram. ATR_OK after every entry was visited; otherwise why it is no acknowledgement
 * of this appliance, and nothing was visited: a reason of atr_frame_parse, atr_frame_canonical or
 * atr_packet_canonical; UNKNOWN_SOURCE, UNKNOWN_TOPIC, UNKNOWN_TYPE; PACKET_FLAGS (priority or
 * inline), PAYLOAD_LENGTH (entries do not fill a body exactly), FIELD_RANGE (a field of a body
 * that the format forbids), PAYLOAD_PADDING (bytes that must be zero); REALM, UNKNOWN_KEY,
 * BAD_SIGNATURE. datagram may be any bytes; no byte outside it is read. */
uint8_t atr_ack_parse(struct atr_ack_reader *reader, const uint8_t *datagram, size_t length,
		      const struct atr_ack_visitor *visitor);

#endif
