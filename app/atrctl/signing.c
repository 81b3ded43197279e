/* SPDX-License-Identifier: BSD-3-Clause */
#include "signing.h"

#include <errno.h>
#include <stdio.h>

#include "../../lib/envelope/envelope.h"
#include "term.h"

static int take_text(const struct atr_json *value, char *out)
{
	int n = atr_json_canonical(value, NULL, out, EVENT_LINE_MAX);

	if (n >= 0)
		out[n] = '\0';
	return n;
}

static int take_identity(const struct event_line *line, uint8_t uuid[16], char *error)
{
	if (!line->id) {
		atr_uuid7_new(now_unix_ns() / NS_PER_MS, uuid);
		return 0;
	}
	if (atr_uuid7_parse(line->id->string, line->id->string_length, uuid) == 0)
		return 0;
	snprintf(error, ERROR_SIZE, "member 'id' is no lowercase UUIDv7; leave it out to draw one");
	return -EINVAL;
}

int envelope_sign(const struct atr_plan *plan, const struct producer *producer,
		  const struct event_line *line, struct envelope_buffers *buffers, char *error)
{
	char topic[NAME_SIZE], type[NAME_SIZE];
	struct atr_envelope_spec spec = {
		.timestamp_ns = line->timestamp_ns,
		.source = producer->source->name,
		.topic = topic,
		.type = type,
		.payload = buffers->payload,
		.meta = line->meta ? buffers->meta : NULL,
	};
	int n;

	if (name_copy(line->topic, topic) || name_copy(line->type, type)) {
		snprintf(error, ERROR_SIZE, "topic and type are names of 1 to %d bytes",
			 ATR_NAME_MAX);
		return -EINVAL;
	}
	if (take_identity(line, spec.uuid, error))
		return -EINVAL;
	if (take_text(line->payload, buffers->payload) < 0 ||
	    (line->meta && take_text(line->meta, buffers->meta) < 0)) {
		snprintf(error, ERROR_SIZE, "the event is larger than %d bytes", EVENT_LINE_MAX);
		return -EINVAL;
	}
	n = atr_envelope_build(&spec, plan->realm, producer->signer, buffers->text,
			       sizeof(buffers->text));
	if (n < 0 || (uint32_t)n > plan->envelope_bytes) {
		snprintf(error, ERROR_SIZE,
			 "the envelope is larger than the plan's ingress.envelope_bytes (%u)",
			 plan->envelope_bytes);
		return -EINVAL;
	}
	for (unsigned int i = 0; i < sizeof(buffers->uuid); i++)
		buffers->uuid[i] = spec.uuid[i];
	return n;
}
