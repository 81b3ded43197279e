/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>

#include "control.h"

#define ARP_PER_TURN 8

void atr_control_link(struct atr_control *control, struct rte_mbuf *mbuf, uint32_t shard)
{
	unsigned int port = atr_meta(mbuf)->port_id;
	const struct atr_iface *iface = &control->ifaces[port];
	const struct rte_ether_hdr *eth = rte_pktmbuf_mtod(mbuf, const struct rte_ether_hdr *);
	uint16_t type = eth->ether_type;
	struct rte_ether_addr mac;
	uint32_t ip = 0;
	bool send;

	if (type == rte_cpu_to_be_16(RTE_ETHER_TYPE_VLAN) && mbuf->data_len >= sizeof(*eth) + 4)
		type = *rte_pktmbuf_mtod_offset(mbuf, const uint16_t *, sizeof(*eth) + 2);
	if (type == rte_cpu_to_be_16(RTE_ETHER_TYPE_ARP)) {
		send = atr_net_arp_answer(mbuf, iface, &ip, &mac);
		if (ip != 0)
			atr_neighbour_learn(control->neighbours, iface->port_id, ip, &mac,
					    atr_clock_ns(control->clock, rte_rdtsc()));
	} else {
		send = atr_net_icmp_answer(mbuf, iface);
	}
	if (!send) {
		rte_pktmbuf_free(mbuf);
		return;
	}
	control->stats.link_answered++;
	atr_control_send(control, shard, port, mbuf);
}

static int port_index(const struct atr_control *control, uint16_t port_id)
{
	for (unsigned int i = 0; i < control->iface_count; i++)
		if (control->ifaces[i].port_id == port_id)
			return (int)i;
	return -ENODEV;
}

unsigned int atr_control_resolve(struct atr_control *control)
{
	uint64_t now_ns = atr_clock_ns(control->clock, rte_rdtsc());
	unsigned int sent = 0;
	uint16_t port_id;
	uint32_t ip;

	while (sent < ARP_PER_TURN &&
	       atr_neighbour_due(control->neighbours, now_ns, &port_id, &ip) == 0) {
		int port = port_index(control, port_id);
		struct rte_mbuf *mbuf = rte_pktmbuf_alloc(control->payloads);

		if (port < 0 || !mbuf ||
		    atr_net_arp_request(mbuf, &control->ifaces[port], ip) < 0) {
			rte_pktmbuf_free(mbuf);
			return sent;
		}
		atr_control_send(control, 0, (uint32_t)port, mbuf);
		control->stats.arp_sent++;
		sent++;
	}
	return sent;
}
