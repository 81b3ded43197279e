/* SPDX-License-Identifier: BSD-3-Clause */
/* Stage 12: admitted events into those feeds of the ruleset's choice that do not wait for the disk;
 * the others are the commit stage's. */
#include "stages.h"

/* Events from e on that go to the same feeds; what is refused, or has its payload in the arena,
 * ends a run. */
static unsigned int run_of(const struct atr_frame *frame, const uint8_t *reason,
			   const uint64_t *feeds, unsigned int e)
{
	unsigned int end = e + 1;

	while (end < frame->packet_count && reason[end] == ATR_OK && feeds[end] == feeds[e] &&
	       !(frame->packets[end].flags & ATR_FLAG_ARENA))
		end++;
	return end - e;
}

static void publish_long(struct atr_shard *shard, const struct atr_batch *batch,
			 const struct atr_frame *frame, unsigned int e, uint64_t feeds)
{
	struct atr_message message = {.sequence = frame->hdr->first_sequence + e,
				      .packet = &frame->packets[e]};

	message.payload = atr_frame_payload(frame, e, &message.payload_length);
	atr_feeds_publish(shard->feeds, shard->program, feeds, &message, batch->now_tsc);
}

static unsigned int publish_frame(struct atr_shard *shard, struct atr_batch *batch, unsigned int f)
{
	const struct atr_frame *frame = &batch->frame[f];
	const uint8_t *reason = &batch->event_reason[batch->event_first[f]];
	const uint64_t *feeds = &batch->event_feeds[batch->event_first[f]];
	uint64_t now = ~shard->program->waiting_feeds;
	unsigned int published = 0, run;

	if (likely(batch->whole[f] && batch->passed[f] == frame->packet_count)) {
		if (feeds[0] & now)
			atr_feeds_publish_run(shard->feeds, shard->program, feeds[0] & now,
					      frame->hdr->first_sequence, frame->packets,
					      frame->packet_count, batch->now_tsc);
		return feeds[0] & now ? frame->packet_count : 0;
	}
	for (unsigned int e = 0; e < frame->packet_count; e += run) {
		run = 1;
		if (reason[e] != ATR_OK || (feeds[e] & now) == 0)
			continue;
		if (unlikely(frame->packets[e].flags & ATR_FLAG_ARENA)) {
			publish_long(shard, batch, frame, e, feeds[e] & now);
		} else {
			run = run_of(frame, reason, feeds, e);
			atr_feeds_publish_run(shard->feeds, shard->program, feeds[e] & now,
					      frame->hdr->first_sequence + e, &frame->packets[e],
					      run, batch->now_tsc);
		}
		published += run;
	}
	return published;
}

static void publish_envelope(struct atr_shard *shard, const struct atr_batch *batch,
			     struct rte_mbuf *mbuf)
{
	const struct atr_meta *meta = atr_meta(mbuf);
	struct atr_packet packet;
	struct atr_message message = {
		.sequence = meta->position,
		.packet = &packet,
		.payload = rte_pktmbuf_mtod_offset(mbuf, const uint8_t *, meta->offset),
		.payload_length = meta->length,
	};

	if (meta->feeds == 0)
		return;
	atr_mold_envelope_packet(&packet, meta->topic, meta->type, meta->source, meta->timestamp_ns,
				 meta->length);
	atr_feeds_publish(shard->feeds, shard->program, meta->feeds, &message, batch->now_tsc);
}

void atr_settle_envelope(struct atr_shard *shard, struct rte_mbuf *mbuf, uint8_t reason)
{
	struct atr_book *book = &shard->node->book;

	atr_meta(mbuf)->reason = reason;
	if (reason == ATR_OK) {
		book->datagrams.admitted++;
		book->events.admitted++;
	} else {
		book->datagrams.refused[reason]++;
		book->events.refused[reason]++;
	}
	if (!atr_send(shard->bridge->verify[shard->id], ATR_MSG_SETTLED,
		      (uint16_t)shard->node->epoch, shard->id, mbuf)) {
		shard->rx.reply_dropped++;
		rte_pktmbuf_free(mbuf);
	}
}

unsigned int atr_stage_fanout(struct atr_shard *shard, struct atr_batch *batch)
{
	unsigned int published = batch->admit_count;

	for (unsigned int i = 0; i < batch->live_count; i++)
		published += publish_frame(shard, batch, batch->live[i]);
	for (unsigned int i = 0; i < batch->admit_count; i++) {
		if (!batch->admit[i])
			continue;
		if (batch->admit_reason[i] == ATR_OK)
			publish_envelope(shard, batch, batch->admit[i]);
		atr_settle_envelope(shard, batch->admit[i], batch->admit_reason[i]);
	}
	atr_feeds_poll(shard->feeds, shard->program, batch->now_tsc,
		       batch->count + batch->admit_count == 0 &&
			       !atr_overload_takes(&shard->overload, ATR_MEASURE_BATCH));
	return published;
}
