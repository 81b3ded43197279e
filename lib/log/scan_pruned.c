/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <string.h>

#include "reader_internal.h"

#define BITS 8

const char *pruned_wrong(struct reader *reader, int *err)
{
	struct atr_pruned_hdr hdr;
	const uint8_t *block;

	if (reader->file_bytes < 2 * ATR_LOG_BLOCK || reader->file_bytes % ATR_LOG_BLOCK)
		return "the file has not the size of a pruned segment";
	block = reader_bytes(reader, 0, 2 * ATR_LOG_BLOCK, err);
	if (!block)
		return NULL;
	memcpy(&hdr, block, sizeof(hdr));
	if (hdr.magic != ATR_PRUNED_MAGIC || hdr.version != 1)
		return "this is no pruned segment of a log, or of a version unknown here";
	if (crc_without(block, ATR_LOG_BLOCK, offsetof(struct atr_pruned_hdr, crc)) != hdr.crc)
		return "the pruned segment's header differs from its CRC";
	if (!all_zero(block + sizeof(hdr), ATR_LOG_BLOCK - sizeof(hdr)))
		return "the pruned segment's header block is not zero behind the header";
	if (hdr.segment != reader->segment)
		return "the file holds another segment than its name says";
	if (hdr.bytes != reader->file_bytes)
		return "the file has not the size that its header says";
	return NULL;
}

/* Header and decisions of an entry, of which no more than the leaf hash is left. */
static const char *check_stub(struct reader *reader, const struct atr_group_hdr *group, uint32_t i,
			      uint32_t room)
{
	const struct atr_record_hdr *record = reader->record[i];
	const uint8_t *decisions = (const uint8_t *)(record + 1) + ATR_HASH_SIZE;
	size_t used = sizeof(*record) + ATR_HASH_SIZE + record->decision_length;
	const char *wrong = check_record_header(reader, group, i);
	unsigned int wanted =
		record->kind == ATR_RECORD_FRAME ? (record->events + BITS - 1) / BITS : 0;

	if (wrong)
		return wrong;
	if (!all_zero((const uint8_t *)record + used, room - used))
		return "a record's zeros are not zero";
	if (record->decision_length != wanted)
		return "a record has not one decision bit an event";
	if (wanted && record->events % BITS && decisions[wanted - 1] >> (record->events % BITS))
		return "decision bits are set for events that a frame does not have";
	reader->body[i] = NULL;
	reader->decisions[i] = decisions;
	reader->data[i] = (const uint8_t *)record;
	reader->length[i] = sizeof(*record);
	collect_decisions(reader, i);
	reader->scan->events += record->events;
	return NULL;
}

static const char *check_one(struct reader *reader, const struct atr_group_hdr *group, uint32_t i,
			     uint32_t left, uint32_t *room)
{
	const struct atr_record_hdr *record = reader->record[i];
	uint64_t behind = record->decision_length;
	bool stub = record->kind == ATR_RECORD_FRAME || record->kind == ATR_RECORD_ENVELOPE;

	behind += stub ? ATR_HASH_SIZE : record->body_length;
	*room = record_room(behind, left);
	if (*room == 0)
		return "a record does not end within its group";
	return stub ? check_stub(reader, group, i, *room) : check_record(reader, group, i, *room);
}

static int take_group(struct reader *reader, const uint8_t *bytes, uint64_t offset, uint32_t length)
{
	const struct atr_group_hdr *group = (const void *)(bytes + sizeof(struct atr_pruned_group));
	uint32_t at = sizeof(struct atr_pruned_group) + sizeof(*group), room;
	const char *wrong = NULL;
	int err;

	if (!group_belongs(reader, group, reader->scan->end.offset) ||
	    group->length > ATR_GROUP_BYTES_MAX)
		return reader_damage(reader, offset, "the group is not of this log and place");
	wrong = group_header_wrong(reader, group);
	if (wrong)
		return reader_damage(reader, offset, wrong);
	err = reader_room(reader, length);
	if (err)
		return err;
	for (uint32_t i = 0; i < group->records; i++, at += room) {
		reader->record[i] = (const void *)(bytes + at);
		wrong = length - at < sizeof(struct atr_record_hdr)
				? "a record does not end within its group"
				: check_one(reader, group, i, length - at, &room);
		if (wrong)
			return reader_damage(reader, offset + at, wrong);
	}
	if (at != length)
		return reader_damage(reader, offset + at, "bytes follow the commit record");
	return group_finish(reader, group, round_block(length));
}

int pruned_read(struct reader *reader, uint64_t taken)
{
	struct atr_log_scan *scan = reader->scan;
	uint64_t groups = 0, offset = 2 * ATR_LOG_BLOCK, expected = 0, records = 0;
	struct atr_pruned_hdr hdr;
	const uint8_t *bytes;
	int err = 0;

	bytes = reader_bytes(reader, 0, ATR_LOG_BLOCK, &err);
	if (!bytes)
		return err;
	memcpy(&hdr, bytes, sizeof(hdr));
	for (expected = hdr.groups; offset < reader->file_bytes; groups++) {
		uint64_t left = reader->file_bytes - offset;
		struct atr_pruned_group head;
		struct atr_group_hdr group;

		left = left < ATR_PRUNED_BYTES_MAX ? left : ATR_PRUNED_BYTES_MAX;
		bytes = reader_bytes(reader, offset, left, &err);
		if (!bytes)
			return err;
		memcpy(&head, bytes, sizeof(head));
		if (head.magic != ATR_PRUNED_GROUP_MAGIC || head.zero ||
		    head.length < sizeof(head) + sizeof(struct atr_group_hdr) ||
		    round_block(head.length) > left ||
		    crc_without(bytes, head.length, offsetof(struct atr_pruned_group, crc)) !=
			    head.crc)
			return reader_damage(reader, offset,
					     "bytes of a group differ from its CRC");
		if (!all_zero(bytes + head.length, round_block(head.length) - head.length))
			return reader_damage(reader, offset, "a group's padding is not zero");
		memcpy(&group, bytes + sizeof(head), sizeof(group));
		records += group.records;
		err = groups < taken ? 0 : take_group(reader, bytes, offset, head.length);
		if (err)
			return err;
		offset += round_block(head.length);
		reader_report(reader, false);
	}
	if (groups != expected || records != hdr.records)
		return reader_damage(reader, 0, "the pruned segment lacks groups or records");
	scan->pruned_segments = reader->segment + 1;
	scan->pruned_leaves = scan->end.frontier.size;
	return 0;
}
