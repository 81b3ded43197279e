/* SPDX-License-Identifier: BSD-3-Clause */
/* CRC32C (RFC 3720) without DPDK, which programs that use libatr need not have. Any thread. */
#ifndef LIBATR_CRC32C_H
#define LIBATR_CRC32C_H

#include <stddef.h>
#include <stdint.h>

uint32_t crc32c(const void *data, size_t length);

#endif
