/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of lib/net share: finding the layer-3 header, and layout. */
#ifndef ATR_NET_INTERNAL_H
#define ATR_NET_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <rte_arp.h>
#include <rte_byteorder.h>
#include <rte_ether.h>
#include <rte_icmp.h>
#include <rte_ip.h>
#include <rte_mbuf.h>
#include <rte_udp.h>

#include "net.h"

_Static_assert(sizeof(struct rte_ether_hdr) == 14, "Ethernet header is 14 bytes");
_Static_assert(sizeof(struct rte_vlan_hdr) == 4, "VLAN tag is 4 bytes");
_Static_assert(sizeof(struct rte_ipv4_hdr) == 20, "IPv4 header without options is 20 bytes");
_Static_assert(sizeof(struct rte_udp_hdr) == 8, "UDP header is 8 bytes");
_Static_assert(sizeof(struct rte_icmp_hdr) == 8, "ICMP echo header is 8 bytes");
_Static_assert(sizeof(struct rte_arp_hdr) == 28, "ARP for IPv4 over Ethernet is 28 bytes");
_Static_assert(ATR_NET_HDR_MAX == sizeof(struct rte_ether_hdr) + sizeof(struct rte_vlan_hdr) +
					  sizeof(struct rte_ipv4_hdr) + sizeof(struct rte_udp_hdr),
	       "longest header chain");

#define ATR_VLAN_ID_MASK   0x0FFF
#define ATR_IP_FRAGMENT    (RTE_IPV4_HDR_MF_FLAG | RTE_IPV4_HDR_OFFSET_MASK)
#define ATR_CKSUM_VERIFIED 0xFFFF /* folded sum over bytes that include a right checksum */

/* Folds a ones-complement sum to 16 bits. */
static inline uint16_t atr_cksum_fold(uint32_t sum)
{
	sum = (sum >> 16) + (sum & 0xFFFF);
	sum = (sum >> 16) + (sum & 0xFFFF);
	return (uint16_t)sum;
}

/* Length of the layer-2 header of a packet that carries iface's tag, with its ethertype in host
 * byte order; 0 if it is too short or tagged differently. */
static inline uint16_t atr_net_l2(const struct rte_mbuf *mbuf, const struct atr_iface *iface,
				  uint16_t *ethertype)
{
	const uint8_t *data = rte_pktmbuf_mtod(mbuf, const uint8_t *);
	uint16_t length = sizeof(struct rte_ether_hdr);
	uint16_t vlan = ATR_VLAN_NONE;
	uint16_t raw;

	if (mbuf->data_len < length)
		return 0;
	memcpy(&raw, data + length - sizeof(raw), sizeof(raw));
	if (mbuf->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED)
		vlan = mbuf->vlan_tci & ATR_VLAN_ID_MASK;
	if (raw == RTE_BE16(RTE_ETHER_TYPE_VLAN)) {
		uint16_t tci;

		if (vlan != ATR_VLAN_NONE || mbuf->data_len < length + sizeof(struct rte_vlan_hdr))
			return 0;
		memcpy(&tci, data + length, sizeof(tci));
		vlan = rte_be_to_cpu_16(tci) & ATR_VLAN_ID_MASK;
		length += sizeof(struct rte_vlan_hdr);
		memcpy(&raw, data + length - sizeof(raw), sizeof(raw));
	}
	if (vlan != iface->vlan)
		return 0;
	*ethertype = rte_be_to_cpu_16(raw);
	return length;
}

#endif
