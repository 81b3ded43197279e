/* SPDX-License-Identifier: BSD-3-Clause */
/* Inside the producer: what it keeps, and what tests put in place of clock and disk. */
#ifndef LIBATR_PRODUCER_INTERNAL_H
#define LIBATR_PRODUCER_INTERNAL_H

#include "../lib/ack/ack.h"
#include "batch.h"
#include "include/atr/atr.h"
#include "outbox.h"

#define NS_PER_MS UINT64_C(1000000)
#define NEVER     UINT64_MAX

/* Clocks and the outbox's directory. */
struct producer_env {
	uint64_t (*monotonic_ns)(void *context);
	uint64_t (*unix_ns)(void *context);
	void *context;
	struct outbox_files *files; /* NULL: the directory of the configuration */
};

enum kept_state {
	KEPT_WAITING, /* to be sent, or sent and not answered */
	KEPT_GIVEN_UP,
	KEPT_SETTLED
};

/* A frame of the outbox. */
struct kept {
	uint8_t *datagram; /* NULL when settled */
	uint64_t first;
	uint32_t length, attempts;
	uint16_t events;
	uint8_t state, reason;
	uint8_t leaf[ATR_HASH_SIZE];
	uint64_t due_ns, first_sent_ns; /* monotonic */
};

struct atr_producer {
	struct atr_producer_config config; /* defaults filled in; its texts are not valid */
	struct producer_env env;
	struct atr_producer_transport transport;
	struct atr_signer *signer;
	struct batch *batch;
	struct outbox *outbox;  /* NULL: fire and forget */
	uint64_t open_since_ns; /* monotonic time of the open tree's first event; NEVER */
	int fd;                 /* our own socket, or -1 */
	struct atr_ack_reader reader;
	/* Ascending by sequence, from head; settled ones leave at the head. */
	struct kept *kept;
	size_t head, count, capacity;
	size_t waiting;  /* frames in state KEPT_WAITING */
	uint64_t due_ns; /* when something is to be sent next; NEVER */
	int broken;      /* negative errno */
	struct atr_producer_stats stats;
	char error[ATR_CLIENT_ERROR];
};

/* atr_producer_open with clocks and a directory of the caller, which is taken over. */
struct atr_producer *producer_open(const struct atr_producer_config *config,
				   const struct producer_env *env, char *error, size_t size);

/* Notes that the outbox or reserve failed: -EIO. */
int producer_broke(struct atr_producer *p, const char *what, int err);

/* Appends a frame to what is kept, taking over the datagram. 0 or -ENOMEM. */
int kept_append(struct atr_producer *p, const struct batch_frame *frame);
/* The frame that begins with this sequence, or NULL. */
struct kept *kept_find(struct atr_producer *p, uint64_t first);
static inline struct kept *kept_at(const struct atr_producer *p, size_t i)
{
	return &p->kept[p->head + i];
}
/* Lets settled frames at the head go. Pointers to kept frames are invalid after it. */
void kept_trim(struct atr_producer *p);
void kept_free(struct atr_producer *p);

/* Sends what is due and may be sent; gives up frames if may_give_up (calls result). Sets
 * p->due_ns. */
void producer_send_due(struct atr_producer *p, uint64_t now_ns, bool may_give_up);
/* Sends one datagram, waiting for room: fire and forget. */
void producer_send_once(struct atr_producer *p, const uint8_t *datagram, size_t length);
/* When a frame that was sent so often, now, is due again. */
uint64_t producer_due_after(const struct atr_producer *p, uint64_t now_ns, uint32_t attempts);

/* Takes the acknowledgements that have arrived. 0 or -EIO. */
int producer_take_acks(struct atr_producer *p);

#endif
