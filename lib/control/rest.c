/* SPDX-License-Identifier: BSD-3-Clause */
#include "rest.h"

#include <rte_cycles.h>

#define IDLE_TURNS    64
#define IDLE_MS       2
#define IDLE_SLEEP_US 20
#define MS_A_SECOND   1000

void atr_rest_turn(struct atr_rest *rest, unsigned int worked)
{
	if (worked > 0) {
		rest->turns = 0;
		return;
	}
	if (rest->turns++ == 0)
		rest->since_tsc = rte_rdtsc();
	if (rest->turns < IDLE_TURNS)
		return;
	if (rest->shares_core ||
	    rte_rdtsc() - rest->since_tsc > rte_get_tsc_hz() / MS_A_SECOND * IDLE_MS)
		rte_delay_us_sleep(IDLE_SLEEP_US);
}
