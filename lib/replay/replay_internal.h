/* SPDX-License-Identifier: BSD-3-Clause */
/* Inside lib/replay only. */
#ifndef ATR_REPLAY_INTERNAL_H
#define ATR_REPLAY_INTERNAL_H

#include <stdbool.h>

#include "replay.h"

#define REPLAY_ERROR 512

/* What is remembered of a source: the frames that reach into its window, and others that have not
 * been swept out yet, in any order; of the window's sequences a bit each, set where taken. */
struct replay_window {
	uint64_t next, floor;
	struct atr_replay_frame *frame;
	uint32_t count, space;
	uint32_t size; /* of the window when it was last used */
	uint64_t *taken;
};

/* Open addressing; a slot is free if its source is 0. */
struct replay_envelopes {
	struct atr_replay_envelope *slot;
	uint32_t mask, count;
};

/* A document as it comes in. */
struct replay_assembly {
	struct atr_plan_chunk head; /* of its first chunk */
	char *text;
	uint64_t length; /* bytes so far; 0: none under way */
};

struct atr_replay {
	struct atr_log_visitor visitor;
	struct atr_replay_params params;
	int broken; /* what the visitor returned */
	char error[REPLAY_ERROR];
	struct replay_assembly assembly;
	struct atr_plan *plan;
	uint64_t groups, leaves, events, committed_ns;
	uint64_t group_generation; /* in force where the group begins */
	uint64_t first_epoch, last_epoch;
	uint64_t feed_next[ATR_LOG_FEEDS_MAX];
	struct replay_window **window; /* by source id */
	uint32_t window_slots;
	struct replay_envelopes envelopes;
};

/* Writes the sentence for a contradiction in a record (NULL: in the group) and returns -EBADMSG. */
int replay_refuse(struct atr_replay *replay, const struct atr_group_hdr *group,
		  const struct atr_record_hdr *record, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
int replay_no_memory(struct atr_replay *replay);

/* One record of its kind; 0, -EBADMSG or -ENOMEM, sentence written. */
int replay_plan(struct atr_replay *replay, const struct atr_group_hdr *group,
		const struct atr_record_hdr *record, const uint8_t *body);
int replay_frame(struct atr_replay *replay, const struct atr_group_hdr *group,
		 const struct atr_record_hdr *record, const uint8_t *body, const uint8_t *decisions,
		 const uint8_t *leaf);
int replay_envelope(struct atr_replay *replay, const struct atr_group_hdr *group,
		    const struct atr_record_hdr *record, const uint8_t *body, const uint8_t *leaf);

/* Makes room for the windows of the plan's sources; false when out of memory. */
bool replay_windows_fit(struct atr_replay *replay);
void replay_windows_free(struct atr_replay *replay);
/* Remembers a frame's admitted events, of which there is at least one: 0, -EEXIST if one of them is
 * remembered already, -ESTALE if one lies below the floor, -ENOMEM. */
int replay_window_put(struct atr_replay *replay, const struct atr_source *source,
		      const struct atr_replay_frame *frame);

/* Remembers an envelope: 0, -EEXIST, -ENOMEM. */
int replay_envelopes_put(struct atr_replay *replay, const struct atr_replay_envelope *envelope);
/* Times of UUIDs below are forgotten. */
uint64_t replay_oldest_ms(const struct atr_replay *replay);

static inline bool replay_bit(const uint8_t *bits, unsigned int i)
{
	return bits[i / 8] >> (i % 8) & 1;
}

#endif
