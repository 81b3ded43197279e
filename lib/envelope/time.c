/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <string.h>

#include "envelope.h"

#define NS_PER_SECOND   UINT64_C(1000000000)
#define SECONDS_PER_DAY 86400
#define FRACTION_MAX    9
#define TIME_MIN_SIZE   20 /* "YYYY-MM-DDTHH:MM:SSZ" */
#define FRACTION_AT     19
#define YEAR_FIRST      1970
#define YEAR_LAST       2261
#define EPOCH_DAYS      719468 /* from 0000-03-01 to 1970-01-01 */
#define DAYS_PER_ERA    146097 /* 400 years */

static bool is_leap(uint32_t year)
{
	return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static uint32_t days_in_month(uint32_t year, uint32_t month)
{
	static const uint8_t days[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

	return month == 2 && is_leap(year) ? 29 : days[month - 1];
}

/* Years are counted from March, so that the leap day is the last. */
static uint64_t days_from_date(uint32_t year, uint32_t month, uint32_t day)
{
	uint32_t y = month <= 2 ? year - 1 : year;
	uint32_t m = month <= 2 ? month + 9 : month - 3;

	return (uint64_t)y * 365 + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 -
	       EPOCH_DAYS;
}

static void date_from_days(uint64_t days, uint32_t *year, uint32_t *month, uint32_t *day)
{
	uint64_t since = days + EPOCH_DAYS;
	uint32_t era = (uint32_t)(since / DAYS_PER_ERA);
	uint32_t in_era = (uint32_t)(since % DAYS_PER_ERA);
	uint32_t y = (in_era - in_era / 1460 + in_era / 36524 - in_era / (DAYS_PER_ERA - 1)) / 365;
	uint32_t in_year = in_era - (365 * y + y / 4 - y / 100);
	uint32_t m = (5 * in_year + 2) / 153;

	*day = in_year - (153 * m + 2) / 5 + 1;
	*month = m < 10 ? m + 3 : m - 9;
	*year = y + era * 400 + (*month <= 2);
}

static void put_digits(char *out, uint64_t value, int count)
{
	for (int i = count - 1; i >= 0; i--) {
		out[i] = (char)('0' + value % 10);
		value /= 10;
	}
}

int atr_time_format(uint64_t ns, char *out)
{
	uint64_t seconds = ns / NS_PER_SECOND;
	uint64_t fraction = ns % NS_PER_SECOND;
	uint64_t in_day = seconds % SECONDS_PER_DAY;
	uint32_t year, month, day;
	int digits = FRACTION_MAX, length = FRACTION_AT;

	date_from_days(seconds / SECONDS_PER_DAY, &year, &month, &day);
	memcpy(out, "0000-00-00T00:00:00.", FRACTION_AT + 1);
	put_digits(out, year, 4);
	put_digits(out + 5, month, 2);
	put_digits(out + 8, day, 2);
	put_digits(out + 11, in_day / 3600, 2);
	put_digits(out + 14, in_day / 60 % 60, 2);
	put_digits(out + 17, in_day % 60, 2);
	if (fraction > 0) {
		for (; fraction % 10 == 0; digits--)
			fraction /= 10;
		put_digits(out + FRACTION_AT + 1, fraction, digits);
		length += 1 + digits;
	}
	out[length++] = 'Z';
	out[length] = '\0';
	return length;
}

static int get_digits(const char *text, int count, uint32_t *value)
{
	*value = 0;
	for (int i = 0; i < count; i++) {
		if (text[i] < '0' || text[i] > '9')
			return -EINVAL;
		*value = *value * 10 + (uint32_t)(text[i] - '0');
	}
	return 0;
}

/* ".1" to ".123456789", without trailing zero, to nanoseconds. */
static int get_fraction(const char *text, size_t length, uint32_t *ns)
{
	*ns = 0;
	if (length == 0)
		return 0;
	if (length < 2 || length > 1 + FRACTION_MAX || text[0] != '.' || text[length - 1] == '0' ||
	    get_digits(text + 1, (int)length - 1, ns) != 0)
		return -EINVAL;
	for (size_t i = length - 1; i < FRACTION_MAX; i++)
		*ns *= 10;
	return 0;
}

int atr_time_parse(const char *text, size_t length, uint64_t *ns)
{
	uint32_t year, month, day, hour, minute, second, fraction;

	if (length < TIME_MIN_SIZE || text[4] != '-' || text[7] != '-' || text[10] != 'T' ||
	    text[13] != ':' || text[16] != ':' || text[length - 1] != 'Z')
		return -EINVAL;
	if (get_digits(text, 4, &year) || get_digits(text + 5, 2, &month) ||
	    get_digits(text + 8, 2, &day) || get_digits(text + 11, 2, &hour) ||
	    get_digits(text + 14, 2, &minute) || get_digits(text + 17, 2, &second) ||
	    get_fraction(text + FRACTION_AT, length - TIME_MIN_SIZE, &fraction))
		return -EINVAL;
	if (year < YEAR_FIRST || year > YEAR_LAST || month < 1 || month > 12 || day < 1 ||
	    day > days_in_month(year, month) || hour > 23 || minute > 59 || second > 59)
		return -EINVAL;
	*ns = (days_from_date(year, month, day) * SECONDS_PER_DAY + hour * 3600 + minute * 60 +
	       second) *
		      NS_PER_SECOND +
	      fraction;
	return 0;
}
