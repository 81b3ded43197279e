/* SPDX-License-Identifier: BSD-3-Clause */
/* Files of signed envelopes that change a plan, one a line: chunks of a document, approvals, a
 * change (docs/governance.md). Read as what anybody may have written. */
#ifndef ATRCTL_PROPOSAL_H
#define ATRCTL_PROPOSAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../../lib/plan/plan.h"

#define PROPOSAL_DIGEST    32
#define PROPOSAL_WHY_MAX   500                   /* code points */
#define PROPOSAL_BYTES_MAX (UINT64_C(256) << 20) /* of all files together */

struct atr_envelope;

/* What a change and its approvals are over. */
struct proposal_motion {
	uint8_t digest[PROPOSAL_DIGEST], replaces[PROPOSAL_DIGEST];
	uint32_t version;
};

/* An envelope, in the order of the files. */
struct proposal_item {
	enum atr_governance_use use;
	char *text; /* canonical bytes, not terminated */
	size_t length;
	uint8_t uuid[16];
	uint64_t uuid_ms;
	unsigned int file; /* index among those read */
	unsigned long line;
	struct proposal_motion motion; /* of changes and approvals */
	char source[ATR_NAME_MAX + 1];
};

struct proposal {
	struct proposal_item *item;
	size_t count, room;
	size_t chunks, approvals, changes;
	uint64_t bytes;
	unsigned int files;
	/* The document of the chunks, which have all one digest. */
	uint8_t digest[PROPOSAL_DIGEST];
	char *document;
	uint8_t *known; /* a bit a byte */
	uint64_t total, have;
};

/* Payload of an envelope read as one of the three: ATR_GOVERNANCE_NONE if it is none. */
enum atr_governance_use proposal_use(const struct atr_envelope *envelope,
				     struct proposal_motion *motion);

/* Adds the envelopes of a file. 0, or -EINVAL with a sentence in error (ERROR_SIZE bytes) that
 * names file and line: no canonical envelope, none that changes a plan, a chunk that contradicts
 * the others. */
int proposal_read(struct proposal *proposal, const char *path, char *error);
/* The same for text in memory; path is for sentences. */
int proposal_take(struct proposal *proposal, const char *path, const char *text, size_t length,
		  char *error);
void proposal_free(struct proposal *proposal);

/* The one change, or NULL. */
const struct proposal_item *proposal_change(const struct proposal *proposal);

/* Do the files belong together? One change at most, approvals over it, chunks of its document. 0 or
 * -EINVAL with a sentence. */
int proposal_check(const struct proposal *proposal, char *error);

/* The document, compiled; old, if not NULL, is the plan in force, which it must be compatible with.
 * NULL with a sentence: it is not whole, has another digest, does not compile, may not follow. */
struct atr_plan *proposal_plan(const struct proposal *proposal, const struct atr_plan *old,
			       char *error);

#endif
