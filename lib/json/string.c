/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "../reason/reason.h"
#include "json_internal.h"

#define HIGH_BITS     UINT64_C(0x8080808080808080)
#define HEX_DIGITS    4
#define HIGH_FIRST    0xD800u
#define LOW_FIRST     0xDC00u
#define LOW_LAST      0xDFFFu
#define ASTRAL_FIRST  0x10000u
#define UNICODE_LAST  0x10FFFFu
#define CONTROL_FIRST 0x20

/* RFC 7493 forbids these like lone surrogates. */
static bool is_noncharacter(uint32_t point)
{
	return (point & 0xFFFE) == 0xFFFE || (point >= 0xFDD0 && point <= 0xFDEF);
}

static char *put_utf8(char *out, uint32_t point)
{
	if (point < 0x80) {
		*out++ = (char)point;
	} else if (point < 0x800) {
		*out++ = (char)(0xC0 | point >> 6);
		*out++ = (char)(0x80 | (point & 0x3F));
	} else if (point < ASTRAL_FIRST) {
		*out++ = (char)(0xE0 | point >> 12);
		*out++ = (char)(0x80 | (point >> 6 & 0x3F));
		*out++ = (char)(0x80 | (point & 0x3F));
	} else {
		*out++ = (char)(0xF0 | point >> 18);
		*out++ = (char)(0x80 | (point >> 12 & 0x3F));
		*out++ = (char)(0x80 | (point >> 6 & 0x3F));
		*out++ = (char)(0x80 | (point & 0x3F));
	}
	return out;
}

/* Copies one non-ASCII character. */
static uint8_t copy_utf8(struct json_cursor *c)
{
	const uint8_t *p = (const uint8_t *)c->at;
	size_t left = (size_t)(c->end - c->at);
	size_t size;
	uint32_t point, least;

	if (p[0] >= 0xC2 && p[0] <= 0xDF) {
		size = 2;
		point = p[0] & 0x1F;
		least = 0x80;
	} else if ((p[0] & 0xF0) == 0xE0) {
		size = 3;
		point = p[0] & 0x0F;
		least = 0x800;
	} else if (p[0] >= 0xF0 && p[0] <= 0xF4) {
		size = 4;
		point = p[0] & 0x07;
		least = ASTRAL_FIRST;
	} else {
		return ATR_REASON_JSON_UTF8;
	}
	if (left < size)
		return ATR_REASON_JSON_UTF8;
	for (size_t i = 1; i < size; i++) {
		if ((p[i] & 0xC0) != 0x80)
			return ATR_REASON_JSON_UTF8;
		point = point << 6 | (p[i] & 0x3F);
	}
	if (point < least || point > UNICODE_LAST || (point >= HIGH_FIRST && point <= LOW_LAST))
		return ATR_REASON_JSON_UTF8;
	if (is_noncharacter(point))
		return ATR_REASON_JSON_SURROGATE;
	memcpy(c->out, p, size);
	c->out += size;
	c->at += size;
	return ATR_OK;
}

/* Value of four hex digits at text, or -1. */
static int32_t read_hex(const char *text, const char *end)
{
	int32_t value = 0;

	if (end - text < HEX_DIGITS)
		return -1;
	for (int i = 0; i < HEX_DIGITS; i++) {
		char c = text[i];

		if (c >= '0' && c <= '9')
			value = value << 4 | (c - '0');
		else if (c >= 'a' && c <= 'f')
			value = value << 4 | (c - 'a' + 10);
		else if (c >= 'A' && c <= 'F')
			value = value << 4 | (c - 'A' + 10);
		else
			return -1;
	}
	return value;
}

/* Unescapes \uXXXX, or a pair of them; cursor is at the first 'u'. */
static uint8_t copy_unicode_escape(struct json_cursor *c)
{
	int32_t unit = read_hex(c->at + 1, c->end);
	uint32_t point;

	if (unit < 0)
		return ATR_REASON_JSON_SYNTAX;
	point = (uint32_t)unit;
	if (point >= LOW_FIRST && point <= LOW_LAST)
		return ATR_REASON_JSON_SURROGATE;
	c->at += 1 + HEX_DIGITS;
	if (point >= HIGH_FIRST && point < LOW_FIRST) {
		if (c->end - c->at < 2 || c->at[0] != '\\' || c->at[1] != 'u')
			return ATR_REASON_JSON_SURROGATE;
		unit = read_hex(c->at + 2, c->end);
		if (unit < 0)
			return ATR_REASON_JSON_SYNTAX;
		if ((uint32_t)unit < LOW_FIRST || (uint32_t)unit > LOW_LAST)
			return ATR_REASON_JSON_SURROGATE;
		point = ASTRAL_FIRST + ((point - HIGH_FIRST) << 10) + ((uint32_t)unit - LOW_FIRST);
		c->at += 2 + HEX_DIGITS;
	}
	if (is_noncharacter(point))
		return ATR_REASON_JSON_SURROGATE;
	c->out = put_utf8(c->out, point);
	return ATR_OK;
}

/* Unescapes one escape sequence; cursor is at the backslash. */
static uint8_t copy_escape(struct json_cursor *c)
{
	char value;

	c->at++;
	if (c->at == c->end)
		return ATR_REASON_JSON_SYNTAX;
	switch (*c->at) {
	case '"':
	case '\\':
	case '/': value = *c->at; break;
	case 'b': value = '\b'; break;
	case 'f': value = '\f'; break;
	case 'n': value = '\n'; break;
	case 'r': value = '\r'; break;
	case 't': value = '\t'; break;
	case 'u': return copy_unicode_escape(c);
	default: return ATR_REASON_JSON_SYNTAX;
	}
	*c->out++ = value;
	c->at++;
	return ATR_OK;
}

/* Copies plain ASCII up to the first byte that needs a look; returns how many. */
static uint32_t copy_plain(struct json_cursor *c)
{
	const char *start = c->at;

	while (c->end - c->at >= (ptrdiff_t)JSON_WORD) {
		uint64_t word, stop;
		unsigned int n;

		memcpy(&word, c->at, sizeof(word));
		memcpy(c->out, &word, sizeof(word));
		stop = json_special(word) | (word & HIGH_BITS);
		n = stop ? (unsigned int)__builtin_ctzll(stop) / 8 : (unsigned int)JSON_WORD;
		c->at += n;
		c->out += n;
		if (stop)
			return (uint32_t)(c->at - start);
	}
	while (c->at < c->end && (uint8_t)*c->at >= CONTROL_FIRST && (uint8_t)*c->at < 0x80 &&
	       *c->at != '"' && *c->at != '\\')
		*c->out++ = *c->at++;
	return (uint32_t)(c->at - start);
}

uint8_t json_read_string(struct json_cursor *cursor, const char **string, uint32_t *length,
			 uint32_t *points)
{
	char *start = cursor->out;
	uint32_t count = 0;

	for (;;) {
		uint8_t reason;

		count += copy_plain(cursor);
		if (cursor->at == cursor->end || (uint8_t)*cursor->at < CONTROL_FIRST)
			return ATR_REASON_JSON_SYNTAX;
		if (*cursor->at == '"')
			break;
		reason = *cursor->at == '\\' ? copy_escape(cursor) : copy_utf8(cursor);
		if (reason != ATR_OK)
			return reason;
		count++;
	}
	cursor->at++;
	*string = start;
	*length = (uint32_t)(cursor->out - start);
	*points = count;
	return ATR_OK;
}
