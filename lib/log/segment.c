/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "log_internal.h"

static const char full[] = "no room for the next segment of the log; free some space on its disk";

uint32_t log_segment_crc(const uint8_t block[ATR_LOG_BLOCK])
{
	static const uint8_t none[sizeof(uint32_t)];
	size_t behind = offsetof(struct atr_segment_hdr, crc) + sizeof(none);
	uint32_t crc =
		atr_log_crc_add(ATR_LOG_CRC_BEGIN, block, offsetof(struct atr_segment_hdr, crc));

	crc = atr_log_crc_add(crc, none, sizeof(none));
	return atr_log_crc_end(atr_log_crc_add(crc, block + behind, ATR_LOG_BLOCK - behind));
}

static bool no_room(int result)
{
	return result == -ENOSPC || result == -EDQUOT;
}

/* Nothing is lost: groups wait where they are until a later attempt succeeds. */
static void retry_later(struct atr_log *log)
{
	log->spare.retry_ns = log_now_ns(CLOCK_MONOTONIC) + LOG_RETRY_NS;
	if (log->spare.wanted)
		log_set_state(log, ATR_LOG_FULL, full);
}

static bool too_early(struct atr_log *log)
{
	struct log_spare *spare = &log->spare;

	if (spare->retry_ns == 0)
		return false;
	if (log_now_ns(CLOCK_MONOTONIC) < spare->retry_ns) {
		if (spare->wanted && log->state == ATR_LOG_OK)
			log_set_state(log, ATR_LOG_FULL, full);
		return true;
	}
	spare->retry_ns = 0;
	return false;
}

static unsigned int create(struct atr_log *log)
{
	struct atr_storage *storage = log->params.storage;
	uint64_t size = log->params.segment_bytes;
	char name[LOG_NAME_MAX], used[LOG_NAME_MAX];
	int rc;

	snprintf(name, sizeof(name), ATR_SPARE_NAME, size);
	snprintf(used, sizeof(used), ATR_USED_NAME, size);
	/* Blocks that retention gave back are as good as new ones: all is overwritten with zeros.
	 */
	rc = storage->ops->rename(storage, used, name);
	if (rc == 0 || rc == -ENOENT || rc == -EEXIST)
		rc = storage->ops->open(storage, name, true, &size, &log->spare.file);
	if (no_room(rc)) {
		retry_later(log);
		return 0;
	}
	if (rc < 0) {
		log->spare.file = NULL;
		log_break(log, "making the next segment", rc);
		return 0;
	}
	log->spare.at = 0;
	log->spare.phase = SPARE_ZEROING;
	return 1;
}

/* Commits come first: while some are under way, zeros keep only so far ahead that the next segment
 * is ready before this one is full. */
static unsigned int write_zeros(struct atr_log *log)
{
	struct atr_storage *storage = log->params.storage;
	struct log_spare *spare = &log->spare;
	uint64_t left = log->params.segment_bytes - spare->at;
	bool busy = log->submitted != log->first;
	int rc;

	if (spare->step != 0)
		return 0;
	if (left == 0) {
		rc = storage->ops->sync(storage, spare->file, &spare->phase);
		if (rc == 0)
			spare->phase = SPARE_SYNCING;
	} else {
		uint32_t step = left < LOG_ZERO_STEP ? (uint32_t)left : LOG_ZERO_STEP;

		if (busy && !spare->wanted &&
		    spare->at >= log->offset + log->offset / 4 + LOG_ZERO_LEAD)
			return 0;
		rc = storage->ops->write(storage, spare->file, log->zeros, step, spare->at,
					 &spare->step);
		if (rc == 0)
			spare->step = step;
	}
	if (rc < 0 && rc != -EAGAIN)
		log_break(log, "writing zeros into the next segment", rc);
	return rc == 0;
}

static unsigned int write_header(struct atr_log *log)
{
	struct atr_storage *storage = log->params.storage;
	const struct atr_log_params *params = &log->params;
	struct atr_segment_hdr *header = (struct atr_segment_hdr *)log->header;
	int rc;

	memset(log->header, 0, ATR_LOG_BLOCK);
	header->magic = ATR_LOG_MAGIC;
	header->version = 1;
	memcpy(header->log_id, params->log_id, sizeof(header->log_id));
	header->realm = params->realm;
	header->shard = params->shard;
	header->shards = params->shards;
	header->segment = log->file ? log->segment + 1 : log->segment;
	header->bytes = params->segment_bytes;
	header->first_leaf = log->frontier.size;
	header->first_group = log->next;
	atr_frontier_root(&log->frontier, header->root);
	header->crc = log_segment_crc(log->header);
	rc = storage->ops->write(storage, log->spare.file, log->header, ATR_LOG_BLOCK, 0,
				 &log->spare.step);
	if (rc < 0 && rc != -EAGAIN)
		log_break(log, "writing the header of the next segment", rc);
	if (rc < 0)
		return 0;
	log->spare.step = ATR_LOG_BLOCK;
	log->spare.phase = SPARE_HEADER;
	return 1;
}

static unsigned int sync_header(struct atr_log *log)
{
	struct atr_storage *storage = log->params.storage;
	int rc;

	if (log->spare.step != 0)
		return 0;
	rc = storage->ops->sync(storage, log->spare.file, &log->spare.phase);
	if (rc < 0 && rc != -EAGAIN)
		log_break(log, "a sync", rc);
	if (rc < 0)
		return 0;
	log->spare.phase = SPARE_HEADER_SYNC;
	return 1;
}

/* The spare becomes the segment to write to. */
static unsigned int move_on(struct atr_log *log)
{
	struct atr_storage *storage = log->params.storage;
	uint64_t number = log->file ? log->segment + 1 : log->segment;
	char from[LOG_NAME_MAX], to[LOG_NAME_MAX];
	int rc;

	snprintf(from, sizeof(from), ATR_SPARE_NAME, log->params.segment_bytes);
	snprintf(to, sizeof(to), ATR_SEGMENT_NAME, number);
	rc = storage->ops->rename(storage, from, to);
	if (rc < 0) {
		log_break(log, "naming the next segment", rc);
		return 0;
	}
	if (log->file)
		storage->ops->close(storage, log->file);
	log->file = log->spare.file;
	log->segment = number;
	log->segment_bytes = log->params.segment_bytes;
	log->offset = ATR_LOG_BLOCK;
	memset(&log->spare, 0, sizeof(log->spare));
	log_set_state(log, ATR_LOG_OK, "");
	return 1;
}

unsigned int log_segment_step(struct atr_log *log)
{
	if (log->state == ATR_LOG_BROKEN)
		return 0;
	switch (log->spare.phase) {
	case SPARE_NONE: return too_early(log) ? 0 : create(log);
	case SPARE_ZEROING: return too_early(log) ? 0 : write_zeros(log);
	case SPARE_READY:
		/* Only when all before it is durable: a torn tail never spans two segments. */
		return log->spare.wanted && log->first == log->next ? write_header(log) : 0;
	case SPARE_HEADER: return sync_header(log);
	case SPARE_NAMING: return move_on(log);
	case SPARE_SYNCING:
	case SPARE_HEADER_SYNC: break;
	}
	return 0;
}

unsigned int log_segment_write_done(struct atr_log *log, int result)
{
	struct log_spare *spare = &log->spare;

	if (spare->phase == SPARE_ZEROING && no_room(result))
		retry_later(log);
	else if (result < 0)
		log_break(log, "a write to the next segment", result);
	else if (spare->phase == SPARE_ZEROING)
		spare->at += spare->step;
	spare->step = 0;
	return 1;
}

unsigned int log_segment_sync_done(struct atr_log *log, int result)
{
	struct log_spare *spare = &log->spare;

	if (result < 0)
		log_break(log, "a sync of the next segment", result);
	else
		spare->phase = spare->phase == SPARE_SYNCING ? SPARE_READY : SPARE_NAMING;
	return 1;
}
