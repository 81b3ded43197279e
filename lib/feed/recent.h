/* SPDX-License-Identifier: BSD-3-Clause */
/* The packets that a feed sent last, to answer gap requests from.
 *
 * Each slot holds one reference to the payload of a MoldUDP64 packet as it was sent; the oldest is
 * released for the newest. Layer 5, inside lib/feed. All functions but create and free are hot
 * path, on the shard's lcore.
 */
#ifndef ATR_FEED_RECENT_H
#define ATR_FEED_RECENT_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_mbuf.h>

struct atr_recent_packet {
	uint64_t first; /* sequence of its first message */
	struct rte_mbuf *payload;
	uint16_t count; /* messages, at least 1 */
};

struct atr_recent {
	struct atr_recent_packet *slot; /* NULL: nothing is kept */
	uint32_t mask;
	uint64_t head; /* packets ever kept; the newest is in slot[(head - 1) & mask] */
};

/* Slots that each of so many feeds of a shard may have: a power of two, together at most packets;
 * 0 if packets is below the number of feeds. */
uint32_t atr_recent_slots(uint32_t packets, unsigned int feeds);

/* Memory for slots (a power of two) packets: so many mbufs of the payload pool are out at most.
 * -ENOMEM. Control lcore. */
int atr_recent_create(struct atr_recent *recent, uint32_t slots, int socket);

/* Gives all packets back. Once the shard's lcore has stopped. */
void atr_recent_free(struct atr_recent *recent);

/* Keeps a packet: takes over one reference. Sequences must grow from packet to packet; gaps are
 * allowed. Where nothing is kept the reference is given back at once. */
void atr_recent_put(struct atr_recent *recent, uint64_t first, uint16_t count,
		    struct rte_mbuf *payload);

/* The packet that holds a sequence; NULL if none does. The reference stays with recent. */
const struct atr_recent_packet *atr_recent_find(const struct atr_recent *recent, uint64_t sequence);

#endif
