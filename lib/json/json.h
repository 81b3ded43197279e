/* SPDX-License-Identifier: BSD-3-Clause */
/* I-JSON (RFC 7493) parser and RFC 8785 canonical writer, for envelopes.
 *
 * Layer 1: depends on lib/reason; numbers by double-conversion (ECMAScript's shortest form).
 * A document lives in one caller-owned arena: parsing never calls an allocator, is not recursive
 * beyond ATR_JSON_DEPTH_MAX, and takes time linear in the input (members are sorted in
 * O(n log n)). Not for data lcores. A parser object is used by one thread at a time.
 */
#ifndef ATR_JSON_H
#define ATR_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ATR_JSON_DEPTH_MAX 32    /* arrays and objects inside each other */
#define ATR_JSON_NODES_MAX 4096  /* values in a document */
#define ATR_JSON_BYTES_MAX 65536 /* largest document text */

enum atr_json_type {
	ATR_JSON_NULL,
	ATR_JSON_FALSE,
	ATR_JSON_TRUE,
	ATR_JSON_NUMBER,
	ATR_JSON_STRING,
	ATR_JSON_ARRAY,
	ATR_JSON_OBJECT
};

/* A value. Strings and names are UTF-8, unescaped, may hold U+0000, are not terminated. Members of
 * an object are linked in RFC 8785 order (UTF-16 code units of their names), elements of an array
 * in input order. */
struct atr_json {
	enum atr_json_type type;
	uint32_t count;               /* members or elements; for strings: code points */
	const char *name;             /* of a member of an object, else NULL */
	uint32_t name_length;         /* bytes */
	uint32_t string_length;       /* bytes */
	const char *string;           /* STRING */
	double number;                /* NUMBER */
	const struct atr_json *child; /* first member or element */
	const struct atr_json *next;  /* next sibling */
	uint32_t offset;              /* of the value's first byte in the input */
};

/* Parser with its memory (nodes and unescaped strings). */
struct atr_json_parser;

/* NULL when out of memory. */
struct atr_json_parser *atr_json_parser_create(void);
void atr_json_parser_destroy(struct atr_json_parser *parser);

/* Parses text; *root is valid until the next call with this parser, or its destruction, and does
 * not point into text. Accepts any JSON that is I-JSON, canonical or not; white space around is
 * allowed. Refuses with JSON_SYNTAX, JSON_UTF8, JSON_DUPLICATE_NAME, JSON_SURROGATE (also for
 * noncharacters, which RFC 7493 forbids in the same sentence), JSON_NUMBER (overflow to infinity; a
 * number without fraction and exponent beyond +-(2^53-1)), JSON_DEPTH, JSON_SIZE (nodes or bytes),
 * JSON_TRAILING. *error_offset (may be NULL) is where. */
uint8_t atr_json_parse(struct atr_json_parser *parser, const char *text, size_t length,
		       const struct atr_json **root, size_t *error_offset);

/* Member of an object by name, or NULL. */
const struct atr_json *atr_json_member(const struct atr_json *object, const char *name);

/* True if string value equals the terminated text. */
bool atr_json_string_is(const struct atr_json *value, const char *text);

/* Writes the RFC 8785 form of value to out and returns its length in bytes; -EMSGSIZE if it does
 * not fit capacity. Members of the top-level object called except (terminated; may be NULL) are
 * left out. */
int atr_json_canonical(const struct atr_json *value, const char *except, char *out,
		       size_t capacity);

/* True if text is the RFC 8785 form of value; compares without a buffer. */
bool atr_json_is_canonical(const struct atr_json *value, const char *text, size_t length);

/* RFC 8785 order of two names in UTF-8 (by UTF-16 code units): below, equal to or above 0. */
int atr_json_compare_names(const char *a, size_t a_length, const char *b, size_t b_length);

/* ECMAScript's Number::toString of a finite value, to out (at least 32 bytes, terminated);
 * returns the length. */
int atr_json_number(double value, char *out);

/* Deep equality as JSON values (numbers by value). */
bool atr_json_equal(const struct atr_json *a, const struct atr_json *b);

#endif
