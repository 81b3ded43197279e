/* SPDX-License-Identifier: BSD-3-Clause */
#include "recovery.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_common.h>

#include "../replay/snapshot.h"
#include "unpublished.h"

#define BITS          8
#define SNAPSHOTS_MAX 16 /* that are tried */
#define PATH_SIZE     4200
#define SENTENCE_SIZE 512
#define NAME_SIZE     64

/* --- Reading --- */

/* What a scan hands to the replay, and keeps of the last groups. */
struct reading {
	struct atr_recovery *recovery;
	const struct atr_log_visitor *replay;
	const struct atr_recovery_params *params;
	const struct atr_snapshot *snapshot; /* that the pass began behind; NULL: none */
	bool contradicted;
};

static bool contradicts(const struct atr_snapshot *snapshot, const struct atr_snapshot_body *record)
{
	return snapshot && record->group == snapshot->groups &&
	       (record->leaves != snapshot->leaves ||
		memcmp(record->digest, snapshot->digest, sizeof(record->digest)) != 0);
}

static void forget_past(struct atr_recovery *recovery)
{
	while (recovery->past_count > 0) {
		free(recovery->past[--recovery->past_count].document);
		atr_plan_free(recovery->past[recovery->past_count].plan);
	}
}

static uint64_t oldest_group(const struct atr_recovery *recovery, uint64_t group)
{
	return recovery->places < ATR_RECOVERY_GROUPS_MAX ? group - recovery->places
							  : group - ATR_RECOVERY_GROUPS_MAX;
}

/* Forgets plans that judged none of the last groups any more. */
static void prune_past(struct atr_recovery *recovery, uint64_t group)
{
	unsigned int gone = 0;

	while (gone + 1 < recovery->past_count &&
	       recovery->past[gone + 1].group < oldest_group(recovery, group)) {
		free(recovery->past[gone].document);
		atr_plan_free(recovery->past[gone++].plan);
	}
	recovery->past_count -= gone;
	memmove(recovery->past, recovery->past + gone,
		recovery->past_count * sizeof(recovery->past[0]));
}

/* Keeps the document of the plan that the replay has now. */
static int keep_plan(struct atr_recovery *recovery, uint64_t group)
{
	struct atr_recovered_plan *kept;
	size_t length;
	const char *document = atr_replay_document(recovery->replay, &length);
	uint64_t generation = atr_replay_generation(recovery->replay);

	if (!document || (recovery->past_count > 0 &&
			  recovery->past[recovery->past_count - 1].generation == generation))
		return 0;
	prune_past(recovery, group);
	/* More than one plan a group says nothing about groups: the last of it counts. */
	if (recovery->past_count == RTE_DIM(recovery->past)) {
		free(recovery->past[--recovery->past_count].document);
		recovery->past[recovery->past_count].document = NULL;
	}
	kept = &recovery->past[recovery->past_count];
	*kept = (struct atr_recovered_plan){
		.generation = generation, .group = group, .length = length};
	kept->document = malloc(length);
	if (!kept->document)
		return -ENOMEM;
	memcpy(kept->document, document, length);
	recovery->past_count++;
	return 0;
}

static int on_record(void *context, const struct atr_group_hdr *group,
		     const struct atr_record_hdr *record, const uint8_t *body,
		     const uint8_t *decisions, const uint8_t leaf[ATR_HASH_SIZE])
{
	struct reading *r = context;
	const struct atr_plan *plan;
	int rc;

	if (record->kind == ATR_RECORD_SNAPSHOT &&
	    contradicts(r->snapshot, (const struct atr_snapshot_body *)body)) {
		r->contradicted = true;
		return -EBADMSG;
	}
	rc = r->replay->record(r->replay->context, group, record, body, decisions, leaf);
	if (rc == 0 && record->kind == ATR_RECORD_PLAN)
		return keep_plan(r->recovery, group->group);
	if (rc == 0 && record->kind == ATR_RECORD_ENVELOPE && r->params->governs) {
		plan = atr_replay_plan(r->recovery->replay);
		if (atr_plan_governs(plan, record->type) != ATR_GOVERNANCE_NONE)
			return r->params->governs(r->params->context, plan, record, body);
	}
	return rc;
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

/* One pass, over what from is the end of the rest of; NULL: over all. The replay stands there. */
static int scan_from(struct atr_recovery *recovery, const struct atr_recovery_params *params,
		     const struct atr_snapshot *snapshot, const struct atr_log_end *from,
		     char *error, size_t size)
{
	struct reading reading = {.recovery = recovery,
				  .replay = atr_replay_visitor(recovery->replay),
				  .params = params,
				  .snapshot = snapshot};
	const struct atr_log_visitor visitor = {.context = &reading,
						.record = on_record,
						.group = on_group,
						.progress = on_progress};
	const struct atr_log_scan_options options = {.anchored = params->anchored,
						     .anchor_name = params->anchor_name,
						     .from = from,
						     .hash = params->hash};
	int rc;

	recovery->places = 0;
	forget_past(recovery);
	memset(&recovery->scan, 0, sizeof(recovery->scan));
	rc = keep_plan(recovery, from ? from->group : 0);
	if (rc < 0) {
		snprintf(error, size, "out of memory for the plan");
		return rc;
	}
	rc = atr_log_scan_with(recovery->storage, &options, &visitor, &recovery->scan, error, size);
	if (rc < 0 && reading.contradicted)
		snprintf(error, size, "the log's snapshot record names another digest");
	else if (rc < 0 && atr_replay_error(recovery->replay)[0])
		snprintf(error, size, "%s/%s", recovery->name, atr_replay_error(recovery->replay));
	return rc;
}

static int read_behind(struct atr_recovery *recovery, const struct atr_recovery_params *params,
		       const struct atr_snapshot *snapshot, char *error, size_t size)
{
	const struct atr_replay_params replay = {params->shard, params->shards, params->state_keys};
	struct atr_snapshot_hdr header;
	struct atr_log_end end;
	int rc;

	recovery->replay =
		atr_snapshot_load(&replay, snapshot->bytes, snapshot->length, &end, error, size);
	if (!recovery->replay)
		return -EBADMSG;
	memcpy(&header, snapshot->bytes, sizeof(header));
	rc = scan_from(recovery, params, snapshot, &end, error, size);
	if (rc == 0 && memcmp(header.log_id, recovery->scan.log_id, sizeof(header.log_id)) != 0) {
		snprintf(error, size, "it is of another log");
		rc = -EBADMSG;
	}
	if (rc == 0) {
		recovery->snapshot_group = snapshot->groups;
		recovery->snapshot_leaves = snapshot->leaves;
		return 0;
	}
	atr_replay_free(recovery->replay);
	recovery->replay = NULL;
	return rc;
}

/* 0 if a snapshot was used. */
static int read_snapshot(struct atr_recovery *recovery, const struct atr_recovery_params *params,
			 uint64_t group)
{
	char path[PATH_SIZE], why[SENTENCE_SIZE], sentence[PATH_SIZE + SENTENCE_SIZE + NAME_SIZE];
	struct atr_snapshot snapshot = {0};
	int rc;

	snprintf(path, sizeof(path), "%s/" ATR_SNAPSHOT_NAME, params->snapshots, group);
	rc = atr_snapshot_read(path, &snapshot, why, sizeof(why));
	if (rc == 0)
		rc = read_behind(recovery, params, &snapshot, why, sizeof(why));
	free(snapshot.bytes);
	if (rc == 0 || !params->passed_over)
		return rc;
	snprintf(sentence, sizeof(sentence), "snapshot %s is passed over: %s", path, why);
	params->passed_over(params->context, sentence);
	return rc;
}

int atr_recovery_read(struct atr_recovery *recovery, const struct atr_recovery_params *params,
		      char *error, size_t size)
{
	const struct atr_replay_params replay = {params->shard, params->shards, params->state_keys};
	uint64_t groups[SNAPSHOTS_MAX];
	int snapshots =
		params->snapshots ? atr_snapshot_list(params->snapshots, groups, SNAPSHOTS_MAX) : 0;

	recovery->name = params->name;
	recovery->storage = params->storage;
	recovery->shard = params->shard;
	recovery->shards = params->shards;
	for (int i = 0; i < snapshots; i++)
		if (read_snapshot(recovery, params, groups[i]) == 0)
			return 0;
	recovery->replay = atr_replay_create(&replay, error, size);
	if (!recovery->replay)
		return -ENOMEM;
	return scan_from(recovery, params, NULL, NULL, error, size);
}

void atr_recovery_free(struct atr_recovery *recovery)
{
	recovery_free_unpublished(recovery);
	forget_past(recovery);
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
	struct atr_source_state *state;
	uint8_t reason[ATR_FRAME_PACKETS_MAX];

	if (frame->count > ATR_FRAME_PACKETS_MAX || source > ATR_ID_MAX)
		return 0;
	/* Should it come back with a later plan, it goes on behind what the log has. */
	if (!atr_plan_source(w->program->plan, source)) {
		state = &w->program->source[source];
		state->floor = RTE_MAX(state->floor, frame->first + frame->count);
		return 0;
	}
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
