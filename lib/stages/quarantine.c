/* SPDX-License-Identifier: BSD-3-Clause */
/* Stage 13, gate 5: every datagram of the batch is accounted for in both ledgers; what was refused,
 * wholly or in part, goes to the quarantine writer with its reasons. */
#include "stages.h"

/* Counts the events of a parsed frame and names the refused ones in item. Returns the datagram's
 * outcome: ATR_OK, ATR_DUPLICATE, or the first refusal. */
static uint8_t settle_events(struct atr_tally *events, const struct atr_batch *batch,
			     unsigned int f, struct atr_quarantine_item *item)
{
	const uint8_t *reason = &batch->event_reason[batch->event_first[f]];
	unsigned int count = batch->frame[f].packet_count;
	unsigned int admitted = 0, duplicate = 0;
	uint8_t first = ATR_OK;

	for (unsigned int e = 0; e < count; e++) {
		uint8_t r = reason[e] != ATR_OK ? reason[e] : batch->reason[f];

		if (likely(r == ATR_OK)) {
			admitted++;
			continue;
		}
		if (r == ATR_DUPLICATE) {
			duplicate++;
			continue;
		}
		events->refused[r]++;
		item->refused_events++;
		if (first == ATR_OK)
			first = r;
		if (item->named < ATR_QUARANTINE_EVENTS) {
			item->event[item->named].index = (uint16_t)e;
			item->event[item->named++].reason = r;
		}
	}
	events->admitted += admitted;
	events->duplicate += duplicate;
	item->reason = first;
	if (admitted > 0)
		return ATR_OK;
	return duplicate > 0 ? ATR_DUPLICATE : first;
}

void atr_settle_frame(struct atr_shard *shard, struct atr_batch *batch, unsigned int f)
{
	struct atr_book *book = &shard->node->book;
	struct rte_mbuf *m = batch->mbuf[f];
	const struct atr_meta *meta = atr_meta(m);
	struct atr_quarantine_item item;
	uint8_t outcome = batch->reason[f];

	item.detail = NULL;
	item.refused_events = 0;
	item.named = 0;
	item.reason = outcome;
	item.source = 0;
	item.first_sequence = 0;
	item.is_envelope = 0;
	if (batch->frame[f].hdr) {
		outcome = settle_events(&book->events, batch, f, &item);
		item.source = batch->frame[f].hdr->source;
		item.first_sequence = batch->frame[f].hdr->first_sequence;
	} else if (meta->events > 0) {
		book->events.refused[outcome] += meta->events;
		item.is_envelope = 1;
	}
	if (outcome == ATR_OK)
		book->datagrams.admitted++;
	else if (outcome == ATR_DUPLICATE)
		book->datagrams.duplicate++;
	else
		book->datagrams.refused[outcome]++;
	batch->mbuf[f] = NULL;
	if (likely(item.reason == ATR_OK)) {
		rte_pktmbuf_free(m);
		return;
	}
	item.mbuf = m;
	item.time_ns = meta->rx_ns;
	item.generation = shard->program->generation;
	item.offset = meta->offset;
	item.length = meta->length;
	item.events = meta->events;
	item.shard = (uint8_t)shard->id;
	if (!atr_quarantine_put(shard->quarantine, shard->id, &item))
		rte_pktmbuf_free(m);
}

unsigned int atr_stage_quarantine(struct atr_shard *shard, struct atr_batch *batch)
{
	unsigned int settled = 0;

	for (unsigned int f = 0; f < batch->count; f++) {
		if (batch->mbuf[f] == NULL)
			continue;
		atr_settle_frame(shard, batch, f);
		settled++;
	}
	return settled;
}
