/* SPDX-License-Identifier: BSD-3-Clause */
/* 'atrctl governance ...': what the commands share. */
#ifndef ATRCTL_GOVERNANCE_H
#define ATRCTL_GOVERNANCE_H

#include <jansson.h>
#include <stdio.h>

#include "../../lib/envelope/envelope.h"
#include "judge.h"
#include "keyring.h"
#include "proposal.h"

#define GOVERN_HEX (2 * PROPOSAL_DIGEST + 1)

/* An operator who signs, under the plan that will judge the envelopes. */
struct govern {
	const char *command; /* "governance propose", for sentences */
	struct atr_plan *old,
		*new; /* in force, and proposed; NULL: not known; govern_close frees */
	const struct atr_plan *plan; /* old, or, where that is not at hand, new */
	const char *topic_name;      /* --topic, or NULL */
	struct keyring ring;         /* only and key filled in by the options */
	/* govern_open's. */
	const struct producer *producer;
	struct judge *judge;
	uint64_t mtu;
};

/* Of old and new one must be there. Loads the key and looks whether the plan lets it govern. 0, or
 * EXIT_USAGE after a sentence. */
int govern_open(struct govern *govern);
void govern_close(struct govern *govern);

/* Largest envelope that the plan takes and the path carries unfragmented, in bytes. */
size_t govern_limit(const struct govern *govern);

/* Signs payload (JSON text) as the type that serves use, and has the plan's own gates judge it:
 * writes the canonical envelope to out (ATR_DATAGRAM_MAX + 1 bytes) and returns its length, or
 * -EINVAL with a sentence in error. */
int govern_sign(struct govern *govern, enum atr_governance_use use, const char *payload, char *out,
		char *error);

/* A name that no file has yet, to be written; NULL after a sentence. */
FILE *govern_create(const char *command, const char *path);
/* Closes; 0, or EXIT_NEGATIVE after a sentence when not all of it could be written: it is removed
 * then. */
int govern_finish(const char *command, const char *path, FILE *file);

/* A plan's document as jansson has it; the caller's. */
json_t *govern_document(const struct atr_plan *plan);
/* The difference of two plans; the caller's. */
json_t *govern_diff(const struct atr_plan *old, const struct atr_plan *new);

/* May new take the place of old in flight: version above, atr_plan_compatible? 0 or -EINVAL with a
 * sentence in error. */
int govern_may_follow(const struct atr_plan *old, const struct atr_plan *new, char *error);

/* Prints "name version 3, digest ..": a plan in a word. */
void govern_print_plan(const char *lead, const struct atr_plan *plan);
/* {"name","version","digest"}; the caller's. */
json_t *govern_plan_json(const struct atr_plan *plan);

/* 64 hex digits to a digest; 0 or -EINVAL. */
int govern_digest(const char *text, uint8_t digest[PROPOSAL_DIGEST]);

int governance_propose(int argc, char **argv);
int governance_approve(int argc, char **argv);
int governance_push(int argc, char **argv);
int governance_diff(int argc, char **argv);
int governance_log(int argc, char **argv);
int governance_show(int argc, char **argv);
int governance_rehearse(int argc, char **argv);

#endif
