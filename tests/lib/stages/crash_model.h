/* SPDX-License-Identifier: BSD-3-Clause */
/* An independent model of class D: what was sent, what its producers were told, what left on the
 * feeds, held against the bytes that a crash cannot take from the disks. It reads the log by the
 * letter of docs/log-format.md and shares no code with log, replay or stages. */
#ifndef CRASH_MODEL_H
#define CRASH_MODEL_H

#include "rig.h"

#define MODEL_FRAMES    160
#define MODEL_ENVELOPES 48
#define MODEL_EVENTS    8 /* of a frame, at most */
#define MODEL_MESSAGES  2048
#define MODEL_SEQUENCES 2048
#define MODEL_RECORDS   4 /* of one frame in the log */
#define MODEL_UUID      36

enum told { TOLD_NOTHING, TOLD_IN, TOLD_NEVER, TOLD_LATER };

struct model_frame {
	struct rig_frame is;
	struct rig_datagram sent;
	uint8_t leaf[32];
	enum told told[MODEL_EVENTS];
	uint8_t reason[MODEL_EVENTS]; /* the newest */
	bool answered;
	uint64_t position[MODEL_RECORDS]; /* told */
	unsigned int positions;
	unsigned int logged[MODEL_EVENTS]; /* how often */
	uint64_t record[MODEL_RECORDS];    /* leaf indices in the log */
	unsigned int records;
};

struct model_envelope {
	uint32_t source, value;
	struct rig_datagram sent;
	char uuid[MODEL_UUID + 1];
	enum told told;
	uint64_t position;
	unsigned int shard;
	unsigned int logged, log_shard;
	uint64_t record;
};

struct model_message {
	bool seen;
	uint64_t sequence;
	uint32_t source, value;
	bool envelope;
};

struct crash_model {
	struct simdisk *disk; /* one a shard */
	unsigned int shards;
	uint64_t waiting; /* feeds of class D */
	struct model_frame frame[MODEL_FRAMES];
	struct model_envelope envelope[MODEL_ENVELOPES];
	unsigned int frames, envelopes;
	struct model_message got[2][RIG_SHARDS][MODEL_MESSAGES];
	/* Of the log as it was read last. */
	struct model_message due[2][RIG_SHARDS][MODEL_MESSAGES];
	unsigned int dues[2][RIG_SHARDS];
	uint8_t taken[RIG_SOURCES + 1][MODEL_SEQUENCES];
	char wrong[256]; /* "" while all is well */
};

void model_ack(void *model, const struct atr_ack_notice *notice, const struct atr_ack_entry *entry);
void model_reply(void *model, const char *json);
void model_got(struct crash_model *model, const struct rig_event *events, unsigned int count);

/* Holds everything told and delivered so far against what is durable now. False with a sentence in
 * model->wrong. */
bool model_check(struct crash_model *model);
/* The end: every message of class D has left, everything was answered, and the newest answers are
 * what the log makes them. */
bool model_check_end(struct crash_model *model);

#endif
