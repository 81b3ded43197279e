/* SPDX-License-Identifier: BSD-3-Clause */
#include "event_line.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "../../lib/envelope/envelope.h"
#include "../../lib/reason/reason.h"
#include "term.h"

#define PRIORITY_MAX 3
#define NO_SLOT      SIZE_MAX /* looked at further below */

int name_copy(const struct atr_json *string, char *out)
{
	if (string->string_length == 0 || string->string_length > ATR_NAME_MAX ||
	    memchr(string->string, '\0', string->string_length))
		return -EINVAL;
	memcpy(out, string->string, string->string_length);
	out[string->string_length] = '\0';
	return 0;
}

static int refuse(char *error, const char *member, const char *why)
{
	snprintf(error, ERROR_SIZE, "member '%s' %s", member, why);
	return -EINVAL;
}

static const struct {
	const char *name;
	size_t offset;
	bool required;
	enum atr_json_type type; /* ATR_JSON_NULL: any */
	const char *wants;
} members[] = {
	{"topic", offsetof(struct event_line, topic), true, ATR_JSON_STRING, "must be a string"},
	{"type", offsetof(struct event_line, type), true, ATR_JSON_STRING, "must be a string"},
	{"payload", offsetof(struct event_line, payload), true, ATR_JSON_NULL, ""},
	{"source", offsetof(struct event_line, source), false, ATR_JSON_STRING, "must be a string"},
	{"id", offsetof(struct event_line, id), false, ATR_JSON_STRING, "must be a string"},
	{"meta", offsetof(struct event_line, meta), false, ATR_JSON_OBJECT, "must be an object"},
	{"timestamp", NO_SLOT, false, ATR_JSON_STRING, "must be a string"},
	{"priority", NO_SLOT, false, ATR_JSON_NUMBER, "must be a number from 0 to 3"},
};

static int take_members(const struct atr_json *root, struct event_line *line, char *error)
{
	uint32_t known = 0;

	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
		const struct atr_json *m = atr_json_member(root, members[i].name);

		if (!m && members[i].required)
			return refuse(error, members[i].name, "is missing");
		if (!m)
			continue;
		if (members[i].type != ATR_JSON_NULL && m->type != members[i].type)
			return refuse(error, members[i].name, members[i].wants);
		if (members[i].offset != NO_SLOT)
			*(const struct atr_json **)((char *)line + members[i].offset) = m;
		known++;
	}
	if (known != root->count) {
		snprintf(error, ERROR_SIZE,
			 "a member is not known; an event has topic, type, "
			 "payload and maybe timestamp, source, id, meta, priority");
		return -EINVAL;
	}
	return 0;
}

int event_line_parse(struct atr_json_parser *parser, const char *text, size_t length,
		     struct event_line *line, char *error)
{
	const struct atr_json *root, *timestamp, *priority;
	size_t at = 0;
	uint8_t reason = atr_json_parse(parser, text, length, &root, &at);
	int err;

	memset(line, 0, sizeof(*line));
	line->priority = PRIORITY_NOT_GIVEN;
	if (reason != ATR_OK) {
		snprintf(error, ERROR_SIZE, "not I-JSON at byte %zu: %s", at,
			 atr_reason_text(reason));
		return -EINVAL;
	}
	if (root->type != ATR_JSON_OBJECT) {
		snprintf(error, ERROR_SIZE, "an event must be a JSON object");
		return -EINVAL;
	}
	err = take_members(root, line, error);
	if (err)
		return err;
	timestamp = atr_json_member(root, "timestamp");
	if (!timestamp)
		line->timestamp_ns = now_unix_ns();
	else if (atr_time_parse(timestamp->string, timestamp->string_length, &line->timestamp_ns))
		return refuse(error, "timestamp",
			      "must look like 2018-02-07T01:26:13.84Z (UTC, no trailing zeros)");
	priority = atr_json_member(root, "priority");
	if (priority) {
		if (!(priority->number >= 0 && priority->number <= PRIORITY_MAX) ||
		    priority->number != (double)(uint8_t)priority->number)
			return refuse(error, "priority", "must be a number from 0 to 3");
		line->priority = (uint8_t)priority->number;
	}
	return 0;
}
