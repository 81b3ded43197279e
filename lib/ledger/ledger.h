/* SPDX-License-Identifier: BSD-3-Clause */
/* Ledgers of datagrams and of events that balance at every moment they are asked.
 *
 *   received = admitted + refused by reason + duplicate + in flight
 *
 * Every node (each shard, and the control lcore) keeps a book of its own, written by its lcore
 * only. What waits is counted where it waits: `held` is a gauge of the node's own waiting places,
 * and items on a ring are the difference between what one node has put on rings of that kind and
 * what others have taken off.
 *
 * A reading of several nodes is exact because it is a consistent cut (Chandy and Lamport, with
 * Lai and Yang's colouring in place of markers): a reader raises the epoch, each node copies its
 * book when it sees the new epoch between two batches, every item on a ring carries its sender's
 * epoch, and a node that meets an item of a newer epoch copies its book before it takes the item,
 * or, in the middle of a batch, leaves the item on its ring until the batch is done.
 *
 * Layer 1: lib/reason, DPDK atomics. book functions are hot path.
 */
#ifndef ATR_LEDGER_H
#define ATR_LEDGER_H

#include <stdint.h>

#include <rte_branch_prediction.h>
#include <rte_common.h>

#include "../reason/reason.h"

#define ATR_NODES_MAX 65 /* 64 shards and the control lcore */

/* One kind of thing counted: datagrams or events. */
struct atr_tally {
	uint64_t received;
	uint64_t admitted;
	uint64_t duplicate;
	uint64_t held;         /* gauge: waiting inside this node */
	uint64_t handover_out; /* put on rings to other shards */
	uint64_t handover_in;
	uint64_t bridge_out; /* put on rings between shard and control lcore */
	uint64_t bridge_in;
	uint64_t refused[ATR_REASON_SPACE];
};

struct atr_book {
	struct atr_tally datagrams;
	struct atr_tally events;
	uint64_t arp, icmp, foreign; /* packets that are no datagrams for ATR */
};

/* A node's book. Writer: the node's lcore. Readers: none but itself; others read the snapshot. */
struct atr_ledger_node {
	struct atr_book book;
	uint32_t epoch; /* of the last snapshot; the colour of items this node sends */
	struct {
		struct atr_book book; /* valid for `epoch` below; writer: the node's lcore */
		uint32_t epoch;       /* released after book is complete; readers: any thread */
	} snapshot __rte_cache_aligned;
} __rte_cache_aligned;

struct atr_ledger {
	uint32_t requested
		__rte_cache_aligned; /* writer: the reader's thread; readers: all nodes */
	unsigned int nodes;
	struct atr_ledger_node *node[ATR_NODES_MAX];
};

/* Copies the node's book for epoch. Cold half of atr_ledger_poll. */
void atr_ledger_snapshot(struct atr_ledger_node *node, uint32_t epoch);

/* Between two batches: copies the book if a reader has asked. Hot path, the node's lcore. */
static inline void atr_ledger_poll(const struct atr_ledger *ledger, struct atr_ledger_node *node)
{
	uint32_t epoch = __atomic_load_n(&ledger->requested, __ATOMIC_ACQUIRE);

	if (unlikely(epoch != node->epoch))
		atr_ledger_snapshot(node, epoch);
}

/* Before items whose newest epoch (16 bits) is given are taken off a ring. Hot path. */
static inline void atr_ledger_meet(const struct atr_ledger *ledger, struct atr_ledger_node *node,
				   uint16_t epoch)
{
	if (unlikely(epoch != (uint16_t)node->epoch))
		atr_ledger_poll(ledger, node);
}

/* What a reader gets: sums over all nodes of one cut. */
struct atr_ledger_total {
	uint64_t received, admitted, duplicate, refused_total;
	uint64_t in_hold, in_handover, in_bridge; /* in flight, by place */
	uint64_t refused[ATR_REASON_SPACE];
};
struct atr_ledger_reading {
	struct atr_ledger_total datagrams, events;
	uint64_t arp, icmp, foreign;
};

/* Takes a cut. One reader at a time (the telemetry thread). Waits up to timeout_us for all nodes;
 * -ETIMEDOUT if one does not answer (its lcore is stuck or stopped). */
int atr_ledger_read(struct atr_ledger *ledger, unsigned int timeout_us,
		    struct atr_ledger_reading *out);

#endif
