/* SPDX-License-Identifier: BSD-3-Clause */
/* What a change in flight must leave as it is: ids keep their meaning, and with it what the log,
 * the windows of sequences and the sessions of feeds say. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "plan_internal.h"

/* Both plans, as they were compiled and as they were written. */
struct comparison {
	struct plan_loader l; /* for paths and sentences */
	const struct atr_plan *old, *new;
	const json_t *old_types[ATR_ID_MAX + 1]; /* by id */
};

static int fail_name(struct comparison *c, const char *what, const char *old)
{
	return plan_fail_member(&c->l, "name",
				"this id is %s '%s' in the plan in force; an id never gets a "
				"second meaning, so take a new one",
				what, old);
}

static int compare_source(struct comparison *c, uint32_t id)
{
	const struct atr_source *old = atr_plan_source(c->old, id);
	const struct atr_source *new = &c->new->sources[id];

	if (!old)
		return 0;
	if (strcmp(old->name, new->name) != 0)
		return fail_name(c, "source", old->name);
	if (old->window != new->window)
		return plan_fail_member(&c->l, "window",
					"is %u in the plan in force and cannot change in flight",
					old->window);
	if (old->max_ahead != new->max_ahead)
		return plan_fail_member(&c->l, "max_ahead",
					"is %u in the plan in force and cannot change in flight",
					old->max_ahead);
	return 0;
}

static int compare_topic(struct comparison *c, uint32_t id)
{
	const struct atr_topic *old = atr_plan_topic(c->old, id);

	return old && strcmp(old->name, c->new->topics[id].name) != 0
		       ? fail_name(c, "topic", old->name)
		       : 0;
}

static int compare_feed(struct comparison *c, uint32_t id)
{
	const struct atr_feed *new = &c->new->feeds[id];
	const struct atr_feed *old =
		id < c->old->feed_slots && c->old->feeds[id].present ? &c->old->feeds[id] : NULL;

	if (!old)
		return 0;
	if (strcmp(old->name, new->name) != 0)
		return fail_name(c, "feed", old->name);
	if (old->durability != new->durability)
		return plan_fail_member(&c->l, "durability",
					"is \"%s\" in the plan in force, and its session with it; "
					"take a new id",
					atr_durability_name(old->durability));
	return 0;
}

static int compare_type(struct comparison *c, const json_t *new, uint32_t id)
{
	static const char *const forms[] = {"binary", "json", "state", "governance"};
	const struct atr_type *old = atr_plan_type(c->old, id);

	if (!old)
		return 0;
	if (strcmp(old->name, c->new->types[id].name) != 0)
		return fail_name(c, "type", old->name);
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		const json_t *before = json_object_get(c->old_types[id], forms[i]);
		const json_t *after = json_object_get(new, forms[i]);

		if ((before || after) && !json_equal(before, after))
			return plan_fail_member(
				&c->l, forms[i],
				"differs from the plan in force; events of the log "
				"are read by it, so take a new id for another form");
	}
	return 0;
}

static int compare_section(struct comparison *c, const json_t *document, const char *name,
			   int (*compare)(struct comparison *, uint32_t))
{
	const json_t *array = json_object_get(document, name);
	size_t mark = plan_path_member(&c->l, name);
	int ret = 0;

	for (size_t i = 0; ret == 0 && i < json_array_size(array); i++) {
		const json_t *value = json_array_get(array, i);
		uint32_t id = (uint32_t)json_integer_value(json_object_get(value, "id"));
		size_t element = plan_path_index(&c->l, i);

		ret = compare ? compare(c, id) : compare_type(c, value, id);
		plan_path_cut(&c->l, element);
	}
	plan_path_cut(&c->l, mark);
	return ret;
}

static bool same_groups(const struct atr_plan *old, const struct atr_plan *new)
{
	return old->group_count == new->group_count &&
	       (old->group_count == 0 ||
		memcmp(old->groups, new->groups, old->group_count * sizeof(old->groups[0])) == 0);
}

static int compare_head(struct comparison *c)
{
	size_t mark;
	int ret = 0;

	if (c->old->realm != c->new->realm)
		return plan_fail_member(&c->l, "realm",
					"is %016llx in the plan in force and cannot change in "
					"flight",
					(unsigned long long)c->old->realm);
	mark = plan_path_member(&c->l, "ingress");
	if (c->old->udp_port != c->new->udp_port)
		ret = plan_fail_member(&c->l, "udp_port",
				       "is %u in the plan in force and cannot change in flight",
				       c->old->udp_port);
	else if (!same_groups(c->old, c->new))
		ret = plan_fail_member(&c->l, "groups",
				       "differ from the plan in force and cannot change in flight");
	plan_path_cut(&c->l, mark);
	if (ret == 0 && (c->old->uuid_past_ms != c->new->uuid_past_ms ||
			 c->old->uuid_future_ms != c->new->uuid_future_ms))
		ret = plan_fail_member(
			&c->l, "identity",
			"differs from the plan in force and cannot change in flight");
	return ret;
}

static int compare_all(struct comparison *c, const json_t *old, const json_t *new)
{
	const json_t *types = json_object_get(old, "types");
	int ret;

	for (size_t i = 0; i < json_array_size(types); i++) {
		const json_t *type = json_array_get(types, i);

		c->old_types[json_integer_value(json_object_get(type, "id"))] = type;
	}
	ret = compare_head(c);
	if (ret == 0)
		ret = compare_section(c, new, "sources", compare_source);
	if (ret == 0)
		ret = compare_section(c, new, "types", NULL);
	if (ret == 0)
		ret = compare_section(c, new, "topics", compare_topic);
	return ret < 0 ? ret : compare_section(c, new, "feeds", compare_feed);
}

int atr_plan_compatible(const struct atr_plan *old, const struct atr_plan *new, char *error,
			size_t size)
{
	struct comparison *c = calloc(1, sizeof(*c));
	json_t *before = json_loadb(old->document, old->document_length, 0, NULL);
	json_t *after = json_loadb(new->document, new->document_length, 0, NULL);
	struct plan_loader failed = {.error = error, .error_size = size};
	int ret;

	if (size)
		error[0] = '\0';
	if (!c || !before || !after) {
		ret = plan_no_memory(&failed);
	} else {
		c->l = failed;
		c->old = old;
		c->new = new;
		ret = compare_all(c, before, after);
	}
	json_decref(before);
	json_decref(after);
	free(c);
	return ret;
}
