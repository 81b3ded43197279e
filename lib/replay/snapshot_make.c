/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../log/crc.h"
#include "replay_internal.h"
#include "snapshot.h"

#define ALIGN       8
#define SPACE_FIRST 65536

struct writer {
	uint8_t *bytes;
	size_t length, space;
	bool failed; /* out of memory */
	struct atr_snapshot_hdr *hdr;
};

static void put(struct writer *w, const void *bytes, size_t length)
{
	size_t space = w->space ? w->space : SPACE_FIRST;

	while (space - w->length < length)
		space *= 2;
	if (space != w->space && !w->failed) {
		uint8_t *to = realloc(w->bytes, space);

		w->failed = !to;
		if (to) {
			w->bytes = to;
			w->space = space;
		}
	}
	if (w->failed)
		return;
	if (length)
		memcpy(w->bytes + w->length, bytes, length);
	w->length += length;
}

static void pad(struct writer *w)
{
	static const uint8_t zeros[ALIGN];

	put(w, zeros, (ALIGN - w->length % ALIGN) % ALIGN);
}

static void put_windows(struct writer *w, const struct atr_replay *replay)
{
	for (uint32_t s = 0; s < replay->window_slots; s++) {
		struct replay_window *window = replay->window[s];
		struct atr_snapshot_window head = {.source = s};

		if (!window)
			continue;
		replay_window_settle(window);
		head.size = window->size;
		head.next = window->next;
		head.floor = window->floor;
		head.frames = window->count;
		put(w, &head, sizeof(head));
		for (uint32_t i = 0; i < window->count; i++) {
			const struct atr_replay_frame *frame = &window->frame[i];
			struct atr_snapshot_frame one = {.first = frame->first,
							 .position = frame->position,
							 .count = frame->count};

			memcpy(one.admitted, frame->admitted, sizeof(one.admitted));
			memcpy(one.leaf, frame->leaf, sizeof(one.leaf));
			put(w, &one, sizeof(one));
		}
		w->hdr->windows++;
	}
}

static int put_envelope(void *ctx, const struct atr_replay_envelope *envelope)
{
	struct atr_snapshot_envelope one = {.source = envelope->source,
					    .position = envelope->position};
	struct writer *w = ctx;

	memcpy(one.uuid, envelope->uuid, sizeof(one.uuid));
	memcpy(one.leaf, envelope->leaf, sizeof(one.leaf));
	put(w, &one, sizeof(one));
	w->hdr->envelopes++;
	return 0;
}

static int put_state(void *ctx, const struct atr_state_entry *entry)
{
	struct atr_snapshot_state one = {.source = entry->source,
					 .type = entry->type,
					 .op = entry->op,
					 .binary = entry->binary,
					 .scale = entry->scale,
					 .event = entry->event,
					 .key_length = entry->key_length,
					 .value_length = entry->value_length,
					 .number = entry->number,
					 .position = entry->position};
	struct writer *w = ctx;

	put(w, &one, sizeof(one));
	put(w, entry->key, entry->key_length);
	put(w, entry->value, entry->value_length);
	pad(w);
	w->hdr->states++;
	return 0;
}

static void put_plans(struct writer *w, const struct atr_replay *replay)
{
	const struct replay_assembly *assembly = &replay->assembly;
	size_t length;
	const char *document = atr_replay_document(replay, &length);

	put(w, document, length);
	pad(w);
	w->hdr->document = length;
	w->hdr->assembly = assembly->length;
	if (assembly->length == 0)
		return;
	put(w, &assembly->head, sizeof(assembly->head));
	put(w, assembly->text, assembly->length);
	pad(w);
}

static void fill(struct atr_snapshot_hdr *hdr, const struct atr_replay *replay)
{
	struct atr_state_stats stats;

	atr_replay_state_stats(replay, &stats);
	*hdr = (struct atr_snapshot_hdr){.magic = ATR_SNAPSHOT_MAGIC,
					 .version = ATR_SNAPSHOT_VERSION,
					 .shard = replay->params.shard,
					 .shards = replay->params.shards,
					 .groups = replay->groups,
					 .leaves = replay->leaves,
					 .events = replay->events,
					 .segment = replay->segment,
					 .offset = replay->offset,
					 .committed_ns = replay->committed_ns,
					 .oldest_ms = replay->oldest_ms,
					 .first_epoch = replay->first_epoch,
					 .last_epoch = replay->last_epoch,
					 .generation = atr_replay_generation(replay),
					 .group_generation = replay->group_generation,
					 .state_limit = stats.limit,
					 .state_refused = stats.refused,
					 .state_unfit = stats.unfit};
	memcpy(hdr->log_id, replay->log_id, sizeof(hdr->log_id));
	memcpy(hdr->feed_next, replay->feed_next, sizeof(hdr->feed_next));
}

int atr_snapshot_make(const struct atr_replay *replay, const struct atr_log_end *end,
		      struct atr_snapshot *snapshot, char *error, size_t size)
{
	struct atr_snapshot_hdr hdr;
	struct writer w = {.hdr = &hdr};

	memset(snapshot, 0, sizeof(*snapshot));
	if (replay->broken || replay->groups == 0 || end->group != replay->groups ||
	    end->frontier.size != replay->leaves) {
		snprintf(error, size,
			 "a snapshot can be made behind a group only, of a replay that "
			 "has failed in nothing");
		return -EINVAL;
	}
	fill(&hdr, replay);
	put(&w, &hdr, sizeof(hdr));
	for (unsigned int i = 0; i < 64; i++)
		if (end->frontier.size >> i & 1)
			put(&w, end->frontier.node[i], ATR_MERKLE_HASH);
	put_plans(&w, replay);
	put_windows(&w, replay);
	if (atr_replay_envelopes(replay, put_envelope, &w) < 0)
		w.failed = true;
	atr_replay_states(replay, 0, 0, "", 0, put_state, &w);
	if (w.failed) {
		free(w.bytes);
		snprintf(error, size, "out of memory for a snapshot; free some and try again");
		return -ENOMEM;
	}
	hdr.bytes = w.length;
	memcpy(w.bytes, &hdr, sizeof(hdr));
	hdr.crc = atr_log_crc_end(atr_log_crc_add(ATR_LOG_CRC_BEGIN, w.bytes, w.length));
	memcpy(w.bytes, &hdr, sizeof(hdr));
	snapshot->bytes = w.bytes;
	snapshot->length = w.length;
	snapshot->groups = hdr.groups;
	snapshot->leaves = hdr.leaves;
	crypto_hash_sha256(snapshot->digest, w.bytes, w.length);
	return 0;
}
