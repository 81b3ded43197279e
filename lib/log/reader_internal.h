/* SPDX-License-Identifier: BSD-3-Clause */
/* Inside the reader only: scan.c (segments), scan_open.c (their files), scan_group.c (one group),
 * scan_plan.c (plan and snapshot records), scan_pruned.c (segments that gave up their entries),
 * scan_tail.c (the end), follow.c (reading on). */
#ifndef ATR_LOG_READER_INTERNAL_H
#define ATR_LOG_READER_INTERNAL_H

#include <sodium.h>

#include "../hash/hash.h"
#include "reader.h"

#define READER_WINDOW   (8u << 20) /* bytes read at once; holds the largest group */
#define READER_PROGRESS (64u << 20)
#define READER_RECORDS  (ATR_LOG_RECORDS_MAX + 1) /* and the commit record */
#define READER_WHAT     160

_Static_assert(READER_WINDOW >= 2 * ATR_GROUP_BYTES_MAX, "a window holds a group");
_Static_assert(READER_WINDOW % ATR_LOG_BLOCK == 0, "windows are blocks");

/* The plan document whose chunks are being read. */
struct reader_plan {
	bool open;           /* chunks are missing yet */
	bool unknown;        /* the pass began where a document may have been open */
	uint64_t generation; /* of the newest whole document */
	uint64_t next, epoch;
	struct atr_plan_chunk chunk; /* the newest */
	crypto_hash_sha256_state state;
};

struct reader {
	struct atr_storage *storage;
	const struct atr_log_visitor *visitor;
	struct atr_log_scan *scan;
	char *error;
	size_t error_size;
	struct atr_hash *hash;
	enum atr_log_follow_mode mode;
	struct atr_log_scan_options options;
	struct atr_log_end begin; /* options.from, where that was moved on */
	bool met;                 /* the log has had the anchored size */
	uint64_t count;           /* segments, in use or not */
	uint64_t first_whole;     /* segments below may be there only without their entries */
	struct reader_plan plan;
	uint64_t snapshot_leaves; /* below them a snapshot record covers everything */
	bool known;     /* log_id and shard are: the first segment's header has been read */
	uint64_t epoch; /* of the last group */
	uint64_t passed, total, reported; /* bytes, for progress */
	/* The segment that is open. */
	struct atr_file *file;
	char name[ATR_SEGMENT_NAME_LENGTH + 1];
	uint64_t segment, file_bytes;
	bool pruned;     /* it has given up its entries */
	bool damaged;    /* the sentence is of damage */
	uint8_t *window; /* window_bytes; free() it */
	size_t window_bytes;
	uint64_t window_offset;
	size_t window_length;
	size_t window_limit; /* bytes that the next read takes, at least those wanted */
	/* The group in hand: all that follows is written before it is read. */
	const struct atr_record_hdr *record[READER_RECORDS];
	const uint8_t *body[READER_RECORDS]; /* NULL: given up, the leaf hash follows the header */
	const uint8_t *decisions[READER_RECORDS];
	const uint8_t *data[READER_RECORDS];
	uint32_t length[READER_RECORDS];
	uint8_t leaf[READER_RECORDS][ATR_HASH_SIZE];
	uint8_t *prefixed; /* envelopes behind a 00; room bytes, free() it */
	uint8_t *digested; /* headers and decisions; so many too, behind it */
	size_t room;
	uint32_t prefixed_used, digested_used;
};

/* atr_log_scan_with with an engine that is there already: making one takes milliseconds, which a
 * fuzzer cannot spend on every input. */
int reader_scan(struct atr_storage *storage, const struct atr_log_scan_options *options,
		const struct atr_log_visitor *visitor, struct atr_log_scan *scan,
		struct atr_hash *hash, char *error, size_t size);

/* Writes the sentence for damage at a byte of the open segment; returns -EBADMSG. */
int reader_damage(struct reader *reader, uint64_t offset, const char *what);

/* Makes length bytes at offset of the open segment available; NULL with *err set (-EIO and such,
 * sentence written). offset is a multiple of ATR_LOG_BLOCK, the range inside the file. */
const uint8_t *reader_bytes(struct reader *reader, uint64_t offset, size_t length, int *err);

/* Makes room for what is collected of a group's records, of which so many bytes lie in the file: in
 * neither buffer more. Empties both. 0 or -ENOMEM, sentence written. */
int reader_room(struct reader *reader, size_t bytes);

/* Opens a segment of the log, whole or, if there is no such file, pruned; 0 or negative errno,
 * sentence written. Closes the one before. */
int reader_open(struct reader *reader, uint64_t segment);

/* Has a segment that was whole given up its entries, so that an open file of it may be overwritten?
 */
bool reader_given_up(struct reader *reader, uint64_t segment);

/* Counts the segments and looks that no number is missing; 0 or negative errno, sentence written.
 */
int reader_count(struct reader *reader);
/* Writes the sentence for a segment that is not there; returns -EBADMSG. */
int reader_missing(struct reader *reader, uint64_t segment);

bool reader_header_crc_ok(const uint8_t *block);
/* Why the block is no header of the open segment, whose whole file has so many bytes; NULL if it is
 * one. */
const char *reader_header_wrong(const struct reader *reader, const uint8_t *block, uint64_t bytes);

/* Tells the visitor, now and then, how far the pass is. */
void reader_report(struct reader *reader, bool last);
void reader_close(struct reader *reader);
/* The same, and frees what the reader has allocated. */
void reader_free(struct reader *reader);

/* From here on the log is known by this header. */
void reader_take_header(struct reader *reader, const uint8_t *block);

/* Where the groups of a segment end, and why no complete one follows. */
struct reader_stop {
	uint64_t offset, where;
	char what[READER_WHAT];
};

/* What lies at an offset where a group may begin. */
enum group_kind {
	GROUP_NONE,     /* no header of a group that belongs here */
	GROUP_PARTIAL,  /* its header, but not the rest of it */
	GROUP_COMPLETE, /* header, CRC and padding are right */
};

/* Is this a header of a group of this log, for this place? Before any segment's header is known, of
 * any log. */
bool group_belongs(const struct reader *reader, const struct atr_group_hdr *hdr, uint64_t offset);

/* Judges left bytes at offset; what (READER_WHAT) says what is missing, at *where. */
enum group_kind group_probe(const struct reader *reader, const uint8_t *bytes, size_t left,
			    uint64_t offset, char *what, uint64_t *where);

/* Checks everything inside a complete group and hands it to the visitor; 0, -EBADMSG or what the
 * visitor returned. */
int group_take(struct reader *reader, const uint8_t *bytes);

/* CRC of bytes as if the four at crc_at were zero. */
uint32_t crc_without(const uint8_t *bytes, size_t length, size_t crc_at);

/* Room that a record takes with so many bytes behind its header, or 0 if it does not end within
 * left. */
uint32_t record_room(uint64_t behind, uint32_t left);

/* What is wrong with the numbers in a complete group's header; NULL if nothing is. */
const char *group_header_wrong(const struct reader *reader, const struct atr_group_hdr *group);

/* What is wrong with record i, which is whole and takes so much room; NULL if nothing is. */
const char *check_record(struct reader *reader, const struct atr_group_hdr *group, uint32_t i,
			 uint32_t room);

/* The same for what every record has in its header. */
const char *check_record_header(const struct reader *reader, const struct atr_group_hdr *group,
				uint32_t i);

/* Collects header and decisions of record i for the commit's digest. */
void collect_decisions(struct reader *reader, uint32_t i);

/* Offset of the first record that is not as written, in a group whose CRC is wrong and that ends
 * within length; 0 if all are, up to the commit record: only the group's header can be the culprit.
 */
uint32_t group_culprit(const uint8_t *bytes, uint32_t length);

/* Checks all records of a complete group and the numbers in its header; 0 or -EBADMSG. */
int group_check(struct reader *reader, const struct atr_group_hdr *group);

/* Leaf hashes of a checked group's records. */
void group_hash(struct reader *reader, uint32_t records);

/* Hands a checked group to tree and visitor; bytes: what it takes in its file. 0, -EBADMSG where
 * it contradicts the anchor, or what the visitor returned. */
int group_finish(struct reader *reader, const struct atr_group_hdr *group, uint32_t bytes);

/* Plan and snapshot records (scan_plan.c). */
const char *check_plan(struct reader *reader, const struct atr_group_hdr *group, uint32_t i,
		       const uint8_t *body);
const char *check_snapshot(struct reader *reader, const struct atr_group_hdr *group, uint32_t i,
			   const uint8_t *body);

/* Reads the open segment, which is pruned and whose second block is its header, but for its first
 * groups, so many of which have been taken; 0 or negative. */
int pruned_read(struct reader *reader, uint64_t taken);
/* Why the open pruned file's first block is none; NULL if it is one. */
const char *pruned_wrong(struct reader *reader, int *err);

/* Judges what follows the last complete group, at offset of the open segment, when no segment in
 * use follows; sets torn. what: why no complete group is there, at where. */
int tail_judge(struct reader *reader, uint64_t offset, const char *what, uint64_t where);

/* Looks for a complete group in the open segment, from offset on. 1 with *offset where it is and
 * *group its header, 0 if there is none, or negative errno. */
int tail_find(struct reader *reader, uint64_t *offset, struct atr_group_hdr *group);

bool all_zero(const uint8_t *bytes, size_t length);

static inline uint32_t round_block(uint32_t length)
{
	return (length + ATR_LOG_BLOCK - 1) / ATR_LOG_BLOCK * ATR_LOG_BLOCK;
}

#endif
