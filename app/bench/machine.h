/* SPDX-License-Identifier: BSD-3-Clause */
/* What was measured on, and what was measured. */
#ifndef ATR_BENCH_MACHINE_H
#define ATR_BENCH_MACHINE_H

#include <jansson.h>

#include "config.h"

/* New references. */
json_t *machine_describe(const struct bench_config *config);
json_t *machine_build(void);

/* NULL if this build's figures mean something, else one sentence why not. */
const char *machine_build_unfit(void);

#endif
