/* SPDX-License-Identifier: BSD-3-Clause */
#include "log_drive.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SIZES_SMALL 6000
#define IDLE_SPIN   1000
#define IDLE_NAP_US 100
#define IDLE_MAX    200000 /* 20 seconds */

void drive_init(struct drive *drive, uint64_t seed)
{
	memset(drive, 0, sizeof(*drive));
	drive->random = seed;
	simdisk_init(&drive->disk, sim_random(&drive->random));
	drive->disk.slowness = (unsigned int)(sim_random(&drive->random) % 4);
	for (unsigned int i = 0; i < sizeof(drive->model.log_id); i++)
		drive->model.log_id[i] = (uint8_t)sim_random(&drive->random);
	drive->model.realm = sim_random(&drive->random);
	drive->model.shard = 2;
	drive->model.shards = 3;
	drive->params = (struct atr_log_params){.storage = &drive->disk.base,
						.name = "example.org/test",
						.realm = drive->model.realm,
						.shard = 2,
						.shards = 3,
						.segment_bytes = DRIVE_SEGMENT_BYTES,
						.buffers = DRIVE_BUFFERS,
						.socket = -1};
	memcpy(drive->params.log_id, drive->model.log_id, sizeof(drive->params.log_id));
}

bool drive_open(struct drive *drive, const struct atr_log_end *end)
{
	char error[256] = "";

	static struct atr_hash *hash;

	if (!hash)
		hash = atr_hash_create(-1, 256, error, sizeof(error));
	drive->params.hash = hash;
	drive->params.epoch++;
	drive->log = atr_log_open(&drive->params, end, error, sizeof(error));
	if (!drive->log && !drive->disk.crashed) {
		fprintf(stderr, "open: %s\n", error);
		drive->wrong = "the log cannot be opened";
	}
	return drive->log != NULL;
}

void drive_close(struct drive *drive)
{
	atr_log_close(drive->log);
	drive->log = NULL;
	drive->kept_count = 0;
}

void drive_free(struct drive *drive)
{
	drive_close(drive);
	model_cut(&drive->model, 0);
	simdisk_free(&drive->disk);
}

/* Appends one record of so many bytes; false if it does not fit. */
static bool append(struct drive *drive, struct atr_group_buf *group, uint32_t length)
{
	static uint8_t body[ATR_GROUP_BYTES_MAX];
	struct atr_record_hdr header = {.crc = 0xDEAD, .zero = 1, .zero2 = 2, .leaf = 3};
	uint8_t decisions[18], leaf[32];
	uint64_t random = sim_random(&drive->random);

	header.body_length = length;
	header.decision_length = (uint16_t)(random % (sizeof(decisions) + 1));
	header.kind = random & 64 ? ATR_RECORD_FRAME : ATR_RECORD_ENVELOPE;
	header.events = (uint16_t)(random >> 7);
	header.rx_ns = sim_random(&drive->random);
	header.generation = random >> 11;
	header.source = (uint32_t)(random >> 13);
	header.feeds = sim_random(&drive->random);
	if (drive->readable) {
		header.kind = ATR_RECORD_ENVELOPE;
		header.decision_length = 0;
		header.events = 1;
		length = header.body_length = length + 1;
	}
	if (!atr_log_fits(group, length, header.decision_length))
		return false;
	memset(body, 1 + (int)(random >> 40 & 0x7F), length);
	for (unsigned int i = 0; i < sizeof(decisions); i++)
		decisions[i] = (uint8_t)sim_random(&drive->random);
	for (unsigned int i = 0; i < sizeof(leaf); i++)
		leaf[i] = (uint8_t)sim_random(&drive->random);
	if (drive->readable) {
		body[0] = ATR_FIRST_BYTE_ENVELOPE;
		atr_merkle_leaf(body, length, leaf);
	}
	atr_log_append(group, &header, body, decisions, leaf);
	return true;
}

static void remember(struct drive *drive, const struct atr_group_buf *group)
{
	struct model_group *g = &drive->model.group[drive->model.sealed++];

	g->length = group->used - 120;
	g->records = group->records;
	g->bytes = malloc(g->length + 1);
	memcpy(g->bytes, group->data + 120, g->length);
	g->leaf = calloc(group->records + 1, sizeof(*g->leaf));
	for (uint32_t i = 0; i < group->records; i++)
		memcpy(g->leaf[i], group->record[i].leaf, 32);
	g->feed_set = group->feed_set;
	memcpy(g->feed_next, group->feed_next, sizeof(g->feed_next));
	g->generation = group->generation;
	memcpy(g->plan_digest, group->plan_digest, sizeof(g->plan_digest));
}

bool drive_seal(struct drive *drive)
{
	struct atr_group_buf *group = atr_log_begin(drive->log, 1);
	uint64_t random = sim_random(&drive->random);
	unsigned int records = (unsigned int)(random % 6);

	if (!group)
		return false;
	for (unsigned int i = 0; i < records; i++) {
		uint32_t length = (uint32_t)(sim_random(&drive->random) % SIZES_SMALL);

		if (random >> 8 & 1)
			length *= 40;
		append(drive, group, length);
	}
	group->feed_set = sim_random(&drive->random) & sim_random(&drive->random);
	for (unsigned int i = 0; i < ATR_LOG_FEEDS_MAX; i++)
		group->feed_next[i] = sim_random(&drive->random);
	group->generation = random >> 20;
	memset(group->plan_digest, (int)(random & 0xFF), sizeof(group->plan_digest));
	remember(drive, group);
	atr_log_seal(drive->log, group);
	return true;
}

void drive_take(struct drive *drive)
{
	struct atr_group_buf *group;

	while ((group = atr_log_durable(drive->log)) != NULL) {
		if (group->number != drive->released)
			drive->wrong = "groups came back out of order";
		if (group->records != drive->model.group[group->number].records)
			drive->wrong = "another group came back";
		drive->released++;
		drive->kept[drive->kept_count++] = group;
	}
	while (drive->kept_count > 0 && sim_random(&drive->random) % 3)
		atr_log_release(drive->log, drive->kept[--drive->kept_count]);
}

void drive_run(struct drive *drive, unsigned int groups)
{
	for (unsigned int idle = 0; !drive->disk.crashed && !drive->wrong;) {
		if (drive->released >= groups || atr_log_state(drive->log, NULL) == ATR_LOG_BROKEN)
			return;
		if (drive->model.sealed < groups && sim_random(&drive->random) % 2)
			drive_seal(drive);
		idle = atr_log_work(drive->log) ? 0 : idle + 1;
		drive_take(drive);
		if (atr_log_state(drive->log, NULL) == ATR_LOG_FULL)
			return;
		/* A real disk takes its time, and the processor may be somebody else's. */
		if (idle > IDLE_SPIN)
			usleep(IDLE_NAP_US);
		if (idle > IDLE_MAX)
			drive->wrong = "the log does nothing any more";
	}
}
