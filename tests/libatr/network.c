/* SPDX-License-Identifier: BSD-3-Clause */
#include "network.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "memory_files.h"

static bool chance(struct network *n)
{
	return test_random(&n->random) % 100 < n->loss;
}

void network_put(struct network *n, struct network_way *way, const void *bytes, size_t length)
{
	unsigned int copies = chance(n) ? 0 : 1 + chance(n);

	for (; copies && way->count < NETWORK_QUEUED; copies--) {
		uint8_t *copy = malloc(length);

		if (!copy)
			abort();
		memcpy(copy, bytes, length);
		way->item[way->count].bytes = copy;
		way->item[way->count++].length = length;
	}
}

void network_clear(struct network_way *way)
{
	while (way->count > 0)
		free(way->item[--way->count].bytes);
}

size_t network_get(struct network *n, struct network_way *way, uint8_t *bytes)
{
	unsigned int i = n->loss ? (unsigned int)(test_random(&n->random) % way->count) : 0;
	size_t length = way->item[i].length;

	memcpy(bytes, way->item[i].bytes, length);
	free(way->item[i].bytes);
	way->count--;
	memmove(&way->item[i], &way->item[i + 1], (way->count - i) * sizeof(way->item[0]));
	return length;
}
