/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <rte_cycles.h>

#include "log_internal.h"

/* Would it say other than what was signed or anchored before? */
static bool contradicts(const struct atr_log *log, const struct atr_checkpoint *checkpoint)
{
	const struct atr_checkpoint *last = &log->signed_last;

	return checkpoint->size < last->size ||
	       (last->size && checkpoint->size == last->size &&
		memcmp(checkpoint->root, last->root, sizeof(last->root)) != 0);
}

static void publish(struct atr_log *log, const char *note, int length)
{
	pthread_mutex_lock(&log->checkpoint_lock);
	memcpy(log->checkpoint, note, (size_t)length);
	log->checkpoint_length = (size_t)length;
	pthread_mutex_unlock(&log->checkpoint_lock);
}

static bool anchor(struct atr_log *log, const char *note, int length)
{
	struct atr_log_stats *stats = &log->stats;
	uint64_t begin = rte_rdtsc();
	int rc;

	if (!log->params.anchor)
		return true;
	rc = atr_anchor_keep(log->params.anchor, log->params.shard, note, (size_t)length);
	if (rc < 0) {
		log_break(log, "keeping a checkpoint in the anchor", rc);
		return false;
	}
	log_count(&stats->anchors, stats->anchors + 1);
	log_count(&stats->anchor_cycles, stats->anchor_cycles + rte_rdtsc() - begin);
	return true;
}

bool log_sign(struct atr_log *log, const struct atr_frontier *frontier)
{
	struct atr_checkpoint checkpoint = {.size = frontier->size};
	char note[ATR_CHECKPOINT_MAX];
	int length;

	if (!log->params.signer)
		return true;
	memcpy(checkpoint.origin, log->origin, sizeof(checkpoint.origin));
	atr_frontier_root(frontier, checkpoint.root);
	if (contradicts(log, &checkpoint)) {
		log_break(log, "signing a checkpoint, which contradicts an earlier one,", -EBADMSG);
		return false;
	}
	length = atr_checkpoint_sign(&checkpoint, log->params.signer, note, sizeof(note));
	if (length <= 0) {
		log_break(log, "signing a checkpoint", length);
		return false;
	}
	if (!anchor(log, note, length))
		return false;
	log->signed_last = checkpoint;
	publish(log, note, length);
	return true;
}

/* A log opened below its anchor has lost what was promised. */
int log_sign_open(struct atr_log *log, const struct atr_log_end *end, char *error, size_t size)
{
	const struct atr_log_params *params = &log->params;
	struct atr_checkpoint *last = &log->signed_last, here = {.size = end->frontier.size};
	uint8_t key[ATR_PUBLIC_KEY_SIZE];
	char file[ATR_ANCHOR_FILE_MAX];
	int rc;

	if (!params->anchor)
		return 0;
	if (!params->signer) {
		snprintf(error, size,
			 "log of shard %u: an anchor needs a key that signs "
			 "checkpoints; give one",
			 params->shard);
		return -EINVAL;
	}
	atr_signer_public(params->signer, key);
	rc = atr_anchor_load(params->anchor, params->shard, log->origin, key, last, error, size);
	if (rc < 0)
		return rc;
	atr_frontier_root(&end->frontier, here.root);
	if (!contradicts(log, &here))
		return 0;
	atr_anchor_file(params->anchor, params->shard, file, sizeof(file));
	snprintf(error, size,
		 "log of shard %u: it ends at leaf %llu, which contradicts the checkpoint of size "
		 "%llu in %s: put the log back as it was, or keep it as evidence and start with an "
		 "empty log and anchor",
		 params->shard, (unsigned long long)here.size, (unsigned long long)last->size,
		 file);
	return -EBADMSG;
}

size_t atr_log_checkpoint(const struct atr_log *log, char *out, size_t capacity)
{
	struct atr_log *writable = (struct atr_log *)(uintptr_t)log;
	size_t length = 0;

	pthread_mutex_lock(&writable->checkpoint_lock);
	if (log->checkpoint_length <= capacity) {
		length = log->checkpoint_length;
		memcpy(out, log->checkpoint, length);
	}
	pthread_mutex_unlock(&writable->checkpoint_lock);
	return length;
}
