/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "reader_internal.h"

#define READER_SECTOR 512 /* what a disk writes whole or not at all */

/* Where the last byte that is not zero ends, at or behind offset; offset if all are zero. */
static int tail_extent(struct reader *reader, uint64_t offset, uint64_t *end)
{
	int err = 0;

	*end = offset;
	for (uint64_t at = offset; at < reader->file_bytes; at += ATR_LOG_BLOCK) {
		const uint8_t *bytes = reader_bytes(reader, at, ATR_LOG_BLOCK, &err);

		if (!bytes)
			return err;
		if (!all_zero(bytes, ATR_LOG_BLOCK))
			*end = at + ATR_LOG_BLOCK;
	}
	return 0;
}

int tail_find(struct reader *reader, uint64_t *offset, struct atr_group_hdr *group)
{
	char what[READER_WHAT];
	int err = 0;

	for (; *offset < reader->file_bytes; *offset += ATR_LOG_BLOCK) {
		const uint8_t *bytes = reader_bytes(reader, *offset, ATR_LOG_BLOCK, &err);
		uint64_t left = reader->file_bytes - *offset, where;

		if (!bytes)
			return err;
		if (memcmp(bytes, &(uint32_t){ATR_GROUP_MAGIC}, sizeof(uint32_t)) != 0)
			continue;
		left = left < ATR_GROUP_BYTES_MAX ? left : ATR_GROUP_BYTES_MAX;
		bytes = reader_bytes(reader, *offset, left, &err);
		if (!bytes)
			return err;
		if (group_probe(reader, bytes, left, *offset, what, &where) == GROUP_COMPLETE) {
			memcpy(group, bytes, sizeof(*group));
			return 1;
		}
	}
	return 0;
}

/* Is some sector of the group, whose header is there, all zeros, as one that a stop kept from the
 * disk is? */
static bool lacks_sector(const uint8_t *bytes, size_t length)
{
	for (size_t at = 0; at < length; at += READER_SECTOR)
		if (all_zero(bytes + at, READER_SECTOR))
			return true;
	return false;
}

/* Can what lies at offset, where no complete group is, come from a write that was cut short? A
 * sector is either as written, or still zeros; where all records are as written, none is missing,
 * whatever the header says. */
static int check_torn(struct reader *reader, uint64_t offset, const char *what, uint64_t where)
{
	uint64_t left = reader->file_bytes - offset;
	struct atr_group_hdr group;
	const uint8_t *bytes;
	int err = 0;

	left = left < ATR_GROUP_BYTES_MAX ? left : ATR_GROUP_BYTES_MAX;
	bytes = reader_bytes(reader, offset, left, &err);
	if (!bytes)
		return err;
	if (all_zero(bytes, READER_SECTOR))
		return 0;
	memcpy(&group, bytes, sizeof(group));
	if (!group_belongs(reader, &group, offset) || group.length < sizeof(group) ||
	    round_block(group.length) > left || group.group != reader->scan->end.group ||
	    group.first_leaf != reader->scan->end.frontier.size ||
	    !lacks_sector(bytes, group.length) || group_culprit(bytes, (uint32_t)left) == 0)
		return reader_damage(reader, where, what);
	return 0;
}

/* A group that another one, written once it was durable, follows was not torn by a stop. */
int tail_judge(struct reader *reader, uint64_t offset, const char *what, uint64_t where)
{
	struct atr_log_scan *scan = reader->scan;
	struct atr_group_hdr group;
	uint64_t at = offset, end;
	int err;

	while ((err = tail_find(reader, &at, &group)) > 0) {
		if (group.group <= scan->end.group || group.unsynced > group.group ||
		    group.group - group.unsynced > scan->end.group) {
			char why[READER_WHAT + 128];

			snprintf(why, sizeof(why),
				 "%s, and group %" PRIu64 " at byte %" PRIu64
				 " was written after it",
				 what, group.group, at);
			return reader_damage(reader, where, why);
		}
		at += round_block(group.length);
	}
	if (err)
		return err;
	err = tail_extent(reader, offset, &end);
	if (err || end == offset)
		return err;
	err = check_torn(reader, offset, what, where);
	if (err)
		return err;
	scan->torn = true;
	scan->torn_segment = reader->segment;
	scan->torn_offset = offset;
	scan->torn_bytes = end - offset;
	return 0;
}
