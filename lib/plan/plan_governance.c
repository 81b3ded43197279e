/* SPDX-License-Identifier: BSD-3-Clause */
/* Section "governance": who may change the plan in flight; and the types that do, whose schemas are
 * built in. */
#include <errno.h>
#include <string.h>

#include "plan_internal.h"

/* Without "pattern" bounds of JSON Schema would not hold a lowercase digest. */
#define DIGEST        "{\"type\":\"string\",\"pattern\":\"^[0-9a-f]{64}$\"}"
#define VERSION       "{\"type\":\"integer\",\"minimum\":1,\"maximum\":4294967295}"
#define TEXT(value)   #value
#define DIGITS(value) TEXT(value)

/* By use. */
static const char *const use_names[] = {"", "chunk", "change", "approval"};

static const char *const schemas[] = {
	"",
	"{\"type\":\"object\",\"additionalProperties\":false,"
	"\"required\":[\"bytes\",\"digest\",\"offset\",\"total\"],\"properties\":{"
	"\"bytes\":{\"type\":\"string\",\"minLength\":1,"
	"\"maxLength\":" DIGITS(
		ATR_GOVERNANCE_CHUNK_TEXT_MAX) ","
					       "\"pattern\":\"^[A-Za-z0-9+/]*={0,2}$\"},"
					       "\"digest\":" DIGEST ","
					       "\"offset\":{\"type\":\"integer\",\"minimum\":0,"
					       "\"maximum\":67108863},"
					       "\"total\":{\"type\":\"integer\",\"minimum\":1,"
					       "\"maximum\":67108864}}}",
	"{\"type\":\"object\",\"additionalProperties\":false,"
	"\"required\":[\"digest\",\"replaces\",\"version\",\"why\"],\"properties\":{"
	"\"digest\":" DIGEST ",\"replaces\":" DIGEST ",\"version\":" VERSION ","
	"\"why\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":500}}}",
	"{\"type\":\"object\",\"additionalProperties\":false,"
	"\"required\":[\"digest\",\"replaces\",\"version\"],\"properties\":{"
	"\"digest\":" DIGEST ",\"replaces\":" DIGEST ",\"version\":" VERSION "}}",
};

_Static_assert(ATR_GOVERNANCE_DOCUMENT_MAX == 67108864, "as in the schema of chunks");

static uint32_t *type_of_use(struct atr_governance *governance, unsigned int use)
{
	switch (use) {
	case ATR_GOVERNANCE_CHUNK: return &governance->chunk_type;
	case ATR_GOVERNANCE_CHANGE: return &governance->change_type;
	default: return &governance->approval_type;
	}
}

static int compile(struct plan_loader *l, unsigned int use, struct atr_type *type)
{
	json_t *schema = json_loads(schemas[use], 0, NULL);

	if (!schema)
		return plan_no_memory(l);
	type->json = atr_schema_compile(schema, l->path, l->error, l->error_size);
	json_decref(schema);
	return type->json ? 0 : -EINVAL;
}

int plan_load_use(struct plan_loader *l, const json_t *value, struct atr_type *type)
{
	static const char *const known[] = {"id", "name", "governance", NULL};
	unsigned int use = ATR_GOVERNANCE_CHUNK;
	const char *text;
	uint32_t *slot;
	int ret = plan_members(l, value, known);

	if (ret == 0)
		ret = plan_read_string(l, value, "governance", true, &text);
	if (ret < 0)
		return ret;
	while (use <= ATR_GOVERNANCE_APPROVAL && strcmp(use_names[use], text) != 0)
		use++;
	if (use > ATR_GOVERNANCE_APPROVAL)
		return plan_fail_member(l, "governance",
					"must be \"chunk\", \"change\" or \"approval\"");
	slot = type_of_use(&l->plan->governance, use);
	if (*slot != 0)
		return plan_fail_member(l, "governance",
					"another type is \"%s\" already; there is one of each",
					text);
	*slot = type->id;
	return compile(l, use, type);
}

static int read_operator(struct plan_loader *l, const json_t *value)
{
	struct atr_plan *plan = l->plan;
	struct atr_governance *g = &plan->governance;
	const char *name = json_string_value(value);
	const struct atr_source *source;
	unsigned int keys = 0;

	if (!name)
		return plan_fail(l, "must be a string");
	source = atr_plan_source_named(plan, name, strlen(name));
	if (!source)
		return plan_fail(l, "no source is called '%.64s'; declare it or correct the name",
				 name);
	if (atr_plan_operator(plan, source->id) >= 0)
		return plan_fail(l, "names the same source twice; remove one");
	for (unsigned int k = 0; k < source->key_count; k++)
		keys += source->keys[k].use == ATR_KEY_ENVELOPES;
	if (keys == 0)
		return plan_fail(l, "source '%s' has no key of use \"envelopes\"; give it one",
				 source->name);
	g->operators[g->operator_count++] = source->id;
	return 0;
}

static int read_operators(struct plan_loader *l, const json_t *value)
{
	const json_t *names;
	int ret = plan_read_array(l, value, "operators", true, ATR_OPERATORS_MAX, &names);
	size_t mark = plan_path_member(l, "operators");

	if (ret == 0 && json_array_size(names) == 0)
		return plan_fail(l, "must name 1 to %u sources", ATR_OPERATORS_MAX);
	for (size_t i = 0; ret == 0 && i < json_array_size(names); i++) {
		size_t element = plan_path_index(l, i);

		ret = read_operator(l, json_array_get(names, i));
		plan_path_cut(l, element);
	}
	plan_path_cut(l, mark);
	return ret;
}

/* Types that govern and a member that says who may use them belong together. */
static int check_types(struct plan_loader *l, bool present)
{
	struct atr_governance *g = &l->plan->governance;

	for (unsigned int use = ATR_GOVERNANCE_CHUNK; use <= ATR_GOVERNANCE_APPROVAL; use++) {
		uint32_t id = *type_of_use(g, use);

		if (present && id == 0)
			return plan_fail(l,
					 "no type says \"governance\": \"%s\"; declare it, or "
					 "remove this member",
					 use_names[use]);
		if (!present && id != 0)
			return plan_fail(l,
					 "is missing, and type '%s' says \"governance\": \"%s\"; "
					 "name the operators, or remove the type",
					 l->plan->types[id].name, use_names[use]);
	}
	return 0;
}

int plan_load_governance(struct plan_loader *l, const json_t *document)
{
	static const char *const known[] = {"operators", "approvals", NULL};
	struct atr_governance *g = &l->plan->governance;
	const json_t *value = json_object_get(document, "governance");
	size_t mark = plan_path_member(l, "governance");
	uint64_t approvals = 0;
	int ret = value ? plan_members(l, value, known) : 0;

	if (ret == 0)
		ret = check_types(l, value != NULL);
	if (ret == 0 && value)
		ret = read_operators(l, value);
	if (ret == 0 && value)
		ret = plan_read_uint(l, value,
				     (struct plan_uint){"approvals", 1, g->operator_count, true},
				     &approvals);
	g->approvals = (uint32_t)approvals;
	g->present = ret == 0 && value;
	plan_path_cut(l, mark);
	return ret;
}

int atr_plan_operator(const struct atr_plan *plan, uint32_t source)
{
	for (uint32_t i = 0; i < plan->governance.operator_count; i++)
		if (plan->governance.operators[i] == source)
			return (int)i;
	return -ENOENT;
}
