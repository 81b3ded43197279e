/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "log_drive.h"

#define RUNS 60

static struct drive *start(uint64_t seed, struct finding *finding)
{
	struct drive *drive = malloc(sizeof(*drive));

	memset(finding, 0, sizeof(*finding));
	drive_init(drive, seed);
	return drive;
}

static void stop(struct drive *drive)
{
	drive_free(drive);
	free(drive);
}

/* Invariant: what atr_log_fits allows never reaches beyond the buffer, with the largest commit
 * record behind it; a group of nothing but its commit is possible. */
static void groups_at_their_limits(void **state)
{
	static uint8_t body[ATR_GROUP_BYTES_MAX];
	const uint32_t empty =
		ATR_GROUP_BYTES_MAX - 120 - 64 - 7 - (64 + 56) - (64 + 112 + 64 * 16);
	struct finding finding;
	struct drive *drive = start(1, &finding);
	struct atr_record_hdr header = {.kind = ATR_RECORD_FRAME};
	struct atr_group_buf *group;
	uint8_t leaf[32] = {1};

	(void)state;
	memset(body, 5, sizeof(body));
	assert_true(drive_open(drive, &finding.end));
	group = atr_log_begin(drive->log, 77);
	assert_int_equal(group->opened_tsc, 77);
	assert_true(atr_log_fits(group, empty, 0));
	assert_false(atr_log_fits(group, empty + 1, 0));
	assert_false(atr_log_fits(group, empty, 1));
	assert_false(atr_log_fits(group, UINT32_MAX, UINT32_MAX));
	assert_false(atr_log_fits(group, UINT32_MAX, 0));
	assert_true(atr_log_fits(group, 1, UINT16_MAX));
	assert_false(atr_log_fits(group, 1, UINT16_MAX + 1));
	header.body_length = empty;
	group->feed_set = UINT64_MAX;
	atr_log_append(group, &header, body, NULL, leaf);
	assert_false(atr_log_fits(group, 0, 0));
	drive->model.sealed = 1;
	drive->model.group[0] = (struct model_group){.bytes = malloc(ATR_GROUP_BYTES_MAX),
						     .length = group->used - 120,
						     .records = 1,
						     .leaf = calloc(1, 32),
						     .feed_set = UINT64_MAX};
	memcpy(drive->model.group[0].bytes, group->data + 120, group->used - 120);
	memcpy(drive->model.group[0].feed_next, group->feed_next, sizeof(group->feed_next));
	drive->model.group[0].leaf[0][0] = 1;
	atr_log_seal(drive->log, group);
	drive_run(drive, 1);
	assert_null(drive->wrong);

	group = atr_log_begin(drive->log, 0);
	header.body_length = 1;
	for (unsigned int i = 0; i < ATR_LOG_RECORDS_MAX - 1; i++) {
		assert_true(atr_log_fits(group, 1, 0));
		atr_log_append(group, &header, body, NULL, leaf);
	}
	assert_false(atr_log_fits(group, 1, 0));
	atr_log_release(drive->log, group);
	drive_close(drive);
	assert_null(check_log(&drive->disk, &drive->model, 1, &finding));
	assert_int_equal(finding.groups, 1);
	stop(drive);
}

/* Invariant: after a write or a sync that failed, the log is broken for good: nothing that was not
 * durable before comes back, whatever later syncs say, and all that came back is on the disk. */
static void errors_break_the_log(void **state)
{
	unsigned int broken = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= RUNS; seed++) {
		struct finding *finding = malloc(sizeof(*finding));
		struct drive *drive = start(seed, finding);
		const char *sentence, *wrong;
		unsigned int released;

		assert_true(drive_open(drive, &finding->end));
		if (seed % 2)
			drive->disk.fail_write = drive->disk.writes_seen + 1 + seed / 2;
		else
			drive->disk.fail_sync = drive->disk.syncs_seen + 1 + seed / 4;
		drive_run(drive, 40);
		released = drive->released;
		if (drive->disk.failed) {
			broken++;
			assert_int_equal(atr_log_state(drive->log, &sentence), ATR_LOG_BROKEN);
			assert_non_null(strstr(sentence, "failed"));
			for (unsigned int i = 0; i < 1000; i++) {
				atr_log_work(drive->log);
				assert_null(atr_log_durable(drive->log));
			}
			assert_int_equal(atr_log_state(drive->log, NULL), ATR_LOG_BROKEN);
		}
		drive_close(drive);
		simdisk_restart(&drive->disk);
		wrong = check_log(&drive->disk, &drive->model, released, finding);
		if (wrong || drive->wrong)
			fail_msg("seed %llu: %s", (unsigned long long)seed,
				 wrong ? wrong : drive->wrong);
		stop(drive);
		free(finding);
	}
	assert_true(broken > RUNS / 2);
}

/* Invariant: a full disk stops the log where it needs a segment, and nothing is lost: once there is
 * room it goes on with what waited. */
static void a_full_disk_is_waited_for(void **state)
{
	struct finding *finding = malloc(sizeof(*finding));
	struct drive *drive = start(11, finding);
	const char *sentence, *wrong;
	unsigned int before;

	(void)state;
	drive->disk.room = DRIVE_SEGMENT_BYTES;
	assert_true(drive_open(drive, &finding->end));
	drive_run(drive, 60);
	assert_int_equal(atr_log_state(drive->log, &sentence), ATR_LOG_FULL);
	assert_non_null(strstr(sentence, "free some space"));
	for (unsigned int i = 0; i < 2000; i++) {
		atr_log_work(drive->log);
		drive_take(drive);
	}
	before = drive->released;
	assert_true(drive->model.sealed > before);
	assert_int_equal(atr_log_state(drive->log, NULL), ATR_LOG_FULL);
	drive->disk.room = UINT64_MAX;
	while (atr_log_state(drive->log, NULL) == ATR_LOG_FULL) {
		atr_log_work(drive->log);
		usleep(1000);
	}
	drive_run(drive, 60);
	assert_null(drive->wrong);
	assert_int_equal(drive->released, 60);
	drive_close(drive);
	wrong = check_log(&drive->disk, &drive->model, 60, finding);
	assert_null(wrong);
	assert_true(finding->end.segment > 2);
	stop(drive);
	free(finding);
}

/* Invariant: the checkpoint is signed, of a durable group, and of the tree that the bytes give. */
static void checkpoints(void **state)
{
	struct finding *finding = malloc(sizeof(*finding));
	struct drive *drive = start(21, finding);
	struct atr_signer *signer = atr_signer_generate();
	struct atr_checkpoint checkpoint;
	struct atr_log_stats stats;
	uint8_t key[ATR_PUBLIC_KEY_SIZE];
	char note[ATR_CHECKPOINT_MAX];
	size_t length;

	(void)state;
	assert_non_null(signer);
	atr_signer_public(signer, key);
	drive->params.signer = signer;
	assert_true(drive_open(drive, &finding->end));
	assert_int_equal(atr_log_checkpoint(drive->log, note, sizeof(note)), 0);
	drive_run(drive, 12);
	assert_null(drive->wrong);
	length = atr_log_checkpoint(drive->log, note, sizeof(note));
	assert_true(length > 0);
	assert_int_equal(atr_log_checkpoint(drive->log, note, 10), 0);
	assert_int_equal(atr_checkpoint_verify(note, length, key, &checkpoint), 0);
	assert_string_equal(checkpoint.origin, "example.org/test/shard/2");
	assert_null(check_log(&drive->disk, &drive->model, 12, finding));
	assert_int_equal(checkpoint.size, finding->end.frontier.size);
	assert_memory_equal(checkpoint.root, finding->root, sizeof(finding->root));
	atr_log_work(drive->log);
	atr_log_stats(drive->log, &stats);
	assert_int_equal(stats.groups, 12);
	assert_int_equal(stats.leaves, checkpoint.size);
	assert_int_equal(stats.records, checkpoint.size);
	assert_int_equal(stats.segment, finding->end.segment);
	assert_int_equal(stats.offset, finding->end.offset);
	assert_int_equal(stats.groups_under_way, 0);
	stop(drive);
	atr_signer_free(signer);
	free(finding);
}

static void refused(struct drive *drive, const struct atr_log_end *end, const char *why)
{
	char error[256] = "";
	struct atr_log *log = atr_log_open(&drive->params, end, error, sizeof(error));

	if (log || !strstr(error, why))
		fail_msg("'%s' is not about '%s'", error, why);
}

/* Invariant: a log is opened only where a scan of the same log ended, and only as itself. */
static void what_is_not_opened(void **state)
{
	struct finding *finding = malloc(sizeof(*finding));
	struct drive *drive = start(31, finding);
	struct atr_log_end end, empty = finding->end;
	struct atr_log_params params;

	(void)state;
	end = empty;
	end.offset = 4096;
	refused(drive, &end, "missing");
	assert_true(drive_open(drive, &empty));
	drive_run(drive, 20);
	drive_close(drive);
	assert_null(check_log(&drive->disk, &drive->model, 20, finding));
	end = finding->end;
	params = drive->params;
	refused(drive, &empty, "scan");
	finding->end.offset += 512;
	refused(drive, &finding->end, "scan");
	finding->end.offset = 1u << 30;
	refused(drive, &finding->end, "scan");
	finding->end = end;
	finding->end.segment++;
	refused(drive, &finding->end, "scan");
	drive->params.realm++;
	refused(drive, &end, "another log");
	drive->params = params;
	drive->params.shard--;
	refused(drive, &end, "another log");
	drive->params = params;
	drive->params.log_id[15] ^= 1;
	refused(drive, &end, "another log");
	drive->params = params;
	drive->params.buffers = 3;
	refused(drive, &end, "buffers");
	drive->params = params;
	drive->params.segment_bytes -= 4096;
	refused(drive, &end, "segment size");
	drive->params = params;
	drive->params.shards = 2;
	refused(drive, &end, "shard");
	drive->params = params;
	assert_true(drive_open(drive, &end));
	drive_run(drive, 24);
	assert_null(drive->wrong);
	assert_int_equal(drive->released, 24);
	drive_close(drive);
	assert_null(check_log(&drive->disk, &drive->model, 24, finding));
	stop(drive);
	free(finding);
}

/* Reads a real directory into a simulated disk, for the checker. */
static void read_back(struct atr_storage *storage, struct simdisk *disk)
{
	char name[SIM_NAME_MAX];

	simdisk_init(disk, 1);
	for (unsigned int i = 0; storage->ops->list(storage, i, name, sizeof(name)) == 0; i++) {
		struct atr_file *from, *to;
		uint64_t size;
		uint8_t *bytes;

		assert_int_equal(storage->ops->open(storage, name, false, &size, &from), 0);
		assert_int_equal(disk->base.ops->open(&disk->base, name, true, &size, &to), 0);
		bytes = aligned_alloc(ATR_STORAGE_ALIGN, size);
		assert_int_equal(storage->ops->read(storage, from, bytes, size, 0), 0);
		memcpy(to->durable, bytes, size);
		free(bytes);
		storage->ops->close(storage, from);
	}
}

/* Invariant: on a real disk, with either engine, the log on it is what was sealed, over several
 * segments and a restart. */
static void on_a_disk(const char *engine)
{
	struct finding *finding = malloc(sizeof(*finding));
	struct drive *drive = start(41, finding);
	struct simdisk *copy = malloc(sizeof(*copy));
	char directory[64], command[96], error[256] = "";
	struct atr_storage *storage;

	snprintf(directory, sizeof(directory), "test_writer_%d", (int)getpid());
	snprintf(command, sizeof(command), "rm -rf %s", directory);
	for (unsigned int life = 1; life <= 2; life++) {
		storage = atr_storage_open(directory, engine, error, sizeof(error));
		if (!storage)
			fail_msg("%s", error);
		drive->params.storage = storage;
		assert_true(drive_open(drive, &finding->end));
		drive_run(drive, life * 30);
		assert_null(drive->wrong);
		assert_int_equal(drive->released, life * 30);
		drive_close(drive);
		read_back(storage, copy);
		storage->ops->destroy(storage);
		assert_null(check_log(copy, &drive->model, life * 30, finding));
		assert_int_equal(finding->groups, life * 30);
		simdisk_free(copy);
	}
	assert_true(finding->end.segment > 1);
	assert_int_equal(system(command), 0);
	stop(drive);
	free(copy);
	free(finding);
}

/* Invariant: a group that a killed process had written and not synced is synced when the log is
 * opened behind it. */
static void what_is_found_is_synced(void **state)
{
	struct finding finding;
	struct drive *drive = start(3, &finding);
	struct atr_file *file;

	(void)state;
	assert_true(drive_open(drive, &finding.end));
	assert_true(drive_seal(drive));
	file = simdisk_file(&drive->disk, "segment-0000000000000000.atr");
	for (unsigned int i = 0; i < 1000 && file->writes == 0; i++)
		atr_log_work(drive->log);
	drive_close(drive);
	assert_int_equal(file->writes, 1);
	/* The kernel has it still. */
	memcpy(file->durable, file->current, file->size);
	assert_null(check_log(&drive->disk, &drive->model, 0, &finding));
	assert_int_equal(finding.groups, 1);
	memset(file->durable + ATR_LOG_BLOCK, 0, file->size - ATR_LOG_BLOCK);
	assert_true(drive_open(drive, &finding.end));
	assert_int_equal(file->writes, 0);
	assert_memory_equal(file->durable, file->current, file->size);
	stop(drive);
}

static void on_a_disk_plain(void **state)
{
	(void)state;
	on_a_disk("pwritev2");
}

static void on_a_disk_best(void **state)
{
	(void)state;
	on_a_disk(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(groups_at_their_limits),
		cmocka_unit_test(errors_break_the_log),
		cmocka_unit_test(a_full_disk_is_waited_for),
		cmocka_unit_test(checkpoints),
		cmocka_unit_test(what_is_not_opened),
		cmocka_unit_test(what_is_found_is_synced),
		cmocka_unit_test(on_a_disk_plain),
		cmocka_unit_test(on_a_disk_best),
	};

	if (atr_sign_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
