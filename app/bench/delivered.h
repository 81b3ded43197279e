/* SPDX-License-Identifier: BSD-3-Clause */
/* Whether what left is what came: every message of every feed, in its order, byte by byte. */
#ifndef ATR_BENCH_DELIVERED_H
#define ATR_BENCH_DELIVERED_H

#include <rte_mbuf.h>

#include "config.h"

/* Looks at a packet that was transmitted: session, numbers without a gap, and for every message
 * that it is the event which its source and sequence name, on a feed of its topic. Ends the process
 * at the first that is not. */
void delivered_check(const struct rte_mbuf *mbuf);

/* Messages checked so far, of all feeds. */
uint64_t delivered_count(void);

/* From a counted number of messages a shard and feed on, when others were not shown. */
void delivered_resume(void);

#endif
