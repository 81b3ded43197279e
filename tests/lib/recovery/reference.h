/* SPDX-License-Identifier: BSD-3-Clause */
/* What the log says, by replay of all its groups from the first on, kept while their bytes are
 * there: retention and snapshots cannot change it. It walks the disk's bytes by the letter of
 * docs/log-format.md. */
#ifndef ATR_TEST_REFERENCE_H
#define ATR_TEST_REFERENCE_H

#include "../../../lib/replay/snapshot.h"
#include "../log/simdisk.h"

#define REFERENCE_GROUPS 256

struct reference {
	struct atr_replay *replay;
	struct atr_log_end end; /* of what was taken */
	struct {
		uint64_t leaves; /* after so many groups */
		uint8_t root[ATR_HASH_SIZE];
	} after[REFERENCE_GROUPS];
	char wrong[256]; /* "" while all is well */
};

void reference_init(struct reference *reference);
/* One that goes its own way from there, to look at groups that may yet be lost. False with a
 * sentence; to be freed in any case. */
bool reference_fork(struct reference *fork, struct reference *from);
void reference_free(struct reference *reference);
/* Takes the groups below `below`, which must be durable and whole. False with a sentence. */
bool reference_take(struct reference *reference, struct simdisk *disk, uint64_t below);
/* The bytes of a snapshot of all that was taken; free() them. */
bool reference_snapshot(struct reference *reference, struct atr_snapshot *snapshot);
/* The root of so many leaves, which must be the end of a group that was taken; or NULL. */
const uint8_t *reference_root(const struct reference *reference, uint64_t leaves);

#endif
