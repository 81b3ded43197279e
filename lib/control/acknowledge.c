/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include <rte_cycles.h>
#include <rte_ip.h>

#include "control.h"

#define ITEMS_A_TURN 256 /* of one shard */
#define ACK_TTL      64

static void send_ack(void *context, const struct atr_ack_address *to, const uint8_t *payload,
		     size_t length)
{
	struct atr_control *control = context;
	const struct atr_iface *iface = &control->ifaces[to->port_id];
	uint16_t hdr_size = atr_net_hdr_size(iface);
	struct atr_flow flow = {
		.dst_ip = to->ip,
		.dst_port = to->port,
		.src_port = (*control->program_slot)->ports.ingress,
		.ttl = ACK_TTL,
	};
	struct rte_mbuf *m = rte_pktmbuf_alloc(control->payloads);
	uint8_t *at;

	if (!m || hdr_size + length > rte_pktmbuf_tailroom(m)) {
		rte_pktmbuf_free(m);
		control->stats.replies_dropped++;
		return;
	}
	m->data_len = (uint16_t)(hdr_size + length);
	m->pkt_len = m->data_len;
	at = rte_pktmbuf_mtod_offset(m, uint8_t *, hdr_size);
	memcpy(at, payload, length);
	memcpy(flow.dst_mac.addr_bytes, to->mac, sizeof(to->mac));
	atr_net_udp_headers(m, iface, &flow, (uint16_t)length, atr_net_sum(at, length));
	control->stats.acks++;
	atr_control_send(control, control->ack_shard, to->port_id, m);
}

unsigned int atr_control_acknowledge(struct atr_control *control)
{
	struct atr_ack_item item[ITEMS_A_TURN];
	unsigned int taken = 0;

	for (unsigned int s = 0; s < control->bridge->shards; s++) {
		unsigned int most =
			RTE_MIN(atr_acker_room(control->acker), (unsigned int)ITEMS_A_TURN);
		unsigned int n = rte_ring_sc_dequeue_burst_elem(control->bridge->acks[s], item,
								sizeof(item[0]), most, NULL);

		atr_acker_take(control->acker, s, item, n);
		taken += n;
	}
	if (taken == 0)
		return 0;
	/* Any shard may send them: they are spread over all. */
	control->ack_shard = (control->ack_shard + 1) % control->bridge->shards;
	atr_acker_flush(control->acker, atr_clock_ns(control->clock, rte_rdtsc()), send_ack,
			control);
	return taken;
}
