/* SPDX-License-Identifier: BSD-3-Clause */
#include "simdisk.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum tear { TEAR_DROP, TEAR_SUBSET, TEAR_512, TEAR_4096, TEAR_KEEP, TEAR_KINDS };

uint64_t sim_random(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9E3779B97F4A7C15);

	z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
	return z ^ (z >> 31);
}

static struct atr_storage_ops beside_ops; /* the same as of the disk itself */

static struct simdisk *sim(struct atr_storage *storage)
{
	if (storage->ops == &beside_ops)
		return ((struct sim_beside *)storage)->disk;
	return (struct simdisk *)storage;
}

static void die(const char *what)
{
	fprintf(stderr, "simdisk: %s\n", what);
	abort();
}

static bool alive(struct simdisk *disk)
{
	disk->boundary++;
	if (disk->boundary == disk->crash_at || (disk->power_off && *disk->power_off))
		disk->crashed = true;
	if (disk->crashed && disk->power_off)
		*disk->power_off = true;
	return !disk->crashed;
}

struct atr_file *simdisk_file(struct simdisk *disk, const char *name)
{
	for (unsigned int i = 0; i < disk->files; i++)
		if (strcmp(disk->file[i].name, name) == 0)
			return &disk->file[i];
	return NULL;
}

/* The oldest place that is free. */
static struct atr_file *place(struct simdisk *disk)
{
	struct atr_file *file = simdisk_file(disk, "");

	if (!file && disk->files == SIM_FILES_MAX)
		die("too many files");
	return file ? file : &disk->file[disk->files++];
}

static int sim_open(struct atr_storage *storage, const char *name, bool create, uint64_t *size,
		    struct atr_file **out)
{
	struct simdisk *disk = sim(storage);
	struct atr_file *file = simdisk_file(disk, name);

	if (!alive(disk))
		return -EIO;
	if (!file && !create)
		return -ENOENT;
	if (file && create && file->size > *size)
		return -EEXIST;
	if (file && create && file->size < *size)
		die("the log never makes files grow");
	if (!file) {
		if (*size > disk->room)
			return -ENOSPC;
		disk->room -= *size;
		file = place(disk);
		*file = (struct atr_file){.size = *size};
		snprintf(file->name, sizeof(file->name), "%s", name);
		file->durable = calloc(1, *size);
		file->current = calloc(1, *size);
	}
	*size = file->size;
	*out = file;
	if (!alive(disk))
		return -EIO;
	file->opens++;
	return 0;
}

static void sim_close(struct atr_storage *storage, struct atr_file *file)
{
	struct simdisk *disk = sim(storage);

	for (unsigned int i = 0; i < disk->ops; i++)
		if (disk->op[i].file == file && disk->op[i].owner == storage && !disk->crashed)
			die("closed with operations under way");
	file->opens--;
}

static int sim_read(struct atr_storage *storage, struct atr_file *file, void *buffer, size_t length,
		    uint64_t offset)
{
	(void)storage;
	if (offset > file->size || length > file->size - offset)
		return -ENODATA;
	memcpy(buffer, file->current + offset, length);
	return 0;
}

static void queue(struct atr_storage *owner, struct atr_file *file, void *cookie, uint64_t sync,
		  uint64_t offset)
{
	struct simdisk *disk = sim(owner);
	unsigned int wait =
		disk->slowness ? (unsigned int)(sim_random(&disk->random) % (disk->slowness + 1))
			       : 0;

	disk->op[disk->ops++] = (struct sim_op){.owner = owner,
						.cookie = cookie,
						.file = file,
						.sync = sync,
						.write_offset = offset,
						.not_before = wait};
}

static int sim_write(struct atr_storage *storage, struct atr_file *file, const void *buffer,
		     size_t length, uint64_t offset, void *cookie)
{
	struct simdisk *disk = sim(storage);
	struct sim_write *write;

	if ((uintptr_t)buffer % ATR_STORAGE_ALIGN || length % ATR_STORAGE_ALIGN || length == 0 ||
	    offset % ATR_STORAGE_ALIGN || offset > file->size || length > file->size - offset)
		die("a write that is not aligned, or beyond the end");
	if (disk->ops >= disk->queue)
		return -EAGAIN;
	if (!alive(disk))
		return -EIO;
	if (file->writes == file->room) {
		file->room = file->room ? 2 * file->room : 16;
		file->write = realloc(file->write, file->room * sizeof(*file->write));
	}
	write = &file->write[file->writes++];
	*write = (struct sim_write){.offset = offset, .length = length, .source = buffer};
	write->data = malloc(length);
	memcpy(write->data, buffer, length);
	memcpy(file->current + offset, buffer, length);
	queue(storage, file, cookie, 0, offset);
	return alive(disk) ? 0 : -EIO;
}

static int sim_sync(struct atr_storage *storage, struct atr_file *file, void *cookie)
{
	struct simdisk *disk = sim(storage);

	if (disk->ops >= disk->queue)
		return -EAGAIN;
	if (!alive(disk))
		return -EIO;
	disk->syncs++;
	/* Only what has completed by now is covered. */
	for (unsigned int i = 0; i < file->writes; i++)
		if (file->write[i].completed && file->write[i].sync == 0)
			file->write[i].sync = disk->syncs;
	queue(storage, file, cookie, disk->syncs, 0);
	return alive(disk) ? 0 : -EIO;
}

static void forget(struct atr_file *file, unsigned int i)
{
	free(file->write[i].data);
	memmove(&file->write[i], &file->write[i + 1],
		(file->writes - i - 1) * sizeof(*file->write));
	file->writes--;
}

/* Others keep pointers to their files: the place stays, free. */
static void drop(struct atr_file *file)
{
	if (file->opens)
		die("removed while it is open");
	while (file->writes > 0)
		forget(file, 0);
	free(file->write);
	free(file->durable);
	free(file->current);
	*file = (struct atr_file){0};
}

/* As kernels do: after a sync that failed some of what it covered is never written, and no later
 * sync says so. */
static void settle_sync(struct simdisk *disk, struct atr_file *file, uint64_t sync, bool fails)
{
	for (unsigned int i = 0; i < file->writes;) {
		struct sim_write *write = &file->write[i];

		if (write->sync != sync) {
			i++;
			continue;
		}
		if (!fails || sim_random(&disk->random) % 2)
			memcpy(file->durable + write->offset, write->data, write->length);
		forget(file, i);
	}
}

static int settle_write(struct simdisk *disk, struct sim_op *op)
{
	disk->writes_seen++;
	for (unsigned int i = 0; i < op->file->writes; i++) {
		struct sim_write *write = &op->file->write[i];

		if (write->completed || write->offset != op->write_offset)
			continue;
		if (memcmp(write->data, write->source, write->length) != 0)
			die("a buffer was changed while it was being written");
		write->completed = true;
		if (disk->writes_seen != disk->fail_write)
			return 0;
		disk->failed = true;
		return -EIO;
	}
	die("a write that is not there");
	return -EIO;
}

/* Index of an operation of this owner that may finish now, or -1. */
static int choose(struct simdisk *disk, const struct atr_storage *owner)
{
	unsigned int start = (unsigned int)(sim_random(&disk->random) % disk->ops);

	for (unsigned int k = 0; k < disk->ops; k++) {
		unsigned int i = (start + k) % disk->ops;

		if (disk->op[i].owner != owner)
			continue;
		if (disk->op[i].not_before == 0)
			return (int)i;
		disk->op[i].not_before--;
	}
	return -1;
}

static bool owns(const struct simdisk *disk, const struct atr_storage *owner)
{
	for (unsigned int i = 0; i < disk->ops; i++)
		if (disk->op[i].owner == owner)
			return true;
	return false;
}

static int sim_reap(struct atr_storage *storage, struct atr_completion *out, unsigned int max,
		    bool wait)
{
	struct simdisk *disk = sim(storage);
	unsigned int n = 0;

	while (!disk->crashed && owns(disk, storage) && n < max) {
		int i = choose(disk, storage);
		struct sim_op op;

		if (i < 0 && wait && n == 0)
			continue;
		if (i < 0 || !alive(disk))
			break;
		op = disk->op[i];
		out[n].cookie = op.cookie;
		if (op.sync) {
			bool fails = ++disk->syncs_seen == disk->fail_sync;

			disk->failed |= fails;
			settle_sync(disk, op.file, op.sync, fails);
			out[n].result = fails ? -EIO : 0;
		} else {
			out[n].result = settle_write(disk, &op);
		}
		disk->op[i] = disk->op[--disk->ops];
		if (!alive(disk))
			break;
		n++;
		if (!wait && sim_random(&disk->random) % 3 == 0)
			break;
	}
	return (int)n;
}

static int compare(const void *a, const void *b)
{
	return strcmp(a, b);
}

static int sim_list(struct atr_storage *storage, unsigned int index, char *name, size_t size)
{
	struct simdisk *disk = sim(storage);
	char names[SIM_FILES_MAX][SIM_NAME_MAX];
	unsigned int count = 0;

	for (unsigned int i = 0; i < disk->files; i++)
		if (disk->file[i].name[0])
			memcpy(names[count++], disk->file[i].name, SIM_NAME_MAX);
	if (index >= count)
		return -ENOENT;
	qsort(names, count, SIM_NAME_MAX, compare);
	snprintf(name, size, "%s", names[index]);
	return 0;
}

static int sim_rename(struct atr_storage *storage, const char *from, const char *to)
{
	struct simdisk *disk = sim(storage);
	struct atr_file *file = simdisk_file(disk, from);

	if (!alive(disk))
		return -EIO;
	if (!file)
		return -ENOENT;
	if (simdisk_file(disk, to))
		return -EEXIST;
	snprintf(file->name, sizeof(file->name), "%s", to);
	return alive(disk) ? 0 : -EIO;
}

static int sim_remove(struct atr_storage *storage, const char *name)
{
	struct simdisk *disk = sim(storage);
	struct atr_file *file = simdisk_file(disk, name);

	if (!alive(disk))
		return -EIO;
	if (!file)
		return -ENOENT;
	disk->room += file->size;
	drop(file);
	return alive(disk) ? 0 : -EIO;
}

static uint64_t sim_free_bytes(struct atr_storage *storage)
{
	return sim(storage)->room;
}

static void sim_destroy(struct atr_storage *storage)
{
	(void)storage;
}

static const struct atr_storage_ops sim_ops = {
	.open = sim_open,
	.close = sim_close,
	.read = sim_read,
	.write = sim_write,
	.sync = sim_sync,
	.reap = sim_reap,
	.list = sim_list,
	.rename = sim_rename,
	.remove = sim_remove,
	.free_bytes = sim_free_bytes,
	.destroy = sim_destroy,
};

void simdisk_init(struct simdisk *disk, uint64_t seed)
{
	memset(disk, 0, sizeof(*disk));
	disk->base.ops = &sim_ops;
	beside_ops = sim_ops;
	disk->beside = (struct sim_beside){.base = {&beside_ops}, .disk = disk};
	disk->random = seed;
	disk->room = UINT64_MAX;
	disk->queue = ATR_STORAGE_QUEUE;
}

static void survive(struct simdisk *disk, struct atr_file *file, const struct sim_write *write,
		    enum tear tear)
{
	size_t step = tear == TEAR_512 ? 512 : tear == TEAR_4096 ? 4096 : write->length;
	/* Mostly lost, mostly kept, or half and half. */
	uint64_t odds = 1 + sim_random(&disk->random) % 15;

	for (size_t at = 0; at < write->length; at += step) {
		if (tear == TEAR_DROP ||
		    (tear != TEAR_KEEP && sim_random(&disk->random) % 16 >= odds))
			continue;
		memcpy(file->durable + write->offset + at, write->data + at, step);
	}
}

void simdisk_restart(struct simdisk *disk)
{
	enum tear tear = (enum tear)(sim_random(&disk->random) % TEAR_KINDS);

	for (unsigned int i = 0; i < disk->files; i++) {
		struct atr_file *file = &disk->file[i];

		file->opens = 0;
		while (file->writes > 0) {
			survive(disk, file, &file->write[0], tear);
			forget(file, 0);
		}
		if (file->size)
			memcpy(file->current, file->durable, file->size);
	}
	disk->ops = 0;
	disk->crashed = false;
	disk->crash_at = 0;
	disk->boundary = 0;
	disk->fail_write = disk->fail_sync = 0;
	disk->failed = false;
}

void simdisk_free(struct simdisk *disk)
{
	for (unsigned int i = 0; i < disk->files; i++) {
		disk->file[i].opens = 0;
		drop(&disk->file[i]);
	}
}
