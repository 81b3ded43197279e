/* SPDX-License-Identifier: BSD-3-Clause */
/* Signed envelopes sent one a datagram, and what the appliance answers to each: awaited, and the
 * unanswered sent again as the same bytes, waiting twice as long each time. One thread. */
#ifndef ATRCTL_EXCHANGE_H
#define ATRCTL_EXCHANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../../lib/json/json.h"
#include "../../lib/plan/plan.h"
#include "option.h"
#include "output.h"

#define EXCHANGE_WAIT_MS 500 /* where nothing else is said */
#define EXCHANGE_RETRIES 3
#define EXCHANGE_WINDOW  256
#define EXCHANGE_UUID    16

/* What became of an envelope: ATR_OK, ATR_DUPLICATE, a reason, or: */
#define EXCHANGE_UNANSWERED (-1)

struct flight {
	bool used;
	uint8_t uuid[EXCHANGE_UUID];
	uint8_t *data; /* malloc'd */
	size_t length;
	size_t cookie;     /* the caller's */
	unsigned int sent; /* times */
	uint8_t refusal;   /* last refusal that is worth a retry, or ATR_OK */
	uint64_t due_ns;
};

struct exchange {
	/* Filled in by the caller before exchange_open. */
	struct output *output; /* a socket */
	struct option_u64 wait_ms, retries, window;
	bool (*final)(uint8_t reason); /* is this answer the last word? */
	/* Called once for each envelope; outcome as above. */
	void (*landed)(void *ctx, const struct flight *flight, int outcome);
	void *ctx;
	/* The exchange's. */
	struct atr_json_parser *parser;
	struct flight *flight;
	unsigned int size, used;
	uint64_t wait_ns, most;
	uint64_t resent, extra, foreign; /* of replies: to envelopes not under way; no replies */
	const char *durability;          /* that replies named; NULL: none did */
};

/* 0, or -ENOMEM. exchange_close also after a failure. */
int exchange_open(struct exchange *exchange);
/* Gives up what is under way, without a word of it: exchange->used envelopes. */
void exchange_close(struct exchange *exchange);

static inline bool exchange_room(const struct exchange *exchange)
{
	return exchange->used < exchange->size;
}
/* Sends an envelope, whose data becomes the exchange's; there must be room. */
void exchange_launch(struct exchange *exchange, const struct flight *item);
/* Takes the replies that are there, after waiting a moment for one if wait is set, and sends again
 * what is due. */
void exchange_turn(struct exchange *exchange, bool wait);

#endif
