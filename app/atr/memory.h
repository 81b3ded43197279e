/* SPDX-License-Identifier: BSD-3-Clause */
/* Sizes of pools and rings, computed from ports, queues, MTU and depths; and their creation. */
#ifndef ATR_MEMORY_H
#define ATR_MEMORY_H

#include "appliance.h"

#define MEMORY_QUARANTINE_RING 1024
#define MEMORY_QUEUE_FRAMES    1024
#define MEMORY_GAP_RING        256  /* gap requests under way to the gap thread, a shard */
#define MEMORY_RECENT          2048 /* feed packets kept for gap requests, a shard */
#define MEMORY_DESCRIPTORS     1024 /* RX and as many TX, a queue; what drivers prefer at most */

/* Authentication tables of a shard. */
struct atr_auth_params memory_auth(const struct options *options);

/* Creates the mbuf pools: rx (with struct atr_meta), payloads (feeds and replies), headers. */
int memory_pools(struct appliance *a, char *error, size_t size);

/* Creates the bridge, each ring large enough for what it can have to hold. */
int memory_bridge(struct appliance *a, char *error, size_t size);

/* Prints every table with its formula. */
void memory_print(const struct appliance *a);

#endif
