/* SPDX-License-Identifier: BSD-3-Clause */
#include "checked.h"

#include <stdio.h>

#include <rte_cycles.h>

#include "rig.h"

#define DRAIN_S 5 /* for the last packets to leave */

/* A tree that is wrong in one thing. */
struct wrong {
	enum traffic_spoil spoil;
	uint8_t reason;
	/* Of what a shard is sent: whole frames that are refused, or single events. */
	bool all, last_frame;
	bool forged; /* its root is refused */
};

static const struct wrong wrongs[] = {
	{SPOIL_VALUE, ATR_REASON_FIELD_ENUM, false, false, false},
	{SPOIL_FORM, ATR_REASON_SENDER_MISMATCH, false, false, false},
	{SPOIL_SIGNATURE, ATR_REASON_BAD_SIGNATURE, true, false, true},
	{SPOIL_PROOF, ATR_REASON_BAD_PROOF, false, true, false},
	{SPOIL_RULE, ATR_REASON_NOT_ALLOWED, true, false, false},
};

static uint64_t (*finished_well)(unsigned int shard);
static void (*shown)(const struct rte_mbuf *mbuf);

static void turn(void)
{
	rig_drain(shown);
}

/* Data lcores. Events that came to an end, whatever it was. */
static uint64_t finished_anyhow(unsigned int shard)
{
	const struct atr_tally *events = &rig.lane[shard].shard->node->book.events;
	uint64_t sum = finished_well(shard) + events->duplicate;

	for (unsigned int r = 0; r < ATR_REASON_SPACE; r++)
		sum += events->refused[r];
	return sum;
}

/* The last packets wait for their flush time, or the log. */
static void drain(uint64_t delivered)
{
	uint64_t until = rte_rdtsc() + DRAIN_S * rte_get_tsc_hz();

	while (delivered_count() < delivered && rte_rdtsc() < until) {
		atr_control_run(rig.control);
		rig_drain(shown);
	}
	if (delivered_count() != delivered)
		bench_die("messages were not delivered");
}

static void part(unsigned int frames)
{
	rig_give(frames);
	rig_pass(RIG_PATH, (uint64_t)frames * rig.traffic.events, turn);
}

/* One tree to every shard. */
static void tree_with(const struct wrong *wrong, struct books *sent)
{
	unsigned int tree = rig.config->tree;
	uint64_t per_tree = (uint64_t)tree * rig.traffic.events, refused = 1;
	uint64_t before = books_refused_for(wrong->reason);

	if (wrong->all)
		refused = per_tree;
	else if (wrong->last_frame)
		refused = rig.traffic.events;
	rig.traffic.spoil = wrong->spoil;
	rig_make_trees(1);
	rig.traffic.spoil = SPOIL_NONE;
	/* A frame that contradicts a tree comes when the tree is proven. */
	if (wrong->last_frame) {
		part(tree - 1);
		part(1);
	} else {
		part(tree);
	}
	sent->admitted += (per_tree - refused) * rig.shards;
	sent->refused += refused * rig.shards;
	sent->roots += wrong->forged ? 0 : rig.shards;
	sent->forged += wrong->forged ? rig.shards : 0;
	books_check(sent);
	if (books_refused_for(wrong->reason) != before + refused * rig.shards) {
		books_tell_refusals();
		bench_die("an event was refused for another reason than what is wrong with it");
	}
}

/* A tree to every shard, and its first frame once more. */
static void tree_and_copy(struct books *sent)
{
	unsigned int tree = rig.config->tree;
	struct rte_mbuf *copy[BENCH_SHARDS_MAX] = {NULL};

	rig_make_trees(1);
	for (unsigned int s = 0; s < rig.shards; s++) {
		copy[s] = rte_pktmbuf_copy(rig.lane[s].stock[0], rig.rx, 0, UINT32_MAX);
		if (!copy[s])
			bench_die("no mbuf for a frame");
	}
	part(tree);
	for (unsigned int s = 0; s < rig.shards; s++) {
		rig.lane[s].stock[0] = copy[s];
		rig.lane[s].given = 0;
	}
	part(1);
	sent->admitted += (uint64_t)tree * rig.traffic.events * rig.shards;
	sent->duplicate += (uint64_t)rig.traffic.events * rig.shards;
	sent->roots += rig.shards;
	books_check(sent);
}

void checked_pass(struct books *sent, void (*look)(const struct rte_mbuf *mbuf))
{
	uint64_t trees = (uint64_t)rig.config->frames / rig.config->tree * rig.shards;
	uint64_t first = sent->admitted, seen = delivered_count();
	bool completes = rig.completes;

	shown = look;
	rig.completes = false;
	finished_well = rig.finished;
	rig.finished = finished_anyhow;
	rig.traffic.spoil = SPOIL_VALUE;
	rig_make();
	rig.traffic.spoil = SPOIL_NONE;
	rig_drain(NULL);
	delivered_resume();
	rig_offer_pass(RIG_PATH, (uint64_t)rig.config->frames * rig.traffic.events, turn);
	books_pass(sent);
	sent->admitted -= trees;
	sent->refused += trees;
	books_check(sent);
	for (unsigned int w = 0; w < sizeof(wrongs) / sizeof(wrongs[0]); w++)
		if (!wrongs[w].last_frame || rig.config->tree > 1) /* else there is no proof */
			tree_with(&wrongs[w], sent);
	tree_and_copy(sent);
	drain(seen + (sent->admitted - first) * rig.config->fanout);
	rig.finished = finished_well;
	rig.completes = completes;
}
