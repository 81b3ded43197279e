/* SPDX-License-Identifier: BSD-3-Clause */
/* Governance: documents of plans under way, who has approved them, and whether a change may be.
 *
 * docs/governance.md says what operators send. An envelope of a governing type that has passed the
 * other gates is judged here (atr_governor_judge changes nothing), and taken when it is durable in
 * the log (atr_governor_take): so what is here is a function of the log, and is rebuilt from it by
 * the same call. Taking is tolerant: what contradicts what is there already changes nothing.
 *
 * Layer 7: lib/plan, lib/json, lib/sign, lib/reason; no DPDK. One object belongs to the control
 * lcore; tools may have their own.
 */
#ifndef ATR_GOVERNANCE_H
#define ATR_GOVERNANCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../plan/plan.h"

#define ATR_GOVERNOR_DOCUMENTS \
	4 /* under way, together no larger than ATR_GOVERNANCE_DOCUMENT_MAX */
#define ATR_GOVERNOR_APPROVALS 4 /* remembered of one operator; the oldest gives way */
#define ATR_GOVERNOR_SENTENCE  512

struct atr_governor;

/* NULL when out of memory. Documents are allocated as they come. */
struct atr_governor *atr_governor_create(void);
void atr_governor_free(struct atr_governor *governor); /* NULL is allowed */

/* May this envelope be admitted? plan is in force and allows (source, type), which governs; payload
 * has passed the type's schema. ATR_OK; or GOV_OPERATOR, GOV_STALE, GOV_CHUNK, GOV_DOCUMENT,
 * GOV_APPROVALS with a sentence that atr_governor_refusal returns. */
uint8_t atr_governor_judge(struct atr_governor *governor, const struct atr_plan *plan,
			   uint32_t source, uint32_t type, const struct atr_json *payload);

/* Takes a chunk or approval that is durable (a change is nothing to be kept). A document that is
 * whole now is compiled and compared with the plan in force. */
void atr_governor_take(struct atr_governor *governor, const struct atr_plan *plan, uint32_t source,
		       uint32_t type, const struct atr_json *payload);

/* The plan that a change with this payload, judged ATR_OK, leads to: the caller's from here on.
 * Without one of that digest, NULL. Who does not put it in force gives it back, which undoes this.
 */
struct atr_plan *atr_governor_give(struct atr_governor *governor, const struct atr_json *payload);
void atr_governor_give_back(struct atr_governor *governor, struct atr_plan *plan);

/* Another plan is in force: forgets all documents and approvals. */
void atr_governor_reset(struct atr_governor *governor);

/* The last refusal; "" if there was none. And one of the caller's: the change was no fault of what
 * is known here. */
const char *atr_governor_refusal(const struct atr_governor *governor);
void atr_governor_refuse(struct atr_governor *governor, const char *sentence);

/* A document under way. */
struct atr_governor_document {
	uint8_t digest[32];
	uint64_t total, have; /* bytes */
	uint32_t owner;       /* source of its first chunk */
	bool ready;           /* whole, and a plan that may follow */
	uint64_t operators;   /* that have approved, a bit per index among the plan's operators */
	const char *why;      /* whole, and no such plan: why; else "" */
};

/* Up to max of them; returns how many. plan: in force. */
unsigned int atr_governor_documents(const struct atr_governor *governor,
				    const struct atr_plan *plan, struct atr_governor_document *out,
				    unsigned int max);

#endif
