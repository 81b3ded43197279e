/* SPDX-License-Identifier: BSD-3-Clause */
/* Next hops: which MAC address an IPv4 destination has.
 *
 * Layer 1. One writer, the control lcore; data lcores read entries by index without locks (each
 * entry is one aligned 8-byte word: MAC and state). Entries are made at boot for every next hop
 * that the plan and the gateways name, and for requesters of replies as they come, up to a bound.
 */
#ifndef ATR_NEIGHBOUR_H
#define ATR_NEIGHBOUR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <rte_ether.h>

#include "net.h"

struct atr_neighbours;

struct atr_neighbours *atr_neighbours_create(unsigned int capacity);
void atr_neighbours_free(struct atr_neighbours *table);

/* Next hop of ip on iface: ip itself if on link or multicast, else the gateway; 0 if there is
 * none. */
uint32_t atr_next_hop(const struct atr_iface *iface, uint32_t ip);

/* Index of the entry for next hop ip on a port, made if need be; -ENOSPC when full. Multicast
 * entries are resolved at once. Control lcore. */
int atr_neighbour_add(struct atr_neighbours *table, const struct atr_iface *iface, uint32_t ip);

/* Fixes an entry's MAC; it is never asked for again. Control lcore. */
int atr_neighbour_add_static(struct atr_neighbours *table, const struct atr_iface *iface,
			     uint32_t ip, const struct rte_ether_addr *mac);

/* An ARP packet told that ip has mac. Updates an existing entry only. Control lcore. */
void atr_neighbour_learn(struct atr_neighbours *table, uint16_t port_id, uint32_t ip,
			 const struct rte_ether_addr *mac, uint64_t now_ns);

/* Copies the MAC of entry index; false while unresolved. Any lcore, hot path. */
bool atr_neighbour_mac(const struct atr_neighbours *table, int index, struct rte_ether_addr *mac);

/* Next entry that wants an ARP request now: unresolved ones every second, resolved ones half a
 * minute before they expire (five minutes without confirmation). 0 with *port_id and *ip, or
 * -ENOENT. Control lcore, polled. */
int atr_neighbour_due(struct atr_neighbours *table, uint64_t now_ns, uint16_t *port_id,
		      uint32_t *ip);

/* For status output: entry i as text fields; false beyond the last. Control lcore. */
struct atr_neighbour_info {
	uint16_t port_id;
	uint32_t ip;
	struct rte_ether_addr mac;
	bool resolved, fixed;
};
bool atr_neighbour_info(const struct atr_neighbours *table, unsigned int i,
			struct atr_neighbour_info *info);

#endif
