/* SPDX-License-Identifier: BSD-3-Clause */
/* Verdicts and events as text and as JSON. */
#ifndef ATRCTL_EXPLAIN_H
#define ATRCTL_EXPLAIN_H

#include <jansson.h>
#include <stdio.h>

#include "judge.h"

/* "admitted", "duplicate" or "refused at gate schema: field_range: a field ...". */
void explain_reason(FILE *to, uint8_t reason, const char *detail);

/* {"result":..., and if refused "reason", "gate", "final", "detail"}; owned by the caller. */
json_t *explain_reason_json(uint8_t reason, const char *detail);

/* One event as "quake.ci quake ci 2018-02-07T01:26:13.84Z mag=2 ..."; plan may be NULL (then ids
 * and hex). payload_length is 36 for inline payloads. No line break. */
void explain_event(FILE *to, const struct atr_plan *plan, const struct atr_packet *packet,
		   const uint8_t *payload, uint32_t payload_length);
json_t *explain_event_json(const struct atr_plan *plan, const struct atr_packet *packet,
			   const uint8_t *payload, uint32_t payload_length);

/* A JSON string of bytes that may be no UTF-8: then with \xNN in their place. */
json_t *explain_bytes_json(const void *bytes, size_t length);

/* Prints object on one line and frees it. */
void explain_print_json(json_t *object);

#endif
