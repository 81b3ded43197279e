/* SPDX-License-Identifier: BSD-3-Clause */
#include "delivered.h"

#include <stdio.h>
#include <string.h>

#include "../../lib/wire/moldudp64.h"
#include "rig.h"

static uint64_t next[BENCH_SHARDS_MAX][ATR_FEEDS_MAX], count;

static void wrong(const char *what, uint32_t feed, uint32_t shard, uint64_t sequence)
{
	char text[256];

	snprintf(text, sizeof(text), "feed %u of shard %u, sequence %llu: %s", feed, shard,
		 (unsigned long long)sequence, what);
	bench_die(text);
}

static void check_event(const struct atr_mold_event *event, uint32_t feed, uint32_t shard,
			uint64_t sequence)
{
	const struct atr_packet *packet = event->packet;
	uint8_t payload[TRAFFIC_PAYLOAD_MAX];
	unsigned int length = traffic_payload(rig.config);
	const uint8_t *bytes = event->payload ? event->payload : packet->payload;

	traffic_event(rig.config, event->sequence, payload);
	payload[0] ^= rig_break(BREAK_ALTER);
	if (packet->timestamp_ns != event->sequence || packet->type_id != TRAFFIC_TYPE ||
	    (event->payload && event->payload_length != length) ||
	    memcmp(bytes, payload, length) != 0)
		wrong("not the event that was sent", feed, shard, sequence);
	if (packet->sender_id % rig.shards != shard)
		wrong("an event of another shard's source", feed, shard, sequence);
	if (!(traffic_feeds(rig.config, packet->topic_id) >> feed & 1))
		wrong("an event of a topic that does not go there", feed, shard, sequence);
}

void delivered_check(const struct rte_mbuf *mbuf)
{
	static uint8_t bytes[ATR_DATAGRAM_MAX + TRAFFIC_UDP_HDRS];
	const uint8_t *data = rte_pktmbuf_read(mbuf, 0, mbuf->pkt_len, bytes);
	struct atr_mold_packet packet;
	struct atr_mold_event event;
	uint32_t feed, shard, epoch;
	size_t cursor = 0;

	if (!data || mbuf->pkt_len < TRAFFIC_UDP_HDRS ||
	    atr_mold_parse(data + TRAFFIC_UDP_HDRS, mbuf->pkt_len - TRAFFIC_UDP_HDRS, &packet) <
		    0 ||
	    atr_mold_session_parse(packet.session, &feed, &shard, &epoch) < 0 ||
	    feed >= rig.config->feeds || shard >= rig.shards)
		bench_die("a packet left that is no feed's");
	if (packet.sequence != next[shard][feed])
		wrong("a gap or a repetition", feed, shard, packet.sequence);
	for (unsigned int i = 0; i < packet.count; i++) {
		if (atr_mold_next(&packet, &cursor, &event) != 1)
			wrong("no message", feed, shard, packet.sequence);
		check_event(&event, feed, shard, packet.sequence + i);
	}
	next[shard][feed] += packet.count;
	count += packet.count;
}

uint64_t delivered_count(void)
{
	return count;
}

void delivered_resume(void)
{
	for (unsigned int s = 0; s < rig.shards; s++)
		for (unsigned int f = 0; f < rig.config->feeds; f++)
			next[s][f] = rig.lane[s].shard->feeds->feed[f].stats.messages + 1;
}
