/* SPDX-License-Identifier: BSD-3-Clause */
#include "log_walk.h"

#include <errno.h>
#include <string.h>

#include "command.h"
#include "option.h"

static int see_record(void *context, const struct atr_group_hdr *group,
		      const struct atr_record_hdr *record, const uint8_t *body,
		      const uint8_t *decisions, const uint8_t leaf[ATR_HASH_SIZE])
{
	struct log_walk *walk = context;
	int rc = plan_track_take(&walk->track, record, body);

	(void)leaf;
	walk->group = group;
	if (rc > 0)
		return walk->plan ? walk->plan(walk) : 0;
	if (rc == 0 && walk->entry &&
	    (record->kind == ATR_RECORD_FRAME || record->kind == ATR_RECORD_ENVELOPE))
		rc = walk->entry(walk, record, body, decisions);
	return rc;
}

static void see_progress(void *context, uint64_t bytes, uint64_t total, uint64_t leaves)
{
	const struct log_walk *walk = context;

	if (walk->progress && progress_due(walk->progress))
		progress_show(walk->progress, "shard %u: %llu of %llu MiB, %llu records",
			      walk->shard, (unsigned long long)(bytes >> 20),
			      (unsigned long long)(total >> 20), (unsigned long long)leaves);
}

int log_walk_shard(struct log_walk *walk, uint32_t shard)
{
	struct atr_log_visitor visitor = {walk, see_record, NULL, see_progress};
	struct log_directory directory;
	char error[LOG_ERROR_SIZE] = "";
	struct atr_log_scan scan;
	int err = log_directory_open(&directory, walk->path, shard, error);

	if (err)
		return usage_error(walk->command, "%s", error);
	walk->shard = shard;
	plan_track_free(&walk->track);
	memset(&walk->track, 0, sizeof(walk->track));
	err = atr_log_scan(&directory.storage, &visitor, &scan, error, sizeof(error));
	log_directory_close(&directory);
	if (err == -ECANCELED)
		return err;
	if (walk->progress)
		progress_end(walk->progress);
	if (err)
		return failure(walk->command, "shard-%u: %s", shard,
			       walk->track.error[0] ? walk->track.error
			       : error[0]           ? error
						    : strerror(-err));
	if (shard == 0)
		walk->shards = scan.shards > 1 ? scan.shards : 1;
	walk->leaves = scan.end.frontier.size;
	walk->records += scan.records;
	walk->events += scan.events;
	walk->pruned += scan.pruned_leaves;
	return 0;
}

int log_walk_all(struct log_walk *walk)
{
	int status = 0;

	walk->shards = 1;
	for (uint32_t i = 0; i < walk->shards && status == 0; i++)
		status = log_walk_shard(walk, i);
	return status;
}
