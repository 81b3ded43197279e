/* SPDX-License-Identifier: BSD-3-Clause */
#include "memory.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>

#include <rte_cycles.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_lcore.h>
#include <rte_malloc.h>

#define CACHE             256 /* mbufs an lcore keeps */
#define ETHERNET_OVERHEAD 26  /* header, two VLAN tags, FCS */
#define MTU_DEFAULT       1500
#define OPEN_PACKETS      (ATR_FEEDS_MAX + 256) /* feed packets under construction, replies */
#define ROOTS_PER_SOURCE  4                     /* one source may use a quarter of the roots */
#define TREES             1024
#define NODES_PER_TREE    1024
#define REFUSED_ROOTS     4096
#define ACKS_RING         8192
#define MEMORY_IDENTITY   160 /* bytes: an entry and its place in the hash table */
#define MEMORY_STATE_KEY  160 /* bytes, without key and value */
#define META_SIZE         RTE_ALIGN(sizeof(struct atr_meta), RTE_CACHE_LINE_SIZE)

struct atr_auth_params memory_auth(const struct options *options)
{
	return (struct atr_auth_params){
		.trees = TREES,
		.nodes_per_tree = NODES_PER_TREE,
		.pending_roots = options->roots,
		.pending_per_source = options->roots / ROOTS_PER_SOURCE,
		.refused_roots = REFUSED_ROOTS,
		.hold_frames = options->hold,
		.hold_per_source = options->hold / 2,
		.tsc_hz = rte_get_tsc_hz(),
	};
}

static unsigned int mtu_max(const struct appliance *a)
{
	unsigned int mtu = a->options.mtu ? a->options.mtu : MTU_DEFAULT;
	uint16_t id, port_mtu;

	if (!a->options.mtu)
		RTE_ETH_FOREACH_DEV(id)
	if (rte_eth_dev_get_mtu(id, &port_mtu) == 0)
		mtu = RTE_MAX(mtu, (unsigned int)port_mtu);
	return RTE_MIN(mtu, 9000u);
}

static unsigned int data_room(const struct appliance *a)
{
	unsigned int room = mtu_max(a) + ETHERNET_OVERHEAD;

	return RTE_PKTMBUF_HEADROOM + RTE_MAX(room, 2048u);
}

static unsigned int rx_mbufs(const struct appliance *a)
{
	unsigned int queues = rte_eth_dev_count_avail() * a->shard_count;
	unsigned int per_shard = a->options.hold + 2 * MEMORY_QUEUE_FRAMES +
				 MEMORY_QUARANTINE_RING + 2 * ATR_ADMITS_MAX + ATR_BATCH_FRAMES +
				 2 * MEMORY_GAP_RING;

	return queues * 2 * MEMORY_DESCRIPTORS +
	       a->shard_count * (per_shard + (a->shard_count - 1) * 1024) +
	       (a->lcore_count + 1) * CACHE * 2;
}

static unsigned int tx_mbufs(const struct appliance *a)
{
	unsigned int queues = rte_eth_dev_count_avail() * a->shard_count;

	return queues * (MEMORY_DESCRIPTORS + ATR_TX_BURST) +
	       a->shard_count * (OPEN_PACKETS + MEMORY_RECENT) + (a->lcore_count + 1) * CACHE * 2;
}

/* The quarantine writer and the control lcore may be preempted in the middle of giving an mbuf
 * back: with relaxed tail synchronisation no data lcore waits for them. Every mbuf has room for
 * struct atr_meta, for on a net_ring port what was sent is received. */
static struct rte_mempool *pool(const char *name, unsigned int count, uint16_t room)
{
	return rte_pktmbuf_pool_create_by_ops(name, count, CACHE, META_SIZE, room, SOCKET_ID_ANY,
					      "ring_mt_rts");
}

int memory_pools(struct appliance *a, char *error, size_t size)
{
	uint16_t room = (uint16_t)data_room(a);

	a->rx_pool = pool("atr_rx", rx_mbufs(a), room);
	a->payload_pool = pool("atr_payload", tx_mbufs(a), room);
	a->header_pool = pool("atr_header", tx_mbufs(a),
			      RTE_PKTMBUF_HEADROOM + RTE_ALIGN(ATR_NET_HDR_MAX, 64));
	if (a->rx_pool && a->payload_pool && a->header_pool)
		return 0;
	snprintf(
		error, size,
		"mbuf pools (%u and %u mbufs of %u bytes, %u of headers): %s; give EAL more memory "
		"(-m MIB or hugepages), or lower --hold or --shards",
		rx_mbufs(a), tx_mbufs(a), room, tx_mbufs(a), rte_strerror(rte_errno));
	return -ENOMEM;
}

int memory_bridge(struct appliance *a, char *error, size_t size)
{
	/* verify holds every pending root, settled envelope and question for a high-water;
	 * down every answer to these and as many packets to send. */
	unsigned int answers = a->options.roots + ATR_ADMITS_MAX + 1024;
	struct atr_bridge_sizes sizes = {
		.verify = rte_align32pow2(answers + 1),
		.envelopes = ATR_ADMITS_MAX,
		.link = 256,
		.down = rte_align32pow2(2 * answers),
		.handover = 1024,
		.gaps = MEMORY_GAP_RING,
		.acks = a->options.durability == ATR_DURABILITY_COMMIT ? ACKS_RING : 0,
		.acks_size = sizeof(struct atr_ack_item),
	};

	return atr_bridge_create(&a->bridge, a->shard_count, &sizes, SOCKET_ID_ANY, error, size);
}

static double mib(double bytes)
{
	return bytes / (1024 * 1024);
}

static void print_pool(const struct rte_mempool *pool, const char *formula)
{
	double bytes =
		(double)pool->size * (pool->elt_size + pool->header_size + pool->trailer_size);

	printf("  %-12s %8.1f MiB  %u mbufs of %u bytes: %s\n", pool->name, mib(bytes), pool->size,
	       pool->elt_size, formula);
}

static uint64_t state_keys(const struct appliance *a)
{
	return a->options.state_keys ? a->options.state_keys : ATR_STATE_KEYS;
}

static double window_bytes(const struct appliance *a)
{
	const struct atr_plan *plan = a->program->plan;
	double bytes = 0;

	for (uint32_t s = 0; plan && s < plan->source_slots; s++)
		if (plan->sources[s].present)
			bytes += (double)atr_window_footprint(plan->sources[s].window);
	return bytes;
}

static void print_table(const char *name, double bytes, const char *formula)
{
	printf("  %-12s %8.1f MiB  %s\n", name, mib(bytes), formula);
}

static double ring_bytes(const struct rte_ring *ring, unsigned int element)
{
	return ring ? (double)rte_ring_get_memsize_elem(element, rte_ring_get_size(ring)) : 0;
}

static void print_rings(const struct appliance *a)
{
	const struct atr_bridge *b = &a->bridge;
	double acks = 0, messages = 0, items, jobs;

	for (unsigned int s = 0; s < b->shards; s++) {
		const struct rte_ring *of_shard[] = {b->verify[s], b->envelopes[s], b->link[s],
						     b->down[s],   b->requests[s],  b->answers[s]};

		for (unsigned int r = 0; r < RTE_DIM(of_shard); r++)
			messages += ring_bytes(of_shard[r], sizeof(struct atr_msg));
		for (unsigned int to = 0; to < b->shards; to++)
			messages += ring_bytes(b->handover[s][to], sizeof(struct atr_msg));
		acks += ring_bytes(b->acks[s], sizeof(struct atr_ack_item));
	}
	print_table("bridge", messages,
		    "shards x (2 x (--roots + envelopes) + links, gaps and one ring to each other "
		    "shard)");
	print_table("ack rings", acks, "shards x 8192 answers to frames, with class D");
	jobs = (double)a->verifier_count * 2 * a->shard_count * a->options.roots *
	       sizeof(struct atr_verify_job);
	print_table("verifiers", jobs, "--verifiers x 2 x shards x --roots");
	items = (double)(a->shard_count + 1) * MEMORY_QUARANTINE_RING *
		sizeof(struct atr_quarantine_item);
	print_table("quarantine", items, "(shards + 1) x 1024 refused datagrams");
}

static void print_log(const struct appliance *a)
{
	bool commit = a->options.durability == ATR_DURABILITY_COMMIT;
	uint64_t buffer = ATR_GROUP_BYTES_MAX +
			  ATR_LOG_RECORDS_MAX * sizeof(struct atr_log_record) +
			  ATR_LOG_EVENTS_MAX * sizeof(uint64_t);
	double datagrams = (double)ATR_ACK_DATAGRAMS_MAX * ATR_ACK_DATAGRAM_DEFAULT;
	double sources = a->plan ? (double)a->plan->source_slots : 0;

	print_table("log buffers",
		    commit ? a->shard_count * (a->options.log_buffers + 1.0) * buffer : 0,
		    "shards x (--log-buffers + 1) x (group, records, feeds of its events)");
	print_table("acker", commit ? datagrams + sources * sizeof(struct atr_ack_address) : 0,
		    "datagrams under construction + an address a source");
}

/* What grows with plan and options; the sizes of hash tables and lists are about. */
static void print_plan(const struct appliance *a)
{
	const struct atr_plan *plan = a->plan;
	double sources = 0, rest = 0;

	if (plan) {
		sources = (double)plan->source_slots *
			  (sizeof(struct atr_source) + sizeof(struct atr_source_state) +
			   sizeof(struct atr_reserve));
		rest = (double)plan->document_length +
		       (double)plan->topic_slots *
			       (sizeof(struct atr_topic) +
				(double)a->shard_count * sizeof(struct atr_limit *)) +
		       (double)plan->type_slots * sizeof(struct atr_type) +
		       (double)plan->feed_slots *
			       (sizeof(struct atr_feed) + sizeof(struct atr_feed_routes));
	}
	print_table("sources", sources, "highest id of a source x (plan, program, high-water)");
	print_table("plan", rest,
		    "its text + topics, types and feeds by highest id; not its rules");
	print_table("identities", (double)a->options.identities * MEMORY_IDENTITY,
		    "--identities x about 160 bytes");
	print_table("state keys",
		    a->options.durability == ATR_DURABILITY_COMMIT
			    ? (double)a->shard_count * (double)state_keys(a) * MEMORY_STATE_KEY
			    : 0,
		    "at most shards x --state-keys x about 160 bytes; taken as keys come, beside "
		    "their values");
}

/* All of the above and what is too small for a line. */
static void print_sums(void)
{
	struct mallinfo2 libc = mallinfo2();
	struct rte_malloc_socket_stats stats;
	double used = 0, all = 0;

	for (int socket = 0; socket < RTE_MAX_NUMA_NODES; socket++) {
		if (rte_malloc_get_socket_stats(socket, &stats) < 0)
			continue;
		used += (double)stats.heap_allocsz_bytes;
		all += (double)stats.heap_totalsz_bytes;
	}
	printf("  %-12s %8.1f MiB  of %.1f MiB that EAL has: pools, rings, tables of data lcores\n",
	       "EAL", mib(used), mib(all));
	print_table("libc", (double)libc.uordblks + (double)libc.hblkhd,
		    "plan, identities, quarantine, state");
}

void memory_print(const struct appliance *a)
{
	struct atr_auth_params auth = memory_auth(&a->options);

	printf("memory\n");
	print_pool(a->rx_pool, "queues x 2 x descriptors + shards x (hold + queues of frames + "
			       "quarantine + envelopes) + caches");
	print_pool(a->payload_pool,
		   "queues x descriptors + shards x (feeds + replies + recent packets) + caches");
	print_pool(a->header_pool, "as payload: one a destination");
	printf("  %-12s %8.1f MiB  shards x (%u trees x %u nodes, %u roots, hold %u)\n",
	       "authenticate", mib((double)a->shard_count * (double)atr_auth_footprint(&auth)),
	       auth.trees, auth.nodes_per_tree, auth.pending_roots, auth.hold_frames);
	printf("  %-12s %8.1f MiB  sum of the sources' windows\n", "dedup", mib(window_bytes(a)));
	printf("  %-12s %8.1f MiB  shards x batch of %d frames\n", "batch",
	       mib((double)a->shard_count * (double)sizeof(struct atr_batch)), ATR_BATCH_FRAMES);
	print_rings(a);
	print_log(a);
	print_plan(a);
	print_sums();
}
