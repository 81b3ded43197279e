/* SPDX-License-Identifier: BSD-3-Clause */
#include "explain.h"

#include <stdlib.h>
#include <string.h>

#include "../../lib/encode/encode.h"
#include "../../lib/envelope/envelope.h"
#include "../../lib/sign/sign.h"
#include "term.h"

#define TIME_TEXT 40

void explain_reason(FILE *to, uint8_t reason, const char *detail)
{
	const char *name = atr_reason_name(reason);

	if (reason == ATR_OK || reason == ATR_DUPLICATE) {
		fputs(reason == ATR_OK ? "admitted" : "duplicate", to);
		return;
	}
	fprintf(to, "refused at gate %s: %s: %s", atr_gate_name(atr_reason_gate(reason)),
		name ? name : "unknown", name ? atr_reason_text(reason) : "no such reason");
	if (detail && detail[0])
		fprintf(to, " (%s)", detail);
}

json_t *explain_reason_json(uint8_t reason, const char *detail)
{
	json_t *o = json_object();

	if (reason == ATR_OK || reason == ATR_DUPLICATE) {
		json_object_set_new(o, "result",
				    json_string(reason == ATR_OK ? "admitted" : "duplicate"));
		return o;
	}
	json_object_set_new(o, "result", json_string("refused"));
	json_object_set_new(o, "reason", json_string(atr_reason_name(reason)));
	json_object_set_new(o, "gate", json_string(atr_gate_name(atr_reason_gate(reason))));
	json_object_set_new(o, "final", json_boolean(atr_reason_is_final(reason)));
	if (detail && detail[0])
		json_object_set_new(o, "detail", json_string(detail));
	return o;
}

json_t *explain_bytes_json(const void *bytes, size_t length)
{
	json_t *string = json_stringn(bytes, length);
	char *text = NULL;
	size_t size = 0;
	FILE *f;

	if (string)
		return string;
	f = open_memstream(&text, &size);
	if (!f)
		return json_null();
	term_text(f, bytes, length);
	fclose(f);
	string = json_stringn(text, size);
	free(text);
	return string;
}

void explain_print_json(json_t *object)
{
	json_dumpf(object, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(object);
}

static void print_hex(FILE *to, const uint8_t *bytes, uint32_t length)
{
	for (uint32_t i = 0; i < length; i++)
		fprintf(to, "%02x", bytes[i]);
}

/* The type if the plan has it and the payload is long enough for its fields. */
static const struct atr_type *readable_type(const struct atr_plan *plan,
					    const struct atr_packet *packet,
					    uint32_t payload_length)
{
	const struct atr_type *type = plan ? atr_plan_type(plan, packet->type_id) : NULL;

	return type && type->binary && payload_length >= type->fixed_size ? type : NULL;
}

static void print_name(FILE *to, const char *kind, uint32_t id, const char *name)
{
	if (name)
		term_text(to, name, strlen(name));
	else
		fprintf(to, "%s:%u", kind, id);
}

static void print_fields(FILE *to, const struct atr_type *type, const uint8_t *payload,
			 uint32_t payload_length)
{
	const char *text;
	size_t length;

	for (uint32_t i = 0; i < type->field_count; i++) {
		const struct atr_field *field = &type->fields[i];
		char number[ATR_DECIMAL_MAX];

		fprintf(to, " %s=", field->name);
		if (field->kind == ATR_FIELD_TEXT) {
			text = atr_decode_text(field, payload, &length);
			fputc('"', to);
			term_text(to, text, length);
			fputc('"', to);
		} else {
			const char *name =
				atr_type_enum_name(type, i, atr_decode_raw(field, payload));

			atr_decode_number(field, payload, number);
			fputs(number, to);
			if (name)
				fprintf(to, "(%s)", name);
		}
	}
	text = atr_decode_tail(type, payload, payload_length, &length);
	if (text) {
		fprintf(to, " %s=\"", type->tail_name);
		term_text(to, text, length);
		fputc('"', to);
	}
}

void explain_event(FILE *to, const struct atr_plan *plan, const struct atr_packet *packet,
		   const uint8_t *payload, uint32_t payload_length)
{
	const struct atr_source *source = plan ? atr_plan_source(plan, packet->sender_id) : NULL;
	const struct atr_topic *topic = plan ? atr_plan_topic(plan, packet->topic_id) : NULL;
	const struct atr_type *type = plan ? atr_plan_type(plan, packet->type_id) : NULL;
	char time[TIME_TEXT];

	print_name(to, "topic", packet->topic_id, topic ? topic->name : NULL);
	fputc(' ', to);
	print_name(to, "type", packet->type_id, type ? type->name : NULL);
	fputc(' ', to);
	print_name(to, "source", packet->sender_id, source ? source->name : NULL);
	if (atr_time_format(packet->timestamp_ns, time) > 0)
		fprintf(to, " %s", time);
	else
		fprintf(to, " %lluns", (unsigned long long)packet->timestamp_ns);
	if (packet->flags & ATR_FLAG_ENVELOPE) {
		fputs(" envelope ", to);
		term_text(to, payload, payload_length);
		return;
	}
	type = readable_type(plan, packet, payload_length);
	if (type) {
		print_fields(to, type, payload, payload_length);
	} else {
		fputs(" payload=", to);
		print_hex(to, payload, payload_length);
	}
}

static json_t *payload_json(const struct atr_type *type, const uint8_t *payload,
			    uint32_t payload_length)
{
	json_t *o = json_object();
	const char *text;
	size_t length;

	for (uint32_t i = 0; i < type->field_count; i++) {
		const struct atr_field *field = &type->fields[i];
		char number[ATR_DECIMAL_MAX];

		if (field->kind == ATR_FIELD_TEXT) {
			text = atr_decode_text(field, payload, &length);
			json_object_set_new(o, field->name, explain_bytes_json(text, length));
			continue;
		}
		length = (size_t)atr_decode_number(field, payload, number);
		json_object_set_new(o, field->name,
				    json_loadb(number, length, JSON_DECODE_ANY, NULL));
		if (!json_object_get(o, field->name)) /* beyond jansson's integers */
			json_object_set_new(o, field->name, json_string(number));
	}
	text = atr_decode_tail(type, payload, payload_length, &length);
	if (text)
		json_object_set_new(o, type->tail_name, explain_bytes_json(text, length));
	return o;
}

static json_t *hex_json(const uint8_t *bytes, uint32_t length)
{
	char *hex = malloc(2 * (size_t)length + 1);
	json_t *string;

	if (!hex)
		return json_null();
	atr_hex_encode(bytes, length, hex);
	string = json_string(hex);
	free(hex);
	return string;
}

static void set_named(json_t *o, const char *member, uint32_t id, const char *name)
{
	json_object_set_new(o, member, name ? json_string(name) : json_integer(id));
}

json_t *explain_event_json(const struct atr_plan *plan, const struct atr_packet *packet,
			   const uint8_t *payload, uint32_t payload_length)
{
	const struct atr_source *source = plan ? atr_plan_source(plan, packet->sender_id) : NULL;
	const struct atr_topic *topic = plan ? atr_plan_topic(plan, packet->topic_id) : NULL;
	const struct atr_type *type = plan ? atr_plan_type(plan, packet->type_id) : NULL;
	char time[TIME_TEXT];
	json_t *o = json_object();

	set_named(o, "source", packet->sender_id, source ? source->name : NULL);
	set_named(o, "topic", packet->topic_id, topic ? topic->name : NULL);
	set_named(o, "type", packet->type_id, type ? type->name : NULL);
	if (atr_time_format(packet->timestamp_ns, time) > 0)
		json_object_set_new(o, "timestamp", json_string(time));
	else
		json_object_set_new(o, "timestamp_ns",
				    json_integer((json_int_t)packet->timestamp_ns));
	json_object_set_new(o, "priority",
			    json_integer((json_int_t)((packet->flags & ATR_FLAG_PRIORITY_MASK) >>
						      ATR_FLAG_PRIORITY_SHIFT)));
	if (packet->flags & ATR_FLAG_ENVELOPE) {
		json_t *envelope = json_loadb((const char *)payload, payload_length, 0, NULL);

		json_object_set_new(o, "envelope",
				    envelope ? envelope
					     : explain_bytes_json(payload, payload_length));
		return o;
	}
	type = readable_type(plan, packet, payload_length);
	if (type)
		json_object_set_new(o, "payload", payload_json(type, payload, payload_length));
	else
		json_object_set_new(o, "payload_hex", hex_json(payload, payload_length));
	return o;
}
