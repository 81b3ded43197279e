/* SPDX-License-Identifier: BSD-3-Clause */
#include "gap_log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../../lib/wire/moldudp64.h"
#include "gap_plan.h"

#define REALM       7
#define ENVELOPE_NS UINT64_C(1767323045678000000)

static const uint8_t log_id[16] = {9, 8, 7};

struct gap_log *gap_log_create(uint64_t segment_bytes)
{
	struct gap_log *log = calloc(1, sizeof(*log));
	char error[512];

	if (!log)
		abort();
	memory_init(&log->disk);
	log->segment_bytes = segment_bytes;
	log->at = sizeof(struct atr_group_hdr);
	log->plan = atr_plan_load(gap_plan_text, sizeof(gap_plan_text) - 1, error, sizeof(error));
	if (!log->plan) {
		fprintf(stderr, "%s\n", error);
		abort();
	}
	return log;
}

void gap_log_free(struct gap_log *log)
{
	for (unsigned int f = 0; f < GAP_FEEDS; f++)
		for (unsigned int i = 0; i < log->feed[f].count; i++)
			free(log->feed[f].message[i].bytes);
	memory_clear(&log->disk);
	atr_plan_free(log->plan);
	free(log);
}

static void expect(struct gap_log *log, unsigned int feed, uint64_t sequence,
		   const struct atr_packet *packet, const void *payload, size_t length)
{
	struct gap_message *m = &log->feed[feed].message[log->feed[feed].count++];

	if (log->feed[feed].count > GAP_MESSAGES)
		abort();
	m->length = (uint16_t)(8 + sizeof(*packet) + length);
	m->bytes = malloc(m->length);
	if (!m->bytes)
		abort();
	memcpy(m->bytes, &sequence, 8);
	memcpy(m->bytes + 8, packet, sizeof(*packet));
	if (length)
		memcpy(m->bytes + 8 + sizeof(*packet), payload, length);
}

static void put(struct gap_log *log, struct atr_record_hdr hdr, const void *body,
		const void *decisions)
{
	size_t room = sizeof(hdr) + hdr.body_length + hdr.decision_length;

	if (log->at + room + 8 > sizeof(log->group))
		abort();
	hdr.leaf = log->leaves++;
	memset(log->group + log->at, 0, room + 8);
	memcpy(log->group + log->at, &hdr, sizeof(hdr));
	memcpy(log->group + log->at + sizeof(hdr), body, hdr.body_length);
	if (decisions)
		memcpy(log->group + log->at + sizeof(hdr) + hdr.body_length, decisions,
		       hdr.decision_length);
	log->at += (room + 7) / 8 * 8;
	log->records++;
}

void gap_log_frame(struct gap_log *log, unsigned int events)
{
	struct atr_event event[ATR_FRAME_PACKETS_MAX] = {0};
	static uint8_t payload[ATR_FRAME_PACKETS_MAX][4 + GAP_NOTE_MAX];
	struct atr_frame_spec spec = {.realm = REALM, .source = 1, .key = 1, .leaf_count = 1};
	struct atr_record_hdr hdr = {.kind = ATR_RECORD_FRAME, .source = 1};
	uint8_t frame[65536], decisions[32] = {0};
	int length;

	spec.first_sequence = log->sequence;
	for (unsigned int i = 0; i < events; i++) {
		uint32_t value = (uint32_t)((log->sequence + i) * 37 % 1000);
		bool note = (log->sequence + i) % 2;

		memset(payload[i], 'a' + (int)(i % 26), sizeof(payload[i]));
		memset(payload[i], 0, 8);
		memcpy(payload[i], &value, sizeof(value));
		event[i] =
			(struct atr_event){.topic_id = 1,
					   .type_id = note ? 2 : 1,
					   .timestamp_ns = log->sequence + i,
					   .payload = payload[i],
					   .payload_length = note ? 4 + value % GAP_NOTE_MAX : 8};
		if ((log->sequence + i) % 3)
			decisions[i / 8] |= (uint8_t)(1 << i % 8);
	}
	length = atr_frame_build_body(&spec, event, events, frame, sizeof(frame));
	if (length < 0)
		abort();
	for (unsigned int i = 0; i < events; i++) {
		const struct atr_packet *packet = (const struct atr_packet *)(frame + 64 + 64 * i);
		size_t arena = event[i].payload_length > 36 ? event[i].payload_length : 0;
		uint32_t value;

		memcpy(&value, payload[i], sizeof(value));
		if ((log->sequence + i) % 3 == 0)
			continue;
		expect(log, 0, log->sequence + i, packet, payload[i], arena);
		if (event[i].type_id == 1 && value >= 500)
			expect(log, 1, log->sequence + i, packet, payload[i], arena);
	}
	memset(frame + length, 0x5A, ATR_SIGNATURE_SIZE);
	log->sequence += events;
	hdr.events = (uint16_t)events;
	hdr.body_length = (uint32_t)length + ATR_SIGNATURE_SIZE;
	hdr.decision_length = (uint16_t)((events + 7) / 8);
	put(log, hdr, frame, decisions);
}

void gap_log_envelope(struct gap_log *log)
{
	struct atr_record_hdr hdr = {.kind = ATR_RECORD_ENVELOPE,
				     .events = 1,
				     .source = 1,
				     .topic = 1,
				     .type = 1,
				     .feeds = 1};
	struct atr_packet packet = {.flags = ATR_FLAG_ARENA | ATR_FLAG_ENVELOPE,
				    .topic_id = 1,
				    .sender_id = 1,
				    .timestamp_ns = ENVELOPE_NS,
				    .type_id = 1};
	char text[512];
	int n = snprintf(
		text, sizeof(text),
		"{\"header\":{\"id\":\"019b7ca9-8f2e-7abc-8def-%012llu\",\"source\":\"s1\","
		"\"timestamp\":\"2026-01-02T03:04:05.678Z\",\"topic\":\"a.open\",\"type\":"
		"\"reading\",\"version\":1},\"payload\":1,\"signature\":\"%0128d\"}",
		(unsigned long long)log->leaves, 0);

	hdr.body_length = packet.arena.length = (uint32_t)n;
	expect(log, 0, log->leaves, &packet, text, (size_t)n);
	put(log, hdr, text, NULL);
}

void gap_log_snapshot(struct gap_log *log)
{
	struct atr_record_hdr hdr = {.kind = ATR_RECORD_SNAPSHOT};
	struct atr_snapshot_body body = {.magic = {0, 'A', 'T', 'S'}};

	hdr.body_length = sizeof(body);
	put(log, hdr, &body, NULL);
}

struct memory_file *gap_log_file(struct gap_log *log)
{
	char name[MEMORY_NAME];

	snprintf(name, sizeof(name), "segment-%016llx.atr", (unsigned long long)log->segments - 1);
	return memory_find(&log->disk, name);
}

static void new_segment(struct gap_log *log)
{
	struct atr_segment_hdr hdr = {.magic = ATR_LOG_MAGIC, .version = 1, .shard = GAP_SHARD};
	char name[MEMORY_NAME];
	struct memory_file *file;

	snprintf(name, sizeof(name), "segment-%016llx.atr", (unsigned long long)log->segments);
	file = memory_add(&log->disk, name, log->segment_bytes);
	memcpy(hdr.log_id, log_id, sizeof(log_id));
	hdr.segment = log->segments++;
	hdr.first_group = log->groups;
	memcpy(file->bytes, &hdr, sizeof(hdr));
	hdr.crc = naive_crc(file->bytes, ATR_LOG_BLOCK);
	memcpy(file->bytes, &hdr, sizeof(hdr));
	log->offset = ATR_LOG_BLOCK;
}

static void put_commit(struct gap_log *log, uint64_t first_leaf)
{
	struct {
		struct atr_commit_body body;
		struct atr_feed_position position[GAP_FEEDS];
	} __attribute__((packed)) commit = {.body = {.magic = {0, 'A', 'T', 'C'}}};
	struct atr_record_hdr hdr = {.kind = ATR_RECORD_COMMIT};
	unsigned int feeds = 0;

	commit.body.group = log->groups;
	commit.body.first_leaf = first_leaf;
	commit.body.leaves = log->leaves - first_leaf;
	/* A feed is in use from its first message on. */
	for (unsigned int f = 0; f < GAP_FEEDS; f++)
		if (log->feed[f].count)
			commit.position[feeds++] = (struct atr_feed_position){
				.feed = f, .next = log->feed[f].count + 1};
	commit.body.feed_count = feeds;
	hdr.body_length =
		(uint32_t)(sizeof(commit.body) + feeds * sizeof(struct atr_feed_position));
	put(log, hdr, &commit, NULL);
}

void gap_log_commit(struct gap_log *log)
{
	struct atr_group_hdr hdr = {.magic = ATR_GROUP_MAGIC, .shard = GAP_SHARD};
	size_t padded;

	hdr.first_leaf = log->leaves - log->records;
	put_commit(log, hdr.first_leaf);
	padded = (log->at + ATR_LOG_BLOCK - 1) / ATR_LOG_BLOCK * ATR_LOG_BLOCK;
	if (log->segments == 0 || padded > log->segment_bytes - log->offset)
		new_segment(log);
	hdr.length = (uint32_t)log->at;
	hdr.records = log->records;
	memcpy(hdr.log_id, log_id, sizeof(log_id));
	hdr.segment = log->segments - 1;
	hdr.offset = log->offset;
	hdr.group = log->groups++;
	memcpy(log->group, &hdr, sizeof(hdr));
	naive_reseal(log->group);
	memcpy(gap_log_file(log)->bytes + log->offset, log->group, log->at);
	log->last_offset = log->offset;
	log->offset += padded;
	log->at = sizeof(hdr);
	log->records = 0;
}
