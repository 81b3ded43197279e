/* SPDX-License-Identifier: BSD-3-Clause */
#include "rig_store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOG_NAME    "atr.0000000000000007"
#define SIMD_BITS   512
#define DRAIN_TURNS 100000
#define SEAL_BYTES  1000000
#define SEAL_US     1000
#define ACKS        1024

void rig_store_init(struct rig_store *store, unsigned int shards, uint64_t seed)
{
	uint8_t key[ATR_SEED_SIZE] = {'c'};

	memset(store, 0, sizeof(*store));
	store->shards = shards;
	store->seal_bytes = SEAL_BYTES;
	store->seal_us = SEAL_US;
	store->acks = ACKS;
	for (unsigned int s = 0; s < shards; s++)
		simdisk_init(&store->disk[s], seed * RIG_STORE_SHARDS + s + 1);
	store->checkpoint_key = atr_signer_from_seed(key);
	key[0] = 'a';
	store->acks_key = atr_signer_from_seed(key);
	store->hash = atr_hash_create(-1, SIMD_BITS, store->error, sizeof(store->error));
	strcpy(store->directory, "/tmp/atr-rig-XXXXXX");
	if (!store->hash || !store->acks_key || !store->checkpoint_key ||
	    !mkdtemp(store->directory))
		abort();
}

void rig_store_free(struct rig_store *store)
{
	char command[96];

	for (unsigned int s = 0; s < store->shards; s++)
		simdisk_free(&store->disk[s]);
	atr_signer_free(store->checkpoint_key);
	atr_signer_free(store->acks_key);
	atr_hash_free(store->hash);
	snprintf(command, sizeof(command), "rm -r '%s'", store->directory);
	if (system(command) != 0)
		abort();
}

bool rig_store_crashed(const struct rig_store *store)
{
	return store->disk[0].crashed;
}

static void crash_together(struct rig_store *store)
{
	bool crashed = false;

	for (unsigned int s = 0; s < store->shards; s++)
		crashed |= store->disk[s].crashed;
	for (unsigned int s = 0; s < store->shards; s++)
		store->disk[s].crashed = crashed;
}

unsigned int rig_store_work(struct rig_store *store)
{
	unsigned int work = 0;

	for (unsigned int s = 0; s < store->shards && !rig_store_crashed(store); s++) {
		work += atr_log_work(store->log[s]);
		crash_together(store);
	}
	return work;
}

/* While genesis waits. */
static int work(void *context)
{
	struct rig_store *store = context;

	rig_store_work(store);
	return rig_store_crashed(store) ? -EIO : 0;
}

static int read_all(struct rig_store *store)
{
	int rc = 0;

	for (unsigned int s = 0; rc == 0 && s < store->shards; s++) {
		const struct atr_recovery_params params = {.name = "disk",
							   .storage = &store->disk[s].base,
							   .shard = s,
							   .shards = store->shards,
							   .hash = store->hash};

		rc = atr_recovery_read(&store->recovery[s], &params, store->error,
				       sizeof(store->error));
	}
	return rc ? rc
		  : atr_recovery_agree(store->recovery, store->shards, store->error,
				       sizeof(store->error));
}

static int open_all(struct rig_store *store, const struct atr_plan *plan)
{
	const struct atr_recovery *logged = atr_recovery_with_log(store->recovery, store->shards);
	int rc = 0;

	for (unsigned int s = 0; rc == 0 && s < store->shards; s++) {
		struct atr_log_params params = {.storage = &store->disk[s].base,
						.signer = store->checkpoint_key,
						.name = LOG_NAME,
						.realm = plan->realm,
						.log_id = "the log of a rig",
						.shard = s,
						.shards = store->shards,
						.segment_bytes = RIG_STORE_SEGMENT,
						.buffers = RIG_STORE_BUFFERS,
						.epoch = store->epoch,
						.hash = store->hash,
						.socket = -1};

		if (logged)
			memcpy(params.log_id, logged->scan.log_id, sizeof(params.log_id));
		rc = atr_recovery_load(&store->recovery[s], plan, store->error,
				       sizeof(store->error));
		if (rc < 0)
			return rc;
		store->log[s] = atr_log_open(&params, &store->recovery[s].scan.end, store->error,
					     sizeof(store->error));
		crash_together(store);
		rc = store->log[s] && !rig_store_crashed(store) ? 0 : -EIO;
	}
	return rc;
}

static int make_acker(struct rig_store *store, const struct atr_plan *plan)
{
	const struct atr_acker_params params = {.realm = plan->realm,
						.epoch = (uint32_t)store->epoch,
						.sources = plan->source_slots,
						.shards = store->shards,
						.datagram_max = ATR_ACK_DATAGRAM_DEFAULT,
						.signer = store->acks_key};

	store->acker = atr_acker_create(&params, store->error, sizeof(store->error));
	return store->acker ? 0 : -ENOMEM;
}

int rig_store_open(struct rig_store *store, const struct atr_plan *plan)
{
	int rc;

	store->epoch++;
	rc = read_all(store);
	if (rc == 0)
		rc = open_all(store, plan);
	for (unsigned int s = 0; rc == 0 && s < store->shards; s++)
		if (!atr_replay_plan(store->recovery[s].replay))
			rc = atr_genesis(store->log[s], plan, work, store, store->error,
					 sizeof(store->error));
	if (rc == 0)
		rc = make_acker(store, plan);
	crash_together(store);
	if (rc < 0)
		rig_store_close(store);
	return rc;
}

void rig_store_close(struct rig_store *store)
{
	for (unsigned int s = 0; s < store->shards; s++) {
		atr_log_close(store->log[s]);
		store->log[s] = NULL;
		atr_recovery_free(&store->recovery[s]);
	}
	atr_acker_free(store->acker);
	store->acker = NULL;
}

void rig_store_restart(struct rig_store *store)
{
	for (unsigned int s = 0; s < store->shards; s++)
		simdisk_restart(&store->disk[s]);
}

static bool under_way(const struct rig_store *store)
{
	for (unsigned int s = 0; s < store->shards; s++) {
		struct atr_log_stats stats;

		atr_log_stats(store->log[s], &stats);
		if (atr_log_state(store->log[s], NULL) == ATR_LOG_OK &&
		    (stats.groups_under_way > 0 || atr_log_under_way(store->log[s]) > 0))
			return true;
	}
	return false;
}

void rig_store_drain(struct rig_store *store)
{
	struct atr_group_buf *group;

	for (unsigned int turn = 0; under_way(store) && !rig_store_crashed(store); turn++) {
		if (turn == DRAIN_TURNS)
			abort();
		rig_store_work(store);
		for (unsigned int s = 0; s < store->shards; s++)
			while ((group = atr_log_durable(store->log[s])) != NULL)
				atr_log_release(store->log[s], group);
	}
}
