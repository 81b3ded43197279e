/* SPDX-License-Identifier: BSD-3-Clause */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "event_line.h"
#include "explain.h"
#include "named.h"
#include "option.h"
#include "query.h"
#include "state_line.h"

#define COMMAND_SIZE 4096
#define NAME_ROOM    16
#define SHARD_MAX    4095
#define KEEPS_NOTHING                                                              \
	": the plan in force keeps state of no type; give one a member \"state\" " \
	"(docs/state.md)"

static const struct usage state_usage = {
	"query state SOURCE TYPE KEY [--plan FILE] [--json]",
	"Prints what the appliance keeps of a key of state. SOURCE and TYPE are their numbers in\n"
	"the plan or, with --plan, their names; KEY is the JSON array of the key's values, as\n"
	"docs/state.md says, or its hex. Exit status 1 if nothing is kept.",
	"  atrctl query state 2 2 '[70]'\n"
	"  atrctl query state sensor reading '[70]' --plan plan.json\n"
	"  atrctl query state 2 2 '[\"cellar\",4.5]' --json",
};

static const struct usage states_usage = {
	"query states [--shard N] [--json]",
	"Prints every key of state that the appliance keeps, one a line, in the order of\n"
	"source, type and key, shard by shard. Of long values only the beginning is printed.\n"
	"What changes meanwhile is printed as it was, or as it is.",
	"  atrctl query states\n"
	"  atrctl query states --shard 0 --json",
};

/* An answered entry, printed; its key goes to *key (free() it). 0, or -1 if it is none. */
static int print_entry(const json_t *answer, json_int_t shard, bool json, char **key,
		       size_t *key_length)
{
	const char *op = json_string_value(json_object_get(answer, "op"));
	const char *form = json_string_value(json_object_get(answer, "form"));
	struct atr_state_entry entry = {.op = ATR_STATE_NONE};
	size_t held = 0;
	uint8_t *value = query_bytes(json_object_get(answer, "value_hex"), &held);

	*key = (char *)query_bytes(json_object_get(answer, "key_hex"), key_length);
	for (int i = ATR_STATE_LAST; op && i <= ATR_STATE_MAXIMUM; i++)
		if (strcmp(op, atr_state_op_name((enum atr_state_op)i)) == 0)
			entry.op = (enum atr_state_op)i;
	if (!*key || !value || entry.op == ATR_STATE_NONE) {
		free(value);
		return -1;
	}
	entry.source = (uint32_t)json_integer_value(json_object_get(answer, "source"));
	entry.type = (uint32_t)json_integer_value(json_object_get(answer, "type"));
	entry.binary = form && strcmp(form, "binary") == 0;
	entry.scale = (uint8_t)json_integer_value(json_object_get(answer, "scale"));
	entry.number = json_integer_value(json_object_get(answer, "number"));
	entry.event = (uint16_t)json_integer_value(json_object_get(answer, "event"));
	entry.position = (uint64_t)json_integer_value(json_object_get(answer, "position"));
	entry.key = *key;
	entry.key_length = (uint32_t)*key_length;
	entry.value = value;
	entry.value_length = (uint32_t)json_integer_value(json_object_get(answer, "value_length"));
	held = held < entry.value_length ? held : entry.value_length;
	if (json) {
		json_t *line = state_line_json(&entry, held);

		json_object_set_new(line, "shard", json_integer(shard));
		explain_print_json(line);
	} else {
		state_line_print(&entry, held);
	}
	free(value);
	return 0;
}

/* Does the plan in force keep state of no type? */
static bool keeps_nothing(const json_t *status)
{
	const json_t *types = json_object_get(status, "state_types");

	return types && json_integer_value(types) == 0;
}

static int nothing_kept(struct telemetry *telemetry)
{
	json_t *status = query_ask(telemetry, "/atr/status");
	int rc = failure("query state", "nothing is kept of this key%s",
			 keeps_nothing(status) ? KEEPS_NOTHING : "");

	json_decref(status);
	return rc;
}

int query_state(int argc, char **argv)
{
	const char *source = NULL, *type = NULL, *key = NULL, *plan = NULL;
	struct telemetry_options where = {0};
	bool json = false;
	const struct option table[] = {
		TELEMETRY_OPTIONS(where),
		{"--plan", "FILE", "plan: SOURCE and TYPE may be names", OPTION_STRING, &plan, 0,
		 0},
		{"--json", NULL, "as one JSON object", OPTION_FLAG, &json, 0, 0},
		{"", "SOURCE", "the source", OPTION_STRING, &source, 0, 0},
		{"", "TYPE", "the type", OPTION_STRING, &type, 0, 0},
		{"", "KEY", "JSON array of the key's values, or its hex", OPTION_STRING, &key, 0,
		 0},
		{NULL, NULL, NULL, OPTION_FLAG, NULL, 0, 0},
	};
	char command[COMMAND_SIZE], error[ERROR_SIZE], *printed = NULL;
	struct telemetry telemetry;
	uint32_t ids[2];
	json_t *answer;
	size_t length;
	int err = options_parse(&state_usage, table, argc, argv);

	if (err)
		return err > 0 ? EXIT_OK : EXIT_USAGE;
	if (!key)
		return usage_error("query state", "name source, type and key: 2 2 '[70]'");
	err = named_source("query state", plan, source, &ids[0]);
	if (!err)
		err = named_type("query state", plan, type, &ids[1]);
	if (err)
		return err;
	if (key[0] != '[' && strspn(key, "0123456789abcdef") != strlen(key))
		return usage_error("query state", "KEY is a JSON array of the key's values, such "
						  "as '[70]', or its hex");
	if (telemetry_open(&telemetry, &where, error)) {
		usage_error("query state", "%s", error);
		return EXIT_NEGATIVE;
	}
	snprintf(command, sizeof(command), "/atr/state,%" PRIu32 ",%" PRIu32 ",%s", ids[0], ids[1],
		 key);
	answer = query_ask(&telemetry, command);
	if (answer && json_integer_value(json_object_get(answer, "found")))
		err = print_entry(answer, json_integer_value(json_object_get(answer, "shard")),
				  json, &printed, &length);
	else if (answer)
		err = nothing_kept(&telemetry);
	telemetry_close(&telemetry);
	free(printed);
	err = !answer || err ? EXIT_NEGATIVE : EXIT_OK;
	json_decref(answer);
	return err;
}

/* A place in a shard's list. */
struct place {
	json_int_t shard, source, type;
	char *key; /* NULL: the beginning */
	size_t length;
};

/* Prints what a page has behind the place, and moves there. Entries printed, or -1. */
static int print_page(const json_t *page, struct place *at, bool json)
{
	int printed = 0;

	for (unsigned int i = 0;; i++) {
		char name[NAME_ROOM], *key = NULL;
		const json_t *entry;
		json_int_t source, type;
		size_t length = 0;
		uint8_t *bytes;
		bool seen;

		snprintf(name, sizeof(name), "%u", i);
		entry = json_object_get(page, name);
		if (!entry)
			return printed;
		source = json_integer_value(json_object_get(entry, "source"));
		type = json_integer_value(json_object_get(entry, "type"));
		bytes = query_bytes(json_object_get(entry, "key_hex"), &length);
		seen = at->key && bytes && source == at->source && type == at->type &&
		       length == at->length && memcmp(bytes, at->key, length) == 0;
		free(bytes);
		if (seen)
			continue;
		if (print_entry(entry, at->shard, json, &key, &length)) {
			free(key);
			return -1;
		}
		free(at->key);
		*at = (struct place){at->shard, source, type, key, length};
		printed++;
	}
}

static int print_shard(struct telemetry *telemetry, json_int_t shard, bool json)
{
	struct place at = {.shard = shard};
	bool more = true;
	int n = 0;

	while (more) {
		char command[COMMAND_SIZE];
		json_t *page;

		if (at.key)
			snprintf(command, sizeof(command),
				 "/atr/states,%" JSON_INTEGER_FORMAT ",%" JSON_INTEGER_FORMAT
				 ",%" JSON_INTEGER_FORMAT ",%s",
				 shard, at.source, at.type, at.key);
		else
			snprintf(command, sizeof(command), "/atr/states,%" JSON_INTEGER_FORMAT,
				 shard);
		page = query_ask(telemetry, command);
		n = page ? print_page(page, &at, json) : -1;
		more = n > 0 && json_object_get(page, "more");
		json_decref(page);
	}
	free(at.key);
	return n < 0 ? EXIT_NEGATIVE : EXIT_OK;
}

int query_states(int argc, char **argv)
{
	struct telemetry_options where = {0};
	struct option_u64 shard = {0};
	bool json = false;
	const struct option table[] = {
		TELEMETRY_OPTIONS(where),
		{"--shard", "N", "this shard only", OPTION_U64, &shard, 0, SHARD_MAX},
		{"--json", NULL, "one JSON object a line", OPTION_FLAG, &json, 0, 0},
		{NULL, NULL, NULL, OPTION_FLAG, NULL, 0, 0},
	};
	struct telemetry telemetry;
	char error[ERROR_SIZE];
	json_int_t shards;
	json_t *status;
	int err = options_parse(&states_usage, table, argc, argv);

	if (err)
		return err > 0 ? EXIT_OK : EXIT_USAGE;
	if (telemetry_open(&telemetry, &where, error)) {
		usage_error("query states", "%s", error);
		return EXIT_NEGATIVE;
	}
	status = query_ask(&telemetry, "/atr/status");
	shards = json_integer_value(json_object_get(status, "shards"));
	err = status ? EXIT_OK : EXIT_NEGATIVE;
	if (keeps_nothing(status))
		warning("query states", "there may be none" KEEPS_NOTHING);
	json_decref(status);
	if (shard.given)
		err = print_shard(&telemetry, (json_int_t)shard.value, json);
	for (json_int_t s = 0; !shard.given && err == EXIT_OK && s < shards; s++)
		err = print_shard(&telemetry, s, json);
	telemetry_close(&telemetry);
	return err;
}
