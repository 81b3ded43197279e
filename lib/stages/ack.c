/* SPDX-License-Identifier: BSD-3-Clause */
/* What a producer will be told about a frame: put aside in the log stage, released by the commit
 * stage once every group that the answer rests on is durable. Only authenticated frames come here.
 */
#include <string.h>

#include "stages.h"

/* The oldest drop out never: what finds no room is not acknowledged, and asked for again. */
static struct atr_pending_ack *add(struct atr_commit *commit)
{
	struct atr_pending_acks *acks = &commit->acks;
	struct atr_pending_ack *ack = &acks->slot[acks->tail++ & acks->mask];

	ack->group = commit->opened;
	return ack;
}

static bool has_room(const struct atr_commit *commit, unsigned int items)
{
	return commit->acks.mask + 1 - (commit->acks.tail - commit->acks.head) >= items;
}

/* Acknowledgements go to where the source's latest proven tree came from that brought something
 * new: a replay from elsewhere redirects nothing. Until one has come in this run they go to where
 * the latest proven frame came from: who only sends again after a restart is answered, too. */
static void note_address(struct atr_commit *commit, struct atr_source_state *state,
			 struct rte_mbuf *mbuf, const struct atr_frame *frame, bool is_new)
{
	const struct atr_meta *meta = atr_meta(mbuf);
	const struct rte_ether_hdr *eth = rte_pktmbuf_mtod(mbuf, const struct rte_ether_hdr *);
	struct atr_ack_item *item;
	uint64_t tree = 0;

	if (is_new)
		memcpy(&tree, frame->signature, sizeof(tree));
	else if (state->ack_tree != 0)
		return;
	if (tree != 0 && state->ack_tree == tree)
		return;
	state->ack_tree = tree;
	if (state->ack_ip == meta->src_ip && state->ack_port == meta->src_port &&
	    state->ack_iface == meta->port_id)
		return;
	state->ack_ip = meta->src_ip;
	state->ack_port = meta->src_port;
	state->ack_iface = meta->port_id;
	item = &add(commit)->item;
	memset(item, 0, sizeof(*item));
	item->kind = ATR_ACK_ADDRESS;
	item->address.source = frame->hdr->source;
	item->address.to.ip = meta->src_ip;
	item->address.to.port = meta->src_port;
	item->address.to.port_id = meta->port_id;
	memcpy(item->address.to.mac, eth->src_addr.addr_bytes, sizeof(item->address.to.mac));
}

static bool differ(const uint8_t *reason, unsigned int count)
{
	return count > 1 && memcmp(reason, reason + 1, count - 1) != 0;
}

static void more(struct atr_commit *commit, const uint8_t *reason, unsigned int count)
{
	struct atr_ack_item *item = &add(commit)->item;

	memset(item, 0, sizeof(*item));
	item->kind = ATR_ACK_MORE;
	memcpy(item->reasons, reason, RTE_MIN(count, (unsigned int)ATR_ACK_ITEM_RESULTS));
}

void atr_ack_frame(struct atr_shard *shard, struct atr_batch *batch, unsigned int f,
		   unsigned int admitted, uint32_t record)
{
	struct atr_commit *commit = &shard->commit;
	const struct atr_frame *frame = &batch->frame[f];
	struct atr_source_state *state = &shard->program->source[frame->hdr->source];
	const uint8_t *reason = &batch->event_reason[batch->event_first[f]];
	unsigned int count = frame->packet_count;
	bool mixed = differ(reason, count);
	struct atr_ack_item *item;

	/* One more for an address. */
	if (unlikely(!has_room(commit, 1 + atr_ack_items(count, mixed)))) {
		commit->stats.acks_dropped++;
		return;
	}
	note_address(commit, state, batch->mbuf[f], frame, admitted > 0);
	item = &add(commit)->item;
	memcpy(item->frame.leaf, batch->leaf[f], sizeof(item->frame.leaf));
	item->frame.first_sequence = frame->hdr->first_sequence;
	item->frame.position = record;
	item->frame.floor = atr_window_floor(state->window);
	item->frame.source = frame->hdr->source;
	item->frame.events = frame->packet_count;
	item->frame.reason = reason[0];
	item->kind = mixed ? ATR_ACK_FRAME | ATR_ACK_MIXED : ATR_ACK_FRAME;
	for (unsigned int at = 0; mixed && at < count; at += ATR_ACK_ITEM_RESULTS)
		more(commit, reason + at, count - at);
}
