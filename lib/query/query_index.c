/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../envelope/envelope.h"
#include "query_internal.h"

#define SIMD_BITS       512
#define ROOM_FIRST      64
#define UUID_TEXT       36
#define ID_PREFIX       "{\"header\":{\"id\":\"" /* how every canonical envelope begins */
#define ID_OFFSET       (sizeof(ID_PREFIX) - 1)
#define PRUNED_LEAD     "pruned-"
#define NAME_MAX_LENGTH 256
#define PLAN_MAX        (64u << 20) /* bytes of a plan document */

/* One pass that extends the index. */
struct pass {
	struct atr_query *query;
	struct atr_log_scan scan;
	uint64_t bytes, max_bytes, groups;
	uint64_t first_whole; /* segment */
};

struct atr_query *atr_query_create(struct atr_storage *storage, char *error, size_t size)
{
	struct atr_query *query = calloc(1, sizeof(*query));

	if (!query) {
		snprintf(error, size, "out of memory for an index of the log");
		return NULL;
	}
	query->storage = storage;
	query->hash = atr_hash_create(-1, SIMD_BITS, error, size);
	if (query->hash)
		return query;
	free(query);
	return NULL;
}

void atr_query_free(struct atr_query *query)
{
	if (!query)
		return;
	for (uint32_t i = 0; i < query->stretches; i++)
		free(query->stretch[i].span);
	for (uint32_t i = 0; i < query->plans; i++)
		free(query->plan[i].text);
	free(query->open.text);
	free(query->stretch);
	free(query->plan);
	free(query->chunk);
	atr_plan_free(query->compiled);
	atr_hash_free(query->hash);
	free(query);
}

void atr_query_watch(struct atr_query *query, const bool *stop)
{
	query->stop = stop;
}

bool query_stopped(const struct atr_query *query)
{
	return query->stop && __atomic_load_n(query->stop, __ATOMIC_ACQUIRE);
}

uint64_t atr_query_leaves(const struct atr_query *query)
{
	return query->end.frontier.size;
}

uint64_t atr_query_pruned(const struct atr_query *query)
{
	return query->pruned;
}

bool query_uuid(const uint8_t *body, uint32_t length, uint8_t uuid[16])
{
	return length > ID_OFFSET + UUID_TEXT && memcmp(body, ID_PREFIX, ID_OFFSET) == 0 &&
	       atr_uuid7_parse((const char *)body + ID_OFFSET, UUID_TEXT, uuid) == 0;
}

uint64_t query_uuid_order(const uint8_t uuid[16])
{
	uint64_t order = 0;

	for (unsigned int i = 0; i < sizeof(order); i++)
		order = order << 8 | uuid[i];
	return order;
}

void query_positions(struct before *before, const uint8_t *commit)
{
	const struct atr_commit_body *body = (const void *)commit;
	const struct atr_feed_position *feed = (const void *)(body + 1);

	for (uint32_t i = 0; i < body->feed_count; i++) {
		if (feed[i].feed >= ATR_LOG_FEEDS_MAX)
			continue;
		before->feed_set |= UINT64_C(1) << feed[i].feed;
		before->feed_next[feed[i].feed] = feed[i].next;
	}
}

static int begin_stretch(struct atr_query *query, const struct atr_group_hdr *group)
{
	struct stretch *stretch;

	if (query->stretches == query->stretch_room) {
		uint32_t room = query->stretch_room ? 2 * query->stretch_room : ROOM_FIRST;
		struct stretch *more = reallocarray(query->stretch, room, sizeof(*more));

		if (!more)
			return -ENOMEM;
		query->stretch = more;
		query->stretch_room = room;
	}
	stretch = &query->stretch[query->stretches++];
	memset(stretch, 0, sizeof(*stretch));
	stretch->begin = query->end;
	/* The beginning of a segment stays a place to begin at when it gives up its entries. */
	stretch->begin.segment = group->segment;
	stretch->begin.offset = group->offset;
	stretch->first_leaf = group->first_leaf;
	stretch->before = query->before;
	query->bytes = 0;
	return 0;
}

static struct span *span_of(struct stretch *stretch, uint32_t source)
{
	struct span *more;

	for (uint32_t i = stretch->spans; i > 0; i--)
		if (stretch->span[i - 1].source == source)
			return &stretch->span[i - 1];
	if (stretch->any || stretch->spans == QUERY_SPANS) {
		stretch->any = true;
		return NULL;
	}
	more = reallocarray(stretch->span, stretch->spans + 1, sizeof(*more));
	if (!more) {
		stretch->any = true;
		return NULL;
	}
	stretch->span = more;
	more = &stretch->span[stretch->spans++];
	*more = (struct span){.source = source, .sequence_min = UINT64_MAX, .uuid_min = UINT64_MAX};
	return more;
}

static void widen(uint64_t *min, uint64_t *max, uint64_t low, uint64_t high)
{
	*min = low < *min ? low : *min;
	*max = high > *max ? high : *max;
}

static void note_entry(struct atr_query *query, const struct atr_record_hdr *record,
		       const uint8_t *body)
{
	struct span *span = span_of(&query->stretch[query->stretches - 1], record->source);
	const struct atr_frame_hdr *frame = (const void *)body;
	uint8_t uuid[16];

	if (!span)
		return;
	if (record->kind == ATR_RECORD_FRAME)
		widen(&span->sequence_min, &span->sequence_max, frame->first_sequence,
		      frame->first_sequence + record->events - 1);
	else if (query_uuid(body, record->body_length, uuid))
		widen(&span->uuid_min, &span->uuid_max, query_uuid_order(uuid),
		      query_uuid_order(uuid));
}

/* A chunk of a plan document; the reader has checked that chunks make documents. */
static int note_plan(struct atr_query *query, const struct atr_record_hdr *record,
		     const uint8_t *body)
{
	struct document *open = &query->open, *more;
	struct atr_plan_chunk chunk;
	uint32_t length = record->body_length - (uint32_t)sizeof(chunk);

	memcpy(&chunk, body, sizeof(chunk));
	if (chunk.total > PLAN_MAX)
		return 0;
	if (chunk.offset == 0) {
		free(open->text);
		*open = (struct document){.text = malloc(chunk.total)};
	}
	if (!open->text)
		return chunk.offset == 0 ? -ENOMEM : 0;
	memcpy(open->text + chunk.offset, body + sizeof(chunk), length);
	open->length = chunk.offset + length;
	if (open->length < chunk.total)
		return 0;
	open->first_leaf = record->leaf + 1;
	more = reallocarray(query->plan, query->plans + 1, sizeof(*more));
	if (!more)
		return -ENOMEM;
	query->plan = more;
	more[query->plans++] = *open;
	query->before.plan = query->plans;
	*open = (struct document){0};
	return 0;
}

static int note_leaf(struct atr_query *query, uint64_t index, const uint8_t leaf[ATR_HASH_SIZE])
{
	memcpy(query->leaf[index % QUERY_CHUNK], leaf, ATR_HASH_SIZE);
	if (index % QUERY_CHUNK != QUERY_CHUNK - 1)
		return 0;
	if (query->chunks == query->chunk_room) {
		uint64_t room = query->chunk_room ? 2 * query->chunk_room : ROOM_FIRST;
		uint8_t(*more)[ATR_HASH_SIZE] = reallocarray(query->chunk, room, sizeof(*more));

		if (!more)
			return -ENOMEM;
		query->chunk = more;
		query->chunk_room = room;
	}
	atr_merkle_root(query->leaf[0], QUERY_CHUNK, query->chunk[query->chunks++]);
	return 0;
}

static int see_record(void *context, const struct atr_group_hdr *group,
		      const struct atr_record_hdr *record, const uint8_t *body,
		      const uint8_t *decisions, const uint8_t leaf[ATR_HASH_SIZE])
{
	struct pass *pass = context;
	struct atr_query *query = pass->query;
	const struct stretch *last =
		query->stretches ? &query->stretch[query->stretches - 1] : NULL;
	int err = 0;

	(void)decisions;
	if (record->leaf == group->first_leaf &&
	    (!last || last->begin.segment != group->segment || query->bytes >= QUERY_STRETCH))
		err = begin_stretch(query, group);
	if (!err)
		err = note_leaf(query, record->leaf, leaf);
	if (err)
		return err;
	if (!body) {
		query->pruned = record->leaf + 1;
		/* It may have gone since the pass began. */
		if (pass->first_whole <= group->segment)
			pass->first_whole = group->segment + 1;
	} else if (record->kind == ATR_RECORD_FRAME || record->kind == ATR_RECORD_ENVELOPE)
		note_entry(query, record, body);
	else if (record->kind == ATR_RECORD_PLAN)
		return note_plan(query, record, body);
	else if (record->kind == ATR_RECORD_COMMIT)
		query_positions(&query->before, body);
	return 0;
}

static int see_group(void *context, const struct atr_group_hdr *group, uint64_t leaves,
		     const uint8_t root[ATR_HASH_SIZE])
{
	struct pass *pass = context;
	struct atr_query *query = pass->query;

	(void)leaves;
	(void)root;
	query->end = pass->scan.end;
	query->bytes += group->length;
	pass->bytes += group->length;
	if (query->end.group >= pass->groups)
		return -ECANCELED;
	/* What was read is in the index and stays, but for the rest of a pruned segment. */
	if (query_stopped(query))
		return -EINTR;
	/* Within a pruned segment there is no place to go on from. */
	return pass->bytes >= pass->max_bytes && group->segment >= pass->first_whole ? -ECANCELED
										     : 0;
}

/* Number of the first segment that has its entries. */
static uint64_t first_whole(struct atr_query *query)
{
	char name[NAME_MAX_LENGTH];
	uint64_t first = 0;
	int rc;

	for (unsigned int i = 0;; i++) {
		rc = query->storage->ops->list(query->storage, i, name, sizeof(name));
		if (rc < 0 && rc != -ENAMETOOLONG)
			return first;
		if (rc >= 0 && strncmp(name, PRUNED_LEAD, strlen(PRUNED_LEAD)) == 0)
			first = strtoull(name + strlen(PRUNED_LEAD), NULL, 16) + 1;
	}
}

int atr_query_refresh(struct atr_query *query, uint64_t groups, uint64_t max_bytes, char *error,
		      size_t size)
{
	struct pass pass = {.query = query, .max_bytes = max_bytes, .groups = groups};
	const struct atr_log_visitor visitor = {&pass, see_record, see_group, NULL};
	struct atr_log_scan_options options = {.hash = query->hash};
	struct atr_log_end from = query->end;
	int rc;

	if (query->end.group >= groups)
		return 0;
	if (from.frontier.size)
		options.from = &from;
	pass.first_whole = first_whole(query);
	rc = atr_log_scan_with(query->storage, &options, &visitor, &pass.scan, error, size);
	return rc == -ECANCELED ? query->end.group < groups : rc;
}
