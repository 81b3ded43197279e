/* SPDX-License-Identifier: BSD-3-Clause */
/* CRC32C as the log on disk has it (RFC 3720: reflected, all ones in and out). Any thread. */
#ifndef ATR_LOG_CRC_H
#define ATR_LOG_CRC_H

#include <rte_hash_crc.h>
#include <stddef.h>
#include <stdint.h>

#define ATR_LOG_CRC_BEGIN UINT32_C(0xFFFFFFFF)

/* Continues a CRC that began with ATR_LOG_CRC_BEGIN. length below 4 GiB. DPDK's loop loads whole
 * words: what comes before the first aligned one goes byte by byte. */
static inline uint32_t atr_log_crc_add(uint32_t crc, const void *data, size_t length)
{
	const uint8_t *at = data;

	for (; length > 0 && (uintptr_t)at % sizeof(uint64_t) != 0; length--)
		crc = rte_hash_crc_1byte(*at++, crc);
	return rte_hash_crc(at, (uint32_t)length, crc);
}

/* The value that is stored. */
static inline uint32_t atr_log_crc_end(uint32_t crc)
{
	return ~crc;
}

#endif
