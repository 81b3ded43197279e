/* SPDX-License-Identifier: BSD-3-Clause */
/* Unix time for data lcores, which enter no kernel: the TSC scaled to nanoseconds, plus an offset
 * that the control lcore keeps in step with CLOCK_REALTIME.
 *
 * Layer 0. atr_clock_ns is hot path, any lcore.
 */
#ifndef ATR_CLOCK_H
#define ATR_CLOCK_H

#include <stdint.h>
#include <time.h>

#include <rte_common.h>

struct atr_clock {
	uint64_t multiplier; /* nanoseconds per TSC cycle, 32.32 fixed point */
	uint64_t offset_ns;  /* writer: control lcore; readers: all */
} __rte_cache_aligned;

static inline uint64_t atr_clock_ns(const struct atr_clock *clock, uint64_t tsc)
{
	uint64_t scaled = (uint64_t)(((unsigned __int128)tsc * clock->multiplier) >> 32);

	return scaled + __atomic_load_n(&clock->offset_ns, __ATOMIC_RELAXED);
}

/* Sets or corrects the offset so that the TSC value reads as the Unix time. Control lcore. */
static inline void atr_clock_set(struct atr_clock *clock, uint64_t tsc, uint64_t tsc_hz,
				 const struct timespec *now)
{
	uint64_t unix_ns = (uint64_t)now->tv_sec * UINT64_C(1000000000) + (uint64_t)now->tv_nsec;

	if (clock->multiplier == 0)
		clock->multiplier = (uint64_t)(((unsigned __int128)1000000000 << 32) / tsc_hz);
	uint64_t scaled = (uint64_t)(((unsigned __int128)tsc * clock->multiplier) >> 32);

	__atomic_store_n(&clock->offset_ns, unix_ns - scaled, __ATOMIC_RELAXED);
}

#endif
