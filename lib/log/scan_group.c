/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "../reason/reason.h"
#include "crc.h"
#include "reader_internal.h"

#define RECORD_ALIGN 8
#define BITS         8

bool all_zero(const uint8_t *bytes, size_t length)
{
	return length == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, length - 1) == 0);
}

uint32_t crc_without(const uint8_t *bytes, size_t length, size_t crc_at)
{
	static const uint8_t zeros[sizeof(uint32_t)];
	uint32_t crc = atr_log_crc_add(ATR_LOG_CRC_BEGIN, bytes, crc_at);

	crc = atr_log_crc_add(crc, zeros, sizeof(zeros));
	crc_at += sizeof(zeros);
	return atr_log_crc_end(atr_log_crc_add(crc, bytes + crc_at, length - crc_at));
}

uint32_t record_room(uint64_t behind, uint32_t left)
{
	uint64_t room = sizeof(struct atr_record_hdr) + behind;

	room = (room + RECORD_ALIGN - 1) / RECORD_ALIGN * RECORD_ALIGN;
	return room <= left ? (uint32_t)room : 0;
}

static uint64_t record_bytes(const struct atr_record_hdr *record)
{
	return (uint64_t)record->body_length + record->decision_length;
}

static bool record_crc_ok(const struct atr_record_hdr *record)
{
	size_t length = sizeof(*record) + record->body_length + record->decision_length;

	return crc_without((const uint8_t *)record, length, offsetof(struct atr_record_hdr, crc)) ==
	       record->crc;
}

uint32_t group_culprit(const uint8_t *bytes, uint32_t length)
{
	uint32_t at = sizeof(struct atr_group_hdr);

	while (length - at >= sizeof(struct atr_record_hdr)) {
		const struct atr_record_hdr *record = (const void *)(bytes + at);
		uint32_t room = record_room(record_bytes(record), length - at);

		if (!room || !record_crc_ok(record))
			break;
		if (record->kind == ATR_RECORD_COMMIT)
			return 0;
		at += room;
	}
	return at;
}

bool group_belongs(const struct reader *reader, const struct atr_group_hdr *hdr, uint64_t offset)
{
	const struct atr_log_scan *scan = reader->scan;

	if (hdr->magic != ATR_GROUP_MAGIC || hdr->segment != reader->segment ||
	    hdr->offset != offset || hdr->epoch < reader->epoch)
		return false;
	return !reader->known || (hdr->shard == scan->shard &&
				  memcmp(hdr->log_id, scan->log_id, sizeof(hdr->log_id)) == 0);
}

enum group_kind group_probe(const struct reader *reader, const uint8_t *bytes, size_t left,
			    uint64_t offset, char *what, uint64_t *where)
{
	const struct atr_group_hdr *hdr = (const void *)bytes;
	uint32_t padded;

	*where = offset;
	if (!group_belongs(reader, hdr, offset)) {
		snprintf(what, READER_WHAT, "no group of this log begins here");
		return GROUP_NONE;
	}
	if (hdr->length < sizeof(*hdr) || hdr->length > ATR_GROUP_BYTES_MAX ||
	    round_block(hdr->length) > left) {
		snprintf(what, READER_WHAT, "the group's length %u is impossible", hdr->length);
		return GROUP_PARTIAL;
	}
	if (crc_without(bytes, hdr->length, offsetof(struct atr_group_hdr, crc)) != hdr->crc) {
		*where += group_culprit(bytes, (uint32_t)left);
		snprintf(what, READER_WHAT, "bytes of group %" PRIu64 " differ from its CRC",
			 hdr->group);
		return GROUP_PARTIAL;
	}
	padded = round_block(hdr->length);
	if (!all_zero(bytes + hdr->length, padded - hdr->length)) {
		*where += hdr->length;
		snprintf(what, READER_WHAT, "the padding of group %" PRIu64 " is not zero",
			 hdr->group);
		return GROUP_PARTIAL;
	}
	return GROUP_COMPLETE;
}

static const char *check_frame(struct reader *reader, uint32_t i, const uint8_t *body)
{
	const struct atr_record_hdr *record = reader->record[i];
	const uint8_t *decisions = body + record->body_length;
	struct atr_frame frame;

	if (atr_frame_parse(body, record->body_length, &frame) != ATR_OK)
		return "a frame's record holds no frame";
	if (record->events != frame.packet_count || record->source != frame.hdr->source ||
	    record->topic || record->type)
		return "a frame's record header contradicts the frame";
	if (record->decision_length != (record->events + BITS - 1) / BITS)
		return "a frame has not one decision bit an event";
	if (record->events % BITS &&
	    decisions[record->decision_length - 1] >> (record->events % BITS))
		return "decision bits are set for events that a frame does not have";
	reader->data[i] = body;
	reader->length[i] = frame.leaf_size;
	reader->scan->events += frame.packet_count;
	return NULL;
}

static const char *check_envelope(struct reader *reader, uint32_t i, const uint8_t *body)
{
	const struct atr_record_hdr *record = reader->record[i];
	uint8_t *copy = reader->prefixed + reader->prefixed_used;

	if (record->events != 1 || record->decision_length)
		return "an envelope is one event and has no decision bytes";
	if (!record->body_length || body[0] != ATR_FIRST_BYTE_ENVELOPE)
		return "an envelope's record holds no envelope";
	copy[0] = 0;
	memcpy(copy + 1, body, record->body_length);
	reader->data[i] = copy;
	reader->length[i] = record->body_length + 1;
	reader->prefixed_used += reader->length[i];
	reader->scan->events++;
	return NULL;
}

/* Takes headers and decisions of the records before it into account, which were collected. */
static const char *check_commit(struct reader *reader, uint32_t i, const uint8_t *body,
				const struct atr_group_hdr *group)
{
	static const uint8_t magic[] = {0, 'A', 'T', 'C'};
	const struct atr_record_hdr *record = reader->record[i];
	const struct atr_commit_body *commit = (const void *)body;
	const struct atr_feed_position *feed = (const void *)(commit + 1);
	const uint8_t *data = reader->digested;
	uint8_t digest[1][ATR_HASH_SIZE];

	if (record->events || record->decision_length || record->body_length < sizeof(*commit) ||
	    memcmp(commit->magic, magic, sizeof(magic)) != 0)
		return "a commit's record holds no commit";
	if (commit->feed_count > ATR_LOG_FEEDS_MAX ||
	    record->body_length != sizeof(*commit) + commit->feed_count * sizeof(*feed))
		return "a commit's length is not what its feeds need";
	if (commit->group != group->group || commit->first_leaf != group->first_leaf ||
	    commit->leaves != i || commit->committed_ns != group->committed_ns)
		return "a commit contradicts its group's header";
	for (uint32_t f = 0; f < commit->feed_count; f++)
		if (feed[f].zero || (f && feed[f].feed <= feed[f - 1].feed))
			return "a commit's feeds are not in order";
	if (reader->mode < ATR_FOLLOW_CRC)
		atr_hash_burst(reader->hash, &data, &reader->digested_used, digest, 1);
	if (reader->mode < ATR_FOLLOW_CRC &&
	    memcmp(digest[0], commit->decisions, sizeof(digest[0])) != 0)
		return "headers or decisions of the group differ from its commit's digest";
	reader->data[i] = body;
	reader->length[i] = record->body_length;
	return NULL;
}

const char *check_record_header(const struct reader *reader, const struct atr_group_hdr *group,
				uint32_t i)
{
	const struct atr_record_hdr *record = reader->record[i];

	if (record->zero || record->zero2)
		return "a record's zeros are not zero";
	if (record->leaf != group->first_leaf + i)
		return "a record is not the leaf that it should be";
	if ((record->kind == ATR_RECORD_COMMIT) != (i == group->records - 1))
		return "a group has not exactly one commit record, its last";
	return NULL;
}

void collect_decisions(struct reader *reader, uint32_t i)
{
	const struct atr_record_hdr *record = reader->record[i];

	memcpy(reader->digested + reader->digested_used, record, sizeof(*record));
	reader->digested_used += sizeof(*record);
	memcpy(reader->digested + reader->digested_used, reader->decisions[i],
	       record->decision_length);
	reader->digested_used += record->decision_length;
}

const char *check_record(struct reader *reader, const struct atr_group_hdr *group, uint32_t i,
			 uint32_t room)
{
	const struct atr_record_hdr *record = reader->record[i];
	const uint8_t *body = (const uint8_t *)(record + 1);
	size_t used = sizeof(*record) + record->body_length + record->decision_length;
	const char *wrong;

	if (!record_crc_ok(record))
		return "a record differs from its CRC";
	if (!all_zero((const uint8_t *)record + used, room - used))
		return "a record's zeros are not zero";
	wrong = check_record_header(reader, group, i);
	if (wrong)
		return wrong;
	reader->body[i] = body;
	reader->decisions[i] = body + record->body_length;
	switch (record->kind) {
	case ATR_RECORD_FRAME: wrong = check_frame(reader, i, body); break;
	case ATR_RECORD_ENVELOPE: wrong = check_envelope(reader, i, body); break;
	case ATR_RECORD_COMMIT: return check_commit(reader, i, body, group);
	case ATR_RECORD_PLAN: wrong = check_plan(reader, group, i, body); break;
	case ATR_RECORD_SNAPSHOT: wrong = check_snapshot(reader, group, i, body); break;
	default: return "a record is of an unknown kind";
	}
	collect_decisions(reader, i);
	return wrong;
}

const char *group_header_wrong(const struct reader *reader, const struct atr_group_hdr *group)
{
	const struct atr_log_end *end = &reader->scan->end;

	if (group->group != end->group || group->first_leaf != end->frontier.size)
		return "the group has another one's number";
	if (!all_zero(group->zero2, sizeof(group->zero2)) || group->unsynced > group->group)
		return "the group's header is not valid";
	if (group->records == 0 || group->records > READER_RECORDS)
		return "the group's count of records is not";
	return NULL;
}

int group_check(struct reader *reader, const struct atr_group_hdr *group)
{
	const uint8_t *bytes = (const uint8_t *)group;
	uint32_t at = sizeof(*group);
	const char *wrong = group_header_wrong(reader, group);

	int err;

	if (wrong)
		return reader_damage(reader, group->offset, wrong);
	err = reader_room(reader, group->length);
	if (err)
		return err;
	for (uint32_t i = 0; i < group->records; i++) {
		const struct atr_record_hdr *record = (const void *)(bytes + at);
		uint32_t room = 0;

		wrong = "a record does not end within its group";
		if (group->length - at >= sizeof(*record))
			room = record_room(record_bytes(record), group->length - at);
		reader->record[i] = record;
		if (room)
			wrong = check_record(reader, group, i, room);
		if (wrong)
			return reader_damage(reader, group->offset + at, wrong);
		at += room;
	}
	if (at != group->length)
		return reader_damage(reader, group->offset + at, "bytes follow the commit record");
	return 0;
}

void group_hash(struct reader *reader, uint32_t records)
{
	for (uint32_t done = 0; done < records;) {
		uint32_t n = records - done;

		if (n > ATR_HASH_BURST_MAX)
			n = ATR_HASH_BURST_MAX;
		atr_hash_burst(reader->hash, reader->data + done, reader->length + done,
			       reader->leaf + done, n);
		done += n;
	}
	for (uint32_t i = 0; i < records; i++)
		if (!reader->body[i])
			memcpy(reader->leaf[i], reader->record[i] + 1, ATR_HASH_SIZE);
}

static int visit_records(struct reader *reader, const struct atr_group_hdr *group)
{
	const struct atr_log_visitor *visitor = reader->visitor;

	for (uint32_t i = 0; i < group->records; i++) {
		int err = visitor->record(visitor->context, group, reader->record[i],
					  reader->body[i], reader->decisions[i],
					  reader->mode < ATR_FOLLOW_CRC ? reader->leaf[i] : NULL);

		if (err < 0)
			return err;
	}
	return 0;
}

/* Does the tree, at this group's end, have the root that the anchor says? */
static int check_anchor(struct reader *reader, const struct atr_group_hdr *group)
{
	const struct atr_log_scan_options *options = &reader->options;
	const struct atr_frontier *frontier = &reader->scan->end.frontier;
	uint8_t root[ATR_HASH_SIZE];
	char what[2 * READER_WHAT];

	if (!options->anchored || options->anchored->size == 0 || reader->met ||
	    frontier->size < options->anchored->size)
		return 0;
	atr_frontier_root(frontier, root);
	reader->met = frontier->size == options->anchored->size &&
		      memcmp(root, options->anchored->root, sizeof(root)) == 0;
	if (reader->met)
		return 0;
	snprintf(what, sizeof(what),
		 "with group %" PRIu64 " the log contradicts the checkpoint of size %" PRIu64
		 " in %.160s: it was rewritten",
		 group->group, options->anchored->size, options->anchor_name);
	return reader_damage(reader, group->offset, what);
}

int group_finish(struct reader *reader, const struct atr_group_hdr *group, uint32_t bytes)
{
	const struct atr_log_visitor *visitor = reader->visitor;
	struct atr_log_scan *scan = reader->scan;
	uint8_t root[ATR_HASH_SIZE];
	int err = 0;

	if (reader->mode < ATR_FOLLOW_CRC)
		group_hash(reader, group->records);
	if (visitor && visitor->record)
		err = visit_records(reader, group);
	if (err)
		return err;
	if (reader->mode == ATR_FOLLOW_TREE)
		atr_frontier_add_burst(&scan->end.frontier, reader->hash, reader->leaf,
				       group->records);
	else
		scan->end.frontier.size += group->records;
	scan->groups++;
	scan->records += group->records;
	scan->bytes += bytes;
	scan->end.group++;
	scan->end.offset = group->offset + round_block(group->length);
	reader->epoch = group->epoch;
	err = check_anchor(reader, group);
	if (err || !visitor || !visitor->group)
		return err;
	if (reader->mode == ATR_FOLLOW_TREE)
		atr_frontier_root(&scan->end.frontier, root);
	err = visitor->group(visitor->context, group, scan->end.frontier.size,
			     reader->mode == ATR_FOLLOW_TREE ? root : NULL);
	return err < 0 ? err : 0;
}

int group_take(struct reader *reader, const uint8_t *bytes)
{
	const struct atr_group_hdr *group = (const void *)bytes;
	int err = group_check(reader, group);

	return err ? err : group_finish(reader, group, round_block(group->length));
}
