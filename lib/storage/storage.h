/* SPDX-License-Identifier: BSD-3-Clause */
/* The disk, as the log sees it: a handful of operations that tests replace by a disk that loses,
 * tears and refuses what the real one may.
 *
 * Layer 1: liburing. One thread at a time uses a storage (the log thread). Files are written at
 * aligned offsets from aligned buffers (direct I/O where the file system has it). A write counts
 * for nothing until a sync that was submitted after its completion has returned 0; after a failed
 * sync nothing written since the last good one may be relied on, and no later sync changes that.
 */
#ifndef ATR_STORAGE_H
#define ATR_STORAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ATR_STORAGE_ALIGN 4096 /* of buffers, offsets and lengths of writes */
#define ATR_STORAGE_QUEUE 64   /* operations under way */

struct atr_storage;
struct atr_file;

/* A finished operation. */
struct atr_completion {
	void *cookie;
	int result; /* 0, or negative errno; a short write is finished by the storage itself */
};

/* Implementation. Every function returns 0 or a count, or negative errno. */
struct atr_storage_ops {
	/* Opens an existing file (size filled), or makes one of size bytes, allocated, and its name
	 * durable. -ENOSPC if there is no room. A file of that name that exists and is not larger
	 * is extended and keeps what it holds, one that is larger is -EEXIST. Writing zeros once,
	 * which makes later syncs cheap, is left to the caller. */
	int (*open)(struct atr_storage *storage, const char *name, bool create, uint64_t *size,
		    struct atr_file **file);
	void (*close)(struct atr_storage *storage, struct atr_file *file);
	/* Blocking read of exactly length bytes; -ENODATA beyond the end. */
	int (*read)(struct atr_storage *storage, struct atr_file *file, void *buffer, size_t length,
		    uint64_t offset);
	/* Asynchronous. -EAGAIN when ATR_STORAGE_QUEUE operations are under way. */
	int (*write)(struct atr_storage *storage, struct atr_file *file, const void *buffer,
		     size_t length, uint64_t offset, void *cookie);
	int (*sync)(struct atr_storage *storage, struct atr_file *file, void *cookie);
	/* Takes finished operations; waits for the first one if wait is true. */
	int (*reap)(struct atr_storage *storage, struct atr_completion *out, unsigned int max,
		    bool wait);
	/* Names in the directory, one after the other in alphabetical order; -ENOENT at the end.
	 * index 0 looks at the directory anew. */
	int (*list)(struct atr_storage *storage, unsigned int index, char *name, size_t size);
	/* Durable when it returns; open files stay open. -EEXIST if `to` exists. */
	int (*rename)(struct atr_storage *storage, const char *from, const char *to);
	/* Removes a file that is not open; durable when it returns. */
	int (*remove)(struct atr_storage *storage, const char *name);
	uint64_t (*free_bytes)(struct atr_storage *storage);
	/* Optional (may be NULL): memory from which most writes come, so that it need not be looked
	 * up for each. Where the kernel does not grant it, writes are only slower. Must stay valid
	 * until forgotten by length 0. */
	void (*memory)(struct atr_storage *storage, void *base, size_t length);
	/* Waits for what is under way, closes, unlocks, frees. */
	void (*destroy)(struct atr_storage *storage);
};

struct atr_storage {
	const struct atr_storage_ops *ops;
};

/* A directory on a real disk; made if missing (mode 0750), locked. engine: "io_uring", "pwritev2",
 * or NULL for the best that works here; "read" is for tools: not made, not locked, and writes,
 * syncs, creations, renames and removals are -EROFS; "beside" is for another thread of the process
 * that has locked the directory: not made, not locked, pwritev2. NULL with a sentence in error. */
struct atr_storage *atr_storage_open(const char *directory, const char *engine, char *error,
				     size_t size);

/* "io_uring, direct", "pwritev2, buffered", ...; static storage. */
const char *atr_storage_engine(const struct atr_storage *storage);

#endif
