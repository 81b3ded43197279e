/* SPDX-License-Identifier: BSD-3-Clause */
#include "auth.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "../memory/memory.h"
#include "auth_internal.h"

#define TREES_MAX   (1u << 20)
#define NODES_MIN   4u
#define NODES_MAX   (1u << 16)
#define PENDING_MAX (1u << 16)
#define REFUSED_MAX (1u << 20)
#define HELD_MAX    (1u << 22)

static const struct bound {
	size_t offset;
	unsigned int low, high;
	const char *name;
} bounds[] = {
	{offsetof(struct atr_auth_params, trees), 1, TREES_MAX, "trees"},
	{offsetof(struct atr_auth_params, nodes_per_tree), NODES_MIN, NODES_MAX, "nodes_per_tree"},
	{offsetof(struct atr_auth_params, pending_roots), 1, PENDING_MAX, "pending_roots"},
	{offsetof(struct atr_auth_params, pending_per_source), 1, PENDING_MAX,
	 "pending_per_source"},
	{offsetof(struct atr_auth_params, refused_roots), 1, REFUSED_MAX, "refused_roots"},
	{offsetof(struct atr_auth_params, hold_frames), 1, HELD_MAX, "hold_frames"},
	{offsetof(struct atr_auth_params, hold_per_source), 1, HELD_MAX, "hold_per_source"},
};

static int params_check(const struct atr_auth_params *params, char *error, size_t size)
{
	for (size_t i = 0; i < sizeof(bounds) / sizeof(bounds[0]); i++) {
		unsigned int value;

		memcpy(&value, (const uint8_t *)params + bounds[i].offset, sizeof(value));
		if (value >= bounds[i].low && value <= bounds[i].high)
			continue;
		snprintf(error, size, "authentication: %s is %u; choose %u to %u", bounds[i].name,
			 value, bounds[i].low, bounds[i].high);
		return -1;
	}
	if (params->nodes_per_tree & (params->nodes_per_tree - 1)) {
		snprintf(error, size, "authentication: nodes_per_tree is %u; choose a power of two",
			 params->nodes_per_tree);
		return -1;
	}
	return 0;
}

/* Pairs of siblings kept at a level: half of a tree's nodes are leaves, and so on; one at least. */
static uint32_t level_pairs(uint32_t nodes, unsigned int level)
{
	uint32_t pairs = nodes >> 2 >> level;

	return pairs > 0 ? pairs : 1;
}

static uint32_t tree_pairs(uint32_t nodes)
{
	uint32_t pairs = 0;

	for (unsigned int level = 0; level < AUTH_LEVELS; level++)
		pairs += level_pairs(nodes, level);
	return pairs;
}

/* Smallest power of two that leaves chains of one on average. */
static uint32_t bucket_count(uint32_t entries)
{
	uint32_t n = 1;

	while (n < entries)
		n <<= 1;
	return n;
}

/* Hands out parts of a block, or, without a block, only counts. */
struct carve {
	uint8_t *block;
	size_t used;
};

static void *carve(struct carve *from, size_t count, size_t size)
{
	void *part = from->block ? from->block + from->used : NULL;

	from->used += (count * size + ATR_CACHE_LINE - 1) & ~(size_t)(ATR_CACHE_LINE - 1);
	return part;
}

static void carve_index(struct carve *from, struct auth_index *index, uint32_t entries)
{
	uint32_t buckets = bucket_count(entries);

	index->bucket = carve(from, buckets, sizeof(*index->bucket));
	index->next = carve(from, entries, sizeof(*index->next));
	index->hash = carve(from, entries, sizeof(*index->hash));
	index->mask = buckets - 1;
	if (index->bucket)
		memset(index->bucket, 0xFF, buckets * sizeof(*index->bucket));
}

static void carve_lru(struct carve *from, struct auth_lru *lru, uint32_t entries)
{
	lru->link = carve(from, entries, sizeof(*lru->link));
	lru->newest = lru->oldest = AUTH_NONE;
}

/* Sets every table of auth, whose params are set; the first part of the block is auth itself. */
static void carve_all(struct carve *from, struct atr_auth *auth)
{
	const struct atr_auth_params *p = &auth->params;
	uint32_t trees = p->trees + p->pending_roots;

	auth->pairs = tree_pairs(p->nodes_per_tree);
	carve(from, 1, sizeof(*auth));
	auth->tree = carve(from, trees, sizeof(*auth->tree));
	auth->request = carve(from, trees, sizeof(*auth->request));
	auth->tag = carve(from, (size_t)trees * auth->pairs, sizeof(*auth->tag));
	auth->pair = carve(from, (size_t)trees * auth->pairs, sizeof(*auth->pair));
	carve_index(from, &auth->by_tree, trees);
	carve_index(from, &auth->by_root, trees);
	carve_lru(from, &auth->proven, trees);
	auth->refused = carve(from, p->refused_roots, sizeof(*auth->refused));
	carve_index(from, &auth->by_refused, p->refused_roots);
	carve_lru(from, &auth->refused_lru, p->refused_roots);
	auth->held = carve(from, p->hold_frames, sizeof(*auth->held));
	auth->source = carve(from, AUTH_SOURCES, sizeof(*auth->source));
	auth->sender = carve(from, AUTH_SENDERS, sizeof(*auth->sender));
}

size_t atr_auth_footprint(const struct atr_auth_params *params)
{
	struct carve from = {NULL, 0};
	struct atr_auth counted = {.params = *params};

	carve_all(&from, &counted);
	return from.used;
}

static void lists_init(struct atr_auth *auth)
{
	const struct atr_auth_params *p = &auth->params;
	uint32_t trees = p->trees + p->pending_roots, base = 0;

	for (uint32_t i = 0; i < trees; i++) {
		auth->tree[i].queue_next = i + 1 < trees ? i + 1 : AUTH_NONE;
		auth->tree[i].hold_first = auth->tree[i].hold_last = AUTH_NONE;
	}
	for (uint32_t i = 0; i < p->refused_roots; i++)
		auth->refused[i].free_next = i + 1 < p->refused_roots ? i + 1 : AUTH_NONE;
	for (uint32_t i = 0; i < p->hold_frames; i++)
		auth->held[i].next = i + 1 < p->hold_frames ? i + 1 : AUTH_NONE;
	for (unsigned int level = 0; level < AUTH_LEVELS; level++) {
		uint32_t pairs = level_pairs(p->nodes_per_tree, level);

		auth->level_base[level] = base;
		auth->level_mask[level] = pairs - 1;
		base += pairs;
	}
	auth->unsent.first = auth->unsent.last = AUTH_NONE;
	auth->ready.first = auth->ready.last = AUTH_NONE;
}

struct atr_auth *atr_auth_create(const struct atr_auth_params *params, uint32_t shard, int socket,
				 char *error, size_t size)
{
	struct carve from = {NULL, 0};
	struct atr_auth *auth;
	size_t bytes;

	if (params_check(params, error, size) < 0)
		return NULL;
	bytes = atr_auth_footprint(params);
	from.block = atr_memory_alloc(bytes, socket);
	if (!from.block) {
		snprintf(error, size,
			 "authentication: out of memory; free %zu bytes or ask for fewer trees",
			 bytes);
		return NULL;
	}
	auth = (struct atr_auth *)from.block;
	auth->params = *params;
	auth->per_source = params->pending_per_source;
	auth->shard = shard;
	auth->fail_tsc = params->tsc_hz / ATR_AUTH_FAILS;
	auth->known_tsc = params->tsc_hz * ATR_AUTH_KNOWN_S;
	carve_all(&from, auth);
	lists_init(auth);
	randombytes_buf(auth->secret, sizeof(auth->secret));
	return auth;
}

void atr_auth_free(struct atr_auth *auth)
{
	if (!auth)
		return;
	sodium_memzero(auth->secret, sizeof(auth->secret));
	atr_memory_free(auth);
}
