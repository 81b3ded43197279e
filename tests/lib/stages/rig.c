/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include <rte_cycles.h>
#include <rte_eth_ring.h>
#include <rte_ethdev.h>
#include <rte_malloc.h>
#include <sodium.h>

#include "../boot_eal.h"
#include "rig_plan.h"

#define MBUFS       4095
#define ROOM        (RTE_PKTMBUF_HEADROOM + RIG_DATAGRAM)
#define RING_SIZE   4096
#define DESCRIPTORS 256
#define LEAK_MS     5000

static struct rte_mempool *pools[3]; /* rx, payloads, headers */
static struct rte_ring *rings[2][RIG_PORTS][RIG_SHARDS];
static uint16_t ports[RIG_PORTS];

static void one_port(unsigned int p)
{
	static const struct rte_eth_conf conf;
	char name[32];
	int port;

	for (unsigned int q = 0; q < RIG_SHARDS; q++) {
		for (unsigned int way = 0; way < 2; way++) {
			snprintf(name, sizeof(name), "rig_%u_%u_%u", way, p, q);
			rings[way][p][q] = rte_ring_create(name, RING_SIZE, SOCKET_ID_ANY, 0);
			assert_non_null(rings[way][p][q]);
		}
	}
	snprintf(name, sizeof(name), "rig%u", p);
	port = rte_eth_from_rings(name, rings[0][p], RIG_SHARDS, rings[1][p], RIG_SHARDS, 0);
	assert_true(port >= 0);
	ports[p] = (uint16_t)port;
	assert_int_equal(rte_eth_dev_configure(ports[p], RIG_SHARDS, RIG_SHARDS, &conf), 0);
	for (uint16_t q = 0; q < RIG_SHARDS; q++) {
		assert_int_equal(
			rte_eth_rx_queue_setup(ports[p], q, DESCRIPTORS, 0, NULL, pools[0]), 0);
		assert_int_equal(rte_eth_tx_queue_setup(ports[p], q, DESCRIPTORS, 0, NULL), 0);
	}
	assert_int_equal(rte_eth_dev_start(ports[p]), 0);
}

int rig_boot(void **state)
{
	char text[] = BOOT_EAL "192 --log-level lib.eal:4";

	(void)state;
	if (boot_eal(text) < 0 || atr_sign_init() < 0)
		return -1;
	atr_typecheck_select(512);
	atr_net_select(512);
	pools[0] = rte_pktmbuf_pool_create("rx", MBUFS, 0, RTE_ALIGN(sizeof(struct atr_meta), 64),
					   ROOM, SOCKET_ID_ANY);
	pools[1] = rte_pktmbuf_pool_create("payloads", MBUFS, 0, 0, ROOM, SOCKET_ID_ANY);
	pools[2] = rte_pktmbuf_pool_create("headers", MBUFS, 0, 0, RTE_PKTMBUF_HEADROOM + 64,
					   SOCKET_ID_ANY);
	if (!pools[0] || !pools[1] || !pools[2])
		return -1;
	for (unsigned int p = 0; p < RIG_PORTS; p++)
		one_port(p);
	return 0;
}

int rig_end(void **state)
{
	(void)state;
	for (unsigned int p = 0; p < RIG_PORTS; p++)
		rte_eth_dev_stop(ports[p]);
	return rte_eal_cleanup();
}

static void make_keys(struct rig *rig)
{
	uint8_t seed[ATR_SEED_SIZE] = {0};

	for (uint8_t s = 1; s < RTE_DIM(rig->frame_key); s++) {
		seed[0] = s;
		seed[1] = 'f';
		rig->frame_key[s] = atr_signer_from_seed(seed);
		seed[1] = 'e';
		rig->envelope_key[s] = atr_signer_from_seed(seed);
		seed[1] = 'o';
		rig->old_key[s] = atr_signer_from_seed(seed);
	}
}

static void make_world(struct rig *rig, const struct rig_options *options)
{
	static const struct rte_ether_addr far = {{2, 0, 0, 0, 0, 9}};
	struct atr_bridge_sizes sizes = {
		.verify = options->verify_ring ? options->verify_ring : 4096,
		.envelopes = 64,
		.link = 64,
		.down = 4096,
		.handover = options->handover_ring ? options->handover_ring : 256,
		.acks = rig->store ? 1024 : 0,
		.acks_size = sizeof(struct atr_ack_item),
		.gaps = 16};
	struct atr_quarantine_params quarantine = {.directory = rig->directory,
						   .file_bytes = 16u << 20,
						   .files = 2,
						   .packets_per_second = 1000000,
						   .producers = rig->shards + 1,
						   .ring_size = 1024};
	struct timespec now;
	char error[400];

	clock_gettime(CLOCK_REALTIME, &now);
	atr_clock_set(&rig->clock, rte_rdtsc(), rte_get_tsc_hz(), &now);
	rig->neighbours = atr_neighbours_create(64);
	assert_non_null(rig->neighbours);
	for (unsigned int p = 0; p < RIG_PORTS; p++) {
		rig->iface[p] = (struct atr_iface){.port_id = ports[p],
						   .vlan = ATR_VLAN_NONE,
						   .mtu = 1500,
						   .prefix_length = 24,
						   .ip = 0x0A000001 + (p << 8),
						   .mac = {{2, 0, 0, 0, 0, (uint8_t)p}},
						   .tx_multi_seg = true};
		for (unsigned int q = 0; q < RIG_SHARDS; q++) {
			rig->in[p][q] = rings[0][p][q];
			rig->out[p][q] = rings[1][p][q];
		}
	}
	assert_int_equal(
		atr_neighbour_add_static(rig->neighbours, &rig->iface[0], 0x0A000009, &far), 0);
	assert_int_equal(
		atr_bridge_create(&rig->bridge, rig->shards, &sizes, 0, error, sizeof(error)), 0);
	rig->state = atr_state_open(rig->directory, error, sizeof(error));
	assert_non_null(rig->state);
	for (uint32_t s = 1; options->start && s <= RIG_SOURCES; s++)
		atr_state_put(rig->state, ATR_STATE_SOURCE, s, options->start);
	assert_int_equal(atr_state_sync(rig->state), 0);
	rig->quarantine = atr_quarantine_start(&quarantine, error, sizeof(error));
	assert_non_null(rig->quarantine);
	rig->rcu = rte_zmalloc(NULL, rte_rcu_qsbr_get_memsize(RIG_SHARDS), 64);
	assert_int_equal(rte_rcu_qsbr_init(rig->rcu, RIG_SHARDS), 0);
}

static void take_log(const struct rig *rig, unsigned int shard, struct atr_shard_config *config)
{
	const struct rig_store *store = rig->store;

	config->commit = (struct atr_commit_config){.log = store->log[shard],
						    .durability = ATR_DURABILITY_COMMIT,
						    .seal_bytes = store->seal_bytes,
						    .seal_us = store->seal_us,
						    .seal_ahead = RIG_STORE_BUFFERS,
						    .acks = store->acks};
	config->epoch = (uint32_t)store->epoch;
	config->waiting_feeds = rig->plan->commit_feeds;
	atr_recovery_shard(&store->recovery[shard], store->epoch, config);
}

static void make_shards(struct rig *rig, const struct rig_options *options)
{
	unsigned int per_source = options->hold_per_source ? options->hold_per_source : RIG_HOLD;
	struct atr_shard_config config = {
		.shards = rig->shards,
		.ifaces = rig->iface,
		.iface_count = RIG_PORTS,
		.neighbours = rig->neighbours,
		.bridge = &rig->bridge,
		.ledger = &rig->ledger,
		.quarantine = rig->quarantine,
		.program_slot = &rig->program,
		.rcu = rig->rcu,
		.clock = &rig->clock,
		.payloads = rig->payloads,
		.headers = rig->headers,
		.auth = {.trees = 64,
			 .nodes_per_tree = 512,
			 .pending_roots = 64,
			 .pending_per_source = 16,
			 .refused_roots = 64,
			 .hold_frames = RIG_HOLD,
			 .hold_per_source = per_source,
			 .tsc_hz = options->senders ? rte_get_tsc_hz() : 0},
		.queue_frames = 256,
		.epoch = 1,
		.simd_bits = 512};
	char error[400];

	atr_tag_key_init(&rig->tag_key);
	config.tag_key = rig->tag_key;
	for (unsigned int s = 0; s < rig->shards; s++) {
		config.id = s;
		if (rig->store)
			take_log(rig, s, &config);
		rig->shard[s] = atr_shard_create(&config, error, sizeof(error));
		assert_non_null(rig->shard[s]);
		rig->ledger.node[rig->ledger.nodes++] = rig->shard[s]->node;
		/* Turns by hand take any time: a test that wants load says so. */
		rig->shard[s]->overload.read_tsc = UINT64_MAX;
		for (unsigned int f = 0; f < 2; f++) {
			bool waits = config.waiting_feeds >> f & 1;

			rig->mold_next[f][s] = waits ? config.feed_next[f] : 1;
			rig->mold_epoch[f][s] = waits ? config.log_epoch : config.epoch;
		}
	}
}

static void make_control(struct rig *rig)
{
	struct atr_control_config config = {.bridge = &rig->bridge,
					    .ledger = &rig->ledger,
					    .quarantine = rig->quarantine,
					    .state = rig->state,
					    .clock = &rig->clock,
					    .neighbours = rig->neighbours,
					    .ifaces = rig->iface,
					    .iface_count = RIG_PORTS,
					    .payloads = rig->payloads,
					    .rcu = rig->rcu,
					    .program_slot = &rig->program};
	char error[400];

	if (rig->store) {
		config.durability = ATR_DURABILITY_COMMIT;
		config.acker = rig->store->acker;
	}
	rig->control = atr_control_create(&config, error, sizeof(error));
	assert_non_null(rig->control);
	rig->ledger.node[rig->ledger.nodes++] = rig->control->node;
}

static void publish(struct rig *rig, const struct atr_plan *plan, uint64_t generation)
{
	struct atr_machine machine = {.ifaces = rig->iface,
				      .iface_count = RIG_PORTS,
				      .neighbours = rig->neighbours,
				      .state = rig->state,
				      .shards = rig->shards,
				      .class_d = rig->store != NULL,
				      .feed_src_port = 26401};
	char error[400] = "";
	struct atr_program *program =
		atr_program_create(plan, generation, &machine, error, sizeof(error));

	if (!program)
		fail_msg("%s", error);
	for (unsigned int s = 0; plan && rig->store && s < rig->shards; s++)
		atr_recovery_windows(&rig->store->recovery[s], program, &rig->tag_key);
	assert_int_equal(atr_control_publish(rig->control, program, 1024, error, sizeof(error)), 0);
}

void rig_publish(struct rig *rig)
{
	publish(rig, rig->plan, 1);
}

void rig_unpublish(struct rig *rig)
{
	publish(rig, NULL, 2);
}

static void free_keys(struct rig *rig)
{
	atr_plan_free(rig->plan);
	for (unsigned int s = 1; s < RTE_DIM(rig->frame_key); s++) {
		atr_signer_free(rig->frame_key[s]);
		atr_signer_free(rig->envelope_key[s]);
		atr_signer_free(rig->old_key[s]);
	}
}

static void listen_to_acks(struct rig *rig)
{
	rig->ack_reader = (struct atr_ack_reader){.realm = RIG_REALM, .key = ATR_ACK_KEY};
	atr_signer_public(rig->store->acks_key, rig->ack_reader.public_key);
}

struct rig *rig_start(const struct rig_options *options)
{
	struct rig *rig = rte_zmalloc(NULL, sizeof(*rig), 64);

	assert_non_null(rig);
	rig->shards = options->shards ? options->shards : 1;
	rig->rx = pools[0];
	rig->payloads = pools[1];
	rig->headers = pools[2];
	for (unsigned int i = 0; i < RTE_DIM(pools); i++)
		rig->in_use[i] = rte_mempool_in_use_count(pools[i]);
	rig->options = *options;
	make_keys(rig);
	rig->plan = rig_plan(rig, options);
	assert_non_null(rig->plan);
	if (options->store && rig_store_open(options->store, rig->plan) < 0) {
		free_keys(rig);
		rte_free(rig);
		return NULL;
	}
	rig->store = options->store;
	strcpy(rig->directory, rig->store ? rig->store->directory : "/tmp/atr-rig-XXXXXX");
	if (rig->store)
		listen_to_acks(rig);
	else
		assert_non_null(mkdtemp(rig->directory));
	make_world(rig, options);
	make_shards(rig, options);
	make_control(rig);
	publish(rig, NULL, 0);
	if (!options->no_plan)
		rig_publish(rig);
	for (unsigned int s = 0; rig->store && rig->control->identity && s < rig->shards; s++)
		assert_int_equal(atr_recovery_identities(&rig->store->recovery[s],
							 rig->control->identity, rig->store->error,
							 sizeof(rig->store->error)),
				 0);
	return rig;
}

/* Nothing that came in or was made is still out when everything has stopped. */
static void expect_no_leak(const struct rig *rig)
{
	unsigned int left = 0;

	for (unsigned int ms = 0; ms < LEAK_MS; ms++) {
		left = 0;
		for (unsigned int i = 0; i < RTE_DIM(pools); i++)
			left += rte_mempool_in_use_count(pools[i]) - rig->in_use[i];
		if (left == 0)
			return;
		rte_delay_us_sleep(1000);
	}
	fail_msg("%u mbufs are lost", left);
}

static void remove_directory(const struct rig *rig)
{
	char command[96];

	snprintf(command, sizeof(command), "rm -r '%s'", rig->directory);
	assert_int_equal(system(command), 0);
}

static void free_all(struct rig *rig)
{
	/* What nobody has received. */
	for (unsigned int p = 0; p < RIG_PORTS; p++)
		for (unsigned int q = 0; q < rig->shards; q++)
			for (void *m; rte_ring_dequeue(rig->in[p][q], &m) == 0;)
				rte_pktmbuf_free(m);
	atr_quarantine_stop(rig->quarantine);
	expect_no_leak(rig);
	atr_control_free(rig->control);
	for (unsigned int s = 0; s < rig->shards; s++)
		atr_shard_free(rig->shard[s]);
	atr_program_free(rig->program);
	atr_bridge_free(&rig->bridge);
	rte_free(rig->rcu);
	atr_neighbours_free(rig->neighbours);
	atr_state_close(rig->state);
	if (rig->store)
		rig_store_close(rig->store);
	else
		remove_directory(rig);
	free_keys(rig);
	rte_free(rig);
}

/* End of session is sent three times on every feed that ends. */
static unsigned int ends_expected(const struct rig *rig)
{
	unsigned int waiting = (unsigned int)__builtin_popcountll(rig->program->waiting_feeds);

	return rig->program->plan ? 3 * (2 - waiting) * rig->shards : 0;
}

void rig_stop(struct rig *rig)
{
	struct atr_ledger_reading reading;

	for (unsigned int s = 0; s < rig->shards; s++)
		atr_shard_finish(rig->shard[s]);
	atr_control_finish(rig->control);
	reading = rig_ledger(rig);
	assert_int_equal(reading.datagrams.in_hold + reading.datagrams.in_handover +
				 reading.datagrams.in_bridge,
			 0);
	assert_int_equal(
		reading.events.in_hold + reading.events.in_handover + reading.events.in_bridge, 0);
	rig_collect(rig, NULL, 0);
	assert_int_equal(rig->ends, ends_expected(rig));
	if (rig->store)
		rig_store_drain(rig->store);
	free_all(rig);
}

void rig_kill(struct rig *rig)
{
	rig->dead = true;
	for (unsigned int s = 0; s < rig->shards; s++)
		atr_shard_finish(rig->shard[s]);
	atr_control_finish(rig->control);
	rig_collect(rig, NULL, 0);
	free_all(rig);
}
