/* SPDX-License-Identifier: BSD-3-Clause */
#include "gen_wire.h"

#include <stdio.h>
#include <string.h>

#include "../../lib/reason/reason.h"

#define PREFIX      "ATR/envelope/v1\n"
#define PREFIX_SIZE (sizeof(PREFIX) - 1)
#define SIGNED_MAX  (PREFIX_SIZE + sizeof(uint64_t) + GEN_ENVELOPE_MAX)
#define ID          "019b7ca9-8f2e-7abc-8def-0123456789ab"
#define TIME        "2026-01-02T03:04:05.678Z"
#define HEADER                                                       \
	"{\"id\":\"" ID "\",\"source\":\"ci\",\"timestamp\":\"" TIME \
	"\",\"topic\":\"quake.ci\",\"type\":\"quake\",\"version\":1}"
#define META    "{\"note\":\"\xe2\x82\xac\"}"
#define PAYLOAD "{\"mag\":4.5,\"place\":\"Ridgecrest\",\"tags\":[1,2]}"

/* The schema that payload_refusals are judged by. */
static const char payload_schema[] =
	"{\"type\":\"object\",\"required\":[\"mag\"],\"minProperties\":1,\"maxProperties\":4,"
	"\"additionalProperties\":false,\"properties\":{"
	"\"mag\":{\"type\":\"number\",\"minimum\":-2,\"maximum\":10,\"multipleOf\":0.1},"
	"\"place\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":20,\"pattern\":\"^[A-Z]\"},"
	"\"kind\":{\"enum\":[\"quake\",\"blast\"]},\"unit\":{\"const\":\"ml\"},"
	"\"tags\":{\"type\":\"array\",\"maxItems\":3,\"uniqueItems\":true,"
	"\"items\":{\"type\":\"integer\"}}}}";

/* Parts of an envelope, each as JSON text; NULL stands for the valid one. */
struct parts {
	const char *header, *meta, *payload;
};

static const char *or_else(const char *text, const char *valid)
{
	return text ? text : valid;
}

/* Signs and writes a canonical envelope; the parts must be canonical for that. */
static size_t write_envelope(const struct gen *gen, const struct parts *parts, uint64_t realm,
			     char *out, uint8_t *signed_bytes, size_t *signed_length)
{
	uint8_t signature[ATR_SIG_SIZE];
	char hex[2 * ATR_SIG_SIZE + 1];
	int n = snprintf((char *)signed_bytes + PREFIX_SIZE + sizeof(realm), GEN_ENVELOPE_MAX,
			 "{\"header\":%s,\"meta\":%s,\"payload\":%s}",
			 or_else(parts->header, HEADER), or_else(parts->meta, META),
			 or_else(parts->payload, PAYLOAD));

	if (n < 0 || n >= GEN_ENVELOPE_MAX - 200)
		gen_fail("envelope", "does not fit");
	memcpy(signed_bytes, PREFIX, PREFIX_SIZE);
	memcpy(signed_bytes + PREFIX_SIZE, &realm, sizeof(realm));
	*signed_length = PREFIX_SIZE + sizeof(realm) + (size_t)n;
	atr_signer_sign(gen->signer, signed_bytes, *signed_length, signature);
	atr_hex_encode(signature, sizeof(signature), hex);
	memcpy(out, signed_bytes + PREFIX_SIZE + sizeof(realm), (size_t)n - 1);
	return (size_t)n - 1 + (size_t)sprintf(out + n - 1, ",\"signature\":\"%s\"}", hex);
}

static json_t *refusal_json(const char *name, uint8_t reason, const char *text, size_t length)
{
	return json_pack("{ss ss ss so}", "name", name, "reason", atr_reason_name(reason), "gate",
			 atr_gate_name(atr_reason_gate(reason)), "datagram", gen_hex(text, length));
}

/* Replaces the first occurrence of one text in the valid envelope, without signing again. */
struct edit {
	const char *name;
	uint8_t reason;
	const char *from, *to;
};

#define R(name) ATR_REASON_##name
static const struct edit edits[] = {
	{"no closing brace", R(JSON_SYNTAX), "[1,2]}", "[1,2]"},
	{"single quotes", R(JSON_SYNTAX), "\"mag\"", "'mag'"},
	{"leading zero", R(JSON_SYNTAX), "4.5", "04.5"},
	{"bare NaN", R(JSON_SYNTAX), "4.5", "NaN"},
	{"control character in a string", R(JSON_SYNTAX), "Ridge", "Ri\tge"},
	{"byte ff", R(JSON_UTF8), "Ridge", "Ri\xffge"},
	{"overlong UTF-8", R(JSON_UTF8), "Ridge", "Ri\xc0\xafge"},
	{"surrogate in UTF-8", R(JSON_UTF8), "Ridge", "Ri\xed\xa0\x80ge"},
	{"a name twice", R(JSON_DUPLICATE_NAME), "\"place\"", "\"mag\""},
	{"a name twice, once escaped", R(JSON_DUPLICATE_NAME), "\"place\"", "\"m\\u0061g\""},
	{"lone high surrogate", R(JSON_SURROGATE), "Ridge", "\\ud800"},
	{"lone low surrogate", R(JSON_SURROGATE), "Ridge", "\\udc00"},
	{"integer 2^53", R(JSON_NUMBER), "4.5", "9007199254740992"},
	{"number beyond double", R(JSON_NUMBER), "4.5", "1e400"},
	{"white space between", R(ENVELOPE_NOT_CANONICAL), ":4.5", ": 4.5"},
	{"number not in shortest form", R(ENVELOPE_NOT_CANONICAL), "4.5", "4.50"},
	{"needless escape", R(ENVELOPE_NOT_CANONICAL), "Ridge", "\\u0052idge"},
	{"members out of order", R(ENVELOPE_NOT_CANONICAL), "\"mag\":4.5,\"place\":\"Ridgecrest\"",
	 "\"place\":\"Ridgecrest\",\"mag\":4.5"},
	{"unknown member", R(ENVELOPE_MEMBER), "\"meta\"", "\"extra\""},
	{"meta is no object", R(ENVELOPE_MEMBER), META, "1"},
	{"topic is missing", R(ENVELOPE_MEMBER), "\"topic\":\"quake.ci\",", ""},
	{"unknown header member", R(ENVELOPE_MEMBER), "\"version\":1", "\"version\":1,\"x\":1"},
	{"source is no string", R(ENVELOPE_MEMBER), "\"ci\"", "3"},
	{"signature is missing", R(ENVELOPE_MEMBER), "\"signature\"", "\"signed\""},
	{"uppercase id", R(ENVELOPE_ID), "7abc", "7ABC"},
	{"UUID of version 4", R(ENVELOPE_ID), "7abc", "4abc"},
	{"UUID of another variant", R(ENVELOPE_ID), "8def", "0def"},
	{"offset instead of Z", R(ENVELOPE_TIMESTAMP), "678Z", "678+00:00"},
	{"fraction ends in zero", R(ENVELOPE_TIMESTAMP), "678Z", "670Z"},
	{"leap second", R(ENVELOPE_TIMESTAMP), ":05.678Z", ":60Z"},
	{"no such day", R(ENVELOPE_TIMESTAMP), "2026-01-02", "2026-02-29"},
	{"version 2", R(ENVELOPE_VERSION), "\"version\":1", "\"version\":2"},
	{"signature of 134 digits", R(ENVELOPE_SIGNATURE_FORM), "\"signature\":\"",
	 "\"signature\":\"ABCDEF"},
	{"payload changed", R(BAD_SIGNATURE), "4.5", "4.6"},
	{"id changed", R(BAD_SIGNATURE), "6789ab", "6789ac"},
};

static json_t *edit_json(const struct gen *gen, const struct edit *edit)
{
	char text[GEN_ENVELOPE_MAX + 64];
	const char *at = strstr(gen->envelope, edit->from);
	int n;

	if (!at)
		gen_fail(edit->name, "text to replace is not there");
	n = snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - gen->envelope), gen->envelope,
		     edit->to, at + strlen(edit->from));
	return refusal_json(edit->name, edit->reason, text, (size_t)n);
}

static json_t *signed_case(const struct gen *gen, const char *name, uint8_t reason,
			   const struct parts *parts, uint64_t realm)
{
	static uint8_t signed_bytes[SIGNED_MAX];
	static char text[GEN_ENVELOPE_MAX];
	size_t signed_length;
	size_t n = write_envelope(gen, parts, realm, text, signed_bytes, &signed_length);

	return refusal_json(name, reason, text, n);
}

/* Refused although canonical and signed. */
static void signed_refusals(const struct gen *gen, json_t *list)
{
	char deep[128] = "";
	struct parts parts = {0};

	for (unsigned int i = 0; i < 40; i++)
		strcat(deep, "[");
	for (unsigned int i = 0; i < 40; i++)
		strcat(deep, "]");
	json_array_append_new(list, signed_case(gen, "signed for another realm", R(BAD_SIGNATURE),
						&parts, GEN_REALM + 1));
	parts.payload = deep;
	json_array_append_new(list,
			      signed_case(gen, "40 arrays deep", R(JSON_DEPTH), &parts, GEN_REALM));
	parts = (struct parts){.header =
				       "{\"id\":\"" ID "\",\"source\":\"xx\",\"timestamp\":\"" TIME
				       "\",\"topic\":\"quake.ci\",\"type\":\"quake\","
				       "\"version\":1}"};
	json_array_append_new(
		list, signed_case(gen, "unknown source", R(UNKNOWN_SOURCE), &parts, GEN_REALM));
	parts.header = "{\"id\":\"" ID "\",\"source\":\"ci\",\"timestamp\":\"" TIME
		       "\",\"topic\":\"quake.xx\",\"type\":\"quake\",\"version\":1}";
	json_array_append_new(
		list, signed_case(gen, "unknown topic", R(UNKNOWN_TOPIC), &parts, GEN_REALM));
	parts.header = "{\"id\":\"" ID "\",\"source\":\"ci\",\"timestamp\":\"" TIME
		       "\",\"topic\":\"quake.ci\",\"type\":\"storm\",\"version\":1}";
	json_array_append_new(list,
			      signed_case(gen, "unknown type", R(UNKNOWN_TYPE), &parts, GEN_REALM));
}

static const struct {
	uint8_t reason;
	const char *payload;
} payloads[] = {
	{R(PAYLOAD_TYPE), "[]"},
	{R(PAYLOAD_TYPE), "{\"mag\":\"4.5\"}"},
	{R(PAYLOAD_REQUIRED), "{\"place\":\"Ridgecrest\"}"},
	{R(PAYLOAD_ADDITIONAL), "{\"depth\":1,\"mag\":4.5}"},
	{R(PAYLOAD_ENUM), "{\"kind\":\"storm\",\"mag\":4.5}"},
	{R(PAYLOAD_CONST), "{\"mag\":4.5,\"unit\":\"mw\"}"},
	{R(PAYLOAD_RANGE), "{\"mag\":10.1}"},
	{R(PAYLOAD_RANGE), "{\"mag\":-2.1}"},
	{R(PAYLOAD_MULTIPLE), "{\"mag\":4.55}"},
	{R(PAYLOAD_STRING_LENGTH), "{\"mag\":4.5,\"place\":\"ABCDEFGHIJKLMNOPQRSTU\"}"},
	{R(PAYLOAD_PATTERN), "{\"mag\":4.5,\"place\":\"ridgecrest\"}"},
	{R(PAYLOAD_ITEMS), "{\"mag\":4.5,\"tags\":[1,2,3,4]}"},
	{R(PAYLOAD_UNIQUE), "{\"mag\":4.5,\"tags\":[1,1]}"},
	{R(PAYLOAD_PROPERTIES),
	 "{\"kind\":\"quake\",\"mag\":4.5,\"place\":\"A\",\"tags\":[],\"unit\":\"ml\"}"},
};

static json_t *payload_refusals(const struct gen *gen)
{
	json_t *list = json_array();

	for (size_t i = 0; i < sizeof(payloads) / sizeof(payloads[0]); i++) {
		struct parts parts = {.payload = payloads[i].payload};

		json_array_append_new(list, signed_case(gen, payloads[i].payload,
							payloads[i].reason, &parts, GEN_REALM));
	}
	return json_pack("{so so}", "schema", json_loads(payload_schema, 0, NULL), "cases", list);
}

static json_t *replies_json(void)
{
	return json_pack("{ss ss ss ss}", "admitted",
			 "{\"atr\":1,\"durability\":\"none\",\"id\":\"" ID
			 "\",\"position\":7,\"result\":\"admitted\",\"shard\":0}",
			 "duplicate",
			 "{\"atr\":1,\"durability\":\"none\",\"id\":\"" ID
			 "\",\"position\":7,\"result\":\"duplicate\",\"shard\":0}",
			 "refused",
			 "{\"atr\":1,\"final\":true,\"gate\":\"signature\",\"id\":\"" ID
			 "\",\"reason\":\"bad_signature\",\"result\":\"refused\"}",
			 "retry",
			 "{\"atr\":1,\"final\":false,\"gate\":\"ruleset\",\"id\":\"" ID
			 "\",\"reason\":\"rate_source\",\"result\":\"refused\"}");
}

void gen_envelopes(struct gen *gen, json_t *root)
{
	static uint8_t signed_bytes[SIGNED_MAX];
	json_t *list = json_array();
	struct parts parts = {0};
	size_t length;

	gen->envelope_length =
		write_envelope(gen, &parts, GEN_REALM, gen->envelope, signed_bytes, &length);
	json_object_set_new(
		root, "envelope",
		json_pack("{ss so so so so}", "id", ID, "timestamp_ns", gen_u64(GEN_ENVELOPE_NS),
			  "signed_bytes", gen_hex(signed_bytes, length), "datagram",
			  gen_hex(gen->envelope, gen->envelope_length), "replies", replies_json()));
	for (size_t i = 0; i < sizeof(edits) / sizeof(edits[0]); i++)
		json_array_append_new(list, edit_json(gen, &edits[i]));
	gen->envelope[gen->envelope_length] = 'x';
	json_array_append_new(list, refusal_json("a byte behind", R(JSON_TRAILING), gen->envelope,
						 gen->envelope_length + 1));
	gen->envelope[gen->envelope_length] = 0;
	signed_refusals(gen, list);
	json_object_set_new(root, "envelope_refusals", list);
	parts.payload = "{\"mag\":4.5}";
	json_object_set_new(
		root, "envelope_conflict",
		signed_case(gen, "the same id with other bytes", R(CONFLICT), &parts, GEN_REALM));
	json_object_set_new(root, "payload_refusals", payload_refusals(gen));
}
