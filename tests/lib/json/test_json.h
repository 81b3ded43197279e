/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ATR_TEST_JSON_H
#define ATR_TEST_JSON_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "../../../lib/json/json.h"
#include "../../../lib/reason/reason.h"

/* Parses an exact-size heap copy, so that a read beyond the text is seen by AddressSanitizer. */
static inline uint8_t parse_bytes(struct atr_json_parser *parser, const char *text, size_t length,
				  const struct atr_json **root)
{
	char *copy = malloc(length ? length : 1);
	size_t offset = 0;
	uint8_t reason;

	assert_non_null(copy);
	memcpy(copy, text, length);
	reason = atr_json_parse(parser, copy, length, root, &offset);
	assert_true(offset <= length);
	free(copy);
	return reason;
}

static inline uint8_t parse_text(struct atr_json_parser *parser, const char *text,
				 const struct atr_json **root)
{
	return parse_bytes(parser, text, strlen(text), root);
}

int run_number_tests(void);
int run_order_tests(void);

#endif
