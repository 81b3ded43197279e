/* SPDX-License-Identifier: BSD-3-Clause */
/* The log on disk (docs/log-format.md): segments of groups of records, one log a shard.
 *
 * All integers are little-endian. A segment is a file of fixed size: one header block of 4,096
 * bytes, then groups, each padded with zeros to a multiple of 4,096. A group is what one commit
 * makes durable: a group header, records, and last a commit record. Bytes behind the last group are
 * zeros: segments are written with zeros before they are used, and a torn tail is overwritten with
 * zeros before anything is appended. So a sector of 512 bytes that a crash kept from the disk is
 * all zeros.
 *
 * Every record is one leaf of the log's RFC 6962 tree, in order, commit records included. The leaf
 * hash is SHA-256 of the record's body, whose first byte is RFC 6962's leaf prefix 00 for frames,
 * commits and plans; for envelopes the prefix is put in front of the body. Of a frame the leaf hash
 * covers header, packets and arena, as the producer's own leaf does: it is paid for already, and
 * the trailer (signature and path) proves itself.
 *
 * Segments are called segment-<number, 16 lowercase hex digits>.atr, from 0, without gaps. A
 * segment takes that name once its header block is durable, or is created under it filled with
 * zeros; one with a header of zeros is not in use. Other names in the directory mean nothing to the
 * reader. A segment's header is written only after every group of the segment before is durable.
 */
#ifndef ATR_LOG_FORMAT_H
#define ATR_LOG_FORMAT_H

#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>

#include "../wire/frame.h"

#define ATR_LOG_BLOCK           4096
#define ATR_LOG_MAGIC           UINT64_C(0x31474F4C52544100) /* 00 'A' 'T' 'R' 'L' 'O' 'G' '1' */
#define ATR_GROUP_MAGIC         UINT32_C(0x50524741)         /* 'A' 'G' 'R' 'P' */
#define ATR_GROUP_BYTES_MAX     (1u << 20)                   /* header, records and padding */
#define ATR_LOG_FEEDS_MAX       64
#define ATR_SEGMENT_NAME        "segment-%016" PRIx64 ".atr"
#define ATR_SEGMENT_NAME_LENGTH 28
#define ATR_USED_NAME           "used-%016" PRIx64  /* one that was given up, by its size */
#define ATR_SPARE_NAME          "spare-%016" PRIx64 /* a segment in the making, by its size */

/* First block of a segment; the rest of the block is zeros. */
struct atr_segment_hdr {
	uint64_t magic;
	uint32_t version;   /* 1 */
	uint32_t crc;       /* CRC32C of the block with this field zero */
	uint8_t log_id[16]; /* random, the same in all shards of a log */
	uint64_t realm;
	uint32_t shard, shards;
	uint64_t segment;    /* number, from 0 */
	uint64_t bytes;      /* size of the file */
	uint64_t first_leaf; /* index of the first leaf in this segment */
	uint64_t first_group;
	uint8_t root[ATR_HASH_SIZE]; /* of the tree of the first_leaf leaves before */
};
_Static_assert(sizeof(struct atr_segment_hdr) == 112, "segment header");

struct atr_group_hdr {
	uint32_t magic;
	uint32_t crc;     /* CRC32C of the group's `length` bytes with this field zero */
	uint32_t length;  /* header and records, without padding */
	uint32_t records; /* the commit record counted */
	uint8_t log_id[16];
	uint32_t shard;
	uint32_t unsynced;        /* groups right before this one, not durable when it was sealed */
	uint64_t segment, offset; /* where this group lies */
	uint64_t group;           /* number in the log, from 0 */
	uint64_t first_leaf;
	uint64_t committed_ns; /* Unix time at which it was sealed */
	uint64_t epoch;        /* start of the appliance that wrote it */
	uint8_t zero2[32];
};
_Static_assert(sizeof(struct atr_group_hdr) == 120, "group header");

/* CRC32C here is the usual one (Castagnoli, reflected, all ones in and out): lib/log/crc.h. */

enum atr_record_kind {
	ATR_RECORD_FRAME = 1,    /* body: the datagram's bytes; source is the frame's */
	ATR_RECORD_ENVELOPE = 2, /* body: canonical bytes */
	ATR_RECORD_COMMIT = 3,   /* body: struct atr_commit_body and its feed positions */
	ATR_RECORD_PLAN = 4,     /* body: struct atr_plan_chunk and a chunk of a plan document */
	ATR_RECORD_SNAPSHOT = 5  /* body: struct atr_snapshot_body */
};

/* Before each record's body. The body is followed by decision bytes (frames: one bit an event, set
 * if admitted, ceil(events / 8) bytes), then zeros to a multiple of 8. */
struct atr_record_hdr {
	uint32_t crc; /* CRC32C of header (with this field zero), body and decisions */
	uint32_t body_length;
	uint16_t decision_length;
	uint8_t kind;
	uint8_t zero;
	uint16_t events; /* of a frame: its packets; of an envelope: 1; else 0 */
	uint16_t zero2;
	uint64_t leaf; /* index in the tree */
	uint64_t rx_ns;
	uint64_t generation;          /* of the plan that judged */
	uint32_t source, topic, type; /* of an envelope; for frames topic and type are 0 */
	uint32_t priority;
	uint64_t feeds; /* of an envelope: feeds it goes to */
};
_Static_assert(sizeof(struct atr_record_hdr) == 64, "record header");

/* Body of a plan record, followed by the bytes of the document's RFC 8785 form from offset on. The
 * chunks of a document follow one another in a log, from offset 0 to total; the plan is in force
 * from the record behind the last of them. */
struct atr_plan_chunk {
	uint8_t magic[4]; /* 00 'A' 'T' 'P' */
	uint32_t zero;
	uint64_t generation; /* that it becomes */
	uint64_t offset, total;
	uint8_t digest[ATR_HASH_SIZE]; /* of the document: SHA-256 of its RFC 8785 form */
};
_Static_assert(sizeof(struct atr_plan_chunk) == 64, "plan chunk");

/* Body of a snapshot record: a file beside the log holds the state after the groups below group. */
struct atr_snapshot_body {
	uint8_t magic[4]; /* 00 'A' 'T' 'S' */
	uint32_t zero;
	uint64_t group;                /* number of the first group that is not in it */
	uint64_t leaves;               /* of all groups below */
	uint8_t digest[ATR_HASH_SIZE]; /* SHA-256 of the file */
};
_Static_assert(sizeof(struct atr_snapshot_body) == 56, "snapshot body");

/* Body of a commit record. Its bytes are a leaf, so that decisions, positions, times and plan
 * cannot be rewritten unnoticed. */
struct atr_commit_body {
	uint8_t magic[4]; /* 00 'A' 'T' 'C' */
	uint32_t feed_count;
	uint64_t group;
	uint64_t first_leaf, leaves; /* of the group, this one not counted */
	uint64_t committed_ns;
	uint64_t generation;
	uint8_t plan_digest[ATR_HASH_SIZE];
	/* SHA-256 over header (crc filled in) and decisions, without padding, of each record of the
	 * group in order, this one not counted. */
	uint8_t decisions[ATR_HASH_SIZE];
	/* feed_count times struct atr_feed_position */
};
_Static_assert(sizeof(struct atr_commit_body) == 112, "commit body");

struct atr_feed_position {
	uint32_t feed;
	uint32_t zero;
	uint64_t next; /* sequence number of the feed's next message after this group */
};
_Static_assert(sizeof(struct atr_feed_position) == 16, "feed position");

/* A segment below a snapshot may give up its entries. It is then a file
 * pruned-<number, 16 lowercase hex digits>.atr: a block with struct atr_pruned_hdr, the segment's
 * header block as it was, and its groups. Of a group there are struct atr_pruned_group, the group's
 * header as it was, and its records: commit, plan and snapshot records as they were, of a frame or
 * envelope its header, its leaf hash in place of the body, and its decisions; each padded with
 * zeros to a multiple of 8, the group to a multiple of 4,096. */
#define ATR_PRUNED_NAME        "pruned-%016" PRIx64 ".atr"
#define ATR_PRUNED_MAGIC       UINT64_C(0x314E525052544100) /* 00 'A' 'T' 'R' 'P' 'R' 'N' '1' */
#define ATR_PRUNED_GROUP_MAGIC UINT32_C(0x4E525041)         /* 'A' 'P' 'R' 'N' */
/* A group's leaf hashes may take more than the bodies did. */
#define ATR_PRUNED_BYTES_MAX (ATR_GROUP_BYTES_MAX + (1u << 18))

struct atr_pruned_hdr {
	uint64_t magic;
	uint32_t version; /* 1 */
	uint32_t crc;     /* CRC32C of the block with this field zero */
	uint64_t segment; /* number */
	uint64_t bytes;   /* size of this file */
	uint64_t groups, records;
};
_Static_assert(sizeof(struct atr_pruned_hdr) == 48, "pruned segment's header");

struct atr_pruned_group {
	uint32_t magic;
	uint32_t crc;    /* CRC32C of the `length` bytes with this field zero */
	uint32_t length; /* this header and all behind it, without the padding at the end */
	uint32_t zero;
};
_Static_assert(sizeof(struct atr_pruned_group) == 16, "pruned group");

#endif
