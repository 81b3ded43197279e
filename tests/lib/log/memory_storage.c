/* SPDX-License-Identifier: BSD-3-Clause */
#include "memory_storage.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct memory_file *memory_find(struct memory_storage *memory, const char *name)
{
	for (unsigned int i = 0; i < memory->files; i++)
		if (strcmp(memory->file[i]->name, name) == 0)
			return memory->file[i];
	return NULL;
}

/* Puts a file where its name belongs. */
static void memory_put(struct memory_storage *memory, struct memory_file *file)
{
	unsigned int at = 0;

	while (at < memory->files && strcmp(memory->file[at]->name, file->name) < 0)
		at++;
	memmove(&memory->file[at + 1], &memory->file[at],
		(memory->files - at) * sizeof(memory->file[0]));
	memory->files++;
	memory->file[at] = file;
}

static void memory_take(struct memory_storage *memory, const struct memory_file *file)
{
	unsigned int at = 0;

	while (memory->file[at] != file)
		at++;
	memory->files--;
	memmove(&memory->file[at], &memory->file[at + 1],
		(memory->files - at) * sizeof(memory->file[0]));
}

static int memory_open(struct atr_storage *storage, const char *name, bool create, uint64_t *size,
		       struct atr_file **file)
{
	struct memory_file *found = memory_find((struct memory_storage *)storage, name);

	if (create && !found && ((struct memory_storage *)storage)->writable)
		found = memory_add((struct memory_storage *)storage, name, *size);
	else if (create)
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
	if (memory->before_read)
		memory->before_read(from);
	if (offset > from->size || length > from->size - offset)
		return -ENODATA;
	if (offset % ATR_STORAGE_ALIGN || (uintptr_t)buffer % ATR_STORAGE_ALIGN)
		return -EINVAL;
	memcpy(buffer, from->bytes + offset, length);
	return 0;
}

static int memory_write(struct atr_storage *storage, struct atr_file *file, const void *buffer,
			size_t length, uint64_t offset, void *cookie)
{
	struct memory_storage *memory = (struct memory_storage *)storage;
	struct memory_file *to = (struct memory_file *)file;

	if (offset > to->size || length > to->size - offset || offset % ATR_STORAGE_ALIGN ||
	    length % ATR_STORAGE_ALIGN || (uintptr_t)buffer % ATR_STORAGE_ALIGN || memory->done)
		abort();
	memcpy(to->bytes + offset, buffer, length);
	memory->done = cookie;
	return 0;
}

static int memory_sync(struct atr_storage *storage, struct atr_file *file, void *cookie)
{
	(void)file;
	((struct memory_storage *)storage)->done = cookie;
	return 0;
}

static int memory_reap(struct atr_storage *storage, struct atr_completion *out, unsigned int max,
		       bool wait)
{
	struct memory_storage *memory = (struct memory_storage *)storage;

	(void)max;
	(void)wait;
	if (!memory->done)
		return 0;
	*out = (struct atr_completion){.cookie = memory->done};
	memory->done = NULL;
	return 1;
}

/* -EIO from the how-many-eth change of a name on that the test has asked for. */
static bool names_fail(struct memory_storage *memory)
{
	return memory->names_left && --memory->names_left == 0 && ++memory->names_left;
}

static int memory_unlink(struct atr_storage *storage, const char *name)
{
	struct memory_storage *memory = (struct memory_storage *)storage;

	if (!memory_find(memory, name))
		return -ENOENT;
	if (names_fail(memory))
		return -EIO;
	memory_remove(memory, name);
	return 0;
}

static int memory_rename(struct atr_storage *storage, const char *from, const char *to)
{
	struct memory_storage *memory = (struct memory_storage *)storage;
	struct memory_file *file = memory_find(memory, from);

	if (!file)
		return -ENOENT;
	if (memory_find(memory, to))
		return -EEXIST;
	if (names_fail(memory))
		return -EIO;
	memory_take(memory, file);
	snprintf(file->name, MEMORY_NAME, "%s", to);
	memory_put(memory, file);
	return 0;
}

static int memory_list(struct atr_storage *storage, unsigned int index, char *name, size_t size)
{
	const struct memory_storage *memory = (const struct memory_storage *)storage;

	if (index >= memory->files)
		return -ENOENT;
	snprintf(name, size, "%s", memory->file[index]->name);
	return 0;
}

void memory_init(struct memory_storage *memory)
{
	static const struct atr_storage_ops ops = {
		.open = memory_open,
		.close = memory_close,
		.read = memory_read,
		.list = memory_list,
		.write = memory_write,
		.sync = memory_sync,
		.reap = memory_reap,
		.rename = memory_rename,
		.remove = memory_unlink,
	};

	memset(memory, 0, sizeof(*memory));
	memory->storage.ops = &ops;
}

void memory_clear(struct memory_storage *memory)
{
	while (memory->files)
		memory_remove(memory, memory->file[0]->name);
	memory->fail_read = 0;
	memory->writable = false;
	memory->names_left = 0;
	memory->before_read = NULL;
}

struct memory_file *memory_add(struct memory_storage *memory, const char *name, uint64_t size)
{
	struct memory_file *file = calloc(1, sizeof(*file));

	if (memory->files == MEMORY_FILES || !file)
		abort();
	snprintf(file->name, MEMORY_NAME, "%s", name);
	memory_put(memory, file);
	file->size = size;
	file->bytes = calloc(1, size ? size : 1);
	if (!file->bytes)
		abort();
	return file;
}

void memory_remove(struct memory_storage *memory, const char *name)
{
	struct memory_file *file = memory_find(memory, name);

	if (!file)
		abort();
	memory_take(memory, file);
	free(file->bytes);
	free(file);
}
