/* SPDX-License-Identifier: BSD-3-Clause */
/* Logs whose events a real plan knows, and a replay of them; included once, behind cmocka. */
#ifndef ATR_TEST_REPLAY_LOG_H
#define ATR_TEST_REPLAY_LOG_H

#include "../../../lib/replay/replay.h"
#include "../log/naive_log.h"

#define SEGMENT    (256u << 10)
#define EVENTS_MAX 138
#define START_MS   UINT64_C(1795000000000) /* time of the logs' first commit */
#define PAST_MS    1000

/* Values of frames of type 1 go to feeds 0 (all), 1 (value >= 100) and 2 (class async). Source 1
 * has a window of 64 sequences, source 2 one of 1,024. */
extern const char replay_plan_text[];

struct replay_log {
	char error[512]; /* of the newest pass */
	struct memory_storage disk;
	struct naive_log naive;
	struct naive_commit commit; /* what the next group's commit says */
	char *document;
	size_t document_length;
	uint8_t digest[ATR_HASH_SIZE];
	uint64_t generation; /* that events name */
	uint64_t state_keys; /* of the replays; 0: the default */
};

void replay_log_init(struct replay_log *log);
void replay_log_free(struct replay_log *log);

void replay_log_begin(struct replay_log *log);
/* Time of the commit, in milliseconds behind START_MS. */
void replay_log_finish(struct replay_log *log, uint64_t ms);

/* A chunk of the document, as part of generation. */
void replay_log_chunk(struct replay_log *log, uint64_t generation, size_t offset, size_t length);
/* The whole plan, in a group of its own. */
void replay_log_plan(struct replay_log *log);

/* A frame of count events of topic 1 and type 1, with values first_value, first_value + 1, ..; bit
 * i of admitted: event i. Feed positions of the next commit move on accordingly. */
void replay_log_frame(struct replay_log *log, uint32_t source, uint64_t first, unsigned int count,
		      int32_t first_value, const uint8_t *admitted);
/* The same, all of them admitted. */
void replay_log_all(struct replay_log *log, uint32_t source, uint64_t first, unsigned int count,
		    int32_t first_value);
/* A frame of one event of a type of which state is kept by room and label: 2 last, 3 increment,
 * 4 maximum, 5 set, 6 deletes what 3 has. value has two decimal places, -1 is absent; room has one.
 */
void replay_log_kept(struct replay_log *log, uint32_t source, uint64_t sequence, uint32_t type,
		     int64_t value, uint64_t room, const char *label);
/* The same as an envelope of source 1. */
void replay_log_json(struct replay_log *log, uint32_t serial, uint32_t type, const char *payload);
/* An envelope of source 1 with a UUID made at a time behind START_MS, and of a serial number. */
void replay_log_envelope(struct replay_log *log, uint64_t ms, uint32_t serial);

/* Replays the log; the result of the scan. *replay is the caller's. */
int replay_log_scan(struct replay_log *log, struct atr_replay **replay);

#endif
