/* SPDX-License-Identifier: BSD-3-Clause */
/* 'atrctl query ...': a running appliance asked about state and events. */
#ifndef ATRCTL_QUERY_H
#define ATRCTL_QUERY_H

#include "telemetry.h"

/* Asks until the answer is there: while the appliance says that it is reading (ready 0), or gives
 * no answer because a snapshot is being made. The caller's; NULL after a sentence on stderr. */
json_t *query_ask(struct telemetry *telemetry, const char *command);

/* Pieces of hex, joined, as bytes with a zero behind them; free() it. NULL if it is no such thing.
 */
uint8_t *query_bytes(const json_t *pieces, size_t *length);

int query_state(int argc, char **argv);
int query_states(int argc, char **argv);
int query_event(int argc, char **argv);
int query_range(int argc, char **argv);

#endif
