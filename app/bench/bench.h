/* SPDX-License-Identifier: BSD-3-Clause */
/* The commands of atr-bench. Each measures with the appliance's own libraries and stage table, and
 * appends what it found to results; a run that lost or misjudged one message ends the process. */
#ifndef ATR_BENCH_H
#define ATR_BENCH_H

#include <jansson.h>

#include "config.h"

#define BENCH_PASSES_MAX 64
#define BENCH_TREE_MAX   1024
#define BENCH_SHARDS_MAX 16

typedef void (*bench_fn)(struct bench_config *config, json_t *results);

void bench_tier1(struct bench_config *config, json_t *results);
void bench_bridge(struct bench_config *config, json_t *results);
void bench_tier3(struct bench_config *config, json_t *results);
void bench_class_d(struct bench_config *config, json_t *results);
void bench_latency(struct bench_config *config, json_t *results);
void bench_roots(struct bench_config *config, json_t *results);

/* These run the ones above in processes of their own. */
void bench_growth(struct bench_config *config, json_t *results);
void bench_cores(struct bench_config *config, json_t *results);
void bench_all(struct bench_config *config, json_t *results);

/* What the first of these processes said of the machine; NULL before. Borrowed. */
json_t *children_machine(void);

#endif
