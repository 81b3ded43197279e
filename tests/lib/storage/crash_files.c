/* SPDX-License-Identifier: BSD-3-Clause */
#include "crash_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include "../log/simdisk.h"

#define DIRECTORIES 2
#define NAMES       32
#define NAME_SIZE   64
#define PATH_SIZE   160
#define MOMENTS     16
#define FDS         64
#define SECTOR      512
#define FILE_MODE   0640

struct bytes {
	uint8_t *at;
	size_t length;
};

struct inode {
	struct bytes now, synced;
	bool dirty;
	unsigned int names; /* in any of the directory's moments; 0: the place is free */
};

struct table {
	struct {
		char name[NAME_SIZE];
		unsigned int inode;
	} entry[NAMES];
	unsigned int count;
};

struct directory {
	char path[PATH_SIZE];
	struct inode inode[NAMES];
	/* The names as synced, and after each change since then; the last one is now. */
	struct table moment[MOMENTS];
	unsigned int moments;
};

struct open_file {
	struct directory *directory; /* NULL: the place is free */
	struct inode *inode;         /* NULL: the directory itself */
	int fd;
};

struct crash_files crash_files;
static struct directory directories[DIRECTORIES];
static unsigned int watched;
static struct open_file opened[FDS];

int __real_open64(const char *path, int flags, ...);
int __real_openat64(int at, const char *path, int flags, ...);
ssize_t __real_write(int fd, const void *bytes, size_t length);
int __real_fsync(int fd);
int __real_fdatasync(int fd);
int __real_close(int fd);
int __real_rename(const char *from, const char *to);
int __real_renameat(int from_at, const char *from, int to_at, const char *to);
int __real_unlink(const char *path);

static void die(const char *what)
{
	fprintf(stderr, "crash_files: %s\n", what);
	abort();
}

static bool alive(void)
{
	crash_files.boundary++;
	if (crash_files.boundary == crash_files.crash_at)
		*crash_files.power_off = true;
	if (*crash_files.power_off)
		errno = EIO;
	return !*crash_files.power_off;
}

/* --- The model --- */

static void path_of(const struct directory *directory, const char *name,
		    char path[PATH_SIZE + NAME_SIZE])
{
	if (snprintf(path, PATH_SIZE + NAME_SIZE, "%s/%s", directory->path, name) >=
	    PATH_SIZE + NAME_SIZE)
		die("a path is too long");
}

static void set(struct bytes *to, const struct bytes *from)
{
	to->at = realloc(to->at, from->length + 1);
	if (from->length)
		memcpy(to->at, from->at, from->length);
	to->length = from->length;
}

static struct table *now(struct directory *directory)
{
	return &directory->moment[directory->moments - 1];
}

static int find(const struct table *table, const char *name)
{
	for (unsigned int i = 0; i < table->count; i++)
		if (strcmp(table->entry[i].name, name) == 0)
			return (int)i;
	return -1;
}

static void count_names(struct directory *directory)
{
	for (unsigned int i = 0; i < NAMES; i++)
		directory->inode[i].names = 0;
	for (unsigned int m = 0; m < directory->moments; m++)
		for (unsigned int i = 0; i < directory->moment[m].count; i++)
			directory->inode[directory->moment[m].entry[i].inode].names++;
}

/* A copy of the names as they are, to be changed. */
static struct table *next_moment(struct directory *directory)
{
	if (directory->moments == MOMENTS)
		die("too many changes without a sync of the directory");
	directory->moment[directory->moments] = *now(directory);
	directory->moments++;
	return now(directory);
}

static void remove_entry(struct table *table, int at)
{
	table->entry[at] = table->entry[--table->count];
}

static struct inode *create(struct directory *directory, const char *name)
{
	struct table *table = next_moment(directory);
	unsigned int i = 0;

	count_names(directory);
	while (i < NAMES && directory->inode[i].names)
		i++;
	if (i == NAMES || table->count == NAMES)
		die("too many files");
	directory->inode[i].now.length = directory->inode[i].synced.length = 0;
	directory->inode[i].dirty = true;
	snprintf(table->entry[table->count].name, NAME_SIZE, "%s", name);
	table->entry[table->count++].inode = i;
	return &directory->inode[i];
}

static void move(struct directory *directory, const char *from, const char *to)
{
	struct table *table = next_moment(directory);
	int old = find(table, to), at;

	if (old >= 0)
		remove_entry(table, old);
	at = find(table, from);
	if (at < 0)
		die("a file is renamed that was never made");
	snprintf(table->entry[at].name, NAME_SIZE, "%s", to);
}

static void synced(const struct open_file *file)
{
	if (file->inode) {
		set(&file->inode->synced, &file->inode->now);
		file->inode->dirty = false;
		return;
	}
	file->directory->moment[0] = *now(file->directory);
	file->directory->moments = 1;
}

/* --- Whose is it? --- */

/* The watched directory that a path leads into, and the name there; or the directory itself. */
static struct directory *directory_of(const char *path, const char **name)
{
	for (unsigned int i = 0; i < watched; i++) {
		size_t length = strlen(directories[i].path);

		if (strncmp(path, directories[i].path, length) != 0 ||
		    (path[length] && path[length] != '/'))
			continue;
		*name = path[length] ? path + length + 1 : path + length;
		return &directories[i];
	}
	return NULL;
}

static struct open_file *file_of(int fd)
{
	for (unsigned int i = 0; i < FDS; i++)
		if (opened[i].directory && opened[i].fd == fd)
			return &opened[i];
	return NULL;
}

static struct directory *directory_at(int fd)
{
	struct open_file *file = file_of(fd);

	return file && !file->inode ? file->directory : NULL;
}

static int keep(int fd, struct directory *directory, struct inode *inode)
{
	for (unsigned int i = 0; i < FDS; i++) {
		if (opened[i].directory)
			continue;
		opened[i] = (struct open_file){directory, inode, fd};
		return fd;
	}
	die("too many open files");
	return -1;
}

/* --- The calls --- */

static int open_watched(struct directory *directory, const char *name, const char *path, int flags)
{
	struct inode *inode = NULL;
	int fd, at;

	if ((flags & O_ACCMODE) == O_RDONLY) {
		fd = __real_open64(path, flags);
		return fd >= 0 && name[0] == '\0' ? keep(fd, directory, NULL) : fd;
	}
	if ((flags & (O_CREAT | O_TRUNC)) != (O_CREAT | O_TRUNC))
		die("files are written from their beginning only");
	if (!alive())
		return -1;
	fd = __real_open64(path, flags, FILE_MODE);
	if (fd < 0)
		return fd;
	at = find(now(directory), name);
	if (at >= 0)
		inode = &directory->inode[now(directory)->entry[at].inode];
	else
		inode = create(directory, name);
	inode->now.length = 0;
	inode->dirty = true;
	keep(fd, directory, inode);
	if (alive())
		return fd;
	__wrap_close(fd);
	return -1;
}

int __wrap_open64(const char *path, int flags, ...)
{
	const char *name;
	struct directory *directory = directory_of(path, &name);
	va_list list;
	mode_t mode;

	if (directory)
		return open_watched(directory, name, path, flags);
	va_start(list, flags);
	mode = flags & O_CREAT ? va_arg(list, mode_t) : 0;
	va_end(list);
	return __real_open64(path, flags, mode);
}

int __wrap_openat64(int at, const char *path, int flags, ...)
{
	struct directory *directory = directory_at(at);
	char whole[PATH_SIZE + NAME_SIZE];
	va_list list;
	mode_t mode;

	if (directory) {
		path_of(directory, path, whole);
		return open_watched(directory, path, whole, flags);
	}
	va_start(list, flags);
	mode = flags & O_CREAT ? va_arg(list, mode_t) : 0;
	va_end(list);
	return __real_openat64(at, path, flags, mode);
}

ssize_t __wrap_write(int fd, const void *bytes, size_t length)
{
	struct open_file *file = file_of(fd);
	struct bytes *to;
	ssize_t n;

	if (!file)
		return __real_write(fd, bytes, length);
	if (!alive())
		return -1;
	/* Long ones are cut short, as a kernel may do. */
	if (length > SECTOR)
		length -= length / 3;
	n = __real_write(fd, bytes, length);
	if (n < 0)
		return n;
	to = &file->inode->now;
	to->at = realloc(to->at, to->length + (size_t)n);
	memcpy(to->at + to->length, bytes, (size_t)n);
	to->length += (size_t)n;
	return alive() ? n : -1;
}

int __wrap_fsync(int fd)
{
	struct open_file *file = file_of(fd);

	if (!file)
		return __real_fsync(fd);
	if (!alive())
		return -1;
	synced(file);
	return alive() ? 0 : -1;
}

int __wrap_fdatasync(int fd)
{
	return file_of(fd) ? __wrap_fsync(fd) : __real_fdatasync(fd);
}

int __wrap_close(int fd)
{
	struct open_file *file = file_of(fd);

	if (file)
		*file = (struct open_file){0};
	return __real_close(fd);
}

int __wrap_rename(const char *from, const char *to)
{
	const char *old, *name;
	struct directory *directory = directory_of(from, &old);

	if (!directory)
		return __real_rename(from, to);
	if (directory_of(to, &name) != directory)
		die("a file leaves its directory");
	if (!alive())
		return -1;
	if (__real_rename(from, to) < 0)
		return -1;
	move(directory, old, name);
	return alive() ? 0 : -1;
}

int __wrap_renameat(int from_at, const char *from, int to_at, const char *to)
{
	struct directory *directory = directory_at(from_at);
	char old[PATH_SIZE + NAME_SIZE], new[PATH_SIZE + NAME_SIZE];

	if (!directory)
		return __real_renameat(from_at, from, to_at, to);
	if (directory_at(to_at) != directory)
		die("a file leaves its directory");
	path_of(directory, from, old);
	path_of(directory, to, new);
	return __wrap_rename(old, new);
}

int __wrap_unlink(const char *path)
{
	const char *name;
	struct directory *directory = directory_of(path, &name);
	int at;

	if (!directory)
		return __real_unlink(path);
	if (!alive())
		return -1;
	if (__real_unlink(path) < 0)
		return -1;
	at = find(now(directory), name);
	if (at >= 0)
		remove_entry(next_moment(directory), at);
	return alive() ? 0 : -1;
}

/* --- Power comes back --- */

static unsigned int pick(unsigned int n)
{
	return (unsigned int)(sim_random(&crash_files.random) >> 20) % n;
}

static void tear(struct inode *inode)
{
	size_t length = inode->now.length;
	unsigned int odds = 1 + pick(15);

	crash_files.torn++;
	for (size_t at = 0; at < length; at += SECTOR)
		if (pick(16) >= odds)
			memset(inode->now.at + at, 0, length - at < SECTOR ? length - at : SECTOR);
	if (length && pick(2))
		inode->now.length = pick((unsigned int)length);
}

static void settle(struct inode *inode)
{
	enum { SYNCED, EMPTY, NOW, TORN, KINDS = TORN + 3 /* the likeliest */ };
	unsigned int what = inode->dirty ? pick(KINDS) : NOW;

	if (what == SYNCED)
		set(&inode->now, &inode->synced);
	else if (what == EMPTY)
		inode->now.length = 0;
	else if (what >= TORN)
		tear(inode);
	set(&inode->synced, &inode->now);
	inode->dirty = false;
}

static void wipe(const struct directory *directory)
{
	char path[PATH_SIZE + NAME_SIZE];

	for (unsigned int m = 0; m < directory->moments; m++)
		for (unsigned int i = 0; i < directory->moment[m].count; i++) {
			path_of(directory, directory->moment[m].entry[i].name, path);
			if (__real_unlink(path) < 0 && errno != ENOENT)
				die("a file cannot be removed");
		}
}

static void write_out(const struct directory *directory)
{
	const struct table *table = &directory->moment[0];
	char path[PATH_SIZE + NAME_SIZE];

	for (unsigned int i = 0; i < table->count; i++) {
		const struct bytes *bytes = &directory->inode[table->entry[i].inode].now;
		int fd;

		path_of(directory, table->entry[i].name, path);
		fd = __real_open64(path, O_WRONLY | O_CREAT | O_TRUNC, FILE_MODE);
		if (fd < 0 || __real_write(fd, bytes->at, bytes->length) != (ssize_t)bytes->length)
			die("a file cannot be written");
		__real_close(fd);
	}
}

void crash_files_restart(void)
{
	for (unsigned int i = 0; i < watched; i++) {
		struct directory *directory = &directories[i];
		unsigned int moment = pick(directory->moments);

		crash_files.old_names += moment + 1 < directory->moments;
		wipe(directory);
		for (unsigned int n = 0; n < NAMES; n++)
			settle(&directory->inode[n]);
		directory->moment[0] = directory->moment[moment];
		directory->moments = 1;
		write_out(directory);
	}
	for (unsigned int i = 0; i < FDS; i++)
		if (opened[i].directory)
			die("a file is still open");
	crash_files.boundary = 0;
	crash_files.crash_at = 0;
}

void crash_files_init(uint64_t seed, bool *power_off)
{
	for (unsigned int d = 0; d < DIRECTORIES; d++)
		for (unsigned int n = 0; n < NAMES; n++) {
			free(directories[d].inode[n].now.at);
			free(directories[d].inode[n].synced.at);
		}
	memset(directories, 0, sizeof(directories));
	memset(opened, 0, sizeof(opened));
	watched = 0;
	crash_files.boundary = crash_files.crash_at = 0;
	crash_files.random = seed;
	crash_files.power_off = power_off;
}

void crash_files_watch(const char *directory)
{
	struct directory *to = &directories[watched++];

	snprintf(to->path, sizeof(to->path), "%s", directory);
	to->moments = 1;
}
