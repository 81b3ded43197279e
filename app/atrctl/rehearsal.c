/* SPDX-License-Identifier: BSD-3-Clause */
#include "rehearsal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../../lib/envelope/envelope.h"
#include "judge.h"

#define WHERE_SIZE 64
#define BITS       8

/* What is known of an event besides verdict and feeds. */
struct event {
	const struct atr_record_hdr *record;
	uint32_t shard, index;
	const char *source;
	const uint8_t *uuid; /* NULL: an event of a frame */
	uint64_t sequence;
};

/* A frame under one of the plans. */
struct view {
	const struct atr_plan *plan;
	const struct atr_source *source;
	uint8_t frame_reason; /* ATR_OK, or why no event of the frame is admitted */
};

int rehearsal_open(struct rehearsal *r, const struct atr_plan *plan)
{
	memset(r, 0, sizeof(*r));
	r->plan = plan;
	r->parser = atr_json_parser_create();
	r->keys = malloc(ATR_ID_MAX + 1);
	return r->parser && r->keys ? 0 : -ENOMEM;
}

void rehearsal_close(struct rehearsal *r)
{
	if (r->parser)
		atr_json_parser_destroy(r->parser);
	free(r->keys);
	r->parser = NULL;
	r->keys = NULL;
}

void rehearsal_forget(struct rehearsal *r)
{
	r->compared = NULL;
}

static void note(struct rehearsal *r, uint8_t was, uint8_t now, int feed, bool gained,
		 const struct event *event)
{
	struct rehearsal_kind *kind = r->kind;

	for (; kind < r->kind + r->kinds; kind++)
		if (kind->was == was && kind->now == now && kind->feed == feed &&
		    kind->gained == gained) {
			kind->count++;
			return;
		}
	if (r->kinds == REHEARSAL_KINDS) {
		r->unnamed++;
		return;
	}
	r->kinds++;
	*kind = (struct rehearsal_kind){.was = was,
					.now = now,
					.feed = feed,
					.gained = gained,
					.count = 1,
					.by_uuid = event->uuid != NULL,
					.sequence = event->sequence,
					.shard = event->shard,
					.leaf = event->record->leaf,
					.event = event->index};
	strncpy(kind->source, event->source, ATR_NAME_MAX);
	if (event->uuid)
		memcpy(kind->uuid, event->uuid, sizeof(kind->uuid));
}

/* Compares what both plans say of an event. */
static void compare(struct rehearsal *r, uint8_t was, uint8_t now, uint64_t feeds_was,
		    uint64_t feeds_now, const struct event *event)
{
	uint64_t differ = feeds_was ^ feeds_now;

	r->events++;
	if (was != now) {
		r->otherwise++;
		note(r, was, now, REHEARSAL_NOFEED, false, event);
	} else if (was == ATR_OK && differ) {
		r->rerouted++;
		for (; differ; differ &= differ - 1) {
			int feed = __builtin_ctzll(differ);

			note(r, was, now, feed, feeds_now >> feed & 1, event);
		}
	}
}

static const struct atr_key *frame_key(const struct atr_plan *plan, const struct atr_frame_hdr *hdr)
{
	const struct atr_source *source = atr_plan_source(plan, hdr->source);

	return source ? atr_source_key(source, hdr->key) : NULL;
}

/* What stops the whole frame. A key whose number now means another key verifies nothing that the
 * old one signed. */
static void look(struct view *view, const struct atr_plan *plan, const struct atr_plan *old,
		 const struct atr_frame *frame, uint64_t now_ns)
{
	const struct atr_key *key, *before = frame_key(old, frame->hdr);

	view->plan = plan;
	view->source = atr_plan_source(plan, frame->hdr->source);
	view->frame_reason = ATR_REASON_UNKNOWN_SOURCE;
	if (!view->source)
		return;
	view->frame_reason = atr_source_frame_key(view->source, frame->hdr->key, now_ns, &key);
	if (view->frame_reason == ATR_OK && before &&
	    memcmp(key->public_key, before->public_key, sizeof(key->public_key)) != 0)
		view->frame_reason = ATR_REASON_BAD_SIGNATURE;
}

/* The plan's own word on an event of a frame, and its feeds if it is ATR_OK. */
static uint8_t judge_event(const struct view *view, const struct atr_frame *frame, unsigned int i,
			   uint64_t *feeds)
{
	const struct atr_packet *packet = &frame->packets[i];
	uint32_t length;
	uint8_t reason;

	*feeds = 0;
	if (!view->source)
		return view->frame_reason;
	reason = judge_event_schema(view->plan, frame, i);
	if (reason == ATR_OK)
		reason = view->frame_reason;
	if (reason == ATR_OK)
		reason = judge_ruleset(view->plan, view->source, packet->topic_id, packet->type_id);
	if (reason == ATR_OK)
		*feeds = atr_action_feeds(atr_plan_action(view->plan, view->source,
							  packet->topic_id, packet->type_id),
					  atr_frame_payload(frame, i, &length));
	return reason;
}

static void rehearse_frame(struct rehearsal *r, const struct atr_plan *old, uint32_t shard,
			   const struct atr_record_hdr *record, const uint8_t *body,
			   const uint8_t *decisions)
{
	struct event event = {.record = record, .shard = shard};
	struct atr_frame frame;
	struct view was, now;

	if (atr_frame_parse(body, record->body_length, &frame) != ATR_OK ||
	    frame.packet_count != record->events) {
		r->unreadable++;
		return;
	}
	look(&was, old, old, &frame, record->rx_ns);
	look(&now, r->plan, old, &frame, record->rx_ns);
	event.source = was.source ? was.source->name : "?";
	for (unsigned int i = 0; i < frame.packet_count; i++) {
		bool admitted = decisions[i / BITS] >> (i % BITS) & 1;
		uint64_t feeds_was, feeds_now;
		uint8_t reason_was = judge_event(&was, &frame, i, &feeds_was), reason_now;

		if (admitted != (reason_was == ATR_OK)) {
			/* Refused by what depends on its time; or the record is not what it says.
			 */
			r->passed_over += !admitted;
			r->unreadable += admitted;
			continue;
		}
		reason_now = judge_event(&now, &frame, i, &feeds_now);
		event.index = i;
		event.sequence = frame.hdr->first_sequence + i;
		compare(r, reason_was, reason_now, feeds_was, feeds_now, &event);
	}
}

/* Have the keys of this source changed between the plans? Then envelopes are verified again. */
static bool keys_changed(struct rehearsal *r, const struct atr_plan *old,
			 const struct atr_source *source)
{
	enum { UNKNOWN, SAME, OTHER };
	const struct atr_source *now = atr_plan_source(r->plan, source->id);
	uint8_t *known = &r->keys[source->id];

	if (r->compared != old) {
		memset(r->keys, UNKNOWN, ATR_ID_MAX + 1);
		r->compared = old;
	}
	if (*known == UNKNOWN) {
		bool same = now && now->key_count == source->key_count;

		for (unsigned int i = 0; i < source->key_count && same; i++) {
			const struct atr_key *a = &source->keys[i], *b = &now->keys[i];

			same = a->use == b->use && a->not_before_ns == b->not_before_ns &&
			       a->not_after_ns == b->not_after_ns &&
			       memcmp(a->public_key, b->public_key, sizeof(a->public_key)) == 0;
		}
		*known = same ? SAME : OTHER;
	}
	return *known == OTHER;
}

static uint8_t judge_now(struct rehearsal *r, const struct atr_plan *old,
			 const struct atr_record_hdr *record, const struct atr_envelope *envelope,
			 struct envelope_parties *parties)
{
	const struct atr_source *before = atr_plan_source(old, record->source);
	char where[WHERE_SIZE];
	uint8_t reason;

	if (record->body_length > r->plan->envelope_bytes)
		return ATR_REASON_ENVELOPE_SIZE;
	reason = judge_envelope_schema(r->plan, envelope, parties, where, sizeof(where));
	if (reason == ATR_OK &&
	    (!before || parties->source->id != before->id || keys_changed(r, old, before)))
		judge_envelope_signature(r->plan, envelope, record->rx_ns, &reason);
	if (reason == ATR_OK)
		reason = judge_ruleset(r->plan, parties->source, parties->topic->id,
				       parties->type->id);
	return reason;
}

static void rehearse_envelope(struct rehearsal *r, const struct atr_plan *old, uint32_t shard,
			      const struct atr_record_hdr *record, const uint8_t *body)
{
	const struct atr_source *source = atr_plan_source(old, record->source);
	struct event event = {.record = record, .shard = shard};
	struct envelope_parties parties = {0};
	struct atr_envelope envelope;
	uint64_t feeds = 0;
	uint8_t reason;

	if (!source || atr_envelope_parse(r->parser, (const char *)body, record->body_length,
					  &envelope) != ATR_OK) {
		r->unreadable++;
		return;
	}
	event.source = source->name;
	event.uuid = envelope.uuid;
	reason = judge_now(r, old, record, &envelope, &parties);
	if (reason == ATR_OK)
		feeds = atr_action_feeds_json(atr_plan_action(r->plan, parties.source,
							      parties.topic->id, parties.type->id),
					      envelope.payload);
	compare(r, ATR_OK, reason, record->feeds, feeds, &event);
}

void rehearsal_record(struct rehearsal *r, const struct atr_plan *old, uint32_t shard,
		      const struct atr_record_hdr *record, const uint8_t *body,
		      const uint8_t *decisions)
{
	if (record->kind == ATR_RECORD_FRAME)
		rehearse_frame(r, old, shard, record, body, decisions);
	else
		rehearse_envelope(r, old, shard, record, body);
}
