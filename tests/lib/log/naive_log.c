/* SPDX-License-Identifier: BSD-3-Clause */
#include "naive_log.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../../lib/merkle/merkle.h"

uint32_t naive_crc(const uint8_t *bytes, size_t length)
{
	static uint32_t table[256];
	uint32_t crc = 0xFFFFFFFFu;

	if (!table[1])
		for (uint32_t i = 0; i < 256; i++) {
			table[i] = i;
			for (int bit = 0; bit < 8; bit++)
				table[i] = (table[i] >> 1) ^ (table[i] & 1 ? 0x82F63B78u : 0);
		}
	for (size_t i = 0; i < length; i++)
		crc = (crc >> 8) ^ table[(crc ^ bytes[i]) & 0xff];
	return ~crc;
}

void naive_init(struct naive_log *log, struct memory_storage *disk, uint64_t segment_bytes)
{
	memset(log, 0, sizeof(*log));
	log->disk = disk;
	log->segment_bytes = segment_bytes;
	log->realm = 42;
	log->shard = 1;
	log->shards = 2;
	log->epoch = 7;
	log->sequence = 1;
	memset(log->log_id, 0xA5, sizeof(log->log_id));
	log->leaf = calloc(NAIVE_LEAVES, ATR_HASH_SIZE);
	log->group = malloc(ATR_GROUP_BYTES_MAX);
	if (!log->leaf || !log->group)
		abort();
}

void naive_free(struct naive_log *log)
{
	free(log->group);
	free(log->leaf);
}

struct memory_file *naive_file(struct naive_log *log, uint64_t segment)
{
	char name[MEMORY_NAME];

	snprintf(name, sizeof(name), "segment-%016llx.atr", (unsigned long long)segment);
	return memory_find(log->disk, name);
}

uint8_t *naive_bytes(struct naive_log *log, uint64_t group)
{
	return naive_file(log, log->at[group].segment)->bytes + log->at[group].offset;
}

static void new_segment(struct naive_log *log)
{
	struct atr_segment_hdr hdr = {.magic = ATR_LOG_MAGIC, .version = 1};
	char name[MEMORY_NAME];
	struct memory_file *file;

	snprintf(name, sizeof(name), "segment-%016llx.atr", (unsigned long long)log->segment);
	file = memory_add(log->disk, name, log->segment_bytes);
	memcpy(hdr.log_id, log->log_id, sizeof(hdr.log_id));
	hdr.realm = log->realm;
	hdr.shard = log->shard;
	hdr.shards = log->shards;
	hdr.segment = log->segment++;
	hdr.bytes = log->segment_bytes;
	hdr.first_leaf = log->leaves;
	hdr.first_group = log->groups;
	atr_merkle_root(log->leaf[0], log->leaves, hdr.root);
	memcpy(file->bytes, &hdr, sizeof(hdr));
	hdr.crc = naive_crc(file->bytes, ATR_LOG_BLOCK);
	memcpy(file->bytes, &hdr, sizeof(hdr));
	log->offset = ATR_LOG_BLOCK;
}

static size_t align8(size_t length)
{
	return (length + 7) / 8 * 8;
}

void naive_put(struct naive_log *log, const struct naive_record *record)
{
	uint8_t *leaf = log->leaf[log->leaves], *to = log->group + log->used;
	size_t leaf_size = record->leaf_size ? record->leaf_size : record->hdr.body_length;
	struct atr_record_hdr hdr = record->hdr;

	if (log->leaves == NAIVE_LEAVES)
		abort();
	hdr.leaf = log->leaves++;
	memcpy(to, &hdr, sizeof(hdr));
	memcpy(to + sizeof(hdr), record->body, hdr.body_length);
	if (record->decisions)
		memcpy(to + sizeof(hdr) + hdr.body_length, record->decisions, hdr.decision_length);
	if (hdr.kind == ATR_RECORD_ENVELOPE)
		atr_merkle_leaf(record->body, leaf_size, leaf);
	else
		crypto_hash_sha256(leaf, record->body, leaf_size);
	log->used += align8(sizeof(hdr) + hdr.body_length + hdr.decision_length);
}

static void put_frame(struct naive_log *log, unsigned int packets)
{
	static const uint8_t text[] = "thirty-six bytes at most";
	struct atr_event events[ATR_FRAME_PACKETS_MAX] = {0};
	struct atr_frame_spec spec = {.realm = log->realm, .source = 3, .key = 1, .leaf_count = 1};
	struct naive_record record = {
		.hdr = {.kind = ATR_RECORD_FRAME, .source = 3, .generation = 1}};
	uint8_t frame[ATR_DATAGRAM_MAX], decisions[32];
	int leaf;

	spec.first_sequence = log->sequence;
	log->sequence += packets;
	log->events += packets;
	for (unsigned int i = 0; i < packets; i++)
		events[i] = (struct atr_event){.topic_id = i,
					       .type_id = 1,
					       .timestamp_ns = log->sequence,
					       .payload = text,
					       .payload_length = sizeof(text)};
	leaf = atr_frame_build_body(&spec, events, packets, frame, sizeof(frame));
	if (leaf < 0)
		abort();
	memset(frame + leaf, 0x5A, ATR_SIGNATURE_SIZE);
	memset(decisions, 0xFF, sizeof(decisions));
	record.hdr.body_length = (uint32_t)leaf + ATR_SIGNATURE_SIZE;
	record.hdr.events = (uint16_t)packets;
	record.hdr.decision_length = (uint16_t)((packets + 7) / 8);
	if (packets % 8)
		decisions[packets / 8] = (uint8_t)((1 << (packets % 8)) - 1);
	record.hdr.rx_ns = log->sequence;
	record.body = frame;
	record.decisions = decisions;
	record.leaf_size = (size_t)leaf;
	naive_put(log, &record);
}

static void put_commit(struct naive_log *log, const struct naive_commit *say)
{
	uint8_t body[sizeof(struct atr_commit_body) +
		     ATR_LOG_FEEDS_MAX * sizeof(struct atr_feed_position)] = {0};
	struct atr_commit_body commit = {.magic = {0, 'A', 'T', 'C'}, .feed_count = say->feeds};
	struct naive_record record = {.hdr = {.kind = ATR_RECORD_COMMIT}, .body = body};

	commit.group = log->groups;
	commit.first_leaf = log->first;
	commit.leaves = log->leaves - log->first;
	commit.committed_ns = say->committed_ns;
	commit.generation = say->generation;
	memcpy(commit.plan_digest, say->plan_digest, sizeof(commit.plan_digest));
	memcpy(body, &commit, sizeof(commit));
	memcpy(body + sizeof(commit), say->feed, say->feeds * sizeof(say->feed[0]));
	record.hdr.body_length =
		(uint32_t)(sizeof(commit) + say->feeds * sizeof(struct atr_feed_position));
	naive_put(log, &record);
}

void naive_reseal(uint8_t *group)
{
	struct atr_group_hdr *hdr = (struct atr_group_hdr *)group;
	size_t at = sizeof(*hdr);
	crypto_hash_sha256_state state;

	crypto_hash_sha256_init(&state);
	for (uint32_t i = 0; i < hdr->records; i++) {
		struct atr_record_hdr *r = (struct atr_record_hdr *)(group + at);
		uint8_t *body = (uint8_t *)(r + 1);

		if (i == hdr->records - 1)
			crypto_hash_sha256_final(
				&state, body + offsetof(struct atr_commit_body, decisions));
		r->crc = 0;
		r->crc = naive_crc((uint8_t *)r, sizeof(*r) + r->body_length + r->decision_length);
		if (i < hdr->records - 1) {
			crypto_hash_sha256_update(&state, (uint8_t *)r, sizeof(*r));
			crypto_hash_sha256_update(&state, body + r->body_length,
						  r->decision_length);
		}
		at += align8(sizeof(*r) + r->body_length + r->decision_length);
	}
	hdr->crc = 0;
	hdr->crc = naive_crc(group, hdr->length);
}

void naive_begin(struct naive_log *log, size_t room)
{
	if (log->segment == 0 || log->segment_bytes - log->offset <
					 (room + ATR_LOG_BLOCK - 1) / ATR_LOG_BLOCK * ATR_LOG_BLOCK)
		new_segment(log);
	memset(log->group, 0, ATR_GROUP_BYTES_MAX);
	log->used = sizeof(struct atr_group_hdr);
	log->first = log->leaves;
}

void naive_finish(struct naive_log *log, const struct naive_commit *say)
{
	struct atr_group_hdr hdr = {.magic = ATR_GROUP_MAGIC, .unsynced = say->unsynced};
	size_t padded, commit;

	put_commit(log, say);
	hdr.length = (uint32_t)log->used;
	hdr.records = (uint32_t)(log->leaves - log->first);
	memcpy(hdr.log_id, log->log_id, sizeof(hdr.log_id));
	hdr.shard = log->shard;
	hdr.segment = log->segment - 1;
	hdr.offset = log->offset;
	hdr.group = log->groups;
	hdr.first_leaf = log->first;
	hdr.committed_ns = say->committed_ns;
	hdr.epoch = log->epoch;
	memcpy(log->group, &hdr, sizeof(hdr));
	naive_reseal(log->group);
	/* The commit's own leaf, whose digest naive_reseal has filled in. */
	commit = sizeof(struct atr_commit_body) + say->feeds * sizeof(struct atr_feed_position);
	crypto_hash_sha256(log->leaf[log->leaves - 1], log->group + log->used - commit, commit);
	padded = (log->used + ATR_LOG_BLOCK - 1) / ATR_LOG_BLOCK * ATR_LOG_BLOCK;
	if (padded > ATR_GROUP_BYTES_MAX || log->groups == NAIVE_GROUPS ||
	    padded > log->segment_bytes - log->offset)
		abort();
	memcpy(naive_file(log, log->segment - 1)->bytes + log->offset, log->group, padded);
	log->at[log->groups].segment = log->segment - 1;
	log->at[log->groups].offset = log->offset;
	log->at[log->groups].length = (uint32_t)log->used;
	log->offset += padded;
	log->groups++;
}

/* The next chunk of a document of NAIVE_PLAN bytes, which takes as many records as it needs. */
static void put_plan(struct naive_log *log)
{
	uint8_t document[NAIVE_PLAN], body[sizeof(struct atr_plan_chunk) + NAIVE_CHUNK];
	struct atr_plan_chunk chunk = {.magic = {0, 'A', 'T', 'P'}, .total = sizeof(document)};
	struct naive_record record = {.hdr = {.kind = ATR_RECORD_PLAN}, .body = body};
	size_t length = sizeof(document) - log->plan_at;

	length = length < NAIVE_CHUNK ? length : NAIVE_CHUNK;
	if (log->plan_at == 0)
		log->plan_generation++;
	memset(document, 'a' + (int)log->plan_generation, sizeof(document));
	chunk.generation = log->plan_generation;
	chunk.offset = log->plan_at;
	crypto_hash_sha256(chunk.digest, document, sizeof(document));
	memcpy(body, &chunk, sizeof(chunk));
	memcpy(body + sizeof(chunk), document + log->plan_at, length);
	record.hdr.body_length = (uint32_t)(sizeof(chunk) + length);
	log->plan_at = (log->plan_at + length) % sizeof(document);
	naive_put(log, &record);
}

static void put_snapshot(struct naive_log *log)
{
	struct atr_snapshot_body body = {
		.magic = {0, 'A', 'T', 'S'}, .group = log->groups, .leaves = log->first};
	struct naive_record record = {
		.hdr = {.kind = ATR_RECORD_SNAPSHOT, .body_length = sizeof(body)},
		.body = (const uint8_t *)&body};

	naive_put(log, &record);
}

void naive_group(struct naive_log *log, const struct naive_group *shape)
{
	static const char envelope[] = "{\"header\":{}}";
	struct naive_record e = {.hdr = {.kind = ATR_RECORD_ENVELOPE,
					 .events = 1,
					 .source = 9,
					 .body_length = sizeof(envelope) - 1},
				 .body = (const uint8_t *)envelope};
	struct naive_commit commit = {.feeds = shape->feeds,
				      .generation = 1,
				      .committed_ns = log->groups + 1000,
				      .unsynced = shape->unsynced};

	/* The room is known only afterwards: a new segment is begun early enough. */
	naive_begin(log, (size_t)shape->frames * (shape->packets * 64 + 256) +
				 (shape->envelopes + shape->plans + shape->snapshots) * 160 +
				 2 * ATR_LOG_BLOCK);
	for (unsigned int i = 0; i < shape->plans; i++)
		put_plan(log);
	for (unsigned int i = 0; i < shape->snapshots; i++)
		put_snapshot(log);
	for (unsigned int i = 0; i < shape->frames; i++)
		put_frame(log, shape->packets);
	for (unsigned int i = 0; i < shape->envelopes; i++, log->events++)
		naive_put(log, &e);
	for (unsigned int i = 0; i < shape->feeds; i++)
		commit.feed[i] = (struct atr_feed_position){.feed = i * 2, .next = log->events};
	naive_finish(log, &commit);
}
