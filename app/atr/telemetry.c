/* SPDX-License-Identifier: BSD-3-Clause */
/* The Query gate: read-only telemetry commands on DPDK's socket (rte_telemetry; dpdk-telemetry.py
 * and atrctl speak it). Lists are paged: the parameter is the offset, the answer holds `next` while
 * there is more. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_lcore.h>
#include <rte_vect.h>
#include "telemetry.h"

#define PAGE 32 /* entries of a list in one answer: DPDK cuts it off at 16 KiB */

/* Every client has a thread of DPDK's. They take turns, and none is left inside the appliance when
 * it is taken apart. */
static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
static struct appliance *appliance;
static bool ended; /* set before the pointer is taken away, so that nobody queues up any more */

uint64_t telemetry_offset(const char *params)
{
	return params ? strtoull(params, NULL, 10) : 0;
}

int telemetry_next(struct rte_tel_data *list, uint64_t at, unsigned int *shown,
		   struct rte_tel_data **entry)
{
	if ((*shown)++ == PAGE) {
		rte_tel_data_add_dict_u64(list, "next", at);
		return 0;
	}
	*entry = rte_tel_data_alloc();
	if (!*entry)
		return -ENOMEM;
	rte_tel_data_start_dict(*entry);
	return 1;
}

static int status(const char *cmd, const char *params, struct rte_tel_data *d)
{
	struct appliance *a = appliance;
	static const char *const phases[] = {"serving", "draining", "stopping"};
	const struct atr_plan *plan;
	char text[2 * sizeof(plan->digest) + 1];

	(void)cmd;
	(void)params;
	rte_tel_data_start_dict(d);
	rte_tel_data_add_dict_string(d, "version", ATR_VERSION);
	rte_tel_data_add_dict_string(d, "state", phases[a->phase]);
	rte_tel_data_add_dict_string(d, "durability", atr_durability_name(a->options.durability));
	rte_tel_data_add_dict_u64(d, "simd_bits", rte_vect_get_max_simd_bitwidth());
	telemetry_keys(a, d);
	rte_tel_data_add_dict_u64(d, "epoch", atr_state_epoch(a->state));
	rte_tel_data_add_dict_u64(d, "uptime_s", (rte_rdtsc() - a->started_tsc) / rte_get_tsc_hz());
	pthread_mutex_lock(&a->control->readers);
	plan = __atomic_load_n(&a->program, __ATOMIC_ACQUIRE)->plan;
	rte_tel_data_add_dict_string(d, "plan", plan ? plan->name : "none");
	if (plan) {
		rte_tel_data_add_dict_u64(d, "plan_version", plan->version);
		rte_tel_data_add_dict_u64(d, "generation", plan->generation);
		atr_hex_encode(plan->digest, sizeof(plan->digest), text);
		rte_tel_data_add_dict_string(d, "plan_digest", text);
		snprintf(text, sizeof(text), "%016" PRIx64, plan->realm);
		rte_tel_data_add_dict_string(d, "realm", text);
		rte_tel_data_add_dict_u64(d, "udp_port", plan->udp_port);
		rte_tel_data_add_dict_u64(d, "state_types", telemetry_state_types(plan));
	}
	pthread_mutex_unlock(&a->control->readers);
	rte_tel_data_add_dict_u64(d, "shards", a->shard_count);
	rte_tel_data_add_dict_u64(d, "data_lcores", a->lcore_count);
	rte_tel_data_add_dict_u64(d, "control_lcore", rte_get_main_lcore());
	rte_tel_data_add_dict_u64(d, "ports", a->iface_count);
	return 0;
}

static struct rte_tel_data *tally(const struct atr_ledger_total *t)
{
	struct rte_tel_data *d = rte_tel_data_alloc(), *flight = rte_tel_data_alloc();

	if (!d || !flight) {
		rte_tel_data_free(d);
		rte_tel_data_free(flight);
		return NULL;
	}
	rte_tel_data_start_dict(flight);
	rte_tel_data_add_dict_u64(flight, "hold", t->in_hold);
	rte_tel_data_add_dict_u64(flight, "handover", t->in_handover);
	rte_tel_data_add_dict_u64(flight, "bridge", t->in_bridge);
	rte_tel_data_start_dict(d);
	rte_tel_data_add_dict_u64(d, "received", t->received);
	rte_tel_data_add_dict_u64(d, "admitted", t->admitted);
	rte_tel_data_add_dict_u64(d, "refused", t->refused_total);
	rte_tel_data_add_dict_u64(d, "duplicate", t->duplicate);
	rte_tel_data_add_dict_container(d, "in_flight", flight, 0);
	return d;
}

static void add_port_losses(struct rte_tel_data *link)
{
	uint64_t missed = 0, errors = 0, no_mbuf = 0, sent = 0, dropped = 0;

	for (unsigned int i = 0; i < appliance->iface_count; i++) {
		struct rte_eth_stats s;

		if (rte_eth_stats_get(appliance->iface[i].port_id, &s) != 0)
			continue;
		missed += s.imissed;
		errors += s.ierrors;
		no_mbuf += s.rx_nombuf;
	}
	for (unsigned int s = 0; s < appliance->shard_count; s++)
		for (unsigned int i = 0; i < appliance->iface_count; i++) {
			sent += appliance->shard[s]->feeds->tx[i].sent;
			dropped += appliance->shard[s]->feeds->tx[i].dropped;
		}
	rte_tel_data_add_dict_u64(link, "nic_missed", missed);
	rte_tel_data_add_dict_u64(link, "nic_errors", errors);
	rte_tel_data_add_dict_u64(link, "nic_no_mbuf", no_mbuf);
	rte_tel_data_add_dict_u64(link, "tx_packets", sent);
	rte_tel_data_add_dict_u64(link, "tx_dropped", dropped);
}

static int ledger(const char *cmd, const char *params, struct rte_tel_data *d)
{
	struct rte_tel_data *datagrams, *events, *link = rte_tel_data_alloc();
	struct atr_ledger_reading r;
	int rc = appliance_ledger(appliance, &r);

	(void)cmd;
	(void)params;
	if (rc < 0 || !link) {
		rte_tel_data_free(link);
		return rc < 0 ? rc : -ENOMEM;
	}
	datagrams = tally(&r.datagrams);
	events = tally(&r.events);
	rte_tel_data_start_dict(link);
	rte_tel_data_add_dict_u64(link, "arp", r.arp);
	rte_tel_data_add_dict_u64(link, "icmp", r.icmp);
	rte_tel_data_add_dict_u64(link, "foreign", r.foreign);
	add_port_losses(link);
	rte_tel_data_start_dict(d);
	rte_tel_data_add_dict_string(d, "durability",
				     atr_durability_name(appliance->options.durability));
	if (datagrams)
		rte_tel_data_add_dict_container(d, "datagrams", datagrams, 0);
	if (events)
		rte_tel_data_add_dict_container(d, "events", events, 0);
	rte_tel_data_add_dict_container(d, "link", link, 0);
	return 0;
}

static int reasons(const char *cmd, const char *params, struct rte_tel_data *d)
{
	struct atr_ledger_reading r;
	uint64_t at = telemetry_offset(params);
	unsigned int shown = 0;
	int rc = appliance_ledger(appliance, &r);

	(void)cmd;
	if (rc < 0)
		return rc;
	rte_tel_data_start_dict(d);
	for (; at < ATR_DUPLICATE; at++) {
		struct rte_tel_data *one;

		if (!r.datagrams.refused[at] && !r.events.refused[at])
			continue;
		rc = telemetry_next(d, at, &shown, &one);
		if (rc <= 0)
			return rc;
		rte_tel_data_add_dict_string(one, "gate",
					     atr_gate_name(atr_reason_gate((uint8_t)at)));
		rte_tel_data_add_dict_u64(one, "datagrams", r.datagrams.refused[at]);
		rte_tel_data_add_dict_u64(one, "events", r.events.refused[at]);
		rte_tel_data_add_dict_container(d, atr_reason_name((uint8_t)at), one, 0);
	}
	return 0;
}

static int stages(const char *cmd, const char *params, struct rte_tel_data *d)
{
	(void)cmd;
	(void)params;
	rte_tel_data_start_dict(d);
	for (unsigned int i = 0; i < atr_stage_count; i++) {
		struct rte_tel_data *one = rte_tel_data_alloc();
		struct atr_stage_stats sum = {0};

		if (!one)
			return -ENOMEM;
		for (unsigned int s = 0; s < appliance->shard_count; s++) {
			sum.calls += appliance->shard[s]->stage[i].calls;
			sum.items += appliance->shard[s]->stage[i].items;
			sum.cycles += appliance->shard[s]->stage[i].cycles;
		}
		rte_tel_data_start_dict(one);
		rte_tel_data_add_dict_string(one, "counts", atr_stages[i].items);
		rte_tel_data_add_dict_u64(one, "calls", sum.calls);
		rte_tel_data_add_dict_u64(one, "items", sum.items);
		rte_tel_data_add_dict_u64(one, "cycles", sum.cycles);
		rte_tel_data_add_dict_u64(
			one, "ns", (uint64_t)((double)sum.cycles * 1e9 / (double)rte_get_tsc_hz()));
		rte_tel_data_add_dict_container(d, atr_stages[i].name, one, 0);
	}
	return 0;
}

static int path(const char *cmd, const char *params, struct rte_tel_data *d)
{
	(void)cmd;
	(void)params;
	rte_tel_data_start_dict(d);
	for (unsigned int i = 0; i < atr_stage_count; i++) {
		struct rte_tel_data *one = rte_tel_data_alloc();

		if (!one)
			return -ENOMEM;
		rte_tel_data_start_dict(one);
		rte_tel_data_add_dict_string(one, "counts", atr_stages[i].items);
		rte_tel_data_add_dict_string(one, "does", atr_stages[i].does);
		rte_tel_data_add_dict_container(d, atr_stages[i].name, one, 0);
	}
	return 0;
}

static void feed_entry(struct rte_tel_data *one, const struct atr_feed *feed,
		       const struct atr_shard *shard)
{
	const struct atr_feed_out *out = &shard->feeds->feed[feed->id];
	char session[ATR_MOLD_SESSION_SIZE + 1];

	memcpy(session, out->session, ATR_MOLD_SESSION_SIZE);
	session[ATR_MOLD_SESSION_SIZE] = '\0';
	rte_tel_data_start_dict(one);
	rte_tel_data_add_dict_string(one, "feed", feed->name);
	rte_tel_data_add_dict_string(one, "session", session);
	rte_tel_data_add_dict_string(
		one, "durability",
		atr_durability_name(RTE_MIN(feed->durability, appliance->options.durability)));
	rte_tel_data_add_dict_u64(one, "shard", shard->id);
	rte_tel_data_add_dict_u64(one, "destinations", feed->dest_count);
	rte_tel_data_add_dict_u64(one, "next_sequence", out->next_sequence);
	rte_tel_data_add_dict_u64(one, "messages", out->stats.messages);
	rte_tel_data_add_dict_u64(one, "packets", out->stats.packets);
	rte_tel_data_add_dict_u64(one, "sent", out->stats.sent);
	rte_tel_data_add_dict_u64(one, "heartbeats", out->stats.heartbeats);
	rte_tel_data_add_dict_u64(one, "no_neighbour", out->stats.no_neighbour);
	rte_tel_data_add_dict_u64(one, "no_mbuf", out->stats.no_mbuf);
}

/* Feeds of every shard, one after the other; the offset counts (feed, shard) pairs. */
static int list_feeds(const struct atr_program *program, const char *params, struct rte_tel_data *d)
{
	const struct atr_plan *plan = program->plan;
	uint64_t at = telemetry_offset(params), pairs;
	unsigned int shown = 0;
	int rc;

	rte_tel_data_start_dict(d);
	pairs = plan ? (uint64_t)plan->feed_slots * appliance->shard_count : 0;
	for (; at < pairs; at++) {
		const struct atr_feed *feed = &plan->feeds[at / appliance->shard_count];
		const struct atr_shard *shard = appliance->shard[at % appliance->shard_count];
		struct rte_tel_data *one;
		char key[ATR_NAME_MAX + 16];

		if (!feed->present)
			continue;
		rc = telemetry_next(d, at, &shown, &one);
		if (rc <= 0)
			return rc;
		feed_entry(one, feed, shard);
		snprintf(key, sizeof(key), "%u/%u", feed->id, shard->id);
		rte_tel_data_add_dict_container(d, key, one, 0);
	}
	return 0;
}

static int feeds(const char *cmd, const char *params, struct rte_tel_data *d)
{
	int rc;

	(void)cmd;
	pthread_mutex_lock(&appliance->control->readers);
	rc = list_feeds(__atomic_load_n(&appliance->program, __ATOMIC_ACQUIRE), params, d);
	pthread_mutex_unlock(&appliance->control->readers);
	return rc;
}

static int quarantine(const char *cmd, const char *params, struct rte_tel_data *d)
{
	struct atr_quarantine_stats s;

	(void)cmd;
	(void)params;
	atr_quarantine_stats(appliance->quarantine, &s);
	rte_tel_data_start_dict(d);
	rte_tel_data_add_dict_u64(d, "written", s.written);
	rte_tel_data_add_dict_u64(d, "dropped_ring", s.dropped_ring);
	rte_tel_data_add_dict_u64(d, "dropped_rate", s.dropped_rate);
	rte_tel_data_add_dict_u64(d, "dropped_disk", s.dropped_disk);
	rte_tel_data_add_dict_u64(d, "bytes", s.bytes);
	rte_tel_data_add_dict_string(d, "disk", s.disk_stopped ? "stopped" : "ok");
	rte_tel_data_add_dict_string(d, "pcapng", s.pcapng);
	rte_tel_data_add_dict_string(d, "audit", s.audit);
	return 0;
}

static int shards(const char *cmd, const char *params, struct rte_tel_data *d)
{
	uint64_t at = telemetry_offset(params);
	unsigned int shown = 0;
	int rc;

	(void)cmd;
	rte_tel_data_start_dict(d);
	for (; at < appliance->shard_count; at++) {
		const struct atr_shard *s = appliance->shard[at];
		const struct atr_auth_stats *auth = atr_auth_stats(s->auth);
		struct rte_tel_data *one;
		char key[16];

		rc = telemetry_next(d, at, &shown, &one);
		if (rc <= 0)
			return rc;
		rte_tel_data_add_dict_u64(one, "rx_packets", s->rx.packets);
		rte_tel_data_add_dict_u64(one, "rx_bytes", s->rx.bytes);
		rte_tel_data_add_dict_u64(one, "handed_over", s->rx.handed_over);
		rte_tel_data_add_dict_u64(one, "reply_dropped", s->rx.reply_dropped);
		rte_tel_data_add_dict_u64(one, "link_dropped", s->rx.link_dropped);
		rte_tel_data_add_dict_u64(one, "log_index", s->log_index);
		rte_tel_data_add_dict_u64(one, "proven_frames", auth->proven_frames);
		rte_tel_data_add_dict_u64(one, "node_hashes", auth->node_hashes);
		rte_tel_data_add_dict_u64(one, "node_hits", auth->node_hits);
		rte_tel_data_add_dict_u64(one, "roots_asked", auth->roots_asked);
		rte_tel_data_add_dict_u64(one, "roots_proven", auth->roots_proven);
		rte_tel_data_add_dict_u64(one, "roots_refused", auth->roots_refused);
		rte_tel_data_add_dict_u64(one, "held_frames", auth->held_frames);
		rte_tel_data_add_dict_u64(one, "pending_roots", auth->pending_roots);
		snprintf(key, sizeof(key), "%" PRIu64, at);
		rte_tel_data_add_dict_container(d, key, one, 0);
	}
	return 0;
}

static int control(const char *cmd, const char *params, struct rte_tel_data *d)
{
	const struct atr_control *c = appliance->control;
	const struct atr_control_stats *s = &c->stats;

	(void)cmd;
	(void)params;
	rte_tel_data_start_dict(d);
	rte_tel_data_add_dict_u64(d, "roots_verified", s->roots_verified);
	rte_tel_data_add_dict_u64(d, "roots_refused", s->roots_refused);
	rte_tel_data_add_dict_u64(d, "roots_by_verifiers", s->roots_by_verifiers);
	rte_tel_data_add_dict_u64(d, "verifiers", c->verifiers);
	rte_tel_data_add_dict_u64(d, "verify_cycles", s->verify_cycles);
	rte_tel_data_add_dict_u64(d, "envelopes", s->envelopes);
	rte_tel_data_add_dict_u64(d, "envelope_cycles", s->envelope_cycles);
	rte_tel_data_add_dict_u64(d, "replies", s->replies);
	rte_tel_data_add_dict_u64(d, "replies_dropped", s->replies_dropped);
	rte_tel_data_add_dict_u64(d, "sends_dropped", s->sends_dropped);
	rte_tel_data_add_dict_u64(d, "replies_withheld", s->replies_withheld);
	rte_tel_data_add_dict_u64(d, "identities",
				  c->identity ? atr_identity_count(c->identity) : 0);
	rte_tel_data_add_dict_u64(d, "identities_max",
				  c->identity ? atr_identity_capacity(c->identity) : 0);
	rte_tel_data_add_dict_u64(d, "reservations", s->reservations);
	rte_tel_data_add_dict_u64(d, "reserve_failures", s->reserve_failures);
	rte_tel_data_add_dict_u64(d, "arp_sent", s->arp_sent);
	rte_tel_data_add_dict_u64(d, "link_answered", s->link_answered);
	telemetry_shed(c->node, d);
	if (appliance->durable.acker)
		telemetry_acks(atr_acker_stats(appliance->durable.acker), d);
	return 0;
}

static const struct {
	const char *command;
	telemetry_cb call;
	int (*ask)(struct appliance *a, const char *params, struct rte_tel_data *d); /* or this */
	const char *help;
} commands[] = {
	{"/atr/status", status, NULL, "What runs: plan, shards, durability. No parameters."},
	{"/atr/ledger", ledger, NULL, "Both ledgers at one instant, and the ports' losses."},
	{"/atr/reasons", reasons, NULL, "Refusals by reason. Parameter: offset."},
	{"/atr/path", path, NULL, "The stage table: the path of a packet. No parameters."},
	{"/atr/stages", stages, NULL, "Calls, items and cycles by stage. No parameters."},
	{"/atr/feeds", feeds, NULL, "Feeds of every shard. Parameter: offset."},
	{"/atr/sources", NULL, telemetry_sources,
	 "Sequence windows of sources. Parameter: offset."},
	{"/atr/shards", shards, NULL, "Data path by shard. Parameter: offset."},
	{"/atr/control", control, NULL, "The control lcore's work. No parameters."},
	{"/atr/overload", NULL, telemetry_overload,
	 "State of load of each shard, its signals, what it shed. Parameter: offset."},
	{"/atr/transitions", NULL, telemetry_transitions,
	 "Last changes of a shard's state of load. Parameter: shard."},
	{"/atr/log", NULL, telemetry_log, "The logs, by shard. Parameter: offset."},
	{"/atr/gaps", NULL, telemetry_gaps,
	 "Gap requests and their answers, by shard. Parameter: offset."},
	{"/atr/state", NULL, telemetry_state,
	 "What is kept of a key. Parameters: SOURCE,TYPE,KEY."},
	{"/atr/states", NULL, telemetry_states,
	 "Keys of a shard's state, from a place on. Parameters: SHARD[,SOURCE,TYPE[,KEY]]."},
	{"/atr/event", NULL, telemetry_event,
	 "An event's place, feeds and proof. Parameter: SOURCE:SEQUENCE or SOURCE:UUID."},
	{"/atr/events", NULL, telemetry_events,
	 "Events of a source, from the log. Parameters: SOURCE,FIRST,LAST[,SHARD,LEAF,EVENT]."},
	{"/atr/governance", NULL, telemetry_governance,
	 "The plan in force, and what is under way to change it. No parameters."},
	{"/atr/checkpoint", NULL, telemetry_checkpoint,
	 "Newest signed checkpoint, as hex. Parameter: shard."},
	{"/atr/quarantine", quarantine, NULL, "The quarantine writer. No parameters."},
};

static int dispatch(const char *cmd, const char *params, struct rte_tel_data *d)
{
	int rc = -ESHUTDOWN;
	bool over;

	pthread_mutex_lock(&turn);
	over = __atomic_load_n(&ended, __ATOMIC_ACQUIRE);
	if (!over && !appliance) {
		rte_tel_data_start_dict(d);
		rc = rte_tel_data_add_dict_u64(d, "starting", 1);
	}
	for (unsigned int i = 0; !over && appliance && i < RTE_DIM(commands); i++)
		if (strcmp(cmd, commands[i].command) == 0)
			rc = commands[i].ask ? commands[i].ask(appliance, params, d)
					     : commands[i].call(cmd, params, d);
	pthread_mutex_unlock(&turn);
	return rc;
}

int telemetry_register(void)
{
	int rc = 0;

	for (unsigned int i = 0; i < RTE_DIM(commands) && rc == 0; i++)
		rc = rte_telemetry_register_cmd(commands[i].command, dispatch, commands[i].help);
	return rc;
}

void telemetry_begin(struct appliance *a)
{
	pthread_mutex_lock(&turn);
	appliance = a;
	pthread_mutex_unlock(&turn);
}

void telemetry_end(void)
{
	__atomic_store_n(&ended, true, __ATOMIC_RELEASE);
	pthread_mutex_lock(&turn);
	appliance = NULL;
	pthread_mutex_unlock(&turn);
}
