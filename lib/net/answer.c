/* SPDX-License-Identifier: BSD-3-Clause */
#include "net_internal.h"

#define ICMP_TTL 64

/* A host's own address: not "this network", multicast, reserved or broadcast. */
static bool ip_is_host(uint32_t ip)
{
	return ip != 0 && ip >> 28 < 14;
}

static bool mac_is_host(const struct rte_ether_addr *mac)
{
	return rte_is_unicast_ether_addr(mac) && !rte_is_zero_ether_addr(mac);
}

/* Turns what RX says about an mbuf into what TX may be told, and puts back a stripped tag. */
static bool make_sendable(struct rte_mbuf *mbuf, const struct atr_iface *iface)
{
	bool stripped = mbuf->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED;
	uint16_t raw;
	char *data;

	mbuf->ol_flags &= RTE_MBUF_F_INDIRECT | RTE_MBUF_F_EXTERNAL;
	mbuf->vlan_tci = 0;
	if (!stripped || iface->vlan == ATR_VLAN_NONE)
		return true;
	data = rte_pktmbuf_prepend(mbuf, sizeof(struct rte_vlan_hdr));
	if (!data)
		return false;
	memmove(data, data + sizeof(struct rte_vlan_hdr), 2 * RTE_ETHER_ADDR_LEN);
	raw = RTE_BE16(RTE_ETHER_TYPE_VLAN);
	memcpy(data + 2 * RTE_ETHER_ADDR_LEN, &raw, sizeof(raw));
	raw = rte_cpu_to_be_16(iface->vlan);
	memcpy(data + sizeof(struct rte_ether_hdr), &raw, sizeof(raw));
	return true;
}

static void address_back(struct rte_mbuf *mbuf, const struct atr_iface *iface,
			 const struct rte_ether_addr *dst)
{
	uint8_t *data = rte_pktmbuf_mtod(mbuf, uint8_t *);

	memcpy(data, dst, RTE_ETHER_ADDR_LEN);
	memcpy(data + RTE_ETHER_ADDR_LEN, &iface->mac, RTE_ETHER_ADDR_LEN);
}

static void trim_to(struct rte_mbuf *mbuf, uint16_t length)
{
	mbuf->data_len = length;
	mbuf->pkt_len = length;
}

bool atr_net_arp_answer(struct rte_mbuf *mbuf, const struct atr_iface *iface, uint32_t *sender_ip,
			struct rte_ether_addr *sender_mac)
{
	uint16_t ethertype, l2 = atr_net_l2(mbuf, iface, &ethertype);
	struct rte_arp_hdr arp;
	uint32_t sender;

	*sender_ip = 0;
	memset(sender_mac, 0, sizeof(*sender_mac));
	if (l2 == 0 || ethertype != RTE_ETHER_TYPE_ARP || mbuf->nb_segs != 1 ||
	    mbuf->data_len < l2 + sizeof(arp))
		return false;
	memcpy(&arp, rte_pktmbuf_mtod_offset(mbuf, const void *, l2), sizeof(arp));
	sender = rte_be_to_cpu_32(arp.arp_data.arp_sip);
	if (arp.arp_hardware != RTE_BE16(RTE_ARP_HRD_ETHER) ||
	    arp.arp_protocol != RTE_BE16(RTE_ETHER_TYPE_IPV4) ||
	    arp.arp_hlen != RTE_ETHER_ADDR_LEN || arp.arp_plen != sizeof(arp.arp_data.arp_tip) ||
	    (arp.arp_opcode != RTE_BE16(RTE_ARP_OP_REQUEST) &&
	     arp.arp_opcode != RTE_BE16(RTE_ARP_OP_REPLY)) ||
	    !mac_is_host(&arp.arp_data.arp_sha) || sender == iface->ip ||
	    (sender != 0 && !ip_is_host(sender)))
		return false;
	*sender_ip = sender;
	*sender_mac = arp.arp_data.arp_sha;
	if (arp.arp_opcode != RTE_BE16(RTE_ARP_OP_REQUEST) ||
	    arp.arp_data.arp_tip != rte_cpu_to_be_32(iface->ip))
		return false;

	arp.arp_opcode = RTE_BE16(RTE_ARP_OP_REPLY);
	arp.arp_data.arp_tha = arp.arp_data.arp_sha;
	arp.arp_data.arp_tip = arp.arp_data.arp_sip;
	arp.arp_data.arp_sha = iface->mac;
	arp.arp_data.arp_sip = rte_cpu_to_be_32(iface->ip);
	memcpy(rte_pktmbuf_mtod_offset(mbuf, void *, l2), &arp, sizeof(arp));
	trim_to(mbuf, l2 + sizeof(arp));
	address_back(mbuf, iface, sender_mac);
	return make_sendable(mbuf, iface);
}

/* Length of the IPv4 header of an echo request to us that is whole and right, or 0. */
static uint16_t echo_request_header(const struct rte_mbuf *mbuf, const struct atr_iface *iface,
				    uint16_t l2)
{
	const struct rte_ipv4_hdr *ip;
	const struct rte_icmp_hdr *icmp;
	uint16_t header, total;

	if (mbuf->data_len < l2 + sizeof(*ip))
		return 0;
	ip = rte_pktmbuf_mtod_offset(mbuf, const struct rte_ipv4_hdr *, l2);
	header = rte_ipv4_hdr_len(ip);
	total = rte_be_to_cpu_16(ip->total_length);
	if (ip->version_ihl >> 4 != IPVERSION || header < sizeof(*ip) ||
	    total < header + sizeof(*icmp) || total > mbuf->data_len - l2 ||
	    rte_raw_cksum(ip, header) != ATR_CKSUM_VERIFIED)
		return 0;
	if (ip->next_proto_id != IPPROTO_ICMP ||
	    (ip->fragment_offset & RTE_BE16(ATR_IP_FRAGMENT)) ||
	    ip->dst_addr != rte_cpu_to_be_32(iface->ip) || ip->src_addr == ip->dst_addr ||
	    !ip_is_host(rte_be_to_cpu_32(ip->src_addr)))
		return 0;
	icmp = (const struct rte_icmp_hdr *)((const uint8_t *)ip + header);
	if (icmp->icmp_type != RTE_IP_ICMP_ECHO_REQUEST || icmp->icmp_code != 0 ||
	    rte_raw_cksum(icmp, total - header) != ATR_CKSUM_VERIFIED)
		return 0;
	return header;
}

bool atr_net_icmp_answer(struct rte_mbuf *mbuf, const struct atr_iface *iface)
{
	uint16_t ethertype, l2 = atr_net_l2(mbuf, iface, &ethertype);
	struct rte_ether_addr sender;
	struct rte_ipv4_hdr *ip;
	struct rte_icmp_hdr *icmp;
	uint16_t header, length;
	uint8_t *data;

	if (l2 == 0 || ethertype != RTE_ETHER_TYPE_IPV4 || mbuf->nb_segs != 1)
		return false;
	header = echo_request_header(mbuf, iface, l2);
	data = rte_pktmbuf_mtod(mbuf, uint8_t *);
	memcpy(&sender, data + RTE_ETHER_ADDR_LEN, sizeof(sender));
	if (header == 0 || !mac_is_host(&sender))
		return false;
	ip = (struct rte_ipv4_hdr *)(data + l2);
	length = rte_be_to_cpu_16(ip->total_length) - header;
	trim_to(mbuf, l2 + header + length);
	if (header > sizeof(*ip)) {
		/* Options are not reflected: close the gap that they leave. */
		uint16_t gap = header - sizeof(*ip);

		memmove(data + gap, data, l2 + sizeof(*ip));
		data = (uint8_t *)rte_pktmbuf_adj(mbuf, gap);
		ip = (struct rte_ipv4_hdr *)(data + l2);
	}
	ip->version_ihl = RTE_IPV4_VHL_DEF;
	ip->total_length = rte_cpu_to_be_16(sizeof(*ip) + length);
	ip->packet_id = 0;
	ip->fragment_offset = RTE_BE16(RTE_IPV4_HDR_DF_FLAG);
	ip->time_to_live = ICMP_TTL;
	ip->dst_addr = ip->src_addr;
	ip->src_addr = rte_cpu_to_be_32(iface->ip);
	ip->hdr_checksum = 0;
	ip->hdr_checksum = ~rte_raw_cksum(ip, sizeof(*ip));
	icmp = (struct rte_icmp_hdr *)(ip + 1);
	icmp->icmp_type = RTE_IP_ICMP_ECHO_REPLY;
	icmp->icmp_cksum = 0;
	icmp->icmp_cksum = ~rte_raw_cksum(icmp, length);
	address_back(mbuf, iface, &sender);
	return make_sendable(mbuf, iface);
}
