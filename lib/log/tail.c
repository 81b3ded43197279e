/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log_internal.h"

#define HEX 16

/* Number of the last segment in the directory; -ENOENT if there is none. */
static int last_segment(struct atr_storage *storage, uint64_t *last)
{
	char name[LOG_NAME_MAX * 4 + 1], again[LOG_NAME_MAX];
	bool found = false;

	for (unsigned int i = 0;; i++) {
		int rc = storage->ops->list(storage, i, name, sizeof(name));
		const char *dash;
		uint64_t number;

		if (rc == -ENOENT)
			return found ? 0 : -ENOENT;
		if (rc < 0)
			return rc;
		dash = strchr(name, '-');
		if (!dash)
			continue;
		number = strtoull(dash + 1, NULL, HEX);
		snprintf(again, sizeof(again), ATR_SEGMENT_NAME, number);
		if (strcmp(name, again) != 0)
			continue;
		*last = number;
		found = true;
	}
}

static int wait_for(struct atr_storage *storage)
{
	struct atr_completion done;
	int n = storage->ops->reap(storage, &done, 1, true);

	if (n == 0)
		return -EIO;
	return n < 0 ? n : done.result;
}

/* Writes zeros wherever something else lies behind the end. Nothing there was ever promised: the
 * scan has found that it is a torn tail. Left as it is, a complete group in it might one day seem
 * to follow what is written now. Then a sync, also of the groups before the end: a process that was
 * killed may have written them and not synced them, and from here on they count. */
static int clear_tail(struct atr_log *log)
{
	struct atr_storage *storage = log->params.storage;
	int rc = 0;

	for (uint64_t at = log->offset; rc == 0 && at < log->segment_bytes;) {
		uint64_t left = log->segment_bytes - at;
		uint32_t step = left < LOG_ZERO_STEP ? (uint32_t)left : LOG_ZERO_STEP;

		rc = storage->ops->read(storage, log->file, log->zeros, step, at);
		if (rc == 0 &&
		    (log->zeros[0] != 0 || memcmp(log->zeros, log->zeros + 1, step - 1) != 0)) {
			memset(log->zeros, 0, step);
			rc = storage->ops->write(storage, log->file, log->zeros, step, at, log);
			if (rc == 0)
				rc = wait_for(storage);
		}
		at += step;
	}
	memset(log->zeros, 0, LOG_ZERO_STEP);
	if (rc == 0)
		rc = storage->ops->sync(storage, log->file, log);
	return rc == 0 ? wait_for(storage) : rc;
}

static bool header_is_ours(const struct atr_log *log, uint64_t size)
{
	const struct atr_segment_hdr *header = (const struct atr_segment_hdr *)log->header;
	const struct atr_log_params *params = &log->params;

	return header->magic == ATR_LOG_MAGIC && header->version == 1 &&
	       header->crc == log_segment_crc(log->header) &&
	       memcmp(header->log_id, params->log_id, sizeof(params->log_id)) == 0 &&
	       header->realm == params->realm && header->shard == params->shard &&
	       header->shards == params->shards && header->segment == log->segment &&
	       header->bytes == size;
}

/* A segment that has a header and no group yet follows where the scan may have ended before it. */
static bool continues(const struct atr_log *log, const struct atr_log_end *end)
{
	const struct atr_segment_hdr *header = (const struct atr_segment_hdr *)log->header;
	uint8_t root[ATR_HASH_SIZE];

	atr_frontier_root(&end->frontier, root);
	return header->first_group == end->group && header->first_leaf == end->frontier.size &&
	       memcmp(header->root, root, sizeof(root)) == 0;
}

static int refuse(int rc, const char *name, const char *what, char *error, size_t size)
{
	snprintf(error, size, "log segment %s: %s", name, what);
	return rc;
}

int log_tail_open(struct atr_log *log, const struct atr_log_end *end, char *error, size_t size)
{
	struct atr_storage *storage = log->params.storage;
	uint64_t last = 0;
	char name[LOG_NAME_MAX];
	int rc = last_segment(storage, &last);
	bool empty = end->offset == 0;

	snprintf(name, sizeof(name), ATR_SEGMENT_NAME, last);
	if (rc == -ENOENT && empty && end->segment == 0 && end->group == 0 &&
	    end->frontier.size == 0)
		return 0;
	if (rc < 0)
		return refuse(rc, name,
			      rc == -ENOENT ? "is missing; scan the log again" : strerror(-rc),
			      error, size);
	if (empty || last < end->segment || last - end->segment > 1)
		return refuse(-EEXIST, name, "is not where the scan ended; scan the log again",
			      error, size);
	rc = storage->ops->open(storage, name, false, &log->segment_bytes, &log->file);
	if (rc < 0) {
		log->file = NULL;
		return refuse(rc, name, strerror(-rc), error, size);
	}
	log->segment = last;
	log->offset = last == end->segment ? end->offset : ATR_LOG_BLOCK;
	rc = storage->ops->read(storage, log->file, log->header, ATR_LOG_BLOCK, 0);
	if (rc < 0)
		return refuse(rc, name, strerror(-rc), error, size);
	if (!header_is_ours(log, log->segment_bytes))
		return refuse(-EBADMSG, name, "has the header of another log, or a damaged one",
			      error, size);
	if ((last != end->segment && !continues(log, end)) || log->offset < ATR_LOG_BLOCK ||
	    log->offset % ATR_LOG_BLOCK != 0 || log->offset > log->segment_bytes)
		return refuse(-EINVAL, name, "does not go on where the scan ended; scan again",
			      error, size);
	rc = clear_tail(log);
	if (rc < 0)
		return refuse(rc, name,
			      "its tail cannot be overwritten and synced; look after the disk",
			      error, size);
	return 0;
}
