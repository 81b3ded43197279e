/* SPDX-License-Identifier: BSD-3-Clause */
/* A whole appliance without lcores: shards and the control lcore over net_ring ports, turned by
 * hand in one thread, so that a test decides what each batch holds. */
#ifndef ATR_TEST_RIG_H
#define ATR_TEST_RIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <rte_mempool.h>
#include <rte_ring.h>

#include "../../../lib/control/control.h"
#include "../../../lib/shard/shard.h"
#include "../../../lib/sign/sign.h"
#include "../../../lib/stages/stages.h"
#include "rig_store.h"

#define RIG_SOURCES  6 /* of the plan: ids 1..6; frames of id 7 are of nobody */
#define RIG_SHARDS   2
#define RIG_PORTS    2
#define RIG_REALM    7
#define RIG_UDP_PORT 26400
#define RIG_DATAGRAM 2048
#define RIG_HOLD     512

enum rig_topic { TOPIC_OPEN = 1, TOPIC_SHUT, TOPIC_HIGH, TOPIC_SLOW };
#define TOPIC_ZERO UINT32_MAX /* on the wire 0, which is in no plan */
enum rig_type { TYPE_READING = 1, TYPE_NOTE };

struct rig_options {
	unsigned int shards;                  /* 0: 1 */
	unsigned int window, max_ahead, rate; /* of every source; rate 0: none */
	unsigned int verify_ring;             /* messages; 0: plenty */
	unsigned int handover_ring;
	unsigned int hold_per_source;
	bool senders; /* are told apart by their address, which is another one on each port */
	bool no_plan;
	uint64_t start; /* durable high-water of every source before this start */
	/* The log of class D, the caller's, closed; NULL: durability none. Feed 0 is of class D
	 * then, and feed 1 if big_waits. */
	struct rig_store *store;
	bool big_waits;
	/* What producers are told; NULL: nobody listens. */
	void *listener;
	void (*on_reply)(void *listener, const char *json);
	void (*on_ack)(void *listener, const struct atr_ack_notice *notice,
		       const struct atr_ack_entry *entry);
};

struct rig {
	struct rte_mempool *rx, *payloads, *headers;
	struct rte_ring *in[RIG_PORTS][RIG_SHARDS], *out[RIG_PORTS][RIG_SHARDS];
	struct atr_iface iface[RIG_PORTS];
	struct atr_neighbours *neighbours;
	struct atr_bridge bridge;
	struct atr_ledger ledger;
	struct atr_quarantine *quarantine;
	struct atr_state *state;
	struct atr_clock clock;
	struct atr_program *program;
	struct atr_plan *plan;
	struct rte_rcu_qsbr *rcu;
	struct atr_shard *shard[RIG_SHARDS];
	struct atr_control *control;
	unsigned int shards;
	struct atr_signer *frame_key[RIG_SOURCES + 2], *envelope_key[RIG_SOURCES + 2];
	struct atr_signer *old_key[RIG_SOURCES + 2]; /* no longer valid */
	char directory[64];
	uint64_t injected;
	unsigned int in_use[3]; /* mbufs of the pools at the start */
	uint64_t mold_next[2][RIG_SHARDS];
	unsigned int other_packets, ends;
	char reply[512];
	struct rig_options options;
	struct rig_store *store;
	struct atr_tag_key tag_key;
	struct atr_ack_reader ack_reader;
	uint32_t mold_epoch[2][RIG_SHARDS];
	bool dead; /* power has failed: what leaves now never left */
};

/* One process, one rig: EAL, ports and pools live as long as the group of tests. */
int rig_boot(void **state);
int rig_end(void **state);

/* NULL only if the store does not open; its error says why. */
struct rig *rig_start(const struct rig_options *options);
/* Ends shards and control as the appliance does, holds that the ledgers balance with nothing in
 * flight and that no mbuf is lost, and frees everything. */
void rig_stop(struct rig *rig);
/* Power has failed: frees everything; nothing is sent, written or checked any more. */
void rig_kill(struct rig *rig);
/* Puts the plan in force, where it was started with none. */
void rig_publish(struct rig *rig);

/* Puts a program without a plan in force. */
void rig_unpublish(struct rig *rig);

/* What a frame says. Event i has sequence first + i and value value + i. */
struct rig_frame {
	uint32_t source;
	uint64_t first;
	unsigned int count;
	uint32_t value;
	uint32_t topic;   /* 0: TOPIC_OPEN */
	uint32_t type;    /* 0: TYPE_READING */
	uint64_t realm;   /* 0: RIG_REALM */
	uint32_t key;     /* 0: 1 */
	bool forged;      /* signed by another key */
	uint8_t priority; /* that event i claims: (priority >> 2 * (i % 4)) & 3 */
};
struct rig_datagram {
	uint8_t bytes[RIG_DATAGRAM];
	uint16_t length;
};

/* Makes the frames of one tree (count of them, one source, one signature). */
void rig_tree(struct rig *rig, const struct rig_frame *frames, unsigned int count,
	      struct rig_datagram *out);
/* An envelope of source 1..6 with the given value and UUID time; a new UUID unless one is given. */
void rig_envelope(struct rig *rig, uint32_t source, uint32_t value, const uint8_t *uuid,
		  struct rig_datagram *out);

/* Puts a datagram in Ethernet, IPv4 and UDP on the RX ring of a shard's queue. */
void rig_inject(struct rig *rig, unsigned int port, unsigned int queue,
		const struct rig_datagram *datagram);
/* The same for raw Ethernet bytes, in segments of at most segment bytes (0: one). */
void rig_inject_raw(struct rig *rig, unsigned int port, unsigned int queue, const uint8_t *bytes,
		    unsigned int length, unsigned int segment);
/* A tree of one frame, to port 0 of the shard that owns its source. */
void rig_send(struct rig *rig, const struct rig_frame *frame);

/* Turns shards and control until nothing moves any more. */
void rig_settle(struct rig *rig);
/* A turn of one shard, after which the ledgers must balance. */
void rig_turn(struct rig *rig, unsigned int shard);
/* Sums of the books as they stand; fails the test if they do not balance. */
struct atr_ledger_reading rig_ledger(struct rig *rig);
struct atr_ledger_total rig_events(struct rig *rig);
struct atr_ledger_total rig_datagrams(struct rig *rig);

/* An event that left in a feed. */
struct rig_event {
	unsigned int feed, shard;
	uint64_t number; /* of the message */
	uint64_t sequence;
	uint32_t source, value;
	bool envelope;
};
/* Takes what was transmitted, holding that sessions continue without gap; returns the number of
 * events, of which up to capacity are written. Other packets (replies, ARP) are counted. */
unsigned int rig_collect(struct rig *rig, struct rig_event *events, unsigned int capacity);
unsigned int rig_other_packets(const struct rig *rig);
unsigned int rig_ends(const struct rig *rig);
/* Payload of the last packet to the port that envelopes are sent from; empty if there was none. */
const char *rig_reply(const struct rig *rig);

#endif
