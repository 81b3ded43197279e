/* SPDX-License-Identifier: BSD-3-Clause */
#include "replay.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "replay_internal.h"

#define REASON_SIZE 384
#define CHANGE_GROUPS                                                              \
	1024 /* a change that leads to no plan in so many does not matter any more \
	      */

int replay_refuse(struct atr_replay *replay, const struct atr_group_hdr *group,
		  const struct atr_record_hdr *record, const char *format, ...)
{
	uint64_t at = group->offset;
	char what[REASON_SIZE], leaf[32] = "";
	va_list args;

	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	if (record)
		snprintf(leaf, sizeof(leaf), ", leaf %" PRIu64, record->leaf);
	snprintf(replay->error, sizeof(replay->error),
		 ATR_SEGMENT_NAME ", group at byte %" PRIu64 "%s: %s; nothing was changed: put the "
				  "directory back from a copy that is whole",
		 group->segment, at, leaf, what);
	return -EBADMSG;
}

int replay_no_memory(struct atr_replay *replay)
{
	snprintf(replay->error, sizeof(replay->error),
		 "out of memory for the state of shard %u; free some and try again",
		 replay->params.shard);
	return -ENOMEM;
}

/* Does the group follow what has been taken? */
static int check_group(struct atr_replay *replay, const struct atr_group_hdr *group)
{
	if (group->shard != replay->params.shard)
		return replay_refuse(replay, group, NULL, "the group is of shard %u, not of %u",
				     group->shard, replay->params.shard);
	if (replay->groups == 0)
		memcpy(replay->log_id, group->log_id, sizeof(replay->log_id));
	if (memcmp(group->log_id, replay->log_id, sizeof(replay->log_id)) != 0)
		return replay_refuse(replay, group, NULL, "the group is of another log");
	if (group->group != replay->groups)
		return replay_refuse(replay, group, NULL,
				     "group %" PRIu64 " comes where %" PRIu64 " is next",
				     group->group, replay->groups);
	return 0;
}

static int check_positions(struct atr_replay *replay, const struct atr_group_hdr *group,
			   const struct atr_record_hdr *record, const uint8_t *body)
{
	const struct atr_commit_body *commit = (const void *)body;

	for (uint32_t i = 0; i < commit->feed_count; i++) {
		struct atr_feed_position p;

		memcpy(&p, body + sizeof(*commit) + i * sizeof(p), sizeof(p));
		if (p.next != atr_replay_feed_next(replay, p.feed))
			return replay_refuse(replay, group, record,
					     "the commit says that feed %u goes on with message "
					     "%" PRIu64 ", but the log's events make it %" PRIu64,
					     p.feed, p.next, atr_replay_feed_next(replay, p.feed));
	}
	return 0;
}

/* A commit names the plan in force where its group begins, or where it ends. */
static int check_plan_named(struct atr_replay *replay, const struct atr_group_hdr *group,
			    const struct atr_record_hdr *record, const uint8_t *body)
{
	const struct atr_commit_body *commit = (const void *)body;
	uint64_t generation = atr_replay_generation(replay);

	if (commit->generation != generation && commit->generation != replay->group_generation)
		return replay_refuse(replay, group, record,
				     "the commit names plan %" PRIu64 ", but plan %" PRIu64
				     " is in force",
				     commit->generation, generation);
	if (replay->plan && commit->generation == generation &&
	    memcmp(commit->plan_digest, replay->plan->digest, sizeof(commit->plan_digest)) != 0)
		return replay_refuse(replay, group, record,
				     "the commit names another digest for plan %" PRIu64
				     " than it has",
				     generation);
	replay->group_generation = generation;
	return 0;
}

static int take_commit(struct atr_replay *replay, const struct atr_group_hdr *group,
		       const struct atr_record_hdr *record, const uint8_t *body)
{
	int err = check_positions(replay, group, record, body);

	if (!err)
		err = check_plan_named(replay, group, record, body);
	if (err)
		return err;
	if (replay->groups == 0)
		replay->first_epoch = group->epoch;
	replay->last_epoch = group->epoch;
	if (group->committed_ns > replay->committed_ns)
		replay->committed_ns = group->committed_ns;
	replay_envelopes_age(replay);
	replay->segment = group->segment;
	replay->offset = group->offset + (group->length + ATR_LOG_BLOCK - 1) / ATR_LOG_BLOCK *
						 (uint64_t)ATR_LOG_BLOCK;
	replay->groups++;
	return 0;
}

static int take_record(struct atr_replay *replay, const struct atr_group_hdr *group,
		       const struct atr_record_hdr *record, const uint8_t *body,
		       const uint8_t *decisions, const uint8_t *leaf)
{
	int err = check_group(replay, group);

	if (err)
		return err;
	if (record->leaf != replay->leaves)
		return replay_refuse(replay, group, record, "leaf %" PRIu64 " is next",
				     replay->leaves);
	replay->leaves++;
	if (!body)
		return replay_refuse(replay, group, record,
				     "the entry was given up by retention; begin at a snapshot");
	switch (record->kind) {
	case ATR_RECORD_PLAN: return replay_plan(replay, group, record, body);
	case ATR_RECORD_FRAME: return replay_frame(replay, group, record, body, decisions, leaf);
	case ATR_RECORD_ENVELOPE: return replay_envelope(replay, group, record, body, leaf);
	case ATR_RECORD_COMMIT: return take_commit(replay, group, record, body);
	default: return 0;
	}
}

static int visit(void *context, const struct atr_group_hdr *group,
		 const struct atr_record_hdr *record, const uint8_t *body, const uint8_t *decisions,
		 const uint8_t leaf[ATR_HASH_SIZE])
{
	struct atr_replay *replay = context;

	if (!replay->broken)
		replay->broken = take_record(replay, group, record, body, decisions, leaf);
	return replay->broken;
}

struct atr_replay *atr_replay_create(const struct atr_replay_params *params, char *error,
				     size_t size)
{
	struct atr_replay *replay = calloc(1, sizeof(*replay));

	if (!replay) {
		snprintf(error, size, "out of memory for the state of shard %u; free some",
			 params->shard);
		return NULL;
	}
	replay->params = *params;
	if (!replay->params.state_keys)
		replay->params.state_keys = ATR_STATE_KEYS;
	keyed_init(&replay->keyed, replay->params.state_keys);
	replay->visitor.context = replay;
	replay->visitor.record = visit;
	for (unsigned int i = 0; i < ATR_LOG_FEEDS_MAX; i++)
		replay->feed_next[i] = 1;
	return replay;
}

void atr_replay_free(struct atr_replay *replay)
{
	if (!replay)
		return;
	replay_windows_free(replay);
	keyed_free(&replay->keyed);
	free(replay->envelopes.slot);
	free(replay->assembly.text);
	atr_plan_free(replay->plan);
	free(replay);
}

const struct atr_log_visitor *atr_replay_visitor(struct atr_replay *replay)
{
	return &replay->visitor;
}

const char *atr_replay_error(const struct atr_replay *replay)
{
	return replay->error;
}

const struct atr_plan *atr_replay_plan(const struct atr_replay *replay)
{
	return replay->plan;
}

const char *atr_replay_document(const struct atr_replay *replay, size_t *length)
{
	*length = replay->plan ? replay->plan->document_length : 0;
	return replay->plan ? replay->plan->document : NULL;
}

uint64_t atr_replay_generation(const struct atr_replay *replay)
{
	return replay->plan ? replay->plan->generation : 0;
}

bool atr_replay_changing(const struct atr_replay *replay)
{
	return replay->change_group > 0 && replay->groups - replay->change_group < CHANGE_GROUPS;
}

uint64_t atr_replay_groups(const struct atr_replay *replay)
{
	return replay->groups;
}

uint64_t atr_replay_leaves(const struct atr_replay *replay)
{
	return replay->leaves;
}

uint64_t atr_replay_committed_ns(const struct atr_replay *replay)
{
	return replay->committed_ns;
}

uint64_t atr_replay_events(const struct atr_replay *replay)
{
	return replay->events;
}

uint64_t atr_replay_first_epoch(const struct atr_replay *replay)
{
	return replay->first_epoch;
}

uint64_t atr_replay_last_epoch(const struct atr_replay *replay)
{
	return replay->last_epoch;
}

uint64_t atr_replay_feed_next(const struct atr_replay *replay, uint32_t feed)
{
	return feed < ATR_LOG_FEEDS_MAX ? replay->feed_next[feed] : 1;
}
