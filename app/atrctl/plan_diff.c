/* SPDX-License-Identifier: BSD-3-Clause */
#include "plan_diff.h"

#include <stdbool.h>
#include <string.h>

#define KEY_TEXT 128  /* an id, or a rule's name and number */
#define LIST_MAX 1024 /* elements of a list that is told by element */

/* An array of a plan whose elements are known by something. */
struct section {
	const char *name; /* member of the plan */
	const char *what;
	bool by_name; /* by "name", else by "id" */
	bool keys, limit;
};

static const struct section sections[] = {
	{"sources", "source", false, true, true}, {"types", "type", false, false, false},
	{"topics", "topic", false, false, true},  {"rules", "rule", true, false, false},
	{"feeds", "feed", false, false, false},
};
static const struct section key_section = {"keys", "key", false, false, false};

/* Elements by what they are known by. Rules may share a name: then they are numbered, behind a
 * byte that no name has. */
static json_t *index_of(const struct section *section, const json_t *array)
{
	json_t *index = json_object(), *used = json_object();
	char key[KEY_TEXT];

	for (size_t i = 0; i < json_array_size(array); i++) {
		json_t *value = json_array_get(array, i);
		const char *name = json_string_value(json_object_get(value, "name"));
		json_int_t times;

		if (section->by_name) {
			times = json_integer_value(json_object_get(used, name));
			json_object_set_new(used, name, json_integer(times + 1));
			snprintf(key, sizeof(key), "%s\x01%lld", name, (long long)times);
		} else {
			snprintf(key, sizeof(key), "%lld",
				 (long long)json_integer_value(json_object_get(value, "id")));
		}
		json_object_set(index, key, value);
	}
	json_decref(used);
	return index;
}

static bool among(const json_t *array, const json_t *value)
{
	for (size_t i = 0; i < json_array_size(array); i++)
		if (json_equal(json_array_get(array, i), value))
			return true;
	return false;
}

static json_t *missing(const json_t *from, const json_t *in)
{
	json_t *out = json_array();

	for (size_t i = 0; i < json_array_size(from); i++)
		if (!among(in, json_array_get(from, i)))
			json_array_append(out, json_array_get(from, i));
	return out;
}

/* One member that differs. Lists that differ in more than their order are told by element. */
static void add_member(json_t *members, const char *name, json_t *old, json_t *new)
{
	json_t *change = json_pack("{s:s}", "member", name);
	json_t *added = NULL, *removed = NULL;

	if (json_is_array(old) && json_is_array(new) && json_array_size(old) <= LIST_MAX &&
	    json_array_size(new) <= LIST_MAX) {
		added = missing(new, old);
		removed = missing(old, new);
	}
	if (json_array_size(added) + json_array_size(removed) > 0) {
		json_object_set(change, "added", added);
		json_object_set(change, "removed", removed);
	} else {
		if (old)
			json_object_set(change, "old", old);
		if (new)
			json_object_set(change, "new", new);
	}
	json_decref(added);
	json_decref(removed);
	json_array_append_new(members, change);
}

static bool skipped(const char *name, const char *const *skip)
{
	for (; skip && *skip; skip++)
		if (strcmp(*skip, name) == 0)
			return true;
	return false;
}

/* Members that differ, those of skip left out; the caller's. */
static json_t *compare_members(json_t *old, json_t *new, const char *const *skip)
{
	json_t *members = json_array();
	const char *name;
	json_t *value;

	json_object_foreach(old, name, value)
	{
		json_t *after = json_object_get(new, name);

		if (!skipped(name, skip) && !(after && json_equal(value, after)))
			add_member(members, name, value, after);
	}
	json_object_foreach(new, name, value)
	{
		if (!skipped(name, skip) && !json_object_get(old, name))
			add_member(members, name, NULL, value);
	}
	return members;
}

/* A change of what is in both; nothing if members is empty. Takes members. */
static void add_changed(json_t *changes, json_t *head, json_t *members)
{
	if (json_array_size(members)) {
		json_object_set_new(head, "change", json_string("changed"));
		json_object_set(head, "members", members);
		json_array_append(changes, head);
	}
	json_decref(members);
	json_decref(head);
}

static void add_whole(json_t *changes, json_t *head, const char *change, json_t *value)
{
	json_object_set_new(head, "change", json_string(change));
	json_object_set(head, "value", value);
	json_array_append_new(changes, head);
}

static json_t *head_of(const struct section *section, json_t *value, json_t *parent)
{
	json_t *head = json_pack("{s:s}", "what", section->what);
	json_t *id = json_object_get(value, "id"), *name = json_object_get(value, "name");

	if (parent)
		json_object_set(head, "source", parent);
	if (id)
		json_object_set(head, "id", id);
	if (name)
		json_object_set(head, "name", name);
	return head;
}

static void compare_limit(json_t *changes, const struct section *section, json_t *old, json_t *new)
{
	json_t *before = json_object_get(old, "rate"), *after = json_object_get(new, "rate");
	json_t *head;

	if ((!before && !after) || (before && after && json_equal(before, after)))
		return;
	head = json_pack("{s:s, s:s, s:O}", "what", "limit", "of", section->what, "name",
			 json_object_get(new, "name"));
	if (!before)
		add_whole(changes, head, "added", after);
	else if (!after)
		add_whole(changes, head, "removed", before);
	else
		add_changed(changes, head, compare_members(before, after, NULL));
}

static void compare_arrays(json_t *changes, const struct section *section, const json_t *old,
			   const json_t *new, json_t *parent);

static void compare_element(json_t *changes, const struct section *section, json_t *old,
			    json_t *new, json_t *parent)
{
	static const char *const apart[] = {"keys", "rate", NULL};

	add_changed(changes, head_of(section, new, parent), compare_members(old, new, apart));
	if (section->limit)
		compare_limit(changes, section, old, new);
	if (section->keys)
		compare_arrays(changes, &key_section, json_object_get(old, "keys"),
			       json_object_get(new, "keys"), json_object_get(new, "name"));
}

/* parent: name of the source that keys belong to, or NULL. */
static void compare_arrays(json_t *changes, const struct section *section, const json_t *old,
			   const json_t *new, json_t *parent)
{
	json_t *before = index_of(section, old), *after = index_of(section, new), *value;
	const char *key;

	json_object_foreach(before, key, value)
	{
		if (!json_object_get(after, key))
			add_whole(changes, head_of(section, value, parent), "removed", value);
	}
	json_object_foreach(after, key, value)
	{
		json_t *was = json_object_get(before, key);

		if (was)
			compare_element(changes, section, was, value, parent);
		else
			add_whole(changes, head_of(section, value, parent), "added", value);
	}
	json_decref(before);
	json_decref(after);
}

static void compare_governance(json_t *changes, json_t *old, json_t *new)
{
	json_t *head = json_pack("{s:s}", "what", "governance");

	if (old && new)
		add_changed(changes, head, compare_members(old, new, NULL));
	else if (old || new)
		add_whole(changes, head, new ? "added" : "removed", new ? new : old);
	else
		json_decref(head);
}

json_t *plan_diff(json_t *old, json_t *new)
{
	static const char *const apart[] = {"sources", "types",      "topics", "rules",
					    "feeds",   "governance", NULL};
	json_t *changes = json_array();

	if (!changes)
		return NULL;
	add_changed(changes, json_pack("{s:s}", "what", "plan"), compare_members(old, new, apart));
	compare_governance(changes, json_object_get(old, "governance"),
			   json_object_get(new, "governance"));
	for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]); i++)
		compare_arrays(changes, &sections[i], json_object_get(old, sections[i].name),
			       json_object_get(new, sections[i].name), NULL);
	return changes;
}

json_t *plan_diff_summary(const json_t *changes)
{
	json_t *summary = json_object();

	for (size_t i = 0; summary && i < json_array_size(changes); i++) {
		const json_t *change = json_array_get(changes, i);
		const char *what = json_string_value(json_object_get(change, "what"));
		const char *kind = json_string_value(json_object_get(change, "change"));
		json_t *counts = json_object_get(summary, what), *count;

		if (!counts) {
			counts = json_pack("{s:i, s:i, s:i}", "added", 0, "removed", 0, "changed",
					   0);
			json_object_set_new(summary, what, counts);
		}
		count = json_object_get(counts, kind);
		json_integer_set(count, json_integer_value(count) + 1);
	}
	return summary;
}
