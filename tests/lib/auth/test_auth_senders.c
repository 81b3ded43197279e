/* SPDX-License-Identifier: BSD-3-Clause */
/* Budgets by sender: what forged frames of one address cost everybody else. */
#include "forest.h"

#include <string.h>

#define HZ       UINT64_C(1000000000)
#define PENDING  16 /* roots of a source */
#define HOLD     64 /* frames of a source */
#define REAL     UINT32_C(0x0a000001)
#define ATTACKER UINT32_C(0x0a000002)
#define VICTIM   1 /* the source in whose name frames are forged */
#define TRIES    200

static const struct atr_auth_params params = {
	.trees = 64,
	.nodes_per_tree = 256,
	.pending_roots = 64,
	.pending_per_source = PENDING,
	.refused_roots = 4096,
	.hold_frames = 1024,
	.hold_per_source = HOLD,
	.tsc_hz = HZ,
};

/* Offers forged frames of the victim's, each of a root of its own; returns how many wait. */
static unsigned int forge(struct forest *f, struct item *item, unsigned int count)
{
	unsigned int held = 0;

	for (unsigned int i = 0; i < count; i++) {
		forest_lone(f, &item[i], VICTIM, i, 1000);
		item[i].bytes[140] ^= 1;
		held += forest_offer(f, &item[i]) == ATR_AUTH_HELD;
	}
	return held;
}

/* A frame of the victim's own, from its own address. */
static uint8_t real(struct forest *f, struct item *item)
{
	uint32_t before = f->address;
	uint8_t result;

	f->address = REAL;
	forest_lone(f, item, VICTIM, (unsigned int)f->next_sequence, 1000);
	result = forest_offer(f, item);
	f->address = before;
	return result;
}

static void begin(struct forest *f)
{
	struct item first;

	forest_start(f, &params);
	atr_auth_now(f->auth, 100 * HZ);
	assert_int_equal(real(f, &first), ATR_AUTH_HELD);
	forest_pump(f);
	assert_int_equal(first.result, ATR_OK);
}

/* The same, and an attacker has all of the victim's roots that a stranger gets. */
static void begin_besieged(struct forest *f)
{
	static struct item forged[TRIES];

	begin(f);
	f->address = ATTACKER;
	assert_int_equal(forge(f, forged, TRIES), PENDING / 2);
}

/* Invariant: whoever has proven nothing has half of a source's roots; the rest is for the sender
 * whose roots prove. */
static void half_is_for_the_known(void **state)
{
	static struct item mine[PENDING];
	struct forest f;

	(void)state;
	begin_besieged(&f);
	for (unsigned int i = 0; i < PENDING / 2; i++)
		assert_int_equal(real(&f, &mine[i]), ATR_AUTH_HELD);
	assert_int_equal(real(&f, &mine[PENDING / 2]), ATR_REASON_ROOT_BUDGET);
	forest_pump(&f);
	for (unsigned int i = 0; i < PENDING / 2; i++)
		assert_int_equal(mine[i].result, ATR_OK);
	forest_stop(&f);
}

/* Invariant: roots that fail count against their sender: after a second's worth it gets none until
 * time has paid for one, whatever source it names; nobody else is touched. */
static void failures_are_the_senders(void **state)
{
	static struct item forged[TRIES], more;
	struct forest f;
	unsigned int asked = 0;
	struct item mine;

	(void)state;
	begin(&f);
	f.address = ATTACKER;
	for (unsigned int round = 0; round < 2 * ATR_AUTH_FAILS / (PENDING / 2); round++) {
		asked += forge(&f, forged, PENDING / 2);
		forest_pump(&f);
	}
	assert_int_equal(asked, ATR_AUTH_FAILS + PENDING / 2);
	forest_lone(&f, &more, VICTIM + 1, 1, 1000);
	assert_int_equal(forest_offer(&f, &more), ATR_REASON_ROOT_BUDGET);
	assert_int_equal(real(&f, &mine), ATR_AUTH_HELD);
	forest_pump(&f);
	assert_int_equal(mine.result, ATR_OK);
	atr_auth_now(f.auth, 102 * HZ);
	assert_int_equal(forge(&f, forged, 1), 1);
	forest_pump(&f);
	forest_stop(&f);
}

/* Invariant: forged frames in the name and from the address of a known sender leave it the half
 * that any stranger has: it is slowed, never shut out. */
static void a_spoofed_address_is_not_shut_out(void **state)
{
	static struct item forged[TRIES];
	struct forest f;
	struct item mine;

	(void)state;
	begin(&f);
	f.address = REAL;
	for (unsigned int round = 0; round < 32; round++) {
		forge(&f, forged, PENDING);
		forest_pump(&f);
	}
	assert_int_equal(forge(&f, forged, PENDING), PENDING / 2);
	forest_pump(&f);
	assert_int_equal(real(&f, &mine), ATR_AUTH_HELD);
	forest_pump(&f);
	assert_int_equal(mine.result, ATR_OK);
	forest_stop(&f);
}

/* Invariant: a stranger's frames of one pending root have half of the source's hold. */
static void the_hold_too(void **state)
{
	struct forest f;
	struct tree t, u;
	unsigned int held = 0;

	(void)state;
	begin(&f);
	f.address = ATTACKER;
	t = forest_tree(&f, VICTIM, HOLD);
	for (unsigned int i = 0; i < HOLD; i++)
		held += forest_offer(&f, &t.item[i]) == ATR_AUTH_HELD;
	assert_int_equal(held, HOLD / 2);
	f.address = REAL;
	u = forest_tree(&f, VICTIM, HOLD);
	held = 0;
	for (unsigned int i = 0; i < HOLD; i++)
		held += forest_offer(&f, &u.item[i]) == ATR_AUTH_HELD;
	assert_int_equal(held, HOLD / 2);
	forest_pump(&f);
	forest_free(&t);
	forest_free(&u);
	forest_stop(&f);
}

/* Invariant: a sender that has proven nothing for a minute is a stranger again. */
static void standing_lapses(void **state)
{
	static struct item mine[PENDING];
	struct forest f;

	(void)state;
	begin_besieged(&f);
	atr_auth_now(f.auth, (100 + ATR_AUTH_KNOWN_S) * HZ - 1);
	assert_int_equal(real(&f, &mine[0]), ATR_AUTH_HELD);
	atr_auth_now(f.auth, (100 + ATR_AUTH_KNOWN_S) * HZ);
	assert_int_equal(real(&f, &mine[1]), ATR_REASON_ROOT_BUDGET);
	forest_pump(&f);
	forest_stop(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(half_is_for_the_known),
		cmocka_unit_test(failures_are_the_senders),
		cmocka_unit_test(a_spoofed_address_is_not_shut_out),
		cmocka_unit_test(the_hold_too),
		cmocka_unit_test(standing_lapses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
