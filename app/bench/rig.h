/* SPDX-License-Identifier: BSD-3-Clause */
/* The data path for benches: the appliance's own stage table, shards and control lcore between
 * rings, which stand for a NIC's. One a process; what goes wrong ends it.
 *
 * The main lcore is the control lcore and fills and empties the rings; shard s runs on the s-th
 * other lcore, or with --shards beyond those several share one. */
#ifndef ATR_BENCH_RIG_H
#define ATR_BENCH_RIG_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_mempool.h>
#include <rte_ring.h>

#include "../../lib/control/control.h"
#include "../../lib/port/port.h"
#include "../../lib/stages/stages.h"
#include "bench.h"
#include "traffic.h"

/* What a data lcore does with what is on its RX ring. */
enum rig_mode {
	RIG_PATH, /* the stage table */
	RIG_IO,   /* reception and transmission of the same frames, no gate */
	RIG_HASH, /* leaf hashes and a node a frame, nothing else */
	RIG_MODES
};

struct rig_lane {
	struct rte_ring *in, *out;
	struct atr_shard *shard;
	struct rte_mbuf **stock;           /* the frames of a pass */
	unsigned int given;                /* of these, put on the RX ring */
	uint64_t judged;                   /* events before the pass */
	uint64_t target;                   /* of finished() when a pass is over */
	uint64_t cycles;                   /* of the last pass; writer: the lane's lcore */
	uint32_t done __rte_cache_aligned; /* passes; writer: the lane's lcore; reader: main */
};

extern struct rig {
	const struct bench_config *config;
	struct traffic traffic;
	unsigned int shards;
	struct rig_lane lane[BENCH_SHARDS_MAX];
	struct rte_mempool *rx, *payloads, *headers;
	struct atr_iface iface;
	struct atr_bridge bridge;
	struct atr_ledger ledger;
	struct atr_clock clock;
	struct atr_neighbours *neighbours;
	struct atr_state *state;
	struct atr_quarantine *quarantine;
	struct rte_rcu_qsbr *rcu;
	struct atr_program *program;
	struct atr_plan *plan;
	struct atr_control *control;
	struct atr_acker *acker;
	struct atr_signer *acks_key;
	struct atr_verifier *verifier[ATR_VERIFIERS_MAX];
	char directory[64]; /* temporary: state and quarantine, log */
	bool completes;     /* a data lcore frees what was sent, as a driver does; else the main
			     * lcore takes it with rig_drain */
	bool (*window_full)(void); /* producers wait for acknowledgements; NULL: they never do */
	uint64_t (*finished)(unsigned int shard); /* events; read by data lcores */
	enum rig_mode mode;                       /* of the pass; writer: main */
	uint32_t go __rte_cache_aligned;          /* passes to run; writer: main */
	bool stop;                                /* writer: main */
} rig;

/* Makes the temporary directory, which goes when the process ends; rig_start does, if nobody has.
 */
void rig_directory(void);

/* Directory, plan (class of its feeds: durability), pools, port, shards, control lcore. EAL runs.
 * commit.log: of shard 0; only one shard can have one here. */
void rig_start(const struct bench_config *config, const char *durability,
	       struct atr_commit_config *commit);

/* Closes state and quarantine; the directory goes when the process ends. */
void rig_end(void);

/* Makes config->frames frames for every shard and flushes them from all caches: the stock. */
void rig_make(void);

/* Puts all of the stock on the RX rings. */
void rig_fill(void);

/* A turn that puts as much of the stock on the RX rings as keeps few enough roots unproven, as
 * producers that wait for their acknowledgements do. */
void rig_offer(void);

/* Whether a pass has more roots than may be unproven at a time. */
bool rig_many_roots(void);

/* Names what was refused, on standard error. */
void rig_tell_refusals(void);

/* Takes what was transmitted; each packet is shown to look first, if there is one. */
void rig_drain(void (*look)(const struct rte_mbuf *mbuf));

/* Starts the data lcores (and verifiers), and ends them. */
void rig_launch(void);
unsigned int rig_launch_verifiers(void);
void rig_join(void);

/* One pass over what was filled in; control turns, and turn, run on this lcore meanwhile. expected:
 * events a shard that end the pass. Returns the time of the slowest shard, in seconds. */
double rig_pass(enum rig_mode mode, uint64_t expected, void (*turn)(void));

/* Events admitted by a shard. */
uint64_t rig_admitted(unsigned int shard);

/* Adds "stages" to a result: nanoseconds a message over messages so many, since rig_forget. */
void rig_stages(json_t *result, double messages);
void rig_forget(void);

#endif
