/* SPDX-License-Identifier: BSD-3-Clause */
#include "anchor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME_MAX_LENGTH 40
#define FILE_NAME       "shard-%u.checkpoint"
#define NEW_NAME        "shard-%u.checkpoint.new"
#define FILE_MODE       0640

struct atr_anchor {
	int fd;
	char *directory;
};

struct atr_anchor *atr_anchor_open(const char *directory, char *error, size_t size)
{
	struct atr_anchor *anchor = calloc(1, sizeof(*anchor));

	if (anchor)
		anchor->directory = strdup(directory);
	if (!anchor || !anchor->directory) {
		snprintf(error, size, "anchor %s: out of memory", directory);
		free(anchor);
		return NULL;
	}
	anchor->fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (anchor->fd < 0) {
		snprintf(
			error, size,
			"anchor %s: %s; mount its disk and make the directory, or give another one",
			directory, strerror(errno));
		free(anchor->directory);
		free(anchor);
		return NULL;
	}
	return anchor;
}

void atr_anchor_close(struct atr_anchor *anchor)
{
	if (!anchor)
		return;
	close(anchor->fd);
	free(anchor->directory);
	free(anchor);
}

bool atr_anchor_apart(const struct atr_anchor *anchor, const char *directory)
{
	struct stat here, there;

	return fstat(anchor->fd, &here) == 0 && stat(directory, &there) == 0 &&
	       here.st_dev != there.st_dev;
}

void atr_anchor_file(const struct atr_anchor *anchor, uint32_t shard, char *out, size_t size)
{
	snprintf(out, size, "%s/" FILE_NAME, anchor->directory, shard);
}

/* The file's bytes, at most size; their number or negative errno. */
static ssize_t read_note(const struct atr_anchor *anchor, uint32_t shard, char *note, size_t size)
{
	char name[NAME_MAX_LENGTH];
	size_t length = 0;
	ssize_t n = 1;
	int fd;

	snprintf(name, sizeof(name), FILE_NAME, shard);
	fd = openat(anchor->fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -errno;
	while (length < size && n != 0) {
		n = read(fd, note + length, size - length);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			n = -errno;
			close(fd);
			return n;
		}
		length += (size_t)n;
	}
	close(fd);
	return (ssize_t)length;
}

int atr_anchor_load(const struct atr_anchor *anchor, uint32_t shard, const char *origin,
		    const uint8_t key[ATR_PUBLIC_KEY_SIZE], struct atr_checkpoint *checkpoint,
		    char *error, size_t size)
{
	char note[ATR_CHECKPOINT_MAX + 1], file[ATR_ANCHOR_FILE_MAX];
	ssize_t length = read_note(anchor, shard, note, sizeof(note));
	const char *wrong = NULL;
	int rc;

	memset(checkpoint, 0, sizeof(*checkpoint));
	if (length == -ENOENT)
		return 0;
	atr_anchor_file(anchor, shard, file, sizeof(file));
	if (length < 0) {
		snprintf(error, size,
			 "%s, byte 0: cannot be read (%s); look after the anchor's disk", file,
			 strerror((int)-length));
		return (int)length;
	}
	rc = atr_checkpoint_verify(note, (size_t)length, key, checkpoint);
	if (rc == -EKEYREJECTED)
		wrong = "the checkpoint is not signed by this appliance's checkpoint key";
	else if (rc < 0)
		wrong = "this is no signed checkpoint";
	else if (origin && strcmp(checkpoint->origin, origin) != 0)
		wrong = "the checkpoint is of another log or shard";
	if (!wrong)
		return 0;
	memset(checkpoint, 0, sizeof(*checkpoint));
	snprintf(error, size,
		 "%s, byte 0: %s; nothing was changed: put the right file back, or keep it as "
		 "evidence and start with an empty anchor",
		 file, wrong);
	return -EBADMSG;
}

static int write_all(int fd, const char *note, size_t length)
{
	while (length > 0) {
		ssize_t n = write(fd, note, length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		note += n;
		length -= (size_t)n;
	}
	return 0;
}

int atr_anchor_keep(const struct atr_anchor *anchor, uint32_t shard, const char *note,
		    size_t length)
{
	char name[NAME_MAX_LENGTH], made[NAME_MAX_LENGTH];
	int rc, fd;

	snprintf(name, sizeof(name), FILE_NAME, shard);
	snprintf(made, sizeof(made), NEW_NAME, shard);
	fd = openat(anchor->fd, made, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
		    FILE_MODE);
	if (fd < 0)
		return -errno;
	rc = write_all(fd, note, length);
	if (rc == 0 && fdatasync(fd) < 0)
		rc = -errno;
	if (close(fd) < 0 && rc == 0)
		rc = -errno;
	if (rc == 0 && (renameat(anchor->fd, made, anchor->fd, name) < 0 || fsync(anchor->fd) < 0))
		rc = -errno;
	return rc;
}
