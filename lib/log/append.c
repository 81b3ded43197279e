/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "log_internal.h"

struct atr_group_buf *atr_log_begin(struct atr_log *log, uint64_t now_tsc)
{
	struct atr_group_buf *group;

	if (log->free_count == 0)
		return NULL;
	group = log->free[--log->free_count];
	group->used = sizeof(struct atr_group_hdr);
	group->records = 0;
	group->opened_tsc = now_tsc;
	group->first_leaf = 0;
	group->feed_set = 0;
	group->generation = 0;
	memset(group->plan_digest, 0, sizeof(group->plan_digest));
	group->cookie = 0;
	group->event_feeds_used = 0;
	return group;
}

bool atr_log_fits(const struct atr_group_buf *group, uint32_t body, uint32_t decisions)
{
	uint64_t need = (uint64_t)group->used + sizeof(struct atr_record_hdr) + body + decisions +
			LOG_RECORD_ALIGN - 1 + LOG_SNAPSHOT_BYTES + LOG_COMMIT_MAX;

	return need <= ATR_GROUP_BYTES_MAX && group->records + 1 < ATR_LOG_RECORDS_MAX &&
	       decisions <= UINT16_MAX;
}

void atr_log_append(struct atr_group_buf *group, const struct atr_record_hdr *header,
		    const uint8_t *body, const uint8_t *decisions,
		    const uint8_t leaf_hash[ATR_HASH_SIZE])
{
	struct atr_log_record *record = &group->record[group->records];
	uint32_t length = header->body_length + header->decision_length;
	uint8_t *to = group->data + group->used;

	record->offset = group->used;
	memcpy(record->leaf, leaf_hash, ATR_HASH_SIZE);
	memcpy(to, header, sizeof(*header));
	to += sizeof(*header);
	memcpy(to, body, header->body_length);
	if (header->decision_length > 0)
		memcpy(to + header->body_length, decisions, header->decision_length);
	memset(to + length, 0, log_align(length, LOG_RECORD_ALIGN) - length);
	group->used += (uint32_t)sizeof(*header) + log_align(length, LOG_RECORD_ALIGN);
	group->records++;
}

void atr_log_seal(struct atr_log *log, struct atr_group_buf *group)
{
	/* Never full: it has a place for every buffer. */
	rte_ring_sp_enqueue(log->sealed, group);
	log->under_way++;
}

struct atr_group_buf *atr_log_durable(struct atr_log *log)
{
	void *group = NULL;

	if (rte_ring_sc_dequeue(log->durable, &group) != 0)
		return NULL;
	log->under_way--;
	return group;
}

unsigned int atr_log_under_way(const struct atr_log *log)
{
	return log->under_way;
}

unsigned int atr_log_buffers(const struct atr_log *log)
{
	return log->params.buffers;
}

void atr_log_release(struct atr_log *log, struct atr_group_buf *group)
{
	log->free[log->free_count++] = group;
}
