/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "../../lib/overload/overload.h"
#include "telemetry.h"
#include "term.h"

#define MS_A_SECOND 1000.0
#define CELL        64

static const char *unit_of(const char *signal)
{
	for (unsigned int s = 0; s < ATR_SIGNALS; s++)
		if (strcmp(signal, atr_signal_info[s].name) == 0)
			return atr_signal_info[s].unit;
	return "";
}

/* A state that has no such name counts as worse than all. */
static unsigned int rank_of(const char *name)
{
	unsigned int state = ATR_GREEN;

	while (state < ATR_LOADS && strcmp(atr_load_name(state), name) != 0)
		state++;
	return state;
}

static json_int_t number(json_t *object, const char *name)
{
	return json_integer_value(json_object_get(object, name));
}

/* What led into the state; "calm" for one that was left for a better one. */
static json_t *because(json_t *load, const char *state)
{
	const char *was = json_string_value(json_object_get(load, "was"));
	const char *signal = json_string_value(json_object_get(load, "signal"));

	if (!was || !signal)
		return json_string("-");
	if (rank_of(state) < rank_of(was))
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
	for (unsigned int s = 0; s < ATR_SIGNALS; s++)
		json_object_set_new(row, atr_signal_info[s].name,
				    json_sprintf("%lld %s",
						 (long long)number(json_object_get(load, "signals"),
								   atr_signal_info[s].name),
						 atr_signal_info[s].unit));
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
