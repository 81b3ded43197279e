/* SPDX-License-Identifier: BSD-3-Clause */
/* CRC32C for tests/e2e/atrlog.py, which compiles and loads it; shares nothing with lib/. */
#include <stddef.h>
#include <stdint.h>

#define POLYNOMIAL 0x82F63B78u
#define BYTES      8

static uint32_t table[BYTES][256];

static void fill(void)
{
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t value = i;

		for (int bit = 0; bit < 8; bit++)
			value = value >> 1 ^ (value & 1 ? POLYNOMIAL : 0);
		table[0][i] = value;
	}
	for (uint32_t i = 0; i < 256; i++)
		for (int k = 1; k < BYTES; k++)
			table[k][i] = table[k - 1][i] >> 8 ^ table[0][table[k - 1][i] & 255];
}

/* Takes length bytes into a CRC that begins as, and ends inverted by, all ones. */
uint32_t crc32c_add(uint32_t crc, const uint8_t *bytes, size_t length)
{
	if (!table[0][1])
		fill();
	for (; length >= BYTES; length -= BYTES, bytes += BYTES) {
		crc ^= (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
		       (uint32_t)bytes[3] << 24;
		crc = table[7][crc & 255] ^ table[6][crc >> 8 & 255] ^ table[5][crc >> 16 & 255] ^
		      table[4][crc >> 24] ^ table[3][bytes[4]] ^ table[2][bytes[5]] ^
		      table[1][bytes[6]] ^ table[0][bytes[7]];
	}
	while (length--)
		crc = crc >> 8 ^ table[0][(crc ^ *bytes++) & 255];
	return crc;
}
