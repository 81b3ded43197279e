/* SPDX-License-Identifier: BSD-3-Clause */
/* Feeds of one shard: MoldUDP64 packets under construction, their sessions, and the transmission of
 * one packet to every destination.
 *
 * Payload bytes are written once. Each destination gets headers of its own in front: in a chained
 * segment where the port sends several segments, else in a copy. Sequence numbers of a session
 * count messages from 1. A destination without a neighbour, or a full TX buffer, loses that packet
 * (counted) and costs the others nothing.
 *
 * Layer 5: lib/program, lib/wire, lib/net. All functions but create and free are hot path, on the
 * shard's lcore.
 */
#ifndef ATR_FEED_H
#define ATR_FEED_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_mbuf.h>

#include "../program/program.h"
#include "../wire/moldudp64.h"
#include "recent.h"

#define ATR_TX_BURST 64

/* Packets waiting for rte_eth_tx_burst on one port. */
struct atr_tx_queue {
	uint16_t port_id;
	uint16_t queue_id;
	uint16_t count;
	struct rte_mbuf *mbuf[ATR_TX_BURST];
	uint64_t sent, dropped; /* packets */
};

/* Hands as much as the driver takes to the port, once; the rest stays queued. */
void atr_tx_flush(struct atr_tx_queue *tx);

/* Queues one packet, flushing first if the queue is full; drops it if it still is. */
void atr_tx_put(struct atr_tx_queue *tx, struct rte_mbuf *mbuf);

struct atr_feed_stats {
	uint64_t messages;     /* put into packets */
	uint64_t packets;      /* finished, before fan-out to destinations */
	uint64_t sent;         /* packets queued for transmission, all destinations */
	uint64_t heartbeats;   /* the same, of heartbeats */
	uint64_t no_neighbour; /* lost: next hop not resolved */
	uint64_t no_mbuf;      /* lost: pool empty, or no packet has room for it */
};

struct atr_feed_out {
	char session[ATR_MOLD_SESSION_SIZE];
	uint64_t next_sequence; /* of the next message */
	struct rte_mbuf *open;  /* payload under construction, or NULL */
	uint16_t open_count;    /* messages in it */
	uint64_t opened_tsc;
	uint64_t sent_tsc; /* last packet of any kind */
	struct atr_recent recent;
	struct atr_feed_stats stats;
};

struct atr_feeds {
	struct atr_feed_out feed[ATR_FEEDS_MAX];
	struct atr_tx_queue tx[ATR_PORTS_MAX]; /* by interface index */
	const struct atr_iface *ifaces;
	unsigned int iface_count;
	const struct atr_neighbours *neighbours;
	struct rte_mempool *payloads; /* data room for a datagram of the largest MTU */
	struct rte_mempool *headers;  /* data room for ATR_NET_HDR_MAX, in segments of their own */
	uint64_t flush_tsc;           /* how long a packet may wait for more messages */
	uint64_t heartbeat_tsc;
	uint16_t datagram_max; /* bytes of MoldUDP64 payload that every port takes */
};

/* One message for one or more feeds. */
struct atr_message {
	uint64_t sequence;
	const struct atr_packet *packet;
	const uint8_t *payload; /* arena payload, or NULL */
	uint32_t payload_length;
};

/* Appends message to every feed in set. */
void atr_feeds_publish(struct atr_feeds *feeds, const struct atr_program *program, uint64_t set,
		       const struct atr_message *message, uint64_t now_tsc);

/* The same for count packets with inline payloads and consecutive sequences. */
void atr_feeds_publish_run(struct atr_feeds *feeds, const struct atr_program *program, uint64_t set,
			   uint64_t sequence, const struct atr_packet *packets, unsigned int count,
			   uint64_t now_tsc);

/* Sends what has waited for flush_tsc, or all that waits if idle is true (this turn brought
 * nothing, so that waiting for more would cost time and save nothing), and heartbeats. */
void atr_feeds_poll(struct atr_feeds *feeds, const struct atr_program *program, uint64_t now_tsc,
		    bool idle);

/* Sends the recent packet of a feed that holds a message to one requester, by the port with this
 * interface index. flow is complete, with the MAC of the next hop. True if it was queued; false if
 * no packet kept holds the message or there is no memory. */
bool atr_feeds_resend(struct atr_feeds *feeds, unsigned int id, uint64_t sequence,
		      unsigned int iface_index, const struct atr_flow *flow);

/* Sends what is open of one feed, then end of session. */
void atr_feeds_retire(struct atr_feeds *feeds, const struct atr_program *program, unsigned int id,
		      uint64_t now_tsc);

/* Sends what is open, then end of session on every feed whose session ends with this process: not
 * on those of class D. */
void atr_feeds_end(struct atr_feeds *feeds, const struct atr_program *program, uint64_t now_tsc);

#endif
