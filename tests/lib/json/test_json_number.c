/* SPDX-License-Identifier: BSD-3-Clause */
#include <math.h>

#include "test_json.h"

static double from_bits(uint64_t bits)
{
	double value;

	memcpy(&value, &bits, sizeof(value));
	return value;
}

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static struct atr_json_parser *parser;

/* Invariant: text of value reads back as value, and is what RFC 8785 demands if expected. */
static void check_number(double value, const char *expected)
{
	const struct atr_json *root;
	char text[32];
	int length = atr_json_number(value, text);

	assert_int_equal(length, strlen(text));
	if (expected)
		assert_string_equal(text, expected);
	/* Integers of up to 21 digits are written without exponent, so those beyond 2^53-1 do not
	 * parse again: I-JSON refuses them. */
	if (fabs(value) > 9007199254740991.0 && fabs(value) < 1e21) {
		assert_int_equal(parse_text(parser, text, &root), ATR_REASON_JSON_NUMBER);
		assert_true(strtod(text, NULL) == value);
		return;
	}
	assert_int_equal(parse_text(parser, text, &root), ATR_OK);
	assert_int_equal(root->type, ATR_JSON_NUMBER);
	assert_true(root->number == value);
}

/* Invariant: RFC 8785 appendix B. */
static void appendix_b(void **state)
{
	static const struct {
		uint64_t bits;
		const char *text;
	} rows[] = {
		{0x0000000000000000, "0"},
		{0x8000000000000000, "0"},
		{0x0000000000000001, "5e-324"},
		{0x8000000000000001, "-5e-324"},
		{0x7fefffffffffffff, "1.7976931348623157e+308"},
		{0xffefffffffffffff, "-1.7976931348623157e+308"},
		{0x4340000000000000, "9007199254740992"},
		{0xc340000000000000, "-9007199254740992"},
		{0x4430000000000000, "295147905179352830000"},
		{0x44b52d02c7e14af5, "9.999999999999997e+22"},
		{0x44b52d02c7e14af6, "1e+23"},
		{0x44b52d02c7e14af7, "1.0000000000000001e+23"},
		{0x444b1ae4d6e2ef4e, "999999999999999700000"},
		{0x444b1ae4d6e2ef4f, "999999999999999900000"},
		{0x444b1ae4d6e2ef50, "1e+21"},
		{0x3eb0c6f7a0b5ed8c, "9.999999999999997e-7"},
		{0x3eb0c6f7a0b5ed8d, "0.000001"},
		{0x41b3de4355555553, "333333333.3333332"},
		{0x41b3de4355555554, "333333333.33333325"},
		{0x41b3de4355555555, "333333333.3333333"},
		{0x41b3de4355555556, "333333333.3333334"},
		{0x41b3de4355555557, "333333333.33333343"},
		{0xbecbf647612f3696, "-0.0000033333333333333333"},
		{0x43143ff3c1cb0959, "1424953923781206.2"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		check_number(from_bits(rows[i].bits), rows[i].text);
}

/* Invariant: powers of two and their neighbours round-trip; integers print all digits. */
static void powers_of_two(void **state)
{
	char expected[32];

	(void)state;
	for (int e = -1074; e <= 1023; e++) {
		double p = ldexp(1.0, e);

		check_number(p, NULL);
		check_number(-p, NULL);
		check_number(nextafter(p, INFINITY), NULL);
		check_number(nextafter(p, 0), NULL);
	}
	for (int e = 0; e <= 52; e++) {
		int64_t p = INT64_C(1) << e;

		for (int64_t d = -1; d <= 1; d++) {
			snprintf(expected, sizeof(expected), "%lld", (long long)(p + d));
			check_number((double)(p + d), expected);
		}
	}
	check_number(9007199254740991.0, "9007199254740991");
}

/* Invariant: for any double the text is the shortest that reads back (tried with %.{1..17}g). */
static void random_doubles(void **state)
{
	uint64_t seed = 0x9E3779B97F4A7C15;

	(void)state;
	for (unsigned int i = 0; i < 100000; i++) {
		double value = from_bits(next_random(&seed));
		char text[32], shortest[64];
		unsigned int digits = 0, least = 1;

		if (i % 2)
			value = (double)(int64_t)(next_random(&seed) % 2000000000) /
				pow(10, (double)(next_random(&seed) % 12));
		if (!isfinite(value))
			continue;
		check_number(value, NULL);
		if (i % 8 > 1 || value == 0)
			continue;
		for (; least < 17; least++) {
			snprintf(shortest, sizeof(shortest), "%.*e", (int)least - 1, value);
			if (strtod(shortest, NULL) == value)
				break;
		}
		atr_json_number(value, text);
		for (const char *c = text + strspn(text, "-0."); *c && *c != 'e'; c++)
			digits += *c != '.';
		if (!strpbrk(text, ".e"))
			for (const char *c = text + strlen(text); *--c == '0';)
				digits--;
		assert_int_equal(digits, least);
	}
}

/* Invariant: decimal text reads as the C library's correctly rounded value, on every path. */
static void decimals_round_correctly(void **state)
{
	uint64_t seed = 0xD1B54A32D192ED03;
	const struct atr_json *root;
	char text[96];

	(void)state;
	for (unsigned int i = 0; i < 100000; i++) {
		uint64_t whole = next_random(&seed) >> (next_random(&seed) % 64);
		uint64_t part = next_random(&seed) >> (next_random(&seed) % 64);
		int exponent = (int)(next_random(&seed) % 80) - 40;

		snprintf(text, sizeof(text), "%s%llu.%lluE%+d", i % 3 ? "" : "-",
			 (unsigned long long)whole, (unsigned long long)part, exponent);
		assert_int_equal(parse_text(parser, text, &root), ATR_OK);
		assert_true(root->number == strtod(text, NULL));
	}
}

/* Invariant: the grammar and the limits of numbers, at the boundary. */
static void forms(void **state)
{
	static const struct {
		const char *text;
		uint8_t reason;
	} rows[] = {
		{"0", ATR_OK},
		{"-0", ATR_OK},
		{"-0.0", ATR_OK},
		{"0e999999999999", ATR_OK},
		{"1e-400", ATR_OK},
		{"9007199254740991", ATR_OK},
		{"-9007199254740991", ATR_OK},
		{"9007199254740992", ATR_REASON_JSON_NUMBER},
		{"-9007199254740992", ATR_REASON_JSON_NUMBER},
		{"9007199254740993", ATR_REASON_JSON_NUMBER},
		{"18446744073709551617", ATR_REASON_JSON_NUMBER},
		{"9007199254740992.0", ATR_OK},
		{"1e300", ATR_OK},
		{"1.7976931348623157e308", ATR_OK},
		{"1.7976931348623159e308", ATR_REASON_JSON_NUMBER},
		{"1e309", ATR_REASON_JSON_NUMBER},
		{"-1e999999999999", ATR_REASON_JSON_NUMBER},
		{"01", ATR_REASON_JSON_TRAILING},
		{"-", ATR_REASON_JSON_SYNTAX},
		{"-a", ATR_REASON_JSON_SYNTAX},
		{"+1", ATR_REASON_JSON_SYNTAX},
		{".5", ATR_REASON_JSON_SYNTAX},
		{"1.", ATR_REASON_JSON_SYNTAX},
		{"1.e1", ATR_REASON_JSON_SYNTAX},
		{"1e", ATR_REASON_JSON_SYNTAX},
		{"1e+", ATR_REASON_JSON_SYNTAX},
		{"0x1", ATR_REASON_JSON_TRAILING},
		{"1_0", ATR_REASON_JSON_TRAILING},
		{"NaN", ATR_REASON_JSON_SYNTAX},
		{"Infinity", ATR_REASON_JSON_SYNTAX},
		{"-Infinity", ATR_REASON_JSON_SYNTAX},
	};
	const struct atr_json *root;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (parse_text(parser, rows[i].text, &root) != rows[i].reason)
			fail_msg("%s", rows[i].text);
	assert_int_equal(parse_text(parser, "[-0,-0.0,1.0,1E1,0.10]", &root), ATR_OK);
	assert_true(atr_json_is_canonical(root, "[0,0,1,10,0.1]", 14));
}

static int create_parser(void **state)
{
	(void)state;
	parser = atr_json_parser_create();
	return parser ? 0 : -1;
}

static int destroy_parser(void **state)
{
	(void)state;
	atr_json_parser_destroy(parser);
	return 0;
}

int run_number_tests(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(appendix_b),     cmocka_unit_test(powers_of_two),
		cmocka_unit_test(random_doubles), cmocka_unit_test(decimals_round_correctly),
		cmocka_unit_test(forms),
	};

	return cmocka_run_group_tests(tests, create_parser, destroy_parser);
}
