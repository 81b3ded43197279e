/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "replay_internal.h"

#define SLOTS_FIRST 64
#define MS_NS       UINT64_C(1000000)

void replay_envelopes_age(struct atr_replay *replay)
{
	uint64_t now = replay->committed_ns / MS_NS;

	if (replay->plan && now > replay->plan->uuid_past_ms &&
	    now - replay->plan->uuid_past_ms > replay->oldest_ms)
		replay->oldest_ms = now - replay->plan->uuid_past_ms;
}

/* The UUID's random bits, mixed with the source. */
static uint32_t home(const struct replay_envelopes *table, uint32_t source, const uint8_t uuid[16])
{
	uint64_t low;

	memcpy(&low, uuid + sizeof(low), sizeof(low));
	low = (low ^ source) * UINT64_C(0x9E3779B97F4A7C15);
	return (uint32_t)(low >> 32) & table->mask;
}

/* The slot of an identity, or the free one where it goes. */
static struct atr_replay_envelope *find(const struct replay_envelopes *table, uint32_t source,
					const uint8_t uuid[16])
{
	uint32_t at = home(table, source, uuid);

	for (;; at = (at + 1) & table->mask) {
		struct atr_replay_envelope *slot = &table->slot[at];

		if (slot->source == 0 ||
		    (slot->source == source && memcmp(slot->uuid, uuid, sizeof(slot->uuid)) == 0))
			return slot;
	}
}

/* A new table for what is not too old, with room for half as many again at least. */
static bool rebuild(struct atr_replay *replay)
{
	struct replay_envelopes *old = &replay->envelopes, table = {.mask = SLOTS_FIRST - 1};
	uint64_t oldest = replay->oldest_ms;
	uint32_t kept = 0;

	for (uint32_t i = 0; old->slot && i <= old->mask; i++)
		kept += old->slot[i].source && old->slot[i].uuid_ms >= oldest;
	while (table.mask / 4 < kept)
		table.mask = table.mask * 2 + 1;
	table.slot = calloc((size_t)table.mask + 1, sizeof(*table.slot));
	if (!table.slot)
		return false;
	for (uint32_t i = 0; old->slot && i <= old->mask; i++) {
		const struct atr_replay_envelope *e = &old->slot[i];

		if (e->source && e->uuid_ms >= oldest)
			*find(&table, e->source, e->uuid) = *e;
	}
	table.count = kept;
	free(old->slot);
	*old = table;
	return true;
}

int replay_envelopes_put(struct atr_replay *replay, const struct atr_replay_envelope *envelope)
{
	struct replay_envelopes *table = &replay->envelopes;
	struct atr_replay_envelope *slot;

	if ((!table->slot || table->count >= table->mask / 2) && !rebuild(replay))
		return -ENOMEM;
	slot = find(table, envelope->source, envelope->uuid);
	if (slot->source && slot->uuid_ms >= replay->oldest_ms)
		return -EEXIST;
	table->count += slot->source == 0;
	*slot = *envelope;
	return 0;
}

static int by_position(const void *a, const void *b)
{
	const struct atr_replay_envelope *x = *(const struct atr_replay_envelope *const *)a;
	const struct atr_replay_envelope *y = *(const struct atr_replay_envelope *const *)b;

	return (x->position > y->position) - (x->position < y->position);
}

int atr_replay_envelopes(const struct atr_replay *replay,
			 int (*fn)(void *ctx, const struct atr_replay_envelope *envelope),
			 void *ctx)
{
	const struct replay_envelopes *table = &replay->envelopes;
	uint64_t oldest = replay->oldest_ms;
	const struct atr_replay_envelope **sorted;
	uint32_t count = 0;
	int ret = 0;

	if (table->count == 0)
		return 0;
	sorted = malloc(table->count * sizeof(struct atr_replay_envelope *));
	if (!sorted)
		return -ENOMEM;
	for (uint32_t i = 0; i <= table->mask; i++)
		if (table->slot[i].source && table->slot[i].uuid_ms >= oldest)
			sorted[count++] = &table->slot[i];
	qsort(sorted, count, sizeof(struct atr_replay_envelope *), by_position);
	for (uint32_t i = 0; i < count && ret == 0; i++)
		ret = fn(ctx, sorted[i]);
	free(sorted);
	return ret;
}
