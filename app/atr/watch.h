/* SPDX-License-Identifier: BSD-3-Clause */
/* Prints each change of a shard's state of load once. */
#ifndef ATR_WATCH_H
#define ATR_WATCH_H

#include <stdint.h>

#include "../../lib/shard/shard.h"

struct watch {
	uint64_t next_tsc;
	uint64_t seen[ATR_SHARDS_MAX]; /* transitions printed */
};

/* Looks every few milliseconds; prints what is new to standard output, a line each. Control
 * lcore. */
void watch_turn(struct watch *watch, struct atr_shard *const *shards, unsigned int count);

#endif
