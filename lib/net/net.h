/* SPDX-License-Identifier: BSD-3-Clause */
/* Ethernet, VLAN, ARP, IPv4, ICMP and UDP: reading and writing headers in mbufs.
 *
 * Layer 1: DPDK's net and mbuf headers, lib/reason. Addresses and ports in structures are in host
 * byte order unless the name ends in _be. Classification and header writing are hot path; ARP and
 * ICMP answers and the neighbour table's learning belong to the control lcore.
 */
#ifndef ATR_NET_H
#define ATR_NET_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_ether.h>
#include <rte_mbuf.h>

#define ATR_NET_HDR_MAX (14 + 4 + 20 + 8) /* Ethernet, VLAN, IPv4, UDP */
#define ATR_VLAN_NONE   0xFFFF

/* An addressed port. Written at boot, read-only afterwards. */
struct atr_iface {
	uint16_t port_id;
	uint16_t vlan; /* tag of everything in and out, or ATR_VLAN_NONE */
	uint16_t mtu;
	uint8_t prefix_length;
	uint32_t ip;
	uint32_t gateway; /* 0: none */
	struct rte_ether_addr mac;
	bool tx_ip_checksum;  /* port computes the IPv4 header checksum */
	bool tx_udp_checksum; /* port computes the UDP checksum */
	bool rx_checksum;     /* port checks both and says so in ol_flags */
	bool tx_multi_seg;
};

enum atr_net_class {
	ATR_NET_DATAGRAM, /* UDP for our ingress port */
	ATR_NET_ARP,      /* for the control lcore */
	ATR_NET_ICMP,     /* echo request to us, for the control lcore */
	ATR_NET_REQUEST,  /* UDP to the port that our feeds come from, as long as a gap request */
	ATR_NET_FOREIGN,  /* not addressed to ATR: counted, dropped */
	ATR_NET_REFUSED   /* addressed to ATR and malformed: see reason */
};

struct atr_net_datagram {
	uint32_t src_ip;
	uint32_t dst_ip;
	uint16_t src_port;
	uint16_t offset; /* of the UDP payload in the mbuf */
	uint16_t length; /* of the UDP payload */
	uint8_t reason;  /* of ATR_NET_REFUSED */
};

/* UDP ports of an appliance. */
struct atr_net_ports {
	uint16_t ingress;
	uint16_t feed; /* source of feeds, destination of gap requests; 0: none */
};

/* UDP payload of a gap request (Stream gate): a MoldUDP64 header. */
#define ATR_NET_REQUEST_SIZE 20

/* Addresses that are ours beside iface->ip: ingress multicast groups of the plan. */
struct atr_groups {
	const uint32_t *ip;
	uint32_t count;
};

/* Classifies one received packet. Reads within the first segment only; a packet in several
 * segments is linearised by the caller. Trailing Ethernet padding is ignored, the IPv4 total
 * length rules. VLAN: tagged (in the packet or stripped into vlan_tci) must equal iface->vlan, else
 * FOREIGN. Addressed to ATR means: our MAC or a multicast/broadcast MAC, our IP or one of groups,
 * UDP, our ingress port. Other UDP ports, protocols, addresses and ethertypes are FOREIGN.
 * REQUEST: to our MAC, our own IP and the port of the feeds, well-formed, ATR_NET_REQUEST_SIZE
 * bytes of payload; whatever else goes to that port is FOREIGN. REFUSED reasons: IP_MALFORMED,
 * IP_CHECKSUM, IP_FRAGMENT, UDP_MALFORMED, UDP_CHECKSUM. A UDP checksum of zero means "none" (RFC
 * 768).
 *
 * Order: MAC, VLAN, ethertype, IPv4 address and protocol (too short to hold them: FOREIGN);
 * IP_MALFORMED, IP_CHECKSUM, IP_FRAGMENT; port (UDP header too short to hold it: UDP_MALFORMED);
 * UDP_MALFORMED unless the UDP length is exactly what the IPv4 packet holds; UDP_CHECKSUM. An echo
 * request whose IPv4 header is malformed, wrong in checksum or a fragment is FOREIGN.
 *
 * With iface->rx_checksum the flags GOOD and NONE ("verified, not by the bytes in the packet") are
 * trusted and BAD refuses; UNKNOWN is checked here. */
enum atr_net_class atr_net_classify(const struct rte_mbuf *mbuf, const struct atr_iface *iface,
				    const struct atr_groups *groups,
				    const struct atr_net_ports *ports,
				    struct atr_net_datagram *datagram);

/* Turns an ARP request for iface->ip into its reply in place. True if the mbuf is to be sent, false
 * if it needs no answer. *sender_ip and *sender_mac are what the packet tells about its sender (0
 * if it is not a valid ARP packet). Control lcore. */
bool atr_net_arp_answer(struct rte_mbuf *mbuf, const struct atr_iface *iface, uint32_t *sender_ip,
			struct rte_ether_addr *sender_mac);

/* Turns an ICMP echo request to iface->ip into its reply in place (checksums included); false if
 * it is malformed. Control lcore. */
bool atr_net_icmp_answer(struct rte_mbuf *mbuf, const struct atr_iface *iface);

/* Writes an ARP request for target into an empty mbuf. -ENOSPC if it does not fit. */
int atr_net_arp_request(struct rte_mbuf *mbuf, const struct atr_iface *iface, uint32_t target);

/* Everything that the headers of one UDP flow need. */
struct atr_flow {
	struct rte_ether_addr dst_mac;
	uint32_t dst_ip;
	uint16_t dst_port;
	uint16_t src_port;
	uint8_t ttl;
};

/* Header bytes before a UDP payload on this port: 42, or 46 with VLAN. */
static inline uint16_t atr_net_hdr_size(const struct atr_iface *iface)
{
	return iface->vlan == ATR_VLAN_NONE ? 42 : 46;
}

/* Chooses how sums are computed, for the process: max_bits is 64 (scalar), 256 or 512, from
 * rte_vect_get_max_simd_bitwidth(). Boot. */
void atr_net_select(unsigned int max_bits);

/* Ones-complement sum of length bytes, folded to 16 bits, in the byte order of the packet: what
 * rte_raw_cksum() gives. Any lcore. */
uint16_t atr_net_sum(const void *data, size_t length);

/* Writes Ethernet, VLAN, IPv4 and UDP headers at the front of mbuf's first segment (room for
 * atr_net_hdr_size bytes there, counted in data_len), in front of payload_length bytes whose
 * ones-complement sum (atr_net_sum) is payload_sum; it is not looked at where the port computes
 * UDP checksums. Sets checksums, or the offload flags and l2_len, l3_len where the port computes
 * them. */
void atr_net_udp_headers(struct rte_mbuf *mbuf, const struct atr_iface *iface,
			 const struct atr_flow *flow, uint16_t payload_length,
			 uint32_t payload_sum);

/* Multicast MAC of an IPv4 group (RFC 1112). */
void atr_net_multicast_mac(uint32_t group, struct rte_ether_addr *mac);

static inline bool atr_net_is_multicast(uint32_t ip)
{
	return (ip >> 28) == 14;
}

/* True if one other host can have sent a packet with this source, so that an answer reaches nobody
 * else and never ourselves: no multicast, broadcast, reserved or own address, no port 0. */
static inline bool atr_net_answerable(const struct atr_iface *iface,
				      const struct rte_ether_addr *src_mac, uint32_t src_ip,
				      uint16_t src_port)
{
	uint32_t hosts = iface->prefix_length >= 31 ? 0 : UINT32_MAX >> iface->prefix_length;
	bool broadcast =
		hosts && (src_ip | hosts) == (iface->ip | hosts) && (src_ip & hosts) == hosts;

	return src_port != 0 && src_ip != 0 && src_ip != iface->ip && src_ip >> 28 < 14 &&
	       !broadcast && rte_is_unicast_ether_addr(src_mac);
}

#endif
