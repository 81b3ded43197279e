/* SPDX-License-Identifier: BSD-3-Clause */
#include "encode.h"

#include <string.h>

bool atr_field_is_unsigned(const struct atr_field *field)
{
	return field->kind <= ATR_FIELD_U64;
}

int64_t atr_decode_raw(const struct atr_field *field, const uint8_t *payload)
{
	unsigned int shift = 64 - 8u * field->width;
	uint64_t bits = 0;

	memcpy(&bits, payload + field->offset, field->width);
	if (atr_field_is_unsigned(field))
		return (int64_t)bits;
	return (int64_t)(bits << shift) >> shift;
}

bool atr_decode_absent(const struct atr_field *field, const uint8_t *payload)
{
	return field->kind != ATR_FIELD_TEXT && field->has_absent &&
	       atr_decode_raw(field, payload) == field->absent_raw;
}

int atr_decode_number(const struct atr_field *field, const uint8_t *payload, char *out)
{
	if (atr_decode_absent(field, payload)) {
		memcpy(out, "null", sizeof("null"));
		return sizeof("null") - 1;
	}
	return atr_decimal_format(atr_decode_raw(field, payload), (unsigned int)field->scale,
				  atr_field_is_unsigned(field), out);
}

static size_t trimmed(const char *text, size_t length)
{
	while (length && text[length - 1] == '\0')
		length--;
	return length;
}

const char *atr_decode_text(const struct atr_field *field, const uint8_t *payload, size_t *length)
{
	const char *text = (const char *)payload + field->offset;

	*length = trimmed(text, field->width);
	return text;
}

const char *atr_decode_tail(const struct atr_type *type, const uint8_t *payload,
			    uint32_t payload_length, size_t *length)
{
	const char *tail = (const char *)payload + type->fixed_size;

	*length = 0;
	if (type->tail_max == 0 || payload_length < type->fixed_size)
		return NULL;
	*length = trimmed(tail, payload_length - type->fixed_size);
	return tail;
}
