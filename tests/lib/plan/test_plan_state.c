/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "../../../lib/plan/plan.h"

/* A plan of types a (both forms), b (binary), c (JSON), each with a state, or "" for none. */
static struct atr_plan *load(const char *a, const char *b, const char *c, char *error, size_t size)
{
	static const char format[] =
		"{\"atr_plan\":1,\"name\":\"p\",\"version\":1,\"realm\":\"0000000000000001\","
		"\"ingress\":{\"udp_port\":1},\"sources\":[],\"topics\":[],\"rules\":[],"
		"\"feeds\":[],\"types\":["
		"{\"id\":1,\"name\":\"a\"%s%s,\"binary\":{\"size\":8,\"fields\":["
		"{\"name\":\"n\",\"at\":0,\"kind\":\"u32\",\"scale\":3},"
		"{\"name\":\"t\",\"at\":4,\"kind\":\"text\",\"width\":4}]},\"json\":{"
		"\"type\":\"object\",\"properties\":{\"n\":{\"type\":\"number\"},"
		"\"t\":{\"type\":\"string\"},\"j\":{\"type\":\"number\"}}}},"
		"{\"id\":2,\"name\":\"b\"%s%s,\"binary\":{\"size\":4,\"tail\":{\"name\":\"e\","
		"\"max\":9},\"fields\":[{\"name\":\"n\",\"at\":0,\"kind\":\"u32\"}]}},"
		"{\"id\":3,\"name\":\"c\"%s%s,\"json\":{\"type\":\"object\",\"properties\":{"
		"\"n\":{\"type\":\"integer\"},\"t\":{\"type\":\"string\"}}}}]}";
	char text[2048];
	int n = snprintf(text, sizeof(text), format, *a ? ",\"state\":" : "", a,
			 *b ? ",\"state\":" : "", b, *c ? ",\"state\":" : "", c);

	assert_true(n > 0 && n < (int)sizeof(text));
	return atr_plan_load(text, (size_t)n, error, size);
}

/* Invariant: what a plan declares is what the type says. */
static void declared(void **state)
{
	char error[512];
	struct atr_plan *plan =
		load("{\"op\":\"increment\",\"key\":[\"t\",\"n\"],\"value\":\"n\"}",
		     "{\"op\":\"last\",\"key\":[\"e\"]}",
		     "{\"op\":\"delete\",\"key\":[\"n\"],\"of\":\"b\"}", error, sizeof(error));

	(void)state;
	if (!plan)
		fail_msg("%s", error);
	assert_int_equal(plan->types[1].state.op, ATR_STATE_INCREMENT);
	assert_int_equal(plan->types[1].state.key_count, 2);
	assert_string_equal(plan->types[1].state.key[0], "t");
	assert_string_equal(plan->types[1].state.key[1], "n");
	assert_string_equal(plan->types[1].state.value, "n");
	assert_int_equal(plan->types[1].state.scale, 3);
	assert_int_equal(plan->types[1].state.of, 1);
	assert_int_equal(plan->types[2].state.op, ATR_STATE_LAST);
	assert_int_equal(plan->types[3].state.op, ATR_STATE_DELETE);
	assert_int_equal(plan->types[3].state.of, 2);
	assert_string_equal(atr_state_op_name(plan->types[3].state.op), "delete");
	atr_plan_free(plan);
	plan = load("", "", "{\"op\":\"maximum\",\"key\":[\"t\"],\"value\":\"n\"}", error,
		    sizeof(error));
	if (!plan)
		fail_msg("%s", error);
	assert_int_equal(plan->types[1].state.op, ATR_STATE_NONE);
	assert_int_equal(plan->types[3].state.scale, ATR_STATE_SCALE_MAX);
	atr_plan_free(plan);
}

/* Invariant: each defect is refused with the path to it. */
static void refused(void **state)
{
	static const struct {
		unsigned int type;
		const char *value, *error;
	} cases[] = {
		{0, "1", "types[0].state: must be an object"},
		{0, "{\"op\":\"last\",\"key\":[\"n\"],\"x\":1}", "types[0].state.x: unknown"},
		{0, "{\"key\":[\"n\"]}", "types[0].state.op: missing"},
		{0, "{\"op\":\"first\",\"key\":[\"n\"]}", "types[0].state.op: must be one of"},
		{0, "{\"op\":\"\",\"key\":[\"n\"]}", "types[0].state.op: must be one of"},
		{0, "{\"op\":\"last\"}", "types[0].state.key: missing"},
		{0, "{\"op\":\"last\",\"key\":[]}", "types[0].state.key: must name 1 to 4"},
		{0, "{\"op\":\"last\",\"key\":[1]}", "types[0].state.key[0]: must be a string"},
		{0, "{\"op\":\"last\",\"key\":[\"n\",\"n\"]}",
		 "types[0].state.key[1]: the key has this field twice"},
		{0, "{\"op\":\"last\",\"key\":[\"n\",\"n\",\"n\",\"n\",\"n\"]}",
		 "types[0].state.key: has 5 elements"},
		{0, "{\"op\":\"last\",\"key\":[\"j\"]}",
		 "types[0].state.key[0]: 'j' is no field of the type's binary form"},
		{1, "{\"op\":\"last\",\"key\":[\"t\"]}", "types[1].state.key[0]: 't' is no field"},
		{1, "{\"op\":\"last\",\"key\":[\"\"]}", "types[1].state.key[0]: must be"},
		{2, "{\"op\":\"last\",\"key\":[\"x\"]}",
		 "types[2].state.key[0]: 'x' is no top-level property"},
		{0, "{\"op\":\"last\",\"key\":[\"n\"],\"value\":\"n\"}",
		 "types[0].state.value: op \"last\" takes no value"},
		{0, "{\"op\":\"set\",\"key\":[\"n\"]}", "types[0].state.value: missing"},
		{0, "{\"op\":\"increment\",\"key\":[\"n\"],\"value\":\"t\"}",
		 "types[0].state.value: 't' is no numeric field"},
		{1, "{\"op\":\"maximum\",\"key\":[\"n\"],\"value\":\"e\"}",
		 "types[1].state.value: 'e' is no numeric field"},
		{2, "{\"op\":\"increment\",\"key\":[\"n\"],\"value\":\"t\"}",
		 "types[2].state.value: 't' is no number"},
		{0, "{\"op\":\"last\",\"key\":[\"n\"],\"of\":\"b\"}",
		 "types[0].state.of: belongs to op \"delete\" only"},
		{0, "{\"op\":\"delete\",\"key\":[\"n\"],\"of\":\"z\"}",
		 "types[0].state.of: no type has this name"},
		{0, "{\"op\":\"delete\",\"key\":[\"n\"],\"of\":\"b\"}",
		 "types[0].state.of: no state is kept of this type"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *of[3] = {"", "", ""};
		char error[512] = "";

		of[cases[i].type] = cases[i].value;
		if (load(of[0], of[1], of[2], error, sizeof(error)))
			fail_msg("%s was accepted", cases[i].value);
		if (strncmp(error, cases[i].error, strlen(cases[i].error)) != 0)
			fail_msg("%s: '%s' instead of '%s'", cases[i].value, error, cases[i].error);
	}
}

/* Invariant: a deletion has as many key fields as what it deletes. */
static void deletion_fits(void **state)
{
	char error[512] = "";

	(void)state;
	assert_null(load("{\"op\":\"last\",\"key\":[\"n\",\"t\"]}",
			 "{\"op\":\"delete\",\"key\":[\"n\"],\"of\":\"a\"}", "", error,
			 sizeof(error)));
	assert_string_equal(error, "types[1].state.of: the key of this type has 2 fields, not 1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(declared),
		cmocka_unit_test(refused),
		cmocka_unit_test(deletion_fits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
