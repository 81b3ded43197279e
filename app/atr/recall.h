/* SPDX-License-Identifier: BSD-3-Clause */
/* What the logs say about changes of plan that were under way at a stop. */
#ifndef ATR_RECALL_H
#define ATR_RECALL_H

#include <stddef.h>
#include <stdint.h>

#include "../../lib/governance/governance.h"
#include "../../lib/log/format.h"

struct recalled;

/* Envelopes that governed under the newest plan that any log has. */
struct recall {
	struct recalled *item;
	size_t count, space;
	uint64_t generation;
};

/* Keeps a copy of an envelope's record. 0 or -ENOMEM. */
int recall_keep(struct recall *recall, unsigned int shard, const struct atr_record_hdr *record,
		const uint8_t *body);
void recall_free(struct recall *recall);

/* Brings the governor to where it was under plan. *next: the plan of a change that is durable and
 * was not put in force, the caller's; NULL if there is none. sentence says what became of a change
 * that cannot be, else it is empty. 0 or -ENOMEM. */
int recall_rebuild(struct recall *recall, const struct atr_plan *plan,
		   struct atr_governor *governor, struct atr_plan **next, char *sentence,
		   size_t size);

#endif
