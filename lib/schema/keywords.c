/* SPDX-License-Identifier: BSD-3-Clause */
#include <math.h>
#include <string.h>

#include "schema_internal.h"

#define EXACT_MAX     INT64_C(9007199254740991) /* 2^53-1 */
#define TYPES_NUMERIC (TYPES_NUMBER | TYPES_INTEGER)

typedef bool (*keyword_reader)(struct schema_compiler *c, struct schema_node *node,
			       const json_t *value);

static const struct {
	const char *name;
	uint8_t types;
} type_names[] = {
	{"null", TYPES_NULL},     {"boolean", TYPES_BOOLEAN}, {"integer", TYPES_INTEGER},
	{"number", TYPES_NUMBER}, {"string", TYPES_STRING},   {"array", TYPES_ARRAY},
	{"object", TYPES_OBJECT},
};

static bool add_type(struct schema_compiler *c, struct schema_node *node, const json_t *value)
{
	const char *name = json_string_value(value);

	for (size_t i = 0; name && i < sizeof(type_names) / sizeof(type_names[0]); i++) {
		if (strcmp(name, type_names[i].name) != 0)
			continue;
		if (node->types & type_names[i].types)
			return schema_fail(c, "'%s' is there twice; remove one", name);
		node->types |= type_names[i].types;
		return true;
	}
	return schema_fail(c, "must be null, boolean, integer, number, string, array or object, "
			      "or a list of these");
}

static bool read_type(struct schema_compiler *c, struct schema_node *node, const json_t *value)
{
	size_t index;
	json_t *item;

	if (!json_is_array(value))
		return add_type(c, node, value);
	if (json_array_size(value) == 0)
		return schema_fail(c, "list is empty; name at least one type");
	json_array_foreach(value, index, item)
	{
		size_t before = schema_enter_index(c, index);

		if (!add_type(c, node, item))
			return false;
		schema_leave(c, before);
	}
	return true;
}

static bool read_number(struct schema_compiler *c, const json_t *value, double *out)
{
	if (json_is_integer(value)) {
		json_int_t integer = json_integer_value(value);

		if (integer < -EXACT_MAX || integer > EXACT_MAX)
			return schema_fail(c, "integer is beyond 2^53-1 and not exact");
		*out = (double)integer;
		return true;
	}
	if (!json_is_real(value) || !isfinite(json_real_value(value)))
		return schema_fail(c, "must be a finite number");
	*out = json_real_value(value);
	return true;
}

static bool read_count(struct schema_compiler *c, const json_t *value, uint64_t *out)
{
	double number = 0;

	if (!json_is_number(value))
		return schema_fail(c, "must be an integer from 0 to 2^53-1");
	if (!read_number(c, value, &number))
		return false;
	if (number < 0 || number > (double)EXACT_MAX || number != floor(number))
		return schema_fail(c, "must be an integer from 0 to 2^53-1");
	*out = (uint64_t)number;
	return true;
}

#define NUMBER_KEYWORD(keyword, field)                                                  \
	static bool read_##keyword(struct schema_compiler *c, struct schema_node *node, \
				   const json_t *value)                                 \
	{                                                                               \
		node->has_##field = true;                                               \
		return read_number(c, value, &node->field);                             \
	}
NUMBER_KEYWORD(minimum, minimum)
NUMBER_KEYWORD(maximum, maximum)
NUMBER_KEYWORD(exclusive_minimum, above)
NUMBER_KEYWORD(exclusive_maximum, below)

#define COUNT_KEYWORD(field)                                                          \
	static bool read_##field(struct schema_compiler *c, struct schema_node *node, \
				 const json_t *value)                                 \
	{                                                                             \
		return read_count(c, value, &node->field);                            \
	}
COUNT_KEYWORD(min_length)
COUNT_KEYWORD(max_length)
COUNT_KEYWORD(min_items)
COUNT_KEYWORD(max_items)
COUNT_KEYWORD(min_properties)
COUNT_KEYWORD(max_properties)

static bool read_multiple(struct schema_compiler *c, struct schema_node *node, const json_t *value)
{
	double number = 0;

	if (!read_number(c, value, &number))
		return false;
	if (number <= 0)
		return schema_fail(c, "must be above 0");
	node->multiple = schema_decimal_of(number);
	return true;
}

static bool read_items(struct schema_compiler *c, struct schema_node *node, const json_t *value)
{
	node->items = schema_compile_node(c, value);
	return node->items != NULL;
}

static bool read_unique(struct schema_compiler *c, struct schema_node *node, const json_t *value)
{
	if (!json_is_boolean(value))
		return schema_fail(c, "must be true or false");
	node->unique = json_is_true(value);
	return true;
}

static bool read_annotation(struct schema_compiler *c, struct schema_node *node,
			    const json_t *value)
{
	(void)node;
	return json_is_string(value) || schema_fail(c, "must be a string");
}

static bool skip_type(struct schema_compiler *c, struct schema_node *node, const json_t *value)
{
	(void)c;
	(void)node;
	(void)value;
	return true;
}

/* Every supported keyword and the types that it applies to. */
static const struct keyword {
	const char *name;
	uint8_t types;
	keyword_reader read;
} keywords[] = {
	{"type", TYPES_ALL, skip_type}, /* read ahead of the others */
	{"const", TYPES_ALL, schema_read_const},
	{"enum", TYPES_ALL, schema_read_enum},
	{"minimum", TYPES_NUMERIC, read_minimum},
	{"maximum", TYPES_NUMERIC, read_maximum},
	{"exclusiveMinimum", TYPES_NUMERIC, read_exclusive_minimum},
	{"exclusiveMaximum", TYPES_NUMERIC, read_exclusive_maximum},
	{"multipleOf", TYPES_NUMERIC, read_multiple},
	{"minLength", TYPES_STRING, read_min_length},
	{"maxLength", TYPES_STRING, read_max_length},
	{"pattern", TYPES_STRING, schema_read_pattern},
	{"minItems", TYPES_ARRAY, read_min_items},
	{"maxItems", TYPES_ARRAY, read_max_items},
	{"items", TYPES_ARRAY, read_items},
	{"uniqueItems", TYPES_ARRAY, read_unique},
	{"properties", TYPES_OBJECT, schema_read_properties},
	{"required", TYPES_OBJECT, schema_read_required},
	{"additionalProperties", TYPES_OBJECT, schema_read_additional},
	{"minProperties", TYPES_OBJECT, read_min_properties},
	{"maxProperties", TYPES_OBJECT, read_max_properties},
	{"title", TYPES_ALL, read_annotation},
	{"description", TYPES_ALL, read_annotation},
	{"$comment", TYPES_ALL, read_annotation},
};

static bool read_keyword(struct schema_compiler *c, struct schema_node *node, const char *name,
			 const json_t *value)
{
	for (size_t i = 0; i < sizeof(keywords) / sizeof(keywords[0]); i++) {
		if (strcmp(name, keywords[i].name) != 0)
			continue;
		if (!(keywords[i].types & node->types))
			return schema_fail(c, "cannot apply to the declared type; remove it or "
					      "correct 'type'");
		return keywords[i].read(c, node, value);
	}
	return schema_fail(c, "keyword is not supported; see docs/schema.md for those that are");
}

static bool check_range(struct schema_compiler *c, const char *low_name, uint64_t low,
			const char *high_name, uint64_t high)
{
	size_t before;

	if (low <= high)
		return true;
	before = schema_enter(c, low_name);
	schema_fail(c, "is above %s; lower it", high_name);
	schema_leave(c, before);
	return false;
}

static bool check_bounds(struct schema_compiler *c, const struct schema_node *node)
{
	bool empty = (node->has_minimum && node->has_maximum && node->minimum > node->maximum) ||
		     (node->has_minimum && node->has_below && node->minimum >= node->below) ||
		     (node->has_above && node->has_maximum && node->above >= node->maximum) ||
		     (node->has_above && node->has_below && node->above >= node->below);
	size_t before;

	if (!empty)
		return check_range(c, "minLength", node->min_length, "maxLength",
				   node->max_length) &&
		       check_range(c, "minItems", node->min_items, "maxItems", node->max_items) &&
		       check_range(c, "minProperties", node->min_properties, "maxProperties",
				   node->max_properties);
	before = schema_enter(c, node->has_minimum ? "minimum" : "exclusiveMinimum");
	schema_fail(c, "no number lies between the lower and the upper bound; correct one");
	schema_leave(c, before);
	return false;
}

bool schema_read_keywords(struct schema_compiler *c, struct schema_node *node,
			  const json_t *document)
{
	const json_t *type = json_object_get(document, "type");
	size_t before = schema_enter(c, "type");
	const char *name;
	json_t *value;

	if (type && !read_type(c, node, type))
		return false;
	if (!type)
		node->types = TYPES_ALL;
	schema_leave(c, before);
	json_object_foreach((json_t *)document, name, value)
	{
		before = schema_enter(c, name);
		if (!read_keyword(c, node, name, value))
			return false;
		schema_leave(c, before);
	}
	return check_bounds(c, node) && schema_check_properties(c, node);
}
