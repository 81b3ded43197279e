/* SPDX-License-Identifier: BSD-3-Clause */
/* What authentication costs beside hashing the leaves: frames of 1,472 bytes, in order, in trees of
 * 256 whose roots are taken for proven as soon as they are asked for. Scope: lib/hash and lib/auth
 * alone on one core; nothing is received, parsed beyond the frame, or sent. */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../../lib/auth/auth.h"
#include "../../lib/merkle/merkle.h"
#include "../../lib/reason/reason.h"

#define TREES       2
#define LEAVES      256
#define FRAMES      (TREES * LEAVES)
#define BURST       32
#define PROOF_BYTES (8 * 32)
#define FRAME_BYTES 1472
/* Header, packets, signature and proof together. */
#define BODY_BYTES (FRAME_BYTES - 64 - PROOF_BYTES)
#define PACKETS    (BODY_BYTES / 64 - 1)
#define ROUNDS     101

struct bench {
	struct atr_hash *hash;
	uint8_t (*bytes)[FRAME_BYTES];
	struct atr_frame frame[FRAMES];
};

static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int build_tree(struct bench *b, unsigned int tree)
{
	static uint8_t leaves[LEAVES * 32];
	struct atr_event events[PACKETS];
	uint8_t payload[ATR_INLINE_MAX] = {0};

	for (unsigned int i = 0; i < PACKETS; i++)
		events[i] = (struct atr_event){.topic_id = 1,
					       .type_id = 1,
					       .timestamp_ns = 1,
					       .payload = payload,
					       .payload_length = sizeof(payload)};
	for (unsigned int i = 0; i < LEAVES; i++) {
		struct atr_frame_spec spec = {.realm = 1,
					      .source = 1,
					      .key = 1,
					      .first_sequence = tree * LEAVES + i,
					      .leaf_index = i,
					      .leaf_count = LEAVES};
		uint8_t *out = b->bytes[tree * LEAVES + i];
		int size = atr_frame_build_body(&spec, events, PACKETS, out, BODY_BYTES);

		if (size < 0)
			return size;
		atr_merkle_leaf(out + 1, (size_t)size - 1, leaves + i * 32);
		memset(out + size, (int)tree + 1, 64);
	}
	for (unsigned int i = 0; i < LEAVES; i++) {
		uint8_t *out = b->bytes[tree * LEAVES + i];
		size_t body = ATR_FRAME_HDR_SIZE + PACKETS * ATR_PACKET_SIZE;

		if (atr_merkle_inclusion(leaves, LEAVES, i, out + body + 64, 8) != 8)
			return -1;
		if (atr_frame_parse(out, body + 64 + PROOF_BYTES, &b->frame[tree * LEAVES + i]))
			return -1;
	}
	return 0;
}

static void hash_leaves(struct bench *b, unsigned int first, uint8_t (*leaf)[32])
{
	const uint8_t *data[BURST];
	uint32_t length[BURST];

	for (unsigned int i = 0; i < BURST; i++) {
		data[i] = b->bytes[first + i];
		length[i] = b->frame[first + i].leaf_size;
	}
	atr_hash_burst(b->hash, data, length, leaf, BURST);
}

static double run_hash(struct bench *b)
{
	uint8_t leaf[BURST][32];
	double begin = now_ns();

	for (unsigned int i = 0; i < FRAMES; i += BURST)
		hash_leaves(b, i, leaf);
	return (now_ns() - begin) / FRAMES;
}

/* One node a frame beside the leaves: what the contract compares with. */
static double run_hash_and_node(struct bench *b)
{
	uint8_t leaf[BURST][32], node[32];
	double begin = now_ns();

	for (unsigned int i = 0; i < FRAMES; i += BURST) {
		hash_leaves(b, i, leaf);
		for (unsigned int j = 0; j < BURST; j++)
			atr_hash_node(b->hash, leaf[j], leaf[(j + 1) % BURST], node);
	}
	return (now_ns() - begin) / FRAMES;
}

static double run_auth(struct bench *b)
{
	static const struct atr_auth_params params = {.trees = 64,
						      .nodes_per_tree = 512,
						      .pending_roots = 64,
						      .pending_per_source = 64,
						      .refused_roots = 64,
						      .hold_frames = 1024,
						      .hold_per_source = 1024};
	char error[256];
	struct atr_auth *auth = atr_auth_create(&params, 0, 0, error, sizeof(error));
	struct atr_root_request *request;
	uint8_t leaf[BURST][32], reason;
	const struct atr_frame *burst[BURST];
	const uint8_t *leaves[BURST];
	struct atr_auth_ahead ahead[BURST];
	unsigned int proven = 0;
	double begin, ns;
	void *cookie;

	if (!auth) {
		fprintf(stderr, "%s\n", error);
		exit(1);
	}
	begin = now_ns();
	for (unsigned int i = 0; i < FRAMES; i += BURST) {
		hash_leaves(b, i, leaf);
		for (unsigned int j = 0; j < BURST; j++) {
			burst[j] = &b->frame[i + j];
			leaves[j] = leaf[j];
		}
		atr_auth_look_ahead(b->hash, burst, leaves, ahead, BURST);
		for (unsigned int j = 0; j < BURST; j++) {
			const struct atr_frame *frame = &b->frame[i + j];

			if (atr_auth_frame(auth, b->hash, frame, leaf[j], &ahead[j], NULL) ==
			    ATR_OK) {
				proven++;
				continue;
			}
			if (atr_auth_requests(auth, &request, 1) == 1) {
				request->verdict = ATR_OK;
				atr_auth_verdict(auth, request);
			}
			while (atr_auth_release(auth, &cookie, &reason, 1))
				proven += atr_auth_frame(auth, b->hash, frame, leaf[j], &ahead[j],
							 NULL) == ATR_OK;
		}
	}
	ns = (now_ns() - begin) / FRAMES;
	if (proven != FRAMES) {
		fprintf(stderr, "%u of %u frames proven\n", proven, FRAMES);
		exit(1);
	}
	atr_auth_free(auth);
	return ns;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *sample)
{
	qsort(sample, ROUNDS, sizeof(*sample), compare);
	return sample[ROUNDS / 2];
}

int main(void)
{
	static struct bench b;
	double hash[ROUNDS], node[ROUNDS], auth[ROUNDS], h, n, a;
	char error[256];

	b.hash = atr_hash_create(0, 512, error, sizeof(error));
	b.bytes = calloc(FRAMES, FRAME_BYTES);
	if (!b.hash || !b.bytes) {
		fprintf(stderr, "%s\n", b.hash ? "out of memory" : error);
		return 1;
	}
	for (unsigned int t = 0; t < TREES; t++) {
		if (build_tree(&b, t) != 0) {
			fprintf(stderr, "tree %u cannot be built\n", t);
			return 1;
		}
	}
	for (unsigned int r = 0; r < ROUNDS; r++) {
		hash[r] = run_hash(&b);
		node[r] = run_hash_and_node(&b);
		auth[r] = run_auth(&b);
	}
	h = median(hash);
	n = median(node);
	a = median(auth);
	printf("leaf hash                %7.1f ns a frame (%u B hashed, bursts of %u)\n", h,
	       b.frame[0].leaf_size, BURST);
	printf("leaf hash and one node   %7.1f ns a frame\n", n);
	printf("leaf hash and auth       %7.1f ns a frame (%u packets: %.1fM a second)\n", a,
	       PACKETS, PACKETS * 1e3 / a);
	printf("ratio                    %7.3f of the rate with one node\n", n / a);
	free(b.bytes);
	atr_hash_free(b.hash);
	return 0;
}
