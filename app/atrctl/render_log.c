/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "telemetry.h"
#include "term.h"

#define SECONDS_AN_HOUR 3600.0

/* Members of /atr/log that fit a line, in this order; --json has them all. */
static const char *const columns[] = {
	"state",          "leaves",        "groups", "groups_under_way", "syncs", "sync_us_mean",
	"commit_us_mean", "commit_us_max", "acks",   "acks_dropped",     "shed",
};

static json_t *row_of(const char *shard, json_t *log)
{
	json_t *row = json_object();

	json_object_set_new(row, "shard", json_string(shard));
	for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++) {
		json_t *value = json_object_get(log, columns[i]);

		json_object_set_new(row, columns[i], value ? json_incref(value) : json_string("-"));
	}
	return row;
}

void telemetry_render_log(FILE *to, json_t *logs)
{
	json_t *rows, *log;
	const char *shard;

	if (json_object_size(logs) == 0)
		return;
	rows = json_array();
	json_object_foreach(logs, shard, log)
	{
		json_array_append_new(rows, row_of(shard, log));
	}
	fputs("log\n", to);
	telemetry_render(to, rows, 2);
	json_decref(rows);
	json_object_foreach(logs, shard, log)
	{
		json_t *sentence = json_object_get(log, "sentence");
		json_t *full = json_object_get(log, "full_in_s");

		if (json_is_integer(full)) {
			fputs("  shard ", to);
			term_text(to, shard, strlen(shard));
			fprintf(to, ": disk full in %.1f h, as the log grows now\n",
				(double)json_integer_value(full) / SECONDS_AN_HOUR);
		}
		if (json_string_length(sentence) == 0)
			continue;
		fputs("  shard ", to);
		term_text(to, shard, strlen(shard));
		fputs(": ", to);
		term_text(to, json_string_value(sentence), json_string_length(sentence));
		fputc('\n', to);
	}
}
