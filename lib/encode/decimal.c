/* SPDX-License-Identifier: BSD-3-Clause */
#include "encode.h"

#include <errno.h>
#include <string.h>

#define TEXT_LIMIT     1000000          /* bytes of a number's text */
#define EXPONENT_LIMIT (2 * TEXT_LIMIT) /* no digits within a text make up for it */
#define DECIMAL_DIGITS 20               /* of a uint64_t */

struct decimal {
	uint64_t digits;
	int exponent;
	bool negative;
	bool overflow;
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static void take_digit(struct decimal *d, char c)
{
	if (__builtin_mul_overflow(d->digits, 10, &d->digits) ||
	    __builtin_add_overflow(d->digits, (uint64_t)(c - '0'), &d->digits))
		d->overflow = true;
}

static int parse_exponent(const char *text, size_t length, int *exponent)
{
	bool negative = false;
	size_t i = 0;
	int value = 0;

	if (i < length && (text[i] == '+' || text[i] == '-'))
		negative = text[i++] == '-';
	if (i == length)
		return -EINVAL;
	for (; i < length; i++) {
		if (!is_digit(text[i]))
			return -EINVAL;
		if (value < EXPONENT_LIMIT)
			value = value * 10 + (text[i] - '0');
	}
	*exponent = negative ? -value : value;
	return 0;
}

/* Digits after the point are taken one run of zeros late, so that trailing zeros never overflow. */
static size_t parse_fraction(const char *text, size_t length, struct decimal *d)
{
	int zeros = 0;
	size_t i;

	for (i = 0; i < length && is_digit(text[i]); i++) {
		if (text[i] == '0') {
			zeros++;
			continue;
		}
		for (; zeros > 0; zeros--, d->exponent--)
			take_digit(d, '0');
		take_digit(d, text[i]);
		d->exponent--;
	}
	return i;
}

static int parse_decimal(const char *text, size_t length, struct decimal *d)
{
	size_t i = 0, start;
	int exponent = 0;

	memset(d, 0, sizeof(*d));
	if (length > TEXT_LIMIT)
		return -EINVAL;
	if (i < length && text[i] == '-') {
		d->negative = true;
		i++;
	}
	start = i;
	for (; i < length && is_digit(text[i]); i++)
		take_digit(d, text[i]);
	if (i == start || (text[start] == '0' && i > start + 1))
		return -EINVAL;
	if (i < length && text[i] == '.') {
		size_t taken = parse_fraction(text + i + 1, length - i - 1, d);

		if (taken == 0)
			return -EINVAL;
		i += 1 + taken;
	}
	if (i < length && (text[i] == 'e' || text[i] == 'E')) {
		int err = parse_exponent(text + i + 1, length - i - 1, &exponent);

		if (err)
			return err;
		i = length;
	}
	d->exponent += exponent;
	return i == length ? 0 : -EINVAL;
}

/* digits * 10^exponent as an integer. */
static int scale_digits(uint64_t *digits, int exponent)
{
	if (*digits == 0)
		return 0;
	for (; exponent < 0; exponent++) {
		if (*digits % 10)
			return -EDOM;
		*digits /= 10;
	}
	for (; exponent > 0; exponent--)
		if (__builtin_mul_overflow(*digits, 10, digits))
			return -ERANGE;
	return 0;
}

int atr_decimal_parse(const char *text, size_t length, unsigned int scale, bool is_unsigned,
		      int64_t *raw)
{
	struct decimal d;
	int err = parse_decimal(text, length, &d);

	if (err)
		return err;
	if (d.overflow)
		return -ERANGE;
	err = scale_digits(&d.digits, d.exponent + (int)scale);
	if (err)
		return err;
	if (is_unsigned) {
		if (d.negative && d.digits)
			return -ERANGE;
		*raw = (int64_t)d.digits;
		return 0;
	}
	if (d.digits > (uint64_t)INT64_MAX + d.negative)
		return -ERANGE;
	*raw = d.negative ? (int64_t)(0 - d.digits) : (int64_t)d.digits;
	return 0;
}

int atr_decimal_format(int64_t raw, unsigned int scale, bool is_unsigned, char *out)
{
	bool negative = !is_unsigned && raw < 0;
	uint64_t digits = negative ? 0 - (uint64_t)raw : (uint64_t)raw;
	char reversed[DECIMAL_DIGITS + 1];
	unsigned int n = 0;
	int length = 0;

	while (scale > 0 && digits % 10 == 0) {
		digits /= 10;
		scale--;
	}
	do {
		reversed[n++] = (char)('0' + digits % 10);
		digits /= 10;
	} while (digits);
	if (negative)
		out[length++] = '-';
	if (n <= scale) {
		out[length++] = '0';
		out[length++] = '.';
		for (unsigned int zeros = scale - n; zeros; zeros--)
			out[length++] = '0';
		scale = 0;
	}
	while (n) {
		if (scale && n == scale)
			out[length++] = '.';
		out[length++] = reversed[--n];
	}
	out[length] = '\0';
	return length;
}
