/* SPDX-License-Identifier: BSD-3-Clause */
#include "forest.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define BURST       64
#define AHEAD_BURST 8

const struct atr_auth_params forest_roomy = {
	.trees = 64,
	.nodes_per_tree = 1024,
	.pending_roots = 64,
	.pending_per_source = 64,
	.refused_roots = 64,
	.hold_frames = 4096,
	.hold_per_source = 4096,
};

void forest_start(struct forest *f, const struct atr_auth_params *params)
{
	char error[256] = "";

	memset(f, 0, sizeof(*f));
	for (unsigned int i = 0; i < FOREST_SOURCES; i++)
		crypto_sign_keypair(f->public_key[i], f->secret_key[i]);
	f->hash = atr_hash_create(0, 512, error, sizeof(error));
	if (!f->hash)
		fail_msg("%s", error);
	f->auth = atr_auth_create(params, 3, 0, error, sizeof(error));
	if (!f->auth)
		fail_msg("%s", error);
}

void forest_stop(struct forest *f)
{
	atr_auth_free(f->auth);
	atr_hash_free(f->hash);
}

static void naive_node(uint8_t out[32], const uint8_t *left, const uint8_t *right)
{
	uint8_t bytes[65] = {1};

	memcpy(bytes + 1, left, 32);
	memcpy(bytes + 33, right, 32);
	crypto_hash_sha256(out, bytes, sizeof(bytes));
}

static size_t split(size_t n)
{
	size_t k = 1;

	while (k * 2 < n)
		k *= 2;
	return k;
}

/* MTH of RFC 6962, 2.1, over leaf hashes. */
static void naive_root(uint8_t out[32], uint8_t (*leaf)[32], size_t n)
{
	uint8_t left[32], right[32];
	size_t k;

	if (n == 1) {
		memcpy(out, leaf[0], 32);
		return;
	}
	k = split(n);
	naive_root(left, leaf, k);
	naive_root(right, leaf + k, n - k);
	naive_node(out, left, right);
}

/* PATH of RFC 6962, 2.1.1; returns its length in nodes. */
static size_t naive_path(uint8_t *proof, uint8_t (*leaf)[32], size_t m, size_t n)
{
	size_t k, nodes;

	if (n == 1)
		return 0;
	k = split(n);
	if (m < k) {
		nodes = naive_path(proof, leaf, m, k);
		naive_root(proof + nodes * 32, leaf + k, n - k);
	} else {
		nodes = naive_path(proof, leaf + k, m - k, n - k);
		naive_root(proof + nodes * 32, leaf, k);
	}
	return nodes + 1;
}

static size_t build_body(struct forest *f, uint8_t *out, uint32_t source, uint32_t index,
			 uint32_t count)
{
	uint8_t payload[ATR_INLINE_MAX] = {1, 2, 3};
	struct atr_event event = {.topic_id = 1,
				  .type_id = 1,
				  .timestamp_ns = 1,
				  .priority = 0,
				  .payload = payload,
				  .payload_length = sizeof(payload)};
	struct atr_frame_spec spec = {.realm = FOREST_REALM,
				      .source = source,
				      .key = FOREST_KEY,
				      .first_sequence = f->next_sequence++,
				      .timestamp_ns = 1,
				      .leaf_index = index,
				      .leaf_count = count};
	int length = atr_frame_build_body(&spec, &event, 1, out, FOREST_BYTES);

	assert_int_equal(length, 128);
	return (size_t)length;
}

static void sign_head(struct forest *f, uint8_t signature[64], uint32_t source, uint32_t count,
		      const uint8_t root[32])
{
	struct atr_tree_head head;

	atr_tree_head_init(&head, FOREST_REALM, source, FOREST_KEY, count, root);
	crypto_sign_detached(signature, NULL, (const uint8_t *)&head, sizeof(head),
			     f->secret_key[source]);
}

struct tree forest_tree(struct forest *f, uint32_t source, unsigned int count)
{
	struct tree t = {.count = count, .item = calloc(count, sizeof(*t.item))};
	uint8_t(*leaf)[32] = calloc(count, 32);

	assert_non_null(t.item);
	assert_non_null(leaf);
	for (unsigned int i = 0; i < count; i++) {
		t.item[i].result = NOT_RUN;
		t.item[i].length = build_body(f, t.item[i].bytes, source, i, count);
		crypto_hash_sha256(leaf[i], t.item[i].bytes, t.item[i].length);
	}
	naive_root(t.root, leaf, count);
	sign_head(f, t.signature, source, count, t.root);
	for (unsigned int i = 0; i < count; i++) {
		struct item *item = &t.item[i];

		memcpy(item->bytes + item->length, t.signature, 64);
		item->length += 64;
		item->length += 32 * naive_path(item->bytes + item->length, leaf, i, count);
	}
	free(leaf);
	return t;
}

void forest_free(struct tree *tree)
{
	free(tree->item);
}

void forest_lone(struct forest *f, struct item *item, uint32_t source, uint32_t index,
		 uint32_t count)
{
	uint32_t fn = index, sn = count - 1;
	uint8_t node[32], *proof;

	item->result = NOT_RUN;
	item->length = build_body(f, item->bytes, source, index, count);
	crypto_hash_sha256(node, item->bytes, item->length);
	proof = item->bytes + item->length + 64;
	/* RFC 9162, 2.1.3.2, literally. */
	for (; sn > 0; proof += 32) {
		randombytes_buf(proof, 32);
		if ((fn & 1) || fn == sn) {
			naive_node(node, proof, node);
			while (!(fn & 1) && fn != 0) {
				fn >>= 1;
				sn >>= 1;
			}
		} else {
			naive_node(node, node, proof);
		}
		fn >>= 1;
		sn >>= 1;
	}
	sign_head(f, item->bytes + item->length, source, count, node);
	item->length = (size_t)(proof - item->bytes);
}

/* As one of a burst of the same frame, every other time: that must change no verdict. */
static const struct atr_auth_ahead *look_ahead(struct forest *f, const struct atr_frame *frame,
					       const uint8_t *leaf)
{
	static struct atr_auth_ahead ahead[AHEAD_BURST];
	const struct atr_frame *frames[AHEAD_BURST];
	const uint8_t *leaves[AHEAD_BURST];

	if (f->offered++ % 2)
		return NULL;
	for (unsigned int i = 0; i < AHEAD_BURST; i++) {
		frames[i] = frame;
		leaves[i] = leaf;
	}
	atr_auth_look_ahead(f->hash, frames, leaves, ahead, AHEAD_BURST);
	f->ahead += ahead[AHEAD_BURST - 1].known;
	return &ahead[AHEAD_BURST - 1];
}

uint8_t forest_offer(struct forest *f, struct item *item)
{
	struct atr_frame frame;
	uint8_t leaf[32];

	assert_int_equal(atr_frame_parse(item->bytes, item->length, &frame), ATR_OK);
	frame.key_serial = f->key_serial;
	crypto_hash_sha256(leaf, item->bytes, frame.leaf_size);
	item->result = atr_auth_frame(f->auth, f->hash, &frame, leaf, look_ahead(f, &frame, leaf),
				      f->address, item);
	if (item->result != ATR_AUTH_HELD)
		item->done_at = f->done++;
	return item->result;
}

uint8_t forest_judge(const struct forest *f, const struct atr_root_request *request)
{
	uint32_t source = request->head.source;

	assert_int_equal(request->shard, 3);
	assert_memory_equal(request->head.prefix, ATR_TREE_HEAD_PREFIX, 16);
	if (request->head.realm != FOREST_REALM)
		return ATR_REASON_REALM;
	if (source == 0 || source >= FOREST_SOURCES || request->head.key != FOREST_KEY)
		return ATR_REASON_UNKNOWN_KEY;
	if (crypto_sign_verify_detached(request->signature, (const uint8_t *)&request->head,
					sizeof(request->head), f->public_key[source]))
		return ATR_REASON_BAD_SIGNATURE;
	return ATR_OK;
}

static unsigned int run_released(struct forest *f)
{
	void *cookies[BURST];
	uint8_t reasons[BURST];
	unsigned int n = atr_auth_release(f->auth, cookies, reasons, BURST);

	for (unsigned int i = 0; i < n; i++) {
		struct item *item = cookies[i];

		assert_int_equal(item->result, ATR_AUTH_HELD);
		if (reasons[i] == ATR_OK) {
			forest_offer(f, item);
			continue;
		}
		item->result = reasons[i];
		item->done_at = f->done++;
	}
	return n;
}

void forest_pump(struct forest *f)
{
	struct atr_root_request *requests[BURST];
	unsigned int n;

	do {
		n = atr_auth_requests(f->auth, requests, BURST);
		for (unsigned int i = 0; i < n; i++) {
			requests[i]->verdict = forest_judge(f, requests[i]);
			atr_auth_verdict(f->auth, requests[i]);
			/* As in the appliance, frames run as soon as their root is proven. */
			while (run_released(f))
				;
		}
	} while (n || run_released(f));
}

void forest_take(struct forest *f, struct atr_root_request **requests, unsigned int count)
{
	assert_int_equal(atr_auth_requests(f->auth, requests, count), count);
}

void forest_shuffle(unsigned int *order, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++)
		order[i] = i;
	for (unsigned int i = count; i > 1; i--) {
		unsigned int j = randombytes_uniform(i), swap = order[i - 1];

		order[i - 1] = order[j];
		order[j] = swap;
	}
}

void forest_assert_idle(const struct forest *f)
{
	assert_int_equal(atr_auth_stats(f->auth)->held_frames, 0);
	assert_int_equal(atr_auth_stats(f->auth)->pending_roots, 0);
}
