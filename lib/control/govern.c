/* SPDX-License-Identifier: BSD-3-Clause */
/* Envelopes that govern. A change is compiled to the last route before it is admitted, so that what
 * is admitted can be put in force. */
#include <stdio.h>

#include "control.h"

static struct atr_program *program_for(struct atr_control *control, struct atr_plan *plan,
				       char *error, size_t size)
{
	const struct atr_program *now = *control->program_slot;
	struct atr_machine machine = control->machine;
	struct atr_program *program;

	machine.before = now;
	plan->generation = now->generation + 1;
	atr_plan_number_keys(now->plan, plan);
	program = atr_program_create(plan, plan->generation, &machine, error, size);
	if (program && control->durability != ATR_DURABILITY_NONE && atr_program_log(program) < 0) {
		snprintf(error, size, "out of memory for the records of the plan");
		atr_program_free(program);
		return NULL;
	}
	return program;
}

/* The change may be, as far as the operators go. */
static uint8_t propose(struct atr_control *control, const struct atr_json *payload)
{
	char error[ATR_GOVERNOR_SENTENCE] = "";
	struct atr_plan *plan = atr_governor_give(control->governor, payload);

	if (!plan)
		return ATR_REASON_GOV_DOCUMENT;
	control->proposed = program_for(control, plan, error, sizeof(error));
	if (control->proposed) {
		control->proposed->owns_plan = true;
		return ATR_OK;
	}
	atr_governor_refuse(control->governor, error);
	atr_governor_give_back(control->governor, plan);
	return ATR_REASON_GOV_DOCUMENT;
}

uint8_t atr_control_govern(struct atr_control *control, uint32_t source, uint32_t type,
			   const struct atr_json *payload)
{
	const struct atr_plan *plan = (*control->program_slot)->plan;
	bool change = atr_plan_governs(plan, type) == ATR_GOVERNANCE_CHANGE;
	uint8_t reason;

	if (change && (control->proposed || control->swap.step != ATR_SWAP_NONE))
		return ATR_REASON_BRIDGE_FULL;
	pthread_mutex_lock(&control->readers);
	reason = atr_governor_judge(control->governor, plan, source, type, payload);
	if (reason == ATR_OK && change)
		reason = propose(control, payload);
	pthread_mutex_unlock(&control->readers);
	return reason;
}

void atr_control_govern_undo(struct atr_control *control)
{
	struct atr_plan *plan;

	if (!control->proposed)
		return;
	plan = (struct atr_plan *)(uintptr_t)control->proposed->plan;
	control->proposed->owns_plan = false;
	atr_program_free(control->proposed);
	control->proposed = NULL;
	pthread_mutex_lock(&control->readers);
	atr_governor_give_back(control->governor, plan);
	pthread_mutex_unlock(&control->readers);
}

void atr_control_govern_take(struct atr_control *control, const struct rte_mbuf *mbuf)
{
	const struct atr_meta *meta = atr_meta((struct rte_mbuf *)(uintptr_t)mbuf);
	const struct atr_plan *plan = (*control->program_slot)->plan;
	struct atr_program *program = control->proposed;
	struct atr_envelope envelope;
	char error[ATR_GOVERNOR_SENTENCE];

	if (atr_plan_governs(plan, meta->type) == ATR_GOVERNANCE_CHANGE) {
		control->proposed = NULL;
		/* Nothing else is under way: it was judged so. */
		if (program && atr_control_publish(control, program, 0, error, sizeof(error)) < 0)
			atr_program_free(program);
		return;
	}
	if (atr_envelope_parse(control->parser,
			       rte_pktmbuf_mtod_offset(mbuf, const char *, meta->offset),
			       meta->length, &envelope) != ATR_OK)
		return;
	pthread_mutex_lock(&control->readers);
	atr_governor_take(control->governor, plan, meta->source, meta->type, envelope.payload);
	pthread_mutex_unlock(&control->readers);
}
