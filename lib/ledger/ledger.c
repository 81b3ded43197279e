/* SPDX-License-Identifier: BSD-3-Clause */
#include "ledger.h"

#include <errno.h>
#include <string.h>

#include <rte_cycles.h>

void atr_ledger_snapshot(struct atr_ledger_node *node, uint32_t epoch)
{
	memcpy(&node->snapshot.book, &node->book, sizeof(node->book));
	node->epoch = epoch;
	__atomic_store_n(&node->snapshot.epoch, epoch, __ATOMIC_RELEASE);
}

static void add(struct atr_ledger_total *sum, const struct atr_tally *tally)
{
	sum->received += tally->received;
	sum->admitted += tally->admitted;
	sum->duplicate += tally->duplicate;
	sum->in_hold += tally->held;
	sum->in_handover += tally->handover_out - tally->handover_in;
	sum->in_bridge += tally->bridge_out - tally->bridge_in;
	for (unsigned int r = 0; r < ATR_REASON_SPACE; r++) {
		sum->refused[r] += tally->refused[r];
		sum->refused_total += tally->refused[r];
	}
}

int atr_ledger_read(struct atr_ledger *ledger, unsigned int timeout_us,
		    struct atr_ledger_reading *out)
{
	uint32_t epoch = ledger->requested + 1;
	uint64_t deadline = rte_rdtsc() + rte_get_tsc_hz() / 1000000 * timeout_us;

	memset(out, 0, sizeof(*out));
	__atomic_store_n(&ledger->requested, epoch, __ATOMIC_RELEASE);
	for (unsigned int i = 0; i < ledger->nodes; i++) {
		const struct atr_ledger_node *node = ledger->node[i];

		while (__atomic_load_n(&node->snapshot.epoch, __ATOMIC_ACQUIRE) != epoch) {
			if (rte_rdtsc() > deadline)
				return -ETIMEDOUT;
			rte_delay_us_sleep(20);
		}
		add(&out->datagrams, &node->snapshot.book.datagrams);
		add(&out->events, &node->snapshot.book.events);
		out->arp += node->snapshot.book.arp;
		out->icmp += node->snapshot.book.icmp;
		out->foreign += node->snapshot.book.foreign;
	}
	return 0;
}
