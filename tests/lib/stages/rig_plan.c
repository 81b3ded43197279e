/* SPDX-License-Identifier: BSD-3-Clause */
#include "rig_plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "../../../lib/envelope/envelope.h"
#include "../../../lib/merkle/merkle.h"

#define PLAN_MAX  16384
#define TREE_MAX  512
#define RULE_TAIL "\"topics\":[\"a.open\",\"a.high\",\"a.slow\"],"

static const char head[] = "{\"atr_plan\":1,\"name\":\"rig\",\"version\":1,"
			   "\"realm\":\"0000000000000007\",\"ingress\":{\"udp_port\":26400},";
static const char tail[] =
	"\"types\":[{\"id\":1,\"name\":\"reading\",\"binary\":{\"size\":8,\"fields\":["
	"{\"name\":\"value\",\"at\":0,\"kind\":\"u32\",\"max\":1000000}]},"
	"\"json\":{\"type\":\"object\",\"additionalProperties\":false,\"required\":[\"value\"],"
	"\"properties\":{\"value\":{\"type\":\"number\",\"maximum\":1000000}}}},"
	"{\"id\":2,\"name\":\"note\",\"binary\":{\"size\":4,\"fields\":["
	"{\"name\":\"n\",\"at\":0,\"kind\":\"u32\"}],\"tail\":{\"name\":\"t\",\"max\":200}}}],"
	"\"topics\":[{\"id\":1,\"name\":\"a.open\"},{\"id\":2,\"name\":\"a.shut\"},"
	"{\"id\":3,\"name\":\"a.high\",\"level\":5},"
	"{\"id\":4,\"name\":\"a.slow\",\"rate\":{\"per_second\":1,\"burst\":4}}],"
	"\"rules\":[{\"name\":\"r\",\"any_source\":true," RULE_TAIL
	"\"types\":[\"reading\",\"note\"],\"feeds\":[\"all\"]},"
	"{\"name\":\"b\",\"any_source\":true," RULE_TAIL "\"types\":[\"reading\"],"
	"\"where\":[{\"field\":\"value\",\"op\":\">=\",\"value\":500}],\"feeds\":[\"big\"]}],"
	"\"feeds\":[{\"id\":0,\"name\":\"all\",\"level\":5,\"durability\":\"%s\","
	"\"destinations\":[{\"to\":\"10.0.0.9:5000\"}]},"
	"{\"id\":1,\"name\":\"big\",\"level\":5,\"durability\":\"%s\","
	"\"destinations\":[{\"to\":\"10.0.0.9:5001\"}]}]}";

static void key_text(const struct atr_signer *signer, char *out)
{
	uint8_t public[ATR_PUBLIC_KEY_SIZE];

	atr_signer_public(signer, public);
	atr_hex_encode(public, sizeof(public), out);
}

struct atr_plan *rig_plan(const struct rig *rig, const struct rig_options *options)
{
	char text[PLAN_MAX], frames[65], envelopes[65], old[65], rate[80] = "", error[400];
	struct atr_plan *plan;
	int n = snprintf(text, sizeof(text), "%s\"sources\":[", head);

	if (options->rate)
		snprintf(rate, sizeof(rate), "\"rate\":{\"per_second\":1,\"burst\":%u},",
			 options->rate);
	for (unsigned int s = 1; s <= RIG_SOURCES; s++) {
		key_text(rig->frame_key[s], frames);
		key_text(rig->envelope_key[s], envelopes);
		key_text(rig->old_key[s], old);
		n += snprintf(text + n, sizeof(text) - (size_t)n,
			      "%s{\"id\":%u,\"name\":\"s%u\",\"role\":\"r\",\"window\":%u,"
			      "\"max_ahead\":%u,%s\"keys\":["
			      "{\"id\":1,\"use\":\"frames\",\"public\":\"%s\"},"
			      "{\"id\":2,\"use\":\"envelopes\",\"public\":\"%s\"},"
			      "{\"id\":3,\"use\":\"frames\",\"public\":\"%s\","
			      "\"not_after\":\"2001-01-01T00:00:00Z\"}]}",
			      s > 1 ? "," : "", s, s, options->window, options->max_ahead, rate,
			      frames, envelopes, old);
	}
	n += snprintf(text + n, sizeof(text) - (size_t)n, "],");
	n += snprintf(text + n, sizeof(text) - (size_t)n, tail, options->store ? "commit" : "none",
		      options->store && options->big_waits ? "commit" : "none");
	plan = atr_plan_load(text, (size_t)n, error, sizeof(error));
	if (!plan)
		fprintf(stderr, "%s\n", error);
	return plan;
}

/* Body of frame i of a tree. */
static int body(const struct rig_frame *f, uint32_t index, uint32_t leaves, uint8_t *out)
{
	struct atr_event event[ATR_FRAME_PACKETS_MAX];
	uint8_t payload[ATR_FRAME_PACKETS_MAX][64] = {{0}};
	struct atr_frame_spec spec = {.realm = f->realm ? f->realm : RIG_REALM,
				      .source = f->source,
				      .key = f->key ? f->key : 1,
				      .first_sequence = f->first,
				      .timestamp_ns = 1,
				      .leaf_index = index,
				      .leaf_count = leaves};

	for (unsigned int e = 0; e < f->count; e++) {
		uint32_t value = f->value + e;
		uint32_t type = f->type ? f->type : TYPE_READING;

		memcpy(payload[e], &value, sizeof(value));
		if (type == TYPE_NOTE)
			memset(payload[e] + 4, 'n', sizeof(payload[e]) - 4);
		event[e] = (struct atr_event){.topic_id = f->topic == TOPIC_ZERO ? 0
							  : f->topic             ? f->topic
										 : TOPIC_OPEN,
					      .type_id = type,
					      .timestamp_ns = 1,
					      .priority = f->priority >> 2 * (e % 4) & 3,
					      .payload = payload[e],
					      .payload_length =
						      type == TYPE_NOTE ? sizeof(payload[e]) : 8};
	}
	return atr_frame_build_body(&spec, event, f->count, out, RIG_DATAGRAM - ATR_SIGNATURE_SIZE);
}

void rig_tree(struct rig *rig, const struct rig_frame *frames, unsigned int count,
	      struct rig_datagram *out)
{
	static uint8_t leaf[TREE_MAX * ATR_MERKLE_HASH];
	uint8_t root[ATR_MERKLE_HASH], signature[ATR_SIGNATURE_SIZE];
	uint32_t source = frames[0].source;
	const struct atr_signer *signer = rig->frame_key[source];
	struct atr_tree_head tree;

	if (frames[0].forged)
		signer = rig->envelope_key[source];
	else if (frames[0].key == 3)
		signer = rig->old_key[source];
	for (unsigned int i = 0; i < count; i++) {
		int length = body(&frames[i], i, count, out[i].bytes);

		if (length < 0)
			abort();
		out[i].length = (uint16_t)length;
		crypto_hash_sha256(leaf + i * ATR_MERKLE_HASH, out[i].bytes, out[i].length);
	}
	atr_merkle_root(leaf, count, root);
	atr_tree_head_init(&tree, frames[0].realm ? frames[0].realm : RIG_REALM, source,
			   frames[0].key ? frames[0].key : 1, count, root);
	atr_signer_sign(signer, (const uint8_t *)&tree, sizeof(tree), signature);
	for (unsigned int i = 0; i < count; i++) {
		uint8_t *p = out[i].bytes + out[i].length;
		int nodes;

		memcpy(p, signature, sizeof(signature));
		nodes = atr_merkle_inclusion(leaf, count, i, p + sizeof(signature), ATR_PROOF_MAX);
		out[i].length +=
			(uint16_t)(sizeof(signature) + (unsigned int)nodes * ATR_HASH_SIZE);
	}
}

void rig_envelope(struct rig *rig, uint32_t source, uint32_t value, const uint8_t *uuid,
		  struct rig_datagram *out)
{
	char name[8], payload[32], text[RIG_DATAGRAM];
	struct atr_envelope_spec spec = {.timestamp_ns = 1000,
					 .source = name,
					 .topic = "a.open",
					 .type = "reading",
					 .payload = payload};
	int length;

	snprintf(name, sizeof(name), "s%u", source);
	snprintf(payload, sizeof(payload), "{\"value\":%u}", value);
	if (uuid)
		memcpy(spec.uuid, uuid, sizeof(spec.uuid));
	else
		atr_uuid7_new((uint64_t)time(NULL) * 1000, spec.uuid);
	length =
		atr_envelope_build(&spec, RIG_REALM, rig->envelope_key[source], text, sizeof(text));
	if (length < 0)
		abort();
	memcpy(out->bytes, text, (size_t)length);
	out->length = (uint16_t)length;
}
