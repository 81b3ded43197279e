/* SPDX-License-Identifier: BSD-3-Clause */
/* Logs with events of a plan in them, written straight from lib/log/format.h, and the messages that
 * each feed must have got; shares no code with lib/gapfill. */
#ifndef ATR_TEST_GAP_LOG_H
#define ATR_TEST_GAP_LOG_H

#include "../../../lib/plan/plan.h"
#include "../log/naive_log.h"

#define GAP_FEEDS    2 /* 0 "all": every event; 1 "big": readings of 500 and more */
#define GAP_MESSAGES 16384
#define GAP_SHARD    3
#define GAP_NOTE_MAX 200

struct gap_message {
	uint8_t *bytes; /* block without its length */
	uint16_t length;
};

struct gap_log {
	struct memory_storage disk;
	struct atr_plan *plan;
	uint64_t segment_bytes, segments, offset, groups, leaves, sequence;
	uint64_t last_offset; /* of the group written last, in the last segment */
	struct {
		unsigned int count;
		struct gap_message message[GAP_MESSAGES];
	} feed[GAP_FEEDS];
	/* The group under construction. */
	uint8_t group[ATR_GROUP_BYTES_MAX];
	size_t at;
	uint32_t records;
};

struct gap_log *gap_log_create(uint64_t segment_bytes);
void gap_log_free(struct gap_log *log);

/* Adds a frame of so many events to the group under construction: readings and notes in turn, every
 * third one refused. */
void gap_log_frame(struct gap_log *log, unsigned int events);

/* Adds an envelope to feed "all". */
void gap_log_envelope(struct gap_log *log);

/* Adds a record that is no event. */
void gap_log_snapshot(struct gap_log *log);

/* Ends the group and puts it on the disk. */
void gap_log_commit(struct gap_log *log);

/* The file that holds the last group. */
struct memory_file *gap_log_file(struct gap_log *log);

#endif
