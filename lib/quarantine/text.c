/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>

#include "quarantine_internal.h"

#define PRINTABLE_FIRST 0x20
#define PRINTABLE_LAST  0x7E
#define ESCAPE_SIZE     4 /* \xNN */

size_t atr_text_neutralise(const uint8_t *bytes, size_t length, char *out, size_t size)
{
	static const char digits[] = "0123456789abcdef";
	size_t used = 0;

	if (size == 0)
		return 0;
	for (size_t i = 0; i < length; i++) {
		bool printable = bytes[i] >= PRINTABLE_FIRST && bytes[i] <= PRINTABLE_LAST;

		if (size - used <= (printable ? 1 : ESCAPE_SIZE))
			break;
		if (printable) {
			out[used++] = (char)bytes[i];
			continue;
		}
		out[used++] = '\\';
		out[used++] = 'x';
		out[used++] = digits[bytes[i] >> 4];
		out[used++] = digits[bytes[i] & 15];
	}
	out[used] = '\0';
	return used;
}

void text_add(struct text *text, const char *format, ...)
{
	va_list arguments;
	int length;

	if (text->overflow)
		return;
	va_start(arguments, format);
	length = vsnprintf(text->out + text->length, text->size - text->length, format, arguments);
	va_end(arguments);
	if (length < 0 || (size_t)length >= text->size - text->length) {
		text->out[text->length] = '\0';
		text->overflow = true;
		return;
	}
	text->length += (size_t)length;
}

void text_add_json(struct text *text, const char *value)
{
	text_add(text, "\"");
	for (; *value; value++)
		text_add(text, *value == '"' || *value == '\\' ? "\\%c" : "%c", *value);
	text_add(text, "\"");
}
