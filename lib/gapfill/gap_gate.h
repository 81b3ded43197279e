/* SPDX-License-Identifier: BSD-3-Clause */
/* The Stream gate's door: who may ask for lost messages, how often, and what can be answered at
 * once from a shard's memory.
 *
 * Only subscribers of the feed are answered: its unicast destinations, and, if it has a multicast
 * destination, hosts on the subnet of the port that the request came by. Nobody else gets a single
 * byte. Each requester has a token bucket, and all together have one.
 *
 * Layer 5: lib/feed, lib/program, lib/net, lib/wire. One object a shard; every function but
 * atr_gap_gate_init is hot path, on the shard's lcore.
 */
#ifndef ATR_GAP_GATE_H
#define ATR_GAP_GATE_H

#include <rte_meter.h>

#include "../feed/feed.h"

#define ATR_GAP_REQUESTERS 64 /* remembered a shard; the least recently seen goes first */
#define ATR_GAP_PER_SECOND 1000
#define ATR_GAP_BURST      100
#define ATR_GAP_TOGETHER   16 /* so many times the rate of one is what all may ask */

enum atr_gap_verdict {
	ATR_GAP_MEMORY,          /* answered: the packet was sent again */
	ATR_GAP_LOG,             /* may be answered from the log: for the gap thread */
	ATR_GAP_MALFORMED,       /* is no request */
	ATR_GAP_UNKNOWN_SESSION, /* of no feed, shard or epoch of ours */
	ATR_GAP_NOT_SUBSCRIBER,
	ATR_GAP_OVER_RATE,
	ATR_GAP_NOT_THERE, /* not sent yet, or no longer in memory and in no log */
	ATR_GAP_BUSY,      /* the ring to the gap thread is full; counted by the caller */
	ATR_GAP_VERDICTS
};

/* Name for people and telemetry: "memory", "log", "unknown_session", ... Static storage. */
const char *atr_gap_verdict_name(enum atr_gap_verdict verdict);

struct atr_gap_gate {
	struct rte_meter_srtcm_profile one_profile, all_profile;
	struct rte_meter_srtcm all;
	uint32_t ip[ATR_GAP_REQUESTERS]; /* 0: free */
	uint64_t seen_tsc[ATR_GAP_REQUESTERS];
	struct rte_meter_srtcm meter[ATR_GAP_REQUESTERS];
	/* By verdict. Writer: the shard's lcore; readers: telemetry. */
	uint64_t verdicts[ATR_GAP_VERDICTS];
};

/* per_second and burst (both at least 1) of one requester, in requests; each of them is answered by
 * at most one datagram. -EINVAL. Control lcore, before the shard runs. */
int atr_gap_gate_init(struct atr_gap_gate *gate, uint64_t per_second, uint64_t burst);

/* A request that came in. */
struct atr_gap_asker {
	const uint8_t *data; /* UDP payload, ATR_NET_REQUEST_SIZE bytes */
	struct rte_ether_addr mac;
	uint32_t ip;
	uint16_t port;
	uint16_t iface; /* index of the interface that it came by */
};

/* What a well-formed request asks for. */
struct atr_gap_wanted {
	char session[ATR_MOLD_SESSION_SIZE];
	uint32_t feed, shard;
	uint64_t sequence;
	uint16_t count;
};

/* Reads a request: 0, or -EBADMSG if it is none. Any thread. */
int atr_gap_wanted(const uint8_t *data, size_t length, struct atr_gap_wanted *wanted);

/* Judges a request and answers it from memory if it can; counts the verdict. shard and shards:
 * whose feeds these are, and of how many. */
enum atr_gap_verdict atr_gap_judge(struct atr_gap_gate *gate, struct atr_feeds *feeds,
				   const struct atr_program *program, unsigned int shard,
				   unsigned int shards, const struct atr_gap_asker *asker,
				   uint64_t now_tsc);

#endif
