/* SPDX-License-Identifier: BSD-3-Clause */
/* An independent checker: reads the bytes that a crash has left by the letter of
 * docs/log-format.md, with offsets, CRC and tree of its own, and holds them against what was
 * sealed. */
#ifndef LOG_CHECK_H
#define LOG_CHECK_H

#include "../../../lib/log/log.h"
#include "simdisk.h"

#define MODEL_GROUPS_MAX 256

struct model_group {
	uint8_t *bytes; /* of the records as they were appended, one behind the other */
	uint32_t length, records;
	uint8_t (*leaf)[32]; /* of the records */
	uint64_t feed_set, feed_next[ATR_LOG_FEEDS_MAX], generation;
	uint8_t plan_digest[32];
};

struct model {
	uint8_t log_id[16];
	uint64_t realm;
	uint32_t shard, shards;
	struct model_group group[MODEL_GROUPS_MAX];
	unsigned int sealed;
};

/* What the checker finds. */
struct finding {
	struct atr_log_end end;
	unsigned int groups; /* intact, from the first on */
	unsigned int behind; /* complete ones behind the first that is not */
	uint8_t root[32];
	bool torn;
};

/* released: groups that have come back as durable. NULL, or a sentence that says what is wrong. */
const char *check_log(struct simdisk *disk, const struct model *model, unsigned int released,
		      struct finding *finding);

/* Forgets the groups from `from` on. */
void model_cut(struct model *model, unsigned int from);

#endif
