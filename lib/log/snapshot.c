/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "log_internal.h"

static const uint8_t snapshot_magic[4] = {0x00, 'A', 'T', 'S'};

static uint32_t phase_of(const struct atr_log *log)
{
	return __atomic_load_n(&log->snapshot.phase, __ATOMIC_ACQUIRE);
}

static void set_phase(struct atr_log *log, enum snapshot_phase phase)
{
	__atomic_store_n(&log->snapshot.phase, (uint32_t)phase, __ATOMIC_RELEASE);
}

int atr_log_snapshot(struct atr_log *log, const struct atr_snapshot_body *snapshot)
{
	struct log_snapshot *to = &log->snapshot;
	struct atr_log_stats stats;
	int rc = 0;

	atr_log_stats(log, &stats);
	if (snapshot->leaves > stats.leaves || (snapshot->group == 0) != (snapshot->leaves == 0))
		return -EINVAL;
	if (atr_log_state(log, NULL) == ATR_LOG_BROKEN)
		return -EIO;
	pthread_mutex_lock(&to->lock);
	if (phase_of(log) != SNAPSHOT_NONE) {
		rc = -EBUSY;
	} else {
		to->body = *snapshot;
		memcpy(to->body.magic, snapshot_magic, sizeof(snapshot_magic));
		to->body.zero = 0;
		to->asked_ns = log_now_ns(CLOCK_MONOTONIC);
		set_phase(log, SNAPSHOT_ASKED);
	}
	pthread_mutex_unlock(&to->lock);
	return rc;
}

bool log_snapshot_waits(struct atr_log *log)
{
	const struct atr_snapshot_body *body = &log->snapshot.body;

	if (phase_of(log) != SNAPSHOT_ASKED)
		return false;
	/* One that no reader would take is forgotten: it must not become part of the log. */
	if (body->group <= log->next && body->leaves <= log->frontier.size &&
	    (body->group == log->next) == (body->leaves == log->frontier.size))
		return true;
	set_phase(log, SNAPSHOT_NONE);
	return false;
}

void log_snapshot_append(struct atr_log *log, struct atr_group_buf *group)
{
	struct atr_record_hdr header = {.kind = ATR_RECORD_SNAPSHOT,
					.body_length = sizeof(struct atr_snapshot_body),
					.rx_ns = log->last_ns,
					.generation = group->generation};
	uint8_t leaf[ATR_HASH_SIZE];

	log_hash_one(log, (const uint8_t *)&log->snapshot.body, header.body_length, leaf);
	atr_log_append(group, &header, (const uint8_t *)&log->snapshot.body, NULL, leaf);
	set_phase(log, SNAPSHOT_PLACED);
}

struct atr_group_buf *log_snapshot_group(struct atr_log *log)
{
	struct atr_group_buf *group = log->own;

	if (log->own_busy || !log->positions_known || !log_snapshot_waits(log) ||
	    log_now_ns(CLOCK_MONOTONIC) - log->snapshot.asked_ns < LOG_SNAPSHOT_NS)
		return NULL;
	log->own_busy = true;
	group->used = sizeof(struct atr_group_hdr);
	group->records = 0;
	group->feed_set = log->feed_set;
	memcpy(group->feed_next, log->feed_next, sizeof(group->feed_next));
	group->generation = log->generation;
	memcpy(group->plan_digest, log->plan_digest, sizeof(group->plan_digest));
	return group;
}

void log_snapshot_durable(struct atr_log *log)
{
	log_count(&log->stats.snapshot_leaves, log->snapshot.body.leaves);
	set_phase(log, SNAPSHOT_NONE);
}
