/* SPDX-License-Identifier: BSD-3-Clause */
#include "books.h"

#include <stdio.h>

#include "rig.h"

uint64_t books_admitted(void)
{
	uint64_t sum = 0;

	for (unsigned int s = 0; s < rig.shards; s++)
		sum += rig_admitted(s);
	return sum;
}

uint64_t books_delivered(void)
{
	uint64_t sum = 0;

	for (unsigned int s = 0; s < rig.shards; s++)
		for (unsigned int f = 0; f < rig.config->feeds; f++)
			sum += rig.lane[s].shard->feeds->feed[f].stats.messages;
	return sum;
}

uint64_t books_refused_for(uint8_t reason)
{
	uint64_t sum = 0;

	for (unsigned int n = 0; n < rig.ledger.nodes; n++)
		sum += rig.ledger.node[n]->book.events.refused[reason];
	return sum;
}

uint64_t books_refused(void)
{
	uint64_t sum = 0;

	for (unsigned int r = 0; r < ATR_REASON_SPACE; r++)
		sum += books_refused_for((uint8_t)r);
	return sum;
}

uint64_t books_duplicate(void)
{
	uint64_t sum = 0;

	for (unsigned int n = 0; n < rig.ledger.nodes; n++)
		sum += rig.ledger.node[n]->book.events.duplicate;
	return sum;
}

/* Packets that found no room, and what the log shed. */
static uint64_t lost(void)
{
	uint64_t sum = 0;

	for (unsigned int s = 0; s < rig.shards; s++) {
		const struct atr_shard *shard = rig.lane[s].shard;

		sum += shard->feeds->tx[0].dropped + shard->commit.stats.shed;
		for (unsigned int f = 0; f < rig.config->feeds; f++)
			sum += shard->feeds->feed[f].stats.no_mbuf +
			       shard->feeds->feed[f].stats.no_neighbour;
	}
	return sum;
}

void books_tell_refusals(void)
{
	for (unsigned int r = 0; r < ATR_REASON_SPACE; r++) {
		uint64_t n = books_refused_for((uint8_t)r);

		if (n > 0)
			bench_progress("%llu events were refused: %s", (unsigned long long)n,
				       atr_reason_name((uint8_t)r));
	}
}

void books_check(const struct books *sent)
{
	const struct atr_control_stats *control = &rig.control->stats;
	char text[512];

	if (books_admitted() == sent->admitted && books_refused() == sent->refused &&
	    books_duplicate() == sent->duplicate && lost() == 0 &&
	    books_delivered() == sent->admitted * rig.config->fanout &&
	    control->roots_verified == sent->roots && control->roots_refused == sent->forged)
		return;
	books_tell_refusals();
	snprintf(text, sizeof(text),
		 "a message was lost or misjudged: of %llu events %llu were admitted, %llu refused "
		 "for %llu, %llu duplicates for %llu, %llu delivered, %llu lost; of %llu roots "
		 "%llu were verified, %llu refused for %llu",
		 (unsigned long long)sent->admitted, (unsigned long long)books_admitted(),
		 (unsigned long long)books_refused(), (unsigned long long)sent->refused,
		 (unsigned long long)books_duplicate(), (unsigned long long)sent->duplicate,
		 (unsigned long long)books_delivered(), (unsigned long long)lost(),
		 (unsigned long long)sent->roots, (unsigned long long)control->roots_verified,
		 (unsigned long long)control->roots_refused, (unsigned long long)sent->forged);
	bench_die(text);
}

void books_pass(struct books *sent)
{
	sent->admitted += (uint64_t)rig.config->frames * rig.traffic.events * rig.shards;
	sent->roots += (uint64_t)rig.config->frames / rig.config->tree * rig.shards;
}

json_t *books_result(json_t *result, const struct books *sent)
{
	uint64_t all = sent->admitted + sent->refused + sent->duplicate;
	json_t *checks = json_pack(
		"{s:I, s:I, s:I, s:I, s:I, s:I}", "sent", (json_int_t)all, "admitted",
		(json_int_t)books_admitted(), "refused", (json_int_t)books_refused(), "duplicates",
		(json_int_t)books_duplicate(), "delivered", (json_int_t)books_delivered(),
		"roots_verified", (json_int_t)rig.control->stats.roots_verified);

	json_object_set_new(result, "checks", checks);
	return checks;
}
