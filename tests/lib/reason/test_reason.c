/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "../../../lib/reason/reason.h"

/* Invariant: every declared code has a name, a sentence and a gate, and its name leads back. */
static void every_reason_round_trips(void **state)
{
	unsigned int declared = 0;

	(void)state;
	for (unsigned int r = 1; r < ATR_DUPLICATE; r++) {
		if (!atr_reason_name((uint8_t)r))
			continue;
		declared++;
		assert_non_null(atr_reason_text((uint8_t)r));
		assert_int_not_equal(atr_reason_gate((uint8_t)r), ATR_GATE_NONE);
		assert_int_equal(atr_reason_by_name(atr_reason_name((uint8_t)r)), r);
	}
	assert_true(declared > 50);
}

/* Invariant: codes are wire-visible and permanent; these may never change. */
static void codes_are_permanent(void **state)
{
	(void)state;
	assert_int_equal(ATR_REASON_IP_MALFORMED, 1);
	assert_int_equal(ATR_REASON_FRAME_TRUNCATED, 10);
	assert_int_equal(ATR_REASON_JSON_SYNTAX, 30);
	assert_int_equal(ATR_REASON_FRAME_FLAGS, 70);
	assert_int_equal(ATR_REASON_REALM, 90);
	assert_int_equal(ATR_REASON_NO_PLAN, 110);
	assert_int_equal(ATR_REASON_STALE, 130);
	assert_int_equal(ATR_REASON_HOLD_FULL, 150);
	assert_int_equal(ATR_DUPLICATE, 255);
}

/* Invariant: what is shed is worth a resend; what a gate refuses for its bytes is not. */
static void overload_is_never_final(void **state)
{
	(void)state;
	for (unsigned int r = 1; r < ATR_DUPLICATE; r++) {
		enum atr_gate gate = atr_reason_gate((uint8_t)r);

		if (gate == ATR_GATE_OVERLOAD)
			assert_false(atr_reason_is_final((uint8_t)r));
		if (gate == ATR_GATE_CANONICAL || gate == ATR_GATE_SCHEMA)
			assert_true(atr_reason_is_final((uint8_t)r));
	}
}

static void unknown_codes_have_no_name(void **state)
{
	(void)state;
	assert_null(atr_reason_name(200));
	assert_null(atr_gate_name(ATR_GATE_COUNT));
	assert_int_equal(atr_reason_by_name("no such reason"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_reason_round_trips),
		cmocka_unit_test(codes_are_permanent),
		cmocka_unit_test(overload_is_never_final),
		cmocka_unit_test(unknown_codes_have_no_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
