/* SPDX-License-Identifier: BSD-3-Clause */
/* What a shard says of itself: the time of its stages, and how it hashes. */
#include <rte_cycles.h>

#include "rig.h"

#define CHOICES_MAX 16

/* Of shard 0 when it was last forgotten. Its lcore adds to the counters all the time. */
static struct atr_stage_stats before[ATR_STAGES_MAX];

static struct atr_stage_stats since(unsigned int stage)
{
	const volatile struct atr_stage_stats *now = &rig.lane[0].shard->stage[stage];

	return (struct atr_stage_stats){now->calls - before[stage].calls,
					now->items - before[stage].items,
					now->cycles - before[stage].cycles};
}

void rig_forget(void)
{
	for (unsigned int i = 0; i < atr_stage_count; i++) {
		struct atr_stage_stats now = since(i);

		before[i].calls += now.calls;
		before[i].items += now.items;
		before[i].cycles += now.cycles;
	}
}

void rig_stages(json_t *result, double messages)
{
	struct atr_stage_stats stage[ATR_STAGES_MAX];
	json_t *list = json_array();
	double all = 0;

	for (unsigned int i = 0; i < atr_stage_count; i++) {
		stage[i] = since(i);
		all += (double)stage[i].cycles;
	}
	for (unsigned int i = 0; i < atr_stage_count; i++) {
		double cycles = (double)stage[i].cycles;

		json_array_append_new(
			list,
			json_pack("{s:s, s:f, s:f, s:f}", "name", atr_stages[i].name,
				  "ns_per_message",
				  cycles * 1e9 / (double)rte_get_tsc_hz() / messages,
				  "items_per_batch",
				  stage[i].calls ? (double)stage[i].items / (double)stage[i].calls
						 : 0.0,
				  "share", all > 0 ? cycles / all : 0.0));
	}
	json_object_set_new(result, "stages", list);
}

void rig_hash_engine(json_t *result)
{
	struct atr_hash_choice choice[CHOICES_MAX];
	unsigned int count = atr_hash_choices(rig.lane[0].shard->hash, choice, CHOICES_MAX);
	json_t *list = json_array();

	for (unsigned int i = 0; i < count; i++)
		json_array_append_new(list,
				      json_pack("{s:i, s:s, s:f}", "burst", (int)choice[i].burst,
						"manager", choice[i].manager, "ns_per_buffer",
						choice[i].ns_per_buffer));
	json_object_set_new(result, "hash_engine", list);
}
