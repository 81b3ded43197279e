/* SPDX-License-Identifier: BSD-3-Clause */
#include "port_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DESCRIPTORS_DEFAULT 1024
#define MTU_MAX             9000 /* of the wire format; packets are built in mbufs made for it */

static int fail(int code, uint16_t port_id, const char *driver, const char *what,
		const char *remedy, char *error, size_t size)
{
	snprintf(error, size, "port %u (%s): %s failed: %s; %s", port_id, driver, what,
		 rte_strerror(-code), remedy);
	return code;
}

static int setup_queues(uint16_t port_id, const struct rte_eth_dev_info *info,
			const struct atr_port_config *config, const struct rte_eth_conf *conf,
			char *error, size_t size)
{
	unsigned int socket = (unsigned int)rte_eth_dev_socket_id(port_id);
	struct rte_eth_rxconf rx = info->default_rxconf;
	struct rte_eth_txconf tx = info->default_txconf;
	uint16_t rx_desc = config->rx_desc ? config->rx_desc : info->default_rxportconf.ring_size;
	uint16_t tx_desc = config->tx_desc ? config->tx_desc : info->default_txportconf.ring_size;
	int result;

	rx_desc = rx_desc ? rx_desc : DESCRIPTORS_DEFAULT;
	tx_desc = tx_desc ? tx_desc : DESCRIPTORS_DEFAULT;
	result = rte_eth_dev_adjust_nb_rx_tx_desc(port_id, &rx_desc, &tx_desc);
	if (result != 0)
		return fail(result, port_id, info->driver_name, "choosing ring sizes",
			    "ask for other numbers of descriptors", error, size);
	rx.offloads = conf->rxmode.offloads;
	tx.offloads = conf->txmode.offloads;
	for (uint16_t queue = 0; queue < config->queues; queue++) {
		result = rte_eth_rx_queue_setup(port_id, queue, rx_desc, socket, &rx, config->pool);
		if (result != 0)
			return fail(result, port_id, info->driver_name, "setting up an RX queue",
				    "ask for fewer queues or descriptors, more memory, or mbufs "
				    "that fit the driver (net_af_xdp: a page)",
				    error, size);
		result = rte_eth_tx_queue_setup(port_id, queue, tx_desc, socket, &tx);
		if (result != 0)
			return fail(result, port_id, info->driver_name, "setting up a TX queue",
				    "ask for fewer queues or descriptors, or more memory", error,
				    size);
	}
	return 0;
}

/* A driver without an MTU call has taken the MTU already, in rte_eth_dev_configure. */
static int set_mtu(uint16_t port_id, uint16_t mtu)
{
	uint16_t current;
	int result = rte_eth_dev_set_mtu(port_id, mtu);

	if (result == -ENOTSUP && rte_eth_dev_get_mtu(port_id, &current) == 0 && current == mtu)
		return 0;
	return result;
}

static int filter_groups(uint16_t port_id, const struct atr_port_config *config)
{
	struct rte_ether_addr *macs = calloc(config->group_count, sizeof(*macs));
	uint32_t count = 0;
	int result;

	if (!macs)
		return -ENOMEM;
	for (uint32_t i = 0; i < config->group_count; i++) {
		uint32_t known = 0;

		atr_net_multicast_mac(config->groups[i], &macs[count]);
		while (known < count && !rte_is_same_ether_addr(&macs[known], &macs[count]))
			known++;
		count += known == count;
	}
	result = rte_eth_dev_set_mc_addr_list(port_id, macs, count);
	free(macs);
	return result;
}

/* A driver with none of the three calls filters nothing: every packet of its medium arrives. */
static int receive_groups(uint16_t port_id, const struct atr_port_config *config)
{
	int filter, all, promiscuous;

	if (config->group_count == 0)
		return 0;
	filter = filter_groups(port_id, config);
	if (filter == 0)
		return 0;
	all = rte_eth_allmulticast_enable(port_id);
	if (all == 0)
		return 0;
	promiscuous = rte_eth_promiscuous_enable(port_id);
	if (promiscuous == -ENOTSUP && filter == -ENOTSUP && all == -ENOTSUP)
		return 0;
	return promiscuous;
}

static int bring_up(uint16_t port_id, const struct rte_eth_dev_info *info,
		    const struct atr_port_config *config, uint16_t mtu,
		    const struct rte_eth_conf *conf, char *error, size_t size)
{
	int result = rte_eth_dev_configure(port_id, config->queues, config->queues, conf);

	if (result != 0)
		return fail(result, port_id, info->driver_name, "configuring",
			    "ask for fewer queues or another MTU", error, size);
	result = setup_queues(port_id, info, config, conf, error, size);
	if (result != 0)
		return result;
	result = set_mtu(port_id, mtu);
	if (result != 0)
		return fail(result, port_id, info->driver_name, "setting the MTU",
			    "choose an MTU that the device and its driver take", error, size);
	result = rte_eth_dev_start(port_id);
	if (result != 0)
		return fail(result, port_id, info->driver_name, "starting",
			    "see the driver's own message above", error, size);
	result = receive_groups(port_id, config);
	if (result != 0) {
		rte_eth_dev_stop(port_id);
		return fail(result, port_id, info->driver_name, "receiving multicast groups",
			    "take the groups out of the plan or use another port", error, size);
	}
	return 0;
}

int atr_port_start(uint16_t port_id, const struct atr_port_config *config, struct atr_iface *iface,
		   char *error, size_t size)
{
	struct rte_eth_dev_info info;
	struct rte_eth_conf conf;
	uint16_t mtu = config->mtu;
	int result;

	if (!rte_eth_dev_is_valid_port(port_id)) {
		snprintf(error, size, "port %u does not exist; attach a device with -a or --vdev",
			 port_id);
		return -ENODEV;
	}
	if (!config->pool) {
		snprintf(error, size, "port %u has no memory for packets; give it a pool", port_id);
		return -EINVAL;
	}
	result = rte_eth_dev_info_get(port_id, &info);
	if (result != 0)
		return fail(result, port_id, "unknown driver", "asking what it can do",
			    "attach a working device", error, size);
	if (mtu == 0 && rte_eth_dev_get_mtu(port_id, &mtu) == 0)
		mtu = RTE_MIN(mtu, MTU_MAX);
	memset(iface, 0, sizeof(*iface));
	result = atr_port_check_addresses(port_id, config, error, size);
	if (result == 0)
		result = atr_port_negotiate(port_id, &info, config, mtu, &conf, iface, error, size);
	if (result == 0)
		result = bring_up(port_id, &info, config, mtu, &conf, error, size);
	if (result != 0)
		return result;
	iface->port_id = port_id;
	iface->vlan = config->vlan;
	iface->mtu = mtu;
	iface->ip = config->ip;
	iface->prefix_length = config->prefix_length;
	iface->gateway = config->gateway;
	rte_eth_macaddr_get(port_id, &iface->mac);
	return 0;
}

void atr_port_stop(uint16_t port_id)
{
	if (!rte_eth_dev_is_valid_port(port_id))
		return;
	rte_eth_dev_stop(port_id);
	rte_eth_dev_close(port_id);
}

static const char *spread_name(const struct rte_eth_dev_info *info)
{
	uint64_t rss_hf;

	switch (atr_port_spread(info->driver_name, info->nb_rx_queues, info->flow_type_rss_offloads,
				&rss_hf)) {
	case ATR_SPREAD_ONE: return "spread none";
	case ATR_SPREAD_RSS: return rss_hf & RTE_ETH_RSS_NONFRAG_IPV4_UDP ? "rss udp4" : "rss ip4";
	default: return "spread driver";
	}
}

int atr_port_describe(const struct atr_iface *iface, char *out, size_t size)
{
	const uint8_t *mac = iface->mac.addr_bytes;
	struct rte_eth_dev_info info;
	char vlan[sizeof(" vlan 65535")] = "";

	if (rte_eth_dev_info_get(iface->port_id, &info) != 0)
		return snprintf(out, size, "port %u gone", iface->port_id);
	if (iface->vlan != ATR_VLAN_NONE)
		snprintf(vlan, sizeof(vlan), " vlan %u", iface->vlan);
	return snprintf(out, size,
			"port %u %s mac %02x:%02x:%02x:%02x:%02x:%02x mtu %u%s queues %u %s "
			"offloads%s%s%s%s%s",
			iface->port_id, info.driver_name, mac[0], mac[1], mac[2], mac[3], mac[4],
			mac[5], iface->mtu, vlan, info.nb_rx_queues, spread_name(&info),
			iface->rx_checksum ? " rx:checksum" : "",
			iface->tx_ip_checksum ? " tx:ip-checksum" : "",
			iface->tx_udp_checksum ? " tx:udp-checksum" : "",
			iface->tx_multi_seg ? " tx:multi-seg" : "",
			iface->rx_checksum || iface->tx_ip_checksum || iface->tx_udp_checksum ||
					iface->tx_multi_seg
				? ""
				: " none");
}
