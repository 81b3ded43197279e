/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <errno.h>
#include <jansson.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "../../../lib/merkle/merkle.h"
#include "../../../lib/merkle/tree.h"

#define H          ATR_MERKLE_HASH
#define SIZE_MAX_T 300 /* trees tested exhaustively */
#define PAIRS      70  /* sizes between which consistency is tested */
#define NODES_MAX  64

static const char *vector_directory;
static uint8_t leaves[SIZE_MAX_T * H];

/* RFC 6962, 2.1: MTH by its recursive definition. */
static void naive_root(const uint8_t *d, size_t n, uint8_t out[H])
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
	naive_root(d + k * H, n - k, right);
	atr_merkle_node(left, right, out);
}

/* RFC 6962, 2.1.1: PATH. */
static size_t naive_path(const uint8_t *d, size_t n, size_t m, uint8_t *out)
{
	size_t k = 1, nodes;

	if (n <= 1)
		return 0;
	while (k * 2 < n)
		k *= 2;
	if (m < k) {
		nodes = naive_path(d, k, m, out);
		naive_root(d + k * H, n - k, out + nodes * H);
	} else {
		nodes = naive_path(d + k * H, n - k, m - k, out);
		naive_root(d, k, out + nodes * H);
	}
	return nodes + 1;
}

/* RFC 6962, 2.1.2: SUBPROOF. */
static size_t naive_subproof(const uint8_t *d, size_t n, size_t m, int complete, uint8_t *out)
{
	size_t k = 1, nodes;

	if (m == n) {
		if (complete)
			return 0;
		naive_root(d, n, out);
		return 1;
	}
	while (k * 2 < n)
		k *= 2;
	if (m <= k) {
		nodes = naive_subproof(d, k, m, complete, out);
		naive_root(d + k * H, n - k, out + nodes * H);
	} else {
		nodes = naive_subproof(d + k * H, n - k, m - k, 0, out);
		naive_root(d, k, out + nodes * H);
	}
	return nodes + 1;
}

/* Invariant: leaf and node hashes are SHA-256 with prefixes 0 and 1; out may alias an input. */
static void prefixes(void **state)
{
	uint8_t bytes[65], expected[H], got[H];

	(void)state;
	memset(bytes, 0x5a, sizeof(bytes));
	bytes[0] = 0;
	crypto_hash_sha256(expected, bytes, 33);
	atr_merkle_leaf(bytes + 1, 32, got);
	assert_memory_equal(got, expected, H);
	crypto_hash_sha256(expected, bytes, 1);
	atr_merkle_leaf(NULL, 0, got);
	assert_memory_equal(got, expected, H);
	bytes[0] = 1;
	bytes[64] = 7;
	crypto_hash_sha256(expected, bytes, 65);
	atr_merkle_node(bytes + 1, bytes + 33, got);
	assert_memory_equal(got, expected, H);
	memcpy(got, bytes + 1, H);
	atr_merkle_node(got, bytes + 33, got);
	assert_memory_equal(got, expected, H);
	memcpy(got, bytes + 33, H);
	atr_merkle_node(bytes + 1, got, got);
	assert_memory_equal(got, expected, H);
}

/* Invariant: roots and proofs equal RFC 6962's recursive definitions, for every leaf of every tree
 * up to 300 leaves. */
static void equals_recursive_model(void **state)
{
	(void)state;
	for (size_t n = 0; n <= SIZE_MAX_T; n++) {
		uint8_t expected[H], root[H], path[NODES_MAX * H], proof[NODES_MAX * H];

		naive_root(leaves, n, expected);
		atr_merkle_root(leaves, n, root);
		assert_memory_equal(root, expected, H);
		assert_int_equal(atr_merkle_inclusion(leaves, n, n, proof, NODES_MAX), -EINVAL);
		/* All leaves of small trees, a stride of large ones that meets both ends. */
		for (size_t m = 0; m < n; m += n < 70 || m + 5 >= n ? 1 : 31) {
			size_t nodes = naive_path(leaves, n, m, path);
			uint8_t led_to[H];

			assert_int_equal(atr_merkle_inclusion(leaves, n, m, proof, NODES_MAX),
					 nodes);
			assert_memory_equal(proof, path, nodes * H);
			assert_int_equal(atr_merkle_inclusion(leaves, n, m, proof, nodes), nodes);
			if (nodes)
				assert_int_equal(
					atr_merkle_inclusion(leaves, n, m, proof, nodes - 1),
					-ENOSPC);
			assert_int_equal(atr_merkle_inclusion_root(m, n, leaves + m * H, proof,
								   nodes, led_to),
					 0);
			assert_memory_equal(led_to, root, H);
			assert_int_equal(atr_merkle_inclusion_root(m, n, leaves + m * H, proof,
								   nodes + 1, led_to),
					 -EINVAL);
		}
	}
}

/* Invariant: a tree with all its levels gives the same root and proofs, one tree after another in
 * the same memory. */
static void levels_equal_model(void **state)
{
	struct atr_merkle_tree tree;

	(void)state;
	assert_int_equal(atr_merkle_tree_init(&tree, SIZE_MAX_T), 0);
	for (size_t n = SIZE_MAX_T; n > 0; n--) {
		uint8_t root[H], path[NODES_MAX * H], proof[NODES_MAX * H];

		atr_merkle_tree_build(&tree, (const uint8_t(*)[H])leaves, n);
		atr_merkle_root(leaves, n, root);
		assert_memory_equal(atr_merkle_tree_root(&tree), root, H);
		for (size_t m = 0; m < n; m += n < 70 || m + 5 >= n ? 1 : 31) {
			size_t nodes = naive_path(leaves, n, m, path);

			assert_int_equal(atr_merkle_tree_proof(&tree, m, proof), nodes);
			assert_memory_equal(proof, path, nodes * H);
		}
	}
	atr_merkle_tree_fini(&tree);
}

/* Invariant: a proof with any one bit changed, or for another index or leaf, does not verify. */
static void tampered_inclusion_is_refused(void **state)
{
	uint8_t root[H], proof[NODES_MAX * H];
	const size_t n = 13;

	(void)state;
	atr_merkle_root(leaves, n, root);
	for (size_t m = 0; m < n; m++) {
		int nodes = atr_merkle_inclusion(leaves, n, m, proof, NODES_MAX);

		assert_true(nodes > 0);
		for (size_t bit = 0; bit < (size_t)nodes * H * 8; bit++) {
			proof[bit / 8] ^= (uint8_t)(1U << bit % 8);
			assert_false(atr_merkle_inclusion_ok(m, n, leaves + m * H, proof,
							     (size_t)nodes, root));
			proof[bit / 8] ^= (uint8_t)(1U << bit % 8);
		}
		for (size_t other = 0; other < n + 2; other++)
			assert_int_equal(atr_merkle_inclusion_ok(other, n, leaves + m * H, proof,
								 (size_t)nodes, root),
					 other == m);
	}
}

/* Invariant: every pair of sizes has a consistency proof that verifies, and none that does when a
 * node, a root or a length is wrong. */
static void consistency_by_model(void **state)
{
	static uint8_t roots[PAIRS * H];

	(void)state;
	for (size_t n = 0; n < PAIRS; n++)
		naive_root(leaves, n, roots + n * H);
	for (size_t n = 1; n < PAIRS; n++) {
		for (size_t m = 1; m <= n; m++) {
			uint8_t proof[NODES_MAX * H] = {0}, *r1 = roots + m * H,
						  *r2 = roots + n * H;
			size_t nodes = naive_subproof(leaves, n, m, 1, proof);

			assert_true(atr_merkle_consistency_ok(m, n, proof, nodes, r1, r2));
			assert_false(atr_merkle_consistency_ok(m, n, proof, nodes + 1, r1, r2));
			if (nodes == 0)
				continue;
			assert_false(atr_merkle_consistency_ok(m, n, proof, nodes - 1, r1, r2));
			assert_false(atr_merkle_consistency_ok(m, n, proof, nodes, r2, r2));
			assert_false(atr_merkle_consistency_ok(m, n, proof, nodes, r1, r1));
			for (size_t node = 0; node < nodes; node++) {
				proof[node * H] ^= 1;
				assert_false(atr_merkle_consistency_ok(m, n, proof, nodes, r1, r2));
				proof[node * H] ^= 1;
			}
		}
	}
	assert_true(atr_merkle_consistency_ok(0, 0, NULL, 0, roots, roots));
	assert_false(atr_merkle_consistency_ok(0, 5, NULL, 0, roots, roots + 5 * H));
	assert_false(atr_merkle_consistency_ok(UINT64_MAX, 1, NULL, 0, roots + H, roots + H));
}

/* Invariant: sizes near 2^64 are within the functions' reach. */
static void huge_sizes(void **state)
{
	static uint8_t proof[NODES_MAX * H];
	uint8_t root[H];

	(void)state;
	assert_int_equal(atr_merkle_inclusion_root(0, UINT64_MAX, leaves, proof, 64, root), 0);
	assert_int_equal(atr_merkle_inclusion_root(0, UINT64_MAX, leaves, proof, 63, root),
			 -EINVAL);
	assert_int_equal(atr_merkle_inclusion_root(UINT64_MAX, UINT64_MAX, leaves, proof, 64, root),
			 -EINVAL);
	assert_false(
		atr_merkle_consistency_ok(UINT64_MAX - 1, UINT64_MAX, proof, 64, leaves, leaves));
	assert_false(
		atr_merkle_consistency_ok(UINT64_C(1) << 63, UINT64_MAX, proof, 1, leaves, leaves));
}

/* Decodes base64 to a 32-byte field. Vectors hold a few shorter or longer byte strings: these
 * become 32 bytes by padding or cutting, which keeps equal ones equal and wrong ones wrong. */
static size_t decode_hash(const json_t *value, uint8_t out[H])
{
	const char *text = json_string_value(value);
	uint8_t bytes[256] = {0};
	size_t length;

	assert_non_null(text);
	assert_int_equal(sodium_base642bin(bytes, sizeof(bytes), text, strlen(text), NULL, &length,
					   NULL, sodium_base64_VARIANT_ORIGINAL),
			 0);
	memcpy(out, bytes, H);
	return length;
}

static size_t decode_proof(const json_t *value, uint8_t *out)
{
	size_t count = json_array_size(value);

	assert_true(count <= NODES_MAX);
	for (size_t i = 0; i < count; i++)
		decode_hash(json_array_get(value, i), out + i * H);
	return count;
}

static json_t *load_vectors(const char *name)
{
	char path[4096];
	json_t *cases;

	snprintf(path, sizeof(path), "%s/%s", vector_directory, name);
	cases = json_load_file(path, JSON_DECODE_INT_AS_REAL, NULL);
	assert_non_null(cases);
	return cases;
}

/* The vectors' numbers are below 2^53, but for 2^64-1, which jansson has no integer for. */
static uint64_t size_of(const json_t *one, const char *name)
{
	double value = json_real_value(json_object_get(one, name));

	return value >= 18446744073709551615.0 ? UINT64_MAX : (uint64_t)value;
}

/* Invariant: the verifiers agree with the reference vectors, valid and tampered, all of them. */
static void reference_vectors(void **state)
{
	uint8_t proof[NODES_MAX * H], a[H], b[H];
	json_t *cases = load_vectors("inclusion.json"), *one;
	size_t i, valid = 0;

	(void)state;
	assert_int_equal(json_array_size(cases), 98);
	json_array_foreach(cases, i, one)
	{
		size_t nodes = decode_proof(json_object_get(one, "proof"), proof);
		bool want_ok = !json_is_true(json_object_get(one, "wantErr"));

		/* No bytes are no hash: a caller has nothing to hand to the verifier. */
		if (!decode_hash(json_object_get(one, "leafHash"), a) ||
		    !decode_hash(json_object_get(one, "root"), b)) {
			assert_false(want_ok);
			continue;
		}
		valid += want_ok;
		if (atr_merkle_inclusion_ok(size_of(one, "leafIdx"), size_of(one, "treeSize"), a,
					    proof, nodes, b) != want_ok)
			fail_msg("%s", json_string_value(json_object_get(one, "name")));
	}
	json_decref(cases);
	assert_true(valid > 0);

	valid = 0;
	cases = load_vectors("consistency.json");
	assert_int_equal(json_array_size(cases), 98);
	json_array_foreach(cases, i, one)
	{
		size_t nodes = decode_proof(json_object_get(one, "proof"), proof);
		bool want_ok = !json_is_true(json_object_get(one, "wantErr"));

		/* No bytes are no hash: a caller has nothing to hand to the verifier. */
		if (!decode_hash(json_object_get(one, "root1"), a) ||
		    !decode_hash(json_object_get(one, "root2"), b)) {
			assert_false(want_ok);
			continue;
		}
		valid += want_ok;
		if (atr_merkle_consistency_ok(size_of(one, "size1"), size_of(one, "size2"), proof,
					      nodes, a, b) != want_ok)
			fail_msg("%s: %s", json_string_value(json_object_get(one, "name")),
				 json_string_value(json_object_get(one, "desc")));
	}
	json_decref(cases);
	assert_true(valid > 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(prefixes),
		cmocka_unit_test(equals_recursive_model),
		cmocka_unit_test(levels_equal_model),
		cmocka_unit_test(tampered_inclusion_is_refused),
		cmocka_unit_test(consistency_by_model),
		cmocka_unit_test(huge_sizes),
		cmocka_unit_test(reference_vectors),
	};

	if (argc != 2 || sodium_init() < 0) {
		fprintf(stderr, "usage: test_merkle VECTOR_DIRECTORY\n");
		return 2;
	}
	vector_directory = argv[1];
	for (size_t i = 0; i < SIZE_MAX_T; i++)
		atr_merkle_leaf((const uint8_t *)&i, sizeof(i), leaves + i * H);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
