/* SPDX-License-Identifier: BSD-3-Clause */
/* Layout shared by dedup.c (hot path) and dedup_create.c (boot). */
#ifndef ATR_DEDUP_INTERNAL_H
#define ATR_DEDUP_INTERNAL_H

#include "dedup.h"

#define WINDOW_SIZE_MIN 64u
#define WINDOW_SIZE_MAX (1u << 20)
#define TAG_FREE        0u

/* A slot speaks for the one sequence in [floor, top) that maps to it; sequences at or above top
 * are free whatever their slot still holds. */
struct atr_window {
	uint64_t start;
	uint64_t top;
	uint32_t mask; /* size - 1 */
	uint32_t max_ahead;
	uint32_t tag[] __attribute__((aligned(64)));
};

#endif
