/* SPDX-License-Identifier: BSD-3-Clause */
#include "follower.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define LOWEST_NICE 19
#define IDLE_NS     2000000L
#define WAIT_NS     100000000L /* that a query waits for a replay */
#define SECOND_NS   1000000000L
#define PATH_SIZE   4096
#define KEEP_LIST   256

struct followed {
	pthread_mutex_t lock; /* of everything below; the thread holds it for a group at a time */
	struct atr_replay *replay;
	struct atr_log_follow *follow;
	const uint64_t
		*durable; /* written by the shard's lcore, read by the thread and by queries */
	char *directory;
	bool failed;
	uint64_t snapshot_at; /* admitted events when the last one was made */
	struct atr_follower_status status;
};

struct atr_follower {
	struct atr_follower_params params;
	pthread_t thread;
	int stop; /* written by atr_follower_stop, read by the thread: 1 at once, 2 behind the rest
		   */
	uint64_t owed_ns; /* the thread's: time that what was read may take */
	struct followed shard[];
};

static void pause_ns(uint64_t ns)
{
	struct timespec t = {.tv_sec = (time_t)(ns / SECOND_NS), .tv_nsec = (long)(ns % SECOND_NS)};

	nanosleep(&t, NULL);
}

/* Removes snapshots beyond those kept. */
static void prune(const struct atr_follower *follower, const struct followed *f)
{
	uint64_t groups[KEEP_LIST];
	int count = follower->params.keep ? atr_snapshot_list(f->directory, groups, KEEP_LIST) : 0;

	for (int i = (int)follower->params.keep; i < count; i++) {
		char path[PATH_SIZE];

		if (snprintf(path, sizeof(path), "%s/" ATR_SNAPSHOT_NAME, f->directory, groups[i]) <
		    PATH_SIZE)
			unlink(path);
	}
}

/* The lock is held while the bytes are made, not while they are written. */
static void make_snapshot(struct atr_follower *follower, unsigned int i)
{
	struct followed *f = &follower->shard[i];
	struct atr_snapshot snapshot;
	char error[ATR_FOLLOWER_ERROR];
	int err;

	pthread_mutex_lock(&f->lock);
	f->snapshot_at = atr_replay_events(f->replay);
	err = atr_snapshot_make(f->replay, atr_log_follow_end(f->follow), &snapshot, error,
				sizeof(error));
	pthread_mutex_unlock(&f->lock);
	if (err == 0)
		err = atr_snapshot_save(f->directory, &snapshot, error, sizeof(error));
	free(snapshot.bytes);
	snapshot.bytes = NULL;
	pthread_mutex_lock(&f->lock);
	snprintf(f->status.error, sizeof(f->status.error), "%s", err ? error : "");
	if (err == 0) {
		f->status.snapshots++;
		f->status.snapshot_group = snapshot.groups;
	}
	pthread_mutex_unlock(&f->lock);
	if (err)
		return;
	prune(follower, f);
	if (follower->params.snapshot)
		follower->params.snapshot(follower->params.ctx, i, &snapshot);
}

static uint64_t bytes_between(const struct atr_log_end *from, const struct atr_log_end *to)
{
	return to->offset - (from->segment == to->segment ? from->offset : 0);
}

/* Takes one group, if one is there; true if it did. */
static bool take_group(struct atr_follower *follower, struct followed *f)
{
	uint64_t durable = __atomic_load_n(f->durable, __ATOMIC_ACQUIRE);
	struct atr_log_end before;
	char error[ATR_FOLLOWER_ERROR];
	int n;

	if (f->failed || atr_log_follow_end(f->follow)->group >= durable)
		return false;
	pthread_mutex_lock(&f->lock);
	before = *atr_log_follow_end(f->follow);
	n = atr_log_follow_take(f->follow, durable, 1, atr_replay_visitor(f->replay), error,
				sizeof(error));
	if (n < 0) {
		f->failed = true;
		snprintf(f->status.error, sizeof(f->status.error), "%s",
			 error[0] ? error : atr_replay_error(f->replay));
	} else if (follower->params.bytes_second) {
		follower->owed_ns += bytes_between(&before, atr_log_follow_end(f->follow)) *
				     SECOND_NS / follower->params.bytes_second;
	}
	pthread_mutex_unlock(&f->lock);
	return n > 0;
}

/* One turn over all shards; true if there was something to do. */
static bool turn(struct atr_follower *follower)
{
	bool busy = false;

	for (unsigned int i = 0; i < follower->params.shards; i++) {
		struct followed *f = &follower->shard[i];

		if (!take_group(follower, f))
			continue;
		busy = true;
		if (f->directory && !atr_replay_changing(f->replay) &&
		    atr_replay_events(f->replay) - f->snapshot_at >=
			    follower->params.snapshot_events)
			make_snapshot(follower, i);
	}
	return busy;
}

static void finish(struct atr_follower *follower)
{
	while (turn(follower))
		;
	for (unsigned int i = 0; i < follower->params.shards; i++) {
		struct followed *f = &follower->shard[i];
		uint64_t groups = atr_replay_groups(f->replay);

		if (f->directory && !f->failed && groups && groups != f->status.snapshot_group &&
		    !atr_replay_changing(f->replay))
			make_snapshot(follower, i);
	}
}

static void *run(void *argument)
{
	struct atr_follower *follower = argument;
	int stop;

	/* On Linux this is of the thread alone. Where it is not allowed, all goes on as it is. */
	setpriority(PRIO_PROCESS, (id_t)gettid(), LOWEST_NICE);
	while (!(stop = __atomic_load_n(&follower->stop, __ATOMIC_ACQUIRE))) {
		if (!turn(follower))
			pause_ns(IDLE_NS);
		if (follower->owed_ns > IDLE_NS) {
			pause_ns(follower->owed_ns);
			follower->owed_ns = 0;
		}
	}
	if (stop > 1)
		finish(follower);
	return NULL;
}

/* Frees everything but the replays. */
static void drop(struct atr_follower *follower)
{
	for (unsigned int i = 0; i < follower->params.shards; i++) {
		atr_log_follow_close(follower->shard[i].follow);
		free(follower->shard[i].directory);
		pthread_mutex_destroy(&follower->shard[i].lock);
	}
	free(follower);
}

static int open_shard(struct followed *f, const struct atr_follower_shard *from, char *error,
		      size_t size)
{
	struct atr_log_follow_params params = {.storage = from->storage, .at = from->at};

	f->durable = from->durable;
	f->replay = from->replay;
	f->snapshot_at = atr_replay_events(from->replay);
	if (from->directory)
		f->directory = strdup(from->directory);
	if (from->directory && !f->directory) {
		snprintf(error, size, "out of memory for following the log; free some");
		return -ENOMEM;
	}
	f->follow = atr_log_follow_open(&params, error, size);
	return f->follow ? 0 : -ENOMEM;
}

struct atr_follower *atr_follower_start(const struct atr_follower_params *params, char *error,
					size_t size)
{
	struct atr_follower *follower =
		calloc(1, sizeof(*follower) + params->shards * sizeof(struct followed));
	int err = 0;

	if (!follower) {
		snprintf(error, size, "out of memory for following the log; free some");
		return NULL;
	}
	follower->params = *params;
	follower->params.shard = NULL;
	if (!follower->params.snapshot_events)
		follower->params.snapshot_events = ATR_FOLLOWER_EVENTS;
	for (unsigned int i = 0; i < params->shards; i++)
		pthread_mutex_init(&follower->shard[i].lock, NULL);
	for (unsigned int i = 0; i < params->shards && err == 0; i++)
		err = open_shard(&follower->shard[i], &params->shard[i], error, size);
	if (err == 0) {
		err = pthread_create(&follower->thread, NULL, run, follower);
		if (err)
			snprintf(error, size, "no thread can be made to follow the log (%s)",
				 strerror(err));
	}
	if (err == 0)
		return follower;
	drop(follower);
	return NULL;
}

void atr_follower_stop(struct atr_follower *follower, bool last_snapshot)
{
	if (!follower)
		return;
	__atomic_store_n(&follower->stop, last_snapshot ? 2 : 1, __ATOMIC_RELEASE);
	pthread_join(follower->thread, NULL);
	for (unsigned int i = 0; i < follower->params.shards; i++)
		atr_replay_free(follower->shard[i].replay);
	drop(follower);
}

/* The shard, locked; NULL with *err. */
static struct followed *enter(struct atr_follower *follower, unsigned int shard, int *err)
{
	struct timespec until;

	*err = -EINVAL;
	if (shard >= follower->params.shards)
		return NULL;
	*err = -EAGAIN;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += WAIT_NS;
	until.tv_sec += until.tv_nsec / SECOND_NS;
	until.tv_nsec %= SECOND_NS;
	return pthread_mutex_timedlock(&follower->shard[shard].lock, &until)
		       ? NULL
		       : &follower->shard[shard];
}

int atr_follower_state(struct atr_follower *follower, unsigned int shard, uint32_t source,
		       uint32_t type, const char *key, uint32_t key_length,
		       struct atr_state_entry *entry, uint8_t *value, size_t capacity)
{
	const struct atr_state_entry *found;
	int err;
	struct followed *f = enter(follower, shard, &err);

	if (!f)
		return err;
	found = atr_replay_state(f->replay, source, type, key, key_length);
	if (found) {
		*entry = *found;
		entry->key = NULL;
		entry->value = value;
		if (capacity > found->value_length)
			capacity = found->value_length;
		if (capacity)
			memcpy(value, found->value, capacity);
	}
	pthread_mutex_unlock(&f->lock);
	return found ? 0 : -ENOENT;
}

struct bounded {
	unsigned int left, calls;
	int (*fn)(void *ctx, const struct atr_state_entry *entry);
	void *ctx;
};

static int call_bounded(void *ctx, const struct atr_state_entry *entry)
{
	struct bounded *bounded = ctx;

	if (bounded->left == 0)
		return 1;
	bounded->left--;
	bounded->calls++;
	return bounded->fn(bounded->ctx, entry);
}

int atr_follower_states(struct atr_follower *follower, unsigned int shard, uint32_t source,
			uint32_t type, const char *key, uint32_t key_length, unsigned int max,
			int (*fn)(void *ctx, const struct atr_state_entry *entry), void *ctx)
{
	struct bounded bounded = {.left = max, .fn = fn, .ctx = ctx};
	int ret;
	struct followed *f = enter(follower, shard, &ret);

	if (!f)
		return ret;
	ret = atr_replay_states(f->replay, source, type, key, key_length, call_bounded, &bounded);
	pthread_mutex_unlock(&f->lock);
	return ret < 0 ? ret : (int)bounded.calls;
}

int atr_follower_status(struct atr_follower *follower, unsigned int shard,
			struct atr_follower_status *status)
{
	uint64_t durable;
	int err;
	struct followed *f = enter(follower, shard, &err);

	if (!f)
		return err;
	*status = f->status;
	status->groups = atr_replay_groups(f->replay);
	status->events = atr_replay_events(f->replay);
	durable = __atomic_load_n(f->durable, __ATOMIC_ACQUIRE);
	status->behind = durable > status->groups ? durable - status->groups : 0;
	atr_replay_state_stats(f->replay, &status->state);
	pthread_mutex_unlock(&f->lock);
	return 0;
}
