/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "../../../lib/log/log.h"
#include "../../../lib/log/reader.h"

#define PACKETS 20
#define FRAMES  600 /* in a group */
#define GROUPS  24
#define BUFFERS 4
#define SEGMENT (4096 + (8u << 20))
#define PAYLOAD 36

static uint8_t frame[ATR_DATAGRAM_MAX];
static int leaf_size;
static char error[512];

static void build_frame(void)
{
	static const uint8_t payload[PAYLOAD] = {1, 2, 3};
	struct atr_event events[PACKETS];
	struct atr_frame_spec spec = {
		.realm = 1, .source = 3, .key = 1, .leaf_count = 1, .first_sequence = 1};

	for (unsigned int i = 0; i < PACKETS; i++)
		events[i] = (struct atr_event){
			.type_id = 1, .payload = payload, .payload_length = PAYLOAD};
	leaf_size = atr_frame_build_body(&spec, events, PACKETS, frame, sizeof(frame));
	assert_true(leaf_size > 0);
	memset(frame + leaf_size, 9, ATR_SIGNATURE_SIZE);
}

static void fill(struct atr_group_buf *group)
{
	static const uint8_t decisions[] = {0xFF, 0xFF, 0x0F};
	struct atr_record_hdr header = {.kind = ATR_RECORD_FRAME,
					.body_length = (uint32_t)leaf_size + ATR_SIGNATURE_SIZE,
					.decision_length = sizeof(decisions),
					.events = PACKETS,
					.source = 3,
					.generation = 1};
	uint8_t leaf[ATR_HASH_SIZE];

	crypto_hash_sha256(leaf, frame, (size_t)leaf_size);
	for (unsigned int i = 0; i < FRAMES; i++) {
		assert_true(atr_log_fits(group, header.body_length, sizeof(decisions)));
		atr_log_append(group, &header, frame, decisions, leaf);
	}
	group->feed_set = 5;
	group->feed_next[0] = group->feed_next[2] = 77;
	group->generation = 1;
}

/* Writes groups many groups behind end and waits until they are durable. */
static void write_groups(struct atr_storage *storage, const struct atr_log_end *end, uint64_t epoch,
			 unsigned int groups)
{
	struct atr_log_params params = {.storage = storage,
					.name = "test",
					.realm = 42,
					.shard = 0,
					.shards = 1,
					.segment_bytes = SEGMENT,
					.buffers = BUFFERS,
					.epoch = epoch,
					.socket = -1};
	struct atr_log *log;
	unsigned int sealed = 0, durable = 0;

	memset(params.log_id, 0x33, sizeof(params.log_id));
	log = atr_log_open(&params, end, error, sizeof(error));
	if (!log)
		fail_msg("%s", error);
	while (durable < groups) {
		struct atr_group_buf *group = sealed < groups ? atr_log_begin(log, 0) : NULL;
		const char *sentence;

		if (group) {
			fill(group);
			atr_log_seal(log, group);
			sealed++;
		}
		atr_log_work(log);
		while ((group = atr_log_durable(log))) {
			durable++;
			atr_log_release(log, group);
		}
		if (atr_log_state(log, &sentence) == ATR_LOG_BROKEN)
			fail_msg("%s", sentence);
	}
	atr_log_close(log);
}

/* Invariant: what the real writer wrote on a real disk, over several segments and two starts, the
 * reader reads whole, and where it says the log ends the writer goes on. Prints the reader's speed
 * by processor time. */
static void written_is_read(void **state)
{
	char directory[] = "/tmp/atr-log-XXXXXX", command[64];
	struct atr_log_scan scan;
	struct atr_storage *storage;
	struct timespec a, b;
	double seconds;

	(void)state;
	build_frame();
	assert_non_null(mkdtemp(directory));
	storage = atr_storage_open(directory, NULL, error, sizeof(error));
	if (!storage)
		fail_msg("%s", error);
	memset(&scan, 0, sizeof(scan));
	for (uint64_t start = 1; start <= 2; start++) {
		write_groups(storage, &scan.end, start, GROUPS);
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &a);
		if (atr_log_scan(storage, NULL, &scan, error, sizeof(error)))
			fail_msg("%s", error);
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &b);
		assert_false(scan.torn);
		assert_int_equal(scan.groups, start * GROUPS);
		assert_int_equal(scan.records, start * GROUPS * (FRAMES + 1));
		assert_int_equal(scan.events, start * GROUPS * FRAMES * PACKETS);
		assert_true(scan.segments > 1);
	}
	seconds = (double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) / 1e9;
	print_message("scan from disk, a second of one core: %.2f M events/s, %.0f MB/s\n",
		      (double)scan.events / seconds / 1e6, (double)scan.bytes / seconds / 1e6);
	storage->ops->destroy(storage);
	snprintf(command, sizeof(command), "rm -r %s", directory);
	assert_int_equal(system(command), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(written_is_read)};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
