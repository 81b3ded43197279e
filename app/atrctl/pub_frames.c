/* SPDX-License-Identifier: BSD-3-Clause */
/* Events into frames, frames into trees, one builder a source. */
#include "pub.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../../lib/encode/encode.h"
#include "../../lib/merkle/tree.h"
#include "../../lib/wire/frame.h"

#define TREE_DEFAULT   256
#define MTU_DEFAULT    1500
#define HEADERS_IP_UDP 28
#define PAYLOAD_STORE  ATR_DATAGRAM_MAX

struct leaf {
	uint8_t *data; /* body, with room for signature and proof behind it */
	size_t length;
};

struct builder {
	struct pub *pub;
	struct producer *producer;
	uint64_t next_sequence;
	size_t body_max; /* bytes that leave room for signature and proof in the MTU */
	/* The frame under construction. */
	unsigned int events;
	size_t body; /* bytes so far */
	size_t stored;
	struct atr_event event[ATR_FRAME_PACKETS_MAX];
	uint8_t store[PAYLOAD_STORE];
	/* The tree under construction. */
	unsigned int leaves, tree_size;
	struct leaf *leaf;
	uint8_t (*hash)[ATR_MERKLE_HASH];
};

static unsigned int proof_max(uint64_t tree_size)
{
	return atr_frame_proof_nodes(0, (uint32_t)tree_size);
}

static struct builder *builder_create(struct pub *pub, struct producer *producer, char *error)
{
	const struct pub_options *o = &pub->options;
	uint64_t tree = o->tree.given ? o->tree.value : TREE_DEFAULT;
	uint64_t mtu = o->mtu.given ? o->mtu.value : MTU_DEFAULT;
	size_t overhead =
		HEADERS_IP_UDP + ATR_SIGNATURE_SIZE + (size_t)proof_max(tree) * ATR_HASH_SIZE;
	struct builder *b = calloc(1, sizeof(*b));

	if (!b || mtu < overhead + ATR_FRAME_HDR_SIZE + ATR_PACKET_SIZE) {
		snprintf(error, ERROR_SIZE,
			 b ? "--mtu %llu leaves no room for an event beside a proof of a tree of "
			     "%llu frames; raise --mtu or lower --tree"
			   : "out of memory",
			 (unsigned long long)mtu, (unsigned long long)tree);
		free(b);
		return NULL;
	}
	b->pub = pub;
	b->producer = producer;
	b->tree_size = (unsigned int)tree;
	b->body_max = mtu - overhead;
	b->body = ATR_FRAME_HDR_SIZE;
	b->leaf = calloc(tree, sizeof(*b->leaf));
	b->hash = calloc(tree, sizeof(*b->hash));
	b->next_sequence = pub->sequences
				   ? sequence_file_next(pub->sequences, producer->source->name)
				   : o->first_sequence.value;
	if (b->leaf && b->hash)
		return b;
	snprintf(error, ERROR_SIZE, "out of memory");
	free(b->leaf);
	free(b->hash);
	free(b);
	return NULL;
}

static void builder_free(struct builder *b)
{
	for (unsigned int i = 0; i < b->leaves; i++)
		free(b->leaf[i].data);
	free(b->leaf);
	free(b->hash);
	free(b);
}

/* Signs the tree and sends its frames. Its sequences are on disk by now. */
static int send_tree(struct builder *b, char *error)
{
	struct pub *pub = b->pub;
	uint8_t signature[ATR_SIGNATURE_SIZE];
	struct atr_tree_head head;
	struct atr_merkle_tree tree;

	if (b->leaves == 0)
		return 0;
	for (unsigned int i = 0; i < b->leaves; i++) {
		((struct atr_frame_hdr *)b->leaf[i].data)->leaf_count = b->leaves;
		atr_merkle_leaf(b->leaf[i].data + 1, b->leaf[i].length - 1, b->hash[i]);
	}
	if (atr_merkle_tree_init(&tree, b->leaves)) {
		snprintf(error, ERROR_SIZE, "out of memory");
		return -ENOMEM;
	}
	atr_merkle_tree_build(&tree, (const uint8_t(*)[ATR_MERKLE_HASH])b->hash, b->leaves);
	atr_tree_head_init(&head, pub->plan->realm, b->producer->source->id, b->producer->key_id,
			   b->leaves, atr_merkle_tree_root(&tree));
	atr_signer_sign(b->producer->signer, (const uint8_t *)&head, sizeof(head), signature);
	for (unsigned int i = 0; i < b->leaves; i++) {
		struct leaf *leaf = &b->leaf[i];
		size_t length = leaf->length;

		memcpy(leaf->data + length, signature, sizeof(signature));
		length += sizeof(signature);
		length += atr_merkle_tree_proof(&tree, i, leaf->data + length) *
			  (size_t)ATR_HASH_SIZE;
		output_put(&pub->output, leaf->data, length);
		free(leaf->data);
	}
	atr_merkle_tree_fini(&tree);
	pub->trees++;
	pub->frames += b->leaves;
	b->leaves = 0;
	return 0;
}

static int reserve(struct builder *b, char *error)
{
	struct sequence_file *file = b->pub->sequences;

	if (file && sequence_file_take(file, b->producer->source->name, b->next_sequence)) {
		snprintf(error, ERROR_SIZE, "sequences of source '%s' are used up",
			 b->producer->source->name);
		return -ERANGE;
	}
	return 0;
}

static int close_frame(struct builder *b, char *error)
{
	struct atr_frame_spec spec = {
		.realm = b->pub->plan->realm,
		.source = b->producer->source->id,
		.key = b->producer->key_id,
		.first_sequence = b->next_sequence,
		.timestamp_ns = now_unix_ns(),
		.leaf_index = b->leaves,
		.leaf_count = b->tree_size, /* the true count is filled in when the tree closes */
	};
	struct leaf *leaf = &b->leaf[b->leaves];
	int n;

	if (b->events == 0)
		return 0;
	if (__builtin_add_overflow(b->next_sequence, b->events, &b->next_sequence)) {
		snprintf(error, ERROR_SIZE, "sequences of source '%s' are used up",
			 b->producer->source->name);
		return -ERANGE;
	}
	leaf->data = malloc(b->body + ATR_SIGNATURE_SIZE +
			    (size_t)proof_max(b->tree_size) * ATR_HASH_SIZE);
	n = leaf->data ? atr_frame_build_body(&spec, b->event, b->events, leaf->data, b->body)
		       : -ENOMEM;
	if (n < 0) {
		free(leaf->data);
		snprintf(error, ERROR_SIZE, "frame cannot be built: %s", strerror(-n));
		return n;
	}
	leaf->length = (size_t)n;
	b->leaves++;
	b->events = 0;
	b->body = ATR_FRAME_HDR_SIZE;
	b->stored = 0;
	return reserve(b, error);
}

static int close_tree(struct builder *b, char *error)
{
	struct sequence_file *file = b->pub->sequences;
	int err = file ? sequence_file_commit(file, error) : 0;

	return err ? err : send_tree(b, error);
}

/* Appends one event; closes the frame before it, and the tree, when they are full. */
static int add(struct builder *b, const struct atr_event *event, char *error)
{
	size_t arena = event->payload_length > ATR_INLINE_MAX ? event->payload_length : 0;
	size_t size = ATR_PACKET_SIZE + arena;
	struct atr_event *slot;
	int err;

	if (ATR_FRAME_HDR_SIZE + size > b->body_max)
		return -EMSGSIZE;
	if (b->body + size > b->body_max || b->events == ATR_FRAME_PACKETS_MAX) {
		err = close_frame(b, error);
		if (!err && b->leaves == b->tree_size)
			err = close_tree(b, error);
		if (err)
			return err;
	}
	slot = &b->event[b->events++];
	*slot = *event;
	slot->payload = b->store + b->stored;
	memcpy(b->store + b->stored, event->payload, event->payload_length);
	b->stored += event->payload_length;
	b->body += size;
	return 0;
}

/* The event of a line; -EINVAL with a sentence if it does not fit the plan. */
static int encode(struct pub *pub, const struct event_line *line, struct producer *producer,
		  uint8_t *payload, struct atr_event *event, char *error)
{
	const struct atr_topic *topic =
		atr_plan_topic_named(pub->plan, line->topic->string, line->topic->string_length);
	const struct atr_type *type =
		atr_plan_type_named(pub->plan, line->type->string, line->type->string_length);
	int n;

	if (!topic || !type) {
		snprintf(error, ERROR_SIZE, "%s is not in the plan", topic ? "type" : "topic");
		return -EINVAL;
	}
	n = atr_encode_payload(type, line->payload, payload, error, ERROR_SIZE);
	if (n < 0)
		return n;
	event->topic_id = topic->id;
	event->type_id = type->id;
	event->timestamp_ns = line->timestamp_ns;
	event->priority = line->priority != PRIORITY_NOT_GIVEN ? line->priority
			  : producer->source->priority > topic->priority
				  ? producer->source->priority
				  : topic->priority;
	event->payload = payload;
	event->payload_length = (uint32_t)n;
	return 0;
}

static int publish(struct pub *pub, const struct event_line *line, struct producer *producer,
		   char *error)
{
	uint8_t payload[ATR_ENCODE_BUFFER];
	struct atr_event event;
	int err;

	if (encode(pub, line, producer, payload, &event, error)) {
		pub_unfit(pub, error);
		return 0;
	}
	if (!producer->frames) {
		producer->frames = builder_create(pub, producer, error);
		if (!producer->frames)
			return -EINVAL;
	}
	err = add(producer->frames, &event, error);
	if (err == -EMSGSIZE) {
		pub_unfit(pub, "the event does not fit a frame; raise --mtu");
		return 0;
	}
	pub->events += err == 0;
	return err;
}

/* Sends what is left; all sequences are reserved with one sync. */
static int finish(struct pub *pub, char *error)
{
	int err = 0;

	for (uint32_t i = 0; !err && i < pub->plan->source_slots; i++)
		if (pub->ring.producers[i].frames)
			err = close_frame(pub->ring.producers[i].frames, error);
	if (!err && pub->sequences)
		err = sequence_file_commit(pub->sequences, error);
	for (uint32_t i = 0; !err && i < pub->plan->source_slots; i++)
		if (pub->ring.producers[i].frames)
			err = send_tree(pub->ring.producers[i].frames, error);
	return err;
}

int pub_frames_run(struct pub *pub, char *error)
{
	struct producer *producer;
	struct event_line line;
	int err = 0;

	while (!err && pub_input_next(pub, &line, &producer))
		err = publish(pub, &line, producer, error);
	if (!err)
		err = finish(pub, error);
	if (!err)
		output_flush(&pub->output);
	for (uint32_t i = 0; i < pub->plan->source_slots; i++) {
		if (pub->ring.producers[i].frames)
			builder_free(pub->ring.producers[i].frames);
		pub->ring.producers[i].frames = NULL;
	}
	return err;
}
