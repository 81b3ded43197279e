/* SPDX-License-Identifier: BSD-3-Clause */
/* When the control lcore sleeps. Frames wait for their root's verdict while it does, so that it
 * polls on for a while when there was work; where the log thread may share its core, which it holds
 * up by polling, it sleeps soon.
 *
 * One object belongs to the thread that calls its function. */
#ifndef ATR_REST_H
#define ATR_REST_H

#include <stdbool.h>
#include <stdint.h>

struct atr_rest {
	bool shares_core;   /* with the log thread: set before the first turn */
	uint32_t turns;     /* without work, since the last one with some */
	uint64_t since_tsc; /* when the first of them was */
};

/* After a turn that did worked items: sleeps for some tens of microseconds, or returns at once. */
void atr_rest_turn(struct atr_rest *rest, unsigned int worked);

#endif
