/* SPDX-License-Identifier: BSD-3-Clause */
#include "traffic.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_ip.h>

#include "../../lib/merkle/merkle.h"
#include "../../lib/net/net.h"
#include "../../lib/sign/sign.h"
#include "rig.h"

#define NAME_SIZE   32
#define VALUES      1000000000u
#define WINDOW      65536
#define WINDOW_MANY 2048 /* where there are many sources: more than a batch spans */
#define FEW         1024
#define KIND_AT     6 /* of a payload: 1 to KINDS */
#define KINDS       3
#define LETTERS     26

static json_t *named(const char *prefix, unsigned int id)
{
	return json_sprintf("%s%u", prefix, id);
}

/* One source alone sends envelopes: checking keys is most of what loading many sources takes. */
static json_t *keys(struct traffic *traffic, bool both)
{
	char frames[2 * ATR_PUBLIC_KEY_SIZE + 1], envelopes[2 * ATR_PUBLIC_KEY_SIZE + 1];
	uint8_t public[ATR_PUBLIC_KEY_SIZE];

	atr_signer_public(traffic->frames, public);
	atr_hex_encode(public, sizeof(public), frames);
	atr_signer_public(traffic->envelopes, public);
	atr_hex_encode(public, sizeof(public), envelopes);
	if (!both)
		return json_pack("[{s:i, s:s, s:s}]", "id", 1, "use", "frames", "public", frames);
	return json_pack("[{s:i, s:s, s:s}, {s:i, s:s, s:s}]", "id", 1, "use", "frames", "public",
			 frames, "id", 2, "use", "envelopes", "public", envelopes);
}

static int window(const struct bench_config *config)
{
	if (config->window > 0)
		return (int)config->window;
	return config->sources > FEW ? WINDOW_MANY : WINDOW;
}

/* Every topic has a rule for each of so many roles; what there are more of say the same again. */
static unsigned int roles(const struct bench_config *config)
{
	unsigned int most = RTE_MIN(config->sources, (unsigned int)ATR_ROLES_MAX - 1);

	return RTE_MIN(config->rules / config->topics, most);
}

static json_t *sources(struct traffic *traffic, const struct bench_config *config,
		       unsigned int shards)
{
	json_t *list = json_array();

	for (unsigned int s = 1; s <= config->sources + shards; s++) {
		json_t *role = s <= config->sources ? named("role", s % roles(config))
						    : json_string("other");

		json_array_append_new(list, json_pack("{s:i, s:o, s:o, s:i, s:i, s:o}", "id",
						      (int)s, "name", named("s", s), "role", role,
						      "window", window(config), "max_ahead",
						      (int)VALUES, "keys", keys(traffic, s == 1)));
	}
	return list;
}

static json_t *type(const struct bench_config *config)
{
	unsigned int text = traffic_payload(config) - TRAFFIC_PAYLOAD;
	json_t *made =
		json_pack("{s:i, s:s, s:{s:i, s:[{s:s,s:i,s:s,s:i}, {s:s,s:i,s:s,s:i,s:i}, "
			  "{s:s,s:i,s:s,s:[i,i,i]}, {s:s,s:i,s:s}, {s:s,s:i,s:s}]}, s:{s:s}}",
			  "id", TRAFFIC_TYPE, "name", "t", "binary", "size", TRAFFIC_PAYLOAD,
			  "fields", "name", "a", "at", 0, "kind", "u32", "max", (int)VALUES, "name",
			  "b", "at", 4, "kind", "i16", "min", -500, "max", 1200, "name", "c", "at",
			  KIND_AT, "kind", "u8", "enum", 1, 2, 3, "name", "d", "at", 8, "kind",
			  "i64", "name", "e", "at", 16, "kind", "u64", "json", "type", "object");

	if (text)
		json_object_set_new(json_object_get(made, "binary"), "tail",
				    json_pack("{s:s, s:i}", "name", "text", "max", (int)text));
	return made;
}

uint64_t traffic_feeds(const struct bench_config *config, uint32_t topic)
{
	uint64_t feeds = 0;

	for (unsigned int k = 0; k < config->fanout; k++)
		feeds |= UINT64_C(1) << (topic + k) % config->feeds;
	return feeds;
}

static json_t *feed_names(uint64_t feeds)
{
	json_t *list = json_array();

	for (; feeds; feeds &= feeds - 1)
		json_array_append_new(list, named("f", (unsigned int)__builtin_ctzll(feeds)));
	return list;
}

static json_t *rules(const struct bench_config *config)
{
	json_t *list = json_array();

	for (unsigned int r = 1; r <= config->rules; r++) {
		unsigned int topic = 1 + (r - 1) % config->topics;
		unsigned int role = (r - 1) / config->topics % roles(config);

		json_array_append_new(list,
				      json_pack("{s:o, s:[o], s:[o], s:[s], s:o}", "name",
						named("r", r), "roles", named("role", role),
						"topics", named("t", topic), "types", "t", "feeds",
						feed_names(traffic_feeds(config, topic))));
	}
	return list;
}

static json_t *feeds(const struct bench_config *config, const char *durability)
{
	json_t *list = json_array();

	for (unsigned int f = 0; f < config->feeds; f++)
		json_array_append_new(
			list, json_pack("{s:i, s:o, s:s, s:[{s:o}]}", "id", (int)f, "name",
					named("f", f), "durability", durability, "destinations",
					"to", json_sprintf("10.0.0.2:%u", TRAFFIC_FEED_PORT + f)));
	return list;
}

struct atr_plan *traffic_plan(struct traffic *traffic, const struct bench_config *config,
			      unsigned int shards, const char *durability)
{
	char error[512] = "", *text;
	json_t *topics = json_array(), *document;
	struct atr_plan *plan;

	if (config->sources + shards > ATR_ID_MAX)
		bench_die("too many sources; lower --sources");
	traffic->config = config;
	traffic->frames = atr_signer_generate();
	traffic->envelopes = atr_signer_generate();
	traffic->sequence = calloc(config->sources + shards + 1, sizeof(*traffic->sequence));
	traffic->events = traffic_events(config);
	if (!traffic->frames || !traffic->envelopes || !traffic->sequence)
		bench_die("out of memory");
	for (unsigned int t = 1; t <= config->topics; t++)
		json_array_append_new(topics,
				      json_pack("{s:i, s:o}", "id", (int)t, "name", named("t", t)));
	document = json_pack(
		"{s:i, s:s, s:i, s:s, s:{s:i, s:i}, s:o, s:[o], s:o, s:o, s:o}", "atr_plan", 1,
		"name", "bench", "version", 1, "realm", "00000000000000be", "ingress", "udp_port",
		TRAFFIC_PORT, "envelope_bytes", (int)(config->mtu - TRAFFIC_AROUND_ENVELOPE),
		"sources", sources(traffic, config, shards), "types", type(config), "topics",
		topics, "rules", rules(config), "feeds", feeds(config, durability));
	text = document ? json_dumps(document, JSON_COMPACT) : NULL;
	plan = text ? atr_plan_load(text, strlen(text), error, sizeof(error)) : NULL;
	if (!plan)
		bench_die(*error ? error : "no plan");
	free(text);
	json_decref(document);
	return plan;
}

/* The tree's path, as deep as its leaves ask. */
static unsigned int proof_bytes(const struct bench_config *config)
{
	unsigned int nodes = 0;

	while (1u << nodes < config->tree)
		nodes++;
	return nodes * ATR_HASH_SIZE;
}

unsigned int traffic_events(const struct bench_config *config)
{
	unsigned int room = config->mtu - (TRAFFIC_UDP_HDRS - RTE_ETHER_HDR_LEN);

	return (room - ATR_FRAME_HDR_SIZE - ATR_SIGNATURE_SIZE - proof_bytes(config)) /
	       config->event;
}

unsigned int traffic_payload(const struct bench_config *config)
{
	return config->event == ATR_PACKET_SIZE ? TRAFFIC_PAYLOAD : config->event - ATR_PACKET_SIZE;
}

void traffic_event(const struct bench_config *config, uint64_t sequence, uint8_t *payload)
{
	uint32_t a = (uint32_t)(sequence % VALUES);

	memset(payload, 0, TRAFFIC_PAYLOAD);
	memcpy(payload, &a, sizeof(a));
	payload[KIND_AT] = 1 + (uint8_t)(sequence % KINDS);
	memcpy(payload + 16, &sequence, sizeof(sequence));
	memset(payload + TRAFFIC_PAYLOAD, 'a' + (int)(sequence % LETTERS),
	       traffic_payload(config) - TRAFFIC_PAYLOAD);
}

struct rte_mbuf *traffic_packet(const struct traffic *traffic, const uint8_t *payload,
				size_t length)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(traffic->pool);
	struct atr_flow flow = {.dst_mac = traffic->iface->mac,
				.dst_ip = TRAFFIC_IP_OURS,
				.dst_port = TRAFFIC_PORT,
				.src_port = TRAFFIC_ACK_PORT,
				.ttl = 64};
	struct atr_iface theirs = *traffic->iface;
	uint8_t *p;

	if (!m)
		bench_die("no mbuf for a frame");
	p = (uint8_t *)rte_pktmbuf_append(m, (uint16_t)(TRAFFIC_UDP_HDRS + length));
	if (!p)
		bench_die("a frame does not fit an mbuf");
	memcpy(p + TRAFFIC_UDP_HDRS, payload, length);
	theirs.ip = TRAFFIC_IP_THEIRS;
	theirs.tx_ip_checksum = theirs.tx_udp_checksum = false;
	atr_net_udp_headers(m, &theirs, &flow, (uint16_t)length,
			    rte_raw_cksum(p + TRAFFIC_UDP_HDRS, length));
	/* As a NIC would have found them. */
	m->ol_flags = RTE_MBUF_F_RX_IP_CKSUM_GOOD | RTE_MBUF_F_RX_L4_CKSUM_GOOD;
	return m;
}

/* Frame f of a tree: header and packets. */
static int body(struct traffic *traffic, uint32_t source, unsigned int f, uint8_t *out)
{
	static uint8_t payload[ATR_FRAME_PACKETS_MAX][TRAFFIC_PAYLOAD_MAX];
	const struct bench_config *config = traffic->config;
	struct atr_event event[ATR_FRAME_PACKETS_MAX];
	uint64_t first = traffic->sequence[source];
	struct atr_frame_spec spec = {.realm = TRAFFIC_REALM,
				      .source = source,
				      .key = 1,
				      .first_sequence = first,
				      .timestamp_ns = 1,
				      .leaf_index = f,
				      .leaf_count = config->tree};
	int size;

	for (unsigned int e = 0; e < traffic->events; e++) {
		uint64_t turn = traffic->trees * config->tree + f;

		if (config->mix)
			turn = turn * traffic->events + e;
		traffic_event(config, first + e, payload[e]);
		event[e] = (struct atr_event){.topic_id = 1 + (uint32_t)(turn % config->topics),
					      .type_id = TRAFFIC_TYPE,
					      .timestamp_ns = first + e,
					      .payload = payload[e],
					      .payload_length = traffic_payload(config)};
	}
	if (traffic->spoil == SPOIL_VALUE && f == 0)
		payload[0][KIND_AT] = KINDS * KINDS;
	traffic->sequence[source] += traffic->events;
	size = atr_frame_build_body(&spec, event, traffic->events, out, ATR_DATAGRAM_MAX);
	if (traffic->spoil == SPOIL_FORM && f == 0)
		((struct atr_packet *)(out + ATR_FRAME_HDR_SIZE))->sender_id++;
	return size;
}

/* Sources whose id is the shard's. */
static unsigned int own_sources(const struct bench_config *config, unsigned int shard,
				unsigned int shards)
{
	return (config->sources + shards - 1 - (shard + shards - 1) % shards) / shards;
}

unsigned int traffic_active(const struct bench_config *config, unsigned int shard,
			    unsigned int shards)
{
	return RTE_MIN(own_sources(config, shard, shards),
		       RTE_MAX(config->frames / config->tree, 1u));
}

/* The source of the next tree. Of many as many take part in a pass as it has trees, spread over
 * all, in turn; in the next pass their neighbours do, and so on until all have. */
static uint32_t next_source(const struct traffic *traffic, unsigned int shard, unsigned int shards)
{
	unsigned int own = own_sources(traffic->config, shard, shards), active, turn, first;

	if (traffic->spoil == SPOIL_RULE) {
		first = traffic->config->sources + 1;
		return first + (shard + shards - first % shards) % shards;
	}
	if (own == 0)
		bench_die("a shard has no source; give more --sources");
	active = traffic_active(traffic->config, shard, shards);
	turn = (traffic->trees - traffic->first) / shards;
	turn = (turn % active * (own / active) + traffic->passes) % own;
	return shard + shards * (turn + (shard == 0));
}

void traffic_pass(struct traffic *traffic)
{
	traffic->passes++;
	traffic->first = traffic->trees;
}

void traffic_tree(struct traffic *traffic, unsigned int shard, unsigned int shards,
		  struct rte_mbuf **out)
{
	static uint8_t bytes[BENCH_TREE_MAX][ATR_DATAGRAM_MAX], leaf[BENCH_TREE_MAX][ATR_HASH_SIZE];
	uint8_t proof[ATR_PROOF_MAX * ATR_HASH_SIZE], root[ATR_HASH_SIZE], sig[ATR_SIG_SIZE];
	uint32_t count = traffic->config->tree, source = next_source(traffic, shard, shards);
	struct atr_tree_head head;
	size_t length[BENCH_TREE_MAX];
	bool forged = traffic->spoil == SPOIL_SIGNATURE || rig_break(BREAK_FORGE);

	for (uint32_t f = 0; f < count; f++) {
		int size = body(traffic, source, f, bytes[f]);

		if (size < 0)
			bench_die("a frame cannot be built");
		length[f] = (size_t)size;
		atr_merkle_leaf(bytes[f] + 1, length[f] - 1, leaf[f]);
	}
	atr_merkle_root(leaf[0], count, root);
	atr_tree_head_init(&head, TRAFFIC_REALM, source, 1, count, root);
	atr_signer_sign(forged ? traffic->envelopes : traffic->frames, (const uint8_t *)&head,
			sizeof(head), sig);
	for (uint32_t f = 0; f < count; f++) {
		int nodes = atr_merkle_inclusion(leaf[0], count, f, proof, ATR_PROOF_MAX);
		uint8_t *end = bytes[f] + length[f];

		memcpy(end, sig, sizeof(sig));
		memcpy(end + sizeof(sig), proof, (size_t)nodes * ATR_HASH_SIZE);
		if (traffic->spoil == SPOIL_PROOF && f == count - 1)
			end[sizeof(sig)] ^= 1;
		out[f] = traffic_packet(traffic, bytes[f],
					length[f] + sizeof(sig) + (size_t)nodes * ATR_HASH_SIZE);
	}
	traffic->trees++;
}
