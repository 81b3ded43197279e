/* SPDX-License-Identifier: BSD-3-Clause */
#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "../../../lib/plan/plan.h"

#define KEY   "6ff43152c0fd01b4d89bfca9f5a9188dc6ff8599349629ddf186a74b7d207e28"
#define PLANS 120
#define TRIES 40 /* payloads per triple */

static uint64_t seed = 88172645463325252;

static unsigned int below(unsigned int n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (unsigned int)(seed % n);
}

/* Invariant: '*' stands for exactly one token, a final '>' for one or more. */
static void wildcards(void **state)
{
	static const struct {
		const char *pattern, *name;
		bool match;
	} cases[] = {
		{"a", "a", true},
		{"a", "b", false},
		{"a", "aa", false},
		{"aa", "a", false},
		{"a.b", "a.b", true},
		{"a.b", "a", false},
		{"a", "a.b", false},
		{"*", "a", true},
		{"*", "a.b", false},
		{">", "a", true},
		{">", "a.b.c", true},
		{"a.>", "a", false},
		{"a.>", "a.b", true},
		{"a.>", "a.b.c", true},
		{"a.>", "ab.c", false},
		{"a.*", "a.b", true},
		{"a.*", "a.b.c", false},
		{"a.*.c", "a.b.c", true},
		{"a.*.c", "a.b.d", false},
		{"*.b.>", "a.b.c", true},
		{"*.b.>", "a.b", false},
		{"*.*", "a", false},
		{"*.*", "a.b", true},
		{"*.>", "a", false},
		{"quake.>", "quake", false},
		{"*", "", false},
		{">", "", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (atr_topic_match(cases[i].pattern, cases[i].name) != cases[i].match)
			fail_msg("'%s' and '%s'", cases[i].pattern, cases[i].name);
}

/* --- The naive evaluator: rules read from the document for each question. --- */

static bool naive_topic(const char *pattern, const char *name)
{
	const char *pdot = strchrnul(pattern, '.'), *ndot = strchrnul(name, '.');

	if (strcmp(pattern, ">") == 0)
		return true;
	if (strncmp(pattern, "*", (size_t)(pdot - pattern)) != 0 &&
	    (pdot - pattern != ndot - name || strncmp(pattern, name, (size_t)(ndot - name)) != 0))
		return false;
	if (!*pdot || !*ndot)
		return *pdot == *ndot;
	return naive_topic(pdot + 1, ndot + 1);
}

static bool lists(const json_t *rule, const char *member, const char *name)
{
	const json_t *list = json_object_get(rule, member);

	for (size_t i = 0; i < json_array_size(list); i++)
		if (strcmp(json_string_value(json_array_get(list, i)), name) == 0)
			return true;
	return false;
}

static bool naive_allows(const json_t *rule, const struct atr_plan *plan,
			 const struct atr_source *source, const char *topic, const char *type)
{
	const json_t *topics = json_object_get(rule, "topics");

	if (!json_object_get(rule, "any_source") && !lists(rule, "sources", source->name) &&
	    !lists(rule, "roles", plan->roles[source->role]))
		return false;
	if (!lists(rule, "types", type))
		return false;
	for (size_t i = 0; i < json_array_size(topics); i++)
		if (naive_topic(json_string_value(json_array_get(topics, i)), topic))
			return true;
	return false;
}

/* A payload: tenths of "a" (or unknown), and "b". */
struct sample {
	bool known;
	int a_tenths;
	int b;
};

static bool naive_condition(const json_t *c, const struct sample *s)
{
	bool is_a = strcmp(json_string_value(json_object_get(c, "field")), "a") == 0;
	const json_t *value = json_object_get(c, "value");
	const char *op = json_string_value(json_object_get(c, "op"));
	long v = is_a ? s->a_tenths : s->b * 10L;
	long x[8];
	size_t n = json_is_array(value) ? json_array_size(value) : 1;

	if (is_a && !s->known)
		return false;
	for (size_t i = 0; i < n; i++)
		x[i] = lround(10 * json_number_value(json_is_array(value) ? json_array_get(value, i)
									  : value));
	if (strcmp(op, "==") == 0)
		return v == x[0];
	if (strcmp(op, "!=") == 0)
		return v != x[0];
	if (strcmp(op, "<") == 0)
		return v < x[0];
	if (strcmp(op, "<=") == 0)
		return v <= x[0];
	if (strcmp(op, ">") == 0)
		return v > x[0];
	if (strcmp(op, ">=") == 0)
		return v >= x[0];
	if (strcmp(op, "between") == 0)
		return v >= x[0] && v <= x[1];
	for (size_t i = 0; i < n; i++)
		if (v == x[i])
			return true;
	return false;
}

/* Feeds of the event; *allowed tells whether any rule matches. */
static uint64_t naive_feeds(const json_t *document, const struct atr_plan *plan,
			    const struct atr_source *source, const char *topic, const char *type,
			    const struct sample *sample, bool *allowed)
{
	const json_t *rules = json_object_get(document, "rules");
	uint64_t feeds = 0;

	*allowed = false;
	for (size_t i = 0; i < json_array_size(rules); i++) {
		const json_t *rule = json_array_get(rules, i);
		const json_t *where = json_object_get(rule, "where");
		const json_t *names = json_object_get(rule, "feeds");
		bool holds = true;

		if (!naive_allows(rule, plan, source, topic, type))
			continue;
		*allowed = true;
		for (size_t c = 0; c < json_array_size(where); c++)
			holds &= naive_condition(json_array_get(where, c), sample);
		for (size_t f = 0; holds && f < json_array_size(names); f++)
			feeds |= UINT64_C(1)
				 << atoi(json_string_value(json_array_get(names, f)) + 1);
	}
	return feeds;
}

/* --- Random documents --- */

static const char *const topic_names[] = {"a",     "a.b", "a.c",   "a.b.c", "a.b.d",
					  "b.b.c", "b.c", "a-b.c", "a.bb",  "c.b.c.d"};
#define TOPICS (sizeof(topic_names) / sizeof(topic_names[0]))

/* A pattern that matches at least one topic: a topic's name with some tokens replaced. */
static json_t *random_pattern(void)
{
	char pattern[64] = "", name[64], *save = NULL;

	strcpy(name, topic_names[below(TOPICS)]);
	for (char *token = strtok_r(name, ".", &save); token; token = strtok_r(NULL, ".", &save)) {
		if (*pattern)
			strcat(pattern, ".");
		if (below(5) == 0) {
			strcat(pattern, ">");
			break;
		}
		strcat(pattern, below(3) ? token : "*");
	}
	return json_string(pattern);
}

static json_t *random_number(bool is_a)
{
	int v = is_a ? (int)below(60) - 20 : (int)below(6);

	if (!is_a)
		return json_integer(v);
	return v % 10 ? json_real(v / 10.0) : json_integer(v / 10);
}

static json_t *random_condition(void)
{
	static const char *const ops[] = {"==", "!=", "<", "<=", ">", ">=", "in", "between"};
	unsigned int op = below(8);
	bool is_a = below(2);
	json_t *value = random_number(is_a);

	if (!is_a && op == 2 && json_integer_value(value) == 0)
		op = 0; /* nothing lies below the smallest u8 */
	if (op == 6) {
		json_t *list = json_array();

		json_array_append_new(list, value);
		for (unsigned int n = below(4); n; n--)
			json_array_append_new(list, random_number(is_a));
		value = list;
	} else if (op == 7) {
		json_t *high = random_number(is_a);

		if (json_number_value(high) < json_number_value(value)) {
			json_t *swap = high;

			high = value;
			value = swap;
		}
		value = json_pack("[o,o]", value, high);
	}
	return json_pack("{s:s,s:s,s:o}", "field", is_a ? "a" : "b", "op", ops[op], "value", value);
}

static json_t *some_of(const char *prefix, unsigned int count, unsigned int at_least)
{
	json_t *list = json_array();

	do {
		for (unsigned int i = 0; i < count; i++)
			if (below(3) == 0 && json_array_size(list) < count) {
				bool known = false;
				char name[16];

				snprintf(name, sizeof(name), "%s%u", prefix, i);
				for (size_t k = 0; k < json_array_size(list); k++)
					known |= strcmp(json_string_value(json_array_get(list, k)),
							name) == 0;
				if (!known)
					json_array_append_new(list, json_string(name));
			}
	} while (json_array_size(list) < at_least);
	return list;
}

static json_t *random_rule(unsigned int sources, unsigned int roles)
{
	json_t *rule = json_pack("{s:s,s:o,s:o}", "name", "r", "types", some_of("t", 3, 1), "feeds",
				 some_of("f", 5, 0));
	json_t *topics = json_array();
	unsigned int kind = below(4);

	for (unsigned int n = 1 + below(3); n; n--)
		json_array_append_new(topics, random_pattern());
	json_object_set_new(rule, "topics", topics);
	if (kind == 0)
		json_object_set_new(rule, "any_source", json_true());
	if (kind & 1)
		json_object_set_new(rule, "sources", some_of("s", sources, 1));
	if (kind & 2)
		json_object_set_new(rule, "roles", some_of("r", roles, 1));
	if (below(2) && json_array_size(json_object_get(rule, "feeds"))) {
		json_t *where = json_array();

		for (unsigned int n = 1 + below(3); n; n--)
			json_array_append_new(where, random_condition());
		json_object_set_new(rule, "where", where);
	}
	return rule;
}

static void add_types(json_t *document)
{
	json_t *types = json_array();

	for (int t = 0; t < 3; t++) {
		/* The fields lie elsewhere, and have another scale, in each type. */
		json_t *type =
			json_pack("{s:i,s:o,s:{s:i,s:[{s:s,s:i,s:s,s:i,s:i},{s:s,s:i,s:s}]},"
				  "s:{s:s,s:{s:{s:[s,s]},s:{s:s}}}}",
				  "id", t + 1, "name", json_sprintf("t%d", t), "binary", "size", 12,
				  "fields", "name", "a", "at", t, "kind", t ? "i16" : "i32",
				  "scale", 1 + t % 2, "absent_raw", -32768, "name", "b", "at",
				  6 + t, "kind", "u8", "json", "type", "object", "properties", "a",
				  "type", "number", "null", "b", "type", "integer");

		assert_non_null(type);
		json_array_append_new(types, type);
	}
	json_object_set_new(document, "types", types);
}

static json_t *random_document(unsigned int *sources)
{
	json_t *d = json_pack("{s:i,s:s,s:i,s:s,s:{s:i}}", "atr_plan", 1, "name", "random",
			      "version", 1, "realm", "0000000000000001", "ingress", "udp_port", 1);
	json_t *list = json_array();
	unsigned int roles = 1 + below(3);

	*sources = 3 + below(4);
	for (unsigned int i = 0; i < *sources; i++)
		json_array_append_new(list,
				      json_pack("{s:i,s:o,s:o,s:[{s:i,s:s,s:s}]}", "id",
						(int)(3 * i + 1), "name", json_sprintf("s%u", i),
						"role", json_sprintf("r%u", i % roles), "keys",
						"id", 1, "use", "frames", "public", KEY));
	json_object_set_new(d, "sources", list);
	list = json_array();
	for (size_t i = 0; i < TOPICS; i++)
		json_array_append_new(list, json_pack("{s:i,s:s}", "id", (int)(2 * i + 1), "name",
						      topic_names[i]));
	json_object_set_new(d, "topics", list);
	list = json_array();
	for (int i = 0; i < 5; i++)
		json_array_append_new(list, json_pack("{s:i,s:o,s:s,s:[]}", "id", i, "name",
						      json_sprintf("f%d", i), "durability", "none",
						      "destinations"));
	json_object_set_new(d, "feeds", list);
	add_types(d);
	list = json_array();
	for (unsigned int n = 1 + below(9); n; n--)
		json_array_append_new(list, random_rule(*sources, roles));
	json_object_set_new(d, "rules", list);
	return d;
}

static void encode(const struct atr_type *type, const struct sample *s, uint8_t *payload)
{
	const struct atr_field *a = &type->fields[0], *b = &type->fields[1];
	int64_t raw = s->known ? s->a_tenths * (a->scale == 2 ? 10 : 1) : a->absent_raw;

	memset(payload, 0, 32);
	memcpy(payload + a->offset, &raw, a->width);
	payload[b->offset] = (uint8_t)s->b;
}

static void check_triple(const json_t *document, const struct atr_plan *plan,
			 const struct atr_source *source, const struct atr_topic *topic,
			 const struct atr_type *type, struct atr_json_parser *parser,
			 unsigned int *seen)
{
	const struct atr_action *action = atr_plan_action(plan, source, topic->id, type->id);

	for (unsigned int n = 0; n < TRIES; n++) {
		struct sample s = {below(6) != 0, (int)below(60) - 20, (int)below(6)};
		const struct atr_json *json;
		uint8_t payload[32];
		char text[128];
		uint64_t feeds;
		bool allowed;

		feeds = naive_feeds(document, plan, source, topic->name, type->name, &s, &allowed);
		assert_int_equal(action != NULL, allowed);
		seen[allowed]++;
		if (!allowed)
			return;
		encode(type, &s, payload);
		assert_int_equal(atr_action_feeds(action, payload), feeds);
		if (s.known)
			snprintf(text, sizeof(text), "{\"a\":%.1f,\"b\":%d}", s.a_tenths / 10.0,
				 s.b);
		else
			snprintf(text, sizeof(text), "{\"a\":null,\"b\":%d}", s.b);
		assert_int_equal(atr_json_parse(parser, text, strlen(text), &json, NULL), 0);
		assert_int_equal(atr_action_feeds_json(action, json), feeds);
		seen[2] += feeds != 0;
	}
}

/* Invariant: for every source, topic and type of random plans, the compiled table allows what the
 * document's rules allow, and chooses the feeds that they choose, for both encodings. */
static void table_equals_the_document(void **state)
{
	struct atr_json_parser *parser = atr_json_parser_create();
	unsigned int seen[3] = {0};

	(void)state;
	for (unsigned int n = 0; n < PLANS; n++) {
		unsigned int sources;
		json_t *document = random_document(&sources);
		char *text = json_dumps(document, JSON_COMPACT), error[512] = "";
		struct atr_plan *plan = atr_plan_load(text, strlen(text), error, sizeof(error));

		if (!plan)
			fail_msg("%s\n%s", error, text);
		for (unsigned int s = 0; s < sources; s++)
			for (uint32_t t = 0; t < TOPICS; t++)
				for (uint32_t y = 1; y <= 3; y++)
					check_triple(document, plan,
						     atr_plan_source(plan, 3 * s + 1),
						     atr_plan_topic(plan, 2 * t + 1),
						     atr_plan_type(plan, y), parser, seen);
		atr_plan_free(plan);
		free(text);
		json_decref(document);
	}
	print_message("%u refused, %u allowed, %u with feeds\n", seen[0], seen[1], seen[2]);
	assert_true(seen[0] > 1000 && seen[1] > 1000 && seen[2] > 1000);
	atr_json_parser_destroy(parser);
}

/* Invariant: a payload that is no object, or whose member is no number, meets no condition. */
static void json_without_numbers(void **state)
{
	static const char *const texts[] = {"[]", "1", "{}", "{\"a\":\"5\",\"b\":true}"};
	struct atr_json_parser *parser = atr_json_parser_create();
	const struct atr_json *json;
	unsigned int sources;
	char error[512], *text;
	struct atr_plan *plan;
	json_t *document;

	(void)state;
	document = random_document(&sources);
	json_object_set_new(document, "rules",
			    json_pack("[{s:s,s:b,s:[s],s:[s],s:[{s:s,s:s,s:i}],s:[s]}]", "name",
				      "x", "any_source", 1, "topics", ">", "types", "t0", "where",
				      "field", "a", "op", "!=", "value", 1, "feeds", "f0"));
	text = json_dumps(document, 0);
	plan = atr_plan_load(text, strlen(text), error, sizeof(error));
	if (!plan)
		fail_msg("%s", error);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		assert_int_equal(atr_json_parse(parser, texts[i], strlen(texts[i]), &json, NULL),
				 0);
		assert_int_equal(
			atr_action_feeds_json(atr_plan_action(plan, &plan->sources[1], 1, 1), json),
			0);
	}
	atr_plan_free(plan);
	free(text);
	json_decref(document);
	atr_json_parser_destroy(parser);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wildcards),
		cmocka_unit_test(table_equals_the_document),
		cmocka_unit_test(json_without_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
