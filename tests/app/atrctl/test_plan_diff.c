/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "../../../app/atrctl/plan_diff.h"

#define MANY 3000 /* more elements than are told one by one */

static json_t *parse(const char *text)
{
	json_error_t error;
	json_t *value = json_loads(text, JSON_DECODE_ANY, &error);

	if (!value)
		fail_msg("%s: %s", text, error.text);
	return value;
}

/* The changes as compact JSON. */
static char *diff(const char *old, const char *new)
{
	json_t *before = parse(old), *after = parse(new), *changes = plan_diff(before, after);
	char *text = json_dumps(changes, JSON_COMPACT | JSON_SORT_KEYS);

	json_decref(before);
	json_decref(after);
	json_decref(changes);
	return text;
}

static void assert_diff(const char *old, const char *new, const char *expected)
{
	char *text = diff(old, new);

	assert_string_equal(text, expected);
	free(text);
}

/* Invariant: equal plans differ in nothing, however their elements are ordered. */
static void test_nothing(void **state)
{
	(void)state;
	assert_diff("{}", "{}", "[]");
	assert_diff("{\"topics\":[{\"id\":1,\"name\":\"a\"},{\"id\":2,\"name\":\"b\"}]}",
		    "{\"topics\":[{\"id\":2,\"name\":\"b\"},{\"name\":\"a\",\"id\":1}]}", "[]");
}

/* Invariant: an element is matched by its id, so that another name is a change of it. */
static void test_ids(void **state)
{
	(void)state;
	assert_diff("{\"topics\":[{\"id\":1,\"name\":\"a\"}]}",
		    "{\"topics\":[{\"id\":1,\"name\":\"b\"},{\"id\":2,\"name\":\"a\"}]}",
		    "[{\"change\":\"changed\",\"id\":1,\"members\":[{\"member\":\"name\",\"new\":"
		    "\"b\",\"old\":\"a\"}],\"name\":\"b\",\"what\":\"topic\"},{\"change\":"
		    "\"added\",\"id\":2,\"name\":\"a\",\"value\":{\"id\":2,\"name\":\"a\"},"
		    "\"what\":\"topic\"}]");
}

/* Invariant: a limit is a change of its own, not one of its source; a key names its source. */
static void test_limits_and_keys(void **state)
{
	(void)state;
	assert_diff(
		"{\"sources\":[{\"id\":1,\"name\":\"s\",\"keys\":[{\"id\":3,\"use\":\"frames\"}],"
		"\"rate\":{\"burst\":1,\"per_second\":2}}]}",
		"{\"sources\":[{\"id\":1,\"name\":\"s\",\"keys\":[],"
		"\"rate\":{\"burst\":1,\"per_second\":5}}]}",
		"[{\"change\":\"changed\",\"members\":[{\"member\":\"per_second\",\"new\":5,"
		"\"old\":2}],\"name\":\"s\",\"of\":\"source\",\"what\":\"limit\"},"
		"{\"change\":\"removed\",\"id\":3,\"source\":\"s\",\"value\":{\"id\":3,\"use\":"
		"\"frames\"},\"what\":\"key\"}]");
}

/* Invariant: rules of one name are counted each; which of them is gone is told by its number. */
static void test_rules_of_one_name(void **state)
{
	char *text = diff("{\"rules\":[{\"name\":\"r\"},{\"name\":\"r\"},{\"name\":\"r\"}]}",
			  "{\"rules\":[{\"name\":\"r\"}]}");

	(void)state;
	assert_string_equal(text,
			    "[{\"change\":\"removed\",\"name\":\"r\",\"value\":{\"name\":\"r\"},"
			    "\"what\":\"rule\"},{\"change\":\"removed\",\"name\":\"r\","
			    "\"value\":{\"name\":\"r\"},\"what\":\"rule\"}]");
	free(text);
}

/* Invariant: lists are told by element, unless they are very long or differ in order alone. */
static void test_lists(void **state)
{
	json_t *old = parse("{\"rules\":[{\"name\":\"r\",\"topics\":[\"a\",\"b\"]}]}");
	json_t *new = json_deep_copy(old), *changes, *member;
	json_t *topics =
		json_object_get(json_array_get(json_object_get(new, "rules"), 0), "topics");

	(void)state;
	json_array_clear(topics);
	json_array_append_new(topics, json_string("b"));
	json_array_append_new(topics, json_string("c"));
	changes = plan_diff(old, new);
	member = json_array_get(json_object_get(json_array_get(changes, 0), "members"), 0);
	assert_string_equal(json_string_value(json_array_get(json_object_get(member, "added"), 0)),
			    "c");
	assert_string_equal(
		json_string_value(json_array_get(json_object_get(member, "removed"), 0)), "a");
	json_decref(changes);
	json_array_set_new(topics, 1, json_string("a"));
	changes = plan_diff(old, new);
	member = json_array_get(json_object_get(json_array_get(changes, 0), "members"), 0);
	assert_null(json_object_get(member, "added"));
	assert_non_null(json_object_get(member, "new"));
	json_decref(changes);
	for (unsigned int i = 0; i < MANY; i++)
		json_array_append_new(topics, json_integer(i));
	changes = plan_diff(old, new);
	member = json_array_get(json_object_get(json_array_get(changes, 0), "members"), 0);
	assert_null(json_object_get(member, "added"));
	json_decref(changes);
	json_decref(old);
	json_decref(new);
}

/* Invariant: the summary counts every change once, and what is printed is safe for a terminal. */
static void test_text(void **state)
{
	json_t *old = parse("{\"version\":1,\"feeds\":[{\"id\":0,\"name\":\"a\\u001b[2J\"}]}");
	json_t *new = parse("{\"version\":2,\"governance\":{\"approvals\":1}}");
	json_t *changes = plan_diff(old, new), *summary = plan_diff_summary(changes);
	char *text = NULL;
	size_t length = 0;
	FILE *out = open_memstream(&text, &length);

	(void)state;
	assert_non_null(out);
	plan_diff_print(out, changes);
	plan_diff_print_summary(out, summary);
	fclose(out);
	assert_null(strchr(text, '\x1b'));
	assert_non_null(strstr(text, "plan 1 changed, governance 1 added, feed 1 removed"));
	assert_non_null(strstr(text, "version: 1 -> 2"));
	free(text);
	json_decref(summary);
	summary = json_object();
	out = open_memstream(&text, &length);
	plan_diff_print_summary(out, summary);
	fclose(out);
	assert_string_equal(text, "no difference");
	free(text);
	json_decref(summary);
	json_decref(changes);
	json_decref(old);
	json_decref(new);
}

/* Invariant: numbers are written as short as they can be without being others. */
static void test_numbers(void **state)
{
	static const struct {
		const char *written, *shown;
	} cases[] = {{"-273.15", "-273.15"},
		     {"0.1", "0.1"},
		     {"0.30000000000000004", "0.30000000000000004"},
		     {"9007199254740991", "9007199254740991"}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		json_t *value = parse(cases[i].written);
		char *text = plan_diff_value(value, JSON_ENCODE_ANY);

		assert_string_equal(text, cases[i].shown);
		free(text);
		json_decref(value);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing),         cmocka_unit_test(test_ids),
		cmocka_unit_test(test_limits_and_keys), cmocka_unit_test(test_rules_of_one_name),
		cmocka_unit_test(test_lists),           cmocka_unit_test(test_text),
		cmocka_unit_test(test_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
