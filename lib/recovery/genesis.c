/* SPDX-License-Identifier: BSD-3-Clause */
/* A plan brought into a log at start: the first records of an empty one, or a plan that a stop kept
 * from it. It is in force from there on. */
#include "recovery.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <rte_cycles.h>
#include <sodium.h>

#define CHUNK_BYTES (256u << 10) /* several fit a group */

_Static_assert(CHUNK_BYTES + sizeof(struct atr_plan_chunk) < ATR_GROUP_BYTES_MAX / 2,
	       "a chunk fits a group");

struct genesis {
	struct atr_log *log;
	const struct atr_plan *plan;
	int (*wait)(void *context);
	void *context;
	uint64_t now_ns, generation;
	uint8_t *body;
};

/* Seals the group and waits for it; its number is the only one under way. */
static int make_durable(const struct genesis *g, struct atr_group_buf *group, char *error,
			size_t size)
{
	const char *sentence;
	struct atr_group_buf *back;

	atr_log_seal(g->log, group);
	while ((back = atr_log_durable(g->log)) == NULL) {
		int rc = -EIO;

		if (atr_log_state(g->log, &sentence) == ATR_LOG_OK) {
			sentence = "its thread has ended";
			rc = g->wait(g->context);
		}
		if (rc < 0) {
			snprintf(error, size, "the plan cannot be logged: %s", sentence);
			return rc;
		}
	}
	atr_log_release(g->log, back);
	return 0;
}

static void append_chunk(const struct genesis *g, struct atr_group_buf *group, uint64_t offset,
			 uint32_t length)
{
	const struct atr_plan *plan = g->plan;
	struct atr_plan_chunk chunk = {.magic = {0x00, 'A', 'T', 'P'},
				       .generation = g->generation,
				       .offset = offset,
				       .total = plan->document_length};
	const struct atr_record_hdr header = {.kind = ATR_RECORD_PLAN,
					      .body_length = (uint32_t)sizeof(chunk) + length,
					      .rx_ns = g->now_ns,
					      .generation = g->generation};
	uint8_t leaf[ATR_HASH_SIZE];

	memcpy(chunk.digest, plan->digest, sizeof(chunk.digest));
	memcpy(g->body, &chunk, sizeof(chunk));
	memcpy(g->body + sizeof(chunk), plan->document + offset, length);
	crypto_hash_sha256(leaf, g->body, header.body_length);
	atr_log_append(group, &header, g->body, NULL, leaf);
	/* In force from the group on that has the end of it. */
	if (offset + length < plan->document_length)
		return;
	group->generation = g->generation;
	memcpy(group->plan_digest, plan->digest, sizeof(group->plan_digest));
}

static int append_all(const struct genesis *g, char *error, size_t size)
{
	struct atr_group_buf *group = NULL;
	int rc = 0;

	for (uint64_t at = 0; rc == 0 && at < g->plan->document_length;) {
		uint64_t left = g->plan->document_length - at;
		uint32_t length = left < CHUNK_BYTES ? (uint32_t)left : CHUNK_BYTES;

		if (group && !atr_log_fits(group, sizeof(struct atr_plan_chunk) + length, 0)) {
			rc = make_durable(g, group, error, size);
			group = NULL;
			continue;
		}
		if (!group)
			group = atr_log_begin(g->log, rte_rdtsc());
		append_chunk(g, group, at, length);
		at += length;
	}
	return rc == 0 && group ? make_durable(g, group, error, size) : rc;
}

int atr_genesis(struct atr_log *log, const struct atr_plan *plan, int (*wait)(void *context),
		void *context, char *error, size_t size)
{
	struct genesis g = {.log = log, .plan = plan, .wait = wait, .context = context};
	struct timespec now;
	int rc;

	g.generation = plan->generation ? plan->generation : ATR_GENESIS_GENERATION;
	g.body = malloc(sizeof(struct atr_plan_chunk) + CHUNK_BYTES);
	if (!g.body) {
		snprintf(error, size, "the plan cannot be logged: out of memory");
		return -ENOMEM;
	}
	clock_gettime(CLOCK_REALTIME, &now);
	g.now_ns = (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
	rc = append_all(&g, error, size);
	free(g.body);
	return rc;
}

static int first_plan(void *context, const struct atr_group_hdr *group,
		      const struct atr_record_hdr *record, const uint8_t *body,
		      const uint8_t *decisions, const uint8_t leaf[ATR_HASH_SIZE])
{
	struct atr_plan_chunk *chunk = context;

	(void)group;
	(void)decisions;
	(void)leaf;
	if (record->kind == ATR_RECORD_PLAN)
		memcpy(chunk, body, sizeof(*chunk));
	return -ECANCELED;
}

int atr_recovery_genesis(const struct atr_recovery *recovery, uint8_t digest[ATR_HASH_SIZE],
			 char *error, size_t size)
{
	struct atr_plan_chunk chunk = {.generation = 0};
	const struct atr_log_visitor visitor = {.context = &chunk, .record = first_plan};
	struct atr_log_scan scan = {0};
	int rc = atr_log_scan(recovery->storage, &visitor, &scan, error, size);

	if (chunk.generation == 0)
		return rc < 0 && rc != -ECANCELED ? rc : -ENOENT;
	memcpy(digest, chunk.digest, ATR_HASH_SIZE);
	return 0;
}
