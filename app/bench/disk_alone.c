/* SPDX-License-Identifier: BSD-3-Clause */
#include "disk_alone.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

double disk_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void disk_die(const char *what)
{
	fprintf(stderr, "disk alone: %s\n", what);
	exit(1);
}

struct disk_result disk_alone(struct atr_storage *storage, uint32_t size, uint64_t bytes)
{
	uint8_t *memory = aligned_alloc(ATR_STORAGE_ALIGN, (size_t)DISK_DEPTH * size);
	struct atr_completion done[DISK_DEPTH + 1];
	uint64_t file_bytes = bytes, at = 0, finished = 0;
	unsigned int writing = 0, written = 0, covered = 0;
	struct disk_result result = {0};
	struct atr_file *file;
	bool syncing = false;

	if (!memory || storage->ops->open(storage, "raw", true, &file_bytes, &file) < 0)
		disk_die("cannot make the file for the disk alone");
	if (storage->ops->memory)
		storage->ops->memory(storage, memory, (size_t)DISK_DEPTH * size);
	for (int pass = 0; pass < 2; pass++) {
		arc4random_buf(memory, (size_t)DISK_DEPTH * size);
		at = finished = result.syncs = 0;
		result.seconds = disk_now();
		while (finished < bytes) {
			while (at < bytes && writing + written + covered < DISK_DEPTH) {
				if (storage->ops->write(storage, file,
							memory + (at / size % DISK_DEPTH) * size,
							size, at % (bytes - size + 1) / size * size,
							memory) < 0)
					disk_die("write");
				at += size;
				writing++;
			}
			if (!syncing && written > 0) {
				if (storage->ops->sync(storage, file, &result) < 0)
					disk_die("sync");
				syncing = true;
				covered = written;
				written = 0;
			}
			int n = storage->ops->reap(storage, done, DISK_DEPTH + 1, true);

			for (int i = 0; i < n; i++) {
				if (done[i].result < 0)
					disk_die("the disk fails");
				if (done[i].cookie == &result) {
					finished += (uint64_t)covered * size;
					covered = 0;
					syncing = false;
					result.syncs++;
				} else {
					writing--;
					written++;
				}
			}
		}
		result.seconds = disk_now() - result.seconds;
	}
	result.bytes = bytes;
	storage->ops->close(storage, file);
	if (storage->ops->memory)
		storage->ops->memory(storage, NULL, 0);
	free(memory);
	return result;
}
