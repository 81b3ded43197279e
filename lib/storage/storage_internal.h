/* SPDX-License-Identifier: BSD-3-Clause */
/* Inside lib/storage only: a directory on a real disk, and the two engines that write to it. */
#ifndef ATR_STORAGE_INTERNAL_H
#define ATR_STORAGE_INTERNAL_H

#include <liburing.h>

#include "storage.h"

#define DISK_NAME_MAX  255
#define DISK_FILES_MAX 16 /* registered with io_uring; more may be open */
#define DISK_SLOT_NONE (-1)
#define DISK_MODE_DIR  0750
#define DISK_MODE_FILE 0640

enum disk_engine { DISK_PLAIN, DISK_URING, DISK_READ };

struct atr_file {
	int fd;
	int slot; /* among the registered files, or DISK_SLOT_NONE */
};

/* A write or sync under way. */
struct disk_op {
	void *cookie;
	const struct atr_file *file;
	const uint8_t *data; /* NULL: a sync */
	size_t length;       /* still to be written */
	uint64_t offset;
	int result; /* of a finished one, plain engine */
	bool used;
};

struct disk {
	struct atr_storage base; /* first: the interface's pointer is ours */
	enum disk_engine engine;
	bool direct;
	int dir_fd;
	struct io_uring ring;
	bool files_registered;
	bool slot_used[DISK_FILES_MAX];
	const uint8_t *memory; /* registered, or NULL */
	size_t memory_length;
	struct disk_op op[ATR_STORAGE_QUEUE];
	unsigned int under_way;
	unsigned int unsubmitted; /* entries that the kernel has not taken yet */
	unsigned int next_done;   /* plain engine: oldest finished one */
	char **names;             /* last listing */
	unsigned int name_count;
};

static inline struct disk *disk_of(struct atr_storage *storage)
{
	return (struct disk *)storage;
}

/* Files and names (disk_file.c). */
int disk_open_file(struct atr_storage *storage, const char *name, bool create, uint64_t *size,
		   struct atr_file **file);
void disk_close_file(struct atr_storage *storage, struct atr_file *file);
int disk_read(struct atr_storage *storage, struct atr_file *file, void *buffer, size_t length,
	      uint64_t offset);
int disk_list(struct atr_storage *storage, unsigned int index, char *name, size_t size);
int disk_rename(struct atr_storage *storage, const char *from, const char *to);
int disk_remove(struct atr_storage *storage, const char *name);
uint64_t disk_free_bytes(struct atr_storage *storage);
void disk_names_free(struct disk *disk);

/* pwritev2 and fdatasync, at once; reap hands out the results (engine_plain.c). */
int plain_write(struct atr_storage *storage, struct atr_file *file, const void *buffer,
		size_t length, uint64_t offset, void *cookie);
int plain_sync(struct atr_storage *storage, struct atr_file *file, void *cookie);
int plain_reap(struct atr_storage *storage, struct atr_completion *out, unsigned int max,
	       bool wait);

/* io_uring (engine_uring.c). uring_start: 0 or negative errno, the ring is then not there. */
int uring_start(struct disk *disk);
void uring_stop(struct disk *disk);
int uring_file_add(struct disk *disk, int fd);
void uring_file_remove(struct disk *disk, int slot);
void uring_memory(struct atr_storage *storage, void *base, size_t length);
int uring_write(struct atr_storage *storage, struct atr_file *file, const void *buffer,
		size_t length, uint64_t offset, void *cookie);
int uring_sync(struct atr_storage *storage, struct atr_file *file, void *cookie);
int uring_reap(struct atr_storage *storage, struct atr_completion *out, unsigned int max,
	       bool wait);

#endif
