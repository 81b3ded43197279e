/* SPDX-License-Identifier: BSD-3-Clause */
/* The first records of an empty log: the plan that is in force from there on. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <rte_cycles.h>
#include <sodium.h>

#include "durable.h"

#define CHUNK_BYTES      (256u << 10) /* several fit a group */
#define FIRST_GENERATION 1
#define WAIT_STEP_US     50

_Static_assert(CHUNK_BYTES + sizeof(struct atr_plan_chunk) < ATR_GROUP_BYTES_MAX / 2,
	       "a chunk fits a group");

/* Seals the group and waits for it; its number is the only one under way. */
static int make_durable(struct atr_log *log, struct atr_group_buf *group, char *error, size_t size)
{
	const char *sentence;
	struct atr_group_buf *back;

	atr_log_seal(log, group);
	while ((back = atr_log_durable(log)) == NULL) {
		if (atr_log_state(log, &sentence) != ATR_LOG_OK) {
			snprintf(error, size, "the plan cannot be logged: %s", sentence);
			return -EIO;
		}
		rte_delay_us_sleep(WAIT_STEP_US);
	}
	atr_log_release(log, back);
	return 0;
}

static void append_chunk(struct atr_group_buf *group, const struct atr_plan *plan, uint8_t *body,
			 uint64_t offset, uint32_t length, uint64_t now_ns)
{
	struct atr_plan_chunk chunk = {.magic = {0x00, 'A', 'T', 'P'},
				       .generation = FIRST_GENERATION,
				       .offset = offset,
				       .total = plan->document_length};
	const struct atr_record_hdr header = {.kind = ATR_RECORD_PLAN,
					      .body_length = (uint32_t)sizeof(chunk) + length,
					      .rx_ns = now_ns,
					      .generation = FIRST_GENERATION};
	uint8_t leaf[ATR_HASH_SIZE];

	memcpy(chunk.digest, plan->digest, sizeof(chunk.digest));
	memcpy(body, &chunk, sizeof(chunk));
	memcpy(body + sizeof(chunk), plan->document + offset, length);
	crypto_hash_sha256(leaf, body, header.body_length);
	atr_log_append(group, &header, body, NULL, leaf);
}

int durable_genesis(struct atr_log *log, const struct atr_plan *plan, char *error, size_t size)
{
	uint8_t *body = malloc(sizeof(struct atr_plan_chunk) + CHUNK_BYTES);
	struct atr_group_buf *group = NULL;
	struct timespec now;
	int rc = body ? 0 : -ENOMEM;

	snprintf(error, size, "the plan cannot be logged: out of memory");
	clock_gettime(CLOCK_REALTIME, &now);
	for (uint64_t at = 0; rc == 0 && at < plan->document_length;) {
		uint64_t left = plan->document_length - at;
		uint32_t length = left < CHUNK_BYTES ? (uint32_t)left : CHUNK_BYTES;

		if (group && !atr_log_fits(group, sizeof(struct atr_plan_chunk) + length, 0)) {
			rc = make_durable(log, group, error, size);
			group = NULL;
			continue;
		}
		if (!group) {
			group = atr_log_begin(log, rte_rdtsc());
			group->generation = FIRST_GENERATION;
			memcpy(group->plan_digest, plan->digest, sizeof(group->plan_digest));
		}
		append_chunk(group, plan, body, at, length,
			     (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec);
		at += length;
	}
	if (rc == 0 && group)
		rc = make_durable(log, group, error, size);
	free(body);
	return rc;
}
