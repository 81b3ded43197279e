/* SPDX-License-Identifier: BSD-3-Clause */
#include "watch.h"

#include <ctype.h>
#include <stdio.h>

#include <rte_cycles.h>

#define LOOKS_A_SECOND 100
#define NAME_MAX_BYTES 8

/* As docs/overload.md writes them. */
static const char *state_name(unsigned int state, char name[NAME_MAX_BYTES])
{
	unsigned int n;
	const char *lower = atr_load_name(state);

	for (n = 0; n < NAME_MAX_BYTES - 1 && lower[n]; n++)
		name[n] = (char)toupper((unsigned char)lower[n]);
	name[n] = '\0';
	return name;
}

static void print(unsigned int shard, const struct atr_transition *t)
{
	const struct atr_signal_info *signal = &atr_signal_info[t->signal];
	char to[NAME_MAX_BYTES], from[NAME_MAX_BYTES];

	state_name(t->to, to);
	if (t->to < t->from)
		printf("atr: shard %u %s, was %s: calm for %d ms\n", shard, to,
		       state_name(t->from, from), ATR_OVERLOAD_CALM_MS);
	else
		printf("atr: shard %u %s, was %s: %s %u %s (%s from %u %s)\n", shard, to,
		       state_name(t->from, from), signal->name, t->value, signal->unit, to,
		       signal->from[t->to], signal->unit);
}

void watch_turn(struct watch *watch, struct atr_shard *const *shards, unsigned int count)
{
	uint64_t now = rte_rdtsc();

	if (now < watch->next_tsc)
		return;
	watch->next_tsc = now + rte_get_tsc_hz() / LOOKS_A_SECOND;
	for (unsigned int s = 0; s < count; s++) {
		struct atr_transition t;

		while (atr_overload_transitions(&shards[s]->overload, &watch->seen[s], &t, 1) == 1)
			print(s, &t);
	}
}
