/* SPDX-License-Identifier: BSD-3-Clause */
/* One publisher or one subscriber of a system under comparison. Every process has one thread of its
 * own; libraries may start more. */
#ifndef COMPARE_PEER_H
#define COMPARE_PEER_H

#include <stddef.h>
#include <stdint.h>

#define PEER_SUBJECT     "compare"
#define PEER_MESSAGE_MAX 4096

struct peer_options {
	const char *system;
	const char *address;   /* host:port of the server; of ZeroMQ's publisher itself */
	uint64_t count;        /* messages */
	unsigned int size;     /* bytes of a message */
	unsigned int others;   /* subscribers that a publisher serves */
	const char *key_file;  /* ATR: the producer's key */
	const char *acks_key;  /* ATR: of acknowledgements; NULL: durability none */
	const char *directory; /* ATR: the producer's outbox */
	const char *bind;      /* ATR: where a feed arrives */
	unsigned int rate;     /* messages a second offered; 0: as fast as they are taken */
};

/* What is in a message beside its number. */
struct peer_system {
	const char *name;
	/* Bytes of payload in a message of that size: systems whose header is part of it. */
	unsigned int (*payload)(unsigned int size);
	/* Connects; ends the process with a sentence if that fails. */
	void (*publisher)(const struct peer_options *options);
	/* Hands a message to the system. May wait. */
	void (*publish)(const void *message, size_t length);
	/* Returns when everything is acknowledged, as far as the system does that, or sent. */
	void (*settle)(void);
	/* Connects and subscribes: whatever is published from now on arrives. */
	void (*subscriber)(const struct peer_options *options);
	/* Waits up to a second for messages and hands each to peer_take. */
	void (*receive)(void);
};

extern const struct peer_system peer_atr, peer_jetstream, peer_nats, peer_redis, peer_zeromq;

/* A message has arrived. */
void peer_take(const void *message, size_t length);

/* Whether all have. */
int peer_complete(void);

/* Says why on standard error and ends the process. */
void peer_die(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

uint64_t peer_now_ns(void);

#endif
