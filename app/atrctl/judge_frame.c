/* SPDX-License-Identifier: BSD-3-Clause */
#include "judge_internal.h"

#include <stdio.h>
#include <string.h>

#include "../../lib/merkle/merkle.h"
#include "../../lib/sign/sign.h"
#include "../../lib/typecheck/typecheck.h"

static void refuse_rest(struct verdict *v, uint8_t reason)
{
	for (unsigned int i = 0; i < v->events; i++)
		if (v->event[i] == ATR_OK)
			v->event[i] = reason;
}

uint8_t judge_event_schema(const struct atr_plan *plan, const struct atr_frame *frame,
			   unsigned int i)
{
	const struct atr_packet *packet = &frame->packets[i];
	const struct atr_type *type = atr_plan_type(plan, packet->type_id);
	const uint8_t *payload;
	uint32_t length;

	if (!atr_plan_topic(plan, packet->topic_id))
		return ATR_REASON_UNKNOWN_TOPIC;
	if (!type || !type->binary)
		return ATR_REASON_UNKNOWN_TYPE;
	payload = atr_frame_payload(frame, i, &length);
	return atr_typecheck_schema(type->binary, payload, length, packet->flags & ATR_FLAG_ARENA);
}

static uint8_t event_canonical(const struct atr_plan *plan, const struct atr_frame *frame,
			       unsigned int i)
{
	const struct atr_packet *packet = &frame->packets[i];
	uint8_t reason = atr_packet_canonical(packet, frame->hdr->source);
	const uint8_t *payload;
	uint32_t length;

	if (reason != ATR_OK || !plan)
		return reason;
	payload = atr_frame_payload(frame, i, &length);
	return atr_typecheck_canonical(atr_plan_type(plan, packet->type_id)->binary, payload,
				       length, packet->flags & ATR_FLAG_ARENA);
}

uint8_t judge_ruleset(const struct atr_plan *plan, const struct atr_source *source, uint32_t topic,
		      uint32_t type)
{
	if (!atr_plan_action(plan, source, topic, type))
		return ATR_REASON_NOT_ALLOWED;
	if (source->level < atr_plan_topic(plan, topic)->level)
		return ATR_REASON_LEVEL;
	return ATR_OK;
}

static bool head_verifies(struct judge *judge, const struct atr_key *key,
			  const struct atr_tree_head *head, const uint8_t *signature)
{
	struct verified_head *known = &judge->heads[head->root[0] & (HEADS_REMEMBERED - 1)];

	if (!known->used || memcmp(&known->head, head, sizeof(*head)) != 0 ||
	    memcmp(known->signature, signature, sizeof(known->signature)) != 0) {
		known->used = true;
		known->head = *head;
		memcpy(known->signature, signature, sizeof(known->signature));
		known->good = atr_verify(key->public_key, (const uint8_t *)head, sizeof(*head),
					 signature);
	}
	return known->good;
}

static uint8_t frame_signature(struct judge *judge, const struct atr_source *source,
			       struct verdict *v, uint64_t now_ns)
{
	const struct atr_frame_hdr *hdr = v->frame.hdr;
	const struct atr_key *key;
	struct atr_tree_head head;
	uint8_t reason;

	if (hdr->realm != judge->plan->realm) {
		snprintf(v->detail, sizeof(v->detail), "realm %016llx, the plan's is %016llx",
			 (unsigned long long)hdr->realm, (unsigned long long)judge->plan->realm);
		return ATR_REASON_REALM;
	}
	reason = atr_source_frame_key(source, hdr->key, now_ns, &key);
	if (reason != ATR_OK)
		return reason;
	atr_tree_head_init(&head, hdr->realm, hdr->source, hdr->key, hdr->leaf_count, v->root);
	v->signature_checked = true;
	return head_verifies(judge, key, &head, v->frame.signature) ? ATR_OK
								    : ATR_REASON_BAD_SIGNATURE;
}

static void identify(struct judge *judge, struct verdict *v, const uint8_t *leaf)
{
	struct identity identity = {.source = v->frame.hdr->source};

	for (unsigned int i = 0; i < v->events; i++) {
		uint64_t sequence = v->frame.hdr->first_sequence + i;

		if (v->event[i] != ATR_OK)
			continue;
		memcpy(identity.id, &sequence, sizeof(sequence));
		v->event[i] = identity_map_test(judge->identities, &identity, leaf);
	}
}

static void conclude(struct verdict *v)
{
	for (unsigned int i = 0; i < v->events; i++) {
		v->admitted += v->event[i] == ATR_OK;
		v->duplicates += v->event[i] == ATR_DUPLICATE;
		if (v->event[i] != ATR_OK && v->event[i] != ATR_DUPLICATE && v->reason == ATR_OK)
			v->reason = v->event[i];
	}
	if (v->duplicates && v->duplicates == v->events)
		v->reason = ATR_DUPLICATE;
}

static void judge_schema_and_canonical(const struct atr_plan *plan, struct verdict *v)
{
	uint8_t whole;

	for (unsigned int i = 0; plan && i < v->events; i++)
		v->event[i] = judge_event_schema(plan, &v->frame, i);
	whole = atr_frame_canonical(&v->frame);
	if (whole != ATR_OK)
		refuse_rest(v, whole);
	for (unsigned int i = 0; i < v->events; i++)
		if (v->event[i] == ATR_OK)
			v->event[i] = event_canonical(plan, &v->frame, i);
}

void judge_frame(struct judge *judge, const uint8_t *data, size_t length, uint64_t now_ns,
		 struct verdict *v)
{
	const struct atr_source *source = NULL;
	uint8_t leaf[ATR_MERKLE_HASH], reason;

	v->reason = atr_frame_parse(data, length, &v->frame);
	if (v->reason != ATR_OK)
		return;
	v->parsed = true;
	v->events = v->frame.packet_count;
	atr_merkle_leaf(data + 1, v->frame.leaf_size - 1, leaf);
	atr_merkle_inclusion_root(v->frame.hdr->leaf_index, v->frame.hdr->leaf_count, leaf,
				  v->frame.proof, v->frame.proof_nodes, v->root);
	if (judge->plan) {
		source = atr_plan_source(judge->plan, v->frame.hdr->source);
		if (!source) {
			refuse_rest(v, ATR_REASON_UNKNOWN_SOURCE);
			conclude(v);
			return;
		}
	}
	judge_schema_and_canonical(judge->plan, v);
	if (source) {
		reason = frame_signature(judge, source, v, now_ns);
		if (reason != ATR_OK)
			refuse_rest(v, reason);
		for (unsigned int i = 0; i < v->events; i++)
			if (v->event[i] == ATR_OK)
				v->event[i] = judge_ruleset(judge->plan, source,
							    v->frame.packets[i].topic_id,
							    v->frame.packets[i].type_id);
	}
	identify(judge, v, leaf);
	conclude(v);
}
