/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>
#include <time.h>

#include "log_internal.h"

_Static_assert(sizeof(struct atr_group_hdr) % LOG_RECORD_ALIGN == 0, "records are aligned");
_Static_assert(LOG_COMMIT_MAX % LOG_RECORD_ALIGN == 0, "a commit needs no padding");

static const uint8_t commit_magic[4] = {0x00, 'A', 'T', 'C'};

static uint32_t commit_body_length(const struct atr_group_buf *group)
{
	return (uint32_t)(sizeof(struct atr_commit_body) +
			  (unsigned int)__builtin_popcountll(group->feed_set) *
				  sizeof(struct atr_feed_position));
}

uint32_t log_group_length(const struct atr_group_buf *group)
{
	return group->used + (uint32_t)sizeof(struct atr_record_hdr) + commit_body_length(group);
}

/* Numbers and seals the records; gathers headers and decisions in scratch. Returns their bytes. */
static uint32_t finish_records(struct atr_log *log, struct atr_group_buf *group)
{
	uint8_t *to = log->scratch;

	for (uint32_t i = 0; i < group->records; i++) {
		uint8_t *at = group->data + group->record[i].offset;
		struct atr_record_hdr *header = (struct atr_record_hdr *)at;
		uint32_t body = header->body_length, decisions = header->decision_length;

		header->zero = 0;
		header->zero2 = 0;
		header->leaf = log->frontier.size + i;
		header->crc = 0;
		header->crc = log_crc(at, (uint32_t)sizeof(*header) + body + decisions);
		memcpy(to, header, sizeof(*header));
		to += sizeof(*header);
		memcpy(to, at + sizeof(*header) + body, decisions);
		to += decisions;
	}
	return (uint32_t)(to - log->scratch);
}

void log_hash_one(struct atr_log *log, const uint8_t *data, uint32_t length,
		  uint8_t out[ATR_HASH_SIZE])
{
	uint8_t digest[1][ATR_HASH_SIZE];

	atr_hash_burst(log->hash, &data, &length, digest, 1);
	memcpy(out, digest[0], ATR_HASH_SIZE);
}

static void append_commit(struct atr_log *log, struct atr_group_buf *group, uint32_t digest_bytes)
{
	struct atr_record_hdr header = {.kind = ATR_RECORD_COMMIT};
	struct atr_commit_body *body =
		(struct atr_commit_body *)(group->data + group->used + sizeof(header));
	struct atr_feed_position *position = (struct atr_feed_position *)(body + 1);
	uint32_t length = commit_body_length(group);
	struct atr_log_record *record = &group->record[group->records];

	memset(body, 0, sizeof(*body));
	memcpy(body->magic, commit_magic, sizeof(commit_magic));
	body->group = log->next;
	body->first_leaf = log->frontier.size;
	body->leaves = group->records;
	body->committed_ns = log->last_ns;
	body->generation = group->generation;
	memcpy(body->plan_digest, group->plan_digest, ATR_HASH_SIZE);
	log_hash_one(log, log->scratch, digest_bytes, body->decisions);
	for (uint64_t set = group->feed_set; set; set &= set - 1) {
		unsigned int feed = (unsigned int)__builtin_ctzll(set);

		*position++ =
			(struct atr_feed_position){.feed = feed, .next = group->feed_next[feed]};
		body->feed_count++;
	}
	header.body_length = length;
	header.leaf = log->frontier.size + group->records;
	header.rx_ns = log->last_ns;
	header.generation = group->generation;
	memcpy(group->data + group->used, &header, sizeof(header));
	header.crc = log_crc(group->data + group->used, (uint32_t)sizeof(header) + length);
	memcpy(group->data + group->used, &header, sizeof(header));
	record->offset = group->used;
	log_hash_one(log, (const uint8_t *)body, length, record->leaf);
	group->used += (uint32_t)sizeof(header) + length;
}

static void keep_positions(struct atr_log *log, const struct atr_group_buf *group)
{
	memcpy(log->feed_next, group->feed_next, sizeof(log->feed_next));
	memcpy(log->plan_digest, group->plan_digest, sizeof(log->plan_digest));
	log->feed_set = group->feed_set;
	log->generation = group->generation;
	log->positions_known = true;
}

void log_group_prepare(struct atr_log *log, struct atr_group_buf *group, struct log_slot *slot,
		       bool snapshot)
{
	uint64_t now = log_now_ns(CLOCK_REALTIME);
	uint64_t first_leaf = log->frontier.size;
	struct atr_group_hdr header = {.magic = ATR_GROUP_MAGIC};

	/* Times in a log never go back, whatever the clock does. */
	log->last_ns = now > log->last_ns ? now : log->last_ns;
	slot->snapshot = snapshot;
	if (snapshot)
		log_snapshot_append(log, group);
	append_commit(log, group, finish_records(log, group));
	keep_positions(log, group);
	for (uint32_t i = 0; i <= group->records; i++)
		memcpy(log->leaves[i], group->record[i].leaf, ATR_HASH_SIZE);
	atr_frontier_add_burst(&log->frontier, log->hash, log->leaves, group->records + 1);
	header.length = group->used;
	header.records = group->records + 1;
	memcpy(header.log_id, log->params.log_id, sizeof(header.log_id));
	header.shard = log->params.shard;
	header.segment = log->segment;
	header.offset = log->offset;
	header.group = log->next;
	header.first_leaf = first_leaf;
	header.committed_ns = log->last_ns;
	header.epoch = log->params.epoch;
	header.unsynced = (uint32_t)(log->next - log->first);
	memcpy(group->data, &header, sizeof(header));
	header.crc = log_crc(group->data, header.length);
	memcpy(group->data, &header, sizeof(header));

	slot->group = group;
	slot->length = log_align(group->used, ATR_LOG_BLOCK);
	slot->offset = log->offset;
	slot->written = false;
	slot->after = log->frontier;
	memset(group->data + group->used, 0, slot->length - group->used);
	group->first_leaf = first_leaf;
	group->number = log->next;
}
