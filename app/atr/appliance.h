/* SPDX-License-Identifier: BSD-3-Clause */
/* The wiring of the appliance: every object, ring and thread, made in one place. */
#ifndef ATR_APPLIANCE_H
#define ATR_APPLIANCE_H

#include <pthread.h>

#include <rte_rcu_qsbr.h>

#include "../../lib/control/control.h"
#include "../../lib/port/port.h"
#include "../../lib/stages/stages.h"
#include "durable.h"
#include "ask.h"
#include "follow.h"
#include "gap.h"
#include "options.h"

#define APPLIANCE_LCORES_MAX 64

/* What the control lcore tells the data lcores. */
enum run_phase {
	RUN_SERVE,
	RUN_DRAIN, /* no RX; what is under way is finished */
	RUN_STOP   /* refuse what is left, end the feeds, return */
};

struct data_lcore {
	unsigned int lcore_id;
	unsigned int shard_count;
	struct atr_shard *shard[ATR_SHARDS_MAX];
	struct appliance *appliance;
};

struct verifier_lcore {
	unsigned int lcore_id;
	struct appliance *appliance;
};

struct appliance {
	struct options options;
	struct atr_plan *plan; /* until it is published, then NULL; the program has it */
	struct atr_iface iface[ATR_PORTS_MAX];
	char port_line[ATR_PORTS_MAX][512]; /* atr_port_describe */
	unsigned int iface_count;
	unsigned int shard_count;
	unsigned int lcore_count;
	struct atr_shard *shard[ATR_SHARDS_MAX];
	struct data_lcore lcore[APPLIANCE_LCORES_MAX];
	struct verifier_lcore verifier_lcore[ATR_VERIFIERS_MAX];
	struct atr_verifier *verifier[ATR_VERIFIERS_MAX];
	unsigned int verifier_count;
	struct rte_mempool *rx_pool, *payload_pool, *header_pool;
	struct atr_bridge bridge;
	struct atr_ledger ledger;
	struct atr_clock clock;
	struct atr_neighbours *neighbours;
	struct atr_state *state;
	struct durable durable;
	struct gaps gaps;
	struct follow follow;
	struct ask ask;
	struct atr_tag_key tag_key;
	struct atr_quarantine *quarantine;
	struct atr_control *control;
	struct rte_rcu_qsbr *rcu;
	struct atr_program *program; /* the slot that RCU protects; writer: control lcore */
	uint64_t started_ns, started_tsc;
	uint32_t phase __rte_cache_aligned; /* enum run_phase; writer: control lcore; readers: data
					       and verifier lcores, telemetry */
};

/* Makes everything from the options. Negative errno after one sentence in error. */
int appliance_create(struct appliance *a, char *error, size_t size);

/* Frees what exists, in any state of completion. */
void appliance_destroy(struct appliance *a);

/* Prints what was wired: ports, lcores, shards, memory by table with its formula. */
void appliance_print(const struct appliance *a);

/* Launches the data lcores, runs the control lcore until *stop is set, drains and joins. */
int appliance_run(struct appliance *a, const volatile int *stop);

/* Prints the closing totals. False if a ledger does not balance. */
bool appliance_totals(struct appliance *a);

/* Takes an exact reading of the ledgers; one non-EAL thread at a time. -ETIMEDOUT as
 * atr_ledger_read. */
int appliance_ledger(struct appliance *a, struct atr_ledger_reading *reading);

/* Registers the /atr/ telemetry commands, before EAL starts. Until telemetry_begin all of them
 * answer `starting` 1. */
int telemetry_register(void);
/* From here on they are answered, by this appliance (one a process). */
void telemetry_begin(struct appliance *a);

/* Returns when no telemetry thread is inside the appliance any more; later questions fail. */
void telemetry_end(void);

#endif
