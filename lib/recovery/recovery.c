/* SPDX-License-Identifier: BSD-3-Clause */
#include "recovery.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "unpublished.h"

#define BITS 8

/* --- Reading --- */

/* What a scan hands to the replay, and keeps of the last groups. */
struct reading {
	struct atr_recovery *recovery;
	const struct atr_log_visitor *replay;
	const struct atr_recovery_params *params;
};

static int on_record(void *context, const struct atr_group_hdr *group,
		     const struct atr_record_hdr *record, const uint8_t *body,
		     const uint8_t *decisions, const uint8_t leaf[ATR_HASH_SIZE])
{
	struct reading *r = context;

	return r->replay->record(r->replay->context, group, record, body, decisions, leaf);
}

static int on_group(void *context, const struct atr_group_hdr *group, uint64_t leaves,
		    const uint8_t root[ATR_HASH_SIZE])
{
	struct reading *r = context;
	struct atr_recovery *recovery = r->recovery;

	recovery->place[recovery->places++ % ATR_RECOVERY_GROUPS_MAX] =
		(struct atr_group_place){group->segment, group->offset, group->length};
	return r->replay->group ? r->replay->group(r->replay->context, group, leaves, root) : 0;
}

static void on_progress(void *context, uint64_t bytes, uint64_t total, uint64_t leaves)
{
	struct reading *r = context;

	if (r->params->progress)
		r->params->progress(r->params->context, bytes, total, leaves);
}

int atr_recovery_read(struct atr_recovery *recovery, const struct atr_recovery_params *params,
		      char *error, size_t size)
{
	const struct atr_replay_params replay = {.shard = params->shard, .shards = params->shards};
	struct reading reading = {.recovery = recovery, .params = params};
	struct atr_log_visitor visitor = {.context = &reading,
					  .record = on_record,
					  .group = on_group,
					  .progress = on_progress};
	int rc;

	recovery->name = params->name;
	recovery->storage = params->storage;
	recovery->shard = params->shard;
	recovery->shards = params->shards;
	recovery->replay = atr_replay_create(&replay, error, size);
	if (!recovery->replay)
		return -ENOMEM;
	reading.replay = atr_replay_visitor(recovery->replay);
	rc = atr_log_scan(recovery->storage, &visitor, &recovery->scan, error, size);
	if (rc < 0 && atr_replay_error(recovery->replay)[0])
		snprintf(error, size, "%s/%s", recovery->name, atr_replay_error(recovery->replay));
	return rc;
}

void atr_recovery_free(struct atr_recovery *recovery)
{
	recovery_free_unpublished(recovery);
	atr_replay_free(recovery->replay);
	memset(recovery, 0, sizeof(*recovery));
}

/* --- For shards --- */

void atr_recovery_shard(const struct atr_recovery *recovery, uint64_t epoch,
			struct atr_shard_config *config)
{
	config->log_epoch = (uint32_t)epoch;
	if (atr_replay_groups(recovery->replay) > 0)
		config->log_epoch = (uint32_t)atr_replay_first_epoch(recovery->replay);
	config->commit.recovered = recovery->group;
	config->commit.recovered_count = recovery->group_count;
	config->commit.group_end = recovery->scan.end.group;
	for (unsigned int f = 0; f < ATR_FEEDS_MAX; f++) {
		config->commit.next[f] = atr_replay_feed_next(recovery->replay, f);
		config->feed_next[f] =
			recovery->group ? recovery->feed_next[f] : config->commit.next[f];
	}
}

struct window_context {
	const struct atr_program *program;
	const struct atr_tag_key *key;
};

static int fill_window(void *context, uint32_t source, const struct atr_replay_frame *frame)
{
	const struct window_context *w = context;
	uint8_t reason[ATR_FRAME_PACKETS_MAX];

	if (!atr_plan_source(w->program->plan, source) || frame->count > ATR_FRAME_PACKETS_MAX)
		return 0;
	for (unsigned int e = 0; e < frame->count; e++)
		reason[e] = frame->admitted[e / BITS] >> e % BITS & 1 ? ATR_OK : ATR_REASON_STALE;
	atr_window_set(w->program->source[source].window, frame->first, frame->count,
		       atr_tag(w->key, frame->leaf), reason);
	return 0;
}

void atr_recovery_windows(const struct atr_recovery *recovery, const struct atr_program *program,
			  const struct atr_tag_key *key)
{
	struct window_context context = {program, key};

	atr_replay_frames(recovery->replay, fill_window, &context);
}

struct identity_context {
	struct atr_identity *memory;
	uint32_t shard;
};

static int fill_identity(void *context, const struct atr_replay_envelope *envelope)
{
	const struct identity_context *c = context;
	int entry = atr_identity_take(c->memory, envelope->source, envelope->uuid, envelope->leaf,
				      envelope->uuid_ms);

	if (entry < 0)
		return entry;
	atr_identity_logged(c->memory, (uint32_t)entry, c->shard, envelope->position);
	return 0;
}

int atr_recovery_identities(const struct atr_recovery *recovery, struct atr_identity *memory,
			    char *error, size_t size)
{
	struct identity_context context = {memory, recovery->shard};
	int rc = atr_replay_envelopes(recovery->replay, fill_identity, &context);

	if (rc < 0)
		snprintf(error, size,
			 "the log holds more envelopes within the plan's window than can be "
			 "remembered; raise --identities (now %u)",
			 atr_identity_capacity(memory));
	return rc;
}
