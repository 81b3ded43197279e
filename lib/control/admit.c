/* SPDX-License-Identifier: BSD-3-Clause */
/* Envelopes: the same gates in the same order as frames, one message at a time. */
#include <string.h>

#include <rte_cycles.h>
#include <sodium.h>

#include "../overload/overload.h"
#include "control.h"

#define NS_PER_MS       UINT64_C(1000000)
#define UUID_RESERVE_MS 2000 /* one sync of the time high-water covers so much */
#define LEAF_PREFIX     0x00 /* RFC 6962's, before an envelope's bytes */

/* What the gates have found out about an envelope. */
struct judged {
	struct atr_envelope envelope;
	const struct atr_source *source;
	const struct atr_topic *topic;
	const struct atr_type *type;
	uint64_t feeds;
	uint8_t leaf[ATR_HASH_SIZE]; /* of the envelope in the log */
	uint32_t entry;
	enum atr_identity_state state;
	bool has_uuid;
};

static uint8_t schema(struct atr_control *control, const struct atr_plan *plan, const char *text,
		      size_t length, struct judged *j)
{
	const struct atr_json *name;
	uint8_t reason;

	if (length > plan->envelope_bytes)
		return ATR_REASON_ENVELOPE_SIZE;
	reason = atr_envelope_parse(control->parser, text, length, &j->envelope);
	j->has_uuid = j->envelope.has_uuid;
	if (reason != ATR_OK)
		return reason;
	name = j->envelope.source;
	j->source = atr_plan_source_named(plan, name->string, name->string_length);
	if (!j->source)
		return ATR_REASON_UNKNOWN_SOURCE;
	name = j->envelope.topic;
	j->topic = atr_plan_topic_named(plan, name->string, name->string_length);
	if (!j->topic)
		return ATR_REASON_UNKNOWN_TOPIC;
	name = j->envelope.type;
	j->type = atr_plan_type_named(plan, name->string, name->string_length);
	if (!j->type || !j->type->json)
		return ATR_REASON_UNKNOWN_TYPE;
	return atr_schema_validate(j->type->json, j->envelope.payload, NULL, 0);
}

/* What the shard that brought the envelope and the one that would log it do against overload. */
static uint8_t shed(const struct atr_control *control, const struct judged *j, uint32_t shard)
{
	const struct atr_bridge *bridge = control->bridge;
	uint32_t owner = j->source->id % bridge->shards;
	uint32_t measures = __atomic_load_n(bridge->measures[shard], __ATOMIC_RELAXED) |
			    __atomic_load_n(bridge->measures[owner], __ATOMIC_RELAXED);
	enum atr_measure measure =
		atr_overload_sheds(measures, atr_plan_priority(j->source, j->topic), true);

	return measure == ATR_MEASURES ? ATR_OK : atr_measure_info[measure].reason;
}

/* Any envelope key of the source that is valid now may have signed. */
static uint8_t signature(const struct atr_plan *plan, const struct judged *j, uint64_t now_ns)
{
	uint8_t bytes[ATR_JSON_BYTES_MAX];
	int length = atr_envelope_signed_bytes(&j->envelope, plan->realm, bytes, sizeof(bytes));
	uint8_t reason = ATR_REASON_UNKNOWN_KEY;

	if (length < 0)
		return ATR_REASON_ENVELOPE_SIZE;
	for (unsigned int k = j->source->key_count; k-- > 0;) {
		const struct atr_key *key = &j->source->keys[k];

		if (key->use != ATR_KEY_ENVELOPES)
			continue;
		if (now_ns < key->not_before_ns || now_ns >= key->not_after_ns) {
			if (reason == ATR_REASON_UNKNOWN_KEY)
				reason = ATR_REASON_KEY_TIME;
			continue;
		}
		if (atr_verify(key->public_key, bytes, (size_t)length, j->envelope.signature))
			return ATR_OK;
		reason = ATR_REASON_BAD_SIGNATURE;
	}
	return reason;
}

static uint8_t ruleset(const struct atr_plan *plan, struct judged *j)
{
	const struct atr_action *action =
		atr_plan_action(plan, j->source, j->topic->id, j->type->id);

	if (!action)
		return ATR_REASON_NOT_ALLOWED;
	if (j->source->level < j->topic->level)
		return ATR_REASON_LEVEL;
	j->feeds = atr_action_feeds_json(action, j->envelope.payload);
	return ATR_OK;
}

/* Ids up to the returned time are durably reserved: a restart refuses what it may have applied. */
static bool reserve_time(struct atr_control *control, uint64_t uuid_ms)
{
	uint64_t value = uuid_ms + UUID_RESERVE_MS;

	if (uuid_ms <= control->uuid_reserved_ms || control->durability == ATR_DURABILITY_COMMIT)
		return true;
	if (atr_state_put(control->state, ATR_STATE_UUID, 0, value) < 0 ||
	    atr_state_sync(control->state) < 0) {
		control->stats.reserve_failures++;
		return false;
	}
	control->uuid_reserved_ms = value;
	return true;
}

static void leaf_hash(struct atr_control *control, const char *text, size_t length,
		      uint8_t leaf[ATR_HASH_SIZE])
{
	uint8_t bytes[1 + ATR_JSON_BYTES_MAX];
	const uint8_t *data = bytes;
	uint32_t size = (uint32_t)length + 1;
	uint8_t digest[1][ATR_HASH_SIZE];

	bytes[0] = LEAF_PREFIX;
	memcpy(bytes + 1, text, length);
	atr_hash_burst(control->hash, &data, &size, digest, 1);
	memcpy(leaf, digest[0], ATR_HASH_SIZE);
}

/* ATR_OK: nobody has the identity yet. */
static uint8_t find_identity(struct atr_control *control, struct judged *j, const char *text,
			     size_t length)
{
	leaf_hash(control, text, length, j->leaf);
	j->state = atr_identity_find(control->identity, j->source->id, j->envelope.uuid, j->leaf,
				     &j->entry);
	switch (j->state) {
	case ATR_IDENTITY_CONFLICT: return ATR_REASON_CONFLICT;
	case ATR_IDENTITY_PENDING:
	case ATR_IDENTITY_LOGGED: return ATR_DUPLICATE;
	case ATR_IDENTITY_NEW: break;
	}
	return ATR_OK;
}

static uint8_t take_identity(struct atr_control *control, const struct atr_plan *plan,
			     struct judged *j, uint64_t now_ns)
{
	uint64_t now_ms = now_ns / NS_PER_MS, ms = j->envelope.uuid_ms;
	int entry;

	/* A clock that is set back must not let in again what has been forgotten. */
	if (ms + plan->uuid_past_ms < now_ms || ms <= control->uuid_floor_ms ||
	    ms < control->uuid_forgotten_ms)
		return ATR_REASON_STALE;
	if (ms > now_ms + plan->uuid_future_ms)
		return ATR_REASON_AHEAD;
	if (!reserve_time(control, ms))
		return ATR_REASON_RESERVE_WAIT;
	entry = atr_identity_take(control->identity, j->source->id, j->envelope.uuid, j->leaf, ms);
	if (entry < 0)
		return ATR_REASON_MEMORY_FULL;
	if (ms > control->uuid_highest_ms)
		control->uuid_highest_ms = ms;
	j->entry = (uint32_t)entry;
	return ATR_OK;
}

static uint8_t gates(struct atr_control *control, const struct atr_plan *plan, const char *text,
		     size_t length, uint32_t shard, uint64_t now_ns, struct judged *j)
{
	uint8_t reason;

	if (control->stopping)
		return ATR_REASON_SHUTDOWN;
	if (!plan)
		return ATR_REASON_NO_PLAN;
	reason = schema(control, plan, text, length, j);
	if (reason == ATR_OK)
		reason = atr_envelope_canonical(&j->envelope, text, length);
	if (reason == ATR_OK)
		reason = shed(control, j, shard);
	if (reason == ATR_OK)
		reason = signature(plan, j, now_ns);
	if (reason == ATR_OK)
		reason = ruleset(plan, j);
	if (reason == ATR_OK &&
	    control->admits[j->source->id % control->bridge->shards] >= ATR_ADMITS_MAX)
		reason = ATR_REASON_BRIDGE_FULL;
	if (reason == ATR_OK)
		reason = find_identity(control, j, text, length);
	if (reason == ATR_OK && atr_plan_governs(plan, j->type->id))
		reason = atr_control_govern(control, j->source->id, j->type->id,
					    j->envelope.payload);
	if (reason != ATR_OK)
		return reason;
	reason = take_identity(control, plan, j, now_ns);
	if (reason != ATR_OK && atr_plan_governs(plan, j->type->id) == ATR_GOVERNANCE_CHANGE)
		atr_control_govern_undo(control);
	return reason;
}

static void admit(struct atr_control *control, struct rte_mbuf *mbuf, const struct judged *j)
{
	struct atr_meta *meta = atr_meta(mbuf);
	uint32_t owner = j->source->id % control->bridge->shards;

	meta->generation = (*control->program_slot)->generation;
	meta->feeds = j->feeds;
	meta->timestamp_ns = j->envelope.timestamp_ns;
	meta->source = j->source->id;
	meta->topic = j->topic->id;
	meta->type = j->type->id;
	meta->identity = j->entry;
	memcpy(meta->uuid, j->envelope.uuid, sizeof(meta->uuid));
	memcpy(meta->leaf, j->leaf, sizeof(meta->leaf));
	control->admits[owner]++;
	control->node->book.datagrams.bridge_out++;
	control->node->book.events.bridge_out++;
	atr_control_down(control, owner, ATR_MSG_ADMIT, 0, mbuf);
}

static void duplicate(struct atr_control *control, struct rte_mbuf *mbuf, uint32_t shard,
		      const uint8_t uuid[16], uint32_t entry)
{
	struct atr_reply reply = {.uuid = uuid, .reason = ATR_DUPLICATE};

	control->node->book.datagrams.duplicate++;
	control->node->book.events.duplicate++;
	atr_identity_position(control->identity, entry, &reply.shard, &reply.position);
	atr_control_reply(control, mbuf, shard, &reply);
	rte_pktmbuf_free(mbuf);
}

/* A copy of an envelope that is on its way to be logged: only then is it a duplicate. */
static uint8_t wait_for_original(struct atr_control *control, struct rte_mbuf *mbuf, uint32_t shard,
				 const struct judged *j)
{
	struct atr_meta *meta = atr_meta(mbuf);

	if (control->waiting == ATR_ADMITS_MAX)
		return ATR_REASON_BRIDGE_FULL;
	control->waiting++;
	control->node->book.datagrams.held++;
	control->node->book.events.held++;
	memcpy(meta->uuid, j->envelope.uuid, sizeof(meta->uuid));
	meta->identity = shard;
	meta->next = atr_identity_waiting(control->identity, j->entry);
	atr_identity_set_waiting(control->identity, j->entry, mbuf);
	return ATR_OK;
}

/* The original is settled: its copies are duplicates, or refused as it was. */
static void settle_waiting(struct atr_control *control, uint32_t entry, uint8_t reason)
{
	struct rte_mbuf *mbuf = atr_identity_waiting(control->identity, entry);

	while (mbuf) {
		struct atr_meta *meta = atr_meta(mbuf);
		struct rte_mbuf *next = meta->next;
		struct atr_reply reply = {.uuid = meta->uuid, .reason = reason};

		control->waiting--;
		control->node->book.datagrams.held--;
		control->node->book.events.held--;
		if (reason == ATR_OK) {
			duplicate(control, mbuf, meta->identity, meta->uuid, entry);
		} else {
			atr_control_reply(control, mbuf, meta->identity, &reply);
			atr_control_refuse(control, mbuf, reason, true);
		}
		mbuf = next;
	}
}

void atr_control_envelope(struct atr_control *control, struct rte_mbuf *mbuf, uint32_t shard)
{
	const struct atr_plan *plan = (*control->program_slot)->plan;
	const struct atr_meta *meta = atr_meta(mbuf);
	const char *text = rte_pktmbuf_mtod_offset(mbuf, const char *, meta->offset);
	uint64_t begin = rte_rdtsc();
	struct judged j = {.has_uuid = false};
	uint8_t reason;

	control->node->book.datagrams.bridge_in++;
	control->node->book.events.bridge_in++;
	reason = gates(control, plan, text, meta->length, shard,
		       atr_clock_ns(control->clock, begin), &j);
	if (reason == ATR_DUPLICATE && j.state == ATR_IDENTITY_PENDING)
		reason = wait_for_original(control, mbuf, shard, &j);
	else if (reason == ATR_OK)
		admit(control, mbuf, &j);
	if (reason == ATR_DUPLICATE) {
		duplicate(control, mbuf, shard, j.envelope.uuid, j.entry);
	} else if (reason != ATR_OK) {
		struct atr_reply reply = {.uuid = j.has_uuid ? j.envelope.uuid : NULL,
					  .reason = reason};

		atr_control_reply(control, mbuf, shard, &reply);
		atr_control_refuse(control, mbuf, reason, true);
	}
	control->stats.envelopes++;
	control->stats.envelope_cycles += rte_rdtsc() - begin;
}

/* What it asks for is done when it is durable, and forgotten when it was shed. */
static void govern(struct atr_control *control, const struct rte_mbuf *mbuf)
{
	const struct atr_plan *plan = (*control->program_slot)->plan;
	const struct atr_meta *meta = atr_meta((struct rte_mbuf *)(uintptr_t)mbuf);
	enum atr_governance_use use = plan ? atr_plan_governs(plan, meta->type) : 0;

	if (use != ATR_GOVERNANCE_NONE && meta->reason == ATR_OK)
		atr_control_govern_take(control, mbuf);
	else if (use == ATR_GOVERNANCE_CHANGE)
		atr_control_govern_undo(control);
}

void atr_control_settled(struct atr_control *control, struct rte_mbuf *mbuf, uint32_t shard)
{
	const struct atr_meta *meta = atr_meta(mbuf);
	struct atr_reply reply = {.uuid = meta->uuid,
				  .reason = meta->reason,
				  .shard = shard,
				  .position = meta->position};

	control->admits[shard]--;
	atr_control_reply(control, mbuf, shard, &reply);
	if (meta->reason == ATR_OK)
		atr_identity_logged(control->identity, meta->identity, shard, meta->position);
	settle_waiting(control, meta->identity, meta->reason);
	govern(control, mbuf);
	if (meta->reason != ATR_OK)
		atr_identity_shed(control->identity, meta->identity);
	if (meta->reason == ATR_OK)
		rte_pktmbuf_free(mbuf);
	else
		atr_control_refuse(control, mbuf, meta->reason, false);
}
