/* SPDX-License-Identifier: BSD-3-Clause */
#include "ask.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <rte_thread.h>

#define LOWEST_NICE 19
#define INDEX_TRIES 3
#define FETCH_NS    (2 * (uint64_t)SECOND_NS) /* an answer is kept for its asker alone */
#define FRESH_NS    (5 * (uint64_t)SECOND_NS) /* an answer is given */
#define WAIT_NS     100000000L                /* that who asks may wait */
#define SECOND_NS   1000000000L
#define STEP_BYTES  (16u << 20) /* of the log, between two words of progress and two rests */

/* --- The thread's work --- */

static struct atr_query *open_query(struct ask *a, unsigned int shard)
{
	struct ask_answer *answer = &a->answer;

	if (a->query[shard])
		return a->query[shard];
	a->query[shard] = atr_query_create(a->storage[shard], answer->error, sizeof(answer->error));
	if (a->query[shard])
		atr_query_watch(a->query[shard], &a->stop);
	return a->query[shard];
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * SECOND_NS + (uint64_t)now.tv_nsec;
}

/* Reads half of the time only: the disk is the log's. */
static void rest(uint64_t since_ns)
{
	uint64_t ns = now_ns() - since_ns;
	struct timespec pause = {.tv_sec = (time_t)(ns / SECOND_NS),
				 .tv_nsec = (long)(ns % SECOND_NS)};

	nanosleep(&pause, NULL);
}

/* Reads on to the end of what is durable; leaves counts how far that came. */
static int read_on(struct ask *a, struct atr_query *query, uint64_t durable)
{
	struct ask_answer *answer = &a->answer;
	int rc = 1;

	while (rc == 1) {
		uint64_t before = atr_query_leaves(query), began_ns = now_ns();

		rc = atr_query_refresh(query, durable, STEP_BYTES, answer->error,
				       sizeof(answer->error));
		__atomic_store_n(&a->read, a->read + atr_query_leaves(query) - before,
				 __ATOMIC_RELEASE);
		if (rc == 1)
			rest(began_ns);
	}
	return rc;
}

/* Reads what became durable since. Where the index had stopped, or stops, within a segment that has
 * given up its entries by now, nothing can be read on: then it begins anew. */
static int catch_up(struct ask *a, unsigned int shard)
{
	struct ask_answer *answer = &a->answer;
	struct atr_log_stats stats;
	int rc = -EBADMSG;

	/* The checkpoint may cover a group of the log thread's own, which no shard hears of. */
	atr_log_stats(a->durable->shard[shard].log, &stats);

	for (unsigned int tries = 0; tries < INDEX_TRIES && rc == -EBADMSG; tries++) {
		struct atr_query *query = open_query(a, shard);

		rc = query ? read_on(a, query, stats.group_end) : -ENOMEM;
		if (rc == 0) {
			answer->leaves += atr_query_leaves(query);
			answer->pruned += atr_query_pruned(query);
		} else if (rc == -EBADMSG) {
			atr_query_free(query);
			a->query[shard] = NULL;
		}
	}
	return rc;
}

/* The newest checkpoint is taken before the log is read on, so that what it covers is read. */
static void take_note(struct ask *a, unsigned int shard)
{
	struct ask_answer *answer = &a->answer;
	uint8_t key[ATR_PUBLIC_KEY_SIZE];
	struct atr_checkpoint checkpoint;

	answer->size = 0;
	answer->note_length = atr_log_checkpoint(a->durable->shard[shard].log, answer->note,
						 sizeof(answer->note));
	if (answer->note_length == 0 || !a->durable->checkpoint_key)
		return;
	atr_signer_public(a->durable->checkpoint_key, key);
	if (atr_checkpoint_verify(answer->note, answer->note_length, key, &checkpoint) == 0)
		answer->size = checkpoint.size;
}

static int find(struct ask *a, unsigned int shard)
{
	struct ask_answer *answer = &a->answer;
	struct atr_query_event event;
	int rc;

	take_note(a, shard);
	rc = catch_up(a, shard);
	if (rc == 0)
		rc = atr_query_find(a->query[shard], &a->question.key, &event, answer->error,
				    sizeof(answer->error));
	if (rc != 1)
		return rc;
	answer->event[0] = event;
	answer->shard = shard;
	answer->proven = answer->size > event.commit_leaf;
	if (!answer->proven)
		return 1;
	answer->nodes = atr_query_prove(a->query[shard], event.leaf, answer->size, answer->proof,
					answer->error, sizeof(answer->error));
	return answer->nodes < 0 ? answer->nodes : 1;
}

/* A source's events lie in one shard's log. */
static int find_in_all(struct ask *a)
{
	int rc = 0;

	for (unsigned int s = 0; rc == 0 && s < a->durable->shards; s++)
		rc = find(a, s);
	return rc;
}

static int list(struct ask *a)
{
	const struct ask_question *q = &a->question;
	struct ask_answer *answer = &a->answer;
	int rc = 0;

	answer->cursor = q->cursor;
	for (answer->shard = q->shard; answer->shard < a->durable->shards; answer->shard++) {
		rc = catch_up(a, answer->shard);
		if (rc == 0)
			rc = atr_query_range(a->query[answer->shard], q->key.source,
					     q->key.sequence, q->last, &answer->cursor,
					     answer->event, ASK_EVENTS, answer->error,
					     sizeof(answer->error));
		if (rc != 0)
			break;
		answer->cursor = (struct atr_query_cursor){0};
	}
	answer->next_shard = answer->shard;
	if (rc >= 0 && rc < ASK_EVENTS) {
		answer->next_shard++;
		answer->cursor = (struct atr_query_cursor){0};
	}
	answer->more = answer->next_shard < a->durable->shards;
	return rc;
}

static void work(struct ask *a)
{
	struct ask_answer *answer = &a->answer;

	answer->error[0] = '\0';
	answer->leaves = answer->pruned = 0;
	answer->note_length = 0;
	answer->proven = answer->more = false;
	answer->nodes = 0;
	answer->rc = a->question.range ? list(a) : find_in_all(a);
	if (answer->rc < 0 && answer->error[0] == '\0')
		snprintf(answer->error, sizeof(answer->error), "the log cannot be read (%s)",
			 strerror(-answer->rc));
}

static void *ask_main(void *argument)
{
	struct ask *a = argument;

	/* On Linux this is of the thread alone. Where it is not allowed, all goes on as it is. */
	setpriority(PRIO_PROCESS, (id_t)gettid(), LOWEST_NICE);
	pthread_mutex_lock(&a->lock);
	while (!__atomic_load_n(&a->stop, __ATOMIC_ACQUIRE)) {
		if (a->state != ASK_WORKING) {
			pthread_cond_wait(&a->changed, &a->lock);
			continue;
		}
		pthread_mutex_unlock(&a->lock);
		work(a);
		pthread_mutex_lock(&a->lock);
		a->state = ASK_DONE;
		a->done_ns = now_ns();
		pthread_cond_broadcast(&a->changed);
	}
	pthread_mutex_unlock(&a->lock);
	return NULL;
}

/* --- Who asks --- */

static bool same(const struct ask_question *a, const struct ask_question *b)
{
	return a->range == b->range && a->key.source == b->key.source &&
	       a->key.by_uuid == b->key.by_uuid && a->key.sequence == b->key.sequence &&
	       memcmp(a->key.uuid, b->key.uuid, sizeof(a->key.uuid)) == 0 && a->last == b->last &&
	       a->shard == b->shard && a->cursor.leaf == b->cursor.leaf &&
	       a->cursor.index == b->cursor.index;
}

/* Under the lock: an answer that nobody has fetched, and how long ago it was made. It is its
 * asker's for a while, who comes back for it, and nobody's later: the log has gone on. */
static bool kept(const struct ask *a, uint64_t ns)
{
	return a->state == ASK_DONE && now_ns() - a->done_ns < ns;
}

/* Under the lock, until the thread works on nothing; false when that takes too long. */
static bool wait_idle(struct ask *a, const struct timespec *until)
{
	while (a->state == ASK_WORKING)
		if (pthread_cond_timedwait(&a->changed, &a->lock, until) != 0)
			return a->state != ASK_WORKING;
	return true;
}

int ask_event(struct ask *a, const struct ask_question *question, struct ask_answer *answer)
{
	struct timespec until;
	int rc = -EAGAIN;

	if (!__atomic_load_n(&a->running, __ATOMIC_ACQUIRE))
		return -ENOENT;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += WAIT_NS;
	until.tv_sec += until.tv_nsec / SECOND_NS;
	until.tv_nsec %= SECOND_NS;
	pthread_mutex_lock(&a->lock);
	if (a->state == ASK_DONE && !kept(a, FRESH_NS))
		a->state = ASK_IDLE;
	if (same(&a->question, question) || (wait_idle(a, &until) && !kept(a, FETCH_NS))) {
		if (a->state == ASK_IDLE || !same(&a->question, question)) {
			a->question = *question;
			a->state = ASK_WORKING;
			pthread_cond_broadcast(&a->changed);
		}
		if (wait_idle(a, &until) && a->state == ASK_DONE && same(&a->question, question)) {
			*answer = a->answer;
			a->state = ASK_IDLE;
			rc = 0;
		}
	}
	pthread_mutex_unlock(&a->lock);
	return rc;
}

/* --- Start and end --- */

int ask_start(struct ask *a, const struct durable *durable, char *error, size_t size)
{
	if (!durable->running)
		return 0;
	a->durable = durable;
	pthread_mutex_init(&a->lock, NULL);
	pthread_cond_init(&a->changed, NULL);
	for (unsigned int s = 0; s < durable->shards; s++) {
		a->storage[s] = atr_storage_open(durable->shard[s].directory, "read", error, size);
		if (!a->storage[s])
			return -EIO;
	}
	if (rte_ctrl_thread_create(&a->thread, "atr-ask", NULL, ask_main, a) != 0) {
		snprintf(error, size,
			 "no thread for questions about events; raise the limit of processes");
		return -EAGAIN;
	}
	__atomic_store_n(&a->running, true, __ATOMIC_RELEASE);
	return 0;
}

void ask_stop(struct ask *a)
{
	if (a->running) {
		__atomic_store_n(&a->stop, true, __ATOMIC_RELEASE);
		pthread_mutex_lock(&a->lock);
		pthread_cond_broadcast(&a->changed);
		pthread_mutex_unlock(&a->lock);
		pthread_join(a->thread, NULL);
		__atomic_store_n(&a->running, false, __ATOMIC_RELEASE);
	}
	for (unsigned int s = 0; s < ATR_SHARDS_MAX; s++) {
		atr_query_free(a->query[s]);
		a->query[s] = NULL;
		if (a->storage[s])
			a->storage[s]->ops->destroy(a->storage[s]);
		a->storage[s] = NULL;
	}
}
