/* SPDX-License-Identifier: BSD-3-Clause */
/* The end of a shard: what still waits is refused by name, feeds end, the last packets leave. */
#include <rte_cycles.h>

#include "stages.h"

#define END_REPEAT   3 /* end of session is sent so often: nobody acknowledges it */
#define FLUSH_ROUNDS 1000

static void refuse(struct atr_shard *shard, struct rte_mbuf *mbuf)
{
	struct atr_batch *batch = shard->batch;
	struct atr_meta *meta = atr_meta(mbuf);
	const uint8_t *data = rte_pktmbuf_mtod_offset(mbuf, const uint8_t *, meta->offset);

	shard->node->book.datagrams.held--;
	shard->node->book.events.held -= meta->events;
	batch->mbuf[0] = mbuf;
	batch->event_first[0] = 0;
	batch->reason[0] = ATR_REASON_SHUTDOWN;
	if (atr_frame_parse(data, meta->length, &batch->frame[0]) != ATR_OK)
		batch->frame[0].hdr = NULL;
	for (unsigned int e = 0; e < meta->events; e++)
		batch->event_reason[e] = ATR_OK;
	atr_settle_frame(shard, batch, 0);
}

static void drain_queue(struct atr_shard *shard, struct atr_queue *queue)
{
	while (atr_queue_count(queue) > 0)
		refuse(shard, queue->slot[queue->head++ & queue->mask]);
}

static void drain_hold(struct atr_shard *shard)
{
	void *cookie[ATR_RX_BURST];
	unsigned int n;

	do {
		n = atr_auth_drain(shard->auth, cookie, ATR_RX_BURST);
		for (unsigned int i = 0; i < n; i++)
			refuse(shard, cookie[i]);
	} while (n > 0);
}

static void flush_all(struct atr_shard *shard)
{
	for (unsigned int round = 0; round < FLUSH_ROUNDS; round++)
		if (atr_stage_tx(shard, shard->batch) == 0)
			return;
}

/* What is logged and not yet durable stays admitted: the log thread makes it durable, the next
 * start publishes it, and its producers, who had no answer, ask again. The control lcore, which
 * answers nobody any more, is told for the sake of copies that wait for an envelope. */
static void finish_commit(struct atr_shard *shard)
{
	struct atr_commit *commit = &shard->commit;
	struct atr_book *book = &shard->node->book;

	if (commit->open)
		atr_commit_seal(shard);
	while (commit->envelope_head != commit->envelope_tail) {
		book->datagrams.held--;
		book->events.held--;
		atr_settle_envelope(
			shard, commit->envelope[commit->envelope_head++ % ATR_ADMITS_MAX], ATR_OK);
	}
}

void atr_shard_finish(struct atr_shard *shard)
{
	shard->program = __atomic_load_n(shard->program_slot, __ATOMIC_ACQUIRE);
	if (shard->commit.log)
		finish_commit(shard);
	drain_queue(shard, &shard->deferred);
	drain_queue(shard, &shard->reserving);
	drain_hold(shard);
	for (unsigned int i = 0; i < END_REPEAT; i++) {
		atr_feeds_end(shard->feeds, shard->program, rte_rdtsc());
		flush_all(shard);
	}
	atr_ledger_poll(shard->ledger, shard->node);
}
