/* SPDX-License-Identifier: BSD-3-Clause */
/* Effectively-once for frames: a window of sequences a source, with a keyed tag of the bytes.
 *
 * Layer 1: lib/reason, libsodium's SipHash. A window belongs to the shard that owns the source;
 * test and set are hot path and are called by that shard's lcore only.
 *
 * The window spans [floor, floor + size): floor = max(start, top - size) where top is one more
 * than the highest sequence set. Each slot holds a 32-bit tag, 0 for "not taken".
 */
#ifndef ATR_DEDUP_H
#define ATR_DEDUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct atr_window;

/* Window of size sequences (a power of two, 64..2^20) that refuses sequences below start as STALE
 * and those at or above top + max_ahead as AHEAD (top is start while nothing is set; saturates at
 * 2^64-1). NULL when out of memory. Control lcore. */
struct atr_window *atr_window_create(uint32_t size, uint32_t max_ahead, uint64_t start, int socket);
void atr_window_free(struct atr_window *window);
size_t atr_window_footprint(uint32_t size);

/* Secret of the process for tags; drawn once at boot. */
struct atr_tag_key {
	uint8_t bytes[16];
};
void atr_tag_key_init(struct atr_tag_key *key);

#define ATR_TAG_LEAF 16 /* bytes of a leaf hash that stand for a frame's bytes */

/* Tag of a frame's bytes, from the first bytes of its leaf hash; never 0. What is rebuilt from
 * snapshots, which keep no more of a leaf hash, has the same tags. */
uint32_t atr_tag(const struct atr_tag_key *key, const uint8_t leaf[ATR_TAG_LEAF]);

/* For count events with sequences first..first+count-1 of one frame: where reason[i] is ATR_OK and
 * the sequence is not free, sets reason[i] to STALE, AHEAD, CONFLICT (slot holds another tag) or
 * ATR_DUPLICATE (same tag). Returns the number of events still ATR_OK. Changes nothing else.
 * first + count - 1 does not wrap. */
unsigned int atr_window_test(const struct atr_window *window, uint64_t first, unsigned int count,
			     uint32_t tag, uint8_t *reason);

/* Takes the sequences of the events whose reason is ATR_OK; they must have passed atr_window_test
 * with nothing set in between. Advances top. */
void atr_window_set(struct atr_window *window, uint64_t first, unsigned int count, uint32_t tag,
		    const uint8_t *reason);

/* Lowest sequence that is not STALE, and one more than the highest taken (start if none). */
uint64_t atr_window_floor(const struct atr_window *window);
uint64_t atr_window_top(const struct atr_window *window);

#endif
