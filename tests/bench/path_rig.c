/* SPDX-License-Identifier: BSD-3-Clause */
#include "path_rig.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_eth_ring.h>
#include <rte_ethdev.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_malloc.h>
#include <rte_vect.h>

#include "../../lib/control/rest.h"
#include "../../lib/merkle/merkle.h"

#define PAYLOAD        24
#define IP_OURS        0x0A000001u
#define IP_THEIRS      0x0A000002u
#define TIMEOUT_S      20
#define ACKS_RING      16384
#define TX_DESCRIPTORS 512
#define TX_FREE        64 /* a turn */

static const char plan_text[] =
	"{\"atr_plan\":1,\"name\":\"bench\",\"version\":1,\"realm\":\"00000000000000be\","
	"\"ingress\":{\"udp_port\":26400},\"sources\":[{\"id\":1,\"name\":\"s\",\"role\":\"r\","
	"\"window\":65536,\"max_ahead\":1000000,\"keys\":[{\"id\":1,\"use\":\"frames\",\"public\":"
	"\"%s\"}]}],"
	"\"types\":[{\"id\":1,\"name\":\"t\",\"binary\":{\"size\":24,\"fields\":["
	"{\"name\":\"a\",\"at\":0,\"kind\":\"u32\",\"max\":1000000000},"
	"{\"name\":\"b\",\"at\":4,\"kind\":\"i16\",\"min\":-500,\"max\":1200},"
	"{\"name\":\"c\",\"at\":6,\"kind\":\"u8\",\"enum\":[1,2,3]},"
	"{\"name\":\"d\",\"at\":8,\"kind\":\"i64\"},{\"name\":\"e\",\"at\":16,\"kind\":\"u64\"}]}}]"
	","
	"\"topics\":[{\"id\":1,\"name\":\"t\"}],"
	"\"rules\":[{\"name\":\"all\",\"roles\":[\"r\"],\"topics\":[\"t\"],\"types\":[\"t\"],"
	"\"feeds\":[\"f\"]}],"
	"\"feeds\":[{\"id\":0,\"name\":\"f\",\"durability\":\"%s\",\"destinations\":[{\"to\":"
	"\"10.0.0.2:5000\"}]}]}";

struct path_rig path_rig;
#define b path_rig

void path_die(const char *what)
{
	fprintf(stderr, "bench: %s\n", what);
	exit(1);
}

/* One whole Ethernet packet: headers, body, signature, proof. */
static struct rte_mbuf *packet(const uint8_t *body, size_t length, const uint8_t *signature,
			       const uint8_t *proof, int nodes)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(b.rx);
	struct atr_flow flow = {.dst_mac = b.iface.mac,
				.dst_ip = IP_OURS,
				.dst_port = 26400,
				.src_port = 4000,
				.ttl = 64};
	struct atr_iface theirs = b.iface;
	size_t payload = length + ATR_SIGNATURE_SIZE + (size_t)nodes * ATR_HASH_SIZE;
	uint8_t *p;

	if (!m)
		path_die("no mbuf");
	p = (uint8_t *)rte_pktmbuf_append(m, (uint16_t)(PATH_UDP_HDRS + payload));
	if (!p)
		path_die("frame does not fit an mbuf");
	p += PATH_UDP_HDRS;
	memcpy(p, body, length);
	memcpy(p + length, signature, ATR_SIGNATURE_SIZE);
	memcpy(p + length + ATR_SIGNATURE_SIZE, proof, (size_t)nodes * ATR_HASH_SIZE);
	theirs.ip = IP_THEIRS;
	theirs.tx_ip_checksum = theirs.tx_udp_checksum = false;
	atr_net_udp_headers(m, &theirs, &flow, (uint16_t)payload, rte_raw_cksum(p, payload));
	/* As a NIC would have found them. */
	m->ol_flags = RTE_MBUF_F_RX_IP_CKSUM_GOOD | RTE_MBUF_F_RX_L4_CKSUM_GOOD;
	return m;
}

static void tree(struct rte_mbuf **out)
{
	static uint8_t body[PATH_TREE][ATR_DATAGRAM_MAX], leaf[PATH_TREE][ATR_HASH_SIZE];
	uint8_t proof[ATR_PROOF_MAX * ATR_HASH_SIZE], root[ATR_HASH_SIZE], sig[ATR_SIG_SIZE];
	uint8_t payload[ATR_FRAME_PACKETS_MAX][PAYLOAD];
	struct atr_event event[ATR_FRAME_PACKETS_MAX];
	struct atr_tree_head head;
	int length = 0;

	for (uint32_t f = 0; f < PATH_TREE; f++) {
		struct atr_frame_spec spec = {.realm = PATH_REALM,
					      .source = PATH_SOURCE,
					      .key = 1,
					      .first_sequence = b.sequence,
					      .timestamp_ns = 1,
					      .leaf_index = f,
					      .leaf_count = PATH_TREE};

		for (unsigned int e = 0; e < b.events; e++) {
			uint32_t a = (uint32_t)(b.sequence + e) % 1000000000u;

			memset(payload[e], 0, PAYLOAD);
			memcpy(payload[e], &a, sizeof(a));
			payload[e][6] = 1 + (uint8_t)(e % 3);
			event[e] = (struct atr_event){.topic_id = 1,
						      .type_id = 1,
						      .timestamp_ns = b.sequence + e,
						      .payload = payload[e],
						      .payload_length = PAYLOAD};
		}
		length = atr_frame_build_body(&spec, event, b.events, body[f], sizeof(body[f]));
		if (length < 0)
			path_die("frame cannot be built");
		atr_merkle_leaf(body[f] + 1, (size_t)length - 1, leaf[f]);
		b.sequence += b.events;
	}
	atr_merkle_root(leaf[0], PATH_TREE, root);
	atr_tree_head_init(&head, PATH_REALM, PATH_SOURCE, 1, PATH_TREE, root);
	atr_signer_sign(b.signer, (const uint8_t *)&head, sizeof(head), sig);
	for (uint32_t f = 0; f < PATH_TREE; f++) {
		int nodes = atr_merkle_inclusion(leaf[0], PATH_TREE, f, proof, ATR_PROOF_MAX);

		out[f] = packet(body[f], (size_t)length, sig, proof, nodes);
	}
}

void path_rig_drain(void (*look)(const struct rte_mbuf *mbuf))
{
	struct rte_mbuf *m[64];
	unsigned int n;

	while ((n = rte_ring_dequeue_burst(b.out, (void **)m, 64, NULL)) > 0) {
		for (unsigned int i = 0; look && i < n; i++)
			look(m[i]);
		rte_pktmbuf_free_bulk(m, n);
	}
}

void path_rig_fill(void)
{
	struct rte_mbuf *m[PATH_TREE];

	for (unsigned int t = 0; t < b.frames / PATH_TREE; t++) {
		tree(m);
		if (rte_ring_enqueue_bulk(b.in, (void **)m, PATH_TREE, NULL) != PATH_TREE)
			path_die("RX ring is full");
	}
	b.filled += b.frames;
}

/* What a NIC's driver does when it is given more: frees what has left. */
static void complete(void)
{
	struct rte_mbuf *m[TX_FREE];
	unsigned int n;

	if (!b.completes || rte_ring_count(b.out) < TX_DESCRIPTORS)
		return;
	n = rte_ring_dequeue_burst(b.out, (void **)m, TX_FREE, NULL);
	for (unsigned int i = 0; i < n; i++)
		rte_pktmbuf_free(m[i]);
}

static int data_main(void *arg)
{
	uint32_t pass = 0;

	(void)arg;
	rte_rcu_qsbr_thread_register(b.rcu, 0);
	rte_rcu_qsbr_thread_online(b.rcu, 0);
	while (!__atomic_load_n(&b.stop, __ATOMIC_ACQUIRE)) {
		uint64_t begin, target;

		if (__atomic_load_n(&b.go, __ATOMIC_ACQUIRE) == pass) {
			b.shard->stopping = true; /* no RX while the ring is filled */
			atr_shard_run(b.shard);
			continue;
		}
		b.shard->stopping = false;
		target = b.measure() + (uint64_t)b.frames * b.events;
		begin = rte_rdtsc();
		while (b.measure() < target && rte_rdtsc() - begin < TIMEOUT_S * rte_get_tsc_hz()) {
			b.shard->stopping = b.window_full && b.window_full();
			atr_shard_run(b.shard);
			complete();
		}
		b.cycles[pass++] = rte_rdtsc() - begin;
		__atomic_store_n(&b.done, pass, __ATOMIC_RELEASE);
	}
	rte_rcu_qsbr_thread_offline(b.rcu, 0);
	return 0;
}

static void pools(void)
{
	uint16_t room = (uint16_t)(RTE_PKTMBUF_HEADROOM + b.mtu + 32);

	b.rx = rte_pktmbuf_pool_create("rx", b.frames + 4096, 256,
				       RTE_ALIGN(sizeof(struct atr_meta), 64), room, SOCKET_ID_ANY);
	b.payloads = rte_pktmbuf_pool_create("payload", 2 * b.frames + 4096, 256, 0, room,
					     SOCKET_ID_ANY);
	b.headers =
		rte_pktmbuf_pool_create("header", 2 * b.frames + 4096, 256, 0, 192, SOCKET_ID_ANY);
	b.in = rte_ring_create("in", rte_align32pow2(b.frames + 1), SOCKET_ID_ANY, 0);
	b.out = rte_ring_create("out", rte_align32pow2(2 * b.frames), SOCKET_ID_ANY, 0);
	if (!b.rx || !b.payloads || !b.headers || !b.in || !b.out)
		path_die("not enough memory; give EAL more with -m");
}

static void wire(const char *directory)
{
	char error[512] = "", quarantine[256];
	struct timespec now;
	int port = rte_eth_from_rings("bench", &b.in, 1, &b.out, 1, 0);
	struct atr_port_config pc = {.queues = 1,
				     .mtu = (uint16_t)b.mtu,
				     .vlan = ATR_VLAN_NONE,
				     .ip = IP_OURS,
				     .prefix_length = 24,
				     .pool = b.rx};
	struct atr_bridge_sizes sizes = {4096, 1024, 256,       8192,
					 1024, 64,   ACKS_RING, sizeof(struct atr_ack_item)};
	struct rte_ether_addr mac = {{2, 0, 0, 0, 0, 2}};

	if (port < 0 || atr_port_start((uint16_t)port, &pc, &b.iface, error, sizeof(error)) < 0)
		path_die(error);
	/* The rings stand for a NIC's, which computes and checks checksums. */
	b.iface.rx_checksum = b.iface.tx_ip_checksum = b.iface.tx_udp_checksum = true;
	clock_gettime(CLOCK_REALTIME, &now);
	atr_clock_set(&b.clock, rte_rdtsc(), rte_get_tsc_hz(), &now);
	b.neighbours = atr_neighbours_create(64);
	atr_neighbour_add_static(b.neighbours, &b.iface, IP_THEIRS, &mac);
	b.state = atr_state_open(directory, error, sizeof(error));
	snprintf(quarantine, sizeof(quarantine), "%s/q", directory);
	b.quarantine = atr_quarantine_start(
		&(struct atr_quarantine_params){quarantine, 1 << 20, 2, 1000, 2, 1024}, error,
		sizeof(error));
	b.rcu = rte_zmalloc("rcu", rte_rcu_qsbr_get_memsize(1), RTE_CACHE_LINE_SIZE);
	if (!b.state || !b.quarantine || !b.rcu || rte_rcu_qsbr_init(b.rcu, 1) ||
	    atr_bridge_create(&b.bridge, 1, &sizes, SOCKET_ID_ANY, error, sizeof(error)) < 0)
		path_die(error);
}

static void lcores(const struct atr_commit_config *commit)
{
	char error[512] = "";
	struct atr_shard_config sc = {.shards = 1,
				      .socket = SOCKET_ID_ANY,
				      .ifaces = &b.iface,
				      .iface_count = 1,
				      .neighbours = b.neighbours,
				      .bridge = &b.bridge,
				      .ledger = &b.ledger,
				      .quarantine = b.quarantine,
				      .program_slot = &b.program,
				      .rcu = b.rcu,
				      .clock = &b.clock,
				      .payloads = b.payloads,
				      .headers = b.headers,
				      .auth = {1024, 512, 1024, 1024, 4096, 16384, 16384},
				      .queue_frames = 1024,
				      .epoch = 1,
				      .flush_us = 50,
				      .log_epoch = 1,
				      .waiting_feeds = commit->log ? b.plan->commit_feeds : 0,
				      .commit = *commit,
				      .simd_bits = rte_vect_get_max_simd_bitwidth()};
	for (unsigned int f = 0; f < ATR_FEEDS_MAX; f++)
		sc.feed_next[f] = sc.commit.next[f] = 1;
	atr_tag_key_init(&sc.tag_key);
	b.shard = atr_shard_create(&sc, error, sizeof(error));
	struct atr_control_config cc = {.bridge = &b.bridge,
					.ledger = &b.ledger,
					.quarantine = b.quarantine,
					.state = b.state,
					.clock = &b.clock,
					.neighbours = b.neighbours,
					.ifaces = &b.iface,
					.iface_count = 1,
					.payloads = b.payloads,
					.rcu = b.rcu,
					.program_slot = &b.program,
					.durability = commit->durability,
					.acker = b.acker,
					.simd_bits = rte_vect_get_max_simd_bitwidth(),
					.socket = SOCKET_ID_ANY};
	b.control = b.shard ? atr_control_create(&cc, error, sizeof(error)) : NULL;
	if (!b.control)
		path_die(error);
}

void path_rig_plan(const char *durability)
{
	char error[512] = "", text[sizeof(plan_text) + 128], hex[65];
	uint8_t public[ATR_PUBLIC_KEY_SIZE];

	b.signer = atr_signer_generate();
	atr_signer_public(b.signer, public);
	atr_hex_encode(public, sizeof(public), hex);
	snprintf(text, sizeof(text), plan_text, hex, durability);
	b.plan = atr_plan_load(text, strlen(text), error, sizeof(error));
	if (!b.plan)
		path_die(error);
}

static void publish(const struct atr_commit_config *commit)
{
	char error[512] = "";
	struct atr_machine machine = {.ifaces = &b.iface,
				      .iface_count = 1,
				      .neighbours = b.neighbours,
				      .state = b.state,
				      .shards = 1,
				      .class_d = commit->durability == ATR_DURABILITY_COMMIT,
				      .feed_src_port = 5001,
				      .socket = SOCKET_ID_ANY};
	struct atr_program *program = atr_program_create(b.plan, 1, &machine, error, sizeof(error));

	if (!program || atr_control_publish(b.control, program, 1024, error, sizeof(error)) < 0)
		path_die(error);
}

static void acker(const struct atr_commit_config *commit)
{
	char error[512] = "";
	struct atr_acker_params params = {.realm = PATH_REALM,
					  .epoch = 1,
					  .sources = 2,
					  .shards = 1,
					  .datagram_max = ATR_ACK_DATAGRAM_DEFAULT};

	if (commit->durability != ATR_DURABILITY_COMMIT)
		return;
	params.signer = b.acks_key = atr_signer_generate();
	b.acker = atr_acker_create(&params, error, sizeof(error));
	if (!b.acker)
		path_die(error);
}

void path_rig_wire(const char *directory, const struct atr_commit_config *commit)
{
	atr_typecheck_select(rte_vect_get_max_simd_bitwidth());
	atr_net_select(rte_vect_get_max_simd_bitwidth());
	pools();
	wire(directory);
	acker(commit);
	lcores(commit);
	publish(commit);
	b.ledger.node[b.ledger.nodes++] = b.shard->node;
	b.ledger.node[b.ledger.nodes++] = b.control->node;
}

void path_rig_start(int argc, char **argv)
{
	int args, c;

	args = rte_eal_init(argc, argv);
	if (args < 0 || atr_sign_init() < 0)
		path_die("EAL or libsodium does not start");
	rte_vect_set_max_simd_bitwidth(512); /* unless EAL was told otherwise, as atr does */
	argc -= args;
	argv += args;
	optind = 1;
	while ((c = getopt(argc, argv, "n:m:p:")) != -1) {
		if (c == 'n')
			b.frames = (unsigned int)atoi(optarg) / PATH_TREE * PATH_TREE;
		else if (c == 'm')
			b.mtu = (unsigned int)atoi(optarg);
		else if (c == 'p')
			b.passes = (unsigned int)atoi(optarg);
		else
			path_die("options: -n FRAMES, -m MTU, -p PASSES");
	}
	if (b.frames == 0 || b.passes == 0 || b.passes > PATH_PASSES_MAX || b.mtu < 600 ||
	    b.mtu > 9000)
		path_die("-n at least 256, -p 1..64, -m 600..9000");
	b.events = (b.mtu - 28 - ATR_FRAME_HDR_SIZE - ATR_SIGNATURE_SIZE - 8 * ATR_HASH_SIZE) /
		   ATR_PACKET_SIZE;
}

static unsigned int data_lcore;

void path_rig_launch(void)
{
	data_lcore = rte_get_next_lcore(-1, 1, 0);
	if (data_lcore == RTE_MAX_LCORE)
		path_die("two lcores are needed: -l 0,1");
	rte_eal_remote_launch(data_main, NULL, data_lcore);
}

void path_rig_pass(unsigned int pass, void (*turn)(void))
{
	struct atr_rest rest = {.shares_core = b.acker != NULL};

	__atomic_store_n(&b.go, pass + 1, __ATOMIC_RELEASE);
	while (__atomic_load_n(&b.done, __ATOMIC_ACQUIRE) == pass) {
		atr_rest_turn(&rest, atr_control_run(b.control));
		if (turn)
			turn();
	}
}

void path_rig_join(void)
{
	__atomic_store_n(&b.stop, true, __ATOMIC_RELEASE);
	rte_eal_wait_lcore(data_lcore);
}

static int by_value(const void *x, const void *y)
{
	double a = *(const double *)x, c = *(const double *)y;

	return (a > c) - (a < c);
}

void path_rig_rates(double *rate)
{
	for (unsigned int p = 0; p < b.passes; p++)
		rate[p] = (double)b.frames * b.events * (double)rte_get_tsc_hz() /
			  (double)b.cycles[p] / 1e6;
	qsort(rate, b.passes, sizeof(rate[0]), by_value);
}

void path_rig_stages(void)
{
	double messages = (double)b.passes * b.frames * b.events;

	for (unsigned int i = 0; i < atr_stage_count; i++)
		printf("  %-12s %7.2f ns a message; %.2f %s a message, %.0f a batch\n",
		       atr_stages[i].name,
		       (double)b.shard->stage[i].cycles * 1e9 / (double)rte_get_tsc_hz() / messages,
		       (double)b.shard->stage[i].items / messages, atr_stages[i].items,
		       b.shard->stage[i].calls
			       ? (double)b.shard->stage[i].items / (double)b.shard->stage[i].calls
			       : 0.0);
}

void path_rig_end(void)
{
	atr_quarantine_stop(b.quarantine);
	atr_state_close(b.state);
}
