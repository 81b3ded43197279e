/* SPDX-License-Identifier: BSD-3-Clause */
/* Reason codes: why a datagram or an event was refused. Declared once, in reason.def.
 *
 * Layer 0: depends on nothing. Every function is pure and may be called from any lcore.
 */
#ifndef ATR_REASON_H
#define ATR_REASON_H

#include <stdbool.h>
#include <stdint.h>

/* The gate that refuses. SCHEMA..RULESET are gates 1-4 of the contract; the fifth, quarantine, is
 * where everything refused goes. INGRESS comes before the gates, IDENTITY and OVERLOAD after. */
enum atr_gate {
	ATR_GATE_NONE,
	ATR_GATE_INGRESS,
	ATR_GATE_SCHEMA,
	ATR_GATE_CANONICAL,
	ATR_GATE_SIGNATURE,
	ATR_GATE_RULESET,
	ATR_GATE_IDENTITY,
	ATR_GATE_OVERLOAD,
	ATR_GATE_COUNT
};

enum atr_reason {
	ATR_OK = 0, /* not refused */
#define ATR_REASON(code, NAME, name, gate, final, text) ATR_REASON_##NAME = code,
#include "reason.def"
#undef ATR_REASON
	/* Not a refusal: an identity that was admitted before, with the same bytes. */
	ATR_DUPLICATE = 255
};

/* Arrays indexed by reason have this many entries. */
#define ATR_REASON_SPACE 256

/* Stable name of a reason ("field_range"), "ok" for ATR_OK, "duplicate" for ATR_DUPLICATE,
 * NULL for a code that is not declared. Static storage. */
const char *atr_reason_name(uint8_t reason);

/* One sentence for people; NULL for a code that is not declared. Static storage. */
const char *atr_reason_text(uint8_t reason);

/* Gate of a reason; ATR_GATE_NONE for ATR_OK, ATR_DUPLICATE and undeclared codes. */
enum atr_gate atr_reason_gate(uint8_t reason);

/* True if a resend of the same bytes would be refused again. False for undeclared codes. */
bool atr_reason_is_final(uint8_t reason);

/* Reason of a name, or 0 if no reason is called so. */
uint8_t atr_reason_by_name(const char *name);

/* "schema", "canonical", ...; NULL if out of range. Static storage. */
const char *atr_gate_name(enum atr_gate gate);

#endif
