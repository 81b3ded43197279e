/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "telemetry.h"
#include "term.h"

#define MS_A_SECOND 1000.0
#define CELL        64

/* As overload.def names and measures them. */
static const struct {
	const char *name, *unit;
} signals[] = {
	{"rx", ""},      {"rings", "%"}, {"hold", "%"},
	{"commit", "%"}, {"pool", "%"},  {"latency", "us"},
};

static const char *unit_of(const char *signal)
{
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		if (strcmp(signal, signals[i].name) == 0)
			return signals[i].unit;
	return "";
}

static json_int_t number(json_t *object, const char *name)
{
	return json_integer_value(json_object_get(object, name));
}

/* What led into the state; "calm" for one that was left for a better one. */
static json_t *because(json_t *load, const char *state)
{
	static const char *const order[] = {"green", "yellow", "orange", "red"};
	const char *was = json_string_value(json_object_get(load, "was"));
	const char *signal = json_string_value(json_object_get(load, "signal"));
	size_t now = 0, before = 0;

	if (!was || !signal)
		return json_string("-");
	while (now < 3 && strcmp(order[now], state) != 0)
		now++;
	while (before < 3 && strcmp(order[before], was) != 0)
		before++;
	if (now < before)
		return json_sprintf("calm, was %s", was);
	return json_sprintf("%s %lld %s", signal, (long long)number(load, "value"),
			    unit_of(signal));
}

static json_t *row_of(const char *shard, json_t *load)
{
	json_t *row = json_object(), *shed = json_object_get(load, "shed"), *count;
	const char *state = json_string_value(json_object_get(load, "state")), *measure;
	char since[CELL];

	if (!state)
		state = "?";
	snprintf(since, sizeof(since), "%.1f s", (double)number(load, "ms_in_state") / MS_A_SECOND);
	json_object_set_new(row, "shard", json_string(shard));
	json_object_set_new(row, "state", json_string(state));
	json_object_set_new(row, "for", json_string(since));
	json_object_set_new(row, "because", because(load, state));
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		json_object_set_new(row, signals[i].name,
				    json_sprintf("%lld %s",
						 (long long)number(json_object_get(load, "signals"),
								   signals[i].name),
						 signals[i].unit));
	json_object_foreach(shed, measure, count)
	{
		json_object_set(row, measure, count);
	}
	return row;
}

void telemetry_render_load(FILE *to, json_t *loads)
{
	json_t *rows = json_array(), *load;
	const char *shard;

	json_object_foreach(loads, shard, load)
	{
		json_array_append_new(rows, row_of(shard, load));
	}
	fputs("load\n", to);
	telemetry_render(to, rows, 2);
	json_decref(rows);
}
