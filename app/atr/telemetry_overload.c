/* SPDX-License-Identifier: BSD-3-Clause */
/* /atr/overload: the state of load of each shard, why, and what it has shed. /atr/transitions: how
 * a shard came there. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <rte_cycles.h>

#include "telemetry.h"

static uint64_t ms_ago(uint64_t tsc)
{
	return (rte_rdtsc() - tsc) / (rte_get_tsc_hz() / 1000);
}

static struct rte_tel_data *begin(struct rte_tel_data *parent, const char *name)
{
	struct rte_tel_data *d = rte_tel_data_alloc();

	if (!d)
		return NULL;
	rte_tel_data_start_dict(d);
	rte_tel_data_add_dict_container(parent, name, d, 0);
	return d;
}

static void signals(struct rte_tel_data *parent, const struct atr_overload *o)
{
	struct rte_tel_data *d = begin(parent, "signals");

	for (unsigned int s = 0; d && s < ATR_SIGNALS; s++)
		rte_tel_data_add_dict_u64(d, atr_signal_info[s].name, o->value[s]);
}

void telemetry_shed(const struct atr_ledger_node *node, struct rte_tel_data *parent)
{
	struct rte_tel_data *d = begin(parent, "shed");

	for (unsigned int m = 0; d && m < ATR_MEASURES; m++)
		if (atr_measure_info[m].reason != ATR_OK)
			rte_tel_data_add_dict_u64(
				d, atr_measure_info[m].name,
				node->book.events.refused[atr_measure_info[m].reason]);
}

static int one_transition(struct rte_tel_data *parent, uint64_t number,
			  const struct atr_transition *t)
{
	struct rte_tel_data *d;
	char key[24];

	snprintf(key, sizeof(key), "%" PRIu64, number);
	d = begin(parent, key);
	if (!d)
		return -ENOMEM;
	rte_tel_data_add_dict_u64(d, "ms_ago", ms_ago(t->tsc));
	rte_tel_data_add_dict_string(d, "from", atr_load_name(t->from));
	rte_tel_data_add_dict_string(d, "to", atr_load_name(t->to));
	rte_tel_data_add_dict_string(d, "signal", atr_signal_info[t->signal].name);
	rte_tel_data_add_dict_u64(d, "value", t->value);
	return 0;
}

/* The transition that led into the state the shard is in. */
static void because(struct rte_tel_data *d, const struct atr_overload *o)
{
	uint64_t made = __atomic_load_n(&o->transitions, __ATOMIC_ACQUIRE);
	uint64_t last = made - 1;
	struct atr_transition t;

	rte_tel_data_add_dict_u64(d, "transitions", made);
	if (made == 0 || atr_overload_transitions(o, &last, &t, 1) == 0)
		return;
	rte_tel_data_add_dict_string(d, "was", atr_load_name(t.from));
	rte_tel_data_add_dict_string(d, "signal", atr_signal_info[t.signal].name);
	rte_tel_data_add_dict_u64(d, "value", t.value);
}

int telemetry_overload(struct appliance *a, const char *params, struct rte_tel_data *d)
{
	uint64_t at = params ? strtoull(params, NULL, 10) : 0;
	unsigned int shown = 0;
	int rc;

	rte_tel_data_start_dict(d);
	for (; at < a->shard_count; at++) {
		const struct atr_overload *o = &a->shard[at]->overload;
		struct rte_tel_data *one;
		char key[16];

		rc = telemetry_next(d, at, &shown, &one);
		if (rc <= 0)
			return rc;
		rte_tel_data_add_dict_string(one, "state", atr_load_name(o->state));
		rte_tel_data_add_dict_u64(one, "ms_in_state", ms_ago(o->since_tsc));
		because(one, o);
		signals(one, o);
		telemetry_shed(a->shard[at]->node, one);
		snprintf(key, sizeof(key), "%" PRIu64, at);
		rte_tel_data_add_dict_container(d, key, one, 0);
	}
	return 0;
}

int telemetry_transitions(struct appliance *a, const char *params, struct rte_tel_data *d)
{
	unsigned long shard = params ? strtoul(params, NULL, 10) : 0;
	const struct atr_overload *o;
	struct atr_transition t;
	uint64_t from = 0;
	int rc = 0;

	if (shard >= a->shard_count)
		return -EINVAL;
	o = &a->shard[shard]->overload;
	rte_tel_data_start_dict(d);
	while (rc == 0 && atr_overload_transitions(o, &from, &t, 1) == 1)
		rc = one_transition(d, from - 1, &t);
	return rc;
}
