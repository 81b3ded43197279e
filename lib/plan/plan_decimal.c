/* SPDX-License-Identifier: BSD-3-Clause */
/* Decimal values of the document as raw integers, without passing through binary fractions. */
#include <errno.h>
#include <stdlib.h>

#include "plan_internal.h"

#define TEN          10u
#define NUMBER_TEXT  32
#define SIGN_BIT     (UINT64_C(1) << 63)
#define EXPONENT_MAX 324 /* of a double, either way */

struct decimal {
	bool negative;
	uint64_t digits;
	int exponent; /* value = digits * 10^exponent */
};

/* The shortest decimal form of a double has at most 17 significant digits, but may end in zeros
 * before the point (up to 21 digits). */
static int parse_shortest(const char *text, struct decimal *d)
{
	bool point = false;

	*d = (struct decimal){.negative = *text == '-'};
	for (text += d->negative; *text && *text != 'e'; text++) {
		if (*text == '.') {
			point = true;
			continue;
		}
		if (__builtin_mul_overflow(d->digits, TEN, &d->digits) ||
		    __builtin_add_overflow(d->digits, (uint64_t)(*text - '0'), &d->digits))
			return -ERANGE;
		d->exponent -= point;
	}
	if (*text == 'e') {
		long exponent = strtol(text + 1, NULL, 10);

		if (exponent < -EXPONENT_MAX || exponent > EXPONENT_MAX)
			return -ERANGE;
		d->exponent += (int)exponent;
	}
	return 0;
}

void plan_kind_limits(enum atr_field_kind kind, int64_t *min, int64_t *max)
{
	unsigned int bits = 8u << (kind % 4u);

	if (kind <= ATR_FIELD_U64) {
		*min = 0;
		*max = (int64_t)(UINT64_MAX >> (64 - bits));
	} else {
		*max = (int64_t)(UINT64_MAX >> (65 - bits));
		*min = -*max - 1;
	}
}

bool plan_kind_less(enum atr_field_kind kind, int64_t a, int64_t b)
{
	return kind <= ATR_FIELD_U64 ? (uint64_t)a < (uint64_t)b : a < b;
}

/* digits * 10^exponent as an integer. */
static int scale_integer(struct decimal *d)
{
	if (d->digits == 0)
		return 0;
	for (; d->exponent < 0; d->exponent++) {
		if (d->digits % TEN)
			return -EDOM;
		d->digits /= TEN;
	}
	for (; d->exponent > 0; d->exponent--)
		if (__builtin_mul_overflow(d->digits, TEN, &d->digits))
			return -ERANGE;
	return 0;
}

int plan_decimal_raw(const json_t *value, unsigned int scale, enum atr_field_kind kind,
		     int64_t *raw)
{
	char text[NUMBER_TEXT];
	int64_t min, max;
	struct decimal d;
	int ret = 0;

	if (json_is_integer(value)) {
		long long v = json_integer_value(value);

		d = (struct decimal){v < 0, v < 0 ? 0 - (uint64_t)v : (uint64_t)v, 0};
	} else if (json_is_real(value)) {
		atr_json_number(json_real_value(value), text);
		ret = parse_shortest(text, &d);
	} else {
		return -EINVAL;
	}
	if (ret < 0)
		return ret;
	d.exponent += (int)scale;
	ret = scale_integer(&d);
	if (ret < 0)
		return ret;
	if (d.negative && d.digits) {
		if (kind <= ATR_FIELD_U64 || d.digits > SIGN_BIT)
			return -ERANGE;
		*raw = (int64_t)(0 - d.digits);
	} else {
		if (kind > ATR_FIELD_U64 && d.digits >= SIGN_BIT)
			return -ERANGE;
		*raw = (int64_t)d.digits;
	}
	plan_kind_limits(kind, &min, &max);
	return plan_kind_less(kind, *raw, min) || plan_kind_less(kind, max, *raw) ? -ERANGE : 0;
}
