/* SPDX-License-Identifier: BSD-3-Clause */
#include "memory_storage.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct memory_file *memory_find(struct memory_storage *memory, const char *name)
{
	for (unsigned int i = 0; i < memory->files; i++)
		if (strcmp(memory->file[i].name, name) == 0)
			return &memory->file[i];
	return NULL;
}

static int memory_open(struct atr_storage *storage, const char *name, bool create, uint64_t *size,
		       struct atr_file **file)
{
	struct memory_file *found = memory_find((struct memory_storage *)storage, name);

	if (create)
		return -EROFS;
	if (!found)
		return -ENOENT;
	*size = found->size;
	*file = (struct atr_file *)found;
	return 0;
}

static void memory_close(struct atr_storage *storage, struct atr_file *file)
{
	(void)storage;
	(void)file;
}

static int memory_read(struct atr_storage *storage, struct atr_file *file, void *buffer,
		       size_t length, uint64_t offset)
{
	const struct memory_storage *memory = (const struct memory_storage *)storage;
	const struct memory_file *from = (const struct memory_file *)file;

	if (memory->fail_read)
		return memory->fail_read;
	if (offset > from->size || length > from->size - offset)
		return -ENODATA;
	if (offset % ATR_STORAGE_ALIGN || (uintptr_t)buffer % ATR_STORAGE_ALIGN)
		return -EINVAL;
	memcpy(buffer, from->bytes + offset, length);
	return 0;
}

static int memory_list(struct atr_storage *storage, unsigned int index, char *name, size_t size)
{
	const struct memory_storage *memory = (const struct memory_storage *)storage;

	if (index >= memory->files)
		return -ENOENT;
	snprintf(name, size, "%s", memory->file[index].name);
	return 0;
}

void memory_init(struct memory_storage *memory)
{
	static const struct atr_storage_ops ops = {
		.open = memory_open,
		.close = memory_close,
		.read = memory_read,
		.list = memory_list,
	};

	memset(memory, 0, sizeof(*memory));
	memory->storage.ops = &ops;
}

void memory_clear(struct memory_storage *memory)
{
	for (unsigned int i = 0; i < memory->files; i++)
		free(memory->file[i].bytes);
	memory->files = 0;
	memory->fail_read = 0;
}

struct memory_file *memory_add(struct memory_storage *memory, const char *name, uint64_t size)
{
	unsigned int at = 0;

	if (memory->files == MEMORY_FILES)
		abort();
	while (at < memory->files && strcmp(memory->file[at].name, name) < 0)
		at++;
	memmove(&memory->file[at + 1], &memory->file[at],
		(memory->files - at) * sizeof(memory->file[0]));
	memory->files++;
	snprintf(memory->file[at].name, MEMORY_NAME, "%s", name);
	memory->file[at].size = size;
	memory->file[at].bytes = calloc(1, size ? size : 1);
	if (!memory->file[at].bytes)
		abort();
	return &memory->file[at];
}

void memory_remove(struct memory_storage *memory, const char *name)
{
	struct memory_file *file = memory_find(memory, name);

	if (!file)
		abort();
	free(file->bytes);
	memory->files--;
	memmove(file, file + 1,
		(size_t)(memory->file + memory->files - file) * sizeof(memory->file[0]));
}
