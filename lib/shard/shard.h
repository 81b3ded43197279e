/* SPDX-License-Identifier: BSD-3-Clause */
/* A shard: everything that one run of the stage table works on. A data lcore runs one or more.
 *
 * Layer 6. Unless a comment says otherwise, fields are touched by the shard's lcore only.
 */
#ifndef ATR_SHARD_H
#define ATR_SHARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <rte_rcu_qsbr.h>

#include "../auth/auth.h"
#include "../bridge/bridge.h"
#include "../clock/clock.h"
#include "../dedup/dedup.h"
#include "../feed/feed.h"
#include "../gapfill/gap_gate.h"
#include "../hash/hash.h"
#include "../ledger/ledger.h"
#include "../overload/overload.h"
#include "../program/program.h"
#include "../quarantine/quarantine.h"
#include "batch.h"
#include "commit.h"

#define ATR_STAGES_MAX 16

/* What a stage has done. Writer: the shard's lcore; readers: telemetry, which may see values one
 * batch old. */
struct atr_stage_stats {
	uint64_t calls;  /* with at least one item */
	uint64_t items;  /* datagrams, frames or events: the stage table says which */
	uint64_t cycles; /* TSC cycles of those calls */
};

struct atr_rx_stats {
	uint64_t packets, bytes;
	uint64_t polls, empty_polls;
	uint64_t handed_over;   /* frames given to the owning shard */
	uint64_t reply_dropped; /* answers that found a ring full */
	uint64_t link_dropped;  /* ARP and ICMP that found a ring full */
};

/* First in, first out waiting place of mbufs. Bounded; memory from creation. */
struct atr_queue {
	struct rte_mbuf **slot;
	uint64_t *since_tsc;
	uint32_t mask, head, tail;
};

static inline uint32_t atr_queue_count(const struct atr_queue *queue)
{
	return queue->tail - queue->head;
}
static inline bool atr_queue_put(struct atr_queue *queue, struct rte_mbuf *mbuf, uint64_t now_tsc)
{
	if (atr_queue_count(queue) > queue->mask)
		return false;
	queue->since_tsc[queue->tail & queue->mask] = now_tsc;
	queue->slot[queue->tail++ & queue->mask] = mbuf;
	return true;
}

struct atr_shard {
	/* Read-only after creation. */
	unsigned int id;
	unsigned int shards;
	uint16_t rx_queue;
	const struct atr_iface *ifaces;
	unsigned int iface_count;
	struct atr_bridge *bridge;
	struct atr_ledger *ledger;
	struct atr_quarantine *quarantine;
	struct atr_tag_key tag_key;
	struct atr_program *const *program_slot; /* published by the control lcore, RCU */
	struct rte_rcu_qsbr *rcu;                /* this shard is thread `id` of it */
	const struct atr_clock *clock;
	uint64_t reserve_timeout_tsc;

	/* Owned objects. */
	struct atr_ledger_node *node;
	struct atr_hash *hash;
	struct atr_auth *auth;
	struct atr_queue deferred;  /* frames that overlap an earlier one of their batch */
	struct atr_queue reserving; /* frames above their source's durable high-water */
	struct atr_feeds *feeds;
	struct atr_gap_gate gap; /* who may ask for lost messages */
	struct atr_batch *batch;
	const struct atr_program *program; /* of the current batch */

	/* A change of program under way. */
	uint32_t plan_records;            /* of the next one that are in the log */
	uint64_t retiring;                /* feeds whose end of session is still to be sent */
	uint64_t retire_group;            /* when so many groups are durable and published */
	uint64_t ended;                   /* feeds whose session has ended */
	uint32_t feed_epoch, class_epoch; /* of sessions, and of those of class D */

	/* Running state. */
	uint64_t log_index; /* counts what was admitted; an envelope's position where none waits */
	unsigned int next_handover; /* round robin */
	bool stopping;              /* no more RX; what is under way is finished */
	struct atr_commit commit;
	struct rte_mempool *rx_pool; /* receive buffers; NULL: not watched */
	struct atr_overload overload;

	struct atr_rx_stats rx __rte_cache_aligned;
	struct atr_stage_stats stage[ATR_STAGES_MAX];
} __rte_cache_aligned;

struct atr_shard_config {
	unsigned int id, shards;
	int socket;
	const struct atr_iface *ifaces;
	unsigned int iface_count;
	const struct atr_neighbours *neighbours;
	struct atr_bridge *bridge;
	struct atr_ledger *ledger;
	struct atr_quarantine *quarantine;
	struct atr_tag_key tag_key;
	struct atr_program *const *program_slot;
	struct rte_rcu_qsbr *rcu;
	const struct atr_clock *clock;
	struct rte_mempool *payloads, *headers;
	struct atr_auth_params auth;
	unsigned int queue_frames;         /* of deferred and reserving each; a power of two */
	uint32_t epoch;                    /* of the feed sessions */
	uint32_t log_epoch;                /* of those of class D */
	uint64_t waiting_feeds;            /* feeds of class D */
	uint64_t feed_next[ATR_FEEDS_MAX]; /* their first message numbers now */
	struct atr_commit_config commit;
	unsigned int flush_us;
	uint64_t recent_feeds; /* feeds whose last packets are kept, a bit per id */
	uint32_t recent_slots; /* so many of each: atr_recent_slots */
	unsigned int simd_bits;
	struct rte_mempool *rx_pool; /* receive buffers, watched for overload; NULL: none */
};

/* Creates a shard. NULL with one sentence in error. Control lcore, before the data lcore starts. */
struct atr_shard *atr_shard_create(const struct atr_shard_config *config, char *error, size_t size);
void atr_shard_free(struct atr_shard *shard);

#endif
