/* SPDX-License-Identifier: BSD-3-Clause */
/* An event line as a signed envelope. */
#ifndef ATRCTL_SIGNING_H
#define ATRCTL_SIGNING_H

#include "event_line.h"
#include "keyring.h"

/* Memory for the texts of one envelope. */
struct envelope_buffers {
	char payload[EVENT_LINE_MAX + 1];
	char meta[EVENT_LINE_MAX + 1];
	char text[EVENT_LINE_MAX + 1];
	uint8_t uuid[16]; /* of the envelope in text */
};

/* Builds the signed envelope of an event in buffers->text and returns its length; -EINVAL with a
 * sentence in error. Without an id in the line a new UUIDv7 of this millisecond is drawn. */
int envelope_sign(const struct atr_plan *plan, const struct producer *producer,
		  const struct event_line *line, struct envelope_buffers *buffers, char *error);

#endif
