/* SPDX-License-Identifier: BSD-3-Clause */
/* What a stop may have left durable and unpublished: the last groups of a log, made ready to be
 * published again under the numbers they had. A subscriber that has them already knows by the
 * numbers. */
#include "unpublished.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../envelope/envelope.h"

#define BITS          8
#define SENTENCE_SIZE 512

struct loader {
	struct atr_recovery *recovery;
	const struct atr_plan *plan;    /* in force now */
	const struct atr_plan *judging; /* of the record at hand, */
	uint64_t generation;            /* which says so */
	struct atr_json_parser *parser;
	uint64_t messages[ATR_FEEDS_MAX]; /* in all recovered groups */
};

static uint32_t padded(uint32_t length)
{
	return (length + ATR_LOG_BLOCK - 1) / ATR_LOG_BLOCK * ATR_LOG_BLOCK;
}

static void count(struct loader *l, uint64_t feeds)
{
	for (; feeds; feeds &= feeds - 1)
		l->messages[__builtin_ctzll(feeds)]++;
}

/* The plan of a generation, that judged one of the groups; compiled when it is needed first. */
static const struct atr_plan *plan_of(struct loader *l, uint64_t generation)
{
	char error[SENTENCE_SIZE];

	for (unsigned int i = 0; i < l->recovery->past_count; i++) {
		struct atr_recovered_plan *past = &l->recovery->past[i];

		if (past->generation != generation)
			continue;
		if (past->length == l->plan->document_length &&
		    memcmp(past->document, l->plan->document, past->length) == 0)
			return l->plan;
		if (!past->plan)
			past->plan = atr_plan_load_behind(past->document, past->length, l->plan,
							  error, sizeof(error));
		return past->plan;
	}
	return NULL;
}

/* Feeds of each event, as the ruleset stage found them. */
static void load_frame(struct loader *l, struct atr_group_buf *group, struct atr_log_record *record,
		       const struct atr_record_hdr *header)
{
	const uint8_t *body = (const uint8_t *)(header + 1);
	const uint8_t *decisions = body + header->body_length;
	const struct atr_source *source = atr_plan_source(l->judging, header->source);
	struct atr_frame frame;

	if (!source || atr_frame_parse(body, header->body_length, &frame) != ATR_OK)
		return;
	record->feeds_at = group->event_feeds_used;
	for (unsigned int e = 0; e < header->events; e++) {
		const struct atr_packet *p = &frame.packets[e];
		const struct atr_action *action =
			atr_plan_action(l->judging, source, p->topic_id, p->type_id);
		uint64_t set = 0;
		uint32_t length;

		if (action && (decisions[e / BITS] >> e % BITS & 1))
			set = atr_action_feeds(action, atr_frame_payload(&frame, e, &length)) &
			      l->judging->commit_feeds;
		group->event_feeds[group->event_feeds_used++] = set;
		record->feeds |= set;
		count(l, set);
	}
}

static void load_envelope(struct loader *l, struct atr_log_record *record,
			  const struct atr_record_hdr *header)
{
	struct atr_envelope envelope;

	if (atr_envelope_parse(l->parser, (const char *)(header + 1), header->body_length,
			       &envelope) != ATR_OK)
		return;
	/* Feeds of the other classes have a new session, and had this in the one before. */
	record->feeds = header->feeds & l->judging->commit_feeds;
	record->stamp = envelope.timestamp_ns;
	count(l, record->feeds);
}

static void load_records(struct loader *l, struct atr_group_buf *group)
{
	const struct atr_group_hdr *hdr = (const struct atr_group_hdr *)group->data;
	uint32_t at = sizeof(*hdr);

	group->number = hdr->group;
	group->first_leaf = hdr->first_leaf;
	group->used = hdr->length;
	group->records = hdr->records - 1;
	for (uint32_t i = 0; i < group->records; i++) {
		const struct atr_record_hdr *header =
			(const struct atr_record_hdr *)(group->data + at);
		struct atr_log_record *record = &group->record[i];
		uint32_t length =
			(uint32_t)sizeof(*header) + header->body_length + header->decision_length;

		*record = (struct atr_log_record){.offset = at, .feeds_at = ATR_FEEDS_UNIFORM};
		if (header->generation != l->generation)
			l->judging = plan_of(l, header->generation);
		l->generation = header->generation;
		if (header->kind == ATR_RECORD_FRAME && l->judging)
			load_frame(l, group, record, header);
		else if (header->kind == ATR_RECORD_ENVELOPE && l->judging)
			load_envelope(l, record, header);
		at += (length + BITS - 1) / BITS * BITS;
	}
}

/* The scan has checked every byte of the group. */
static int load_group(struct loader *l, const struct atr_recovery *recovery,
		      const struct atr_group_place *place, struct atr_group_buf *group, char *error,
		      size_t size)
{
	struct atr_storage *storage = recovery->storage;
	char name[ATR_SEGMENT_NAME_LENGTH + 1];
	const struct atr_group_hdr *hdr;
	struct atr_file *file;
	uint64_t bytes = 0;
	int rc;

	group->data = aligned_alloc(ATR_STORAGE_ALIGN, padded(place->length));
	if (!group->data)
		return -ENOMEM;
	snprintf(name, sizeof(name), ATR_SEGMENT_NAME, place->segment);
	rc = storage->ops->open(storage, name, false, &bytes, &file);
	if (rc == 0) {
		rc = storage->ops->read(storage, file, group->data, padded(place->length),
					place->offset);
		storage->ops->close(storage, file);
	}
	if (rc < 0) {
		snprintf(error, size, "log %s/%s: %s; look after the disk", recovery->name, name,
			 strerror(-rc));
		return rc;
	}
	hdr = (const struct atr_group_hdr *)group->data;
	group->record = calloc(hdr->records, sizeof(*group->record));
	group->event_feeds = calloc(ATR_LOG_EVENTS_MAX, sizeof(*group->event_feeds));
	if (!group->record || !group->event_feeds)
		return -ENOMEM;
	load_records(l, group);
	return 0;
}

int atr_recovery_load(struct atr_recovery *recovery, const struct atr_plan *plan, char *error,
		      size_t size)
{
	uint64_t places = recovery->places;
	uint64_t n = places < ATR_RECOVERY_GROUPS_MAX ? places : ATR_RECOVERY_GROUPS_MAX;
	struct loader l = {.recovery = recovery, .plan = plan};
	int rc = 0;

	if (!atr_replay_plan(recovery->replay))
		return 0;
	snprintf(error, size, "log %s: out of memory for the last groups of the log",
		 recovery->name);
	l.parser = atr_json_parser_create();
	recovery->group = calloc(n + 1, sizeof(*recovery->group));
	if (!recovery->group || !l.parser)
		rc = -ENOMEM;
	for (uint64_t i = 0; rc == 0 && i < n; i++) {
		const struct atr_group_place *place =
			&recovery->place[(places - n + i) % ATR_RECOVERY_GROUPS_MAX];

		rc = load_group(&l, recovery, place, &recovery->group[i], error, size);
		recovery->group_count++;
	}
	for (unsigned int f = 0; rc == 0 && f < ATR_FEEDS_MAX; f++)
		recovery->feed_next[f] = atr_replay_feed_next(recovery->replay, f) - l.messages[f];
	if (l.parser)
		atr_json_parser_destroy(l.parser);
	return rc;
}

void recovery_free_unpublished(struct atr_recovery *recovery)
{
	for (unsigned int i = 0; i < recovery->group_count; i++) {
		free(recovery->group[i].data);
		free(recovery->group[i].record);
		free(recovery->group[i].event_feeds);
	}
	free(recovery->group);
	recovery->group = NULL;
	recovery->group_count = 0;
}
