/* SPDX-License-Identifier: BSD-3-Clause */
/* Ethernet ports: bring-up with the queues, offloads and memory that the appliance needs.
 *
 * Layer 2: ethdev, lib/net. Control lcore at boot and shutdown.
 */
#ifndef ATR_PORT_H
#define ATR_PORT_H

#include <stddef.h>
#include <stdint.h>

#include <rte_mempool.h>

#include "../net/net.h"

struct atr_port_config {
	uint16_t queues;           /* RX and as many TX: one a shard */
	uint16_t rx_desc, tx_desc; /* 0: the driver's preference, within its limits */
	uint16_t mtu;              /* 0: the port's own, at most 9000 */
	uint16_t vlan;
	uint32_t ip, gateway;
	uint8_t prefix_length;
	const uint32_t *groups; /* multicast groups to receive */
	uint32_t group_count;
	struct rte_mempool *pool;
};

/* Configures and starts a port: as many RX as TX queues, RSS over UDP 4-tuples where the port can
 * (and a named refusal when more than one queue is asked of a port with neither RSS nor a fan-out
 * of its own), checksum and multi-segment offloads where present, MTU, multicast reception (or
 * all-multicast, or promiscuous mode, in this order of preference; a driver with none of these
 * filters nothing). Fills *iface. Negative errno with one sentence in error naming port and remedy;
 * the port is then not running.
 *
 * Tags are written and read in software, and fast free is never enabled: it demands that all mbufs
 * of a queue come from one pool with one reference each, and fan-out shares mbufs and mixes pools.
 * prefix_length is 1..32, gateway a host on that network, mtu at least 576. */
int atr_port_start(uint16_t port_id, const struct atr_port_config *config, struct atr_iface *iface,
		   char *error, size_t size);

/* Stops and closes. */
void atr_port_stop(uint16_t port_id);

/* One line that describes what was negotiated ("port 0 net_tap mac 02:... mtu 1500 queues 2 rss
 * udp4 offloads rx:checksum tx:multi-seg"). Returns the length as snprintf. */
int atr_port_describe(const struct atr_iface *iface, char *out, size_t size);

#endif
