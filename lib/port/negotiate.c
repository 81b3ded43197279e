/* SPDX-License-Identifier: BSD-3-Clause */
#include "port_internal.h"

#include "../net/neighbour.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define MTU_MIN         576 /* every IPv4 host takes datagrams of this size (RFC 1122) */
#define VLAN_MAX        4094
#define RX_CHECKSUM     (RTE_ETH_RX_OFFLOAD_IPV4_CKSUM | RTE_ETH_RX_OFFLOAD_UDP_CKSUM)
#define ETHERNET_TAGGED (RTE_ETHER_HDR_LEN + RTE_VLAN_HLEN)

/* Drivers without RSS (or, net_tap, with one that needs flow rules) whose packets come spread over
 * their queues: by fanout or the kernel's hash (af_packet, af_xdp, tap), by the peer (memif), or
 * because each queue is a ring or file of its own (ring, pcap). */
static const char *const self_spreading[] = {"net_af_packet", "net_af_xdp", "net_memif",
					     "net_pcap",      "net_ring",   "net_tap"};

enum atr_port_spread atr_port_spread(const char *driver, uint16_t queues, uint64_t capability,
				     uint64_t *rss_hf)
{
	*rss_hf = 0;
	if (queues <= 1)
		return ATR_SPREAD_ONE;
	for (unsigned int i = 0; i < RTE_DIM(self_spreading); i++)
		if (driver && strcmp(driver, self_spreading[i]) == 0)
			return ATR_SPREAD_DRIVER;
	*rss_hf = capability & RTE_ETH_RSS_NONFRAG_IPV4_UDP;
	if (*rss_hf == 0)
		*rss_hf = capability & RTE_ETH_RSS_IPV4;
	return *rss_hf ? ATR_SPREAD_RSS : ATR_SPREAD_NONE;
}

static const char *ip_text(uint32_t ip, char out[INET_ADDRSTRLEN])
{
	snprintf(out, INET_ADDRSTRLEN, "%u.%u.%u.%u", ip >> 24, (ip >> 16) & 0xFF, (ip >> 8) & 0xFF,
		 ip & 0xFF);
	return out;
}

int atr_port_check_addresses(uint16_t port_id, const struct atr_port_config *config, char *error,
			     size_t size)
{
	struct atr_iface iface = {.ip = config->ip, .prefix_length = config->prefix_length};
	char text[INET_ADDRSTRLEN];

	if (config->ip == 0 || config->ip >> 28 >= 14 || config->ip >> 24 == IN_LOOPBACKNET) {
		snprintf(error, size,
			 "port %u: %s is not an address a port can have; give it a "
			 "unicast IPv4 address",
			 port_id, ip_text(config->ip, text));
		return -EINVAL;
	}
	if (config->prefix_length == 0 || config->prefix_length > 32) {
		snprintf(error, size, "port %u: prefix length %u is not in 1..32; correct it",
			 port_id, config->prefix_length);
		return -EINVAL;
	}
	if (config->vlan != ATR_VLAN_NONE && (config->vlan == 0 || config->vlan > VLAN_MAX)) {
		snprintf(error, size,
			 "port %u: VLAN %u is not in 1..%d; correct it or leave it out", port_id,
			 config->vlan, VLAN_MAX);
		return -EINVAL;
	}
	if (config->gateway != 0 && (atr_net_is_multicast(config->gateway) ||
				     atr_next_hop(&iface, config->gateway) != config->gateway)) {
		snprintf(error, size,
			 "port %u: gateway %s is not a host on the port's own network; "
			 "correct the gateway or the prefix length",
			 port_id, ip_text(config->gateway, text));
		return -EINVAL;
	}
	for (uint32_t i = 0; i < config->group_count; i++)
		if (!atr_net_is_multicast(config->groups[i])) {
			snprintf(error, size,
				 "port %u: group %s is not a multicast address; use "
				 "224.0.0.0 to 239.255.255.255",
				 port_id, ip_text(config->groups[i], text));
			return -EINVAL;
		}
	return 0;
}

static int check_queues(uint16_t port_id, const struct rte_eth_dev_info *info,
			const struct atr_port_config *config, struct rte_eth_conf *conf,
			char *error, size_t size)
{
	if (config->queues == 0 || config->queues > info->max_rx_queues ||
	    config->queues > info->max_tx_queues) {
		snprintf(error, size,
			 "port %u (%s): %u queues asked, it has %u RX and %u TX; use fewer shards "
			 "or give the device more queues",
			 port_id, info->driver_name, config->queues, info->max_rx_queues,
			 info->max_tx_queues);
		return -EINVAL;
	}
	switch (atr_port_spread(info->driver_name, config->queues, info->flow_type_rss_offloads,
				&conf->rx_adv_conf.rss_conf.rss_hf)) {
	case ATR_SPREAD_RSS: conf->rxmode.mq_mode = RTE_ETH_MQ_RX_RSS; break;
	case ATR_SPREAD_NONE:
		snprintf(error, size,
			 "port %u (%s): %u queues asked, but it has neither RSS nor a fan-out of "
			 "its own, so all packets would reach one; run one queue on it",
			 port_id, info->driver_name, config->queues);
		return -ENOTSUP;
	default: conf->rxmode.mq_mode = RTE_ETH_MQ_RX_NONE;
	}
	return 0;
}

/* Largest MTU: what the driver says, and what its largest frame leaves; ethdev holds it to both. */
static uint16_t mtu_limit(const struct rte_eth_dev_info *info)
{
	uint32_t overhead = RTE_ETHER_HDR_LEN + RTE_ETHER_CRC_LEN;

	if (info->max_mtu != UINT16_MAX && info->max_rx_pktlen > info->max_mtu)
		overhead = info->max_rx_pktlen - info->max_mtu;
	if (info->max_rx_pktlen <= overhead)
		return info->max_mtu;
	return (uint16_t)RTE_MIN((uint32_t)info->max_mtu, info->max_rx_pktlen - overhead);
}

static int check_mtu(uint16_t port_id, const struct rte_eth_dev_info *info,
		     const struct atr_port_config *config, uint16_t mtu, struct rte_eth_conf *conf,
		     char *error, size_t size)
{
	uint32_t room = rte_pktmbuf_data_room_size(config->pool);
	uint32_t frame = (uint32_t)mtu + ETHERNET_TAGGED;

	if (mtu < RTE_MAX(MTU_MIN, info->min_mtu) || mtu > mtu_limit(info)) {
		snprintf(error, size, "port %u (%s): MTU %u is not in %u..%u; choose one that is",
			 port_id, info->driver_name, mtu, RTE_MAX(MTU_MIN, info->min_mtu),
			 mtu_limit(info));
		return -EINVAL;
	}
	if (room < RTE_PKTMBUF_HEADROOM + frame) {
		if (!(info->rx_offload_capa & RTE_ETH_RX_OFFLOAD_SCATTER)) {
			snprintf(
				error, size,
				"port %u (%s): MTU %u needs %u bytes in an mbuf, it has %u and the "
				"port cannot scatter; use larger mbufs or a smaller MTU",
				port_id, info->driver_name, mtu, RTE_PKTMBUF_HEADROOM + frame,
				room);
			return -EINVAL;
		}
		conf->rxmode.offloads |= RTE_ETH_RX_OFFLOAD_SCATTER;
	}
	conf->rxmode.mtu = mtu;
	return 0;
}

int atr_port_negotiate(uint16_t port_id, const struct rte_eth_dev_info *info,
		       const struct atr_port_config *config, uint16_t mtu,
		       struct rte_eth_conf *conf, struct atr_iface *iface, char *error, size_t size)
{
	int result;

	memset(conf, 0, sizeof(*conf));
	result = check_queues(port_id, info, config, conf, error, size);
	if (result == 0)
		result = check_mtu(port_id, info, config, mtu, conf, error, size);
	if (result != 0)
		return result;
	iface->rx_checksum = (info->rx_offload_capa & RX_CHECKSUM) == RX_CHECKSUM;
	if (iface->rx_checksum)
		conf->rxmode.offloads |= RX_CHECKSUM;
	conf->txmode.offloads = info->tx_offload_capa &
				(RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_UDP_CKSUM |
				 RTE_ETH_TX_OFFLOAD_MULTI_SEGS);
	iface->tx_ip_checksum = conf->txmode.offloads & RTE_ETH_TX_OFFLOAD_IPV4_CKSUM;
	iface->tx_udp_checksum = conf->txmode.offloads & RTE_ETH_TX_OFFLOAD_UDP_CKSUM;
	iface->tx_multi_seg = conf->txmode.offloads & RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
	return 0;
}
