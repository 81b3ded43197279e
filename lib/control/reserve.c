/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>

#include <rte_cycles.h>
#include <rte_errno.h>
#include <rte_log.h>

#include "control.h"

#define RETRY_S 1

static uint64_t above(uint64_t sequence)
{
	return sequence > UINT64_MAX - ATR_RESERVE_AHEAD ? UINT64_MAX
							 : sequence + ATR_RESERVE_AHEAD;
}

static void keep(struct atr_control *control, struct atr_reserve *reserve)
{
	if (control->unsaved_count < RTE_DIM(control->unsaved))
		control->unsaved[control->unsaved_count++] = reserve;
	control->retry_tsc = rte_rdtsc() + RETRY_S * rte_get_tsc_hz();
}

/* Room for it is made by the sync of what failed syncs have left behind. */
static int put(struct atr_control *control, uint32_t source, uint64_t value)
{
	int rc = atr_state_put(control->state, ATR_STATE_SOURCE, source, value);

	if (rc != -ENOSPC)
		return rc;
	rc = atr_state_sync(control->state);
	return rc < 0 ? rc : atr_state_put(control->state, ATR_STATE_SOURCE, source, value);
}

void atr_control_reserve(struct atr_control *control, struct atr_reserve *const *reserve,
			 unsigned int count)
{
	uint64_t value[RTE_DIM(control->unsaved)];
	int rc = 0;

	for (unsigned int i = 0; i < count; i++) {
		value[i] = above(reserve[i]->wanted);
		if (rc == 0)
			rc = put(control, reserve[i]->source, value[i]);
	}
	if (rc == 0)
		rc = atr_state_sync(control->state);
	if (rc < 0) {
		if (control->stats.reserve_failures++ == 0)
			rte_log(RTE_LOG_ERR, RTE_LOGTYPE_USER1,
				"atr: state: sequence high-water not durable (%s); frames above it "
				"wait, then are refused reserve_wait; tried again every second\n",
				rte_strerror(-rc));
		for (unsigned int i = 0; i < count; i++)
			keep(control, reserve[i]);
		return;
	}
	for (unsigned int i = 0; i < count; i++)
		__atomic_store_n(&reserve[i]->reserved, value[i], __ATOMIC_RELEASE);
	control->stats.reservations += count;
}
