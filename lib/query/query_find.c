/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "../reason/reason.h"
#include "query_internal.h"

#define BITS 8

/* A pass that ends in front of a leaf. */
struct bounded {
	struct atr_query *query;
	uint64_t to;
	query_visit visit;
	void *context;
	bool any; /* record was seen */
};

static int see_bounded(void *context, const struct atr_group_hdr *group,
		       const struct atr_record_hdr *record, const uint8_t *body,
		       const uint8_t *decisions, const uint8_t leaf[ATR_HASH_SIZE])
{
	struct bounded *b = context;

	b->any = true;
	if (record->leaf >= b->to)
		return -ECANCELED;
	if (!body && b->query->pruned <= record->leaf)
		b->query->pruned = record->leaf + 1;
	return b->visit(b->context, group, record, body, decisions, leaf);
}

/* What lies behind the bound may be being written: it is not read. */
static int see_bounded_group(void *context, const struct atr_group_hdr *group, uint64_t leaves,
			     const uint8_t root[ATR_HASH_SIZE])
{
	const struct bounded *b = context;

	(void)group;
	(void)root;
	if (query_stopped(b->query))
		return -EINTR;
	return leaves >= b->to ? -ECANCELED : 0;
}

uint64_t query_stretch_end(const struct atr_query *query, uint32_t i)
{
	return i + 1 < query->stretches ? query->stretch[i + 1].first_leaf
					: query->end.frontier.size;
}

static bool is_whole(struct atr_query *query, uint64_t segment)
{
	char name[ATR_SEGMENT_NAME_LENGTH + 1];
	struct atr_file *file;
	uint64_t size;

	snprintf(name, sizeof(name), ATR_SEGMENT_NAME, segment);
	if (query->storage->ops->open(query->storage, name, false, &size, &file) < 0)
		return false;
	query->storage->ops->close(query->storage, file);
	return true;
}

int query_pass(struct atr_query *query, uint64_t from, uint64_t to, query_visit visit,
	       void *context, struct before *before, char *error, size_t size)
{
	struct bounded bounded = {query, to, visit, context, false};
	const struct atr_log_visitor visitor = {&bounded, see_bounded, see_bounded_group, NULL};
	const struct stretch *stretch;
	struct atr_log_scan scan;
	uint32_t i = query->stretches;
	bool again = true;
	int rc = 0;

	while (i > 1 && query->stretch[i - 1].first_leaf > from)
		i--;
	while (i > 0 && again) {
		struct atr_log_scan_options options = {.hash = query->hash};

		stretch = &query->stretch[--i];
		while (i > 0 && stretch->begin.offset != ATR_LOG_BLOCK &&
		       !is_whole(query, stretch->begin.segment))
			stretch = &query->stretch[--i];
		if (before)
			*before = stretch->before;
		if (stretch->begin.frontier.size)
			options.from = &stretch->begin;
		rc = atr_log_scan_with(query->storage, &options, &visitor, &scan, error, size);
		/* It may have gone between the look and the pass. */
		again = rc == -EBADMSG && !bounded.any && stretch->begin.offset != ATR_LOG_BLOCK &&
			!is_whole(query, stretch->begin.segment);
	}
	return rc == -ECANCELED ? 0 : rc;
}

const struct atr_plan *query_plan(struct atr_query *query, uint64_t leaf)
{
	const struct document *document;
	uint32_t i = query->plans;
	char error[256];

	while (i > 0 && query->plan[i - 1].first_leaf > leaf)
		i--;
	if (i == 0)
		return NULL;
	if (query->compiled && query->compiled_plan == i)
		return query->compiled;
	document = &query->plan[i - 1];
	atr_plan_free(query->compiled);
	query->compiled = atr_plan_load(document->text, document->length, error, sizeof(error));
	query->compiled_plan = i;
	return query->compiled;
}

/* What is looked for, and found. */
struct hunt {
	const struct atr_query_key *key;
	uint64_t to; /* sequences up to this one, from key's on */
	struct atr_query_cursor cursor;
	struct atr_query_event *out;
	unsigned int count, max;
	unsigned int
		open; /* found in the group in hand, whose commit is still to come: the first */
	bool one;     /* an admitted one is enough */
};

static void describe(struct atr_query_event *event, const struct atr_group_hdr *group,
		     const struct atr_record_hdr *record, const uint8_t *leaf)
{
	memset(event, 0, sizeof(*event));
	event->key.source = record->source;
	event->leaf = record->leaf;
	event->group = group->group;
	event->segment = group->segment;
	event->offset = group->offset;
	event->rx_ns = record->rx_ns;
	event->epoch = group->epoch;
	event->generation = record->generation;
	event->events = record->events;
	event->topic = record->topic;
	event->type = record->type;
	memcpy(event->leaf_hash, leaf, ATR_HASH_SIZE);
}

/* The hunter's place for one more event; for a single one the last found stands. */
static struct atr_query_event *place(struct hunt *hunt)
{
	if (hunt->one && hunt->count == 1)
		return hunt->out[0].admitted ? NULL : &hunt->out[0];
	return hunt->count < hunt->max ? &hunt->out[hunt->count++] : NULL;
}

static void match_frame(struct hunt *hunt, const struct atr_group_hdr *group,
			const struct atr_record_hdr *record, const uint8_t *body,
			const uint8_t *decisions, const uint8_t *leaf)
{
	uint64_t low = hunt->key->sequence, first;
	struct atr_frame frame;

	if (atr_frame_parse(body, record->body_length, &frame) != ATR_OK)
		return;
	first = frame.hdr->first_sequence;
	for (uint32_t i = low > first ? (uint32_t)(low - first < record->events ? low - first
										: record->events)
				      : 0;
	     i < record->events && first + i <= hunt->to; i++) {
		struct atr_query_event *event;

		if (record->leaf == hunt->cursor.leaf && i < hunt->cursor.index)
			continue;
		event = place(hunt);
		if (!event)
			return;
		describe(event, group, record, leaf);
		event->key.sequence = first + i;
		event->index = (uint16_t)i;
		event->admitted = (decisions[i / BITS] >> (i % BITS)) & 1;
		event->topic = frame.packets[i].topic_id;
		event->type = frame.packets[i].type_id;
	}
}

static void match_envelope(struct hunt *hunt, const struct atr_group_hdr *group,
			   const struct atr_record_hdr *record, const uint8_t *body,
			   const uint8_t *leaf)
{
	struct atr_query_event *event;
	uint8_t uuid[16];

	if (!query_uuid(body, record->body_length, uuid) ||
	    memcmp(uuid, hunt->key->uuid, sizeof(uuid)) != 0)
		return;
	event = place(hunt);
	if (!event)
		return;
	describe(event, group, record, leaf);
	event->key = *hunt->key;
	event->admitted = true;
}

static int see_hunt(void *context, const struct atr_group_hdr *group,
		    const struct atr_record_hdr *record, const uint8_t *body,
		    const uint8_t *decisions, const uint8_t leaf[ATR_HASH_SIZE])
{
	struct hunt *hunt = context;

	if (record->kind == ATR_RECORD_COMMIT) {
		const struct atr_commit_body *commit = (const void *)body;

		for (unsigned int i = hunt->open; i < hunt->count; i++) {
			struct atr_query_event *event = &hunt->out[i];

			if (event->group != group->group)
				continue;
			event->committed_ns = commit->committed_ns;
			event->commit_leaf = record->leaf;
			memcpy(event->plan_digest, commit->plan_digest, ATR_HASH_SIZE);
		}
		hunt->open = hunt->one ? 0 : hunt->count;
		return hunt->count == hunt->max && (!hunt->one || hunt->out[0].admitted)
			       ? -ECANCELED
			       : 0;
	}
	if (!body || record->source != hunt->key->source || record->leaf < hunt->cursor.leaf)
		return 0;
	if (record->kind == ATR_RECORD_FRAME && !hunt->key->by_uuid)
		match_frame(hunt, group, record, body, decisions, leaf);
	else if (record->kind == ATR_RECORD_ENVELOPE && hunt->key->by_uuid)
		match_envelope(hunt, group, record, body, leaf);
	return 0;
}

/* Can the stretch hold what is hunted? */
static bool promising(const struct stretch *stretch, const struct hunt *hunt)
{
	uint64_t order = query_uuid_order(hunt->key->uuid);

	if (stretch->any)
		return true;
	for (uint32_t i = 0; i < stretch->spans; i++) {
		const struct span *span = &stretch->span[i];

		if (span->source != hunt->key->source)
			continue;
		return hunt->key->by_uuid ? order >= span->uuid_min && order <= span->uuid_max
					  : hunt->to >= span->sequence_min &&
						    hunt->key->sequence <= span->sequence_max;
	}
	return false;
}

static int hunt_all(struct atr_query *query, struct hunt *hunt, char *error, size_t size)
{
	for (uint32_t i = 0; i < query->stretches; i++) {
		uint64_t end = query_stretch_end(query, i);
		int rc;

		if (end <= hunt->cursor.leaf || !promising(&query->stretch[i], hunt))
			continue;
		rc = query_pass(query, query->stretch[i].first_leaf, end, see_hunt, hunt, NULL,
				error, size);
		if (rc < 0)
			return rc;
		if (hunt->count == hunt->max && (!hunt->one || hunt->out[0].admitted))
			break;
	}
	return 0;
}

/* Counts, a feed, the events of a group in front of one. */
struct count {
	struct atr_query *query;
	struct atr_query_event *event;
	struct before before;
	uint64_t count[ATR_LOG_FEEDS_MAX];
	uint64_t feeds; /* of the event */
	bool known;
};

static uint64_t feeds_of(const struct atr_plan *plan, const struct atr_frame *frame, uint32_t i)
{
	const struct atr_packet *packet = &frame->packets[i];
	const struct atr_source *source = atr_plan_source(plan, frame->hdr->source);
	const struct atr_action *action =
		source ? atr_plan_action(plan, source, packet->topic_id, packet->type_id) : NULL;
	uint32_t length;

	return action ? atr_action_feeds(action, atr_frame_payload(frame, i, &length)) : 0;
}

static void count_feeds(struct count *run, uint64_t feeds)
{
	for (; feeds; feeds &= feeds - 1)
		run->count[__builtin_ctzll(feeds)]++;
}

/* Events of a frame up to the one in question, or all. */
static void count_frame(struct count *run, const struct atr_record_hdr *record, const uint8_t *body,
			const uint8_t *decisions)
{
	const struct atr_plan *plan = query_plan(run->query, record->leaf);
	bool ours = record->leaf == run->event->leaf;
	struct atr_frame frame;

	if (!plan || atr_frame_parse(body, record->body_length, &frame) != ATR_OK) {
		run->known = false;
		return;
	}
	for (uint32_t i = 0; i < record->events; i++) {
		bool admitted = (decisions[i / BITS] >> (i % BITS)) & 1;
		uint64_t feeds = admitted ? feeds_of(plan, &frame, i) : 0;

		if (ours && i == run->event->index) {
			run->feeds = feeds;
			return;
		}
		count_feeds(run, feeds);
	}
}

/* The group's own commit: which feeds it has positions of. */
static void number(struct count *run, const uint8_t *body)
{
	struct atr_query_event *event = run->event;
	struct before after = {0};

	query_positions(&after, body);
	event->feeds_known = run->known;
	event->feeds = run->feeds & after.feed_set;
	for (uint64_t set = event->feeds; set; set &= set - 1) {
		unsigned int feed = (unsigned int)__builtin_ctzll(set);
		bool before = (run->before.feed_set >> feed) & 1;

		event->number[feed] = (before ? run->before.feed_next[feed] : 1) + run->count[feed];
	}
}

static int see_count(void *context, const struct atr_group_hdr *group,
		     const struct atr_record_hdr *record, const uint8_t *body,
		     const uint8_t *decisions, const uint8_t leaf[ATR_HASH_SIZE])
{
	struct count *run = context;

	(void)leaf;
	if (group->group == run->event->group && record->kind == ATR_RECORD_COMMIT) {
		number(run, body);
		return -ECANCELED;
	}
	if (record->kind == ATR_RECORD_COMMIT)
		query_positions(&run->before, body);
	if (group->group != run->event->group || record->leaf > run->event->leaf || !body)
		return 0;
	if (record->kind == ATR_RECORD_FRAME)
		count_frame(run, record, body, decisions);
	else if (record->kind == ATR_RECORD_ENVELOPE && record->leaf == run->event->leaf)
		run->feeds = record->feeds;
	else if (record->kind == ATR_RECORD_ENVELOPE)
		count_feeds(run, record->feeds);
	return 0;
}

int atr_query_find(struct atr_query *query, const struct atr_query_key *key,
		   struct atr_query_event *event, char *error, size_t size)
{
	struct hunt hunt = {.key = key, .to = key->sequence, .out = event, .max = 1, .one = true};
	struct count count = {.query = query, .event = event, .known = true};
	int rc = hunt_all(query, &hunt, error, size);

	if (rc < 0 || hunt.count == 0)
		return rc;
	rc = query_pass(query, event->leaf, event->commit_leaf + 1, see_count, &count,
			&count.before, error, size);
	return rc < 0 ? rc : 1;
}

int atr_query_range(struct atr_query *query, uint32_t source, uint64_t from, uint64_t to,
		    struct atr_query_cursor *cursor, struct atr_query_event *out, unsigned int max,
		    char *error, size_t size)
{
	const struct atr_query_key key = {.source = source, .sequence = from};
	struct hunt hunt = {.key = &key, .to = to, .cursor = *cursor, .out = out, .max = max};
	int rc = max ? hunt_all(query, &hunt, error, size) : 0;

	if (rc < 0 || hunt.count == 0)
		return rc;
	cursor->leaf = out[hunt.count - 1].leaf;
	cursor->index = out[hunt.count - 1].index + 1u;
	return (int)hunt.count;
}
