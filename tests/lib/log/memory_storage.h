/* SPDX-License-Identifier: BSD-3-Clause */
/* A directory in memory; tests change its bytes themselves. What is written is there at once. */
#ifndef ATR_TEST_MEMORY_STORAGE_H
#define ATR_TEST_MEMORY_STORAGE_H

#include "../../../lib/storage/storage.h"

#define MEMORY_FILES 64
#define MEMORY_NAME  64

struct memory_file {
	char name[MEMORY_NAME];
	uint8_t *bytes;
	uint64_t size;
};

/* Files are kept in the order of their names. */
struct memory_storage {
	struct atr_storage storage;
	struct memory_file *file[MEMORY_FILES];
	unsigned int files;
	int fail_read;                                       /* what reads return, if not 0 */
	void (*before_read)(const struct memory_file *file); /* NULL: nothing */
	bool writable;
	unsigned int names_left; /* renames and removals until they fail for good, 0: never */
	void *done;              /* cookie of what has finished */
};

void memory_init(struct memory_storage *memory);
void memory_clear(struct memory_storage *memory);

/* Adds a file of zeros. */
struct memory_file *memory_add(struct memory_storage *memory, const char *name, uint64_t size);
struct memory_file *memory_find(struct memory_storage *memory, const char *name);
void memory_remove(struct memory_storage *memory, const char *name);

#endif
