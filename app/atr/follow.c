/* SPDX-License-Identifier: BSD-3-Clause */
#include "follow.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_thread.h>

#define KEEPER_NICE       19
#define SNAPSHOTS_KEPT    2
#define STEP_US           20000
#define TURNS_A_SECOND    (1000000 / STEP_US)
#define SEGMENTS_A_TURN   1
#define RECORD_WAIT_TURNS (2 * TURNS_A_SECOND)
#define STALE_MAX         64
#define NS_A_SECOND       UINT64_C(1000000000)
#define PATH_SIZE         4200

/* --- What the keeper does --- */

/* The follower's thread. */
static void on_snapshot(void *context, unsigned int shard, const struct atr_snapshot *snapshot)
{
	struct follow *f = context;
	struct followed_shard *one = &f->shard[shard];

	pthread_mutex_lock(&f->lock);
	one->record =
		(struct atr_snapshot_body){.group = snapshot->groups, .leaves = snapshot->leaves};
	memcpy(one->record.digest, snapshot->digest, sizeof(one->record.digest));
	one->record_waits = true;
	pthread_mutex_unlock(&f->lock);
}

static void complain(struct follow *f, unsigned int shard, const char *sentence)
{
	pthread_mutex_lock(&f->lock);
	snprintf(f->shard[shard].kept.error, FOLLOW_ERROR, "%.511s", sentence);
	pthread_mutex_unlock(&f->lock);
}

/* Before a log's first group of this run no record can be placed; a snapshot is good without. */
static void put_record(struct follow *f, unsigned int shard)
{
	struct followed_shard *one = &f->shard[shard];
	struct atr_log *log = f->durable->shard[shard].log;
	struct atr_log_stats stats;
	int rc = 0;

	atr_log_stats(log, &stats);
	pthread_mutex_lock(&f->lock);
	if (one->record_waits && stats.groups > 0)
		rc = atr_log_snapshot(log, &one->record);
	if (rc != -EBUSY)
		one->record_waits = false;
	pthread_mutex_unlock(&f->lock);
}

static void keep_checkpoint(struct follow *f, unsigned int shard)
{
	char note[ATR_CHECKPOINT_MAX], file[ATR_ANCHOR_FILE_MAX];
	size_t length = atr_log_checkpoint(f->durable->shard[shard].log, note, sizeof(note));
	char sentence[FOLLOW_ERROR];
	int rc;

	if (length == 0 || (length == f->shard[shard].note_length &&
			    memcmp(note, f->shard[shard].note, length) == 0))
		return;
	rc = atr_anchor_keep(f->checkpoints, shard, note, length);
	if (rc == 0) {
		memcpy(f->shard[shard].note, note, length);
		f->shard[shard].note_length = length;
		return;
	}
	atr_anchor_file(f->checkpoints, shard, file, sizeof(file));
	snprintf(sentence, sizeof(sentence), "%.300s: the checkpoint cannot be kept (%.100s)", file,
		 strerror(-rc));
	complain(f, shard, sentence);
}

static void watch_disk(struct follow *f, unsigned int shard)
{
	struct followed_shard *one = &f->shard[shard];
	struct atr_log_stats stats;
	struct statvfs disk;
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	atr_log_stats(f->durable->shard[shard].log, &stats);
	if (statvfs(f->durable->shard[shard].directory, &disk) != 0)
		disk.f_bavail = 0;
	pthread_mutex_lock(&f->lock);
	one->kept.free_bytes = (uint64_t)disk.f_bavail * disk.f_frsize;
	atr_log_forecast_add(&one->kept.forecast,
			     (uint64_t)now.tv_sec * NS_A_SECOND + (uint64_t)now.tv_nsec,
			     stats.bytes);
	pthread_mutex_unlock(&f->lock);
}

/* Only what lies below the older of two snapshots is given up: one that turns out to be damaged
 * must not be the only way back. */
static void retain(struct follow *f, unsigned int shard)
{
	struct followed_shard *one = &f->shard[shard];
	struct atr_log_retain_params params = {.keep_bytes = f->options->retain_bytes};
	struct atr_log_retained done;
	struct atr_log_stats stats;
	char error[FOLLOW_ERROR];
	int rc;

	atr_log_stats(f->durable->shard[shard].log, &stats);
	if (stats.snapshot_leaves > one->covered[0]) {
		one->covered[1] = one->covered[0];
		one->covered[0] = stats.snapshot_leaves;
	}
	if (!one->retainer || one->covered[1] == 0)
		return;
	params.snapshot_leaves = one->covered[1];
	params.segment = stats.segment;
	memset(&done, 0, sizeof(done));
	rc = atr_log_retain(one->retainer, &params, SEGMENTS_A_TURN, &done, error, sizeof(error));
	if (rc < 0)
		complain(f, shard, error);
	pthread_mutex_lock(&f->lock);
	one->kept.pruned_segments += done.segments;
	one->kept.pruned_bytes += done.bytes;
	pthread_mutex_unlock(&f->lock);
}

/* --- Threads --- */

static void start_follower(struct follow *f)
{
	struct atr_follower_shard shards[ATR_SHARDS_MAX];
	const struct atr_follower_params params = {.shard = shards,
						   .shards = f->durable->shards,
						   .snapshot_events = f->options->snapshot_events,
						   .keep = SNAPSHOTS_KEPT,
						   .snapshot = on_snapshot,
						   .ctx = f};

	for (unsigned int s = 0; s < f->durable->shards; s++)
		shards[s] = (struct atr_follower_shard){.storage = f->shard[s].reader,
							.directory = f->durable->shard[s].directory,
							.replay = f->durable->recovery[s].replay,
							.at = f->durable->recovery[s].scan.end,
							.durable = &f->shards[s]->commit.group_end};
	f->follower = atr_follower_start(&params, f->error, sizeof(f->error));
	for (unsigned int s = 0; f->follower && s < f->durable->shards; s++)
		f->durable->recovery[s].replay = NULL;
	__atomic_store_n(&f->started, f->follower ? 1 : -EAGAIN, __ATOMIC_RELEASE);
}

/* The follower is started here, because a thread inherits the CPUs of its maker: not the lcores. */
static void *keeper_main(void *argument)
{
	struct follow *f = argument;

	start_follower(f);
	setpriority(PRIO_PROCESS, (id_t)gettid(), KEEPER_NICE);
	for (unsigned int turn = 0; !__atomic_load_n(&f->stop, __ATOMIC_ACQUIRE); turn++) {
		for (unsigned int s = 0; s < f->durable->shards; s++) {
			put_record(f, s);
			if (turn % TURNS_A_SECOND != 0)
				continue;
			keep_checkpoint(f, s);
			watch_disk(f, s);
			retain(f, s);
		}
		rte_delay_us_sleep(STEP_US);
	}
	return NULL;
}

/* --- Start and end --- */

/* Snapshots beyond the log's end are of what was lost with it. */
static void remove_stale(const struct atr_recovery *recovery, const char *directory)
{
	uint64_t groups[STALE_MAX];
	int count = atr_snapshot_list(directory, groups, STALE_MAX);
	char path[PATH_SIZE];

	for (int i = 0; i < count && groups[i] > recovery->scan.end.group; i++) {
		snprintf(path, sizeof(path), "%s/" ATR_SNAPSHOT_NAME, directory, groups[i]);
		printf("atr: removing %s: the log ends at group %" PRIu64 "\n", path,
		       recovery->scan.end.group);
		unlink(path);
	}
}

static int open_storages(struct follow *f, char *error, size_t size)
{
	for (unsigned int s = 0; s < f->durable->shards; s++) {
		struct followed_shard *one = &f->shard[s];
		const char *directory = f->durable->shard[s].directory;

		remove_stale(&f->durable->recovery[s], directory);
		one->reader = atr_storage_open(directory, "read", error, size);
		if (!one->reader)
			return -EIO;
		if (f->options->retain_bytes == 0)
			continue;
		one->retainer = atr_storage_open(directory, "beside", error, size);
		if (!one->retainer)
			return -EIO;
	}
	return 0;
}

int follow_start(struct follow *f, struct durable *durable, const struct options *options,
		 struct atr_shard *const *shards, char *error, size_t size)
{
	int rc;

	if (!durable->running)
		return 0;
	f->durable = durable;
	f->options = options;
	f->shards = shards;
	pthread_mutex_init(&f->lock, NULL);
	pthread_mutex_init(&f->asking, NULL);
	f->checkpoints = atr_anchor_open(durable->directory, error, size);
	rc = f->checkpoints ? open_storages(f, error, size) : -EIO;
	if (rc < 0)
		return rc;
	if (rte_ctrl_thread_create(&f->keeper, "atr-keeper", NULL, keeper_main, f) != 0) {
		snprintf(error, size, "no thread to keep the log; raise the limit of processes");
		return -EAGAIN;
	}
	f->running = true;
	while ((rc = __atomic_load_n(&f->started, __ATOMIC_ACQUIRE)) == 0)
		rte_delay_us_sleep(STEP_US / TURNS_A_SECOND);
	if (rc < 0)
		snprintf(error, size, "%s", f->error);
	return rc < 0 ? rc : 0;
}

/* Has the last snapshot's record become durable, or can it not? */
static bool recorded(struct follow *f, unsigned int shard)
{
	const struct atr_log *log = f->durable->shard[shard].log;
	struct atr_log_stats stats;
	bool waits;

	atr_log_stats(log, &stats);
	pthread_mutex_lock(&f->lock);
	waits = f->shard[shard].record_waits ||
		stats.snapshot_leaves < f->shard[shard].record.leaves;
	pthread_mutex_unlock(&f->lock);
	return !waits || stats.groups == 0 || atr_log_state(log, NULL) != ATR_LOG_OK;
}

void follow_stop(struct follow *f)
{
	unsigned int turns = RECORD_WAIT_TURNS;
	struct atr_follower *follower;

	if (!f->running)
		return;
	pthread_mutex_lock(&f->asking);
	follower = f->follower;
	f->follower = NULL;
	pthread_mutex_unlock(&f->asking);
	atr_follower_stop(follower, true);
	for (unsigned int s = 0; s < f->durable->shards; s++)
		for (; turns > 0 && !recorded(f, s); turns--)
			rte_delay_us_sleep(STEP_US);
	__atomic_store_n(&f->stop, true, __ATOMIC_RELEASE);
	pthread_join(f->keeper, NULL);
	for (unsigned int s = 0; s < f->durable->shards; s++)
		keep_checkpoint(f, s);
	f->running = false;
}

void follow_close(struct follow *f)
{
	follow_stop(f);
	for (unsigned int s = 0; s < ATR_SHARDS_MAX; s++) {
		if (f->shard[s].reader)
			f->shard[s].reader->ops->destroy(f->shard[s].reader);
		if (f->shard[s].retainer)
			f->shard[s].retainer->ops->destroy(f->shard[s].retainer);
	}
	atr_anchor_close(f->checkpoints);
}

struct atr_follower *follow_enter(struct follow *f)
{
	if (!f->durable)
		return NULL;
	pthread_mutex_lock(&f->asking);
	if (f->follower)
		return f->follower;
	pthread_mutex_unlock(&f->asking);
	return NULL;
}

void follow_leave(struct follow *f)
{
	pthread_mutex_unlock(&f->asking);
}

void follow_kept(struct follow *f, unsigned int shard, struct kept *out)
{
	pthread_mutex_lock(&f->lock);
	*out = f->shard[shard].kept;
	pthread_mutex_unlock(&f->lock);
}
