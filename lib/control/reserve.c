/* SPDX-License-Identifier: BSD-3-Clause */
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
	reserve->unsaved_next = control->unsaved;
	control->unsaved = reserve;
	control->retry_tsc = rte_rdtsc() + RETRY_S * rte_get_tsc_hz();
}

void atr_control_reserve(struct atr_control *control, struct atr_reserve *const *reserve,
			 unsigned int count)
{
	uint64_t value[ATR_RESERVES_MAX];
	int rc = 0;

	for (unsigned int i = 0; rc == 0 && i < count; i++) {
		value[i] = above(reserve[i]->wanted);
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
