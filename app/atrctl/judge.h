/* SPDX-License-Identifier: BSD-3-Clause */
/* The gates as a tool applies them: the appliance's own checks, one datagram at a time.
 *
 * What depends on the appliance's state or load (rates, windows, overload) is not judged; identity
 * is judged within one run only.
 */
#ifndef ATRCTL_JUDGE_H
#define ATRCTL_JUDGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../../lib/envelope/envelope.h"
#include "../../lib/plan/plan.h"
#include "../../lib/reason/reason.h"
#include "../../lib/wire/frame.h"

#define VERDICT_DETAIL 256

enum datagram_kind { DATAGRAM_OTHER, DATAGRAM_FRAME, DATAGRAM_ENVELOPE };

struct verdict {
	enum datagram_kind kind;
	uint8_t reason; /* ATR_OK, ATR_DUPLICATE (all of it), or the first refusal */
	bool parsed;    /* frame or envelope below is filled */
	bool signature_checked;
	uint8_t root[ATR_HASH_SIZE];  /* of a parsed frame's tree */
	struct atr_frame frame;       /* pointers into the datagram */
	struct atr_envelope envelope; /* pointers into the judge's parser: until the next call */
	unsigned int events, admitted, duplicates;
	uint8_t event[ATR_FRAME_PACKETS_MAX]; /* reason a packet of a parsed frame */
	char detail[VERDICT_DETAIL];          /* more about reason, safe for terminals, or "" */
};

struct judge;

/* plan may be NULL: then only structure and canonical form are judged. NULL when out of memory. */
struct judge *judge_create(const struct atr_plan *plan);
void judge_free(struct judge *judge);

/* Judges one datagram as received at now_ns (Unix time). Reads no byte beyond data + length. */
void judge_datagram(struct judge *judge, const uint8_t *data, size_t length, uint64_t now_ns,
		    struct verdict *verdict);

/* True if a canonical, parsed envelope is signed by a key of its source that is valid at now_ns;
 * otherwise *reason says why not. */
bool judge_envelope_signature(const struct atr_plan *plan, const struct atr_envelope *envelope,
			      uint64_t now_ns, uint8_t *reason);

/* Gates by themselves, for one event or envelope under a plan; ATR_OK or the reason.
 *
 * Gate schema of event i of a frame: topic, type, fields. */
uint8_t judge_event_schema(const struct atr_plan *plan, const struct atr_frame *frame,
			   unsigned int i);

/* What an envelope's names mean in a plan; NULL where it has none of the name. */
struct envelope_parties {
	const struct atr_source *source;
	const struct atr_topic *topic;
	const struct atr_type *type;
};
/* Gate schema of an envelope. where (size bytes) gets the JSON pointer of what does not fit. */
uint8_t judge_envelope_schema(const struct atr_plan *plan, const struct atr_envelope *envelope,
			      struct envelope_parties *parties, char *where, size_t size);

/* Gate ruleset: what has passed the gate schema, by ids. */
uint8_t judge_ruleset(const struct atr_plan *plan, const struct atr_source *source, uint32_t topic,
		      uint32_t type);

#endif
