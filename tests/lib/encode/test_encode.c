/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "../../../lib/encode/encode.h"
#include "../../../lib/reason/reason.h"

#define RANDOM_ROUNDS 20000

static const struct atr_field fields[] = {
	{.name = "mag",
	 .kind = ATR_FIELD_I16,
	 .offset = 0,
	 .width = 2,
	 .scale = 2,
	 .has_absent = true,
	 .absent_raw = -32768,
	 .min_raw = -500,
	 .max_raw = 1200},
	{.name = "id", .kind = ATR_FIELD_U64, .offset = 2, .width = 8, .max_raw = -1},
	{.name = "kind",
	 .kind = ATR_FIELD_U8,
	 .offset = 10,
	 .width = 1,
	 .max_raw = 9,
	 .enum_count = 3,
	 .enum_raw = {1, 4, 9}},
	{.name = "code", .kind = ATR_FIELD_TEXT, .offset = 12, .width = 8},
	{.name = "deep",
	 .kind = ATR_FIELD_I32,
	 .offset = 20,
	 .width = 4,
	 .min_raw = INT32_MIN,
	 .max_raw = INT32_MAX},
};
#define FIELDS (sizeof(fields) / sizeof(fields[0]))
#define FIXED  24
#define TAIL   100

static struct atr_type type = {.present = true,
			       .id = 1,
			       .fields = fields,
			       .field_count = FIELDS,
			       .fixed_size = FIXED,
			       .tail_max = TAIL,
			       .name = "quake",
			       .tail_name = "place"};
static struct atr_json_parser *parser;
static uint8_t out[ATR_ENCODE_BUFFER];
static char error[256];

static int setup(void **state)
{
	(void)state;
	atr_typecheck_select(64);
	parser = atr_json_parser_create();
	type.binary = atr_typecheck_compile(fields, FIELDS, FIXED, TAIL, error, sizeof(error));
	return parser && type.binary ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	atr_typecheck_free(type.binary);
	atr_json_parser_destroy(parser);
	return 0;
}

static int encode(const char *text)
{
	const struct atr_json *root;

	error[0] = '\0';
	assert_int_equal(atr_json_parse(parser, text, strlen(text), &root, NULL), ATR_OK);
	return atr_encode_payload(&type, root, out, error, sizeof(error));
}

static void refuses(const char *text, const char *part)
{
	assert_int_equal(encode(text), -EINVAL);
	if (!strstr(error, part))
		fail_msg("'%s' gave '%s', not '%s'", text, error, part);
}

static int parse(const char *text, unsigned int scale, bool is_unsigned, int64_t *raw)
{
	return atr_decimal_parse(text, strlen(text), scale, is_unsigned, raw);
}

/* Invariant: a decimal becomes raw = value * 10^scale exactly, or is refused; nothing rounds. */
static void decimals_are_exact(void **state)
{
	static const struct {
		const char *text;
		unsigned int scale;
		bool is_unsigned;
		int err;
		int64_t raw;
	} cases[] = {
		{"0", 0, false, 0, 0},
		{"-0", 3, false, 0, 0},
		{"-0", 0, true, 0, 0},
		{"1.5", 1, false, 0, 15},
		{"1.50", 1, false, 0, 15},
		{"1.51", 1, false, -EDOM, 0},
		{"1.5000000000000000000000000000000000", 1, false, 0, 15},
		{"15e-1", 1, false, 0, 15},
		{"1.5e3", 0, false, 0, 1500},
		{"1e-9", 9, false, 0, 1},
		{"1e-10", 9, false, -EDOM, 0},
		{"0e99999999999", 0, false, 0, 0},
		{"1e99999999999", 0, false, -ERANGE, 0},
		{"1e-99999999999", 0, false, -EDOM, 0},
		{"9223372036854775807", 0, false, 0, INT64_MAX},
		{"9223372036854775808", 0, false, -ERANGE, 0},
		{"-9223372036854775808", 0, false, 0, INT64_MIN},
		{"-9223372036854775809", 0, false, -ERANGE, 0},
		{"18446744073709551615", 0, true, 0, -1},
		{"18446744073709551616", 0, true, -ERANGE, 0},
		{"-1", 0, true, -ERANGE, 0},
		{"", 0, false, -EINVAL, 0},
		{"-", 0, false, -EINVAL, 0},
		{"+1", 0, false, -EINVAL, 0},
		{"01", 0, false, -EINVAL, 0},
		{"1.", 0, false, -EINVAL, 0},
		{".5", 1, false, -EINVAL, 0},
		{"1e", 0, false, -EINVAL, 0},
		{"1e+", 0, false, -EINVAL, 0},
		{"1x", 0, false, -EINVAL, 0},
		{"0x10", 0, false, -EINVAL, 0},
		{" 1", 0, false, -EINVAL, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int64_t raw = 0;
		int err = parse(cases[i].text, cases[i].scale, cases[i].is_unsigned, &raw);

		if (err != cases[i].err || (!err && raw != cases[i].raw))
			fail_msg("'%s': %d, %lld", cases[i].text, err, (long long)raw);
	}
}

/* Invariant: zeros behind the point and the exponent make up for each other, however many. Both
 * were once cut at a thousand, and another number came out. */
static void long_fractions_keep_their_exponent(void **state)
{
	static const struct {
		int zeros;
		const char *tail;
		int err;
		int64_t raw;
	} cases[] = {
		{1500, "1e1501", 0, 1},        {1500, "1e1503", 0, 100},
		{1500, "1e1005", -EDOM, 0},    {20000, "1e20005", 0, 10000},
		{7999, "1e80000", -ERANGE, 0}, {1500, "e99999999999", 0, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[20100] = "0.";
		int64_t raw = 0;

		memset(text + 2, '0', (size_t)cases[i].zeros);
		strcpy(text + 2 + cases[i].zeros, cases[i].tail);
		assert_int_equal(parse(text, 0, false, &raw), cases[i].err);
		assert_int_equal(raw, cases[i].raw);
	}
}

/* Invariant: what format writes, parse reads back to the same bits, at every scale. */
static void decimals_round_trip(void **state)
{
	(void)state;
	srandom(1);
	for (int i = 0; i < RANDOM_ROUNDS; i++) {
		uint64_t bits = ((uint64_t)random() << 42) ^ ((uint64_t)random() << 21) ^
				(uint64_t)random();
		int64_t raw = (int64_t)(bits >> (random() % 64)), back;
		unsigned int scale = (unsigned int)(random() % 10);
		bool is_unsigned = random() % 2;
		char text[ATR_DECIMAL_MAX];
		int n;

		if (random() % 2)
			raw = -raw;
		n = atr_decimal_format(raw, scale, is_unsigned, text);
		assert_int_equal(n, strlen(text));
		assert_true(n < ATR_DECIMAL_MAX);
		assert_int_equal(parse(text, scale, is_unsigned, &back), 0);
		assert_true(back == raw);
	}
}

/* Invariant: the shortest exact text, without trailing zeros. */
static void decimals_are_short(void **state)
{
	char text[ATR_DECIMAL_MAX];

	(void)state;
	atr_decimal_format(1500, 3, false, text);
	assert_string_equal(text, "1.5");
	atr_decimal_format(-5, 3, false, text);
	assert_string_equal(text, "-0.005");
	atr_decimal_format(0, 9, false, text);
	assert_string_equal(text, "0");
	atr_decimal_format(INT64_MIN, 9, false, text);
	assert_string_equal(text, "-9223372036.854775808");
	atr_decimal_format(-1, 0, true, text);
	assert_string_equal(text, "18446744073709551615");
}

/* Invariant: members land at their offsets, little-endian, absent and missing ones as declared. */
static void payloads_are_laid_out(void **state)
{
	static const uint8_t want[FIXED + 2] = {0x3A, 0xFF, 7,    0,    0,    0,    0,   0,  0,
						0,    4,    0,    'a',  'b',  0,    0,   0,  0,
						0,    0,    0xFF, 0xFF, 0xFF, 0x7F, 'x', 'y'};

	(void)state;
	assert_int_equal(encode("{\"mag\":-1.98,\"id\":7,\"kind\":4,\"code\":\"ab\","
				"\"deep\":2147483647,\"place\":\"xy\"}"),
			 FIXED + 2);
	assert_memory_equal(out, want, sizeof(want));
	assert_int_equal(encode("{\"id\":0,\"kind\":1,\"deep\":0}"), FIXED);
	assert_true(atr_decode_absent(&fields[0], out));
	assert_int_equal(encode("{\"mag\":null,\"id\":0,\"kind\":1,\"deep\":0,\"code\":null}"),
			 FIXED);
	assert_true(atr_decode_absent(&fields[0], out));
}

/* Invariant: what does not fit is refused, and the sentence names the member. */
static void misfits_are_named(void **state)
{
	char text[256], tail[TAIL + 2];

	(void)state;
	refuses("{\"mag\":1.234,\"id\":0,\"kind\":1,\"deep\":0}", "'mag'");
	refuses("{\"mag\":12.01,\"id\":0,\"kind\":1,\"deep\":0}", "-5..12");
	refuses("{\"mag\":-327.68,\"id\":0,\"kind\":1,\"deep\":0}", "use null");
	refuses("{\"mag\":\"1\",\"id\":0,\"kind\":1,\"deep\":0}", "must be a number");
	refuses("{\"id\":-1,\"kind\":1,\"deep\":0}", "'id'");
	refuses("{\"id\":1e30,\"kind\":1,\"deep\":0}", "'id'");
	refuses("{\"id\":0,\"kind\":2,\"deep\":0}", "enumeration");
	refuses("{\"id\":0,\"kind\":1}", "'deep' of type 'quake' is required");
	refuses("{\"id\":0,\"kind\":1,\"deep\":null}", "required");
	refuses("{\"id\":0,\"kind\":1,\"deep\":0,\"code\":\"123456789\"}", "longer than 8");
	refuses("{\"id\":0,\"kind\":1,\"deep\":0,\"code\":\"a\\u0000b\"}", "control");
	refuses("{\"id\":0,\"kind\":1,\"deep\":0,\"code\":\"a\\nb\"}", "control");
	refuses("{\"id\":0,\"kind\":1,\"deep\":0,\"code\":7}", "must be a string");
	refuses("{\"id\":0,\"kind\":1,\"deep\":0,\"extra\":7}", "'extra'");
	refuses("{\"id\":0,\"kind\":1,\"deep\":0,\"ex\\u001b[2J\":7}", "'ex?[2J'");
	refuses("[1]", "must be an object");
	memset(tail, 'x', TAIL + 1);
	tail[TAIL + 1] = '\0';
	snprintf(text, sizeof(text), "{\"id\":0,\"kind\":1,\"deep\":0,\"place\":\"%s\"}", tail);
	refuses(text, "longer than 100");
	tail[TAIL] = '\0';
	snprintf(text, sizeof(text), "{\"id\":0,\"kind\":1,\"deep\":0,\"place\":\"%s\"}", tail);
	assert_int_equal(encode(text), FIXED + TAIL);
}

/* Invariant: types without a binary form are refused with a remedy, not read through NULL. */
static void types_without_binary_form(void **state)
{
	struct atr_type json_only = {.name = "j"};
	const struct atr_json *root;

	(void)state;
	assert_int_equal(atr_json_parse(parser, "{}", 2, &root, NULL), ATR_OK);
	assert_int_equal(atr_encode_payload(&json_only, root, out, error, sizeof(error)), -EINVAL);
	assert_non_null(strstr(error, "no binary form"));
}

/* Invariant: random values in range encode, pass the type's own gates, and decode to the same. */
static void payloads_round_trip(void **state)
{
	(void)state;
	srandom(2);
	for (int i = 0; i < RANDOM_ROUNDS; i++) {
		long mag = random() % 1701 - 500, deep = random() - random();
		size_t tail = (size_t)(random() % (TAIL + 1)), length;
		char text[512], number[ATR_DECIMAL_MAX], place[TAIL + 1];
		const char *read;
		int n;

		memset(place, 'a' + (int)(tail % 26), tail);
		place[tail] = '\0';
		atr_decimal_format(mag, 2, false, number);
		snprintf(text, sizeof(text),
			 "{\"mag\":%s,\"id\":%ld,\"kind\":9,\"deep\":%ld,\"place\":\"%s\"}", number,
			 random(), deep, place);
		n = encode(text);
		assert_int_equal(n, FIXED + tail);
		assert_true(atr_decode_raw(&fields[0], out) == mag);
		assert_true(atr_decode_raw(&fields[4], out) == deep);
		atr_decode_number(&fields[0], out, text);
		assert_string_equal(text, number);
		read = atr_decode_tail(&type, out, n > 36 ? (uint32_t)n : 36, &length);
		assert_int_equal(length, tail);
		assert_memory_equal(read, place, tail);
	}
}

/* Invariant: a payload shorter than the fixed part has no tail to read. */
static void short_payloads_have_no_tail(void **state)
{
	size_t length = 7;

	(void)state;
	assert_null(atr_decode_tail(&type, out, FIXED - 1, &length));
	assert_int_equal(length, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(decimals_are_exact),
		cmocka_unit_test(long_fractions_keep_their_exponent),
		cmocka_unit_test(decimals_round_trip),
		cmocka_unit_test(decimals_are_short),
		cmocka_unit_test(payloads_are_laid_out),
		cmocka_unit_test(misfits_are_named),
		cmocka_unit_test(types_without_binary_form),
		cmocka_unit_test(payloads_round_trip),
		cmocka_unit_test(short_payloads_have_no_tail),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
