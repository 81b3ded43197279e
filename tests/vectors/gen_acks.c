/* SPDX-License-Identifier: BSD-3-Clause */
/* Acknowledgements of one flush, from a key of their own. */
#include "gen_wire.h"

#include <stdlib.h>
#include <string.h>

#include "../../lib/ack/ack.h"

#define ACK_SEED      0x80 /* first byte of the seed, counted up */
#define ACK_EPOCH     5
#define ACK_NS        UINT64_C(1767323046000000000)
#define ACK_SOURCES   (GEN_SOURCE + 2)
#define ACK_FLOOR     900
#define ACK_DATAGRAMS 2
#define ACK_EVENTS    3 /* of the mixed frame */
#define PORT          4000
#define BYTES_MAX     2048

struct flush {
	unsigned int count;
	size_t length[ACK_DATAGRAMS];
	uint8_t bytes[ACK_DATAGRAMS][BYTES_MAX];
	json_t *entries; /* of the datagram under reading */
};

static void keep(void *ctx, const struct atr_ack_address *to, const uint8_t *payload, size_t length)
{
	struct flush *flush = ctx;

	(void)to;
	if (flush->count == ACK_DATAGRAMS || length > BYTES_MAX)
		gen_fail("acknowledgements", "are more than expected");
	memcpy(flush->bytes[flush->count], payload, length);
	flush->length[flush->count++] = length;
}

static void take(struct atr_acker *acker, uint32_t source, uint64_t sequence, uint16_t events,
		 uint8_t reason, uint64_t position)
{
	struct atr_ack_item item = {.kind = ATR_ACK_FRAME};

	item.frame.source = source;
	item.frame.first_sequence = sequence;
	item.frame.events = events;
	item.frame.reason = reason;
	item.frame.position = position;
	item.frame.floor = ACK_FLOOR;
	for (unsigned int i = 0; i < ATR_HASH_SIZE; i++)
		item.frame.leaf[i] = (uint8_t)(sequence + i);
	atr_acker_take(acker, 0, &item, 1);
}

static void take_all(struct atr_acker *acker)
{
	static const uint8_t mixed[ACK_EVENTS] = {ATR_DUPLICATE, ATR_REASON_RATE_TOPIC,
						  ATR_REASON_FIELD_RANGE};
	struct atr_ack_item item;

	for (uint32_t source = GEN_SOURCE; source < ACK_SOURCES; source++) {
		item = (struct atr_ack_item){.kind = ATR_ACK_ADDRESS};
		item.address.source = source;
		item.address.to.port = PORT;
		atr_acker_take(acker, 0, &item, 1);
	}
	take(acker, GEN_SOURCE, 1000, 2, ATR_OK, 41);
	take(acker, GEN_SOURCE + 1, 7, 1, ATR_REASON_STALE, ATR_ACK_NO_POSITION);
	take(acker, GEN_SOURCE, 1002, 2, ATR_DUPLICATE, ATR_ACK_NO_POSITION);
	take(acker, GEN_SOURCE, 1004, 2, ATR_REASON_RATE_SOURCE, ATR_ACK_NO_POSITION);
	item = (struct atr_ack_item){.kind = ATR_ACK_FRAME | ATR_ACK_MIXED};
	item.frame.source = GEN_SOURCE + 1;
	item.frame.first_sequence = 8;
	item.frame.events = ACK_EVENTS;
	item.frame.position = 43;
	atr_acker_take(acker, 0, &item, 1);
	item = (struct atr_ack_item){.kind = ATR_ACK_MORE};
	memcpy(item.reasons, mixed, sizeof(mixed));
	atr_acker_take(acker, 0, &item, 1);
}

static void visit(void *ctx, const struct atr_ack_notice *notice, const struct atr_ack_entry *entry)
{
	struct flush *flush = ctx;
	json_t *results = json_array();

	(void)notice;
	for (unsigned int i = 0; i < entry->events; i++) {
		uint8_t reason = entry->results ? entry->results[i].reason : entry->result;
		bool final = entry->results ? entry->results[i].final : entry->final;

		json_array_append_new(
			results, json_pack("[so]", atr_reason_name(reason), json_boolean(final)));
	}
	json_array_append_new(flush->entries,
			      json_pack("{so so so ss so so}", "first_sequence",
					gen_u64(entry->first_sequence), "position",
					gen_u64(entry->position), "leaf_hash",
					gen_hex(entry->leaf, ATR_HASH_SIZE), "result",
					atr_reason_name(entry->result), "final",
					json_boolean(entry->final), "events", results));
}

static json_t *datagrams_json(struct atr_ack_reader *reader, struct flush *flush)
{
	const struct atr_ack_visitor visitor = {visit, flush};
	json_t *list = json_array();

	for (unsigned int i = 0; i < flush->count; i++) {
		const struct atr_ack_body *body =
			(const struct atr_ack_body *)(flush->bytes[i] + ATR_FRAME_HDR_SIZE +
						      ATR_PACKET_SIZE);

		flush->entries = json_array();
		if (atr_ack_parse(reader, flush->bytes[i], flush->length[i], &visitor) != ATR_OK)
			gen_fail("acknowledgement", "is refused");
		json_array_append_new(list, json_pack("{si so so so}", "source", (int)body->source,
						      "floor", gen_u64(body->floor), "entries",
						      flush->entries, "datagram",
						      gen_hex(flush->bytes[i], flush->length[i])));
	}
	return list;
}

void gen_acks(json_t *root)
{
	struct flush flush = {0};
	struct atr_ack_reader reader = {.realm = GEN_REALM, .key = ATR_ACK_KEY};
	struct atr_acker_params params = {.realm = GEN_REALM,
					  .epoch = ACK_EPOCH,
					  .sources = ACK_SOURCES,
					  .shards = 1,
					  .datagram_max = ATR_ACK_DATAGRAM_DEFAULT};
	struct atr_signer *signer;
	struct atr_acker *acker;
	uint8_t seed[ATR_SEED_SIZE];
	char error[256];

	for (unsigned int i = 0; i < sizeof(seed); i++)
		seed[i] = (uint8_t)(ACK_SEED + i);
	signer = atr_signer_from_seed(seed);
	if (!signer)
		gen_fail("signer", "no memory");
	params.signer = signer;
	atr_signer_public(signer, reader.public_key);
	acker = atr_acker_create(&params, error, sizeof(error));
	if (!acker)
		gen_fail("acker", error);
	take_all(acker);
	atr_acker_flush(acker, ACK_NS, keep, &flush);
	json_object_set_new(
		root, "acks",
		json_pack("{so so si so so so}", "seed", gen_hex(seed, sizeof(seed)), "public_key",
			  gen_hex(reader.public_key, sizeof(reader.public_key)), "key", ATR_ACK_KEY,
			  "first_number", gen_u64((uint64_t)ACK_EPOCH << 32), "timestamp_ns",
			  gen_u64(ACK_NS), "datagrams", datagrams_json(&reader, &flush)));
	atr_acker_free(acker);
	atr_signer_free(signer);
}
