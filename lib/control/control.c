/* SPDX-License-Identifier: BSD-3-Clause */
#include "control.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <rte_cycles.h>
#include <rte_malloc.h>

#define VERIFY_PER_TURN   8 /* of each kind and shard, so that no shard waits for another */
#define ENVELOPE_PER_TURN 8
#define LINK_PER_TURN     8
#define CLOCK_PER_SECOND  100

struct atr_control *atr_control_create(const struct atr_control_config *config, char *error,
				       size_t size)
{
	struct atr_control *c =
		rte_zmalloc_socket("atr_control", sizeof(*c), RTE_CACHE_LINE_SIZE, config->socket);

	if (c) {
		pthread_mutex_init(&c->readers, NULL);
		pthread_mutex_init(&c->past_lock, NULL);
		c->bridge = config->bridge;
		c->ledger = config->ledger;
		c->quarantine = config->quarantine;
		c->state = config->state;
		c->clock = config->clock;
		c->neighbours = config->neighbours;
		c->ifaces = config->ifaces;
		c->iface_count = config->iface_count;
		c->payloads = config->payloads;
		c->rcu = config->rcu;
		c->program_slot = config->program_slot;
		c->durability = config->durability;
		c->machine = config->machine;
		c->governor = config->governor ? config->governor : atr_governor_create();
		c->acker = config->acker;
		c->verifier = config->verifier;
		c->verifiers = config->verifiers;
		c->hash = atr_hash_create(config->socket, config->simd_bits, error, size);
		c->uuid_floor_ms = atr_state_get(config->state, ATR_STATE_UUID, 0);
		c->uuid_reserved_ms = c->uuid_floor_ms;
		c->uuid_highest_ms = c->uuid_floor_ms;
		c->node = rte_zmalloc_socket("atr_node", sizeof(*c->node), RTE_CACHE_LINE_SIZE,
					     config->socket);
		c->parser = atr_json_parser_create();
	}
	if (!c || !c->node || !c->parser || !c->hash || !c->governor) {
		snprintf(error, size, "control: out of memory; give EAL more (-m or hugepages)");
		atr_control_free(c);
		return NULL;
	}
	return c;
}

void atr_control_free(struct atr_control *control)
{
	if (!control)
		return;
	atr_control_govern_undo(control);
	atr_governor_free(control->governor);
	atr_control_swap_end(control);
	pthread_mutex_destroy(&control->readers);
	pthread_mutex_destroy(&control->past_lock);
	atr_identity_free(control->identity);
	atr_json_parser_destroy(control->parser);
	if (control->hash)
		atr_hash_free(control->hash);
	rte_free(control->node);
	rte_free(control);
}

void atr_control_down(struct atr_control *control, uint32_t shard, uint16_t kind, uint32_t arg,
		      void *ptr)
{
	while (!atr_send(control->bridge->down[shard], kind, (uint16_t)control->node->epoch, arg,
			 ptr))
		rte_pause();
}

void atr_control_send(struct atr_control *control, uint32_t shard, uint32_t port,
		      struct rte_mbuf *mbuf)
{
	if (atr_send(control->bridge->down[shard], ATR_MSG_SEND, (uint16_t)control->node->epoch,
		     port, mbuf))
		return;
	control->stats.sends_dropped++;
	rte_pktmbuf_free(mbuf);
}

void atr_control_refuse(struct atr_control *control, struct rte_mbuf *mbuf, uint8_t reason,
			bool count)
{
	const struct atr_meta *meta = atr_meta(mbuf);
	const uint8_t *first = rte_pktmbuf_mtod_offset(mbuf, const uint8_t *, meta->offset);
	struct atr_quarantine_item item = {
		.mbuf = mbuf,
		.time_ns = meta->rx_ns,
		.generation = (*control->program_slot)->generation,
		.offset = meta->offset,
		.length = meta->length,
		.events = meta->events,
		.reason = reason,
		.shard = (uint8_t)control->bridge->shards,
		.is_envelope = *first == ATR_FIRST_BYTE_ENVELOPE,
	};

	if (count) {
		control->node->book.datagrams.refused[reason]++;
		control->node->book.events.refused[reason] += meta->events;
	}
	if (reason >= ATR_REASON_GOV_OPERATOR && reason <= ATR_REASON_GOV_APPROVALS)
		item.detail = strdup(atr_governor_refusal(control->governor));
	if (atr_quarantine_put(control->quarantine, control->bridge->shards, &item))
		return;
	free(item.detail);
	rte_pktmbuf_free(mbuf);
}

static unsigned int verify_ring(struct atr_control *control, unsigned int shard)
{
	struct atr_msg msg[VERIFY_PER_TURN];
	struct atr_reserve *reserve[VERIFY_PER_TURN];
	unsigned int n = atr_receive(control->bridge->verify[shard], msg, VERIFY_PER_TURN);
	unsigned int reserves = 0;

	if (n > 0)
		atr_ledger_meet(control->ledger, control->node, msg[n - 1].epoch);
	for (unsigned int i = 0; i < n; i++) {
		switch (msg[i].kind) {
		case ATR_MSG_ROOT: atr_control_root(control, msg[i].ptr); break;
		case ATR_MSG_SETTLED: atr_control_settled(control, msg[i].ptr, shard); break;
		case ATR_MSG_RESERVE: reserve[reserves++] = msg[i].ptr; break;
		}
	}
	if (reserves > 0)
		atr_control_reserve(control, reserve, reserves);
	return n;
}

static unsigned int envelope_ring(struct atr_control *control, unsigned int shard)
{
	struct atr_msg msg[ENVELOPE_PER_TURN];
	unsigned int n = atr_receive(control->bridge->envelopes[shard], msg, ENVELOPE_PER_TURN);

	if (n > 0)
		atr_ledger_meet(control->ledger, control->node, msg[n - 1].epoch);
	for (unsigned int i = 0; i < n; i++)
		atr_control_envelope(control, msg[i].ptr, shard);
	return n;
}

static unsigned int link_ring(struct atr_control *control, unsigned int shard)
{
	struct atr_msg msg[LINK_PER_TURN];
	unsigned int n = atr_receive(control->bridge->link[shard], msg, LINK_PER_TURN);

	for (unsigned int i = 0; i < n; i++)
		atr_control_link(control, msg[i].ptr, shard);
	return n;
}

/* Corrects the data lcores' clock and forgets identities that have left the window. */
static void keep_time(struct atr_control *control, uint64_t tsc)
{
	const struct atr_plan *plan = (*control->program_slot)->plan;
	struct timespec now;
	uint64_t now_ms, oldest_ms;

	control->clock_tsc = tsc + rte_get_tsc_hz() / CLOCK_PER_SECOND;
	clock_gettime(CLOCK_REALTIME, &now);
	atr_clock_set(control->clock, rte_rdtsc(), rte_get_tsc_hz(), &now);
	now_ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
	if (!control->identity || !plan || now_ms <= plan->uuid_past_ms)
		return;
	oldest_ms = now_ms - plan->uuid_past_ms;
	control->uuid_forgotten_ms = RTE_MAX(control->uuid_forgotten_ms, oldest_ms);
	atr_identity_expire(control->identity, oldest_ms);
}

unsigned int atr_control_run(struct atr_control *control)
{
	uint64_t tsc = rte_rdtsc();
	unsigned int done = 0;

	atr_ledger_poll(control->ledger, control->node);
	if (tsc >= control->clock_tsc)
		keep_time(control, tsc);
	for (unsigned int s = 0; s < control->bridge->shards; s++) {
		done += verify_ring(control, s);
		if (!atr_control_swapping(control))
			done += envelope_ring(control, s);
		done += link_ring(control, s);
	}
	done += atr_control_verified(control);
	done += atr_control_swap(control);
	if (control->acker)
		done += atr_control_acknowledge(control);
	done += atr_control_resolve(control);
	atr_control_reserve_again(control);
	control->stats.turns++;
	control->stats.idle_turns += done == 0;
	return done;
}
