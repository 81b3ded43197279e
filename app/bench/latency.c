/* SPDX-License-Identifier: BSD-3-Clause */
/* From a frame's reception to the transmission of its messages, its root being proven already, at a
 * share of what the data lcore does at full rate in the same run. A packet waits for more
 * messages only while there are any, at most the feed's flush time (50 us). */
#include <stdio.h>

#include <rte_cycles.h>
#include <rte_ethdev.h>

#include "../../lib/wire/moldudp64.h"
#include "books.h"
#include "pace.h"
#include "result.h"
#include "rig.h"

#define PERCENT    100
#define WAIT_S     2
#define FRAMES_MAX 2048 /* a source: of 17 events 34,816 sequences of a window of 65,536 */
#define SOURCES    16   /* so that a pass is long beside its start */
#define CEILINGS   5    /* passes that find the ceiling */

static uint64_t seen;      /* messages of a pass */
static uint64_t looked_at; /* packets of all passes */

/* Data lcore, as a packet is given to the port. The TSC's lower half is enough: a pass is shorter
 * than it takes to come round. */
static uint16_t stamp(uint16_t port, uint16_t queue, struct rte_mbuf **packets, uint16_t count,
		      void *arg)
{
	uint32_t now = (uint32_t)rte_rdtsc();

	(void)port, (void)queue, (void)arg;
	for (uint16_t i = 0; i < count; i++)
		packets[i]->hash.usr = now;
	return count;
}

static void look(const struct rte_mbuf *m)
{
	static uint8_t bytes[ATR_DATAGRAM_MAX + TRAFFIC_UDP_HDRS];
	const uint8_t *data = rte_pktmbuf_read(m, 0, m->pkt_len, bytes);
	struct atr_mold_packet packet;
	struct atr_mold_event event;
	uint64_t now = rte_rdtsc();
	size_t cursor = 0;

	if (!data || m->pkt_len < TRAFFIC_UDP_HDRS ||
	    atr_mold_parse(data + TRAFFIC_UDP_HDRS, m->pkt_len - TRAFFIC_UDP_HDRS, &packet) < 0)
		bench_die("a packet left that is no feed's");
	if (packet.count == 0) /* a heartbeat */
		return;
	/* One message of each packet, of every place in turn; all of them would make this lcore the
	 * slow one. */
	for (uint64_t skip = looked_at++ % packet.count + 1; skip > 0; skip--)
		if (atr_mold_next(&packet, &cursor, &event) != 1)
			return;
	pace_answered(event.packet->sender_id, event.sequence,
		      now - (uint32_t)((uint32_t)now - m->hash.usr));
	seen += packet.count;
}

static void turn(void)
{
	pace_turn();
	rig_drain(look);
}

static void turn_unpaced(void)
{
	rig_drain(NULL);
}

/* The first frame of every tree, ahead of the others: their roots are proven then. */
static void prove_roots(void)
{
	const struct bench_config *c = rig.config;
	uint64_t before = rig.control->stats.roots_verified;
	unsigned int trees = c->frames / c->tree;

	for (unsigned int t = 0; t < trees; t++)
		if (rte_ring_enqueue(rig.lane[0].in, rig.lane[0].stock[t * c->tree]) != 0)
			bench_die("RX ring is full");
	rig_pass(RIG_PATH, (uint64_t)trees * rig.traffic.events, turn_unpaced);
	if (rig.control->stats.roots_verified != before + trees)
		bench_die("a root was not verified");
}

/* Frames a second at full rate. */
static double ceiling(const struct bench_config *c, struct books *sent)
{
	double rate[CEILINGS];

	rig.completes = true;
	for (unsigned int p = 0; p < CEILINGS; p++) {
		rig_drain(NULL);
		rig_make();
		rate[p] = c->frames /
			  rig_offer_pass(RIG_PATH, (uint64_t)c->frames * rig.traffic.events, NULL);
		books_pass(sent);
		books_check(sent);
	}
	result_sort(rate, CEILINGS);
	return rate[CEILINGS / 2];
}

static void one_pass(double rate, struct books *sent, double *out)
{
	uint64_t until;

	rig.completes = false;
	rig_drain(NULL);
	rig_make();
	prove_roots();
	rig_drain(NULL);
	seen = 0;
	pace_begin(rate, true);
	rig_pass(RIG_PATH, (uint64_t)pace_frames() * rig.traffic.events, turn);
	until = rte_rdtsc() + WAIT_S * rte_get_tsc_hz();
	while (seen < (uint64_t)pace_frames() * rig.traffic.events && rte_rdtsc() < until)
		rig_drain(look);
	/* The first frames' last messages may still have been on their way. */
	if (seen < (uint64_t)pace_frames() * rig.traffic.events)
		bench_die("messages were lost");
	books_pass(sent);
	books_check(sent);
	if (pace_count() == 0)
		bench_die("no message was followed");
	pace_pass_quantiles(out);
}

void bench_latency(struct bench_config *config, json_t *results)
{
	static struct atr_commit_config none = {.durability = ATR_DURABILITY_NONE};
	double q[PACE_QUANTILES][BENCH_PASSES_MAX], one[PACE_QUANTILES], full, rate;
	struct books sent = {0};
	json_t *result;
	char name[64];

	/* All of a pass lies within the windows of its sources: first frames come ahead. */
	config->sources = RTE_MAX(config->sources, (unsigned int)SOURCES);
	config->frames =
		config->quick ? RTE_MIN(config->frames, FRAMES_MAX) : config->sources * FRAMES_MAX;
	config->frames -= config->frames % config->tree;
	config->shards = 1;
	bench_progress("latency: %u percent of the ceiling, %u passes of %u frames", config->load,
		       config->passes, config->frames);
	rig_start(config, "none", &none);
	if (!rte_eth_add_tx_callback(rig.iface.port_id, 0, stamp, NULL))
		bench_die("DPDK was built without TX callbacks");
	rig_launch();
	full = ceiling(config, &sent);
	rate = full * config->load / PERCENT;
	for (unsigned int p = 0; p < config->passes; p++) {
		one_pass(rate, &sent, one);
		for (unsigned int i = 0; i < PACE_QUANTILES; i++)
			q[i][p] = one[i];
	}
	rig_join();
	snprintf(name, sizeof(name), "latency.%u", config->load);
	result = result_add(results,
			    &(struct result_spec){"latency", name,
						  "reception to transmission, root proven, of "
						  "one message of each packet",
						  "tier3-ceiling", "us"},
			    q[0], config->passes, config);
	pace_result(result, q, config->passes);
	json_object_set_new(json_object_get(result, "parameters"), "offered_msg_per_s",
			    json_real(rate * rig.traffic.events));
	json_object_set_new(json_object_get(result, "parameters"), "ceiling_msg_per_s",
			    json_real(full * rig.traffic.events));
	rig_end();
}
