/* SPDX-License-Identifier: BSD-3-Clause */
/* Which plan a start begins with. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "durable.h"

#define SENTENCE_SIZE 640

/* FILE is the first plan of the log, or the one in force. *plan: the log's; NULL if it has none,
 * then FILE's. */
static int compare_file(struct durable *d, const struct options *options, struct atr_plan **plan,
			char *error, size_t size)
{
	struct atr_plan *file = atr_plan_load_file(options->pipeline, error, size);
	uint8_t digest[ATR_HASH_SIZE];
	int rc = 0;

	if (!file)
		return -EINVAL;
	if (!*plan) {
		*plan = file;
		file->generation = ATR_GENESIS_GENERATION;
		return 0;
	}
	if (memcmp(file->digest, (*plan)->digest, ATR_HASH_SIZE) != 0)
		rc = atr_recovery_genesis(atr_recovery_with_plan(d->recovery, d->shards), digest,
					  error, size);
	else
		memcpy(digest, file->digest, sizeof(digest));
	if (rc == -ENOENT || (rc == 0 && memcmp(file->digest, digest, sizeof(digest)) != 0)) {
		snprintf(error, size,
			 "--pipeline %s differs from the plan in force, which is in the log (%s), "
			 "and from the log's first; leave --pipeline out, or start with an empty "
			 "log",
			 options->pipeline, d->shard[0].directory);
		rc = -EEXIST;
	}
	atr_plan_free(file);
	return rc;
}

struct rescan {
	struct recall *recall;
	const struct atr_plan *plan;
	unsigned int shard;
};

static int on_record(void *context, const struct atr_group_hdr *group,
		     const struct atr_record_hdr *record, const uint8_t *body,
		     const uint8_t *decisions, const uint8_t leaf[ATR_HASH_SIZE])
{
	struct rescan *r = context;

	(void)group;
	(void)decisions;
	(void)leaf;
	if (record->kind != ATR_RECORD_ENVELOPE || !body ||
	    record->generation != r->plan->generation ||
	    atr_plan_governs(r->plan, record->type) == ATR_GOVERNANCE_NONE)
		return 0;
	return recall_keep(r->recall, r->shard, record, body);
}

/* The logs from their beginning: what the change needs lies before the snapshots. */
static int read_all(struct durable *d, const struct atr_plan *plan, char *error, size_t size)
{
	struct rescan r = {.recall = &d->recall, .plan = plan};
	const struct atr_log_visitor visitor = {.context = &r, .record = on_record};
	int rc = 0;

	printf("atr: a change of plan is in the log: reading all of it for the document\n");
	recall_free(&d->recall);
	for (unsigned int s = 0; rc == 0 && s < d->shards; s++) {
		struct atr_log_scan scan = {0};

		r.shard = s;
		rc = atr_log_scan(d->shard[s].storage, &visitor, &scan, error, size);
	}
	return rc;
}

static bool from_snapshot(const struct durable *d)
{
	for (unsigned int s = 0; s < d->shards; s++)
		if (d->recovery[s].snapshot_group > 0)
			return true;
	return false;
}

/* A change that was durable when the appliance stopped. */
static int put_in_force(struct durable *d, struct atr_plan **plan, char *error, size_t size)
{
	char sentence[SENTENCE_SIZE] = "";
	struct atr_plan *next = NULL;
	int rc = -ENOMEM;

	d->governor = atr_governor_create();
	if (d->governor)
		rc = recall_rebuild(&d->recall, *plan, d->governor, &next, sentence,
				    sizeof(sentence));
	if (rc == 0 && sentence[0] && from_snapshot(d)) {
		rc = read_all(d, *plan, error, size);
		if (rc < 0)
			return rc;
		rc = recall_rebuild(&d->recall, *plan, d->governor, &next, sentence,
				    sizeof(sentence));
	}
	recall_free(&d->recall);
	if (rc < 0) {
		snprintf(error, size, "out of memory for documents of plans");
		return rc;
	}
	if (sentence[0])
		printf("atr: %s\n", sentence);
	if (!next)
		return 0;
	printf("atr: plan version %u replaces version %u: the change is in the log and had not "
	       "been put in force\n",
	       next->version, (*plan)->version);
	next->generation = (*plan)->generation + 1;
	atr_plan_free(*plan);
	*plan = next;
	atr_governor_reset(d->governor);
	return 0;
}

int durable_plan(struct durable *d, const struct options *options, struct atr_plan **plan,
		 char *error, size_t size)
{
	struct atr_plan *logged = NULL;
	int rc = atr_recovery_plan(d->recovery, d->shards, &logged, error, size);

	*plan = logged;
	if (rc == 0 && options->pipeline)
		rc = compare_file(d, options, plan, error, size);
	return rc == 0 && logged ? put_in_force(d, plan, error, size) : rc;
}
