/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_malloc.h>

#include "shard.h"

#define RESERVE_TIMEOUT_S 2
#define HEARTBEAT_PER_HZ  1
#define IPV4_UDP_HDR_SIZE 28

static int queue_create(struct atr_queue *queue, unsigned int frames, int socket)
{
	queue->slot = rte_zmalloc_socket("atr_queue", frames * sizeof(*queue->slot), 64, socket);
	queue->since_tsc =
		rte_zmalloc_socket("atr_queue", frames * sizeof(*queue->since_tsc), 64, socket);
	queue->mask = frames - 1;
	return queue->slot && queue->since_tsc ? 0 : -ENOMEM;
}

static void queue_free(struct atr_queue *queue)
{
	while (queue->slot && atr_queue_count(queue) > 0)
		rte_pktmbuf_free(queue->slot[queue->head++ & queue->mask]);
	rte_free(queue->slot);
	rte_free(queue->since_tsc);
}

static struct atr_feeds *feeds_create(const struct atr_shard_config *config)
{
	struct atr_feeds *feeds = rte_zmalloc_socket("atr_feeds", sizeof(*feeds),
						     RTE_CACHE_LINE_SIZE, config->socket);
	uint16_t mtu = UINT16_MAX;

	if (!feeds)
		return NULL;
	for (unsigned int i = 0; i < config->iface_count; i++) {
		feeds->tx[i].port_id = config->ifaces[i].port_id;
		feeds->tx[i].queue_id = (uint16_t)config->id;
		mtu = RTE_MIN(mtu, config->ifaces[i].mtu);
	}
	for (unsigned int f = 0; f < ATR_FEEDS_MAX; f++) {
		bool waits = config->waiting_feeds >> f & 1;

		atr_mold_session(feeds->feed[f].session, f, config->id,
				 waits ? config->log_epoch : config->epoch);
		feeds->feed[f].next_sequence = waits ? config->feed_next[f] : 1;
	}
	feeds->ifaces = config->ifaces;
	feeds->iface_count = config->iface_count;
	feeds->neighbours = config->neighbours;
	feeds->payloads = config->payloads;
	feeds->headers = config->headers;
	feeds->flush_tsc = rte_get_tsc_hz() / 1000000 * config->flush_us;
	feeds->heartbeat_tsc = rte_get_tsc_hz() / HEARTBEAT_PER_HZ;
	feeds->datagram_max = mtu - IPV4_UDP_HDR_SIZE;
	return feeds;
}

static int gaps_create(struct atr_shard *shard, const struct atr_shard_config *config)
{
	for (uint64_t set = config->recent_feeds; set; set &= set - 1) {
		struct atr_feed_out *out = &shard->feeds->feed[__builtin_ctzll(set)];

		if (atr_recent_create(&out->recent, config->recent_slots, config->socket) < 0)
			return -ENOMEM;
	}
	return atr_gap_gate_init(&shard->gap, ATR_GAP_PER_SECOND, ATR_GAP_BURST);
}

static void feeds_free(struct atr_feeds *feeds)
{
	for (unsigned int f = 0; feeds && f < ATR_FEEDS_MAX; f++)
		atr_recent_free(&feeds->feed[f].recent);
	rte_free(feeds);
}

static int fill(struct atr_shard *shard, const struct atr_shard_config *config, char *error,
		size_t size)
{
	shard->id = config->id;
	shard->shards = config->shards;
	shard->rx_queue = (uint16_t)config->id;
	shard->ifaces = config->ifaces;
	shard->iface_count = config->iface_count;
	shard->bridge = config->bridge;
	shard->ledger = config->ledger;
	shard->quarantine = config->quarantine;
	shard->tag_key = config->tag_key;
	shard->program_slot = config->program_slot;
	shard->rcu = config->rcu;
	shard->clock = config->clock;
	shard->feed_epoch = config->epoch;
	shard->class_epoch = config->log_epoch;
	shard->rx_pool = config->rx_pool;
	atr_overload_init(&shard->overload, rte_rdtsc(), rte_get_tsc_hz());
	shard->bridge->measures[shard->id] = &shard->overload.measures;
	shard->reserve_timeout_tsc = rte_get_tsc_hz() * RESERVE_TIMEOUT_S;

	shard->hash = atr_hash_create(config->socket, config->simd_bits, error, size);
	if (!shard->hash)
		return -EIO;
	shard->auth = atr_auth_create(&config->auth, config->id, config->socket, error, size);
	if (!shard->auth)
		return -EIO;
	snprintf(error, size, "shard %u: out of memory; give EAL more (-m or hugepages)",
		 config->id);
	shard->node = rte_zmalloc_socket("atr_node", sizeof(*shard->node), RTE_CACHE_LINE_SIZE,
					 config->socket);
	shard->batch = rte_zmalloc_socket("atr_batch", sizeof(*shard->batch), RTE_CACHE_LINE_SIZE,
					  config->socket);
	shard->feeds = feeds_create(config);
	if (!shard->node || !shard->batch || !shard->feeds || gaps_create(shard, config) < 0)
		return -ENOMEM;
	if (atr_commit_create(&shard->commit, &config->commit, config->socket) < 0 ||
	    queue_create(&shard->deferred, config->queue_frames, config->socket) < 0)
		return -ENOMEM;
	return queue_create(&shard->reserving, config->queue_frames, config->socket);
}

struct atr_shard *atr_shard_create(const struct atr_shard_config *config, char *error, size_t size)
{
	struct atr_shard *shard = rte_zmalloc_socket("atr_shard", sizeof(*shard),
						     RTE_CACHE_LINE_SIZE, config->socket);

	if (!shard) {
		snprintf(error, size, "shard %u: out of memory; give EAL more (-m or hugepages)",
			 config->id);
		return NULL;
	}
	if (fill(shard, config, error, size) < 0) {
		atr_shard_free(shard);
		return NULL;
	}
	return shard;
}

void atr_shard_free(struct atr_shard *shard)
{
	if (!shard)
		return;
	atr_commit_free(&shard->commit);
	queue_free(&shard->deferred);
	queue_free(&shard->reserving);
	if (shard->auth)
		atr_auth_free(shard->auth);
	if (shard->hash)
		atr_hash_free(shard->hash);
	feeds_free(shard->feeds);
	rte_free(shard->batch);
	rte_free(shard->node);
	rte_free(shard);
}
