/* SPDX-License-Identifier: BSD-3-Clause */
/* Member "state" of types: what is kept of their events, by key. */
#include <errno.h>
#include <string.h>

#include "plan_internal.h"

static const char *const op_names[] = {
	[ATR_STATE_NONE] = "",           [ATR_STATE_LAST] = "last",
	[ATR_STATE_SET] = "set",         [ATR_STATE_INCREMENT] = "increment",
	[ATR_STATE_MAXIMUM] = "maximum", [ATR_STATE_DELETE] = "delete",
};

const char *atr_state_op_name(enum atr_state_op op)
{
	return op_names[op];
}

static const struct atr_field *field_named(const struct atr_type *type, const char *name)
{
	for (uint32_t i = 0; i < type->field_count; i++)
		if (strcmp(type->fields[i].name, name) == 0)
			return &type->fields[i];
	return NULL;
}

/* Every form of the type must have the field; numeric: as a number. */
static int check_field(struct plan_loader *l, const json_t *value, const struct atr_type *type,
		       const char *name, bool numeric)
{
	const json_t *properties = json_object_get(json_object_get(value, "json"), "properties");

	if (type->binary) {
		const struct atr_field *field = field_named(type, name);
		bool tail = !numeric && strcmp(type->tail_name, name) == 0;

		if (!tail && (!field || (numeric && field->kind == ATR_FIELD_TEXT)))
			return plan_fail(l, "'%s' is no %s of the type's binary form", name,
					 numeric ? "numeric field" : "field");
	}
	if (type->json && !json_object_get(properties, name))
		return plan_fail(l, "'%s' is no top-level property of the type's JSON form", name);
	if (type->json && numeric && !atr_schema_has_number(type->json, name))
		return plan_fail(l, "'%s' is no number in the type's JSON form", name);
	return 0;
}

static int read_key(struct plan_loader *l, const json_t *value, struct atr_type *type)
{
	const json_t *object = json_object_get(value, "state"), *key;
	struct atr_state *state = &type->state;
	int ret = plan_read_array(l, object, "key", true, ATR_STATE_KEY_MAX, &key);
	size_t mark;

	if (ret < 0)
		return ret;
	mark = plan_path_member(l, "key");
	if (json_array_size(key) == 0)
		return plan_fail(l, "must name 1 to %u fields", ATR_STATE_KEY_MAX);
	for (size_t i = 0; i < json_array_size(key); i++) {
		size_t element = plan_path_index(l, i);
		const char *name = json_string_value(json_array_get(key, i));
		char *to = state->key[i];

		if (!name)
			return plan_fail(l, "must be a string");
		if (plan_check_name(l, name, PLAN_NAME_FIELD, to) < 0 ||
		    check_field(l, value, type, to, false) < 0)
			return -EINVAL;
		for (size_t k = 0; k < i; k++)
			if (strcmp(state->key[k], to) == 0)
				return plan_fail(l, "the key has this field twice; remove one");
		state->key_count++;
		plan_path_cut(l, element);
	}
	plan_path_cut(l, mark);
	return 0;
}

static int read_op(struct plan_loader *l, const json_t *object, enum atr_state_op *op)
{
	const char *text;
	int ret = plan_read_string(l, object, "op", true, &text);
	unsigned int i = ATR_STATE_LAST;

	if (ret < 0)
		return ret;
	while (i <= ATR_STATE_DELETE && strcmp(op_names[i], text) != 0)
		i++;
	if (i > ATR_STATE_DELETE)
		return plan_fail_member(l, "op",
					"must be one of last, set, increment, maximum, delete");
	*op = i;
	return 0;
}

static int read_value(struct plan_loader *l, const json_t *value, struct atr_type *type)
{
	const json_t *object = json_object_get(value, "state");
	struct atr_state *state = &type->state;
	bool numeric = state->op != ATR_STATE_SET;
	const struct atr_field *field;
	size_t mark;
	int ret;

	state->scale = ATR_STATE_SCALE_MAX;
	if (state->op == ATR_STATE_LAST || state->op == ATR_STATE_DELETE)
		return json_object_get(object, "value")
			       ? plan_fail_member(l, "value", "op \"%s\" takes no value",
						  op_names[state->op])
			       : 0;
	ret = plan_read_name(l, object, "value", PLAN_NAME_FIELD, state->value);
	if (ret < 0)
		return ret;
	mark = plan_path_member(l, "value");
	ret = check_field(l, value, type, state->value, numeric);
	plan_path_cut(l, mark);
	field = field_named(type, state->value);
	if (field)
		state->scale = (uint8_t)field->scale;
	return ret;
}

/* Which type's state a deletion is for. */
static int read_of(struct plan_loader *l, const json_t *object, struct atr_type *type)
{
	const struct atr_type *of;
	const char *name;
	uint32_t id;
	int ret = plan_read_string(l, object, "of", false, &name);

	type->state.of = type->id;
	if (ret < 0 || !name)
		return ret;
	if (type->state.op != ATR_STATE_DELETE)
		return plan_fail_member(l, "of", "belongs to op \"delete\" only");
	if (!plan_names_find(&l->plan->rules->type_names, name, strlen(name), &id))
		return plan_fail_member(l, "of", "no type has this name");
	of = &l->plan->types[id];
	if (of->state.op == ATR_STATE_NONE || of->state.op == ATR_STATE_DELETE)
		return plan_fail_member(l, "of", "no state is kept of this type");
	if (of->state.key_count != type->state.key_count)
		return plan_fail_member(l, "of", "the key of this type has %u fields, not %u",
					of->state.key_count, type->state.key_count);
	type->state.of = id;
	return 0;
}

int plan_load_state(struct plan_loader *l, const json_t *value, struct atr_type *type)
{
	static const char *const known[] = {"op", "key", "value", "of", NULL};
	const json_t *object = json_object_get(value, "state");
	size_t mark;
	int ret;

	if (!object)
		return 0;
	mark = plan_path_member(l, "state");
	ret = plan_members(l, object, known);
	if (ret == 0)
		ret = read_op(l, object, &type->state.op);
	if (ret == 0)
		ret = read_key(l, value, type);
	if (ret == 0)
		ret = read_value(l, value, type);
	plan_path_cut(l, mark);
	return ret;
}

int plan_link_states(struct plan_loader *l, const json_t *types)
{
	int ret = 0;

	for (size_t i = 0; i < json_array_size(types) && ret == 0; i++) {
		const json_t *value = json_array_get(types, i);
		const json_t *object = json_object_get(value, "state");
		uint64_t id = (uint64_t)json_integer_value(json_object_get(value, "id"));
		size_t element = plan_path_index(l, i), mark = plan_path_member(l, "state");

		if (object)
			ret = read_of(l, object, &l->plan->types[id]);
		plan_path_cut(l, mark);
		plan_path_cut(l, element);
	}
	return ret;
}
