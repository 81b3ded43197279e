/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "producer_internal.h"

#define NS_PER_S UINT64_C(1000000000)

static uint64_t clock_ns(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

static uint64_t monotonic_ns(void *context)
{
	(void)context;
	return clock_ns(CLOCK_MONOTONIC);
}

static uint64_t unix_ns(void *context)
{
	(void)context;
	return clock_ns(CLOCK_REALTIME);
}

struct atr_producer *atr_producer_open(const struct atr_producer_config *config, char *error,
				       size_t size)
{
	const struct producer_env env = {.monotonic_ns = monotonic_ns, .unix_ns = unix_ns};

	return producer_open(config, &env, error, size);
}

static uint64_t now_ns(const struct atr_producer *p)
{
	return p->env.monotonic_ns(p->env.context);
}

int producer_broke(struct atr_producer *p, const char *what, int err)
{
	if (!p->broken)
		snprintf(p->error, sizeof(p->error),
			 "%s: %s; nothing is sent any more, open again to go on", what,
			 strerror(-err));
	p->broken = -EIO;
	return -EIO;
}

/* Sequences and datagrams are durable when it returns 0. */
static int make_durable(struct atr_producer *p, struct batch_frame *frames, unsigned int count)
{
	const struct atr_producer_config *c = &p->config;
	int err = 0;

	if (p->outbox)
		err = outbox_add(p->outbox, frames, count);
	else if (c->reserve)
		err = c->reserve(c->context, batch_next(p->batch));
	if (!err)
		return 0;
	return producer_broke(p, p->outbox ? "the outbox cannot be written" : "reserve failed",
			      err);
}

static int close_tree(struct atr_producer *p)
{
	struct batch_frame *frames;
	int n = batch_close(p->batch, p->env.unix_ns(p->env.context), &frames);

	if (n <= 0)
		return n;
	p->open_since_ns = NEVER;
	p->stats.trees++;
	p->stats.frames += (uint64_t)n;
	if (make_durable(p, frames, (unsigned int)n))
		return -EIO;
	for (int i = 0; i < n; i++) {
		if (!p->outbox) {
			producer_send_once(p, frames[i].datagram, frames[i].length);
		} else if (kept_append(p, &frames[i])) {
			return producer_broke(p, "what is sent cannot be kept", -ENOMEM);
		} else {
			frames[i].datagram = NULL;
		}
	}
	if (p->outbox)
		producer_send_due(p, now_ns(p), false);
	return 0;
}

int atr_producer_publish(struct atr_producer *p, uint32_t topic, uint32_t type,
			 uint64_t timestamp_ns, uint8_t priority, const void *payload,
			 size_t length, uint64_t *sequence)
{
	const struct atr_event event = {
		.topic_id = topic,
		.type_id = type,
		.timestamp_ns = timestamp_ns,
		.priority = priority,
		.payload = payload,
		.payload_length = length > UINT32_MAX ? UINT32_MAX : (uint32_t)length,
	};
	uint64_t taken;
	int err;

	if (p->broken)
		return p->broken;
	if (p->outbox && p->stats.unsettled + batch_frames(p->batch) >= p->config.queue)
		return p->waiting || batch_frames(p->batch) ? -EAGAIN : -ETIMEDOUT;
	err = batch_add(p->batch, &event, p->env.unix_ns(p->env.context), &taken);
	if (err == 1) {
		err = close_tree(p);
		if (!err)
			err = batch_add(p->batch, &event, p->env.unix_ns(p->env.context), &taken);
	}
	if (err)
		return err;
	p->stats.events++;
	if (p->open_since_ns == NEVER)
		p->open_since_ns = now_ns(p);
	if (sequence)
		*sequence = taken;
	return 0;
}

int atr_producer_flush(struct atr_producer *p)
{
	return p->broken ? p->broken : close_tree(p);
}

/* Where a rewrite of the outbox has got to. */
struct compaction {
	struct atr_producer *producer;
	size_t next;
};

static bool next_kept(void *context, struct batch_frame *frame)
{
	struct compaction *compaction = context;
	struct atr_producer *p = compaction->producer;
	size_t *i = &compaction->next;

	while (*i < p->count && kept_at(p, *i)->state == KEPT_SETTLED)
		(*i)++;
	if (*i == p->count)
		return false;
	*frame = (struct batch_frame){.datagram = kept_at(p, *i)->datagram,
				      .length = kept_at(p, *i)->length};
	(*i)++;
	return true;
}

static uint64_t flush_due(const struct atr_producer *p)
{
	return p->open_since_ns == NEVER ? NEVER
					 : p->open_since_ns + p->config.flush_ms * NS_PER_MS;
}

static int step(struct atr_producer *p)
{
	struct compaction compaction = {.producer = p};
	int err = p->broken;

	if (!err)
		err = producer_take_acks(p);
	if (!err && flush_due(p) <= now_ns(p))
		err = close_tree(p);
	if (err)
		return err;
	producer_send_due(p, now_ns(p), true);
	if (p->outbox && outbox_wants_compaction(p->outbox)) {
		err = outbox_compact(p->outbox, next_kept, &compaction);
		if (err)
			return producer_broke(p, "the outbox cannot be rewritten", err);
	}
	return 0;
}

int atr_producer_timeout_ms(const struct atr_producer *p)
{
	uint64_t due = p->due_ns < flush_due(p) ? p->due_ns : flush_due(p), now, ms;

	if (due == NEVER)
		return -1;
	now = now_ns(p);
	if (due <= now)
		return 0;
	ms = (due - now + NS_PER_MS - 1) / NS_PER_MS;
	return ms > INT_MAX ? INT_MAX : (int)ms;
}

int atr_producer_poll(struct atr_producer *p, int timeout_ms)
{
	struct pollfd arrived = {.fd = p->transport.fd, .events = POLLIN};
	int due, err = step(p);

	if (!err && timeout_ms != 0) {
		due = atr_producer_timeout_ms(p);
		poll(&arrived, 1,
		     due >= 0 && (timeout_ms < 0 || due < timeout_ms) ? due : timeout_ms);
		err = step(p);
	}
	return err ? err : p->waiting > INT_MAX ? INT_MAX : (int)p->waiting;
}

int atr_producer_wait(struct atr_producer *p, int timeout_ms)
{
	uint64_t end = timeout_ms < 0 ? NEVER : now_ns(p) + (uint64_t)timeout_ms * NS_PER_MS;
	int n = atr_producer_flush(p);

	if (n == 0)
		n = atr_producer_poll(p, 0);
	while (n > 0) {
		uint64_t now = now_ns(p);
		uint64_t left = end > now ? (end - now + NS_PER_MS - 1) / NS_PER_MS : 0;

		if (left == 0)
			break;
		n = atr_producer_poll(p, end == NEVER || left > INT_MAX ? INT_MAX : (int)left);
	}
	return n;
}

int atr_producer_fd(const struct atr_producer *p)
{
	return p->transport.fd;
}

void atr_producer_stats(const struct atr_producer *p, struct atr_producer_stats *stats, size_t size)
{
	struct atr_producer_stats full = p->stats;

	full.next_sequence = batch_next(p->batch);
	memset(stats, 0, size);
	memcpy(stats, &full, size < sizeof(full) ? size : sizeof(full));
}

const char *atr_producer_error(const struct atr_producer *p)
{
	return p->error;
}

void atr_producer_close(struct atr_producer *p)
{
	if (!p)
		return;
	outbox_close(p->outbox);
	batch_free(p->batch);
	atr_signer_free(p->signer);
	if (p->fd >= 0)
		close(p->fd);
	kept_free(p);
	free(p);
}
