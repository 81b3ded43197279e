/* SPDX-License-Identifier: BSD-3-Clause */
#include "net_internal.h"

#define TX_CHECKSUM_FLAGS (RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IP_CKSUM | RTE_MBUF_F_TX_L4_MASK)

void atr_net_multicast_mac(uint32_t group, struct rte_ether_addr *mac)
{
	mac->addr_bytes[0] = 0x01;
	mac->addr_bytes[1] = 0x00;
	mac->addr_bytes[2] = 0x5E;
	mac->addr_bytes[3] = (group >> 16) & 0x7F;
	mac->addr_bytes[4] = (group >> 8) & 0xFF;
	mac->addr_bytes[5] = group & 0xFF;
}

static inline uint16_t write_l2(uint8_t *data, const struct atr_iface *iface,
				const struct rte_ether_addr *dst, uint16_t ethertype)
{
	uint16_t length = sizeof(struct rte_ether_hdr);
	uint16_t raw;

	memcpy(data, dst, RTE_ETHER_ADDR_LEN);
	memcpy(data + RTE_ETHER_ADDR_LEN, &iface->mac, RTE_ETHER_ADDR_LEN);
	if (iface->vlan != ATR_VLAN_NONE) {
		raw = RTE_BE16(RTE_ETHER_TYPE_VLAN);
		memcpy(data + length - sizeof(raw), &raw, sizeof(raw));
		raw = rte_cpu_to_be_16(iface->vlan);
		memcpy(data + length, &raw, sizeof(raw));
		length += sizeof(struct rte_vlan_hdr);
	}
	raw = rte_cpu_to_be_16(ethertype);
	memcpy(data + length - sizeof(raw), &raw, sizeof(raw));
	return length;
}

void atr_net_udp_headers(struct rte_mbuf *mbuf, const struct atr_iface *iface,
			 const struct atr_flow *flow, uint16_t payload_length, uint32_t payload_sum)
{
	uint8_t *data = rte_pktmbuf_mtod(mbuf, uint8_t *);
	uint16_t l2 = write_l2(data, iface, &flow->dst_mac, RTE_ETHER_TYPE_IPV4);
	struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)(data + l2);
	struct rte_udp_hdr *udp = (struct rte_udp_hdr *)(ip + 1);
	uint16_t udp_length = sizeof(*udp) + payload_length;
	uint64_t flags = 0;

	ip->version_ihl = RTE_IPV4_VHL_DEF;
	ip->type_of_service = 0;
	ip->total_length = rte_cpu_to_be_16(sizeof(*ip) + udp_length);
	ip->packet_id = 0; /* never fragmented, so no identification (RFC 6864) */
	ip->fragment_offset = RTE_BE16(RTE_IPV4_HDR_DF_FLAG);
	ip->time_to_live = flow->ttl;
	ip->next_proto_id = IPPROTO_UDP;
	ip->hdr_checksum = 0;
	ip->src_addr = rte_cpu_to_be_32(iface->ip);
	ip->dst_addr = rte_cpu_to_be_32(flow->dst_ip);
	udp->src_port = rte_cpu_to_be_16(flow->src_port);
	udp->dst_port = rte_cpu_to_be_16(flow->dst_port);
	udp->dgram_len = rte_cpu_to_be_16(udp_length);
	udp->dgram_cksum = rte_ipv4_phdr_cksum(ip, 0);

	if (iface->tx_udp_checksum) {
		flags = RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_UDP_CKSUM;
	} else {
		uint16_t sum = ~atr_cksum_fold(rte_raw_cksum(udp, sizeof(*udp)) +
					       atr_cksum_fold(payload_sum));

		udp->dgram_cksum = sum ? sum : 0xFFFF;
	}
	if (iface->tx_ip_checksum)
		flags |= RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IP_CKSUM;
	else
		ip->hdr_checksum = ~rte_raw_cksum(ip, sizeof(*ip));
	mbuf->ol_flags = (mbuf->ol_flags & ~TX_CHECKSUM_FLAGS) | flags;
	mbuf->l2_len = l2;
	mbuf->l3_len = sizeof(*ip);
}

int atr_net_arp_request(struct rte_mbuf *mbuf, const struct atr_iface *iface, uint32_t target)
{
	const struct rte_ether_addr broadcast = {{0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF}};
	uint16_t l2 = sizeof(struct rte_ether_hdr);
	struct rte_arp_hdr arp;
	char *data;

	if (iface->vlan != ATR_VLAN_NONE)
		l2 += sizeof(struct rte_vlan_hdr);
	data = rte_pktmbuf_append(mbuf, l2 + sizeof(arp));
	if (!data)
		return -ENOSPC;
	write_l2((uint8_t *)data, iface, &broadcast, RTE_ETHER_TYPE_ARP);
	memset(&arp, 0, sizeof(arp));
	arp.arp_hardware = RTE_BE16(RTE_ARP_HRD_ETHER);
	arp.arp_protocol = RTE_BE16(RTE_ETHER_TYPE_IPV4);
	arp.arp_hlen = RTE_ETHER_ADDR_LEN;
	arp.arp_plen = sizeof(arp.arp_data.arp_tip);
	arp.arp_opcode = RTE_BE16(RTE_ARP_OP_REQUEST);
	arp.arp_data.arp_sha = iface->mac;
	arp.arp_data.arp_sip = rte_cpu_to_be_32(iface->ip);
	arp.arp_data.arp_tip = rte_cpu_to_be_32(target);
	memcpy(data + l2, &arp, sizeof(arp));
	return 0;
}
