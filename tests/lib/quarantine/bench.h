/* SPDX-License-Identifier: BSD-3-Clause */
/* A directory of its own for each test, and items to put. */
#ifndef TEST_BENCH_H
#define TEST_BENCH_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include <jansson.h>

#include "../../../lib/quarantine/quarantine_internal.h"
#include "../../../lib/reason/reason.h"

extern struct rte_mempool *pool;
extern char directory[64];

int directory_make(void **state);
int directory_remove(void **state);

struct atr_quarantine_params params_default(void);
struct atr_quarantine *start(const struct atr_quarantine_params *params);
/* A UDP packet with length payload bytes, refused as a whole. */
struct atr_quarantine_item item_of(const uint8_t *payload, uint16_t length, uint8_t reason);
/* Puts an item, waiting while the ring is full. */
void put(struct atr_quarantine *quarantine, unsigned int producer,
	 const struct atr_quarantine_item *item);
/* Waits until count packets have been written or dropped. */
struct atr_quarantine_stats wait_for(struct atr_quarantine *quarantine, uint64_t count);

/* Runs a shell command and returns what it prints. */
char *output_of(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Every line of every audit file as an array; fails the test if one is not a JSON object. */
json_t *audit_lines(void);
unsigned int lines_in(const char *text);

int run_file_tests(void);

#endif
