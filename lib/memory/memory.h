/* SPDX-License-Identifier: BSD-3-Clause */
/* Zeroed, cache-line aligned memory for one lcore's tables.
 *
 * Layer 0, header only. No EAL needed. Blocks of a huge page and more ask for transparent huge
 * pages and for the given NUMA socket; both are wishes: where the kernel refuses, memory is still
 * right, only slower. Smaller blocks come from the heap. Control lcore, never hot path.
 */
#ifndef ATR_MEMORY_H
#define ATR_MEMORY_H

#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ATR_CACHE_LINE            64
#define ATR_MEMORY_HUGE           ((size_t)2 << 20)
#define ATR_MEMORY_MPOL_PREFERRED 1 /* linux/mempolicy.h */

/* size bytes, zeroed; NULL when out of memory or size is 0. socket below 0: no preference. */
static inline void *atr_memory_alloc(size_t size, int socket)
{
	size_t align = size >= ATR_MEMORY_HUGE ? ATR_MEMORY_HUGE : ATR_CACHE_LINE;
	void *block;

	if (size == 0 || size > SIZE_MAX - align)
		return NULL;
	size = (size + align - 1) & ~(align - 1);
	block = aligned_alloc(align, size);
	if (!block)
		return NULL;
	if (align == ATR_MEMORY_HUGE) {
		madvise(block, size, MADV_HUGEPAGE);
		if (socket >= 0 && socket < (int)(sizeof(long) * CHAR_BIT)) {
			unsigned long nodes = 1UL << socket;

			syscall(SYS_mbind, block, size, ATR_MEMORY_MPOL_PREFERRED, &nodes,
				sizeof(nodes) * CHAR_BIT, 0);
		}
	}
	memset(block, 0, size);
	return block;
}

/* NULL is allowed. */
static inline void atr_memory_free(void *block)
{
	free(block);
}

#endif
