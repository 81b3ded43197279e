/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ATR_TEST_RIG_PLAN_H
#define ATR_TEST_RIG_PLAN_H

#include "rig.h"

/* Plan of every test: topics open, shut (no rule), high (level 5), slow (one event a second, burst
 * 4); feed 0 takes all, feed 1 values of 500 and more. */
struct atr_plan *rig_plan(const struct rig *rig, const struct rig_options *options);

#endif
