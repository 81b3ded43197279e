/* SPDX-License-Identifier: BSD-3-Clause */
#include "commit.h"

#include <errno.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_malloc.h>

#define REPUBLISH_WAIT_S 1

size_t atr_commit_footprint(unsigned int acks)
{
	return acks * sizeof(struct atr_pending_ack);
}

int atr_commit_create(struct atr_commit *commit, const struct atr_commit_config *config, int socket)
{
	uint64_t hz = rte_get_tsc_hz();

	memset(commit, 0, sizeof(*commit));
	commit->log = config->log;
	commit->durability = config->durability;
	commit->seal_bytes = config->seal_bytes;
	commit->seal_tsc = hz / 1000000 * config->seal_us;
	commit->seal_ahead = config->seal_ahead;
	memcpy(commit->next, config->next, sizeof(commit->next));
	commit->group_end = config->group_end;
	commit->recovered = config->recovered;
	commit->recovered_count = config->recovered_count;
	commit->republish_tsc = rte_rdtsc() + REPUBLISH_WAIT_S * hz;
	if (config->durability != ATR_DURABILITY_COMMIT)
		return 0;
	commit->acks.mask = config->acks - 1;
	commit->acks.slot = rte_zmalloc_socket("atr_acks", atr_commit_footprint(config->acks),
					       RTE_CACHE_LINE_SIZE, socket);
	return commit->acks.slot ? 0 : -ENOMEM;
}

void atr_commit_free(struct atr_commit *commit)
{
	while (commit->envelope_head != commit->envelope_tail)
		rte_pktmbuf_free(commit->envelope[commit->envelope_head++ % ATR_ADMITS_MAX]);
	rte_free(commit->acks.slot);
	commit->acks.slot = NULL;
}
