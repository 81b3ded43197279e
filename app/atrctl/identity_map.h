/* SPDX-License-Identifier: BSD-3-Clause */
/* Identities seen in one run of a tool, each with a digest of its bytes. */
#ifndef ATRCTL_IDENTITY_MAP_H
#define ATRCTL_IDENTITY_MAP_H

#include <stddef.h>
#include <stdint.h>

#define IDENTITY_DIGEST 16

/* (source, sequence) of frames, or (source, uuid) of envelopes. */
struct identity {
	uint32_t source;
	uint32_t is_uuid;
	uint8_t id[16];
};

struct identity_map;

/* NULL when out of memory. */
struct identity_map *identity_map_create(void);
void identity_map_free(struct identity_map *map);

/* ATR_OK if the identity was free; it is taken now. ATR_DUPLICATE if it was taken by
 * the same bytes, ATR_REASON_CONFLICT if by others, ATR_REASON_MEMORY_FULL when out of memory. */
uint8_t identity_map_test(struct identity_map *map, const struct identity *identity,
			  const uint8_t digest[IDENTITY_DIGEST]);

#endif
