/* SPDX-License-Identifier: BSD-3-Clause */
/* What the data path asks of a plan for every event. Hot path. */
#include <string.h>

#include "plan_internal.h"

static inline const struct atr_action *probe(const struct atr_plan_rules *rules, uint64_t key)
{
	uint64_t at = plan_hash(key) & rules->mask;

	for (;; at = (at + 1) & rules->mask) {
		const struct plan_slot *slot = &rules->slots[at];

		if (slot->key == key)
			return slot->action;
		if (slot->key == 0)
			return NULL;
	}
}

const struct atr_action *atr_plan_action(const struct atr_plan *plan,
					 const struct atr_source *source, uint32_t topic,
					 uint32_t type)
{
	const struct atr_action *action = probe(plan->rules, plan_key(source->id, topic, type));

	if (action)
		return action;
	return probe(plan->rules, plan_key(PLAN_WHO_ROLE + source->role, topic, type));
}

uint64_t atr_action_feeds(const struct atr_action *action, const uint8_t *payload)
{
	uint64_t feeds = action->feeds;

	for (uint32_t i = 0; i < action->count; i++) {
		const struct plan_clause *clause = action->clauses[i];
		uint32_t k = 0;

		if ((clause->feeds & ~feeds) == 0)
			continue;
		while (k < clause->count && atr_lane_match(&clause->lanes[k], payload))
			k++;
		if (k == clause->count)
			feeds |= clause->feeds;
	}
	return feeds;
}

bool atr_action_feeds_always(const struct atr_action *action, uint64_t *feeds)
{
	*feeds = action->feeds;
	for (uint32_t i = 0; i < action->count; i++)
		if (action->clauses[i]->feeds & ~action->feeds)
			return false;
	return true;
}

static bool test_holds(const struct plan_json_test *test, const struct atr_json *payload)
{
	const struct atr_json *value = atr_json_member(payload, test->field);

	if (!value || value->type != ATR_JSON_NUMBER)
		return false;
	return (value->number >= test->low && value->number <= test->high) != test->negate;
}

uint64_t atr_action_feeds_json(const struct atr_action *action, const struct atr_json *payload)
{
	uint64_t feeds = action->feeds;

	for (uint32_t i = 0; i < action->count; i++) {
		const struct plan_clause *clause = action->clauses[i];
		uint32_t k = 0;

		if ((clause->json_feeds & ~feeds) == 0)
			continue;
		while (k < clause->count && payload->type == ATR_JSON_OBJECT &&
		       test_holds(&clause->tests[k], payload))
			k++;
		if (k == clause->count)
			feeds |= clause->json_feeds;
	}
	return feeds;
}
