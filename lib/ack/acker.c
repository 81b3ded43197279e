/* SPDX-License-Identifier: BSD-3-Clause */
#include "ack.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../merkle/tree.h"

#define SOURCES_MAX 65536
#define SHARDS_MAX  64
#define BODY_AT     (ATR_FRAME_HDR_SIZE + ATR_PACKET_SIZE)
#define PROOF_NODES 8 /* at most, in a tree of ATR_ACK_DATAGRAMS_MAX leaves */
#define TRAILER     (ATR_SIGNATURE_SIZE + PROOF_NODES * ATR_HASH_SIZE)
#define EPOCH_SHIFT 32
_Static_assert(ATR_ACK_DATAGRAMS_MAX == 1 << PROOF_NODES, "proofs fit");
_Static_assert(BODY_AT + sizeof(struct atr_ack_body) + sizeof(struct atr_ack_wire_entry) +
			       ATR_FRAME_PACKETS_MAX * sizeof(struct atr_ack_result) +
			       ATR_ACK_ALIGN + TRAILER <=
		       ATR_ACK_DATAGRAM_MIN,
	       "the largest entry fits the smallest datagram");

struct source {
	struct atr_ack_address to;
	bool known;
	uint16_t slot;  /* datagram under construction, if flush is the current one */
	uint64_t flush; /* number of the flush that slot belongs to; 0: none */
};

/* A mixed frame whose results are not all there yet. */
struct partial {
	struct atr_ack_item frame;
	unsigned int have; /* results so far */
	bool open;
	uint8_t reasons[ATR_FRAME_PACKETS_MAX];
};

/* One datagram under construction; its bytes are in atr_acker.bytes. */
struct slot {
	uint32_t source;
	uint32_t length; /* header, packet and body so far */
	uint32_t frames;
};

struct atr_acker {
	struct atr_acker_params params;
	struct atr_acker_stats stats;
	struct source *source;
	struct partial *partial; /* one a shard */
	uint8_t *bytes;          /* datagram_max a slot */
	struct atr_merkle_tree tree;
	uint64_t number; /* of the next datagram */
	uint64_t flush;
	unsigned int slots; /* in use */
	struct slot slot[ATR_ACK_DATAGRAMS_MAX];
	uint8_t leaf[ATR_ACK_DATAGRAMS_MAX][ATR_MERKLE_HASH];
	bool final[ATR_REASON_SPACE];
};

static bool settled(uint8_t reason)
{
	return reason == ATR_OK || reason == ATR_DUPLICATE;
}

static const char *wrong_parameter(const struct atr_acker_params *p)
{
	if (p->sources < 2 || p->sources > SOURCES_MAX)
		return "sources is not between 2 and 65536";
	if (p->shards < 1 || p->shards > SHARDS_MAX)
		return "shards is not between 1 and 64";
	if (p->datagram_max < ATR_ACK_DATAGRAM_MIN || p->datagram_max > ATR_DATAGRAM_MAX)
		return "datagram_max is not between 1024 and 8972";
	return p->signer ? NULL : "there is no key";
}

struct atr_acker *atr_acker_create(const struct atr_acker_params *params, char *error, size_t size)
{
	const char *wrong = wrong_parameter(params);
	struct atr_acker *acker;

	if (wrong) {
		snprintf(error, size, "acknowledgements: %s", wrong);
		return NULL;
	}
	acker = calloc(1, sizeof(*acker));
	if (acker) {
		acker->params = *params;
		acker->source = calloc(params->sources, sizeof(*acker->source));
		acker->partial = calloc(params->shards, sizeof(*acker->partial));
		acker->bytes = calloc(ATR_ACK_DATAGRAMS_MAX, params->datagram_max);
	}
	if (!acker || !acker->source || !acker->partial || !acker->bytes ||
	    atr_merkle_tree_init(&acker->tree, ATR_ACK_DATAGRAMS_MAX)) {
		snprintf(error, size, "acknowledgements: out of memory");
		atr_acker_free(acker);
		return NULL;
	}
	acker->number = (uint64_t)params->epoch << EPOCH_SHIFT;
	acker->flush = 1;
	for (unsigned int reason = 0; reason < ATR_REASON_SPACE; reason++)
		acker->final[reason] =
			settled((uint8_t)reason) || atr_reason_is_final((uint8_t)reason);
	return acker;
}

void atr_acker_free(struct atr_acker *acker)
{
	if (!acker)
		return;
	atr_merkle_tree_fini(&acker->tree);
	free(acker->bytes);
	free(acker->partial);
	free(acker->source);
	free(acker);
}

unsigned int atr_acker_room(const struct atr_acker *acker)
{
	return ATR_ACK_DATAGRAMS_MAX - acker->slots;
}

static uint8_t *slot_bytes(const struct atr_acker *acker, unsigned int slot)
{
	return acker->bytes + (size_t)slot * acker->params.datagram_max;
}

static struct atr_ack_body *slot_body(const struct atr_acker *acker, unsigned int slot)
{
	return (struct atr_ack_body *)(slot_bytes(acker, slot) + BODY_AT);
}

/* Place for size bytes in a source's datagram, or NULL. */
static uint8_t *reserve(struct atr_acker *acker, uint32_t source_id, size_t size, uint64_t floor)
{
	struct source *source = &acker->source[source_id];
	struct atr_ack_body *body;
	struct slot *slot = &acker->slot[source->slot];

	if (source->flush != acker->flush ||
	    slot->length + size + TRAILER > acker->params.datagram_max) {
		if (acker->slots == ATR_ACK_DATAGRAMS_MAX)
			return NULL;
		source->slot = (uint16_t)acker->slots++;
		source->flush = acker->flush;
		slot = &acker->slot[source->slot];
		*slot = (struct slot){.source = source_id, .length = BODY_AT + sizeof(*body)};
		*slot_body(acker, source->slot) = (struct atr_ack_body){.source = source_id};
	}
	body = slot_body(acker, source->slot);
	body->count++;
	if (floor > body->floor)
		body->floor = floor;
	slot->frames++;
	slot->length += (uint32_t)size;
	return slot_bytes(acker, source->slot) + slot->length - size;
}

/* reasons: of every event, or NULL if all are as the item says. */
static void add_entry(struct atr_acker *acker, const struct atr_ack_item *item,
		      const uint8_t *reasons)
{
	unsigned int events = item->frame.events;
	size_t results = reasons ? atr_ack_results_size(events) : 0;
	struct atr_ack_wire_entry entry = {
		.first_sequence = item->frame.first_sequence,
		.position = item->frame.position,
		.events = item->frame.events,
		.result = item->frame.reason,
		.flags = acker->final[item->frame.reason] ? ATR_ACK_FLAG_FINAL : 0,
	};
	struct atr_ack_result *result;
	uint8_t *out =
		reserve(acker, item->frame.source, sizeof(entry) + results, item->frame.floor);

	if (!out) {
		acker->stats.no_room++;
		return;
	}
	memcpy(entry.leaf, item->frame.leaf, sizeof(entry.leaf));
	if (reasons) {
		result = (struct atr_ack_result *)(out + sizeof(entry));
		memset(result, 0, results);
		entry.result = ATR_OK;
		entry.flags = ATR_ACK_FLAG_MIXED | ATR_ACK_FLAG_FINAL;
		for (unsigned int i = 0; i < events; i++) {
			result[i].reason = reasons[i];
			result[i].final = acker->final[reasons[i]];
			if (entry.result == ATR_OK && !settled(reasons[i]))
				entry.result = reasons[i];
			if (!result[i].final)
				entry.flags &= (uint8_t)~ATR_ACK_FLAG_FINAL;
		}
	}
	memcpy(out, &entry, sizeof(entry));
}

static void take_frame(struct atr_acker *acker, struct partial *partial,
		       const struct atr_ack_item *item)
{
	if (item->frame.source == 0 || item->frame.source >= acker->params.sources ||
	    item->frame.events == 0 || item->frame.events > ATR_FRAME_PACKETS_MAX) {
		acker->stats.malformed++;
		return;
	}
	if (item->kind & ATR_ACK_MIXED) {
		partial->frame = *item;
		partial->have = 0;
		partial->open = true;
		return;
	}
	if (!acker->source[item->frame.source].known)
		acker->stats.no_address++;
	else
		add_entry(acker, item, NULL);
}

static void take_more(struct atr_acker *acker, struct partial *partial,
		      const struct atr_ack_item *item)
{
	unsigned int events = partial->frame.frame.events, n = events - partial->have;
	const uint8_t *reasons = partial->reasons;

	if (n > ATR_ACK_ITEM_RESULTS)
		n = ATR_ACK_ITEM_RESULTS;
	memcpy(partial->reasons + partial->have, item->reasons, n);
	partial->have += n;
	if (partial->have < events)
		return;
	partial->open = false;
	/* Events that turn out alike have one encoding: the short one. */
	if (memcmp(reasons, reasons + 1, events - 1) == 0) {
		partial->frame.frame.reason = reasons[0];
		reasons = NULL;
	}
	if (!acker->source[partial->frame.frame.source].known)
		acker->stats.no_address++;
	else
		add_entry(acker, &partial->frame, reasons);
}

static void take_address(struct atr_acker *acker, const struct atr_ack_item *item)
{
	struct source *source;

	if (item->address.source == 0 || item->address.source >= acker->params.sources) {
		acker->stats.malformed++;
		return;
	}
	source = &acker->source[item->address.source];
	source->to = item->address.to;
	source->known = true;
}

void atr_acker_take(struct atr_acker *acker, unsigned int shard, const struct atr_ack_item *items,
		    unsigned int count)
{
	struct partial *partial = &acker->partial[shard];

	for (unsigned int i = 0; i < count; i++) {
		const struct atr_ack_item *item = &items[i];

		if ((item->kind == ATR_ACK_MORE) != partial->open) {
			acker->stats.malformed++;
			partial->open = false;
		}
		switch (item->kind) {
		case ATR_ACK_FRAME:
		case ATR_ACK_FRAME | ATR_ACK_MIXED: take_frame(acker, partial, item); break;
		case ATR_ACK_MORE:
			if (partial->open)
				take_more(acker, partial, item);
			break;
		case ATR_ACK_ADDRESS: take_address(acker, item); break;
		default: acker->stats.malformed++;
		}
	}
}

/* Header and packet around a body that is complete. */
static void finish_body(struct atr_acker *acker, unsigned int index, uint64_t now_ns)
{
	uint8_t *bytes = slot_bytes(acker, index);
	uint32_t body = acker->slot[index].length - BODY_AT;
	struct atr_frame_spec spec = {
		.realm = acker->params.realm,
		.source = ATR_ACK_SOURCE,
		.key = ATR_ACK_KEY,
		.first_sequence = acker->number++,
		.timestamp_ns = now_ns,
		.leaf_index = index,
		.leaf_count = acker->slots,
	};

	atr_frame_write_hdr(&spec, 1, body, (struct atr_frame_hdr *)bytes);
	*(struct atr_packet *)(bytes + ATR_FRAME_HDR_SIZE) = (struct atr_packet){
		.flags = ATR_FLAG_ARENA,
		.topic_id = ATR_ACK_TOPIC,
		.sender_id = ATR_ACK_SOURCE,
		.timestamp_ns = now_ns,
		.type_id = ATR_ACK_TYPE,
		.arena = {.length = body},
	};
	crypto_hash_sha256(acker->leaf[index], bytes, acker->slot[index].length);
}

static void sign_all(struct atr_acker *acker, uint8_t signature[ATR_SIGNATURE_SIZE])
{
	const struct atr_acker_params *p = &acker->params;
	struct atr_tree_head head;

	atr_merkle_tree_build(&acker->tree, (const uint8_t(*)[ATR_MERKLE_HASH])acker->leaf,
			      acker->slots);
	atr_tree_head_init(&head, p->realm, ATR_ACK_SOURCE, ATR_ACK_KEY, acker->slots,
			   atr_merkle_tree_root(&acker->tree));
	memcpy(head.prefix, ATR_ACK_HEAD_PREFIX, sizeof(head.prefix));
	atr_signer_sign(p->signer, (const uint8_t *)&head, sizeof(head), signature);
	acker->stats.signatures++;
}

unsigned int atr_acker_flush(struct atr_acker *acker, uint64_t now_ns, atr_ack_emit_fn emit,
			     void *ctx)
{
	uint8_t signature[ATR_SIGNATURE_SIZE];
	unsigned int count = acker->slots;

	if (count == 0)
		return 0;
	for (unsigned int i = 0; i < count; i++)
		finish_body(acker, i, now_ns);
	sign_all(acker, signature);
	for (unsigned int i = 0; i < count; i++) {
		const struct slot *slot = &acker->slot[i];
		uint8_t *bytes = slot_bytes(acker, i);
		size_t length = slot->length;

		memcpy(bytes + length, signature, sizeof(signature));
		length += sizeof(signature);
		length += atr_merkle_tree_proof(&acker->tree, i, bytes + length) *
			  (size_t)ATR_HASH_SIZE;
		emit(ctx, &acker->source[slot->source].to, bytes, length);
		acker->stats.frames += slot->frames;
	}
	acker->stats.datagrams += count;
	acker->slots = 0;
	acker->flush++;
	return count;
}

const struct atr_acker_stats *atr_acker_stats(const struct atr_acker *acker)
{
	return &acker->stats;
}
