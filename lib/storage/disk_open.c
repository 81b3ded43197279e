/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage_internal.h"

#define DISK_PROBE ".probe"

static int read_only_write(struct atr_storage *storage, struct atr_file *file, const void *buffer,
			   size_t length, uint64_t offset, void *cookie)
{
	(void)storage, (void)file, (void)buffer, (void)length, (void)offset, (void)cookie;
	return -EROFS;
}

static int read_only_sync(struct atr_storage *storage, struct atr_file *file, void *cookie)
{
	(void)storage, (void)file, (void)cookie;
	return -EROFS;
}

static void disk_destroy(struct atr_storage *storage)
{
	struct disk *disk = disk_of(storage);
	struct atr_completion done;

	while (disk->under_way > 0 && storage->ops->reap(storage, &done, 1, true) > 0)
		;
	if (disk->engine == DISK_URING)
		uring_stop(disk);
	disk_names_free(disk);
	close(disk->dir_fd);
	free(disk);
}

#define DISK_COMMON                                                                             \
	.open = disk_open_file, .close = disk_close_file, .read = disk_read, .list = disk_list, \
	.rename = disk_rename, .remove = disk_remove, .free_bytes = disk_free_bytes,            \
	.destroy = disk_destroy

static const struct atr_storage_ops plain_ops = {DISK_COMMON, .write = plain_write,
						 .sync = plain_sync, .reap = plain_reap};
static const struct atr_storage_ops uring_ops = {DISK_COMMON, .write = uring_write,
						 .sync = uring_sync, .reap = uring_reap,
						 .memory = uring_memory};
static const struct atr_storage_ops read_ops = {DISK_COMMON, .write = read_only_write,
						.sync = read_only_sync, .reap = plain_reap};

/* Opens the directory, made and locked unless by a guest. Negative errno with a sentence. */
static int open_directory(const char *directory, bool guest, char *error, size_t size)
{
	bool made = !guest && mkdir(directory, DISK_MODE_DIR) == 0;
	int fd, parent, saved;

	if (!guest && !made && errno != EEXIST) {
		saved = errno;
		snprintf(error, size,
			 "log directory %s: cannot be made (%s); make it, or give another one",
			 directory, strerror(saved));
		return -saved;
	}
	fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0) {
		saved = errno;
		snprintf(error, size, "log directory %s: cannot be opened (%s); give a directory",
			 directory, strerror(saved));
		return -saved;
	}
	if (!guest && flock(fd, LOCK_EX | LOCK_NB) < 0) {
		saved = errno;
		snprintf(error, size,
			 "log directory %s: in use by another process (%s); stop that one first",
			 directory, strerror(saved));
		close(fd);
		return -saved;
	}
	parent = made ? openat(fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	if (made && (parent < 0 || fsync(parent) < 0)) {
		saved = errno;
		snprintf(error, size, "log directory %s: its name cannot be made durable (%s)",
			 directory, strerror(saved));
		if (parent >= 0)
			close(parent);
		close(fd);
		return -saved;
	}
	if (parent >= 0)
		close(parent);
	return fd;
}

/* Does this file system take direct writes of our alignment? */
static bool probe_direct(int dir_fd)
{
	void *block = aligned_alloc(ATR_STORAGE_ALIGN, ATR_STORAGE_ALIGN);
	int fd = openat(dir_fd, DISK_PROBE, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_DIRECT,
			DISK_MODE_FILE);
	bool works = false;

	if (fd >= 0 && block) {
		memset(block, 0, ATR_STORAGE_ALIGN);
		works = pwrite(fd, block, ATR_STORAGE_ALIGN, 0) == ATR_STORAGE_ALIGN;
	}
	if (fd >= 0)
		close(fd);
	unlinkat(dir_fd, DISK_PROBE, 0);
	free(block);
	return works;
}

struct atr_storage *atr_storage_open(const char *directory, const char *engine, char *error,
				     size_t size)
{
	bool only_read = engine && strcmp(engine, "read") == 0;
	bool beside = engine && strcmp(engine, "beside") == 0;
	bool plain = beside || (engine && strcmp(engine, "pwritev2") == 0);
	bool uring = engine && strcmp(engine, "io_uring") == 0;
	struct disk *disk;
	int rc;

	if (engine && !only_read && !plain && !uring) {
		snprintf(error, size, "storage engine '%s' is not known; use io_uring or pwritev2",
			 engine);
		return NULL;
	}
	disk = calloc(1, sizeof(*disk));
	if (!disk) {
		snprintf(error, size, "log directory %s: out of memory", directory);
		return NULL;
	}
	disk->dir_fd = open_directory(directory, only_read || beside, error, size);
	if (disk->dir_fd < 0) {
		free(disk);
		return NULL;
	}
	disk->direct = !only_read && !beside && probe_direct(disk->dir_fd);
	disk->engine = only_read ? DISK_READ : DISK_PLAIN;
	disk->base.ops = only_read ? &read_ops : &plain_ops;
	if (only_read || plain)
		return &disk->base;
	rc = uring_start(disk);
	if (rc == 0) {
		disk->engine = DISK_URING;
		disk->base.ops = &uring_ops;
	} else if (uring) {
		snprintf(error, size, "io_uring: %s; use the engine pwritev2", strerror(-rc));
		close(disk->dir_fd);
		free(disk);
		return NULL;
	}
	return &disk->base;
}

const char *atr_storage_engine(const struct atr_storage *storage)
{
	const struct disk *disk = (const struct disk *)storage;

	if (storage->ops == &uring_ops)
		return disk->direct ? "io_uring, direct" : "io_uring, buffered";
	if (storage->ops == &plain_ops)
		return disk->direct ? "pwritev2, direct" : "pwritev2, buffered";
	return storage->ops == &read_ops ? "read" : "not a disk";
}
