/* SPDX-License-Identifier: BSD-3-Clause */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "quarantine_internal.h"

#define NUMBER_DIGITS     6 /* at least */
#define NUMBER_DIGITS_MAX 15
#define FILE_MODE         0640
#define OPEN_TRIES        16

/* Number of a file of this series, or 0 if the name is not exactly one that we would give. */
static uint64_t number_of(const struct series *series, const char *name)
{
	size_t prefix = strlen(series->prefix), digits = 0;
	uint64_t number = 0;

	if (strncmp(name, series->prefix, prefix) != 0)
		return 0;
	name += prefix;
	for (; name[digits] >= '0' && name[digits] <= '9'; digits++) {
		if (digits == NUMBER_DIGITS_MAX)
			return 0;
		number = number * 10 + (uint64_t)(name[digits] - '0');
	}
	if (digits < NUMBER_DIGITS || (digits > NUMBER_DIGITS && name[0] == '0') ||
	    strcmp(name + digits, series->suffix) != 0)
		return 0;
	return number;
}

/* What a look at the directory finds of the series. */
struct survey {
	uint64_t highest; /* number taken by anything */
	uint64_t oldest;  /* of regular files; 0: none */
	uint64_t files, bytes;
};

static int survey(const struct series *series, struct survey *found)
{
	int fd = openat(series->directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *directory = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	memset(found, 0, sizeof(*found));
	if (!directory) {
		int code = -errno;

		if (fd >= 0)
			close(fd);
		return code;
	}
	while ((entry = readdir(directory))) {
		uint64_t number = number_of(series, entry->d_name);
		struct stat status;

		if (number == 0)
			continue;
		found->highest = RTE_MAX(found->highest, number);
		if (fstatat(series->directory, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0 ||
		    !S_ISREG(status.st_mode))
			continue;
		found->files++;
		found->bytes += (uint64_t)status.st_size;
		if (found->oldest == 0 || number < found->oldest)
			found->oldest = number;
	}
	closedir(directory);
	return 0;
}

static void name_of(const struct series *series, uint64_t number, char out[QUARANTINE_NAME_MAX])
{
	snprintf(out, QUARANTINE_NAME_MAX, "%s%0*" PRIu64 "%s", series->prefix, NUMBER_DIGITS,
		 number, series->suffix);
}

int series_init(struct series *series, int directory, const char *prefix, const char *suffix,
		unsigned int keep)
{
	memset(series, 0, sizeof(*series));
	series->prefix = prefix;
	series->suffix = suffix;
	series->directory = directory;
	series->keep = keep;
	series->fd = -1;
	series->buffer = malloc(QUARANTINE_BUFFER);
	return series->buffer ? 0 : -ENOMEM;
}

void series_free(struct series *series)
{
	series_close(series);
	free(series->buffer);
}

void series_close(struct series *series)
{
	if (series->fd >= 0)
		close(series->fd);
	series->fd = -1;
}

/* Deletes the oldest files until the series, with one more file, is within its bound. */
static int make_room(struct series *series, struct survey *found)
{
	int result = survey(series, found);

	while (result == 0 && found->files >= series->keep) {
		char name[QUARANTINE_NAME_MAX];

		name_of(series, found->oldest, name);
		if (unlinkat(series->directory, name, 0) != 0 && errno != ENOENT)
			return -errno;
		uint64_t highest = found->highest;

		result = survey(series, found);
		found->highest = RTE_MAX(found->highest, highest);
	}
	return result;
}

int series_open(struct series *series)
{
	struct survey found;
	int result;

	series_close(series);
	series->committed = 0;
	series->buffered = 0;
	result = make_room(series, &found);
	if (result != 0)
		return result;
	series->number = RTE_MAX(series->number, found.highest);
	series->others = found.bytes;
	for (unsigned int i = 0; i < OPEN_TRIES; i++) {
		name_of(series, ++series->number, series->name);
		series->fd =
			openat(series->directory, series->name,
			       O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, FILE_MODE);
		if (series->fd >= 0 || errno != EEXIST)
			break;
	}
	return series->fd >= 0 ? 0 : -errno;
}

void series_add(struct series *series, const void *bytes, size_t length)
{
	memcpy(series->buffer + series->buffered, bytes, length);
	series->buffered += (uint32_t)length;
}

int series_write(struct series *series)
{
	for (uint32_t done = 0; done < series->buffered;) {
		ssize_t count = pwrite(series->fd, series->buffer + done, series->buffered - done,
				       (off_t)(series->committed + done));

		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0)
			return -errno;
		if (count == 0)
			return -ENOSPC;
		done += (uint32_t)count;
	}
	return 0;
}

void series_commit(struct series *series)
{
	series->committed += series->buffered;
	series->buffered = 0;
}

void series_rollback(struct series *series)
{
	series->buffered = 0;
	/* A file that cannot be cut back is given up: the next one begins whole. */
	if (series->fd >= 0 && ftruncate(series->fd, (off_t)series->committed) != 0)
		series_close(series);
}
