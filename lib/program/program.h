/* SPDX-License-Identifier: BSD-3-Clause */
/* A program: one generation of everything that a shard needs to judge and route, made by the
 * control lcore from a plan and this machine's ports, and swapped under the shards by RCU.
 *
 * The plan and the routes are immutable. Windows, limits and reservations are state that outlives a
 * generation: programs point at the same objects as long as their source or topic exists.
 *
 * Layer 4: lib/plan, lib/dedup, lib/net; DPDK's meter.
 */
#ifndef ATR_PROGRAM_H
#define ATR_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <rte_common.h>
#include <rte_meter.h>

#include "../dedup/dedup.h"
#include "../net/neighbour.h"
#include "../net/net.h"
#include "../plan/plan.h"
#include "../state/state.h"

#define ATR_PORTS_MAX 8

/* One destination of a feed, resolved to a port and a next hop. */
struct atr_route {
	uint16_t iface;       /* index into the appliance's interfaces */
	int neighbour;        /* index into the neighbour table */
	struct atr_flow flow; /* dst_mac is filled from the neighbour at transmission */
};

struct atr_feed_routes {
	unsigned int count;
	struct atr_route route[ATR_DESTS_MAX];
};

/* Token bucket of a source or topic on one shard. Only that shard's lcore touches it. */
struct atr_limit {
	struct rte_meter_srtcm meter;
	struct rte_meter_srtcm_profile profile;
};

/* Sequences reserved on disk ahead of use, per question of a shard: twice as many as before, up to
 * the most, when it asks again within ATR_RESERVE_SOON_MS, so that a fast source costs few syncs.
 */
#define ATR_RESERVE_AHEAD   (UINT64_C(1) << 20)
#define ATR_RESERVE_MOST    (UINT64_C(1) << 24)
#define ATR_RESERVE_SOON_MS 500

/* Durable high-water of a source (contract, invariant 5). */
struct atr_reserve {
	uint64_t reserved; /* sequences below may be admitted. Writer: control lcore, after the
			      sync; reader: the owning shard */
	uint32_t source;
	/* Control lcore: */
	struct atr_reserve *unsaved_next; /* list of those to be tried again */
	uint64_t ahead, ahead_tsc;        /* how far the last answer went, and when it was made */
	uint64_t wanted __rte_cache_aligned; /* writer: the owning shard before it asks; reader:
						the control lcore when it answers */
	uint8_t asked;                       /* owning shard: a question is under way */
} __rte_cache_aligned;

/* True while a question for a higher high-water is under way. Owning shard, hot path. */
static inline bool atr_reserve_asked(const struct atr_reserve *reserve)
{
	return reserve->asked &&
	       __atomic_load_n(&reserve->reserved, __ATOMIC_ACQUIRE) <= reserve->wanted;
}

/* What a source needs beside its plan entry, on the shard that owns it. */
struct atr_source_state {
	struct atr_window *window;
	struct atr_reserve *reserve;
	struct atr_limit *limit; /* NULL: unlimited */
	/* Sequences that earlier frames of the same batch will take, in it or deferred to the next:
	 * [first, end). Owning shard. */
	uint64_t batch; /* number of that batch */
	uint64_t batch_first, batch_end;
	uint64_t deferred_first; /* lowest of the deferred ones, UINT64_MAX if there is none */
	uint32_t waiting;        /* its frames in the shard's `reserving` queue. Owning shard */
	/* Where acknowledgements go, and the tree (first bytes of its signature) that said so; 0
	 * while none has brought anything new. Owning shard. */
	uint64_t ack_tree;
	uint32_t ack_ip;
	uint16_t ack_port, ack_iface;
	bool ack_earned; /* by a tree that brought something new */
};

struct atr_program {
	const struct atr_plan *plan; /* NULL: no plan is in force */
	uint64_t generation;
	uint64_t waiting_feeds; /* of class D: published when durable */
	struct atr_net_ports ports;
	struct atr_groups groups;
	struct atr_source_state *source; /* plan->source_slots */
	struct atr_limit **topic_limit;  /* [shard * topic_slots + topic]; NULL: unlimited */
	size_t topic_limits;             /* entries of it */
	bool limits_topics;              /* any entry is one */
	struct atr_feed_routes *routes;  /* plan->feed_slots */
};

/* UDP port listened to while no plan says otherwise. */
#define ATR_UDP_PORT_DEFAULT 26400

/* Everything on this machine that a program is made for. */
struct atr_machine {
	const struct atr_iface *ifaces;
	unsigned int iface_count;
	struct atr_neighbours *neighbours;
	const struct atr_state *state;
	unsigned int shards;
	bool class_d;           /* durability commit: no high-waters are reserved, feeds may wait */
	uint16_t feed_src_port; /* UDP source port of feeds */
	int socket;
};

/* Makes a program for plan (NULL: the program that refuses everything). The plan must outlive it.
 * NULL with one sentence in error: a destination without a route, a feed whose largest event does
 * not fit the MTU of its port, out of memory. Control lcore. */
struct atr_program *atr_program_create(const struct atr_plan *plan, uint64_t generation,
				       const struct atr_machine *machine, char *error, size_t size);
void atr_program_free(struct atr_program *program);

#endif
