/* SPDX-License-Identifier: BSD-3-Clause */
/* What one data lcore does with every gate on: the appliance's own stage table, shard and control
 * lcore, from a net_ring port to a net_ring port. Unique, really signed frames in 256-frame trees;
 * every root is verified by the control lcore during the run; a run that lost or misjudged one
 * event fails. Scope: tier3-ceiling, durability none.
 *
 *   bench_path [-n FRAMES] [-m MTU] [-p PASSES]
 */
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

#include "../../lib/control/control.h"
#include "../../lib/merkle/merkle.h"
#include "../../lib/port/port.h"
#include "../../lib/stages/stages.h"

#define TREE       256u
#define SOURCE     1u
#define REALM      UINT64_C(0xbe)
#define PAYLOAD    24
#define UDP_HDRS   42
#define PASSES_MAX 64
#define IP_OURS    0x0A000001u
#define IP_THEIRS  0x0A000002u

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
	"\"feeds\":[{\"id\":0,\"name\":\"f\",\"durability\":\"none\",\"destinations\":[{\"to\":"
	"\"10.0.0.2:5000\"}]}]}";

static struct bench {
	unsigned int frames, mtu, passes, events; /* events: in a frame */
	struct rte_mempool *rx, *payloads, *headers;
	struct rte_ring *in, *out;
	struct atr_iface iface;
	struct atr_bridge bridge;
	struct atr_ledger ledger;
	struct atr_clock clock;
	struct atr_neighbours *neighbours;
	struct atr_state *state;
	struct atr_quarantine *quarantine;
	struct rte_rcu_qsbr *rcu;
	struct atr_program *program;
	struct atr_plan *plan;
	struct atr_shard *shard;
	struct atr_control *control;
	struct atr_signer *signer;
	uint64_t sequence, admitted;
	uint32_t go; /* passes to run; writer: main; reader: data lcore */
	uint32_t done;
	bool stop;
	uint64_t cycles[PASSES_MAX];
} b;

static void die(const char *what)
{
	fprintf(stderr, "bench_path: %s\n", what);
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
		die("no mbuf");
	p = (uint8_t *)rte_pktmbuf_append(m, (uint16_t)(UDP_HDRS + payload));
	if (!p)
		die("frame does not fit an mbuf");
	p += UDP_HDRS;
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
	static uint8_t body[TREE][ATR_DATAGRAM_MAX], leaf[TREE][ATR_HASH_SIZE];
	uint8_t proof[ATR_PROOF_MAX * ATR_HASH_SIZE], root[ATR_HASH_SIZE], sig[ATR_SIG_SIZE];
	uint8_t payload[ATR_FRAME_PACKETS_MAX][PAYLOAD];
	struct atr_event event[ATR_FRAME_PACKETS_MAX];
	struct atr_tree_head head;
	int length = 0;

	for (uint32_t f = 0; f < TREE; f++) {
		struct atr_frame_spec spec = {.realm = REALM,
					      .source = SOURCE,
					      .key = 1,
					      .first_sequence = b.sequence,
					      .timestamp_ns = 1,
					      .leaf_index = f,
					      .leaf_count = TREE};

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
			die("frame cannot be built");
		atr_merkle_leaf(body[f] + 1, (size_t)length - 1, leaf[f]);
		b.sequence += b.events;
	}
	atr_merkle_root(leaf[0], TREE, root);
	atr_tree_head_init(&head, REALM, SOURCE, 1, TREE, root);
	atr_signer_sign(b.signer, (const uint8_t *)&head, sizeof(head), sig);
	for (uint32_t f = 0; f < TREE; f++) {
		int nodes = atr_merkle_inclusion(leaf[0], TREE, f, proof, ATR_PROOF_MAX);

		out[f] = packet(body[f], (size_t)length, sig, proof, nodes);
	}
}

static void drain_out(void)
{
	struct rte_mbuf *m[64];
	unsigned int n;

	while ((n = rte_ring_dequeue_burst(b.out, (void **)m, 64, NULL)) > 0)
		rte_pktmbuf_free_bulk(m, n);
}

static void fill(void)
{
	struct rte_mbuf *m[TREE];

	drain_out();
	for (unsigned int t = 0; t < b.frames / TREE; t++) {
		tree(m);
		if (rte_ring_enqueue_bulk(b.in, (void **)m, TREE, NULL) != TREE)
			die("RX ring is full");
	}
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
		target = b.shard->node->book.events.admitted + (uint64_t)b.frames * b.events;
		begin = rte_rdtsc();
		while (b.shard->node->book.events.admitted < target &&
		       rte_rdtsc() - begin < 10 * rte_get_tsc_hz())
			atr_shard_run(b.shard);
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
		die("not enough memory; give EAL more with -m");
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
	struct atr_bridge_sizes sizes = {4096, 1024, 256, 8192, 1024, 64};
	struct rte_ether_addr mac = {{2, 0, 0, 0, 0, 2}};

	if (port < 0 || atr_port_start((uint16_t)port, &pc, &b.iface, error, sizeof(error)) < 0)
		die(error);
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
		die(error);
}

static void lcores(void)
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
				      .simd_bits = rte_vect_get_max_simd_bitwidth()};
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
					.socket = SOCKET_ID_ANY};
	b.control = b.shard ? atr_control_create(&cc, error, sizeof(error)) : NULL;
	if (!b.control)
		die(error);
}

static void publish(void)
{
	char error[512] = "", text[sizeof(plan_text) + 64], hex[65];
	uint8_t public[ATR_PUBLIC_KEY_SIZE];

	atr_signer_public(b.signer, public);
	atr_hex_encode(public, sizeof(public), hex);
	snprintf(text, sizeof(text), plan_text, hex);
	b.plan = atr_plan_load(text, strlen(text), error, sizeof(error));
	struct atr_machine machine = {.ifaces = &b.iface,
				      .iface_count = 1,
				      .neighbours = b.neighbours,
				      .state = b.state,
				      .shards = 1,
				      .feed_src_port = 5001,
				      .socket = SOCKET_ID_ANY};
	struct atr_program *program =
		b.plan ? atr_program_create(b.plan, 1, &machine, error, sizeof(error)) : NULL;
	if (!program || atr_control_publish(b.control, program, 1024, error, sizeof(error)) < 0)
		die(error);
}

static int by_value(const void *x, const void *y)
{
	double a = *(const double *)x, c = *(const double *)y;

	return (a > c) - (a < c);
}

static void report(void)
{
	double rate[PASSES_MAX], events = (double)b.frames * b.events;
	uint64_t expect = (uint64_t)b.passes * b.frames * b.events;
	const struct atr_book *book = &b.shard->node->book;

	for (unsigned int p = 0; p < b.passes; p++)
		rate[p] = events * (double)rte_get_tsc_hz() / (double)b.cycles[p] / 1e6;
	qsort(rate, b.passes, sizeof(rate[0]), by_value);
	printf("tier3-ceiling, durability none, MTU %u: %u events a frame, %u-frame trees, 1 data "
	       "lcore, %u passes of %u frames\n",
	       b.mtu, b.events, TREE, b.passes, b.frames);
	printf("  median %.2f M msg/s, minimum %.2f, maximum %.2f; roots verified %" PRIu64 "\n",
	       rate[b.passes / 2], rate[0], rate[b.passes - 1], b.control->stats.roots_verified);
	for (unsigned int i = 0; i < atr_stage_count; i++)
		printf("  %-12s %7.2f ns a message\n", atr_stages[i].name,
		       (double)b.shard->stage[i].cycles * 1e9 / (double)rte_get_tsc_hz() /
			       (double)expect);
	if (book->events.admitted != expect || b.shard->feeds->feed[0].stats.messages != expect ||
	    b.shard->feeds->tx[0].dropped || b.shard->feeds->feed[0].stats.no_mbuf)
		die("events were lost or misjudged");
}

int main(int argc, char **argv)
{
	char directory[] = "/tmp/atr-bench-XXXXXX";
	unsigned int lcore;
	int args, c;

	rte_vect_set_max_simd_bitwidth(512);
	args = rte_eal_init(argc, argv);
	if (args < 0 || atr_sign_init() < 0 || !mkdtemp(directory))
		return 1;
	b.frames = 4096;
	b.mtu = 1500;
	b.passes = 9;
	argc -= args;
	argv += args;
	optind = 1;
	while ((c = getopt(argc, argv, "n:m:p:")) != -1) {
		if (c == 'n')
			b.frames = (unsigned int)atoi(optarg) / TREE * TREE;
		else if (c == 'm')
			b.mtu = (unsigned int)atoi(optarg);
		else if (c == 'p')
			b.passes = (unsigned int)atoi(optarg);
		else
			return 2;
	}
	if (b.frames == 0 || b.passes == 0 || b.passes > PASSES_MAX || b.mtu < 600 || b.mtu > 9000)
		die("-n at least 256, -p 1..64, -m 600..9000");
	b.events = (b.mtu - 28 - ATR_FRAME_HDR_SIZE - ATR_SIGNATURE_SIZE - 8 * ATR_HASH_SIZE) /
		   ATR_PACKET_SIZE;
	b.signer = atr_signer_generate();
	atr_typecheck_select(rte_vect_get_max_simd_bitwidth());
	pools();
	wire(directory);
	lcores();
	publish();
	b.ledger.node[b.ledger.nodes++] = b.shard->node;
	b.ledger.node[b.ledger.nodes++] = b.control->node;
	lcore = rte_get_next_lcore(-1, 1, 0);
	if (lcore == RTE_MAX_LCORE)
		die("two lcores are needed: -l 0,1");
	rte_eal_remote_launch(data_main, NULL, lcore);
	for (unsigned int p = 0; p < b.passes; p++) {
		/* The feed's packets of one pass fit the ring; it is emptied between passes. */
		fill();
		__atomic_store_n(&b.go, p + 1, __ATOMIC_RELEASE);
		while (__atomic_load_n(&b.done, __ATOMIC_ACQUIRE) == p)
			atr_control_run(b.control);
	}
	__atomic_store_n(&b.stop, true, __ATOMIC_RELEASE);
	rte_eal_wait_lcore(lcore);
	report();
	atr_quarantine_stop(b.quarantine);
	atr_state_close(b.state);
	return 0;
}
