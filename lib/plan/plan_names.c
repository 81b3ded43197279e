/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "plan_internal.h"

_Static_assert(crypto_shorthash_KEYBYTES == sizeof(((struct plan_names *)0)->key), "key size");

int plan_names_init(struct plan_names *names, size_t count)
{
	uint32_t space = 2;

	while (space < 2 * count)
		space *= 2;
	names->slots = calloc(space, sizeof(*names->slots));
	names->mask = space - 1;
	crypto_shorthash_keygen(names->key);
	return names->slots ? 0 : -ENOMEM;
}

void plan_names_free(struct plan_names *names)
{
	free(names->slots);
	names->slots = NULL;
}

/* Slot that holds the name, or the free one where it belongs. */
static struct plan_name_slot *seek(const struct plan_names *names, const char *name, size_t length)
{
	uint64_t hash;
	uint32_t at;

	crypto_shorthash((unsigned char *)&hash, (const unsigned char *)name, length, names->key);
	for (at = (uint32_t)hash & names->mask;; at = (at + 1) & names->mask) {
		struct plan_name_slot *slot = &names->slots[at];

		if (!slot->name ||
		    (strlen(slot->name) == length && memcmp(slot->name, name, length) == 0))
			return slot;
	}
}

int plan_names_add(struct plan_names *names, const char *name, uint32_t id)
{
	struct plan_name_slot *slot = seek(names, name, strlen(name));

	if (slot->name)
		return -EEXIST;
	*slot = (struct plan_name_slot){name, id};
	return 0;
}

bool plan_names_find(const struct plan_names *names, const char *name, size_t length, uint32_t *id)
{
	const struct plan_name_slot *slot;

	if (!names->slots || length > ATR_NAME_MAX)
		return false;
	slot = seek(names, name, length);
	if (!slot->name)
		return false;
	*id = slot->id;
	return true;
}
