/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <time.h>

#include "test_json.h"

static struct atr_json_parser *parser;

static void check_reason(const char *text, size_t length, uint8_t expected)
{
	const struct atr_json *root;
	uint8_t reason = parse_bytes(parser, text, length, &root);

	if (reason != expected)
		fail_msg("%.*s: %s", (int)length, text, atr_reason_name(reason));
}

/* Invariant: text has exactly this canonical form, which is a fixed point. */
static void check_canonical(const char *text, const char *canonical)
{
	size_t length = strlen(canonical);
	const struct atr_json *root;
	char out[4096];

	assert_int_equal(parse_text(parser, text, &root), ATR_OK);
	assert_int_equal(atr_json_canonical(root, NULL, out, sizeof(out)), length);
	assert_memory_equal(out, canonical, length);
	assert_int_equal(atr_json_canonical(root, NULL, out, length), length);
	assert_int_equal(atr_json_canonical(root, NULL, out, length - 1), -EMSGSIZE);
	assert_true(atr_json_is_canonical(root, canonical, length));
	assert_false(atr_json_is_canonical(root, canonical, length - 1));
	assert_int_equal(atr_json_is_canonical(root, text, strlen(text)),
			 strcmp(text, canonical) == 0);
	assert_int_equal(parse_text(parser, canonical, &root), ATR_OK);
	assert_true(atr_json_is_canonical(root, canonical, length));
}

static char *load(const char *folder, const char *name, const char *ending)
{
	char path[512];
	char *text = calloc(1, 8192);
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s/%s%s", JCS_VECTORS, folder, name, ending);
	file = fopen(path, "rb");
	assert_non_null(file);
	assert_non_null(text);
	assert_true(fread(text, 1, 8191, file) > 0);
	fclose(file);
	return text;
}

/* Invariant: every vector canonicalises to exactly its output, which outhex spells as well. */
static void jcs_vectors(void **state)
{
	static const char *const names[] = {"arrays",  "french", "structures",
					    "unicode", "values", "weird"};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char *input = load("input", names[i], ".json");
		char *output = load("output", names[i], ".json");
		char *hex = load("outhex", names[i], ".txt");
		char *at = hex;

		check_canonical(input, output);
		for (size_t n = 0; output[n]; n++)
			assert_int_equal(strtoul(at, &at, 16), (uint8_t)output[n]);
		assert_int_equal(strspn(at, " \n\r"), strlen(at));
		free(input);
		free(output);
		free(hex);
	}
}

/* Invariant: members sort by UTF-16 code units: astral characters before U+E000 and above. */
static void members_sort_like_utf16(void **state)
{
	(void)state;
	check_canonical(
		"{\"\\uFB33\":1,\"\\uD83D\\uDE00\":2,\"z\":3,\"\\u20ac\":4,\"\":5,\"zz\":6}",
		"{\"\":5,\"z\":3,\"zz\":6,\"\xE2\x82\xAC\":4,\"\xF0\x9F\x98\x80\":2,"
		"\"\xEF\xAC\xB3\":1}");
	check_canonical(
		"{\"a\\ue000\":1,\"a\\ud800\\udc00\":2,\"a\\ud7ff\":3,\"a\":4}",
		"{\"a\":4,\"a\xED\x9F\xBF\":3,\"a\xF0\x90\x80\x80\":2,\"a\xEE\x80\x80\":1}");
}

/* Invariant: escapes of RFC 8785: the short ones, \u00xx in lower case, nothing else. */
static void escapes(void **state)
{
	(void)state;
	check_canonical("\"\\u0000\\u0001\\b\\t\\n\\u000b\\f\\r\\u001F\\u0020\\\"\\\\\\/\\u007f\"",
			"\"\\u0000\\u0001\\b\\t\\n\\u000b\\f\\r\\u001f \\\"\\\\/\x7F\"");
	check_canonical("\"\\ud834\\uDD1E\\u00e9\\u0915\"",
			"\"\xF0\x9D\x84\x9E\xC3\xA9\xE0\xA4\x95\"");
	check_canonical(" [ 1 , {\t\"b\" : [ ] ,\r\n\"a\":{ } } , true,false,null ] ",
			"[1,{\"a\":{},\"b\":[]},true,false,null]");
}

/* Invariant: names are compared after unescaping; equal ones are refused wherever they stand. */
static void duplicates(void **state)
{
	static const char *const texts[] = {
		"{\"a\":1,\"a\":1}",
		"{\"a\":1,\"\\u0061\":2}",
		"{\"b\":1,\"c\":3,\"a\":1,\"b\":2}",
		"[{\"x\":{\"\\ud83d\\ude00\":1,\"y\":2,\"\xF0\x9F\x98\x80\":3}}]",
		"{\"\":1,\"\":2}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		check_reason(texts[i], strlen(texts[i]), ATR_REASON_JSON_DUPLICATE_NAME);
	check_reason("{\"a\":{\"a\":1},\"A\":{\"a\":1}}", 25, ATR_OK);
}

/* Invariant: only well-formed UTF-8 passes; surrogates and noncharacters never do. */
static void code_points(void **state)
{
	static const struct {
		const char *inside;
		uint8_t reason;
	} rows[] = {
		{"\xC2\x80", ATR_OK},
		{"\xDF\xBF", ATR_OK},
		{"\xE0\xA0\x80", ATR_OK},
		{"\xED\x9F\xBF", ATR_OK},
		{"\xEE\x80\x80", ATR_OK},
		{"\xEF\xBF\xBD", ATR_OK},
		{"\xF0\x90\x80\x80", ATR_OK},
		{"\xF4\x8F\xBF\xBD", ATR_OK},
		{"\x80", ATR_REASON_JSON_UTF8},
		{"\xBF", ATR_REASON_JSON_UTF8},
		{"\xC0\x80", ATR_REASON_JSON_UTF8},
		{"\xC1\xBF", ATR_REASON_JSON_UTF8},
		{"\xC2", ATR_REASON_JSON_UTF8},
		{"\xC2 ", ATR_REASON_JSON_UTF8},
		{"\xE0\x80\x80", ATR_REASON_JSON_UTF8},
		{"\xE0\x9F\xBF", ATR_REASON_JSON_UTF8},
		{"\xE2\x82", ATR_REASON_JSON_UTF8},
		{"\xE2\x82 ", ATR_REASON_JSON_UTF8},
		{"\xED\xA0\x80", ATR_REASON_JSON_UTF8},
		{"\xED\xBF\xBF", ATR_REASON_JSON_UTF8},
		{"\xF0\x80\x80\x80", ATR_REASON_JSON_UTF8},
		{"\xF0\x8F\xBF\xBF", ATR_REASON_JSON_UTF8},
		{"\xF0\x9F\x98", ATR_REASON_JSON_UTF8},
		{"\xF4\x90\x80\x80", ATR_REASON_JSON_UTF8},
		{"\xF5\x80\x80\x80", ATR_REASON_JSON_UTF8},
		{"\xFE", ATR_REASON_JSON_UTF8},
		{"\xFF", ATR_REASON_JSON_UTF8},
		{"\xEF\xBF\xBF", ATR_REASON_JSON_SURROGATE},
		{"\xEF\xB7\x90", ATR_REASON_JSON_SURROGATE},
		{"\xF4\x8F\xBF\xBF", ATR_REASON_JSON_SURROGATE},
		{"\\ufffe", ATR_REASON_JSON_SURROGATE},
		{"\\ud83f\\udfff", ATR_REASON_JSON_SURROGATE},
		{"\\ud800", ATR_REASON_JSON_SURROGATE},
		{"\\udc00", ATR_REASON_JSON_SURROGATE},
		{"\\udbff", ATR_REASON_JSON_SURROGATE},
		{"\\udfff\\ud800", ATR_REASON_JSON_SURROGATE},
		{"\\ud800\\ud800", ATR_REASON_JSON_SURROGATE},
		{"\\ud800x", ATR_REASON_JSON_SURROGATE},
		{"\\ud800\\n", ATR_REASON_JSON_SURROGATE},
		{"\\ud800\\u00", ATR_REASON_JSON_SYNTAX},
		{"\\u12g4", ATR_REASON_JSON_SYNTAX},
		{"\\u", ATR_REASON_JSON_SYNTAX},
		{"\\U0041", ATR_REASON_JSON_SYNTAX},
		{"\\x41", ATR_REASON_JSON_SYNTAX},
		{"\x1F", ATR_REASON_JSON_SYNTAX},
		{"\n", ATR_REASON_JSON_SYNTAX},
	};
	char text[64];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (int shift = 0; shift < 9; shift++) {
			int length = snprintf(text, sizeof(text), "\"%.*s%s\"", shift, "abcdefghi",
					      rows[i].inside);

			check_reason(text, (size_t)length, rows[i].reason);
			length = snprintf(text, sizeof(text), "{\"%.*s%s\":1}", shift, "abcdefghi",
					  rows[i].inside);
			check_reason(text, (size_t)length, rows[i].reason);
		}
	}
	check_reason("\"a\0b\"", 5, ATR_REASON_JSON_SYNTAX);
	check_reason("\"\xE2\x82", 3, ATR_REASON_JSON_UTF8);
}

/* Invariant: nothing but JSON's grammar passes, and every prefix of a document is refused. */
static void syntax(void **state)
{
	static const char *const broken[] = {
		"",
		" ",
		"{",
		"[",
		"}",
		"]",
		"[1,]",
		"[,1]",
		"[1 2]",
		"{\"a\"}",
		"{\"a\":}",
		"{\"a\":1,}",
		"{,}",
		"{a:1}",
		"{1:1}",
		"{\"a\" 1}",
		"[1}",
		"{\"a\":1]",
		"nul",
		"tru",
		"fals",
		"nulL",
		"True",
		"'a'",
		"\"",
		"\"a",
		"\"\\",
		"\xEF\xBB\xBF{}",
		"/**/1",
		"[",
		"\v1",
		"\xC2\xA0",
		"{\"a\":1 \"b\":2}",
		"[[]",
		"{\"a\":{}",
	};
	static const char *const trailing[] = {"1 2", "{}x", "[]]", "null,", "\"a\"\"b\"", "{}{}"};
	const char *whole = "{\"a\":[1.5e1,\"x\\u0041\\n\",null,{\"b\":true}],\"c\":false}";

	(void)state;
	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++)
		check_reason(broken[i], strlen(broken[i]), ATR_REASON_JSON_SYNTAX);
	for (size_t i = 0; i < sizeof(trailing) / sizeof(trailing[0]); i++)
		check_reason(trailing[i], strlen(trailing[i]), ATR_REASON_JSON_TRAILING);
	for (size_t n = 0; n < strlen(whole); n++)
		check_reason(whole, n, ATR_REASON_JSON_SYNTAX);
	check_reason(whole, strlen(whole), ATR_OK);
	check_reason("1\0", 2, ATR_REASON_JSON_TRAILING);
}

/* Invariant: depth, values and bytes are bounded exactly where the header says. */
static void bounds(void **state)
{
	static char text[ATR_JSON_BYTES_MAX + 2];
	const struct atr_json *root;
	size_t length = 0;

	(void)state;
	for (int n = ATR_JSON_DEPTH_MAX; n <= ATR_JSON_DEPTH_MAX + 1; n++) {
		memset(text, '[', (size_t)n);
		memset(text + n, ']', (size_t)n);
		check_reason(text, 2 * (size_t)n,
			     n > ATR_JSON_DEPTH_MAX ? ATR_REASON_JSON_DEPTH : ATR_OK);
	}
	memset(text, '[', ATR_JSON_BYTES_MAX);
	check_reason(text, ATR_JSON_BYTES_MAX, ATR_REASON_JSON_DEPTH);

	text[length++] = '[';
	for (int n = 1; n < ATR_JSON_NODES_MAX; n++) {
		text[length++] = '7';
		text[length++] = n == ATR_JSON_NODES_MAX - 1 ? ']' : ',';
	}
	assert_int_equal(parse_bytes(parser, text, length, &root), ATR_OK);
	assert_int_equal(root->count, ATR_JSON_NODES_MAX - 1);
	memcpy(text + length - 1, ",7]", 3);
	check_reason(text, length + 2, ATR_REASON_JSON_SIZE);

	memset(text, 'a', sizeof(text));
	text[0] = text[ATR_JSON_BYTES_MAX - 1] = '"';
	assert_int_equal(parse_bytes(parser, text, ATR_JSON_BYTES_MAX, &root), ATR_OK);
	assert_int_equal(root->string_length, ATR_JSON_BYTES_MAX - 2);
	text[ATR_JSON_BYTES_MAX] = ' ';
	check_reason(text, ATR_JSON_BYTES_MAX + 1, ATR_REASON_JSON_SIZE);
}

/* Invariant: strings report bytes and code points, may hold NUL, and never end early. */
static void strings(void **state)
{
	const struct atr_json *root, *member;

	(void)state;
	assert_int_equal(
		parse_text(parser, "{\"k\\u0000\":\"\\u0000\xF0\x9F\x98\x80\\u00e9x\"}", &root),
		ATR_OK);
	assert_null(atr_json_member(root, "k"));
	member = root->child;
	assert_int_equal(member->name_length, 2);
	assert_memory_equal(member->name, "k\0", 2);
	assert_int_equal(member->count, 4);
	assert_int_equal(member->string_length, 8);
	assert_memory_equal(member->string, "\0\xF0\x9F\x98\x80\xC3\xA9x", 8);
	assert_int_equal(member->offset, 11);
	assert_int_equal(parse_text(parser, "{\"a\":\"x\",\"b\":[\"ab\"]}", &root), ATR_OK);
	assert_true(atr_json_string_is(atr_json_member(root, "a"), "x"));
	assert_false(atr_json_string_is(atr_json_member(root, "a"), "xy"));
	assert_false(atr_json_string_is(atr_json_member(root, "b"), "ab"));
	assert_null(atr_json_member(root, "c"));
	assert_null(atr_json_member(atr_json_member(root, "a"), "a"));
}

/* Invariant: except leaves out that member of the top level and no other. */
static void except_member(void **state)
{
	const struct atr_json *root;
	char out[64];
	int length;

	(void)state;
	assert_int_equal(parse_text(parser, "{\"c\":1,\"b\":{\"b\":2},\"a\":3}", &root), ATR_OK);
	length = atr_json_canonical(root, "b", out, sizeof(out));
	assert_int_equal(length, 13);
	assert_memory_equal(out, "{\"a\":3,\"c\":1}", 13);
	length = atr_json_canonical(root, "a", out, sizeof(out));
	assert_int_equal(length, 19);
	assert_memory_equal(out, "{\"b\":{\"b\":2},\"c\":1}", 19);
}

/* Invariant: equality is by value: order of members and form of numbers do not matter. */
static void equality(void **state)
{
	struct atr_json_parser *other = atr_json_parser_create();
	static const struct {
		const char *a, *b;
		bool equal;
	} rows[] = {
		{"{\"a\":[1,2.0],\"b\":null}", "{\"b\":null,\"a\":[1e0,2]}", true},
		{"-0", "0.0", true},
		{"[1,2]", "[2,1]", false},
		{"[1]", "[1,1]", false},
		{"{\"a\":1}", "{\"b\":1}", false},
		{"{\"a\":1}", "{\"a\":2}", false},
		{"true", "false", false},
		{"\"a\"", "\"b\"", false},
		{"\"a\"", "\"aa\"", false},
		{"0", "\"0\"", false},
		{"{}", "[]", false},
	};

	(void)state;
	assert_non_null(other);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct atr_json *a, *b;

		assert_int_equal(parse_text(parser, rows[i].a, &a), ATR_OK);
		assert_int_equal(parse_text(other, rows[i].b, &b), ATR_OK);
		assert_int_equal(atr_json_equal(a, b), rows[i].equal);
		assert_int_equal(atr_json_equal(b, a), rows[i].equal);
	}
	atr_json_parser_destroy(other);
}

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* Invariant: 4,000 members in any order are parsed in time far from quadratic, sorted, and one
 * duplicate among them is found. A quadratic sort takes 8 million comparisons a document; 50
 * documents in 2 s leave only room for 400,000 a document, even at 100 ns each. */
static void many_members(void **state)
{
	static char text[ATR_JSON_BYTES_MAX];
	const struct atr_json *root;
	double start;

	(void)state;
	for (int order = 0; order < 3; order++) {
		size_t length = 1;
		uint32_t n = 0;

		text[0] = '{';
		for (uint32_t i = 0; i < 4000; i++) {
			n = order == 0 ? i : order == 1 ? 3999 - i : i * 1657 % 4001;
			length += (size_t)snprintf(text + length, 32, "\"k%06u\":1%s", n,
						   i == 3999 ? "}" : ",");
		}
		start = seconds();
		for (int i = 0; i < 50; i++)
			assert_int_equal(atr_json_parse(parser, text, length, &root, NULL), ATR_OK);
		assert_true(seconds() - start < 2);
		assert_int_equal(root->count, 4000);
		for (const struct atr_json *m = root->child; m->next; m = m->next)
			assert_true(memcmp(m->name, m->next->name, m->name_length) < 0);
		length--;
		length += (size_t)snprintf(text + length, 32, ",\"k%06u\":1}", n);
		check_reason(text, length, ATR_REASON_JSON_DUPLICATE_NAME);
	}
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
		cmocka_unit_test(jcs_vectors),   cmocka_unit_test(members_sort_like_utf16),
		cmocka_unit_test(escapes),       cmocka_unit_test(duplicates),
		cmocka_unit_test(code_points),   cmocka_unit_test(syntax),
		cmocka_unit_test(bounds),        cmocka_unit_test(strings),
		cmocka_unit_test(except_member), cmocka_unit_test(equality),
		cmocka_unit_test(many_members),
	};

	return cmocka_run_group_tests(tests, create_parser, destroy_parser) + run_number_tests() +
	       run_order_tests();
}
