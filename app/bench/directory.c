/* SPDX-License-Identifier: BSD-3-Clause */
/* The temporary directory of a bench, which goes however the process ends. */
#include <errno.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <linux/magic.h>

#include "rig.h"

#define OPEN_DIRECTORIES 8

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *where)
{
	(void)status, (void)kind, (void)where;
	return remove(path);
}

void rig_remove(const char *path)
{
	nftw(path, remove_one, OPEN_DIRECTORIES, FTW_DEPTH | FTW_PHYS);
}

static void remove_directory(void)
{
	rig_remove(rig.directory);
}

/* Other threads still write there: what they make meanwhile is a second walk's. Nothing of this is
 * made for signal handlers, but the process does nothing else any more. */
static void end(int signal_number)
{
	remove_directory();
	remove_directory();
	signal(signal_number, SIG_DFL);
	raise(signal_number);
}

static void cannot(const char *parent, const char *why)
{
	char text[BENCH_PATH_MAX + 128];

	snprintf(text, sizeof(text), "%s: %s; choose another --directory", parent, why);
	bench_die(text);
}

void rig_directory(const struct bench_config *config, bool disk)
{
	struct sigaction action = {.sa_handler = end};
	struct statfs fs;

	if (*rig.directory)
		return;
	if (statfs(config->directory, &fs) < 0)
		cannot(config->directory, strerror(errno));
	if (disk && (fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC))
		cannot(config->directory, "is in memory, where a sync costs nothing");
	if (snprintf(rig.directory, sizeof(rig.directory), "%s/atr-bench-XXXXXX",
		     config->directory) >= (int)sizeof(rig.directory))
		cannot("--directory", "is too long");
	if (!mkdtemp(rig.directory)) {
		*rig.directory = '\0';
		cannot(config->directory, strerror(errno));
	}
	atexit(remove_directory);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}
