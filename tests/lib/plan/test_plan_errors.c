/* SPDX-License-Identifier: BSD-3-Clause */
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "../../../lib/plan/plan.h"

#define KEY_A "6ff43152c0fd01b4d89bfca9f5a9188dc6ff8599349629ddf186a74b7d207e28"
#define KEY_B "0e15fd58b179127b5f03943359ee52c5c1f7d2db7b332171228bd22a79d985c3"

static const char base[] =
	"{\"atr_plan\":1,\"name\":\"base\",\"version\":1,\"realm\":\"0000000000000001\","
	"\"ingress\":{\"udp_port\":26400,\"groups\":[\"239.1.2.3\"],\"envelope_bytes\":1280},"
	"\"identity\":{\"uuid_past_ms\":1000,\"uuid_future_ms\":1000},"
	"\"sources\":[{\"id\":1,\"name\":\"ci\",\"role\":\"network\",\"level\":2,\"priority\":1,"
	"\"window\":64,\"max_ahead\":100,\"rate\":{\"per_second\":5,\"burst\":6},"
	"\"keys\":[{\"id\":1,\"use\":\"frames\",\"public\":\"" KEY_A
	"\",\"not_before\":\"2018-01-01T00:00:00Z\","
	"\"not_after\":\"2019-01-01T00:00:00Z\"}]},"
	"{\"id\":7,\"name\":\"nc\",\"role\":\"other\",\"keys\":[{\"id\":2,\"use\":\"frames\","
	"\"public\":\"" KEY_B "\"}]}],"
	"\"types\":[{\"id\":1,\"name\":\"quake\",\"binary\":{\"size\":16,"
	"\"tail\":{\"name\":\"place\",\"max\":20},"
	"\"fields\":[{\"name\":\"mag\",\"at\":0,\"kind\":\"i16\",\"scale\":2,\"min\":-5,\"max\":12,"
	"\"absent_raw\":-32768},{\"name\":\"kind\",\"at\":2,\"kind\":\"u8\",\"enum\":[1,2]},"
	"{\"name\":\"code\",\"at\":4,\"kind\":\"text\",\"width\":4}]},"
	"\"json\":{\"type\":\"object\",\"properties\":{\"mag\":{\"type\":\"number\"},"
	"\"kind\":{\"type\":\"integer\"}}}},"
	"{\"id\":2,\"name\":\"note\",\"json\":{\"type\":\"object\"}}],"
	"\"topics\":[{\"id\":1,\"name\":\"quake.us.ca\",\"level\":1,\"priority\":2,"
	"\"rate\":{\"per_second\":5,\"burst\":6}},{\"id\":3,\"name\":\"quake.us.nv\"}],"
	"\"rules\":[{\"name\":\"first\",\"sources\":[\"ci\"],\"roles\":[\"other\"],"
	"\"topics\":[\"quake.>\"],\"types\":[\"quake\"],"
	"\"where\":[{\"field\":\"mag\",\"op\":\">=\",\"value\":4.5}],\"feeds\":[\"all\"]}],"
	"\"feeds\":[{\"id\":0,\"name\":\"all\",\"level\":1,\"durability\":\"none\","
	"\"destinations\":[{\"to\":\"10.0.0.2:5000\",\"ttl\":3}]}]}";

/* Sets (value NULL: removes) the member or element that path leads to. An index one behind the end
 * appends. */
static void edit(json_t *document, const char *path, const char *value)
{
	char copy[256], *save = NULL, *token, *next;
	json_t *at = document, *set = NULL;

	if (value) {
		set = json_loads(value, JSON_DECODE_ANY, NULL);
		assert_non_null(set);
	}
	snprintf(copy, sizeof(copy), "%s", path);
	for (token = strtok_r(copy, "/", &save); (next = strtok_r(NULL, "/", &save));
	     token = next) {
		at = json_is_array(at) ? json_array_get(at, strtoul(token, NULL, 10))
				       : json_object_get(at, token);
		assert_non_null(at);
	}
	if (json_is_array(at)) {
		size_t i = strtoul(token, NULL, 10);

		if (!set)
			assert_int_equal(json_array_remove(at, i), 0);
		else if (i == json_array_size(at))
			assert_int_equal(json_array_append_new(at, set), 0);
		else
			assert_int_equal(json_array_set_new(at, i, set), 0);
	} else if (set) {
		assert_int_equal(json_object_set_new(at, token, set), 0);
	} else {
		assert_int_equal(json_object_del(at, token), 0);
	}
}

static struct atr_plan *load_edited(const char *path, const char *value, char *error, size_t size)
{
	json_t *document = json_loads(base, 0, NULL);
	struct atr_plan *plan;
	char *text;

	assert_non_null(document);
	edit(document, path, value);
	text = json_dumps(document, JSON_COMPACT);
	plan = atr_plan_load(text, strlen(text), error, size);
	free(text);
	json_decref(document);
	return plan;
}

struct refusal {
	const char *path, *value, *error;
};

static const struct refusal refusals[] = {
	{"atr_plan", "2", "atr_plan: must be an integer from 1 to 1"},
	{"atr_plan", NULL, "atr_plan: missing"},
	{"surplus", "1", "surplus: unknown member"},
	{"name", "\"\"", "name: must be 1 to 63 bytes"},
	{"name", "\"a b\"", "name: must be 1 to 63 bytes"},
	{"name", "\".hidden\"", "name: must be 1 to 63 bytes"},
	{"name", "7", "name: must be a string"},
	{"version", "0", "version: must be an integer from 1"},
	{"version", "1.0", "version: must be an integer from 1"},
	{"realm", "\"1\"", "realm: must be 16 lowercase hex digits"},
	{"realm", "\"000000000000000G\"", "realm: must be 16 lowercase hex digits"},
	{"realm", NULL, "realm: missing"},
	/* One key signs one kind of thing, whosever key it is. */
	{"sources/1/keys/0", "{\"id\":2,\"use\":\"envelopes\",\"public\":\"" KEY_A "\"}",
	 "sources[1].keys[0].use: another source signs frames with this key"},
	{"ingress", NULL, "ingress: must be an object"},
	{"ingress/port", "1", "ingress.port: unknown member"},
	{"ingress/udp_port", "0", "ingress.udp_port: must be an integer from 1 to 65535"},
	{"ingress/udp_port", "65536", "ingress.udp_port: must be"},
	{"ingress/udp_port", NULL, "ingress.udp_port: missing"},
	{"ingress/envelope_bytes", "8973", "ingress.envelope_bytes: must be"},
	{"ingress/groups", "{}", "ingress.groups: must be an array"},
	{"ingress/groups/0", "\"10.0.0.1\"", "ingress.groups[0]: must be an IPv4 multicast"},
	{"ingress/groups/0", "\"239.1.2.03\"", "ingress.groups[0]: must be an IPv4 multicast"},
	{"ingress/groups/0", "\"239.1.2\"", "ingress.groups[0]: must be an IPv4 multicast"},
	{"ingress/groups/0", "\"239.1.2.3.4\"", "ingress.groups[0]: must be an IPv4 multicast"},
	{"ingress/groups/0", "\"239.1.2.256\"", "ingress.groups[0]: must be an IPv4 multicast"},
	{"ingress/groups/0", "7", "ingress.groups[0]: must be an IPv4 multicast"},
	{"ingress/groups/1", "\"239.1.2.3\"", "ingress.groups[1]: group is listed twice"},
	{"identity/uuid_past_ms", "0", "identity.uuid_past_ms: must be"},
	{"identity/uuid_future_ms", "86400001", "identity.uuid_future_ms: must be"},
	{"identity/x", "0", "identity.x: unknown member"},
	{"sources", NULL, "sources: missing"},
	{"sources", "{}", "sources: must be an array"},
	{"sources/0", "1", "sources[0]: must be an object"},
	{"sources/0/id", "0", "sources[0].id: must be an integer from 1 to 65535"},
	{"sources/0/id", "65536", "sources[0].id: must be an integer from 1 to 65535"},
	{"sources/1/id", "1", "sources[1].id: another source has this id"},
	{"sources/1/id", NULL, "sources[1].id: missing"},
	{"sources/1/name", "\"ci\"", "sources[1].name: another source has this name"},
	{"sources/1/role", NULL, "sources[1].role: missing"},
	{"sources/0/level", "16", "sources[0].level: must be an integer from 0 to 15"},
	{"sources/0/priority", "4", "sources[0].priority: must be an integer from 0 to 3"},
	{"sources/0/window", "63", "sources[0].window: must be"},
	{"sources/0/window", "65", "sources[0].window: must be a power of two"},
	{"sources/0/window", "2097152", "sources[0].window: must be"},
	{"sources/0/max_ahead", "0", "sources[0].max_ahead: must be"},
	{"sources/0/rate/burst", NULL, "sources[0].rate.burst: missing"},
	{"sources/0/rate/per_second", "0", "sources[0].rate.per_second: must be"},
	{"sources/0/rate/x", "0", "sources[0].rate.x: unknown member"},
	{"sources/0/rate", "5", "sources[0].rate: must be an object"},
	{"sources/0/keys", "[]", "sources[0].keys: a source needs at least one key"},
	{"sources/0/keys", "[1,1,1,1,1,1,1,1,1]", "sources[0].keys: has 9 elements; at most 8"},
	{"sources/0/keys/0/id", "0", "sources[0].keys[0].id: must be"},
	{"sources/0/keys/0/use", NULL, "sources[0].keys[0].use: missing"},
	{"sources/0/keys/0/use", "\"both\"",
	 "sources[0].keys[0].use: must be \"frames\" or \"envelopes\""},
	{"sources/0/keys/0/public", "\"00\"",
	 "sources[0].keys[0].public: must be 64 lowercase hex"},
	{"sources/0/keys/0/public",
	 "\"0000000000000000000000000000000000000000000000000000000000000000\"",
	 "sources[0].keys[0].public: is no acceptable Ed25519 key"},
	{"sources/0/keys/1", "{\"id\":1,\"use\":\"frames\",\"public\":\"" KEY_B "\"}",
	 "sources[0].keys[1].id: another key of the source has this id"},
	{"sources/0/keys/1", "{\"id\":2,\"use\":\"frames\",\"public\":\"" KEY_A "\"}",
	 "sources[0].keys[1].public: the source has this key twice"},
	{"sources/0/keys/0/not_before", "\"2018-01-01\"",
	 "sources[0].keys[0].not_before: must be an RFC 3339"},
	{"sources/0/keys/0/not_after", "\"2018-01-01T00:00:00Z\"",
	 "sources[0].keys[0].not_after: must be later than not_before"},
	{"types/0/id", "0", "types[0].id: must be"},
	{"types/1/id", "1", "types[1].id: another type has this id"},
	{"types/1/name", "\"quake\"", "types[1].name: another type has this name"},
	{"types/1/json", NULL, "types[1]: a type needs \"binary\", \"json\" or both"},
	{"types/1/json/$ref", "\"x\"", "types[1].json"},
	{"types/0/binary/size", "7", "types[0].binary: field 'code' ends at byte 8"},
	{"types/0/binary/size", "8193", "types[0].binary.size: must be"},
	{"types/0/binary/tail/max", "8192", "types[0].binary: fixed size and tail together exceed"},
	{"types/0/binary/tail/name", NULL, "types[0].binary.tail.name: missing"},
	{"types/0/binary/tail/name", "\"mag\"", "types[0].binary.tail.name: a field has this name"},
	{"types/0/binary/fields", NULL, "types[0].binary.fields: missing"},
	{"types/0/binary/fields/0/at", "1", "types[0].binary: field 'kind' overlaps"},
	{"types/0/binary/fields/0/name", "\"kind\"",
	 "types[0].binary.fields[1].name: another field has this name"},
	{"types/0/binary/fields/0/name", "\"a-b\"", "types[0].binary.fields[0].name: must be"},
	{"types/0/binary/fields/0/kind", "\"f64\"",
	 "types[0].binary.fields[0].kind: must be one of"},
	{"types/0/binary/fields/0/width", "2", "types[0].binary.fields[0].width: belongs to texts"},
	{"types/0/binary/fields/0/scale", "10", "types[0].binary.fields[0].scale: must be"},
	{"types/0/binary/fields/0/min", "0.001",
	 "types[0].binary.fields[0].min: is not representable with 2 decimal places"},
	{"types/0/binary/fields/0/max", "327.68",
	 "types[0].binary.fields[0].max: does not fit a field of kind i16 with scale 2"},
	{"types/0/binary/fields/0/max", "1e300", "types[0].binary.fields[0].max: does not fit"},
	{"types/0/binary/fields/0/min", "\"1\"", "types[0].binary.fields[0].min: must be a number"},
	{"types/0/binary/fields/0/max", "-6",
	 "types[0].binary.fields[0].max: must not be below min"},
	{"types/0/binary/fields/0/absent_raw", "40000",
	 "types[0].binary.fields[0].absent_raw: must"},
	{"types/0/binary/fields/0/absent_raw", "1.0", "types[0].binary.fields[0].absent_raw: must"},
	{"types/0/binary/fields/1/min", "-1", "types[0].binary.fields[1].min: does not fit"},
	{"types/0/binary/fields/1/enum", "[]", "types[0].binary.fields[1].enum: must be an array"},
	{"types/0/binary/fields/1/enum", "[1,256]",
	 "types[0].binary.fields[1].enum[1]: does not fit a field of kind u8"},
	{"types/0/binary/fields/1/enum", "{\"a\":1,\"b\":0.5}",
	 "types[0].binary.fields[1].enum.b: is not representable"},
	{"types/0/binary/fields/1/enum", "{\"\":1}",
	 "types[0].binary.fields[1].enum.: must be 1 to"},
	{"types/0/binary/fields/1/enum", "[1,1]",
	 "types[0].binary: field 'kind' enumerates a value"},
	{"types/0/binary/fields/2/enum", "[1]", "types[0].binary.fields[2].enum: unknown member"},
	{"types/0/binary/fields/2/width", NULL, "types[0].binary.fields[2].width: missing"},
	{"topics/0/name", "\"quake..ca\"", "topics[0].name: must be 1 to 63 bytes"},
	{"topics/0/name", "\"quake.*\"", "topics[0].name: must be 1 to 63 bytes"},
	{"topics/0/name", "\"quake.\"", "topics[0].name: must be 1 to 63 bytes"},
	{"topics/1/name", "\"quake.us.ca\"", "topics[1].name: another topic has this name"},
	{"topics/1/id", "1", "topics[1].id: another topic has this id"},
	{"topics/0/level", "2",
	 "rules[0].feeds: topic 'quake.us.ca' of level 2 would reach feed 'all' of level 1"},
	{"topics/0/x", "2", "topics[0].x: unknown member"},
	{"rules/0/name", NULL, "rules[0].name: missing"},
	{"rules/0/x", "1", "rules[0].x: unknown member"},
	{"rules/0/sources/0", "\"xx\"", "rules[0].sources[0]: no source is called 'xx'"},
	{"rules/0/sources/0", "1", "rules[0].sources[0]: must be a string"},
	{"rules/0/sources/1", "\"ci\"", "rules[0].sources: names the same thing twice"},
	{"rules/0/roles/0", "\"xx\"", "rules[0].roles[0]: no source has the role 'xx'"},
	{"rules/0/any_source", "true", "rules[0].any_source: goes with neither"},
	{"rules/0/any_source", "false", "rules[0].any_source: can only be true"},
	{"rules/1", "{\"name\":\"x\",\"topics\":[\">\"],\"types\":[\"note\"],\"feeds\":[]}",
	 "rules[1]: names neither sources nor roles"},
	{"rules/0/topics", "[]", "rules[0].topics: must name a topic"},
	{"rules/0/topics/0", "\"quake.xx.>\"",
	 "rules[0].topics[0]: no topic matches 'quake.xx.>'; declare the topic or correct"},
	{"rules/0/topics/0", "\"quake.us\"", "rules[0].topics[0]: no topic matches 'quake.us'"},
	{"rules/0/topics/0", "\"quake.>.ca\"", "rules[0].topics[0]: must be 1 to 63 bytes"},
	{"rules/0/topics/0", "\"qu*\"", "rules[0].topics[0]: must be 1 to 63 bytes"},
	{"rules/0/topics/0", "\"\"", "rules[0].topics[0]: must be 1 to 63 bytes"},
	{"rules/0/topics/0", "null", "rules[0].topics[0]: must be a string"},
	{"rules/0/types", "[]", "rules[0].types: must name a type"},
	{"rules/0/types/0", "\"xx\"", "rules[0].types[0]: no type is called 'xx'"},
	{"rules/0/types/1", "\"note\"",
	 "rules[0].where[0].field: the JSON schema of type 'note' declares no top-level number"},
	{"rules/0/feeds/0", "\"xx\"", "rules[0].feeds[0]: no feed is called 'xx'"},
	{"rules/0/feeds/1", "\"all\"", "rules[0].feeds[1]: names the same feed twice"},
	{"rules/0/feeds", "[]", "rules[0].where: chooses feeds, and the rule names none"},
	{"rules/0/where", "[]", "rules[0].where: must hold a condition"},
	{"rules/0/where", "[1,1,1,1,1,1,1,1,1]", "rules[0].where: has 9 elements; at most 8"},
	{"rules/0/where/0/field", "\"xx\"", "rules[0].where[0].field: type 'quake' has no binary"},
	{"rules/0/where/0/field", "\"code\"",
	 "rules[0].where[0].field: 'code' of type 'quake' is a"},
	{"rules/0/where/0/op", "\"=\"", "rules[0].where[0].op: must be one of"},
	{"rules/0/where/0/value", NULL, "rules[0].where[0].value: missing"},
	{"rules/0/where/0/value", "\"x\"", "rules[0].where[0].value: must be a number"},
	{"rules/0/where/0/value", "4.555",
	 "rules[0].where[0].value: cannot be a value of field 'mag'"},
	{"rules/0/where/0/value", "400",
	 "rules[0].where[0].value: cannot be a value of field 'mag'"},
	{"rules/0/where/0", "{\"field\":\"mag\",\"op\":\">\",\"value\":327.67}",
	 "rules[0].where[0].value: no value of field 'mag' lies beyond it"},
	{"rules/0/where/0", "{\"field\":\"mag\",\"op\":\"between\",\"value\":[2,1]}",
	 "rules[0].where[0].value: the first number must not be above"},
	{"rules/0/where/0", "{\"field\":\"mag\",\"op\":\"between\",\"value\":[2]}",
	 "rules[0].where[0].value: must be an array of two"},
	{"rules/0/where/0", "{\"field\":\"mag\",\"op\":\"in\",\"value\":[]}",
	 "rules[0].where[0].value: must be an array of 1 to 64"},
	{"rules/0/where/0", "{\"field\":\"mag\",\"op\":\"in\",\"value\":[\"x\"]}",
	 "rules[0].where[0].value: must hold numbers only"},
	{"rules/0/where",
	 "[{\"field\":\"mag\",\"op\":\"in\",\"value\":[1,2,3,4,5,6,7,8,9]},"
	 "{\"field\":\"kind\",\"op\":\"in\",\"value\":[1,2,3,4,5,6,7,8]}]",
	 "rules[0].where[1]: the rule's lists of values combine in more than 64 ways"},
	{"feeds/0/id", "64", "feeds[0].id: must be an integer from 0 to 63"},
	{"feeds/1", "{\"id\":0,\"name\":\"b\",\"durability\":\"none\",\"destinations\":[]}",
	 "feeds[1].id: another feed has this id"},
	{"feeds/1", "{\"id\":1,\"name\":\"all\",\"durability\":\"none\",\"destinations\":[]}",
	 "feeds[1].name: another feed has this name"},
	{"feeds/0/durability", "\"x\"",
	 "feeds[0].durability: must be \"none\", \"async\" or \"commit\""},
	{"feeds/0/durability", "\"Commit\"", "feeds[0].durability: must be"},
	{"feeds/0/durability", "\"\"", "feeds[0].durability: must be"},
	{"feeds/0/durability", "2", "feeds[0].durability: must be a string"},
	{"feeds/0/durability", NULL, "feeds[0].durability: missing"},
	{"feeds/0/destinations", NULL, "feeds[0].destinations: missing"},
	{"feeds/0/destinations/0/to", "\"10.0.0.2\"",
	 "feeds[0].destinations[0].to: must be a usable"},
	{"feeds/0/destinations/0/to", "\"0.0.0.0:1\"",
	 "feeds[0].destinations[0].to: must be a usable"},
	{"feeds/0/destinations/0/to", "\"255.255.255.255:1\"",
	 "feeds[0].destinations[0].to: must be"},
	{"feeds/0/destinations/0/to", "\"127.0.0.1:1\"", "feeds[0].destinations[0].to: must be"},
	{"feeds/0/destinations/0/to", "\" 10.0.0.2:1\"", "feeds[0].destinations[0].to: must be"},
	{"feeds/0/destinations/0/to", "\"10.0.0.2:0\"", "feeds[0].destinations[0].to: must end in"},
	{"feeds/0/destinations/0/to", "\"10.0.0.2:65536\"",
	 "feeds[0].destinations[0].to: must end in"},
	{"feeds/0/destinations/0/to", "\"10.0.0.2:080\"",
	 "feeds[0].destinations[0].to: must end in"},
	{"feeds/0/destinations/0/to", "\"10.0.0.2:80 \"",
	 "feeds[0].destinations[0].to: must end in"},
	{"feeds/0/destinations/0/ttl", "0", "feeds[0].destinations[0].ttl: must be"},
	{"feeds/0/destinations/1", "{\"to\":\"10.0.0.2:5000\"}",
	 "feeds[0].destinations[1].to: the feed has this destination twice"},
	{"types/1/json/title", "\"\\uffff\"", "types[1].json.title: noncharacters"},
	{"types/1/json/title", "\"a\\ufdd0\"", "types[1].json.title: noncharacters"},
	{"types/1/json/title", "\"\\ud83f\\udffe\"", "types[1].json.title: noncharacters"},
	{"types/1/json/properties", "{\"\\udbff\\udfff\":{}}", "types[1].json.properties."},
	{"identity/uuid_past_ms", "9007199254740992",
	 "identity.uuid_past_ms: integers beyond 2^53-1 are not allowed"},
};

/* Invariant: each defect is refused with a sentence that begins with the path to it. */
static void defects_are_named(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		const struct refusal *r = &refusals[i];
		char error[512] = "";

		if (load_edited(r->path, r->value, error, sizeof(error)))
			fail_msg("%s = %s was accepted", r->path, r->value);
		if (strncmp(error, r->error, strlen(r->error)) != 0)
			fail_msg("%s = %s: '%s' instead of '%s'", r->path, r->value, error,
				 r->error);
	}
}

static const struct refusal accepted[] = {
	{"identity", NULL, ""},
	{"ingress/groups", NULL, ""},
	{"sources/0/rate", NULL, ""},
	{"sources/0/id", "65535", ""},
	{"sources/0/window", "1048576", ""},
	{"types/0/binary/fields/0/min", "-327.68", ""},
	{"types/0/binary/fields/0/max", "3.2767e2", ""},
	{"types/0/binary/fields/0/min", "-0.0", ""},
	{"types/0/binary/fields/1/enum", "{\"a thing\":1,\"b\":2.0}", ""},
	{"topics/0/level", "0", ""},
	{"rules", "[]", ""},
	{"types/1/json/title", "\"\\ufffd\\ufdcf\\ufdf0\\ud83f\\udffd\"", ""},
	{"rules/0/topics/1", "\"quake.*.ca\"", ""},
	{"rules/0/where/0/value", "-327.68", ""},
	{"feeds/0/destinations", "[]", ""},
	{"feeds/0/destinations/1", "{\"to\":\"239.0.0.1:65535\"}", ""},
};

/* Invariant: values at the bounds, and absent optional members, are accepted. */
static void bounds_are_accepted(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(accepted) / sizeof(accepted[0]); i++) {
		char error[512] = "";
		struct atr_plan *plan =
			load_edited(accepted[i].path, accepted[i].value, error, sizeof(error));

		if (!plan)
			fail_msg("%s: %s", accepted[i].path, error);
		atr_plan_free(plan);
	}
}

static void refused_text(const char *text, size_t length, const char *says)
{
	char error[256] = "";

	assert_null(atr_plan_load(text, length, error, sizeof(error)));
	if (!strstr(error, says))
		fail_msg("'%s' does not say '%s'", error, says);
}

/* Invariant: what is no JSON object is refused with the line, and no byte of it that a terminal
 * could act on is repeated. */
static void documents_that_are_not_json(void **state)
{
	static const char duplicate[] = "{\n\"atr_plan\":1,\n\"atr_plan\":1}";
	static const char escape[] = "{\"\\u001b[31m\":1}";
	static const char nul[] = "{\"a\":\"\\u0000\"}";
	char deep[2 * 70 + 8];
	char error[256] = "";
	size_t n = 0;

	(void)state;
	refused_text("", 0, "line 1");
	refused_text("{\n]", 3, "line 2");
	refused_text(duplicate, strlen(duplicate), "line 3");
	refused_text(duplicate, strlen(duplicate), "duplicate");
	refused_text("[]", 2, "plan: must be an object");
	refused_text("{} {}", 5, "line 1");
	refused_text(nul, strlen(nul), "line 1");
	refused_text(escape, strlen(escape), "?[31m: unknown member");
	refused_text("{\"a\x1b\":", 6, "line 1");
	assert_null(atr_plan_load("{\"a\x1b\":", 6, error, sizeof(error)));
	assert_null(strchr(error, '\x1b'));
	n += (size_t)sprintf(deep, "{\"a\":");
	memset(deep + n, '[', 66);
	memset(deep + n + 66, ']', 66);
	deep[n + 132] = '}';
	refused_text(deep, n + 133, "unknown member");
}

/* Invariant: a document nested too deeply is refused, wherever the depth is. */
static void depth_is_bounded(void **state)
{
	char value[512] = "", error[512] = "";

	(void)state;
	memset(value, '[', 100);
	memset(value + 100, ']', 100);
	assert_null(load_edited("types/1/json/const", value, error, sizeof(error)));
	assert_non_null(strstr(error, "nested deeper than"));
}

/* Invariant: every proper prefix of a plan is refused, and none crashes the loader. */
static void prefixes_are_refused(void **state)
{
	(void)state;
	for (size_t n = 0; n < strlen(base); n++) {
		char *exact = malloc(n + 1), error[256] = "";

		memcpy(exact, base, n);
		assert_null(atr_plan_load(exact, n, error, sizeof(error)));
		assert_true(error[0] != '\0');
		free(exact);
	}
}

/* Invariant: what the document says is what the plan holds. */
static void members_arrive(void **state)
{
	char error[512] = "";
	struct atr_plan *plan = atr_plan_load(base, strlen(base), error, sizeof(error));
	const struct atr_source *ci;
	const struct atr_type *quake;

	(void)state;
	if (!plan)
		fail_msg("%s", error);
	assert_int_equal(plan->realm, 1);
	assert_int_equal(plan->udp_port, 26400);
	assert_int_equal(plan->group_count, 1);
	assert_int_equal(plan->groups[0], 0xEF010203);
	assert_int_equal(plan->source_slots, 8);
	assert_int_equal(plan->source_count, 2);
	assert_null(atr_plan_source(plan, 2));
	assert_null(atr_plan_source(plan, 8));
	ci = atr_plan_source_named(plan, "ci", 2);
	assert_non_null(ci);
	assert_ptr_equal(ci, atr_plan_source(plan, 1));
	assert_int_equal(ci->level, 2);
	assert_int_equal(ci->priority, 1);
	assert_int_equal(ci->window, 64);
	assert_int_equal(ci->max_ahead, 100);
	assert_int_equal(ci->rate.per_second, 5);
	assert_int_equal(ci->rate.burst, 6);
	assert_string_equal(plan->roles[ci->role], "network");
	assert_int_equal(atr_source_key(ci, 1)->not_before_ns, UINT64_C(1514764800000000000));
	assert_int_equal(atr_source_key(ci, 1)->not_after_ns, UINT64_C(1546300800000000000));
	assert_null(atr_source_key(ci, 2));
	assert_int_equal(plan->sources[7].window, 4096);
	assert_int_equal(plan->sources[7].keys[0].not_after_ns, UINT64_MAX);
	quake = atr_plan_type_named(plan, "quake", 5);
	assert_non_null(quake);
	assert_null(atr_plan_type_named(plan, "quak", 4));
	assert_int_equal(quake->fields[0].min_raw, -500);
	assert_int_equal(quake->fields[0].max_raw, 1200);
	assert_int_equal(quake->tail_max, 20);
	assert_string_equal(quake->tail_name, "place");
	assert_int_equal(plan->topics[1].level, 1);
	assert_int_equal(plan->topics[1].priority, 2);
	assert_non_null(atr_plan_topic_named(plan, "quake.us.nv", 11));
	assert_int_equal(plan->feeds[0].dests[0].ip, 0x0A000002);
	assert_int_equal(plan->feeds[0].dests[0].port, 5000);
	assert_int_equal(plan->feeds[0].dests[0].ttl, 3);
	assert_int_equal(plan->feeds[0].max_block, 2 + 8 + 64 + 1280);
	atr_plan_free(plan);
	plan = load_edited("types/0/binary/fields/1/enum", "{\"one\":1,\"two\":2}", error,
			   sizeof(error));
	assert_non_null(plan);
	assert_string_equal(atr_type_enum_name(&plan->types[1], 1, 2), "two");
	assert_null(atr_type_enum_name(&plan->types[1], 1, 3));
	assert_null(atr_type_enum_name(&plan->types[1], 0, 2));
	atr_plan_free(plan);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defects_are_named),
		cmocka_unit_test(bounds_are_accepted),
		cmocka_unit_test(documents_that_are_not_json),
		cmocka_unit_test(depth_is_bounded),
		cmocka_unit_test(prefixes_are_refused),
		cmocka_unit_test(members_arrive),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
