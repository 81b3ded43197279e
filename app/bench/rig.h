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
	struct rte_mbuf **stock; /* the frames of a pass */
	/* Main lcore: */
	unsigned int given; /* of these, put on the RX ring */
	uint64_t judged;    /* events before the pass */
	/* Of finished() when a pass is over. Writer: main, before it raises go; reader: the lane's
	 * lcore. */
	uint64_t target;
	/* Of the last pass. Writer: the lane's lcore, before it raises done; reader: main. */
	uint64_t cycles;
	uint64_t missing;                  /* frames that did not come or leave; as cycles */
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
	char directory[BENCH_PATH_MAX]; /* temporary: state and quarantine, log */
	/* Main lcore: */
	bool measuring, broken; /* --break may act; it has */
	/* Writer: main, between passes, before it raises go; readers: data lcores. */
	bool completes; /* a data lcore frees what was sent, as a driver does; else the main lcore
			 * takes it with rig_drain */
	bool (*window_full)(void); /* producers wait for acknowledgements; NULL: they never do */
	uint64_t (*finished)(unsigned int shard); /* events */
	enum rig_mode mode;                       /* of the pass */
	uint32_t go __rte_cache_aligned;          /* passes to run; as mode */
	bool stop;                                /* writer: main; readers: all other lcores */
} rig;

/* Makes the temporary directory in config->directory, which goes when the process ends, also by
 * SIGINT or SIGTERM; rig_start does, if nobody has. disk: it must be on one. */
void rig_directory(const struct bench_config *config, bool disk);

/* Removes a directory with all that is in it. */
void rig_remove(const char *path);

/* Directory, plan (class of its feeds: durability), pools, port, shards, control lcore. EAL runs.
 * commit.log: of shard 0; only one shard can have one here. */
void rig_start(const struct bench_config *config, const char *durability,
	       struct atr_commit_config *commit);

/* Closes state and quarantine; the directory goes when the process ends. */
void rig_end(void);

/* Makes config->frames frames for every shard and flushes them from all caches: the stock. */
void rig_make(void);

/* The same with so few trees a shard; the stock then has these. */
void rig_make_trees(unsigned int trees);

/* Puts the next frames of the stock on the RX rings, so many a shard. */
void rig_give(unsigned int frames);

/* Puts all of the stock on the RX rings. */
void rig_fill(void);

/* rig_pass over all of the stock. If that has more roots or frames than may wait at a time, frames
 * come as producers send them that wait for their acknowledgements. */
double rig_offer_pass(enum rig_mode mode, uint64_t expected, void (*turn)(void));

/* True once: now is the time to break what --break says. */
bool rig_break(enum bench_break kind);

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

/* Adds "hash_engine" to a result: which manager of shard 0's engine hashes bursts of which size. */
void rig_hash_engine(json_t *result);

#endif
