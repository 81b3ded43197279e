/* SPDX-License-Identifier: BSD-3-Clause */
/* The plans that the project ships, the manual's example, and the earthquakes as events of theirs.
 * Takes the project's root folder as its argument. */
#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "../../../lib/envelope/envelope.h"
#include "../../../lib/plan/plan.h"
#include "../../../lib/reason/reason.h"
#include "../../../lib/sign/sign.h"
#include "../../../lib/wire/frame.h"

#define EVENTS          1707
#define BLASTS          28
#define FILE_MAX        (1u << 20)
#define PAYLOAD_MAX     512
#define LINE_BYTES      4096
#define OVERREAD        8
#define FEED_ALL        0
#define FEED_STRONG     1
#define FEED_CALIFORNIA 2

static const char *root;

static char *read_all(const char *name, size_t *length)
{
	char path[512], *text = malloc(FILE_MAX);
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", root, name);
	file = fopen(path, "r");
	if (!file)
		fail_msg("%s cannot be opened", path);
	*length = fread(text, 1, FILE_MAX - 1, file);
	text[*length] = '\0';
	fclose(file);
	return text;
}

static struct atr_plan *load(const char *name)
{
	char path[512], error[512] = "";
	struct atr_plan *plan;

	snprintf(path, sizeof(path), "%s/%s", root, name);
	plan = atr_plan_load_file(path, error, sizeof(error));
	if (!plan)
		fail_msg("%s: %s", name, error);
	return plan;
}

static void assert_key_of_phrase(const struct atr_source *source, unsigned int k)
{
	bool frames = source->keys[k].use == ATR_KEY_FRAMES;
	uint8_t seed[ATR_SEED_SIZE], public[ATR_PUBLIC_KEY_SIZE];
	struct atr_signer *signer;
	char text[128];

	snprintf(text, sizeof(text), "atr demo source %s%s", source->name,
		 frames ? "" : " envelopes");
	crypto_hash_sha256(seed, (const uint8_t *)text, strlen(text));
	signer = atr_signer_from_seed(seed);
	assert_non_null(signer);
	atr_signer_public(signer, public);
	assert_memory_equal(public, source->keys[k].public_key, sizeof(public));
	atr_signer_free(signer);
}

/* Invariant: every public key in the shipped plans is that of the seed the manual names. */
static void keys_are_of_the_demo_seeds(void **state)
{
	static const struct {
		const char *name;
		uint32_t sources, keys;
	} plans[] = {{"pipelines/earthquakes.json", 12, 24},
		     {"pipelines/governed.json", 4, 5},
		     {"pipelines/minimal.json", 1, 2}};

	(void)state;
	for (size_t n = 0; n < sizeof(plans) / sizeof(plans[0]); n++) {
		struct atr_plan *plan = load(plans[n].name);
		uint32_t keys = 0;

		assert_int_equal(plan->source_count, plans[n].sources);
		for (uint32_t i = 1; i < plan->source_slots; i++) {
			keys += plan->sources[i].key_count;
			for (unsigned int k = 0; k < plan->sources[i].key_count; k++)
				assert_key_of_phrase(&plan->sources[i], k);
		}
		assert_int_equal(keys, plans[n].keys);
		atr_plan_free(plan);
	}
}

/* Invariant: the example in docs/pipeline.md loads and does what the text says. */
static void manual_example(void **state)
{
	char *text, *begin, *end, error[512] = "";
	const struct atr_action *cellar, *attic;
	uint8_t payload[16] = {0};
	struct atr_plan *plan;
	int32_t celsius = -1;
	size_t length;

	(void)state;
	text = read_all("docs/pipeline.md", &length);
	begin = strstr(text, "```json\n");
	assert_non_null(begin);
	begin += strlen("```json\n");
	end = strstr(begin, "```");
	assert_non_null(end);
	plan = atr_plan_load(begin, (size_t)(end - begin), error, sizeof(error));
	if (!plan)
		fail_msg("%s", error);
	cellar = atr_plan_action(plan, &plan->sources[1], 1, 1);
	attic = atr_plan_action(plan, &plan->sources[1], 2, 1);
	memcpy(payload, &celsius, sizeof(celsius));
	assert_int_equal(atr_action_feeds(cellar, payload), 3);
	assert_int_equal(atr_action_feeds(attic, payload), 1);
	celsius = 1;
	memcpy(payload, &celsius, sizeof(celsius));
	assert_int_equal(atr_action_feeds(cellar, payload), 1);
	atr_plan_free(plan);
	free(text);
}

static void digest_equals(const char *text, size_t length)
{
	struct atr_json_parser *parser = atr_json_parser_create();
	char *canonical = malloc(FILE_MAX), error[512] = "";
	struct atr_plan *plan = atr_plan_load(text, length, error, sizeof(error));
	const struct atr_json *json;
	uint8_t digest[32];
	int n;

	if (!plan)
		fail_msg("%s", error);
	assert_int_equal(atr_json_parse(parser, text, length, &json, NULL), ATR_OK);
	n = atr_json_canonical(json, NULL, canonical, FILE_MAX);
	assert_true(n > 0);
	crypto_hash_sha256(digest, (const uint8_t *)canonical, (size_t)n);
	assert_memory_equal(digest, plan->digest, sizeof(digest));
	assert_int_equal(plan->document_length, n);
	assert_memory_equal(plan->document, canonical, (size_t)n);
	atr_plan_free(plan);
	free(canonical);
	atr_json_parser_destroy(parser);
}

/* Invariant: a plan's document and digest are those of lib/json's canonical form, for documents
 * that lib/json can hold, whatever the names, escapes and numbers. */
static void digest_is_of_the_canonical_form(void **state)
{
	static const char odd[] =
		"{\"atr_plan\":1,\"name\":\"odd\",\"version\":1,\"realm\":\"0000000000000001\","
		"\"ingress\":{\"udp_port\":1},\"sources\":[],\"topics\":[],\"rules\":[],"
		"\"feeds\":[],\"types\":[{\"id\":1,\"name\":\"t\",\"json\":{\"type\":\"object\","
		"\"title\":\"\\u0001\\b\\t\\n\\f\\r\\\"\\\\\\u007f/\\u20ac\","
		"\"properties\":{\"\\ufb33\":{},\"\\ud83d\\ude00\":{},\"\\ufffd\":{},\"a\":{},"
		"\"\\ue000\":{},\"\\u00e9\":{},\"\\ud7ff\":{},\"aa\":{},"
		"\"n\":{\"enum\":[1.0,1e30,-0.0,0.1,1e-7,1.2345678901234568e20,1e21,5e-324,"
		"-1,4.50,[],{},null,true,false]}}}}]}";
	size_t length;
	char *text;

	(void)state;
	digest_equals(odd, strlen(odd));
	text = read_all("pipelines/earthquakes.json", &length);
	digest_equals(text, length);
	free(text);
	text = read_all("pipelines/minimal.json", &length);
	digest_equals(text, length);
	free(text);
}

/* Invariant: a feed has the durability that its plan says, and the set of class commit is that of
 * these feeds alone. */
static void durability_is_kept(void **state)
{
	static const char *const values[] = {[ATR_DURABILITY_NONE] = "none",
					     [ATR_DURABILITY_ASYNC] = "async",
					     [ATR_DURABILITY_COMMIT] = "commit"};
	size_t length;
	char *file = read_all("pipelines/earthquakes.json", &length), error[512] = "";

	(void)state;
	for (unsigned int class = 0; class <= ATR_DURABILITY_COMMIT; class ++) {
		json_t *document = json_loadb(file, length, 0, NULL);
		json_t *feed = json_array_get(json_object_get(document, "feeds"), FEED_STRONG);
		struct atr_plan *plan;
		char *text;

		assert_int_equal(
			json_object_set_new(feed, "durability", json_string(values[class])), 0);
		text = json_dumps(document, 0);
		plan = atr_plan_load(text, strlen(text), error, sizeof(error));
		if (!plan)
			fail_msg("%s", error);
		assert_int_equal(plan->feeds[FEED_STRONG].durability, class);
		/* The two others are of class D in the file. */
		assert_int_equal(plan->commit_feeds & 1u << FEED_STRONG,
				 class == ATR_DURABILITY_COMMIT ? 1u << FEED_STRONG : 0);
		assert_int_equal(__builtin_popcountll(plan->commit_feeds),
				 class == ATR_DURABILITY_COMMIT ? 3 : 2);
		atr_plan_free(plan);
		free(text);
		json_decref(document);
	}
	free(file);
}

/* Writes payload members, in engineering units, as the type's binary form; returns its length. */
static uint32_t encode(const struct atr_type *type, const json_t *payload, uint8_t *out)
{
	const char *tail = json_string_value(json_object_get(payload, type->tail_name));
	size_t tail_length = strlen(tail);

	memset(out, 0, PAYLOAD_MAX);
	assert_int_equal(json_object_size(payload), type->field_count + 1);
	for (uint32_t i = 0; i < type->field_count; i++) {
		const struct atr_field *f = &type->fields[i];
		const json_t *value = json_object_get(payload, f->name);
		double scaled;
		int64_t raw;

		assert_non_null(value);
		if (f->kind == ATR_FIELD_TEXT) {
			assert_true(json_string_length(value) <= f->width);
			memcpy(out + f->offset, json_string_value(value),
			       json_string_length(value));
			continue;
		}
		scaled = json_number_value(value) * pow(10, f->scale);
		raw = json_is_null(value) ? f->absent_raw : llround(scaled);
		assert_true(json_is_null(value) ? f->has_absent
						: fabs(scaled - (double)raw) < 1e-5);
		memcpy(out + f->offset, &raw, f->width);
	}
	memcpy(out + type->fixed_size, tail, tail_length);
	return type->fixed_size + (uint32_t)tail_length;
}

/* Feeds that the event should reach, from the plan's description in the manual. */
static uint64_t expected_feeds(const json_t *event)
{
	const json_t *payload = json_object_get(event, "payload");
	double lat = json_number_value(json_object_get(payload, "lat"));
	double lon = json_number_value(json_object_get(payload, "lon"));
	uint64_t feeds = 1u << FEED_ALL;

	if (strcmp(json_string_value(json_object_get(event, "type")), "quake") == 0 &&
	    json_number_value(json_object_get(payload, "mag")) >= 4.5)
		feeds |= 1u << FEED_STRONG;
	if (lat >= 32 && lat <= 42 && lon >= -125 && lon <= -114)
		feeds |= 1u << FEED_CALIFORNIA;
	return feeds;
}

struct tally {
	unsigned int events, blasts, strong, california;
};

static void check_event(const struct atr_plan *plan, struct atr_json_parser *parser,
			const json_t *event, struct tally *tally)
{
	const char *source = json_string_value(json_object_get(event, "source"));
	const char *topic = json_string_value(json_object_get(event, "topic"));
	const char *type_name = json_string_value(json_object_get(event, "type"));
	const char *time = json_string_value(json_object_get(event, "timestamp"));
	const json_t *payload = json_object_get(event, "payload");
	const struct atr_source *from = atr_plan_source_named(plan, source, strlen(source));
	const struct atr_topic *to = atr_plan_topic_named(plan, topic, strlen(topic));
	const struct atr_type *type = atr_plan_type_named(plan, type_name, strlen(type_name));
	char *text = json_dumps(payload, JSON_COMPACT | JSON_REAL_PRECISION(17)), where[256] = "";
	uint8_t binary[PAYLOAD_MAX + OVERREAD];
	const struct atr_action *action;
	const struct atr_json *json;
	uint64_t feeds = expected_feeds(event), ns;
	uint32_t length;
	uint8_t reason;

	assert_true(from && to && type);
	assert_int_equal(atr_time_parse(time, strlen(time), &ns), 0);
	length = encode(type, payload, binary);
	assert_true(length > ATR_INLINE_MAX);
	assert_int_equal(atr_typecheck_schema(type->binary, binary, length, true), ATR_OK);
	assert_int_equal(atr_typecheck_canonical(type->binary, binary, length, true), ATR_OK);
	assert_int_equal(atr_json_parse(parser, text, strlen(text), &json, NULL), ATR_OK);
	reason = atr_schema_validate(type->json, json, where, sizeof(where));
	if (reason != ATR_OK)
		fail_msg("%s at %s: %s", atr_reason_name(reason), where, text);
	action = atr_plan_action(plan, from, to->id, type->id);
	assert_non_null(action);
	assert_int_equal(atr_action_feeds(action, binary), feeds);
	assert_int_equal(atr_action_feeds_json(action, json), feeds);
	tally->events++;
	tally->blasts += strcmp(type_name, "blast") == 0;
	tally->strong += feeds >> FEED_STRONG & 1;
	tally->california += feeds >> FEED_CALIFORNIA & 1;
	free(text);
}

static struct tally tally_input(void)
{
	struct tally tally = {0};
	size_t i;
	char path[512];
	json_t *input, *feature;

	snprintf(path, sizeof(path), "%s/tests/data/earthquakes.geojson", root);
	input = json_load_file(path, 0, NULL);
	assert_non_null(input);
	json_array_foreach(json_object_get(input, "features"), i, feature)
	{
		const json_t *p = json_object_get(feature, "properties");
		const json_t *at =
			json_object_get(json_object_get(feature, "geometry"), "coordinates");
		bool quake =
			strcmp(json_string_value(json_object_get(p, "type")), "earthquake") == 0;
		double lon = json_number_value(json_array_get(at, 0));
		double lat = json_number_value(json_array_get(at, 1));

		tally.events++;
		tally.blasts += !quake;
		tally.strong += quake && json_number_value(json_object_get(p, "mag")) >= 4.5;
		tally.california += lat >= 32 && lat <= 42 && lon >= -125 && lon <= -114;
	}
	json_decref(input);
	return tally;
}

/* Invariant: every event of the real input passes both schemas of its type, is allowed, and reaches
 * the feeds that its magnitude and place call for, in both encodings; nothing of it is lost. */
static void earthquakes_fit_the_plan(void **state)
{
	struct tally got = {0}, want = tally_input();
	struct atr_json_parser *parser = atr_json_parser_create();
	struct atr_plan *plan = load("pipelines/earthquakes.json");
	char command[1024], line[LINE_BYTES];
	FILE *script;

	(void)state;
	atr_typecheck_select(512);
	snprintf(command, sizeof(command), "'%s/tests/data/quakes-to-jsonl'", root);
	script = popen(command, "r");
	assert_non_null(script);
	while (fgets(line, sizeof(line), script)) {
		json_t *event = json_loads(line, JSON_REJECT_DUPLICATES, NULL);

		assert_non_null(event);
		check_event(plan, parser, event, &got);
		json_decref(event);
	}
	assert_int_equal(pclose(script), 0);
	assert_int_equal(want.events, EVENTS);
	assert_int_equal(want.blasts, BLASTS);
	assert_int_equal(got.events, want.events);
	assert_int_equal(got.blasts, want.blasts);
	assert_int_equal(got.strong, want.strong);
	assert_int_equal(got.california, want.california);
	assert_true(got.strong > 10 && got.california > 100);
	print_message("%u events, %u blasts, %u strong, %u in California\n", got.events, got.blasts,
		      got.strong, got.california);
	atr_plan_free(plan);
	atr_json_parser_destroy(parser);
}

/* Invariant: a network may speak for itself only. */
static void networks_cannot_impersonate(void **state)
{
	struct atr_plan *plan = load("pipelines/earthquakes.json");

	(void)state;
	for (uint32_t s = 1; s < plan->source_slots; s++)
		for (uint32_t t = 1; t < plan->topic_slots; t++)
			for (uint32_t y = 1; y < plan->type_slots; y++) {
				char own[2 * ATR_NAME_MAX + 2];

				snprintf(own, sizeof(own), "%s.%s", plan->types[y].name,
					 plan->sources[s].name);
				assert_int_equal(atr_plan_action(plan, &plan->sources[s], t, y) !=
							 NULL,
						 strcmp(own, plan->topics[t].name) == 0);
			}
	atr_plan_free(plan);
}

/* Invariant: what cannot be read is refused by name. */
static void files_that_are_none(void **state)
{
	char error[512] = "";

	(void)state;
	assert_null(atr_plan_load_file("/nonexistent/plan.json", error, sizeof(error)));
	assert_non_null(strstr(error, "/nonexistent/plan.json: cannot be opened"));
	assert_null(atr_plan_load_file(root, error, sizeof(error)));
	assert_non_null(strstr(error, "is no regular file"));
}

/* Invariant: a refusal of what is in a file names the file, then the culprit in it. */
static void refusals_name_the_file(void **state)
{
	char path[512], begin[600], error[1200] = "";

	(void)state;
	snprintf(path, sizeof(path), "%s/tests/vectors/wire.json", root);
	snprintf(begin, sizeof(begin), "%s: about: ", path);
	assert_null(atr_plan_load_file(path, error, sizeof(error)));
	assert_memory_equal(error, begin, strlen(begin));
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_are_of_the_demo_seeds),
		cmocka_unit_test(manual_example),
		cmocka_unit_test(digest_is_of_the_canonical_form),
		cmocka_unit_test(durability_is_kept),
		cmocka_unit_test(earthquakes_fit_the_plan),
		cmocka_unit_test(networks_cannot_impersonate),
		cmocka_unit_test(files_that_are_none),
		cmocka_unit_test(refusals_name_the_file),
	};

	if (argc != 2 || atr_sign_init() < 0) {
		fprintf(stderr, "usage: test_plan_files PROJECT_ROOT\n");
		return 2;
	}
	root = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
