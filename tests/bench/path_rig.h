/* SPDX-License-Identifier: BSD-3-Clause */
/* The data path for benches: the appliance's own stage table, shard and control lcore between two
 * rings, and unique, really signed frames in 256-frame trees. One a process. Errors end it. */
#ifndef ATR_PATH_RIG_H
#define ATR_PATH_RIG_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_mempool.h>
#include <rte_ring.h>

#include "../../lib/control/control.h"
#include "../../lib/port/port.h"
#include "../../lib/stages/stages.h"

#define PATH_TREE       256u
#define PATH_SOURCE     1u
#define PATH_REALM      UINT64_C(0xbe)
#define PATH_UDP_HDRS   42
#define PATH_PASSES_MAX 64

extern struct path_rig {
	unsigned int frames, mtu, passes, events; /* events: in a frame */
	struct rte_mempool *rx, *payloads, *headers;
	struct rte_ring *in, *out;
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
	struct atr_shard *shard;
	struct atr_control *control;
	struct atr_acker *acker;
	struct atr_signer *signer, *acks_key;
	uint64_t sequence;
	unsigned int filled; /* frames made so far */
	uint32_t go;         /* passes to run; writer: main; reader: data lcore */
	uint32_t done;
	bool stop;
	uint64_t cycles[PATH_PASSES_MAX];
	bool (*window_full)(void); /* producers wait for acknowledgements; NULL: they never do */
	bool completes; /* the data lcore frees what was sent, as a driver does; else path_rig_drain
			 */
	uint64_t (*measure)(void); /* events finished so far; read by the data lcore */
} path_rig;

/* Starts EAL and reads -n FRAMES, -m MTU, -p PASSES. */
void path_rig_start(int argc, char **argv);

/* Makes the plan (its feed of this durability), pools, port, shard, control lcore. directory is for
 * state and quarantine. */
void path_rig_plan(const char *durability);
void path_rig_wire(const char *directory, const struct atr_commit_config *commit);

/* Makes frames frames and puts them on the RX ring. */
void path_rig_fill(void);

/* Takes what was transmitted; each packet is shown to look first, if there is one. */
void path_rig_drain(void (*look)(const struct rte_mbuf *mbuf));

/* Runs the passes on another lcore; control turns, and turn, run on this one meanwhile. */
void path_rig_launch(void);
void path_rig_pass(unsigned int pass, void (*turn)(void));
void path_rig_join(void);

/* Rates of the passes, sorted, in million messages a second. */
void path_rig_rates(double *rate);

/* Nanoseconds a message of each stage. */
void path_rig_stages(void);
void path_rig_end(void);
void path_die(const char *what);

#endif
