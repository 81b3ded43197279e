/* SPDX-License-Identifier: BSD-3-Clause */
#include "identity_map.h"

#include <sodium.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "../../lib/reason/reason.h"

#define FIRST_SLOTS 1024u

struct slot {
	bool taken;
	struct identity identity;
	uint8_t digest[IDENTITY_DIGEST];
};

struct identity_map {
	uint8_t key[crypto_shorthash_KEYBYTES]; /* captures are hostile: probes must not be steered
						 */
	size_t slots, used;
	struct slot *slot;
};

struct identity_map *identity_map_create(void)
{
	struct identity_map *map = calloc(1, sizeof(*map));

	if (!map)
		return NULL;
	crypto_shorthash_keygen(map->key);
	map->slots = FIRST_SLOTS;
	map->slot = calloc(map->slots, sizeof(*map->slot));
	if (!map->slot) {
		free(map);
		return NULL;
	}
	return map;
}

void identity_map_free(struct identity_map *map)
{
	if (map)
		free(map->slot);
	free(map);
}

static struct slot *probe(const struct identity_map *map, const struct identity *identity)
{
	uint8_t hash[crypto_shorthash_BYTES];
	uint64_t at;

	crypto_shorthash(hash, (const uint8_t *)identity, sizeof(*identity), map->key);
	memcpy(&at, hash, sizeof(at));
	for (at &= map->slots - 1; map->slot[at].taken; at = (at + 1) & (map->slots - 1))
		if (memcmp(&map->slot[at].identity, identity, sizeof(*identity)) == 0)
			break;
	return &map->slot[at];
}

static bool grow(struct identity_map *map)
{
	struct identity_map larger = *map;

	larger.slots *= 2;
	larger.slot = calloc(larger.slots, sizeof(*larger.slot));
	if (!larger.slot)
		return false;
	for (size_t i = 0; i < map->slots; i++)
		if (map->slot[i].taken)
			*probe(&larger, &map->slot[i].identity) = map->slot[i];
	free(map->slot);
	*map = larger;
	return true;
}

uint8_t identity_map_test(struct identity_map *map, const struct identity *identity,
			  const uint8_t digest[IDENTITY_DIGEST])
{
	struct slot *slot;

	if (map->used >= map->slots / 2 && !grow(map))
		return ATR_REASON_MEMORY_FULL;
	slot = probe(map, identity);
	if (slot->taken)
		return memcmp(slot->digest, digest, IDENTITY_DIGEST) == 0 ? ATR_DUPLICATE
									  : ATR_REASON_CONFLICT;
	slot->taken = true;
	slot->identity = *identity;
	memcpy(slot->digest, digest, IDENTITY_DIGEST);
	map->used++;
	return ATR_OK;
}
