/* SPDX-License-Identifier: BSD-3-Clause */
#include "reference.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GROUP_HDR  120
#define RECORD_HDR 64
#define SIGNATURE  64
#define BLOCK      4096

static bool wrong(struct reference *reference, const char *what)
{
	snprintf(reference->wrong, sizeof(reference->wrong), "group %llu: %s",
		 (unsigned long long)reference->end.group, what);
	return false;
}

void reference_init(struct reference *reference)
{
	const struct atr_replay_params params = {.shard = 0, .shards = 1};

	memset(reference, 0, sizeof(*reference));
	atr_frontier_init(&reference->end.frontier);
	reference->replay = atr_replay_create(&params, reference->wrong, sizeof(reference->wrong));
}

bool reference_fork(struct reference *fork, struct reference *from)
{
	const struct atr_replay_params params = {.shard = 0, .shards = 1};
	struct atr_snapshot snapshot;
	struct atr_log_end end;

	if (from->end.group == 0) {
		reference_init(fork);
		return fork->replay;
	}
	*fork = *from;
	fork->replay = NULL;
	if (!reference_snapshot(from, &snapshot))
		return false;
	fork->replay = atr_snapshot_load(&params, snapshot.bytes, snapshot.length, &end,
					 fork->wrong, sizeof(fork->wrong));
	free(snapshot.bytes);
	return fork->replay;
}

void reference_free(struct reference *reference)
{
	atr_replay_free(reference->replay);
}

static void leaf_of(const struct atr_record_hdr *record, const uint8_t *body,
		    uint8_t leaf[ATR_HASH_SIZE])
{
	static const uint8_t prefix;
	crypto_hash_sha256_state state;
	uint32_t length = record->body_length;

	if (record->kind == ATR_RECORD_FRAME)
		length -= SIGNATURE; /* trees here have one leaf: no path */
	crypto_hash_sha256_init(&state);
	if (record->kind == ATR_RECORD_ENVELOPE)
		crypto_hash_sha256_update(&state, &prefix, 1);
	crypto_hash_sha256_update(&state, body, length);
	crypto_hash_sha256_final(&state, leaf);
}

/* Where the next group is: behind the last one, or at the beginning of the next segment. */
static const uint8_t *next_group(struct reference *reference, struct simdisk *disk)
{
	struct atr_log_end *end = &reference->end;
	char name[SIM_NAME_MAX];

	if (end->offset == 0)
		end->offset = BLOCK;
	for (unsigned int i = 0; i < 2; i++) {
		struct atr_group_hdr group = {0};
		struct atr_file *file;

		snprintf(name, sizeof(name), ATR_SEGMENT_NAME, end->segment);
		file = simdisk_file(disk, name);
		if (file && file->size - end->offset >= GROUP_HDR)
			memcpy(&group, file->current + end->offset, sizeof(group));
		if (group.magic == ATR_GROUP_MAGIC && group.group == end->group)
			return file->current + end->offset;
		end->segment++;
		end->offset = BLOCK;
	}
	return NULL;
}

static bool take(struct reference *reference, const uint8_t *at)
{
	const struct atr_log_visitor *visitor = atr_replay_visitor(reference->replay);
	struct atr_log_end *end = &reference->end;
	struct atr_group_hdr group;
	const uint8_t *p = at + GROUP_HDR;

	memcpy(&group, at, sizeof(group));
	for (uint32_t i = 0; i < group.records; i++) {
		const struct atr_record_hdr *record = (const struct atr_record_hdr *)p;
		const uint8_t *body = p + RECORD_HDR;
		uint8_t leaf[ATR_HASH_SIZE];

		leaf_of(record, body, leaf);
		if (visitor->record(visitor->context, &group, record, body,
				    body + record->body_length, leaf) < 0)
			return wrong(reference, atr_replay_error(reference->replay));
		atr_frontier_add(&end->frontier, leaf);
		p += (RECORD_HDR + record->body_length + record->decision_length + 7) / 8 * 8;
	}
	end->group++;
	end->offset += (group.length + BLOCK - 1) / BLOCK * BLOCK;
	if (end->group == REFERENCE_GROUPS)
		return wrong(reference, "too many groups for the test");
	reference->after[end->group].leaves = end->frontier.size;
	atr_frontier_root(&end->frontier, reference->after[end->group].root);
	if (visitor->group && visitor->group(visitor->context, &group, end->frontier.size,
					     reference->after[end->group].root) < 0)
		return wrong(reference, atr_replay_error(reference->replay));
	return true;
}

bool reference_take(struct reference *reference, struct simdisk *disk, uint64_t below)
{
	while (reference->end.group < below) {
		const uint8_t *at = next_group(reference, disk);

		if (!at)
			return wrong(reference, "is durable, and not on the disk");
		if (!take(reference, at))
			return false;
	}
	return true;
}

bool reference_snapshot(struct reference *reference, struct atr_snapshot *snapshot)
{
	return atr_snapshot_make(reference->replay, &reference->end, snapshot, reference->wrong,
				 sizeof(reference->wrong)) == 0;
}

const uint8_t *reference_root(const struct reference *reference, uint64_t leaves)
{
	for (uint64_t group = 1; group <= reference->end.group; group++)
		if (reference->after[group].leaves == leaves)
			return reference->after[group].root;
	return NULL;
}
