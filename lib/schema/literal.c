/* SPDX-License-Identifier: BSD-3-Clause */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../reason/reason.h"
#include "schema_internal.h"

uint8_t schema_types_of(const struct atr_json *value)
{
	switch (value->type) {
	case ATR_JSON_NULL: return TYPES_NULL;
	case ATR_JSON_FALSE:
	case ATR_JSON_TRUE: return TYPES_BOOLEAN;
	case ATR_JSON_NUMBER:
		return value->number == floor(value->number) ? TYPES_NUMBER | TYPES_INTEGER
							     : TYPES_NUMBER;
	case ATR_JSON_STRING: return TYPES_STRING;
	case ATR_JSON_ARRAY: return TYPES_ARRAY;
	default: return TYPES_OBJECT;
	}
}

static const char *clone_bytes(struct atr_schema *schema, const char *bytes, size_t length)
{
	char *copy = schema_alloc(schema, length + 1, 1);

	if (copy)
		memcpy(copy, bytes, length);
	return copy;
}

/* Deep copy into the schema's memory. Recursion is bounded by the parser. */
static struct atr_json *clone(struct atr_schema *schema, const struct atr_json *value)
{
	struct atr_json *copy = schema_alloc(schema, 1, sizeof(*copy));
	const struct atr_json **tail;

	if (!copy)
		return NULL;
	*copy = *value;
	copy->next = NULL;
	copy->child = NULL;
	if (value->name && !(copy->name = clone_bytes(schema, value->name, value->name_length)))
		return NULL;
	if (value->string &&
	    !(copy->string = clone_bytes(schema, value->string, value->string_length)))
		return NULL;
	tail = &copy->child;
	for (const struct atr_json *child = value->child; child; child = child->next) {
		struct atr_json *twin = clone(schema, child);

		if (!twin)
			return NULL;
		*tail = twin;
		tail = &twin->next;
	}
	return copy;
}

/* The value as the schema's own; numbers keep all their digits. */
static const struct atr_json *read_literal(struct schema_compiler *c,
					   const struct schema_node *node, const json_t *value)
{
	const size_t flags = JSON_ENCODE_ANY | JSON_COMPACT;
	const struct atr_json *parsed, *copy;
	size_t length = json_dumpb(value, NULL, 0, flags);
	char *text = length > 0 ? malloc(length) : NULL;
	uint8_t reason;

	if (!text) {
		schema_fail_memory(c);
		return NULL;
	}
	json_dumpb(value, text, length, flags);
	reason = atr_json_parse(c->parser, text, length, &parsed, NULL);
	free(text);
	if (reason != ATR_OK) {
		schema_fail(c, "value is refused in envelopes too: %s", atr_reason_text(reason));
		return NULL;
	}
	if (!(schema_types_of(parsed) & node->types)) {
		schema_fail(c, "value is not of the declared type; remove it or correct 'type'");
		return NULL;
	}
	copy = clone(c->schema, parsed);
	if (!copy)
		schema_fail_memory(c);
	return copy;
}

bool schema_read_const(struct schema_compiler *c, struct schema_node *node, const json_t *value)
{
	node->constant = read_literal(c, node, value);
	return node->constant != NULL;
}

bool schema_read_enum(struct schema_compiler *c, struct schema_node *node, const json_t *value)
{
	size_t count = json_array_size(value);
	size_t index;
	json_t *item;

	if (!json_is_array(value) || count == 0)
		return schema_fail(c, "must be a list of at least one value");
	node->values = schema_alloc(c->schema, count, sizeof(void *));
	if (!node->values)
		return schema_fail_memory(c);
	json_array_foreach(value, index, item)
	{
		size_t before = schema_enter_index(c, index);

		node->values[index] = read_literal(c, node, item);
		if (!node->values[index])
			return false;
		schema_leave(c, before);
	}
	node->value_count = count;
	schema_sort(node->values, count);
	for (size_t i = 1; i < count; i++)
		if (schema_compare(node->values[i - 1], node->values[i]) == 0)
			return schema_fail(c, "a value is there twice; remove one");
	return true;
}
