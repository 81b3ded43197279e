/* SPDX-License-Identifier: BSD-3-Clause */
#include "batch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/merkle/tree.h"

#define HEADERS_IP_UDP 28
#define PRIORITY_MAX   (ATR_FLAG_PRIORITY_MASK >> ATR_FLAG_PRIORITY_SHIFT)

struct batch {
	struct batch_params params;
	size_t proof_size; /* of the largest tree */
	size_t body_max;   /* bytes that leave room for signature and proof in the MTU */
	uint64_t next;     /* sequence of the next event */
	/* The frame under construction. */
	unsigned int events;
	size_t body, stored; /* bytes */
	struct atr_event event[ATR_FRAME_PACKETS_MAX];
	uint8_t store[ATR_DATAGRAM_MAX];
	/* The tree under construction, or the one closed last. */
	uint32_t leaves;
	bool closed;
	struct batch_frame *frame;
	uint8_t (*hash)[ATR_MERKLE_HASH];
	struct atr_merkle_tree merkle;
};

static void fresh_frame(struct batch *b)
{
	b->events = 0;
	b->stored = 0;
	b->body = ATR_FRAME_HDR_SIZE;
}

struct batch *batch_create(const struct batch_params *params, char *error, size_t size)
{
	size_t proof = (size_t)atr_frame_proof_nodes(0, params->tree) * ATR_HASH_SIZE;
	size_t overhead = HEADERS_IP_UDP + ATR_SIGNATURE_SIZE + proof;
	struct batch *b = calloc(1, sizeof(*b));

	if (!b || params->mtu < overhead + ATR_FRAME_HDR_SIZE + ATR_PACKET_SIZE) {
		snprintf(error, size,
			 b ? "an MTU of %u leaves no room for an event beside a proof of a tree of "
			     "%u frames; raise the MTU or make trees smaller"
			   : "out of memory",
			 params->mtu, params->tree);
		free(b);
		return NULL;
	}
	b->params = *params;
	b->proof_size = proof;
	b->body_max = params->mtu - overhead;
	b->next = params->next;
	b->frame = calloc(params->tree, sizeof(*b->frame));
	b->hash = calloc(params->tree, sizeof(*b->hash));
	fresh_frame(b);
	if (b->frame && b->hash && atr_merkle_tree_init(&b->merkle, params->tree) == 0)
		return b;
	snprintf(error, size, "out of memory");
	batch_free(b);
	return NULL;
}

static void drop_frames(struct batch *b)
{
	for (uint32_t i = 0; i < b->leaves; i++)
		free(b->frame[i].datagram);
	b->leaves = 0;
	b->closed = false;
}

void batch_free(struct batch *b)
{
	if (!b)
		return;
	if (b->frame)
		drop_frames(b);
	free(b->frame);
	free(b->hash);
	atr_merkle_tree_fini(&b->merkle);
	free(b);
}

static int close_frame(struct batch *b, uint64_t now_ns)
{
	struct batch_frame *f = &b->frame[b->leaves];
	struct atr_frame_spec spec = {
		.realm = b->params.realm,
		.source = b->params.source,
		.key = b->params.key,
		.first_sequence = b->next - b->events,
		.timestamp_ns = now_ns,
		.leaf_index = b->leaves,
		.leaf_count = b->params.tree, /* the true count is filled in when the tree closes */
	};
	int n;

	if (b->events == 0)
		return 0;
	f->datagram = malloc(b->body + ATR_SIGNATURE_SIZE + b->proof_size);
	if (!f->datagram)
		return -ENOMEM;
	n = atr_frame_build_body(&spec, b->event, b->events, f->datagram, b->body);
	if (n < 0) {
		free(f->datagram);
		return n;
	}
	f->length = (uint32_t)n;
	f->first = spec.first_sequence;
	f->events = (uint16_t)b->events;
	b->leaves++;
	fresh_frame(b);
	return 0;
}

int batch_add(struct batch *b, const struct atr_event *event, uint64_t now_ns, uint64_t *sequence)
{
	size_t arena = event->payload_length > ATR_INLINE_MAX ? event->payload_length : 0;
	size_t size = ATR_PACKET_SIZE + arena;
	struct atr_event *slot;
	int err;

	if (event->priority > PRIORITY_MAX)
		return -EINVAL;
	if (ATR_FRAME_HDR_SIZE + size > b->body_max)
		return -EMSGSIZE;
	/* The largest sequence stays unused, so that `next` never wraps. */
	if (b->next == UINT64_MAX)
		return -ERANGE;
	if (b->closed)
		drop_frames(b);
	if (b->body + size > b->body_max || b->events == b->params.events) {
		err = close_frame(b, now_ns);
		if (err)
			return err;
	}
	if (b->leaves == b->params.tree)
		return 1;
	slot = &b->event[b->events++];
	*slot = *event;
	slot->payload = b->store + b->stored;
	if (event->payload_length)
		memcpy(b->store + b->stored, event->payload, event->payload_length);
	b->stored += event->payload_length;
	b->body += size;
	*sequence = b->next++;
	return 0;
}

uint32_t batch_frames(const struct batch *b)
{
	return b->closed ? 0 : b->leaves + (b->events > 0);
}

uint64_t batch_next(const struct batch *b)
{
	return b->next;
}

static void finish_frames(struct batch *b, const uint8_t *signature)
{
	for (uint32_t i = 0; i < b->leaves; i++) {
		struct batch_frame *f = &b->frame[i];

		memcpy(f->datagram + f->length, signature, ATR_SIGNATURE_SIZE);
		f->length += ATR_SIGNATURE_SIZE;
		f->length += atr_merkle_tree_proof(&b->merkle, i, f->datagram + f->length) *
			     ATR_HASH_SIZE;
		memcpy(f->leaf, b->hash[i], ATR_HASH_SIZE);
	}
}

int batch_close(struct batch *b, uint64_t now_ns, struct batch_frame **frames)
{
	uint8_t signature[ATR_SIGNATURE_SIZE];
	struct atr_tree_head head;
	int err;

	if (b->closed)
		drop_frames(b);
	err = close_frame(b, now_ns);
	if (err || b->leaves == 0)
		return err;
	for (uint32_t i = 0; i < b->leaves; i++) {
		struct batch_frame *f = &b->frame[i];

		((struct atr_frame_hdr *)f->datagram)->leaf_count = b->leaves;
		atr_merkle_leaf(f->datagram + 1, f->length - 1, b->hash[i]);
	}
	atr_merkle_tree_build(&b->merkle, (const uint8_t(*)[ATR_MERKLE_HASH])b->hash, b->leaves);
	atr_tree_head_init(&head, b->params.realm, b->params.source, b->params.key, b->leaves,
			   atr_merkle_tree_root(&b->merkle));
	atr_signer_sign(b->params.signer, (const uint8_t *)&head, sizeof(head), signature);
	finish_frames(b, signature);
	b->closed = true;
	*frames = b->frame;
	return (int)b->leaves;
}
