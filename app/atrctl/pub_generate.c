/* SPDX-License-Identifier: BSD-3-Clause */
/* Made-up events: every field takes values of its range in turn, so that they fit the type. */
#include "pub.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../../lib/encode/encode.h"

#define TEXT_ROOM    (2 * ATR_BINARY_SIZE_MAX)
#define EXACT_MAX    1000000000000000 /* 10^15: 15 digits survive a double */
#define TAIL_LENGTHS 61               /* tails are 0 to 60 bytes long, where the type allows it */

static int pick_type(struct pub *pub, char *error)
{
	const char *name = pub->options.type;
	const struct atr_type *type;

	if (!name || !pub->options.topic) {
		snprintf(error, ERROR_SIZE, "--generate needs --topic NAME and --type NAME");
		return -EINVAL;
	}
	type = atr_plan_type_named(pub->plan, name, strlen(name));
	if (!type || !type->binary) {
		snprintf(error, ERROR_SIZE, "--type %s: the plan has no such type%s", name,
			 type ? " with a binary form, which --generate needs" : "");
		return -EINVAL;
	}
	return 0;
}

int pub_generate_open(struct pub *pub, char *error)
{
	if (!pub->ring.only) {
		snprintf(error, ERROR_SIZE, "--generate needs --source NAME");
		return -EINVAL;
	}
	pub->text = malloc(TEXT_ROOM);
	if (!pub->text) {
		snprintf(error, ERROR_SIZE, "out of memory");
		return -EINVAL;
	}
	pub->text_capacity = TEXT_ROOM;
	return pick_type(pub, error);
}

/* Bounds are cut to what a JSON number carries exactly, where the range reaches beyond. */
static int64_t generated_raw(const struct atr_field *field, uint64_t i)
{
	bool is_unsigned = atr_field_is_unsigned(field);
	int64_t low = field->min_raw, high = field->max_raw, raw;
	uint64_t state = i ^ (uint64_t)field->offset << 48;

	if (field->enum_count)
		return field->enum_raw[i % field->enum_count];
	if (is_unsigned ? (uint64_t)high > EXACT_MAX && (uint64_t)low < EXACT_MAX
			: high > EXACT_MAX && low < EXACT_MAX)
		high = EXACT_MAX;
	if (!is_unsigned && low < -EXACT_MAX && high > -EXACT_MAX)
		low = -EXACT_MAX;
	raw = (int64_t)((uint64_t)low + random_next(&state) % ((uint64_t)high - (uint64_t)low + 1));
	if (field->has_absent && raw == field->absent_raw)
		raw = low == field->absent_raw ? high : low;
	return raw;
}

static void put_letters(FILE *to, uint64_t i, size_t length)
{
	for (size_t k = 0; k < length; k++)
		fputc('a' + (int)((i + k) % 26), to);
}

static void put_payload(FILE *to, const struct atr_type *type, uint64_t i)
{
	const char *comma = "";
	size_t tail = i % TAIL_LENGTHS;

	for (uint32_t k = 0; k < type->field_count; k++) {
		const struct atr_field *field = &type->fields[k];
		char number[ATR_DECIMAL_MAX];

		fprintf(to, "%s\"%s\":", comma, field->name);
		comma = ",";
		if (field->kind == ATR_FIELD_TEXT) {
			fputc('"', to);
			put_letters(to, i, field->width);
			fputc('"', to);
			continue;
		}
		atr_decimal_format(generated_raw(field, i), (unsigned int)field->scale,
				   atr_field_is_unsigned(field), number);
		fputs(number, to);
	}
	if (type->tail_max) {
		fprintf(to, "%s\"%s\":\"", comma, type->tail_name);
		put_letters(to, i, tail < type->tail_max ? tail : type->tail_max);
		fputc('"', to);
	}
}

int pub_generate_next(struct pub *pub, char *error)
{
	const struct pub_options *o = &pub->options;
	const struct atr_type *type = atr_plan_type_named(pub->plan, o->type, strlen(o->type));
	FILE *to;
	long n;

	if (pub->generated == o->generate.value)
		return 0;
	pub->line = ++pub->generated;
	to = fmemopen(pub->text, TEXT_ROOM, "w");
	if (!to) {
		snprintf(error, ERROR_SIZE, "out of memory");
		return -EINVAL;
	}
	fprintf(to, "{\"topic\":\"%s\",\"type\":\"%s\",\"payload\":{", o->topic, o->type);
	put_payload(to, type, pub->generated);
	fputs("}}", to);
	n = ftell(to);
	fclose(to);
	pub->text_length = (size_t)n;
	return 1;
}
