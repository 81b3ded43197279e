/* SPDX-License-Identifier: BSD-3-Clause */
/* Frames that come at their time, whatever the appliance does, and how long until it answers. For
 * one shard. Main lcore. */
#ifndef ATR_BENCH_PACE_H
#define ATR_BENCH_PACE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define PACE_QUANTILES 5 /* p50, p95, p99, p99.9, longest */

/* From now on, so many frames a second of the stock of rig_make. firsts_sent: the first frame of
 * every tree was sent already. */
void pace_begin(double frames_per_second, bool firsts_sent);

/* Frames that will be sent. */
unsigned int pace_frames(void);

/* A turn: puts what is due on the RX ring. */
void pace_turn(void);

/* The event with that sequence of the source is answered now; frames that were sent before do not
 * count. */
void pace_answered(uint32_t source, uint64_t sequence, uint64_t now_tsc);

/* Answers since pace_begin that counted. */
unsigned int pace_count(void);

/* Quantiles of these, in microseconds; adds them to the histogram. */
void pace_quantiles(double out[PACE_QUANTILES]);

/* Counts by powers of two of a quarter: {"unit","bounds","counts"}, over all passes so far. */
json_t *pace_histogram(void);

#endif
