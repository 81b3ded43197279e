/* SPDX-License-Identifier: BSD-3-Clause */
/* The gap thread: takes requests that shards passed on, answers them from their logs, and gives the
 * answers to the shards for transmission.
 *
 * Layer 5: lib/bridge, lib/net. One thread of its own calls atr_gap_server_turn; it may block on
 * the disk, which nobody but subscribers with gaps waits for. An answer takes the place of the
 * request in its mbuf, so that nothing is allocated.
 */
#ifndef ATR_GAP_SERVER_H
#define ATR_GAP_SERVER_H

#include "../bridge/bridge.h"
#include "../net/net.h"
#include "gap_reader.h"

#define ATR_GAP_ERROR_SIZE 256

/* What became of requests. Writer: the gap thread; readers: telemetry. */
struct atr_gap_counts {
	uint64_t answered;  /* from the log */
	uint64_t not_there; /* not, or no longer, in the durable part that was looked at */
	uint64_t failed;    /* the log could not be read, or contradicts itself */
	uint64_t dropped;   /* the ring of answers was full */
};

struct atr_gap_server {
	/* Set by the owner before the first turn. */
	struct atr_bridge *bridge; /* consumer of its requests, producer of its answers */
	/* As a question's; called by the gap thread between hold and release. NULL is allowed for
	 * these two. */
	const struct atr_plan *(*plan)(void *context, uint64_t generation);
	void (*hold)(void *context);
	void (*release)(void *context);
	void *context;
	const struct atr_iface *ifaces;
	uint16_t feed_port;                            /* UDP source of answers */
	uint16_t datagram_max;                         /* UDP payload that every port takes */
	struct atr_gap_reader *reader[ATR_SHARDS_MAX]; /* by shard */
	/* Number of each log's first group that is not durable. Writer: whoever takes durable
	 * groups off the log, with release; reader: the gap thread. */
	const uint64_t *durable[ATR_SHARDS_MAX];

	struct atr_gap_counts counts[ATR_SHARDS_MAX]; /* by the shard that passed it on */
	char error[ATR_GAP_ERROR_SIZE];               /* the last failure's sentence; gap thread */
};

/* Follows every log a little and answers what is on the rings, a burst of each shard. Returns how
 * much was done; 0: the caller may sleep. */
unsigned int atr_gap_server_turn(struct atr_gap_server *server);

#endif
