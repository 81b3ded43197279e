/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <rte_errno.h>
#include <rte_lcore.h>
#include <rte_ring_elem.h>

#include "quarantine_internal.h"

#define DIRECTORY_MODE 0750
#define RETRY_AFTER_NS (10 * SECOND_NS)
#define PRODUCERS_MAX  4096
#define RATE_MAX       SECOND_NS /* tokens have whole nanoseconds */

static int check(const struct atr_quarantine_params *params, char *error, size_t size)
{
	const char *wrong = NULL;

	if (!params->directory || !params->directory[0] ||
	    strlen(params->directory) >= sizeof(((struct atr_quarantine *)0)->path))
		wrong = "directory is missing or its path longer than 127 bytes; name a shorter "
			"one";
	else if (params->file_bytes < QUARANTINE_FILE_MIN)
		wrong = "file_bytes is below 16384; a file must hold at least one packet";
	else if (params->files == 0)
		wrong = "files is zero; keep at least one";
	else if (params->packets_per_second == 0 || params->packets_per_second > RATE_MAX)
		wrong = "packets_per_second is not in 1..1000000000; choose a rate";
	else if (params->producers == 0 || params->producers > PRODUCERS_MAX)
		wrong = "producers is not in 1..4096; give it one a shard and one more";
	else if (params->ring_size == 0 || params->ring_size > QUARANTINE_RING_MAX ||
		 !rte_is_power_of_2(params->ring_size))
		wrong = "ring_size is not a power of two up to 1048576; choose one";
	if (!wrong)
		return 0;
	snprintf(error, size, "quarantine: %s", wrong);
	return -EINVAL;
}

static void release(struct atr_quarantine *quarantine)
{
	for (unsigned int i = 0; i < quarantine->producer_count; i++)
		rte_ring_free(quarantine->producers[i].ring);
	series_free(&quarantine->pcapng);
	series_free(&quarantine->audit);
	if (quarantine->directory >= 0)
		close(quarantine->directory);
	pthread_mutex_destroy(&quarantine->lock);
	free(quarantine);
}

static int make_rings(struct atr_quarantine *quarantine, unsigned int size)
{
	static atomic_uint instances;
	unsigned int instance = atomic_fetch_add(&instances, 1);

	for (unsigned int i = 0; i < quarantine->producer_count; i++) {
		char name[RTE_RING_NAMESIZE];

		snprintf(name, sizeof(name), "atr_quar_%u_%u", instance, i);
		quarantine->producers[i].ring = rte_ring_create_elem(
			name, sizeof(struct atr_quarantine_item), size, SOCKET_ID_ANY,
			RING_F_SP_ENQ | RING_F_SC_DEQ | RING_F_EXACT_SZ);
		if (!quarantine->producers[i].ring)
			return -rte_errno;
	}
	return 0;
}

static int open_files(struct atr_quarantine *quarantine, const struct atr_quarantine_params *params)
{
	int result;

	if (mkdir(params->directory, DIRECTORY_MODE) != 0 && errno != EEXIST)
		return -errno;
	quarantine->directory = open(params->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (quarantine->directory < 0)
		return -errno;
	result = series_init(&quarantine->pcapng, quarantine->directory, "quarantine-", ".pcapng",
			     params->files);
	if (result == 0)
		result = series_init(&quarantine->audit, quarantine->directory, "audit-", ".jsonl",
				     params->files);
	if (result == 0)
		result = series_open(&quarantine->pcapng);
	if (result == 0)
		result = series_open(&quarantine->audit);
	if (result == 0) {
		uint8_t header[PCAPNG_HEADER_SIZE];

		series_add(&quarantine->pcapng, header, pcapng_header(header));
	}
	return result;
}

struct atr_quarantine *atr_quarantine_start(const struct atr_quarantine_params *params, char *error,
					    size_t size)
{
	struct atr_quarantine *quarantine;
	size_t bytes;
	int result;

	if (check(params, error, size) != 0)
		return NULL;
	bytes = sizeof(*quarantine) + params->producers * sizeof(quarantine->producers[0]);
	quarantine = aligned_alloc(RTE_CACHE_LINE_SIZE, RTE_ALIGN_CEIL(bytes, RTE_CACHE_LINE_SIZE));
	if (!quarantine) {
		snprintf(error, size, "quarantine: out of memory; use fewer producers");
		return NULL;
	}
	memset(quarantine, 0, bytes);
	quarantine->producer_count = params->producers;
	quarantine->file_bytes = params->file_bytes;
	quarantine->rate = quarantine->tokens = params->packets_per_second;
	quarantine->refill_ns = quarantine->flush_ns = quarantine_now();
	quarantine->retry_after_ns = RETRY_AFTER_NS;
	quarantine->directory = quarantine->pcapng.fd = quarantine->audit.fd = -1;
	pthread_mutex_init(&quarantine->lock, NULL);
	snprintf(quarantine->path, sizeof(quarantine->path), "%s", params->directory);
	result = open_files(quarantine, params);
	if (result != 0) {
		snprintf(error, size,
			 "quarantine: cannot open files in %s: %s; name a directory that can be "
			 "written and whose parent exists",
			 params->directory, rte_strerror(-result));
		release(quarantine);
		return NULL;
	}
	result = make_rings(quarantine, params->ring_size);
	quarantine_publish(quarantine);
	if (result == 0)
		result = rte_ctrl_thread_create(&quarantine->thread, "atr-quarantine", NULL,
						quarantine_writer, quarantine);
	if (result != 0) {
		snprintf(error, size,
			 "quarantine: no rings or no thread: %s; give EAL more memory (-m MIB)",
			 rte_strerror(-result));
		release(quarantine);
		return NULL;
	}
	return quarantine;
}

void atr_quarantine_stop(struct atr_quarantine *quarantine)
{
	if (!quarantine)
		return;
	atomic_store(&quarantine->stop, true);
	pthread_join(quarantine->thread, NULL);
	release(quarantine);
}

void atr_quarantine_stats(struct atr_quarantine *quarantine, struct atr_quarantine_stats *out)
{
	pthread_mutex_lock(&quarantine->lock);
	*out = quarantine->shown;
	pthread_mutex_unlock(&quarantine->lock);
	out->dropped_ring = 0;
	for (unsigned int i = 0; i < quarantine->producer_count; i++)
		out->dropped_ring += atomic_load_explicit(&quarantine->producers[i].dropped,
							  memory_order_relaxed);
}
