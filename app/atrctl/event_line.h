/* SPDX-License-Identifier: BSD-3-Clause */
/* One event as a line of JSON: what sign and pub read. */
#ifndef ATRCTL_EVENT_LINE_H
#define ATRCTL_EVENT_LINE_H

#include <stddef.h>
#include <stdint.h>

#include "../../lib/json/json.h"
#include "../../lib/plan/plan.h"

#define ERROR_SIZE 512
/* Text of an event line: a document of lib/json's largest size. */
#define EVENT_LINE_MAX ATR_JSON_BYTES_MAX

/* A parsed line; pointers into the parser's memory. Strings hold no U+0000. */
struct event_line {
	const struct atr_json *source; /* NULL if not given */
	const struct atr_json *id;     /* NULL if not given */
	const struct atr_json *topic, *type;
	const struct atr_json *payload;
	const struct atr_json *meta; /* NULL if not given */
	uint64_t timestamp_ns;       /* now if not given */
	uint8_t priority;            /* 0..3; 255 if not given */
};
#define PRIORITY_NOT_GIVEN 255

/* Parses {"topic","type","payload"[,"timestamp","source","meta","id","priority"]}. 0, or -EINVAL
 * with a sentence in error (ERROR_SIZE bytes). */
int event_line_parse(struct atr_json_parser *parser, const char *text, size_t length,
		     struct event_line *line, char *error);

/* Copies a JSON string of up to ATR_NAME_MAX bytes to a terminated buffer of NAME_SIZE bytes;
 * -EINVAL if it is longer, empty, or holds U+0000. */
#define NAME_SIZE (ATR_NAME_MAX + 1)
int name_copy(const struct atr_json *string, char *out);

#endif
