/* SPDX-License-Identifier: BSD-3-Clause */
#include "judge_internal.h"

#include <stdlib.h>
#include <string.h>

struct judge *judge_create(const struct atr_plan *plan)
{
	struct judge *judge = calloc(1, sizeof(*judge));

	if (!judge)
		return NULL;
	judge->plan = plan;
	judge->parser = atr_json_parser_create();
	judge->identities = identity_map_create();
	if (judge->parser && judge->identities)
		return judge;
	judge_free(judge);
	return NULL;
}

void judge_free(struct judge *judge)
{
	if (!judge)
		return;
	if (judge->parser)
		atr_json_parser_destroy(judge->parser);
	identity_map_free(judge->identities);
	free(judge);
}

void judge_datagram(struct judge *judge, const uint8_t *data, size_t length, uint64_t now_ns,
		    struct verdict *verdict)
{
	memset(verdict, 0, sizeof(*verdict));
	if (length && length <= ATR_DATAGRAM_MAX && data[0] == ATR_FIRST_BYTE_FRAME) {
		verdict->kind = DATAGRAM_FRAME;
		judge_frame(judge, data, length, now_ns, verdict);
	} else if (length && length <= ATR_DATAGRAM_MAX && data[0] == ATR_FIRST_BYTE_ENVELOPE) {
		verdict->kind = DATAGRAM_ENVELOPE;
		judge_envelope(judge, data, length, now_ns, verdict);
	} else {
		verdict->reason = ATR_REASON_NOT_ATR;
	}
}
