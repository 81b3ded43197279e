/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "../../../app/bench/figures.h"

#define HEAD \
	"{\"atr_bench\":1,\"began\":\"then\",\"machine\":{\"cores\":2},\"build\":{},\"results\":["
#define RESULT "{\"bench\":\"b\",\"name\":\"n\",\"what\":\"w\",\"scope\":\"tier1\",\"unit\":\"us\","
#define THREE  "\"repetitions\":3,\"median\":2,\"minimum\":1,\"maximum\":4"
#define TAIL   "}]}"

static char error[512];

static struct figures *parse(const char *text)
{
	error[0] = '\0';
	return figures_parse(text, strlen(text), error, sizeof(error));
}

/* What is written is what is read. */
static void test_reads(void **state)
{
	struct figures *f = parse(HEAD RESULT THREE ",\"parameters\":{\"tree\":256,\"mix\":true},"
						    "\"new\":[1]" TAIL);
	const struct figure *one;

	(void)state;
	assert_non_null(f);
	one = figures_find(f, "n");
	assert_non_null(one);
	assert_null(figures_find(f, "other"));
	assert_string_equal(one->scope, "tier1");
	assert_true(one->median == 2 && one->minimum == 1 && one->maximum == 4);
	assert_true(figure_number(one->parameters, "tree", 0) == 256);
	assert_true(figure_number(one->parameters, "mix", 0) == 1);
	assert_true(figure_number(one->checks, "none", 7) == 7);
	figures_free(f);
}

/* The committed sample has all kinds of members. */
static void test_sample(void **state)
{
	struct figures *f = figures_load(BENCH_RESULTS, error, sizeof(error));
	const struct figure *one;

	(void)state;
	if (!f)
		fail_msg("%s", error);
	one = figures_find(f, "latency.50");
	assert_non_null(one);
	assert_true(one->quantiles && one->histogram);
	assert_true(one->histogram->buckets > 8);
	for (unsigned int i = 0; i < one->histogram->buckets; i++)
		assert_true(one->histogram->edge[i] < one->histogram->edge[i + 1]);
	one = figures_find(f, "tier3.mtu1500");
	assert_non_null(one);
	assert_true(one->stages > 8 && one->ratios == 2);
	figures_free(f);
}

/* Every refusal names its member and what to do. */
static void test_refuses(void **state)
{
	static const struct {
		const char *text, *where;
	} cases[] = {
		{"", "line 1"},
		{"[]", "atr_bench"},
		{"{\"atr_bench\":2}", "atr_bench"},
		{"{\"atr_bench\":1,\"atr_bench\":1}", "line 1"},
		{"{\"atr_bench\":1}", "began"},
		{"{\"atr_bench\":1,\"began\":\"\",\"machine\":{\"a\":{}}}", "machine"},
		{HEAD "1]}", "results[0].bench"},
		{HEAD RESULT "\"repetitions\":3" TAIL, "results[0].median"},
		{HEAD RESULT "\"repetitions\":3,\"median\":-1,\"minimum\":1,\"maximum\":4" TAIL,
		 "results[0].median"},
		{HEAD RESULT "\"repetitions\":3,\"median\":5,\"minimum\":1,\"maximum\":4" TAIL,
		 "results[0].median"},
		{HEAD RESULT "\"repetitions\":3,\"median\":1e300,\"minimum\":1,\"maximum\":4" TAIL,
		 "results[0].median"},
		{HEAD RESULT THREE ",\"stages\":[{\"name\":\"rx\"}]" TAIL,
		 "results[0].ns_per_message"},
		{HEAD RESULT THREE ",\"stages\":3" TAIL, "results[0].stages"},
		{HEAD RESULT THREE ",\"ratios\":[{\"to\":\"x\"}]" TAIL, "results[0].reference"},
		{HEAD RESULT THREE ",\"quantiles\":{\"p50\":1}" TAIL, "results[0].p95"},
		{HEAD RESULT THREE ",\"parameters\":[1]" TAIL, "results[0].parameters"},
		{HEAD RESULT THREE ",\"checks\":{\"a\":[1]}" TAIL, "results[0].checks"},
		{HEAD RESULT THREE ",\"histogram\":{\"counts\":[]}" TAIL, "histogram.counts"},
		{HEAD RESULT THREE ",\"histogram\":{\"unit\":\"us\",\"counts\":[1,2],\"bounds\":"
				   "[2,1]}" TAIL,
		 "histogram.bounds"},
		{HEAD RESULT THREE ",\"histogram\":{\"unit\":\"us\",\"counts\":[1,2],\"bounds\":"
				   "[1,2,3,4]}" TAIL,
		 "histogram.bounds"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct figures *f = parse(cases[i].text);

		if (f)
			fail_msg("taken: %s", cases[i].text);
		if (!strstr(error, cases[i].where) || !strstr(error, "atr-bench all"))
			fail_msg("%s: %s", cases[i].text, error);
	}
}

/* A scope that no figure here has is refused: a figure without its scope says nothing. */
static void test_scope(void **state)
{
	(void)state;
	assert_null(parse(HEAD "{\"bench\":\"b\",\"name\":\"n\",\"what\":\"w\",\"scope\":\"all\","
			       "\"unit\":\"us\"," THREE TAIL));
	assert_non_null(strstr(error, "results[0].scope"));
}

/* Bounds may be edges, upper ends, or leave the last bucket open. */
static void test_bounds(void **state)
{
	static const char *const bounds[] = {"[0,1,2]", "[1,2]", "[1]"};
	char text[512];

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct figures *f;

		snprintf(text, sizeof(text),
			 "%s%s%s,\"histogram\":{\"unit\":\"us\",\"counts\":[1,2],\"bounds\":%s}%s",
			 HEAD, RESULT, THREE, bounds[i], TAIL);
		f = parse(text);
		if (!f)
			fail_msg("%s: %s", bounds[i], error);
		for (unsigned int e = 0; e < 3; e++)
			assert_true(f->figure[0].histogram->edge[e] == e);
		figures_free(f);
	}
}

/* A file that is not there is named. */
static void test_no_file(void **state)
{
	(void)state;
	assert_null(figures_load("no/such/file.json", error, sizeof(error)));
	assert_non_null(strstr(error, "no/such/file.json"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reads),   cmocka_unit_test(test_sample),
		cmocka_unit_test(test_refuses), cmocka_unit_test(test_scope),
		cmocka_unit_test(test_bounds),  cmocka_unit_test(test_no_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
