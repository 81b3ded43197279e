/* SPDX-License-Identifier: BSD-3-Clause */
/* The loops of the rig's lcores, and the passes. */
#include <string.h>

#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_vect.h>

#include "../../lib/control/rest.h"
#include "../../lib/hash/hash.h"
#include "rig.h"

#define TIMEOUT_S      30
#define TIMEOUT_FEW_S  4 /* with --quick */
#define TX_DESCRIPTORS 512
#define TX_FREE        64 /* a turn */
#define BURST          32

/* Several shards may share an lcore. */
struct worker {
	unsigned int first, step; /* shards first, first + step, .. */
};

static struct worker worker[BENCH_SHARDS_MAX];
static unsigned int worker_lcore[BENCH_SHARDS_MAX], worker_count;
static unsigned int verifier_lcore[ATR_VERIFIERS_MAX];

/* What a NIC's driver does when it is given more: frees what has left. */
static void complete(struct rig_lane *lane)
{
	struct rte_mbuf *m[TX_FREE];
	unsigned int n;

	if (!rig.completes || rte_ring_count(lane->out) < TX_DESCRIPTORS)
		return;
	n = rte_ring_dequeue_burst(lane->out, (void **)m, TX_FREE, NULL);
	for (unsigned int i = 0; i < n; i++)
		rte_pktmbuf_free(m[i]);
}

static void run_path(const struct worker *w, uint64_t deadline)
{
	for (bool busy = true; busy && rte_rdtsc() < deadline;) {
		busy = false;
		for (unsigned int s = w->first; s < rig.shards; s += w->step) {
			struct rig_lane *lane = &rig.lane[s];

			lane->shard->stopping = rig.window_full && rig.window_full();
			atr_shard_run(lane->shard);
			complete(lane);
			busy |= rig.finished(s) < lane->target;
		}
	}
}

/* The frames go out as they came in, after a look at their headers. */
static void run_io(const struct worker *w, uint64_t deadline)
{
	for (unsigned int s = w->first; s < rig.shards; s += w->step) {
		struct rig_lane *lane = &rig.lane[s];
		unsigned int done = 0;

		while (done < rig.config->frames && rte_rdtsc() < deadline) {
			struct rte_mbuf *m[BURST];
			uint16_t n = rte_eth_rx_burst(rig.iface.port_id, (uint16_t)s, m, BURST);
			uint16_t sent;

			for (unsigned int i = 0; i < n; i++) {
				struct rte_ether_hdr *eth =
					rte_pktmbuf_mtod(m[i], struct rte_ether_hdr *);

				rte_ether_addr_copy(&eth->src_addr, &eth->dst_addr);
			}
			sent = rte_eth_tx_burst(rig.iface.port_id, (uint16_t)s, m, n);
			for (unsigned int i = sent; i < n; i++)
				rte_pktmbuf_free(m[i]);
			lane->missing += n - sent;
			done += n;
			complete(lane);
		}
		lane->missing += rig.config->frames - done;
	}
}

/* The same bytes through the same engine, and one node of a tree a frame. */
static void run_hash(const struct worker *w)
{
	for (unsigned int s = w->first; s < rig.shards; s += w->step) {
		for (unsigned int at = 0; at < rig.config->frames; at += BURST) {
			unsigned int n = RTE_MIN(rig.config->frames - at, (unsigned int)BURST);
			const uint8_t *data[BURST], *left[BURST], *right[BURST];
			uint8_t leaf[BURST][ATR_HASH_BYTES], node[BURST][ATR_HASH_BYTES];
			uint32_t length[BURST];

			for (unsigned int i = 0; i < n; i++) {
				data[i] =
					rte_pktmbuf_mtod_offset(rig.lane[s].stock[at + i],
								const uint8_t *, TRAFFIC_UDP_HDRS);
				length[i] =
					ATR_FRAME_HDR_SIZE + rig.traffic.events * rig.config->event;
				left[i] = leaf[i];
				right[i] = leaf[(i + 1) % n];
			}
			atr_hash_burst(rig.lane[s].shard->hash, data, length, leaf, n);
			atr_hash_nodes(rig.lane[s].shard->hash, left, right, node, n);
		}
	}
}

static void between_passes(const struct worker *w)
{
	for (unsigned int s = w->first; s < rig.shards; s += w->step) {
		rig.lane[s].shard->stopping = true; /* no RX while the ring is filled */
		atr_shard_run(rig.lane[s].shard);
	}
}

static void run_pass(const struct worker *w)
{
	uint64_t limit = rig.config->quick ? TIMEOUT_FEW_S : TIMEOUT_S;
	uint64_t begin = rte_rdtsc(), deadline = begin + limit * rte_get_tsc_hz(), cycles;

	switch (rig.mode) {
	case RIG_IO: run_io(w, deadline); break;
	case RIG_HASH: run_hash(w); break;
	default: run_path(w, deadline); break;
	}
	cycles = rte_rdtsc() - begin;
	for (unsigned int s = w->first; s < rig.shards; s += w->step) {
		rig.lane[s].cycles = cycles;
		__atomic_store_n(&rig.lane[s].done, rig.lane[s].done + 1, __ATOMIC_RELEASE);
	}
}

static int worker_main(void *arg)
{
	const struct worker *w = arg;
	uint32_t pass = 0;

	for (unsigned int s = w->first; s < rig.shards; s += w->step) {
		rte_rcu_qsbr_thread_register(rig.rcu, s);
		rte_rcu_qsbr_thread_online(rig.rcu, s);
	}
	while (!__atomic_load_n(&rig.stop, __ATOMIC_ACQUIRE)) {
		if (__atomic_load_n(&rig.go, __ATOMIC_ACQUIRE) == pass) {
			between_passes(w);
			continue;
		}
		run_pass(w);
		pass++;
	}
	for (unsigned int s = w->first; s < rig.shards; s += w->step)
		rte_rcu_qsbr_thread_offline(rig.rcu, s);
	return 0;
}

static int verifier_main(void *arg)
{
	struct atr_verifier *verifier = arg;

	while (!__atomic_load_n(&rig.stop, __ATOMIC_ACQUIRE))
		if (atr_verifier_run(verifier) == 0)
			rte_pause();
	return 0;
}

/* The first of the other lcores verify. Returns how many others there are. */
unsigned int rig_launch_verifiers(void)
{
	unsigned int id, v = 0, others = 0;

	RTE_LCORE_FOREACH_WORKER(id)
	{
		if (v == rig.config->verifiers) {
			worker_lcore[others++ % BENCH_SHARDS_MAX] = id;
			continue;
		}
		verifier_lcore[v] = id;
		rte_eal_remote_launch(verifier_main, rig.verifier[v], id);
		v++;
	}
	if (v < rig.config->verifiers)
		bench_die("too few lcores for --verifiers; give more with -l behind `--`");
	return others;
}

void rig_launch(void)
{
	worker_count = RTE_MIN(rig_launch_verifiers(), rig.shards);
	for (unsigned int w = 0; w < worker_count; w++) {
		worker[w].first = w;
		worker[w].step = worker_count;
		rte_eal_remote_launch(worker_main, &worker[w], worker_lcore[w]);
	}
}

void rig_join(void)
{
	__atomic_store_n(&rig.stop, true, __ATOMIC_RELEASE);
	for (unsigned int w = 0; w < worker_count; w++)
		rte_eal_wait_lcore(worker_lcore[w]);
	for (unsigned int v = 0; v < rig.config->verifiers; v++)
		rte_eal_wait_lcore(verifier_lcore[v]);
}

double rig_pass(enum rig_mode mode, uint64_t expected, void (*turn)(void))
{
	struct atr_rest rest = {.shares_core = rig.acker != NULL};
	uint64_t slowest = 0;
	uint32_t pass = rig.go;

	rig.mode = mode;
	for (unsigned int s = 0; s < rig.shards; s++)
		rig.lane[s].target = rig.finished(s) + expected;
	__atomic_store_n(&rig.go, pass + 1, __ATOMIC_RELEASE);
	for (unsigned int s = 0; s < rig.shards; s++) {
		while (__atomic_load_n(&rig.lane[s].done, __ATOMIC_ACQUIRE) == pass) {
			/* A turn that paces must come at its time. */
			atr_rest_turn(&rest,
				      atr_control_run(rig.control) + (turn && !rest.shares_core));
			if (turn)
				turn();
		}
		slowest = RTE_MAX(slowest, rig.lane[s].cycles);
		if (rig.lane[s].missing > 0)
			bench_die("frames were lost between the rings");
	}
	if (mode == RIG_HASH) /* its frames go nowhere */
		for (unsigned int s = 0; s < rig.shards; s++)
			for (struct rte_mbuf *m;
			     rte_ring_dequeue(rig.lane[s].in, (void **)&m) == 0;)
				rte_pktmbuf_free(m);
	return (double)slowest / (double)rte_get_tsc_hz();
}
