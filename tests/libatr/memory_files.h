/* SPDX-License-Identifier: BSD-3-Clause */
/* An outbox's directory in memory, which loses, tears and reorders what a crash may. */
#ifndef TESTS_LIBATR_MEMORY_FILES_H
#define TESTS_LIBATR_MEMORY_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../../libatr/outbox.h"

#define MEMORY_FILES 3
#define NO_CRASH     UINT32_MAX

struct memory_file {
	char name[32];
	uint8_t *bytes;
	size_t length, synced;
	size_t room; /* bytes that there is memory for */
};

struct memory_files {
	struct outbox_files files; /* destroy leaves the contents alone */
	struct memory_file file[MEMORY_FILES];
	struct memory_file *open;
	uint32_t operations; /* done so far: writes, syncs, opens, renames */
	uint32_t crash_at;   /* the operation that crashes; NO_CRASH */
	uint64_t random;     /* state: what a crash leaves */
	bool crashed;        /* every operation fails since */
	bool fail_sync;      /* syncs fail with EIO, once each */
};

void memory_files_init(struct memory_files *m);
void memory_files_free(struct memory_files *m);

/* After a crash: what a machine finds when it starts again. Synced bytes are there; of the others
 * any blocks, zeros in the place of the rest. */
void memory_files_restart(struct memory_files *m);

struct memory_file *memory_files_find(struct memory_files *m, const char *name);

uint64_t test_random(uint64_t *state);

#endif
