/* SPDX-License-Identifier: BSD-3-Clause */
/* Hot path: what data lcores call. */
#include <rte_ring_elem.h>

#include "quarantine_internal.h"

bool atr_quarantine_put(struct atr_quarantine *quarantine, unsigned int producer,
			const struct atr_quarantine_item *item)
{
	struct producer *own = &quarantine->producers[producer];

	if (likely(rte_ring_sp_enqueue_elem(own->ring, (void *)(uintptr_t)item, sizeof(*item)) ==
		   0))
		return true;
	/* One writer a counter: no locked instruction is needed. */
	atomic_store_explicit(&own->dropped,
			      atomic_load_explicit(&own->dropped, memory_order_relaxed) + 1,
			      memory_order_relaxed);
	return false;
}
