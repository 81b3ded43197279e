/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../memory/memory.h"
#include "log_internal.h"

#define LOG_BUFFERS_MAX 1024
#define LOG_SIMD_BITS   512

_Static_assert(ATR_STORAGE_ALIGN == ATR_LOG_BLOCK, "groups lie where the storage can write them");
_Static_assert(LOG_ZERO_STEP % ATR_STORAGE_ALIGN == 0, "zeros are written in aligned steps");

static int check(struct atr_log *log, char *error, size_t size)
{
	const struct atr_log_params *params = &log->params;
	int length;

	if (params->buffers < 2 || params->buffers > LOG_BUFFERS_MAX ||
	    (params->buffers & (params->buffers - 1)) != 0) {
		snprintf(error, size, "log buffers: %u; give a power of two from 2 to %d",
			 params->buffers, LOG_BUFFERS_MAX);
		return -EINVAL;
	}
	if (params->segment_bytes % ATR_LOG_BLOCK != 0 || params->segment_bytes > INT64_MAX ||
	    params->segment_bytes < ATR_LOG_BLOCK + 2ull * ATR_GROUP_BYTES_MAX) {
		snprintf(error, size, "log segment size %llu; give a multiple of %d, at least %llu",
			 (unsigned long long)params->segment_bytes, ATR_LOG_BLOCK,
			 ATR_LOG_BLOCK + 2ull * ATR_GROUP_BYTES_MAX);
		return -EINVAL;
	}
	if (params->shard >= params->shards) {
		snprintf(error, size, "log shard %u of %u; give a smaller number", params->shard,
			 params->shards);
		return -EINVAL;
	}
	length = snprintf(log->origin, sizeof(log->origin), "%s/shard/%u", params->name,
			  params->shard);
	if (length < 0 || (size_t)length >= sizeof(log->origin)) {
		snprintf(error, size, "log name is too long; give one of at most 200 bytes");
		return -EINVAL;
	}
	return 0;
}

static struct rte_ring *make_ring(const char *name, unsigned int buffers, int socket)
{
	/* A ring holds one less than its size. */
	ssize_t bytes = rte_ring_get_memsize(2 * buffers);
	struct rte_ring *ring = bytes < 0 ? NULL : atr_memory_alloc((size_t)bytes, socket);

	if (ring && rte_ring_init(ring, name, 2 * buffers, RING_F_SP_ENQ | RING_F_SC_DEQ) != 0) {
		atr_memory_free(ring);
		return NULL;
	}
	return ring;
}

static int allocate(struct atr_log *log)
{
	unsigned int buffers = log->params.buffers;
	int socket = log->params.socket;

	/* One more is the log's own. */
	log->memory_bytes =
		(size_t)(buffers + 1) * ATR_GROUP_BYTES_MAX + ATR_LOG_BLOCK + LOG_ZERO_STEP;
	log->memory = atr_memory_alloc(log->memory_bytes, socket);
	log->groups = atr_memory_alloc((buffers + 1) * sizeof(*log->groups), socket);
	log->records = atr_memory_alloc(
		(size_t)(buffers + 1) * LOG_RECORD_ROOM * sizeof(*log->records), socket);
	log->event_feeds = atr_memory_alloc(
		(size_t)buffers * ATR_LOG_EVENTS_MAX * sizeof(*log->event_feeds), socket);
	log->free = atr_memory_alloc(buffers * sizeof(void *), socket);
	log->slot = atr_memory_alloc(2 * buffers * sizeof(*log->slot), socket);
	log->scratch = atr_memory_alloc(ATR_GROUP_BYTES_MAX, socket);
	log->leaves = atr_memory_alloc((size_t)LOG_RECORD_ROOM * ATR_HASH_SIZE, socket);
	log->sealed = make_ring("log_sealed", buffers, socket);
	log->durable = make_ring("log_durable", buffers, socket);
	if (!log->memory || !log->groups || !log->records || !log->event_feeds || !log->free ||
	    !log->slot || !log->scratch || !log->leaves || !log->sealed || !log->durable)
		return -ENOMEM;
	for (unsigned int i = 0; i <= buffers; i++) {
		log->groups[i].data = log->memory + (size_t)i * ATR_GROUP_BYTES_MAX;
		log->groups[i].record = log->records + (size_t)i * LOG_RECORD_ROOM;
		if (i == buffers)
			break;
		log->groups[i].event_feeds = log->event_feeds + (size_t)i * ATR_LOG_EVENTS_MAX;
		log->free[i] = &log->groups[i];
	}
	log->own = &log->groups[buffers];
	log->free_count = buffers;
	log->header = log->memory + (size_t)(buffers + 1) * ATR_GROUP_BYTES_MAX;
	log->zeros = log->header + ATR_LOG_BLOCK;
	return 0;
}

static int broken(const struct atr_log *log, char *error, size_t size)
{
	const char *sentence;

	atr_log_state(log, &sentence);
	snprintf(error, size, "log of shard %u: %s", log->params.shard, sentence);
	return -EIO;
}

/* The first segment of an empty log, before anything may be appended. */
static int first_segment(struct atr_log *log, char *error, size_t size)
{
	log->spare.wanted = true;
	while (!log->file && log->state == ATR_LOG_OK)
		if (log_segment_step(log) == 0 && log->state == ATR_LOG_OK &&
		    log_reap(log, true) == 0)
			log_break(log, "making the first segment", -EIO);
	return log->state == ATR_LOG_OK ? 0 : broken(log, error, size);
}

/* Groups that a start has found are published: also they not before they are anchored. */
static int anchor_found(struct atr_log *log, char *error, size_t size)
{
	if (!log->params.anchor || log->frontier.size <= log->signed_last.size)
		return 0;
	return log_sign(log, &log->frontier) ? 0 : broken(log, error, size);
}

struct atr_log *atr_log_open(const struct atr_log_params *params, const struct atr_log_end *end,
			     char *error, size_t size)
{
	struct atr_log *log = atr_memory_alloc(sizeof(*log), params->socket);

	if (!log) {
		snprintf(error, size, "log of shard %u: out of memory", params->shard);
		return NULL;
	}
	log->params = *params;
	log->sentence = "";
	pthread_mutex_init(&log->checkpoint_lock, NULL);
	pthread_mutex_init(&log->snapshot.lock, NULL);
	log->frontier = end->frontier;
	log->first = log->submitted = log->next = end->group;
	log->segment = end->segment;
	if (check(log, error, size) < 0 || log_sign_open(log, end, error, size) < 0)
		goto fail;
	if (allocate(log) < 0) {
		snprintf(error, size, "log of shard %u: out of memory; ask for fewer buffers",
			 params->shard);
		goto fail;
	}
	log->hash = params->hash;
	if (!log->hash)
		log->hash = atr_hash_create(params->socket, LOG_SIMD_BITS, error, size);
	if (!log->hash)
		goto fail;
	if (params->storage->ops->memory)
		params->storage->ops->memory(params->storage, log->memory, log->memory_bytes);
	if (log_tail_open(log, end, error, size) < 0)
		goto fail;
	if (!log->file && first_segment(log, error, size) < 0)
		goto fail;
	if (anchor_found(log, error, size) < 0)
		goto fail;
	log->stats.segment = log->segment;
	log->stats.offset = log->offset;
	log->stats.leaves = log->frontier.size;
	log->stats.group_end = log->first;
	return log;
fail:
	atr_log_close(log);
	return NULL;
}

/* The storage must not write from buffers that are gone. */
static void settle(struct atr_log *log)
{
	struct atr_storage *storage = log->params.storage;
	struct atr_completion done;

	while (storage->ops->reap(storage, &done, 1, true) > 0)
		;
	if (log->file)
		storage->ops->close(storage, log->file);
	if (log->spare.file)
		storage->ops->close(storage, log->spare.file);
	if (storage->ops->memory)
		storage->ops->memory(storage, NULL, 0);
}

void atr_log_close(struct atr_log *log)
{
	if (!log)
		return;
	settle(log);
	if (!log->params.hash)
		atr_hash_free(log->hash);
	pthread_mutex_destroy(&log->snapshot.lock);
	pthread_mutex_destroy(&log->checkpoint_lock);
	atr_memory_free(log->durable);
	atr_memory_free(log->sealed);
	atr_memory_free(log->leaves);
	atr_memory_free(log->scratch);
	atr_memory_free(log->slot);
	atr_memory_free(log->free);
	atr_memory_free(log->event_feeds);
	atr_memory_free(log->records);
	atr_memory_free(log->groups);
	atr_memory_free(log->memory);
	atr_memory_free(log);
}
