/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <rte_errno.h>
#include <rte_log.h>
#include <rte_ring_elem.h>

#include "quarantine_internal.h"

#define FLUSH_NS        SECOND_NS
#define IDLE_NS         2000000
#define LOG(level, ...) rte_log(RTE_LOG_##level, RTE_LOGTYPE_USER1, "quarantine: " __VA_ARGS__)

uint64_t quarantine_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * SECOND_NS + (uint64_t)now.tv_nsec;
}

void quarantine_publish(struct atr_quarantine *quarantine)
{
	struct atr_quarantine_stats stats = {
		.written = quarantine->written,
		.dropped_rate = quarantine->dropped_rate,
		.dropped_disk = quarantine->dropped_disk,
		.bytes = quarantine->pcapng.others + quarantine->pcapng.committed +
			 quarantine->audit.others + quarantine->audit.committed,
		.disk_stopped = quarantine->disk_stopped,
	};

	snprintf(stats.pcapng, sizeof(stats.pcapng), "%s/%s", quarantine->path,
		 quarantine->pcapng.name);
	snprintf(stats.audit, sizeof(stats.audit), "%s/%s", quarantine->path,
		 quarantine->audit.name);
	pthread_mutex_lock(&quarantine->lock);
	quarantine->shown = stats;
	pthread_mutex_unlock(&quarantine->lock);
}

static void disk_failed(struct atr_quarantine *quarantine, int code)
{
	series_rollback(&quarantine->pcapng);
	series_rollback(&quarantine->audit);
	quarantine->dropped_disk += quarantine->pending;
	quarantine->packet -= RTE_MIN(quarantine->packet, quarantine->pending);
	quarantine->pending = 0;
	quarantine->failed_ns = quarantine_now();
	if (!quarantine->disk_stopped)
		LOG(WARNING,
		    "writing to %s stopped: %s; refused packets are counted as dropped_disk until "
		    "there is room\n",
		    quarantine->path, rte_strerror(-code));
	quarantine->disk_stopped = true;
}

/* Puts what waits into both files, or into neither. */
static bool flush(struct atr_quarantine *quarantine)
{
	int result;

	quarantine->flush_ns = quarantine_now();
	if (quarantine->pcapng.buffered == 0 && quarantine->audit.buffered == 0)
		return true;
	result = series_write(&quarantine->pcapng);
	if (result == 0)
		result = series_write(&quarantine->audit);
	if (result != 0) {
		disk_failed(quarantine, result);
		return false;
	}
	series_commit(&quarantine->pcapng);
	series_commit(&quarantine->audit);
	quarantine->written += quarantine->pending;
	quarantine->pending = 0;
	if (quarantine->disk_stopped)
		LOG(NOTICE, "writing to %s goes on\n", quarantine->path);
	quarantine->disk_stopped = false;
	return true;
}

/* Makes room for length more bytes in the file and the buffer of one kind. */
static bool reserve(struct atr_quarantine *quarantine, struct series *series, size_t length,
		    uint64_t header)
{
	int result;

	if (series->buffered + length + header > QUARANTINE_BUFFER && !flush(quarantine))
		return false;
	if (series->fd >= 0 && (series_size(series) <= header ||
				series_size(series) + length <= quarantine->file_bytes))
		return true;
	if (!flush(quarantine))
		return false;
	result = series_open(series);
	if (result == 0)
		return true;
	disk_failed(quarantine, result);
	return false;
}

static bool write_item(struct atr_quarantine *quarantine, const struct atr_quarantine_item *item)
{
	struct series *pcapng = &quarantine->pcapng;
	char comment[QUARANTINE_COMMENT], lines[QUARANTINE_FILE_MIN];
	size_t comment_length = comment_write(item, comment, sizeof(comment)), length;
	/* What a file cannot hold beside its header is cut off; the block says so. */
	uint64_t room = RTE_MIN(quarantine->file_bytes, (uint64_t)QUARANTINE_BUFFER) -
			2 * PCAPNG_HEADER_SIZE - pcapng_block_size(0, comment_length);
	uint32_t captured = (uint32_t)RTE_MIN((uint64_t)item->mbuf->pkt_len, room);

	if (!reserve(quarantine, pcapng, pcapng_block_size(captured, comment_length),
		     PCAPNG_HEADER_SIZE))
		return false;
	if (series_size(pcapng) == 0) {
		uint8_t header[PCAPNG_HEADER_SIZE];

		series_add(pcapng, header, pcapng_header(header));
		quarantine->packet = 0;
	}
	length = audit_write(item, pcapng->name, quarantine->packet + 1, lines, sizeof(lines));
	if (length == 0 || !reserve(quarantine, &quarantine->audit, length, 0))
		return false;
	pcapng_block(pcapng, item->mbuf, captured, item->time_ns, comment, comment_length);
	series_add(&quarantine->audit, lines, length);
	quarantine->packet++;
	quarantine->pending++;
	return true;
}

/* Takes a token; the bucket holds one second's worth. */
static bool within_rate(struct atr_quarantine *quarantine, uint64_t now)
{
	uint64_t elapsed = now - quarantine->refill_ns;
	uint64_t whole =
		elapsed >= SECOND_NS
			? quarantine->rate
			: (uint64_t)((unsigned __int128)elapsed * quarantine->rate / SECOND_NS);

	if (whole > 0) {
		quarantine->tokens = RTE_MIN(quarantine->tokens + whole, quarantine->rate);
		/* Time that has not made a whole token yet is kept. */
		quarantine->refill_ns =
			elapsed >= SECOND_NS
				? now
				: quarantine->refill_ns + (uint64_t)((unsigned __int128)whole *
								     SECOND_NS / quarantine->rate);
	}
	if (quarantine->tokens == 0)
		return false;
	quarantine->tokens--;
	return true;
}

static void take(struct atr_quarantine *quarantine, const struct atr_quarantine_item *item,
		 uint64_t now)
{
	bool waits = quarantine->disk_stopped &&
		     now < quarantine->failed_ns + quarantine->retry_after_ns;

	if (!within_rate(quarantine, now))
		quarantine->dropped_rate++;
	else if (waits || !write_item(quarantine, item))
		quarantine->dropped_disk++;
}

static unsigned int drain(struct atr_quarantine *quarantine)
{
	struct atr_quarantine_item items[QUARANTINE_BURST];
	struct rte_mbuf *mbufs[QUARANTINE_BURST];
	unsigned int taken = 0;

	for (unsigned int p = 0; p < quarantine->producer_count; p++) {
		unsigned int count =
			rte_ring_sc_dequeue_burst_elem(quarantine->producers[p].ring, items,
						       sizeof(items[0]), QUARANTINE_BURST, NULL);
		uint64_t now = quarantine_now();

		for (unsigned int i = 0; i < count; i++) {
			mbufs[i] = items[i].mbuf;
			take(quarantine, &items[i], now);
			free(items[i].detail);
		}
		rte_pktmbuf_free_bulk(mbufs, count);
		taken += count;
	}
	return taken;
}

void *quarantine_writer(void *argument)
{
	struct atr_quarantine *quarantine = argument;
	const struct timespec idle = {.tv_nsec = IDLE_NS};

	for (;;) {
		/* Read before draining: what was put before stop is drained after it. */
		bool stop = atomic_load(&quarantine->stop);
		unsigned int taken = drain(quarantine);

		if (taken == 0 || quarantine_now() - quarantine->flush_ns >= FLUSH_NS)
			flush(quarantine);
		if (taken == 0 && stop)
			break;
		quarantine_publish(quarantine);
		if (taken == 0)
			nanosleep(&idle, NULL);
	}
	quarantine_publish(quarantine);
	return NULL;
}
