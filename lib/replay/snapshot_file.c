/* SPDX-License-Identifier: BSD-3-Clause */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "snapshot.h"

#define PATH_SIZE 4096
#define NAME_SIZE 64
#define FILE_MODE 0640
#define TEMPORARY "snapshot.new"

static int trouble(const char *path, const char *what, char *error, size_t size)
{
	int err = errno ? errno : EIO;

	snprintf(error, size, "%s cannot be %s (%s); %s, then try again", path, what, strerror(err),
		 err == ENOENT || err == ENOTDIR || err == EACCES ? "check the path"
								  : "look after the disk");
	return -err;
}

static int write_all(int fd, const uint8_t *bytes, size_t length)
{
	while (length) {
		ssize_t n = write(fd, bytes, length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		bytes += n;
		length -= (size_t)n;
	}
	return fsync(fd);
}

static int sync_directory(const char *directory)
{
	int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC), ret;

	if (fd < 0)
		return -1;
	ret = fsync(fd);
	close(fd);
	return ret;
}

int atr_snapshot_save(const char *directory, const struct atr_snapshot *snapshot, char *error,
		      size_t size)
{
	char from[PATH_SIZE], to[PATH_SIZE], name[NAME_SIZE];
	int fd, ret;

	snprintf(name, sizeof(name), ATR_SNAPSHOT_NAME, snapshot->groups);
	if (snprintf(from, sizeof(from), "%s/" TEMPORARY, directory) >= PATH_SIZE ||
	    snprintf(to, sizeof(to), "%s/%s", directory, name) >= PATH_SIZE) {
		snprintf(error, size, "the directory's path is too long; choose a shorter one");
		return -ENAMETOOLONG;
	}
	errno = 0;
	fd = open(from, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, FILE_MODE);
	if (fd < 0)
		return trouble(from, "made", error, size);
	ret = write_all(fd, snapshot->bytes, snapshot->length);
	if (ret < 0)
		ret = trouble(from, "written", error, size);
	close(fd);
	if (ret == 0 && (rename(from, to) < 0 || sync_directory(directory) < 0))
		ret = trouble(to, "put in its place", error, size);
	if (ret < 0)
		unlink(from);
	return ret;
}

static int read_all(int fd, const char *path, struct atr_snapshot *snapshot, char *error,
		    size_t size)
{
	struct stat st;
	size_t at = 0;

	errno = 0;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) ||
	    st.st_size < (off_t)sizeof(struct atr_snapshot_hdr) ||
	    (uint64_t)st.st_size >= ATR_SNAPSHOT_MAX) {
		snprintf(error, size, "%s is no snapshot: it has not the size of one", path);
		return -EBADMSG;
	}
	snapshot->length = (size_t)st.st_size;
	snapshot->bytes = malloc(snapshot->length);
	if (!snapshot->bytes) {
		snprintf(error, size, "out of memory for %s; free some and try again", path);
		return -ENOMEM;
	}
	while (at < snapshot->length) {
		ssize_t n = read(fd, snapshot->bytes + at, snapshot->length - at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return trouble(path, "read", error, size);
		at += (size_t)n;
	}
	return 0;
}

int atr_snapshot_read(const char *path, struct atr_snapshot *snapshot, char *error, size_t size)
{
	struct atr_snapshot_hdr hdr;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), ret;

	memset(snapshot, 0, sizeof(*snapshot));
	if (fd < 0)
		return trouble(path, "opened", error, size);
	ret = read_all(fd, path, snapshot, error, size);
	close(fd);
	if (ret < 0) {
		free(snapshot->bytes);
		snapshot->bytes = NULL;
		return ret;
	}
	memcpy(&hdr, snapshot->bytes, sizeof(hdr));
	snapshot->groups = hdr.groups;
	snapshot->leaves = hdr.leaves;
	crypto_hash_sha256(snapshot->digest, snapshot->bytes, snapshot->length);
	return 0;
}

int atr_snapshot_list(const char *directory, uint64_t *groups, unsigned int capacity)
{
	DIR *dir = opendir(directory);
	unsigned int count = 0;
	struct dirent *entry;

	if (!dir)
		return -errno;
	while ((entry = readdir(dir))) {
		char name[NAME_SIZE];
		uint64_t number;
		unsigned int at;

		if (strncmp(entry->d_name, "snapshot-", strlen("snapshot-")) != 0)
			continue;
		number = strtoull(entry->d_name + strlen("snapshot-"), NULL, 16);
		snprintf(name, sizeof(name), ATR_SNAPSHOT_NAME, number);
		if (strcmp(name, entry->d_name) != 0)
			continue;
		/* The oldest falls out where there are more. */
		for (at = count; at > 0 && groups[at - 1] < number; at--)
			if (at < capacity)
				groups[at] = groups[at - 1];
		if (at < capacity)
			groups[at] = number;
		count += count < capacity;
	}
	closedir(dir);
	return (int)count;
}
