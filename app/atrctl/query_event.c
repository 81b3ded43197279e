/* SPDX-License-Identifier: BSD-3-Clause */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "../../lib/query/query.h"
#include "command.h"
#include "event_line.h"
#include "explain.h"
#include "log_tool.h"
#include "named.h"
#include "option.h"
#include "query.h"

#define COMMAND_SIZE 256

static const struct usage event_usage = {
	"query event IDENTITY [--plan FILE] [--key HEX] [--json]",
	"IDENTITY is SOURCE:SEQUENCE (an event of a frame) or SOURCE:UUID (an envelope); SOURCE\n"
	"is the source's number in the plan or, with --plan, its name. Asks the appliance where\n"
	"the event lies in its log, what was decided under which plan, which feeds it went to\n"
	"under which numbers, and for a proof of it under the newest checkpoint. With --key, the\n"
	"key that signs checkpoints ('atrctl status'), checkpoint and proof are checked here. The\n"
	"first question makes the appliance read its log, which may take a while. Exit status 1\n"
	"if the event is not there, was refused, or a proof does not hold.",
	"  atrctl query event 3:77\n"
	"  atrctl query event sensor:77 --plan plan.json\n"
	"  atrctl query event 9:01890a5d-ac96-774b-bcce-b302099a8057 --key 3b6a...29 --json",
};

static const struct usage range_usage = {
	"query range SOURCE FIRST LAST [--plan FILE] [--json]",
	"Prints the events of frames of a source with sequences FIRST to LAST, one a line, in the\n"
	"order of the log: a sequence that was refused first and admitted later comes twice.\n"
	"SOURCE is its number in the plan or, with --plan, its name. Exit status 1 if there is\n"
	"none.",
	"  atrctl query range 3 1 100\n"
	"  atrctl query range 3 1 100 --json",
};

/* A sentence that an answer bears instead: true, after it was printed. */
static bool is_failure(const json_t *answer)
{
	json_t *pieces = json_object_get(answer, "error_hex");
	size_t length;
	uint8_t *text = pieces ? query_bytes(pieces, &length) : NULL;

	if (pieces)
		failure("query", "%s", text ? (const char *)text : "the log cannot be read");
	free(text);
	return pieces != NULL;
}

static uint64_t number(const json_t *answer, const char *name)
{
	return (uint64_t)json_integer_value(json_object_get(answer, name));
}

static int hash_of(const json_t *text, uint8_t hash[ATR_HASH_SIZE])
{
	return text && json_string_length(text) == (size_t)2 * ATR_HASH_SIZE &&
			       atr_hex_decode(json_string_value(text), (size_t)2 * ATR_HASH_SIZE,
					      hash, ATR_HASH_SIZE) == 0
		       ? 0
		       : -1;
}

static int malformed(void)
{
	usage_error("query event", "the proof is malformed");
	return -1;
}

/* 1 the proof holds under the checkpoint; -1 after a sentence. */
static int check(const json_t *answer, const uint8_t key[ATR_PUBLIC_KEY_SIZE])
{
	const json_t *inclusion = json_object_get(answer, "inclusion"), *node;
	uint8_t proof[ATR_QUERY_NODES][ATR_HASH_SIZE], leaf[ATR_HASH_SIZE];
	struct log_note note = {0};
	size_t i, length = 0;
	uint8_t *text;

	if (!inclusion) {
		usage_error("query event",
			    "no checkpoint of the appliance's covers it since its start; publish "
			    "something, or ask atrctl trace --key");
		return -1;
	}
	text = query_bytes(json_object_get(answer, "note_hex"), &length);
	if (text && length < sizeof(note.text)) {
		memcpy(note.text, text, length);
		note.length = length;
	}
	free(text);
	if (log_note_check("query event", key, &note))
		return -1;
	if (json_array_size(inclusion) > ATR_QUERY_NODES ||
	    hash_of(json_object_get(answer, "leaf_hash"), leaf))
		return malformed();
	json_array_foreach(inclusion, i, node)
	{
		if (hash_of(node, proof[i]))
			return malformed();
	}
	if (note.shard != number(answer, "shard") ||
	    !atr_merkle_inclusion_ok(number(answer, "leaf"), note.checkpoint.size, leaf, proof[0],
				     json_array_size(inclusion), note.checkpoint.root)) {
		usage_error("query event",
			    "the proof does not hold under the checkpoint of size "
			    "%" PRIu64 "; keep both as evidence",
			    note.checkpoint.size);
		return -1;
	}
	return 1;
}

static void print_event(const char *identity, json_t *answer, int proven)
{
	json_t *feeds = json_object_get(answer, "feeds");
	json_t *numbers = json_object_get(answer, "feed_numbers");
	uint64_t size = number(answer, "checkpoint_size");

	printf("event      %s, topic %" PRIu64 ", type %" PRIu64 "\n", identity,
	       number(answer, "topic"), number(answer, "type"));
	printf("gates      %s\n",
	       number(answer, "admitted") ? "all passed: admitted" : "refused by one of them");
	printf("plan       generation %" PRIu64 "\n", number(answer, "generation"));
	printf("log        shard %" PRIu64 ", leaf %" PRIu64 ", event %" PRIu64
	       " (from 0) of %" PRIu64 " in its record, group %" PRIu64 "\n",
	       number(answer, "shard"), number(answer, "leaf"), number(answer, "event"),
	       number(answer, "events"), number(answer, "group"));
	if (!feeds)
		puts("feeds      unknown: the plan of that time is not in the log, or does not "
		     "compile");
	else if (json_array_size(feeds) == 0)
		puts("feeds      none whose positions the log keeps");
	for (size_t i = 0; i < json_array_size(feeds); i++)
		printf("feed %-5lld message %lld\n",
		       (long long)json_integer_value(json_array_get(feeds, i)),
		       (long long)json_integer_value(json_array_get(numbers, i)));
	if (json_object_get(answer, "inclusion"))
		printf("checkpoint size %" PRIu64 " covers it%s\n", size,
		       proven > 0    ? ": the leaf is proven; that it is this event, `atrctl log "
				       "prove` shows from the log"
		       : proven == 0 ? " (not checked: --key)"
				     : " (NOT proven)");
	else
		printf("checkpoint size %" PRIu64 ", the newest, does not cover it yet\n", size);
}

/* The note is text of signed bytes, hex only for the way here. */
static void print_event_json(const char *identity, json_t *answer, int proven, bool checked)
{
	size_t length = 0;
	uint8_t *note = query_bytes(json_object_get(answer, "note_hex"), &length);

	json_object_del(answer, "note_hex");
	json_object_del(answer, "ready");
	json_object_set_new(answer, "identity", json_string(identity));
	if (note && length)
		json_object_set_new(answer, "checkpoint", explain_bytes_json(note, length));
	if (checked)
		json_object_set_new(answer, "proven", json_boolean(proven > 0));
	free(note);
	explain_print_json(json_incref(answer));
}

static int tell_event(const char *identity, json_t *answer, const uint8_t *key, bool json)
{
	int proven = 0;

	if (is_failure(answer))
		return EXIT_NEGATIVE;
	if (!number(answer, "found")) {
		usage_error("query event",
			    number(answer, "pruned")
				    ? "%s is not in the log, or its bytes were given up by "
				      "retention"
				    : "%s is not in the log",
			    identity);
		return EXIT_NEGATIVE;
	}
	if (key)
		proven = check(answer, key);
	if (json)
		print_event_json(identity, answer, proven, key != NULL);
	else
		print_event(identity, answer, proven);
	return proven >= 0 && number(answer, "admitted") ? EXIT_OK : EXIT_NEGATIVE;
}

int query_event(int argc, char **argv)
{
	const char *text = NULL, *plan = NULL, *hex = NULL;
	struct telemetry_options where = {0};
	bool json = false;
	const struct option table[] = {
		TELEMETRY_OPTIONS(where),
		{"--plan", "FILE", "plan: SOURCE may be a name", OPTION_STRING, &plan, 0, 0},
		{"--key", "HEX", "public key of its checkpoints", OPTION_STRING, &hex, 0, 0},
		{"--json", NULL, "as one JSON object", OPTION_FLAG, &json, 0, 0},
		{"", "IDENTITY", "SOURCE:SEQUENCE or SOURCE:UUID", OPTION_STRING, &text, 0, 0},
		{NULL, NULL, NULL, OPTION_FLAG, NULL, 0, 0},
	};
	char command[COMMAND_SIZE], error[ERROR_SIZE], identity[NAMED_SIZE];
	uint8_t key[ATR_PUBLIC_KEY_SIZE];
	struct telemetry telemetry;
	struct atr_query_key parsed;
	json_t *answer;
	int err = options_parse(&event_usage, table, argc, argv);

	if (err)
		return err > 0 ? EXIT_OK : EXIT_USAGE;
	err = named_event("query event", plan, text, &parsed, identity);
	if (err)
		return err;
	if (hex && log_key("query event", hex, key))
		return EXIT_USAGE;
	if (telemetry_open(&telemetry, &where, error)) {
		usage_error("query event", "%s", error);
		return EXIT_NEGATIVE;
	}
	snprintf(command, sizeof(command), "/atr/event,%s", identity);
	answer = query_ask(&telemetry, command);
	telemetry_close(&telemetry);
	err = answer ? tell_event(identity, answer, hex ? key : NULL, json) : EXIT_NEGATIVE;
	json_decref(answer);
	return err;
}

/* --- Ranges --- */

static const char *const columns[] = {"sequence", "leaf", "event",      "group",       "admitted",
				      "topic",    "type", "generation", "committed_ns"};
#define COLUMNS (sizeof(columns) / sizeof(columns[0]))

/* Rows printed. */
static size_t print_rows(const json_t *page, bool json)
{
	size_t rows = json_array_size(json_object_get(page, columns[0]));

	for (size_t r = 0; r < rows; r++) {
		json_t *row = json ? json_object() : NULL;

		for (size_t c = 0; c < COLUMNS; c++) {
			json_t *value = json_array_get(json_object_get(page, columns[c]), r);

			if (json)
				json_object_set(row, columns[c], value);
			else
				printf("%s%s %lld", c ? " " : "", columns[c],
				       (long long)json_integer_value(value));
		}
		if (!json) {
			printf(" shard %" PRIu64 "\n", number(page, "shard"));
			continue;
		}
		json_object_set(row, "shard", json_object_get(page, "shard"));
		explain_print_json(row);
	}
	return rows;
}

/* All pages. Rows printed, or -1 after a sentence. */
static long long print_range(struct telemetry *telemetry, const uint64_t from[3], bool json)
{
	char next[COMMAND_SIZE / 2] = "0,0,0", command[COMMAND_SIZE];
	long long rows = 0;
	bool more = true;

	while (more) {
		json_t *page;
		const char *on;

		snprintf(command, sizeof(command),
			 "/atr/events,%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%s", from[0], from[1],
			 from[2], next);
		page = query_ask(telemetry, command);
		if (!page || is_failure(page)) {
			json_decref(page);
			return -1;
		}
		rows += (long long)print_rows(page, json);
		on = json_string_value(json_object_get(page, "next"));
		/* A page that does not lead further must not be asked for ever. */
		more = on && strcmp(on, next) != 0;
		if (more)
			snprintf(next, sizeof(next), "%.100s", on);
		json_decref(page);
	}
	return rows;
}

int query_range(int argc, char **argv)
{
	const char *text[3] = {NULL, NULL, NULL}, *plan = NULL;
	struct telemetry_options where = {0};
	bool json = false;
	const struct option table[] = {
		TELEMETRY_OPTIONS(where),
		{"--plan", "FILE", "plan: SOURCE may be a name", OPTION_STRING, &plan, 0, 0},
		{"--json", NULL, "one JSON object a line", OPTION_FLAG, &json, 0, 0},
		{"", "SOURCE", "the source", OPTION_STRING, &text[0], 0, 0},
		{"", "FIRST", "sequence", OPTION_STRING, &text[1], 0, 0},
		{"", "LAST", "sequence", OPTION_STRING, &text[2], 0, 0},
		{NULL, NULL, NULL, OPTION_FLAG, NULL, 0, 0},
	};
	struct telemetry telemetry;
	char error[ERROR_SIZE];
	uint64_t from[3];
	uint32_t source;
	long long rows;
	int err = options_parse(&range_usage, table, argc, argv);

	if (err)
		return err > 0 ? EXIT_OK : EXIT_USAGE;
	if (!text[2] || parse_u64(text[1], 0, UINT64_MAX, &from[1]) ||
	    parse_u64(text[2], from[1], UINT64_MAX, &from[2]))
		return usage_error("query range",
				   "name source, first and last sequence, in ascending order");
	err = named_source("query range", plan, text[0], &source);
	if (err)
		return err;
	from[0] = source;
	if (telemetry_open(&telemetry, &where, error)) {
		usage_error("query range", "%s", error);
		return EXIT_NEGATIVE;
	}
	rows = print_range(&telemetry, from, json);
	telemetry_close(&telemetry);
	return rows > 0 ? EXIT_OK : EXIT_NEGATIVE;
}
