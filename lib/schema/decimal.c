/* SPDX-License-Identifier: BSD-3-Clause */
#include <math.h>
#include <stdlib.h>

#include "schema_internal.h"

#define NUMBER_TEXT_SIZE 32
#define DIGITS_MAX       17 /* of a double's shortest decimal */

struct schema_decimal schema_decimal_of(double value)
{
	struct schema_decimal decimal = {0};
	char text[NUMBER_TEXT_SIZE];
	bool fraction = false;
	int zeros = 0;
	const char *at = text;

	atr_json_number(fabs(value), text);
	for (; *at && *at != 'e'; at++) {
		if (*at == '.') {
			fraction = true;
			continue;
		}
		decimal.exponent -= fraction;
		if (*at == '0') {
			zeros++;
			continue;
		}
		for (; zeros > 0; zeros--)
			if (decimal.digits > 0)
				decimal.digits *= 10;
		decimal.digits = decimal.digits * 10 + (uint64_t)(*at - '0');
	}
	if (decimal.digits > 0)
		decimal.exponent += zeros;
	else
		decimal.exponent = 0;
	if (*at == 'e')
		decimal.exponent += (int)strtol(at + 1, NULL, 10);
	return decimal;
}

/* a / b is whole for decimals a = A*10^e and b = B*10^f exactly if B divides A*10^(e-f), or,
 * when e < f, if B*10^(f-e) divides A. */
bool schema_is_multiple(double value, struct schema_decimal divisor)
{
	struct schema_decimal decimal = schema_decimal_of(value);
	uint64_t rest = decimal.digits; /* times ten fits: there are at most 17 digits */
	unsigned __int128 scaled = divisor.digits;
	int shift = decimal.exponent - divisor.exponent;

	if (decimal.digits == 0)
		return true;
	if (shift >= 0) {
		for (rest %= divisor.digits; shift > 0 && rest != 0; shift--)
			rest = rest * 10 % divisor.digits;
		return rest == 0;
	}
	if (-shift > DIGITS_MAX)
		return false;
	for (; shift < 0; shift++)
		scaled *= 10;
	return rest % scaled == 0;
}
