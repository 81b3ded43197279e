/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "reader_internal.h"

/* Does the chunk begin a document, or go on with the one that is open? */
static const char *place_chunk(struct reader_plan *plan, const struct atr_plan_chunk *chunk,
			       uint64_t epoch)
{
	if (chunk->offset == 0) {
		if (plan->open && plan->epoch == epoch)
			return "a plan's document is not finished where another one begins";
		if (chunk->generation <= plan->generation)
			return "a plan's generation is not above that of the plan before";
		plan->open = true;
		plan->unknown = false;
		plan->next = 0;
		plan->epoch = epoch;
		crypto_hash_sha256_init(&plan->state);
		return NULL;
	}
	if (plan->unknown)
		return NULL;
	if (!plan->open || chunk->offset != plan->next || chunk->total != plan->chunk.total ||
	    chunk->generation != plan->chunk.generation || plan->epoch != epoch ||
	    memcmp(chunk->digest, plan->chunk.digest, sizeof(chunk->digest)) != 0)
		return "a plan's chunk does not follow the one before";
	return NULL;
}

const char *check_plan(struct reader *reader, const struct atr_group_hdr *group, uint32_t i,
		       const uint8_t *body)
{
	static const uint8_t magic[] = {0, 'A', 'T', 'P'};
	const struct atr_record_hdr *record = reader->record[i];
	struct reader_plan *plan = &reader->plan;
	uint8_t digest[ATR_HASH_SIZE];
	struct atr_plan_chunk chunk;
	const char *wrong;
	uint32_t length;

	if (record->events || record->decision_length)
		return "a plan has no events";
	if (record->body_length <= sizeof(chunk))
		return "a plan's record holds no chunk of a plan";
	memcpy(&chunk, body, sizeof(chunk));
	length = record->body_length - (uint32_t)sizeof(chunk);
	if (memcmp(chunk.magic, magic, sizeof(magic)) != 0 || chunk.zero || !chunk.generation)
		return "a plan's record holds no chunk of a plan";
	if (chunk.offset > chunk.total || length > chunk.total - chunk.offset)
		return "a plan's chunk does not lie within its document";
	reader->data[i] = body;
	reader->length[i] = record->body_length;
	wrong = place_chunk(plan, &chunk, group->epoch);
	if (wrong || plan->unknown)
		return wrong;
	crypto_hash_sha256_update(&plan->state, body + sizeof(chunk), length);
	plan->chunk = chunk;
	plan->next += length;
	if (plan->next < chunk.total)
		return NULL;
	plan->open = false;
	plan->generation = chunk.generation;
	crypto_hash_sha256_final(&plan->state, digest);
	return memcmp(digest, chunk.digest, sizeof(digest)) == 0
		       ? NULL
		       : "a plan's document differs from its digest";
}

const char *check_snapshot(struct reader *reader, const struct atr_group_hdr *group, uint32_t i,
			   const uint8_t *body)
{
	static const uint8_t magic[] = {0, 'A', 'T', 'S'};
	const struct atr_record_hdr *record = reader->record[i];
	struct atr_snapshot_body snapshot;

	if (record->events || record->decision_length)
		return "a snapshot has no events";
	if (record->body_length != sizeof(snapshot))
		return "a snapshot's record holds no snapshot";
	memcpy(&snapshot, body, sizeof(snapshot));
	if (memcmp(snapshot.magic, magic, sizeof(magic)) != 0 || snapshot.zero)
		return "a snapshot's record holds no snapshot";
	if (snapshot.group > group->group || snapshot.leaves > group->first_leaf ||
	    (snapshot.group == group->group) != (snapshot.leaves == group->first_leaf) ||
	    (snapshot.group == 0) != (snapshot.leaves == 0))
		return "a snapshot claims what is not before it";
	if (snapshot.leaves > reader->snapshot_leaves)
		reader->snapshot_leaves = snapshot.leaves;
	reader->data[i] = body;
	reader->length[i] = record->body_length;
	return NULL;
}
