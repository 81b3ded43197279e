/* SPDX-License-Identifier: BSD-3-Clause */
#include <time.h>

#include "test_schema.h"

static struct atr_json_parser *parser;

static uint8_t validate(const struct atr_schema *schema, const char *text, char *path, size_t size)
{
	const struct atr_json *root;

	assert_int_equal(atr_json_parse(parser, text, strlen(text), &root, NULL), ATR_OK);
	return atr_schema_validate(schema, root, path, size);
}

static void check(const char *document, const char *text, uint8_t expected)
{
	char error[ERROR_SIZE], path[64];
	struct atr_schema *schema = compile(document, error);
	uint8_t reason;

	if (!schema)
		fail_msg("%s", error);
	reason = validate(schema, text, path, sizeof(path));
	if (reason != expected)
		fail_msg("%s with %s: %s at '%s'", document, text, atr_reason_name(reason), path);
	assert_int_equal(validate(schema, text, NULL, 0), expected);
	atr_schema_free(schema);
}

struct row {
	const char *document, *text;
	uint8_t reason;
};

static void check_rows(const struct row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++)
		check(rows[i].document, rows[i].text, rows[i].reason);
}
#define CHECK_ROWS(rows) check_rows(rows, sizeof(rows) / sizeof((rows)[0]))

/* Invariant: type, const and enum go by JSON value; 1.0 is an integer. */
static void types_and_literals(void **state)
{
	static const char *const names[] = {"null",   "boolean", "integer", "number",
					    "string", "array",   "object"};
	static const char *const values[] = {"null", "true", "1.0", "1.5", "\"\"", "[]", "{}"};
	static const struct row rows[] = {
		{"{}", "{\"any\":[1,null]}", ATR_OK},
		{"{\"type\":[\"null\",\"string\"]}", "null", ATR_OK},
		{"{\"type\":[\"null\",\"string\"]}", "\"x\"", ATR_OK},
		{"{\"type\":[\"null\",\"string\"]}", "1", ATR_REASON_PAYLOAD_TYPE},
		{"{\"type\":\"integer\"}", "1e300", ATR_OK},
		{"{\"type\":\"integer\"}", "-0", ATR_OK},
		{"{\"type\":\"integer\"}", "1e-9", ATR_REASON_PAYLOAD_TYPE},
		{"{\"const\":{\"a\":[1,2.5],\"b\":null}}", "{\"b\":null,\"a\":[1.0,25e-1]}",
		 ATR_OK},
		{"{\"const\":{\"a\":1}}", "{\"a\":2}", ATR_REASON_PAYLOAD_CONST},
		{"{\"const\":null}", "null", ATR_OK},
		{"{\"const\":null}", "false", ATR_REASON_PAYLOAD_CONST},
		{"{\"const\":0.1}", "0.1", ATR_OK},
		{"{\"const\":0.1}", "0.10000000000000002", ATR_REASON_PAYLOAD_CONST},
		{"{\"const\":0}", "false", ATR_REASON_PAYLOAD_CONST},
		{"{\"enum\":[\"b\",\"a\",3,null,[1],{\"x\":1},0.5]}", "\"a\"", ATR_OK},
		{"{\"enum\":[\"b\",\"a\",3,null,[1],{\"x\":1},0.5]}", "[1.0]", ATR_OK},
		{"{\"enum\":[\"b\",\"a\",3,null,[1],{\"x\":1},0.5]}", "{\"x\":1}", ATR_OK},
		{"{\"enum\":[\"b\",\"a\",3,null,[1],{\"x\":1},0.5]}", "5e-1", ATR_OK},
		{"{\"enum\":[\"b\",\"a\",3,null,[1],{\"x\":1},0.5]}", "{\"y\":1}",
		 ATR_REASON_PAYLOAD_ENUM},
		{"{\"enum\":[\"b\",\"a\",3,null,[1],{\"x\":1},0.5]}", "\"\"",
		 ATR_REASON_PAYLOAD_ENUM},
		{"{\"enum\":[\"b\",\"a\",3,null,[1],{\"x\":1},0.5]}", "[]",
		 ATR_REASON_PAYLOAD_ENUM},
	};
	char document[64];

	(void)state;
	CHECK_ROWS(rows);
	for (size_t t = 0; t < 7; t++) {
		for (size_t v = 0; v < 7; v++) {
			bool fits = t == v || (t == 3 && v == 2);

			sprintf(document, "{\"type\":\"%s\"}", names[t]);
			check(document, values[v], fits ? ATR_OK : ATR_REASON_PAYLOAD_TYPE);
		}
	}
}

/* Invariant: numeric bounds are inclusive or not as named, and ignore what is no number. */
static void numbers(void **state)
{
	static const struct row rows[] = {
		{"{\"minimum\":-1.5}", "-1.5", ATR_OK},
		{"{\"minimum\":-1.5}", "-1.5000000000000002", ATR_REASON_PAYLOAD_RANGE},
		{"{\"maximum\":0}", "-0.0", ATR_OK},
		{"{\"maximum\":0}", "5e-324", ATR_REASON_PAYLOAD_RANGE},
		{"{\"exclusiveMinimum\":1}", "1", ATR_REASON_PAYLOAD_RANGE},
		{"{\"exclusiveMinimum\":1}", "1.0000000000000002", ATR_OK},
		{"{\"exclusiveMaximum\":1}", "1", ATR_REASON_PAYLOAD_RANGE},
		{"{\"exclusiveMaximum\":1}", "0.9999999999999999", ATR_OK},
		{"{\"minimum\":1,\"exclusiveMinimum\":2}", "2", ATR_REASON_PAYLOAD_RANGE},
		{"{\"minimum\":1}", "\"0\"", ATR_OK},
		{"{\"multipleOf\":2}", "\"1\"", ATR_OK},
		{"{\"multipleOf\":2}", "1e308", ATR_OK},
		{"{\"multipleOf\":3}", "1e308", ATR_REASON_PAYLOAD_MULTIPLE},
		{"{\"multipleOf\":2}", "-4", ATR_OK},
		{"{\"multipleOf\":2}", "5", ATR_REASON_PAYLOAD_MULTIPLE},
		{"{\"multipleOf\":2}", "0", ATR_OK},
		{"{\"multipleOf\":0.1}", "0.3", ATR_OK},
		{"{\"multipleOf\":0.01}", "1.13", ATR_OK},
		{"{\"multipleOf\":0.01}", "19.99", ATR_OK},
		{"{\"multipleOf\":0.01}", "4.35", ATR_OK},
		{"{\"multipleOf\":0.01}", "4.355", ATR_REASON_PAYLOAD_MULTIPLE},
		{"{\"multipleOf\":0.1}", "0.30000000000000004", ATR_REASON_PAYLOAD_MULTIPLE},
		{"{\"multipleOf\":0.0001}", "0.0075", ATR_OK},
		{"{\"multipleOf\":0.0001}", "0.00751", ATR_REASON_PAYLOAD_MULTIPLE},
		{"{\"multipleOf\":1e-8}", "12391239123", ATR_OK},
		{"{\"multipleOf\":1.5}", "4.5", ATR_OK},
		{"{\"multipleOf\":1.5}", "35", ATR_REASON_PAYLOAD_MULTIPLE},
		{"{\"multipleOf\":5e-324}", "1.7976931348623157e308", ATR_OK},
		{"{\"multipleOf\":1e300}", "1", ATR_REASON_PAYLOAD_MULTIPLE},
		{"{\"multipleOf\":1e300}", "3e300", ATR_OK},
		{"{\"multipleOf\":100}", "2500", ATR_OK},
		{"{\"multipleOf\":100}", "250", ATR_REASON_PAYLOAD_MULTIPLE},
	};

	(void)state;
	CHECK_ROWS(rows);
}

/* Invariant: multipleOf agrees with integer arithmetic on hundredths. */
static void multiples_like_integers(void **state)
{
	char document[64], text[32];

	(void)state;
	for (unsigned int divisor = 1; divisor < 130; divisor += 7) {
		sprintf(document, "{\"multipleOf\":%u.%02u}", divisor / 100, divisor % 100);
		for (unsigned int value = 0; value < 5000; value += 37) {
			sprintf(text, "%u.%02u", value / 100, value % 100);
			check(document, text,
			      value % divisor ? ATR_REASON_PAYLOAD_MULTIPLE : ATR_OK);
		}
	}
}

/* Invariant: lengths are code points; patterns search anywhere and know UTF-8. */
static void strings(void **state)
{
	static const struct row rows[] = {
		{"{\"minLength\":2}", "\"ab\"", ATR_OK},
		{"{\"minLength\":2}", "\"a\"", ATR_REASON_PAYLOAD_STRING_LENGTH},
		{"{\"minLength\":2}", "\"\\ud83d\\ude00\"", ATR_REASON_PAYLOAD_STRING_LENGTH},
		{"{\"maxLength\":1}", "\"\xF0\x9F\x98\x80\"", ATR_OK},
		{"{\"maxLength\":1}", "\"\\ud83d\\ude00\\ud83d\\ude00\"",
		 ATR_REASON_PAYLOAD_STRING_LENGTH},
		{"{\"maxLength\":0}", "\"\"", ATR_OK},
		{"{\"maxLength\":0}", "\"a\"", ATR_REASON_PAYLOAD_STRING_LENGTH},
		{"{\"maxLength\":0}", "[1]", ATR_OK},
		{"{\"pattern\":\"b+\"}", "\"abbc\"", ATR_OK},
		{"{\"pattern\":\"^b+$\"}", "\"abbc\"", ATR_REASON_PAYLOAD_PATTERN},
		{"{\"pattern\":\"^a$\"}", "\"a\\n\"", ATR_REASON_PAYLOAD_PATTERN},
		{"{\"pattern\":\"^.$\"}", "\"\xF0\x9F\x98\x80\"", ATR_OK},
		{"{\"pattern\":\"^a.c$\"}", "\"a\\nc\"", ATR_REASON_PAYLOAD_PATTERN},
		{"{\"pattern\":\"^a.c$\"}", "\"a\\rc\"", ATR_REASON_PAYLOAD_PATTERN},
		{"{\"pattern\":\"^a.c$\"}", "\"a\\u0000c\"", ATR_OK},
		{"{\"pattern\":\"^\\\\u00e9$\"}", "\"\\u00E9\"", ATR_OK},
		{"{\"pattern\":\"\"}", "\"\"", ATR_OK},
		{"{\"pattern\":\"[]\"}", "\"a\"", ATR_REASON_PAYLOAD_PATTERN},
		{"{\"pattern\":\"a\"}", "1", ATR_OK},
	};

	(void)state;
	CHECK_ROWS(rows);
}

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* Invariant: no text makes a pattern run long; what reaches the bound is refused as such. The
 * bound holds over all starting positions together, which PCRE2's own limits would not. */
static void pattern_bound(void **state)
{
	static const char *const documents[] = {
		"{\"pattern\":\"^(a+)+$\"}",
		"{\"pattern\":\"(a*)*[bc]\"}",
		"{\"pattern\":\"(a|aa)+$\"}",
		"{\"pattern\":\"a*a*a*a*a*[bc]\"}",
		"{\"pattern\":\"a*+[bc]\"}",
		"{\"pattern\":\"(?=a*+[bc])a\"}",
		"{\"pattern\":\"(a|b(?R)?)*\\\\1[cd]\"}",
	};
	static char text[60003];
	char error[ERROR_SIZE];

	(void)state;
	memset(text, 'a', sizeof(text) - 1);
	text[0] = '"';
	memcpy(text + sizeof(text) - 3, "!\"", 3);
	for (size_t i = 0; i < sizeof(documents) / sizeof(documents[0]); i++) {
		struct atr_schema *schema = compile(documents[i], error);
		double start = seconds();

		assert_non_null(schema);
		if (validate(schema, text, NULL, 0) != ATR_REASON_PAYLOAD_PATTERN_LIMIT)
			fail_msg("%s", documents[i]);
		assert_true(seconds() - start < 0.5);
		atr_schema_free(schema);
	}
	check("{\"pattern\":\"^[a-z]*!$\"}", text, ATR_OK);
	check("{\"pattern\":\"b\"}", text, ATR_REASON_PAYLOAD_PATTERN);
}

/* Bug: every string of a payload had a budget of its own for 'pattern', so that an array of them
 * could hold the control lcore as long as it liked. */
static void one_pattern_budget_a_payload(void **state)
{
	char error[ERROR_SIZE], text[64 * 512] = "[", one[512];
	struct atr_schema *schema = compile("{\"items\":{\"pattern\":\"[bc]d\"}}", error);

	(void)state;
	assert_non_null(schema);
	memset(one, 'b', 500);
	strcpy(one + 500, "d");
	for (unsigned int i = 0; i < 40; i++)
		sprintf(text + strlen(text), "%s\"%s\"", i ? "," : "", one);
	strcat(text, "]");
	assert_int_equal(validate(schema, text, NULL, 0), ATR_REASON_PAYLOAD_PATTERN_LIMIT);
	sprintf(text, "[\"%s\"]", one);
	assert_int_equal(validate(schema, text, NULL, 0), ATR_OK);
	atr_schema_free(schema);
}

/* Invariant: arrays: counts, members, and uniqueness by value at any size. */
static void arrays(void **state)
{
	static const struct row rows[] = {
		{"{\"minItems\":1}", "[]", ATR_REASON_PAYLOAD_ITEMS},
		{"{\"minItems\":1}", "[0]", ATR_OK},
		{"{\"maxItems\":1}", "[0,0]", ATR_REASON_PAYLOAD_ITEMS},
		{"{\"maxItems\":1}", "[0]", ATR_OK},
		{"{\"maxItems\":1}", "{\"a\":1,\"b\":2}", ATR_OK},
		{"{\"items\":{\"type\":\"integer\"}}", "[1,2,3]", ATR_OK},
		{"{\"items\":{\"type\":\"integer\"}}", "[1,2.5,3]", ATR_REASON_PAYLOAD_TYPE},
		{"{\"items\":{\"items\":{\"maximum\":1}}}", "[[1],[2]]", ATR_REASON_PAYLOAD_RANGE},
		{"{\"uniqueItems\":true}", "[]", ATR_OK},
		{"{\"uniqueItems\":true}", "[1,true,\"1\",[1],{\"a\":1},null,false,0]", ATR_OK},
		{"{\"uniqueItems\":true}", "[1,1.0]", ATR_REASON_PAYLOAD_UNIQUE},
		{"{\"uniqueItems\":true}", "[0,-0]", ATR_REASON_PAYLOAD_UNIQUE},
		{"{\"uniqueItems\":true}", "[{\"a\":1,\"b\":2},{\"b\":2,\"a\":1}]",
		 ATR_REASON_PAYLOAD_UNIQUE},
		{"{\"uniqueItems\":true}", "[[1,2],[2,1]]", ATR_OK},
		{"{\"uniqueItems\":false}", "[1,1]", ATR_OK},
		{"{\"uniqueItems\":true}", "[1,2,3,4,5,6,7,8,9,\"1\",[1]]", ATR_OK},
		{"{\"uniqueItems\":true}", "[1,2,3,4,5,6,7,8,9,[1],[1]]",
		 ATR_REASON_PAYLOAD_UNIQUE},
		{"{\"uniqueItems\":true}", "[1,2,3,4,5,6,7,8,9,[{\"a\":0}],[{\"a\":-0.0}]]",
		 ATR_REASON_PAYLOAD_UNIQUE},
	};

	(void)state;
	CHECK_ROWS(rows);
}

/* Invariant: uniqueness of thousands of items is found in far less than quadratic time: 100
 * documents of 4,000 items are 800 million pairs, and 2 s leave 2.5 ns for each. */
static void unique_is_fast(void **state)
{
	static char text[ATR_JSON_BYTES_MAX];
	const struct atr_json *root;
	char error[ERROR_SIZE];
	struct atr_schema *schema = compile("{\"uniqueItems\":true}", error);
	size_t length = 1;
	double start;

	(void)state;
	assert_non_null(schema);
	text[0] = '[';
	for (unsigned int i = 0; i < 4000; i++)
		length += (size_t)sprintf(text + length, "\"%u\"%s", 1000000 + i * 1657 % 4001,
					  i == 3999 ? "]" : ",");
	assert_int_equal(atr_json_parse(parser, text, length, &root, NULL), ATR_OK);
	start = seconds();
	for (int i = 0; i < 100; i++)
		assert_int_equal(atr_schema_validate(schema, root, NULL, 0), ATR_OK);
	assert_true(seconds() - start < 2);
	memcpy(text + length - 10, text + 1, 9);
	assert_int_equal(validate(schema, text, NULL, 0), ATR_REASON_PAYLOAD_UNIQUE);
	atr_schema_free(schema);
}

/* Invariant: on random arrays, uniqueness agrees with comparing each pair. */
static void unique_like_naive(void **state)
{
	char error[ERROR_SIZE], text[1024];
	struct atr_schema *schema = compile("{\"uniqueItems\":true}", error);
	uint32_t seed = 12345;

	(void)state;
	assert_non_null(schema);
	for (int round = 0; round < 20000; round++) {
		unsigned int values[24], count = 1 + (unsigned int)round % 24;
		bool unique = true;
		size_t length = 0;

		for (unsigned int i = 0; i < count; i++) {
			seed = seed * 1664525 + 1013904223;
			values[i] = (seed >> 16) % 200;
			for (unsigned int j = 0; j < i; j++)
				unique = unique && values[i] != values[j];
			/* Four kinds of values, told apart by the low bits. */
			static const char *const forms[] = {"%u", "\"%u\"", "[%u]", "{\"a\":%u}"};

			text[length++] = i == 0 ? '[' : ',';
			length += (size_t)sprintf(text + length, forms[values[i] % 4], values[i]);
		}
		text[length++] = ']';
		text[length] = '\0';
		assert_int_equal(validate(schema, text, NULL, 0),
				 unique ? ATR_OK : ATR_REASON_PAYLOAD_UNIQUE);
	}
	atr_schema_free(schema);
}

/* Invariant: objects: counts, required, declared and additional members, in any order. */
static void objects(void **state)
{
	static const char closed[] = "{\"additionalProperties\":false,\"properties\":{\"b\":{},"
				     "\"a\":{\"type\":\"null\"},\"\\ufb33\":{},"
				     "\"\\ud83d\\ude00\":{\"type\":\"string\"}}}";
	static const char mixed[] =
		"{\"required\":[\"z\",\"b\"],\"properties\":{\"b\":{\"minimum\":"
		"1}},\"additionalProperties\":{\"type\":\"string\"}}";
	static const struct row rows[] = {
		{"{\"minProperties\":1}", "{}", ATR_REASON_PAYLOAD_PROPERTIES},
		{"{\"minProperties\":1}", "{\"a\":0}", ATR_OK},
		{"{\"maxProperties\":1}", "{\"a\":0,\"b\":0}", ATR_REASON_PAYLOAD_PROPERTIES},
		{"{\"maxProperties\":1}", "{\"a\":0}", ATR_OK},
		{"{\"maxProperties\":1}", "[1,2]", ATR_OK},
		{"{\"required\":[\"a\"]}", "{}", ATR_REASON_PAYLOAD_REQUIRED},
		{"{\"required\":[\"a\"]}", "{\"aa\":1}", ATR_REASON_PAYLOAD_REQUIRED},
		{"{\"required\":[\"a\"]}", "{\"A\":1,\"a\":null,\"b\":1}", ATR_OK},
		{"{\"required\":[\"a\"]}", "\"a\"", ATR_OK},
		{"{\"required\":[\"a\",\"c\"]}", "{\"a\":1,\"b\":1}", ATR_REASON_PAYLOAD_REQUIRED},
		{closed, "{}", ATR_OK},
		{closed, "{\"a\":null,\"b\":1,\"\\ufb33\":1,\"\\ud83d\\ude00\":\"\"}", ATR_OK},
		{closed, "{\"\\ufb33\":1,\"\\ud83d\\ude00\":1}", ATR_REASON_PAYLOAD_TYPE},
		{closed, "{\"a\":1}", ATR_REASON_PAYLOAD_TYPE},
		{closed, "{\"\":1}", ATR_REASON_PAYLOAD_ADDITIONAL},
		{closed, "{\"aa\":1}", ATR_REASON_PAYLOAD_ADDITIONAL},
		{closed, "{\"a\":null,\"\\uffee\":1}", ATR_REASON_PAYLOAD_ADDITIONAL},
		{mixed, "{\"b\":1,\"z\":\"\"}", ATR_OK},
		{mixed, "{\"b\":0,\"z\":\"\"}", ATR_REASON_PAYLOAD_RANGE},
		{mixed, "{\"b\":1,\"z\":1}", ATR_REASON_PAYLOAD_TYPE},
		{mixed, "{\"b\":1}", ATR_REASON_PAYLOAD_REQUIRED},
		{mixed, "{\"z\":\"\"}", ATR_REASON_PAYLOAD_REQUIRED},
		{"{\"additionalProperties\":true}", "{\"x\":1}", ATR_OK},
		{"{\"additionalProperties\":{}}", "{\"x\":1}", ATR_OK},
	};

	(void)state;
	CHECK_ROWS(rows);
}

/* Invariant: the pointer names the offending value, escaped, whole tokens only. */
static void pointers(void **state)
{
	static const char document[] = "{\"properties\":{\"a/b~c\":{\"items\":{\"properties\":{"
				       "\"x\":{\"type\":\"null\"}},\"required\":[\"x\"]}}},"
				       "\"additionalProperties\":false}";
	static const char text[] = "{\"a/b~c\":[{\"x\":null},{\"x\":1}]}";
	char error[ERROR_SIZE], path[64];
	struct atr_schema *schema = compile(document, error);

	(void)state;
	assert_non_null(schema);
	assert_int_equal(validate(schema, text, path, sizeof(path)), ATR_REASON_PAYLOAD_TYPE);
	assert_string_equal(path, "/a~1b~0c/1/x");
	assert_int_equal(validate(schema, text, path, 13), ATR_REASON_PAYLOAD_TYPE);
	assert_string_equal(path, "/a~1b~0c/1/x");
	assert_int_equal(validate(schema, text, path, 12), ATR_REASON_PAYLOAD_TYPE);
	assert_string_equal(path, "/a~1b~0c/1");
	assert_int_equal(validate(schema, text, path, 9), ATR_REASON_PAYLOAD_TYPE);
	assert_string_equal(path, "/a~1b~0c");
	assert_int_equal(validate(schema, text, path, 8), ATR_REASON_PAYLOAD_TYPE);
	assert_string_equal(path, "");
	assert_int_equal(validate(schema, text, path, 1), ATR_REASON_PAYLOAD_TYPE);
	assert_string_equal(path, "");
	assert_int_equal(validate(schema, "{\"a/b~c\":[{}]}", path, sizeof(path)),
			 ATR_REASON_PAYLOAD_REQUIRED);
	assert_string_equal(path, "/a~1b~0c/0");
	assert_int_equal(validate(schema, "{\"y\":1}", path, sizeof(path)),
			 ATR_REASON_PAYLOAD_ADDITIONAL);
	assert_string_equal(path, "/y");
	assert_int_equal(validate(schema, "{}", path, sizeof(path)), ATR_OK);
	assert_string_equal(path, "");
	atr_schema_free(schema);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(types_and_literals),
		cmocka_unit_test(numbers),
		cmocka_unit_test(multiples_like_integers),
		cmocka_unit_test(strings),
		cmocka_unit_test(pattern_bound),
		cmocka_unit_test(one_pattern_budget_a_payload),
		cmocka_unit_test(arrays),
		cmocka_unit_test(unique_is_fast),
		cmocka_unit_test(unique_like_naive),
		cmocka_unit_test(objects),
		cmocka_unit_test(pointers),
	};

	return cmocka_run_group_tests(tests, create_parser, destroy_parser) + run_load_tests();
}
