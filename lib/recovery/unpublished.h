/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ATR_RECOVERY_UNPUBLISHED_H
#define ATR_RECOVERY_UNPUBLISHED_H

#include "recovery.h"

/* Frees what atr_recovery_load has made. */
void recovery_free_unpublished(struct atr_recovery *recovery);

#endif
