/* SPDX-License-Identifier: BSD-3-Clause */
#include "fake_appliance.h"

#include <stdlib.h>
#include <string.h>

#include "../../lib/merkle/merkle.h"

#define ROOM_FIRST 1024
#define IP         0x7F000001u
#define EPOCH      5

static struct atr_signer *signer_of(uint8_t first)
{
	uint8_t seed[ATR_SEED_SIZE] = {first};

	return atr_signer_from_seed(seed);
}

struct fake_appliance *fake_create(uint32_t window)
{
	struct fake_appliance *f = calloc(1, sizeof(*f));
	struct atr_acker_params params = {.realm = FAKE_REALM,
					  .epoch = EPOCH,
					  .sources = FAKE_SOURCE + 1,
					  .shards = 1,
					  .datagram_max = ATR_ACK_DATAGRAM_DEFAULT};
	struct atr_ack_item address = {.kind = ATR_ACK_ADDRESS};
	uint8_t public[ATR_PUBLIC_KEY_SIZE];
	struct atr_signer *producer;
	char error[256];

	if (!f || atr_sign_init())
		abort();
	f->window = window;
	f->signer = signer_of(FAKE_ACKS_SEED);
	atr_signer_public(f->signer, public);
	atr_hex_encode(public, sizeof(public), f->acks_key);
	producer = signer_of(FAKE_SEED);
	atr_signer_public(producer, f->producer_key);
	atr_signer_free(producer);
	params.signer = f->signer;
	f->acker = atr_acker_create(&params, error, sizeof(error));
	if (!f->acker)
		abort();
	address.address.source = FAKE_SOURCE;
	address.address.to.ip = IP;
	address.address.to.port = 1;
	address.address.to.mac[0] = 2;
	atr_acker_take(f->acker, 0, &address, 1);
	return f;
}

void fake_free(struct fake_appliance *f)
{
	atr_acker_free(f->acker);
	atr_signer_free(f->signer);
	free(f->used);
	free(f->was_admitted);
	free(f);
}

static bool is_proven(const struct fake_appliance *f, const struct atr_frame *frame,
		      const uint8_t *leaf)
{
	const struct atr_frame_hdr *h = frame->hdr;
	uint8_t root[ATR_MERKLE_HASH];
	struct atr_tree_head head;

	if (h->realm != FAKE_REALM || h->source != FAKE_SOURCE || h->key != FAKE_KEY ||
	    atr_frame_canonical(frame) != ATR_OK ||
	    atr_merkle_inclusion_root(h->leaf_index, h->leaf_count, leaf, frame->proof,
				      frame->proof_nodes, root))
		return false;
	atr_tree_head_init(&head, h->realm, h->source, h->key, h->leaf_count, root);
	return atr_verify(f->producer_key, (const uint8_t *)&head, sizeof(head), frame->signature);
}

/* Most tests use a few sequences of the many that there may be. */
static void make_room(struct fake_appliance *f, uint64_t sequence)
{
	uint64_t old = f->room;

	if (sequence < old)
		return;
	while (f->room <= sequence)
		f->room = f->room ? 2 * f->room : ROOM_FIRST;
	f->used = realloc(f->used, f->room * sizeof(*f->used));
	f->was_admitted = realloc(f->was_admitted, f->room * sizeof(*f->was_admitted));
	if (!f->used || !f->was_admitted)
		abort();
	memset(f->used + old, 0, (f->room - old) * sizeof(*f->used));
	memset(f->was_admitted + old, 0, (f->room - old) * sizeof(*f->was_admitted));
}

/* False if the sequence was used by other bytes. */
static bool use(struct fake_appliance *f, uint64_t sequence, const uint8_t *leaf)
{
	static const uint8_t unused[ATR_HASH_SIZE];

	make_room(f, sequence);
	if (memcmp(f->used[sequence], unused, sizeof(unused)) != 0 &&
	    memcmp(f->used[sequence], leaf, ATR_HASH_SIZE) != 0) {
		f->reused++;
		return false;
	}
	memcpy(f->used[sequence], leaf, ATR_HASH_SIZE);
	return true;
}

void fake_occupy(struct fake_appliance *f, uint64_t sequence)
{
	make_room(f, sequence);
	memset(f->used[sequence], 0xFF, sizeof(f->used[sequence]));
}

void fake_overhear(struct fake_appliance *f, const uint8_t *datagram, size_t length)
{
	uint8_t leaf[ATR_MERKLE_HASH];
	struct atr_frame frame;

	if (atr_frame_parse(datagram, length, &frame) != ATR_OK)
		return;
	atr_merkle_leaf(datagram + 1, frame.leaf_size - 1, leaf);
	for (unsigned int i = 0; i < frame.packet_count; i++)
		if (frame.hdr->first_sequence + i < FAKE_SEQUENCES)
			use(f, frame.hdr->first_sequence + i, leaf);
}

static uint8_t judge(struct fake_appliance *f, uint64_t sequence, const uint8_t *leaf)
{
	uint8_t reason;

	if (sequence >= FAKE_SEQUENCES)
		return ATR_REASON_AHEAD;
	if (!use(f, sequence, leaf))
		return ATR_REASON_CONFLICT;
	if (sequence + f->window < f->next) {
		f->stale++;
		return ATR_REASON_STALE;
	}
	if (f->was_admitted[sequence]) {
		f->duplicates++;
		return ATR_DUPLICATE;
	}
	reason = f->judge ? f->judge(f->context, sequence) : ATR_OK;
	if (reason != ATR_OK)
		return reason;
	f->admitted++;
	f->was_admitted[sequence] = true;
	return ATR_OK;
}

void fake_take(struct fake_appliance *f, const uint8_t *datagram, size_t length)
{
	struct atr_ack_item item[1 + ATR_FRAME_PACKETS_MAX / ATR_ACK_ITEM_RESULTS + 1] = {0};
	uint8_t leaf[ATR_MERKLE_HASH], reasons[ATR_FRAME_PACKETS_MAX] = {0};
	struct atr_frame frame;
	bool mixed = false;
	uint64_t end;

	if (atr_frame_parse(datagram, length, &frame) != ATR_OK) {
		f->unproven++;
		return;
	}
	atr_merkle_leaf(datagram + 1, frame.leaf_size - 1, leaf);
	if (!is_proven(f, &frame, leaf)) {
		f->unproven++;
		return;
	}
	f->frames++;
	for (unsigned int i = 0; i < frame.packet_count; i++) {
		reasons[i] = judge(f, frame.hdr->first_sequence + i, leaf);
		mixed |= reasons[i] != reasons[0];
		item[1 + i / ATR_ACK_ITEM_RESULTS].reasons[i % ATR_ACK_ITEM_RESULTS] = reasons[i];
		item[1 + i / ATR_ACK_ITEM_RESULTS].kind = ATR_ACK_MORE;
		end = frame.hdr->first_sequence + i + 1;
		if (reasons[i] == ATR_OK && end > f->next)
			f->next = end;
	}
	memcpy(item[0].frame.leaf, leaf, sizeof(leaf));
	item[0].frame.first_sequence = frame.hdr->first_sequence;
	item[0].frame.position = f->position++;
	item[0].frame.floor = f->next > f->window ? f->next - f->window : 0;
	item[0].frame.source = FAKE_SOURCE;
	item[0].frame.events = frame.packet_count;
	item[0].frame.reason = reasons[0];
	item[0].kind = ATR_ACK_FRAME | (mixed ? ATR_ACK_MIXED : 0);
	atr_acker_take(f->acker, 0, item, atr_ack_items(frame.packet_count, mixed));
}

void fake_flush(struct fake_appliance *f, atr_ack_emit_fn emit, void *context)
{
	atr_acker_flush(f->acker, 0, emit, context);
}
