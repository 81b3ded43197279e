/* SPDX-License-Identifier: BSD-3-Clause */
/* What one or more data lcores do with every gate on, from ring to ring, durability none. Before
 * the measured passes and behind them is a checked one (checked.h); during the measured passes
 * ledgers, feed numbers and verified roots are checked, and a data lcore frees what was sent as a
 * driver does. */
#include <stdio.h>

#include "checked.h"
#include "result.h"
#include "rig.h"

#define SCOPE "tier3-ceiling"

struct tier3 {
	const struct bench_config *config;
	double seconds[RIG_MODES][BENCH_PASSES_MAX];
	double messages; /* a pass, all shards */
	uint64_t roots;  /* verified during the measured passes */
};

static void measure(struct tier3 *t, struct books *sent)
{
	uint64_t per_shard = (uint64_t)t->config->frames * rig.traffic.events;

	rig.measuring = true;
	t->roots = rig.control->stats.roots_verified;
	for (unsigned int p = 0; p < t->config->passes; p++) {
		for (enum rig_mode mode = RIG_PATH; mode < RIG_MODES; mode++) {
			rig_drain(NULL);
			rig_make();
			t->seconds[mode][p] = rig_offer_pass(mode, per_shard, NULL);
		}
		books_pass(sent);
		books_check(sent);
	}
	t->roots = rig.control->stats.roots_verified - t->roots;
	rig.measuring = false;
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

/* Topics that a pass sends to, of one shard. */
static json_int_t active_topics(const struct bench_config *c)
{
	uint64_t turns = (uint64_t)c->frames * (c->mix ? rig.traffic.events : 1);

	return (json_int_t)RTE_MIN(turns, (uint64_t)c->topics);
}

static double median_of(const json_t *result)
{
	return json_number_value(json_object_get(result, "median"));
}

static void report(struct tier3 *t, json_t *results, const struct books *sent)
{
	const struct bench_config *c = t->config;
	char name[64], io_name[80], hash_name[80];
	json_t *path, *io, *hash, *checks;
	double seconds = 0;

	for (unsigned int p = 0; p < c->passes; p++)
		seconds += t->seconds[RIG_PATH][p];
	snprintf(name, sizeof(name), "tier3.mtu%u", c->mtu);
	snprintf(io_name, sizeof(io_name), "%s.io_bound", name);
	snprintf(hash_name, sizeof(hash_name), "%s.hash_bound", name);
	path = add(t, results, RIG_PATH, name, "all gates on every message, from ring to ring",
		   SCOPE, "msg/s", t->messages);
	checks = books_result(path, sent);
	json_object_set_new(checks, "roots_per_second", json_real((double)t->roots / seconds));
	json_object_set_new(checks, "messages_per_root",
			    json_real(t->messages * c->passes / (double)t->roots));
	json_object_set_new(json_object_get(path, "parameters"), "data_lcores",
			    json_integer((json_int_t)rig.shards));
	json_object_set_new(json_object_get(path, "parameters"), "active_sources",
			    json_integer(traffic_active(c, 0, rig.shards) * rig.shards));
	json_object_set_new(json_object_get(path, "parameters"), "active_topics",
			    json_integer(active_topics(c)));
	io = add(t, results, RIG_IO, io_name, "the same frames from ring to ring without a gate",
		 "reference", "msg/s", t->messages);
	hash = add(t, results, RIG_HASH, hash_name,
		   "the same bytes through the same SHA-256 engine, and one node a frame",
		   "reference", "msg/s", t->messages);
	result_ratio(path, "hash bound", hash_name, median_of(path) / median_of(hash));
	result_ratio(path, "I/O bound", io_name, median_of(path) / median_of(io));
	rig_hash_engine(path);
	rig_stages(path, t->messages / rig.shards * c->passes);
	if (c->fanout > 1)
		add(t, results, RIG_PATH, "tier3.deliveries", "messages into all feeds together",
		    SCOPE, "deliveries/s", t->messages * c->fanout);
}

void bench_tier3(struct bench_config *config, json_t *results)
{
	static struct atr_commit_config none = {.durability = ATR_DURABILITY_NONE};
	static struct books sent;
	static struct tier3 t;

	t.config = config;
	bench_progress("tier3: MTU %u, %u-frame trees, %u passes of %u frames", config->mtu,
		       config->tree, config->passes, config->frames);
	rig_start(config, "none", &none);
	t.messages = (double)config->frames * rig.traffic.events * rig.shards;
	rig_launch();
	checked_pass(&sent, delivered_check);
	rig_forget();
	measure(&t, &sent);
	report(&t, results, &sent);
	checked_pass(&sent, delivered_check);
	rig_join();
	rig_end();
}
