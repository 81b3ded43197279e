/* SPDX-License-Identifier: BSD-3-Clause */
/* Stage 11: what a sync has made durable is published under the numbers that the log stage gave,
 * envelopes are settled and acknowledgements released; and the open group is sealed when it is
 * full, old, or nothing else is under way. Groups come in log order, and a bounded number of
 * records is worked through in a turn, so that reception does not wait. */
#include <string.h>

#include "stages.h"

#define RECORDS_A_TURN 64
#define ACKS_A_TURN    128
#define BITS           8

void atr_commit_seal(struct atr_shard *shard)
{
	struct atr_commit *commit = &shard->commit;
	struct atr_group_buf *group = commit->open;

	memcpy(group->feed_next, commit->next, sizeof(group->feed_next));
	atr_log_seal(commit->log, group);
	commit->open = NULL;
	commit->stats.groups++;
}

/* The next hops of every feed are known. */
static bool hops_known(const struct atr_shard *shard)
{
	const struct atr_plan *plan = shard->program->plan;
	struct rte_ether_addr mac;

	for (uint32_t f = 0; f < plan->feed_slots; f++)
		for (unsigned int d = 0; d < shard->program->routes[f].count; d++)
			if (!atr_neighbour_mac(shard->feeds->neighbours,
					       shard->program->routes[f].route[d].neighbour, &mac))
				return false;
	return true;
}

static void take_durable(struct atr_commit *commit, struct atr_group_buf *group, uint64_t now_tsc)
{
	uint64_t waited = now_tsc - group->opened_tsc;

	commit->durable++;
	__atomic_store_n(&commit->group_end, group->number + 1, __ATOMIC_RELEASE);
	commit->base[commit->durable % ATR_COMMIT_BASES] =
		(struct atr_commit_base){commit->durable, group->first_leaf};
	commit->stats.wait_cycles += waited;
	if (waited > commit->stats.wait_cycles_max)
		commit->stats.wait_cycles_max = waited;
}

/* The group to work on, in order: those found at start first. */
static bool next_group(struct atr_shard *shard, uint64_t now_tsc)
{
	struct atr_commit *commit = &shard->commit;
	struct atr_group_buf *group;

	if (commit->publishing)
		return true;
	if (unlikely(commit->recovered_at < commit->recovered_count)) {
		if (now_tsc < commit->republish_tsc && !hops_known(shard))
			return false;
		commit->publishing = &commit->recovered[commit->recovered_at];
		commit->cursor = 0;
		return true;
	}
	group = atr_log_durable(commit->log);
	if (!group)
		return false;
	take_durable(commit, group, now_tsc);
	commit->publishing = group;
	commit->cursor = 0;
	return true;
}

static bool is_recovered(const struct atr_commit *commit)
{
	return commit->recovered_at < commit->recovered_count &&
	       commit->publishing == &commit->recovered[commit->recovered_at];
}

static unsigned int publish_frame(struct atr_shard *shard, const struct atr_record_hdr *header,
				  const struct atr_log_record *record, uint64_t now_tsc)
{
	const struct atr_group_buf *group = shard->commit.publishing;
	const uint8_t *body = (const uint8_t *)(header + 1);
	const uint8_t *decisions = body + header->body_length;
	const struct atr_packet *packet =
		(const struct atr_packet *)(body + sizeof(struct atr_frame_hdr));
	const uint8_t *arena = (const uint8_t *)(packet + header->events);
	uint64_t sequence = ((const struct atr_frame_hdr *)body)->first_sequence;
	unsigned int admitted = 0;

	for (unsigned int e = 0; e < header->events; e++) {
		struct atr_message message = {.sequence = sequence + e, .packet = &packet[e]};
		uint64_t feeds = record->feeds;

		if (!(decisions[e / BITS] >> e % BITS & 1))
			continue;
		admitted++;
		if (record->feeds_at != ATR_FEEDS_UNIFORM)
			feeds = group->event_feeds[record->feeds_at + e];
		if (feeds == 0)
			continue;
		if (packet[e].flags & ATR_FLAG_ARENA) {
			message.payload = arena + packet[e].arena.offset;
			message.payload_length = packet[e].arena.length;
		}
		atr_feeds_publish(shard->feeds, shard->program, feeds, &message, now_tsc);
	}
	return admitted;
}

static void publish_envelope(struct atr_shard *shard, const struct atr_record_hdr *header,
			     const struct atr_log_record *record, uint64_t position,
			     uint64_t now_tsc)
{
	struct atr_packet packet;
	const struct atr_message message = {.sequence = position,
					    .packet = &packet,
					    .payload = (const uint8_t *)(header + 1),
					    .payload_length = header->body_length};

	if (record->feeds == 0)
		return;
	atr_mold_envelope_packet(&packet, header->topic, header->type, header->source,
				 record->stamp, header->body_length);
	atr_feeds_publish(shard->feeds, shard->program, record->feeds, &message, now_tsc);
}

/* The oldest envelope that was logged is durable. */
static void settle_oldest(struct atr_shard *shard, uint64_t position)
{
	struct atr_commit *commit = &shard->commit;
	struct rte_mbuf *mbuf = commit->envelope[commit->envelope_head++ % ATR_ADMITS_MAX];

	shard->node->book.datagrams.held--;
	shard->node->book.events.held--;
	atr_meta(mbuf)->position = position;
	atr_settle_envelope(shard, mbuf, ATR_OK);
}

static void publish_record(struct atr_shard *shard, uint64_t now_tsc)
{
	struct atr_commit *commit = &shard->commit;
	const struct atr_group_buf *group = commit->publishing;
	const struct atr_log_record *record = &group->record[commit->cursor];
	const struct atr_record_hdr *header =
		(const struct atr_record_hdr *)(group->data + record->offset);
	uint64_t position = group->first_leaf + commit->cursor;
	unsigned int events = 0;

	commit->cursor++;
	if (likely(header->kind == ATR_RECORD_FRAME)) {
		events = publish_frame(shard, header, record, now_tsc);
	} else if (header->kind == ATR_RECORD_ENVELOPE) {
		events = 1;
		publish_envelope(shard, header, record, position, now_tsc);
		if (!is_recovered(commit))
			settle_oldest(shard, position);
	}
	commit->stats.events += events;
	if (is_recovered(commit))
		commit->stats.republished += events;
}

static void give_back(struct atr_commit *commit)
{
	if (is_recovered(commit))
		commit->recovered_at++;
	else
		atr_log_release(commit->log, commit->publishing);
	commit->publishing = NULL;
}

static unsigned int publish(struct atr_shard *shard, uint64_t now_tsc)
{
	struct atr_commit *commit = &shard->commit;
	unsigned int groups = 0;

	for (unsigned int left = RECORDS_A_TURN; left > 0 && next_group(shard, now_tsc);) {
		uint32_t records = commit->publishing->records;

		if (commit->durability != ATR_DURABILITY_COMMIT)
			commit->cursor = records;
		for (; left > 0 && commit->cursor < records; left--)
			publish_record(shard, now_tsc);
		if (commit->cursor < records)
			break;
		give_back(commit);
		groups++;
	}
	return groups;
}

/* Log index of an acknowledged frame's record. */
static uint64_t position_of(const struct atr_commit *commit, const struct atr_pending_ack *ack)
{
	const struct atr_commit_base *base = &commit->base[ack->group % ATR_COMMIT_BASES];

	if (ack->item.frame.position == ATR_ACK_NO_RECORD || base->group != ack->group)
		return ATR_ACK_NO_POSITION;
	return base->first_leaf + ack->item.frame.position;
}

static unsigned int release_acks(struct atr_shard *shard)
{
	struct atr_pending_acks *acks = &shard->commit.acks;
	struct rte_ring *ring = shard->bridge->acks[shard->id];
	unsigned int released = 0;

	for (; released < ACKS_A_TURN && acks->head != acks->tail; released++) {
		struct atr_pending_ack *ack = &acks->slot[acks->head & acks->mask];

		if (ack->group > shard->commit.durable)
			break;
		if (rte_ring_free_count(ring) == 0)
			break;
		if ((ack->item.kind & ~ATR_ACK_MIXED) == ATR_ACK_FRAME)
			ack->item.frame.position = position_of(&shard->commit, ack);
		rte_ring_sp_enqueue_elem(ring, &ack->item, sizeof(ack->item));
		acks->head++;
	}
	shard->commit.stats.acks += released;
	return released;
}

/* A disk slower than the groups come would leave no buffer to the next one: then groups grow. */
static bool seal_now(const struct atr_commit *commit, uint64_t now_tsc)
{
	const struct atr_group_buf *open = commit->open;
	uint64_t under_way;

	if (!open)
		return false;
	under_way = atr_log_under_way(commit->log);
	return (open->used >= commit->seal_bytes || under_way == 0 ||
		(under_way < commit->seal_ahead && now_tsc - open->opened_tsc >= commit->seal_tsc));
}

unsigned int atr_stage_commit(struct atr_shard *shard, struct atr_batch *batch)
{
	struct atr_commit *commit = &shard->commit;
	unsigned int groups;

	if (!commit->log)
		return 0;
	groups = publish(shard, batch->now_tsc);
	release_acks(shard);
	if (seal_now(commit, batch->now_tsc))
		atr_commit_seal(shard);
	return groups;
}
