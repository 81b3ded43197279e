/* SPDX-License-Identifier: BSD-3-Clause */
/* The envelopes of wire.json, judged by the library. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "../../lib/envelope/envelope.h"
#include "../../lib/reason/reason.h"
#include "../../lib/schema/schema.h"

#define SIGNED_MAX 20000

static json_t *vectors;
static struct atr_json_parser *parser;

static uint64_t number_of(const char *member)
{
	return strtoull(json_string_value(json_object_get(vectors, member)), NULL, 10);
}

static bool is_named(const struct atr_json *value, const char *member)
{
	const json_t *named = json_object_get(vectors, member);

	return atr_json_string_is(value, json_string_value(json_object_get(named, "name")));
}

static uint8_t judge_signature(const struct atr_envelope *envelope)
{
	static uint8_t signed_bytes[SIGNED_MAX];
	const json_t *key = json_object_get(json_object_get(vectors, "source"), "public_key");
	uint8_t public_key[ATR_PUBLIC_KEY_SIZE];
	int length = atr_envelope_signed_bytes(envelope, number_of("realm"), signed_bytes,
					       sizeof(signed_bytes));

	assert_true(length > 0);
	assert_int_equal(atr_hex_decode(json_string_value(key), json_string_length(key), public_key,
					sizeof(public_key)),
			 0);
	return atr_verify(public_key, signed_bytes, (size_t)length, envelope->signature)
		       ? ATR_OK
		       : ATR_REASON_BAD_SIGNATURE;
}

/* The gates up to signature, in their order. */
static uint8_t judge(const char *text, size_t length, const struct atr_schema *schema)
{
	struct atr_envelope envelope;
	uint8_t reason = atr_envelope_parse(parser, text, length, &envelope);

	if (reason != ATR_OK)
		return reason;
	if (!is_named(envelope.source, "source"))
		return ATR_REASON_UNKNOWN_SOURCE;
	if (!is_named(envelope.topic, "topic"))
		return ATR_REASON_UNKNOWN_TOPIC;
	if (!is_named(envelope.type, "type"))
		return ATR_REASON_UNKNOWN_TYPE;
	if (schema)
		reason = atr_schema_validate(schema, envelope.payload, NULL, 0);
	if (reason == ATR_OK)
		reason = atr_envelope_canonical(&envelope, text, length);
	return reason == ATR_OK ? judge_signature(&envelope) : reason;
}

static uint8_t judge_hex(const json_t *hex, const struct atr_schema *schema)
{
	size_t length = json_string_length(hex) / 2;
	char *exact = malloc(length);
	uint8_t reason;

	assert_non_null(exact);
	assert_int_equal(
		atr_hex_decode(json_string_value(hex), 2 * length, (uint8_t *)exact, length), 0);
	reason = judge(exact, length, schema);
	free(exact);
	return reason;
}

static void judge_cases(const json_t *cases, const struct atr_schema *schema)
{
	const json_t *one;
	size_t i;

	assert_true(json_array_size(cases) > 10);
	json_array_foreach(cases, i, one)
	{
		uint8_t reason = judge_hex(json_object_get(one, "datagram"), schema);

		if (reason != atr_reason_by_name(json_string_value(json_object_get(one, "reason"))))
			fail_msg("%s: refused as %s",
				 json_string_value(json_object_get(one, "name")),
				 atr_reason_name(reason));
	}
}

/* Invariant: each envelope that the page's vectors call wrong is refused for the reason stated. */
static void envelopes_are_refused_as_stated(void **state)
{
	(void)state;
	judge_cases(json_object_get(vectors, "envelope_refusals"), NULL);
}

/* Invariant: the same for payloads and the schema beside them, which the valid one fulfils. */
static void payloads_are_refused_as_stated(void **state)
{
	const json_t *payloads = json_object_get(vectors, "payload_refusals");
	const json_t *valid = json_object_get(json_object_get(vectors, "envelope"), "datagram");
	char error[256];
	struct atr_schema *schema = atr_schema_compile(json_object_get(payloads, "schema"),
						       "schema", error, sizeof(error));

	(void)state;
	assert_non_null(schema);
	assert_int_equal(judge_hex(valid, schema), ATR_OK);
	judge_cases(json_object_get(payloads, "cases"), schema);
	atr_schema_free(schema);
}

/* Invariant: both envelopes of one id are good by themselves; only identity tells them apart. */
static void valid_envelopes_are_accepted(void **state)
{
	const json_t *valid = json_object_get(vectors, "envelope");
	const json_t *conflict = json_object_get(vectors, "envelope_conflict");

	(void)state;
	assert_int_equal(judge_hex(json_object_get(valid, "datagram"), NULL), ATR_OK);
	assert_int_equal(judge_hex(json_object_get(conflict, "datagram"), NULL), ATR_OK);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(valid_envelopes_are_accepted),
		cmocka_unit_test(envelopes_are_refused_as_stated),
		cmocka_unit_test(payloads_are_refused_as_stated),
	};
	int failed;

	vectors = argc == 2 ? json_load_file(argv[1], 0, NULL) : NULL;
	parser = atr_json_parser_create();
	if (!vectors || !parser || atr_sign_init() < 0) {
		fprintf(stderr, "usage: test_envelopes WIRE_JSON\n");
		return 2;
	}
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	atr_json_parser_destroy(parser);
	json_decref(vectors);
	return failed;
}
