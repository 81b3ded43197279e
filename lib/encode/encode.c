/* SPDX-License-Identifier: BSD-3-Clause */
#include "encode.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "../reason/reason.h"
#include "../wire/frame.h"

#define JSON_NUMBER_MAX 32 /* see atr_json_number */

struct encoder {
	const struct atr_type *type;
	uint8_t *out;
	char *error;
	size_t size;
};

static int refuse(const struct encoder *e, const char *member, const char *why)
{
	snprintf(e->error, e->size, "member '%s' of type '%s' %s", member, e->type->name, why);
	return -EINVAL;
}

static int range_refused(const struct encoder *e, const struct atr_field *field)
{
	char low[ATR_DECIMAL_MAX], high[ATR_DECIMAL_MAX], why[128];
	bool is_unsigned = atr_field_is_unsigned(field);

	atr_decimal_format(field->min_raw, (unsigned int)field->scale, is_unsigned, low);
	atr_decimal_format(field->max_raw, (unsigned int)field->scale, is_unsigned, high);
	snprintf(why, sizeof(why), "lies outside %s..%s", low, high);
	return refuse(e, field->name, why);
}

static bool in_range(const struct atr_field *field, int64_t raw)
{
	if (atr_field_is_unsigned(field))
		return (uint64_t)raw >= (uint64_t)field->min_raw &&
		       (uint64_t)raw <= (uint64_t)field->max_raw;
	return raw >= field->min_raw && raw <= field->max_raw;
}

static bool in_enumeration(const struct atr_field *field, int64_t raw)
{
	for (unsigned int i = 0; i < field->enum_count; i++)
		if (field->enum_raw[i] == raw)
			return true;
	return field->enum_count == 0;
}

static int encode_raw(const struct encoder *e, const struct atr_field *field, int64_t raw)
{
	if (!in_range(field, raw))
		return range_refused(e, field);
	if (!in_enumeration(field, raw))
		return refuse(e, field->name, "is no value of its enumeration");
	memcpy(e->out + field->offset, &raw, field->width);
	return 0;
}

static int encode_number(const struct encoder *e, const struct atr_field *field,
			 const struct atr_json *value)
{
	char text[JSON_NUMBER_MAX], why[80];
	int64_t raw;
	int err;

	if (!value || value->type == ATR_JSON_NULL) {
		if (!field->has_absent)
			return refuse(e, field->name, "is required: it has no absent value");
		memcpy(e->out + field->offset, &field->absent_raw, field->width);
		return 0;
	}
	if (value->type != ATR_JSON_NUMBER)
		return refuse(e, field->name, "must be a number");
	err = atr_decimal_parse(text, (size_t)atr_json_number(value->number, text),
				(unsigned int)field->scale, atr_field_is_unsigned(field), &raw);
	if (err == -EDOM) {
		snprintf(why, sizeof(why), "has more than %d decimal places", field->scale);
		return refuse(e, field->name, why);
	}
	if (err)
		return range_refused(e, field);
	if (field->has_absent && raw == field->absent_raw)
		return refuse(e, field->name, "has the value that stands for 'absent'; use null");
	return encode_raw(e, field, raw);
}

/* Copies a JSON string of at most width bytes; returns its length. */
static int encode_text(const struct encoder *e, const char *name, const struct atr_json *value,
		       uint8_t *to, size_t width)
{
	char why[80];

	if (!value || value->type == ATR_JSON_NULL)
		return 0;
	if (value->type != ATR_JSON_STRING)
		return refuse(e, name, "must be a string");
	if (value->string_length > width) {
		snprintf(why, sizeof(why), "is longer than %zu bytes of UTF-8", width);
		return refuse(e, name, why);
	}
	for (uint32_t i = 0; i < value->string_length; i++)
		if ((uint8_t)value->string[i] < ' ' || value->string[i] == '\x7f')
			return refuse(e, name, "holds a control character");
	memcpy(to, value->string, value->string_length);
	return (int)value->string_length;
}

static bool is_declared(const struct atr_type *type, const struct atr_json *member)
{
	const char *tail = type->tail_max ? type->tail_name : "";
	uint32_t n = member->name_length;

	for (uint32_t i = 0; i < type->field_count; i++)
		if (strlen(type->fields[i].name) == n &&
		    memcmp(type->fields[i].name, member->name, n) == 0)
			return true;
	return n && strlen(tail) == n && memcmp(tail, member->name, n) == 0;
}

static int refuse_unknown(const struct encoder *e, const struct atr_json *payload)
{
	for (const struct atr_json *m = payload->child; m; m = m->next)
		if (!is_declared(e->type, m)) {
			char name[64];

			/* Names are the input's bytes: only as much as a person needs, and safe. */
			snprintf(name, sizeof(name), "%.*s", (int)m->name_length, m->name);
			for (char *c = name; *c; c++)
				if ((uint8_t)*c < ' ' || (uint8_t)*c >= 0x7f)
					*c = '?';
			return refuse(e, name, "is not a field of the type");
		}
	return 0;
}

static int encode_fields(const struct encoder *e, const struct atr_json *payload)
{
	for (uint32_t i = 0; i < e->type->field_count; i++) {
		const struct atr_field *field = &e->type->fields[i];
		const struct atr_json *value = atr_json_member(payload, field->name);
		int err;

		if (field->kind == ATR_FIELD_TEXT)
			err = encode_text(e, field->name, value, e->out + field->offset,
					  field->width);
		else
			err = encode_number(e, field, value);
		if (err < 0)
			return err;
	}
	return 0;
}

/* The type's own checks have the last word: what passes here passes the appliance's gates. */
static int check(const struct encoder *e, uint32_t length)
{
	bool in_arena = length > ATR_INLINE_MAX;
	uint32_t shown = in_arena ? length : ATR_INLINE_MAX;
	uint8_t reason = atr_typecheck_schema(e->type->binary, e->out, shown, in_arena);

	if (reason == ATR_OK)
		reason = atr_typecheck_canonical(e->type->binary, e->out, shown, in_arena);
	if (reason == ATR_OK)
		return (int)length;
	snprintf(e->error, e->size, "payload of type '%s': %s", e->type->name,
		 atr_reason_text(reason));
	return -EINVAL;
}

int atr_encode_payload(const struct atr_type *type, const struct atr_json *payload, uint8_t *out,
		       char *error, size_t size)
{
	struct encoder e = {type, out, error, size};
	int tail = 0, err;

	if (!type->binary) {
		snprintf(error, size,
			 "type '%s' has no binary form; publish it as envelopes, or give it one",
			 type->name);
		return -EINVAL;
	}
	if (payload->type != ATR_JSON_OBJECT) {
		snprintf(error, size, "payload of type '%s' must be an object", type->name);
		return -EINVAL;
	}
	err = refuse_unknown(&e, payload);
	if (err)
		return err;
	memset(out, 0, ATR_ENCODE_BUFFER);
	err = encode_fields(&e, payload);
	if (err)
		return err;
	if (type->tail_max)
		tail = encode_text(&e, type->tail_name, atr_json_member(payload, type->tail_name),
				   out + type->fixed_size, type->tail_max);
	return tail < 0 ? tail : check(&e, type->fixed_size + (uint32_t)tail);
}
