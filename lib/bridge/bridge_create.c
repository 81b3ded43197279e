/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <rte_errno.h>

#include "bridge.h"

/* Shards count to ATR_SHARDS_MAX: in bytes, their numbers always fit into the name. */
static struct rte_ring *ring_of(const char *kind, uint8_t from, uint8_t to, unsigned int size,
				unsigned int count, int socket)
{
	char name[RTE_RING_NAMESIZE];

	if ((size_t)snprintf(name, sizeof(name), "atr_%s_%u_%u", kind, from, to) >= sizeof(name)) {
		rte_errno = ENAMETOOLONG;
		return NULL;
	}
	return rte_ring_create_elem(name, size, count, socket, RING_F_SP_ENQ | RING_F_SC_DEQ);
}

static struct rte_ring *ring(const char *kind, uint8_t from, uint8_t to, unsigned int count,
			     int socket)
{
	return ring_of(kind, from, to, sizeof(struct atr_msg), count, socket);
}

static int create(struct atr_bridge *bridge, const struct atr_bridge_sizes *sizes, int socket)
{
	for (uint8_t s = 0; s < bridge->shards; s++) {
		bridge->verify[s] = ring("verify", s, 0, sizes->verify, socket);
		bridge->envelopes[s] = ring("env", s, 0, sizes->envelopes, socket);
		bridge->link[s] = ring("link", s, 0, sizes->link, socket);
		bridge->down[s] = ring("down", 0, s, sizes->down, socket);
		bridge->requests[s] = ring("gap", s, 0, sizes->gaps, socket);
		bridge->answers[s] = ring("fill", 0, s, sizes->gaps, socket);
		if (!bridge->requests[s] || !bridge->answers[s])
			return -rte_errno;
		if (!bridge->verify[s] || !bridge->envelopes[s] || !bridge->link[s] ||
		    !bridge->down[s])
			return -rte_errno;
		if (sizes->acks > 0) {
			bridge->acks[s] =
				ring_of("acks", s, 0, sizes->acks_size, sizes->acks, socket);
			if (!bridge->acks[s])
				return -rte_errno;
		}
		for (uint8_t to = 0; to < bridge->shards; to++) {
			if (to == s)
				continue;
			bridge->handover[s][to] = ring("hand", s, to, sizes->handover, socket);
			if (!bridge->handover[s][to])
				return -rte_errno;
		}
	}
	return 0;
}

int atr_bridge_create(struct atr_bridge *bridge, unsigned int shards,
		      const struct atr_bridge_sizes *sizes, int socket, char *error, size_t size)
{
	int rc;

	memset(bridge, 0, sizeof(*bridge));
	bridge->shards = shards;
	rc = create(bridge, sizes, socket);
	if (rc < 0) {
		snprintf(error, size,
			 "bridge: rings for %u shards: %s; give EAL more memory (-m or hugepages)",
			 shards, rte_strerror(-rc));
		atr_bridge_free(bridge);
	}
	return rc;
}

void atr_bridge_free(struct atr_bridge *bridge)
{
	for (unsigned int s = 0; s < bridge->shards; s++) {
		rte_ring_free(bridge->verify[s]);
		rte_ring_free(bridge->envelopes[s]);
		rte_ring_free(bridge->link[s]);
		rte_ring_free(bridge->down[s]);
		rte_ring_free(bridge->requests[s]);
		rte_ring_free(bridge->answers[s]);
		rte_ring_free(bridge->acks[s]);
		for (unsigned int to = 0; to < bridge->shards; to++)
			rte_ring_free(bridge->handover[s][to]);
	}
	memset(bridge, 0, sizeof(*bridge));
}
