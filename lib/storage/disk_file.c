/* SPDX-License-Identifier: BSD-3-Clause */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "storage_internal.h"

/* Names are plain: no path, nothing hidden. */
static bool name_ok(const char *name)
{
	size_t length = strnlen(name, DISK_NAME_MAX + 1);

	return length > 0 && length <= DISK_NAME_MAX && name[0] != '.' && !strchr(name, '/');
}

/* Brings a file to size bytes that are allocated, where the file system can promise that. */
static int allocate(const struct disk *disk, int fd, uint64_t size)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if ((uint64_t)st.st_size > size)
		return -EEXIST;
	if (fallocate(fd, 0, 0, (off_t)size) < 0) {
		if (errno != EOPNOTSUPP && errno != ENOSYS)
			return -errno;
		if (ftruncate(fd, (off_t)size) < 0)
			return -errno;
	}
	if (fsync(fd) < 0 || fsync(disk->dir_fd) < 0)
		return -errno;
	return 0;
}

int disk_open_file(struct atr_storage *storage, const char *name, bool create, uint64_t *size,
		   struct atr_file **file)
{
	struct disk *disk = disk_of(storage);
	int flags = O_CLOEXEC | O_NOFOLLOW | (disk->direct ? O_DIRECT : 0) |
		    (disk->engine == DISK_READ ? O_RDONLY : O_RDWR) | (create ? O_CREAT : 0);
	struct atr_file *made;
	struct stat st;
	int fd, rc = 0;

	if (!name_ok(name))
		return -EINVAL;
	if (create && disk->engine == DISK_READ)
		return -EROFS;
	fd = openat(disk->dir_fd, name, flags, DISK_MODE_FILE);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		rc = -errno;
	else if (!S_ISREG(st.st_mode))
		rc = -EINVAL;
	else if (create)
		rc = allocate(disk, fd, *size);
	else
		*size = (uint64_t)st.st_size;
	made = rc == 0 ? calloc(1, sizeof(*made)) : NULL;
	if (!made) {
		close(fd);
		return rc < 0 ? rc : -ENOMEM;
	}
	made->fd = fd;
	made->slot = disk->engine == DISK_URING ? uring_file_add(disk, fd) : DISK_SLOT_NONE;
	*file = made;
	return 0;
}

void disk_close_file(struct atr_storage *storage, struct atr_file *file)
{
	uring_file_remove(disk_of(storage), file->slot);
	close(file->fd);
	free(file);
}

int disk_read(struct atr_storage *storage, struct atr_file *file, void *buffer, size_t length,
	      uint64_t offset)
{
	uint8_t *to = buffer;

	(void)storage;
	while (length > 0) {
		ssize_t n = pread(file->fd, to, length, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -ENODATA;
		to += n;
		offset += (uint64_t)n;
		length -= (size_t)n;
	}
	return 0;
}

void disk_names_free(struct disk *disk)
{
	for (unsigned int i = 0; i < disk->name_count; i++)
		free(disk->names[i]);
	free(disk->names);
	disk->names = NULL;
	disk->name_count = 0;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int add_name(struct disk *disk, const char *name, unsigned int *room)
{
	if (disk->name_count == *room) {
		unsigned int wider = *room ? *room * 2 : 16;
		char **names = reallocarray(disk->names, wider, sizeof(*names));

		if (!names)
			return -ENOMEM;
		disk->names = names;
		*room = wider;
	}
	disk->names[disk->name_count] = strdup(name);
	if (!disk->names[disk->name_count])
		return -ENOMEM;
	disk->name_count++;
	return 0;
}

static int look(struct disk *disk)
{
	int fd = openat(disk->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	unsigned int room = 0;
	struct dirent *entry;
	int rc = 0;

	disk_names_free(disk);
	if (!dir) {
		rc = -errno;
		if (fd >= 0)
			close(fd);
		return rc;
	}
	errno = 0;
	while (rc == 0 && (entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] != '.')
			rc = add_name(disk, entry->d_name, &room);
		errno = 0;
	}
	if (rc == 0 && errno != 0)
		rc = -errno;
	closedir(dir);
	if (disk->name_count > 0)
		qsort(disk->names, disk->name_count, sizeof(*disk->names), compare_names);
	return rc;
}

int disk_list(struct atr_storage *storage, unsigned int index, char *name, size_t size)
{
	struct disk *disk = disk_of(storage);
	int rc = index == 0 ? look(disk) : 0;

	if (rc < 0)
		return rc;
	if (index >= disk->name_count)
		return -ENOENT;
	if (strlen(disk->names[index]) >= size)
		return -ENAMETOOLONG;
	snprintf(name, size, "%s", disk->names[index]);
	return 0;
}

int disk_rename(struct atr_storage *storage, const char *from, const char *to)
{
	struct disk *disk = disk_of(storage);

	if (!name_ok(from) || !name_ok(to))
		return -EINVAL;
	if (disk->engine == DISK_READ)
		return -EROFS;
	if (renameat2(disk->dir_fd, from, disk->dir_fd, to, RENAME_NOREPLACE) < 0) {
		if (errno != EINVAL && errno != ENOSYS)
			return -errno;
		/* A file system without this flag; the directory is locked, so nobody else
		 * makes the name between these two calls. */
		if (faccessat(disk->dir_fd, to, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
			return -EEXIST;
		if (renameat(disk->dir_fd, from, disk->dir_fd, to) < 0)
			return -errno;
	}
	return fsync(disk->dir_fd) < 0 ? -errno : 0;
}

int disk_remove(struct atr_storage *storage, const char *name)
{
	struct disk *disk = disk_of(storage);

	if (!name_ok(name))
		return -EINVAL;
	if (disk->engine == DISK_READ)
		return -EROFS;
	if (unlinkat(disk->dir_fd, name, 0) < 0)
		return -errno;
	return fsync(disk->dir_fd) < 0 ? -errno : 0;
}

uint64_t disk_free_bytes(struct atr_storage *storage)
{
	struct statvfs st;

	if (fstatvfs(disk_of(storage)->dir_fd, &st) < 0)
		return 0;
	return (uint64_t)st.f_bavail * st.f_frsize;
}
