/* SPDX-License-Identifier: BSD-3-Clause */
#include "../lib/reason/reason.h"
#include "include/atr/atr.h"

_Static_assert(ATR_CLIENT_ADMITTED == ATR_OK && ATR_CLIENT_DUPLICATE == ATR_DUPLICATE,
	       "the public header says the same");

const char *atr_client_reason_name(uint8_t reason)
{
	return atr_reason_name(reason);
}

const char *atr_client_reason_text(uint8_t reason)
{
	return atr_reason_text(reason);
}
