/* SPDX-License-Identifier: BSD-3-Clause */
/* The plan as records of the log. They are made, and hashed, by the control lcore: shards only copy
 * them, a few a batch. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "../log/format.h"
#include "program.h"

_Static_assert(sizeof(((struct atr_plan_record *)0)->leaf) == crypto_hash_sha256_BYTES, "leaf");

int atr_program_log(struct atr_program *program)
{
	const struct atr_plan *plan = program->plan;
	uint64_t count =
		(plan->document_length + ATR_PLAN_RECORD_BYTES - 1) / ATR_PLAN_RECORD_BYTES;
	uint8_t *to;

	program->record = calloc(count, sizeof(*program->record));
	program->record_bytes =
		malloc(count * sizeof(struct atr_plan_chunk) + plan->document_length);
	if (!program->record || !program->record_bytes)
		return -ENOMEM;
	to = program->record_bytes;
	for (uint64_t at = 0; at < plan->document_length; at += ATR_PLAN_RECORD_BYTES) {
		uint64_t left = plan->document_length - at;
		uint32_t length =
			(uint32_t)(left < ATR_PLAN_RECORD_BYTES ? left : ATR_PLAN_RECORD_BYTES);
		struct atr_plan_record *record = &program->record[program->records++];
		struct atr_plan_chunk chunk = {.magic = {0x00, 'A', 'T', 'P'},
					       .generation = program->generation,
					       .offset = at,
					       .total = plan->document_length};

		memcpy(chunk.digest, plan->digest, sizeof(chunk.digest));
		memcpy(to, &chunk, sizeof(chunk));
		memcpy(to + sizeof(chunk), plan->document + at, length);
		record->body = to;
		record->length = (uint32_t)sizeof(chunk) + length;
		crypto_hash_sha256(record->leaf, record->body, record->length);
		to += record->length;
	}
	return 0;
}
