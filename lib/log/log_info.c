/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>
#include <time.h>

#include "log_internal.h"

uint64_t log_now_ns(int clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * LOG_NS_PER_S + (uint64_t)now.tv_nsec;
}

void log_set_state(struct atr_log *log, enum atr_log_state state, const char *sentence)
{
	__atomic_store_n(&log->sentence, sentence, __ATOMIC_RELEASE);
	__atomic_store_n(&log->state, (uint32_t)state, __ATOMIC_RELEASE);
}

enum atr_log_state atr_log_state(const struct atr_log *log, const char **sentence)
{
	enum atr_log_state state = __atomic_load_n(&log->state, __ATOMIC_ACQUIRE);

	if (sentence)
		*sentence = __atomic_load_n(&log->sentence, __ATOMIC_ACQUIRE);
	return state;
}

static uint64_t load(const uint64_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

void atr_log_stats(const struct atr_log *log, struct atr_log_stats *out)
{
	const struct atr_log_stats *stats = &log->stats;

	*out = (struct atr_log_stats){
		.groups = load(&stats->groups),
		.records = load(&stats->records),
		.group_end = load(&stats->group_end),
		.bytes = load(&stats->bytes),
		.writes = load(&stats->writes),
		.syncs = load(&stats->syncs),
		.sync_cycles = load(&stats->sync_cycles),
		.sync_cycles_max = load(&stats->sync_cycles_max),
		.segment = load(&stats->segment),
		.offset = load(&stats->offset),
		.leaves = load(&stats->leaves),
		.snapshot_leaves = load(&stats->snapshot_leaves),
		.anchors = load(&stats->anchors),
		.anchor_cycles = load(&stats->anchor_cycles),
		.groups_under_way = __atomic_load_n(&stats->groups_under_way, __ATOMIC_RELAXED),
	};
}
