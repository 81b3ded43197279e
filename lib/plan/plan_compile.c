/* SPDX-License-Identifier: BSD-3-Clause */
/* From (source or role, topic, type) entries to the table that the data path probes.
 *
 * Entries of one triple become one action. A source's own triples take in what its role may do, so
 * that the first hit decides. Equal actions are shared.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "plan_internal.h"

#define FNV_PRIME UINT64_C(0x100000001B3)

/* An action under construction. Clauses are in order of their ids. */
struct effect {
	uint64_t feeds;
	uint32_t count;
	const struct plan_clause *clauses[2 * PLAN_CLAUSES_ACTION];
};

struct builder {
	struct plan_loader *loader;
	struct atr_action **set; /* open addressing, by content */
	size_t set_mask;
	struct effect effect;
};

static int compare_entries(const void *a, const void *b)
{
	const struct plan_entry *x = a, *y = b;

	if (x->key != y->key)
		return x->key < y->key ? -1 : 1;
	return (x->term > y->term) - (x->term < y->term);
}

static bool adds_feeds(const struct plan_clause *clause, uint64_t feeds)
{
	return ((clause->feeds | clause->json_feeds) & ~feeds) != 0;
}

static int too_many_clauses(struct builder *b, const struct plan_entry *entry)
{
	struct plan_loader *l = b->loader;

	plan_path_member(l, "rules");
	plan_path_index(l, entry->rule);
	plan_path_member(l, "where");
	return plan_fail(l,
			 "with the rules before, one source, topic and type has more than %u "
			 "conditional ways to feeds; merge conditions or split the topics",
			 PLAN_CLAUSES_ACTION);
}

/* Unites the entries of one triple. */
static int unite(struct builder *b, const struct plan_entry *first, size_t count)
{
	struct plan_loader *l = b->loader;
	struct effect *effect = &b->effect;

	effect->feeds = 0;
	effect->count = 0;
	for (size_t i = 0; i < count; i++)
		effect->feeds |= l->terms[first[i].term].feeds;
	for (size_t i = 0; i < count; i++) {
		const struct plan_term *term = &l->terms[first[i].term];

		for (uint32_t c = 0; c < term->clause_count; c++) {
			struct plan_clause *clause =
				l->plan->rules->clauses[term->first_clause + c];

			if (!adds_feeds(clause, effect->feeds))
				continue;
			if (effect->count == PLAN_CLAUSES_ACTION)
				return too_many_clauses(b, &first[i]);
			effect->clauses[effect->count++] = clause;
		}
	}
	return 0;
}

static int compare_clauses(const void *a, const void *b)
{
	uint32_t x = (*(const struct plan_clause *const *)a)->id;
	uint32_t y = (*(const struct plan_clause *const *)b)->id;

	return (x > y) - (x < y);
}

/* Takes in what the role may do. */
static int merge(struct builder *b, const struct atr_action *role, const struct plan_entry *entry)
{
	struct effect *effect = &b->effect;
	uint32_t kept = 0;

	for (uint32_t i = 0; i < role->count; i++)
		effect->clauses[effect->count++] = role->clauses[i];
	effect->feeds |= role->feeds;
	qsort(effect->clauses, effect->count, sizeof(struct plan_clause *), compare_clauses);
	for (uint32_t i = 0; i < effect->count; i++)
		if (adds_feeds(effect->clauses[i], effect->feeds) &&
		    (kept == 0 || effect->clauses[kept - 1] != effect->clauses[i]))
			effect->clauses[kept++] = effect->clauses[i];
	effect->count = kept;
	return kept > PLAN_CLAUSES_ACTION ? too_many_clauses(b, entry) : 0;
}

/* The shared action that equals the effect, made if there is none; NULL when out of memory. */
static const struct atr_action *intern(struct builder *b)
{
	struct atr_plan_rules *rules = b->loader->plan->rules;
	const struct effect *effect = &b->effect;
	size_t bytes = effect->count * sizeof(struct plan_clause *);
	uint64_t hash = effect->feeds;
	struct atr_action *action;
	size_t at;

	for (uint32_t i = 0; i < effect->count; i++)
		hash = (plan_hash(hash) ^ effect->clauses[i]->id) * FNV_PRIME;
	for (at = plan_hash(hash) & b->set_mask; b->set[at]; at = (at + 1) & b->set_mask) {
		action = b->set[at];
		if (action->feeds == effect->feeds && action->count == effect->count &&
		    memcmp(action->clauses, effect->clauses, bytes) == 0)
			return action;
	}
	action = malloc(sizeof(*action) + bytes);
	if (!action)
		return NULL;
	action->feeds = effect->feeds;
	action->count = effect->count;
	memcpy(action->clauses, effect->clauses, bytes);
	b->set[at] = action;
	rules->actions[rules->action_count++] = action;
	return action;
}

static const struct plan_slot *find_slot(const struct atr_plan_rules *rules, uint64_t key)
{
	uint64_t at = plan_hash(key) & rules->mask;

	while (rules->slots[at].key != 0 && rules->slots[at].key != key)
		at = (at + 1) & rules->mask;
	return &rules->slots[at];
}

static int add_group(struct builder *b, const struct plan_entry *first, size_t count)
{
	struct atr_plan *plan = b->loader->plan;
	uint32_t who = (uint32_t)(first->key >> 32);
	struct plan_slot *slot;
	int ret = unite(b, first, count);

	if (ret == 0 && who < PLAN_WHO_ROLE) {
		uint64_t others = first->key & UINT32_MAX;
		uint64_t role = PLAN_WHO_ROLE + plan->sources[who].role;
		const struct plan_slot *inherited = find_slot(plan->rules, role << 32 | others);

		if (inherited->key)
			ret = merge(b, inherited->action, first);
	}
	if (ret < 0)
		return ret;
	slot = (struct plan_slot *)(uintptr_t)find_slot(plan->rules, first->key);
	slot->action = intern(b);
	if (!slot->action)
		return plan_no_memory(b->loader);
	slot->key = first->key;
	return 0;
}

static size_t group_size(const struct plan_loader *l, size_t first)
{
	size_t end = first + 1;

	while (end < l->entry_count && l->entries[end].key == l->entries[first].key)
		end++;
	return end - first;
}

/* Adds all groups of roles, or all of sources. */
static int add_groups(struct builder *b, bool roles)
{
	const struct plan_loader *l = b->loader;
	int ret = 0;

	for (size_t i = 0, n; i < l->entry_count && ret == 0; i += n) {
		n = group_size(l, i);
		if ((l->entries[i].key >> 32 >= PLAN_WHO_ROLE) == roles)
			ret = add_group(b, &l->entries[i], n);
	}
	return ret;
}

int plan_compile(struct plan_loader *l)
{
	struct atr_plan_rules *rules = l->plan->rules;
	struct builder b = {.loader = l};
	size_t groups = 0, space = 2;
	int ret;

	if (l->entry_count)
		qsort(l->entries, l->entry_count, sizeof(*l->entries), compare_entries);
	for (size_t i = 0; i < l->entry_count; i += group_size(l, i))
		groups++;
	while (space < 2 * groups)
		space *= 2;
	rules->mask = space - 1;
	b.set_mask = space - 1;
	rules->slots = calloc(space, sizeof(*rules->slots));
	rules->actions = calloc(groups + 1, sizeof(struct atr_action *));
	b.set = calloc(space, sizeof(struct atr_action *));
	if (!rules->slots || !rules->actions || !b.set)
		ret = plan_no_memory(l);
	else
		ret = add_groups(&b, true);
	if (ret == 0)
		ret = add_groups(&b, false);
	free(b.set);
	return ret;
}

void plan_rules_free(struct atr_plan_rules *rules)
{
	if (!rules)
		return;
	for (size_t i = 0; i < rules->clause_count; i++)
		free(rules->clauses[i]);
	for (size_t i = 0; i < rules->action_count; i++)
		free(rules->actions[i]);
	free(rules->clauses);
	free(rules->actions);
	free(rules->slots);
	plan_names_free(&rules->source_names);
	plan_names_free(&rules->topic_names);
	plan_names_free(&rules->type_names);
	plan_names_free(&rules->feed_names);
	free(rules);
}
