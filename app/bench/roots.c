/* SPDX-License-Identifier: BSD-3-Clause */
/* Roots a second: signed heads of trees of many sources over the bridge to the control lcore and
 * its verifiers, and their verdicts back. No data lcore runs, so that every lcore given verifies:
 * the control lcore, and --verifiers more. */
#include <stdio.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_malloc.h>

#include "result.h"
#include "rig.h"

#define ROOTS     4000 /* a pass */
#define ROOTS_FEW 200
#define UNDER_WAY 256
#define BURST     32
#define SOURCES   64
#define TREE      256

static struct atr_root_request *request;

static void make(unsigned int count)
{
	for (unsigned int i = 0; i < count; i++) {
		struct atr_root_request *r = &request[i];
		uint8_t root[ATR_HASH_SIZE];

		memset(root, (int)i, sizeof(root));
		memcpy(root, &i, sizeof(i));
		atr_tree_head_init(&r->head, TRAFFIC_REALM, 1 + i % SOURCES, 1, TREE, root);
		atr_signer_sign(rig.traffic.frames, (const uint8_t *)&r->head, sizeof(r->head),
				r->signature);
		r->shard = 0;
	}
}

/* Asks count questions, and takes as many answers. */
static double pass(unsigned int count)
{
	unsigned int asked = 0, answered = 0;
	uint64_t begin = rte_rdtsc();

	while (answered < count) {
		struct atr_msg msg[BURST];
		unsigned int n;

		while (asked < count && asked - answered < UNDER_WAY &&
		       atr_send(rig.bridge.verify[0], ATR_MSG_ROOT, 0, 0, &request[asked]))
			asked++;
		atr_control_run(rig.control);
		n = atr_receive(rig.bridge.down[0], msg, BURST);
		for (unsigned int i = 0; i < n; i++)
			if (((struct atr_root_request *)msg[i].ptr)->verdict != ATR_OK)
				bench_die("a good root was refused");
		answered += n;
	}
	return (double)(rte_rdtsc() - begin) / (double)rte_get_tsc_hz();
}

void bench_roots(struct bench_config *config, json_t *results)
{
	static struct atr_commit_config none = {.durability = ATR_DURABILITY_NONE};
	unsigned int count = config->quick ? ROOTS_FEW : ROOTS;
	double rate[BENCH_PASSES_MAX];
	char name[64];
	json_t *result;

	config->sources = SOURCES;
	config->shards = 1;
	bench_progress("roots: control lcore and %u verifiers, %u passes of %u roots of %u sources",
		       config->verifiers, config->passes, count, SOURCES);
	rig_start(config, "none", &none);
	request = rte_zmalloc(NULL, count * sizeof(*request), RTE_CACHE_LINE_SIZE);
	if (!request)
		bench_die("not enough memory; give EAL more with -m behind `--`");
	rig_launch_verifiers();
	make(count);
	for (unsigned int p = 0; p < config->passes; p++)
		rate[p] = count / pass(count);
	if (rig.control->stats.roots_verified != (uint64_t)count * config->passes)
		bench_die("a root was not verified, or one twice");
	rig_join();
	snprintf(name, sizeof(name), "roots.lcores%u", 1 + config->verifiers);
	result = result_add(results,
			    &(struct result_spec){"roots", name, "roots verified, bridge to bridge",
						  "tier1", "roots/s"},
			    rate, config->passes, config);
	json_object_set_new(json_object_get(result, "parameters"), "verifiers",
			    json_integer(config->verifiers));
	rig_end();
}
