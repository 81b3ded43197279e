/* SPDX-License-Identifier: BSD-3-Clause */
#include "term.h"

#include <stdarg.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PROGRESS_AFTER_NS (2 * NS_PER_S)
#define PROGRESS_EVERY_NS (NS_PER_S / 4)

/* Length of the UTF-8 sequence at p, 0 if it is none; *point is its code point. */
static size_t utf8_sequence(const uint8_t *p, size_t left, uint32_t *point)
{
	static const uint32_t lowest[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t n = p[0] < 0x80       ? 1
		   : p[0] >> 5 == 6  ? 2
		   : p[0] >> 4 == 14 ? 3
		   : p[0] >> 3 == 30 ? 4
				     : 0;
	uint32_t v;

	if (n == 0 || n > left)
		return 0;
	v = n == 1 ? p[0] : p[0] & (0x7fu >> n);
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xC0) != 0x80)
			return 0;
		v = v << 6 | (p[i] & 0x3Fu);
	}
	if (v < lowest[n] || v > 0x10FFFF || (v >= 0xD800 && v <= 0xDFFF))
		return 0;
	*point = v;
	return n;
}

bool term_is_utf8(const void *text, size_t length)
{
	const uint8_t *p = text;
	uint32_t point;

	for (size_t i = 0; i < length;) {
		size_t n = utf8_sequence(p + i, length - i, &point);

		if (n == 0)
			return false;
		i += n;
	}
	return true;
}

static bool is_harmless(uint32_t c)
{
	static const struct {
		uint32_t first, last;
	} hidden[] = {
		{0, 0x1F},          {0x7F, 0x9F},        {0xAD, 0xAD},     {0x61C, 0x61C},
		{0x180E, 0x180E},   {0x200B, 0x200F},    {0x2028, 0x202E}, {0x2060, 0x206F},
		{0xFE00, 0xFE0F},   {0xFEFF, 0xFEFF},    {0xFFF0, 0xFFFB}, {0xE000, 0xF8FF},
		{0x1D173, 0x1D17A}, {0xE0000, 0x10FFFF},
	};

	for (unsigned int i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++)
		if (c >= hidden[i].first && c <= hidden[i].last)
			return false;
	return true;
}

void term_text(FILE *to, const void *bytes, size_t length)
{
	const uint8_t *p = bytes;

	for (size_t i = 0; i < length;) {
		uint32_t point = 0;
		size_t n = utf8_sequence(p + i, length - i, &point);

		if (n == 1 && p[i] == '\\') {
			fputs("\\\\", to);
		} else if (n && is_harmless(point)) {
			fwrite(p + i, 1, n, to);
		} else {
			n = n ? n : 1;
			for (size_t k = 0; k < n; k++)
				fprintf(to, "\\x%02x", p[i + k]);
		}
		i += n;
	}
}

char *term_grouped(uint64_t value, char *out)
{
	char digits[24];
	int n = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)value);
	char *to = out;

	for (int i = 0; i < n; i++) {
		if (i && (n - i) % 3 == 0)
			*to++ = ',';
		*to++ = digits[i];
	}
	*to = '\0';
	return out;
}

char *term_si(double value, char *out)
{
	static const char *const prefix[] = {"", "k", "M", "G", "T"};
	unsigned int i = 0;

	while (value >= 1000 && i < 4) {
		value /= 1000;
		i++;
	}
	snprintf(out, 32, i ? "%.2f %s" : "%.0f %s", value, prefix[i]);
	return out;
}

static uint64_t clock_ns(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

uint64_t now_monotonic_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

uint64_t now_unix_ns(void)
{
	return clock_ns(CLOCK_REALTIME);
}

void progress_start(struct progress *progress, bool forced)
{
	memset(progress, 0, sizeof(*progress));
	progress->forced = forced;
	progress->enabled = forced || isatty(STDERR_FILENO);
	progress->started_ns = now_monotonic_ns();
}

bool progress_due(struct progress *progress)
{
	uint64_t now;

	if (!progress->enabled)
		return false;
	now = now_monotonic_ns();
	return now - progress->started_ns >= PROGRESS_AFTER_NS &&
	       now - progress->shown_ns >= PROGRESS_EVERY_NS;
}

void progress_show(struct progress *progress, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	if (isatty(STDERR_FILENO))
		fputs("\r\033[K", stderr);
	vfprintf(stderr, format, args);
	if (!isatty(STDERR_FILENO))
		fputc('\n', stderr);
	fflush(stderr);
	va_end(args);
	progress->shown_ns = now_monotonic_ns();
	progress->dirty = isatty(STDERR_FILENO);
}

void progress_end(struct progress *progress)
{
	if (progress->dirty)
		fputs("\r\033[K", stderr);
	progress->dirty = false;
}
