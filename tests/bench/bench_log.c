/* SPDX-License-Identifier: BSD-3-Clause */
/* What the log's writer makes of a disk. Scope: lib/log and lib/storage alone, two threads: one
 * fills groups with records of 1,216 bytes, the other is the log thread. Beside it the disk alone:
 * the same engine, write size, depth and order (a sync after its writes, writes going on meanwhile)
 * on a file written with zeros before.
 *
 * With an anchor every sync is followed by a checkpoint that is signed and kept there.
 *
 * Usage: bench_log DIRECTORY [ENGINE|- [ANCHOR]]. Needs 3 GiB there; makes and removes files in it.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <rte_cycles.h>

#include "../../lib/log/log.h"
#include "../../app/bench/disk_alone.h"

#define MIB           (1u << 20)
#define SEGMENT_BYTES (256u * MIB)
#define BURST_BYTES   (240u * MIB)
#define LONG_BYTES    (1024u * MIB)
#define BUFFERS       8
#define BODY          1216
#define IDLE_TURNS    2000

static void die(const char *what)
{
	fprintf(stderr, "bench_log: %s\n", what);
	exit(1);
}

struct worker {
	struct atr_log *log;
	bool stop;
};

static void *log_thread(void *argument)
{
	struct worker *worker = argument;

	while (!__atomic_load_n(&worker->stop, __ATOMIC_ACQUIRE))
		if (atr_log_work(worker->log) == 0)
			sched_yield();
	return NULL;
}

static bool fill(struct atr_log *log, uint32_t size)
{
	static uint8_t body[BODY];
	static const uint8_t decisions[3] = {0xFF, 0xFF, 0x01}, leaf[32] = {1};
	const struct atr_record_hdr header = {
		.body_length = BODY, .decision_length = 3, .kind = ATR_RECORD_FRAME, .events = 17};
	struct atr_group_buf *group = atr_log_begin(log, 0);

	if (!group)
		return false;
	while (atr_log_fits(group, BODY, 3) && group->used + 4 * BODY < size)
		atr_log_append(group, &header, body, decisions, leaf);
	atr_log_seal(log, group);
	return true;
}

static void produce(struct atr_log *log, uint32_t size, uint64_t bytes)
{
	uint64_t sealed = 0, back = 0;

	while (back < bytes) {
		struct atr_group_buf *group;

		while (sealed < bytes && fill(log, size))
			sealed += size;
		while ((group = atr_log_durable(log)) != NULL) {
			atr_log_release(log, group);
			back += size;
		}
		if (atr_log_state(log, NULL) != ATR_LOG_OK)
			die("the log is broken or full");
		sched_yield();
	}
}

static struct disk_result through(struct atr_storage *storage, const struct atr_anchor *anchor,
				  uint32_t size, uint64_t bytes)
{
	static const struct atr_log_end end;
	struct atr_log_params params = {.storage = storage,
					.name = "bench",
					.shards = 1,
					.segment_bytes = SEGMENT_BYTES,
					.buffers = BUFFERS,
					.socket = -1};
	struct atr_log_stats before, after;
	struct worker worker = {0};
	struct disk_result result;
	double cycles_per_s;
	uint64_t cycles;
	pthread_t thread;
	char error[256];

	params.anchor = anchor;
	params.signer = anchor ? atr_signer_generate() : NULL;
	worker.log = atr_log_open(&params, &end, error, sizeof(error));
	if (!worker.log)
		die(error);
	/* The segment behind the first one is made ready before the clock runs. */
	for (unsigned int idle = 0; idle < IDLE_TURNS;) {
		struct timespec nap = {.tv_nsec = 100000};

		idle = atr_log_work(worker.log) ? 0 : idle + 1;
		if (idle)
			nanosleep(&nap, NULL);
	}
	atr_log_stats(worker.log, &before);
	if (pthread_create(&thread, NULL, log_thread, &worker) != 0)
		die("no thread");
	cycles = rte_rdtsc();
	result.seconds = disk_now();
	produce(worker.log, size, bytes);
	result.seconds = disk_now() - result.seconds;
	/* The rate of the cycle counter, which nobody else has measured here. */
	cycles_per_s = (double)(rte_rdtsc() - cycles) / result.seconds;
	__atomic_store_n(&worker.stop, true, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	atr_log_stats(worker.log, &after);
	result.bytes = after.bytes - before.bytes;
	result.syncs = after.syncs - before.syncs;
	if (anchor)
		printf("log-writer anchor: %.0f us a checkpoint, %llu kept in %llu syncs\n",
		       (double)(after.anchor_cycles - before.anchor_cycles) * 1e6 / cycles_per_s /
			       (double)(after.anchors - before.anchors),
		       (unsigned long long)(after.anchors - before.anchors),
		       (unsigned long long)result.syncs);
	atr_log_close(worker.log);
	atr_signer_free((struct atr_signer *)(uintptr_t)params.signer);
	return result;
}

static void show(const char *what, uint32_t size, const struct disk_result *r,
		 const struct disk_result *to)
{
	printf("log-writer %-22s %5u KiB groups: %6.3f GB/s, %6.0f syncs/s, %4.0f%% of the disk "
	       "alone\n",
	       what, size >> 10, (double)r->bytes / r->seconds * 1e-9,
	       (double)r->syncs / r->seconds,
	       100.0 * ((double)r->bytes / r->seconds) / ((double)to->bytes / to->seconds));
}

static struct atr_storage *fresh(const char *directory, const char *engine)
{
	char command[512], error[256];
	struct atr_storage *storage;

	snprintf(command, sizeof(command),
		 "cd '%s/bench_log' 2>/dev/null && rm -f raw spare-* segment-*", directory);
	if (system(command) == -1)
		die("cannot run rm");
	snprintf(command, sizeof(command), "%s/bench_log", directory);
	storage = atr_storage_open(command, engine, error, sizeof(error));
	if (!storage)
		die(error);
	return storage;
}

static void forget_anchor(const char *directory)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/shard-0.checkpoint", directory);
	remove(path);
}

int main(int argc, char **argv)
{
	static const uint32_t sizes[] = {MIB, 64u << 10};
	const char *engine = argc > 2 && strcmp(argv[2], "-") != 0 ? argv[2] : NULL;
	struct atr_anchor *anchor = NULL;
	char error[256];
	struct atr_storage *storage;

	if (argc < 2 || strchr(argv[1], '\''))
		die("usage: bench_log DIRECTORY [io_uring|pwritev2]");
	if (atr_sign_init() < 0)
		die("libsodium does not start");
	if (argc > 3 && !(anchor = atr_anchor_open(argv[3], error, sizeof(error))))
		die(error);
	for (unsigned int i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct disk_result alone, burst, sustained;

		storage = fresh(argv[1], engine);
		if (i == 0)
			printf("engine: %s\n", atr_storage_engine(storage));
		alone = disk_alone(storage, sizes[i], BURST_BYTES);
		storage->ops->destroy(storage);
		storage = fresh(argv[1], engine);
		burst = through(storage, NULL, sizes[i], BURST_BYTES);
		storage->ops->destroy(storage);
		storage = fresh(argv[1], engine);
		sustained = through(storage, NULL, sizes[i], LONG_BYTES);
		storage->ops->destroy(storage);
		show("disk alone", sizes[i], &alone, &alone);
		show("within zeroed segments", sizes[i], &burst, &alone);
		show("zeroing as it goes", sizes[i], &sustained, &alone);
		if (!anchor)
			continue;
		storage = fresh(argv[1], engine);
		/* Each log begins anew; so does what is promised about it. */
		forget_anchor(argv[3]);
		burst = through(storage, anchor, sizes[i], BURST_BYTES);
		storage->ops->destroy(storage);
		show("anchored", sizes[i], &burst, &alone);
	}
	storage = fresh(argv[1], engine);
	storage->ops->destroy(storage);
	atr_anchor_close(anchor);
	return 0;
}
