/* SPDX-License-Identifier: BSD-3-Clause */
/* What is accepted and what never is. */
#include "forest.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define SIZES 300

/* Offers a tree's frames in an order, those whose bit in keep is lost excepted. */
static void run_order(struct forest *f, struct tree *t, const unsigned int *order,
		      unsigned int lost_percent, unsigned int pump_percent)
{
	for (unsigned int i = 0; i < t->count; i++) {
		if (randombytes_uniform(100) < lost_percent)
			continue;
		forest_offer(f, &t->item[order[i]]);
		if (randombytes_uniform(100) < pump_percent)
			forest_pump(f);
	}
	forest_pump(f);
	for (unsigned int i = 0; i < t->count; i++)
		assert_true(t->item[i].result == ATR_OK || t->item[i].result == NOT_RUN);
}

/* Invariant: every frame of a tree verifies alone, in any order, after any loss, whatever the size
 * of tree and cache, and whether nodes were hashed ahead or not. */
static void every_size_in_any_order(void **state)
{
	static const unsigned int nodes[] = {4, 32, 1024};
	unsigned int order[SIZES];

	(void)state;
	for (unsigned int c = 0; c < 3; c++) {
		struct atr_auth_params params = forest_roomy;
		struct forest f;

		params.nodes_per_tree = nodes[c];
		forest_start(&f, &params);
		for (unsigned int count = 1; count <= SIZES; count += 1 + 2 * (count > 70)) {
			struct tree t = forest_tree(&f, 1 + count % 3, count);

			forest_shuffle(order, count);
			run_order(&f, &t, order, count % 4 * 25, count % 3 * 10);
			forest_free(&t);
		}
		assert_true(f.ahead > 0);
		forest_assert_idle(&f);
		forest_stop(&f);
	}
}

/* Invariant: the same with the first frame last, and backwards; nothing is lost without loss. */
static void first_frame_last(void **state)
{
	unsigned int order[SIZES];
	struct forest f;

	(void)state;
	forest_start(&f, &forest_roomy);
	for (unsigned int count = 2; count <= SIZES; count += 37) {
		struct tree t = forest_tree(&f, 2, count), u = forest_tree(&f, 2, count);

		for (unsigned int i = 0; i < count; i++)
			order[i] = (i + 1) % count;
		run_order(&f, &t, order, 0, 5);
		for (unsigned int i = 0; i < count; i++)
			order[i] = count - 1 - i;
		run_order(&f, &u, order, 0, 5);
		for (unsigned int i = 0; i < count; i++) {
			assert_int_equal(t.item[i].result, ATR_OK);
			assert_int_equal(u.item[i].result, ATR_OK);
		}
		forest_free(&t);
		forest_free(&u);
	}
	forest_stop(&f);
}

/* Invariant: an in-order tree costs one node a frame, whether its root is proven at once or only
 * after all frames have come. */
static void one_node_a_frame(void **state)
{
	(void)state;
	for (unsigned int late = 0; late < 2; late++) {
		struct forest f;
		struct tree t;
		const struct atr_auth_stats *stats;

		forest_start(&f, &forest_roomy);
		t = forest_tree(&f, 1, 256);
		stats = atr_auth_stats(f.auth);
		for (unsigned int i = 0; i < 256; i++) {
			forest_offer(&f, &t.item[i]);
			if (!late)
				forest_pump(&f);
		}
		forest_pump(&f);
		for (unsigned int i = 0; i < 256; i++)
			assert_int_equal(t.item[i].result, ATR_OK);
		assert_in_range(stats->node_hashes, 1, 256 * 11 / 10 + 10);
		assert_int_equal(stats->proven_frames, 256);
		assert_int_equal(stats->roots_asked, 1);
		assert_int_equal(stats->roots_proven, 1);
		assert_true(stats->node_hits >= 255);
		forest_free(&t);
		forest_stop(&f);
	}
}

enum warmth { COLD, PROVEN_BY_ANOTHER, ALL_CACHED };

static void warm(struct forest *f, struct tree *t, unsigned int i, enum warmth warmth)
{
	if (warmth == PROVEN_BY_ANOTHER)
		forest_offer(f, &t->item[(i + t->count / 2) % t->count]);
	for (unsigned int j = 0; warmth == ALL_CACHED && j < t->count; j++)
		forest_offer(f, &t->item[j]);
	forest_pump(f);
}

/* A changed frame must be refused in the end; where the tree is proven and the signature right,
 * at once and as BAD_PROOF. Afterwards the right frame is still accepted. */
static void never_accepted(struct forest *f, struct tree *t, unsigned int i, size_t at,
			   uint8_t flip, bool at_once)
{
	struct item bad = t->item[i];
	struct atr_frame frame;

	bad.bytes[at] ^= flip;
	if (atr_frame_parse(bad.bytes, bad.length, &frame) != ATR_OK)
		return;
	forest_offer(f, &bad);
	if (at_once)
		assert_int_equal(bad.result, ATR_REASON_BAD_PROOF);
	forest_pump(f);
	assert_int_not_equal(bad.result, ATR_OK);
	if (bad.result != ATR_REASON_UNKNOWN_SOURCE)
		assert_int_equal(atr_reason_gate(bad.result), ATR_GATE_SIGNATURE);
	forest_offer(f, &t->item[i]);
	forest_pump(f);
	assert_int_equal(t->item[i].result, ATR_OK);
}

/* Invariant: no byte of a frame is left unchecked: header, packets, signature and every node of
 * the proof, with nothing cached, something, and everything. */
static void tampering_is_never_accepted(void **state)
{
	static const unsigned int counts[] = {1, 2, 3, 5, 8, 13, 20, 37};
	static const unsigned int nodes[] = {4, 1024};

	(void)state;
	for (unsigned int c = 0; c < 8; c++) {
		for (unsigned int w = 0; w < 6; w++) {
			struct atr_auth_params params = forest_roomy;
			unsigned int count = counts[c], i = randombytes_uniform(count);
			enum warmth warmth = w / 2;
			struct forest f;
			struct tree t;

			params.nodes_per_tree = nodes[w % 2];
			forest_start(&f, &params);
			t = forest_tree(&f, 1, count);
			for (size_t at = 0; at < t.item[i].length; at++) {
				bool signature = at >= 128 && at < 192;
				bool head = at >= 8 && at < 24;
				bool size = at >= 36 && at < 40;

				if (at > 64 && at < 120 && at % 7)
					continue;
				warm(&f, &t, i, warmth);
				never_accepted(&f, &t, i, at,
					       (uint8_t)(1u << randombytes_uniform(8)),
					       warmth != COLD && !signature && !head && !size);
			}
			forest_assert_idle(&f);
			forest_free(&t);
			forest_stop(&f);
		}
	}
}

/* Invariant: a frame moved to another place of its tree is refused, also where the other place's
 * proof has the same length. */
static void places_cannot_be_swapped(void **state)
{
	struct forest f;
	struct tree t;

	(void)state;
	forest_start(&f, &forest_roomy);
	t = forest_tree(&f, 1, 16);
	for (unsigned int i = 0; i < 16; i++)
		forest_offer(&f, &t.item[i]);
	forest_pump(&f);
	for (unsigned int i = 0; i < 16; i++) {
		for (unsigned int j = 0; j < 16; j++) {
			struct item moved = t.item[i];

			if (i == j)
				continue;
			/* Body of i with the whole proof of j. */
			memcpy(moved.bytes + 192, t.item[j].bytes + 192, t.item[j].length - 192);
			assert_int_equal(forest_offer(&f, &moved), ATR_REASON_BAD_PROOF);
			/* And i claiming to be j. */
			moved = t.item[i];
			moved.bytes[32] = (uint8_t)j;
			assert_int_equal(forest_offer(&f, &moved), ATR_REASON_BAD_PROOF);
		}
	}
	forest_free(&t);
	forest_stop(&f);
}

/* Offers frame 0 between random others, whose paths evict parts of its own: right, and with each
 * proof node changed. */
static void among_others(struct forest *f, struct tree *t)
{
	unsigned int nodes = (unsigned int)(t->item[0].length - 192) / 32;
	struct item bad = t->item[0];

	assert_int_equal(nodes, 8);
	for (unsigned int n = 0; n < 50 * nodes; n++) {
		uint8_t *byte = &bad.bytes[192 + 32 * (n % nodes) + n % 32];

		forest_offer(f, &t->item[0]);
		for (unsigned int others = 1 + n % 3; others > 0; others--)
			forest_offer(f, &t->item[randombytes_uniform(256)]);
		forest_pump(f);
		*byte ^= 1;
		assert_int_equal(forest_offer(f, &bad), ATR_REASON_BAD_PROOF);
		*byte ^= 1;
		assert_int_equal(forest_offer(f, &bad), ATR_OK);
	}
}

/* Invariant: behind a node already proven, a proof node that is no longer cached is not believed:
 * the path is hashed to the root. */
static void garbage_above_a_proven_node(void **state)
{
	(void)state;
	/* With 4 nodes a level keeps one pair; with more, lower levels outlive upper ones. */
	for (unsigned int nodes = 4; nodes <= 128; nodes *= 2) {
		struct atr_auth_params params = forest_roomy;
		struct forest f;
		struct tree t;

		params.nodes_per_tree = nodes;
		forest_start(&f, &params);
		t = forest_tree(&f, 1, 256);
		among_others(&f, &t);
		forest_free(&t);
		forest_stop(&f);
	}
}

/* Invariant: trees up to the largest leaf_count work at their edges, and tampering with any of up
 * to 32 proof nodes is found. */
static void largest_trees(void **state)
{
	static const struct {
		uint32_t index, count;
	} place[] = {{0, UINT32_MAX},
		     {UINT32_MAX - 1, UINT32_MAX},
		     {UINT32_MAX - 2, UINT32_MAX},
		     {1u << 31, UINT32_MAX},
		     {0x7FFFFFFF, 0x80000000},
		     {0x80000000, 0x80000001},
		     {0x12345678, 0x9ABCDEF0},
		     {0, 1}};
	struct forest f;

	(void)state;
	forest_start(&f, &forest_roomy);
	for (unsigned int p = 0; p < sizeof(place) / sizeof(place[0]); p++) {
		struct item item;

		forest_lone(&f, &item, 1 + p % 7, place[p].index, place[p].count);
		assert_int_equal(forest_offer(&f, &item), ATR_AUTH_HELD);
		forest_pump(&f);
		assert_int_equal(item.result, ATR_OK);
		for (size_t at = 192; at < item.length; at += 16) {
			item.bytes[at] ^= 0x80;
			assert_int_equal(forest_offer(&f, &item), ATR_REASON_BAD_PROOF);
			item.bytes[at] ^= 0x80;
		}
		assert_int_equal(forest_offer(&f, &item), ATR_OK);
	}
	forest_stop(&f);
}

/* Invariant: a bad signature over a good root says nothing about the root: the good frame neither
 * waits for it nor is refused with it, and each is remembered by itself. */
static void a_bad_signature_does_not_poison(void **state)
{
	struct atr_root_request *request[2];
	struct forest f;
	struct tree t;
	struct item bad;

	(void)state;
	forest_start(&f, &forest_roomy);
	t = forest_tree(&f, 1, 20);
	bad = t.item[4];
	bad.bytes[130] ^= 4;
	assert_int_equal(forest_offer(&f, &bad), ATR_AUTH_HELD);
	assert_int_equal(forest_offer(&f, &t.item[4]), ATR_AUTH_HELD);
	forest_take(&f, request, 2);
	assert_memory_equal(request[0]->head.root, request[1]->head.root, 32);
	request[1]->verdict = forest_judge(&f, request[1]);
	assert_int_equal(request[1]->verdict, ATR_OK);
	atr_auth_verdict(f.auth, request[1]);
	forest_pump(&f);
	assert_int_equal(t.item[4].result, ATR_OK);
	assert_int_equal(bad.result, ATR_AUTH_HELD);
	request[0]->verdict = forest_judge(&f, request[0]);
	atr_auth_verdict(f.auth, request[0]);
	forest_pump(&f);
	assert_int_equal(bad.result, ATR_REASON_BAD_SIGNATURE);
	assert_int_equal(forest_offer(&f, &bad), ATR_REASON_BAD_SIGNATURE);
	assert_int_equal(forest_offer(&f, &t.item[5]), ATR_OK);
	forest_assert_idle(&f);
	forest_free(&t);
	forest_stop(&f);
}

/* Invariant: several roots under one signature are told apart while pending, and only the signed
 * one is ever accepted, whichever came first. */
static void one_signature_many_roots(void **state)
{
	struct forest f;
	struct tree t;
	struct item bad[9];

	(void)state;
	forest_start(&f, &forest_roomy);
	t = forest_tree(&f, 1, 64);
	for (unsigned int i = 0; i < 9; i++) {
		bad[i] = t.item[i];
		bad[i].bytes[100] ^= (uint8_t)(i + 1);
		assert_int_equal(forest_offer(&f, &bad[i]), ATR_AUTH_HELD);
		assert_int_equal(forest_offer(&f, &t.item[i]), ATR_AUTH_HELD);
	}
	assert_int_equal(atr_auth_stats(f.auth)->pending_roots, 10);
	forest_pump(&f);
	for (unsigned int i = 0; i < 9; i++) {
		assert_int_equal(t.item[i].result, ATR_OK);
		assert_int_not_equal(bad[i].result, ATR_OK);
	}
	forest_assert_idle(&f);
	forest_free(&t);
	forest_stop(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_size_in_any_order),
		cmocka_unit_test(first_frame_last),
		cmocka_unit_test(one_node_a_frame),
		cmocka_unit_test(tampering_is_never_accepted),
		cmocka_unit_test(places_cannot_be_swapped),
		cmocka_unit_test(garbage_above_a_proven_node),
		cmocka_unit_test(largest_trees),
		cmocka_unit_test(a_bad_signature_does_not_poison),
		cmocka_unit_test(one_signature_many_roots),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
