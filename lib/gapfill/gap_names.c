/* SPDX-License-Identifier: BSD-3-Clause */
#include "gap_gate.h"

const char *atr_gap_verdict_name(enum atr_gap_verdict verdict)
{
	static const char *const names[ATR_GAP_VERDICTS] = {
		[ATR_GAP_MEMORY] = "memory",
		[ATR_GAP_LOG] = "log",
		[ATR_GAP_MALFORMED] = "malformed",
		[ATR_GAP_UNKNOWN_SESSION] = "unknown_session",
		[ATR_GAP_NOT_SUBSCRIBER] = "not_subscriber",
		[ATR_GAP_OVER_RATE] = "over_rate",
		[ATR_GAP_NOT_THERE] = "not_there",
		[ATR_GAP_BUSY] = "busy",
	};

	return verdict < ATR_GAP_VERDICTS ? names[verdict] : "?";
}
