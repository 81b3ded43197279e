/* SPDX-License-Identifier: BSD-3-Clause */
#include <math.h>
#include <string.h>

#include "../reason/reason.h"
#include "json_internal.h"

#define EXACT_DIGITS   15 /* decimals of so many digits survive a double and back */
#define EXACT_POWER    22 /* 10^22 is the largest power of ten that is a double */
#define FIXED_DECIMALS 9
#define FIXED_MIN      1e-6 /* below, ECMAScript writes an exponent */

static const double power_of_ten[EXACT_POWER + 1] = {
	1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
	1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
};

/* The parts of a number's text. */
struct number_scan {
	uint64_t digits;    /* all digits as one integer, exact while count is small */
	unsigned int count; /* digits from the first that is not zero */
	int exponent;       /* of ten, for digits */
	bool negative;
	bool integer; /* neither fraction nor exponent */
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static const char *scan_digits(const char *at, const char *end, struct number_scan *scan)
{
	for (; at < end && is_digit(*at); at++) {
		if (scan->count == 0 && *at == '0')
			continue;
		if (scan->count < EXACT_DIGITS + 1)
			scan->digits = scan->digits * 10 + (uint64_t)(*at - '0');
		scan->count++;
	}
	return at;
}

static const char *scan_exponent(const char *at, const char *end, struct number_scan *scan)
{
	const int huge = 1000000;
	bool negative = false;
	int exponent = 0;

	if (at < end && (*at == '+' || *at == '-'))
		negative = *at++ == '-';
	if (at == end || !is_digit(*at))
		return NULL;
	for (; at < end && is_digit(*at); at++)
		if (exponent < huge)
			exponent = exponent * 10 + (*at - '0');
	scan->exponent += negative ? -exponent : exponent;
	return at;
}

/* End of the number at text by JSON's grammar, or NULL with *stop where it is broken. */
static const char *scan_number(const char *at, const char *end, struct number_scan *scan,
			       const char **stop)
{
	const char *start;

	scan->integer = true;
	if (*at == '-') {
		scan->negative = true;
		at++;
	}
	*stop = at;
	if (at == end || !is_digit(*at))
		return NULL;
	at = *at == '0' ? at + 1 : scan_digits(at, end, scan);
	if (at < end && *at == '.') {
		start = ++at;
		at = scan_digits(at, end, scan);
		*stop = at;
		if (at == start)
			return NULL;
		scan->exponent = -(int)(at - start);
		scan->integer = false;
	}
	if (at < end && (*at == 'e' || *at == 'E')) {
		*stop = at + 1;
		at = scan_exponent(at + 1, end, scan);
		scan->integer = false;
	}
	return at;
}

uint8_t json_read_number(struct json_cursor *cursor, double *value)
{
	struct number_scan scan = {0};
	const char *stop;
	const char *end = scan_number(cursor->at, cursor->end, &scan, &stop);
	double v;

	if (!end) {
		cursor->at = stop;
		return ATR_REASON_JSON_SYNTAX;
	}
	if (scan.count <= EXACT_DIGITS && scan.exponent >= -EXACT_POWER &&
	    scan.exponent <= EXACT_POWER) {
		v = (double)scan.digits;
		if (scan.exponent < 0)
			v /= power_of_ten[-scan.exponent];
		else
			v *= power_of_ten[scan.exponent];
		*value = scan.negative ? -v : v;
		cursor->at = end;
		return ATR_OK;
	}
	v = json_decimal_to_double(cursor->at, (int)(end - cursor->at));
	if (!isfinite(v) || (scan.integer && fabs(v) > JSON_EXACT_MAX))
		return ATR_REASON_JSON_NUMBER;
	*value = v;
	cursor->at = end;
	return ATR_OK;
}

static int write_digits(uint64_t digits, char *out)
{
	char reversed[JSON_NUMBER_SIZE];
	int count = 0;

	do {
		reversed[count++] = (char)('0' + digits % 10);
		digits /= 10;
	} while (digits);
	for (int i = 0; i < count; i++)
		out[i] = reversed[count - 1 - i];
	return count;
}

/* Text of a positive value that is a decimal of few digits; 0 if it is not. A decimal of at most
 * 15 digits that reads back as the value is the only such, hence the shortest. */
static int write_fixed(double value, char *out)
{
	const double limit = power_of_ten[EXACT_DIGITS];

	for (int k = 1; k <= FIXED_DECIMALS; k++) {
		double scaled = value * power_of_ten[k];
		uint64_t digits;
		int whole;

		if (scaled >= limit)
			return 0;
		digits = (uint64_t)(scaled + 0.5);
		if ((double)digits / power_of_ten[k] != value)
			continue;
		whole = write_digits(digits / (uint64_t)power_of_ten[k], out);
		digits %= (uint64_t)power_of_ten[k];
		out[whole] = '.';
		for (int i = k; i > 0; i--) {
			out[whole + i] = (char)('0' + digits % 10);
			digits /= 10;
		}
		return whole + 1 + k;
	}
	return 0;
}

int atr_json_number(double value, char *out)
{
	double positive = fabs(value);
	int sign = 0, length = 0;

	if (value < 0)
		out[sign++] = '-';
	if (positive <= JSON_EXACT_MAX && positive == (double)(uint64_t)positive)
		length = write_digits((uint64_t)positive, out + sign);
	else if (positive >= FIXED_MIN && positive <= JSON_EXACT_MAX)
		length = write_fixed(positive, out + sign);
	if (length == 0)
		return json_double_to_text(value, out);
	out[sign + length] = '\0';
	return sign + length;
}
