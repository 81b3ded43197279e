/* SPDX-License-Identifier: BSD-3-Clause */
/* Questions about events, answered from the log by a thread of their own, which runs at the lowest
 * priority on the control lcore's CPUs, never a data lcore's.
 *
 * Nothing is read and no memory taken before the first question. It makes the thread read each log
 * once from its first byte for an index (lib/query); later questions read what became durable since
 * and the stretches of 32 MiB that can hold the event. One question is worked on at a time. Who
 * asks waits a moment at most and is told to ask again; the answer is kept for who asked for two
 * seconds, and forgotten after five, since the log goes on. An index that retention has overtaken
 * is made anew.
 */
#ifndef ATR_ASK_H
#define ATR_ASK_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../../lib/query/query.h"
#include "durable.h"

#define ASK_ERROR  512
#define ASK_EVENTS 64 /* of a range, in one answer */

struct ask_question {
	struct atr_query_key key; /* the event, or the first sequence of a range */
	bool range;
	uint64_t last;  /* sequence of a range */
	uint32_t shard; /* where a range's page begins, with cursor; an event is sought in all */
	struct atr_query_cursor cursor;
};

struct ask_answer {
	int rc; /* negative errno with a sentence in error, or how many events */
	char error[ASK_ERROR];
	uint64_t leaves, pruned; /* of all shards, that were looked through; that gave up theirs */
	uint32_t shard;          /* of all events */
	struct atr_query_event event[ASK_EVENTS];
	bool more; /* of a range: ask on from next_shard and cursor */
	uint32_t next_shard;
	struct atr_query_cursor cursor;
	/* Of one event: the newest checkpoint, its size, and the proof if it covers the event. */
	char note[ATR_CHECKPOINT_MAX];
	size_t note_length;
	uint64_t size;
	bool proven;
	int nodes;
	uint8_t proof[ATR_QUERY_NODES][ATR_HASH_SIZE];
};

enum ask_state { ASK_IDLE, ASK_WORKING, ASK_DONE };

struct ask {
	const struct durable *durable;
	struct atr_storage *storage[ATR_SHARDS_MAX];
	struct atr_query *query[ATR_SHARDS_MAX]; /* the thread's */
	pthread_t thread;
	bool running;  /* writer: control lcore; readers: telemetry */
	bool stop;     /* writer: control lcore; reader: the thread */
	uint64_t read; /* writer: the thread; readers: telemetry. Leaves of all shards so far */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	/* Under the lock. While ASK_WORKING the question is read and the answer written by the
	 * thread alone, without it. */
	enum ask_state state;
	uint64_t done_ns; /* when the answer was made, CLOCK_MONOTONIC */
	struct ask_question question;
	struct ask_answer answer;
};

/* Starts the thread, which waits. Does nothing where no log is written. Negative
 * errno with a sentence. Control lcore. */
int ask_start(struct ask *ask, const struct durable *durable, char *error, size_t size);

/* Ends it, within a group of the log; frees everything. Also of a start that failed. Before the
 * logs end. */
void ask_stop(struct ask *ask);

/* 0 with a copy of the answer; -EAGAIN: not yet, or another question is worked on or its answer
 * waits; -ENOENT: no log is written. Waits a tenth of a second at most. Any control thread. */
int ask_event(struct ask *ask, const struct ask_question *question, struct ask_answer *answer);

#endif
