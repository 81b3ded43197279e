/* SPDX-License-Identifier: BSD-3-Clause */
/* What was sent through the rig, against what its ledgers, feeds and control lcore say. Main lcore,
 * between passes. */
#ifndef ATR_BENCH_BOOKS_H
#define ATR_BENCH_BOOKS_H

#include <jansson.h>
#include <stdint.h>

/* What all passes so far must have come to, of all shards. */
struct books {
	uint64_t admitted, refused, duplicate; /* events */
	uint64_t roots;                        /* good ones: each is verified once */
	uint64_t forged;                       /* roots whose signature is wrong */
};

/* Ends the process with one sentence if anything was lost, shed, misjudged or verified otherwise.
 */
void books_check(const struct books *sent);

/* Adds to a result "checks": what was sent, and what became of it. Returns them (borrowed). */
json_t *books_result(json_t *result, const struct books *sent);

/* Adds one pass of the stock with nothing wrong in it. */
void books_pass(struct books *sent);

/* Events of all shards and the control lcore. */
uint64_t books_admitted(void);
uint64_t books_delivered(void); /* into all feeds */
uint64_t books_refused(void);
uint64_t books_refused_for(uint8_t reason);
uint64_t books_duplicate(void);

/* Names what was refused, on standard error. */
void books_tell_refusals(void);

#endif
