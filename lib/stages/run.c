/* SPDX-License-Identifier: BSD-3-Clause */
#include <rte_cycles.h>

#include "stages.h"

unsigned int atr_shard_run(struct atr_shard *shard)
{
	struct atr_batch *batch = shard->batch;
	uint64_t begin, end;

	atr_ledger_poll(shard->ledger, shard->node);
	begin = rte_rdtsc();
	batch->now_tsc = begin;
	batch->now_ns = atr_clock_ns(shard->clock, begin);
	atr_swap(shard, begin);
	for (unsigned int i = 0; i < atr_stage_count; i++) {
		unsigned int items = atr_stages[i].run(shard, batch);

		end = rte_rdtsc();
		if (items > 0) {
			shard->stage[i].calls++;
			shard->stage[i].items += items;
			shard->stage[i].cycles += end - begin;
		}
		begin = end;
	}
	if (atr_overload_turn(&shard->overload, batch->now_tsc, begin,
			      batch->count + batch->admit_count > 0))
		atr_signals_read(shard, begin);
	rte_rcu_qsbr_quiescent(shard->rcu, shard->id);
	return batch->count + batch->admit_count;
}
