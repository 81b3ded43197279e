/* SPDX-License-Identifier: BSD-3-Clause */
/* An entry of keyed state as a line, of an appliance or of a snapshot alike. */
#ifndef ATRCTL_STATE_LINE_H
#define ATRCTL_STATE_LINE_H

#include <jansson.h>

#include "../../lib/replay/keyed.h"

/* held: bytes at entry->value, at most entry->value_length. The key is text as it stands in the
 * log; a value is "number" and "scale", "value" (JSON text) or "value_hex" (a type's binary form).
 * Owned by the caller; NULL without memory. */
json_t *state_line_json(const struct atr_state_entry *entry, size_t held);

/* The same as one line of text on stdout. */
void state_line_print(const struct atr_state_entry *entry, size_t held);

#endif
