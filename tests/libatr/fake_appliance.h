/* SPDX-License-Identifier: BSD-3-Clause */
/* An appliance of one source, as far as a producer can tell: proves frames, remembers identities
 * within a window, acknowledges under a key. Whatever is sent, it notes which bytes used a
 * sequence. */
#ifndef TESTS_LIBATR_FAKE_APPLIANCE_H
#define TESTS_LIBATR_FAKE_APPLIANCE_H

#include <stdbool.h>
#include <stdint.h>

#include "../../lib/ack/ack.h"

#define FAKE_REALM     UINT64_C(0x0102030405060708)
#define FAKE_SOURCE    7
#define FAKE_KEY       1
#define FAKE_SEQUENCES (1u << 20)
#define FAKE_SEED      2 /* first byte of the producer's seed; the rest is zeros */
#define FAKE_ACKS_SEED 3

struct fake_appliance {
	struct atr_acker *acker;
	struct atr_signer *signer;
	char acks_key[2 * ATR_PUBLIC_KEY_SIZE + 1];
	uint8_t producer_key[ATR_PUBLIC_KEY_SIZE];
	uint32_t window;
	/* Why an event that is new is refused now; ATR_OK admits it. NULL: all are admitted. */
	uint8_t (*judge)(void *context, uint64_t sequence);
	void *context;
	uint64_t next, position;
	uint64_t frames, admitted, duplicates, stale, reused, unproven;
	uint8_t (*used)[ATR_HASH_SIZE]; /* leaf of the frame that used a sequence; zeros: none */
	bool *was_admitted;
	uint64_t room; /* sequences that the two have room for */
};

/* Aborts the test program where it cannot be made. */
struct fake_appliance *fake_create(uint32_t window);
void fake_free(struct fake_appliance *fake);

/* Notes which bytes use its sequences: a datagram that is lost before the appliance hears it. */
void fake_overhear(struct fake_appliance *fake, const uint8_t *datagram, size_t length);

/* From now on the sequence is used by other bytes. */
void fake_occupy(struct fake_appliance *fake, uint64_t sequence);

/* Takes a datagram; what it has to say comes by fake_flush. */
void fake_take(struct fake_appliance *fake, const uint8_t *datagram, size_t length);
void fake_flush(struct fake_appliance *fake, atr_ack_emit_fn emit, void *context);

#endif
