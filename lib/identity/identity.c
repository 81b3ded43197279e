/* SPDX-License-Identifier: BSD-3-Clause */
#include "identity.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_hash.h>
#include <rte_jhash.h>
#include <sodium.h>

#define MS_PER_SLOT 1000 /* identities are forgotten a second's worth at a time */
#define NIL         UINT32_MAX

struct key {
	uint32_t source;
	uint8_t uuid[16];
};
_Static_assert(sizeof(struct key) == 20, "hashed without padding");

struct entry {
	struct key key;
	uint8_t digest[ATR_IDENTITY_DIGEST];
	uint64_t uuid_ms;
	uint64_t position;
	void *waiting;
	uint32_t shard;
	uint32_t prev, next; /* in the slot of its second, or the free list */
	bool pending;
};

struct atr_identity {
	struct rte_hash *hash;
	uint32_t capacity, count, free_head;
	uint32_t slots;
	uint64_t oldest_slot; /* seconds below this hold nothing but pending entries */
	uint32_t *slot;       /* heads */
	struct entry *entry;
};

struct atr_identity *atr_identity_create(uint32_t capacity, uint64_t window_ms, int socket)
{
	static unsigned int created;
	struct atr_identity *m = calloc(1, sizeof(*m));
	char name[RTE_HASH_NAMESIZE];
	struct rte_hash_parameters params = {.name = name,
					     .entries = capacity,
					     .key_len = sizeof(struct key),
					     .hash_func = rte_jhash,
					     .socket_id = socket,
					     /* Room for capacity, however keys fall. */
					     .extra_flag = RTE_HASH_EXTRA_FLAGS_EXT_TABLE};

	if (!m)
		return NULL;
	snprintf(name, sizeof(name), "atr_identity_%u", created++);
	params.hash_func_init_val = randombytes_random();
	m->capacity = capacity;
	m->slots = (uint32_t)(window_ms / MS_PER_SLOT + 3);
	m->hash = rte_hash_create(&params);
	m->slot = malloc(m->slots * sizeof(*m->slot));
	m->entry = calloc(capacity, sizeof(*m->entry));
	if (!m->hash || !m->slot || !m->entry) {
		atr_identity_free(m);
		return NULL;
	}
	for (uint32_t s = 0; s < m->slots; s++)
		m->slot[s] = NIL;
	for (uint32_t e = 0; e < capacity; e++)
		m->entry[e].next = e + 1 < capacity ? e + 1 : NIL;
	return m;
}

void atr_identity_free(struct atr_identity *memory)
{
	if (!memory)
		return;
	rte_hash_free(memory->hash);
	free(memory->slot);
	free(memory->entry);
	free(memory);
}

static struct key make_key(uint32_t source, const uint8_t uuid[16])
{
	struct key key = {.source = source};

	memcpy(key.uuid, uuid, sizeof(key.uuid));
	return key;
}

enum atr_identity_state atr_identity_find(const struct atr_identity *memory, uint32_t source,
					  const uint8_t uuid[16],
					  const uint8_t digest[ATR_IDENTITY_DIGEST],
					  uint32_t *entry)
{
	struct key key = make_key(source, uuid);
	const struct entry *e;
	void *data;

	if (rte_hash_lookup_data(memory->hash, &key, &data) < 0)
		return ATR_IDENTITY_NEW;
	*entry = (uint32_t)(uintptr_t)data;
	e = &memory->entry[*entry];
	if (memcmp(e->digest, digest, ATR_IDENTITY_DIGEST) != 0)
		return ATR_IDENTITY_CONFLICT;
	return e->pending ? ATR_IDENTITY_PENDING : ATR_IDENTITY_LOGGED;
}

static uint32_t *slot_of(struct atr_identity *m, uint64_t uuid_ms)
{
	return &m->slot[uuid_ms / MS_PER_SLOT % m->slots];
}

int atr_identity_take(struct atr_identity *memory, uint32_t source, const uint8_t uuid[16],
		      const uint8_t digest[ATR_IDENTITY_DIGEST], uint64_t uuid_ms)
{
	uint32_t index = memory->free_head;
	uint32_t *head = slot_of(memory, uuid_ms);
	struct entry *e;

	if (memory->count == memory->capacity)
		return -ENOSPC;
	e = &memory->entry[index];
	e->key = make_key(source, uuid);
	if (rte_hash_add_key_data(memory->hash, &e->key, (void *)(uintptr_t)index) < 0)
		return -ENOSPC;
	memory->free_head = e->next;
	memory->count++;
	memcpy(e->digest, digest, ATR_IDENTITY_DIGEST);
	e->uuid_ms = uuid_ms;
	e->pending = true;
	e->waiting = NULL;
	e->prev = NIL;
	e->next = *head;
	if (*head != NIL)
		memory->entry[*head].prev = index;
	*head = index;
	return (int)index;
}

static void forget(struct atr_identity *m, uint32_t index)
{
	struct entry *e = &m->entry[index];

	rte_hash_del_key(m->hash, &e->key);
	if (e->prev != NIL)
		m->entry[e->prev].next = e->next;
	else
		*slot_of(m, e->uuid_ms) = e->next;
	if (e->next != NIL)
		m->entry[e->next].prev = e->prev;
	e->next = m->free_head;
	m->free_head = index;
	m->count--;
}

void *atr_identity_waiting(const struct atr_identity *memory, uint32_t entry)
{
	return memory->entry[entry].waiting;
}

void atr_identity_set_waiting(struct atr_identity *memory, uint32_t entry, void *waiting)
{
	memory->entry[entry].waiting = waiting;
}

void atr_identity_logged(struct atr_identity *memory, uint32_t entry, uint32_t shard,
			 uint64_t position)
{
	memory->entry[entry].pending = false;
	memory->entry[entry].shard = shard;
	memory->entry[entry].position = position;
}

void atr_identity_shed(struct atr_identity *memory, uint32_t entry)
{
	forget(memory, entry);
}

void atr_identity_position(const struct atr_identity *memory, uint32_t entry, uint32_t *shard,
			   uint64_t *position)
{
	*shard = memory->entry[entry].shard;
	*position = memory->entry[entry].position;
}

static void expire_slot(struct atr_identity *m, uint32_t slot, uint64_t oldest_ms)
{
	uint32_t index = m->slot[slot];

	while (index != NIL) {
		uint32_t next = m->entry[index].next;

		if (!m->entry[index].pending && m->entry[index].uuid_ms < oldest_ms)
			forget(m, index);
		index = next;
	}
}

void atr_identity_expire(struct atr_identity *memory, uint64_t oldest_ms)
{
	uint64_t until = oldest_ms / MS_PER_SLOT;

	/* After a jump of the clock one full round covers every slot. */
	if (until > memory->oldest_slot + memory->slots)
		memory->oldest_slot = until - memory->slots;
	for (; memory->oldest_slot < until; memory->oldest_slot++)
		expire_slot(memory, (uint32_t)(memory->oldest_slot % memory->slots), oldest_ms);
}

uint32_t atr_identity_count(const struct atr_identity *memory)
{
	return memory->count;
}

uint32_t atr_identity_capacity(const struct atr_identity *memory)
{
	return memory->capacity;
}
