/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "envelope.h"

#define UUID_SIZE      16
#define UUID_TEXT_SIZE 36
#define UUID_TIME_SIZE 6 /* bytes of the Unix time in milliseconds, big-endian */
#define VERSION_BYTE   6
#define VARIANT_BYTE   8
#define UUID_VERSION   0x70
#define UUID_VARIANT   0x80
#define VARIANT_MASK   0xC0
#define GROUPS         5

/* Bytes of each group of hex digits. */
static const uint8_t groups[GROUPS] = {4, 2, 2, 2, 6};

void atr_uuid7_new(uint64_t unix_ms, uint8_t uuid[16])
{
	randombytes_buf(uuid, UUID_SIZE);
	for (int i = 0; i < UUID_TIME_SIZE; i++)
		uuid[i] = (uint8_t)(unix_ms >> 8 * (UUID_TIME_SIZE - 1 - i));
	uuid[VERSION_BYTE] = UUID_VERSION | (uuid[VERSION_BYTE] & 0x0F);
	uuid[VARIANT_BYTE] = UUID_VARIANT | (uuid[VARIANT_BYTE] & (uint8_t)~VARIANT_MASK);
}

void atr_uuid_format(const uint8_t uuid[16], char *out)
{
	for (int g = 0; g < GROUPS; g++) {
		if (g > 0)
			*out++ = '-';
		atr_hex_encode(uuid, groups[g], out);
		out += 2 * groups[g];
		uuid += groups[g];
	}
	*out = '\0';
}

int atr_uuid7_parse(const char *text, size_t length, uint8_t uuid[16])
{
	uint8_t bytes[UUID_SIZE];
	uint8_t *at = bytes;

	if (length != UUID_TEXT_SIZE)
		return -EINVAL;
	for (int g = 0; g < GROUPS; g++) {
		if (g > 0 && *text++ != '-')
			return -EINVAL;
		if (atr_hex_decode(text, 2 * (size_t)groups[g], at, groups[g]) != 0)
			return -EINVAL;
		text += 2 * groups[g];
		at += groups[g];
	}
	if ((bytes[VERSION_BYTE] & 0xF0) != UUID_VERSION ||
	    (bytes[VARIANT_BYTE] & VARIANT_MASK) != UUID_VARIANT)
		return -EINVAL;
	memcpy(uuid, bytes, UUID_SIZE);
	return 0;
}
