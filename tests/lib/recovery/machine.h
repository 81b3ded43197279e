/* SPDX-License-Identifier: BSD-3-Clause */
/* One shard's log with all that is kept beside it, turned by hand: the writer, snapshots,
 * retention, the anchor and the recovery of the appliance, on a disk that loses and tears. */
#ifndef ATR_TEST_MACHINE_H
#define ATR_TEST_MACHINE_H

#include "../../../lib/anchor/anchor.h"
#include "../../../lib/log/retain.h"
#include "../../../lib/recovery/recovery.h"
#include "../storage/crash_files.h"
#include "reference.h"

#define MACHINE_BUFFERS 4
#define MACHINE_SEGMENT (4096 + 2 * ATR_GROUP_BYTES_MAX)
#define MACHINE_SOURCES 2
#define MACHINE_FEEDS   2

struct machine_counts {
	unsigned int segments, recycled, pruned, snapshots, from_snapshot, anchored, beyond, torn;
};

struct machine {
	/* What a crash leaves. */
	struct simdisk disk;
	char directory[64], snapshots[96], anchors[96];
	bool power_off;

	/* The model. */
	struct reference reference;
	uint64_t released; /* groups that came back as durable, ever: the first so many */
	uint64_t sequence[MACHINE_SOURCES + 1];
	uint32_t serial;
	struct machine_counts counts;
	char wrong[512]; /* "" while all is well */

	/* How it runs. */
	uint64_t random;
	unsigned int keep_snapshots;
	uint64_t keep_bytes;

	/* While it is up. */
	struct atr_recovery recovery;
	struct atr_anchor *anchor;
	struct atr_log *log;
	uint64_t durable; /* number of the first group that is not */
	uint64_t epoch, next[MACHINE_FEEDS];
	struct atr_snapshot_body record; /* to be logged, if record_waits */
	bool record_waits;
};

/* Empty disks; everything follows from the seed. EAL is not needed. */
void machine_init(struct machine *machine, uint64_t seed);
void machine_free(struct machine *machine);

/* Recovers, holds the result against the model, opens the log, logs the plan where there is none.
 * False if the power has failed or something is wrong. */
bool machine_start(struct machine *machine);
/* Ends where it is; what is not durable is given up. Restores power if it has failed. */
void machine_end(struct machine *machine);

/* One of the things that an appliance does, at random. */
void machine_act(struct machine *machine);
/* Until nothing is under way. */
void machine_settle(struct machine *machine);

#endif
