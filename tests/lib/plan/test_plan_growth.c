/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "../../../lib/plan/plan.h"

#define KEY "6ff43152c0fd01b4d89bfca9f5a9188dc6ff8599349629ddf186a74b7d207e28"
#ifdef __SANITIZE_ADDRESS__
#define COUNT 8191u
#else
#define COUNT 65535u
#endif
#define TEXT_MAX (64u << 20)
#define TYPES                                                                       \
	"],\"types\":[{\"id\":1,\"name\":\"t\",\"binary\":{\"size\":4,\"fields\":[" \
	"{\"name\":\"v\",\"at\":0,\"kind\":\"u32\"}]}}],"

/* CPU seconds: a busy machine takes none of them. */
static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* One rule per source and topic, a third of them with a condition. */
static char *growth_text(unsigned int count)
{
	char *text = malloc(TEXT_MAX), *p = text;

	p += sprintf(p, "{\"atr_plan\":1,\"name\":\"growth\",\"version\":1,\"realm\":"
			"\"0000000000000001\",\"ingress\":{\"udp_port\":1},\"sources\":[");
	for (unsigned int i = 1; i <= count; i++)
		p += sprintf(p,
			     "%s{\"id\":%u,\"name\":\"s%u\",\"role\":\"r%u\",\"keys\":[{\"id\":1,"
			     "\"use\":\"frames\",\"public\":\"" KEY "\"}]}",
			     i > 1 ? "," : "", i, i, i % 64);
	p += sprintf(p, TYPES "\"topics\":[");
	for (unsigned int i = 1; i <= count; i++)
		p += sprintf(p, "%s{\"id\":%u,\"name\":\"a.t%u\"}", i > 1 ? "," : "", i, i);
	p += sprintf(p, "],\"rules\":[");
	for (unsigned int i = 1; i <= count; i++)
		p += sprintf(p,
			     "%s{\"name\":\"r\",\"sources\":[\"s%u\"],\"topics\":[\"%s.t%u\"],"
			     "\"types\":[\"t\"],%s\"feeds\":[\"f%u\"]}",
			     i > 1 ? "," : "", i, "a", i,
			     i % 3 ? "" : "\"where\":[{\"field\":\"v\",\"op\":\">\",\"value\":9}],",
			     i % 64);
	p += sprintf(p, "],\"feeds\":[");
	for (unsigned int i = 0; i < 64; i++)
		p += sprintf(p,
			     "%s{\"id\":%u,\"name\":\"f%u\",\"durability\":\"none\","
			     "\"destinations\":[]}",
			     i ? "," : "", i, i);
	sprintf(p, "]}");
	return text;
}

/* Invariant: a plan of 65,535 sources, topics and rules (8,191 with sanitizers) loads, and every
 * lookup is right. */
static void grows(void **state)
{
	char *text = growth_text(COUNT), error[512] = "";
	uint8_t payload[16] = {10};
	double start = now(), loaded;
	struct atr_plan *plan = atr_plan_load(text, strlen(text), error, sizeof(error));

	(void)state;
	if (!plan)
		fail_msg("%s", error);
	loaded = now();
	for (uint32_t i = 1; i <= COUNT; i++) {
		const struct atr_action *action = atr_plan_action(plan, &plan->sources[i], i, 1);

		assert_non_null(action);
		assert_int_equal(atr_action_feeds(action, payload), UINT64_C(1) << (i % 64));
		assert_null(atr_plan_action(plan, &plan->sources[i], i % COUNT + 1, 1));
	}
	print_message("%u sources, topics and rules (%zu bytes): loaded in %.2f s; "
		      "%u lookups in %.1f ms\n",
		      COUNT, strlen(text), loaded - start, 2 * COUNT, (now() - loaded) * 1e3);
	/* Sanitizers are slow; quadratic work would take hours. */
	assert_true(loaded - start < 120);
	atr_plan_free(plan);
	free(text);
}

/* Invariant: rules whose expansion, comparisons or conditions exceed the bounds are refused by
 * name, before memory or time run out. */
static void bounds_hold(void **state)
{
	char *text = malloc(TEXT_MAX), *p, error[512] = "";
	struct {
		unsigned int topics, rules;
		const char *rule, *says;
	} cases[] = {
		{60000, 80,
		 "{\"name\":\"r\",\"any_source\":true,\"topics\":[\">\"],\"types\":[\"t\"],"
		 "\"feeds\":[]}",
		 "rules[69]: the rules up to this one allow more than 4194304 combinations"},
		{60000, 2000,
		 "{\"name\":\"r\",\"any_source\":true,\"topics\":[\"*.t1\"],\"types\":[\"t\"],"
		 "\"feeds\":[]}",
		 "].topics[0]: the plan's patterns need more than 67108864 comparisons"},
		{1, 65,
		 "{\"name\":\"r\",\"any_source\":true,\"topics\":[\"a.t1\"],\"types\":[\"t\"],"
		 "\"where\":[{\"field\":\"v\",\"op\":\">\",\"value\":3}],\"feeds\":[\"f\"]}",
		 "rules[64].where: with the rules before, one source, topic and type has more"},
	};

	(void)state;
	for (size_t c = 0; c < sizeof(cases) / sizeof(cases[0]); c++) {
		p = text;
		p += sprintf(p,
			     "{\"atr_plan\":1,\"name\":\"x\",\"version\":1,\"realm\":"
			     "\"0000000000000001\",\"ingress\":{\"udp_port\":1},\"sources\":["
			     "{\"id\":1,\"name\":\"s\",\"role\":\"r\",\"keys\":[{\"id\":1,"
			     "\"use\":\"frames\",\"public\":\"" KEY "\"}]}" TYPES "\"topics\":[");
		for (unsigned int i = 1; i <= cases[c].topics; i++)
			p += sprintf(p, "%s{\"id\":%u,\"name\":\"a.t%u\"}", i > 1 ? "," : "", i, i);
		p += sprintf(p, "],\"rules\":[");
		for (unsigned int i = 0; i < cases[c].rules; i++)
			p += sprintf(p, "%s%s", i ? "," : "", cases[c].rule);
		sprintf(p, "],\"feeds\":[{\"id\":0,\"name\":\"f\",\"durability\":\"none\","
			   "\"destinations\":[]}]}");
		assert_null(atr_plan_load(text, strlen(text), error, sizeof(error)));
		if (!strstr(error, cases[c].says))
			fail_msg("'%s' does not say '%s'", error, cases[c].says);
	}
	free(text);
}

/* Invariant: a rule of many patterns over many topics costs about what its text and its matches do.
 * Repeats among the matches were once removed behind every pattern: minutes, for a file of 5 MB. */
static void patterns_sort_topics_once(void **state)
{
	const unsigned int topics = 65535, patterns = 65534;
	char *text = malloc(TEXT_MAX), *p = text, error[512] = "";
	struct atr_plan *plan;
	double start;

	(void)state;
	p += sprintf(p, "{\"atr_plan\":1,\"name\":\"x\",\"version\":1,\"realm\":"
			"\"0000000000000001\",\"ingress\":{\"udp_port\":1},\"sources\":["
			"{\"id\":1,\"name\":\"s\",\"role\":\"r\",\"keys\":[{\"id\":1,"
			"\"use\":\"frames\",\"public\":\"" KEY "\"}]}" TYPES "\"topics\":[");
	for (unsigned int i = 1; i <= topics; i++)
		p += sprintf(p, "%s{\"id\":%u,\"name\":\"t%u.x\"}", i > 1 ? "," : "", i, i);
	p += sprintf(p, "],\"rules\":[{\"name\":\"r\",\"any_source\":true,\"topics\":[\">\"");
	for (unsigned int i = 1; i <= patterns; i++)
		p += sprintf(p, ",\"t%u.>\"", i);
	sprintf(p, "],\"types\":[\"t\"],\"feeds\":[]}],\"feeds\":[]}");
	start = now();
	plan = atr_plan_load(text, strlen(text), error, sizeof(error));
	if (!plan)
		fail_msg("%s", error);
	assert_true(now() - start < 20);
	for (uint32_t i = 1; i <= topics; i++)
		assert_non_null(atr_plan_action(plan, &plan->sources[1], i, 1));
	atr_plan_free(plan);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(grows),
		cmocka_unit_test(bounds_hold),
		cmocka_unit_test(patterns_sort_topics_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
