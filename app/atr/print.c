/* SPDX-License-Identifier: BSD-3-Clause */
/* What people read at start and at the end. */
#include <inttypes.h>
#include <stdio.h>

#include <rte_cycles.h>
#include <rte_lcore.h>

#include "memory.h"

static void print_key(const char *what, const struct atr_signer *signer)
{
	uint8_t public[ATR_PUBLIC_KEY_SIZE];
	char hex[2 * sizeof(public) + 1];

	if (!signer)
		return;
	atr_signer_public(signer, public);
	atr_hex_encode(public, sizeof(public), hex);
	printf("  %s key %s\n", what, hex);
}

static void print_logs(const struct durable *d)
{
	if (!d->running)
		return;
	for (unsigned int s = 0; s < d->shards; s++)
		printf("log %s, %s: %" PRIu64 " leaves\n", d->shard[s].directory,
		       atr_storage_engine(d->shard[s].storage),
		       d->recovery[s].scan.end.frontier.size);
	for (unsigned int s = 0; s < d->shards; s++)
		if (d->recovery[s].snapshot_group)
			printf("  shard %u: from a snapshot at group %" PRIu64 ", of %" PRIu64
			       " leaves\n",
			       s, d->recovery[s].snapshot_group, d->recovery[s].snapshot_leaves);
	printf("  recovered %" PRIu64 " events in %.3f s\n", d->recovery_events,
	       d->recovery_seconds);
	print_key("checkpoint", d->checkpoint_key);
	print_key("acknowledgement", d->acks_key);
}

void appliance_print(const struct appliance *a)
{
	const struct atr_plan *plan = a->program->plan;

	printf("atr %s, durability %s: epoch %u\n", ATR_VERSION,
	       atr_durability_name(a->options.durability), atr_state_epoch(a->state));
	print_logs(&a->durable);
	if (plan)
		printf("plan '%s' version %u, realm %016" PRIx64
		       ": %u sources, %u topics, %u types, %u rules, %u feeds\n",
		       plan->name, plan->version, plan->realm, plan->source_count,
		       plan->topic_count, plan->type_count, plan->rule_count, plan->feed_count);
	else
		printf("no plan: everything is refused with no_plan (give --pipeline FILE)\n");
	for (unsigned int i = 0; i < a->iface_count; i++)
		printf("%s\n", a->port_line[i]);
	printf("lcore %u: control\n", rte_get_main_lcore());
	for (unsigned int i = 0; i < a->verifier_count; i++)
		printf("lcore %u: verifier\n", a->verifier_lcore[i].lcore_id);
	for (unsigned int i = 0; i < a->lcore_count; i++) {
		printf("lcore %u: data, shards", a->lcore[i].lcore_id);
		for (unsigned int s = 0; s < a->lcore[i].shard_count; s++)
			printf(" %u", a->lcore[i].shard[s]->id);
		printf("\n");
	}
	memory_print(a);
}

static bool balance(const char *what, const struct atr_ledger_total *t)
{
	uint64_t in_flight = t->in_hold + t->in_handover + t->in_bridge;
	bool ok = t->received == t->admitted + t->refused_total + t->duplicate + in_flight;

	printf("%-10s received %" PRIu64 " = admitted %" PRIu64 " + refused %" PRIu64
	       " + duplicate %" PRIu64 " + in flight %" PRIu64 "%s\n",
	       what, t->received, t->admitted, t->refused_total, t->duplicate, in_flight,
	       ok ? "" : "  DOES NOT BALANCE");
	return ok;
}

static void sum(struct atr_ledger_total *total, const struct atr_tally *tally)
{
	total->received += tally->received;
	total->admitted += tally->admitted;
	total->duplicate += tally->duplicate;
	total->in_hold += tally->held;
	total->in_handover += tally->handover_out - tally->handover_in;
	total->in_bridge += tally->bridge_out - tally->bridge_in;
	for (unsigned int r = 0; r < ATR_REASON_SPACE; r++) {
		total->refused[r] += tally->refused[r];
		total->refused_total += tally->refused[r];
	}
}

bool appliance_totals(struct appliance *a)
{
	struct atr_ledger_total datagrams = {0}, events = {0};
	uint64_t messages = 0, packets = 0;
	bool ok;

	/* The lcores have returned: books are read directly. */
	for (unsigned int n = 0; n < a->ledger.nodes; n++) {
		sum(&datagrams, &a->ledger.node[n]->book.datagrams);
		sum(&events, &a->ledger.node[n]->book.events);
	}
	for (unsigned int s = 0; s < a->shard_count; s++)
		for (unsigned int f = 0; f < ATR_FEEDS_MAX; f++) {
			messages += a->shard[s]->feeds->feed[f].stats.messages;
			packets += a->shard[s]->feeds->feed[f].stats.sent;
		}
	printf("totals after %.1f s, durability %s\n",
	       (double)(rte_rdtsc() - a->started_tsc) / (double)rte_get_tsc_hz(),
	       atr_durability_name(a->options.durability));
	ok = balance("datagrams", &datagrams);
	ok &= balance("events", &events);
	for (unsigned int r = 1; r < ATR_DUPLICATE; r++)
		if (datagrams.refused[r] || events.refused[r])
			printf("  refused %-24s datagrams %" PRIu64 ", events %" PRIu64 "\n",
			       atr_reason_name((uint8_t)r), datagrams.refused[r],
			       events.refused[r]);
	printf("feeds      messages %" PRIu64 ", packets sent %" PRIu64 "\n", messages, packets);
	return ok;
}
