/* SPDX-License-Identifier: BSD-3-Clause */
/* Records that hold events: whom they belong to, where they go. */
#include <errno.h>
#include <string.h>

#include "../envelope/envelope.h"
#include "replay_internal.h"

#define UUID_TEXT 36
#define UUID_TIME 6 /* bytes */

/* The action and type of the events of a frame, while they are the same. */
struct route {
	uint32_t topic, type_id;
	const struct atr_type *type;
	const struct atr_action *action;
};

static int judge(const struct atr_replay *replay, const struct atr_source *source,
		 struct route *route, const struct atr_packet *packet)
{
	if (route->action && route->topic == packet->topic_id && route->type_id == packet->type_id)
		return 0;
	route->topic = packet->topic_id;
	route->type_id = packet->type_id;
	route->type = atr_plan_type(replay->plan, packet->type_id);
	route->action = NULL;
	if (!atr_plan_topic(replay->plan, packet->topic_id) || !route->type || !route->type->binary)
		return -EBADMSG;
	route->action = atr_plan_action(replay->plan, source, packet->topic_id, packet->type_id);
	return route->action ? 0 : -EBADMSG;
}

static void count_feeds(struct atr_replay *replay, uint64_t feeds)
{
	for (feeds &= replay->plan->commit_feeds; feeds; feeds &= feeds - 1)
		replay->feed_next[__builtin_ctzll(feeds)]++;
}

static int route_events(struct atr_replay *replay, const struct atr_group_hdr *group,
			const struct atr_record_hdr *record, const struct atr_source *source,
			const struct atr_frame *frame, const uint8_t *decisions)
{
	struct keyed_event state = {.source = source->id, .position = record->leaf};
	struct route route = {0};

	for (unsigned int i = 0; i < frame->packet_count; i++) {
		const uint8_t *payload;
		uint32_t length;

		if (!replay_bit(decisions, i))
			continue;
		if (judge(replay, source, &route, &frame->packets[i]) < 0)
			return replay_refuse(
				replay, group, record,
				"event %u of the frame was admitted, but the plan in force does "
				"not allow source %u topic %u and type %u",
				i, source->id, frame->packets[i].topic_id,
				frame->packets[i].type_id);
		payload = atr_frame_payload(frame, i, &length);
		/* Conditions read fields of the fixed part without a look at the length. */
		if (length < route.type->fixed_size)
			return replay_refuse(replay, group, record,
					     "event %u of the frame was admitted, but is too short "
					     "for its type",
					     i);
		count_feeds(replay, atr_action_feeds(route.action, payload));
		replay->events++;
		if (route.type->state.op == ATR_STATE_NONE)
			continue;
		state.type = route.type;
		state.event = (uint16_t)i;
		state.payload = payload;
		state.length = length;
		if (keyed_apply(&replay->keyed, &state) < 0)
			return replay_no_memory(replay);
	}
	return 0;
}

static int check_plan(struct atr_replay *replay, const struct atr_group_hdr *group,
		      const struct atr_record_hdr *record)
{
	if (!replay->plan)
		return replay_refuse(replay, group, record, "an event comes before any plan");
	if (record->generation != replay->plan->generation)
		return replay_refuse(replay, group, record,
				     "plan %" PRIu64 " judged the event, but plan %" PRIu64
				     " was in force",
				     record->generation, replay->plan->generation);
	return 0;
}

int replay_frame(struct atr_replay *replay, const struct atr_group_hdr *group,
		 const struct atr_record_hdr *record, const uint8_t *body, const uint8_t *decisions,
		 const uint8_t *leaf)
{
	struct atr_replay_frame kept = {.position = record->leaf};
	const struct atr_source *source;
	struct atr_frame frame;
	unsigned int any = 0;
	int err = check_plan(replay, group, record);

	if (err)
		return err;
	if (atr_frame_parse(body, record->body_length, &frame) != ATR_OK ||
	    frame.packet_count > ATR_FRAME_PACKETS_MAX)
		return replay_refuse(replay, group, record, "the frame is larger than any");
	source = atr_plan_source(replay->plan, frame.hdr->source);
	if (!source)
		return replay_refuse(replay, group, record, "source %u is not in the plan in force",
				     frame.hdr->source);
	for (unsigned int i = 0; i < record->decision_length; i++)
		any |= kept.admitted[i] = decisions[i];
	if (!any)
		return 0;
	kept.first = frame.hdr->first_sequence;
	kept.count = frame.packet_count;
	memcpy(kept.leaf, leaf, sizeof(kept.leaf));
	err = replay_window_put(replay, source, &kept);
	if (err == -ENOMEM)
		return replay_no_memory(replay);
	if (err)
		return replay_refuse(replay, group, record,
				     "of the frame at sequence %" PRIu64 " of source %u an event "
				     "was admitted that %s",
				     kept.first, source->id,
				     err == -EEXIST ? "had been admitted before"
						    : "lies below the source's window");
	return route_events(replay, group, record, source, &frame, decisions);
}

/* The UUID of canonical bytes, in which the header's id comes first. */
static int envelope_uuid(const uint8_t *body, uint32_t length, uint8_t uuid[16])
{
	static const char prefix[] = "{\"header\":{\"id\":\"";
	const size_t before = sizeof(prefix) - 1;

	if (length < before + UUID_TEXT || memcmp(body, prefix, before) != 0)
		return -EINVAL;
	return atr_uuid7_parse((const char *)body + before, UUID_TEXT, uuid);
}

uint64_t replay_uuid_ms(const uint8_t uuid[16])
{
	uint64_t ms = 0;

	for (unsigned int i = 0; i < UUID_TIME; i++)
		ms = ms << 8 | uuid[i];
	return ms;
}

int replay_envelope(struct atr_replay *replay, const struct atr_group_hdr *group,
		    const struct atr_record_hdr *record, const uint8_t *body, const uint8_t *leaf)
{
	struct atr_replay_envelope kept = {.source = record->source, .position = record->leaf};
	struct keyed_event state = {.source = record->source, .position = record->leaf};
	const struct atr_source *source;
	int err = check_plan(replay, group, record);

	if (err)
		return err;
	source = atr_plan_source(replay->plan, record->source);
	state.type = atr_plan_type(replay->plan, record->type);
	if (!source || !atr_plan_topic(replay->plan, record->topic) || !state.type ||
	    !atr_plan_action(replay->plan, source, record->topic, record->type))
		return replay_refuse(replay, group, record,
				     "the plan in force does not allow source %u topic %u and "
				     "type %u",
				     record->source, record->topic, record->type);
	if (envelope_uuid(body, record->body_length, kept.uuid) < 0)
		return replay_refuse(replay, group, record, "the envelope has no id");
	kept.uuid_ms = replay_uuid_ms(kept.uuid);
	memcpy(kept.leaf, leaf, sizeof(kept.leaf));
	err = replay_envelopes_put(replay, &kept);
	if (err == -ENOMEM)
		return replay_no_memory(replay);
	if (err)
		return replay_refuse(replay, group, record,
				     "the envelope's id had been admitted before");
	count_feeds(replay, record->feeds);
	replay->events++;
	if (atr_plan_governs(replay->plan, record->type) == ATR_GOVERNANCE_CHANGE)
		replay->change_group = replay->groups + 1;
	if (state.type->state.op == ATR_STATE_NONE)
		return 0;
	err = keyed_apply_envelope(&replay->keyed, &state, body, record->body_length);
	if (err == -ENOMEM)
		return replay_no_memory(replay);
	return err ? replay_refuse(replay, group, record, "the envelope has no payload") : 0;
}
