/* SPDX-License-Identifier: BSD-3-Clause */
/* The gap thread's owner: opens every shard's log for reading once more, runs lib/gapfill's server
 * on a thread of its own, and takes its rings apart at the end. Control lcore. */
#ifndef ATR_GAP_H
#define ATR_GAP_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include "../../lib/gapfill/gap_server.h"

struct appliance;

struct gaps {
	struct atr_gap_server server;
	struct atr_storage *storage[ATR_SHARDS_MAX]; /* for reading; the gap thread's */
	pthread_t thread;
	bool running;
	bool stop; /* writer: control lcore; reader: the gap thread */
};

/* Once the logs are written and the shards exist. Does nothing without class D, when nothing is
 * answered from logs. Negative errno with a sentence. */
int gaps_start(struct appliance *a, char *error, size_t size);

/* Ends the thread and gives back what is on its rings. No shard may run any more, and all must
 * still exist. */
void gaps_stop(struct appliance *a);

/* The same, and frees; in any state of completion. */
void gaps_free(struct appliance *a);

#endif
