/* SPDX-License-Identifier: BSD-3-Clause */
/* What a shard watches about itself, once a millisecond, behind the last stage of a turn. */
#include <rte_mempool.h>

#include "stages.h"

#define PERCENT 100

static uint32_t percent(uint64_t part, uint64_t whole)
{
	return whole ? (uint32_t)(part * PERCENT / whole) : 0;
}

static uint32_t fill(const struct rte_ring *ring, uint32_t fullest)
{
	return RTE_MAX(fullest, percent(rte_ring_count(ring), rte_ring_get_capacity(ring)));
}

static uint32_t rings(const struct atr_shard *shard)
{
	const struct atr_bridge *bridge = shard->bridge;
	uint32_t fullest = 0;

	fullest = fill(bridge->verify[shard->id], fullest);
	fullest = fill(bridge->envelopes[shard->id], fullest);
	for (unsigned int to = 0; to < shard->shards; to++)
		if (to != shard->id)
			fullest = fill(bridge->handover[to][shard->id], fullest);
	return fullest;
}

void atr_signals_read(struct atr_shard *shard, uint64_t now_tsc)
{
	uint32_t value[ATR_SIGNALS] = {0};
	const struct atr_commit *commit = &shard->commit;
	const struct atr_overload *overload = &shard->overload;

	value[ATR_SIGNAL_RINGS] = rings(shard);
	value[ATR_SIGNAL_HOLD] = percent(atr_auth_stats(shard->auth)->held_frames,
					 atr_auth_hold_frames(shard->auth));
	if (commit->log)
		value[ATR_SIGNAL_COMMIT] =
			percent(atr_log_under_way(commit->log), atr_log_buffers(commit->log));
	if (shard->rx_pool)
		value[ATR_SIGNAL_POOL] =
			percent(rte_mempool_in_use_count(shard->rx_pool), shard->rx_pool->size);
	atr_overload_judge(&shard->overload, value, now_tsc);
	atr_auth_tighten(shard->auth, atr_overload_takes(overload, ATR_MEASURE_ROOTS));
}
