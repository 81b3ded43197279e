/* SPDX-License-Identifier: BSD-3-Clause */
/* Frames that come at their time, whatever the appliance does, and how long until it answers. For
 * one shard. Main lcore. */
#ifndef ATR_BENCH_PACE_H
#define ATR_BENCH_PACE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "bench.h"

#define PACE_QUANTILES 5 /* p50, p95, p99, p99.9, longest */

extern const char *const pace_quantile_names[PACE_QUANTILES];

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

/* Quantiles of these, in microseconds. */
void pace_pass_quantiles(double out[PACE_QUANTILES]);

/* Adds to a result, of the answers of all passes together: "quantiles" in microseconds, "max" the
 * longest of all; "answers", how many; "histogram" {"unit","bounds","counts"}, by powers of two of
 * a quarter. Beside them "pass_quantiles", the medians over the passes of of_pass (by quantile and
 * pass; gets sorted). */
void pace_result(json_t *result, double (*of_pass)[BENCH_PASSES_MAX], unsigned int passes);

#endif
