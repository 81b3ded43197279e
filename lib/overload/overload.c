/* SPDX-License-Identifier: BSD-3-Clause */
#include "overload.h"

#include <string.h>

#define US_PER_S     1000000
#define MS_PER_S     1000
#define CALM_PARTS   4 /* a state is left below three of four parts of its value */
#define CALM_BELOW   3
#define VALUE_MOST   UINT32_MAX
#define MEASURE_BITS 32

_Static_assert(ATR_MEASURES <= MEASURE_BITS, "a bit each");

const struct atr_signal_info atr_signal_info[ATR_SIGNALS] = {
#define ATR_SIGNAL(NAME, name, unit, yellow, orange, red, what) \
	{#name, unit, what, {0, yellow, orange, red}},
#include "overload.def"
};

const struct atr_measure_info atr_measure_info[ATR_MEASURES] = {
#define ATR_MEASURE(NAME, name, state, reason, what) {#name, what, ATR_##state, ATR_##reason},
#include "overload.def"
};

static uint32_t measures_of(unsigned int state)
{
	uint32_t measures = 0;

	for (unsigned int m = 0; m < ATR_MEASURES; m++)
		if (atr_measure_info[m].from <= state)
			measures |= 1u << m;
	return measures;
}

void atr_overload_init(struct atr_overload *overload, uint64_t now_tsc, uint64_t hz)
{
	memset(overload, 0, sizeof(*overload));
	overload->ms_tsc = hz / MS_PER_S;
	overload->us_tsc = hz / US_PER_S;
	overload->shortest = UINT64_MAX;
	overload->read_tsc = now_tsc + overload->ms_tsc;
	overload->since_tsc = now_tsc;
}

bool atr_overload_turn(struct atr_overload *overload, uint64_t begin_tsc, uint64_t end_tsc,
		       bool worked)
{
	overload->gap |= !overload->full;
	overload->full = false;
	if (worked && end_tsc - begin_tsc < overload->shortest)
		overload->shortest = end_tsc - begin_tsc;
	return end_tsc >= overload->read_tsc;
}

static uint32_t clamp(uint64_t value)
{
	return value < VALUE_MOST ? (uint32_t)value : VALUE_MOST;
}

/* The worst state that any signal asks for at parts/CALM_PARTS of its values. */
static unsigned int asked(const uint32_t value[ATR_SIGNALS], unsigned int parts, uint8_t *signal)
{
	unsigned int worst = ATR_GREEN;

	for (unsigned int s = 0; s < ATR_SIGNALS; s++)
		for (unsigned int state = ATR_RED; state > worst; state--)
			if ((uint64_t)value[s] * CALM_PARTS >=
			    (uint64_t)atr_signal_info[s].from[state] * parts) {
				worst = state;
				*signal = (uint8_t)s;
			}
	return worst;
}

static void enter(struct atr_overload *overload, unsigned int state, uint64_t now_tsc)
{
	uint64_t n = overload->transitions;

	overload->transition[n % ATR_TRANSITIONS] = (struct atr_transition){
		.tsc = now_tsc,
		.from = overload->state,
		.to = (uint8_t)state,
		.signal = overload->crossed,
		.value = overload->value[overload->crossed],
	};
	overload->state = (uint8_t)state;
	overload->since_tsc = now_tsc;
	overload->calm_tsc = 0;
	__atomic_store_n(&overload->measures, measures_of(state), __ATOMIC_RELAXED);
	__atomic_store_n(&overload->transitions, n + 1, __ATOMIC_RELEASE);
}

/* A pause makes one turn slow; a slow shard has no fast one for a while. */
static uint32_t latency(struct atr_overload *overload)
{
	uint32_t shortest = UINT32_MAX;

	overload->turn_us[overload->reading++ % ATR_LATENCY_READINGS] =
		overload->shortest == UINT64_MAX ? 0 : clamp(overload->shortest / overload->us_tsc);
	overload->shortest = UINT64_MAX;
	for (unsigned int i = 0; i < ATR_LATENCY_READINGS; i++)
		if (overload->turn_us[i] < shortest)
			shortest = overload->turn_us[i];
	return shortest;
}

void atr_overload_judge(struct atr_overload *overload, const uint32_t value[ATR_SIGNALS],
			uint64_t now_tsc)
{
	unsigned int up, stay;

	memcpy(overload->value, value, sizeof(overload->value));
	overload->full_readings = overload->gap ? 0 : overload->full_readings + 1;
	overload->gap = false;
	overload->value[ATR_SIGNAL_RX] = overload->full_readings;
	overload->value[ATR_SIGNAL_LATENCY] = latency(overload);
	overload->read_tsc = now_tsc + overload->ms_tsc;
	stay = asked(overload->value, CALM_BELOW, &overload->crossed);
	up = asked(overload->value, CALM_PARTS, &overload->crossed);
	if (up > overload->state) {
		enter(overload, up, now_tsc);
	} else if (stay >= overload->state) {
		overload->calm_tsc = 0;
	} else if (overload->calm_tsc == 0) {
		overload->calm_tsc = now_tsc;
	} else if (now_tsc - overload->calm_tsc >= ATR_OVERLOAD_CALM_MS * overload->ms_tsc) {
		enter(overload, overload->state - 1u, now_tsc);
	}
}

unsigned int atr_overload_transitions(const struct atr_overload *overload, uint64_t *from,
				      struct atr_transition *out, unsigned int max)
{
	uint64_t end = __atomic_load_n(&overload->transitions, __ATOMIC_ACQUIRE);
	unsigned int n = 0;

	/* The entry behind the last may be half written. */
	if (end - *from >= ATR_TRANSITIONS)
		*from = end - ATR_TRANSITIONS + 1;
	while (n < max && *from < end)
		out[n++] = overload->transition[(*from)++ % ATR_TRANSITIONS];
	return n;
}

const char *atr_load_name(unsigned int state)
{
	static const char *const names[] = {"green", "yellow", "orange", "red"};

	return state < ATR_LOADS ? names[state] : "?";
}
