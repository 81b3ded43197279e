/* SPDX-License-Identifier: BSD-3-Clause */
#include "reader.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reader_internal.h"

#define SIMD_BITS 512 /* what the CPU lacks is left out by lib/hash itself */

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
	*wrong = reader_header_wrong(reader, block, reader->file_bytes);
	if (!*wrong || (!*zero && reader_header_crc_ok(block)))
		return 1;
	return tail_find(reader, &offset, &group);
}

void reader_report(struct reader *reader, bool last)
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
		reader_report(reader, false);
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
	const uint8_t *block =
		reader_bytes(reader, reader->pruned ? ATR_LOG_BLOCK : 0, ATR_LOG_BLOCK, &err);
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
	if (reader->options.from && reader->segment == reader->options.from->segment)
		return reader_damage(reader, 0, jumps);
	if (reader->segment == 0)
		return reader_damage(reader, 0, jumps);
	err = reader_open(reader, reader->segment - 1);
	if (err)
		return err;
	snprintf(why, sizeof(why), "%s, and the next segment: %s", stop->what, jumps);
	return reader_damage(reader, stop->where, why);
}

/* The open pruned segment, of which the first groups have been taken while it was whole. */
static int check_rest(struct reader *reader, const struct atr_segment_hdr *hdr,
		      const uint8_t *block)
{
	const struct atr_log_end *end = &reader->scan->end;

	if (hdr->first_group > end->group || hdr->first_leaf > end->frontier.size)
		return reader_damage(reader, ATR_LOG_BLOCK,
				     "the pruned segment is not the one that was being read");
	reader_take_header(reader, block);
	reader->scan->segments++;
	return 0;
}

/* A segment that gave up its entries. */
static int read_pruned(struct reader *reader, struct reader_stop *stop)
{
	const struct atr_log_end *end = &reader->scan->end;
	struct atr_segment_hdr hdr;
	const uint8_t *block;
	int err = 0;
	const char *wrong = pruned_wrong(reader, &err);

	if (err)
		return err;
	if (wrong)
		return reader_damage(reader, 0, wrong);
	block = reader_bytes(reader, ATR_LOG_BLOCK, ATR_LOG_BLOCK, &err);
	if (!block)
		return err;
	memcpy(&hdr, block, sizeof(hdr));
	wrong = reader_header_wrong(reader, block, hdr.bytes);
	if (wrong)
		return reader_damage(reader, ATR_LOG_BLOCK, wrong);
	if (end->segment == reader->segment && end->offset > ATR_LOG_BLOCK)
		err = check_rest(reader, &hdr, block);
	else
		err = check_joint(reader, stop);
	if (err)
		return err;
	snprintf(stop->what, sizeof(stop->what), "the pruned segment ends");
	stop->offset = stop->where = reader->file_bytes;
	return pruned_read(reader, end->group - hdr.first_group);
}

/* The segment where the pass begins in the middle: its header, and that it goes on from there. */
static int begin_within(struct reader *reader, const struct atr_log_end *from)
{
	struct atr_log_scan *scan = reader->scan;
	int err = 0;
	const uint8_t *block = reader_bytes(reader, 0, ATR_LOG_BLOCK, &err);
	struct atr_segment_hdr hdr;

	if (!block)
		return err;
	memcpy(&hdr, block, sizeof(hdr));
	if (hdr.first_group > from->group || hdr.first_leaf > from->frontier.size ||
	    from->offset < ATR_LOG_BLOCK || from->offset % ATR_LOG_BLOCK ||
	    from->offset > reader->file_bytes)
		return reader_damage(reader, 0, "the segment is not where the pass should begin");
	reader_take_header(reader, block);
	scan->segments++;
	scan->end = *from;
	return 0;
}

static int read_segment(struct reader *reader, struct reader_stop *stop, bool *used)
{
	const struct atr_log_end *from = reader->options.from;
	const char *wrong;
	bool zero;
	int rc;

	*used = true;
	if (reader->pruned && from && !reader->known && from->offset != ATR_LOG_BLOCK)
		return reader_damage(reader, 0, "the pass cannot begin within a pruned segment");
	if (reader->pruned)
		return read_pruned(reader, stop);
	rc = segment_used(reader, &wrong, &zero);
	if (rc < 0)
		return rc;
	if (rc && wrong)
		return reader_damage(reader, 0, wrong);
	if (!rc) {
		*used = false;
		return check_unused(reader, wrong, zero);
	}
	if (from && !reader->known && from->offset != ATR_LOG_BLOCK)
		rc = begin_within(reader, from);
	else
		rc = check_joint(reader, stop);
	return rc ? rc : read_groups(reader, stop);
}

/* Opens a segment and reads it. Where it has given up its entries meanwhile, its file may hold
 * another one's bytes by now: nothing that was read counts against it then, and what was not taken
 * is read where it is now. */
static int read_next(struct reader *reader, uint64_t segment, struct reader_stop *stop, bool *used)
{
	struct atr_log_scan *scan = reader->scan;
	const struct reader_stop before = *stop;
	uint64_t segments = scan->segments;
	int err = reader_open(reader, segment);
	bool whole;

	if (err)
		return err;
	if (reader->total == 0)
		reader->total = reader->file_bytes * (reader->count - segment);
	whole = !reader->pruned;
	err = read_segment(reader, stop, used);
	if (!whole || (err && !reader->damaged) || !reader_given_up(reader, segment))
		return err;
	reader->damaged = scan->torn = false;
	reader->error[0] = '\0';
	scan->segments = segments;
	*stop = before;
	*used = true;
	err = reader_open(reader, segment);
	return err ? err : read_pruned(reader, stop);
}

/* What holds only of a log as a whole. */
static int check_promises(struct reader *reader)
{
	const struct atr_log_scan_options *options = &reader->options;
	const struct atr_log_scan *scan = reader->scan;

	if (scan->pruned_leaves > reader->snapshot_leaves) {
		snprintf(reader->name, sizeof(reader->name), ATR_PRUNED_NAME,
			 scan->pruned_segments - 1);
		return reader_damage(reader, 0,
				     "the segment has no entries, though no snapshot covers it");
	}
	if (!options->anchored || reader->met || options->anchored->size == 0)
		return 0;
	snprintf(reader->error, reader->error_size,
		 "the log ends at leaf %" PRIu64 " (segment %" PRIu64 ", byte %" PRIu64
		 "), but %s says that it had %" PRIu64
		 ": it was rolled back or lost its end; nothing was changed: put the directory "
		 "back as it was, or keep it as evidence and start with an empty log and anchor",
		 scan->end.frontier.size, scan->end.segment, scan->end.offset, options->anchor_name,
		 options->anchored->size);
	return -EBADMSG;
}

/* Where a pruned segment ended is where the next one begins. */
static int begin_behind(struct reader *reader)
{
	const struct atr_log_end *from = reader->options.from;
	struct atr_segment_hdr hdr = {0};
	const uint8_t *block;
	int err;

	if (!from || from->offset == ATR_LOG_BLOCK || reader->count == 0 ||
	    from->segment >= reader->count - 1)
		return 0;
	err = reader_open(reader, from->segment);
	if (err || !reader->pruned)
		return err;
	err = reader_open(reader, from->segment + 1);
	if (err || reader->file_bytes < 2 * ATR_LOG_BLOCK)
		return err;
	block = reader_bytes(reader, reader->pruned ? ATR_LOG_BLOCK : 0, ATR_LOG_BLOCK, &err);
	if (!block)
		return err;
	memcpy(&hdr, block, sizeof(hdr));
	if (hdr.first_group != from->group || hdr.first_leaf != from->frontier.size)
		return 0;
	reader->begin = *from;
	reader->begin.segment++;
	reader->begin.offset = ATR_LOG_BLOCK;
	reader->options.from = &reader->begin;
	return 0;
}

/* A pass that begins at the anchored size, or behind it, will not come by there. */
static bool begins_anchored(const struct reader *reader)
{
	const struct atr_checkpoint *anchored = reader->options.anchored;
	const struct atr_log_end *from = reader->options.from;
	uint8_t root[ATR_HASH_SIZE];

	if (!from || !anchored || from->frontier.size != anchored->size)
		return from && anchored && from->frontier.size > anchored->size;
	atr_frontier_root(&from->frontier, root);
	return memcmp(root, anchored->root, sizeof(root)) == 0;
}

static int read_segments(struct reader *reader)
{
	int err = begin_behind(reader);
	const struct atr_log_end *from = reader->options.from;
	struct reader_stop stop = {0};
	uint64_t s;
	bool used = true;

	if (err)
		return err;
	s = from ? from->segment : 0;
	reader->met = begins_anchored(reader);
	do {
		for (; s < reader->count && used; s++) {
			err = read_next(reader, s, &stop, &used);
			if (err)
				return err;
			reader->passed += used ? reader->file_bytes : 0;
		}
		if (!reader->known)
			return from ? reader_missing(reader, from->segment)
				    : check_promises(reader);
		err = reader_open(reader, reader->scan->end.segment);
		/* Others follow a segment that gave up its entries, by now if not before. */
		if (!err && reader->pruned)
			err = reader_count(reader);
		if (!err && reader->pruned && reader->count <= s)
			err = reader_missing(reader, s);
	} while (!err && reader->pruned);
	if (!err)
		err = tail_judge(reader, stop.offset, stop.what, stop.where);
	if (!err)
		err = check_promises(reader);
	if (!err) {
		reader->passed -= reader->file_bytes;
		reader_report(reader, true);
	}
	return err;
}

int reader_scan(struct atr_storage *storage, const struct atr_log_scan_options *options,
		const struct atr_log_visitor *visitor, struct atr_log_scan *scan,
		struct atr_hash *hash, char *error, size_t size)
{
	struct reader *reader = malloc(sizeof(*reader));
	int err = -ENOMEM;

	memset(scan, 0, sizeof(*scan));
	snprintf(error, size, "out of memory for reading the log; free some and try again");
	if (!reader)
		return err;
	memset(reader, 0, offsetof(struct reader, record));
	reader->prefixed = reader->digested = NULL;
	reader->room = 0;
	reader->storage = storage;
	if (options)
		reader->options = *options;
	/* A document may be open there, and snapshots before it are not seen. */
	reader->plan.unknown = reader->options.from != NULL;
	if (reader->options.from)
		scan->end = *reader->options.from;
	reader->visitor = visitor;
	reader->scan = scan;
	reader->error = error;
	reader->error_size = size;
	reader->hash = hash;
	reader->window_limit = READER_WINDOW;
	error[0] = '\0';
	err = reader_count(reader);
	if (!err)
		err = read_segments(reader);
	reader_free(reader);
	free(reader);
	return err;
}

int atr_log_scan_with(struct atr_storage *storage, const struct atr_log_scan_options *options,
		      const struct atr_log_visitor *visitor, struct atr_log_scan *scan, char *error,
		      size_t size)
{
	struct atr_hash *hash = options && options->hash
					? options->hash
					: atr_hash_create(-1, SIMD_BITS, error, size);
	int err;

	memset(scan, 0, sizeof(*scan));
	if (!hash)
		return -ENOMEM;
	err = reader_scan(storage, options, visitor, scan, hash, error, size);
	if (!options || hash != options->hash)
		atr_hash_free(hash);
	return err;
}

int atr_log_scan(struct atr_storage *storage, const struct atr_log_visitor *visitor,
		 struct atr_log_scan *scan, char *error, size_t size)
{
	return atr_log_scan_with(storage, NULL, visitor, scan, error, size);
}
