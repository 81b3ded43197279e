/* SPDX-License-Identifier: BSD-3-Clause */
/* What is kept, and when it is sent. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "producer_internal.h"

#define KEPT_FIRST   256
#define FULL_WAIT_MS 100
#define FULL_TRIES   20
#define SHIFT_MAX    20 /* doublings after which every configured maximum is reached */

int kept_append(struct atr_producer *p, const struct batch_frame *frame)
{
	struct kept *k;

	if (p->head + p->count == p->capacity && p->head > p->count) {
		memmove(p->kept, p->kept + p->head, p->count * sizeof(*p->kept));
		p->head = 0;
	}
	if (p->head + p->count == p->capacity) {
		size_t capacity = p->capacity ? 2 * p->capacity : KEPT_FIRST;
		struct kept *larger = realloc(p->kept, capacity * sizeof(*larger));

		if (!larger)
			return -ENOMEM;
		p->kept = larger;
		p->capacity = capacity;
	}
	k = kept_at(p, p->count++);
	*k = (struct kept){.datagram = frame->datagram,
			   .first = frame->first,
			   .length = frame->length,
			   .events = frame->events,
			   .state = KEPT_WAITING};
	memcpy(k->leaf, frame->leaf, sizeof(k->leaf));
	p->waiting++;
	p->stats.unsettled++;
	return 0;
}

struct kept *kept_find(struct atr_producer *p, uint64_t first)
{
	size_t low = 0, high = p->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (kept_at(p, middle)->first < first)
			low = middle + 1;
		else
			high = middle;
	}
	return low < p->count && kept_at(p, low)->first == first ? kept_at(p, low) : NULL;
}

void kept_trim(struct atr_producer *p)
{
	while (p->count && kept_at(p, 0)->state == KEPT_SETTLED) {
		p->head++;
		p->count--;
	}
	if (p->count == 0)
		p->head = 0;
}

void kept_free(struct atr_producer *p)
{
	for (size_t i = 0; i < p->count; i++)
		free(kept_at(p, i)->datagram);
	free(p->kept);
}

uint64_t producer_due_after(const struct atr_producer *p, uint64_t now_ns, uint32_t attempts)
{
	unsigned int shift = attempts - 1 < SHIFT_MAX ? attempts - 1 : SHIFT_MAX;
	uint64_t wait_ms = (uint64_t)p->config.first_backoff_ms << shift;

	if (wait_ms > p->config.max_backoff_ms)
		wait_ms = p->config.max_backoff_ms;
	return now_ns + wait_ms * NS_PER_MS;
}

static bool is_used_up(const struct atr_producer *p, const struct kept *k, uint64_t now_ns)
{
	const struct atr_producer_config *c = &p->config;

	if (k->attempts == 0)
		return false;
	return (c->attempts && k->attempts >= c->attempts) ||
	       (c->give_up_ms && now_ns - k->first_sent_ns >= c->give_up_ms * NS_PER_MS);
}

static void give_up(struct atr_producer *p, struct kept *k)
{
	struct atr_producer_result result = {.outcome = ATR_PRODUCER_GIVEN_UP,
					     .first_sequence = k->first,
					     .events = k->events,
					     .reason = k->reason,
					     .position = UINT64_MAX,
					     .attempts = k->attempts};

	k->state = KEPT_GIVEN_UP;
	p->waiting--;
	p->stats.given_up++;
	if (p->config.result)
		p->config.result(p->config.context, &result);
}

/* 0, or -EAGAIN when the way is full. */
static int send_kept(struct atr_producer *p, struct kept *k, uint64_t now_ns)
{
	int err = p->transport.send(p->transport.context, k->datagram, k->length);

	if (err == -EAGAIN)
		return err;
	/* Any other error is a datagram lost on the way: it is sent again like one. */
	p->stats.send_errors += err != 0;
	p->stats.sent++;
	p->stats.resent += k->attempts > 0;
	if (k->attempts++ == 0)
		k->first_sent_ns = now_ns;
	k->due_ns = producer_due_after(p, now_ns, k->attempts);
	return 0;
}

void producer_send_due(struct atr_producer *p, uint64_t now_ns, bool may_give_up)
{
	const struct kept *base = NULL;

	p->due_ns = NEVER;
	for (size_t i = 0; i < p->count; i++) {
		struct kept *k = kept_at(p, i);

		if (k->state != KEPT_WAITING)
			continue;
		if (!base)
			base = k;
		/* Once the appliance has admitted the end of its window, it refuses what lies
		 * before as stale: nothing is sent that could push an unsettled frame out. */
		if (k != base && k->attempts == 0 &&
		    k->first + k->events - base->first > p->config.window)
			break;
		if (k->due_ns <= now_ns && is_used_up(p, k, now_ns)) {
			if (may_give_up) {
				if (k == base)
					base = NULL;
				give_up(p, k);
			}
			continue;
		}
		if (k->due_ns <= now_ns && send_kept(p, k, now_ns)) {
			p->due_ns = now_ns + NS_PER_MS;
			break;
		}
		if (k->due_ns < p->due_ns)
			p->due_ns = k->due_ns;
	}
}

void producer_send_once(struct atr_producer *p, const uint8_t *datagram, size_t length)
{
	struct pollfd room = {.fd = p->transport.fd, .events = POLLOUT};
	int err = -EAGAIN;

	for (unsigned int tries = 0; err == -EAGAIN && tries < FULL_TRIES; tries++) {
		err = p->transport.send(p->transport.context, datagram, length);
		if (err == -EAGAIN)
			poll(&room, 1, FULL_WAIT_MS);
	}
	p->stats.sent++;
	p->stats.send_errors += err != 0;
}
