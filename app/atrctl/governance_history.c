/* SPDX-License-Identifier: BSD-3-Clause */
#include "governance_history.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../../lib/envelope/envelope.h"
#include "command.h"
#include "event_line.h"
#include "governance.h"
#include "option.h"
#include "plan_diff.h"

#define FIRST_ROOM 64

/* Room for one more element of size bytes; false when out of memory. */
static bool grow(void **array, size_t count, size_t *room, size_t size)
{
	size_t more = *room ? 2 * *room : FIRST_ROOM;
	void *larger;

	if (count < *room)
		return true;
	larger = reallocarray(*array, more, size);
	if (!larger)
		return false;
	*array = larger;
	*room = more;
	return true;
}

static struct history_plan *find(struct history *h, uint64_t generation)
{
	size_t low = 0, high = h->plans;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (h->plan[middle].generation < generation)
			low = middle + 1;
		else
			high = middle;
	}
	return &h->plan[low];
}

/* A plan that no shard before had, at its place by generation; NULL when out of memory. */
static struct history_plan *insert(struct history *h, const struct log_walk *walk)
{
	const struct atr_plan *plan = walk->track.plan;
	struct history_plan *at;
	json_t *changes;

	if (!grow((void **)&h->plan, h->plans, &h->plan_room, sizeof(*h->plan)))
		return NULL;
	at = find(h, plan->generation);
	memmove(at + 1, at, (size_t)(h->plan + h->plans - at) * sizeof(*at));
	h->plans++;
	*at = (struct history_plan){.generation = plan->generation,
				    .version = plan->version,
				    .bytes = plan->document_length,
				    .committed_ns = walk->group->committed_ns};
	memcpy(at->digest, plan->digest, sizeof(at->digest));
	memcpy(at->name, plan->name, sizeof(at->name));
	changes = walk->track.previous ? govern_diff(walk->track.previous, plan) : NULL;
	at->summary = changes ? plan_diff_summary(changes) : NULL;
	json_decref(changes);
	return at;
}

static int see_plan(struct log_walk *walk)
{
	struct history *h = walk->ctx;
	uint64_t generation = walk->track.plan->generation;
	struct history_plan *at = h->plans ? find(h, generation) : NULL;
	struct history_place *places;

	if (!at || at == h->plan + h->plans || at->generation != generation)
		at = insert(h, walk);
	places = at ? reallocarray(at->place, at->places + 1, sizeof(*places)) : NULL;
	if (!places)
		return -ENOMEM;
	at->place = places;
	places[at->places++] = (struct history_place){walk->shard, walk->track.since};
	if (walk->group->committed_ns < at->committed_ns)
		at->committed_ns = walk->group->committed_ns;
	return 0;
}

static char *copy_why(const struct atr_envelope *envelope)
{
	const struct atr_json *why = atr_json_member(envelope->payload, "why");

	return why && why->type == ATR_JSON_STRING ? strndup(why->string, why->string_length)
						   : NULL;
}

static int see_entry(struct log_walk *walk, const struct atr_record_hdr *record,
		     const uint8_t *body, const uint8_t *decisions)
{
	const struct atr_plan *plan = walk->track.plan;
	struct history *h = walk->ctx;
	struct history_motion *m;
	struct atr_envelope envelope;
	enum atr_governance_use use;

	(void)decisions;
	use = plan && record->kind == ATR_RECORD_ENVELOPE ? atr_plan_governs(plan, record->type)
							  : ATR_GOVERNANCE_NONE;
	if (use != ATR_GOVERNANCE_CHANGE && use != ATR_GOVERNANCE_APPROVAL)
		return 0;
	if (!body) {
		h->pruned++;
		return 0;
	}
	if (!grow((void **)&h->motion, h->motions, &h->motion_room, sizeof(*h->motion)))
		return -ENOMEM;
	m = &h->motion[h->motions];
	*m = (struct history_motion){.is_change = use == ATR_GOVERNANCE_CHANGE,
				     .shard = walk->shard,
				     .leaf = record->leaf,
				     .rx_ns = record->rx_ns};
	if (atr_envelope_parse(h->parser, (const char *)body, record->body_length, &envelope) !=
		    ATR_OK ||
	    proposal_use(&envelope, &m->motion) != use || name_copy(envelope.source, m->source))
		return 0; /* the log's entry is no such envelope: it can have changed nothing */
	memcpy(m->uuid, envelope.uuid, sizeof(m->uuid));
	m->uuid_ms = envelope.uuid_ms;
	m->why = m->is_change ? copy_why(&envelope) : NULL;
	h->motions++;
	return 0;
}

int history_read(struct history *h, const char *command, const char *path,
		 struct progress *progress)
{
	struct log_walk walk = {.command = command,
				.path = path,
				.entry = see_entry,
				.plan = see_plan,
				.ctx = h,
				.progress = progress};
	int status;

	h->parser = atr_json_parser_create();
	if (!h->parser)
		return failure(command, "out of memory");
	status = log_walk_all(&walk);
	plan_track_free(&walk.track);
	h->shards = walk.shards;
	return status;
}

void history_free(struct history *h)
{
	for (size_t i = 0; i < h->plans; i++) {
		free(h->plan[i].place);
		json_decref(h->plan[i].summary);
	}
	for (size_t i = 0; i < h->motions; i++)
		free(h->motion[i].why);
	free(h->plan);
	free(h->motion);
	if (h->parser)
		atr_json_parser_destroy(h->parser);
	memset(h, 0, sizeof(*h));
}

const struct history_motion *history_change(const struct history *h,
					    const struct history_plan *plan)
{
	for (size_t i = 0; i < h->motions; i++)
		if (h->motion[i].is_change && h->motion[i].motion.version == plan->version &&
		    memcmp(h->motion[i].motion.digest, plan->digest, PROPOSAL_DIGEST) == 0)
			return &h->motion[i];
	return NULL;
}

const struct history_motion *history_approval(const struct history *h,
					      const struct history_motion *change, size_t *at)
{
	while (*at < h->motions) {
		const struct history_motion *m = &h->motion[(*at)++];
		bool seen =
			m->is_change || memcmp(&m->motion, &change->motion, sizeof(m->motion)) != 0;

		for (const struct history_motion *e = h->motion; e < m && !seen; e++)
			seen = !e->is_change &&
			       memcmp(&e->motion, &m->motion, sizeof(m->motion)) == 0 &&
			       strcmp(e->source, m->source) == 0;
		if (!seen)
			return m;
	}
	return NULL;
}
