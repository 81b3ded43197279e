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

#define SPACE 8192

static char base[SPACE]; /* tests/fuzz/seeds/plan/governed */

static int read_base(const char *root)
{
	char path[SPACE];
	FILE *file;

	snprintf(path, sizeof(path), "%s/tests/fuzz/seeds/plan/governed", root);
	file = fopen(path, "r");
	if (!file)
		return -1;
	base[fread(base, 1, sizeof(base) - 1, file)] = '\0';
	fclose(file);
	return 0;
}

/* The plan with one text (which it must hold) in the place of another. */
static struct atr_plan *load(const char *from, const char *to, char *error, size_t size)
{
	char text[2 * SPACE];
	const char *at = strstr(base, from);
	int n;

	if (!at)
		fail_msg("the plan has no %s", from);
	n = snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - base), base, to, at + strlen(from));
	return atr_plan_load(text, (size_t)n, error, size);
}

static struct atr_plan *load_good(const char *from, const char *to)
{
	char error[512];
	struct atr_plan *plan = load(from, to, error, sizeof(error));

	if (!plan)
		fail_msg("%s", error);
	return plan;
}

/* Invariant: operators, approvals and the three types are what the document says. */
static void declared(void **state)
{
	struct atr_plan *plan = load_good("governed", "governed");
	struct atr_plan *without = load_good(
		"\"governance\":{\"operators\":[\"op-a\",\"op-b\",\"op-c\"],\"approvals\":2}",
		"\"governance\":{\"operators\":[\"op-b\"],\"approvals\":1}");

	(void)state;
	assert_true(plan->governance.present);
	assert_int_equal(plan->governance.operator_count, 3);
	assert_int_equal(plan->governance.approvals, 2);
	assert_int_equal(atr_plan_governs(plan, 1), ATR_GOVERNANCE_NONE);
	assert_int_equal(atr_plan_governs(plan, 2), ATR_GOVERNANCE_CHUNK);
	assert_int_equal(atr_plan_governs(plan, 3), ATR_GOVERNANCE_CHANGE);
	assert_int_equal(atr_plan_governs(plan, 4), ATR_GOVERNANCE_APPROVAL);
	assert_int_equal(atr_plan_operator(plan, 2), 1);
	assert_true(atr_plan_operator(plan, 4) < 0);
	assert_true(atr_plan_operator(without, 1) < 0);
	assert_int_equal(atr_plan_operator(without, 2), 0);
	atr_plan_free(plan);
	atr_plan_free(without);
}

static uint8_t judge(const struct atr_plan *plan, uint32_t type, const char *payload)
{
	struct atr_json_parser *parser = atr_json_parser_create();
	const struct atr_json *value;
	uint8_t reason;

	reason = atr_json_parse(parser, payload, strlen(payload), &value, NULL);
	if (reason == ATR_OK)
		reason = atr_schema_validate(plan->types[type].json, value, NULL, 0);
	atr_json_parser_destroy(parser);
	return reason;
}

#define D64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

/* Invariant: the built-in schemas accept the documented payloads and refuse unknown members,
 * digests that are not lowercase, and numbers out of range. */
static void schemas(void **state)
{
	struct atr_plan *plan = load_good("governed", "governed");
	static const struct {
		uint32_t type;
		uint8_t reason;
		const char *payload;
	} cases[] = {
		{2, ATR_OK, "{\"bytes\":\"AAA=\",\"digest\":\"" D64 "\",\"offset\":0,\"total\":2}"},
		{2, ATR_REASON_PAYLOAD_PATTERN,
		 "{\"bytes\":\"AA-=\",\"digest\":\"" D64 "\",\"offset\":0,\"total\":2}"},
		{2, ATR_REASON_PAYLOAD_RANGE,
		 "{\"bytes\":\"AAA=\",\"digest\":\"" D64 "\",\"offset\":0,\"total\":67108865}"},
		{2, ATR_REASON_PAYLOAD_STRING_LENGTH,
		 "{\"bytes\":\"\",\"digest\":\"" D64 "\",\"offset\":0,\"total\":2}"},
		{3, ATR_OK,
		 "{\"digest\":\"" D64 "\",\"replaces\":\"" D64 "\",\"version\":2,\"why\":\"x\"}"},
		{3, ATR_REASON_PAYLOAD_REQUIRED,
		 "{\"digest\":\"" D64 "\",\"replaces\":\"" D64 "\",\"version\":2}"},
		{4, ATR_OK, "{\"digest\":\"" D64 "\",\"replaces\":\"" D64 "\",\"version\":2}"},
		{4, ATR_REASON_PAYLOAD_ADDITIONAL,
		 "{\"digest\":\"" D64 "\",\"replaces\":\"" D64 "\",\"version\":2,\"why\":\"x\"}"},
		{4, ATR_REASON_PAYLOAD_PATTERN,
		 "{\"digest\":\"A123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\","
		 "\"replaces\":\"" D64 "\",\"version\":2}"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(judge(plan, cases[i].type, cases[i].payload), cases[i].reason);
	atr_plan_free(plan);
}

/* Invariant: the longest chunk passes its schema, within the bound of pattern steps. */
static void longest_chunk(void **state)
{
	struct atr_plan *plan = load_good("governed", "governed");
	char text[ATR_GOVERNANCE_CHUNK_TEXT_MAX + 256], bytes[ATR_GOVERNANCE_CHUNK_TEXT_MAX + 2];

	(void)state;
	memset(bytes, 'Z', sizeof(bytes));
	bytes[ATR_GOVERNANCE_CHUNK_TEXT_MAX] = '\0';
	snprintf(text, sizeof(text),
		 "{\"bytes\":\"%s\",\"digest\":\"" D64 "\",\"offset\":0,\"total\":67108864}",
		 bytes);
	assert_int_equal(judge(plan, 2, text), ATR_OK);
	bytes[ATR_GOVERNANCE_CHUNK_TEXT_MAX] = 'Z';
	bytes[ATR_GOVERNANCE_CHUNK_TEXT_MAX + 1] = '\0';
	snprintf(text, sizeof(text),
		 "{\"bytes\":\"%s\",\"digest\":\"" D64 "\",\"offset\":0,\"total\":67108864}",
		 bytes);
	assert_int_equal(judge(plan, 2, text), ATR_REASON_PAYLOAD_STRING_LENGTH);
	atr_plan_free(plan);
}

/* Invariant: a governance section that nobody could use, or that says less than it must, is refused
 * by the path of the culprit. */
static void refusals(void **state)
{
	static const char *const cases[][3] = {
		{"[\"op-a\",\"op-b\",\"op-c\"]", "[\"op-a\",\"op-x\"]",
		 "governance.operators[1]: no source is called 'op-x'"},
		{"[\"op-a\",\"op-b\",\"op-c\"]", "[\"op-a\",\"op-a\"]",
		 "governance.operators[1]: names the same source twice"},
		{"[\"op-a\",\"op-b\",\"op-c\"]", "[\"op-a\",\"sensor\"]",
		 "governance.operators[1]: source 'sensor' has no key of use \"envelopes\""},
		{"[\"op-a\",\"op-b\",\"op-c\"]", "[]", "governance.operators: must name 1 to 16"},
		{"\"approvals\":2", "\"approvals\":4",
		 "governance.approvals: must be an integer from 1 to 3"},
		{"\"approvals\":2", "\"approvals\":0", "governance.approvals: must be an integer"},
		{"\"approvals\":2", "\"approvals\":2,\"x\":1", "governance.x: unknown member"},
		{",\"governance\":{\"operators\":[\"op-a\",\"op-b\",\"op-c\"],\"approvals\":2}", "",
		 "governance: is missing, and type 'plan-chunk' says"},
		{"\"governance\":\"approval\"", "\"json\":{}",
		 "governance: no type says \"governance\": \"approval\""},
		{"\"governance\":\"approval\"", "\"governance\":\"chunk\"",
		 "types[3].governance: another type is \"chunk\" already"},
		{"\"governance\":\"approval\"", "\"governance\":\"approve\"",
		 "types[3].governance: must be \"chunk\""},
		{"\"governance\":\"approval\"", "\"governance\":\"approval\",\"json\":{}",
		 "types[3].json: unknown member"},
	};
	char error[512];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct atr_plan *plan = load(cases[i][0], cases[i][1], error, sizeof(error));

		if (plan || strncmp(error, cases[i][2], strlen(cases[i][2])) != 0)
			fail_msg("case %zu: %s", i, plan ? "loaded" : error);
	}
}

/* Invariant: a change keeps the meaning of every id, and what cannot change under running shards;
 * anything else may change. */
static void compatible(void **state)
{
	static const char *const cases[][3] = {
		{"\"version\":1", "\"version\":2", NULL},
		{"\"name\":\"sensor\"", "\"name\":\"sensor\",\"max_ahead\":100",
		 "sources[3].max_ahead: is 65536"},
		{"\"role\":\"sensors\"",
		 "\"role\":\"sensors\",\"rate\":{\"per_second\":1,\"burst\":1}", NULL},
		{"10.77.0.2:26501", "10.77.0.3:26501", NULL},
		{"\"approvals\":2", "\"approvals\":3", NULL},
		{"\"topics\":[", "\"topics\":[{\"id\":3,\"name\":\"new\"},", NULL},
		{"\"realm\":\"0000000000000001\"", "\"realm\":\"0000000000000002\"", "realm: is 0"},
		{"26400", "26401", "ingress.udp_port: is 26400"},
		{"\"topics\":[", "\"identity\":{\"uuid_past_ms\":5},\"topics\":[",
		 "identity: differs"},
		{"\"udp_port\":26400", "\"udp_port\":26400,\"groups\":[\"239.1.1.1\"]",
		 "ingress.groups: differ"},
		{"\"name\":\"sensor\"", "\"name\":\"other\"",
		 "sources[3].name: this id is source 'sensor'"},
		{"\"name\":\"sensor\"", "\"name\":\"sensor\",\"window\":128",
		 "sources[3].window: is 4096"},
		{"\"name\":\"reading.cellar\"", "\"name\":\"reading.attic\"",
		 "topics[0].name: this id is topic 'reading.cellar'"},
		{"\"scale\":3", "\"scale\":2", "types[0].binary: differs"},
		{"\"id\":1,\"name\":\"reading\",",
		 "\"id\":1,\"name\":\"reading\",\"state\":{\"op\":\"last\",\"key\":[\"celsius\"]},",
		 "types[0].state: differs"},
		{"{\"id\":2,\"name\":\"plan-chunk\",\"governance\":\"chunk\"},{\"id\":3",
		 "{\"id\":3,\"name\":\"plan-chunk\",\"governance\":\"chunk\"},{\"id\":2",
		 "types[1].name: this id is type 'plan-change'"},
		{"\"id\":1,\"name\":\"plan\",\"durability\":\"commit\"",
		 "\"id\":1,\"name\":\"plan\",\"durability\":\"none\"",
		 "feeds[1].durability: is \"commit\""},
	};
	struct atr_plan *old = load_good("governed", "governed");
	char error[512];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct atr_plan *new = load(cases[i][0], cases[i][1], error, sizeof(error));
		int rc;

		if (!new)
			fail_msg("case %zu: %s", i, error);
		rc = atr_plan_compatible(old, new, error, sizeof(error));
		if (cases[i][2] ? rc != -22 || strncmp(error, cases[i][2], strlen(cases[i][2])) != 0
				: rc != 0 || error[0] != '\0')
			fail_msg("case %zu: %d '%s'", i, rc, error);
		atr_plan_free(new);
	}
	atr_plan_free(old);
}

/* Invariant: what a plan loaded behind another makes of keys is what it makes of them alone: keys
 * of the old plan pass, others are checked. */
static void load_behind(void **state)
{
	struct atr_plan *old = load_good("governed", "governed");
	struct atr_plan *same;
	char text[SPACE], error[512];
	char *key;

	(void)state;
	same = atr_plan_load_behind(base, strlen(base), old, error, sizeof(error));
	if (!same)
		fail_msg("%s", error);
	assert_memory_equal(same->digest, old->digest, sizeof(old->digest));
	memcpy(text, base, sizeof(text));
	key = strstr(text, "\"public\":\"") + strlen("\"public\":\"");
	memset(key, '0', 64); /* a point of small order */
	assert_null(atr_plan_load_behind(text, strlen(text), old, error, sizeof(error)));
	assert_non_null(strstr(error, "sources[0].keys[0].public"));
	atr_plan_free(same);
	atr_plan_free(old);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(declared),      cmocka_unit_test(schemas),
		cmocka_unit_test(longest_chunk), cmocka_unit_test(refusals),
		cmocka_unit_test(compatible),    cmocka_unit_test(load_behind),
	};

	if (argc != 2 || read_base(argv[1]) < 0)
		return EXIT_FAILURE;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
