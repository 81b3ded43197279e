/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reader_internal.h"
#include "retain_internal.h"

#define RECORD_ALIGN 8

/* One segment on its way into a pruned file. */
struct pruning {
	struct reader *reader;
	struct atr_segment_hdr hdr;
	uint8_t *block;      /* ATR_PRUNED_BYTES_MAX, aligned */
	struct atr_file *to; /* NULL in the first pass, which checks and counts */
	uint64_t at;         /* in the pruned file */
	uint64_t groups, records;
};

/* What is kept of a record. Returns the bytes. */
static uint32_t put_record(const struct reader *reader, uint32_t i, uint8_t *to)
{
	const struct atr_record_hdr *record = reader->record[i];
	bool stub = record->kind == ATR_RECORD_FRAME || record->kind == ATR_RECORD_ENVELOPE;
	uint32_t body = stub ? ATR_HASH_SIZE : record->body_length;
	uint32_t used = (uint32_t)sizeof(*record) + body + record->decision_length;
	uint32_t room = (used + RECORD_ALIGN - 1) / RECORD_ALIGN * RECORD_ALIGN;

	memcpy(to, record, sizeof(*record));
	memcpy(to + sizeof(*record), stub ? reader->leaf[i] : reader->body[i], body);
	memcpy(to + sizeof(*record) + body, reader->decisions[i], record->decision_length);
	memset(to + used, 0, room - used);
	return room;
}

static int write_block(struct pruning *p, uint32_t length)
{
	struct atr_storage *storage = p->reader->storage;
	struct atr_completion done;
	int rc = 0;

	if (p->to) {
		rc = storage->ops->write(storage, p->to, p->block, length, p->at, p);
		if (rc == 0)
			rc = storage->ops->reap(storage, &done, 1, true) == 1 ? done.result : -EIO;
	}
	p->at += length;
	return rc;
}

static int put_group(struct pruning *p, const struct atr_group_hdr *group)
{
	struct atr_pruned_group head = {.magic = ATR_PRUNED_GROUP_MAGIC};
	uint32_t length = sizeof(head);
	uint8_t *to = p->block;

	group_hash(p->reader, group->records);
	memcpy(to + length, group, sizeof(*group));
	length += sizeof(*group);
	for (uint32_t i = 0; i < group->records; i++)
		length += put_record(p->reader, i, to + length);
	head.length = length;
	memcpy(to, &head, sizeof(head));
	head.crc = crc_without(to, length, offsetof(struct atr_pruned_group, crc));
	memcpy(to, &head, sizeof(head));
	memset(to + length, 0, round_block(length) - length);
	p->groups++;
	p->records += group->records;
	return write_block(p, round_block(length));
}

/* One pass over the segment's groups. */
static int pass(struct pruning *p)
{
	struct reader *reader = p->reader;
	struct atr_log_end *end = &reader->scan->end;
	char what[READER_WHAT];
	uint64_t where;
	int rc = 0;

	memset(&reader->plan, 0, sizeof(reader->plan));
	reader->plan.unknown = true;
	reader->epoch = 0;
	end->group = p->hdr.first_group;
	end->frontier.size = p->hdr.first_leaf;
	end->offset = ATR_LOG_BLOCK;
	p->groups = p->records = 0;
	p->at = 2 * ATR_LOG_BLOCK;
	while (rc == 0 && end->offset < reader->file_bytes) {
		uint64_t left = reader->file_bytes - end->offset;
		const struct atr_group_hdr *group;
		const uint8_t *bytes;

		left = left < ATR_GROUP_BYTES_MAX ? left : ATR_GROUP_BYTES_MAX;
		bytes = reader_bytes(reader, end->offset, left, &rc);
		if (!bytes)
			return rc;
		if (group_probe(reader, bytes, left, end->offset, what, &where) != GROUP_COMPLETE)
			break;
		group = (const void *)bytes;
		rc = group_check(reader, group);
		if (rc == 0)
			rc = put_group(p, group);
		reader->epoch = group->epoch;
		end->group++;
		end->frontier.size += group->records;
		end->offset += round_block(group->length);
	}
	return rc;
}

static int put_headers(struct pruning *p)
{
	struct atr_pruned_hdr hdr = {.magic = ATR_PRUNED_MAGIC,
				     .version = 1,
				     .segment = p->hdr.segment,
				     .bytes = p->at,
				     .groups = p->groups,
				     .records = p->records};
	int rc = 0;
	const uint8_t *block = reader_bytes(p->reader, 0, ATR_LOG_BLOCK, &rc);

	if (!block)
		return rc;
	memset(p->block, 0, ATR_LOG_BLOCK);
	memcpy(p->block, &hdr, sizeof(hdr));
	hdr.crc = crc_without(p->block, ATR_LOG_BLOCK, offsetof(struct atr_pruned_hdr, crc));
	memcpy(p->block, &hdr, sizeof(hdr));
	memcpy(p->block + ATR_LOG_BLOCK, block, ATR_LOG_BLOCK);
	p->at = 0;
	return write_block(p, 2 * ATR_LOG_BLOCK);
}

static int write_file(struct pruning *p, uint64_t bytes)
{
	struct atr_storage *storage = p->reader->storage;
	struct atr_completion done;
	int rc = storage->ops->open(storage, LOG_PRUNING, true, &bytes, &p->to);

	if (rc < 0)
		return rc;
	rc = pass(p);
	if (rc == 0 && p->at != bytes)
		rc = -EIO;
	if (rc == 0)
		rc = put_headers(p);
	if (rc == 0)
		rc = storage->ops->sync(storage, p->to, p);
	if (rc == 0)
		rc = storage->ops->reap(storage, &done, 1, true) == 1 ? done.result : -EIO;
	storage->ops->close(storage, p->to);
	if (rc < 0 && !p->reader->error[0])
		snprintf(p->reader->error, p->reader->error_size,
			 "%s: cannot be written (%s); the segment was kept: look after the log's "
			 "disk",
			 LOG_PRUNING, strerror(-rc));
	return rc;
}

/* Opens the segment and takes what its header says as what the groups must fit. */
static int begin(struct pruning *p, uint64_t segment)
{
	struct reader *reader = p->reader;
	struct atr_log_scan *scan = reader->scan;
	int rc = reader_open(reader, segment);
	const char *wrong = "the file has not the size of a segment";
	const uint8_t *block = NULL;

	if (rc < 0)
		return rc;
	if (!reader->pruned && reader->file_bytes >= ATR_LOG_BLOCK) {
		block = reader_bytes(reader, 0, ATR_LOG_BLOCK, &rc);
		if (!block)
			return rc;
		wrong = reader_header_wrong(reader, block, reader->file_bytes);
	}
	if (wrong)
		return reader_damage(reader, 0, wrong);
	memcpy(&p->hdr, block, sizeof(p->hdr));
	memcpy(scan->log_id, p->hdr.log_id, sizeof(scan->log_id));
	scan->realm = p->hdr.realm;
	scan->shard = p->hdr.shard;
	scan->shards = p->hdr.shards;
	reader->known = true;
	return 0;
}

static int prune(struct pruning *p, uint64_t segment, const struct atr_segment_hdr *next,
		 uint64_t *bytes)
{
	const struct atr_log_end *end = &p->reader->scan->end;
	int rc = begin(p, segment);

	if (rc == 0)
		rc = pass(p);
	if (rc == 0 && (end->group != next->first_group || end->frontier.size != next->first_leaf))
		rc = reader_damage(p->reader, end->offset,
				   "the segment does not end where the next one begins");
	if (rc < 0)
		return rc;
	*bytes = p->at;
	return write_file(p, *bytes);
}

int retain_write(struct atr_storage *storage, struct atr_hash *hash, uint64_t segment,
		 const struct atr_segment_hdr *next, uint64_t *bytes, char *error, size_t size)
{
	struct atr_log_scan scan = {0};
	struct pruning p = {.reader = calloc(1, sizeof(*p.reader))};
	int rc = -ENOMEM;

	p.block = aligned_alloc(ATR_STORAGE_ALIGN, ATR_PRUNED_BYTES_MAX);
	snprintf(error, size, "out of memory for pruning the log; free some");
	if (p.reader && p.block) {
		p.reader->storage = storage;
		p.reader->scan = &scan;
		p.reader->hash = hash;
		p.reader->window_limit = READER_WINDOW;
		p.reader->error = error;
		p.reader->error_size = size;
		error[0] = '\0';
		rc = prune(&p, segment, next, bytes);
		reader_free(p.reader);
	}
	free(p.block);
	free(p.reader);
	return rc;
}
