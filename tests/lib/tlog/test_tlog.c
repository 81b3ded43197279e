/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <errno.h>
#include <jansson.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "../../../lib/tlog/tlog.h"
#include "test_tlog.h"

#define H         ATR_MERKLE_HASH
#define LEAVES    700
#define PAIRS     70
#define NODES_MAX 64
#define SEED      20261122u

static const char *vector_directory;
static uint8_t leaves[LEAVES][H];

/* RFC 6962, 2.1: MTH by its recursive definition. */
static void naive_root(const uint8_t (*d)[H], size_t n, uint8_t out[H])
{
	uint8_t left[H], right[H];
	size_t k = 1;

	if (n == 0) {
		crypto_hash_sha256(out, (const uint8_t *)"", 0);
		return;
	}
	if (n == 1) {
		memcpy(out, d, H);
		return;
	}
	while (k * 2 < n)
		k *= 2;
	naive_root(d, k, left);
	naive_root(d + k, n - k, right);
	atr_merkle_node(left, right, out);
}

/* RFC 6962, 2.1.1: PATH. */
static size_t naive_path(const uint8_t (*d)[H], size_t n, size_t m, uint8_t (*out)[H])
{
	size_t k = 1, nodes;

	if (n <= 1)
		return 0;
	while (k * 2 < n)
		k *= 2;
	if (m < k) {
		nodes = naive_path(d, k, m, out);
		naive_root(d + k, n - k, out[nodes]);
	} else {
		nodes = naive_path(d + k, n - k, m - k, out);
		naive_root(d, k, out[nodes]);
	}
	return nodes + 1;
}

/* RFC 6962, 2.1.2: SUBPROOF. */
static size_t naive_subproof(const uint8_t (*d)[H], size_t n, size_t m, int complete,
			     uint8_t (*out)[H])
{
	size_t k = 1, nodes;

	if (m == n) {
		if (complete)
			return 0;
		naive_root(d, n, out[0]);
		return 1;
	}
	while (k * 2 < n)
		k *= 2;
	if (m <= k) {
		nodes = naive_subproof(d, k, m, complete, out);
		naive_root(d + k, n - k, out[nodes]);
	} else {
		nodes = naive_subproof(d + k, n - k, m - k, 0, out);
		naive_root(d, k, out[nodes]);
	}
	return nodes + 1;
}

static int leaf_of(void *context, uint64_t index, uint8_t out[H])
{
	const uint8_t(*d)[H] = context;

	memcpy(out, d[index], H);
	return 0;
}

static int leaf_fails(void *context, uint64_t index, uint8_t out[H])
{
	(void)out;
	return index == *(uint64_t *)context ? -EIO : 0;
}

/* Invariant: the root after each leaf equals RFC 6962's recursive definition. */
static void frontier_one_by_one(void **state)
{
	struct atr_frontier f;
	uint8_t root[H], expected[H];

	(void)state;
	atr_frontier_init(&f);
	for (size_t n = 0; n <= LEAVES; n++) {
		assert_int_equal(f.size, n);
		atr_frontier_root(&f, root);
		naive_root(leaves, n, expected);
		assert_memory_equal(root, expected, H);
		if (n < LEAVES)
			atr_frontier_add(&f, leaves[n]);
	}
}

/* Invariant: leaves added in bursts of any size, mixed with single ones, give the same tree, and
 * the same nodes where the tree has them. */
static void frontier_bursts(void **state)
{
	char error[128];
	struct atr_hash *hash = atr_hash_create(-1, 64, error, sizeof(error));

	(void)state;
	assert_non_null(hash);
	srandom(SEED);
	for (int round = 0; round < 300; round++) {
		struct atr_frontier f, model;
		size_t n = 0;

		atr_frontier_init(&f);
		atr_frontier_init(&model);
		while (n < LEAVES) {
			size_t count = (size_t)random() % (round % 2 ? 9 : 400);
			uint8_t(*copy)[H];
			uint8_t root[H], expected[H];

			count = count > LEAVES - n ? LEAVES - n : count;
			copy = malloc(count ? count * H : 1);
			assert_non_null(copy);
			memcpy(copy, leaves[n], count * H);
			atr_frontier_add_burst(&f, hash, copy, count);
			for (size_t i = 0; i < count; i++)
				atr_frontier_add(&model, leaves[n + i]);
			n += count;
			free(copy);
			assert_int_equal(f.size, model.size);
			for (unsigned int k = 0; k < 64; k++)
				if ((f.size >> k) & 1)
					assert_memory_equal(f.node[k], model.node[k], H);
			atr_frontier_root(&f, root);
			atr_frontier_root(&model, expected);
			assert_memory_equal(root, expected, H);
		}
	}
	atr_hash_free(hash);
}

/* Invariant: inclusion proofs equal PATH, verify, and are refused when there is no room. */
static void inclusion_equals_model(void **state)
{
	(void)state;
	for (size_t n = 0; n <= 300; n += n < 70 ? 1 : 23) {
		uint8_t path[NODES_MAX][H], proof[NODES_MAX][H], root[H];

		naive_root(leaves, n, root);
		assert_int_equal(atr_tlog_inclusion(leaf_of, leaves, n, n, proof[0], NODES_MAX),
				 -EINVAL);
		for (size_t m = 0; m < n; m++) {
			size_t nodes = naive_path(leaves, n, m, path);

			assert_int_equal(
				atr_tlog_inclusion(leaf_of, leaves, m, n, proof[0], NODES_MAX),
				nodes);
			assert_memory_equal(proof, path, nodes * H);
			assert_true(
				atr_merkle_inclusion_ok(m, n, leaves[m], proof[0], nodes, root));
			if (nodes)
				assert_int_equal(atr_tlog_inclusion(leaf_of, leaves, m, n, proof[0],
								    nodes - 1),
						 -ENOSPC);
		}
	}
}

/* Invariant: consistency proofs equal SUBPROOF and verify between the two roots, and no others. */
static void consistency_equals_model(void **state)
{
	uint8_t path[NODES_MAX][H], proof[NODES_MAX][H], root1[H], root2[H];

	(void)state;
	assert_int_equal(atr_tlog_consistency(leaf_of, leaves, 0, 5, proof[0], 64), -EINVAL);
	assert_int_equal(atr_tlog_consistency(leaf_of, leaves, 6, 5, proof[0], 64), -EINVAL);
	for (size_t n = 1; n <= PAIRS; n++)
		for (size_t m = 1; m <= n; m++) {
			size_t nodes = naive_subproof(leaves, n, m, 1, path);

			assert_int_equal(
				atr_tlog_consistency(leaf_of, leaves, m, n, proof[0], NODES_MAX),
				nodes);
			assert_memory_equal(proof, path, nodes * H);
			naive_root(leaves, m, root1);
			naive_root(leaves, n, root2);
			assert_true(atr_merkle_consistency_ok(m, n, proof[0], nodes, root1, root2));
			root2[0] ^= 1;
			assert_false(
				atr_merkle_consistency_ok(m, n, proof[0], nodes, root1, root2));
			if (nodes)
				assert_int_equal(atr_tlog_consistency(leaf_of, leaves, m, n,
								      proof[0], nodes - 1),
						 -ENOSPC);
		}
}

/* Invariant: what reading a leaf returns is passed on. */
static void leaf_errors(void **state)
{
	uint8_t proof[NODES_MAX][H];

	(void)state;
	for (uint64_t bad = 0; bad < 13; bad++) {
		assert_int_equal(atr_tlog_inclusion(leaf_fails, &bad, 5, 13, proof[0], NODES_MAX),
				 bad == 5 ? 4 : -EIO);
		assert_int_equal(atr_tlog_consistency(leaf_fails, &bad, 7, 13, proof[0], NODES_MAX),
				 -EIO);
	}
}

static void unbase64(const json_t *value, uint8_t out[H])
{
	size_t got = 0;

	assert_int_equal(sodium_base642bin(out, H, json_string_value(value),
					   json_string_length(value), NULL, &got, NULL,
					   sodium_base64_VARIANT_ORIGINAL),
			 0);
	assert_int_equal(got, H);
}

/* The leaves of the reference tree that the vectors were made from. */
static void reference_leaves(uint8_t (*out)[H])
{
	static const char *const hex[] = {"",
					  "00",
					  "10",
					  "2021",
					  "3031",
					  "40414243",
					  "5051525354555657",
					  "606162636465666768696a6b6c6d6e6f"};

	for (size_t i = 0; i < 8; i++) {
		uint8_t bytes[16];
		size_t length = 0;

		sodium_hex2bin(bytes, sizeof(bytes), hex[i], strlen(hex[i]), NULL, &length, NULL);
		atr_merkle_leaf(bytes, length, out[i]);
	}
}

static void compare_proof(json_t *expected, const uint8_t (*proof)[H], int nodes)
{
	uint8_t node[H];
	json_t *value;
	size_t i;

	assert_int_equal(nodes, json_array_size(expected));
	json_array_foreach(expected, i, value)
	{
		unbase64(value, node);
		assert_memory_equal(node, proof[i], H);
	}
}

static json_t *vectors_load(const char *name)
{
	char path[4096];
	json_t *all;

	snprintf(path, sizeof(path), "%s/%s", vector_directory, name);
	all = json_load_file(path, JSON_DECODE_INT_AS_REAL, NULL);
	assert_non_null(all);
	return all;
}

/* Invariant: for every valid reference vector of the reference tree, we make the same proof. */
static void reference_inclusion(void **state)
{
	json_t *all = vectors_load("inclusion.json"), *v;
	uint8_t tree[8][H], proof[NODES_MAX][H], leaf[H];
	unsigned int compared = 0;
	size_t i;

	(void)state;
	reference_leaves(tree);
	json_array_foreach(all, i, v)
	{
		uint64_t size = (uint64_t)json_number_value(json_object_get(v, "treeSize"));
		uint64_t index = (uint64_t)json_number_value(json_object_get(v, "leafIdx"));

		if (json_is_true(json_object_get(v, "wantErr")) || size > 8)
			continue;
		unbase64(json_object_get(v, "leafHash"), leaf);
		if (memcmp(leaf, tree[index], H) != 0)
			continue;
		compare_proof(json_object_get(v, "proof"), proof,
			      atr_tlog_inclusion(leaf_of, tree, index, size, proof[0], NODES_MAX));
		compared++;
	}
	assert_true(compared >= 5);
	json_decref(all);
}

/* Invariant: the same for consistency, roots included. */
static void reference_consistency(void **state)
{
	json_t *all = vectors_load("consistency.json"), *v;
	uint8_t tree[8][H], proof[NODES_MAX][H], root[H], ours[H];
	unsigned int compared = 0;
	size_t i;

	(void)state;
	reference_leaves(tree);
	json_array_foreach(all, i, v)
	{
		uint64_t size1 = (uint64_t)json_number_value(json_object_get(v, "size1"));
		uint64_t size2 = (uint64_t)json_number_value(json_object_get(v, "size2"));

		if (json_is_true(json_object_get(v, "wantErr")) || size2 > 8 || size1 == 0 ||
		    !strstr(json_string_value(json_object_get(v, "name")), "happy-path"))
			continue;
		unbase64(json_object_get(v, "root2"), root);
		naive_root((const uint8_t(*)[H])tree, size2, ours);
		if (memcmp(root, ours, H) != 0)
			continue;
		compare_proof(
			json_object_get(v, "proof"), proof,
			atr_tlog_consistency(leaf_of, tree, size1, size2, proof[0], NODES_MAX));
		compared++;
	}
	assert_true(compared >= 4);
	json_decref(all);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frontier_one_by_one),
		cmocka_unit_test(frontier_bursts),
		cmocka_unit_test(inclusion_equals_model),
		cmocka_unit_test(consistency_equals_model),
		cmocka_unit_test(leaf_errors),
		cmocka_unit_test(reference_inclusion),
		cmocka_unit_test(reference_consistency),
		cmocka_unit_test(checkpoint_exact),
		cmocka_unit_test(checkpoint_round_trip),
		cmocka_unit_test(checkpoint_tampered),
		cmocka_unit_test(checkpoint_malformed),
		cmocka_unit_test(checkpoint_names),
	};

	if (argc < 2 || atr_sign_init())
		return 1;
	vector_directory = argv[1];
	for (size_t i = 0; i < LEAVES; i++)
		atr_merkle_leaf((const uint8_t *)&i, sizeof(i), leaves[i]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
