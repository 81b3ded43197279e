/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <rte_cycles.h>

#include "log_internal.h"

/* For good: nothing is submitted or released any more. */
void log_break(struct atr_log *log, const char *what, int result)
{
	if (log->state == ATR_LOG_BROKEN)
		return;
	snprintf(log->text, sizeof(log->text),
		 "%s of shard %u's log failed in segment %llu (%s); look after the disk, then "
		 "restart",
		 what, log->params.shard, (unsigned long long)log->segment, strerror(-result));
	log_set_state(log, ATR_LOG_BROKEN, log->text);
}

static unsigned int write_done(struct atr_log *log, struct log_slot *slot, int result)
{
	if (result < 0)
		log_break(log, "a write", result);
	else
		slot->written = true;
	return 1;
}

/* The groups that this sync covered are durable: back to the shard with them, in order. */
static unsigned int sync_done(struct atr_log *log, int result)
{
	struct atr_log_stats *stats = &log->stats;
	uint64_t records = stats->records, bytes = stats->bytes, took;
	const struct log_slot *newest = log_slot(log, log->sync_upto - 1);

	log->sync_busy = false;
	if (result < 0) {
		log_break(log, "a sync", result);
		return 1;
	}
	if (log->state == ATR_LOG_BROKEN)
		return 1;
	took = rte_rdtsc() - log->sync_tsc;
	log_count(&stats->sync_cycles, stats->sync_cycles + took);
	if (took > stats->sync_cycles_max)
		log_count(&stats->sync_cycles_max, took);
	log_count(&stats->syncs, stats->syncs + 1);
	/* Before the checkpoint that covers them can be seen. */
	log_count(&stats->group_end, log->sync_upto);
	if (!log_sign(log, &newest->after))
		return 1;
	log_count(&stats->leaves, newest->after.size);
	for (; log->first < log->sync_upto; log->first++) {
		struct log_slot *slot = log_slot(log, log->first);

		records += slot->group->records + 1;
		bytes += slot->length;
		/* Counted before it is given away: who has a group sees it in the numbers. */
		log_count(&stats->groups, stats->groups + 1);
		log_count(&stats->records, records);
		log_count(&stats->bytes, bytes);
		if (slot->snapshot)
			log_snapshot_durable(log);
		if (slot->group == log->own)
			log->own_busy = false;
		else
			rte_ring_sp_enqueue(log->durable, slot->group);
		slot->group = NULL;
	}
	return 1;
}

static unsigned int completed(struct atr_log *log, const struct atr_completion *done)
{
	uintptr_t cookie = (uintptr_t)done->cookie;
	uintptr_t slots = (uintptr_t)log->slot;

	if (done->cookie == &log->sync_busy)
		return sync_done(log, done->result);
	if (done->cookie == &log->spare.step)
		return log_segment_write_done(log, done->result);
	if (done->cookie == &log->spare.phase)
		return log_segment_sync_done(log, done->result);
	if (cookie >= slots && cookie < slots + 2 * log->params.buffers * sizeof(*log->slot))
		return write_done(log, done->cookie, done->result);
	log_break(log, "an unknown operation", -EINVAL);
	return 0;
}

unsigned int log_reap(struct atr_log *log, bool wait)
{
	struct atr_completion done[LOG_REAP_MAX];
	struct atr_storage *storage = log->params.storage;
	unsigned int work = 0;
	int n = storage->ops->reap(storage, done, LOG_REAP_MAX, wait);

	if (n < 0)
		log_break(log, "waiting for the disk", n);
	for (int i = 0; i < n; i++)
		work += completed(log, &done[i]);
	return work;
}

/* Gives the next sealed group its place, if the segment has one for it. */
static bool prepare_one(struct atr_log *log)
{
	uint32_t length;
	bool snapshot;

	if (!log->waiting) {
		void *group = NULL;

		if (rte_ring_sc_dequeue(log->sealed, &group) != 0)
			group = log_snapshot_group(log);
		if (!group)
			return false;
		log->waiting = group;
	}
	snapshot = log_snapshot_waits(log);
	length = log_group_length(log->waiting) + (snapshot ? LOG_SNAPSHOT_BYTES : 0);
	length = log_align(length, ATR_LOG_BLOCK);
	if (length > log->segment_bytes - log->offset) {
		log->spare.wanted = true;
		return false;
	}
	log_group_prepare(log, log->waiting, log_slot(log, log->next), snapshot);
	log->waiting = NULL;
	log->offset += length;
	log->next++;
	return true;
}

static unsigned int submit_writes(struct atr_log *log)
{
	struct atr_storage *storage = log->params.storage;
	unsigned int work = 0;

	while (log->state != ATR_LOG_BROKEN) {
		struct log_slot *slot;
		int rc;

		if (log->submitted == log->next && !prepare_one(log))
			break;
		slot = log_slot(log, log->submitted);
		rc = storage->ops->write(storage, log->file, slot->group->data, slot->length,
					 slot->offset, slot);
		if (rc == -EAGAIN)
			break;
		if (rc < 0) {
			log_break(log, "a write", rc);
			break;
		}
		log->submitted++;
		log_count(&log->stats.writes, log->stats.writes + 1);
		work++;
	}
	return work;
}

/* A sync covers the groups whose writes, and those of all before them, have completed by now. */
static unsigned int submit_sync(struct atr_log *log)
{
	struct atr_storage *storage = log->params.storage;
	uint64_t upto = log->first;
	int rc;

	if (log->sync_busy || log->state == ATR_LOG_BROKEN)
		return 0;
	while (upto < log->submitted && log_slot(log, upto)->written)
		upto++;
	if (upto == log->first)
		return 0;
	rc = storage->ops->sync(storage, log->file, &log->sync_busy);
	if (rc == -EAGAIN)
		return 0;
	if (rc < 0) {
		log_break(log, "a sync", rc);
		return 0;
	}
	log->sync_busy = true;
	log->sync_upto = upto;
	log->sync_tsc = rte_rdtsc();
	return 1;
}

unsigned int atr_log_work(struct atr_log *log)
{
	unsigned int work = log_reap(log, false);

	if (log->state == ATR_LOG_BROKEN)
		return work;
	work += submit_sync(log);
	work += submit_writes(log);
	work += log_segment_step(log);
	log_count(&log->stats.segment, log->segment);
	log_count(&log->stats.offset, log->offset);
	__atomic_store_n(&log->stats.groups_under_way, (uint32_t)(log->next - log->first),
			 __ATOMIC_RELAXED);
	return work;
}
