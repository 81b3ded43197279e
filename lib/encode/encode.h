/* SPDX-License-Identifier: BSD-3-Clause */
/* Payloads between people's units and binary fields: JSON members to the bytes of a type, and back.
 *
 * Layer 4: lib/plan, lib/typecheck, lib/json, lib/reason. For producers and tools; not for data
 * lcores. Every function is pure and may be called from any thread.
 *
 * The payload of an event of a type with a binary form is a JSON object with one member a field,
 * in engineering units (value = raw * 10^-scale, which must be exact), and one for the tail, if
 * the type has one. null, or no member, stands for a field's absent value or for an empty text.
 */
#ifndef ATR_ENCODE_H
#define ATR_ENCODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../json/json.h"
#include "../plan/plan.h"
#include "../typecheck/typecheck.h"

/* Bytes that must be readable and writable behind a payload of the largest size (see
 * typecheck.h). */
#define ATR_ENCODE_SLACK 8
/* A buffer of this size holds every payload that atr_encode_payload can make. */
#define ATR_ENCODE_BUFFER (ATR_BINARY_SIZE_MAX + ATR_ENCODE_SLACK)
/* Longest text of a number, with terminator: sign, 20 digits, point, leading zeros. */
#define ATR_DECIMAL_MAX 40

/* Reads a decimal number ("-12.50", "1.2e-3": JSON's grammar) as raw = number * 10^scale, scale
 * 0..9. Unsigned results above INT64_MAX are given as the same bits. -EINVAL if text is not a
 * number or longer than 1,000,000 bytes, -EDOM if it has digits beyond the scale, -ERANGE if raw
 * does not fit 64 bits. */
int atr_decimal_parse(const char *text, size_t length, unsigned int scale, bool is_unsigned,
		      int64_t *raw);

/* Writes raw * 10^-scale as the shortest exact decimal text to out (ATR_DECIMAL_MAX bytes,
 * terminated) and returns its length. */
int atr_decimal_format(int64_t raw, unsigned int scale, bool is_unsigned, char *out);

/* True for the kinds whose raw values are uint64_t. */
bool atr_field_is_unsigned(const struct atr_field *field);

/* Encodes a JSON payload as a binary payload of type, of which the result passes the type's own
 * schema and canonical checks. out has ATR_ENCODE_BUFFER bytes. Returns the payload's length in
 * bytes, or -EINVAL with one sentence in error that names the member. atr_typecheck_select() must
 * have been called. */
int atr_encode_payload(const struct atr_type *type, const struct atr_json *payload, uint8_t *out,
		       char *error, size_t size);

/* Raw value of a numeric field, sign-extended if signed. */
int64_t atr_decode_raw(const struct atr_field *field, const uint8_t *payload);

/* True if the field's raw value stands for "not known". */
bool atr_decode_absent(const struct atr_field *field, const uint8_t *payload);

/* Value of a numeric field as decimal text in engineering units ("null" when absent); out has
 * ATR_DECIMAL_MAX bytes. Returns the length. */
int atr_decode_number(const struct atr_field *field, const uint8_t *payload, char *out);

/* Bytes of a text field before its zero padding; *length is how many. */
const char *atr_decode_text(const struct atr_field *field, const uint8_t *payload, size_t *length);

/* Bytes of the tail of a payload of length bytes (inline payloads: 36, padded with zeros); *length
 * is how many. NULL if the type has no tail or the payload is too short to hold one. */
const char *atr_decode_tail(const struct atr_type *type, const uint8_t *payload,
			    uint32_t payload_length, size_t *length);

#endif
