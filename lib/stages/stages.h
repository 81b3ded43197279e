/* SPDX-License-Identifier: BSD-3-Clause */
/* The stages of the data path, one file each, in the order of the table in stage_table.c.
 *
 * That table is the map of the program: it drives execution, cycle accounting, telemetry
 * (/atr/path, /atr/stages) and the diagram in docs/path.md.
 *
 * Layer 7. Every stage runs on the shard's lcore and is hot path: it never allocates, locks, logs,
 * enters the kernel or waits. It works on the frames in batch->live and returns how many items it
 * worked on.
 */
#ifndef ATR_STAGES_H
#define ATR_STAGES_H

#include "../shard/shard.h"

typedef unsigned int (*atr_stage_fn)(struct atr_shard *shard, struct atr_batch *batch);

struct atr_stage {
	const char *name;
	const char *items; /* what its counter counts */
	const char *does;  /* one line for people */
	atr_stage_fn run;
};

extern const struct atr_stage atr_stages[];
extern const unsigned int atr_stage_count;

/* One turn: takes a batch through the table. Returns datagrams and envelopes taken in. */
unsigned int atr_shard_run(struct atr_shard *shard);

/* Shutdown, after the last turn: refuses what still waits (SHUTDOWN) and ends the feeds. */
void atr_shard_finish(struct atr_shard *shard);

unsigned int atr_stage_rx(struct atr_shard *shard, struct atr_batch *batch);
unsigned int atr_stage_parse(struct atr_shard *shard, struct atr_batch *batch);
unsigned int atr_stage_schema(struct atr_shard *shard, struct atr_batch *batch);
unsigned int atr_stage_canonical(struct atr_shard *shard, struct atr_batch *batch);
unsigned int atr_stage_shed(struct atr_shard *shard, struct atr_batch *batch);
unsigned int atr_stage_authenticate(struct atr_shard *shard, struct atr_batch *batch);
unsigned int atr_stage_ruleset(struct atr_shard *shard, struct atr_batch *batch);
unsigned int atr_stage_dedup(struct atr_shard *shard, struct atr_batch *batch);
unsigned int atr_stage_limit(struct atr_shard *shard, struct atr_batch *batch);
unsigned int atr_stage_log(struct atr_shard *shard, struct atr_batch *batch);
unsigned int atr_stage_commit(struct atr_shard *shard, struct atr_batch *batch);
unsigned int atr_stage_fanout(struct atr_shard *shard, struct atr_batch *batch);
unsigned int atr_stage_quarantine(struct atr_shard *shard, struct atr_batch *batch);
unsigned int atr_stage_tx(struct atr_shard *shard, struct atr_batch *batch);

/* Before the first stage: takes the program that the control lcore has published last. Where the
 * plan must enter the log first, some records of it go there each turn, and the old program judges
 * on until the last is in. Ends the sessions of feeds that a plan has retired. */
void atr_swap(struct atr_shard *shard, uint64_t now_tsc);

/* Makes sure that the open group has room for a record; ATR_OK, or why there is none. */
uint8_t atr_log_room(struct atr_shard *shard, uint64_t now_tsc, uint32_t body, uint32_t decisions);
/* Reads the shard's signals and changes its state of load by them. */
void atr_signals_read(struct atr_shard *shard, uint64_t now_tsc);

/* Hands the open group to the log thread. There is one. */
void atr_commit_seal(struct atr_shard *shard);

/* Puts the answer to frame f aside. admitted: of its events; record: of its record in the open
 * group, or ATR_ACK_NO_RECORD. */
void atr_ack_frame(struct atr_shard *shard, struct atr_batch *batch, unsigned int f,
		   unsigned int admitted, uint32_t record);

/* Accounts for an envelope and tells the control lcore what became of it; that answers the
 * producer. Consumes the mbuf. */
void atr_settle_envelope(struct atr_shard *shard, struct rte_mbuf *mbuf, uint8_t reason);

/* Accounts for frame f of the batch (ledger, quarantine) and gives its mbuf away. */
void atr_settle_frame(struct atr_shard *shard, struct atr_batch *batch, unsigned int f);

#endif
