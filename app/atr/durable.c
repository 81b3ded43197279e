/* SPDX-License-Identifier: BSD-3-Clause */
#include "durable.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_lcore.h>
#include <sodium.h>

#define IDLE_TURNS      8
#define IDLE_SLEEP_US   50 /* many of them cost the core that the control lcore may share */
#define PROGRESS_S      2
#define LOG_NAME_MAX    64
#define CHECKPOINT_KEY  "checkpoint.key"
#define ACKS_KEY        "acks.key"
#define STOP_WAIT_MS    5000
#define PATH_SIZE       4096
#define ACKS_WAITING    65536 /* a shard */
#define GENESIS_STEP_US 50

/* --- Keys --- */

static struct atr_signer *key(const char *state, const char *name, char *error, size_t size)
{
	char path[PATH_SIZE];
	struct atr_signer *signer;

	snprintf(path, sizeof(path), "%s/%s", state, name);
	if (access(path, F_OK) == 0)
		return atr_signer_load(path, error, size);
	signer = atr_signer_generate();
	if (!signer) {
		snprintf(error, size, "no memory can be locked for a key (%s); raise `ulimit -l`",
			 strerror(errno));
		return NULL;
	}
	if (atr_signer_save(signer, path, error, size) == 0)
		return signer;
	atr_signer_free(signer);
	return NULL;
}

/* --- Reading what is there --- */

struct progress {
	unsigned int shard;
	uint64_t started_tsc, shown_tsc;
	struct recall *recall;
};

static void on_progress(void *context, uint64_t bytes, uint64_t total, uint64_t leaves)
{
	struct progress *p = context;
	uint64_t now = rte_rdtsc(), step = PROGRESS_S * rte_get_tsc_hz();
	double seconds = (double)(now - p->started_tsc) / (double)rte_get_tsc_hz();

	if (now - p->started_tsc < step || now - p->shown_tsc < step)
		return;
	p->shown_tsc = now;
	printf("atr: reading the log of shard %u: %.1f of %.1f GB, %" PRIu64
	       " records, %.0f MB/s\n",
	       p->shard, (double)bytes * 1e-9, (double)total * 1e-9, leaves,
	       (double)bytes * 1e-6 / seconds);
}

static int on_governs(void *context, const struct atr_plan *plan,
		      const struct atr_record_hdr *record, const uint8_t *body)
{
	const struct progress *p = context;

	(void)plan;
	return recall_keep(p->recall, p->shard, record, body);
}

static void on_passed_over(void *context, const char *sentence)
{
	const struct progress *p = context;

	printf("atr: log of shard %u: %s\n", p->shard, sentence);
}

static int read_log(struct durable *d, const struct options *options, unsigned int shard,
		    char *error, size_t size)
{
	struct progress progress = {
		.shard = shard, .started_tsc = rte_rdtsc(), .recall = &d->recall};
	struct atr_checkpoint anchored;
	char anchor_name[ATR_ANCHOR_FILE_MAX];
	struct atr_recovery_params params = {.name = d->shard[shard].directory,
					     .storage = d->shard[shard].storage,
					     .shard = shard,
					     .shards = d->shards,
					     .state_keys = options->state_keys,
					     .snapshots = d->shard[shard].directory,
					     .context = &progress,
					     .passed_over = on_passed_over,
					     .governs = on_governs,
					     .progress = on_progress};
	uint8_t key[ATR_PUBLIC_KEY_SIZE];
	int rc = 0;

	if (d->anchor) {
		atr_signer_public(d->checkpoint_key, key);
		/* The log's name is not known yet; the writer compares it. */
		rc = atr_anchor_load(d->anchor, shard, NULL, key, &anchored, error, size);
		atr_anchor_file(d->anchor, shard, anchor_name, sizeof(anchor_name));
		params.anchored = &anchored;
		params.anchor_name = anchor_name;
	}
	return rc ? rc : atr_recovery_read(&d->recovery[shard], &params, error, size);
}

static int open_anchor(struct durable *d, const char *directory, char *error, size_t size)
{
	if (d->durability == ATR_DURABILITY_NONE) {
		snprintf(error, size,
			 "--anchor %s: with --durability none there is no log to anchor; leave it "
			 "out, or start with --durability commit",
			 directory);
		return -EINVAL;
	}
	d->anchor = atr_anchor_open(directory, error, size);
	return d->anchor ? 0 : -EIO;
}

/* Without a log nobody would know later what was admitted in between. */
static int check_no_log(const char *directory, char *error, size_t size)
{
	char path[PATH_SIZE + LOG_NAME_MAX];

	snprintf(path, sizeof(path), "%s/shard-0/" ATR_SEGMENT_NAME, directory, UINT64_C(0));
	if (access(path, F_OK) != 0)
		return 0;
	snprintf(error, size,
		 "--durability none, and %s holds a log: what is admitted now would be missing in "
		 "it; start with --durability commit, or name other directories with --state and "
		 "--log",
		 directory);
	return -EEXIST;
}

static int make_directory(const char *directory, char *error, size_t size)
{
	if (mkdir(directory, 0750) == 0 || errno == EEXIST)
		return 0;
	snprintf(error, size, "log %s: %s; name a writable directory with --log", directory,
		 strerror(errno));
	return -errno;
}

static int open_logs(struct durable *d, const struct options *options, char *error, size_t size)
{
	const char *directory = d->directory;
	uint64_t begin = rte_rdtsc();
	int rc = make_directory(directory, error, size);

	if (rc == 0 && d->anchor && !atr_anchor_apart(d->anchor, directory))
		printf("atr: --anchor %s is on the file system of the log, and will be lost or "
		       "rolled "
		       "back with it; give a directory on another one\n",
		       options->anchor);
	for (unsigned int s = 0; rc == 0 && s < d->shards; s++) {
		struct shard_log *log = &d->shard[s];

		if ((size_t)snprintf(log->directory, sizeof(log->directory), "%s/shard-%u",
				     directory, s) >= sizeof(log->directory))
			return -ENAMETOOLONG;
		log->storage = atr_storage_open(log->directory, options->log_engine, error, size);
		if (!log->storage)
			return -EIO;
		rc = read_log(d, options, s, error, size);
		d->recovery_events += d->recovery[s].scan.events;
	}
	d->recovery_seconds = (double)(rte_rdtsc() - begin) / (double)rte_get_tsc_hz();
	return rc ? rc : atr_recovery_agree(d->recovery, d->shards, error, size);
}

int durable_open(struct durable *d, const struct options *options, unsigned int shards,
		 uint32_t epoch, char *error, size_t size)
{
	d->durability = options->durability;
	d->shards = shards;
	d->epoch = epoch;
	snprintf(d->directory, sizeof(d->directory), "%s/log", options->state);
	if (options->log)
		snprintf(d->directory, sizeof(d->directory), "%s", options->log);
	if (options->anchor) {
		int rc = open_anchor(d, options->anchor, error, size);

		if (rc < 0)
			return rc;
	}
	if (d->durability == ATR_DURABILITY_NONE)
		return check_no_log(d->directory, error, size);
	d->checkpoint_key = key(options->state, CHECKPOINT_KEY, error, size);
	if (!d->checkpoint_key)
		return -EIO;
	if (d->durability == ATR_DURABILITY_COMMIT) {
		d->acks_key = key(options->state, ACKS_KEY, error, size);
		if (!d->acks_key)
			return -EIO;
	}
	return open_logs(d, options, error, size);
}

/* --- Writing --- */

static void *log_main(void *argument)
{
	struct durable *d = argument;
	unsigned int idle = 0;

	while (!__atomic_load_n(&d->stop, __ATOMIC_ACQUIRE)) {
		unsigned int work = 0;

		for (unsigned int s = 0; s < d->shards; s++)
			work += atr_log_work(d->shard[s].log);
		idle = work ? 0 : idle + 1;
		if (idle > IDLE_TURNS)
			rte_delay_us_sleep(IDLE_SLEEP_US);
	}
	return NULL;
}

/* The log thread works meanwhile. */
static int wait_log(void *context)
{
	(void)context;
	rte_delay_us_sleep(GENESIS_STEP_US);
	return 0;
}

static int open_one(struct durable *d, const struct options *options, unsigned int shard,
		    uint64_t realm, char *error, size_t size)
{
	struct shard_log *log = &d->shard[shard];
	const struct atr_log_scan *scan = &d->recovery[shard].scan;
	char name[LOG_NAME_MAX];
	struct atr_log_params params = {.storage = log->storage,
					.signer = d->checkpoint_key,
					.anchor = d->anchor,
					.name = name,
					.realm = realm,
					.shard = shard,
					.shards = d->shards,
					.segment_bytes = options->segment_bytes,
					.buffers = options->log_buffers,
					.epoch = d->epoch,
					.socket = SOCKET_ID_ANY};

	snprintf(name, sizeof(name), "atr.%016" PRIx64, realm);
	memcpy(params.log_id, d->log_id, sizeof(params.log_id));
	if (scan->torn)
		printf("atr: log of shard %u: cutting a torn tail, segment %" PRIu64
		       " from byte %" PRIu64 ", %" PRIu64 " bytes: never acknowledged, never "
		       "published\n",
		       shard, scan->torn_segment, scan->torn_offset, scan->torn_bytes);
	log->log = atr_log_open(&params, &scan->end, error, size);
	return log->log ? 0 : -EIO;
}

static int make_acker(struct durable *d, const struct atr_plan *plan, char *error, size_t size)
{
	const struct atr_acker_params params = {
		.realm = plan->realm,
		.epoch = (uint32_t)d->epoch,
		/* A plan that can change may get any. */
		.sources = plan->governance.present ? ATR_ID_MAX + 1 : plan->source_slots,
		.shards = d->shards,
		.datagram_max = ATR_ACK_DATAGRAM_DEFAULT,
		.signer = d->acks_key};

	d->acker = atr_acker_create(&params, error, size);
	return d->acker ? 0 : -ENOMEM;
}

/* A first start that was interrupted, with another plan than now. */
static int wrong_realm(const struct atr_recovery *logged, const struct options *options,
		       char *error, size_t size)
{
	snprintf(error, size,
		 "log %s belongs to realm %016" PRIx64 ", and --pipeline %s to another; give the "
		 "plan of the log's first start, or start with an empty log",
		 logged->name, logged->scan.realm, options->pipeline ? options->pipeline : "");
	return -EEXIST;
}

int durable_start(struct durable *d, const struct options *options, const struct atr_plan *plan,
		  char *error, size_t size)
{
	const struct atr_recovery *logged = atr_recovery_with_log(d->recovery, d->shards);
	int rc = 0;

	if (d->durability == ATR_DURABILITY_NONE || !plan)
		return 0;
	if (!logged)
		randombytes_buf(d->log_id, sizeof(d->log_id));
	else if (logged->scan.realm == plan->realm)
		memcpy(d->log_id, logged->scan.log_id, sizeof(d->log_id));
	else
		return wrong_realm(logged, options, error, size);
	for (unsigned int s = 0; rc == 0 && s < d->shards; s++) {
		if (d->durability == ATR_DURABILITY_COMMIT)
			rc = atr_recovery_load(&d->recovery[s], plan, error, size);
		if (rc == 0)
			rc = open_one(d, options, s, plan->realm, error, size);
	}
	if (rc == 0 && d->acks_key)
		rc = make_acker(d, plan, error, size);
	if (rc < 0)
		return rc;
	if (rte_ctrl_thread_create(&d->thread, "atr-log", NULL, log_main, d) != 0) {
		snprintf(error, size, "no thread for the log; raise the limit of processes");
		return -EAGAIN;
	}
	d->running = true;
	for (unsigned int s = 0; rc == 0 && s < d->shards; s++)
		if (atr_replay_generation(d->recovery[s].replay) < plan->generation)
			rc = atr_genesis(d->shard[s].log, plan, wait_log, NULL, error, size);
	return rc;
}

void durable_configure(const struct durable *d, const struct options *options,
		       const struct atr_plan *plan, struct atr_shard_config *config)
{
	config->commit = (struct atr_commit_config){.durability = d->durability,
						    .seal_bytes = options->commit_bytes,
						    .seal_us = options->commit_us,
						    .seal_ahead = options->log_buffers / 2,
						    .acks = ACKS_WAITING};
	if (!d->running) {
		config->commit.durability = ATR_DURABILITY_NONE;
		return;
	}
	if (d->durability == ATR_DURABILITY_COMMIT)
		config->waiting_feeds = plan->commit_feeds;
}

void durable_shard(const struct durable *d, unsigned int shard, struct atr_shard_config *config)
{
	if (!d->running)
		return;
	config->commit.log = d->shard[shard].log;
	atr_recovery_shard(&d->recovery[shard], d->epoch, config);
}

/* --- What the log remembers --- */

void durable_windows(const struct durable *d, const struct atr_program *program,
		     const struct atr_tag_key *tag_key)
{
	if (d->durability == ATR_DURABILITY_NONE || !program->plan)
		return;
	for (unsigned int s = 0; s < d->shards; s++)
		atr_recovery_windows(&d->recovery[s], program, tag_key);
}

int durable_identities(const struct durable *d, struct atr_identity *memory, char *error,
		       size_t size)
{
	int rc = 0;

	if (d->durability == ATR_DURABILITY_NONE || !memory)
		return 0;
	for (unsigned int s = 0; rc == 0 && s < d->shards; s++)
		rc = atr_recovery_identities(&d->recovery[s], memory, error, size);
	return rc;
}

/* --- The end --- */

static bool under_way(const struct durable *d)
{
	for (unsigned int s = 0; s < d->shards; s++) {
		struct atr_log_stats stats;

		atr_log_stats(d->shard[s].log, &stats);
		if (atr_log_state(d->shard[s].log, NULL) == ATR_LOG_OK &&
		    (stats.groups_under_way > 0 || atr_log_under_way(d->shard[s].log) > 0))
			return true;
	}
	return false;
}

/* The shards have returned: what they sealed comes back here. */
static void take_back(struct durable *d)
{
	struct atr_group_buf *group;

	for (unsigned int s = 0; s < d->shards; s++)
		while ((group = atr_log_durable(d->shard[s].log)) != NULL)
			atr_log_release(d->shard[s].log, group);
}

void durable_stop(struct durable *d)
{
	if (!d->running)
		return;
	for (unsigned int ms = 0; ms < STOP_WAIT_MS && under_way(d); ms++) {
		take_back(d);
		rte_delay_us_sleep(1000);
	}
	take_back(d);
	__atomic_store_n(&d->stop, true, __ATOMIC_RELEASE);
	pthread_join(d->thread, NULL);
	d->running = false;
}

void durable_close(struct durable *d)
{
	durable_stop(d);
	for (unsigned int s = 0; s < d->shards; s++) {
		struct shard_log *log = &d->shard[s];

		atr_log_close(log->log);
		atr_recovery_free(&d->recovery[s]);
		if (log->storage)
			log->storage->ops->destroy(log->storage);
	}
	recall_free(&d->recall);
	atr_governor_free(d->governor);
	atr_anchor_close(d->anchor);
	atr_acker_free(d->acker);
	atr_signer_free(d->checkpoint_key);
	atr_signer_free(d->acks_key);
}
