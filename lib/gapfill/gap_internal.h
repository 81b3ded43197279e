/* SPDX-License-Identifier: BSD-3-Clause */
/* Inside the reader of gaps only: gap_walk.c (from group to group), gap_reader.c (index, answers).
 */
#ifndef ATR_GAP_INTERNAL_H
#define ATR_GAP_INTERNAL_H

#include "../json/json.h"
#include "../log/format.h"
#include "gap_reader.h"

/* A place in the log, before a group. */
struct gap_place {
	uint64_t group, segment, offset;
	uint64_t next[ATR_LOG_FEEDS_MAX]; /* number of each feed's next message there */
};

/* Where an answer ended, so that the next one goes on there. */
struct gap_cursor {
	uint64_t group; /* the loaded one */
	uint64_t sequence;
	uint32_t feed, at; /* record's offset in the group */
	uint32_t event;    /* within the record */
	uint32_t record;   /* its number in the group */
};

struct atr_gap_reader {
	struct atr_storage *storage;
	uint32_t shard;
	uint8_t log_id[16];
	bool known;       /* log_id is */
	bool begun;       /* tail is a place */
	uint64_t durable; /* as the last follow was told */
	/* The segment that is open. */
	struct atr_file *file;
	uint64_t segment, file_bytes;
	uint64_t segment_group; /* its first group */
	/* Places of groups, every stride-th one. */
	struct gap_place *index;
	unsigned int index_count, index_max;
	uint64_t stride;
	struct gap_place tail;   /* the first group not looked at */
	struct gap_place loaded; /* of the group whose bytes are in group */
	bool has_loaded;
	struct gap_cursor cursor;
	uint32_t feed_count; /* in the last commit record that was read */
	struct atr_json_parser *json;
	uint8_t *small; /* SMALL_BYTES, for headers and commit records */
	uint8_t *group; /* ATR_GROUP_BYTES_MAX */
	char *error;    /* of the call under way */
	size_t error_size;
};

/* Moves place behind its group. 0, or negative errno with the sentence written. */
int gap_step(struct atr_gap_reader *reader, struct gap_place *place);

/* The first place of the log whose positions are known: before the first group of segment 0, or,
 * where retention has taken that, behind the first group of the first segment that is whole, which
 * must lie below durable. 1; 0: there is none yet; negative errno. */
int gap_begin(struct atr_gap_reader *reader, uint64_t durable, struct gap_place *place);

/* Number of the first segment that is whole; 0 if there is none; negative errno. */
int64_t gap_first_segment(struct atr_gap_reader *reader);

/* Reads the whole group before which place lies into reader->group and checks its CRC. place was
 * stepped over before. 0 or negative errno. */
int gap_load(struct atr_gap_reader *reader, const struct gap_place *place);

/* Writes the sentence for damage; returns -EBADMSG. */
int gap_damage(struct atr_gap_reader *reader, const struct gap_place *place, const char *what);

#endif
