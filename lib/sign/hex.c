/* SPDX-License-Identifier: BSD-3-Clause */
#include "sign.h"

#include <errno.h>
#include <sodium.h>

void atr_hex_encode(const uint8_t *bytes, size_t size, char *out)
{
	sodium_bin2hex(out, 2 * size + 1, bytes, size);
}

/* Value of a lowercase hex digit, or -1. Takes no branch on the digit: it may be of a secret. */
static int hex_digit(char c)
{
	unsigned int v = (unsigned char)c;
	unsigned int is_digit = (v - '0') <= 9;
	unsigned int is_letter = (v - 'a') <= 5;

	return (int)(is_digit * (v - '0' + 1) + is_letter * (v - 'a' + 11)) - 1;
}

int atr_hex_decode(const char *hex, size_t hex_length, uint8_t *bytes, size_t size)
{
	if (hex_length / 2 != size || hex_length % 2 != 0)
		return -EINVAL;
	for (size_t i = 0; i < size; i++) {
		int high = hex_digit(hex[2 * i]);
		int low = hex_digit(hex[2 * i + 1]);

		if (high < 0 || low < 0)
			return -EINVAL;
		bytes[i] = (uint8_t)(high << 4 | low);
	}
	return 0;
}
