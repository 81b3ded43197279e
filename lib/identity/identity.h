/* SPDX-License-Identifier: BSD-3-Clause */
/* Effectively-once for envelopes: every (source, UUIDv7) whose time lies in the plan's window is
 * remembered, with a digest of its bytes.
 *
 * Layer 1: DPDK's hash. Control lcore only. All memory is allocated at creation.
 */
#ifndef ATR_IDENTITY_H
#define ATR_IDENTITY_H

#include <stddef.h>
#include <stdint.h>

#define ATR_IDENTITY_DIGEST 16 /* first bytes of the envelope's leaf hash */

struct atr_identity;

/* Memory for capacity identities whose times span at most window_ms. NULL when out of memory. */
struct atr_identity *atr_identity_create(uint32_t capacity, uint64_t window_ms, int socket);
void atr_identity_free(struct atr_identity *memory);

enum atr_identity_state {
	ATR_IDENTITY_NEW,     /* not taken */
	ATR_IDENTITY_PENDING, /* taken by the same bytes, not yet logged */
	ATR_IDENTITY_LOGGED,  /* taken by the same bytes, logged */
	ATR_IDENTITY_CONFLICT /* taken by other bytes */
};

/* Looks an identity up; *entry is its index unless NEW. */
enum atr_identity_state atr_identity_find(const struct atr_identity *memory, uint32_t source,
					  const uint8_t uuid[16],
					  const uint8_t digest[ATR_IDENTITY_DIGEST],
					  uint32_t *entry);

/* Takes a NEW identity, pending. Index of the entry, or -ENOSPC. */
int atr_identity_take(struct atr_identity *memory, uint32_t source, const uint8_t uuid[16],
		      const uint8_t digest[ATR_IDENTITY_DIGEST], uint64_t uuid_ms);

/* List of what waits for a pending entry to be settled; the caller's, NULL at first. */
void *atr_identity_waiting(const struct atr_identity *memory, uint32_t entry);
void atr_identity_set_waiting(struct atr_identity *memory, uint32_t entry, void *waiting);

/* What became of a pending entry: logged at a position of a shard, or shed (forgotten). */
void atr_identity_logged(struct atr_identity *memory, uint32_t entry, uint32_t shard,
			 uint64_t position);
void atr_identity_shed(struct atr_identity *memory, uint32_t entry);

void atr_identity_position(const struct atr_identity *memory, uint32_t entry, uint32_t *shard,
			   uint64_t *position);

/* Forgets logged identities older than oldest_ms. Pending ones are kept until they are settled. */
void atr_identity_expire(struct atr_identity *memory, uint64_t oldest_ms);

uint32_t atr_identity_count(const struct atr_identity *memory);
uint32_t atr_identity_capacity(const struct atr_identity *memory);

#endif
