/* SPDX-License-Identifier: BSD-3-Clause */
#include "state_line.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "explain.h"
#include "term.h"

#define DECIMAL 10

static bool is_number(const struct atr_state_entry *e)
{
	return e->op == ATR_STATE_INCREMENT || e->op == ATR_STATE_MAXIMUM;
}

static char *hex_of(const uint8_t *bytes, size_t length)
{
	char *text = malloc(2 * length + 1);

	if (text)
		atr_hex_encode(bytes, length, text);
	return text;
}

json_t *state_line_json(const struct atr_state_entry *e, size_t held)
{
	json_t *o = json_pack("{s:I, s:I, s:s, s:o, s:I, s:i}", "source", (json_int_t)e->source,
			      "type", (json_int_t)e->type, "op", atr_state_op_name(e->op), "key",
			      explain_bytes_json(e->key, e->key_length), "position",
			      (json_int_t)e->position, "event", (int)e->event);
	char *hex;

	if (!o)
		return NULL;
	if (is_number(e)) {
		json_object_set_new(o, "number", json_integer(e->number));
		json_object_set_new(o, "scale", json_integer(e->scale));
		return o;
	}
	if (held < e->value_length)
		json_object_set_new(o, "value_length", json_integer(e->value_length));
	if (!e->binary) {
		json_object_set_new(o, "value", explain_bytes_json(e->value, held));
		return o;
	}
	hex = hex_of(e->value, held);
	json_object_set_new(o, "value_hex", json_string(hex ? hex : ""));
	free(hex);
	return o;
}

static void print_number(int64_t number, unsigned int scale)
{
	uint64_t value = number < 0 ? 0 - (uint64_t)number : (uint64_t)number, unit = 1;

	/* Of an appliance's answer, which may be anything. */
	for (unsigned int i = 0; i < scale && unit <= UINT64_MAX / DECIMAL; i++)
		unit *= DECIMAL;
	printf("%s%" PRIu64, number < 0 ? "-" : "", value / unit);
	if (scale)
		printf(".%0*" PRIu64, (int)scale, value % unit);
}

void state_line_print(const struct atr_state_entry *e, size_t held)
{
	char *hex;

	printf("source %u type %u ", e->source, e->type);
	term_text(stdout, e->key, e->key_length);
	printf(" %s ", atr_state_op_name(e->op));
	if (is_number(e)) {
		print_number(e->number, e->scale);
	} else if (!e->binary) {
		term_text(stdout, (const char *)e->value, held);
	} else {
		hex = hex_of(e->value, held);
		fputs(hex ? hex : "", stdout);
		free(hex);
	}
	printf("%s (leaf %" PRIu64 ", event %u)\n", held < e->value_length ? ".." : "", e->position,
	       e->event);
}
