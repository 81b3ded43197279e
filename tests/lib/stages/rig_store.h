/* SPDX-License-Identifier: BSD-3-Clause */
/* What outlives a rig: its state directory, and a disk under test control for the log of each
 * shard. The log thread of the appliance is turned by hand. */
#ifndef ATR_TEST_RIG_STORE_H
#define ATR_TEST_RIG_STORE_H

#include "../../../lib/ack/ack.h"
#include "../../../lib/recovery/recovery.h"
#include "../log/simdisk.h"

#define RIG_STORE_SHARDS  2
#define RIG_STORE_BUFFERS 4
/* A header and the two groups that the writer asks for at least. */
#define RIG_STORE_SEGMENT (4096 + 2 * ATR_GROUP_BYTES_MAX)

struct rig_store {
	struct simdisk disk[RIG_STORE_SHARDS];
	unsigned int shards;
	uint64_t epoch; /* of this life */
	char directory[64];
	uint32_t seal_bytes;
	unsigned int seal_us, acks;
	struct atr_signer *checkpoint_key, *acks_key;
	struct atr_hash *hash;

	/* While open. */
	struct atr_recovery recovery[RIG_STORE_SHARDS];
	struct atr_log *log[RIG_STORE_SHARDS];
	struct atr_acker *acker;
	char error[512];
};

/* Empty disks whose behaviour follows from the seed. */
void rig_store_init(struct rig_store *store, unsigned int shards, uint64_t seed);
void rig_store_free(struct rig_store *store);

/* As a start of the appliance with --pipeline does: reads the logs, agrees, opens them for writing
 * and makes the plan their first record. Negative errno with a sentence in store->error; the store
 * is closed then. */
int rig_store_open(struct rig_store *store, const struct atr_plan *plan);
void rig_store_close(struct rig_store *store);

/* One turn of the log thread for all shards. Power fails for all disks at once. */
unsigned int rig_store_work(struct rig_store *store);
bool rig_store_crashed(const struct rig_store *store);
/* Power comes back: the disks keep what they keep. The store must be closed. */
void rig_store_restart(struct rig_store *store);

/* After the shards have ended: what is sealed becomes durable, as far as the disks let it. */
void rig_store_drain(struct rig_store *store);

#endif
