/* SPDX-License-Identifier: BSD-3-Clause */
/* Bounds: budgets, eviction, the order of release, and what shutdown and revocation do. */
#include "forest.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

/* Invariant: a flood of unknown roots from one source ends at its own budgets; another source is
 * served throughout. */
static void a_flood_stays_within_its_source(void **state)
{
	struct atr_auth_params params = forest_roomy;
	struct forest f;
	struct item flood[200];
	unsigned int held = 0, refused = 0;
	struct tree t;

	(void)state;
	params.pending_roots = 32;
	params.pending_per_source = 8;
	params.hold_frames = 64;
	params.hold_per_source = 16;
	forest_start(&f, &params);
	for (unsigned int i = 0; i < 200; i++) {
		forest_lone(&f, &flood[i], 1, i, 1000);
		flood[i].bytes[140] ^= 1;
		forest_offer(&f, &flood[i]);
		held += flood[i].result == ATR_AUTH_HELD;
		refused += flood[i].result == ATR_REASON_ROOT_BUDGET;
	}
	assert_int_equal(held, 8);
	assert_int_equal(refused, 192);
	assert_int_equal(atr_auth_stats(f.auth)->pending_roots, 8);
	t = forest_tree(&f, 2, 10);
	for (unsigned int i = 0; i < 10; i++)
		assert_int_equal(forest_offer(&f, &t.item[i]), ATR_AUTH_HELD);
	forest_pump(&f);
	for (unsigned int i = 0; i < 10; i++)
		assert_int_equal(t.item[i].result, ATR_OK);
	for (unsigned int i = 0; i < 8; i++)
		assert_int_equal(flood[i].result, ATR_REASON_BAD_SIGNATURE);
	/* The budget came back with the verdicts. */
	assert_int_equal(forest_offer(&f, &flood[100]), ATR_AUTH_HELD);
	forest_pump(&f);
	forest_assert_idle(&f);
	forest_free(&t);
	forest_stop(&f);
}

/* Invariant: the hold is bounded, a source and altogether; a refused frame leaves nothing behind,
 * and no root is asked for that nobody could wait for. */
static void the_hold_is_bounded(void **state)
{
	struct atr_auth_params params = forest_roomy;
	struct forest f;
	struct tree t, u, v;

	(void)state;
	params.hold_frames = 10;
	params.hold_per_source = 6;
	forest_start(&f, &params);
	t = forest_tree(&f, 1, 20);
	u = forest_tree(&f, 2, 20);
	v = forest_tree(&f, 3, 1);
	for (unsigned int i = 0; i < 20; i++)
		assert_int_equal(forest_offer(&f, &t.item[i]),
				 i < 6 ? ATR_AUTH_HELD : ATR_REASON_HOLD_FULL);
	for (unsigned int i = 0; i < 20; i++)
		assert_int_equal(forest_offer(&f, &u.item[i]),
				 i < 4 ? ATR_AUTH_HELD : ATR_REASON_HOLD_FULL);
	assert_int_equal(forest_offer(&f, &v.item[0]), ATR_REASON_HOLD_FULL);
	assert_int_equal(atr_auth_stats(f.auth)->roots_asked, 2);
	assert_int_equal(atr_auth_stats(f.auth)->held_frames, 10);
	forest_pump(&f);
	for (unsigned int i = 0; i < 20; i++) {
		assert_int_equal(forest_offer(&f, &t.item[i]), ATR_OK);
		assert_int_equal(forest_offer(&f, &u.item[i]), ATR_OK);
	}
	forest_offer(&f, &v.item[0]);
	forest_pump(&f);
	assert_int_equal(v.item[0].result, ATR_OK);
	forest_assert_idle(&f);
	forest_free(&t);
	forest_free(&u);
	forest_free(&v);
	forest_stop(&f);
}

/* Invariant: pending roots are bounded altogether, beside the bound a source. */
static void pending_roots_are_bounded(void **state)
{
	struct atr_auth_params params = forest_roomy;
	struct item item[6];
	struct forest f;

	(void)state;
	params.pending_roots = 4;
	params.pending_per_source = 4;
	params.trees = 1;
	forest_start(&f, &params);
	for (unsigned int i = 0; i < 6; i++) {
		forest_lone(&f, &item[i], 1 + i, 0, 9);
		assert_int_equal(forest_offer(&f, &item[i]),
				 i < 4 ? ATR_AUTH_HELD : ATR_REASON_ROOT_BUDGET);
	}
	forest_pump(&f);
	for (unsigned int i = 0; i < 4; i++)
		assert_int_equal(item[i].result, ATR_OK);
	for (unsigned int i = 4; i < 6; i++)
		assert_int_equal(forest_offer(&f, &item[i]), ATR_AUTH_HELD);
	forest_pump(&f);
	forest_assert_idle(&f);
	forest_stop(&f);
}

/* Invariant: frames leave in the order of verdicts, and within a root in the order of arrival,
 * each with the reason of its own root, however few are taken at a time. */
static void order_of_release(void **state)
{
	struct atr_root_request *request[3];
	struct tree t[3];
	struct forest f;
	void *cookie;
	uint8_t reason;

	(void)state;
	forest_start(&f, &forest_roomy);
	for (unsigned int k = 0; k < 3; k++)
		t[k] = forest_tree(&f, 1 + k, 8);
	for (unsigned int i = 0; i < 8; i++)
		for (unsigned int k = 0; k < 3; k++)
			forest_offer(&f, &t[k].item[(i * 3) % 8]);
	forest_take(&f, request, 3);
	assert_int_equal(atr_auth_release(f.auth, &cookie, &reason, 1), 0);
	request[2]->verdict = ATR_OK;
	atr_auth_verdict(f.auth, request[2]);
	request[0]->verdict = ATR_REASON_KEY_TIME;
	atr_auth_verdict(f.auth, request[0]);
	request[1]->verdict = ATR_OK;
	atr_auth_verdict(f.auth, request[1]);
	for (unsigned int n = 0; n < 24; n++) {
		static const unsigned int root[] = {2, 0, 1};
		unsigned int k = root[n / 8];

		assert_int_equal(atr_auth_release(f.auth, &cookie, &reason, 1), 1);
		assert_ptr_equal(cookie, &t[k].item[(n % 8 * 3) % 8]);
		assert_int_equal(reason, k == 0 ? ATR_REASON_KEY_TIME : ATR_OK);
	}
	assert_int_equal(atr_auth_release(f.auth, &cookie, &reason, 1), 0);
	forest_assert_idle(&f);
	for (unsigned int k = 0; k < 3; k++)
		forest_free(&t[k]);
	forest_stop(&f);
}

/* Invariant: what the control lcore refuses for the bytes is remembered with its reason; what it
 * refuses for want of room is asked again. A request that nobody judged is no proof. */
static void verdicts_are_remembered_if_final(void **state)
{
	static const struct {
		uint8_t verdict, expected;
		bool again;
	} row[] = {{ATR_REASON_BAD_SIGNATURE, ATR_REASON_BAD_SIGNATURE, false},
		   {ATR_REASON_UNKNOWN_KEY, ATR_REASON_UNKNOWN_KEY, false},
		   {ATR_REASON_BRIDGE_FULL, ATR_REASON_BRIDGE_FULL, true},
		   {ATR_REASON_SHUTDOWN, ATR_REASON_SHUTDOWN, true},
		   {ATR_DUPLICATE, ATR_REASON_BAD_SIGNATURE, false},
		   {ATR_AUTH_HELD, ATR_REASON_BAD_SIGNATURE, false}};
	struct atr_root_request *request;
	struct item item;
	struct forest f;
	void *cookie;
	uint8_t reason;

	(void)state;
	forest_start(&f, &forest_roomy);
	for (unsigned int i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		forest_lone(&f, &item, 1, 0, 5);
		assert_int_equal(forest_offer(&f, &item), ATR_AUTH_HELD);
		forest_take(&f, &request, 1);
		assert_int_not_equal(request->verdict, ATR_OK);
		request->verdict = row[i].verdict;
		atr_auth_verdict(f.auth, request);
		atr_auth_verdict(f.auth, request); /* twice is once */
		assert_int_equal(atr_auth_release(f.auth, &cookie, &reason, 1), 1);
		assert_int_equal(reason, row[i].expected);
		assert_int_equal(forest_offer(&f, &item),
				 row[i].again ? ATR_AUTH_HELD : row[i].expected);
		forest_pump(&f);
		assert_int_equal(item.result, row[i].again ? ATR_OK : row[i].expected);
		forest_assert_idle(&f);
	}
	forest_stop(&f);
}

/* Invariant: with room for almost nothing, everything valid is still accepted, and nothing else. */
static void eviction_pressure(void **state)
{
	struct atr_auth_params params = {.trees = 1,
					 .nodes_per_tree = 4,
					 .pending_roots = 3,
					 .pending_per_source = 2,
					 .refused_roots = 1,
					 .hold_frames = 5,
					 .hold_per_source = 3};
	struct tree t[4];
	struct item bad;
	struct forest f;

	(void)state;
	forest_start(&f, &params);
	for (unsigned int k = 0; k < 4; k++)
		t[k] = forest_tree(&f, 1 + k, 50);
	for (unsigned int n = 0; n < 4000; n++) {
		struct item *item = &t[randombytes_uniform(4)].item[randombytes_uniform(50)];

		if (item->result != ATR_AUTH_HELD)
			forest_offer(&f, item);
		if (randombytes_uniform(3) == 0) {
			bad = t[randombytes_uniform(4)].item[randombytes_uniform(50)];
			bad.bytes[randombytes_uniform(2) ? 100 : 150] ^= 1;
			forest_offer(&f, &bad);
			forest_pump(&f);
			assert_int_not_equal(bad.result, ATR_OK);
		}
		if (randombytes_uniform(2) == 0)
			forest_pump(&f);
	}
	forest_pump(&f);
	for (unsigned int k = 0; k < 4; k++) {
		for (unsigned int i = 0; i < 50; i++) {
			forest_offer(&f, &t[k].item[i]);
			forest_pump(&f);
			assert_int_equal(t[k].item[i].result, ATR_OK);
		}
		forest_free(&t[k]);
	}
	forest_assert_idle(&f);
	forest_stop(&f);
}

/* Invariant: the least recently used proven tree goes first, and only when room is needed. */
static void the_least_recently_used_tree_goes(void **state)
{
	struct atr_auth_params params = forest_roomy;
	struct tree t[4];
	struct forest f;

	(void)state;
	params.trees = 3;
	forest_start(&f, &params);
	for (unsigned int k = 0; k < 4; k++) {
		t[k] = forest_tree(&f, 1, 4);
		forest_offer(&f, &t[k].item[0]);
		forest_pump(&f);
		if (k == 2)
			assert_int_equal(forest_offer(&f, &t[0].item[1]), ATR_OK);
	}
	assert_int_equal(forest_offer(&f, &t[0].item[2]), ATR_OK);
	assert_int_equal(forest_offer(&f, &t[2].item[2]), ATR_OK);
	assert_int_equal(forest_offer(&f, &t[3].item[2]), ATR_OK);
	assert_int_equal(forest_offer(&f, &t[1].item[2]), ATR_AUTH_HELD);
	forest_pump(&f);
	for (unsigned int k = 0; k < 4; k++)
		forest_free(&t[k]);
	forest_stop(&f);
}

/* Invariant: requests that did not fit the ring are offered again, before newer ones, in order. */
static void unsent_requests_keep_their_place(void **state)
{
	struct atr_root_request *first[4], *second[5];
	struct item item[5];
	struct forest f;

	(void)state;
	forest_start(&f, &forest_roomy);
	for (unsigned int i = 0; i < 4; i++) {
		forest_lone(&f, &item[i], 1, 0, 3);
		forest_offer(&f, &item[i]);
	}
	forest_take(&f, first, 4);
	forest_lone(&f, &item[4], 1, 0, 3);
	forest_offer(&f, &item[4]);
	atr_auth_unsent(f.auth, first + 1, 3);
	assert_int_equal(atr_auth_requests(f.auth, second, 5), 4);
	for (unsigned int i = 0; i < 3; i++)
		assert_ptr_equal(second[i], first[i + 1]);
	atr_auth_unsent(f.auth, second, 4);
	forest_take(&f, second, 4);
	assert_int_equal(atr_auth_requests(f.auth, second, 1), 0);
	forest_stop(&f);
}

/* Invariant: draining hands out every frame exactly once, those releasable first; verdicts that
 * come later find nobody and do no harm. */
static void drain(void **state)
{
	struct atr_root_request *request[2];
	struct tree t[2];
	struct forest f;
	void *cookie[3];
	unsigned int seen = 0, n;

	(void)state;
	forest_start(&f, &forest_roomy);
	for (unsigned int k = 0; k < 2; k++) {
		t[k] = forest_tree(&f, 1 + k, 7);
		for (unsigned int i = 0; i < 7; i++)
			forest_offer(&f, &t[k].item[i]);
	}
	forest_take(&f, request, 2);
	request[1]->verdict = ATR_OK;
	atr_auth_verdict(f.auth, request[1]);
	while ((n = atr_auth_drain(f.auth, cookie, 3)) > 0) {
		for (unsigned int i = 0; i < n; i++) {
			struct item *item = cookie[i];

			assert_int_equal(item->result, ATR_AUTH_HELD);
			item->result = NOT_RUN;
			assert_true(seen >= 7 || item == &t[1].item[seen]);
			seen++;
		}
	}
	assert_int_equal(seen, 14);
	assert_int_equal(atr_auth_stats(f.auth)->held_frames, 0);
	request[0]->verdict = ATR_OK;
	atr_auth_verdict(f.auth, request[0]);
	forest_pump(&f);
	forest_assert_idle(&f);
	assert_int_equal(forest_offer(&f, &t[0].item[0]), ATR_OK);
	for (unsigned int k = 0; k < 2; k++)
		forest_free(&t[k]);
	forest_stop(&f);
}

/* Invariant: what was proven, refused or is being asked under a key says nothing about another key
 * of the same id, which has another serial. */
static void revoked(void **state)
{
	struct forest f;
	struct tree t, w;
	struct item bad;

	(void)state;
	forest_start(&f, &forest_roomy);
	t = forest_tree(&f, 1, 4);
	w = forest_tree(&f, 1, 4);
	bad = t.item[1];
	bad.bytes[150] ^= 1;
	forest_offer(&f, &t.item[0]);
	forest_offer(&f, &bad);
	forest_pump(&f);
	assert_int_equal(forest_offer(&f, &t.item[0]), ATR_OK);
	assert_int_equal(forest_offer(&f, &bad), ATR_REASON_BAD_SIGNATURE);
	forest_offer(&f, &w.item[0]);
	f.key_serial = 1;
	assert_int_equal(forest_offer(&f, &t.item[1]), ATR_AUTH_HELD);
	assert_int_equal(forest_offer(&f, &bad), ATR_AUTH_HELD);
	assert_int_equal(forest_offer(&f, &w.item[1]), ATR_AUTH_HELD);
	assert_int_equal(atr_auth_stats(f.auth)->pending_roots, 4);
	forest_pump(&f);
	assert_int_equal(t.item[1].result, ATR_OK);
	assert_int_equal(w.item[0].result, ATR_OK);
	assert_int_equal(bad.result, ATR_REASON_BAD_SIGNATURE);
	f.key_serial = 0;
	assert_int_equal(forest_offer(&f, &t.item[0]), ATR_OK);
	forest_assert_idle(&f);
	forest_free(&t);
	forest_free(&w);
	forest_stop(&f);
}

/* Invariant: parameters out of range are refused by name, and the footprint grows with each. */
static void parameters(void **state)
{
	const size_t sizes =
		offsetof(struct atr_auth_params, hold_per_source) / sizeof(unsigned int) + 1;
	struct atr_auth_params good = forest_roomy, bad;
	char error[256];

	(void)state;
	for (unsigned int i = 0; i < sizes; i++) {
		unsigned int value;
		struct atr_auth_params more = good;

		bad = good;
		memset((uint8_t *)&bad + i * sizeof(value), 0, sizeof(value));
		error[0] = 0;
		assert_null(atr_auth_create(&bad, 0, 0, error, sizeof(error)));
		assert_non_null(strstr(error, "choose"));
		memset((uint8_t *)&bad + i * sizeof(value), 0xFF, sizeof(value));
		assert_null(atr_auth_create(&bad, 0, 0, error, sizeof(error)));
		memcpy(&value, (uint8_t *)&more + i * sizeof(value), sizeof(value));
		value *= 4;
		memcpy((uint8_t *)&more + i * sizeof(value), &value, sizeof(value));
		assert_true(atr_auth_footprint(&more) >= atr_auth_footprint(&good));
	}
	bad = good;
	bad.nodes_per_tree = 48;
	assert_null(atr_auth_create(&bad, 0, 0, error, sizeof(error)));
	assert_non_null(strstr(error, "nodes_per_tree"));
	atr_auth_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_flood_stays_within_its_source),
		cmocka_unit_test(the_hold_is_bounded),
		cmocka_unit_test(pending_roots_are_bounded),
		cmocka_unit_test(order_of_release),
		cmocka_unit_test(verdicts_are_remembered_if_final),
		cmocka_unit_test(eviction_pressure),
		cmocka_unit_test(the_least_recently_used_tree_goes),
		cmocka_unit_test(unsent_requests_keep_their_place),
		cmocka_unit_test(drain),
		cmocka_unit_test(revoked),
		cmocka_unit_test(parameters),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
