/* SPDX-License-Identifier: BSD-3-Clause */
/* Plans of any size, and unique, really signed frames that fit them. */
#ifndef ATR_BENCH_TRAFFIC_H
#define ATR_BENCH_TRAFFIC_H

#include <rte_mempool.h>

#include "../../lib/plan/plan.h"
#include "../../lib/port/port.h"
#include "../../lib/wire/frame.h"
#include "config.h"

#define TRAFFIC_REALM           UINT64_C(0xbe)
#define TRAFFIC_UDP_HDRS        42
#define TRAFFIC_AROUND_ENVELOPE 122 /* in a feed's packet: IP, UDP, MoldUDP64, event */
#define TRAFFIC_PAYLOAD         24  /* fixed part; an event beyond a packet has text behind it */
#define TRAFFIC_PAYLOAD_MAX     4096
#define TRAFFIC_PORT            26400
#define TRAFFIC_TYPE            1
#define TRAFFIC_IP_OURS         0x0A000001u
#define TRAFFIC_IP_THEIRS       0x0A000002u
#define TRAFFIC_FEED_PORT       5000 /* of feed 0; the others follow */
#define TRAFFIC_ACK_PORT        4000 /* that producers send from */

/* What is wrong with a tree. */
enum traffic_spoil {
	SPOIL_NONE,
	SPOIL_VALUE,     /* its first event has a value that is in no enumeration */
	SPOIL_FORM,      /* its first event names another sender than the frame's source */
	SPOIL_SIGNATURE, /* its root is signed with another key */
	SPOIL_PROOF,     /* the proof of its last frame */
	SPOIL_RULE       /* it comes from a source to which no rule allows anything */
};

struct traffic {
	const struct bench_config *config;
	struct atr_signer *frames, *envelopes; /* keys of every source */
	struct rte_mempool *pool;
	const struct atr_iface *iface;
	unsigned int events;      /* in a frame */
	unsigned int trees;       /* made so far */
	unsigned int passes;      /* begun so far */
	unsigned int first;       /* of the trees of this pass */
	uint64_t *sequence;       /* next one, by source */
	enum traffic_spoil spoil; /* of the trees made from now on */
};

/* How many sources of a shard take part in a pass. */
unsigned int traffic_active(const struct bench_config *config, unsigned int shard,
			    unsigned int shards);

/* The plan: sources 1..N, topics 1..N, one type, rules and feeds, and behind the sources one a
 * shard to which no rule allows anything. Class of all feeds: durability. Ends the process if it
 * does not load. */
struct atr_plan *traffic_plan(struct traffic *traffic, const struct bench_config *config,
			      unsigned int shards, const char *durability);

/* How many events a frame holds. */
unsigned int traffic_events(const struct bench_config *config);

/* From here on trees are those of the next pass. */
void traffic_pass(struct traffic *traffic);

/* Makes the next tree, of the given shard's sources; config->tree packets to out. */
void traffic_tree(struct traffic *traffic, unsigned int shard, unsigned int shards,
		  struct rte_mbuf **out);

/* One packet to the appliance with that UDP payload. */
struct rte_mbuf *traffic_packet(const struct traffic *traffic, const uint8_t *payload,
				size_t length);

/* Bytes of an event's payload. */
unsigned int traffic_payload(const struct bench_config *config);

/* What event sequence of a source says; traffic_payload bytes. */
void traffic_event(const struct bench_config *config, uint64_t sequence, uint8_t *payload);

/* Feeds that a topic's messages go to. */
uint64_t traffic_feeds(const struct bench_config *config, uint32_t topic);

#endif
