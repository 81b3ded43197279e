/* SPDX-License-Identifier: BSD-3-Clause */
/* What must outlive the process while durability is `none`: the epoch that feed sessions carry, and
 * for each source the high-water below which a restart refuses instead of applying twice.
 *
 * One file of 32-byte records, each with a CRC32C, in a directory locked by the process. The last
 * valid record of a key rules. The file is rewritten at each start and when it
 * has grown to 16 MiB (temporary file, fsync, rename,
 * fsync of the directory), the epoch first, which says how many records the rewritten part has;
 * damage there stops the next start. Behind it come the records of syncs: damage among the last 64
 * records of the file (one sync, torn by a crash) is skipped, any other stops the start.
 *
 * Layer 1: DPDK's CRC. Control lcore only; functions that write wait for the disk.
 */
#ifndef ATR_STATE_H
#define ATR_STATE_H

#include <stddef.h>
#include <stdint.h>

enum atr_state_kind {
	ATR_STATE_EPOCH = 1,  /* id 0; value: starts so far; in the file, in its upper half, records
			       * of  the rewritten part */
	ATR_STATE_SOURCE = 2, /* id: source; value: first sequence that a restart may accept */
	ATR_STATE_UUID = 3    /* id 0; value: UUIDv7 milliseconds that a restart must lie above */
};

struct atr_state_record {
	uint32_t magic;
	uint32_t kind;
	uint32_t id;
	uint32_t zero;
	uint64_t value;
	uint32_t zero2;
	uint32_t crc; /* CRC32C of the 28 bytes before it */
};
_Static_assert(sizeof(struct atr_state_record) == 32, "a record is 32 bytes");

struct atr_state;

/* Opens or creates the directory (mode 0750), locks it, reads the file, counts the epoch up and
 * makes that durable. NULL with one sentence in error (in use by another process, not writable,
 * damaged record with its offset). */
struct atr_state *atr_state_open(const char *directory, char *error, size_t size);

/* Number of this start, from 1. */
uint32_t atr_state_epoch(const struct atr_state *state);

/* Value of a key, 0 if there is none. */
uint64_t atr_state_get(const struct atr_state *state, enum atr_state_kind kind, uint32_t id);

/* Queues a value, in place of one queued before for the same key; durable after the next
 * atr_state_sync. With 64 keys queued it syncs first: negative errno if that fails, and the value
 * is then not queued. -EINVAL for a source above 65535. */
int atr_state_put(struct atr_state *state, enum atr_state_kind kind, uint32_t id, uint64_t value);

/* Writes and syncs what was put. Negative errno: nothing that was put since the last success may be
 * relied on; what was not written is written again by the next call. */
int atr_state_sync(struct atr_state *state);

/* Closes and unlocks. */
void atr_state_close(struct atr_state *state);

#endif
