/* SPDX-License-Identifier: BSD-3-Clause */
/* Acknowledgements: what became of frames. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "producer_internal.h"

#define ACKS_A_STEP 256 /* datagrams; what is left waits for the next step */

/* One datagram being read. */
struct reading {
	struct atr_producer *producer;
	int err;
};

static void count_event(struct atr_producer *p, uint8_t reason)
{
	if (reason == ATR_OK) {
		p->stats.admitted++;
	} else if (reason == ATR_DUPLICATE) {
		p->stats.duplicate++;
	} else {
		p->stats.refused++;
		p->stats.refused_by_reason[reason]++;
	}
}

static void tell(struct atr_producer *p, const struct kept *k, const struct atr_ack_entry *entry,
		 enum atr_producer_outcome outcome)
{
	uint8_t reasons[ATR_FRAME_PACKETS_MAX];
	struct atr_producer_result result = {.outcome = outcome,
					     .first_sequence = k->first,
					     .events = k->events,
					     .reason = entry->result,
					     .reasons = entry->results ? reasons : NULL,
					     .position = entry->position,
					     .attempts = k->attempts};

	for (unsigned int i = 0; entry->results && i < entry->events; i++)
		reasons[i] = entry->results[i].reason;
	if (p->config.result)
		p->config.result(p->config.context, &result);
}

static int settle(struct atr_producer *p, struct kept *k, const struct atr_ack_entry *entry)
{
	int err = outbox_settle(p->outbox, k->first, k->length, entry->position, entry->result);

	if (err)
		return producer_broke(p, "the outbox cannot be written", err);
	for (unsigned int i = 0; i < entry->events; i++)
		count_event(p, entry->results ? entry->results[i].reason : entry->result);
	p->waiting -= k->state == KEPT_WAITING;
	p->stats.settled++;
	p->stats.unsettled--;
	k->state = KEPT_SETTLED;
	free(k->datagram);
	k->datagram = NULL;
	tell(p, k, entry, ATR_PRODUCER_SETTLED);
	return 0;
}

static void take_entry(void *context, const struct atr_ack_notice *notice,
		       const struct atr_ack_entry *entry)
{
	struct reading *reading = context;
	struct atr_producer *p = reading->producer;
	struct kept *k;

	if (notice->source != p->config.source || reading->err)
		return;
	if (notice->floor > p->stats.floor)
		p->stats.floor = notice->floor;
	k = kept_find(p, entry->first_sequence);
	if (!k || k->state == KEPT_SETTLED || k->events != entry->events ||
	    memcmp(k->leaf, entry->leaf, sizeof(k->leaf)) != 0) {
		p->stats.acks_unmatched++;
		return;
	}
	if (entry->final) {
		reading->err = settle(p, k, entry);
		return;
	}
	p->stats.retries++;
	k->reason = entry->result;
	if (k->attempts) /* an answer to another process's sending says nothing of when to send */
		k->due_ns = producer_due_after(p, p->env.monotonic_ns(p->env.context), k->attempts);
	tell(p, k, entry, ATR_PRODUCER_RETRY);
}

int producer_take_acks(struct atr_producer *p)
{
	struct reading reading = {.producer = p};
	const struct atr_ack_visitor visitor = {.entry = take_entry, .ctx = &reading};
	uint8_t datagram[ATR_DATAGRAM_MAX + 1];

	for (unsigned int i = 0; i < ACKS_A_STEP && !reading.err; i++) {
		int n = p->transport.receive(p->transport.context, datagram, sizeof(datagram));

		if (n < 0)
			break;
		if (!p->outbox)
			continue;
		if (atr_ack_parse(&p->reader, datagram, (size_t)n, &visitor) == ATR_OK)
			p->stats.acks++;
		else
			p->stats.acks_bad++;
	}
	kept_trim(p);
	return reading.err;
}
