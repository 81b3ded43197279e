/* SPDX-License-Identifier: BSD-3-Clause */
#include "reader.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crc.h"
#include "reader_internal.h"

#define NAME_MAX_LENGTH 256
#define SIMD_BITS       512 /* what the CPU lacks is left out by lib/hash itself */

int reader_damage(struct reader *reader, uint64_t offset, const char *what)
{
	snprintf(reader->error, reader->error_size,
		 "%s, byte %" PRIu64 ": %s; nothing was changed: put the directory back from a "
		 "copy that is whole, or keep it as evidence and start with an empty one",
		 reader->name, offset, what);
	return -EBADMSG;
}

static int reader_trouble(struct reader *reader, uint64_t offset, int err)
{
	if (err == -ENODATA)
		return reader_damage(reader, offset, "the file ends here while it is being read");
	snprintf(reader->error, reader->error_size,
		 "%s, byte %" PRIu64 ": cannot be read (%s); look after the disk, then try again",
		 reader->name, offset, strerror(-err));
	return err;
}

const uint8_t *reader_bytes(struct reader *reader, uint64_t offset, size_t length, int *err)
{
	uint64_t left = reader->file_bytes - offset, room;

	if (offset >= reader->window_offset &&
	    offset + length <= reader->window_offset + reader->window_length)
		return reader->window + (offset - reader->window_offset);
	/* Who reads on through a window reads more. */
	if (reader->window_length && offset > reader->window_offset)
		reader->window_limit *= 2;
	if (reader->window_limit > READER_WINDOW)
		reader->window_limit = READER_WINDOW;
	room = length > reader->window_limit ? length : reader->window_limit;
	left = left < room ? left : room;
	reader->window_length = 0;
	*err = reader->storage->ops->read(reader->storage, reader->file, reader->window, left,
					  offset);
	if (*err < 0) {
		*err = reader_trouble(reader, offset, *err);
		return NULL;
	}
	reader->window_offset = offset;
	reader->window_length = left;
	return reader->window;
}

void reader_close(struct reader *reader)
{
	if (reader->file)
		reader->storage->ops->close(reader->storage, reader->file);
	reader->file = NULL;
	reader->window_length = 0;
}

int reader_open(struct reader *reader, uint64_t segment)
{
	int err;

	reader_close(reader);
	reader->segment = segment;
	reader->file_bytes = 0;
	snprintf(reader->name, sizeof(reader->name), ATR_SEGMENT_NAME, segment);
	err = reader->storage->ops->open(reader->storage, reader->name, false, &reader->file_bytes,
					 &reader->file);
	if (err < 0) {
		reader->file = NULL;
		return reader_trouble(reader, 0, err);
	}
	return 0;
}

/* Counts the segments; their numbers have no gap. */
static int count_segments(struct reader *reader)
{
	char name[NAME_MAX_LENGTH], expected[ATR_SEGMENT_NAME_LENGTH + 1];
	struct atr_storage *storage = reader->storage;

	for (unsigned int i = 0;; i++) {
		int err = storage->ops->list(storage, i, name, sizeof(name));
		uint64_t number;

		if (err == -ENOENT)
			return 0;
		if (err == -ENAMETOOLONG)
			continue;
		if (err < 0)
			return reader_trouble(reader, 0, err);
		if (strncmp(name, "segment-", strlen("segment-")) != 0)
			continue;
		number = strtoull(name + strlen("segment-"), NULL, 16);
		snprintf(expected, sizeof(expected), ATR_SEGMENT_NAME, number);
		if (strcmp(name, expected) != 0)
			continue;
		if (number != reader->count) {
			snprintf(reader->name, sizeof(reader->name), ATR_SEGMENT_NAME,
				 reader->count);
			return reader_damage(reader, 0,
					     "the segment is missing, though later ones are there");
		}
		reader->count++;
	}
}

static bool header_crc_ok(const uint8_t *block)
{
	uint8_t copy[ATR_LOG_BLOCK];
	struct atr_segment_hdr hdr;

	memcpy(&hdr, block, sizeof(hdr));
	memcpy(copy, block, sizeof(copy));
	memset(copy + offsetof(struct atr_segment_hdr, crc), 0, sizeof(hdr.crc));
	return atr_log_crc_end(atr_log_crc_add(ATR_LOG_CRC_BEGIN, copy, sizeof(copy))) == hdr.crc;
}

const char *reader_header_wrong(const struct reader *reader, const uint8_t *block)
{
	const struct atr_log_scan *scan = reader->scan;
	struct atr_segment_hdr hdr;

	memcpy(&hdr, block, sizeof(hdr));
	if (hdr.magic != ATR_LOG_MAGIC || hdr.version != 1)
		return "this is no segment of a log, or of a version unknown here";
	if (!header_crc_ok(block))
		return "the segment's header differs from its CRC";
	if (!all_zero(block + sizeof(hdr), ATR_LOG_BLOCK - sizeof(hdr)))
		return "the segment's header block is not zero behind the header";
	if (hdr.segment != reader->segment)
		return "the file holds another segment than its name says";
	if (hdr.bytes != reader->file_bytes || hdr.bytes % ATR_LOG_BLOCK)
		return "the file has not the size that its header says";
	if (hdr.shard >= hdr.shards)
		return "the header names a shard that cannot be";
	if (reader->known &&
	    (memcmp(hdr.log_id, scan->log_id, sizeof(hdr.log_id)) != 0 || hdr.realm != scan->realm))
		return "the segment belongs to another log";
	if (reader->known && (hdr.shard != scan->shard || hdr.shards != scan->shards))
		return "the segment belongs to another shard";
	return NULL;
}

/* Why the open segment does not continue what has been read; NULL if it does. */
static const char *header_jumps(const struct reader *reader, const uint8_t *block)
{
	const struct atr_log_end *end = &reader->scan->end;
	uint8_t root[ATR_HASH_SIZE];
	struct atr_segment_hdr hdr;

	memcpy(&hdr, block, sizeof(hdr));
	if (hdr.first_group != end->group || hdr.first_leaf != end->frontier.size)
		return "the segment does not begin where the one before ends";
	atr_frontier_root(&end->frontier, root);
	if (memcmp(hdr.root, root, sizeof(root)) != 0)
		return "the log before this segment has another root than the segment says";
	return NULL;
}

void reader_take_header(struct reader *reader, const uint8_t *block)
{
	struct atr_log_scan *scan = reader->scan;
	struct atr_segment_hdr hdr;

	memcpy(&hdr, block, sizeof(hdr));
	memcpy(scan->log_id, hdr.log_id, sizeof(scan->log_id));
	scan->realm = hdr.realm;
	scan->shard = hdr.shard;
	scan->shards = hdr.shards;
	reader->known = true;
}

/* Is the open segment in use? 1 or 0, or negative errno. Where its header is not right, *wrong says
 * why, and it is not in use if that can come from its making having been interrupted: neither a
 * whole header nor a group of this log is in it. */
static int segment_used(struct reader *reader, const char **wrong, bool *zero)
{
	uint64_t offset = ATR_LOG_BLOCK;
	struct atr_group_hdr group;
	const uint8_t *block;
	int err = 0;

	*zero = reader->file_bytes == 0;
	*wrong = "the file has not the size of a segment";
	if (reader->file_bytes < ATR_LOG_BLOCK || reader->file_bytes % ATR_LOG_BLOCK)
		return reader->file_bytes > ATR_LOG_BLOCK && reader->segment + 1 < reader->count;
	block = reader_bytes(reader, 0, ATR_LOG_BLOCK, &err);
	if (!block)
		return err;
	*zero = all_zero(block, ATR_LOG_BLOCK);
	*wrong = reader_header_wrong(reader, block);
	if (!*wrong || (!*zero && header_crc_ok(block)))
		return 1;
	return tail_find(reader, &offset, &group);
}

static void report(struct reader *reader, bool last)
{
	const struct atr_log_visitor *visitor = reader->visitor;
	uint64_t at = reader->passed + reader->scan->end.offset;

	if (!visitor || !visitor->progress || (!last && at - reader->reported < READER_PROGRESS))
		return;
	reader->reported = at;
	visitor->progress(visitor->context, at, at > reader->total ? at : reader->total,
			  reader->scan->end.frontier.size);
}

/* Takes the groups of the open segment. */
static int read_groups(struct reader *reader, struct reader_stop *stop)
{
	struct atr_log_end *end = &reader->scan->end;

	snprintf(stop->what, sizeof(stop->what), "the segment is full");
	while (end->offset < reader->file_bytes) {
		uint64_t left = reader->file_bytes - end->offset;
		const uint8_t *bytes;
		int err = 0;

		left = left < ATR_GROUP_BYTES_MAX ? left : ATR_GROUP_BYTES_MAX;
		bytes = reader_bytes(reader, end->offset, left, &err);
		if (!bytes)
			return err;
		if (group_probe(reader, bytes, left, end->offset, stop->what, &stop->where) !=
		    GROUP_COMPLETE) {
			stop->offset = end->offset;
			return 0;
		}
		err = group_take(reader, bytes);
		if (err)
			return err;
		report(reader, false);
	}
	stop->offset = stop->where = end->offset;
	return 0;
}

/* The open segment is not in use: neither may any behind it be. */
static int check_unused(struct reader *reader, const char *wrong, bool zero)
{
	uint64_t first = reader->segment;
	struct atr_log_scan *scan = reader->scan;
	int err = 0;

	if (!zero) {
		scan->torn = true;
		scan->torn_segment = first;
		scan->torn_offset = 0;
		scan->torn_bytes = ATR_LOG_BLOCK;
	}
	for (uint64_t s = first + 1; s < reader->count; s++) {
		const char *why;
		int used;

		err = reader_open(reader, s);
		if (err)
			return err;
		used = segment_used(reader, &why, &zero);
		if (used < 0)
			return used;
		if (used) {
			err = reader_open(reader, first);
			return err ? err : reader_damage(reader, 0, wrong);
		}
	}
	return 0;
}

/* The open segment's header is one of this log; does it continue what was read before? If not, the
 * segment before is where something is missing. */
static int check_joint(struct reader *reader, const struct reader_stop *stop)
{
	int err = 0;
	const uint8_t *block = reader_bytes(reader, 0, ATR_LOG_BLOCK, &err);
	const char *jumps;
	char why[2 * READER_WHAT];

	if (!block)
		return err;
	jumps = header_jumps(reader, block);
	if (!jumps) {
		reader_take_header(reader, block);
		reader->scan->segments++;
		reader->scan->end.segment = reader->segment;
		reader->scan->end.offset = ATR_LOG_BLOCK;
		return 0;
	}
	if (reader->segment == 0)
		return reader_damage(reader, 0, jumps);
	err = reader_open(reader, reader->segment - 1);
	if (err)
		return err;
	snprintf(why, sizeof(why), "%s, and the next segment: %s", stop->what, jumps);
	return reader_damage(reader, stop->where, why);
}

static int read_segments(struct reader *reader)
{
	struct reader_stop stop = {0};
	int err = 0;

	for (uint64_t s = 0; s < reader->count; s++) {
		const char *wrong;
		bool zero;
		int used;

		err = reader_open(reader, s);
		if (err)
			return err;
		if (s == 0)
			reader->total = reader->file_bytes * reader->count;
		used = segment_used(reader, &wrong, &zero);
		if (used < 0)
			return used;
		if (used && wrong)
			return reader_damage(reader, 0, wrong);
		if (!used) {
			err = check_unused(reader, wrong, zero);
			break;
		}
		err = check_joint(reader, &stop);
		if (!err)
			err = read_groups(reader, &stop);
		if (err)
			return err;
		reader->passed += reader->file_bytes;
	}
	if (err || !reader->known)
		return err;
	err = reader_open(reader, reader->scan->end.segment);
	if (!err)
		err = tail_judge(reader, stop.offset, stop.what, stop.where);
	if (!err) {
		reader->passed = reader->scan->end.segment * reader->file_bytes;
		report(reader, true);
	}
	return err;
}

int reader_scan(struct atr_storage *storage, const struct atr_log_visitor *visitor,
		struct atr_log_scan *scan, struct atr_hash *hash, char *error, size_t size)
{
	struct reader *reader = calloc(1, sizeof(*reader));
	int err = -ENOMEM;

	memset(scan, 0, sizeof(*scan));
	snprintf(error, size, "out of memory for reading the log; free some and try again");
	if (!reader)
		return err;
	reader->storage = storage;
	reader->visitor = visitor;
	reader->scan = scan;
	reader->error = error;
	reader->error_size = size;
	reader->hash = hash;
	reader->window_limit = READER_WINDOW;
	reader->window = aligned_alloc(ATR_STORAGE_ALIGN, READER_WINDOW);
	if (reader->window) {
		error[0] = '\0';
		err = count_segments(reader);
		if (!err)
			err = read_segments(reader);
	}
	reader_close(reader);
	free(reader->window);
	free(reader);
	return err;
}

int atr_log_scan(struct atr_storage *storage, const struct atr_log_visitor *visitor,
		 struct atr_log_scan *scan, char *error, size_t size)
{
	struct atr_hash *hash = atr_hash_create(-1, SIMD_BITS, error, size);
	int err;

	memset(scan, 0, sizeof(*scan));
	if (!hash)
		return -ENOMEM;
	err = reader_scan(storage, visitor, scan, hash, error, size);
	atr_hash_free(hash);
	return err;
}
