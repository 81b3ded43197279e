/* SPDX-License-Identifier: BSD-3-Clause */
#include "state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <rte_hash_crc.h>

#define STATE_MAGIC         0x53525441u /* "ATRS" */
#define STATE_FILE          "state.atr"
#define STATE_TEMPORARY     "state.atr.new"
#define STATE_IDS           65536 /* sources */
#define STATE_BYTES_MAX     (64u << 20)
#define STATE_PENDING_MAX   64
#define STATE_COMPACT       (16u << 20) /* a longer file is rewritten: one record a key */
#define STATE_COMPACT_RETRY (1u << 20)
#define STATE_COUNT_SHIFT   32 /* in the epoch's value: above it, records of the rewritten part */

struct atr_state {
	int dir_fd;
	int fd;
	uint32_t epoch;
	uint64_t uuid;
	uint64_t source[STATE_IDS];
	unsigned int pending;
	off_t durable; /* bytes of the file known to be on disk */
	off_t compact_at;
	bool renamed; /* the file is new, and its name not yet known to be on disk */
	struct atr_state_record record[STATE_PENDING_MAX];
};

static uint32_t crc(const struct atr_state_record *record)
{
	return rte_hash_crc(record, offsetof(struct atr_state_record, crc), 0xFFFFFFFFu);
}

static struct atr_state_record make(enum atr_state_kind kind, uint32_t id, uint64_t value)
{
	struct atr_state_record r = {.magic = STATE_MAGIC, .kind = kind, .id = id, .value = value};

	r.crc = crc(&r);
	return r;
}

static bool apply(struct atr_state *state, const struct atr_state_record *r)
{
	if (r->magic != STATE_MAGIC || r->crc != crc(r))
		return false;
	switch (r->kind) {
	case ATR_STATE_EPOCH: state->epoch = (uint32_t)r->value; return true;
	case ATR_STATE_UUID: state->uuid = r->value; return true;
	case ATR_STATE_SOURCE:
		if (r->id >= STATE_IDS)
			return false;
		state->source[r->id] = r->value;
		return true;
	default: return false;
	}
}

static int load(struct atr_state *state, const char *directory, char *error, size_t size)
{
	struct atr_state_record r;
	struct stat st;
	off_t at = 0, whole = sizeof(r);
	int fd = openat(state->dir_fd, STATE_FILE, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0 || fstat(fd, &st) < 0 || st.st_size > STATE_BYTES_MAX) {
		snprintf(error, size, "state %s/%s: %s", directory, STATE_FILE,
			 fd < 0 ? strerror(errno) : "cannot be read, or larger than 64 MiB");
		if (fd >= 0)
			close(fd);
		return -EIO;
	}
	for (; at < whole || at + (off_t)sizeof(r) <= st.st_size; at += (off_t)sizeof(r)) {
		bool good = pread(fd, &r, sizeof(r), at) == (ssize_t)sizeof(r) && apply(state, &r);

		/* What the last start rewrote was whole before it got its name. */
		if (at == 0 && good && r.kind == ATR_STATE_EPOCH)
			whole = (off_t)((r.value >> STATE_COUNT_SHIFT) * sizeof(r));
		if (good && (at > 0 || r.kind == ATR_STATE_EPOCH))
			continue;
		/* One sync writes at most STATE_PENDING_MAX records; a crash may tear any of the
		 * last ones, and nobody was promised what those held. */
		if (at >= whole && at + STATE_PENDING_MAX * (off_t)sizeof(r) >= st.st_size)
			continue;
		snprintf(error, size,
			 "state %s/%s: record at byte %lld is damaged; restore the file from a "
			 "copy, or move it away if every producer begins a new sequence range",
			 directory, STATE_FILE, (long long)at);
		close(fd);
		return -EBADMSG;
	}
	close(fd);
	return 0;
}

static int write_all(int fd, const void *data, size_t length, off_t at)
{
	const char *p = data;

	while (length > 0) {
		ssize_t n = pwrite(fd, p, length, at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		p += n;
		at += n;
		length -= (size_t)n;
	}
	return 0;
}

/* One record a key that has a value. */
static int write_compact(const struct atr_state *state, int fd, off_t *length)
{
	struct atr_state_record r;
	uint64_t count = 2; /* epoch and time */
	off_t at = 0;
	int rc;

	for (uint32_t id = 0; id < STATE_IDS; id++)
		count += state->source[id] != 0;
	r = make(ATR_STATE_EPOCH, 0, state->epoch | count << STATE_COUNT_SHIFT);
	rc = write_all(fd, &r, sizeof(r), at);
	at += (off_t)sizeof(r);
	r = make(ATR_STATE_UUID, 0, state->uuid);
	if (rc == 0)
		rc = write_all(fd, &r, sizeof(r), at);
	at += (off_t)sizeof(r);
	for (uint32_t id = 0; rc == 0 && id < STATE_IDS; id++) {
		if (state->source[id] == 0)
			continue;
		r = make(ATR_STATE_SOURCE, id, state->source[id]);
		rc = write_all(fd, &r, sizeof(r), at);
		at += (off_t)sizeof(r);
	}
	*length = at;
	return rc;
}

/* Until the directory is on disk, a crash may bring the old file back. */
static int sync_rename(struct atr_state *state)
{
	if (state->renamed && fsync(state->dir_fd) < 0)
		return -errno;
	state->renamed = false;
	return 0;
}

/* Puts a file with one record a key in place of the old one, which stays in use if that fails. */
static int rewrite(struct atr_state *state)
{
	off_t length;
	int rc, fd = openat(state->dir_fd, STATE_TEMPORARY,
			    O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640);

	if (fd < 0)
		return -errno;
	rc = write_compact(state, fd, &length);
	if (rc == 0 && (fsync(fd) < 0 ||
			renameat(state->dir_fd, STATE_TEMPORARY, state->dir_fd, STATE_FILE) < 0))
		rc = -errno;
	if (rc < 0) {
		close(fd);
		return rc;
	}
	if (state->fd >= 0)
		close(state->fd);
	state->fd = fd;
	state->durable = length;
	state->compact_at = STATE_COMPACT;
	state->renamed = true;
	return sync_rename(state);
}

static int open_directory(const char *directory, char *error, size_t size)
{
	int fd;

	if (mkdir(directory, 0750) < 0 && errno != EEXIST) {
		snprintf(error, size, "state %s: %s; name a writable directory with --state",
			 directory, strerror(errno));
		return -errno;
	}
	fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0) {
		snprintf(error, size, "state %s: %s; name a readable directory with --state",
			 directory, strerror(errno));
		return -errno;
	}
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		snprintf(error, size,
			 "state %s: in use by another process; stop it, or give this one a "
			 "directory of its own with --state",
			 directory);
		close(fd);
		return -EBUSY;
	}
	return fd;
}

struct atr_state *atr_state_open(const char *directory, char *error, size_t size)
{
	struct atr_state *state = calloc(1, sizeof(*state));
	int rc;

	if (!state) {
		snprintf(error, size, "state: out of memory");
		return NULL;
	}
	state->fd = -1;
	state->dir_fd = open_directory(directory, error, size);
	if (state->dir_fd < 0) {
		free(state);
		return NULL;
	}
	if (load(state, directory, error, size) < 0) {
		atr_state_close(state);
		return NULL;
	}
	state->epoch++;
	rc = rewrite(state);
	if (rc < 0) {
		snprintf(error, size, "state %s: %s; free space or name another --state directory",
			 directory, strerror(-rc));
		atr_state_close(state);
		return NULL;
	}
	return state;
}

uint32_t atr_state_epoch(const struct atr_state *state)
{
	return state->epoch;
}

uint64_t atr_state_get(const struct atr_state *state, enum atr_state_kind kind, uint32_t id)
{
	switch (kind) {
	case ATR_STATE_EPOCH: return state->epoch;
	case ATR_STATE_UUID: return state->uuid;
	case ATR_STATE_SOURCE: return id < STATE_IDS ? state->source[id] : 0;
	}
	return 0;
}

int atr_state_put(struct atr_state *state, enum atr_state_kind kind, uint32_t id, uint64_t value)
{
	if (kind == ATR_STATE_SOURCE && id >= STATE_IDS)
		return -EINVAL;
	/* What could not be written is asked for again and again: one record a key waits. */
	for (unsigned int i = 0; i < state->pending; i++)
		if (state->record[i].kind == (uint32_t)kind && state->record[i].id == id) {
			state->record[i] = make(kind, id, value);
			return 0;
		}
	if (state->pending == STATE_PENDING_MAX) {
		int rc = atr_state_sync(state);

		if (rc < 0)
			return rc;
	}
	state->record[state->pending++] = make(kind, id, value);
	return 0;
}

int atr_state_sync(struct atr_state *state)
{
	size_t length = state->pending * sizeof(state->record[0]);
	int rc;

	if (state->pending == 0)
		return 0;
	rc = write_all(state->fd, state->record, length, state->durable);
	if (rc < 0)
		return rc;
	if (fdatasync(state->fd) < 0)
		return -errno;
	rc = sync_rename(state);
	if (rc < 0)
		return rc;
	for (unsigned int i = 0; i < state->pending; i++)
		apply(state, &state->record[i]);
	state->durable += (off_t)length;
	state->pending = 0;
	if (state->durable <= state->compact_at)
		return 0;
	rc = rewrite(state);
	if (rc < 0 && !state->renamed) {
		/* All is durable in the long file; it is tried again some records later. */
		state->compact_at += STATE_COMPACT_RETRY;
		return 0;
	}
	return rc;
}

void atr_state_close(struct atr_state *state)
{
	if (!state)
		return;
	if (state->fd >= 0)
		close(state->fd);
	if (state->dir_fd >= 0)
		close(state->dir_fd);
	free(state);
}
