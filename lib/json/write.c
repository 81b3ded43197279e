/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "json_internal.h"

/* Where canonical bytes go: copied to out, or compared with expect. */
struct sink {
	char *out;
	const char *expect; /* NULL: copy */
	size_t left;
	bool failed; /* does not fit, or differs */
};

static void put(struct sink *s, const char *bytes, size_t length)
{
	if (s->failed || length > s->left) {
		s->failed = true;
		return;
	}
	if (length == 0)
		return;
	if (s->expect) {
		s->failed = memcmp(s->expect, bytes, length) != 0;
		s->expect += length;
	} else {
		memcpy(s->out, bytes, length);
		s->out += length;
	}
	s->left -= length;
}

static void put_byte(struct sink *s, char byte)
{
	if (s->failed || s->left == 0) {
		s->failed = true;
		return;
	}
	if (s->expect)
		s->failed = *s->expect++ != byte;
	else
		*s->out++ = byte;
	s->left--;
}

static bool needs_escape(char c)
{
	return (uint8_t)c < 0x20 || c == '"' || c == '\\';
}

static void put_escape(struct sink *s, char c)
{
	static const char hex[] = "0123456789abcdef";
	char unicode[6] = {'\\', 'u', '0', '0', hex[(uint8_t)c >> 4], hex[c & 0xF]};
	char brief[2] = {'\\', c};

	switch (c) {
	case '"':
	case '\\': break;
	case '\b': brief[1] = 'b'; break;
	case '\t': brief[1] = 't'; break;
	case '\n': brief[1] = 'n'; break;
	case '\f': brief[1] = 'f'; break;
	case '\r': brief[1] = 'r'; break;
	default: put(s, unicode, sizeof(unicode)); return;
	}
	put(s, brief, sizeof(brief));
}

/* Length of the run at text that is written as it is. */
static size_t plain_run(const char *text, size_t length)
{
	size_t i = 0;

	for (; length - i >= JSON_WORD; i += JSON_WORD) {
		uint64_t word, stop;

		memcpy(&word, text + i, sizeof(word));
		stop = json_special(word);
		if (stop)
			return i + (unsigned int)__builtin_ctzll(stop) / 8;
	}
	while (i < length && !needs_escape(text[i]))
		i++;
	return i;
}

static void put_string(struct sink *s, const char *text, size_t length)
{
	put_byte(s, '"');
	while (length > 0 && !s->failed) {
		size_t run = plain_run(text, length);

		put(s, text, run);
		text += run;
		length -= run;
		if (length > 0) {
			put_escape(s, *text++);
			length--;
		}
	}
	put_byte(s, '"');
}

static void put_number(struct sink *s, double value)
{
	char text[JSON_NUMBER_SIZE];
	int length = atr_json_number(value, text);

	put(s, text, (size_t)length);
}

static void put_value(struct sink *s, const struct atr_json *value, const char *except);

static void put_children(struct sink *s, const struct atr_json *value, const char *except)
{
	size_t except_length = except ? strlen(except) : 0;
	bool object = value->type == ATR_JSON_OBJECT;
	bool first = true;

	put_byte(s, object ? '{' : '[');
	for (const struct atr_json *c = value->child; c && !s->failed; c = c->next) {
		if (object && except && c->name_length == except_length &&
		    memcmp(c->name, except, except_length) == 0)
			continue;
		if (!first)
			put_byte(s, ',');
		first = false;
		if (object) {
			put_string(s, c->name, c->name_length);
			put_byte(s, ':');
		}
		put_value(s, c, NULL);
	}
	put_byte(s, object ? '}' : ']');
}

/* Recursion is as deep as the value, which the parser has bounded. */
static void put_value(struct sink *s, const struct atr_json *value, const char *except)
{
	switch (value->type) {
	case ATR_JSON_NULL: put(s, "null", 4); break;
	case ATR_JSON_FALSE: put(s, "false", 5); break;
	case ATR_JSON_TRUE: put(s, "true", 4); break;
	case ATR_JSON_NUMBER: put_number(s, value->number); break;
	case ATR_JSON_STRING: put_string(s, value->string, value->string_length); break;
	default: put_children(s, value, except); break;
	}
}

int atr_json_canonical(const struct atr_json *value, const char *except, char *out, size_t capacity)
{
	struct sink s = {.out = out, .left = capacity < INT_MAX ? capacity : INT_MAX};
	size_t room = s.left;

	put_value(&s, value, except);
	return s.failed ? -EMSGSIZE : (int)(room - s.left);
}

bool atr_json_is_canonical(const struct atr_json *value, const char *text, size_t length)
{
	struct sink s = {.expect = text, .left = length};

	put_value(&s, value, NULL);
	return !s.failed && s.left == 0;
}
