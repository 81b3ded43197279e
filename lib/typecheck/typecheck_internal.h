/* SPDX-License-Identifier: BSD-3-Clause */
/* Compiled form of a type, shared by the scalar and the wide variants. Private to lib/typecheck.
 *
 * Lanes are padded to a multiple of TYPECHECK_GROUP with lanes that read offset 0 and accept every
 * value; a type without fields has no lanes, so that an empty payload is never read.
 */
#ifndef ATR_TYPECHECK_INTERNAL_H
#define ATR_TYPECHECK_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "../wire/frame.h"
#include "typecheck.h"

#define TYPECHECK_GROUP 8  /* lanes of the widest variant: 64 bytes of 8-byte lanes */
#define TYPECHECK_BLOCK 64 /* payload bytes that one zero mask covers */
#define TYPECHECK_WORD  8

_Static_assert(ATR_FIELDS_MAX % TYPECHECK_GROUP == 0, "padded lanes fit their arrays");
_Static_assert(ATR_BINARY_SIZE_MAX % TYPECHECK_BLOCK == 0, "blocks cover the largest payload");

/* Values must lie in [min, max] or equal absent, all shifted to the top and biased. */
struct typecheck_ranges {
	uint64_t shift[ATR_FIELDS_MAX];
	uint64_t bias[ATR_FIELDS_MAX];
	int64_t min[ATR_FIELDS_MAX];
	int64_t max[ATR_FIELDS_MAX];
	int64_t absent[ATR_FIELDS_MAX]; /* min, where the field has no absent value */
	int32_t offset[ATR_FIELDS_MAX];
	uint32_t count; /* padded */
} __attribute__((aligned(64)));

/* Enumerations of values 0..63: bit v of mask is set, or v equals absent; v zero-extended. */
struct typecheck_bits {
	uint64_t shift[ATR_FIELDS_MAX];
	uint64_t mask[ATR_FIELDS_MAX];
	uint64_t absent[ATR_FIELDS_MAX]; /* a member of mask, where the field has no absent value */
	int32_t offset[ATR_FIELDS_MAX];
	uint32_t count; /* padded */
} __attribute__((aligned(64)));

/* Any other enumeration: values as atr_lane_load gives them, ascending. */
struct typecheck_list {
	struct atr_lane lane;
	uint32_t count;
	int64_t values[ATR_FIELD_ENUM_MAX + 1]; /* an absent value is one of them */
};

struct typecheck_text {
	uint16_t offset;
	uint16_t width;
};

/* Bytes offset..offset+63 of the payload whose bit is set must be zero. words says the same a
 * byte at a time. Set bits lie within the payload, so that masked loads read nothing else, and
 * 8-byte loads at most 7 bytes behind it. */
struct typecheck_zeros {
	uint64_t bits;
	uint64_t words[TYPECHECK_BLOCK / TYPECHECK_WORD];
	uint32_t offset;
	uint32_t word_count; /* words up to the last that is not zero */
};

#define TYPECHECK_WIDE_RANGES 2 /* groups of ranges that a run of packets is compared with */

/* Which bytes of a packet go where in a vector; the others are zero. */
struct typecheck_pick {
	uint8_t index[ATR_PACKET_SIZE];
	uint64_t used;
} __attribute__((aligned(64)));

/* As typecheck_ranges and typecheck_bits, of fields that were picked: values already at the top of
 * their lanes, or at the bottom. */
struct typecheck_wide_range {
	struct typecheck_pick pick;
	uint64_t bias[TYPECHECK_GROUP];
	int64_t min[TYPECHECK_GROUP], max[TYPECHECK_GROUP], absent[TYPECHECK_GROUP];
};

struct typecheck_wide_set {
	struct typecheck_pick pick;
	uint64_t mask[TYPECHECK_GROUP], absent[TYPECHECK_GROUP];
};

/* Both gates over a whole inline packet at once. */
struct typecheck_wide {
	uint64_t care[ATR_PACKET_SIZE / TYPECHECK_WORD]; /* bits that are the same in all packets */
	struct typecheck_wide_range range[TYPECHECK_WIDE_RANGES];
	struct typecheck_wide_set set;
	uint32_t ranges; /* groups in use */
	bool has_set;
	bool usable; /* no text, tail or long enumeration, and few enough fields */
};

struct atr_typecheck {
	uint32_t fixed_size;
	uint32_t tail_max;
	uint32_t inline_tail; /* bytes of the tail that fit an inline payload */
	bool fits_inline;
	uint32_t list_count;
	uint32_t text_count;
	uint32_t zero_count;
	struct typecheck_ranges ranges;
	struct typecheck_bits bits;
	struct typecheck_zeros inline_zeros; /* the fixed part's, and what follows it */
	struct typecheck_list *lists;
	struct typecheck_text texts[ATR_FIELDS_MAX];
	struct typecheck_zeros *zeros; /* of the fixed part; only blocks that have any */
	struct typecheck_wide wide;
};

/* One variant. Each returns true if the payload passes. */
struct typecheck_variant {
	bool (*ranges)(const struct typecheck_ranges *ranges, const uint8_t *payload);
	bool (*bits)(const struct typecheck_bits *bits, const uint8_t *payload);
	bool (*zeros)(const struct typecheck_zeros *zeros, uint32_t count, const uint8_t *payload);
};

/* atr_typecheck_packets() for types that are usable. */
typedef unsigned int (*typecheck_packets_fn)(const struct atr_typecheck *type, uint32_t type_id,
					     uint32_t sender, const struct atr_packet *packets,
					     unsigned int count, uint8_t *passed);
unsigned int typecheck_packets_scalar(const struct atr_typecheck *type, uint32_t type_id,
				      uint32_t sender, const struct atr_packet *packets,
				      unsigned int count, uint8_t *passed);
unsigned int typecheck_packets_vbmi(const struct atr_typecheck *type, uint32_t type_id,
				    uint32_t sender, const struct atr_packet *packets,
				    unsigned int count, uint8_t *passed);

/* Fills type->wide from the rest. */
void typecheck_compile_wide(struct atr_typecheck *type);

extern const struct typecheck_variant typecheck_scalar;
extern const struct typecheck_variant typecheck_avx2;
extern const struct typecheck_variant typecheck_avx512;

/* Length of the text in a field of width bytes, or -1 if it is not UTF-8 without control
 * characters (U+0000..001F, U+007F..009F). The text ends at the first zero byte. */
int32_t typecheck_text_length(const uint8_t *text, uint32_t width);

#endif
