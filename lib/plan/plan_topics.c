/* SPDX-License-Identifier: BSD-3-Clause */
/* Section "topics", and matching of patterns. */
#include <stdlib.h>
#include <string.h>

#include "plan_internal.h"

#define PRIORITY_MAX 3u

bool atr_topic_match(const char *pattern, const char *name)
{
	for (;;) {
		size_t p = strcspn(pattern, "."), n = strcspn(name, ".");

		if (n == 0)
			return false;
		if (p == 1 && pattern[0] == '>' && pattern[1] == '\0')
			return true;
		if (!(p == 1 && pattern[0] == '*') && (p != n || memcmp(pattern, name, n) != 0))
			return false;
		pattern += p;
		name += n;
		if (*pattern == '\0' || *name == '\0')
			return *pattern == *name;
		pattern++;
		name++;
	}
}

static int load_topic(struct plan_loader *l, const json_t *value)
{
	static const char *const known[] = {"id", "name", "level", "priority", "rate", NULL};
	uint64_t id = 0, level = 0, priority = 0;
	struct atr_topic *topic;
	int ret = plan_members(l, value, known);

	if (ret == 0)
		ret = plan_read_uint(l, value, (struct plan_uint){"id", 1, ATR_ID_MAX, true}, &id);
	if (ret < 0)
		return ret;
	topic = &l->plan->topics[id];
	if (topic->present)
		return plan_fail_member(l, "id", "another topic has this id; ids are unique");
	topic->present = true;
	topic->id = (uint32_t)id;
	ret = plan_read_name(l, value, "name", PLAN_NAME_TOPIC, topic->name);
	if (ret == 0 && plan_names_add(&l->plan->rules->topic_names, topic->name, topic->id) < 0)
		return plan_fail_member(l, "name", "another topic has this name; names are unique");
	if (ret == 0)
		ret = plan_read_uint(l, value, (struct plan_uint){"level", 0, ATR_LEVEL_MAX, false},
				     &level);
	if (ret == 0)
		ret = plan_read_uint(l, value,
				     (struct plan_uint){"priority", 0, PRIORITY_MAX, false},
				     &priority);
	topic->level = (uint8_t)level;
	topic->priority = (uint8_t)priority;
	return ret < 0 ? ret : plan_read_rate(l, value, &topic->rate);
}

static int compare_topics(const void *a, const void *b, void *context)
{
	const struct atr_topic *topics = context;

	return strcmp(topics[*(const uint32_t *)a].name, topics[*(const uint32_t *)b].name);
}

static int sort_topics(struct plan_loader *l)
{
	struct atr_plan *plan = l->plan;
	uint32_t n = 0;

	l->topics_by_name = calloc(plan->topic_count + 1, sizeof(*l->topics_by_name));
	if (!l->topics_by_name)
		return plan_no_memory(l);
	for (uint32_t id = 0; id < plan->topic_slots; id++)
		if (plan->topics[id].present)
			l->topics_by_name[n++] = id;
	qsort_r(l->topics_by_name, n, sizeof(*l->topics_by_name), compare_topics, plan->topics);
	return 0;
}

int plan_load_topics(struct plan_loader *l, const json_t *document)
{
	struct atr_plan *plan = l->plan;
	const json_t *topics;
	int ret = plan_read_array(l, document, "topics", true, ATR_ID_MAX, &topics);
	size_t mark = plan_path_member(l, "topics");

	if (ret == 0)
		ret = plan_id_slots(l, topics, 1, ATR_ID_MAX, &plan->topic_slots);
	if (ret < 0)
		return ret;
	plan->topics = calloc(plan->topic_slots + 1, sizeof(*plan->topics));
	if (!plan->topics ||
	    plan_names_init(&plan->rules->topic_names, json_array_size(topics)) < 0)
		return plan_no_memory(l);
	for (size_t i = 0; i < json_array_size(topics) && ret == 0; i++) {
		size_t element = plan_path_index(l, i);

		ret = load_topic(l, json_array_get(topics, i));
		plan->topic_count++;
		plan_path_cut(l, element);
	}
	plan_path_cut(l, mark);
	return ret < 0 ? ret : sort_topics(l);
}
