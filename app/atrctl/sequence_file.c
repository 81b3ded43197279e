/* SPDX-License-Identifier: BSD-3-Clause */
#include "sequence_file.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <libgen.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "event_line.h"

#define FILE_VERSION 1
#define FIRST        1
#define SUFFIX_ROOM  8

struct sequence_file {
	char path[PATH_MAX];
	int lock;
	bool dirty;
	json_t *root, *next;
};

static int refuse(char *error, const char *path, const char *why)
{
	snprintf(error, ERROR_SIZE, "%.300s: %s", path, why);
	return -EINVAL;
}

static int take_lock(struct sequence_file *f, char *error)
{
	char path[PATH_MAX + SUFFIX_ROOM];

	snprintf(path, sizeof(path), "%s.lock", f->path);
	f->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (f->lock < 0)
		return refuse(error, path, strerror(errno));
	if (flock(f->lock, LOCK_EX | LOCK_NB))
		return refuse(error, f->path,
			      "another run uses it; wait for that one, or use another file");
	return 0;
}

static int check(struct sequence_file *f, char *error)
{
	static const char remedy[] =
		"is no sequence file ({\"atr_sequences\":1,\"next\":{...}}); restore it, "
		"or remove it and go on with --first-sequence beyond all that was sent";
	json_t *version = json_object_get(f->root, "atr_sequences");
	const char *name;
	json_t *value;

	f->next = json_object_get(f->root, "next");
	if (json_integer_value(version) != FILE_VERSION || !json_is_object(f->next) ||
	    json_object_size(f->root) != 2)
		return refuse(error, f->path, remedy);
	json_object_foreach(f->next, name, value)
	{
		if (!json_is_integer(value) || json_integer_value(value) < 0)
			return refuse(error, f->path, remedy);
	}
	return 0;
}

static int load(struct sequence_file *f, char *error)
{
	json_error_t where;
	/* Writing replaces the file: a link to it would be replaced instead, and whoever comes by
	 * the other name would take the same sequences again. */
	int fd = open(f->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat info;
	FILE *in;

	if (fd < 0 && errno == ELOOP)
		return refuse(error, f->path, "is a symbolic link; name the file itself");
	if (fd < 0 && errno != ENOENT)
		return refuse(error, f->path, strerror(errno));
	if (fd >= 0 && (fstat(fd, &info) || !S_ISREG(info.st_mode) || info.st_nlink != 1)) {
		close(fd);
		return refuse(error, f->path,
			      "is no regular file of one name; name the file itself, or copy it");
	}
	in = fd >= 0 ? fdopen(fd, "r") : NULL;
	if (fd >= 0 && !in) {
		close(fd);
		return refuse(error, f->path, "out of memory");
	}
	if (!in) {
		f->root = json_pack("{s:i,s:{}}", "atr_sequences", FILE_VERSION, "next");
		f->dirty = true;
	} else {
		f->root = json_loadf(in, JSON_REJECT_DUPLICATES, &where);
		fclose(in);
	}
	if (!f->root)
		return refuse(error, f->path,
			      "is no JSON; restore it, or remove it and go on with "
			      "--first-sequence beyond all that was sent");
	return check(f, error);
}

struct sequence_file *sequence_file_open(const char *path, char *error)
{
	struct sequence_file *f = calloc(1, sizeof(*f));

	if (!f) {
		snprintf(error, ERROR_SIZE, "out of memory");
		return NULL;
	}
	f->lock = -1;
	if (strlen(path) >= sizeof(f->path)) {
		refuse(error, path, "path is too long");
	} else {
		strcpy(f->path, path);
		if (take_lock(f, error) == 0 && load(f, error) == 0)
			return f;
	}
	sequence_file_close(f);
	return NULL;
}

void sequence_file_close(struct sequence_file *f)
{
	if (!f)
		return;
	json_decref(f->root);
	if (f->lock >= 0)
		close(f->lock);
	free(f);
}

uint64_t sequence_file_next(const struct sequence_file *f, const char *source)
{
	json_t *value = json_object_get(f->next, source);

	return value ? (uint64_t)json_integer_value(value) : FIRST;
}

int sequence_file_take(struct sequence_file *f, const char *source, uint64_t next)
{
	if (next > INT64_MAX)
		return -ERANGE;
	if (next == sequence_file_next(f, source))
		return 0;
	f->dirty = true;
	return json_object_set_new(f->next, source, json_integer((json_int_t)next)) ? -ENOMEM : 0;
}

static int sync_directory(const char *path)
{
	char copy[PATH_MAX];
	int fd, err = 0;

	strcpy(copy, path);
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fsync(fd))
		err = -errno;
	close(fd);
	return err;
}

static int write_new(const struct sequence_file *f, const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	int err = 0;

	if (fd < 0)
		return -errno;
	errno = EIO;
	if (json_dumpfd(f->root, fd, JSON_SORT_KEYS | JSON_INDENT(1)) || fsync(fd))
		err = -errno;
	if (close(fd) && !err)
		err = -errno;
	return err;
}

int sequence_file_commit(struct sequence_file *f, char *error)
{
	char path[PATH_MAX + SUFFIX_ROOM];
	int err;

	if (!f->dirty)
		return 0;
	snprintf(path, sizeof(path), "%s.new", f->path);
	err = write_new(f, path);
	if (!err && rename(path, f->path))
		err = -errno;
	if (!err)
		err = sync_directory(f->path);
	if (err) {
		refuse(error, f->path, strerror(-err));
		return err;
	}
	f->dirty = false;
	return 0;
}
