/* SPDX-License-Identifier: BSD-3-Clause */
/* Section "types". */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "plan_internal.h"

#define SCALE_MAX     ATR_STATE_SCALE_MAX
#define MESSAGE_BYTES 256

static const char *const kind_names[] = {
	[ATR_FIELD_U8] = "u8",   [ATR_FIELD_U16] = "u16", [ATR_FIELD_U32] = "u32",
	[ATR_FIELD_U64] = "u64", [ATR_FIELD_I8] = "i8",   [ATR_FIELD_I16] = "i16",
	[ATR_FIELD_I32] = "i32", [ATR_FIELD_I64] = "i64", [ATR_FIELD_TEXT] = "text",
};

/* Reports why plan_decimal_raw refused; the path names the value. */
static int fail_decimal(struct plan_loader *l, const struct atr_field *field, int error)
{
	if (error == -EDOM)
		return plan_fail(l, "is not representable with %d decimal places (scale)",
				 field->scale);
	if (error == -ERANGE)
		return plan_fail(l, "does not fit a field of kind %s with scale %d",
				 kind_names[field->kind], field->scale);
	return plan_fail(l, "must be a number");
}

static int read_raw(struct plan_loader *l, const json_t *value, const struct atr_field *field,
		    const char *name, int64_t *raw)
{
	const json_t *member = json_object_get(value, name);
	size_t mark;
	int ret;

	if (!member)
		return 0;
	ret = plan_decimal_raw(member, (unsigned int)field->scale, field->kind, raw);
	if (ret == 0)
		return 0;
	mark = plan_path_member(l, name);
	ret = fail_decimal(l, field, ret);
	plan_path_cut(l, mark);
	return ret;
}

static int add_enum(struct plan_loader *l, const json_t *value, struct atr_field *field)
{
	int64_t raw;
	int ret = plan_decimal_raw(value, (unsigned int)field->scale, field->kind, &raw);

	if (ret < 0)
		return fail_decimal(l, field, ret);
	field->enum_raw[field->enum_count++] = raw;
	return 0;
}

static int add_enum_name(struct plan_loader *l, struct atr_type *type, uint16_t index, int64_t raw,
			 const char *name)
{
	struct atr_enum_name *names = realloc((void *)(uintptr_t)type->enum_names,
					      (type->enum_name_count + 1) * sizeof(*names));

	if (!names)
		return plan_no_memory(l);
	type->enum_names = names;
	names += type->enum_name_count;
	names->field = index;
	names->raw = raw;
	if (plan_check_name(l, name, PLAN_NAME_FREE, names->name) < 0)
		return -EINVAL;
	type->enum_name_count++;
	return 0;
}

static int load_enum_object(struct plan_loader *l, const json_t *values, struct atr_type *type,
			    struct atr_field *field, uint16_t index)
{
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)values, name, value)
	{
		size_t mark = plan_path_member(l, name);

		if (add_enum(l, value, field) < 0 ||
		    add_enum_name(l, type, index, field->enum_raw[field->enum_count - 1], name) < 0)
			return -EINVAL;
		plan_path_cut(l, mark);
	}
	return 0;
}

static int load_enum(struct plan_loader *l, const json_t *value, struct atr_type *type,
		     struct atr_field *field, uint16_t index)
{
	const json_t *values = json_object_get(value, "enum");
	size_t count = json_is_object(values) ? json_object_size(values) : json_array_size(values);
	size_t mark;
	int ret = 0;

	if (!values)
		return 0;
	mark = plan_path_member(l, "enum");
	if (count == 0 || count > ATR_FIELD_ENUM_MAX)
		return plan_fail(l,
				 "must be an array of numbers, or an object of names and "
				 "numbers, with 1 to %u values",
				 ATR_FIELD_ENUM_MAX);
	if (json_is_object(values))
		ret = load_enum_object(l, values, type, field, index);
	for (size_t i = 0; ret == 0 && i < json_array_size(values); i++) {
		size_t element = plan_path_index(l, i);

		ret = add_enum(l, json_array_get(values, i), field);
		plan_path_cut(l, element);
	}
	plan_path_cut(l, mark);
	return ret;
}

static int load_kind(struct plan_loader *l, const json_t *value, struct atr_field *field)
{
	const char *text;
	uint64_t width = 0, scale = 0;
	unsigned int kind = 0;
	int ret = plan_read_string(l, value, "kind", true, &text);

	if (ret < 0)
		return ret;
	while (kind <= ATR_FIELD_TEXT && strcmp(kind_names[kind], text) != 0)
		kind++;
	if (kind > ATR_FIELD_TEXT)
		return plan_fail_member(l, "kind",
					"must be one of u8, u16, u32, u64, i8, i16, "
					"i32, i64, text");
	field->kind = kind;
	if (kind == ATR_FIELD_TEXT) {
		static const char *const known[] = {"name", "at", "kind", "width", NULL};

		ret = plan_members(l, value, known);
		if (ret == 0)
			ret = plan_read_uint(
				l, value, (struct plan_uint){"width", 1, ATR_BINARY_SIZE_MAX, true},
				&width);
		field->width = (uint16_t)width;
		return ret;
	}
	if (json_object_get(value, "width"))
		return plan_fail_member(l, "width",
					"belongs to texts only; the width of a number "
					"follows from its kind");
	field->width = (uint16_t)(1u << (kind % 4u));
	plan_kind_limits(field->kind, &field->min_raw, &field->max_raw);
	ret = plan_read_uint(l, value, (struct plan_uint){"scale", 0, SCALE_MAX, false}, &scale);
	field->scale = (int8_t)scale;
	return ret;
}

static int load_absent(struct plan_loader *l, const json_t *value, struct atr_field *field)
{
	const json_t *absent = json_object_get(value, "absent_raw");

	if (!absent)
		return 0;
	if (!json_is_integer(absent) ||
	    plan_decimal_raw(absent, 0, field->kind, &field->absent_raw) < 0)
		return plan_fail_member(l, "absent_raw",
					"must be an integer that a field of kind %s can hold",
					kind_names[field->kind]);
	field->has_absent = true;
	return 0;
}

static int load_field(struct plan_loader *l, const json_t *value, struct atr_type *type,
		      struct atr_field *field, uint16_t index)
{
	static const char *const known[] = {"name", "at",  "kind",       "width", "scale",
					    "min",  "max", "absent_raw", "enum",  NULL};
	uint64_t at = 0;
	int ret = plan_members(l, value, known);

	if (ret == 0)
		ret = plan_read_name(l, value, "name", PLAN_NAME_FIELD, field->name);
	for (uint32_t i = 0; ret == 0 && i < index; i++)
		if (strcmp(type->fields[i].name, field->name) == 0)
			return plan_fail_member(l, "name", "another field has this name");
	if (ret == 0)
		ret = plan_read_uint(
			l, value, (struct plan_uint){"at", 0, ATR_BINARY_SIZE_MAX - 1, true}, &at);
	field->offset = (uint16_t)at;
	if (ret == 0)
		ret = load_kind(l, value, field);
	if (ret < 0 || field->kind == ATR_FIELD_TEXT)
		return ret;
	ret = read_raw(l, value, field, "min", &field->min_raw);
	if (ret == 0)
		ret = read_raw(l, value, field, "max", &field->max_raw);
	if (ret == 0 && plan_kind_less(field->kind, field->max_raw, field->min_raw))
		return plan_fail_member(l, "max", "must not be below min");
	if (ret == 0)
		ret = load_absent(l, value, field);
	return ret < 0 ? ret : load_enum(l, value, type, field, index);
}

static int load_fields(struct plan_loader *l, const json_t *binary, struct atr_type *type)
{
	struct atr_field *fields;
	const json_t *array;
	size_t mark;
	int ret = plan_read_array(l, binary, "fields", true, ATR_FIELDS_MAX, &array);

	if (ret < 0)
		return ret;
	fields = calloc(json_array_size(array) + 1, sizeof(*fields));
	if (!fields)
		return plan_no_memory(l);
	type->fields = fields;
	mark = plan_path_member(l, "fields");
	for (uint16_t i = 0; i < json_array_size(array) && ret == 0; i++) {
		size_t element = plan_path_index(l, i);

		ret = load_field(l, json_array_get(array, i), type, &fields[i], i);
		type->field_count = i + 1u;
		plan_path_cut(l, element);
	}
	plan_path_cut(l, mark);
	return ret;
}

static int load_tail(struct plan_loader *l, const json_t *binary, struct atr_type *type)
{
	static const char *const known[] = {"name", "max", NULL};
	const json_t *tail = json_object_get(binary, "tail");
	size_t mark;
	uint64_t max = 0;
	int ret;

	if (!tail)
		return 0;
	mark = plan_path_member(l, "tail");
	ret = plan_members(l, tail, known);
	if (ret == 0)
		ret = plan_read_name(l, tail, "name", PLAN_NAME_FIELD, type->tail_name);
	for (uint32_t i = 0; ret == 0 && i < type->field_count; i++)
		if (strcmp(type->fields[i].name, type->tail_name) == 0)
			return plan_fail_member(l, "name", "a field has this name");
	if (ret == 0)
		ret = plan_read_uint(l, tail,
				     (struct plan_uint){"max", 1, ATR_BINARY_SIZE_MAX, true}, &max);
	type->tail_max = (uint32_t)max;
	plan_path_cut(l, mark);
	return ret;
}

static int load_binary(struct plan_loader *l, const json_t *value, struct atr_type *type)
{
	static const char *const known[] = {"size", "tail", "fields", NULL};
	const json_t *binary = json_object_get(value, "binary");
	char message[MESSAGE_BYTES];
	uint64_t size = 0;
	size_t mark;
	int ret;

	if (!binary)
		return 0;
	mark = plan_path_member(l, "binary");
	ret = plan_members(l, binary, known);
	if (ret == 0)
		ret = plan_read_uint(
			l, binary, (struct plan_uint){"size", 0, ATR_BINARY_SIZE_MAX, true}, &size);
	type->fixed_size = (uint32_t)size;
	if (ret == 0)
		ret = load_fields(l, binary, type);
	if (ret == 0)
		ret = load_tail(l, binary, type);
	if (ret < 0)
		return ret;
	type->binary = atr_typecheck_compile(type->fields, type->field_count, type->fixed_size,
					     type->tail_max, message, sizeof(message));
	if (!type->binary)
		return plan_fail(l, "%s", message);
	plan_path_cut(l, mark);
	return 0;
}

static int load_json(struct plan_loader *l, const json_t *value, struct atr_type *type)
{
	const json_t *schema = json_object_get(value, "json");
	size_t mark;

	if (!schema)
		return 0;
	mark = plan_path_member(l, "json");
	type->json = atr_schema_compile(schema, l->path, l->error, l->error_size);
	plan_path_cut(l, mark);
	return type->json ? 0 : -EINVAL;
}

static int load_type(struct plan_loader *l, const json_t *value)
{
	static const char *const known[] = {"id",    "name",       "binary", "json",
					    "state", "governance", NULL};
	struct atr_type *type;
	uint64_t id = 0;
	int ret = plan_members(l, value, known);

	if (ret == 0)
		ret = plan_read_uint(l, value, (struct plan_uint){"id", 1, ATR_ID_MAX, true}, &id);
	if (ret < 0)
		return ret;
	type = &l->plan->types[id];
	if (type->present)
		return plan_fail_member(l, "id", "another type has this id; ids are unique");
	type->present = true;
	type->id = (uint32_t)id;
	ret = plan_read_name(l, value, "name", PLAN_NAME_IDENTIFIER, type->name);
	if (ret == 0 && plan_names_add(&l->plan->rules->type_names, type->name, type->id) < 0)
		return plan_fail_member(l, "name", "another type has this name; names are unique");
	if (ret == 0 && json_object_get(value, "governance"))
		return plan_load_use(l, value, type);
	if (ret == 0 && !json_object_get(value, "binary") && !json_object_get(value, "json"))
		return plan_fail(l, "a type needs \"binary\", \"json\" or both");
	if (ret == 0)
		ret = load_binary(l, value, type);
	if (ret == 0)
		ret = load_json(l, value, type);
	return ret < 0 ? ret : plan_load_state(l, value, type);
}

int plan_load_types(struct plan_loader *l, const json_t *document)
{
	struct atr_plan *plan = l->plan;
	const json_t *types;
	int ret = plan_read_array(l, document, "types", true, ATR_ID_MAX, &types);
	size_t mark = plan_path_member(l, "types");

	if (ret == 0)
		ret = plan_id_slots(l, types, 1, ATR_ID_MAX, &plan->type_slots);
	if (ret < 0)
		return ret;
	plan->types = calloc(plan->type_slots + 1, sizeof(*plan->types));
	if (!plan->types || plan_names_init(&plan->rules->type_names, json_array_size(types)) < 0)
		return plan_no_memory(l);
	for (size_t i = 0; i < json_array_size(types) && ret == 0; i++) {
		size_t element = plan_path_index(l, i);

		ret = load_type(l, json_array_get(types, i));
		plan->type_count++;
		plan_path_cut(l, element);
	}
	if (ret == 0)
		ret = plan_link_states(l, types);
	plan_path_cut(l, mark);
	return ret;
}

const char *atr_type_enum_name(const struct atr_type *type, unsigned int field, int64_t raw)
{
	for (uint32_t i = 0; i < type->enum_name_count; i++)
		if (type->enum_names[i].field == field && type->enum_names[i].raw == raw)
			return type->enum_names[i].name;
	return NULL;
}
