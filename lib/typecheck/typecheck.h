/* SPDX-License-Identifier: BSD-3-Clause */
/* Binary payload checks: typed fields at fixed offsets, compiled to flat tables of lanes.
 *
 * Layer 1: depends on lib/reason and lib/wire. Compiled on the control lcore, immutable afterwards;
 * the check functions are hot path, re-entrant, and may be called from any lcore. AVX-512 and AVX2
 * variants equal the scalar one bit for bit (tests/lib/typecheck); which runs is chosen once by
 * atr_typecheck_select().
 *
 * Payloads are little-endian. A lane loads 8 bytes at payload + offset, so at least 7 bytes must
 * be readable behind a payload; in a frame the trailer guarantees that.
 */
#ifndef ATR_TYPECHECK_H
#define ATR_TYPECHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum atr_field_kind {
	ATR_FIELD_U8,
	ATR_FIELD_U16,
	ATR_FIELD_U32,
	ATR_FIELD_U64,
	ATR_FIELD_I8,
	ATR_FIELD_I16,
	ATR_FIELD_I32,
	ATR_FIELD_I64,
	ATR_FIELD_TEXT /* UTF-8 without control characters, zero-padded to its width */
};

#define ATR_FIELDS_MAX      32
#define ATR_FIELD_ENUM_MAX  64
#define ATR_BINARY_SIZE_MAX 8192 /* fixed part plus tail, bytes */

/* One declared field. Signed kinds use the int64_t, unsigned ones the same bits as uint64_t. */
struct atr_field {
	char name[64];
	enum atr_field_kind kind;
	uint16_t offset; /* bytes into the payload */
	uint16_t width;  /* bytes; 1, 2, 4, 8, or a text's length */
	int8_t scale;    /* value = raw * 10^-scale; 0..9 */
	bool has_absent; /* raw value absent_raw means "not known" and is always in range */
	int64_t absent_raw;
	int64_t min_raw, max_raw; /* inclusive */
	uint16_t enum_count;      /* 0: no enumeration */
	int64_t enum_raw[ATR_FIELD_ENUM_MAX];
};

/* A comparison of one numeric field, ready to run: load 8 bytes, shift the field to the top, flip
 * the sign bit of unsigned ones, compare as signed. */
struct atr_lane {
	uint16_t offset;
	uint8_t shift;            /* 64 - 8 * width */
	uint8_t negate;           /* predicates only: match outside [min, max] */
	uint8_t has_absent;       /* predicates: an absent value never matches */
	uint64_t bias;            /* 0, or 1 << 63 for unsigned fields */
	int64_t min, max, absent; /* shifted and biased */
};

static inline int64_t atr_lane_load(const struct atr_lane *lane, const uint8_t *payload)
{
	uint64_t v;

	memcpy(&v, payload + lane->offset, sizeof(v));
	return (int64_t)((v << lane->shift) ^ lane->bias);
}

/* Evaluates lane as a predicate. */
static inline bool atr_lane_match(const struct atr_lane *lane, const uint8_t *payload)
{
	int64_t v = atr_lane_load(lane, payload);

	if (lane->has_absent && v == lane->absent)
		return false;
	return (v >= lane->min && v <= lane->max) != (bool)lane->negate;
}

/* Makes a predicate lane that matches raw values in [min_raw, max_raw] (or outside, negated).
 * -EINVAL for a text field, -ERANGE if a bound is no value of the kind. min_raw above max_raw makes
 * an empty range. */
int atr_lane_compile(const struct atr_field *field, int64_t min_raw, int64_t max_raw, bool negate,
		     struct atr_lane *lane);

/* A compiled type. */
struct atr_typecheck;

/* Compiles count fields of a payload whose fixed part is fixed_size bytes, followed by a UTF-8 tail
 * of at most tail_max bytes (0: none). Bytes of the fixed part under no field must be zero. On
 * failure returns NULL with a sentence in error naming the field: overlap, beyond fixed_size,
 * empty range, enumeration outside the range, sizes above ATR_BINARY_SIZE_MAX. */
struct atr_typecheck *atr_typecheck_compile(const struct atr_field *fields, unsigned int count,
					    uint32_t fixed_size, uint32_t tail_max, char *error,
					    size_t size);
void atr_typecheck_free(struct atr_typecheck *type);

/* Largest payload of the type in bytes (fixed part plus tail). */
uint32_t atr_typecheck_max_size(const struct atr_typecheck *type);

/* Gate schema for one payload: PAYLOAD_LENGTH, FIELD_RANGE, FIELD_ENUM, FIELD_TEXT, or ATR_OK; the
 * first failing check in this order (all ranges before all enumerations before all texts).
 * in_arena tells whether length is exact (arena) or padded to 36 (inline). */
uint8_t atr_typecheck_schema(const struct atr_typecheck *type, const uint8_t *payload,
			     uint32_t length, bool in_arena);

/* Gate canonical for one payload that passed atr_typecheck_schema: PAYLOAD_PADDING unless all bytes
 * under no field, behind the end of texts and behind an inline payload are zero. */
uint8_t atr_typecheck_canonical(const struct atr_typecheck *type, const uint8_t *payload,
				uint32_t length, bool in_arena);

struct atr_packet;

/* Both gates for count consecutive packets of a frame, at once: passed[i] is set to 1 exactly if
 * packet i is inline with no flag but a priority, has this sender and this type_id (which type
 * belongs to), and its payload passes atr_typecheck_schema() and atr_typecheck_canonical(); else to
 * 0, which does not say why. As with one payload, 7 bytes behind the last packet must be readable.
 * The topic is not looked at. Types with texts, a tail, enumerations beyond 0..63 or more than 16
 * ranges and 8 enumerations pass nothing here. Returns how many passed. */
unsigned int atr_typecheck_packets(const struct atr_typecheck *type, uint32_t type_id,
				   uint32_t sender, const struct atr_packet *packets,
				   unsigned int count, uint8_t *passed);

enum atr_simd { ATR_SIMD_SCALAR, ATR_SIMD_AVX2, ATR_SIMD_AVX512 };

/* Chooses the variant for the process: the widest that the CPU has and max_bits (64 scalar, 256,
 * 512: from rte_vect_get_max_simd_bitwidth()) allows. Returns it. Call before any check runs. */
enum atr_simd atr_typecheck_select(unsigned int max_bits);

#endif
