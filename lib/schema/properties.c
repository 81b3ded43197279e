/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>
#include <string.h>

#include "schema_internal.h"

static int compare_properties(const void *a, const void *b)
{
	const struct schema_property *x = a, *y = b;

	return atr_json_compare_names(x->name, x->length, y->name, y->length);
}

static struct schema_property *find(const struct schema_node *node, const char *name, size_t length)
{
	struct schema_property key = {.name = name, .length = length};

	if (node->property_count == 0)
		return NULL;
	return bsearch(&key, node->properties, node->property_count, sizeof(key),
		       compare_properties);
}

/* Makes room for count names behind those that are there already. */
static struct schema_property *grow(struct schema_compiler *c, struct schema_node *node,
				    size_t count)
{
	struct schema_property *grown =
		schema_alloc(c->schema, node->property_count + count + 1, sizeof(*grown));

	if (!grown)
		return NULL;
	if (node->property_count > 0)
		memcpy(grown, node->properties, node->property_count * sizeof(*grown));
	node->properties = grown;
	return grown;
}

static bool set_name(struct schema_compiler *c, struct schema_property *property, const char *name,
		     size_t length)
{
	char *copy = schema_alloc(c->schema, length + 1, 1);

	if (!copy)
		return schema_fail_memory(c);
	memcpy(copy, name, length);
	property->name = copy;
	property->length = length;
	return true;
}

static void sort(struct schema_node *node)
{
	qsort(node->properties, node->property_count, sizeof(*node->properties),
	      compare_properties);
}

bool schema_read_properties(struct schema_compiler *c, struct schema_node *node,
			    const json_t *value)
{
	size_t known = node->property_count, count = known;
	const char *name;
	json_t *document;

	if (!json_is_object(value))
		return schema_fail(c, "must be an object of schemas");
	if (!grow(c, node, json_object_size(value)))
		return schema_fail_memory(c);
	json_object_foreach((json_t *)value, name, document)
	{
		size_t before = schema_enter(c, name);
		/* 'required' may have been read before. */
		struct schema_property *property = NULL;

		node->property_count = known;
		property = find(node, name, strlen(name));
		node->property_count = count;
		if (!property) {
			property = &node->properties[count++];
			if (!set_name(c, property, name, strlen(name)))
				return false;
		}
		property->node = schema_compile_node(c, document);
		if (!property->node)
			return false;
		schema_leave(c, before);
	}
	node->property_count = count;
	sort(node);
	return true;
}

bool schema_read_required(struct schema_compiler *c, struct schema_node *node, const json_t *value)
{
	size_t index;
	json_t *item;

	if (!json_is_array(value))
		return schema_fail(c, "must be a list of names");
	if (!grow(c, node, json_array_size(value)))
		return schema_fail_memory(c);
	/* Declared names are marked, the others appended behind; sorted afterwards. */
	size_t known = node->property_count, count = known;
	json_array_foreach(value, index, item)
	{
		size_t before = schema_enter_index(c, index);
		const char *name = json_string_value(item);
		struct schema_property *property;

		if (!name)
			return schema_fail(c, "must be a string");
		property = find(node, name, json_string_length(item));
		if (property && property->required)
			return schema_fail(c, "name is there twice; remove one");
		if (!property) {
			property = &node->properties[count++];
			if (!set_name(c, property, name, json_string_length(item)))
				return false;
		}
		property->required = true;
		schema_leave(c, before);
	}
	node->property_count = count;
	sort(node);
	for (size_t i = 1; i < count; i++)
		if (compare_properties(&node->properties[i - 1], &node->properties[i]) == 0)
			return schema_fail(c, "a name is there twice; remove one");
	return true;
}

bool schema_read_additional(struct schema_compiler *c, struct schema_node *node,
			    const json_t *value)
{
	if (json_is_boolean(value)) {
		node->closed = json_is_false(value);
		return true;
	}
	node->additional = schema_compile_node(c, value);
	return node->additional != NULL;
}

bool schema_check_properties(struct schema_compiler *c, const struct schema_node *node)
{
	uint64_t required = 0;
	size_t before;

	for (size_t i = 0; i < node->property_count; i++) {
		const struct schema_property *p = &node->properties[i];

		required += p->required;
		if (p->node || !node->closed)
			continue;
		before = schema_enter(c, "required");
		schema_enter(c, p->name);
		schema_fail(c, "is required, but additionalProperties forbids it; declare it");
		schema_leave(c, before);
		return false;
	}
	if (required <= node->max_properties)
		return true;
	before = schema_enter(c, "maxProperties");
	schema_fail(c, "is below the number of required names; raise it");
	schema_leave(c, before);
	return false;
}
