/* SPDX-License-Identifier: BSD-3-Clause */
/* A change of program: published by pointer, taken by each shard at a batch boundary of its own,
 * reclaimed when all have. Nobody waits here. */
#include <errno.h>
#include <stdio.h>

#include <rte_cycles.h>
#include <rte_rcu_qsbr.h>

#include "control.h"

static bool envelopes_under_way(const struct atr_control *control)
{
	for (unsigned int s = 0; s < control->bridge->shards; s++)
		if (control->admits[s] > 0)
			return true;
	return false;
}

static void publish(struct atr_control *control)
{
	struct atr_swap_state *swap = &control->swap;

	swap->old = *control->program_slot;
	__atomic_store_n(control->program_slot, swap->next, __ATOMIC_RELEASE);
	swap->next = NULL;
	swap->step = ATR_SWAP_ADOPT;
	pthread_mutex_lock(&control->readers);
	atr_governor_reset(control->governor);
	pthread_mutex_unlock(&control->readers);
}

static void adopted(struct atr_control *control)
{
	struct atr_swap_state *swap = &control->swap;
	uint64_t cycles = rte_rdtsc() - swap->begun_tsc;

	swap->token = rte_rcu_qsbr_start(control->rcu);
	swap->step = ATR_SWAP_GRACE;
	swap->done++;
	swap->cycles = cycles;
	if (cycles > swap->cycles_max)
		swap->cycles_max = cycles;
}

/* The plan stays a while longer than its program. */
static void keep_plan(struct atr_control *control, struct atr_program *program)
{
	struct atr_plan **place = &control->past[control->pasts % ATR_PLANS_PAST];

	if (!program->owns_plan)
		return;
	program->owns_plan = false;
	atr_plan_free(*place);
	*place = (struct atr_plan *)(uintptr_t)program->plan;
	control->pasts++;
}

/* Unless somebody looks at it: then a turn later. */
static unsigned int reclaim(struct atr_control *control)
{
	struct atr_swap_state *swap = &control->swap;

	if (pthread_mutex_trylock(&control->readers) != 0)
		return 0;
	if (pthread_mutex_trylock(&control->past_lock) == 0) {
		keep_plan(control, swap->old);
		atr_program_free(swap->old);
		swap->old = NULL;
		swap->step = ATR_SWAP_NONE;
		pthread_mutex_unlock(&control->past_lock);
	}
	pthread_mutex_unlock(&control->readers);
	return swap->step == ATR_SWAP_NONE;
}

const struct atr_plan *atr_control_plan(const struct atr_control *control, uint64_t generation)
{
	const struct atr_program *program =
		__atomic_load_n(control->program_slot, __ATOMIC_ACQUIRE);
	const struct atr_program *old = control->swap.old;

	if (program->plan && program->generation == generation)
		return program->plan;
	if (old && old->plan && old->generation == generation)
		return old->plan;
	for (unsigned int i = 0; i < ATR_PLANS_PAST; i++)
		if (control->past[i] && control->past[i]->generation == generation)
			return control->past[i];
	return NULL;
}

unsigned int atr_control_swap(struct atr_control *control)
{
	struct atr_swap_state *swap = &control->swap;
	const struct atr_program *program = *control->program_slot;

	switch (swap->step) {
	case ATR_SWAP_NONE: return 0;
	case ATR_SWAP_QUIET:
		if (envelopes_under_way(control))
			return 0;
		publish(control);
		return 1;
	case ATR_SWAP_ADOPT:
		if (__atomic_load_n(&program->adopted, __ATOMIC_ACQUIRE) < control->bridge->shards)
			return 0;
		adopted(control);
		return 1;
	case ATR_SWAP_GRACE:
		if (rte_rcu_qsbr_check(control->rcu, swap->token, false) != 1)
			return 0;
		return reclaim(control);
	}
	return 1;
}

static bool in_use(const struct atr_program *program)
{
	return program && __atomic_load_n(&program->adopted, __ATOMIC_ACQUIRE) > 0;
}

/* No shard runs yet. */
static void replace(struct atr_control *control, struct atr_program *program)
{
	struct atr_program *old = *control->program_slot;

	__atomic_store_n(control->program_slot, program, __ATOMIC_RELEASE);
	atr_program_free(old);
}

int atr_control_publish(struct atr_control *control, struct atr_program *program,
			uint32_t identities, char *error, size_t size)
{
	struct atr_swap_state *swap = &control->swap;

	if (swap->step != ATR_SWAP_NONE) {
		snprintf(error, size, "control: a change of plan is under way; try again");
		return -EBUSY;
	}
	if (program->plan && !control->identity) {
		control->identity = atr_identity_create(
			identities, program->plan->uuid_past_ms + program->plan->uuid_future_ms,
			SOCKET_ID_ANY);
		if (!control->identity) {
			snprintf(error, size,
				 "control: no memory to remember %u envelopes; lower --identities",
				 identities);
			return -ENOMEM;
		}
	}
	if (control->stats.turns == 0 && !in_use(*control->program_slot)) {
		replace(control, program);
		return 0;
	}
	swap->next = program;
	swap->begun_tsc = rte_rdtsc();
	swap->step = ATR_SWAP_QUIET;
	atr_control_swap(control);
	return 0;
}

void atr_control_swap_end(struct atr_control *control)
{
	atr_program_free(control->swap.next);
	atr_program_free(control->swap.old);
	for (unsigned int i = 0; i < ATR_PLANS_PAST; i++)
		atr_plan_free(control->past[i]);
}
