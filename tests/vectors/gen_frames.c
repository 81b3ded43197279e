/* SPDX-License-Identifier: BSD-3-Clause */
#include "gen_wire.h"

#include <stdlib.h>
#include <string.h>

#include "../../lib/merkle/merkle.h"
#include "../../lib/reason/reason.h"

#define LEAVES         3
#define EVENTS_A_FRAME 2
#define FIRST_SEQUENCE 1000
#define CONFLICT_LEAF  1 /* frame whose sequences another frame takes again */
#define BODY_MAX       1024
#define FRAME_MAX      2048
#define FRAME_NS       UINT64_C(1767323045000000000)
#define EVENT_NS       UINT64_C(1767323044000000000)

static const uint8_t payload[] = "0123456789abcdefghijklmnopqrstuvwxyz an arena payload: 60 B";

struct datagram {
	uint8_t bytes[FRAME_MAX];
	size_t body;
	size_t length;
};

/* A whole tree of one source. */
struct tree {
	unsigned int leaf_count;
	struct atr_event events[LEAVES][EVENTS_A_FRAME];
	struct datagram frames[LEAVES];
	uint8_t leaves[LEAVES][ATR_MERKLE_HASH];
	struct atr_tree_head head;
	uint8_t signature[ATR_SIGNATURE_SIZE];
};

/* Frame 0: two inline events; 1: inline and arena; 2: arena and arena. */
static void fill_events(struct tree *tree)
{
	static const uint32_t lengths[LEAVES][EVENTS_A_FRAME] = {{4, 36}, {0, 37}, {40, 59}};

	for (unsigned int leaf = 0; leaf < LEAVES; leaf++) {
		for (unsigned int i = 0; i < EVENTS_A_FRAME; i++) {
			tree->events[leaf][i] = (struct atr_event){
				.topic_id = GEN_TOPIC,
				.type_id = GEN_TYPE,
				.timestamp_ns = EVENT_NS + leaf * EVENTS_A_FRAME + i,
				.priority = (uint8_t)(leaf + i),
				.payload = payload,
				.payload_length = lengths[leaf][i],
			};
		}
	}
}

static void finish_frame(struct tree *tree, unsigned int leaf)
{
	struct datagram *d = &tree->frames[leaf];
	uint8_t *trailer = d->bytes + d->body;
	int nodes = atr_merkle_inclusion(tree->leaves[0], tree->leaf_count, leaf,
					 trailer + ATR_SIGNATURE_SIZE, ATR_PROOF_MAX);

	if (nodes < 0)
		gen_fail("tree", "no proof");
	memcpy(trailer, tree->signature, ATR_SIGNATURE_SIZE);
	d->length = d->body + ATR_SIGNATURE_SIZE + (size_t)nodes * ATR_HASH_SIZE;
}

static void sign_tree(const struct gen *gen, struct tree *tree, uint64_t realm, uint32_t source,
		      uint32_t key)
{
	uint8_t root[ATR_MERKLE_HASH];

	for (unsigned int leaf = 0; leaf < tree->leaf_count; leaf++) {
		struct atr_frame_spec spec = {
			.realm = realm,
			.source = source,
			.key = key,
			.first_sequence = FIRST_SEQUENCE + leaf * EVENTS_A_FRAME,
			.timestamp_ns = FRAME_NS,
			.leaf_index = leaf,
			.leaf_count = tree->leaf_count,
		};
		struct datagram *d = &tree->frames[leaf];
		int body = atr_frame_build_body(&spec, tree->events[leaf], EVENTS_A_FRAME, d->bytes,
						BODY_MAX);

		if (body < 0)
			gen_fail("frame", "does not fit");
		d->body = (size_t)body;
		atr_merkle_leaf(d->bytes + 1, d->body - 1, tree->leaves[leaf]);
	}
	atr_merkle_root(tree->leaves[0], tree->leaf_count, root);
	atr_tree_head_init(&tree->head, realm, source, key, tree->leaf_count, root);
	atr_signer_sign(gen->signer, (const uint8_t *)&tree->head, sizeof(tree->head),
			tree->signature);
	for (unsigned int leaf = 0; leaf < tree->leaf_count; leaf++)
		finish_frame(tree, leaf);
}

/* What the appliance says to a frame that comes first of its tree, short of plan and identity. */
static uint8_t judge(const struct gen *gen, const uint8_t *bytes, size_t length)
{
	uint8_t leaf[ATR_MERKLE_HASH], root[ATR_MERKLE_HASH];
	struct atr_tree_head head;
	struct atr_frame f;
	uint8_t reason;

	if (length == 0 || bytes[0] != ATR_FIRST_BYTE_FRAME)
		return ATR_REASON_NOT_ATR;
	reason = atr_frame_parse(bytes, length, &f);
	if (reason == ATR_OK && f.hdr->source != GEN_SOURCE)
		reason = ATR_REASON_UNKNOWN_SOURCE;
	for (unsigned int i = 0; reason == ATR_OK && i < f.packet_count; i++) {
		if (f.packets[i].topic_id != GEN_TOPIC)
			reason = ATR_REASON_UNKNOWN_TOPIC;
		else if (f.packets[i].type_id != GEN_TYPE)
			reason = ATR_REASON_UNKNOWN_TYPE;
	}
	if (reason == ATR_OK)
		reason = atr_frame_canonical(&f);
	for (unsigned int i = 0; reason == ATR_OK && i < f.packet_count; i++)
		reason = atr_packet_canonical(&f.packets[i], f.hdr->source);
	if (reason != ATR_OK)
		return reason;
	if (f.hdr->realm != GEN_REALM)
		return ATR_REASON_REALM;
	if (f.hdr->key != GEN_KEY)
		return ATR_REASON_UNKNOWN_KEY;
	atr_merkle_leaf(bytes + 1, f.leaf_size - 1, leaf);
	if (atr_merkle_inclusion_root(f.hdr->leaf_index, f.hdr->leaf_count, leaf, f.proof,
				      f.proof_nodes, root) < 0)
		return ATR_REASON_BAD_PROOF;
	atr_tree_head_init(&head, f.hdr->realm, f.hdr->source, f.hdr->key, f.hdr->leaf_count, root);
	if (!atr_verify(gen->public_key, (const uint8_t *)&head, sizeof(head), f.signature))
		return ATR_REASON_BAD_SIGNATURE;
	return ATR_OK;
}

static json_t *frame_json(const struct tree *tree, unsigned int leaf)
{
	const struct datagram *d = &tree->frames[leaf];
	json_t *events = json_array(), *proof = json_array();

	for (unsigned int i = 0; i < EVENTS_A_FRAME; i++) {
		const struct atr_event *e = &tree->events[leaf][i];

		json_array_append_new(
			events, json_pack("{si si so si so}", "topic_id", (int)e->topic_id,
					  "type_id", (int)e->type_id, "timestamp_ns",
					  gen_u64(e->timestamp_ns), "priority", (int)e->priority,
					  "payload", gen_hex(e->payload, e->payload_length)));
	}
	for (size_t at = d->body + ATR_SIGNATURE_SIZE; at < d->length; at += ATR_HASH_SIZE)
		json_array_append_new(proof, gen_hex(d->bytes + at, ATR_HASH_SIZE));
	return json_pack("{si so so so so so so}", "leaf_index", (int)leaf, "first_sequence",
			 gen_u64(FIRST_SEQUENCE + leaf * EVENTS_A_FRAME), "timestamp_ns",
			 gen_u64(FRAME_NS), "events", events, "leaf_hash",
			 gen_hex(tree->leaves[leaf], ATR_MERKLE_HASH), "proof", proof, "datagram",
			 gen_hex(d->bytes, d->length));
}

static json_t *tree_json(const struct gen *gen, const struct tree *tree)
{
	json_t *frames = json_array();

	for (unsigned int leaf = 0; leaf < tree->leaf_count; leaf++) {
		const struct datagram *d = &tree->frames[leaf];

		if (judge(gen, d->bytes, d->length) != ATR_OK)
			gen_fail("valid frame", "is refused");
		json_array_append_new(frames, frame_json(tree, leaf));
	}
	return json_pack("{si so so so so}", "leaf_count", (int)tree->leaf_count, "root",
			 gen_hex(tree->head.root, ATR_HASH_SIZE), "tree_head",
			 gen_hex(&tree->head, sizeof(tree->head)), "signature",
			 gen_hex(tree->signature, sizeof(tree->signature)), "frames", frames);
}

/* A change to one valid frame, at an offset of the datagram. */
struct change {
	const char *name;
	uint8_t reason;
	unsigned int leaf;
	int cut; /* bytes taken from the end; negative: zeros added */
	struct {
		uint16_t offset;
		uint8_t size; /* bytes to set, little-endian; 0: no more */
		uint64_t value;
	} set[2];
};

#define HDR(member) offsetof(struct atr_frame_hdr, member)
#define PKT(i, member) \
	(ATR_FRAME_HDR_SIZE + (i)*ATR_PACKET_SIZE + offsetof(struct atr_packet, member))
#define REFUSAL(name)     ATR_REASON_##name
#define ARENA_PRIORITY(p) (ATR_FLAG_ARENA | (p) << ATR_FLAG_PRIORITY_SHIFT)

static const struct change changes[] = {
	{"foreign first byte", REFUSAL(NOT_ATR), 0, 0, {{HDR(magic), 1, 1}}},
	{"63 bytes", REFUSAL(FRAME_TRUNCATED), 0, 64 + 128 + 64 + 64 - 63, {{0, 0, 0}}},
	{"last byte missing", REFUSAL(FRAME_TRUNCATED), 1, 1, {{0, 0, 0}}},
	{"one proof node missing", REFUSAL(FRAME_TRUNCATED), 0, 32, {{0, 0, 0}}},
	{"arena_length too large",
	 REFUSAL(FRAME_TRUNCATED),
	 2,
	 0,
	 {{HDR(arena_length), 4, UINT32_MAX}}},
	{"one byte more", REFUSAL(FRAME_TRAILING), 0, -1, {{0, 0, 0}}},
	{"one proof node more", REFUSAL(FRAME_TRAILING), 0, -32, {{0, 0, 0}}},
	{"wrong magic", REFUSAL(FRAME_MAGIC), 0, 0, {{HDR(magic) + 3, 1, 'r'}}},
	{"version 2", REFUSAL(FRAME_VERSION), 0, 0, {{HDR(version), 1, 2}}},
	{"no packets", REFUSAL(FRAME_EMPTY), 0, 0, {{HDR(packet_count), 2, 0}}},
	{"leaf_index = leaf_count", REFUSAL(FRAME_LEAF), 0, 0, {{HDR(leaf_index), 4, 3}}},
	{"leaf_count 0", REFUSAL(FRAME_LEAF), 0, 0, {{HDR(leaf_count), 4, 0}}},
	{"sequences wrap", REFUSAL(SEQUENCE_WRAP), 0, 0, {{HDR(first_sequence), 8, UINT64_MAX}}},
	{"arena payload too long", REFUSAL(ARENA_BOUNDS), 2, 0, {{PKT(1, arena.length), 4, 60}}},
	{"arena offset wraps",
	 REFUSAL(ARENA_BOUNDS),
	 2,
	 0,
	 {{PKT(1, arena.offset), 4, UINT32_MAX}}},
	{"unknown source", REFUSAL(UNKNOWN_SOURCE), 0, 0, {{HDR(source), 4, 4}}},
	{"unknown topic", REFUSAL(UNKNOWN_TOPIC), 0, 0, {{PKT(0, topic_id), 4, 3}}},
	{"unknown type", REFUSAL(UNKNOWN_TYPE), 0, 0, {{PKT(0, type_id), 4, 8}}},
	{"header flag", REFUSAL(FRAME_FLAGS), 0, 0, {{HDR(flags), 1, 1}}},
	{"reserved header byte", REFUSAL(FRAME_RESERVED), 0, 0, {{HDR(zero) + 11, 1, 1}}},
	{"arena payloads swapped",
	 REFUSAL(ARENA_LAYOUT),
	 2,
	 0,
	 {{PKT(0, arena.offset), 4, 59}, {PKT(1, arena.offset), 4, 0}}},
	{"gap in the arena",
	 REFUSAL(ARENA_LAYOUT),
	 2,
	 0,
	 {{PKT(1, arena.offset), 4, 41}, {PKT(1, arena.length), 4, 58}}},
	{"short arena payload", REFUSAL(ARENA_LAYOUT), 1, 0, {{PKT(1, arena.length), 4, 36}}},
	{"neither inline nor arena", REFUSAL(PACKET_FLAGS), 0, 0, {{PKT(0, flags), 8, 0}}},
	{"inline and arena", REFUSAL(PACKET_FLAGS), 2, 0, {{PKT(0, flags), 8, 3}}},
	{"flag envelope on ingress",
	 REFUSAL(PACKET_FLAGS),
	 2,
	 0,
	 {{PKT(0, flags), 8, ARENA_PRIORITY(2) | ATR_FLAG_ENVELOPE}}},
	{"unknown packet flag", REFUSAL(PACKET_FLAGS), 0, 0, {{PKT(0, flags) + 7, 1, 0x80}}},
	{"reserved packet byte", REFUSAL(PACKET_RESERVED), 2, 0, {{PKT(0, arena.zero) + 27, 1, 1}}},
	{"sender is not the source", REFUSAL(SENDER_MISMATCH), 0, 0, {{PKT(1, sender_id), 4, 4}}},
	{"foreign realm", REFUSAL(REALM), 0, 0, {{HDR(realm), 8, GEN_REALM + 1}}},
	{"unknown key", REFUSAL(UNKNOWN_KEY), 0, 0, {{HDR(key), 4, 2}}},
	{"payload changed", REFUSAL(BAD_SIGNATURE), 0, 0, {{PKT(0, payload), 1, '!'}}},
	{"leaf_index changed", REFUSAL(BAD_SIGNATURE), 0, 0, {{HDR(leaf_index), 4, 1}}},
	{"proof changed", REFUSAL(BAD_SIGNATURE), 0, 0, {{64 + 128 + 64, 1, 0}}},
	{"signature changed", REFUSAL(BAD_SIGNATURE), 0, 0, {{64 + 128, 1, 0}}},
};

static json_t *refusal_json(const struct gen *gen, const struct tree *tree, const struct change *c)
{
	const struct datagram *valid = &tree->frames[c->leaf];
	size_t length = (size_t)((ptrdiff_t)valid->length - c->cut);
	uint8_t *bytes = calloc(1, length);
	json_t *out;

	if (!bytes)
		gen_fail("memory", "none left");
	memcpy(bytes, valid->bytes, length < valid->length ? length : valid->length);
	for (unsigned int i = 0; i < 2 && c->set[i].size; i++)
		memcpy(bytes + c->set[i].offset, &c->set[i].value, c->set[i].size);
	if (judge(gen, bytes, length) != c->reason)
		gen_fail(c->name, atr_reason_name(judge(gen, bytes, length)));
	out = json_pack("{ss ss ss so}", "name", c->name, "reason", atr_reason_name(c->reason),
			"gate", atr_gate_name(atr_reason_gate(c->reason)), "datagram",
			gen_hex(bytes, length));
	free(bytes);
	return out;
}

/* What depends on what came before: frames one after the other with what each event becomes. */
static json_t *sequences_json(const struct gen *gen, const struct tree *tree)
{
	static struct tree other;
	const struct datagram *first = &tree->frames[CONFLICT_LEAF];
	uint8_t tampered[FRAME_MAX];
	json_t *list = json_array();

	fill_events(&other);
	other.leaf_count = LEAVES;
	other.events[CONFLICT_LEAF][0].timestamp_ns++;
	sign_tree(gen, &other, GEN_REALM, GEN_SOURCE, GEN_KEY);
	memcpy(tampered, tree->frames[0].bytes, tree->frames[0].length);
	tampered[PKT(0, payload)] ^= 1;

	json_array_append_new(list,
			      json_pack("{so ss}", "datagram", gen_hex(first->bytes, first->length),
					"result", "ok"));
	json_array_append_new(list,
			      json_pack("{so ss}", "datagram", gen_hex(first->bytes, first->length),
					"result", "duplicate"));
	json_array_append_new(list, json_pack("{so ss}", "datagram",
					      gen_hex(other.frames[CONFLICT_LEAF].bytes,
						      other.frames[CONFLICT_LEAF].length),
					      "result", atr_reason_name(ATR_REASON_CONFLICT)));
	/* Its tree is proven by now: the signature is known, and leads to another root. */
	json_array_append_new(list, json_pack("{so ss}", "datagram",
					      gen_hex(tampered, tree->frames[0].length), "result",
					      atr_reason_name(ATR_REASON_BAD_PROOF)));
	return list;
}

void gen_frames(struct gen *gen, json_t *root)
{
	static struct tree tree, single;
	json_t *refusals = json_array();

	fill_events(&tree);
	tree.leaf_count = LEAVES;
	sign_tree(gen, &tree, GEN_REALM, GEN_SOURCE, GEN_KEY);
	fill_events(&single);
	single.leaf_count = 1;
	sign_tree(gen, &single, GEN_REALM, GEN_SOURCE, GEN_KEY);
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++)
		json_array_append_new(refusals, refusal_json(gen, &tree, &changes[i]));
	json_object_set_new(root, "tree", tree_json(gen, &tree));
	json_object_set_new(root, "single", tree_json(gen, &single));
	json_object_set_new(root, "frame_refusals", refusals);
	json_object_set_new(root, "frame_sequences", sequences_json(gen, &tree));
	if (atr_frame_parse(tree.frames[1].bytes, tree.frames[1].length, &gen->frame) != ATR_OK)
		gen_fail("frame 1", "does not parse");
}
