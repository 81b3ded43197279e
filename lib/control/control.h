/* SPDX-License-Identifier: BSD-3-Clause */
/* Tier 1: the control lcore. Verifies roots, judges envelopes, reserves high-waters, answers ARP,
 * ping and producers, resolves next hops, keeps the clock, publishes programs.
 *
 * Layer 8. All functions are called by the control lcore (the EAL main lcore); the statistics may
 * be read by telemetry.
 */
#ifndef ATR_CONTROL_H
#define ATR_CONTROL_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "../ack/ack.h"
#include "../bridge/bridge.h"
#include "../clock/clock.h"
#include "../envelope/envelope.h"
#include "../governance/governance.h"
#include "../hash/hash.h"
#include "../identity/identity.h"
#include "../ledger/ledger.h"
#include "../plan/plan.h"
#include "../program/program.h"
#include "../quarantine/quarantine.h"
#include "../state/state.h"
#include "../auth/auth.h"
#include "verifier.h"

#define ATR_RESERVES_MAX 64 /* high-waters raised by one sync */
#define ATR_PLANS_PAST   64 /* plans kept after they were in force, for gap requests */

struct atr_control_stats {
	uint64_t roots_verified, roots_refused;
	uint64_t roots_by_verifiers;             /* of both */
	uint64_t envelopes;                      /* judged */
	uint64_t verify_cycles, envelope_cycles; /* TSC, of the two above */
	uint64_t replies, replies_dropped;       /* dropped: no mbuf */
	uint64_t sends_dropped;    /* packets that found the ring to their shard full */
	uint64_t replies_withheld; /* not smaller than the request, or sender no host */
	uint64_t reservations, reserve_failures;
	uint64_t arp_sent, link_answered;
	uint64_t acks; /* datagrams of acknowledgements sent */
	uint64_t turns, idle_turns;
};

/* A change of program. Envelopes wait meanwhile, so that none is judged by one program and logged
 * under another; frames do not. */
enum atr_swap_step {
	ATR_SWAP_NONE,
	ATR_SWAP_QUIET, /* until no admitted envelope is under way; then next is published */
	ATR_SWAP_ADOPT, /* until every shard judges by it */
	ATR_SWAP_GRACE  /* until every shard has passed a quiescent state: old is freed */
};

struct atr_swap_state {
	enum atr_swap_step step;
	struct atr_program *next; /* to be published */
	struct atr_program *old;  /* to be freed; roots asked under it are verified under it */
	uint64_t token;           /* of the grace period */
	uint64_t begun_tsc;
	/* Of programs that came behind others. Writer: control lcore; readers: telemetry. */
	uint64_t done, cycles, cycles_max; /* TSC, from publication asked for to the last shard */
};

struct atr_control {
	/* Read-only after creation. */
	struct atr_bridge *bridge;
	struct atr_ledger *ledger;
	struct atr_ledger_node *node;
	struct atr_quarantine *quarantine;
	struct atr_state *state;
	struct atr_clock *clock;
	struct atr_neighbours *neighbours;
	const struct atr_iface *ifaces;
	unsigned int iface_count;
	struct rte_mempool *payloads;
	struct rte_rcu_qsbr *rcu;
	struct atr_program **program_slot;
	enum atr_durability durability;
	struct atr_machine machine;           /* that programs of changes are made for */
	struct atr_acker *acker;              /* NULL: nothing is acknowledged to frame producers */
	struct atr_hash *hash;                /* of envelopes' leaves */
	struct atr_verifier *const *verifier; /* the caller's */
	unsigned int verifiers;

	/* Running state. */
	struct atr_identity *identity; /* NULL while no plan is in force */
	struct atr_json_parser *parser;
	uint64_t uuid_floor_ms;     /* ids at or below may have been applied before this start */
	uint64_t uuid_reserved_ms;  /* ids up to here are durably reserved */
	uint64_t uuid_highest_ms;   /* admitted */
	uint64_t uuid_forgotten_ms; /* ids below are no longer remembered */
	uint32_t admits[ATR_SHARDS_MAX]; /* under way to each shard */
	uint32_t waiting;                /* copies of envelopes that are under way */
	struct atr_reserve *unsaved;     /* reservations whose sync failed, tried again */
	uint64_t retry_tsc, clock_tsc;
	struct atr_swap_state swap;
	/* Plans that are in force no more, the newest at (pasts - 1) % ATR_PLANS_PAST. Who looks at
	 * them on another thread holds past_lock: none goes meanwhile. */
	struct atr_plan *past[ATR_PLANS_PAST];
	uint64_t pasts;
	pthread_mutex_t past_lock;
	struct atr_governor *governor; /* read by telemetry under readers */
	struct atr_program *proposed;  /* of a change that is admitted, until it is durable */
	/* Who reads the program or the governor on another thread holds it: no program is freed and
	 * the governor stays as it is. */
	pthread_mutex_t readers;
	uint32_t ack_shard; /* that sends the next acknowledgements */
	bool stopping; /* shards have ended: envelopes are refused with SHUTDOWN, nobody is answered
			*/

	struct atr_control_stats stats __rte_cache_aligned;
};

struct atr_control_config {
	struct atr_bridge *bridge;
	struct atr_ledger *ledger;
	struct atr_quarantine *quarantine;
	struct atr_state *state;
	struct atr_clock *clock;
	struct atr_neighbours *neighbours;
	const struct atr_iface *ifaces;
	unsigned int iface_count;
	struct rte_mempool *payloads;
	struct rte_rcu_qsbr *rcu;
	struct atr_program **program_slot;
	struct atr_governor *governor; /* the control lcore's from here on; NULL: a new one */
	enum atr_durability durability;
	struct atr_machine machine;           /* copied; what it points at must outlive the control
					       * lcore. Zeros: no change of plan is expected */
	struct atr_acker *acker;              /* the caller's */
	struct atr_verifier *const *verifier; /* the caller's; they outlive the control lcore */
	unsigned int verifiers; /* up to ATR_VERIFIERS_MAX; 0: the control lcore verifies alone */
	int socket;
	unsigned int simd_bits;
};

/* NULL with one sentence in error. */
struct atr_control *atr_control_create(const struct atr_control_config *config, char *error,
				       size_t size);
void atr_control_free(struct atr_control *control);

/* Puts program in force, behind the one before: each shard judges by it from a batch of its own on,
 * after what program->record holds is in its log. Waits for nobody: atr_control_run goes on with
 * it, and frees the program before (its plan only if it owns it) when every shard has left it.
 * Before the first atr_control_run no shard may run, and all of this is done at once. The program
 * is the control lcore's if 0 is returned; -EBUSY (the one before is under way) or -ENOMEM with a
 * sentence in error. identities: capacity of the envelope memory. */
int atr_control_publish(struct atr_control *control, struct atr_program *program,
			uint32_t identities, char *error, size_t size);

/* One turn: a bounded amount of every kind of work. Returns how much was done; 0 when idle. */
unsigned int atr_control_run(struct atr_control *control);

/* After the shards have stopped: takes everything off the rings (SHUTDOWN where it must be judged)
 * and makes exact high-waters durable, so that a clean stop costs no producer a sequence. */
void atr_control_finish(struct atr_control *control);

/* --- One kind of work each; called by atr_control_run --- */

/* Verifies the head of a root request and sends the verdict back, or has a verifier do it. */
void atr_control_root(struct atr_control *control, struct atr_root_request *request);

/* A step further with a change of program. Returns 1 if there was one to take. */
unsigned int atr_control_swap(struct atr_control *control);

/* Frees what a change under way has left. */
void atr_control_swap_end(struct atr_control *control);

/* The plan of a generation, in force or past; NULL if it is not kept. Any thread, under past_lock.
 */
const struct atr_plan *atr_control_plan(const struct atr_control *control, uint64_t generation);

/* True while envelopes must wait. */
static inline bool atr_control_swapping(const struct atr_control *control)
{
	return control->swap.step == ATR_SWAP_QUIET || control->swap.step == ATR_SWAP_ADOPT;
}

/* Sends the verdicts back that verifiers have come to. Returns how many. */
unsigned int atr_control_verified(struct atr_control *control);

/* Raises the durable high-waters of up to ATR_RESERVES_MAX sources with one sync. */
void atr_control_reserve(struct atr_control *control, struct atr_reserve *const *reserve,
			 unsigned int count);

/* Tries those again whose sync failed, once a second. */
void atr_control_reserve_again(struct atr_control *control);

/* Judges an envelope: gates 1-4 and identity, then on to its shard, or to quarantine. */
void atr_control_envelope(struct atr_control *control, struct rte_mbuf *mbuf, uint32_t shard);

/* Gate ruleset of envelopes that govern: may it be admitted? ATR_OK, a GOV_* reason, or BRIDGE_FULL
 * while another change is under way. Of a change that may be the program is made. */
uint8_t atr_control_govern(struct atr_control *control, uint32_t source, uint32_t type,
			   const struct atr_json *payload);
/* It is not admitted after all, or was shed. */
void atr_control_govern_undo(struct atr_control *control);
/* It is durable: takes what it says, or puts the change in force. */
void atr_control_govern_take(struct atr_control *control, const struct rte_mbuf *mbuf);

/* A shard has logged or shed an admitted envelope. */
void atr_control_settled(struct atr_control *control, struct rte_mbuf *mbuf, uint32_t shard);

/* ARP or ICMP from a port. */
void atr_control_link(struct atr_control *control, struct rte_mbuf *mbuf, uint32_t shard);

/* ARP requests that are due. Returns how many were sent. */
unsigned int atr_control_resolve(struct atr_control *control);

/* Takes what the shards have to tell producers of frames, and sends it, signed. Returns items. */
unsigned int atr_control_acknowledge(struct atr_control *control);

/* What a reply says. */
struct atr_reply {
	const uint8_t *uuid; /* NULL: unknown */
	uint8_t reason;      /* ATR_OK, ATR_DUPLICATE or a refusal */
	uint32_t shard;
	uint64_t position;
};

/* Answers the datagram in request with a JSON reply, if that is smaller than the request (so that
 * two appliances cannot be made to answer each other for ever) and the sender is one host. */
void atr_control_reply(struct atr_control *control, const struct rte_mbuf *request, uint32_t shard,
		       const struct atr_reply *reply);

/* Sends a message down to a shard, waiting for room (shards always drain their ring). */
void atr_control_down(struct atr_control *control, uint32_t shard, uint16_t kind, uint32_t arg,
		      void *ptr);

/* Gives a packet to a shard to be transmitted on a port; drops it (counted) if the ring is full. */
void atr_control_send(struct atr_control *control, uint32_t shard, uint32_t port,
		      struct rte_mbuf *mbuf);

/* Quarantines a datagram refused by the control lcore, and counts it and its events if count is
 * true; consumes the mbuf. */
void atr_control_refuse(struct atr_control *control, struct rte_mbuf *mbuf, uint8_t reason,
			bool count);

#endif
