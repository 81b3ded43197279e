/* SPDX-License-Identifier: BSD-3-Clause */
/* Stage 10: a frame is appended to the log whole if any of its events is admitted, with a bitmap
 * that says which; with that its identities are taken, and nothing is shed behind this point. Feeds
 * of class D number their messages here; they are published when the group is durable (commit.c).
 *
 * With durability `none` no byte goes to disk, and with `async` nobody waits for it: restarts are
 * safe because no sequence is admitted above its source's durable high-water. */
#include <string.h>

#include "stages.h"

#define BITS          8
#define DECISIONS_MAX ((ATR_FRAME_PACKETS_MAX + BITS - 1) / BITS)

/* What the decisions about one frame come to. */
struct verdict {
	bool whole; /* every event is admitted, and to the same feeds */
	unsigned int admitted;
	uint64_t any, all; /* feeds that wait: of one of the admitted events, of each */
	uint8_t bitmap[DECISIONS_MAX + 1]; /* the last byte may stay empty */
};

/* Mostly a frame is admitted whole, and its events go to the same feeds. */
static bool alike(const uint8_t *reason, const uint64_t *feeds, unsigned int count)
{
	uint64_t differ = 0;
	uint8_t bad = 0;

	for (unsigned int e = 0; e < count; e++)
		bad |= reason[e];
	for (unsigned int e = 1; e < count; e++)
		differ |= feeds[e] ^ feeds[0];
	return bad == ATR_OK && differ == 0;
}

static void look_at(const uint8_t *reason, const uint64_t *feeds, uint64_t waiting,
		    unsigned int count, struct verdict *v)
{
	v->whole = alike(reason, feeds, count);
	if (likely(v->whole)) {
		v->admitted = count;
		v->any = v->all = feeds[0] & waiting;
		memset(v->bitmap, UINT8_MAX, count / BITS);
		v->bitmap[count / BITS] = (uint8_t)((1u << count % BITS) - 1);
		return;
	}
	v->admitted = 0;
	v->any = 0;
	v->all = UINT64_MAX;
	memset(v->bitmap, 0, (count + BITS - 1) / BITS);
	for (unsigned int e = 0; e < count; e++) {
		if (reason[e] != ATR_OK)
			continue;
		v->admitted++;
		v->any |= feeds[e] & waiting;
		v->all &= feeds[e] & waiting;
		v->bitmap[e / BITS] |= (uint8_t)(1u << e % BITS);
	}
}

static uint8_t shed_reason(const struct atr_commit *commit)
{
	switch (atr_log_state(commit->log, NULL)) {
	case ATR_LOG_BROKEN: return ATR_REASON_LOG_BROKEN;
	case ATR_LOG_FULL: return ATR_REASON_LOG_FULL;
	case ATR_LOG_OK: break;
	}
	return ATR_REASON_LOG_WAIT;
}

uint8_t atr_log_room(struct atr_shard *shard, uint64_t now_tsc, uint32_t body, uint32_t decisions)
{
	struct atr_commit *commit = &shard->commit;

	if (unlikely(atr_log_state(commit->log, NULL) == ATR_LOG_BROKEN))
		return ATR_REASON_LOG_BROKEN;
	/* A start looks for unpublished groups among a bounded number of the last ones: none of
	 * those that it found may be pushed out of them. */
	if (unlikely(commit->recovered_at < commit->recovered_count))
		return ATR_REASON_LOG_WAIT;
	/* A group names the one plan that judged what is in it. */
	if (commit->open && unlikely(commit->open->generation != shard->program->generation ||
				     !atr_log_fits(commit->open, body, decisions)))
		atr_commit_seal(shard);
	if (commit->open)
		return ATR_OK;
	commit->open = atr_log_begin(commit->log, now_tsc);
	if (unlikely(!commit->open))
		return shed_reason(commit);
	commit->opened++;
	commit->open->generation = shard->program->generation;
	commit->open->feed_set = shard->program->waiting_feeds;
	memcpy(commit->open->plan_digest, shard->program->plan->digest,
	       sizeof(commit->open->plan_digest));
	return ATR_OK;
}

static void number(struct atr_commit *commit, uint64_t feeds, unsigned int messages)
{
	for (; feeds; feeds &= feeds - 1)
		commit->next[__builtin_ctzll(feeds)] += messages;
}

/* Which feeds wait for the frame that was appended last, and the numbers of its messages. */
static void note_feeds(struct atr_commit *commit, const struct verdict *v, const uint8_t *reason,
		       const uint64_t *feeds, uint64_t waiting, unsigned int count)
{
	struct atr_group_buf *group = commit->open;
	struct atr_log_record *record = &group->record[group->records - 1];

	record->feeds = v->any;
	record->feeds_at = ATR_FEEDS_UNIFORM;
	if (likely(v->any == v->all)) {
		number(commit, v->any, v->admitted);
		return;
	}
	record->feeds_at = group->event_feeds_used;
	for (unsigned int e = 0; e < count; e++) {
		uint64_t set = reason[e] == ATR_OK ? feeds[e] & waiting : 0;

		group->event_feeds[group->event_feeds_used++] = set;
		number(commit, set, 1);
	}
}

static void append_frame(struct atr_shard *shard, const struct atr_batch *batch, unsigned int f,
			 const struct verdict *v)
{
	const struct atr_frame *frame = &batch->frame[f];
	const struct atr_meta *meta = atr_meta(batch->mbuf[f]);
	const struct atr_record_hdr header = {
		.body_length = meta->length,
		.decision_length = (uint16_t)((frame->packet_count + BITS - 1u) / BITS),
		.kind = ATR_RECORD_FRAME,
		.events = frame->packet_count,
		.rx_ns = meta->rx_ns,
		.generation = shard->program->generation,
		.source = frame->hdr->source,
	};

	atr_log_append(shard->commit.open, &header, (const uint8_t *)frame->hdr, v->bitmap,
		       batch->leaf[f]);
	note_feeds(&shard->commit, v, &batch->event_reason[batch->event_first[f]],
		   &batch->event_feeds[batch->event_first[f]], shard->program->waiting_feeds,
		   frame->packet_count);
}

static void shed_events(uint8_t *reason, unsigned int count, uint8_t why)
{
	for (unsigned int e = 0; e < count; e++)
		if (reason[e] == ATR_OK)
			reason[e] = why;
}

static unsigned int log_frame(struct atr_shard *shard, struct atr_batch *batch, unsigned int f)
{
	struct atr_commit *commit = &shard->commit;
	const struct atr_frame *frame = &batch->frame[f];
	uint8_t *reason = &batch->event_reason[batch->event_first[f]];
	unsigned int count = frame->packet_count;
	uint32_t record = ATR_ACK_NO_RECORD;
	struct verdict v;

	look_at(reason, &batch->event_feeds[batch->event_first[f]], shard->program->waiting_feeds,
		count, &v);
	if (v.admitted > 0 && commit->log) {
		uint8_t why = atr_log_room(shard, batch->now_tsc, atr_meta(batch->mbuf[f])->length,
					   (count + BITS - 1) / BITS);

		if (unlikely(why != ATR_OK)) {
			shed_events(reason, count, why);
			commit->stats.shed++;
			v.admitted = 0;
			v.whole = false;
		} else {
			record = commit->open->records;
			append_frame(shard, batch, f, &v);
		}
	}
	batch->whole[f] = v.whole;
	if (v.admitted > 0) {
		atr_window_set(shard->program->source[frame->hdr->source].window,
			       frame->hdr->first_sequence, count, batch->tag[f], reason);
		shard->log_index++;
	}
	if (commit->durability == ATR_DURABILITY_COMMIT)
		atr_ack_frame(shard, batch, f, v.admitted, record);
	return v.admitted > 0;
}

static void append_envelope(struct atr_shard *shard, struct rte_mbuf *mbuf)
{
	struct atr_commit *commit = &shard->commit;
	const struct atr_meta *meta = atr_meta(mbuf);
	const struct atr_record_hdr header = {
		.body_length = meta->length,
		.kind = ATR_RECORD_ENVELOPE,
		.events = 1,
		.rx_ns = meta->rx_ns,
		.generation = meta->generation,
		.source = meta->source,
		.topic = meta->topic,
		.type = meta->type,
		.feeds = meta->feeds,
	};
	struct atr_log_record *record = &commit->open->record[commit->open->records];

	atr_log_append(commit->open, &header,
		       rte_pktmbuf_mtod_offset(mbuf, const uint8_t *, meta->offset), NULL,
		       meta->leaf);
	/* Its position is its number on every feed: none can have it before it has one. */
	record->feeds = meta->feeds;
	record->feeds_at = ATR_FEEDS_UNIFORM;
	record->stamp = meta->timestamp_ns;
	number(commit, meta->feeds & shard->program->waiting_feeds, 1);
}

/* Logged envelopes wait, in log order, until their group is durable. */
static void wait_envelope(struct atr_shard *shard, struct atr_batch *batch, unsigned int i)
{
	struct atr_commit *commit = &shard->commit;

	commit->envelope[commit->envelope_tail++ % ATR_ADMITS_MAX] = batch->admit[i];
	batch->admit[i] = NULL;
	shard->node->book.datagrams.held++;
	shard->node->book.events.held++;
}

static unsigned int log_envelope(struct atr_shard *shard, struct atr_batch *batch, unsigned int i)
{
	struct atr_commit *commit = &shard->commit;
	struct rte_mbuf *mbuf = batch->admit[i];

	if (commit->log) {
		batch->admit_reason[i] =
			atr_log_room(shard, batch->now_tsc, atr_meta(mbuf)->length, 0);
		if (batch->admit_reason[i] != ATR_OK) {
			commit->stats.shed++;
			return 0;
		}
		append_envelope(shard, mbuf);
	}
	atr_meta(mbuf)->position = shard->log_index++;
	if (commit->durability == ATR_DURABILITY_COMMIT)
		wait_envelope(shard, batch, i);
	return 1;
}

unsigned int atr_stage_log(struct atr_shard *shard, struct atr_batch *batch)
{
	unsigned int logged = 0;

	for (unsigned int i = 0; i < batch->live_count; i++)
		logged += log_frame(shard, batch, batch->live[i]);
	for (unsigned int i = 0; i < batch->admit_count; i++)
		if (batch->admit_reason[i] == ATR_OK)
			logged += log_envelope(shard, batch, i);
	return logged;
}
