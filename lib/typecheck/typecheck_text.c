/* SPDX-License-Identifier: BSD-3-Clause */
#include "typecheck_internal.h"

#define ASCII_SPACE  0x20
#define ASCII_DELETE 0x7F
#define CONTINUATION 0x80
#define ONES         UINT64_C(0x0101010101010101)
#define HIGH_BITS    (ONES << 7)

/* True if all eight bytes are printable ASCII. */
static inline bool plain_word(const uint8_t *p)
{
	uint64_t v, low, del;

	memcpy(&v, p, sizeof(v));
	low = v - ONES * ASCII_SPACE; /* borrows out of bytes below a space */
	del = v + ONES * (CONTINUATION - ASCII_DELETE);
	return ((v | low | del) & HIGH_BITS) == 0;
}

/* Bytes of the character at p (remaining bytes left), 0 if it is malformed or a control. */
static uint32_t character(const uint8_t *p, uint32_t remaining)
{
	uint32_t size, low = 0x80, high = 0xBF;

	if (p[0] < CONTINUATION)
		return p[0] >= ASCII_SPACE && p[0] != ASCII_DELETE;
	if (p[0] < 0xC2 || p[0] > 0xF4)
		return 0;
	size = p[0] < 0xE0 ? 2 : p[0] < 0xF0 ? 3 : 4;
	if (size > remaining)
		return 0;
	/* The second byte excludes C1 controls, overlong forms, surrogates, and beyond U+10FFFF. */
	switch (p[0]) {
	case 0xC2:
	case 0xE0: low = 0xA0; break;
	case 0xED: high = 0x9F; break;
	case 0xF0: low = 0x90; break;
	case 0xF4: high = 0x8F; break;
	default: break;
	}
	if (p[1] < low || p[1] > high)
		return 0;
	for (uint32_t i = 2; i < size; i++)
		if ((p[i] & 0xC0) != CONTINUATION)
			return 0;
	return size;
}

int32_t typecheck_text_length(const uint8_t *text, uint32_t width)
{
	uint32_t at = 0;

	while (at < width) {
		uint32_t step;

		if (width - at >= TYPECHECK_WORD && plain_word(text + at)) {
			at += TYPECHECK_WORD;
			continue;
		}
		if (text[at] == 0)
			break;
		step = character(text + at, width - at);
		if (step == 0)
			return -1;
		at += step;
	}
	return (int32_t)at;
}
