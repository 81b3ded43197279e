/* SPDX-License-Identifier: BSD-3-Clause */
/* The Internet checksum's sum (RFC 1071), by 64-bit words: their halves are added up in lanes that
 * cannot overflow, and the compiler makes vectors of them, one variant an instruction set. */
#include <stddef.h>
#include <string.h>

#include "net.h"

#define LANES     16
#define BLOCK     (LANES * sizeof(uint64_t))
#define BITS_AVX2 256
#define BITS_512  512

/* Bytes beyond the last whole word count as if zeros followed. */
static uint64_t sum_rest(const uint8_t *p, size_t length)
{
	uint64_t sum = 0, word;

	for (; length >= sizeof(word); length -= sizeof(word), p += sizeof(word)) {
		memcpy(&word, p, sizeof(word));
		sum += (word & UINT32_MAX) + (word >> 32);
	}
	word = 0;
	memcpy(&word, p, length);
	return sum + (word & UINT32_MAX) + (word >> 32);
}

static inline __attribute__((always_inline)) uint64_t sum_blocks(const uint8_t *p, size_t length)
{
	uint64_t lane[LANES] = {0}, word[LANES], sum = 0;

	for (; length >= BLOCK; length -= BLOCK, p += BLOCK) {
		memcpy(word, p, BLOCK);
		for (unsigned int i = 0; i < LANES; i++)
			lane[i] += (word[i] & UINT32_MAX) + (word[i] >> 32);
	}
	for (unsigned int i = 0; i < LANES; i++)
		sum += lane[i];
	return sum + sum_rest(p, length);
}

static uint64_t sum_scalar(const uint8_t *p, size_t length)
{
	return sum_blocks(p, length);
}

__attribute__((target("avx2"))) static uint64_t sum_avx2(const uint8_t *p, size_t length)
{
	return sum_blocks(p, length);
}

__attribute__((target("avx512f"))) static uint64_t sum_avx512(const uint8_t *p, size_t length)
{
	return sum_blocks(p, length);
}

static uint64_t (*sum_variant)(const uint8_t *p, size_t length) = sum_scalar;

void atr_net_select(unsigned int max_bits)
{
	__builtin_cpu_init();
	if (max_bits >= BITS_512 && __builtin_cpu_supports("avx512f"))
		sum_variant = sum_avx512;
	else if (max_bits >= BITS_AVX2 && __builtin_cpu_supports("avx2"))
		sum_variant = sum_avx2;
	else
		sum_variant = sum_scalar;
}

uint16_t atr_net_sum(const void *data, size_t length)
{
	uint64_t sum = sum_variant(data, length);

	for (unsigned int i = 0; i < 4; i++)
		sum = (sum & UINT16_MAX) + (sum >> 16);
	return (uint16_t)sum;
}
