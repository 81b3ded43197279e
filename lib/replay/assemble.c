/* SPDX-License-Identifier: BSD-3-Clause */
/* Plans, from their chunks. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "replay_internal.h"

#define REASON_SIZE 256

static void drop(struct replay_assembly *assembly)
{
	free(assembly->text);
	memset(assembly, 0, sizeof(*assembly));
}

/* Why a chunk does not continue what is there; NULL if it does. */
static const char *misfit(const struct atr_replay *replay, const struct atr_plan_chunk *chunk,
			  uint64_t length)
{
	const struct replay_assembly *assembly = &replay->assembly;
	struct atr_plan_chunk expected = assembly->head;

	if (chunk->zero || length == 0 || chunk->total > REPLAY_DOCUMENT_MAX ||
	    chunk->offset > chunk->total || length > chunk->total - chunk->offset)
		return "the plan's chunk is not within a document";
	if (chunk->generation <= atr_replay_generation(replay))
		return "the plan's generation is not above that of the one in force";
	expected.offset = assembly->length;
	if (chunk->offset && memcmp(chunk, &expected, sizeof(expected)) != 0)
		return "the plan's chunk does not continue the one before";
	return NULL;
}

/* The document is complete: it is the plan in force from here on. */
static int adopt(struct atr_replay *replay, const struct atr_group_hdr *group,
		 const struct atr_record_hdr *record)
{
	struct replay_assembly *assembly = &replay->assembly;
	char reason[REASON_SIZE];
	struct atr_plan *plan = atr_plan_load_behind(assembly->text, assembly->length, replay->plan,
						     reason, sizeof(reason));

	if (!plan)
		return replay_refuse(replay, group, record, "the plan does not load: %s", reason);
	atr_plan_free(replay->plan);
	replay->plan = plan;
	plan->generation = assembly->head.generation;
	if (plan->document_length != assembly->length ||
	    memcmp(plan->document, assembly->text, assembly->length) != 0 ||
	    memcmp(plan->digest, assembly->head.digest, sizeof(plan->digest)) != 0)
		return replay_refuse(replay, group, record,
				     "the plan is not in RFC 8785 form, or has another digest");
	drop(assembly);
	replay->change_group = 0;
	return replay_windows_fit(replay, plan->source_slots) ? 0 : replay_no_memory(replay);
}

int replay_plan(struct atr_replay *replay, const struct atr_group_hdr *group,
		const struct atr_record_hdr *record, const uint8_t *body)
{
	struct replay_assembly *assembly = &replay->assembly;
	uint64_t length = record->body_length - sizeof(struct atr_plan_chunk);
	struct atr_plan_chunk chunk;
	const char *wrong;

	if (record->body_length < sizeof(chunk))
		return replay_refuse(replay, group, record, "the plan's chunk has no header");
	memcpy(&chunk, body, sizeof(chunk));
	wrong = misfit(replay, &chunk, length);
	if (wrong)
		return replay_refuse(replay, group, record, "%s", wrong);
	/* A stop may have kept the rest of a document from the log: it begins anew then. */
	if (chunk.offset == 0) {
		drop(assembly);
		assembly->head = chunk;
		assembly->text = malloc(chunk.total);
		if (!assembly->text)
			return replay_no_memory(replay);
	}
	memcpy(assembly->text + assembly->length, body + sizeof(chunk), length);
	assembly->length += length;
	return assembly->length == chunk.total ? adopt(replay, group, record) : 0;
}
