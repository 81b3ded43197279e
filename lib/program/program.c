/* SPDX-License-Identifier: BSD-3-Clause */
#include "program.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_malloc.h>

#include "../wire/moldudp64.h"

#define IPV4_UDP_SIZE 28

static struct atr_limit *limit_create(const struct atr_rate *rate, unsigned int share, int socket)
{
	/* A shard's share of a topic's rate is rounded up: never less than one event a second. */
	struct rte_meter_srtcm_params params = {
		.cir = (rate->per_second + share - 1) / share,
		.cbs = (rate->burst + share - 1) / share,
		.ebs = 0,
	};
	struct atr_limit *limit;

	if (params.cbs == 0)
		params.cbs = 1;
	limit = rte_zmalloc_socket("atr_limit", sizeof(*limit), RTE_CACHE_LINE_SIZE, socket);
	if (!limit || rte_meter_srtcm_profile_config(&limit->profile, &params) < 0 ||
	    rte_meter_srtcm_config(&limit->meter, &limit->profile) < 0) {
		rte_free(limit);
		return NULL;
	}
	return limit;
}

/* The limit that the program before has for the same rate, or a new one. */
static struct atr_limit *limit_keep(struct atr_limit *before, const struct atr_rate *old,
				    const struct atr_rate *rate, unsigned int share, int socket)
{
	struct atr_limit *limit = before;

	if (!before || old->per_second != rate->per_second || old->burst != rate->burst)
		limit = limit_create(rate, share, socket);
	if (limit)
		limit->programs++;
	return limit;
}

static void limit_drop(struct atr_limit *limit)
{
	if (limit && --limit->programs == 0)
		rte_free(limit);
}

/* A window for a source that has none of this shape. What the one before it has admitted is below
 * its start. */
static int window(struct atr_source_state *state, const struct atr_source *source, uint64_t start,
		  int socket)
{
	if (state->window && state->window_size == source->window &&
	    state->max_ahead == source->max_ahead)
		return 0;
	start = RTE_MAX(start, state->floor);
	if (state->window) {
		start = RTE_MAX(start, atr_window_top(state->window));
		atr_window_free(state->window);
	}
	state->window = atr_window_create(source->window, source->max_ahead, start, socket);
	state->window_size = source->window;
	state->max_ahead = source->max_ahead;
	return state->window ? 0 : -ENOMEM;
}

static int source_state(struct atr_program *program, const struct atr_source *source,
			const struct atr_machine *machine)
{
	struct atr_source_state *state = &program->source[source->id];
	uint64_t start =
		machine->state ? atr_state_get(machine->state, ATR_STATE_SOURCE, source->id) : 0;
	const struct atr_program *before = machine->before;
	const struct atr_source *old =
		before && before->plan ? atr_plan_source(before->plan, source->id) : NULL;

	/* Shards use the window of a source that they know: it stays. */
	if (!old && window(state, source, start, machine->socket) < 0)
		return -ENOMEM;
	if (!state->reserve) {
		state->reserve = rte_zmalloc_socket("atr_reserve", sizeof(*state->reserve),
						    RTE_CACHE_LINE_SIZE, machine->socket);
		if (!state->reserve)
			return -ENOMEM;
		state->reserve->source = source->id;
		/* In class D a restart reads from the log what was admitted. */
		state->reserve->reserved = machine->class_d ? UINT64_MAX : start;
	}
	if (source->rate.per_second == 0)
		return 0;
	program->source_limit[source->id] =
		limit_keep(old ? before->source_limit[source->id] : NULL, old ? &old->rate : NULL,
			   &source->rate, 1, machine->socket);
	return program->source_limit[source->id] ? 0 : -ENOMEM;
}

static int topic_limit(struct atr_program *program, const struct atr_machine *machine,
		       const struct atr_topic *topic)
{
	const struct atr_program *before = machine->before;
	const struct atr_topic *old =
		before && before->plan ? atr_plan_topic(before->plan, topic->id) : NULL;

	for (unsigned int s = 0; s < machine->shards; s++) {
		size_t at = (size_t)s * program->plan->topic_slots + topic->id;
		struct atr_limit *kept = NULL;

		if (old)
			kept = before->topic_limit[(size_t)s * before->plan->topic_slots +
						   topic->id];
		program->topic_limit[at] = limit_keep(kept, old ? &old->rate : NULL, &topic->rate,
						      machine->shards, machine->socket);
		if (!program->topic_limit[at])
			return -ENOMEM;
		program->limits_topics = true;
	}
	return 0;
}

static int topic_limits(struct atr_program *program, const struct atr_machine *machine)
{
	const struct atr_plan *plan = program->plan;
	int rc = 0;

	program->topic_limit = calloc((size_t)machine->shards * plan->topic_slots + 1,
				      sizeof(*program->topic_limit));
	if (!program->topic_limit)
		return -ENOMEM;
	program->topic_limits = (size_t)machine->shards * plan->topic_slots;
	for (uint32_t t = 0; rc == 0 && t < plan->topic_slots; t++)
		if (plan->topics[t].present && plan->topics[t].rate.per_second > 0)
			rc = topic_limit(program, machine, &plan->topics[t]);
	return rc;
}

/* The interface on whose subnet ip lies, else the first with a gateway; multicast leaves by the
 * first. -1 if there is none. */
static int iface_for(const struct atr_machine *machine, uint32_t ip)
{
	for (unsigned int i = 0; i < machine->iface_count; i++) {
		const struct atr_iface *iface = &machine->ifaces[i];

		if (iface->ip == 0)
			continue;
		if (atr_net_is_multicast(ip) || atr_next_hop(iface, ip) == ip)
			return (int)i;
	}
	for (unsigned int i = 0; i < machine->iface_count; i++)
		if (machine->ifaces[i].gateway)
			return (int)i;
	return -1;
}

static int route(struct atr_program *program, const struct atr_feed *feed, unsigned int d,
		 const struct atr_machine *machine, char *error, size_t size)
{
	const struct atr_dest *dest = &feed->dests[d];
	struct atr_route *r = &program->routes[feed->id].route[d];
	int index = iface_for(machine, dest->ip);
	const struct atr_iface *iface;

	if (index < 0) {
		snprintf(error, size,
			 "feeds '%s' destinations[%u]: no port reaches %u.%u.%u.%u; add --addr "
			 "PORT=IP/LENGTH on its subnet, or a gateway (gw=IP)",
			 feed->name, d, dest->ip >> 24, dest->ip >> 16 & 255, dest->ip >> 8 & 255,
			 dest->ip & 255);
		return -EHOSTUNREACH;
	}
	iface = &machine->ifaces[index];
	if (IPV4_UDP_SIZE + ATR_MOLD_HDR_SIZE + feed->max_block > iface->mtu) {
		snprintf(error, size,
			 "feeds '%s' destinations[%u]: its largest event makes a datagram of %u "
			 "bytes, port %u has an MTU of %u; raise --mtu, or lower the type's size "
			 "or ingress.envelope_bytes",
			 feed->name, d, IPV4_UDP_SIZE + ATR_MOLD_HDR_SIZE + feed->max_block,
			 iface->port_id, iface->mtu);
		return -EMSGSIZE;
	}
	r->iface = (uint16_t)index;
	r->neighbour = atr_neighbour_add(machine->neighbours, iface, atr_next_hop(iface, dest->ip));
	if (r->neighbour < 0) {
		snprintf(error, size, "feeds '%s' destinations[%u]: neighbour table is full",
			 feed->name, d);
		return r->neighbour;
	}
	r->flow = (struct atr_flow){.dst_ip = dest->ip,
				    .dst_port = dest->port,
				    .src_port = machine->feed_src_port,
				    .ttl = dest->ttl};
	return 0;
}

static int build(struct atr_program *program, const struct atr_machine *machine, char *error,
		 size_t size)
{
	const struct atr_plan *plan = program->plan;
	int rc = 0;

	snprintf(error, size,
		 "program: out of memory for %u sources; lower their windows, or give "
		 "EAL more memory (-m or hugepages)",
		 plan->source_count);
	program->ports.ingress = plan->udp_port;
	program->waiting_feeds = machine->class_d ? plan->commit_feeds : 0;
	program->groups = (struct atr_groups){.ip = plan->groups, .count = plan->group_count};
	program->source_limit = calloc(plan->source_slots + 1, sizeof(*program->source_limit));
	if (!program->source_limit)
		return -ENOMEM;
	program->source_limits = plan->source_slots;
	for (uint32_t s = 0; rc == 0 && s < plan->source_slots; s++)
		if (plan->sources[s].present)
			rc = source_state(program, &plan->sources[s], machine);
	if (rc == 0)
		rc = topic_limits(program, machine);
	for (uint32_t f = 0; rc == 0 && f < plan->feed_slots; f++) {
		const struct atr_feed *feed = &plan->feeds[f];

		if (!feed->present)
			continue;
		program->feeds |= UINT64_C(1) << f;
		program->routes[f].count = feed->dest_count;
		for (unsigned int d = 0; rc == 0 && d < feed->dest_count; d++)
			rc = route(program, feed, d, machine, error, size);
	}
	return rc;
}

/* What lives on from the program before, or begins here. */
static int inherit(struct atr_program *program, const struct atr_program *before)
{
	program->routes = calloc(ATR_FEEDS_MAX, sizeof(*program->routes));
	program->states = before ? before->states : calloc(1, sizeof(*program->states));
	if (!program->states)
		return -ENOMEM;
	program->states->programs++;
	program->source = program->states->source;
	if (!program->routes)
		return -ENOMEM;
	if (before)
		memcpy(program->routes, before->routes, ATR_FEEDS_MAX * sizeof(*program->routes));
	return 0;
}

struct atr_program *atr_program_create(const struct atr_plan *plan, uint64_t generation,
				       const struct atr_machine *machine, char *error, size_t size)
{
	struct atr_program *program = NULL;

	if (posix_memalign((void **)&program, RTE_CACHE_LINE_SIZE, sizeof(*program)) != 0) {
		snprintf(error, size, "program: out of memory");
		return NULL;
	}
	memset(program, 0, sizeof(*program));
	program->plan = plan;
	program->generation = generation;
	program->ports = (struct atr_net_ports){.ingress = ATR_UDP_PORT_DEFAULT,
						.feed = machine->feed_src_port};
	snprintf(error, size, "program: out of memory");
	if (inherit(program, machine->before) < 0 ||
	    (plan && build(program, machine, error, size) < 0)) {
		atr_program_free(program);
		return NULL;
	}
	return program;
}

static void states_drop(struct atr_source_states *states)
{
	if (!states || --states->programs > 0)
		return;
	for (uint32_t s = 0; s <= ATR_ID_MAX; s++) {
		if (states->source[s].window)
			atr_window_free(states->source[s].window);
		rte_free(states->source[s].reserve);
	}
	free(states);
}

void atr_program_free(struct atr_program *program)
{
	if (!program)
		return;
	for (size_t s = 0; program->source_limit && s < program->source_limits; s++)
		limit_drop(program->source_limit[s]);
	for (size_t t = 0; program->topic_limit && t < program->topic_limits; t++)
		limit_drop(program->topic_limit[t]);
	states_drop(program->states);
	if (program->owns_plan)
		atr_plan_free((struct atr_plan *)(uintptr_t)program->plan);
	free(program->source_limit);
	free(program->topic_limit);
	free(program->routes);
	free(program->record);
	free(program->record_bytes);
	free(program);
}
