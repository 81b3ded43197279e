/* SPDX-License-Identifier: BSD-3-Clause */
/* Private to lib/json. */
#ifndef ATR_JSON_INTERNAL_H
#define ATR_JSON_INTERNAL_H

#include "json.h"

#define JSON_WORD        sizeof(uint64_t)
#define JSON_EXACT_MAX   9007199254740991.0 /* 2^53-1 */
#define JSON_NUMBER_SIZE 32                 /* bytes that hold any number's text */

/* Input position and where unescaped bytes go. The output never outgrows the input: every escape
 * is longer than what it stands for; the slack lets whole words be stored. */
struct json_cursor {
	const char *text;
	const char *end;
	const char *at;
	char *out;
};

struct atr_json_parser {
	uint32_t used; /* nodes */
	struct atr_json nodes[ATR_JSON_NODES_MAX];
	char strings[ATR_JSON_BYTES_MAX + JSON_WORD];
};

/* High bit set in each byte of word that is below 0x20, a quote, a backslash, or (so that no
 * borrow from a neighbour matters) above such a byte; the lowest set one is exact. */
static inline uint64_t json_special(uint64_t word)
{
	const uint64_t ones = UINT64_C(0x0101010101010101);
	const uint64_t high = UINT64_C(0x8080808080808080);
	uint64_t quote = word ^ (ones * '"');
	uint64_t slash = word ^ (ones * '\\');

	return (((word - ones * 0x20) & ~word) | ((quote - ones) & ~quote) |
		((slash - ones) & ~slash)) &
	       high;
}

/* Reads the rest of a string behind its opening quote, unescaped, into cursor->out. */
uint8_t json_read_string(struct json_cursor *cursor, const char **string, uint32_t *length,
			 uint32_t *points);

/* Reads a number at cursor. */
uint8_t json_read_number(struct json_cursor *cursor, double *value);

/* number.cc: correctly rounded value of length bytes of JSON number text; infinite on overflow. */
double json_decimal_to_double(const char *text, int length);

/* number.cc: ECMAScript text of value to out (JSON_NUMBER_SIZE bytes); returns its length. */
int json_double_to_text(double value, char *out);

#endif
