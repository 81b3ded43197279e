/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "schema_internal.h"

bool schema_fail(struct schema_compiler *c, const char *format, ...)
{
	va_list arguments;
	int length;

	if (c->error_size == 0)
		return false;
	length = snprintf(c->error, c->error_size, "%s: ", c->path);
	if (length < 0 || (size_t)length >= c->error_size)
		return false;
	va_start(arguments, format);
	vsnprintf(c->error + length, c->error_size - (size_t)length, format, arguments);
	va_end(arguments);
	return false;
}

bool schema_fail_memory(struct schema_compiler *c)
{
	return schema_fail(c, "out of memory; make the schema smaller or free memory");
}

/* Names come from a file and go to a terminal: only printable ASCII does. */
static void append(struct schema_compiler *c, const char *text)
{
	for (; *text && c->path_length < sizeof(c->path) - 1; text++)
		c->path[c->path_length++] = *text >= ' ' && *text <= '~' ? *text : '?';
	c->path[c->path_length] = '\0';
}

size_t schema_enter(struct schema_compiler *c, const char *name)
{
	size_t before = c->path_length;

	if (before > 0)
		append(c, ".");
	append(c, name);
	return before;
}

size_t schema_enter_index(struct schema_compiler *c, size_t index)
{
	size_t before = c->path_length;
	char text[32];

	snprintf(text, sizeof(text), "[%zu]", index);
	append(c, text);
	return before;
}

void schema_leave(struct schema_compiler *c, size_t length)
{
	c->path_length = length;
	c->path[length] = '\0';
}

struct schema_node *schema_compile_node(struct schema_compiler *c, const json_t *document)
{
	struct schema_node *node;
	bool ok;

	if (!json_is_object(document)) {
		schema_fail(c, "a schema must be an object");
		return NULL;
	}
	if (c->depth == ATR_JSON_DEPTH_MAX) {
		schema_fail(c, "schemas are nested deeper than %d; flatten them",
			    ATR_JSON_DEPTH_MAX);
		return NULL;
	}
	node = schema_alloc(c->schema, 1, sizeof(*node));
	if (!node) {
		schema_fail_memory(c);
		return NULL;
	}
	node->max_length = UINT64_MAX;
	node->max_items = UINT64_MAX;
	node->max_properties = UINT64_MAX;
	c->depth++;
	ok = schema_read_keywords(c, node, document);
	c->depth--;
	return ok ? node : NULL;
}

struct atr_schema *atr_schema_compile(const json_t *document, const char *path, char *error,
				      size_t size)
{
	struct schema_compiler c = {.error = error, .error_size = size};

	append(&c, path);
	c.schema = calloc(1, sizeof(*c.schema));
	c.parser = atr_json_parser_create();
	if (!c.schema || !c.parser)
		schema_fail_memory(&c);
	else if (schema_pattern_init(&c))
		c.schema->root = schema_compile_node(&c, document);
	atr_json_parser_destroy(c.parser);
	if (c.schema && !c.schema->root) {
		atr_schema_free(c.schema);
		c.schema = NULL;
	}
	return c.schema;
}

void atr_schema_free(struct atr_schema *schema)
{
	if (!schema)
		return;
	schema_release(schema);
	free(schema);
}

int atr_schema_has_number(const struct atr_schema *schema, const char *property)
{
	const struct schema_node *root = schema->root;
	size_t length = strlen(property);

	for (size_t i = 0; i < root->property_count; i++) {
		const struct schema_property *p = &root->properties[i];

		if (p->node && p->length == length && memcmp(p->name, property, length) == 0)
			return p->node->types != TYPES_ALL &&
			       (p->node->types & (TYPES_NUMBER | TYPES_INTEGER)) != 0;
	}
	return 0;
}
