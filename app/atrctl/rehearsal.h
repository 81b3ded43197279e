/* SPDX-License-Identifier: BSD-3-Clause */
/* A plan that is not in force, held against events that a log has: what would it have judged or
 * routed otherwise?
 *
 * Gates schema, signature (keys that are unknown, revoked or not valid when the event was received)
 * and ruleset with levels and feeds. Not: limits, identity, load, and datagrams that are in no log.
 * An event that the log says was admitted passed all of them; of others in a logged frame only what
 * the plan of that time refuses by itself is known, the rest is passed over.
 */
#ifndef ATRCTL_REHEARSAL_H
#define ATRCTL_REHEARSAL_H

#include <stdbool.h>
#include <stdint.h>

#include "../../lib/log/format.h"
#include "../../lib/plan/plan.h"
#include "../../lib/wire/frame.h"

#define REHEARSAL_KINDS  1024
#define REHEARSAL_NOFEED (-1)

/* One way in which events differ, and the first of them. */
struct rehearsal_kind {
	uint8_t was, now; /* verdicts: ATR_OK or a reason */
	int feed;         /* both ATR_OK: the feed that they would go to, or not any more */
	bool gained;      /* of feed */
	uint64_t count;   /* events */
	/* The first. */
	char source[ATR_NAME_MAX + 1];
	bool by_uuid;
	uint64_t sequence;
	uint8_t uuid[16];
	uint32_t shard;
	uint64_t leaf;
	uint32_t event; /* in its record */
};

struct rehearsal {
	const struct atr_plan *plan; /* that is rehearsed */
	struct atr_json_parser *parser;
	uint64_t events;      /* compared */
	uint64_t otherwise;   /* of these: judged otherwise */
	uint64_t rerouted;    /* admitted by both, and to other feeds */
	uint64_t passed_over; /* not admitted, for a reason that no plan knows */
	uint64_t unreadable;  /* records that are no frame or envelope of that time's plan */
	struct rehearsal_kind kind[REHEARSAL_KINDS];
	unsigned int kinds;
	uint64_t unnamed; /* events of kinds that found no room */
	/* Whether keys of a source, of that time's plan, have changed; by source id. */
	const struct atr_plan *compared;
	uint8_t *keys;
};

/* 0 or -ENOMEM. */
int rehearsal_open(struct rehearsal *rehearsal, const struct atr_plan *plan);
void rehearsal_close(struct rehearsal *rehearsal);

/* Holds a frame's or envelope's record, which was judged by the plan old, against the new one.
 * shard is for the account. */
void rehearsal_record(struct rehearsal *rehearsal, const struct atr_plan *old, uint32_t shard,
		      const struct atr_record_hdr *record, const uint8_t *body,
		      const uint8_t *decisions);

/* The other plan object, old, is about to go away. */
void rehearsal_forget(struct rehearsal *rehearsal);

#endif
