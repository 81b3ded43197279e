/* SPDX-License-Identifier: BSD-3-Clause */
#include "crc32c.h"

#define POLYNOMIAL UINT32_C(0x82F63B78) /* reflected */
#define NIBBLE     4
#define NIBBLES    16

static uint32_t step(uint32_t crc)
{
	for (unsigned int bit = 0; bit < NIBBLE; bit++)
		crc = crc >> 1 ^ (crc & 1 ? POLYNOMIAL : 0);
	return crc;
}

uint32_t crc32c(const void *data, size_t length)
{
	const uint8_t *p = data;
	uint32_t table[NIBBLES], crc = UINT32_MAX;

	/* Sixteen entries on the stack: nothing is shared between threads, nothing to prepare. */
	for (uint32_t i = 0; i < NIBBLES; i++)
		table[i] = step(i);
	for (size_t i = 0; i < length; i++) {
		crc ^= p[i];
		crc = crc >> NIBBLE ^ table[crc & (NIBBLES - 1)];
		crc = crc >> NIBBLE ^ table[crc & (NIBBLES - 1)];
	}
	return ~crc;
}
