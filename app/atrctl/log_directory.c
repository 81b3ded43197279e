/* SPDX-License-Identifier: BSD-3-Clause */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log_tool.h"

#define LEAVES_FIRST 65536

static int directory_open(struct atr_storage *storage, const char *name, bool create,
			  uint64_t *size, struct atr_file **file)
{
	const struct log_directory *directory = (const struct log_directory *)storage;
	int fd = create ? -1 : openat(directory->fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct stat st;

	if (fd < 0)
		return create ? -EROFS : -errno;
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		close(fd);
		return -EINVAL;
	}
	*size = (uint64_t)st.st_size;
	*file = (struct atr_file *)(intptr_t)(fd + 1);
	return 0;
}

static void directory_close(struct atr_storage *storage, struct atr_file *file)
{
	(void)storage;
	close((int)(intptr_t)file - 1);
}

static int directory_read(struct atr_storage *storage, struct atr_file *file, void *buffer,
			  size_t length, uint64_t offset)
{
	uint8_t *to = buffer;

	(void)storage;
	while (length) {
		ssize_t n = pread((int)(intptr_t)file - 1, to, length, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -ENODATA;
		to += n;
		offset += (uint64_t)n;
		length -= (size_t)n;
	}
	return 0;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void free_names(struct log_directory *directory)
{
	for (unsigned int i = 0; i < directory->names; i++)
		free(directory->name[i]);
	free(directory->name);
	directory->name = NULL;
	directory->names = 0;
}

static int read_names(struct log_directory *directory)
{
	int fd = openat(directory->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;
	int err = dir ? 0 : -errno;

	free_names(directory);
	if (!dir && fd >= 0)
		close(fd);
	while (dir && !err && (entry = readdir(dir))) {
		char **more = realloc(directory->name, (directory->names + 1) * sizeof(*more));

		if (more)
			directory->name = more;
		if (more && (more[directory->names] = strdup(entry->d_name)))
			directory->names++;
		else
			err = -ENOMEM;
	}
	if (dir)
		closedir(dir);
	if (directory->names)
		qsort(directory->name, directory->names, sizeof(char *), compare_names);
	return err;
}

static int directory_list(struct atr_storage *storage, unsigned int index, char *name, size_t size)
{
	struct log_directory *directory = (struct log_directory *)storage;
	int err = index == 0 ? read_names(directory) : 0;

	if (err)
		return err;
	if (index >= directory->names)
		return -ENOENT;
	if (strlen(directory->name[index]) >= size)
		return -ENAMETOOLONG;
	strcpy(name, directory->name[index]);
	return 0;
}

int log_directory_open(struct log_directory *directory, const char *path, uint32_t shard,
		       char *error)
{
	static const struct atr_storage_ops ops = {
		.open = directory_open,
		.close = directory_close,
		.read = directory_read,
		.list = directory_list,
	};
	int err;

	memset(directory, 0, sizeof(*directory));
	directory->storage.ops = &ops;
	snprintf(directory->path, sizeof(directory->path), "%s/shard-%u", path, shard);
	directory->fd = open(directory->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	err = directory->fd < 0 ? -errno : 0;
	if (err) {
		snprintf(error, LOG_ERROR_SIZE, "%.300s: %s; name the directory that holds shard-0",
			 directory->path, strerror(-err));
		log_directory_close(directory);
	}
	return err;
}

void log_directory_close(struct log_directory *directory)
{
	free_names(directory);
	if (directory->fd >= 0)
		close(directory->fd);
	directory->fd = -1;
}

int log_leaves_add(struct log_leaves *leaves, const uint8_t leaf[ATR_HASH_SIZE])
{
	if (leaves->count >= leaves->wanted)
		return 0;
	if (leaves->count == leaves->capacity) {
		uint64_t capacity = leaves->capacity ? 2 * leaves->capacity : LEAVES_FIRST;
		void *more = realloc(leaves->leaf, capacity * ATR_HASH_SIZE);

		if (!more)
			return -ENOMEM;
		leaves->leaf = more;
		leaves->capacity = capacity;
	}
	memcpy(leaves->leaf[leaves->count++], leaf, ATR_HASH_SIZE);
	return 0;
}

int log_leaf(void *context, uint64_t index, uint8_t out[ATR_HASH_SIZE])
{
	const struct log_leaves *leaves = context;

	if (index >= leaves->count)
		return -ENODATA;
	memcpy(out, leaves->leaf[index], ATR_HASH_SIZE);
	return 0;
}

void log_leaves_root(const struct log_leaves *leaves, uint64_t size, uint8_t root[ATR_HASH_SIZE])
{
	atr_merkle_root(leaves->leaf ? leaves->leaf[0] : NULL, size, root);
}
