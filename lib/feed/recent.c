/* SPDX-License-Identifier: BSD-3-Clause */
#include "recent.h"

#include <errno.h>

#include <rte_common.h>
#include <rte_malloc.h>

uint32_t atr_recent_slots(uint32_t packets, unsigned int feeds)
{
	uint32_t each = feeds ? packets / feeds : 0;

	return each ? rte_align32prevpow2(each) : 0;
}

int atr_recent_create(struct atr_recent *recent, uint32_t slots, int socket)
{
	*recent = (struct atr_recent){0};
	if (slots == 0)
		return 0;
	recent->slot = rte_zmalloc_socket("atr_recent", slots * sizeof(*recent->slot),
					  RTE_CACHE_LINE_SIZE, socket);
	if (!recent->slot)
		return -ENOMEM;
	recent->mask = slots - 1;
	return 0;
}

void atr_recent_free(struct atr_recent *recent)
{
	for (uint32_t i = 0; recent->slot && i <= recent->mask; i++)
		rte_pktmbuf_free(recent->slot[i].payload);
	rte_free(recent->slot);
	recent->slot = NULL;
}

void atr_recent_put(struct atr_recent *recent, uint64_t first, uint16_t count,
		    struct rte_mbuf *payload)
{
	struct atr_recent_packet *slot;

	if (!recent->slot) {
		rte_pktmbuf_free(payload);
		return;
	}
	slot = &recent->slot[recent->head++ & recent->mask];
	rte_pktmbuf_free(slot->payload);
	*slot = (struct atr_recent_packet){.first = first, .payload = payload, .count = count};
}

const struct atr_recent_packet *atr_recent_find(const struct atr_recent *recent, uint64_t sequence)
{
	uint64_t low, high = recent->head;
	const struct atr_recent_packet *packet;

	if (!recent->slot || high == 0)
		return NULL;
	low = high > recent->mask ? high - recent->mask - 1 : 0;
	/* The last one that begins at or before sequence lies in [low, high), if any does. */
	while (high - low > 1) {
		uint64_t middle = low + (high - low) / 2;

		if (recent->slot[middle & recent->mask].first <= sequence)
			low = middle;
		else
			high = middle;
	}
	packet = &recent->slot[low & recent->mask];
	return sequence >= packet->first && sequence - packet->first < packet->count ? packet
										     : NULL;
}
