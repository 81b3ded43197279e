/* SPDX-License-Identifier: BSD-3-Clause */
/* What chance alone would hardly ever try: colliding hashes, generations that wrap. */
#include "forest.h"

#include <sodium.h>

#include "../../../lib/auth/auth_internal.h"

/* Invariant: two keys whose hashes collide are still two keys, in every table and in every byte. */
static void colliding_hashes(void **state)
{
	struct auth_key *key;
	struct forest f;
	struct item item, bad;
	uint32_t hash, tree_hash;

	(void)state;
	forest_start(&f, &forest_roomy);
	forest_lone(&f, &bad, 1, 0, 9);
	bad.bytes[140] ^= 1;
	forest_offer(&f, &bad);
	forest_pump(&f);
	forest_lone(&f, &item, 1, 0, 9);
	forest_offer(&f, &item);
	assert_int_equal(atr_auth_stats(f.auth)->pending_roots, 1);
	key = &f.auth->tree[f.auth->unsent.first].key;
	for (size_t at = 0; at <= AUTH_KEY_SIZE; at++) {
		struct auth_key other = *key;
		bool equal = at == AUTH_KEY_SIZE;

		hash = auth_key_hash(f.auth, key, AUTH_KEY_SIZE);
		tree_hash = auth_key_hash(f.auth, key, AUTH_TREE_SIZE);
		if (!equal)
			((uint8_t *)&other)[at] ^= 0x10;
		assert_int_equal(auth_find_pending(f.auth, &other, hash) != AUTH_NONE, equal);
		assert_int_equal(auth_find_tree(f.auth, &other, tree_hash) != AUTH_NONE,
				 at >= AUTH_TREE_SIZE);
		other = f.auth->refused[f.auth->refused_lru.newest].key;
		hash = auth_key_hash(f.auth, &other, AUTH_KEY_SIZE);
		if (!equal)
			((uint8_t *)&other)[at] ^= 0x10;
		assert_int_equal(auth_find_refused(f.auth, &other, hash) != AUTH_NONE, equal);
		/* And a key hashes differently with every byte of it. */
		assert_int_equal(auth_key_hash(f.auth, &other, AUTH_KEY_SIZE) == hash, equal);
	}
	forest_pump(&f);
	forest_stop(&f);
}

/* Invariant: when a tree entry has been used 2^32 times, nodes of its first life do not come back.
 */
static void generations_wrap(void **state)
{
	struct atr_auth_params params = forest_roomy;
	struct forest f;
	struct tree t[3];

	(void)state;
	params.trees = 1;
	params.pending_roots = 1;
	params.pending_per_source = 1;
	forest_start(&f, &params);
	for (unsigned int k = 0; k < 3; k++) {
		t[k] = forest_tree(&f, 1, 8);
		for (unsigned int i = 0; i < 8; i++) {
			forest_offer(&f, &t[k].item[i]);
			forest_pump(&f);
			assert_int_equal(t[k].item[i].result, ATR_OK);
		}
		/* The third tree gets the entry of the first; let it be the 2^32th use. */
		if (k == 1)
			f.auth->tree[f.auth->tree_free].generation = UINT32_MAX;
	}
	assert_int_equal(f.auth->tree[f.auth->proven.newest].generation, 1);
	for (unsigned int k = 0; k < 3; k++)
		forest_free(&t[k]);
	forest_stop(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(colliding_hashes),
		cmocka_unit_test(generations_wrap),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
