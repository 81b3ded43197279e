/* SPDX-License-Identifier: BSD-3-Clause */
#include "retain.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reader_internal.h"
#include "retain_internal.h"

#define SIMD_BITS 512

struct retain {
	struct atr_storage *storage;
	const struct atr_log_retain_params *params;
	struct atr_hash *hash;
	char *error;
	size_t size;
};

static int trouble(const struct retain *run, const char *name, const char *what, int rc)
{
	snprintf(run->error, run->size,
		 "%s: %s (%s); the segment was kept: look after the log's disk", name, what,
		 strerror(-rc));
	return rc;
}

/* Header of a whole segment, and that of the one behind it; -ENOENT if there is none. */
static int read_header(const struct retain *run, uint64_t segment, struct atr_segment_hdr *out)
{
	uint8_t *block = aligned_alloc(ATR_STORAGE_ALIGN, ATR_LOG_BLOCK);
	char name[ATR_SEGMENT_NAME_LENGTH + 1];
	struct atr_file *file;
	uint64_t size;
	int rc;

	if (!block)
		return -ENOMEM;
	snprintf(name, sizeof(name), ATR_SEGMENT_NAME, segment);
	rc = run->storage->ops->open(run->storage, name, false, &size, &file);
	if (rc == 0) {
		rc = run->storage->ops->read(run->storage, file, block, ATR_LOG_BLOCK, 0);
		run->storage->ops->close(run->storage, file);
	}
	if (rc == 0)
		memcpy(out, block, sizeof(*out));
	free(block);
	return rc;
}

/* Removes what an earlier call that was cut short has left. */
static int clear_away(const struct retain *run, const char *name)
{
	int rc = run->storage->ops->remove(run->storage, name);

	return rc == -ENOENT ? 0 : rc;
}

/* The next segment that the log makes takes these blocks, which it overwrites with zeros first. */
static int recycle(const struct retain *run, const char *name, uint64_t bytes)
{
	const struct atr_storage_ops *ops = run->storage->ops;
	char used[LOG_USED_LENGTH];
	int rc;

	snprintf(used, sizeof(used), ATR_USED_NAME, bytes);
	rc = ops->rename(run->storage, name, used);
	return rc == -EEXIST ? ops->remove(run->storage, name) : rc;
}

static int give_up(struct retain *run, uint64_t segment, const struct atr_segment_hdr *hdr,
		   const struct atr_segment_hdr *next, struct atr_log_retained *out)
{
	char name[ATR_SEGMENT_NAME_LENGTH + 1], pruned[ATR_SEGMENT_NAME_LENGTH + 1];
	uint64_t bytes = 0;
	int rc;

	snprintf(name, sizeof(name), ATR_SEGMENT_NAME, segment);
	snprintf(pruned, sizeof(pruned), ATR_PRUNED_NAME, segment);
	rc = clear_away(run, LOG_PRUNING);
	if (rc == 0)
		rc = clear_away(run, pruned);
	if (rc < 0)
		return trouble(run, pruned, "what is left of an earlier attempt stays", rc);
	if (!run->hash)
		run->hash = atr_hash_create(-1, SIMD_BITS, run->error, run->size);
	if (!run->hash)
		return -ENOMEM;
	rc = retain_write(run->storage, run->hash, segment, next, &bytes, run->error, run->size);
	if (rc < 0)
		return rc;
	rc = run->storage->ops->rename(run->storage, LOG_PRUNING, pruned);
	if (rc < 0)
		return trouble(run, pruned, "cannot be named", rc);
	rc = recycle(run, name, hdr->bytes);
	if (rc < 0)
		return trouble(run, name, "cannot be given back", rc);
	out->segments++;
	out->bytes += hdr->bytes > bytes ? hdr->bytes - bytes : 0;
	return 0;
}

/* First segment that is whole. */
static int first_whole(const struct retain *run, uint64_t *segment)
{
	char name[4 * ATR_SEGMENT_NAME_LENGTH], again[ATR_SEGMENT_NAME_LENGTH + 1];

	for (unsigned int i = 0;; i++) {
		int rc = run->storage->ops->list(run->storage, i, name, sizeof(name));

		if (rc < 0 && rc != -ENAMETOOLONG)
			return rc;
		if (rc < 0 || strncmp(name, "segment-", strlen("segment-")) != 0)
			continue;
		*segment = strtoull(name + strlen("segment-"), NULL, 16);
		snprintf(again, sizeof(again), ATR_SEGMENT_NAME, *segment);
		if (strcmp(name, again) == 0)
			return 0;
	}
}

static int retain(struct retain *run, unsigned int max, struct atr_log_retained *out)
{
	const struct atr_log_retain_params *params = run->params;
	struct atr_segment_hdr here, next;
	uint64_t segment;
	int rc = first_whole(run, &segment);

	if (rc == -ENOENT)
		return 0;
	if (rc == 0)
		rc = read_header(run, segment, &here);
	for (; rc == 0 && max > 0 && segment < params->segment; segment++, max--) {
		if ((params->segment - segment) * here.bytes <= params->keep_bytes)
			return 0;
		/* It ends where the next one begins. */
		rc = read_header(run, segment + 1, &next);
		if (rc == 0 && next.first_leaf > params->snapshot_leaves)
			return 0;
		if (rc == 0)
			rc = give_up(run, segment, &here, &next, out);
		here = next;
	}
	if (rc < 0 && !run->error[0])
		trouble(run, "a segment of the log", "cannot be read", rc);
	return rc;
}

int atr_log_retain(struct atr_storage *storage, const struct atr_log_retain_params *params,
		   unsigned int max, struct atr_log_retained *out, char *error, size_t size)
{
	struct retain run = {storage, params, params->hash, error, size};
	int rc;

	memset(out, 0, sizeof(*out));
	error[0] = '\0';
	if (params->keep_bytes == 0)
		return 0;
	rc = retain(&run, max, out);
	if (run.hash != params->hash)
		atr_hash_free(run.hash);
	return rc;
}
