/* SPDX-License-Identifier: BSD-3-Clause */
/* LD_PRELOAD for tests/e2e/test_disk.py: writes and syncs of the log's segments fail, or take long,
 * when a file says so. ATR_SHIM names the file, which both sides map.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

/* Written by the test, but for the counters, which are written here. Native byte order. */
struct control {
	volatile uint32_t write_errno; /* 0: writes succeed */
	volatile uint32_t sync_errno;
	volatile uint32_t write_us; /* they take that much longer */
	volatile uint32_t sync_us;
	uint32_t writes_failed, syncs_failed;
	uint32_t writes, syncs;
};

static struct control *control;

__attribute__((constructor)) static void open_control(void)
{
	const char *path = getenv("ATR_SHIM");
	int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
	void *map = MAP_FAILED;

	if (fd >= 0)
		map = mmap(NULL, sizeof(struct control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED) {
		fprintf(stderr, "disk_shim: ATR_SHIM names no file\n");
		abort();
	}
	close(fd);
	control = map;
}

static int is_segment(int fd)
{
	char link[64], name[4096];
	ssize_t length;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	length = readlink(link, name, sizeof(name) - 1);
	if (length < 0)
		return 0;
	name[length] = '\0';
	/* Segments in the making have other names in the same directory. */
	return strstr(name, "/segment-") != NULL || strstr(name, "/spare-") != NULL;
}

/* 0, or -1 with errno set. */
static int hinder(uint32_t *seen, uint32_t *failed, uint32_t error, uint32_t us)
{
	__atomic_add_fetch(seen, 1, __ATOMIC_RELAXED);
	if (us)
		usleep(us);
	if (!error)
		return 0;
	__atomic_add_fetch(failed, 1, __ATOMIC_RELAXED);
	errno = (int)error;
	return -1;
}

ssize_t pwritev2(int fd, const struct iovec *vector, int count, off_t offset, int flags)
{
	ssize_t (*real)(int, const struct iovec *, int, off_t, int) = dlsym(RTLD_NEXT, "pwritev2");

	if (is_segment(fd) && hinder(&control->writes, &control->writes_failed,
				     control->write_errno, control->write_us))
		return -1;
	return real(fd, vector, count, offset, flags);
}

/* What glibc calls it where off_t is 64 bits wide. */
ssize_t pwritev64v2(int fd, const struct iovec *vector, int count, off64_t offset, int flags)
{
	return pwritev2(fd, vector, count, offset, flags);
}

int fdatasync(int fd)
{
	int (*real)(int) = dlsym(RTLD_NEXT, "fdatasync");

	if (is_segment(fd) &&
	    hinder(&control->syncs, &control->syncs_failed, control->sync_errno, control->sync_us))
		return -1;
	return real(fd);
}
