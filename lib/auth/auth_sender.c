/* SPDX-License-Identifier: BSD-3-Clause */
/* Senders: who has proven a root of late, and whose roots failed. */
#include "auth_internal.h"

#define MIX        UINT64_C(0x9E3779B97F4A7C15) /* odd: multiplication is a bijection */
#define SLOT_SHIFT 52                           /* the best bits of the product are the highest */
_Static_assert(1u << (64 - SLOT_SHIFT) == AUTH_SENDERS, "a slot of these bits");

uint16_t auth_sender_slot(const struct atr_auth *auth, uint32_t address)
{
	uint64_t mixed = (address ^ auth->secret[0]) * (auth->secret[1] | 1);

	return (uint16_t)((mixed ^ mixed >> 32) * MIX >> SLOT_SHIFT);
}

enum auth_standing auth_sender_standing(const struct atr_auth *auth, uint16_t slot)
{
	const struct auth_sender *sender = &auth->sender[slot];
	bool known, failing;

	if (auth->params.tsc_hz == 0)
		return AUTH_ALL;
	known = sender->proven_tsc > 0 && auth->now_tsc - sender->proven_tsc < auth->known_tsc;
	failing = sender->fails_tsc > auth->now_tsc + auth->params.tsc_hz;
	if (failing)
		return known ? AUTH_HALF : AUTH_NOTHING;
	return known ? AUTH_ALL : AUTH_HALF;
}

void auth_sender_proven(struct atr_auth *auth, uint16_t slot)
{
	auth->sender[slot].proven_tsc = auth->now_tsc;
}

/* One second's worth of failures may come at once. */
void auth_sender_failed(struct atr_auth *auth, uint16_t slot)
{
	struct auth_sender *sender = &auth->sender[slot];

	if (sender->fails_tsc < auth->now_tsc)
		sender->fails_tsc = auth->now_tsc;
	sender->fails_tsc += auth->fail_tsc;
}
