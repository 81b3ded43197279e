/* SPDX-License-Identifier: BSD-3-Clause */
/* The loops: data lcores run their shards through the stage table, the control lcore serves them.
 */
#include <errno.h>
#include <stdio.h>

#include <rte_cycles.h>
#include <rte_lcore.h>

#include "../../lib/control/rest.h"
#include "appliance.h"
#include "watch.h"

#define DRAIN_STEP_US  1000
#define QUIET_READINGS 3 /* ledgers with nothing in flight, one after the other */

static int data_lcore_main(void *arg)
{
	struct data_lcore *lcore = arg;
	uint32_t phase = RUN_SERVE;

	for (unsigned int s = 0; s < lcore->shard_count; s++) {
		rte_rcu_qsbr_thread_register(lcore->appliance->rcu, lcore->shard[s]->id);
		rte_rcu_qsbr_thread_online(lcore->appliance->rcu, lcore->shard[s]->id);
	}
	while (phase != RUN_STOP) {
		phase = __atomic_load_n(&lcore->appliance->phase, __ATOMIC_ACQUIRE);
		for (unsigned int s = 0; s < lcore->shard_count; s++) {
			lcore->shard[s]->stopping = phase != RUN_SERVE;
			atr_shard_run(lcore->shard[s]);
		}
	}
	for (unsigned int s = 0; s < lcore->shard_count; s++) {
		atr_shard_finish(lcore->shard[s]);
		rte_rcu_qsbr_thread_offline(lcore->appliance->rcu, lcore->shard[s]->id);
		rte_rcu_qsbr_thread_unregister(lcore->appliance->rcu, lcore->shard[s]->id);
	}
	return 0;
}

static int verifier_lcore_main(void *arg)
{
	const struct verifier_lcore *lcore = arg;
	const struct appliance *a = lcore->appliance;
	struct atr_verifier *verifier = a->verifier[lcore - a->verifier_lcore];

	while (__atomic_load_n(&a->phase, __ATOMIC_ACQUIRE) != RUN_STOP)
		if (atr_verifier_run(verifier) == 0)
			rte_pause();
	return 0;
}

static uint64_t in_flight(const struct appliance *a)
{
	uint64_t n = 0;

	for (unsigned int s = 0; s < a->shard_count; s++) {
		n += a->shard[s]->node->book.datagrams.held;
		n += atr_commit_busy(&a->shard[s]->commit);
		n += a->bridge.acks[s] ? rte_ring_count(a->bridge.acks[s]) : 0;
		n += rte_ring_count(a->bridge.verify[s]) + rte_ring_count(a->bridge.envelopes[s]);
		n += rte_ring_count(a->bridge.down[s]);
		for (unsigned int to = 0; to < a->shard_count; to++)
			if (to != s)
				n += rte_ring_count(a->bridge.handover[s][to]);
	}
	for (unsigned int v = 0; v < a->verifier_count; v++)
		n += atr_verifier_busy(a->verifier[v]);
	return n;
}

/* Lets what is under way finish, for a bounded time; in_flight is only a hint here, what is left
 * over is refused by name. */
static void drain(struct appliance *a)
{
	uint64_t deadline = rte_rdtsc() + rte_get_tsc_hz() / 1000 * a->options.drain_ms;
	uint64_t next = 0;
	struct atr_rest rest = {.shares_core = true};
	unsigned int quiet = 0;

	__atomic_store_n(&a->phase, RUN_DRAIN, __ATOMIC_RELEASE);
	while (quiet < QUIET_READINGS && rte_rdtsc() < deadline) {
		atr_rest_turn(&rest, atr_control_run(a->control));
		if (rte_rdtsc() < next)
			continue;
		next = rte_rdtsc() + rte_get_tsc_hz() / 1000000 * DRAIN_STEP_US;
		quiet = in_flight(a) == 0 ? quiet + 1 : 0;
	}
}

static int launch(lcore_function_t *run, void *arg, unsigned int lcore_id)
{
	int rc = rte_eal_remote_launch(run, arg, lcore_id);

	if (rc < 0)
		fprintf(stderr, "atr: lcore %u cannot be launched\n", lcore_id);
	return rc;
}

int appliance_run(struct appliance *a, const volatile int *stop)
{
	struct atr_rest rest = {.shares_core = a->options.durability != ATR_DURABILITY_NONE};
	struct watch watch = {0};
	int rc = 0;

	for (unsigned int i = 0; rc == 0 && i < a->verifier_count; i++)
		rc = launch(verifier_lcore_main, &a->verifier_lcore[i],
			    a->verifier_lcore[i].lcore_id);
	for (unsigned int i = 0; rc == 0 && i < a->lcore_count; i++)
		rc = launch(data_lcore_main, &a->lcore[i], a->lcore[i].lcore_id);
	if (rc == 0) {
		printf("atr: serving\n");
		while (!*stop) {
			atr_rest_turn(&rest, atr_control_run(a->control));
			watch_turn(&watch, a->shard, a->shard_count);
		}
		printf("atr: stopping\n");
		drain(a);
	}
	__atomic_store_n(&a->phase, RUN_STOP, __ATOMIC_RELEASE);
	for (unsigned int i = 0; i < a->lcore_count; i++)
		rte_eal_wait_lcore(a->lcore[i].lcore_id);
	for (unsigned int i = 0; i < a->verifier_count; i++)
		rte_eal_wait_lcore(a->verifier_lcore[i].lcore_id);
	gaps_stop(a);
	ask_stop(&a->ask);
	atr_control_finish(a->control);
	follow_stop(&a->follow);
	durable_stop(&a->durable);
	return rc;
}
