/* SPDX-License-Identifier: BSD-3-Clause */
#include "replay_log.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../../lib/plan/plan.h"

#define KEY_A "6ff43152c0fd01b4d89bfca9f5a9188dc6ff8599349629ddf186a74b7d207e28"
#define KEY_B "0e15fd58b179127b5f03943359ee52c5c1f7d2db7b332171228bd22a79d985c3"

/* A type of which state is kept, by room and label. */
#define KEPT(id, name, op)                                                                      \
	"{\"id\":" id ",\"name\":\"" name "\",\"state\":{" op ",\"key\":[\"room\",\"label\"]}," \
	"\"binary\":{\"size\":16,\"tail\":{\"name\":\"label\",\"max\":20},\"fields\":["         \
	"{\"name\":\"value\",\"at\":0,\"kind\":\"i64\",\"scale\":2,\"absent_raw\":-1},"         \
	"{\"name\":\"room\",\"at\":8,\"kind\":\"u64\",\"scale\":1}]},"                          \
	"\"json\":{\"type\":\"object\",\"properties\":{\"value\":{\"type\":\"number\"},"        \
	"\"room\":{\"type\":\"number\"},\"label\":{\"type\":\"string\"}}}}"

const char replay_plan_text[] =
	"{\"atr_plan\":1,\"name\":\"replayed\",\"version\":1,\"realm\":\"000000000000002a\","
	"\"ingress\":{\"udp_port\":26400},"
	"\"identity\":{\"uuid_past_ms\":1000,\"uuid_future_ms\":1000},"
	"\"sources\":[{\"id\":1,\"name\":\"one\",\"role\":\"r\",\"window\":64,"
	"\"keys\":[{\"id\":1,\"use\":\"frames\",\"public\":\"" KEY_A "\"}]},"
	"{\"id\":2,\"name\":\"two\",\"role\":\"r\",\"window\":1024,"
	"\"keys\":[{\"id\":1,\"use\":\"frames\",\"public\":\"" KEY_B "\"}]}],"
	"\"types\":[{\"id\":1,\"name\":\"reading\","
	"\"binary\":{\"size\":8,\"fields\":[{\"name\":\"value\",\"at\":0,\"kind\":\"i32\"},"
	"{\"name\":\"room\",\"at\":4,\"kind\":\"u32\"}]},"
	"\"json\":{\"type\":\"object\",\"properties\":{\"value\":{\"type\":\"number\"}}}}"
	"," KEPT("2", "last", "\"op\":\"last\"") "," KEPT("3", "sum", "\"op\":\"increment\",\"value\":\"value\"") "," KEPT("4", "most", "\"op\":\"maximum\",\"value\":\"value\"") "," KEPT(
		"5", "set",
		"\"op\":\"set\",\"value\":\"value\"") "," KEPT("6", "gone",
							       "\"op\":\"delete\",\"of\":"
							       "\"sum\"") "],"
									  "\"topics\":[{"
									  "\"id\":1,\"name\":"
									  "\"t.a\"}],"
									  "\"rules\":[{"
									  "\"name\":\"all\","
									  "\"roles\":[\"r\"],"
									  "\"topics\":[\"t.*"
									  "\"],\"types\":["
									  "\"reading\"],"
									  "\"feeds\":[\"all\","
									  "\"later\"]},"
									  "{\"name\":\"kept\","
									  "\"roles\":[\"r\"],"
									  "\"topics\":[\"t.*"
									  "\"],"
									  "\"types\":["
									  "\"last\",\"sum\","
									  "\"most\",\"set\","
									  "\"gone\"],"
									  "\"feeds\":[]},"
									  "{\"name\":"
									  "\"strong\","
									  "\"roles\":[\"r\"],"
									  "\"topics\":[\"t.*"
									  "\"],\"types\":["
									  "\"reading\"],"
									  "\"where\":[{"
									  "\"field\":"
									  "\"value\",\"op\":"
									  "\">=\",\"value\":"
									  "100}],\"feeds\":["
									  "\"strong\"]}],"
									  "\"feeds\":[{\"id\":"
									  "0,\"name\":\"all\","
									  "\"durability\":"
									  "\"commit\","
									  "\"destinations\":[]"
									  "},"
									  "{\"id\":1,\"name\":"
									  "\"strong\","
									  "\"durability\":"
									  "\"commit\","
									  "\"destinations\":[]"
									  "},"
									  "{\"id\":2,\"name\":"
									  "\"later\","
									  "\"durability\":"
									  "\"async\","
									  "\"destinations\":[]"
									  "}]}";

void replay_log_init(struct replay_log *log)
{
	char error[256];
	struct atr_plan *plan =
		atr_plan_load(replay_plan_text, strlen(replay_plan_text), error, sizeof(error));

	if (!plan) {
		fprintf(stderr, "%s\n", error);
		abort();
	}
	memset(log, 0, sizeof(*log));
	memory_init(&log->disk);
	naive_init(&log->naive, &log->disk, SEGMENT);
	log->document = plan->document;
	log->document_length = plan->document_length;
	memcpy(log->digest, plan->digest, sizeof(log->digest));
	plan->document = NULL;
	atr_plan_free(plan);
	log->generation = 1;
	log->commit.feeds = 2;
	for (uint32_t i = 0; i < 2; i++)
		log->commit.feed[i] = (struct atr_feed_position){.feed = i, .next = 1};
}

void replay_log_free(struct replay_log *log)
{
	naive_free(&log->naive);
	memory_clear(&log->disk);
	free(log->document);
}

void replay_log_begin(struct replay_log *log)
{
	naive_begin(&log->naive, 64u << 10);
}

void replay_log_finish(struct replay_log *log, uint64_t ms)
{
	log->commit.committed_ns = (START_MS + ms) * 1000000;
	naive_finish(&log->naive, &log->commit);
}

void replay_log_chunk(struct replay_log *log, uint64_t generation, size_t offset, size_t length)
{
	struct atr_plan_chunk chunk = {.magic = {0, 'A', 'T', 'P'},
				       .generation = generation,
				       .offset = offset,
				       .total = log->document_length};
	uint8_t *body = malloc(sizeof(chunk) + length);
	struct naive_record record = {
		.hdr = {.kind = ATR_RECORD_PLAN, .body_length = (uint32_t)(sizeof(chunk) + length)},
		.body = body};

	memcpy(chunk.digest, log->digest, sizeof(chunk.digest));
	memcpy(body, &chunk, sizeof(chunk));
	memcpy(body + sizeof(chunk), log->document + offset, length);
	naive_put(&log->naive, &record);
	free(body);
}

void replay_log_plan(struct replay_log *log)
{
	replay_log_begin(log);
	replay_log_chunk(log, 1, 0, log->document_length);
	log->commit.generation = 1;
	memcpy(log->commit.plan_digest, log->digest, sizeof(log->digest));
	replay_log_finish(log, 0);
}

static void put_frame(struct replay_log *log, uint32_t source, uint64_t first,
		      const struct atr_event *events, unsigned int count, const uint8_t *admitted)
{
	struct atr_frame_spec spec = {.realm = 42, .source = source, .key = 1, .leaf_count = 1};
	struct naive_record record = {.hdr = {.kind = ATR_RECORD_FRAME, .source = source}};
	uint8_t frame[ATR_DATAGRAM_MAX];
	int leaf;

	spec.first_sequence = first;
	leaf = atr_frame_build_body(&spec, events, count, frame, sizeof(frame));
	if (leaf < 0)
		abort();
	memset(frame + leaf, 0x5A, ATR_SIGNATURE_SIZE);
	record.hdr.body_length = (uint32_t)leaf + ATR_SIGNATURE_SIZE;
	record.hdr.events = (uint16_t)count;
	record.hdr.decision_length = (uint16_t)((count + 7) / 8);
	record.hdr.generation = log->generation;
	record.body = frame;
	record.decisions = admitted;
	record.leaf_size = (size_t)leaf;
	naive_put(&log->naive, &record);
}

void replay_log_frame(struct replay_log *log, uint32_t source, uint64_t first, unsigned int count,
		      int32_t first_value, const uint8_t *admitted)
{
	struct atr_event events[EVENTS_MAX] = {0};
	uint8_t payload[EVENTS_MAX][8] = {0};

	for (unsigned int i = 0; i < count; i++) {
		int32_t value = first_value + (int32_t)i;

		memcpy(payload[i], &value, sizeof(value));
		events[i] = (struct atr_event){.topic_id = 1,
					       .type_id = 1,
					       .payload = payload[i],
					       .payload_length = sizeof(payload[i])};
		if (!(admitted[i / 8] >> (i % 8) & 1))
			continue;
		log->commit.feed[0].next++;
		log->commit.feed[1].next += value >= 100;
	}
	put_frame(log, source, first, events, count, admitted);
}

void replay_log_kept(struct replay_log *log, uint32_t source, uint64_t sequence, uint32_t type,
		     int64_t value, uint64_t room, const char *label)
{
	static const uint8_t admitted[] = {1};
	uint8_t payload[ATR_INLINE_MAX] = {0};
	struct atr_event event = {.topic_id = 1,
				  .type_id = type,
				  .payload = payload,
				  .payload_length = ATR_INLINE_MAX};

	memcpy(payload, &value, sizeof(value));
	memcpy(payload + sizeof(value), &room, sizeof(room));
	memcpy(payload + sizeof(value) + sizeof(room), label, strlen(label));
	put_frame(log, source, sequence, &event, 1, admitted);
}

void replay_log_all(struct replay_log *log, uint32_t source, uint64_t first, unsigned int count,
		    int32_t first_value)
{
	uint8_t admitted[ATR_REPLAY_DECISIONS] = {0};

	for (unsigned int i = 0; i < count; i++)
		admitted[i / 8] |= (uint8_t)(1u << (i % 8));
	replay_log_frame(log, source, first, count, first_value, admitted);
}

static void put_envelope(struct replay_log *log, uint64_t ms, uint32_t serial, uint32_t type,
			 uint64_t feeds, const char *payload)
{
	unsigned long long at = START_MS + ms;
	char body[512];
	int length = snprintf(body, sizeof(body),
			      "{\"header\":{\"id\":\"%08llx-%04llx-7000-8000-0000%08x\","
			      "\"source\":\"one\"},\"payload\":%s}",
			      at >> 16, at & 0xFFFF, serial, payload);
	struct naive_record record = {.hdr = {.kind = ATR_RECORD_ENVELOPE,
					      .events = 1,
					      .source = 1,
					      .topic = 1,
					      .type = type,
					      .feeds = feeds},
				      .body = (const uint8_t *)body};

	record.hdr.body_length = (uint32_t)length;
	record.hdr.generation = log->generation;
	naive_put(&log->naive, &record);
}

void replay_log_envelope(struct replay_log *log, uint64_t ms, uint32_t serial)
{
	log->commit.feed[0].next++;
	put_envelope(log, ms, serial, 1, 5, "{\"value\":5}");
}

void replay_log_json(struct replay_log *log, uint32_t serial, uint32_t type, const char *payload)
{
	put_envelope(log, 0, serial, type, 0, payload);
}

int replay_log_scan(struct replay_log *log, struct atr_replay **replay)
{
	struct atr_replay_params params = {.shard = 1, .shards = 2, .state_keys = log->state_keys};
	struct atr_log_scan scan;

	*replay = atr_replay_create(&params, log->error, sizeof(log->error));
	if (!*replay)
		abort();
	return atr_log_scan(&log->disk.storage, atr_replay_visitor(*replay), &scan, log->error,
			    sizeof(log->error));
}
