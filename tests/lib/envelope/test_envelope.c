/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "../../../lib/envelope/envelope.h"
#include "../../../lib/reason/reason.h"

#define REALM UINT64_C(0x0807060504030201)
#define SIG16 "0123456789abcdef"
#define SIG   SIG16 SIG16 SIG16 SIG16 SIG16 SIG16 SIG16 SIG16

#define GOOD_ID "019aa8b0-7c00-7abc-8def-0123456789ab"
#define HEADER(id, time, version)                                   \
	"{\"id\":\"" id "\",\"source\":\"s\",\"timestamp\":\"" time \
	"\",\"topic\":\"t\",\"type\":\"y\",\"version\":" version "}"
#define GOOD_HEADER HEADER(GOOD_ID, "2026-11-22T08:00:00Z", "1")
#define ENVELOPE(header, meta, payload, signature) \
	"{\"header\":" header meta ",\"payload\":" payload ",\"signature\":\"" signature "\"}"
#define GOOD ENVELOPE(GOOD_HEADER, "", "{\"a\":1.5}", SIG)

static struct atr_json_parser *parser;
static struct atr_signer *signer;
static uint8_t public_key[ATR_PUBLIC_KEY_SIZE];

/* Parses an exact-size heap copy. */
static uint8_t parse(const char *text, struct atr_envelope *envelope)
{
	size_t length = strlen(text);
	char *copy = malloc(length ? length : 1);
	uint8_t reason;

	assert_non_null(copy);
	memcpy(copy, text, length);
	reason = atr_envelope_parse(parser, copy, length, envelope);
	if (reason == ATR_OK)
		reason = atr_envelope_canonical(envelope, copy, length);
	free(copy);
	return reason;
}

/* Invariant: the canonical envelope passes both gates and every field is where it belongs. */
static void good_envelope(void **state)
{
	static const uint8_t uuid[16] = {0x01, 0x9a, 0xa8, 0xb0, 0x7c, 0x00, 0x7a, 0xbc,
					 0x8d, 0xef, 0x01, 0x23, 0x45, 0x67, 0x89, 0xab};
	struct atr_envelope e;

	(void)state;
	assert_int_equal(parse(GOOD, &e), ATR_OK);
	assert_memory_equal(e.uuid, uuid, 16);
	assert_true(e.uuid_ms == UINT64_C(0x019aa8b07c00));
	assert_true(e.timestamp_ns == UINT64_C(1795334400) * 1000000000);
	assert_true(atr_json_string_is(e.source, "s"));
	assert_true(atr_json_string_is(e.topic, "t"));
	assert_true(atr_json_string_is(e.type, "y"));
	assert_null(e.meta);
	assert_int_equal(e.payload->type, ATR_JSON_OBJECT);
	assert_int_equal(e.signature[0], 0x01);
	assert_int_equal(e.signature[63], 0xef);
	assert_int_equal(parse(ENVELOPE(GOOD_HEADER, ",\"meta\":{\"m\":1}", "null", SIG), &e),
			 ATR_OK);
	assert_int_equal(e.meta->count, 1);
	assert_int_equal(e.payload->type, ATR_JSON_NULL);
}

/* Invariant: each way to be no envelope has its reason; the first in the documented order wins. */
static void refusals(void **state)
{
#define BAD_ID(id)                                                               \
	{                                                                        \
		ENVELOPE(HEADER(id, "2026-11-22T08:00:00Z", "1"), "", "1", SIG), \
			ATR_REASON_ENVELOPE_ID                                   \
	}
#define BAD_VERSION(v)                                                              \
	{                                                                           \
		ENVELOPE(HEADER(GOOD_ID, "2026-11-22T08:00:00Z", v), "", "1", SIG), \
			ATR_REASON_ENVELOPE_VERSION                                 \
	}
#define BAD_SIG(s)                                                                    \
	{                                                                             \
		ENVELOPE(GOOD_HEADER, "", "1", s), ATR_REASON_ENVELOPE_SIGNATURE_FORM \
	}
#define EMPTY(source) \
	"{\"id\":\"\",\"source\":" source ",\"timestamp\":\"\",\"topic\":\"\",\"type\":\"\""
#define TAIL "\"payload\":1,\"signature\":\"" SIG "\""
#define BAD_MEMBER(t)                         \
	{                                     \
		t, ATR_REASON_ENVELOPE_MEMBER \
	}
	/* clang-format off */
	static const struct {
		const char *text;
		uint8_t reason;
	} rows[] = {
		{"", ATR_REASON_JSON_SYNTAX},
		{"{\"a\":1,\"a\":1}", ATR_REASON_JSON_DUPLICATE_NAME},
		{GOOD " x", ATR_REASON_JSON_TRAILING},
		BAD_MEMBER("[]"),
		BAD_MEMBER("{}"),
		BAD_MEMBER("{\"header\":" GOOD_HEADER ",\"payload\":1}"),
		BAD_MEMBER("{\"header\":" GOOD_HEADER ",\"signature\":\"" SIG "\"}"),
		BAD_MEMBER("{\"payload\":1,\"signature\":\"" SIG "\"}"),
		BAD_MEMBER("{\"header\":" GOOD_HEADER ",\"payload\":1,\"signature\":1}"),
		BAD_MEMBER(ENVELOPE("[]", "", "1", SIG)),
		BAD_MEMBER(ENVELOPE("{}", "", "1", SIG)),
		BAD_MEMBER(ENVELOPE(GOOD_HEADER, ",\"meta\":[]", "1", SIG)),
		BAD_MEMBER(ENVELOPE(GOOD_HEADER, ",\"meta\":null", "1", SIG)),
		BAD_MEMBER(ENVELOPE(GOOD_HEADER, ",\"more\":{}", "1", SIG)),
		BAD_MEMBER("{\"a\":0,\"header\":" GOOD_HEADER "," TAIL "}"),
		BAD_MEMBER("{\"header\":" GOOD_HEADER "," TAIL ",\"z\":1}"),
		BAD_MEMBER(ENVELOPE(EMPTY("\"\"") "}", "", "1", SIG)),
		BAD_MEMBER(ENVELOPE(EMPTY("\"\"") ",\"version\":1,\"x\":1}", "", "1", SIG)),
		BAD_MEMBER(ENVELOPE(EMPTY("1") ",\"version\":1}", "", "1", SIG)),
		BAD_MEMBER(ENVELOPE(HEADER(GOOD_ID, "2026-11-22T08:00:00Z", "\"1\""), "", "1",
				    SIG)),
		BAD_ID(""),
		BAD_ID("019aa8b0-7c00-7abc-8def-0123456789a"),
		BAD_ID("019aa8b0-7c00-7abc-8def-0123456789abc"),
		BAD_ID("019AA8B0-7c00-7abc-8def-0123456789ab"),
		BAD_ID("019aa8b0-7c00-4abc-8def-0123456789ab"),
		BAD_ID("019aa8b0-7c00-7abc-7def-0123456789ab"),
		BAD_ID("019aa8b0-7c00-7abc-cdef-0123456789ab"),
		BAD_ID("019aa8b07-c00-7abc-8def-0123456789ab"),
		BAD_ID("019aa8b0-7c00-7abc-8def-0123456789ag"),
		{ENVELOPE(HEADER(GOOD_ID, "2026-11-22", "1"), "", "1", SIG),
		 ATR_REASON_ENVELOPE_TIMESTAMP},
		{ENVELOPE(HEADER("x", "x", "2"), "", "1", "x"), ATR_REASON_ENVELOPE_ID},
		{ENVELOPE(HEADER(GOOD_ID, "x", "2"), "", "1", "x"),
		 ATR_REASON_ENVELOPE_TIMESTAMP},
		BAD_VERSION("2"), BAD_VERSION("0"), BAD_VERSION("-1"), BAD_VERSION("1.5"),
		{ENVELOPE(HEADER(GOOD_ID, "2026-11-22T08:00:00Z", "2"), "", "1", "x"),
		 ATR_REASON_ENVELOPE_VERSION},
		BAD_SIG(""), BAD_SIG(SIG "0"), BAD_SIG(SIG "00"),
		BAD_SIG("0123456789ABCDEF" SIG16 SIG16 SIG16 SIG16 SIG16 SIG16 SIG16),
		BAD_SIG("012345678 abcdef" SIG16 SIG16 SIG16 SIG16 SIG16 SIG16 SIG16),
	};
	/* clang-format on */
	struct atr_envelope e;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (parse(rows[i].text, &e) != rows[i].reason)
			fail_msg("%s: expected %s", rows[i].text, atr_reason_name(rows[i].reason));
}

/* Invariant: names of 255 bytes are the longest. */
static void name_bound(void **state)
{
	struct atr_envelope e;
	char text[2048];

	(void)state;
	for (int length = ATR_ENVELOPE_NAME_MAX; length <= ATR_ENVELOPE_NAME_MAX + 1; length++) {
		snprintf(text, sizeof(text),
			 ENVELOPE("{\"id\":\"" GOOD_ID "\",\"source\":\"%0*d\",\"timestamp\":"
				  "\"2026-11-22T08:00:00Z\",\"topic\":\"\",\"type\":\"\","
				  "\"version\":1}",
				  "", "1", SIG),
			 length, 0);
		assert_int_equal(parse(text, &e), length > ATR_ENVELOPE_NAME_MAX
							  ? ATR_REASON_ENVELOPE_MEMBER
							  : ATR_OK);
	}
}

/* Invariant: any other encoding of the same values is refused as not canonical. */
static void one_encoding(void **state)
{
	static const char *const texts[] = {
		" " GOOD,
		GOOD "\n",
		ENVELOPE(GOOD_HEADER, "", " 1", SIG),
		ENVELOPE(GOOD_HEADER, "", "1.0", SIG),
		ENVELOPE(GOOD_HEADER, "", "1e0", SIG),
		ENVELOPE(GOOD_HEADER, "", "-0", SIG),
		ENVELOPE(GOOD_HEADER, "", "0.10", SIG),
		ENVELOPE(GOOD_HEADER, "", "1E+30", SIG),
		ENVELOPE(GOOD_HEADER, "", "1e-400", SIG),
		ENVELOPE(GOOD_HEADER, "", "\"\\u0061\"", SIG),
		ENVELOPE(GOOD_HEADER, "", "\"\\/\"", SIG),
		ENVELOPE(GOOD_HEADER, "", "\"\\u000a\"", SIG),
		ENVELOPE(GOOD_HEADER, "", "\"\\u001F\"", SIG),
		ENVELOPE(GOOD_HEADER, "", "\"\\u00e9\"", SIG),
		ENVELOPE(GOOD_HEADER, "", "{\"b\":1,\"a\":1}", SIG),
		ENVELOPE(GOOD_HEADER, "", "{\"\xEF\xAC\xB3\":1,\"\xF0\x9F\x98\x80\":1}", SIG),
		ENVELOPE(HEADER(GOOD_ID, "2026-11-22T08:00:00Z", "1.0"), "", "1", SIG),
		"{\"payload\":1,\"header\":" GOOD_HEADER ",\"signature\":\"" SIG "\"}",
		"{\"header\":" GOOD_HEADER
		",\"payload\":1,\"signature\":\"\\u0030123456789abcdef" SIG16 SIG16 SIG16 SIG16
			SIG16 SIG16 SIG16 "\"}",
	};
	struct atr_envelope e;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (parse(texts[i], &e) != ATR_REASON_ENVELOPE_NOT_CANONICAL)
			fail_msg("%s", texts[i]);
	assert_int_equal(parse(ENVELOPE(GOOD_HEADER, "", "1e+30", SIG), &e), ATR_OK);
	assert_int_equal(parse(ENVELOPE(GOOD_HEADER, "", "\"\\u001f\\n\xC3\xA9/\"", SIG), &e),
			 ATR_OK);
}

/* Invariant: signed are prefix, realm and the canonical bytes of all but the signature. */
static void signed_bytes(void **state)
{
	static const char expected[] =
		"ATR/envelope/v1\n\x01\x02\x03\x04\x05\x06\x07\x08{\"header\":" GOOD_HEADER
		",\"payload\":{\"a\":1.5}}";
	const size_t length = sizeof(expected) - 1;
	struct atr_envelope e;
	uint8_t out[1024];

	(void)state;
	assert_int_equal(parse(GOOD, &e), ATR_OK);
	assert_int_equal(atr_envelope_signed_bytes(&e, REALM, out, sizeof(out)), length);
	assert_memory_equal(out, expected, length);
	assert_int_equal(atr_envelope_signed_bytes(&e, REALM, out, length), length);
	for (size_t capacity = 0; capacity < length; capacity++)
		assert_int_equal(atr_envelope_signed_bytes(&e, REALM, out, capacity), -EMSGSIZE);
}

static struct atr_envelope_spec good_spec(void)
{
	struct atr_envelope_spec spec = {
		.timestamp_ns = UINT64_C(1795334400123456700),
		.source = "quakes.us",
		.topic = "quake.us",
		.type = "earth \"quake\"\n\xC3\xA9",
		.payload = " {\"mag\" : 4.50, \"id\":\"x\", \"b\":[1E2,{}]} ",
	};

	atr_uuid7_new(UINT64_C(1795334400123), spec.uuid);
	return spec;
}

/* Invariant: what is built passes all gates, and its signature holds for these bytes, this realm
 * and this key alone. */
static void build_and_verify(void **state)
{
	struct atr_envelope_spec spec = good_spec();
	struct atr_envelope e;
	char text[2048];
	uint8_t message[2048];
	int length, size;

	(void)state;
	for (int with_meta = 0; with_meta < 2; with_meta++) {
		spec.meta = with_meta ? "{\"z\":1,\"a\":[]}" : NULL;
		length = atr_envelope_build(&spec, REALM, signer, text, sizeof(text));
		assert_int_equal(length, strlen(text));
		assert_int_equal(parse(text, &e), ATR_OK);
		assert_memory_equal(e.uuid, spec.uuid, 16);
		assert_true(e.uuid_ms == UINT64_C(1795334400123));
		assert_true(e.timestamp_ns == spec.timestamp_ns);
		assert_true(atr_json_string_is(e.type, spec.type));
		assert_int_equal(e.meta != NULL, with_meta);
		size = atr_envelope_signed_bytes(&e, REALM, message, sizeof(message));
		assert_true(size > 0);
		assert_true(atr_verify(public_key, message, (size_t)size, e.signature));
		message[size - 2] ^= 1;
		assert_false(atr_verify(public_key, message, (size_t)size, e.signature));
		size = atr_envelope_signed_bytes(&e, REALM + 1, message, sizeof(message));
		assert_false(atr_verify(public_key, message, (size_t)size, e.signature));
		for (int capacity = 0; capacity <= length; capacity++)
			assert_int_equal(
				atr_envelope_build(&spec, REALM, signer, text, (size_t)capacity),
				-EMSGSIZE);
		assert_int_equal(atr_envelope_build(&spec, REALM, signer, text, (size_t)length + 1),
				 length);
	}
}

/* Invariant: nothing is built that the other side would refuse. */
static void build_refusals(void **state)
{
	static const char *const bad[] = {"",
					  "{",
					  "1 2",
					  "NaN",
					  "\"\\ud800\"",
					  "{\"a\":1,\"a\":2}",
					  "9007199254740993",
					  "\"\xFF\""};
	struct atr_envelope_spec spec;
	char text[2048], longest[ATR_ENVELOPE_NAME_MAX + 2];
	char deep[2 * ATR_JSON_DEPTH_MAX + 1];

	(void)state;
#define ASSERT_REFUSED() \
	assert_int_equal(atr_envelope_build(&spec, REALM, signer, text, sizeof(text)), -EINVAL)
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		spec = good_spec();
		spec.payload = bad[i];
		ASSERT_REFUSED();
		spec = good_spec();
		spec.meta = bad[i];
		ASSERT_REFUSED();
	}
	spec = good_spec();
	spec.meta = "[]";
	ASSERT_REFUSED();
	spec = good_spec();
	spec.source = "\xC0\x80";
	ASSERT_REFUSED();
	spec = good_spec();
	memset(longest, 'a', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	spec.topic = longest;
	ASSERT_REFUSED();
	spec = good_spec();
	spec.uuid[6] = 0x40;
	ASSERT_REFUSED();
	spec = good_spec();
	spec.timestamp_ns = UINT64_MAX;
	ASSERT_REFUSED();
	spec = good_spec();
	memset(deep, '[', ATR_JSON_DEPTH_MAX);
	memset(deep + ATR_JSON_DEPTH_MAX, ']', ATR_JSON_DEPTH_MAX);
	deep[2 * ATR_JSON_DEPTH_MAX] = '\0';
	spec.payload = deep;
	ASSERT_REFUSED();
}

/* Invariant: UUIDs carry their time, version and variant, and text leads back to bytes. */
static void uuids(void **state)
{
	uint8_t uuid[16], other[16], back[16];
	char text[37];

	(void)state;
	for (unsigned int i = 0; i < 1000; i++) {
		uint64_t ms = (UINT64_C(1) << 48) - 1 - i * UINT64_C(281000000000);

		atr_uuid7_new(ms, uuid);
		atr_uuid7_new(ms, other);
		assert_memory_not_equal(uuid, other, 16);
		assert_memory_equal(uuid, other, 6);
		for (int b = 0; b < 6; b++)
			assert_int_equal(uuid[b], (uint8_t)(ms >> (40 - 8 * b)));
		atr_uuid_format(uuid, text);
		assert_int_equal(strlen(text), 36);
		assert_int_equal(text[14], '7');
		assert_non_null(strchr("89ab", text[19]));
		assert_int_equal(atr_uuid7_parse(text, 36, back), 0);
		assert_memory_equal(uuid, back, 16);
		assert_int_equal(atr_uuid7_parse(text, 35, back), -EINVAL);
	}
}

/* Invariant: times format and parse like the C library's calendar, for every day there is. */
static void every_day(void **state)
{
	char text[32], expected[32];
	uint64_t back;

	(void)state;
	for (uint64_t day = 0; day <= 106650; day++) {
		time_t seconds = (time_t)(day * 86400 + day * 7 % 86400);
		struct tm tm;

		gmtime_r(&seconds, &tm);
		strftime(expected, sizeof(expected), "%Y-%m-%dT%H:%M:%SZ", &tm);
		assert_int_equal(atr_time_format((uint64_t)seconds * 1000000000, text), 20);
		assert_string_equal(text, expected);
		if (tm.tm_year + 1900 > 2261) {
			assert_int_equal(atr_time_parse(text, 20, &back), -EINVAL);
			continue;
		}
		assert_int_equal(atr_time_parse(text, 20, &back), 0);
		assert_true(back == (uint64_t)seconds * 1000000000);
	}
}

/* Invariant: one text for each time; whatever is no such text is refused. */
static void time_forms(void **state)
{
	static const struct {
		uint64_t ns;
		const char *text;
	} good[] = {
		{0, "1970-01-01T00:00:00Z"},
		{1, "1970-01-01T00:00:00.000000001Z"},
		{100000000, "1970-01-01T00:00:00.1Z"},
		{120000000, "1970-01-01T00:00:00.12Z"},
		{UINT64_C(951782400000000000), "2000-02-29T00:00:00Z"},
		{UINT64_C(1709251199999999999), "2024-02-29T23:59:59.999999999Z"},
		{UINT64_C(9214646399999999999), "2261-12-31T23:59:59.999999999Z"},
	};
	static const char *const bad[] = {
		"",
		"Z",
		"1969-12-31T23:59:59Z",
		"2262-01-01T00:00:00Z",
		"2023-02-29T00:00:00Z",
		"2100-02-29T00:00:00Z",
		"2024-02-30T00:00:00Z",
		"2024-04-31T00:00:00Z",
		"2024-00-01T00:00:00Z",
		"2024-13-01T00:00:00Z",
		"2024-01-00T00:00:00Z",
		"2024-01-32T00:00:00Z",
		"2024-01-01T24:00:00Z",
		"2024-01-01T00:60:00Z",
		"2024-12-31T23:59:60Z",
		"2024-01-01t00:00:00Z",
		"2024-01-01T00:00:00z",
		"2024-01-01 00:00:00Z",
		"2024-01-01T00:00:00",
		"2024-01-01T00:00:00+00:00",
		"2024-01-01T00:00:00.Z",
		"2024-01-01T00:00:00.0Z",
		"2024-01-01T00:00:00.10Z",
		"2024-01-01T00:00:00.1234567891Z",
		"2024-01-01T00:00:00,1Z",
		"2024-01-01T00:00:00.1 Z",
		"2024-1-01T00:00:00Z",
		"+024-01-01T00:00:00Z",
		"2024-01-01T00:00:0xZ",
		" 2024-01-01T00:00:00Z",
		"2024-01-01T00:00:00Z ",
		"2024-01-01T00:00:00.-1Z",
		"20240101T000000Z",
	};
	char text[32];
	uint64_t ns;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(atr_time_format(good[i].ns, text), strlen(good[i].text));
		assert_string_equal(text, good[i].text);
		assert_int_equal(atr_time_parse(text, strlen(text), &ns), 0);
		assert_true(ns == good[i].ns);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (atr_time_parse(bad[i], strlen(bad[i]), &ns) != -EINVAL)
			fail_msg("%s", bad[i]);
	assert_true(atr_time_format(UINT64_MAX, text) == 30);
	assert_string_equal(text, "2554-07-21T23:34:33.709551615Z");
}

static int set_up(void **state)
{
	(void)state;
	if (atr_sign_init() != 0)
		return -1;
	parser = atr_json_parser_create();
	signer = atr_signer_generate();
	if (!parser || !signer)
		return -1;
	atr_signer_public(signer, public_key);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	atr_signer_free(signer);
	atr_json_parser_destroy(parser);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_envelope),  cmocka_unit_test(refusals),
		cmocka_unit_test(name_bound),     cmocka_unit_test(one_encoding),
		cmocka_unit_test(signed_bytes),   cmocka_unit_test(build_and_verify),
		cmocka_unit_test(build_refusals), cmocka_unit_test(uuids),
		cmocka_unit_test(every_day),      cmocka_unit_test(time_forms),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
