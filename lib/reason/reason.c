/* SPDX-License-Identifier: BSD-3-Clause */
#include "reason.h"

#include <string.h>

struct reason_row {
	const char *name;
	const char *text;
	enum atr_gate gate;
	bool final;
};

#define FINAL true
#define RETRY false
static const struct reason_row rows[ATR_REASON_SPACE] = {
	[ATR_OK] = {"ok", "admitted", ATR_GATE_NONE, false},
	[ATR_DUPLICATE] = {"duplicate", "already admitted", ATR_GATE_NONE, false},
#define ATR_REASON(code, NAME, reason_name, reason_gate, is_final, reason_text) \
	[code] = {#reason_name, reason_text, ATR_GATE_##reason_gate, is_final},
#include "reason.def"
#undef ATR_REASON
};
#undef FINAL
#undef RETRY

static const char *const gate_names[ATR_GATE_COUNT] = {
	[ATR_GATE_NONE] = "none",           [ATR_GATE_INGRESS] = "ingress",
	[ATR_GATE_SCHEMA] = "schema",       [ATR_GATE_CANONICAL] = "canonical",
	[ATR_GATE_SIGNATURE] = "signature", [ATR_GATE_RULESET] = "ruleset",
	[ATR_GATE_IDENTITY] = "identity",   [ATR_GATE_OVERLOAD] = "overload",
};

const char *atr_reason_name(uint8_t reason)
{
	return rows[reason].name;
}

const char *atr_reason_text(uint8_t reason)
{
	return rows[reason].text;
}

enum atr_gate atr_reason_gate(uint8_t reason)
{
	return rows[reason].gate;
}

bool atr_reason_is_final(uint8_t reason)
{
	return rows[reason].final;
}

uint8_t atr_reason_by_name(const char *name)
{
	for (unsigned int i = 1; i < ATR_REASON_SPACE; i++)
		if (rows[i].name && strcmp(rows[i].name, name) == 0)
			return (uint8_t)i;
	return 0;
}

const char *atr_gate_name(enum atr_gate gate)
{
	return (unsigned int)gate < ATR_GATE_COUNT ? gate_names[gate] : NULL;
}
