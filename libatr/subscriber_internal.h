/* SPDX-License-Identifier: BSD-3-Clause */
/* Inside the subscriber only. */
#ifndef LIBATR_SUBSCRIBER_INTERNAL_H
#define LIBATR_SUBSCRIBER_INTERNAL_H

#include "include/atr/atr.h"
#include "order.h"

#define SUBSCRIBER_SESSIONS_MAX 1024

struct atr_subscriber {
	struct atr_subscriber_config config; /* defaults filled in; its texts are not valid */
	struct order_params params;
	struct order_sink sink;
	bool one_session;
	char session[ATR_SUBSCRIBER_SESSION];
	int fd, request_fd; /* -1: none */
	unsigned int count;
	struct order *order[SUBSCRIBER_SESSIONS_MAX];
	uint64_t packets, malformed, ignored; /* datagrams */
	uint64_t skipped;                     /* messages that are no events */
};

/* The sink of every session: hands on to the configuration's callbacks. */
void subscriber_sink(struct atr_subscriber *subscriber);

#endif
