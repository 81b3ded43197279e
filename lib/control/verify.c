/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include <rte_cycles.h>

#include "control.h"

static uint8_t verify(const struct atr_control *control, const struct atr_root_request *request)
{
	const struct atr_plan *plan = (*control->program_slot)->plan;
	const struct atr_tree_head *head = &request->head;
	const struct atr_source *source;
	const struct atr_key *key;

	if (!plan)
		return ATR_REASON_NO_PLAN;
	if (head->realm != plan->realm)
		return ATR_REASON_REALM;
	source = atr_plan_source(plan, head->source);
	key = source ? atr_source_key(source, head->key) : NULL;
	if (!key || key->use != ATR_KEY_FRAMES)
		return ATR_REASON_UNKNOWN_KEY;
	if (!atr_verify(key->public_key, (const uint8_t *)head, sizeof(*head), request->signature))
		return ATR_REASON_BAD_SIGNATURE;
	return ATR_OK;
}

void atr_control_root(struct atr_control *control, struct atr_root_request *request)
{
	uint64_t begin = rte_rdtsc();

	request->verdict = verify(control, request);
	control->stats.verify_cycles += rte_rdtsc() - begin;
	if (request->verdict == ATR_OK)
		control->stats.roots_verified++;
	else
		control->stats.roots_refused++;
	atr_control_down(control, request->shard, ATR_MSG_VERDICT, 0, request);
}
