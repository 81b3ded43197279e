/* SPDX-License-Identifier: BSD-3-Clause */
/* State by (source, type, key) that plans declare (docs/state.md), as a replay keeps it. */
#ifndef ATR_KEYED_H
#define ATR_KEYED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../plan/plan.h"

#define ATR_STATE_KEY_BYTES UINT32_C(1024)    /* of the longest key */
#define ATR_STATE_KEYS      UINT64_C(1000000) /* of a shard, where nothing else is said */

struct atr_replay;

/* What is kept of a key. Pointers are the replay's and valid until it takes the next record. */
struct atr_state_entry {
	uint32_t source, type;
	enum atr_state_op op; /* that made it: LAST, SET, INCREMENT or MAXIMUM */
	bool binary;          /* LAST: the payload is of the type's binary form, else RFC 8785 */
	uint8_t scale;        /* INCREMENT, MAXIMUM: value = number * 10^-scale */
	uint16_t event;       /* in its record: the last one that changed it */
	uint32_t key_length, value_length;
	int64_t number;
	uint64_t position;    /* leaf index of that record */
	const char *key;      /* JSON array of the key's values; not terminated */
	const uint8_t *value; /* LAST: payload (inline ones: 36 bytes); SET: JSON value */
};

/* State of a key; NULL if there is none. */
const struct atr_state_entry *atr_replay_state(const struct atr_replay *replay, uint32_t source,
					       uint32_t type, const char *key, uint32_t key_length);

/* Calls fn for each from (source, type, key) on, in order of source, type, and the key's bytes. A
 * value of fn other than 0 ends it and is returned. key may be "" with length 0. */
int atr_replay_states(const struct atr_replay *replay, uint32_t source, uint32_t type,
		      const char *key, uint32_t key_length,
		      int (*fn)(void *ctx, const struct atr_state_entry *entry), void *ctx);

struct atr_state_stats {
	uint64_t keys, limit;
	uint64_t bytes;   /* of keys and values */
	uint64_t refused; /* events that found no room: beyond the limit, or their key too long */
	uint64_t unfit;   /* events without a value, or with one that the scale cannot hold */
};
void atr_replay_state_stats(const struct atr_replay *replay, struct atr_state_stats *stats);

#endif
