/* SPDX-License-Identifier: BSD-3-Clause */
/* Inside lib/replay only. */
#ifndef ATR_REPLAY_INTERNAL_H
#define ATR_REPLAY_INTERNAL_H

#include <stdbool.h>

#include "keyed_internal.h"
#include "replay.h"

#define REPLAY_ERROR        512
#define REPLAY_DOCUMENT_MAX (64u << 20) /* bytes of a plan, as of its file */

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
	uint64_t change_group; /* the one behind that of a change of the plan in force; 0: none */
	uint64_t first_epoch, last_epoch;
	uint64_t oldest_ms; /* UUIDs of times below are forgotten; never falls */
	uint8_t log_id[16];
	uint64_t segment, offset; /* behind the last group */
	uint64_t feed_next[ATR_LOG_FEEDS_MAX];
	struct replay_window **window; /* by source id */
	uint32_t window_slots;
	struct replay_envelopes envelopes;
	struct keyed keyed;
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

/* Makes room for the windows of sources with ids below slots; false when out of memory. */
bool replay_windows_fit(struct atr_replay *replay, uint32_t slots);
void replay_windows_free(struct atr_replay *replay);
/* Remembers a frame's admitted events, of which there is at least one: 0, -EEXIST if one of them is
 * remembered already, -ESTALE if one lies below the floor, -ENOMEM. */
int replay_window_put(struct atr_replay *replay, const struct atr_source *source,
		      const struct atr_replay_frame *frame);

/* Gives a window the size that the plan in force wants, and remakes its bits; false when out of
 * memory. */
bool replay_window_resize(struct replay_window *window, uint32_t size);
/* Removes frames wholly below the floor, and sorts the others. */
void replay_window_settle(struct replay_window *window);

/* Remembers an envelope: 0, -EEXIST, -ENOMEM. */
int replay_envelopes_put(struct atr_replay *replay, const struct atr_replay_envelope *envelope);
/* At a commit: raises the time below which UUIDs are forgotten. */
void replay_envelopes_age(struct atr_replay *replay);

/* Time of a UUIDv7. */
uint64_t replay_uuid_ms(const uint8_t uuid[16]);

static inline bool replay_bit(const uint8_t *bits, unsigned int i)
{
	return bits[i / 8] >> (i % 8) & 1;
}

#endif
