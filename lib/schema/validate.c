/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <string.h>

#include "../reason/reason.h"
#include "schema_internal.h"

#define POINTER_INDEX_SIZE 16

/* A validation under way, with the values from the root down to the one that is looked at. */
struct walk {
	const struct atr_schema *schema;
	struct atr_schema *scratch_owner;
	size_t pattern_steps;
	unsigned int depth;
	const struct atr_json *at[ATR_JSON_DEPTH_MAX + 2];
};

static uint8_t check_value(struct walk *w, const struct schema_node *node,
			   const struct atr_json *value);

static uint8_t descend(struct walk *w, const struct schema_node *node, const struct atr_json *value)
{
	uint8_t reason;

	w->at[++w->depth] = value;
	reason = check_value(w, node, value);
	if (reason == ATR_OK)
		w->depth--;
	return reason;
}

static uint8_t check_literals(const struct schema_node *node, const struct atr_json *value)
{
	size_t low = 0, high = node->value_count;

	if (node->constant && !atr_json_equal(node->constant, value))
		return ATR_REASON_PAYLOAD_CONST;
	if (!node->values)
		return ATR_OK;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = schema_compare(value, node->values[middle]);

		if (order == 0)
			return ATR_OK;
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return ATR_REASON_PAYLOAD_ENUM;
}

static uint8_t check_number(const struct schema_node *node, double number)
{
	if ((node->has_minimum && number < node->minimum) ||
	    (node->has_maximum && number > node->maximum) ||
	    (node->has_above && number <= node->above) ||
	    (node->has_below && number >= node->below))
		return ATR_REASON_PAYLOAD_RANGE;
	if (node->multiple.digits != 0 && !schema_is_multiple(number, node->multiple))
		return ATR_REASON_PAYLOAD_MULTIPLE;
	return ATR_OK;
}

static uint8_t check_string(struct walk *w, const struct schema_node *node,
			    const struct atr_json *value)
{
	if (value->count < node->min_length || value->count > node->max_length)
		return ATR_REASON_PAYLOAD_STRING_LENGTH;
	return node->pattern ? schema_match(w->schema, node->pattern, value, &w->pattern_steps)
			     : ATR_OK;
}

static uint8_t check_array(struct walk *w, const struct schema_node *node,
			   const struct atr_json *value)
{
	uint8_t reason = ATR_OK;

	if (value->count < node->min_items || value->count > node->max_items)
		return ATR_REASON_PAYLOAD_ITEMS;
	if (node->unique && !schema_unique(value, w->scratch_owner->scratch))
		return ATR_REASON_PAYLOAD_UNIQUE;
	if (!node->items)
		return ATR_OK;
	for (const struct atr_json *item = value->child; item && reason == ATR_OK;
	     item = item->next)
		reason = descend(w, node->items, item);
	return reason;
}

/* Both lists are sorted alike: one pass finds what is missing, another what is too much and what
 * each member must be. */
static uint8_t check_required(const struct schema_node *node, const struct atr_json *value)
{
	const struct atr_json *member = value->child;

	for (size_t i = 0; i < node->property_count; i++) {
		const struct schema_property *p = &node->properties[i];
		int order = 1;

		while (member && (order = atr_json_compare_names(p->name, p->length, member->name,
								 member->name_length)) > 0)
			member = member->next;
		if (p->required && (!member || order != 0))
			return ATR_REASON_PAYLOAD_REQUIRED;
	}
	return ATR_OK;
}

static uint8_t check_members(struct walk *w, const struct schema_node *node,
			     const struct atr_json *value)
{
	uint8_t reason = ATR_OK;
	size_t i = 0;

	for (const struct atr_json *m = value->child; m && reason == ATR_OK; m = m->next) {
		const struct schema_node *declared = NULL;
		int order = 1;

		while (i < node->property_count &&
		       (order = atr_json_compare_names(node->properties[i].name,
						       node->properties[i].length, m->name,
						       m->name_length)) < 0)
			i++;
		if (i < node->property_count && order == 0)
			declared = node->properties[i].node;
		if (declared) {
			reason = descend(w, declared, m);
		} else if (node->closed) {
			w->at[++w->depth] = m;
			reason = ATR_REASON_PAYLOAD_ADDITIONAL;
		} else if (node->additional) {
			reason = descend(w, node->additional, m);
		}
	}
	return reason;
}

static uint8_t check_object(struct walk *w, const struct schema_node *node,
			    const struct atr_json *value)
{
	uint8_t reason;

	if (value->count < node->min_properties || value->count > node->max_properties)
		return ATR_REASON_PAYLOAD_PROPERTIES;
	reason = check_required(node, value);
	return reason == ATR_OK ? check_members(w, node, value) : reason;
}

/* Recursion is as deep as the value, which the parser has bounded. */
static uint8_t check_value(struct walk *w, const struct schema_node *node,
			   const struct atr_json *value)
{
	uint8_t reason;

	if (!(node->types & schema_types_of(value)))
		return ATR_REASON_PAYLOAD_TYPE;
	reason = check_literals(node, value);
	if (reason != ATR_OK)
		return reason;
	switch (value->type) {
	case ATR_JSON_NUMBER: return check_number(node, value->number);
	case ATR_JSON_STRING: return check_string(w, node, value);
	case ATR_JSON_ARRAY: return check_array(w, node, value);
	case ATR_JSON_OBJECT: return check_object(w, node, value);
	default: return ATR_OK;
	}
}

/* Appends one token of a JSON pointer; whole or not at all. */
static bool put_token(char *path, size_t size, size_t *length, const char *token,
		      size_t token_length)
{
	size_t at = *length;

	if (size - at < 2)
		return false;
	path[at++] = '/';
	for (size_t i = 0; i < token_length; i++) {
		bool escape = token[i] == '~' || token[i] == '/';

		if (size - at < 2 + (size_t)escape) {
			path[*length] = '\0';
			return false;
		}
		if (escape)
			path[at++] = '~';
		path[at++] = token[i] == '~' ? '0' : token[i] == '/' ? '1' : token[i];
	}
	path[at] = '\0';
	*length = at;
	return true;
}

static void write_pointer(const struct walk *w, char *path, size_t size)
{
	size_t length = 0;
	bool fits = true;

	path[0] = '\0';
	for (unsigned int i = 1; i <= w->depth && fits; i++) {
		char text[POINTER_INDEX_SIZE];
		unsigned int index = 0;
		int digits;

		if (w->at[i - 1]->type == ATR_JSON_OBJECT) {
			fits = put_token(path, size, &length, w->at[i]->name,
					 w->at[i]->name_length);
			continue;
		}
		for (const struct atr_json *e = w->at[i - 1]->child; e != w->at[i]; e = e->next)
			index++;
		digits = snprintf(text, sizeof(text), "%u", index);
		fits = put_token(path, size, &length, text, (size_t)digits);
	}
}

uint8_t atr_schema_validate(const struct atr_schema *schema, const struct atr_json *value,
			    char *path, size_t size)
{
	struct walk w;
	uint8_t reason;

	w.schema = schema;
	/* The scratch is the one thing that validation writes. */
	w.scratch_owner = (struct atr_schema *)schema;
	w.depth = 0;
	w.pattern_steps = 0;
	w.at[0] = value;
	reason = check_value(&w, schema->root, value);
	if (path && size > 0) {
		path[0] = '\0';
		if (reason != ATR_OK)
			write_pointer(&w, path, size);
	}
	return reason;
}
