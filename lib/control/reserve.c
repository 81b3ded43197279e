/* SPDX-License-Identifier: BSD-3-Clause */
#include <rte_cycles.h>
#include <rte_errno.h>
#include <rte_log.h>

#include "control.h"

#define RETRY_S  1
#define MS_PER_S 1000

static uint64_t above(struct atr_reserve *reserve, uint64_t now)
{
	bool soon = reserve->ahead > 0 &&
		    now - reserve->ahead_tsc < rte_get_tsc_hz() / MS_PER_S * ATR_RESERVE_SOON_MS;

	reserve->ahead = soon ? RTE_MIN(2 * reserve->ahead, ATR_RESERVE_MOST) : ATR_RESERVE_AHEAD;
	reserve->ahead_tsc = now;
	return reserve->wanted > UINT64_MAX - reserve->ahead ? UINT64_MAX
							     : reserve->wanted + reserve->ahead;
}

static void keep(struct atr_control *control, struct atr_reserve *reserve)
{
	reserve->unsaved_next = control->unsaved;
	control->unsaved = reserve;
	control->retry_tsc = rte_rdtsc() + RETRY_S * rte_get_tsc_hz();
}

void atr_control_reserve(struct atr_control *control, struct atr_reserve *const *reserve,
			 unsigned int count)
{
	uint64_t value[ATR_RESERVES_MAX], now = rte_rdtsc();
	int rc = 0;

	for (unsigned int i = 0; rc == 0 && i < count; i++) {
		value[i] = above(reserve[i], now);
		rc = atr_state_put(control->state, ATR_STATE_SOURCE, reserve[i]->source, value[i]);
	}
	/* A high-water that was not even queued must not be taken for a durable one. */
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

void atr_control_reserve_again(struct atr_control *control)
{
	struct atr_reserve *again = control->unsaved;

	if (!again || rte_rdtsc() < control->retry_tsc)
		return;
	control->unsaved = NULL;
	while (again) {
		struct atr_reserve *reserve[ATR_RESERVES_MAX];
		unsigned int n = 0;

		for (; again && n < ATR_RESERVES_MAX; again = again->unsaved_next)
			reserve[n++] = again;
		atr_control_reserve(control, reserve, n);
	}
}
