/* SPDX-License-Identifier: BSD-3-Clause */
/* The outbox's directory on a real disk. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "outbox.h"

#define MODE_DIRECTORY 0700
#define MODE_FILE      0600

struct directory {
	struct outbox_files files;
	int at, lock, fd;
};

static struct directory *directory_of(struct outbox_files *files)
{
	return (struct directory *)files;
}

static int read_whole(int fd, uint8_t **bytes, size_t *length)
{
	struct stat info;
	size_t at = 0;

	if (fstat(fd, &info))
		return -errno;
	if (!S_ISREG(info.st_mode) || info.st_nlink != 1)
		return -EMLINK;
	if ((uint64_t)info.st_size > OUTBOX_BYTES_MAX)
		return -EFBIG;
	*length = (size_t)info.st_size;
	*bytes = malloc(*length ? *length : 1);
	if (!*bytes)
		return -ENOMEM;
	while (at < *length) {
		ssize_t n = read(fd, *bytes + at, *length - at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			free(*bytes);
			return n < 0 ? -errno : -EIO;
		}
		at += (size_t)n;
	}
	return 0;
}

static int disk_load(struct outbox_files *files, const char *name, uint8_t **bytes, size_t *length)
{
	int fd = openat(directory_of(files)->at, name,
			O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	int err;

	if (fd < 0)
		return -errno;
	err = read_whole(fd, bytes, length);
	close(fd);
	return err;
}

static int disk_open(struct outbox_files *files, const char *name, bool create, size_t length)
{
	struct directory *d = directory_of(files);
	int fd;

	if (create && unlinkat(d->at, name, 0) && errno != ENOENT)
		return -errno;
	fd = openat(d->at, name,
		    O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW | (create ? O_CREAT | O_EXCL : 0),
		    MODE_FILE);
	if (fd < 0)
		return -errno;
	if (!create && ftruncate(fd, (off_t)length)) {
		int err = -errno;

		close(fd);
		return err;
	}
	if (d->fd >= 0)
		close(d->fd);
	d->fd = fd;
	return 0;
}

static int disk_write(struct outbox_files *files, const void *bytes, size_t length)
{
	const uint8_t *p = bytes;

	while (length) {
		ssize_t n = write(directory_of(files)->fd, p, length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		p += n;
		length -= (size_t)n;
	}
	return 0;
}

static int disk_sync(struct outbox_files *files)
{
	return fdatasync(directory_of(files)->fd) ? -errno : 0;
}

static int disk_rename(struct outbox_files *files, const char *from, const char *to)
{
	struct directory *d = directory_of(files);

	if (renameat(d->at, from, d->at, to) || fsync(d->at))
		return -errno;
	return 0;
}

static void disk_destroy(struct outbox_files *files)
{
	struct directory *d = directory_of(files);

	if (d->fd >= 0)
		close(d->fd);
	if (d->lock >= 0)
		close(d->lock);
	if (d->at >= 0)
		close(d->at);
	free(d);
}

/* A directory that is made here must not vanish with a crash: its name is synced, too. */
static int make_directory(const char *path)
{
	char parent[PATH_MAX];
	size_t length = strlen(path);
	int fd, err = 0;

	if (length == 0 || length + sizeof("/..") > sizeof(parent))
		return -ENAMETOOLONG;
	if (mkdir(path, MODE_DIRECTORY))
		return errno == EEXIST ? 0 : -errno;
	snprintf(parent, sizeof(parent), "%s/..", path);
	fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fsync(fd))
		err = -errno;
	close(fd);
	return err;
}

static int take_directory(struct directory *d, const char *path)
{
	int err = make_directory(path);

	if (err)
		return err;
	d->at = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (d->at < 0)
		return -errno;
	d->lock = openat(d->at, OUTBOX_LOCK, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, MODE_FILE);
	if (d->lock < 0)
		return -errno;
	return flock(d->lock, LOCK_EX | LOCK_NB) ? -errno : 0;
}

struct outbox_files *outbox_directory(const char *path, char *error, size_t size)
{
	struct directory *d = calloc(1, sizeof(*d));
	int err;

	if (!d) {
		snprintf(error, size, "out of memory");
		return NULL;
	}
	d->files = (struct outbox_files){disk_load, disk_open,   disk_write,
					 disk_sync, disk_rename, disk_destroy};
	d->at = d->lock = d->fd = -1;
	err = take_directory(d, path);
	if (err == 0)
		return &d->files;
	snprintf(error, size,
		 err == -EWOULDBLOCK ? "outbox %.300s: another process uses it; wait for that one, "
				       "or use another directory"
				     : "outbox %.300s: %s",
		 path, strerror(-err));
	disk_destroy(&d->files);
	return NULL;
}
