/* SPDX-License-Identifier: BSD-3-Clause */
#include "neighbour.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SECOND_NS    UINT64_C(1000000000)
#define EXPIRY_NS    (300 * SECOND_NS) /* without confirmation */
#define REFRESH_NS   (270 * SECOND_NS) /* asked again from here on */
#define RETRY_NS     SECOND_NS
#define RESOLVED     (UINT64_C(1) << 48) /* above the six bytes of the MAC */
#define MAC_MASK     (RESOLVED - 1)
#define NEVER        UINT64_MAX
#define HASH_FACTOR  UINT64_C(0x9E3779B97F4A7C15) /* 2^64 divided by the golden ratio */
#define CAPACITY_MAX (1U << 20)

/* What only the control lcore looks at. */
struct neighbour {
	uint32_t ip;
	uint16_t port_id;
	bool fixed;
	bool asked;
	uint64_t asked_ns;
	uint64_t confirmed_ns;
};

struct atr_neighbours {
	uint64_t *words; /* MAC and RESOLVED; read by data lcores */
	struct neighbour *entries;
	int32_t *slots; /* open addressing over (port, ip); -1: free */
	uint32_t slot_mask;
	uint32_t capacity, count;
	uint32_t cursor;           /* where the next search for a due entry begins */
	uint64_t nothing_until_ns; /* no entry is due before */
};
_Static_assert(sizeof(struct rte_ether_addr) == 6, "MAC is 6 bytes");

struct atr_neighbours *atr_neighbours_create(unsigned int capacity)
{
	struct atr_neighbours *table;
	uint32_t slots = 2;

	if (capacity == 0 || capacity > CAPACITY_MAX)
		return NULL;
	while (slots < 2 * capacity)
		slots *= 2;
	table = calloc(1, sizeof(*table));
	if (!table)
		return NULL;
	table->capacity = capacity;
	table->slot_mask = slots - 1;
	table->words = calloc(capacity, sizeof(*table->words));
	table->entries = calloc(capacity, sizeof(*table->entries));
	table->slots = malloc(slots * sizeof(*table->slots));
	if (!table->words || !table->entries || !table->slots) {
		atr_neighbours_free(table);
		return NULL;
	}
	memset(table->slots, 0xFF, slots * sizeof(*table->slots));
	return table;
}

void atr_neighbours_free(struct atr_neighbours *table)
{
	if (!table)
		return;
	free(table->words);
	free(table->entries);
	free(table->slots);
	free(table);
}

uint32_t atr_next_hop(const struct atr_iface *iface, uint32_t ip)
{
	uint32_t hosts = iface->prefix_length >= 32 ? 0 : UINT32_MAX >> iface->prefix_length;

	if (atr_net_is_multicast(ip))
		return ip;
	if (ip == 0 || ip == UINT32_MAX || ip == iface->ip)
		return 0;
	if ((ip & ~hosts) != (iface->ip & ~hosts))
		return iface->gateway;
	/* The network's own and its broadcast address; a /31 has neither (RFC 3021). */
	if (iface->prefix_length < 31 && ((ip & hosts) == 0 || (ip & hosts) == hosts))
		return 0;
	return ip;
}

/* Slot that holds (port, ip), or the free one where it belongs. */
static uint32_t find_slot(const struct atr_neighbours *table, uint16_t port_id, uint32_t ip)
{
	uint32_t slot = ((((uint64_t)port_id << 32) | ip) * HASH_FACTOR) >> 32;

	for (slot &= table->slot_mask; table->slots[slot] >= 0;
	     slot = (slot + 1) & table->slot_mask) {
		const struct neighbour *entry = &table->entries[table->slots[slot]];

		if (entry->ip == ip && entry->port_id == port_id)
			break;
	}
	return slot;
}

static void set_mac(struct atr_neighbours *table, uint32_t index, const struct rte_ether_addr *mac)
{
	uint64_t word = 0;

	if (mac) {
		memcpy(&word, mac, sizeof(*mac));
		word |= RESOLVED;
	}
	__atomic_store_n(&table->words[index], word, __ATOMIC_RELEASE);
}

int atr_neighbour_add(struct atr_neighbours *table, const struct atr_iface *iface, uint32_t ip)
{
	uint32_t slot = find_slot(table, iface->port_id, ip);
	struct neighbour *entry;

	if (ip == 0)
		return -EINVAL;
	if (table->slots[slot] >= 0)
		return table->slots[slot];
	if (table->count == table->capacity)
		return -ENOSPC;
	entry = &table->entries[table->count];
	entry->ip = ip;
	entry->port_id = iface->port_id;
	if (atr_net_is_multicast(ip)) {
		struct rte_ether_addr mac;

		atr_net_multicast_mac(ip, &mac);
		entry->fixed = true;
		set_mac(table, table->count, &mac);
	}
	table->slots[slot] = (int32_t)table->count++;
	table->nothing_until_ns = 0;
	return table->slots[slot];
}

int atr_neighbour_add_static(struct atr_neighbours *table, const struct atr_iface *iface,
			     uint32_t ip, const struct rte_ether_addr *mac)
{
	int index = atr_neighbour_add(table, iface, ip);

	if (index < 0)
		return index;
	table->entries[index].fixed = true;
	set_mac(table, (uint32_t)index, mac);
	return index;
}

void atr_neighbour_learn(struct atr_neighbours *table, uint16_t port_id, uint32_t ip,
			 const struct rte_ether_addr *mac, uint64_t now_ns)
{
	int32_t index = table->slots[find_slot(table, port_id, ip)];

	if (index < 0 || table->entries[index].fixed || !rte_is_unicast_ether_addr(mac) ||
	    rte_is_zero_ether_addr(mac))
		return;
	table->entries[index].confirmed_ns = now_ns;
	table->entries[index].asked = false;
	set_mac(table, (uint32_t)index, mac);
}

bool atr_neighbour_mac(const struct atr_neighbours *table, int index, struct rte_ether_addr *mac)
{
	uint64_t word;

	if (index < 0 || (uint32_t)index >= table->capacity)
		return false;
	word = __atomic_load_n(&table->words[index], __ATOMIC_ACQUIRE);
	if (!(word & RESOLVED))
		return false;
	word &= MAC_MASK;
	memcpy(mac, &word, sizeof(*mac));
	return true;
}

/* When entry index wants an ARP request; expires it first if its time is over. */
static uint64_t due_at(struct atr_neighbours *table, uint32_t index, uint64_t now_ns)
{
	const struct neighbour *entry = &table->entries[index];
	uint64_t due = 0;

	if (entry->fixed)
		return NEVER;
	if (table->words[index] & RESOLVED) {
		due = entry->confirmed_ns + REFRESH_NS;
		if (now_ns >= entry->confirmed_ns + EXPIRY_NS)
			set_mac(table, index, NULL);
	}
	if (entry->asked && entry->asked_ns + RETRY_NS > due)
		due = entry->asked_ns + RETRY_NS;
	return due;
}

int atr_neighbour_due(struct atr_neighbours *table, uint64_t now_ns, uint16_t *port_id,
		      uint32_t *ip)
{
	uint64_t earliest = NEVER;

	if (now_ns < table->nothing_until_ns)
		return -ENOENT;
	for (uint32_t i = 0; i < table->count; i++) {
		uint32_t index = (table->cursor + i) % table->count;
		struct neighbour *entry = &table->entries[index];
		uint64_t due = due_at(table, index, now_ns);

		if (due <= now_ns) {
			entry->asked = true;
			entry->asked_ns = now_ns;
			table->cursor = index + 1;
			*port_id = entry->port_id;
			*ip = entry->ip;
			return 0;
		}
		if (due < earliest)
			earliest = due;
	}
	table->nothing_until_ns = earliest;
	return -ENOENT;
}

bool atr_neighbour_info(const struct atr_neighbours *table, unsigned int i,
			struct atr_neighbour_info *info)
{
	if (i >= table->count)
		return false;
	memset(info, 0, sizeof(*info));
	info->port_id = table->entries[i].port_id;
	info->ip = table->entries[i].ip;
	info->fixed = table->entries[i].fixed;
	info->resolved = atr_neighbour_mac(table, (int)i, &info->mac);
	return true;
}
