/* SPDX-License-Identifier: BSD-3-Clause */
/* How fast a log is read again. Scope: lib/log's reader and lib/replay alone, one thread on one
 * CPU, the log in memory (no disk): frames of 17 events of 64 bytes of one source, groups near 1
 * MiB, a plan with one rule and one feed of class commit. Rates are per second of the thread's CPU
 * time, and in brackets per second of wall clock.
 *
 * Usage: bench_recovery [CPU]. */
#include <errno.h>
#include <sched.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../../lib/log/crc.h"
#include "../../lib/log/reader.h"
#include "../../lib/replay/replay.h"

#define SEGMENT_BYTES (256u << 20)
#define EVENTS        17
#define FRAME_BYTES   (ATR_FRAME_HDR_SIZE + EVENTS * ATR_PACKET_SIZE + ATR_SIGNATURE_SIZE)
#define ROOM          (64 + FRAME_BYTES + 8) /* of a record */
#define FRAMES_GROUP  800
#define ROUNDS        5
#define DECISIONS     3

static const char plan_text[] =
	"{\"atr_plan\":1,\"feeds\":[{\"destinations\":[],\"durability\":\"commit\",\"id\":0,"
	"\"name\":\"f\"}],\"ingress\":{\"udp_port\":26400},\"name\":\"bench\","
	"\"realm\":\"000000000000002a\",\"rules\":[{\"feeds\":[\"f\"],\"name\":\"r\","
	"\"roles\":[\"r\"],\"topics\":[\">\"],\"types\":[\"t\"]}],\"sources\":[{\"id\":1,"
	"\"keys\":[{\"id\":1,\"public\":"
	"\"6ff43152c0fd01b4d89bfca9f5a9188dc6ff8599349629ddf186a74b7d207e28\","
	"\"use\":\"frames\"}],\"name\":\"s\",\"role\":\"r\"}],\"topics\":[{\"id\":1,"
	"\"name\":\"a\"}],\"types\":[{\"binary\":{\"fields\":[{\"at\":0,\"kind\":\"u64\","
	"\"name\":\"v\"}],\"size\":36},\"id\":1,\"name\":\"t\"}],\"version\":1}";

/* One segment in memory. */
static struct {
	struct atr_storage storage;
	uint8_t *bytes;
	uint64_t used, leaves, groups, sequence, feed_next;
	uint8_t digest[32];
} made;

static void die(const char *what)
{
	fprintf(stderr, "bench_recovery: %s\n", what);
	exit(1);
}

static int file_open(struct atr_storage *storage, const char *name, bool create, uint64_t *size,
		     struct atr_file **file)
{
	(void)create;
	*size = SEGMENT_BYTES;
	*file = (struct atr_file *)storage;
	return strcmp(name, "segment-0000000000000000.atr") == 0 ? 0 : -ENOENT;
}

static void file_close(struct atr_storage *storage, struct atr_file *file)
{
	(void)storage;
	(void)file;
}

static int file_read(struct atr_storage *storage, struct atr_file *file, void *buffer,
		     size_t length, uint64_t offset)
{
	(void)storage;
	(void)file;
	memcpy(buffer, made.bytes + offset, length);
	return 0;
}

static int file_list(struct atr_storage *storage, unsigned int index, char *name, size_t size)
{
	(void)storage;
	if (index)
		return -ENOENT;
	snprintf(name, size, ATR_SEGMENT_NAME, UINT64_C(0));
	return 0;
}

static uint32_t crc_of(const void *bytes, size_t length)
{
	return atr_log_crc_end(atr_log_crc_add(ATR_LOG_CRC_BEGIN, bytes, length));
}

static size_t put(uint8_t *to, struct atr_record_hdr *hdr, const uint8_t *body,
		  const uint8_t *decisions, crypto_hash_sha256_state *state)
{
	size_t length = sizeof(*hdr) + hdr->body_length + hdr->decision_length;

	hdr->leaf = made.leaves++;
	memcpy(to, hdr, sizeof(*hdr));
	memcpy(to + sizeof(*hdr), body, hdr->body_length);
	if (hdr->decision_length)
		memcpy(to + sizeof(*hdr) + hdr->body_length, decisions, hdr->decision_length);
	hdr->crc = crc_of(to, length);
	memcpy(to, &hdr->crc, sizeof(hdr->crc));
	if (state) {
		crypto_hash_sha256_update(state, to, sizeof(*hdr));
		crypto_hash_sha256_update(state, to + sizeof(*hdr) + hdr->body_length,
					  hdr->decision_length);
	}
	return (length + 7) / 8 * 8;
}

static size_t put_plan(uint8_t *to, crypto_hash_sha256_state *state)
{
	uint8_t body[sizeof(struct atr_plan_chunk) + sizeof(plan_text)];
	struct atr_plan_chunk chunk = {
		.magic = {0, 'A', 'T', 'P'}, .generation = 1, .total = sizeof(plan_text) - 1};
	struct atr_record_hdr hdr = {.kind = ATR_RECORD_PLAN, .body_length = sizeof(body) - 1};

	crypto_hash_sha256(made.digest, (const uint8_t *)plan_text, sizeof(plan_text) - 1);
	memcpy(chunk.digest, made.digest, sizeof(chunk.digest));
	memcpy(body, &chunk, sizeof(chunk));
	memcpy(body + sizeof(chunk), plan_text, sizeof(plan_text) - 1);
	return put(to, &hdr, body, NULL, state);
}

static size_t put_frame(uint8_t *to, crypto_hash_sha256_state *state)
{
	static const uint8_t decisions[DECISIONS] = {0xFF, 0xFF, 0x01};
	static const uint8_t payload[ATR_INLINE_MAX];
	struct atr_event events[EVENTS] = {0};
	struct atr_frame_spec spec = {.realm = 42, .source = 1, .key = 1, .leaf_count = 1};
	struct atr_record_hdr hdr = {.kind = ATR_RECORD_FRAME,
				     .source = 1,
				     .events = EVENTS,
				     .generation = 1,
				     .body_length = FRAME_BYTES,
				     .decision_length = DECISIONS};
	uint8_t body[FRAME_BYTES] = {0};

	spec.first_sequence = made.sequence;
	made.sequence += EVENTS;
	made.feed_next += EVENTS;
	for (unsigned int i = 0; i < EVENTS; i++)
		events[i] = (struct atr_event){.topic_id = 1,
					       .type_id = 1,
					       .timestamp_ns = made.sequence + i,
					       .payload = payload,
					       .payload_length = sizeof(payload)};
	if (atr_frame_build_body(&spec, events, EVENTS, body, sizeof(body)) < 0)
		die("the frame is too large");
	return put(to, &hdr, body, decisions, state);
}

static void make_group(unsigned int frames)
{
	struct {
		struct atr_commit_body commit;
		struct atr_feed_position feed;
	} body = {.commit = {.magic = {0, 'A', 'T', 'C'}, .feed_count = 1, .generation = 1}};
	struct atr_group_hdr *hdr = (void *)(made.bytes + made.used);
	struct atr_record_hdr commit = {.kind = ATR_RECORD_COMMIT, .body_length = sizeof(body)};
	size_t at = sizeof(*hdr);
	crypto_hash_sha256_state state;

	*hdr = (struct atr_group_hdr){.magic = ATR_GROUP_MAGIC,
				      .offset = made.used,
				      .group = made.groups,
				      .first_leaf = made.leaves,
				      .epoch = 1,
				      .committed_ns = made.groups + 1};
	crypto_hash_sha256_init(&state);
	if (made.groups == 0)
		at += put_plan((uint8_t *)hdr + at, &state);
	for (unsigned int i = 0; i < frames; i++)
		at += put_frame((uint8_t *)hdr + at, &state);
	crypto_hash_sha256_final(&state, body.commit.decisions);
	memcpy(body.commit.plan_digest, made.digest, sizeof(made.digest));
	body.commit.group = made.groups++;
	body.commit.first_leaf = hdr->first_leaf;
	body.commit.leaves = made.leaves - hdr->first_leaf;
	body.commit.committed_ns = hdr->committed_ns;
	body.feed.next = made.feed_next;
	at += put((uint8_t *)hdr + at, &commit, (const uint8_t *)&body, NULL, NULL);
	hdr->length = (uint32_t)at;
	hdr->records = (uint32_t)(made.leaves - hdr->first_leaf);
	hdr->crc = crc_of(hdr, at);
	made.used += (at + ATR_LOG_BLOCK - 1) / ATR_LOG_BLOCK * ATR_LOG_BLOCK;
}

static void make_log(void)
{
	static const struct atr_storage_ops ops = {
		.open = file_open, .close = file_close, .read = file_read, .list = file_list};
	struct atr_segment_hdr hdr = {.magic = ATR_LOG_MAGIC, .version = 1, .realm = 42};

	made.storage.ops = &ops;
	made.bytes = calloc(1, SEGMENT_BYTES);
	if (!made.bytes)
		die("needs 300 MiB of memory");
	hdr.shards = 1;
	hdr.bytes = SEGMENT_BYTES;
	crypto_hash_sha256(hdr.root, NULL, 0);
	memcpy(made.bytes, &hdr, sizeof(hdr));
	hdr.crc = crc_of(made.bytes, ATR_LOG_BLOCK);
	memcpy(made.bytes, &hdr, sizeof(hdr));
	made.used = ATR_LOG_BLOCK;
	made.sequence = made.feed_next = 1;
	while (SEGMENT_BYTES - made.used >= FRAMES_GROUP * ROOM + 2 * ATR_LOG_BLOCK)
		make_group(FRAMES_GROUP);
}

static double seconds(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static struct atr_replay *new_replay(void)
{
	struct atr_replay_params params = {.shard = 0, .shards = 1};
	char error[512];
	struct atr_replay *replay = atr_replay_create(&params, error, sizeof(error));

	if (!replay)
		die(error);
	return replay;
}

static void scan(bool replayed)
{
	struct atr_replay *replay = replayed ? new_replay() : NULL;
	struct atr_log_scan s;
	char error[512] = "";

	if (atr_log_scan(&made.storage, replay ? atr_replay_visitor(replay) : NULL, &s, error,
			 sizeof(error)) < 0)
		die(replay && !error[0] ? atr_replay_error(replay) : error);
	if (s.events != made.sequence - 1)
		die("the scan has other events than the log");
	atr_replay_free(replay);
}

static void follow(enum atr_log_follow_mode mode, bool replayed)
{
	struct atr_log_follow_params params = {.storage = &made.storage, .mode = mode};
	struct atr_replay *replay = replayed ? new_replay() : NULL;
	char error[512] = "";
	struct atr_log_follow *f = atr_log_follow_open(&params, error, sizeof(error));

	if (!f || atr_log_follow_take(f, made.groups, UINT32_MAX / 2,
				      replay ? atr_replay_visitor(replay) : NULL, error,
				      sizeof(error)) != (int)made.groups)
		die(replay && !error[0] ? atr_replay_error(replay) : error);
	atr_log_follow_close(f);
	atr_replay_free(replay);
}

static void measure(const char *name, int which)
{
	double best_cpu = 0, best_wall = 0, events = (double)(made.sequence - 1);

	for (int round = 0; round < ROUNDS; round++) {
		double cpu = seconds(CLOCK_THREAD_CPUTIME_ID), wall = seconds(CLOCK_MONOTONIC);

		switch (which) {
		case 0: scan(false); break;
		case 1: scan(true); break;
		case 2: follow(ATR_FOLLOW_LEAVES, true); break;
		default: follow(ATR_FOLLOW_CRC, false); break;
		}
		cpu = seconds(CLOCK_THREAD_CPUTIME_ID) - cpu;
		wall = seconds(CLOCK_MONOTONIC) - wall;
		if (events / cpu > best_cpu)
			best_cpu = events / cpu;
		if (events / wall > best_wall)
			best_wall = events / wall;
	}
	printf("%-44s %6.1f M events/s (%.1f)\n", name, best_cpu * 1e-6, best_wall * 1e-6);
}

int main(int argc, char **argv)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(argc > 1 ? atoi(argv[1]) : 0, &set);
	if (sched_setaffinity(0, sizeof(set), &set) < 0 || sodium_init() < 0)
		die("cannot run on that CPU");
	make_log();
	printf("log in memory, %u events of 64 bytes a frame, %.1f M events, %u MiB, one thread; "
	       "best of %d, by its CPU time (by the wall)\n",
	       EVENTS, (double)(made.sequence - 1) * 1e-6, (unsigned int)(made.used >> 20), ROUNDS);
	measure("scan: every CRC, digest, leaf and the tree", 0);
	measure("scan and replay", 1);
	measure("follow with leaf hashes, and replay", 2);
	measure("follow, CRCs only", 3);
	return 0;
}
