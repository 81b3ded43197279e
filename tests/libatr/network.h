/* SPDX-License-Identifier: BSD-3-Clause */
/* Datagrams under way on a network that loses, doubles and reorders them. */
#ifndef TESTS_LIBATR_NETWORK_H
#define TESTS_LIBATR_NETWORK_H

#include <stddef.h>
#include <stdint.h>

#include "../../lib/wire/frame.h"

#define NETWORK_QUEUED 8192 /* further datagrams are lost */

struct network {
	uint64_t random;   /* state */
	unsigned int loss; /* percent, and of doubled datagrams; 0: in order, too */
};

/* One direction. Each datagram has memory of its own and no byte more. */
struct network_way {
	struct {
		uint8_t *bytes;
		size_t length;
	} item[NETWORK_QUEUED];
	unsigned int count;
};

void network_put(struct network *network, struct network_way *way, const void *bytes,
		 size_t length);

/* Loses all that are under way. */
void network_clear(struct network_way *way);

/* Takes one of those under way, of which there must be one; returns its length. */
size_t network_get(struct network *network, struct network_way *way, uint8_t *bytes);

#endif
