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

#define IDLE_TURNS     32
#define IDLE_SLEEP_US  20
#define PROGRESS_S     2
#define LOG_NAME_MAX   64
#define CHECKPOINT_KEY "checkpoint.key"
#define ACKS_KEY       "acks.key"
#define STOP_WAIT_MS   5000
#define PATH_SIZE      4096
#define ACKS_WAITING   65536 /* a shard */

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

/* What a scan hands to the replay, and keeps of the last groups. */
struct reading {
	struct shard_log *log;
	const struct atr_log_visitor *replay;
	unsigned int shard;
	uint64_t started_tsc, shown_tsc;
};

static int on_record(void *context, const struct atr_group_hdr *group,
		     const struct atr_record_hdr *record, const uint8_t *body,
		     const uint8_t *decisions, const uint8_t leaf[ATR_HASH_SIZE])
{
	struct reading *r = context;

	return r->replay->record(r->replay->context, group, record, body, decisions, leaf);
}

static int on_group(void *context, const struct atr_group_hdr *group, uint64_t leaves,
		    const uint8_t root[ATR_HASH_SIZE])
{
	struct reading *r = context;

	r->log->place[r->log->places++ % DURABLE_RECOVERED_MAX] =
		(struct group_place){group->segment, group->offset, group->length};
	return r->replay->group ? r->replay->group(r->replay->context, group, leaves, root) : 0;
}

static void on_progress(void *context, uint64_t bytes, uint64_t total, uint64_t leaves)
{
	struct reading *r = context;
	uint64_t now = rte_rdtsc(), step = PROGRESS_S * rte_get_tsc_hz();
	double seconds = (double)(now - r->started_tsc) / (double)rte_get_tsc_hz();

	if (now - r->started_tsc < step || now - r->shown_tsc < step)
		return;
	r->shown_tsc = now;
	printf("atr: reading the log of shard %u: %.1f of %.1f GB, %" PRIu64
	       " records, %.0f MB/s\n",
	       r->shard, (double)bytes * 1e-9, (double)total * 1e-9, leaves,
	       (double)bytes * 1e-6 / seconds);
}

static int read_log(struct durable *d, unsigned int shard, char *error, size_t size)
{
	struct shard_log *log = &d->shard[shard];
	const struct atr_replay_params params = {.shard = shard, .shards = d->shards};
	struct reading reading = {.log = log, .shard = shard, .started_tsc = rte_rdtsc()};
	struct atr_log_visitor visitor = {.context = &reading,
					  .record = on_record,
					  .group = on_group,
					  .progress = on_progress};
	int rc;

	log->replay = atr_replay_create(&params, error, size);
	if (!log->replay)
		return -ENOMEM;
	reading.replay = atr_replay_visitor(log->replay);
	rc = atr_log_scan(log->storage, &visitor, &log->scan, error, size);
	if (rc < 0 && atr_replay_error(log->replay)[0])
		snprintf(error, size, "%s/%s", log->directory, atr_replay_error(log->replay));
	return rc;
}

/* Shards count themselves in every segment: their number cannot change. */
static int check_shards(struct durable *d, const char *directory, char *error, size_t size)
{
	const struct atr_log_scan *first = &d->shard[0].scan;

	for (unsigned int s = 0; s < d->shards; s++) {
		const struct atr_log_scan *scan = &d->shard[s].scan;

		if (scan->segments == 0 && first->segments == 0)
			continue;
		if (scan->segments == 0) {
			snprintf(error, size,
				 "log %s/shard-%u is empty and shard-0 is not; put the missing "
				 "directory back, or start with an empty log",
				 directory, s);
			return -EBADMSG;
		}
		if (scan->shards != d->shards || scan->shard != s ||
		    memcmp(scan->log_id, first->log_id, sizeof(scan->log_id)) != 0) {
			snprintf(error, size,
				 "log %s/shard-%u belongs to shard %u of %u of %s log; start with "
				 "--shards %u, or with an empty log",
				 directory, s, scan->shard, scan->shards,
				 memcmp(scan->log_id, first->log_id, sizeof(scan->log_id))
					 ? "another"
					 : "this",
				 first->shards);
			return -EBADMSG;
		}
	}
	return 0;
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

static int open_logs(struct durable *d, const struct options *options, const char *directory,
		     char *error, size_t size)
{
	uint64_t begin = rte_rdtsc();
	int rc = make_directory(directory, error, size);

	for (unsigned int s = 0; rc == 0 && s < d->shards; s++) {
		struct shard_log *log = &d->shard[s];

		if ((size_t)snprintf(log->directory, sizeof(log->directory), "%s/shard-%u",
				     directory, s) >= sizeof(log->directory))
			return -ENAMETOOLONG;
		log->storage = atr_storage_open(log->directory, options->log_engine, error, size);
		if (!log->storage)
			return -EIO;
		rc = read_log(d, s, error, size);
		d->recovery_events += log->scan.events;
	}
	d->recovery_seconds = (double)(rte_rdtsc() - begin) / (double)rte_get_tsc_hz();
	return rc ? rc : check_shards(d, directory, error, size);
}

int durable_open(struct durable *d, const struct options *options, unsigned int shards,
		 uint32_t epoch, char *error, size_t size)
{
	char directory[PATH_SIZE];

	d->durability = options->durability;
	d->shards = shards;
	d->epoch = epoch;
	snprintf(directory, sizeof(directory), "%s/log", options->state);
	if (options->log)
		snprintf(directory, sizeof(directory), "%s", options->log);
	if (d->durability == ATR_DURABILITY_NONE)
		return check_no_log(directory, error, size);
	d->checkpoint_key = key(options->state, CHECKPOINT_KEY, error, size);
	if (!d->checkpoint_key)
		return -EIO;
	if (d->durability == ATR_DURABILITY_COMMIT) {
		d->acks_key = key(options->state, ACKS_KEY, error, size);
		if (!d->acks_key)
			return -EIO;
	}
	return open_logs(d, options, directory, error, size);
}

/* --- The plan --- */

static int plan_of_log(struct durable *d, const struct options *options, struct atr_plan **plan,
		       char *error, size_t size)
{
	size_t length;
	const char *document = atr_replay_document(d->shard[0].replay, &length);

	for (unsigned int s = 1; s < d->shards; s++)
		if (memcmp(atr_replay_plan(d->shard[s].replay)->digest,
			   atr_replay_plan(d->shard[0].replay)->digest, ATR_HASH_SIZE) != 0) {
			snprintf(error, size,
				 "%s: its plan is another than that of shard 0; put the "
				 "directories back from one copy",
				 d->shard[s].directory);
			return -EBADMSG;
		}
	if (*plan && memcmp((*plan)->digest, atr_replay_plan(d->shard[0].replay)->digest,
			    ATR_HASH_SIZE) != 0) {
		snprintf(error, size,
			 "--pipeline %s differs from the plan in force, which is in the log (%s); "
			 "leave --pipeline out, or start with an empty log",
			 options->pipeline, d->shard[0].directory);
		return -EEXIST;
	}
	atr_plan_free(*plan);
	*plan = atr_plan_load(document, length, error, size);
	return *plan ? 0 : -EBADMSG;
}

int durable_plan(struct durable *d, const struct options *options, struct atr_plan **plan,
		 char *error, size_t size)
{
	bool logged = d->shard[0].replay && atr_replay_plan(d->shard[0].replay);

	*plan = NULL;
	if (options->pipeline) {
		*plan = atr_plan_load_file(options->pipeline, error, size);
		if (!*plan)
			return -EINVAL;
	}
	for (unsigned int s = 1; s < d->shards && d->durability != ATR_DURABILITY_NONE; s++)
		if ((atr_replay_plan(d->shard[s].replay) != NULL) != logged) {
			snprintf(error, size,
				 "%s: the log holds no whole plan, though another shard's does; "
				 "its first start was interrupted: move the log away and start "
				 "with an empty one",
				 d->shard[logged ? s : 0].directory);
			return -EBADMSG;
		}
	return logged ? plan_of_log(d, options, plan, error, size) : 0;
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

static int open_one(struct durable *d, const struct options *options, unsigned int shard,
		    uint64_t realm, char *error, size_t size)
{
	struct shard_log *log = &d->shard[shard];
	char name[LOG_NAME_MAX];
	struct atr_log_params params = {.storage = log->storage,
					.signer = d->checkpoint_key,
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
	if (log->scan.torn)
		printf("atr: log of shard %u: cutting a torn tail, segment %" PRIu64
		       " from byte %" PRIu64 ", %" PRIu64 " bytes: never acknowledged, never "
		       "published\n",
		       shard, log->scan.torn_segment, log->scan.torn_offset, log->scan.torn_bytes);
	log->log = atr_log_open(&params, &log->scan.end, error, size);
	return log->log ? 0 : -EIO;
}

static int make_acker(struct durable *d, const struct atr_plan *plan, char *error, size_t size)
{
	const struct atr_acker_params params = {.realm = plan->realm,
						.epoch = (uint32_t)d->epoch,
						.sources = plan->source_slots,
						.shards = d->shards,
						.datagram_max = ATR_ACK_DATAGRAM_DEFAULT,
						.signer = d->acks_key};

	d->acker = atr_acker_create(&params, error, size);
	return d->acker ? 0 : -ENOMEM;
}

int durable_start(struct durable *d, const struct options *options, const struct atr_plan *plan,
		  char *error, size_t size)
{
	int rc = 0;

	if (d->durability == ATR_DURABILITY_NONE || !plan)
		return 0;
	memcpy(d->log_id, d->shard[0].scan.log_id, sizeof(d->log_id));
	if (d->shard[0].scan.segments == 0)
		randombytes_buf(d->log_id, sizeof(d->log_id));
	else if (d->shard[0].scan.realm != plan->realm)
		return -EBADMSG;
	for (unsigned int s = 0; rc == 0 && s < d->shards; s++) {
		bool waits = d->durability == ATR_DURABILITY_COMMIT;

		if (waits && atr_replay_plan(d->shard[s].replay))
			rc = durable_load_recovered(&d->shard[s], plan, error, size);
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
		if (!atr_replay_plan(d->shard[s].replay))
			rc = durable_genesis(d->shard[s].log, plan, error, size);
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
	config->log_epoch = (uint32_t)d->epoch;
	if (!d->running) {
		config->commit.durability = ATR_DURABILITY_NONE;
		return;
	}
	if (d->shard[0].scan.segments > 0)
		config->log_epoch = (uint32_t)atr_replay_first_epoch(d->shard[0].replay);
	if (d->durability == ATR_DURABILITY_COMMIT)
		config->waiting_feeds = plan->commit_feeds;
}

void durable_shard(const struct durable *d, unsigned int shard, struct atr_shard_config *config)
{
	const struct shard_log *log = &d->shard[shard];

	if (!d->running)
		return;
	config->commit.log = log->log;
	config->commit.recovered = log->recovered;
	config->commit.recovered_count = log->recovered_count;
	for (unsigned int f = 0; f < ATR_FEEDS_MAX; f++) {
		config->commit.next[f] = atr_replay_feed_next(log->replay, f);
		config->feed_next[f] = log->recovered ? log->feed_next[f] : config->commit.next[f];
	}
}

/* --- What the log remembers --- */

struct window_context {
	const struct atr_program *program;
	const struct atr_tag_key *key;
};

static int fill_window(void *context, uint32_t source, const struct atr_replay_frame *frame)
{
	const struct window_context *w = context;
	uint8_t reason[ATR_FRAME_PACKETS_MAX];

	if (!atr_plan_source(w->program->plan, source) || frame->count > ATR_FRAME_PACKETS_MAX)
		return 0;
	for (unsigned int e = 0; e < frame->count; e++)
		reason[e] = frame->admitted[e / 8] >> e % 8 & 1 ? ATR_OK : ATR_REASON_STALE;
	atr_window_set(w->program->source[source].window, frame->first, frame->count,
		       atr_tag(w->key, frame->leaf), reason);
	return 0;
}

void durable_windows(const struct durable *d, const struct atr_program *program,
		     const struct atr_tag_key *tag_key)
{
	struct window_context context = {program, tag_key};

	if (d->durability == ATR_DURABILITY_NONE || !program->plan)
		return;
	for (unsigned int s = 0; s < d->shards; s++)
		atr_replay_frames(d->shard[s].replay, fill_window, &context);
}

struct identity_context {
	struct atr_identity *memory;
	uint32_t shard;
};

static int fill_identity(void *context, const struct atr_replay_envelope *envelope)
{
	const struct identity_context *c = context;
	int entry = atr_identity_take(c->memory, envelope->source, envelope->uuid, envelope->leaf,
				      envelope->uuid_ms);

	if (entry < 0)
		return entry;
	atr_identity_logged(c->memory, (uint32_t)entry, c->shard, envelope->position);
	return 0;
}

int durable_identities(const struct durable *d, struct atr_identity *memory, char *error,
		       size_t size)
{
	int rc = 0;

	if (d->durability == ATR_DURABILITY_NONE || !memory)
		return 0;
	for (unsigned int s = 0; rc == 0 && s < d->shards; s++) {
		struct identity_context context = {memory, s};

		rc = atr_replay_envelopes(d->shard[s].replay, fill_identity, &context);
	}
	if (rc < 0)
		snprintf(error, size,
			 "the log holds more envelopes within the plan's window than can be "
			 "remembered; raise --identities (now %u)",
			 atr_identity_capacity(memory));
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
		durable_free_recovered(log);
		atr_replay_free(log->replay);
		if (log->storage)
			log->storage->ops->destroy(log->storage);
	}
	atr_acker_free(d->acker);
	atr_signer_free(d->checkpoint_key);
	atr_signer_free(d->acks_key);
}
