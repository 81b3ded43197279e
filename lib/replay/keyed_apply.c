/* SPDX-License-Identifier: BSD-3-Clause */
/* From an event to its key and value, and what they do. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../encode/encode.h"
#include "keyed_internal.h"

/* Bytes under construction. */
struct text {
	char *out;
	uint32_t length, space;
	bool overflow;
};

static void put(struct text *text, const char *bytes, size_t length)
{
	if (text->overflow || length > text->space - text->length) {
		text->overflow = true;
		return;
	}
	memcpy(text->out + text->length, bytes, length);
	text->length += (uint32_t)length;
}

static void put_json(struct text *text, const struct atr_json *value)
{
	int n = text->overflow ? -EMSGSIZE
			       : atr_json_canonical(value, NULL, text->out + text->length,
						    text->space - text->length);

	if (n < 0)
		text->overflow = true;
	else
		text->length += (uint32_t)n;
}

static void put_string(struct text *text, const char *bytes, size_t length)
{
	struct atr_json value = {
		.type = ATR_JSON_STRING, .string = bytes, .string_length = (uint32_t)length};

	put_json(text, &value);
}

static const struct atr_field *field_named(const struct atr_type *type, const char *name)
{
	for (uint32_t i = 0; i < type->field_count; i++)
		if (strcmp(type->fields[i].name, name) == 0)
			return &type->fields[i];
	return NULL;
}

/* A number of a JSON form as the binary form would have it, where that can hold it. */
static void put_number(struct text *text, const struct atr_type *type, const char *name,
		       double number)
{
	const struct atr_field *field = type->binary ? field_named(type, name) : NULL;
	char out[ATR_DECIMAL_MAX];
	int length = atr_json_number(number, out);
	int64_t raw;

	if (field && field->kind != ATR_FIELD_TEXT &&
	    atr_decimal_parse(out, (size_t)length, (unsigned int)field->scale,
			      atr_field_is_unsigned(field), &raw) == 0)
		length = atr_decimal_format(raw, (unsigned int)field->scale,
					    atr_field_is_unsigned(field), out);
	put(text, out, (size_t)length);
}

/* A field's value as JSON; null where it is absent. */
static void put_field(struct text *text, const struct keyed_event *event, const char *name)
{
	const struct atr_field *field;
	char number[ATR_DECIMAL_MAX];
	const char *bytes;
	size_t length;

	if (event->json) {
		const struct atr_json *value = event->json->type == ATR_JSON_OBJECT
						       ? atr_json_member(event->json, name)
						       : NULL;

		if (!value)
			put(text, "null", strlen("null"));
		else if (value->type == ATR_JSON_NUMBER)
			put_number(text, event->type, name, value->number);
		else
			put_json(text, value);
		return;
	}
	field = field_named(event->type, name);
	if (field && field->kind != ATR_FIELD_TEXT) {
		put(text, number, (size_t)atr_decode_number(field, event->payload, number));
		return;
	}
	bytes = field ? atr_decode_text(field, event->payload, &length)
		      : atr_decode_tail(event->type, event->payload, event->length, &length);
	put_string(text, bytes, bytes ? length : 0);
}

static bool make_key(struct text *text, const struct keyed_event *event)
{
	const struct atr_state *state = &event->type->state;

	put(text, "[", 1);
	for (unsigned int i = 0; i < state->key_count; i++) {
		if (i)
			put(text, ",", 1);
		put_field(text, event, state->key[i]);
	}
	put(text, "]", 1);
	return !text->overflow;
}

/* The number that an event brings, at the state's scale; beyond 64 bits it is the nearest that
 * fits. False if there is none. */
static bool read_number(const struct keyed_event *event, int64_t *number)
{
	const struct atr_state *state = &event->type->state;
	const struct atr_field *field = field_named(event->type, state->value);
	const struct atr_json *value;
	char text[ATR_DECIMAL_MAX];
	int ret;

	if (!event->json) {
		*number = atr_decode_raw(field, event->payload);
		if (atr_field_is_unsigned(field) && *number < 0)
			*number = INT64_MAX;
		return !atr_decode_absent(field, event->payload);
	}
	value = event->json->type == ATR_JSON_OBJECT ? atr_json_member(event->json, state->value)
						     : NULL;
	if (!value || value->type != ATR_JSON_NUMBER)
		return false;
	ret = atr_decimal_parse(text, (size_t)atr_json_number(value->number, text), state->scale,
				false, number);
	if (ret == -ERANGE)
		*number = value->number < 0 ? INT64_MIN : INT64_MAX;
	return ret == 0 || ret == -ERANGE;
}

/* What the event makes of entry, apart from key and place. False if it has no value. */
static bool read_value(struct keyed *keyed, const struct keyed_event *event,
		       struct atr_state_entry *entry)
{
	struct text text = {.out = keyed->text, .space = ATR_JSON_BYTES_MAX};

	entry->op = event->type->state.op;
	if (entry->op == ATR_STATE_INCREMENT || entry->op == ATR_STATE_MAXIMUM) {
		entry->scale = event->type->state.scale;
		return read_number(event, &entry->number);
	}
	if (entry->op == ATR_STATE_LAST && !event->json) {
		entry->binary = true;
		entry->value = event->payload;
		entry->value_length = event->length;
		return true;
	}
	if (entry->op == ATR_STATE_LAST)
		put_json(&text, event->json);
	else
		put_field(&text, event, event->type->state.value);
	entry->value = (const uint8_t *)text.out;
	entry->value_length = text.length;
	return !text.overflow;
}

static int merge(struct keyed *keyed, struct keyed_node *node, const struct atr_state_entry *with)
{
	struct atr_state_entry *entry = &node->entry;
	bool same = entry->op == with->op && entry->scale == with->scale;

	if (same && with->op == ATR_STATE_MAXIMUM && with->number <= entry->number)
		return 0;
	if (!same || with->op != ATR_STATE_INCREMENT)
		entry->number = with->number;
	else if (__builtin_add_overflow(entry->number, with->number, &entry->number))
		entry->number = with->number < 0 ? INT64_MIN : INT64_MAX;
	entry->op = with->op;
	entry->scale = with->scale;
	entry->binary = with->binary;
	entry->event = with->event;
	entry->position = with->position;
	return keyed_set_value(keyed, node, with->value, with->value_length) ? 0 : -ENOMEM;
}

int keyed_apply(struct keyed *keyed, const struct keyed_event *event)
{
	char bytes[ATR_STATE_KEY_BYTES];
	struct text key = {.out = bytes, .space = sizeof(bytes)};
	struct atr_state_entry entry = {.source = event->source,
					.type = event->type->state.of,
					.event = event->event,
					.position = event->position,
					.key = bytes};
	struct keyed_node *node;

	if (!keyed->text)
		keyed->text = malloc(ATR_JSON_BYTES_MAX);
	if (!keyed->text)
		return -ENOMEM;
	if (!make_key(&key, event)) {
		keyed->stats.refused++;
		return 0;
	}
	entry.key_length = key.length;
	node = keyed_find(keyed, entry.source, entry.type, entry.key, entry.key_length);
	if (event->type->state.op == ATR_STATE_DELETE) {
		if (node)
			keyed_remove(keyed, node);
		return 0;
	}
	if (!read_value(keyed, event, &entry)) {
		keyed->stats.unfit++;
		return 0;
	}
	if (node)
		return merge(keyed, node, &entry);
	if (keyed->stats.keys >= keyed->stats.limit) {
		keyed->stats.refused++;
		return 0;
	}
	return keyed_add(keyed, &entry) ? 0 : -ENOMEM;
}

int keyed_apply_envelope(struct keyed *keyed, struct keyed_event *event, const uint8_t *body,
			 uint32_t length)
{
	const struct atr_json *root;

	if (!keyed->parser)
		keyed->parser = atr_json_parser_create();
	if (!keyed->parser)
		return -ENOMEM;
	if (atr_json_parse(keyed->parser, (const char *)body, length, &root, NULL) != ATR_OK ||
	    root->type != ATR_JSON_OBJECT)
		return -EINVAL;
	event->json = atr_json_member(root, "payload");
	return event->json ? keyed_apply(keyed, event) : -EINVAL;
}
