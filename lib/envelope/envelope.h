/* SPDX-License-Identifier: BSD-3-Clause */
/* JSON envelopes: structure, canonical form and signed bytes (docs/wire-format.md).
 *
 * Layer 2: lib/json, lib/sign, lib/reason. Control lcore and tools only.
 */
#ifndef ATR_ENVELOPE_H
#define ATR_ENVELOPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../json/json.h"
#include "../sign/sign.h"

/* What is signed: prefix, realm (u64 little-endian), then the RFC 8785 bytes of all members but
 * "signature". */
#define ATR_ENVELOPE_PREFIX      "ATR/envelope/v1\n"
#define ATR_ENVELOPE_PREFIX_SIZE 16
_Static_assert(sizeof(ATR_ENVELOPE_PREFIX) - 1 == ATR_ENVELOPE_PREFIX_SIZE, "prefix is 16 bytes");
#define ATR_ENVELOPE_VERSION  1
#define ATR_ENVELOPE_NAME_MAX 255 /* bytes of header.source, header.topic and header.type */

/* A parsed envelope; pointers into the parser's memory. */
struct atr_envelope {
	bool has_uuid;         /* uuid is valid, also where parsing refused something else */
	uint8_t uuid[16];      /* header.id */
	uint64_t uuid_ms;      /* its Unix time in milliseconds */
	uint64_t timestamp_ns; /* header.timestamp */
	const struct atr_json *source; /* strings */
	const struct atr_json *topic;
	const struct atr_json *type;
	const struct atr_json *meta; /* object, or NULL */
	const struct atr_json *payload;
	const struct atr_json *root;
	uint8_t signature[ATR_SIG_SIZE];
};

/* Gate 1 up to the payload's own schema: JSON, then the envelope's members in this order:
 * ENVELOPE_MEMBER, ENVELOPE_ID, ENVELOPE_TIMESTAMP, ENVELOPE_VERSION, ENVELOPE_SIGNATURE_FORM.
 * header: exactly id, source, timestamp, topic, type (strings), version (number 1).
 * timestamp is RFC 3339 in UTC: "YYYY-MM-DDTHH:MM:SS[.1-9 digits]Z", years 1970..2261, no leap
 * second; the fraction has no trailing zero. payload is any JSON value; meta, if present, an
 * object. */
uint8_t atr_envelope_parse(struct atr_json_parser *parser, const char *text, size_t length,
			   struct atr_envelope *envelope);

/* Gate 2: ENVELOPE_NOT_CANONICAL unless text equals the RFC 8785 form of what was parsed. */
uint8_t atr_envelope_canonical(const struct atr_envelope *envelope, const char *text,
			       size_t length);

/* Writes the bytes to be signed; returns their length or -EMSGSIZE. */
int atr_envelope_signed_bytes(const struct atr_envelope *envelope, uint64_t realm, uint8_t *out,
			      size_t capacity);

/* What a producer puts into an envelope. payload and meta are JSON text (meta may be NULL). */
struct atr_envelope_spec {
	uint8_t uuid[16];
	uint64_t timestamp_ns;
	const char *source, *topic, *type;
	const char *payload;
	const char *meta;
};

/* Builds, signs and writes a canonical envelope to out (terminated); returns its length, or
 * -EINVAL (payload or meta is no I-JSON, or atr_envelope_parse would refuse the result: a name too
 * long or not UTF-8, a uuid that is no UUIDv7, nesting, time beyond 2261), -EMSGSIZE, -ENOMEM.
 * Unless the result is positive, out holds nothing of use. */
int atr_envelope_build(const struct atr_envelope_spec *spec, uint64_t realm,
		       const struct atr_signer *signer, char *out, size_t capacity);

/* New UUIDv7 (RFC 9562) for a time in milliseconds, random bits from libsodium. */
void atr_uuid7_new(uint64_t unix_ms, uint8_t uuid[16]);

/* Lowercase text form, 37 bytes with terminator. */
void atr_uuid_format(const uint8_t uuid[16], char *out);

/* Parses the 36 lowercase characters of a UUIDv7; -EINVAL if it is not one. */
int atr_uuid7_parse(const char *text, size_t length, uint8_t uuid[16]);

/* RFC 3339 UTC text of a time, shortest fraction; at least 31 bytes. Returns the length. */
int atr_time_format(uint64_t ns, char *out);

/* Inverse, by the rule above; -EINVAL if text is not of that form. */
int atr_time_parse(const char *text, size_t length, uint64_t *ns);

#endif
