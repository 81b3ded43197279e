/* SPDX-License-Identifier: BSD-3-Clause */
#include "judge_internal.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "../../lib/schema/schema.h"
#include "../../lib/sign/sign.h"

#define SIGNED_MAX         (ATR_ENVELOPE_PREFIX_SIZE + sizeof(uint64_t) + ATR_JSON_BYTES_MAX)
#define NS_PER_MILLISECOND UINT64_C(1000000)

bool judge_envelope_signature(const struct atr_plan *plan, const struct atr_envelope *envelope,
			      uint64_t now_ns, uint8_t *reason)
{
	const struct atr_source *source = atr_plan_source_named(plan, envelope->source->string,
								envelope->source->string_length);
	uint8_t text[SIGNED_MAX];
	int n;

	if (!source) {
		*reason = ATR_REASON_UNKNOWN_SOURCE;
		return false;
	}
	*reason = ATR_REASON_UNKNOWN_KEY;
	n = atr_envelope_signed_bytes(envelope, plan->realm, text, sizeof(text));
	for (unsigned int i = 0; n >= 0 && i < source->key_count; i++) {
		const struct atr_key *key = &source->keys[i];

		if (key->use != ATR_KEY_ENVELOPES)
			continue;
		if (now_ns < key->not_before_ns || now_ns >= key->not_after_ns) {
			if (*reason == ATR_REASON_UNKNOWN_KEY)
				*reason = ATR_REASON_KEY_TIME;
			continue;
		}
		if (atr_verify(key->public_key, text, (size_t)n, envelope->signature)) {
			*reason = ATR_OK;
			return true;
		}
		*reason = ATR_REASON_BAD_SIGNATURE;
	}
	return false;
}

uint8_t judge_envelope_schema(const struct atr_plan *plan, const struct atr_envelope *e,
			      struct envelope_parties *p, char *where, size_t size)
{
	p->source = atr_plan_source_named(plan, e->source->string, e->source->string_length);
	p->topic = atr_plan_topic_named(plan, e->topic->string, e->topic->string_length);
	p->type = atr_plan_type_named(plan, e->type->string, e->type->string_length);
	if (!p->source)
		return ATR_REASON_UNKNOWN_SOURCE;
	if (!p->topic)
		return ATR_REASON_UNKNOWN_TOPIC;
	if (!p->type || !p->type->json)
		return ATR_REASON_UNKNOWN_TYPE;
	return atr_schema_validate(p->type->json, e->payload, where, size);
}

static uint8_t envelope_schema(const struct atr_plan *plan, struct verdict *v,
			       struct envelope_parties *parties)
{
	char where[VERDICT_DETAIL / 2] = "";
	uint8_t reason = judge_envelope_schema(plan, &v->envelope, parties, where, sizeof(where));

	if (reason == ATR_OK || !parties->type || !parties->type->json)
		return reason;
	for (char *c = where; *c; c++)
		if ((uint8_t)*c < ' ' || (uint8_t)*c >= 0x7f)
			*c = '?';
	snprintf(v->detail, sizeof(v->detail), "at payload%s%s", where[0] ? " " : "", where);
	return reason;
}

static uint8_t envelope_identity(struct judge *judge, const struct atr_envelope *e,
				 const struct atr_source *source, const uint8_t *data,
				 size_t length, uint64_t now_ns)
{
	struct identity identity = {.source = source ? source->id : 0, .is_uuid = 1};
	uint64_t now_ms = now_ns / NS_PER_MILLISECOND;
	uint8_t digest[crypto_hash_sha256_BYTES];

	if (judge->plan && e->uuid_ms + judge->plan->uuid_past_ms < now_ms)
		return ATR_REASON_STALE;
	if (judge->plan && e->uuid_ms > now_ms + judge->plan->uuid_future_ms)
		return ATR_REASON_AHEAD;
	crypto_hash_sha256(digest, data, length);
	memcpy(identity.id, e->uuid, sizeof(identity.id));
	return identity_map_test(judge->identities, &identity, digest);
}

static uint8_t envelope_gates(struct judge *judge, const uint8_t *data, size_t length,
			      uint64_t now_ns, struct verdict *v)
{
	const struct atr_plan *plan = judge->plan;
	struct envelope_parties parties = {0};
	uint8_t reason;

	reason = plan ? envelope_schema(plan, v, &parties) : ATR_OK;
	if (reason == ATR_OK)
		reason = atr_envelope_canonical(&v->envelope, (const char *)data, length);
	if (reason == ATR_OK && plan) {
		judge_envelope_signature(plan, &v->envelope, now_ns, &reason);
		v->signature_checked = true;
	}
	if (reason == ATR_OK && plan)
		reason = judge_ruleset(plan, parties.source, parties.topic->id, parties.type->id);
	if (reason == ATR_OK)
		reason = envelope_identity(judge, &v->envelope, parties.source, data, length,
					   now_ns);
	return reason;
}

void judge_envelope(struct judge *judge, const uint8_t *data, size_t length, uint64_t now_ns,
		    struct verdict *v)
{
	v->events = 1;
	if (judge->plan && length > judge->plan->envelope_bytes)
		v->reason = ATR_REASON_ENVELOPE_SIZE;
	else
		v->reason =
			atr_envelope_parse(judge->parser, (const char *)data, length, &v->envelope);
	v->parsed = v->reason == ATR_OK;
	if (v->parsed)
		v->reason = envelope_gates(judge, data, length, now_ns, v);
	v->admitted = v->reason == ATR_OK;
	v->duplicates = v->reason == ATR_DUPLICATE;
	v->event[0] = v->reason;
}
