/* SPDX-License-Identifier: BSD-3-Clause */
/* A port whose packets end in a ring, with the pools that they are made from; included once. */
#ifndef ATR_TEST_ONE_WIRE_H
#define ATR_TEST_ONE_WIRE_H

#include <rte_eth_ring.h>
#include <rte_ethdev.h>

#include "../boot_eal.h"

#define MBUFS     511
#define RING_SIZE 128 /* holds 127 packets */
#define ROOM      2048

static struct rte_mempool *payloads, *headers;
static struct rte_ring *wire;
static uint16_t port;

/* private_bytes: of a payload's mbuf. Not 0 if it fails. */
static int boot_wire(uint16_t private_bytes)
{
	static const struct rte_eth_conf conf;
	char text[] = BOOT_EAL "128";
	int id;

	if (boot_eal(text) < 0)
		return -1;
	payloads = rte_pktmbuf_pool_create("payloads", MBUFS, 0, private_bytes,
					   RTE_PKTMBUF_HEADROOM + ROOM, 0);
	headers = rte_pktmbuf_pool_create("headers", MBUFS, 0, 0, RTE_PKTMBUF_HEADROOM + 64, 0);
	wire = rte_ring_create("wire", RING_SIZE, 0, 0);
	id = rte_eth_from_rings("one", &wire, 1, &wire, 1, 0);
	if (!payloads || !headers || id < 0)
		return -1;
	port = (uint16_t)id;
	return rte_eth_dev_configure(port, 1, 1, &conf) ||
	       rte_eth_rx_queue_setup(port, 0, 64, 0, NULL, payloads) ||
	       rte_eth_tx_queue_setup(port, 0, 64, 0, NULL) || rte_eth_dev_start(port);
}

#endif
