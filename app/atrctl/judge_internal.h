/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ATRCTL_JUDGE_INTERNAL_H
#define ATRCTL_JUDGE_INTERNAL_H

#include "identity_map.h"
#include "judge.h"

#define HEADS_REMEMBERED 256u /* tree heads whose signature was verified; a power of two */

struct verified_head {
	bool used, good;
	struct atr_tree_head head;
	uint8_t signature[ATR_SIGNATURE_SIZE];
};

struct judge {
	const struct atr_plan *plan;
	struct atr_json_parser *parser;
	struct identity_map *identities;
	struct verified_head heads[HEADS_REMEMBERED];
};

void judge_frame(struct judge *judge, const uint8_t *data, size_t length, uint64_t now_ns,
		 struct verdict *verdict);
void judge_envelope(struct judge *judge, const uint8_t *data, size_t length, uint64_t now_ns,
		    struct verdict *verdict);

#endif
