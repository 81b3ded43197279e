/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reader_internal.h"

#define FOLLOW_WINDOW (64u << 10) /* bytes read at first: a group may be small */
#define SIMD_BITS     512         /* what the CPU lacks is left out by lib/hash itself */

struct atr_log_follow {
	struct reader reader;
	struct atr_log_scan scan;
	int failed;
};

struct atr_log_follow *atr_log_follow_open(const struct atr_log_follow_params *params, char *error,
					   size_t size)
{
	struct atr_log_follow *follow = calloc(1, sizeof(*follow));
	struct reader *reader;

	if (!follow) {
		snprintf(error, size, "out of memory for reading the log; free some and try again");
		return NULL;
	}
	reader = &follow->reader;
	reader->storage = params->storage;
	reader->mode = params->mode;
	reader->scan = &follow->scan;
	follow->scan.end = params->at;
	/* A plan's document may be open there. */
	reader->plan.unknown = params->at.group != 0;
	reader->window_limit = FOLLOW_WINDOW;
	reader->hash = atr_hash_create(-1, SIMD_BITS, error, size);
	if (reader->hash)
		return follow;
	atr_log_follow_close(follow);
	return NULL;
}

void atr_log_follow_close(struct atr_log_follow *follow)
{
	if (!follow)
		return;
	reader_free(&follow->reader);
	if (follow->reader.hash)
		atr_hash_free(follow->reader.hash);
	free(follow);
}

const struct atr_log_end *atr_log_follow_end(const struct atr_log_follow *follow)
{
	return &follow->scan.end;
}

/* Opens the segment that holds the next group, at *end. */
static int open_segment(struct reader *reader, uint64_t segment)
{
	const char *wrong;
	const uint8_t *block;
	int err = reader_open(reader, segment);

	if (err)
		return err;
	if (reader->pruned)
		return reader_damage(reader, 0,
				     "the segment gave up its entries; begin at a snapshot "
				     "behind it");
	if (reader->file_bytes < ATR_LOG_BLOCK)
		return reader_damage(reader, 0, "the file has not the size of a segment");
	block = reader_bytes(reader, 0, ATR_LOG_BLOCK, &err);
	if (!block)
		return err;
	wrong = reader_header_wrong(reader, block, reader->file_bytes);
	if (wrong)
		return reader_damage(reader, 0, wrong);
	reader_take_header(reader, block);
	return 0;
}

/* The next segment, in which the next group is the first. */
static int next_segment(struct reader *reader)
{
	struct atr_segment_hdr hdr;
	const uint8_t *block;
	int err = open_segment(reader, reader->segment + 1);

	if (err)
		return err;
	block = reader_bytes(reader, 0, ATR_LOG_BLOCK, &err);
	if (!block)
		return err;
	memcpy(&hdr, block, sizeof(hdr));
	if (hdr.first_group != reader->scan->end.group ||
	    hdr.first_leaf != reader->scan->end.frontier.size)
		return reader_damage(reader, 0,
				     "the segment does not begin where the one before ends");
	reader->scan->end.segment = reader->segment;
	reader->scan->end.offset = ATR_LOG_BLOCK;
	return 0;
}

/* Opens what is needed to read at the end. */
static int ready(struct reader *reader)
{
	struct atr_log_end *end = &reader->scan->end;

	if (reader->file)
		return 0;
	if (end->offset == 0)
		end->offset = ATR_LOG_BLOCK;
	return open_segment(reader, end->segment);
}

/* What lies at the end: a kind of group and its bytes, or negative errno. */
static int probe(struct reader *reader, struct reader_stop *stop, const uint8_t **bytes)
{
	uint64_t at = reader->scan->end.offset, left;
	const struct atr_group_hdr *hdr;
	int err = 0;

	stop->where = at;
	snprintf(stop->what, sizeof(stop->what), "the segment is full");
	if (at >= reader->file_bytes)
		return GROUP_NONE;
	left = reader->file_bytes - at;
	*bytes = reader_bytes(reader, at, ATR_LOG_BLOCK, &err);
	if (!*bytes)
		return err;
	hdr = (const void *)*bytes;
	if (hdr->length <= ATR_GROUP_BYTES_MAX && round_block(hdr->length) < left)
		left = round_block(hdr->length);
	if (left > ATR_GROUP_BYTES_MAX)
		left = ATR_GROUP_BYTES_MAX;
	if (left > ATR_LOG_BLOCK)
		*bytes = reader_bytes(reader, at, left, &err);
	if (!*bytes)
		return err;
	return (int)group_probe(reader, *bytes, left, at, stop->what, &stop->where);
}

static int take_one(struct reader *reader)
{
	struct reader_stop stop;
	uint64_t segment = reader->segment;
	const uint8_t *bytes = NULL;
	int kind = probe(reader, &stop, &bytes), err;

	/* Where a segment ends is known only from the next one. */
	if (kind == GROUP_NONE) {
		err = next_segment(reader);
		if (err == -ENOENT) {
			err = reader_open(reader, segment);
			return err ? err : reader_damage(reader, stop.where, stop.what);
		}
		if (err)
			return err;
		kind = probe(reader, &stop, &bytes);
	}
	if (kind < 0)
		return kind;
	if (kind != GROUP_COMPLETE)
		return reader_damage(reader, stop.where, stop.what);
	return group_take(reader, bytes);
}

/* Damage in a segment that gave up its entries meanwhile is another one's bytes. */
static int given_up(struct reader *reader)
{
	return open_segment(reader, reader->scan->end.segment);
}

int atr_log_follow_take(struct atr_log_follow *follow, uint64_t below, unsigned int max,
			const struct atr_log_visitor *visitor, char *error, size_t size)
{
	struct reader *reader = &follow->reader;
	unsigned int taken = 0;

	error[0] = '\0';
	if (follow->failed || follow->scan.end.group >= below)
		return follow->failed;
	reader->error = error;
	reader->error_size = size;
	reader->visitor = visitor;
	/* It may have grown since. */
	reader->window_length = 0;
	reader->window_limit = FOLLOW_WINDOW;
	follow->failed = ready(reader);
	while (!follow->failed && taken < max && follow->scan.end.group < below) {
		follow->failed = take_one(reader);
		taken += !follow->failed;
	}
	if (follow->failed && reader->damaged && reader_given_up(reader, follow->scan.end.segment))
		follow->failed = given_up(reader);
	return follow->failed ? follow->failed : (int)taken;
}
