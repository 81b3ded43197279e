/* SPDX-License-Identifier: BSD-3-Clause */
/* Ordinary files under a power cut: what lib/replay and lib/anchor write with POSIX calls into
 * watched directories, of which a crash keeps only what was synced, and any part of the rest. A
 * program that links this gets these calls wrapped (crash_files_link in meson); other files are not
 * touched. Everything follows from the seed.
 *
 * A boundary is before and after every call that changes something. Behind a crash such calls fail
 * with EIO and do nothing, until crash_files_restart. Contents that were not synced come back as
 * they were, as they are now, empty, or torn by sectors; names that were not synced come back as
 * they were at some moment since the directory's last sync.
 */
#ifndef ATR_TEST_CRASH_FILES_H
#define ATR_TEST_CRASH_FILES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct crash_files {
	uint64_t boundary, crash_at; /* 0: never */
	uint64_t random;
	bool *power_off;              /* set by a crash, and one where it is set */
	unsigned int torn, old_names; /* how often a restart brought back such */
};

extern struct crash_files crash_files;

/* Forgets all before. power_off: the caller's. */
void crash_files_init(uint64_t seed, bool *power_off);
/* An empty directory; at most two. */
void crash_files_watch(const char *directory);
/* Power comes back: the directories hold what a crash has left. None of their files may be open. */
void crash_files_restart(void);

/* What the linker puts in the place of the calls. */
int __wrap_open64(const char *path, int flags, ...);
int __wrap_openat64(int at, const char *path, int flags, ...);
ssize_t __wrap_write(int fd, const void *bytes, size_t length);
int __wrap_fsync(int fd);
int __wrap_fdatasync(int fd);
int __wrap_close(int fd);
int __wrap_rename(const char *from, const char *to);
int __wrap_renameat(int from_at, const char *from, int to_at, const char *to);
int __wrap_unlink(const char *path);

#endif
