/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../log/crc.h"
#include "gap_internal.h"

#define RECORD_ALIGN 8
#define GROUP_ANY    UINT64_MAX
#define FILE_NAME    256
#define HEX          16
#define COMMIT_MAX                                                        \
	(sizeof(struct atr_record_hdr) + sizeof(struct atr_commit_body) + \
	 ATR_LOG_FEEDS_MAX * sizeof(struct atr_feed_position))
_Static_assert(COMMIT_MAX <= ATR_LOG_BLOCK, "a commit record touches two blocks at most");

int gap_damage(struct atr_gap_reader *reader, const struct gap_place *place, const char *what)
{
	snprintf(reader->error, reader->error_size,
		 "segment %" PRIu64 ", byte %" PRIu64 ": %s; gap requests from here on are not "
		 "answered: check the log with atrctl log verify",
		 place->segment, place->offset, what);
	return -EBADMSG;
}

static int trouble(struct atr_gap_reader *reader, const struct gap_place *place, int err)
{
	snprintf(reader->error, reader->error_size,
		 "segment %" PRIu64 ", byte %" PRIu64 ": cannot be read (%s); look after the disk",
		 place->segment, place->offset, strerror(-err));
	return err;
}

static uint32_t crc_without(const uint8_t *bytes, size_t length, size_t crc_at)
{
	static const uint8_t zeros[sizeof(uint32_t)];
	uint32_t crc = atr_log_crc_add(ATR_LOG_CRC_BEGIN, bytes, crc_at);

	crc = atr_log_crc_add(crc, zeros, sizeof(zeros));
	crc_at += sizeof(zeros);
	return atr_log_crc_end(atr_log_crc_add(crc, bytes + crc_at, length - crc_at));
}

static uint32_t round_block(uint32_t length)
{
	return (length + ATR_LOG_BLOCK - 1) / ATR_LOG_BLOCK * ATR_LOG_BLOCK;
}

/* Bytes of the open segment; out and all numbers are multiples of a block. */
static int read_blocks(struct atr_gap_reader *reader, const struct gap_place *place, uint64_t from,
		       size_t length, uint8_t *out)
{
	int err = reader->storage->ops->read(reader->storage, reader->file, out, length, from);

	return err < 0 ? trouble(reader, place, err) : 0;
}

/* Opens the segment of place; checks its header. */
static int open_segment(struct atr_gap_reader *reader, const struct gap_place *place)
{
	const struct atr_segment_hdr *hdr = (const struct atr_segment_hdr *)reader->small;
	char name[ATR_SEGMENT_NAME_LENGTH + 1];
	int err;

	if (reader->file && reader->segment == place->segment)
		return 0;
	if (reader->file)
		reader->storage->ops->close(reader->storage, reader->file);
	reader->file = NULL;
	snprintf(name, sizeof(name), ATR_SEGMENT_NAME, place->segment);
	err = reader->storage->ops->open(reader->storage, name, false, &reader->file_bytes,
					 &reader->file);
	if (err < 0) {
		reader->file = NULL;
		return trouble(reader, place, err);
	}
	reader->segment = place->segment;
	err = reader->file_bytes < ATR_LOG_BLOCK
		      ? gap_damage(reader, place, "the segment has no header")
		      : read_blocks(reader, place, 0, ATR_LOG_BLOCK, reader->small);
	if (!err &&
	    (hdr->magic != ATR_LOG_MAGIC || hdr->segment != place->segment ||
	     hdr->shard != reader->shard ||
	     (reader->known && memcmp(hdr->log_id, reader->log_id, sizeof(hdr->log_id)) != 0) ||
	     crc_without(reader->small, ATR_LOG_BLOCK, offsetof(struct atr_segment_hdr, crc)) !=
		     hdr->crc))
		err = gap_damage(reader, place, "the segment is not one of this shard's log");
	if (!err && place->offset == ATR_LOG_BLOCK && place->group != GROUP_ANY &&
	    hdr->first_group != place->group)
		err = gap_damage(reader, place, "the segment begins with another group");
	if (err) {
		reader->storage->ops->close(reader->storage, reader->file);
		reader->file = NULL;
		return err;
	}
	memcpy(reader->log_id, hdr->log_id, sizeof(reader->log_id));
	reader->known = true;
	reader->segment_group = hdr->first_group;
	return 0;
}

/* Is the group of place in the open segment? Its header is then in *hdr. */
static int find_header(struct atr_gap_reader *reader, const struct gap_place *place,
		       struct atr_group_hdr *hdr)
{
	int err;

	if (place->offset > reader->file_bytes - ATR_LOG_BLOCK)
		return 0;
	err = read_blocks(reader, place, place->offset, ATR_LOG_BLOCK, reader->small);
	if (err)
		return err;
	memcpy(hdr, reader->small, sizeof(*hdr));
	return hdr->magic == ATR_GROUP_MAGIC && hdr->group == place->group &&
	       hdr->segment == place->segment && hdr->offset == place->offset &&
	       hdr->shard == reader->shard &&
	       memcmp(hdr->log_id, reader->log_id, sizeof(hdr->log_id)) == 0;
}

/* The group's header, in its segment or at the beginning of the next one, to which place moves. */
static int seek_header(struct atr_gap_reader *reader, struct gap_place *place,
		       struct atr_group_hdr *hdr)
{
	int found = open_segment(reader, place);

	if (!found)
		found = find_header(reader, place, hdr);
	if (found == 0 && place->offset != ATR_LOG_BLOCK) {
		struct gap_place next = *place;

		next.segment++;
		next.offset = ATR_LOG_BLOCK;
		found = open_segment(reader, &next);
		if (!found)
			found = find_header(reader, &next, hdr);
		if (found == 1)
			*place = next;
		else if (found == -ENOENT)
			found = 0;
	}
	if (found < 0)
		return found;
	if (!found)
		return gap_damage(reader, place, "no group of this log begins here");
	if (hdr->length < sizeof(*hdr) + COMMIT_MAX -
				  ATR_LOG_FEEDS_MAX * sizeof(struct atr_feed_position) ||
	    hdr->length > ATR_GROUP_BYTES_MAX || hdr->length % RECORD_ALIGN || hdr->records == 0 ||
	    round_block(hdr->length) > reader->file_bytes - place->offset)
		return gap_damage(reader, place, "the group's length is impossible");
	return 0;
}

/* A commit record of so many feeds, ending where the group ends? */
static const struct atr_commit_body *commit_of(const struct atr_group_hdr *hdr, const uint8_t *end,
					       size_t available, uint32_t feeds)
{
	size_t body = sizeof(struct atr_commit_body) + feeds * sizeof(struct atr_feed_position);
	size_t length = sizeof(struct atr_record_hdr) + body;
	const struct atr_record_hdr *record = (const struct atr_record_hdr *)(end - length);
	const struct atr_commit_body *commit = (const struct atr_commit_body *)(record + 1);

	if (length > available || record->kind != ATR_RECORD_COMMIT ||
	    record->body_length != body || record->decision_length ||
	    record->leaf != hdr->first_leaf + hdr->records - 1 ||
	    crc_without((const uint8_t *)record, length, offsetof(struct atr_record_hdr, crc)) !=
		    record->crc)
		return NULL;
	return commit->feed_count == feeds && commit->group == hdr->group ? commit : NULL;
}

static int take_positions(struct atr_gap_reader *reader, struct gap_place *place,
			  const struct atr_commit_body *commit)
{
	const struct atr_feed_position *position = (const struct atr_feed_position *)(commit + 1);

	for (uint32_t i = 0; i < commit->feed_count; i++) {
		if (position[i].feed >= ATR_LOG_FEEDS_MAX ||
		    position[i].next < place->next[position[i].feed])
			return gap_damage(reader, place, "feed positions go backwards");
		place->next[position[i].feed] = position[i].next;
	}
	return 0;
}

int gap_step(struct atr_gap_reader *reader, struct gap_place *place)
{
	const struct atr_commit_body *commit;
	struct atr_group_hdr hdr;
	uint32_t from, available;
	int err = seek_header(reader, place, &hdr);

	if (err)
		return err;
	from = hdr.length > COMMIT_MAX ? hdr.length - (uint32_t)COMMIT_MAX : 0;
	from -= from % ATR_LOG_BLOCK;
	err = read_blocks(reader, place, place->offset + from, round_block(hdr.length) - from,
			  reader->small);
	if (err)
		return err;
	available = hdr.length - from - (from ? 0 : (uint32_t)sizeof(hdr));
	commit = commit_of(&hdr, reader->small + hdr.length - from, available, reader->feed_count);
	for (uint32_t feeds = 0; !commit && feeds <= ATR_LOG_FEEDS_MAX; feeds++)
		commit = commit_of(&hdr, reader->small + hdr.length - from, available, feeds);
	if (!commit)
		return gap_damage(reader, place, "the group does not end with its commit record");
	reader->feed_count = commit->feed_count;
	err = take_positions(reader, place, commit);
	if (err)
		return err;
	place->group++;
	place->offset += round_block(hdr.length);
	return 0;
}

int64_t gap_first_segment(struct atr_gap_reader *reader)
{
	static const char lead[] = "segment-";
	char name[FILE_NAME], written[ATR_SEGMENT_NAME_LENGTH + 1];
	int err = 0;

	for (unsigned int i = 0; err == 0; i++) {
		uint64_t number;

		err = reader->storage->ops->list(reader->storage, i, name, sizeof(name));
		/* In alphabetical order: the first of its kind is it. */
		if (err < 0 || strncmp(name, lead, strlen(lead)) != 0)
			continue;
		number = strtoull(name + strlen(lead), NULL, HEX);
		if (number > INT64_MAX)
			continue;
		snprintf(written, sizeof(written), ATR_SEGMENT_NAME, number);
		if (strcmp(name, written) == 0)
			return (int64_t)number;
	}
	return err == -ENOENT ? 0 : trouble(reader, &reader->tail, err);
}

int gap_begin(struct atr_gap_reader *reader, uint64_t durable, struct gap_place *place)
{
	int64_t first = gap_first_segment(reader);
	int err;

	*place = (struct gap_place){.offset = ATR_LOG_BLOCK};
	for (unsigned int f = 0; f < ATR_LOG_FEEDS_MAX; f++)
		place->next[f] = 1;
	if (first <= 0)
		return first < 0 ? (int)first : durable > 0;
	place->segment = (uint64_t)first;
	place->group = GROUP_ANY;
	err = open_segment(reader, place);
	if (err)
		return err;
	place->group = reader->segment_group;
	if (place->group >= durable)
		return 0;
	err = gap_step(reader, place);
	return err ? err : 1;
}

int gap_load(struct atr_gap_reader *reader, const struct gap_place *place)
{
	struct gap_place at = *place;
	struct atr_group_hdr hdr;
	int err;

	if (reader->has_loaded && reader->loaded.group == place->group)
		return 0;
	reader->has_loaded = false;
	err = seek_header(reader, &at, &hdr);
	if (!err)
		err = read_blocks(reader, &at, at.offset, round_block(hdr.length), reader->group);
	if (err)
		return err;
	if (memcmp(&hdr, reader->group, sizeof(hdr)) != 0 ||
	    crc_without(reader->group, hdr.length, offsetof(struct atr_group_hdr, crc)) != hdr.crc)
		return gap_damage(reader, &at, "the group differs from its CRC");
	reader->loaded = *place;
	reader->has_loaded = true;
	return 0;
}
