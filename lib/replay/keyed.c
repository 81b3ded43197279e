/* SPDX-License-Identifier: BSD-3-Clause */
#include "keyed.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "replay_internal.h"

_Static_assert(KEYED_SEED == crypto_shorthash_KEYBYTES, "seed of SipHash");

void keyed_init(struct keyed *keyed, uint64_t limit)
{
	memset(keyed, 0, sizeof(*keyed));
	keyed->stats.limit = limit;
	randombytes_buf(keyed->seed, sizeof(keyed->seed));
}

static void free_node(struct keyed_node *node)
{
	free((void *)(uintptr_t)node->entry.key);
	free((void *)(uintptr_t)node->entry.value);
	free(node);
}

void keyed_free(struct keyed *keyed)
{
	struct keyed_node *node = keyed->first[0];

	while (node) {
		struct keyed_node *next = node->next[0];

		free_node(node);
		node = next;
	}
	if (keyed->parser)
		atr_json_parser_destroy(keyed->parser);
	free(keyed->text);
}

static int compare(const struct atr_state_entry *a, const struct atr_state_entry *b)
{
	uint32_t shorter = a->key_length < b->key_length ? a->key_length : b->key_length;
	int bytes;

	if (a->source != b->source)
		return a->source < b->source ? -1 : 1;
	if (a->type != b->type)
		return a->type < b->type ? -1 : 1;
	bytes = shorter ? memcmp(a->key, b->key, shorter) : 0;
	if (bytes)
		return bytes;
	return (a->key_length > b->key_length) - (a->key_length < b->key_length);
}

/* Links that lead to the first entry not below the one given, one a level. */
static struct keyed_node *descend(const struct keyed *keyed, const struct atr_state_entry *entry,
				  struct keyed_node **links[KEYED_LEVELS])
{
	struct keyed_node *const *at = keyed->first;

	for (unsigned int level = KEYED_LEVELS; level-- > 0;) {
		while (at[level] && compare(&at[level]->entry, entry) < 0)
			at = at[level]->next;
		if (links)
			links[level] = (struct keyed_node **)(uintptr_t)&at[level];
	}
	return at[0];
}

struct keyed_node *keyed_find(const struct keyed *keyed, uint32_t source, uint32_t type,
			      const char *key, uint32_t key_length)
{
	struct atr_state_entry wanted = {
		.source = source, .type = type, .key = key, .key_length = key_length};
	struct keyed_node *node = descend(keyed, &wanted, NULL);

	return node && compare(&node->entry, &wanted) == 0 ? node : NULL;
}

static uint8_t levels_of(const struct keyed *keyed, const struct atr_state_entry *entry)
{
	uint64_t hash;
	uint8_t levels = 1;

	crypto_shorthash((uint8_t *)&hash, (const uint8_t *)entry->key, entry->key_length,
			 keyed->seed);
	hash ^= (uint64_t)entry->source << 32 | entry->type;
	hash *= UINT64_C(0x9E3779B97F4A7C15);
	hash ^= hash >> 32;
	/* One in four goes a level up. */
	for (; levels < KEYED_LEVELS && (hash & 3) == 0; hash >>= 2)
		levels++;
	return levels;
}

static uint8_t *copy(const void *bytes, uint32_t length)
{
	uint8_t *to = malloc((size_t)length + 1);

	if (to && length)
		memcpy(to, bytes, length);
	return to;
}

struct keyed_node *keyed_add(struct keyed *keyed, const struct atr_state_entry *entry)
{
	struct keyed_node **links[KEYED_LEVELS];
	uint8_t levels = levels_of(keyed, entry);
	struct keyed_node *node = calloc(1, sizeof(*node) + levels * sizeof(struct keyed_node *));

	if (!node)
		return NULL;
	node->entry = *entry;
	node->levels = levels;
	node->entry.key = (const char *)copy(entry->key, entry->key_length);
	node->entry.value = copy(entry->value, entry->value_length);
	if (!node->entry.key || !node->entry.value) {
		free_node(node);
		return NULL;
	}
	descend(keyed, entry, links);
	for (unsigned int i = 0; i < levels; i++) {
		node->next[i] = *links[i];
		*links[i] = node;
	}
	keyed->stats.keys++;
	keyed->stats.bytes += (uint64_t)entry->key_length + entry->value_length;
	return node;
}

bool keyed_set_value(struct keyed *keyed, struct keyed_node *node, const uint8_t *value,
		     uint32_t length)
{
	uint8_t *to = (uint8_t *)(uintptr_t)node->entry.value;

	if (length > node->entry.value_length) {
		uint8_t *larger = realloc(to, length);

		if (!larger)
			return false;
		node->entry.value = to = larger;
	}
	if (length)
		memcpy(to, value, length);
	keyed->stats.bytes += length;
	keyed->stats.bytes -= node->entry.value_length;
	node->entry.value_length = length;
	return true;
}

void keyed_remove(struct keyed *keyed, const struct keyed_node *node)
{
	struct keyed_node **links[KEYED_LEVELS], *found = descend(keyed, &node->entry, links);

	for (unsigned int i = 0; i < found->levels; i++)
		*links[i] = found->next[i];
	keyed->stats.keys--;
	keyed->stats.bytes -= (uint64_t)found->entry.key_length + found->entry.value_length;
	free_node(found);
}

const struct atr_state_entry *atr_replay_state(const struct atr_replay *replay, uint32_t source,
					       uint32_t type, const char *key, uint32_t key_length)
{
	const struct keyed_node *node = keyed_find(&replay->keyed, source, type, key, key_length);

	return node ? &node->entry : NULL;
}

int atr_replay_states(const struct atr_replay *replay, uint32_t source, uint32_t type,
		      const char *key, uint32_t key_length,
		      int (*fn)(void *ctx, const struct atr_state_entry *entry), void *ctx)
{
	struct atr_state_entry from = {
		.source = source, .type = type, .key = key, .key_length = key_length};
	const struct keyed_node *node = descend(&replay->keyed, &from, NULL);
	int ret = 0;

	for (; node && ret == 0; node = node->next[0])
		ret = fn(ctx, &node->entry);
	return ret;
}

void atr_replay_state_stats(const struct atr_replay *replay, struct atr_state_stats *stats)
{
	*stats = replay->keyed.stats;
}
