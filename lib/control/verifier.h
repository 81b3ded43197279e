/* SPDX-License-Identifier: BSD-3-Clause */
/* A verifier lcore: checks signatures of roots for the control lcore, so that many small sources
 * are not bound by one core. It knows no plan: the control lcore looks the key up before it asks
 * and once more when the answer comes. Roots of one source always go to one verifier, so that their
 * verdicts stay in order.
 *
 * Layer 8, beside control. */
#ifndef ATR_VERIFIER_H
#define ATR_VERIFIER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../auth/auth.h"
#include "../sign/sign.h"

#define ATR_VERIFIERS_MAX 16

/* A question, and with good and cycles its answer. */
struct atr_verify_job {
	struct atr_root_request *request; /* the shard's; head and signature are read */
	uint8_t public_key[ATR_PUBLIC_KEY_SIZE];
	uint64_t cycles; /* TSC, that the verification took; written by the verifier */
	uint32_t good;   /* 1: the signature is the key's; written by the verifier */
	uint32_t zero;
};
_Static_assert(sizeof(struct atr_verify_job) % 4 == 0, "an element of a ring");

struct atr_verifier;

/* roots: the most that can be under way, 1 to 2^22. NULL with one sentence in error. Control lcore,
 * as is free, which comes after the verifier's lcore has ended. */
struct atr_verifier *atr_verifier_create(unsigned int id, unsigned int roots, int socket,
					 char *error, size_t size);
void atr_verifier_free(struct atr_verifier *verifier);

/* Control lcore. False if as many roots as were declared are under way. */
bool atr_verifier_ask(struct atr_verifier *verifier, struct atr_verify_job *job);

/* Control lcore. Takes up to max answers, in the order of the questions. */
unsigned int atr_verifier_answers(struct atr_verifier *verifier, struct atr_verify_job *jobs,
				  unsigned int max);

/* Questions and answers on the way; a hint. Any thread. */
unsigned int atr_verifier_busy(const struct atr_verifier *verifier);

/* The verifier's lcore, one turn: a few questions. Returns how many. */
unsigned int atr_verifier_run(struct atr_verifier *verifier);

#endif
