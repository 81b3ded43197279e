/* SPDX-License-Identifier: BSD-3-Clause */
#include "auth_internal.h"

#include <string.h>

/* Multilinear hashing with pairs of words (Lemire and Kaser): strongly universal in the upper half
 * as long as the secret is one, and far cheaper than SipHash on 88 bytes. */
uint32_t auth_key_hash(const struct atr_auth *auth, const struct auth_key *key, size_t size)
{
	const uint8_t *bytes = (const uint8_t *)key;
	uint64_t sum = auth->secret[AUTH_KEY_WORDS];

	for (size_t i = 0; i < size / sizeof(uint32_t); i += 2) {
		uint32_t word[2];

		memcpy(word, bytes + i * sizeof(uint32_t), sizeof(word));
		sum += (auth->secret[i] + word[0]) * (auth->secret[i + 1] + word[1]);
	}
	return (uint32_t)(sum >> 32);
}

void auth_index_add(struct auth_index *index, uint32_t entry, uint32_t hash)
{
	uint32_t *bucket = &index->bucket[hash & index->mask];

	index->hash[entry] = hash;
	index->next[entry] = *bucket;
	*bucket = entry;
}

void auth_index_remove(struct auth_index *index, uint32_t entry)
{
	uint32_t *link = &index->bucket[index->hash[entry] & index->mask];

	while (*link != entry)
		link = &index->next[*link];
	*link = index->next[entry];
}

void auth_lru_add(struct auth_lru *lru, uint32_t entry)
{
	lru->link[entry].newer = AUTH_NONE;
	lru->link[entry].older = lru->newest;
	if (lru->newest != AUTH_NONE)
		lru->link[lru->newest].newer = entry;
	else
		lru->oldest = entry;
	lru->newest = entry;
}

void auth_lru_remove(struct auth_lru *lru, uint32_t entry)
{
	struct auth_link link = lru->link[entry];

	if (link.newer != AUTH_NONE)
		lru->link[link.newer].older = link.older;
	else
		lru->newest = link.older;
	if (link.older != AUTH_NONE)
		lru->link[link.older].newer = link.newer;
	else
		lru->oldest = link.newer;
}

uint32_t auth_find_tree(const struct atr_auth *auth, const struct auth_key *key, uint32_t hash)
{
	const struct auth_index *index = &auth->by_tree;
	uint32_t i = index->bucket[hash & index->mask];

	while (i != AUTH_NONE &&
	       (index->hash[i] != hash || memcmp(&auth->tree[i].key, key, AUTH_TREE_SIZE) != 0))
		i = index->next[i];
	return i;
}

uint32_t auth_find_pending(const struct atr_auth *auth, const struct auth_key *key, uint32_t hash)
{
	const struct auth_index *index = &auth->by_root;
	uint32_t i = index->bucket[hash & index->mask];

	while (i != AUTH_NONE &&
	       (index->hash[i] != hash || memcmp(&auth->tree[i].key, key, AUTH_KEY_SIZE) != 0))
		i = index->next[i];
	return i;
}

uint32_t auth_find_refused(const struct atr_auth *auth, const struct auth_key *key, uint32_t hash)
{
	const struct auth_index *index = &auth->by_refused;
	uint32_t i = index->bucket[hash & index->mask];

	while (i != AUTH_NONE &&
	       (index->hash[i] != hash || memcmp(&auth->refused[i].key, key, AUTH_KEY_SIZE) != 0))
		i = index->next[i];
	return i;
}

uint32_t auth_tree_take(struct atr_auth *auth)
{
	uint32_t i = auth->tree_free;
	struct auth_tree *tree;

	if (i == AUTH_NONE)
		return AUTH_NONE;
	tree = &auth->tree[i];
	auth->tree_free = tree->queue_next;
	if (++tree->generation == 0) {
		/* Tags of 2^32 uses ago could come alive again. */
		memset(auth->tag + (size_t)i * auth->pairs, 0, auth->pairs * sizeof(*auth->tag));
		tree->generation = 1;
	}
	tree->queue_next = AUTH_NONE;
	tree->hold_first = tree->hold_last = AUTH_NONE;
	return i;
}

void auth_tree_drop(struct atr_auth *auth, uint32_t i)
{
	struct auth_tree *tree = &auth->tree[i];

	if (tree->by_tree)
		auth_index_remove(&auth->by_tree, i);
	if (tree->state == AUTH_PROVEN) {
		auth_lru_remove(&auth->proven, i);
		auth->proven_count--;
	} else {
		auth_index_remove(&auth->by_root, i);
	}
	tree->by_tree = false;
	tree->state = AUTH_FREE;
	tree->queue_next = auth->tree_free;
	auth->tree_free = i;
}

void auth_tree_represent(struct atr_auth *auth, uint32_t i)
{
	struct auth_tree *tree = &auth->tree[i];
	uint32_t hash = auth_key_hash(auth, &tree->key, AUTH_TREE_SIZE);
	uint32_t old = auth_find_tree(auth, &tree->key, hash);

	if (old == i)
		return;
	if (old != AUTH_NONE && auth->tree[old].state == AUTH_PROVEN) {
		auth_tree_drop(auth, old);
	} else if (old != AUTH_NONE) {
		auth_index_remove(&auth->by_tree, old);
		auth->tree[old].by_tree = false;
	}
	auth_index_add(&auth->by_tree, i, hash);
	tree->by_tree = true;
}

void auth_refused_remember(struct atr_auth *auth, const struct auth_key *key, uint8_t reason)
{
	uint32_t hash = auth_key_hash(auth, key, AUTH_KEY_SIZE);
	uint32_t i;

	if (auth->refused_free == AUTH_NONE)
		auth_refused_drop(auth, auth->refused_lru.oldest);
	i = auth->refused_free;
	auth->refused_free = auth->refused[i].free_next;
	auth->refused[i].key = *key;
	auth->refused[i].reason = reason;
	auth_index_add(&auth->by_refused, i, hash);
	auth_lru_add(&auth->refused_lru, i);
}

void auth_refused_drop(struct atr_auth *auth, uint32_t i)
{
	auth_index_remove(&auth->by_refused, i);
	auth_lru_remove(&auth->refused_lru, i);
	auth->refused[i].key.source = 0;
	auth->refused[i].free_next = auth->refused_free;
	auth->refused_free = i;
}
