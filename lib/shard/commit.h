/* SPDX-License-Identifier: BSD-3-Clause */
/* What a shard keeps between the log stage and the commit stage: the open group, what waits for
 * durability, and how far publication has come.
 *
 *   log stage      appends to `open`, takes identities, numbers messages (`next`)
 *   commit stage   seals `open`; takes durable groups in order, publishes their events to the feeds
 *                  that wait, settles envelopes, releases acknowledgements, gives the group back
 *
 * Layer 6. Touched by the shard's lcore only, and by the control lcore before that is launched.
 */
#ifndef ATR_COMMIT_H
#define ATR_COMMIT_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_mbuf.h>

#include "../ack/ack.h"
#include "../bridge/bridge.h"
#include "../log/log.h"
#include "../plan/plan.h"

/* An acknowledgement that waits for a group. */
struct atr_pending_ack {
	uint64_t group; /* of this run, from 1; may leave when so many are durable */
	struct atr_ack_item item;
};

/* feeds_at of a record whose admitted events all go to the same feeds. */
#define ATR_FEEDS_UNIFORM UINT32_MAX

/* position of an acknowledgement that waits: a record's index in its group, or this. */
#define ATR_ACK_NO_RECORD UINT32_MAX

/* Acknowledgements that wait, first in, first out. Bounded; what does not fit is dropped and
 * counted, and the producer asks again. */
struct atr_pending_acks {
	struct atr_pending_ack *slot;
	uint32_t mask, head, tail;
};

struct atr_commit_stats {
	uint64_t groups;       /* sealed */
	uint64_t events;       /* durable and published, or on their way to no feed that waits */
	uint64_t republished;  /* of groups found at start */
	uint64_t acks;         /* handed to the control lcore, frames */
	uint64_t acks_dropped; /* no room for them */
	uint64_t shed;         /* frames and envelopes, for want of room in the log */
	uint64_t wait_cycles;  /* TSC, of groups from opening to durability, summed */
	uint64_t wait_cycles_max;
};

/* Where a group of this run begins in the tree: for the positions in acknowledgements. */
#define ATR_COMMIT_BASES 2048 /* more than there are group buffers, and acknowledgements lag */
struct atr_commit_base {
	uint64_t group, first_leaf;
};

struct atr_commit {
	struct atr_log *log; /* NULL: durability none */
	enum atr_durability durability;
	uint32_t seal_bytes; /* a group of so many bytes is sealed at once */
	uint64_t seal_tsc;   /* a group so old is sealed even while others are under way, */
	uint64_t seal_ahead; /* if these are fewer than so many */

	/* Groups of this run, counted. */
	uint64_t opened, durable;
	struct atr_group_buf *open;
	uint64_t next[ATR_LOG_FEEDS_MAX]; /* message numbers of class D feeds, given in the log
					     stage */

	struct atr_group_buf *publishing; /* durable, being worked through */
	uint32_t cursor;                  /* its next record */
	struct atr_commit_base base[ATR_COMMIT_BASES];

	/* Groups found at start that may not have been published: before all others, once next hops
	 * are known or a second has passed. */
	struct atr_group_buf *recovered;
	unsigned int recovered_count, recovered_at;
	uint64_t republish_tsc; /* not before, unless every next hop is known */

	struct atr_pending_acks acks;
	struct rte_mbuf *envelope[ATR_ADMITS_MAX]; /* logged, not settled; in log order */
	uint32_t envelope_head, envelope_tail;
	struct atr_commit_stats stats;

	/* Number of the log's first group that is not durable. Writer: the shard's lcore, with
	 * release; readers, with acquire: threads that read the log while it grows. */
	uint64_t group_end __rte_cache_aligned;
} __rte_cache_aligned;

struct atr_commit_config {
	struct atr_log *log; /* NULL with ATR_DURABILITY_NONE */
	enum atr_durability durability;
	uint32_t seal_bytes;
	unsigned int seal_us;
	unsigned int seal_ahead;
	unsigned int acks;               /* that can wait; a power of two */
	struct atr_group_buf *recovered; /* the caller's, until the shard is freed */
	unsigned int recovered_count;
	uint64_t next[ATR_LOG_FEEDS_MAX]; /* message numbers after all groups in the log */
	uint64_t group_end;               /* groups in the log now */
};

/* 0 or -ENOMEM. Control lcore, before the shard's lcore is launched. */
int atr_commit_create(struct atr_commit *commit, const struct atr_commit_config *config,
		      int socket);
/* Frees memory, and the mbufs of envelopes that were not settled. */
void atr_commit_free(struct atr_commit *commit);
size_t atr_commit_footprint(unsigned int acks);

/* True while something is between log and publication. */
static inline bool atr_commit_busy(const struct atr_commit *commit)
{
	return commit->log &&
	       (commit->open || commit->publishing || atr_log_under_way(commit->log) > 0 ||
		commit->recovered_at != commit->recovered_count ||
		commit->acks.head != commit->acks.tail);
}

#endif
