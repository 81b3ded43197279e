/* SPDX-License-Identifier: BSD-3-Clause */
/* A program: one generation of everything that a shard needs to judge and route, made by the
 * control lcore from a plan and this machine's ports, and swapped under the shards by RCU.
 *
 * The plan and the routes are immutable. Windows, limits and reservations are state that outlives a
 * generation: a program made behind another points at the same objects. Those of sources stay even
 * where a plan leaves the source out, so that one that comes back applies nothing twice; a limit
 * stays as long as its rate does.
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

/* Token bucket of a source or topic on one shard. Only that shard's lcore touches the meter. */
struct atr_limit {
	struct rte_meter_srtcm meter;
	struct rte_meter_srtcm_profile profile;
	uint32_t programs; /* that point at it. Control lcore */
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
	/* Control lcore, before a program that has the source is published. NULL: no program ever
	 * had it. */
	struct atr_window *window;
	struct atr_reserve *reserve;
	uint32_t window_size, max_ahead; /* of the window; control lcore */
	uint64_t floor;                  /* where a window that is made begins; control lcore */
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

/* The states of all sources, by id. */
struct atr_source_states {
	uint32_t programs; /* that point at them. Control lcore */
	struct atr_source_state source[ATR_ID_MAX + 1];
};

/* A chunk of the plan's document as a shard logs it before it judges by the plan. */
struct atr_plan_record {
	const uint8_t *body;
	uint32_t length;
	uint8_t leaf[32]; /* SHA-256 of the body */
};

struct atr_program {
	const struct atr_plan *plan; /* NULL: no plan is in force */
	uint64_t generation;
	uint64_t feeds;         /* of the plan, a bit each */
	uint64_t waiting_feeds; /* of class D: published when durable */
	struct atr_net_ports ports;
	struct atr_groups groups;
	struct atr_source_states *states;
	struct atr_source_state *source; /* of states */
	struct atr_limit **source_limit; /* by id, source_limits of them; NULL: unlimited */
	size_t source_limits;
	struct atr_limit **topic_limit; /* [shard * topic_slots + topic]; NULL: unlimited */
	size_t topic_limits;            /* entries of it */
	bool limits_topics;             /* any entry is one */
	/* ATR_FEEDS_MAX; of a feed that the plan has retired those that it had last, for what is
	 * still on its way. */
	struct atr_feed_routes *routes;
	/* What each shard logs first. Read-only once published. */
	struct atr_plan_record *record;
	uint32_t records;
	uint8_t *record_bytes;
	bool owns_plan; /* the plan is freed with the program */
	/* Shards that judge by it. Writers: the shards, with release; reader: the control lcore. */
	uint32_t adopted __rte_cache_aligned;
} __rte_cache_aligned;

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
	/* The program that this one comes behind: its states and limits live on. NULL: none. */
	const struct atr_program *before;
};

/* Makes a program for plan (NULL: the program that refuses everything). The plan must outlive it.
 * NULL with one sentence in error: a destination without a route, a feed whose largest event does
 * not fit the MTU of its port, out of memory. Control lcore. */
struct atr_program *atr_program_create(const struct atr_plan *plan, uint64_t generation,
				       const struct atr_machine *machine, char *error, size_t size);
void atr_program_free(struct atr_program *program);

/* Makes the records by which the plan enters the logs, all chunks of ATR_PLAN_RECORD_BYTES but the
 * last: call it before the program is published behind another where there is a log. -ENOMEM.
 * Control lcore. */
#define ATR_PLAN_RECORD_BYTES 8192
int atr_program_log(struct atr_program *program);

#endif
