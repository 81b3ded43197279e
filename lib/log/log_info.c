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
		.bytes = load(&stats->bytes),
		.writes = load(&stats->writes),
		.syncs = load(&stats->syncs),
		.sync_cycles = load(&stats->sync_cycles),
		.segment = load(&stats->segment),
		.offset = load(&stats->offset),
		.leaves = load(&stats->leaves),
		.groups_under_way = __atomic_load_n(&stats->groups_under_way, __ATOMIC_RELAXED),
	};
}

void log_sign(struct atr_log *log, const struct atr_frontier *frontier)
{
	struct atr_checkpoint checkpoint = {.size = frontier->size};
	char note[ATR_CHECKPOINT_MAX];
	int length;

	if (!log->params.signer)
		return;
	memcpy(checkpoint.origin, log->origin, sizeof(checkpoint.origin));
	atr_frontier_root(frontier, checkpoint.root);
	length = atr_checkpoint_sign(&checkpoint, log->params.signer, note, sizeof(note));
	if (length <= 0)
		return;
	pthread_mutex_lock(&log->checkpoint_lock);
	memcpy(log->checkpoint, note, (size_t)length);
	log->checkpoint_length = (size_t)length;
	pthread_mutex_unlock(&log->checkpoint_lock);
}

size_t atr_log_checkpoint(const struct atr_log *log, char *out, size_t capacity)
{
	struct atr_log *writable = (struct atr_log *)(uintptr_t)log;
	size_t length = 0;

	pthread_mutex_lock(&writable->checkpoint_lock);
	if (log->checkpoint_length <= capacity) {
		length = log->checkpoint_length;
		memcpy(out, log->checkpoint, length);
	}
	pthread_mutex_unlock(&writable->checkpoint_lock);
	return length;
}
