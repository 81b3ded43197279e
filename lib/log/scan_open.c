/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reader_internal.h"

#define NAME_MAX_LENGTH 256

int reader_damage(struct reader *reader, uint64_t offset, const char *what)
{
	snprintf(reader->error, reader->error_size,
		 "%s, byte %" PRIu64 ": %s; nothing was changed: put the directory back from a "
		 "copy that is whole, or keep it as evidence and start with an empty one",
		 reader->name, offset, what);
	reader->damaged = true;
	return -EBADMSG;
}

static int reader_trouble(struct reader *reader, uint64_t offset, int err)
{
	if (err == -ENODATA)
		return reader_damage(reader, offset, "the file ends here while it is being read");
	snprintf(reader->error, reader->error_size,
		 "%s, byte %" PRIu64 ": cannot be read (%s); %s, then try again", reader->name,
		 offset, strerror(-err),
		 err == -ENOMEM                     ? "free some memory"
		 : err == -ENOENT || err == -EACCES ? "check the log's path and who may read it"
						    : "look after the disk");
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

void reader_free(struct reader *reader)
{
	reader_close(reader);
	free(reader->window);
	free(reader->prefixed);
}

int reader_room(struct reader *reader, size_t bytes)
{
	reader->prefixed_used = reader->digested_used = 0;
	if (bytes <= reader->room)
		return 0;
	/* Groups differ in size; most of them are small. */
	bytes = bytes < 2 * reader->room ? 2 * reader->room : bytes;
	free(reader->prefixed);
	reader->prefixed = malloc(2 * bytes);
	reader->room = reader->prefixed ? bytes : 0;
	reader->digested = reader->prefixed ? reader->prefixed + bytes : NULL;
	return reader->prefixed ? 0 : reader_trouble(reader, 0, -ENOMEM);
}

/* The window holds the open file, or as much as is read at once. */
static int make_window(struct reader *reader)
{
	size_t bytes = READER_WINDOW;

	if (reader->file_bytes < READER_WINDOW)
		bytes = ((size_t)reader->file_bytes / ATR_LOG_BLOCK + 1) * ATR_LOG_BLOCK;
	if (bytes <= reader->window_bytes)
		return 0;
	free(reader->window);
	reader->window = aligned_alloc(ATR_STORAGE_ALIGN, bytes);
	reader->window_bytes = reader->window ? bytes : 0;
	return reader->window ? 0 : -ENOMEM;
}

int reader_open(struct reader *reader, uint64_t segment)
{
	int err;

	reader_close(reader);
	reader->segment = segment;
	reader->file_bytes = 0;
	reader->pruned = false;
	snprintf(reader->name, sizeof(reader->name), ATR_SEGMENT_NAME, segment);
	err = reader->storage->ops->open(reader->storage, reader->name, false, &reader->file_bytes,
					 &reader->file);
	if (err == -ENOENT) {
		char name[sizeof(reader->name)];

		/* The one that goes is removed after the other one is there, so also under us. */
		snprintf(name, sizeof(name), ATR_PRUNED_NAME, segment);
		err = reader->storage->ops->open(reader->storage, name, false, &reader->file_bytes,
						 &reader->file);
		reader->pruned = err >= 0;
		if (reader->pruned)
			memcpy(reader->name, name, sizeof(name));
	}
	if (err < 0) {
		reader->file = NULL;
		return reader_trouble(reader, 0, err);
	}
	err = make_window(reader);
	return err < 0 ? reader_trouble(reader, 0, err) : 0;
}

bool reader_given_up(struct reader *reader, uint64_t segment)
{
	struct atr_storage *storage = reader->storage;
	char name[ATR_SEGMENT_NAME_LENGTH + 1];
	struct atr_file *file;
	uint64_t size;
	int err;

	snprintf(name, sizeof(name), ATR_SEGMENT_NAME, segment);
	err = storage->ops->open(storage, name, false, &size, &file);
	if (err == -ENOENT) {
		snprintf(name, sizeof(name), ATR_PRUNED_NAME, segment);
		err = storage->ops->open(storage, name, false, &size, &file);
		if (err < 0)
			return false;
		storage->ops->close(storage, file);
		return true;
	}
	if (err >= 0)
		storage->ops->close(storage, file);
	return false;
}

/* Reads a name of the form; false if it is none. */
static bool parse_name(const char *name, const char *lead, const char *form, uint64_t *number)
{
	char again[ATR_SEGMENT_NAME_LENGTH + 1];

	if (strncmp(name, lead, strlen(lead)) != 0)
		return false;
	*number = strtoull(name + strlen(lead), NULL, 16);
	/* The conversion comes from <inttypes.h>, which cppcheck does not read. */
	/* cppcheck-suppress wrongPrintfScanfArgNum */
	snprintf(again, sizeof(again), form, *number);
	return strcmp(name, again) == 0;
}

int reader_missing(struct reader *reader, uint64_t number)
{
	snprintf(reader->name, sizeof(reader->name), ATR_SEGMENT_NAME, number);
	return reader_damage(reader, 0, "the segment is missing, though later ones are there");
}

/* Counts the segments; their numbers have no gap. Pruned ones are the first; names come in
 * alphabetical order, so that they are seen before any whole one. */
int reader_count(struct reader *reader)
{
	char name[NAME_MAX_LENGTH];
	struct atr_storage *storage = reader->storage;
	bool whole = false;

	reader->count = reader->first_whole = 0;
	for (unsigned int i = 0;; i++) {
		int err = storage->ops->list(storage, i, name, sizeof(name));
		uint64_t number;

		if (err == -ENOENT)
			break;
		if (err == -ENAMETOOLONG)
			continue;
		if (err < 0)
			return reader_trouble(reader, 0, err);
		if (!whole && parse_name(name, "pruned-", ATR_PRUNED_NAME, &number)) {
			if (number != reader->first_whole)
				return reader_missing(reader, reader->first_whole);
			reader->first_whole++;
			continue;
		}
		if (!parse_name(name, "segment-", ATR_SEGMENT_NAME, &number))
			continue;
		if (whole ? number != reader->count : number > reader->first_whole)
			return reader_missing(reader, whole ? reader->count : reader->first_whole);
		whole = true;
		reader->count = number + 1;
	}
	return reader->count < reader->first_whole || (reader->first_whole && !whole)
		       ? reader_missing(reader, whole ? reader->count : reader->first_whole)
		       : 0;
}

bool reader_header_crc_ok(const uint8_t *block)
{
	struct atr_segment_hdr hdr;

	memcpy(&hdr, block, sizeof(hdr));
	return crc_without(block, ATR_LOG_BLOCK, offsetof(struct atr_segment_hdr, crc)) == hdr.crc;
}

const char *reader_header_wrong(const struct reader *reader, const uint8_t *block, uint64_t bytes)
{
	const struct atr_log_scan *scan = reader->scan;
	struct atr_segment_hdr hdr;

	memcpy(&hdr, block, sizeof(hdr));
	if (hdr.magic != ATR_LOG_MAGIC || hdr.version != 1)
		return "this is no segment of a log, or of a version unknown here";
	if (!reader_header_crc_ok(block))
		return "the segment's header differs from its CRC";
	if (!all_zero(block + sizeof(hdr), ATR_LOG_BLOCK - sizeof(hdr)))
		return "the segment's header block is not zero behind the header";
	if (hdr.segment != reader->segment)
		return "the file holds another segment than its name says";
	if (hdr.bytes != bytes || hdr.bytes % ATR_LOG_BLOCK)
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
