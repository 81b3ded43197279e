/* SPDX-License-Identifier: BSD-3-Clause */
/* What one or more data lcores do with every gate on, from ring to ring, durability none. Before
 * the measured passes and behind them every message that leaves is compared with what was sent, and
 * one event of each tree is spoiled and must be refused; during the measured passes ledgers and
 * feed numbers are, and a data lcore frees what was sent as a driver does. */
#include <stdio.h>
#include <string.h>

#include "delivered.h"
#include "result.h"
#include "rig.h"

#define SCOPE "tier3-ceiling"

struct tier3 {
	const struct bench_config *config;
	double seconds[RIG_MODES][BENCH_PASSES_MAX];
	double messages; /* a pass, all shards */
	uint64_t spoiled;
};

static uint64_t total_admitted(void)
{
	uint64_t sum = 0;

	for (unsigned int s = 0; s < rig.shards; s++)
		sum += rig_admitted(s);
	return sum;
}

static uint64_t total_delivered(void)
{
	uint64_t sum = 0;

	for (unsigned int s = 0; s < rig.shards; s++)
		for (unsigned int f = 0; f < rig.config->feeds; f++)
			sum += rig.lane[s].shard->feeds->feed[f].stats.messages;
	return sum;
}

static uint64_t total_lost(void)
{
	uint64_t sum = 0;

	for (unsigned int s = 0; s < rig.shards; s++) {
		sum += rig.lane[s].shard->feeds->tx[0].dropped;
		for (unsigned int f = 0; f < rig.config->feeds; f++)
			sum += rig.lane[s].shard->feeds->feed[f].stats.no_mbuf +
			       rig.lane[s].shard->feeds->feed[f].stats.no_neighbour;
	}
	return sum;
}

static uint64_t total_refused(void)
{
	uint64_t sum = 0;

	for (unsigned int s = 0; s < rig.shards; s++)
		for (unsigned int r = 0; r < ATR_REASON_SPACE; r++)
			sum += rig.lane[s].shard->node->book.events.refused[r];
	return sum;
}

/* Ends the process if the books do not show exactly this. */
static void books(uint64_t admitted, uint64_t refused)
{
	char text[256];

	if (total_admitted() == admitted && total_refused() == refused && total_lost() == 0 &&
	    total_delivered() == admitted * rig.config->fanout)
		return;
	snprintf(text, sizeof(text),
		 "of %llu events %llu were admitted, %llu refused for %llu, %llu delivered, %llu "
		 "packets lost",
		 (unsigned long long)admitted, (unsigned long long)total_admitted(),
		 (unsigned long long)total_refused(), (unsigned long long)refused,
		 (unsigned long long)total_delivered(), (unsigned long long)total_lost());
	rig_tell_refusals();
	bench_die(text);
}

static double pass(enum rig_mode mode, uint64_t expected)
{
	bool offered = mode == RIG_PATH && rig_many_roots();

	rig_make();
	if (!offered)
		rig_fill();
	return rig_pass(mode, expected, offered ? rig_offer : NULL);
}

/* A pass of which every message is looked at. Not measured. */
static void checked_pass(const struct tier3 *t, uint64_t *admitted)
{
	uint64_t per_shard = (uint64_t)t->config->frames * rig.traffic.events;
	uint64_t bad = t->config->frames / t->config->tree, before = delivered_count();

	rig_drain(NULL);
	delivered_resume();
	rig.completes = false;
	rig.traffic.spoil = true;
	pass(RIG_PATH, per_shard - bad);
	rig.traffic.spoil = false;
	/* The last packet waits for its flush time. */
	for (unsigned int turns = 0; total_delivered() != delivered_count() && turns < 1000000;
	     turns++)
		rig_drain(delivered_check);
	rig.completes = true;
	*admitted += (per_shard - bad) * rig.shards;
	books(*admitted, rig.traffic.spoiled);
	if (delivered_count() - before != (per_shard - bad) * rig.shards * rig.config->fanout)
		bench_die("messages were not delivered");
}

static void measure(struct tier3 *t)
{
	uint64_t per_shard = (uint64_t)t->config->frames * rig.traffic.events, admitted = 0;

	checked_pass(t, &admitted);
	rig_forget();
	for (unsigned int p = 0; p < t->config->passes; p++) {
		for (enum rig_mode mode = RIG_PATH; mode < RIG_MODES; mode++) {
			rig_drain(NULL);
			t->seconds[mode][p] = pass(mode, per_shard);
		}
		admitted += per_shard * rig.shards;
		books(admitted, rig.traffic.spoiled);
	}
}

static json_t *add(struct tier3 *t, json_t *results, enum rig_mode mode, const char *name,
		   const char *what, const char *scope, const char *unit, double items)
{
	double rate[BENCH_PASSES_MAX];
	const struct result_spec spec = {"tier3", name, what, scope, unit};

	for (unsigned int p = 0; p < t->config->passes; p++)
		rate[p] = items / t->seconds[mode][p];
	return result_add(results, &spec, rate, t->config->passes, t->config);
}

static double median_of(const json_t *result)
{
	return json_number_value(json_object_get(result, "median"));
}

static void report(struct tier3 *t, json_t *results)
{
	const struct bench_config *c = t->config;
	char name[64], io_name[80], hash_name[80];
	json_t *path, *io, *hash;
	double roots = (double)c->frames / c->tree * rig.shards;

	snprintf(name, sizeof(name), "tier3.mtu%u", c->mtu);
	snprintf(io_name, sizeof(io_name), "%s.io_bound", name);
	snprintf(hash_name, sizeof(hash_name), "%s.hash_bound", name);
	path = add(t, results, RIG_PATH, name, "all gates on every message, from ring to ring",
		   SCOPE, "msg/s", t->messages);
	json_object_set_new(path, "checks",
			    json_pack("{s:I, s:I, s:I, s:f}", "admitted",
				      (json_int_t)total_admitted(), "delivered",
				      (json_int_t)total_delivered(), "roots_verified",
				      (json_int_t)rig.control->stats.roots_verified,
				      "roots_per_second", roots * median_of(path) / t->messages));
	json_object_set_new(json_object_get(path, "parameters"), "data_lcores",
			    json_integer((json_int_t)rig.shards));
	io = add(t, results, RIG_IO, io_name, "the same frames from ring to ring without a gate",
		 "reference", "msg/s", t->messages);
	hash = add(t, results, RIG_HASH, hash_name,
		   "the same bytes through the same SHA-256 engine, and one node a frame",
		   "reference", "msg/s", t->messages);
	result_ratio(path, "hash bound", hash_name, median_of(path) / median_of(hash));
	result_ratio(path, "I/O bound", io_name, median_of(path) / median_of(io));
	rig_stages(path, t->messages / rig.shards * c->passes);
	if (c->fanout > 1)
		add(t, results, RIG_PATH, "tier3.deliveries", "messages into all feeds together",
		    SCOPE, "deliveries/s", t->messages * c->fanout);
}

void bench_tier3(struct bench_config *config, json_t *results)
{
	static struct atr_commit_config none = {.durability = ATR_DURABILITY_NONE};
	static struct tier3 t;
	uint64_t admitted;

	t.config = config;
	bench_progress("tier3: MTU %u, %u-frame trees, %u passes of %u frames", config->mtu,
		       config->tree, config->passes, config->frames);
	rig_start(config, "none", &none);
	t.messages = (double)config->frames * rig.traffic.events * rig.shards;
	rig_launch();
	measure(&t);
	report(&t, results);
	admitted = total_admitted();
	checked_pass(&t, &admitted);
	rig_join();
	rig_end();
}
