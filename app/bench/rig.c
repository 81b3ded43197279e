/* SPDX-License-Identifier: BSD-3-Clause */
#include "rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <rte_cycles.h>
#include <rte_eth_ring.h>
#include <rte_ethdev.h>
#include <rte_lcore.h>
#include <rte_malloc.h>
#include <rte_vect.h>

#define ACKS_RING        16384
#define POOL_CACHE       256
#define POOL_SPARE       4096
#define HDR_ROOM         192
#define ROOM_SPARE       32
#define ROOTS            1024
#define UNPROVEN         512   /* roots at a time */
#define HOLD             65536 /* frames that wait for their root; half for a new sender */
#define LINE             64
#define FEEDS_ROUTE_PORT 5001

struct rig rig;
static void (*also)(void); /* in the turns of an offered pass */

static struct rte_mempool *pool(const char *name, unsigned int count, uint16_t priv, uint16_t room)
{
	struct rte_mempool *made =
		rte_pktmbuf_pool_create(name, count, POOL_CACHE, priv, room, SOCKET_ID_ANY);

	if (!made)
		bench_die("not enough memory; give EAL more with -m behind `--`");
	return made;
}

/* Everything of a pass may be under way, and all packets that come of it. */
static void pools(void)
{
	unsigned int frames = rig.config->frames * rig.shards;
	unsigned int out = frames * (1 + rig.config->fanout) + POOL_SPARE;
	uint16_t room = (uint16_t)(RTE_PKTMBUF_HEADROOM + rig.config->mtu + ROOM_SPARE);
	char name[RTE_RING_NAMESIZE];

	rig.rx = pool("rx", frames + POOL_SPARE, RTE_ALIGN(sizeof(struct atr_meta), LINE), room);
	rig.payloads = pool("payload", out, 0, room);
	rig.headers = pool("header", out, 0, HDR_ROOM);
	for (unsigned int s = 0; s < rig.shards; s++) {
		struct rig_lane *lane = &rig.lane[s];

		snprintf(name, sizeof(name), "in%u", s);
		lane->in = rte_ring_create(name, rte_align32pow2(rig.config->frames + 1),
					   SOCKET_ID_ANY, 0);
		snprintf(name, sizeof(name), "out%u", s);
		lane->out = rte_ring_create(name, rte_align32pow2(out), SOCKET_ID_ANY, 0);
		lane->stock = calloc(rig.config->frames, sizeof(struct rte_mbuf *));
		if (!lane->in || !lane->out || !lane->stock)
			bench_die("not enough memory; give EAL more with -m behind `--`");
	}
}

static void port(void)
{
	struct rte_ring *in[BENCH_SHARDS_MAX], *out[BENCH_SHARDS_MAX];
	struct atr_port_config config = {.queues = (uint16_t)rig.shards,
					 .mtu = (uint16_t)rig.config->mtu,
					 .vlan = ATR_VLAN_NONE,
					 .ip = TRAFFIC_IP_OURS,
					 .prefix_length = 24,
					 .pool = rig.rx};
	struct rte_ether_addr mac = {{2, 0, 0, 0, 0, 2}};
	char error[512] = "no port";
	int id;

	for (unsigned int s = 0; s < rig.shards; s++) {
		in[s] = rig.lane[s].in;
		out[s] = rig.lane[s].out;
	}
	id = rte_eth_from_rings("bench", in, rig.shards, out, rig.shards, 0);
	if (id < 0 || atr_port_start((uint16_t)id, &config, &rig.iface, error, sizeof(error)) < 0)
		bench_die(error);
	/* The rings stand for a NIC's, which computes and checks checksums. */
	rig.iface.rx_checksum = rig.iface.tx_ip_checksum = rig.iface.tx_udp_checksum = true;
	rig.neighbours = atr_neighbours_create(LINE);
	atr_neighbour_add_static(rig.neighbours, &rig.iface, TRAFFIC_IP_THEIRS, &mac);
}

static void parts(void)
{
	struct atr_bridge_sizes sizes = {4096, 1024, 256,       8192,
					 1024, 64,   ACKS_RING, sizeof(struct atr_ack_item)};
	char error[512] = "out of memory", path[sizeof(rig.directory) + 8];
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	atr_clock_set(&rig.clock, rte_rdtsc(), rte_get_tsc_hz(), &now);
	rig.state = atr_state_open(rig.directory, error, sizeof(error));
	snprintf(path, sizeof(path), "%s/q", rig.directory);
	rig.quarantine = atr_quarantine_start(
		&(struct atr_quarantine_params){path, 1 << 20, 2, 1000, rig.shards + 1, 1024},
		error, sizeof(error));
	rig.rcu = rte_zmalloc("rcu", rte_rcu_qsbr_get_memsize(rig.shards), RTE_CACHE_LINE_SIZE);
	if (!rig.state || !rig.quarantine || !rig.rcu || rte_rcu_qsbr_init(rig.rcu, rig.shards) ||
	    atr_bridge_create(&rig.bridge, rig.shards, &sizes, SOCKET_ID_ANY, error,
			      sizeof(error)) < 0)
		bench_die(error);
}

static void shards(const struct atr_commit_config *commit)
{
	char error[512] = "";
	struct atr_shard_config config = {
		.shards = rig.shards,
		.socket = SOCKET_ID_ANY,
		.ifaces = &rig.iface,
		.iface_count = 1,
		.neighbours = rig.neighbours,
		.bridge = &rig.bridge,
		.ledger = &rig.ledger,
		.quarantine = rig.quarantine,
		.program_slot = &rig.program,
		.rcu = rig.rcu,
		.clock = &rig.clock,
		.payloads = rig.payloads,
		.headers = rig.headers,
		.auth = {1024, 512, 2 * ROOTS, 2 * ROOTS, 4096, HOLD, HOLD, rte_get_tsc_hz()},
		.queue_frames = 1024,
		.epoch = 1,
		.flush_us = 50,
		.log_epoch = 1,
		.waiting_feeds = commit->log ? rig.plan->commit_feeds : 0,
		.commit = *commit,
		.simd_bits = rte_vect_get_max_simd_bitwidth()};

	for (unsigned int f = 0; f < ATR_FEEDS_MAX; f++)
		config.feed_next[f] = config.commit.next[f] = 1;
	atr_tag_key_init(&config.tag_key);
	for (unsigned int s = 0; s < rig.shards; s++) {
		config.id = s;
		rig.lane[s].shard = atr_shard_create(&config, error, sizeof(error));
		if (!rig.lane[s].shard)
			bench_die(error);
		rig.ledger.node[rig.ledger.nodes++] = rig.lane[s].shard->node;
	}
}

static void acker(const struct atr_commit_config *commit)
{
	char error[512] = "";
	struct atr_acker_params params = {.realm = TRAFFIC_REALM,
					  .epoch = 1,
					  .sources = rig.config->sources + 2,
					  .shards = rig.shards,
					  .datagram_max = ATR_ACK_DATAGRAM_DEFAULT};

	if (commit->durability != ATR_DURABILITY_COMMIT)
		return;
	params.signer = rig.acks_key = atr_signer_generate();
	rig.acker = atr_acker_create(&params, error, sizeof(error));
	if (!rig.acker)
		bench_die(error);
}

static void control(const struct atr_commit_config *commit)
{
	char error[512] = "";
	struct atr_control_config config = {.bridge = &rig.bridge,
					    .ledger = &rig.ledger,
					    .quarantine = rig.quarantine,
					    .state = rig.state,
					    .clock = &rig.clock,
					    .neighbours = rig.neighbours,
					    .ifaces = &rig.iface,
					    .iface_count = 1,
					    .payloads = rig.payloads,
					    .rcu = rig.rcu,
					    .program_slot = &rig.program,
					    .durability = commit->durability,
					    .acker = rig.acker,
					    .verifier = rig.verifier,
					    .verifiers = rig.config->verifiers,
					    .simd_bits = rte_vect_get_max_simd_bitwidth(),
					    .socket = SOCKET_ID_ANY};

	for (unsigned int v = 0; v < rig.config->verifiers; v++) {
		rig.verifier[v] = atr_verifier_create(v, rig.shards * ROOTS, SOCKET_ID_ANY, error,
						      sizeof(error));
		if (!rig.verifier[v])
			bench_die(error);
	}
	rig.control = atr_control_create(&config, error, sizeof(error));
	if (!rig.control)
		bench_die(error);
	rig.ledger.node[rig.ledger.nodes++] = rig.control->node;
}

static void publish(const struct atr_commit_config *commit)
{
	char error[512] = "";
	struct atr_machine machine = {.ifaces = &rig.iface,
				      .iface_count = 1,
				      .neighbours = rig.neighbours,
				      .state = rig.state,
				      .shards = rig.shards,
				      .class_d = commit->durability == ATR_DURABILITY_COMMIT,
				      .feed_src_port = FEEDS_ROUTE_PORT,
				      .socket = SOCKET_ID_ANY};
	struct atr_program *program =
		atr_program_create(rig.plan, 1, &machine, error, sizeof(error));

	if (!program ||
	    atr_control_publish(rig.control, program, 1 << 18, error, sizeof(error)) < 0)
		bench_die(error);
}

/* The first high-waters of all sources are durable: a source's first sequence waits for that, once,
 * and no pass shall measure it. */
static void introduce(void)
{
	struct atr_reserve *reserve[ATR_RESERVES_MAX];
	unsigned int count = 0;

	for (unsigned int source = 1; source <= rig.config->sources; source++) {
		reserve[count] = rig.program->source[source].reserve;
		reserve[count++]->wanted = 0;
		if (count == ATR_RESERVES_MAX || source == rig.config->sources) {
			atr_control_reserve(rig.control, reserve, count);
			count = 0;
		}
	}
}

static unsigned int workers(const struct bench_config *config)
{
	unsigned int count = rte_lcore_count() - 1;

	if (count <= config->verifiers)
		bench_die("no lcore is left for data; give more behind `--`, such as -l 0-2 or "
			  "--lcores 0@0,1@1,2@0");
	return count - config->verifiers;
}

void rig_start(const struct bench_config *config, const char *durability,
	       struct atr_commit_config *commit)
{
	rig_directory(config, false);
	rig.config = config;
	rig.shards = config->shards ? config->shards : workers(config);
	rig.completes = true;
	rig.finished = rig_admitted;
	atr_typecheck_select(rte_vect_get_max_simd_bitwidth());
	atr_net_select(rte_vect_get_max_simd_bitwidth());
	rig.plan = traffic_plan(&rig.traffic, config, rig.shards, durability);
	pools();
	port();
	parts();
	rig.traffic.pool = rig.rx;
	rig.traffic.iface = &rig.iface;
	acker(commit);
	shards(commit);
	control(commit);
	publish(commit);
	if (commit->durability == ATR_DURABILITY_NONE)
		introduce();
}

void rig_end(void)
{
	atr_quarantine_stop(rig.quarantine);
	atr_state_close(rig.state);
}

/* Out of all caches: a NIC's frames come from memory or at best from a shared cache. */
static void flush(const struct rte_mbuf *m)
{
	const uint8_t *data = rte_pktmbuf_mtod(m, const uint8_t *);

	for (unsigned int at = 0; at < m->data_len; at += LINE)
		__builtin_ia32_clflush(data + at);
}

static uint64_t judged(unsigned int shard)
{
	const struct atr_tally *events = &rig.lane[shard].shard->node->book.events;
	uint64_t sum = events->admitted;

	for (unsigned int r = 0; r < ATR_REASON_SPACE; r++)
		sum += events->refused[r];
	return sum;
}

void rig_make_trees(unsigned int trees)
{
	unsigned int tree = rig.config->tree;

	for (unsigned int s = 0; s < rig.shards; s++) {
		rig.lane[s].given = 0;
		rig.lane[s].judged = judged(s);
	}
	traffic_pass(&rig.traffic);
	for (unsigned int t = 0; t < trees; t++) {
		for (unsigned int s = 0; s < rig.shards; s++) {
			struct rte_mbuf **m = rig.lane[s].stock + t * tree;

			traffic_tree(&rig.traffic, s, rig.shards, m);
			for (unsigned int i = 0; i < tree; i++)
				flush(m[i]);
		}
	}
}

void rig_make(void)
{
	rig_make_trees(rig.config->frames / rig.config->tree);
}

static void give(struct rig_lane *lane, unsigned int frames)
{
	if (frames > 0 && rig_break(BREAK_LOSE)) {
		rte_pktmbuf_free(lane->stock[lane->given++]);
		frames--;
	}
	if (rte_ring_enqueue_bulk(lane->in, (void **)lane->stock + lane->given, frames, NULL) !=
	    frames)
		bench_die("RX ring is full");
	lane->given += frames;
}

void rig_give(unsigned int frames)
{
	for (unsigned int s = 0; s < rig.shards; s++)
		give(&rig.lane[s], frames);
}

void rig_fill(void)
{
	rig_give(rig.config->frames);
}

/* Frames of a shard. */
static unsigned int under_way_max(void)
{
	return RTE_MIN(UNPROVEN * rig.config->tree, (unsigned int)HOLD / 2);
}

/* A turn that puts as much of the stock on the RX rings as keeps few enough roots unproven, as
 * producers that wait for their acknowledgements do. */
static void offer(void)
{
	for (unsigned int s = 0; s < rig.shards; s++) {
		struct rig_lane *lane = &rig.lane[s];
		uint64_t done = (judged(s) - lane->judged) / rig.traffic.events;
		unsigned int room = under_way_max() - (lane->given - (unsigned int)done);

		give(lane, RTE_MIN(room, rig.config->frames - lane->given));
	}
	if (also)
		also();
}

double rig_offer_pass(enum rig_mode mode, uint64_t expected, void (*turn)(void))
{
	also = turn;
	if (mode == RIG_PATH && rig.config->frames > under_way_max())
		return rig_pass(mode, expected, offer);
	rig_fill();
	return rig_pass(mode, expected, turn);
}

bool rig_break(enum bench_break kind)
{
	if (rig.config->breaks != kind || rig.broken || !(rig.measuring || kind == BREAK_ALTER))
		return false;
	rig.broken = true;
	return true;
}

void rig_drain(void (*look)(const struct rte_mbuf *mbuf))
{
	struct rte_mbuf *m[LINE];
	unsigned int n;

	for (unsigned int s = 0; s < rig.shards; s++) {
		while ((n = rte_ring_dequeue_burst(rig.lane[s].out, (void **)m, LINE, NULL)) > 0) {
			for (unsigned int i = 0; look && i < n; i++)
				look(m[i]);
			rte_pktmbuf_free_bulk(m, n);
		}
	}
}

uint64_t rig_admitted(unsigned int shard)
{
	return rig.lane[shard].shard->node->book.events.admitted;
}
