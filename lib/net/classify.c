/* SPDX-License-Identifier: BSD-3-Clause */
#include "net_internal.h"

#include "../reason/reason.h"

static inline bool mac_is_ours(const uint8_t *mac, const struct atr_iface *iface)
{
	return (mac[0] & RTE_ETHER_GROUP_ADDR) ||
	       memcmp(mac, iface->mac.addr_bytes, RTE_ETHER_ADDR_LEN) == 0;
}

static inline bool ip_is_ours(uint32_t ip, const struct atr_iface *iface,
			      const struct atr_groups *groups)
{
	if (ip == iface->ip)
		return true;
	if (!groups || !atr_net_is_multicast(ip))
		return false;
	for (uint32_t i = 0; i < groups->count; i++)
		if (groups->ip[i] == ip)
			return true;
	return false;
}

/* IP_MALFORMED, IP_CHECKSUM, IP_FRAGMENT or ATR_OK; room is what follows the Ethernet header. */
static inline uint8_t ipv4_check(const struct rte_mbuf *mbuf, const struct atr_iface *iface,
				 const struct rte_ipv4_hdr *ip, uint16_t room)
{
	uint16_t header = rte_ipv4_hdr_len(ip);
	uint16_t total = rte_be_to_cpu_16(ip->total_length);
	uint64_t state = mbuf->ol_flags & RTE_MBUF_F_RX_IP_CKSUM_MASK;

	if (ip->version_ihl >> 4 != IPVERSION || header < sizeof(*ip) || total < header ||
	    total > room)
		return ATR_REASON_IP_MALFORMED;
	if (!iface->rx_checksum || state == RTE_MBUF_F_RX_IP_CKSUM_UNKNOWN) {
		if (rte_raw_cksum(ip, header) != ATR_CKSUM_VERIFIED)
			return ATR_REASON_IP_CHECKSUM;
	} else if (state == RTE_MBUF_F_RX_IP_CKSUM_BAD) {
		return ATR_REASON_IP_CHECKSUM;
	}
	if (ip->fragment_offset & RTE_BE16(ATR_IP_FRAGMENT))
		return ATR_REASON_IP_FRAGMENT;
	return ATR_OK;
}

/* A checksum of zero is looked at first: some ports call it bad although it means "none". */
static inline bool udp_checksum_ok(const struct rte_mbuf *mbuf, const struct atr_iface *iface,
				   const struct rte_ipv4_hdr *ip, const struct rte_udp_hdr *udp)
{
	uint64_t state = mbuf->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK;

	if (udp->dgram_cksum == 0)
		return true;
	if (!iface->rx_checksum || state == RTE_MBUF_F_RX_L4_CKSUM_UNKNOWN)
		return atr_cksum_fold(atr_net_sum(udp, rte_be_to_cpu_16(udp->dgram_len)) +
				      rte_ipv4_phdr_cksum(ip, 0)) == ATR_CKSUM_VERIFIED;
	return state != RTE_MBUF_F_RX_L4_CKSUM_BAD;
}

static enum atr_net_class refuse(struct atr_net_datagram *datagram, uint8_t reason)
{
	datagram->reason = reason;
	return ATR_NET_REFUSED;
}

static void place(const struct rte_mbuf *mbuf, const struct rte_udp_hdr *udp, uint16_t room,
		  struct atr_net_datagram *datagram)
{
	datagram->src_port = rte_be_to_cpu_16(udp->src_port);
	datagram->offset = (const uint8_t *)(udp + 1) - rte_pktmbuf_mtod(mbuf, const uint8_t *);
	datagram->length = room - sizeof(*udp);
}

/* Nobody is told why a request is none: what is wrong with it is nobody's event. */
static enum atr_net_class classify_request(const struct rte_mbuf *mbuf,
					   const struct atr_iface *iface,
					   const struct rte_ipv4_hdr *ip,
					   const struct rte_udp_hdr *udp, uint16_t room,
					   uint16_t feed_port, struct atr_net_datagram *datagram)
{
	const uint8_t *mac = rte_pktmbuf_mtod(mbuf, const uint8_t *);

	if (feed_port == 0 || udp->dst_port != rte_cpu_to_be_16(feed_port) ||
	    room != sizeof(*udp) + ATR_NET_REQUEST_SIZE ||
	    rte_be_to_cpu_16(udp->dgram_len) != room || datagram->dst_ip != iface->ip ||
	    (mac[0] & RTE_ETHER_GROUP_ADDR) || !udp_checksum_ok(mbuf, iface, ip, udp))
		return ATR_NET_FOREIGN;
	place(mbuf, udp, room, datagram);
	return ATR_NET_REQUEST;
}

static enum atr_net_class classify_udp(const struct rte_mbuf *mbuf, const struct atr_iface *iface,
				       const struct rte_ipv4_hdr *ip,
				       const struct atr_net_ports *ports,
				       struct atr_net_datagram *datagram)
{
	uint16_t header = rte_ipv4_hdr_len(ip);
	uint16_t room = rte_be_to_cpu_16(ip->total_length) - header;
	const struct rte_udp_hdr *udp = (const struct rte_udp_hdr *)((const uint8_t *)ip + header);

	if (room < offsetof(struct rte_udp_hdr, dgram_len))
		return refuse(datagram, ATR_REASON_UDP_MALFORMED);
	if (udp->dst_port != rte_cpu_to_be_16(ports->ingress))
		return classify_request(mbuf, iface, ip, udp, room, ports->feed, datagram);
	if (room < sizeof(*udp) || rte_be_to_cpu_16(udp->dgram_len) != room)
		return refuse(datagram, ATR_REASON_UDP_MALFORMED);
	place(mbuf, udp, room, datagram);
	if (!udp_checksum_ok(mbuf, iface, ip, udp))
		return refuse(datagram, ATR_REASON_UDP_CHECKSUM);
	return ATR_NET_DATAGRAM;
}

static enum atr_net_class classify_icmp(const struct rte_ipv4_hdr *ip,
					const struct atr_iface *iface)
{
	uint16_t header = rte_ipv4_hdr_len(ip);
	const struct rte_icmp_hdr *icmp =
		(const struct rte_icmp_hdr *)((const uint8_t *)ip + header);

	if (ip->dst_addr != rte_cpu_to_be_32(iface->ip) ||
	    rte_be_to_cpu_16(ip->total_length) - header < (int)sizeof(*icmp) ||
	    icmp->icmp_type != RTE_IP_ICMP_ECHO_REQUEST || icmp->icmp_code != 0)
		return ATR_NET_FOREIGN;
	return ATR_NET_ICMP;
}

enum atr_net_class atr_net_classify(const struct rte_mbuf *mbuf, const struct atr_iface *iface,
				    const struct atr_groups *groups,
				    const struct atr_net_ports *ports,
				    struct atr_net_datagram *datagram)
{
	const uint8_t *data = rte_pktmbuf_mtod(mbuf, const uint8_t *);
	const struct rte_ipv4_hdr *ip;
	uint16_t ethertype, l2 = atr_net_l2(mbuf, iface, &ethertype);
	uint8_t reason;

	memset(datagram, 0, sizeof(*datagram));
	if (l2 == 0 || !mac_is_ours(data, iface))
		return ATR_NET_FOREIGN;
	if (ethertype == RTE_ETHER_TYPE_ARP)
		return ATR_NET_ARP;
	if (ethertype != RTE_ETHER_TYPE_IPV4 || mbuf->data_len - l2 < (int)sizeof(*ip))
		return ATR_NET_FOREIGN;
	ip = (const struct rte_ipv4_hdr *)(data + l2);
	datagram->src_ip = rte_be_to_cpu_32(ip->src_addr);
	datagram->dst_ip = rte_be_to_cpu_32(ip->dst_addr);
	if (!ip_is_ours(datagram->dst_ip, iface, groups) ||
	    (ip->next_proto_id != IPPROTO_UDP && ip->next_proto_id != IPPROTO_ICMP))
		return ATR_NET_FOREIGN;
	reason = ipv4_check(mbuf, iface, ip, mbuf->data_len - l2);
	if (ip->next_proto_id == IPPROTO_ICMP)
		return reason == ATR_OK ? classify_icmp(ip, iface) : ATR_NET_FOREIGN;
	if (reason != ATR_OK)
		return refuse(datagram, reason);
	return classify_udp(mbuf, iface, ip, ports, datagram);
}
