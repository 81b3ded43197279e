/* SPDX-License-Identifier: BSD-3-Clause */
/* Tier 2: the rings between shards and the control lcore, and between shards.
 *
 * A message is 16 bytes and carries a pointer, never a copy of a packet. All rings are single
 * producer, single consumer. Upward there are four per shard, so that a flood of one kind cannot
 * delay another: `verify` (root requests, reservations, what became of envelopes), `envelopes`,
 * `link` (ARP, ICMP) and `acks` (what producers of frames are to be told, by value). Downward there
 * is one per shard. `requests` and `answers` do the same between each shard and the thread that
 * answers gap requests from the log. `handover[a][b]` carries frames from shard a to the shard b
 * that owns their source.
 *
 * Layer 1: DPDK's ring. send and receive are hot path.
 */
#ifndef ATR_BRIDGE_H
#define ATR_BRIDGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <rte_mbuf.h>
#include <rte_ring.h>
#include <rte_ring_elem.h>
#include <rte_ring_peek.h>

enum atr_msg_kind {
	/* shard to control lcore */
	ATR_MSG_ROOT = 1, /* struct atr_root_request: verify this head */
	ATR_MSG_RESERVE,  /* struct atr_reserve: raise the durable high-water of a source */
	ATR_MSG_SETTLED,  /* mbuf: what the shard made of an admitted envelope */
	ATR_MSG_ENVELOPE, /* mbuf: judge this envelope */
	ATR_MSG_LINK,     /* mbuf: ARP or ICMP for us */
	ATR_MSG_REQUEST,  /* mbuf: a gap request for the gap thread; its subscriber may ask */
	/* control lcore to shard; SEND also gap thread to shard */
	ATR_MSG_VERDICT, /* struct atr_root_request, answered */
	ATR_MSG_ADMIT,   /* mbuf: an envelope that passed its gates; log and publish it */
	ATR_MSG_SEND,    /* mbuf with headers: transmit on port arg */
	/* shard to shard */
	ATR_MSG_FRAME /* mbuf: a frame of a source that you own */
};

struct atr_msg {
	uint16_t kind;
	uint16_t epoch; /* of the sender's ledger node */
	uint32_t arg;
	void *ptr;
};
_Static_assert(sizeof(struct atr_msg) == 16, "a message is 16 bytes");

/* Private area of every mbuf in the appliance's pools: what is known about a received datagram.
 * Written by the lcore that holds the mbuf. */
struct atr_meta {
	uint64_t rx_ns;               /* Unix time of reception */
	uint64_t generation;          /* plan that judged an envelope; of a frame in the hold, see
				       * atr_batch.checked; else 0 */
	uint64_t feeds;               /* envelope: feeds it goes to */
	uint64_t timestamp_ns;        /* envelope: header.timestamp */
	uint64_t position;            /* envelope: log index once logged */
	uint32_t src_ip;              /* host byte order */
	uint32_t source, topic, type; /* envelope: ids; topic also of a frame with generation set,
				       * see atr_batch.topic */
	uint32_t identity; /* envelope: its entry in the control lcore's identity memory */
	uint16_t src_port, port_id;
	uint16_t offset, length; /* UDP payload in the mbuf */
	uint16_t events;         /* counted as received with this datagram; 0 before parse */
	uint8_t reason;          /* verdict of the last judge */
	uint8_t origin;          /* enum atr_origin */
	uint32_t dst_ip;
	uint8_t uuid[16];      /* envelope: header.id */
	uint8_t leaf[32];      /* leaf hash of an envelope, or of a frame with generation set */
	struct rte_mbuf *next; /* envelope: the next one waiting for the same original */
};

/* Where a batch's mbuf came from: only what comes from a port is counted as received. */
enum atr_origin { ATR_ORIGIN_PORT, ATR_ORIGIN_HOLD, ATR_ORIGIN_RESERVE, ATR_ORIGIN_HANDOVER };

static inline struct atr_meta *atr_meta(struct rte_mbuf *mbuf)
{
	return (struct atr_meta *)rte_mbuf_to_priv(mbuf);
}

#define ATR_SHARDS_MAX 64

/* Envelopes on their way to be logged, per shard. Of each the shard reports on `verify` what became
 * of it, and that report must never be lost: everything else on that ring leaves so much room. */
#define ATR_ADMITS_MAX 1024

struct atr_bridge {
	unsigned int shards;
	struct rte_ring *verify[ATR_SHARDS_MAX];
	struct rte_ring *envelopes[ATR_SHARDS_MAX];
	struct rte_ring *link[ATR_SHARDS_MAX];
	struct rte_ring *down[ATR_SHARDS_MAX];
	struct rte_ring *requests[ATR_SHARDS_MAX]; /* shard to gap thread */
	struct rte_ring *answers[ATR_SHARDS_MAX];  /* gap thread to shard */
	struct rte_ring *acks[ATR_SHARDS_MAX]; /* elements of acks_size bytes: lib/ack knows them */
	struct rte_ring *handover[ATR_SHARDS_MAX][ATR_SHARDS_MAX]; /* [from][to] */
	/* What each shard does against overload (lib/overload), bits of its measures. Writer of
	 * what is pointed at: the shard; readers: the control lcore and telemetry. */
	const uint32_t *measures[ATR_SHARDS_MAX];
};

struct atr_bridge_sizes {
	unsigned int verify, envelopes, link, down, handover; /* messages; powers of two */
	unsigned int gaps;                                    /* of requests and of answers */
	unsigned int acks;      /* elements; a power of two; 0: no such rings */
	unsigned int acks_size; /* bytes of one, a multiple of 4 */
};

/* Creates all rings on a NUMA socket. Negative errno with a sentence in error. Control lcore. */
int atr_bridge_create(struct atr_bridge *bridge, unsigned int shards,
		      const struct atr_bridge_sizes *sizes, int socket, char *error, size_t size);
void atr_bridge_free(struct atr_bridge *bridge);

/* Puts one message on a ring of which the caller is the producer. False if it is full. */
static inline bool atr_send(struct rte_ring *ring, uint16_t kind, uint16_t epoch, uint32_t arg,
			    void *ptr)
{
	struct atr_msg msg = {.kind = kind, .epoch = epoch, .arg = arg, .ptr = ptr};

	return rte_ring_sp_enqueue_elem(ring, &msg, sizeof(msg)) == 0;
}

/* Puts as many of count messages on such a ring as it has room for, in one step; returns how many.
 */
static inline unsigned int atr_send_burst(struct rte_ring *ring, const struct atr_msg *msgs,
					  unsigned int count)
{
	return rte_ring_sp_enqueue_burst_elem(ring, msgs, sizeof(*msgs), count, NULL);
}

/* How many questions `verify` has room for beside the reports of all envelopes under way. */
static inline unsigned int atr_may_ask(const struct rte_ring *verify)
{
	unsigned int room = rte_ring_free_count(verify);

	return room > ATR_ADMITS_MAX ? room - ATR_ADMITS_MAX : 0;
}

/* Takes up to max messages off a ring of which the caller is the consumer. */
static inline unsigned int atr_receive(struct rte_ring *ring, struct atr_msg *msgs,
				       unsigned int max)
{
	return rte_ring_sc_dequeue_burst_elem(ring, msgs, sizeof(*msgs), max, NULL);
}

/* The same, up to the first message whose sender is ahead of epoch: it stays on the ring. For
 * consumers in the middle of a batch, whose books cannot be copied now. */
static inline unsigned int atr_receive_until(struct rte_ring *ring, struct atr_msg *msgs,
					     unsigned int max, uint16_t epoch)
{
	unsigned int n = rte_ring_dequeue_burst_elem_start(ring, msgs, sizeof(*msgs), max, NULL);
	unsigned int keep = 0;

	if (n == 0)
		return 0;
	while (keep < n && (int16_t)(uint16_t)(msgs[keep].epoch - epoch) <= 0)
		keep++;
	rte_ring_dequeue_elem_finish(ring, keep);
	return keep;
}

#endif
