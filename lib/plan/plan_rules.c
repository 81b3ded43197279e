/* SPDX-License-Identifier: BSD-3-Clause */
/* Section "rules": each is expanded to (source or role, topic, type) as it is read. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "plan_internal.h"

#include "../wire/frame.h"
#include "../wire/moldudp64.h"

#define FIRST_SPACE 1024
#define TOPIC_ROOMS 3 /* one that is kept, one that fills up, one for the next pattern */

/* What a rule names, as ids. */
struct rule {
	uint32_t *who; /* source ids, and PLAN_WHO_ROLE + role */
	size_t who_count;
	uint32_t *topics;
	size_t topic_count, topic_space;
	uint32_t *types;
	size_t type_count;
	uint64_t feeds;
	uint32_t index;
	struct plan_where where;
};

static void rule_free(struct rule *rule)
{
	free(rule->who);
	free(rule->topics);
	free(rule->types);
}

/* Id of the ith name in a list; refuses names that are not declared, and repetitions. */
static int named(struct plan_loader *l, const json_t *list, size_t i,
		 const struct plan_names *names, const char *what, uint32_t *id)
{
	const char *text = json_string_value(json_array_get(list, i));

	if (!text)
		return plan_fail(l, "must be a string");
	if (!plan_names_find(names, text, strlen(text), id))
		return plan_fail(l, "no %s is called '%.64s'; declare it or correct the name", what,
				 text);
	return 0;
}

static int compare_ids(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static int refuse_repeats(struct plan_loader *l, uint32_t *ids, size_t count)
{
	qsort(ids, count, sizeof(*ids), compare_ids);
	for (size_t i = 1; i < count; i++)
		if (ids[i] == ids[i - 1])
			return plan_fail(l, "names the same thing twice; remove one");
	return 0;
}

static int read_sources(struct plan_loader *l, const json_t *value, struct rule *rule)
{
	const json_t *list;
	int ret = plan_read_array(l, value, "sources", false, ATR_ID_MAX, &list);
	size_t mark = plan_path_member(l, "sources");

	for (size_t i = 0; ret == 0 && i < json_array_size(list); i++) {
		size_t element = plan_path_index(l, i);

		ret = named(l, list, i, &l->plan->rules->source_names, "source",
			    &rule->who[rule->who_count++]);
		plan_path_cut(l, element);
	}
	if (ret == 0)
		ret = refuse_repeats(l, rule->who, rule->who_count);
	plan_path_cut(l, mark);
	return ret;
}

static int read_roles(struct plan_loader *l, const json_t *value, struct rule *rule)
{
	uint32_t *roles = rule->who + rule->who_count;
	const json_t *list;
	int ret = plan_read_array(l, value, "roles", false, ATR_ROLES_MAX, &list);
	size_t mark = plan_path_member(l, "roles"), count = json_array_size(list);

	for (size_t i = 0; ret == 0 && i < count; i++) {
		const char *text = json_string_value(json_array_get(list, i));
		size_t element = plan_path_index(l, i);
		uint32_t role = 0;

		while (text && role < l->plan->role_count &&
		       strcmp(l->plan->roles[role], text) != 0)
			role++;
		if (!text)
			return plan_fail(l, "must be a string");
		if (role == l->plan->role_count)
			return plan_fail(l,
					 "no source has the role '%.64s'; give it to one or "
					 "correct the name",
					 text);
		roles[i] = PLAN_WHO_ROLE + role;
		plan_path_cut(l, element);
	}
	if (ret == 0)
		ret = refuse_repeats(l, roles, count);
	rule->who_count += count;
	plan_path_cut(l, mark);
	return ret;
}

static int read_who(struct plan_loader *l, const json_t *value, struct rule *rule)
{
	const json_t *any = json_object_get(value, "any_source");
	size_t space = json_array_size(json_object_get(value, "sources")) + ATR_ROLES_MAX;
	int ret;

	rule->who = calloc(space, sizeof(*rule->who));
	if (!rule->who)
		return plan_no_memory(l);
	if (any && !json_is_true(any))
		return plan_fail_member(l, "any_source",
					"can only be true; leave it out otherwise");
	ret = read_sources(l, value, rule);
	if (ret == 0)
		ret = read_roles(l, value, rule);
	if (ret < 0)
		return ret;
	if (any && rule->who_count)
		return plan_fail_member(l, "any_source",
					"goes with neither \"sources\" nor \"roles\"");
	if (!any && rule->who_count == 0)
		return plan_fail(l, "names neither sources nor roles; name some, or say "
				    "\"any_source\": true");
	for (uint32_t role = 0; any && role < l->plan->role_count; role++)
		rule->who[rule->who_count++] = PLAN_WHO_ROLE + role;
	if (rule->who_count == 0)
		return plan_fail_member(l, "any_source", "the plan has no sources; declare one");
	return 0;
}

/* First position in the sorted names whose first n bytes are not below those of prefix. */
static uint32_t lower_bound(const struct plan_loader *l, const char *prefix, size_t n)
{
	uint32_t low = 0, high = l->plan->topic_count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		const char *name = l->plan->topics[l->topics_by_name[middle]].name;

		if (strncmp(name, prefix, n) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static int expand_pattern(struct plan_loader *l, const char *pattern, struct rule *rule)
{
	size_t literal = strcspn(pattern, "*>"), before = rule->topic_count;
	uint32_t id;

	if (pattern[literal] == '\0') {
		if (plan_names_find(&l->plan->rules->topic_names, pattern, literal, &id))
			rule->topics[rule->topic_count++] = id;
	} else {
		for (uint32_t i = lower_bound(l, pattern, literal); i < l->plan->topic_count; i++) {
			const char *name = l->plan->topics[l->topics_by_name[i]].name;

			if (strncmp(name, pattern, literal) != 0)
				break;
			if (++l->comparisons > PLAN_COMPARISONS_MAX)
				return plan_fail(
					l,
					"the plan's patterns need more than %u comparisons "
					"with topics; begin patterns with literal tokens",
					PLAN_COMPARISONS_MAX);
			if (atr_topic_match(pattern, name))
				rule->topics[rule->topic_count++] = l->topics_by_name[i];
		}
	}
	if (rule->topic_count == before)
		return plan_fail(l,
				 "no topic matches '%s'; declare the topic or correct the pattern",
				 pattern);
	return 0;
}

static void remove_repeats(struct rule *rule)
{
	size_t kept = 0;

	qsort(rule->topics, rule->topic_count, sizeof(*rule->topics), compare_ids);
	for (size_t i = 0; i < rule->topic_count; i++)
		if (kept == 0 || rule->topics[i] != rule->topics[kept - 1])
			rule->topics[kept++] = rule->topics[i];
	rule->topic_count = kept;
}

/* Makes room for every topic of the plan. Repeats are removed only when there is none left, which
 * is after as many topics were added again: sorting costs little more than finding them did. */
static int reserve_topics(struct plan_loader *l, struct rule *rule, size_t patterns)
{
	size_t wanted = l->plan->topic_count + patterns;
	void *grown;

	if (rule->topic_space - rule->topic_count >= wanted)
		return 0;
	if (rule->topics) {
		remove_repeats(rule);
		return 0;
	}
	grown = calloc(TOPIC_ROOMS * wanted, sizeof(*rule->topics));
	if (!grown)
		return plan_no_memory(l);
	rule->topics = grown;
	rule->topic_space = TOPIC_ROOMS * wanted;
	return 0;
}

static int read_topics(struct plan_loader *l, const json_t *value, struct rule *rule)
{
	const json_t *list;
	int ret = plan_read_array(l, value, "topics", true, ATR_ID_MAX, &list);
	size_t mark = plan_path_member(l, "topics");
	char pattern[ATR_NAME_MAX + 1];

	if (ret < 0)
		return ret;
	if (json_array_size(list) == 0)
		return plan_fail(l, "must name a topic; \">\" names all");
	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *text = json_string_value(json_array_get(list, i));
		size_t element = plan_path_index(l, i);

		if (!text)
			return plan_fail(l, "must be a string");
		if (plan_check_name(l, text, PLAN_NAME_PATTERN, pattern) < 0)
			return -EINVAL;
		ret = reserve_topics(l, rule, json_array_size(list));
		if (ret == 0)
			ret = expand_pattern(l, pattern, rule);
		if (ret < 0)
			return ret;
		plan_path_cut(l, element);
	}
	remove_repeats(rule);
	plan_path_cut(l, mark);
	return 0;
}

static int read_types(struct plan_loader *l, const json_t *value, struct rule *rule)
{
	const json_t *list;
	int ret = plan_read_array(l, value, "types", true, ATR_ID_MAX, &list);
	size_t mark = plan_path_member(l, "types");

	if (ret < 0)
		return ret;
	if (json_array_size(list) == 0)
		return plan_fail(l, "must name a type");
	rule->types = calloc(json_array_size(list), sizeof(*rule->types));
	if (!rule->types)
		return plan_no_memory(l);
	for (size_t i = 0; ret == 0 && i < json_array_size(list); i++) {
		size_t element = plan_path_index(l, i);

		ret = named(l, list, i, &l->plan->rules->type_names, "type",
			    &rule->types[rule->type_count++]);
		plan_path_cut(l, element);
	}
	if (ret == 0)
		ret = refuse_repeats(l, rule->types, rule->type_count);
	plan_path_cut(l, mark);
	return ret;
}

static int read_feeds(struct plan_loader *l, const json_t *value, struct rule *rule)
{
	const json_t *list;
	int ret = plan_read_array(l, value, "feeds", true, ATR_FEEDS_MAX, &list);
	size_t mark = plan_path_member(l, "feeds");

	for (size_t i = 0; ret == 0 && i < json_array_size(list); i++) {
		size_t element = plan_path_index(l, i);
		uint32_t id;

		ret = named(l, list, i, &l->plan->rules->feed_names, "feed", &id);
		if (ret == 0 && rule->feeds >> id & 1)
			return plan_fail(l, "names the same feed twice; remove one");
		if (ret == 0)
			rule->feeds |= UINT64_C(1) << id;
		plan_path_cut(l, element);
	}
	plan_path_cut(l, mark);
	if (ret == 0 && rule->where.count && rule->feeds == 0)
		return plan_fail_member(l, "where", "chooses feeds, and the rule names none");
	return ret;
}

/* No topic may reach a feed of a lower level, where readers without clearance listen. */
static int check_levels(struct plan_loader *l, const struct rule *rule)
{
	const struct atr_feed *lowest = NULL;

	for (uint32_t id = 0; id < l->plan->feed_slots; id++)
		if (rule->feeds >> id & 1 && (!lowest || l->plan->feeds[id].level < lowest->level))
			lowest = &l->plan->feeds[id];
	for (size_t i = 0; lowest && i < rule->topic_count; i++) {
		const struct atr_topic *topic = &l->plan->topics[rule->topics[i]];

		if (topic->level > lowest->level)
			return plan_fail_member(l, "feeds",
						"topic '%s' of level %u would reach feed '%s' of "
						"level %u; raise the feed's level or leave one out",
						topic->name, topic->level, lowest->name,
						lowest->level);
	}
	return 0;
}

static void widen_feeds(struct atr_plan *plan, const struct rule *rule)
{
	uint32_t block = 0;

	for (size_t i = 0; i < rule->type_count; i++) {
		const struct atr_type *type = &plan->types[rule->types[i]];
		uint32_t arena = type->binary ? atr_typecheck_max_size(type->binary) : 0;

		arena = arena > ATR_INLINE_MAX ? arena : 0;
		if (type->json && plan->envelope_bytes > arena)
			arena = plan->envelope_bytes;
		if (ATR_MOLD_BLOCK_SIZE(arena) > block)
			block = ATR_MOLD_BLOCK_SIZE(arena);
	}
	for (uint32_t id = 0; id < plan->feed_slots; id++)
		if (rule->feeds >> id & 1 && plan->feeds[id].max_block < block)
			plan->feeds[id].max_block = block;
}

static int add_term(struct plan_loader *l, const struct rule *rule, const struct atr_type *type)
{
	size_t first = l->plan->rules->clause_count;
	struct plan_term *term;

	if (l->term_count == l->term_space) {
		size_t space = l->term_space ? 2 * l->term_space : FIRST_SPACE;
		void *grown = realloc(l->terms, space * sizeof(*l->terms));

		if (!grown)
			return plan_no_memory(l);
		l->terms = grown;
		l->term_space = space;
	}
	if (rule->where.count && plan_add_clauses(l, &rule->where, type, rule->feeds) < 0)
		return -EINVAL;
	term = &l->terms[l->term_count++];
	term->feeds = rule->where.count ? 0 : rule->feeds;
	term->first_clause = (uint32_t)first;
	term->clause_count = (uint32_t)(l->plan->rules->clause_count - first);
	return 0;
}

static int reserve_entries(struct plan_loader *l, const struct rule *rule)
{
	size_t room = PLAN_TRIPLES_MAX - l->entry_count, space = l->entry_space, wanted;
	void *grown;

	if (rule->topic_count > room / rule->who_count ||
	    rule->type_count > room / (rule->who_count * rule->topic_count))
		return plan_fail(l,
				 "the rules up to this one allow more than %u combinations of "
				 "source or role, topic and type; use roles instead of sources, or "
				 "fewer topics",
				 PLAN_TRIPLES_MAX);
	wanted = l->entry_count + rule->who_count * rule->topic_count * rule->type_count;
	if (wanted <= space)
		return 0;
	while (space < wanted)
		space = space ? 2 * space : FIRST_SPACE;
	grown = realloc(l->entries, space * sizeof(*l->entries));
	if (!grown)
		return plan_no_memory(l);
	l->entries = grown;
	l->entry_space = space;
	return 0;
}

static int expand_rule(struct plan_loader *l, const struct rule *rule)
{
	int ret = reserve_entries(l, rule);

	for (size_t t = 0; ret == 0 && t < rule->type_count; t++) {
		ret = add_term(l, rule, &l->plan->types[rule->types[t]]);
		for (size_t i = 0; ret == 0 && i < rule->topic_count; i++)
			for (size_t w = 0; w < rule->who_count; w++)
				l->entries[l->entry_count++] = (struct plan_entry){
					plan_key(rule->who[w], rule->topics[i], rule->types[t]),
					(uint32_t)(l->term_count - 1), rule->index};
	}
	return ret;
}

static int load_rule(struct plan_loader *l, const json_t *value, struct rule *rule)
{
	static const char *const known[] = {"name",  "sources", "roles", "any_source", "topics",
					    "types", "where",   "feeds", NULL};
	char name[ATR_NAME_MAX + 1];
	int ret = plan_members(l, value, known);

	if (ret == 0)
		ret = plan_read_name(l, value, "name", PLAN_NAME_FREE, name);
	if (ret == 0)
		ret = read_who(l, value, rule);
	if (ret == 0)
		ret = read_topics(l, value, rule);
	if (ret == 0)
		ret = read_types(l, value, rule);
	if (ret == 0)
		ret = plan_read_where(l, value, &rule->where);
	if (ret == 0)
		ret = read_feeds(l, value, rule);
	if (ret == 0)
		ret = check_levels(l, rule);
	if (ret == 0)
		ret = expand_rule(l, rule);
	if (ret == 0)
		widen_feeds(l->plan, rule);
	return ret;
}

int plan_load_rules(struct plan_loader *l, const json_t *document)
{
	const json_t *rules;
	int ret = plan_read_array(l, document, "rules", true, ATR_RULES_MAX, &rules);
	size_t mark = plan_path_member(l, "rules");

	if (ret < 0)
		return ret;
	for (size_t i = 0; i < json_array_size(rules) && ret == 0; i++) {
		struct rule rule = {.index = (uint32_t)i};
		size_t element = plan_path_index(l, i);

		ret = load_rule(l, json_array_get(rules, i), &rule);
		rule_free(&rule);
		l->plan->rule_count++;
		plan_path_cut(l, element);
	}
	plan_path_cut(l, mark);
	return ret < 0 ? ret : plan_compile(l);
}
