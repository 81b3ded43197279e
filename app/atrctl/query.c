/* SPDX-License-Identifier: BSD-3-Clause */
#include "query.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../../lib/plan/plan.h"
#include "command.h"
#include "../../lib/sign/sign.h"
#include "event_line.h"
#include "term.h"

#define PATIENCE_NS UINT64_C(60000000000) /* while the appliance reads its log */
#define RETRY_NS    UINT64_C(3000000000)  /* while it gives no answer */
#define PAUSE_NS    50000000L
#define COMMAND_MAX 1000 /* bytes that DPDK's telemetry takes */

json_t *query_ask(struct telemetry *telemetry, const char *command)
{
	const struct timespec pause = {.tv_nsec = PAUSE_NS};
	uint64_t started = now_monotonic_ns(), waited = 0;
	char error[ERROR_SIZE];
	json_t *answer;

	if (strlen(command) > COMMAND_MAX) {
		usage_error("query",
			    "a question has at most %d bytes: the key is too long; read "
			    "it from a snapshot (atrctl sub --from-snapshot)",
			    COMMAND_MAX);
		return NULL;
	}
	for (;; nanosleep(&pause, NULL)) {
		json_t *ready;

		waited = now_monotonic_ns() - started;
		answer = telemetry_ask(telemetry, command, error);
		ready = json_object_get(answer, "ready");
		if (answer && (!ready || json_integer_value(ready)))
			return answer;
		if (waited > (answer ? PATIENCE_NS : RETRY_NS))
			break;
		json_decref(answer);
	}
	if (answer)
		usage_error("query",
			    "the appliance has read %lld of %lld leaves of its log, or answers "
			    "somebody else; ask again, it goes on",
			    (long long)json_integer_value(json_object_get(answer, "read")),
			    (long long)json_integer_value(json_object_get(answer, "leaves")));
	else
		usage_error("query", "%s; or it keeps no log (--durability none)", error);
	json_decref(answer);
	return NULL;
}

uint8_t *query_bytes(const json_t *pieces, size_t *length)
{
	size_t digits = 0, i;
	const json_t *piece;
	uint8_t *bytes;

	json_array_foreach(pieces, i, piece)
	{
		digits += json_string_length(piece);
	}
	bytes = calloc(1, digits / 2 + 1);
	*length = 0;
	json_array_foreach(pieces, i, piece)
	{
		size_t n = json_string_length(piece) / 2;

		if (!bytes || atr_hex_decode(json_string_value(piece), 2 * n, bytes + *length, n)) {
			free(bytes);
			return NULL;
		}
		*length += n;
	}
	return bytes;
}

static const struct command commands[] = {
	{"state", "what is kept of one key", query_state},
	{"states", "all keys and what is kept of them", query_states},
	{"event", "where an event lies, its feeds, and the proof that it is in the log",
	 query_event},
	{"range", "events of a source between two sequences", query_range},
	{NULL, NULL, NULL},
};

int cmd_query(int argc, char **argv)
{
	static const struct command_group group = {
		"query",
		"Asks a running appliance, which answers from what is durable; changes nothing.",
		commands,
	};

	return command_group_run(&group, argc, argv);
}
