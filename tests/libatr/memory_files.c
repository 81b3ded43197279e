/* SPDX-License-Identifier: BSD-3-Clause */
#include "memory_files.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define TORN_BLOCK 512

uint64_t test_random(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9E3779B97F4A7C15);

	z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
	return z ^ (z >> 31);
}

struct memory_file *memory_files_find(struct memory_files *m, const char *name)
{
	for (unsigned int i = 0; i < MEMORY_FILES; i++)
		if (strcmp(m->file[i].name, name) == 0)
			return &m->file[i];
	return NULL;
}

/* True if this operation is the one that the machine does not survive. */
static bool crashes(struct memory_files *m)
{
	if (!m->crashed && m->operations++ == m->crash_at)
		m->crashed = true;
	return m->crashed;
}

static void append(struct memory_file *f, const void *bytes, size_t length)
{
	if (f->length + length > f->room) {
		f->room = 2 * (f->length + length);
		f->bytes = realloc(f->bytes, f->room);
		if (!f->bytes)
			abort();
	}
	memcpy(f->bytes + f->length, bytes, length);
	f->length += length;
}

static int memory_load(struct outbox_files *files, const char *name, uint8_t **bytes,
		       size_t *length)
{
	struct memory_file *f = memory_files_find((struct memory_files *)files, name);

	if (!f)
		return -ENOENT;
	*length = f->length;
	*bytes = malloc(f->length + 1);
	memcpy(*bytes, f->bytes, f->length);
	return 0;
}

static int memory_open(struct outbox_files *files, const char *name, bool create, size_t length)
{
	struct memory_files *m = (struct memory_files *)files;
	struct memory_file *f = memory_files_find(m, name);

	if (crashes(m))
		return -EIO;
	if (!f && !create)
		return -ENOENT;
	if (!f)
		f = memory_files_find(m, "");
	if (create) {
		strcpy(f->name, name);
		f->length = f->synced = 0;
	} else {
		f->length = length;
		f->synced = f->synced < length ? f->synced : length;
	}
	m->open = f;
	return 0;
}

static int memory_write(struct outbox_files *files, const void *bytes, size_t length)
{
	struct memory_files *m = (struct memory_files *)files;
	bool dead = m->crashed;

	if (crashes(m)) {
		if (!dead)
			append(m->open, bytes, test_random(&m->random) % (length + 1));
		return -EIO;
	}
	append(m->open, bytes, length);
	return 0;
}

static int memory_sync(struct outbox_files *files)
{
	struct memory_files *m = (struct memory_files *)files;

	if (crashes(m) || m->fail_sync)
		return -EIO;
	m->open->synced = m->open->length;
	return 0;
}

static int memory_rename(struct outbox_files *files, const char *from, const char *to)
{
	struct memory_files *m = (struct memory_files *)files;
	struct memory_file *f = memory_files_find(m, from), *old = memory_files_find(m, to);
	bool dead = m->crashed, crash = crashes(m);

	if (crash && (dead || test_random(&m->random) % 2))
		return -EIO;
	if (old) {
		free(old->bytes);
		memset(old, 0, sizeof(*old));
	}
	strcpy(f->name, to);
	return crash ? -EIO : 0;
}

static void memory_destroy(struct outbox_files *files)
{
	(void)files;
}

void memory_files_init(struct memory_files *m)
{
	memset(m, 0, sizeof(*m));
	m->files = (struct outbox_files){memory_load, memory_open,   memory_write,
					 memory_sync, memory_rename, memory_destroy};
	m->crash_at = NO_CRASH;
}

void memory_files_free(struct memory_files *m)
{
	for (unsigned int i = 0; i < MEMORY_FILES; i++)
		free(m->file[i].bytes);
}

void memory_files_restart(struct memory_files *m)
{
	for (unsigned int i = 0; i < MEMORY_FILES; i++) {
		struct memory_file *f = &m->file[i];
		size_t lost = f->length - f->synced;

		if (lost)
			f->length = f->synced + test_random(&m->random) % (lost + 1);
		for (size_t at = f->synced; at < f->length; at += TORN_BLOCK) {
			size_t left = f->length - at;

			if (test_random(&m->random) % 4 == 0)
				memset(f->bytes + at, 0, left < TORN_BLOCK ? left : TORN_BLOCK);
		}
		f->synced = f->length;
	}
	m->crashed = false;
	m->crash_at = NO_CRASH;
	m->operations = 0;
	m->open = NULL;
}
