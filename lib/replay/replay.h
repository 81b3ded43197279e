/* SPDX-License-Identifier: BSD-3-Clause */
/* State from the log alone: what a shard knew after a group, computed from the groups up to it.
 *
 * Plan in force, windows of frames, identities of envelopes, feed positions, keyed state (keyed.h).
 * Everything here is a function of the log's bytes: two replays of the same groups agree byte for
 * byte, wherever and whenever they run. One object a shard; one thread at a time uses it. A log
 * whose records contradict each other (a plan that does not compile, positions that are not what
 * the events make, an event that is in the log twice) is refused.
 *
 * Memory is bounded by the plan: for a source 56 bytes a frame that reaches into its window,
 * doubled for growth, and a bit a sequence of it, from its first frame on; 56 bytes an envelope
 * whose id is still in the plan's window, times four; state_keys keys; and the plan itself.
 *
 * Layer 6: lib/log's reader, lib/plan, lib/envelope, lib/encode. Control lcore at start, a thread
 * of its own while serving, tools; never a data lcore.
 */
#ifndef ATR_REPLAY_H
#define ATR_REPLAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../log/reader.h"
#include "../plan/plan.h"
#include "keyed.h"

#define ATR_REPLAY_IDENTITY 16 /* bytes of a leaf hash that tell two frames or envelopes apart */
/* Decision bits of the largest frame. */
#define ATR_REPLAY_DECISIONS ((ATR_FRAME_PACKETS_MAX + 7) / 8)

struct atr_replay;

struct atr_replay_params {
	uint32_t shard, shards; /* groups of another shard are refused */
	uint64_t state_keys;    /* most keys of state; 0: ATR_STATE_KEYS */
};

/* A replay that has seen nothing. NULL with a sentence in error when out of memory. */
struct atr_replay *atr_replay_create(const struct atr_replay_params *params, char *error,
				     size_t size);
void atr_replay_free(struct atr_replay *replay); /* NULL is allowed */

/* For atr_log_scan and atr_log_follow; the replay's, as long as it lives. It takes groups in order,
 * from group 0 on or from where it stands, and wants leaf hashes. Its refusals: -EBADMSG (the log
 * contradicts itself), -ENOMEM; atr_replay_error then has the sentence. After a refusal it takes
 * nothing more, and what it holds is of no use. */
const struct atr_log_visitor *atr_replay_visitor(struct atr_replay *replay);

/* One sentence that names segment and byte; "" while all is well. */
const char *atr_replay_error(const struct atr_replay *replay);

/* The plan in force, the replay's until the log brings another; NULL if there is none yet. */
const struct atr_plan *atr_replay_plan(const struct atr_replay *replay);
/* Its RFC 8785 form (length bytes, not terminated) and generation; NULL and 0 if there is none. */
const char *atr_replay_document(const struct atr_replay *replay, size_t *length);
uint64_t atr_replay_generation(const struct atr_replay *replay);

/* A change of plan is in one of the last groups, and the plan that it leads to is not in the log
 * yet: no time for a snapshot, behind which a start would not see it. */
bool atr_replay_changing(const struct atr_replay *replay);

/* Number of the next group, leaves of all before it, and the newest of their times. */
uint64_t atr_replay_groups(const struct atr_replay *replay);
uint64_t atr_replay_leaves(const struct atr_replay *replay);
uint64_t atr_replay_committed_ns(const struct atr_replay *replay);
uint64_t atr_replay_events(const struct atr_replay *replay); /* admitted, in all */
/* Epochs of group 0 and of the last group; 0 if there is none. */
uint64_t atr_replay_first_epoch(const struct atr_replay *replay);
uint64_t atr_replay_last_epoch(const struct atr_replay *replay);

/* A frame that reaches into its source's window, with the events of it that were admitted. A frame
 * that was logged several times, each time with other events admitted, comes several times. */
struct atr_replay_frame {
	uint64_t first; /* sequence of event 0 */
	uint16_t count; /* events, admitted or not */
	uint8_t admitted[ATR_REPLAY_DECISIONS];
	uint8_t leaf[ATR_REPLAY_IDENTITY]; /* of its leaf hash the first bytes */
	uint64_t position;                 /* leaf index of its record */
};

/* Calls fn for each, sources ascending, in a source by first sequence, then position. A value of fn
 * other than 0 ends it and is returned. */
int atr_replay_frames(const struct atr_replay *replay,
		      int (*fn)(void *ctx, uint32_t source, const struct atr_replay_frame *frame),
		      void *ctx);

/* Highest admitted sequence of a source, plus 1 (saturating); 0 if there is none. */
uint64_t atr_replay_next(const struct atr_replay *replay, uint32_t source);
/* Sequences of it below are stale now: next less the window, and never less than it was. */
uint64_t atr_replay_floor(const struct atr_replay *replay, uint32_t source);

/* An envelope whose UUID's time is not more than the plan's uuid_past_ms behind the newest commit's
 * time. */
struct atr_replay_envelope {
	uint32_t source;
	uint8_t uuid[16];
	uint8_t leaf[ATR_REPLAY_IDENTITY]; /* of SHA-256(00, its bytes) the first bytes */
	uint64_t uuid_ms, position;
};

/* The same, by position; -ENOMEM. */
int atr_replay_envelopes(const struct atr_replay *replay,
			 int (*fn)(void *ctx, const struct atr_replay_envelope *envelope),
			 void *ctx);

/* Number of the next message of a class D feed (0..63); 1 if there was none. */
uint64_t atr_replay_feed_next(const struct atr_replay *replay, uint32_t feed);

#endif
