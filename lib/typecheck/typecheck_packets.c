/* SPDX-License-Identifier: BSD-3-Clause */
/* Runs of inline packets of one type: what a wide variant needs, compiled, and the scalar twin. */
#include "typecheck_internal.h"

#include "../reason/reason.h"

#define PAYLOAD_AT    offsetof(struct atr_packet, payload)
#define FLAGS_DECIDED (~ATR_FLAG_PRIORITY_MASK)

_Static_assert(ATR_PACKET_SIZE == TYPECHECK_BLOCK, "a packet is one vector");
_Static_assert(PAYLOAD_AT + ATR_INLINE_MAX == ATR_PACKET_SIZE, "an inline payload ends a packet");

/* Where the bytes of a field come from: those of the packet, put to the top of the lane (ranges) or
 * to its bottom (sets). */
static void take_bytes(struct typecheck_pick *pick, uint32_t lane, uint32_t offset, uint64_t shift,
		       bool to_top)
{
	uint32_t width = TYPECHECK_WORD - (uint32_t)shift / 8;
	uint32_t first = lane * TYPECHECK_WORD + (to_top ? TYPECHECK_WORD - width : 0);

	for (uint32_t i = 0; i < width; i++) {
		pick->index[first + i] = (uint8_t)(PAYLOAD_AT + offset + i);
		pick->used |= UINT64_C(1) << (first + i);
	}
}

static bool accepts_all(const struct typecheck_ranges *r, uint32_t i)
{
	int64_t low = (int64_t)(UINT64_C(1) << (TYPECHECK_WORD * 8 - 1));
	int64_t high = (int64_t)(~UINT64_C(0) << r->shift[i] & INT64_MAX);

	return r->min[i] == low && r->max[i] >= high;
}

/* Lanes that accept everything, padding among them, are left out. */
static bool pick_ranges(struct typecheck_wide *wide, const struct typecheck_ranges *r)
{
	uint32_t used = 0;

	for (uint32_t i = 0; i < r->count; i++) {
		struct typecheck_wide_range *to = &wide->range[used / TYPECHECK_GROUP];
		uint32_t lane = used % TYPECHECK_GROUP;

		if (accepts_all(r, i))
			continue;
		if (used == TYPECHECK_WIDE_RANGES * TYPECHECK_GROUP)
			return false;
		take_bytes(&to->pick, lane, (uint32_t)r->offset[i], r->shift[i], true);
		to->bias[lane] = r->bias[i];
		to->min[lane] = r->min[i];
		to->max[lane] = r->max[i];
		to->absent[lane] = r->absent[i];
		used++;
	}
	wide->ranges = (used + TYPECHECK_GROUP - 1) / TYPECHECK_GROUP;
	/* Lanes left over read zeros and accept them. */
	return true;
}

static bool pick_sets(struct typecheck_wide *wide, const struct typecheck_bits *b)
{
	struct typecheck_wide_set *to = &wide->set;
	const uint64_t padding = TYPECHECK_WORD * 8 - 1;
	uint32_t used = 0;

	for (uint32_t lane = 0; lane < TYPECHECK_GROUP; lane++)
		to->mask[lane] = 1;
	for (uint32_t i = 0; i < b->count; i++) {
		if (b->shift[i] == padding)
			continue;
		if (used == TYPECHECK_GROUP)
			return false;
		take_bytes(&to->pick, used, (uint32_t)b->offset[i], b->shift[i], false);
		to->mask[used] = b->mask[i];
		to->absent[used] = b->absent[i];
		used++;
	}
	wide->has_set = used > 0;
	return true;
}

/* Bits that every packet of the run has alike. */
static void pick_fixed(struct typecheck_wide *wide, const struct typecheck_zeros *zeros)
{
	uint8_t *care = (uint8_t *)wide->care;
	struct atr_packet fixed = {
		.flags = FLAGS_DECIDED, .sender_id = UINT32_MAX, .type_id = UINT32_MAX};

	for (uint32_t i = 0; i < ATR_INLINE_MAX; i++)
		if (zeros->bits >> i & 1)
			fixed.payload[i] = UINT8_MAX;
	memcpy(care, &fixed, sizeof(fixed));
}

void typecheck_compile_wide(struct atr_typecheck *type)
{
	struct typecheck_wide *wide = &type->wide;

	wide->usable = type->fits_inline && type->list_count == 0 && type->text_count == 0 &&
		       type->tail_max == 0 && pick_ranges(wide, &type->ranges) &&
		       pick_sets(wide, &type->bits);
	if (wide->usable)
		pick_fixed(wide, &type->inline_zeros);
}

unsigned int typecheck_packets_scalar(const struct atr_typecheck *type, uint32_t type_id,
				      uint32_t sender, const struct atr_packet *packets,
				      unsigned int count, uint8_t *passed)
{
	unsigned int all = 0;

	for (unsigned int i = 0; i < count; i++) {
		const struct atr_packet *p = &packets[i];

		passed[i] = (p->flags & FLAGS_DECIDED) == ATR_FLAG_INLINE &&
			    p->sender_id == sender && p->type_id == type_id &&
			    typecheck_scalar.ranges(&type->ranges, p->payload) &&
			    typecheck_scalar.bits(&type->bits, p->payload) &&
			    typecheck_scalar.zeros(&type->inline_zeros, 1, p->payload);
		all += passed[i];
	}
	return all;
}
