/* SPDX-License-Identifier: BSD-3-Clause */
/* Trees of frames for tests, made by the definitions of RFC 6962 with libsodium, and a control
 * lcore that verifies their roots. */
#ifndef ATR_TEST_FOREST_H
#define ATR_TEST_FOREST_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "../../../lib/auth/auth.h"
#include "../../../lib/hash/hash.h"
#include "../../../lib/reason/reason.h"
#include "../../../lib/wire/frame.h"

#define FOREST_SOURCES 8 /* source ids 1..7 have a key each */
#define FOREST_REALM   77
#define FOREST_KEY     5
#define FOREST_BYTES   (64 + 64 + 64 + 32 * 32) /* frame of one packet with the longest proof */
#define NOT_RUN        253

/* A frame on its way. */
struct item {
	uint8_t bytes[FOREST_BYTES];
	size_t length;
	uint8_t result;       /* NOT_RUN, ATR_AUTH_HELD, or what became of it */
	unsigned int done_at; /* order in which results came */
};

struct tree {
	unsigned int count;
	struct item *item;
	uint8_t root[32];
	uint8_t signature[64];
};

struct forest {
	uint8_t public_key[FOREST_SOURCES][32], secret_key[FOREST_SOURCES][64];
	struct atr_hash *hash;
	struct atr_auth *auth;
	unsigned int done;
	unsigned int offered, ahead; /* frames; nodes hashed ahead of them */
	uint64_t next_sequence;
	uint32_t key_serial; /* of frames that are offered */
	uint32_t address;    /* of the sender of what is offered */
};

/* Parameters that are generous for every test that does not press on them. */
extern const struct atr_auth_params forest_roomy;

void forest_start(struct forest *f, const struct atr_auth_params *params);
void forest_stop(struct forest *f);

struct tree forest_tree(struct forest *f, uint32_t source, unsigned int count);
void forest_free(struct tree *tree);

/* One frame with a path of random nodes in a tree too large to build. */
void forest_lone(struct forest *f, struct item *item, uint32_t source, uint32_t index,
		 uint32_t count);

/* Offers a frame and returns the result. */
uint8_t forest_offer(struct forest *f, struct item *item);

/* Answers all requests by verifying them, and runs released frames again, until nothing moves. */
void forest_pump(struct forest *f);

/* The verdict that the request deserves. */
uint8_t forest_judge(const struct forest *f, const struct atr_root_request *request);

/* Takes exactly count requests. */
void forest_take(struct forest *f, struct atr_root_request **requests, unsigned int count);

void forest_shuffle(unsigned int *order, unsigned int count);

/* Nothing waits any more. */
void forest_assert_idle(const struct forest *f);

#endif
