/* SPDX-License-Identifier: BSD-3-Clause */
/* The messages of one MoldUDP64 session in order: what is kept behind a gap, what is asked for, and
 * what is given up. One thread; no clock and no socket: times are given, requests go out through
 * the sink. Times are monotonic nanoseconds.
 */
#ifndef LIBATR_ORDER_H
#define LIBATR_ORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../lib/wire/moldudp64.h"

#define ORDER_REQUESTS_MAX 64
#define ORDER_NEVER        UINT64_MAX

struct order_params {
	uint64_t from;       /* first message wanted; 0: the first one seen */
	uint32_t buffer;     /* messages kept behind a gap, at least 1 */
	uint32_t requests;   /* under way at once, 0: nobody to ask; at most ORDER_REQUESTS_MAX */
	uint64_t retry_ns;   /* until the first repetition of a request; doubled each time */
	uint64_t timeout_ns; /* without progress, then a gap is given up */
};

struct order;

/* What comes out. Called from order_packet and order_tick, which must not be called from it. */
struct order_sink {
	/* A message with its length field, valid during the call; in the order of numbers. */
	void (*deliver)(void *context, const struct order *order, uint64_t number,
			const uint8_t *block, size_t length, bool recovered);
	void (*gap)(void *context, const struct order *order, uint64_t first, uint64_t count);
	void (*lost)(void *context, const struct order *order, uint64_t first, uint64_t count);
	void (*end)(void *context, const struct order *order, uint64_t next);
	void (*request)(void *context, const struct order *order, uint64_t first, uint16_t count);
	void *context;
};

struct order_stats {
	uint64_t messages, recovered, duplicates, gaps, lost, overflows, heartbeats, requests;
};

/* The session's name is copied. params and sink outlive the object. NULL without memory. */
struct order *order_create(const char session[ATR_MOLD_SESSION_SIZE],
			   const struct order_params *params, const struct order_sink *sink);
void order_free(struct order *order);

/* The first message wanted of this session; 0: as params say. Before the first packet. */
void order_from(struct order *order, uint64_t from);

/* Takes a packet of this session that atr_mold_parse accepted, whose sequence is so far below
 * 2^64 that it cannot wrap. */
void order_packet(struct order *order, const struct atr_mold_packet *packet);

/* Asks for what is missing and gives up what has been missing for too long. Returns when it is to
 * be called again at the latest, ORDER_NEVER if nothing is missing. */
uint64_t order_tick(struct order *order, uint64_t now_ns);

const char *order_session(const struct order *order); /* 10 characters */
const struct order_stats *order_stats(const struct order *order);
uint64_t order_missing(const struct order *order); /* messages missing now */
bool order_ended(const struct order *order);       /* and everything delivered or given up */

#endif
