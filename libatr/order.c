/* SPDX-License-Identifier: BSD-3-Clause */
#include "order.h"

#include <stdlib.h>
#include <string.h>

#define CHUNK_FIRST 16 /* messages a request, until a packet has shown how many one holds */
#define SHIFT_MAX   6  /* doublings of the wait for an answer */

struct slot {
	uint8_t *block; /* from malloc; NULL: empty */
	uint32_t length;
	bool recovered;
};

/* A range [first, end) that was asked for. */
struct asked {
	uint64_t first, end, due_ns;
	unsigned int attempts;
};

struct order {
	char session[ATR_MOLD_SESSION_SIZE];
	const struct order_params *params;
	uint64_t from; /* first message wanted; 0: the first one seen */
	const struct order_sink *sink;
	bool started, ended, told_end;
	uint64_t start;         /* earlier messages were never wanted */
	uint64_t next;          /* to be delivered */
	uint64_t reach;         /* messages below are known to exist */
	uint64_t kept;          /* in slots */
	struct slot *slot;      /* of number n: slot[n % buffer], for n in [next, next + buffer) */
	uint64_t stalled_at;    /* message that was missing at the last tick */
	uint64_t stalled_since; /* ORDER_NEVER: nothing was */
	uint64_t asked_to;      /* numbers below were asked for or had come */
	uint16_t chunk;
	unsigned int asking;
	struct asked asked[ORDER_REQUESTS_MAX];
	struct order_stats stats;
};

struct order *order_create(const char session[ATR_MOLD_SESSION_SIZE],
			   const struct order_params *params, const struct order_sink *sink)
{
	struct order *o = calloc(1, sizeof(*o));

	if (!o)
		return NULL;
	memcpy(o->session, session, sizeof(o->session));
	o->params = params;
	o->from = params->from;
	o->sink = sink;
	o->chunk = CHUNK_FIRST;
	o->stalled_since = ORDER_NEVER;
	return o;
}

void order_from(struct order *o, uint64_t from)
{
	if (from)
		o->from = from;
}

void order_free(struct order *o)
{
	if (!o)
		return;
	for (uint32_t i = 0; o->slot && i < o->params->buffer; i++)
		free(o->slot[i].block);
	free(o->slot);
	free(o);
}

static struct slot *slot_of(const struct order *o, uint64_t number)
{
	return &o->slot[number % o->params->buffer];
}

static bool have(const struct order *o, uint64_t number)
{
	return number < o->next ||
	       (o->slot && number - o->next < o->params->buffer && slot_of(o, number)->block);
}

static void deliver(struct order *o, const uint8_t *block, size_t length, bool recovered)
{
	o->stats.messages++;
	o->stats.recovered += recovered;
	o->sink->deliver(o->sink->context, o, o->next++, block, length, recovered);
}

/* Delivers what is kept and is next. */
static void drain(struct order *o)
{
	while (o->kept && slot_of(o, o->next)->block) {
		struct slot s = *slot_of(o, o->next);

		slot_of(o, o->next)->block = NULL;
		o->kept--;
		deliver(o, s.block, s.length, s.recovered);
		free(s.block);
	}
	if (o->ended && o->next == o->reach && !o->told_end) {
		o->told_end = true;
		o->sink->end(o->sink->context, o, o->next);
	}
}

static void keep(struct order *o, uint64_t number, const uint8_t *block, size_t length,
		 bool recovered)
{
	struct slot *s;

	if (!o->slot)
		o->slot = calloc(o->params->buffer, sizeof(*o->slot));
	if (!o->slot || number - o->next >= o->params->buffer) {
		o->stats.overflows++;
		return;
	}
	s = slot_of(o, number);
	s->block = malloc(length);
	if (!s->block) {
		o->stats.overflows++;
		return;
	}
	memcpy(s->block, block, length);
	s->length = (uint32_t)length;
	s->recovered = recovered;
	o->kept++;
}

static void reach(struct order *o, uint64_t sequence)
{
	if (sequence <= o->reach)
		return;
	o->stats.gaps++;
	o->sink->gap(o->sink->context, o, o->reach, sequence - o->reach);
	o->reach = sequence;
}

static void message(struct order *o, uint64_t number, const uint8_t *block, size_t length)
{
	bool recovered = number < o->reach;

	if (number < o->start)
		return;
	if (have(o, number)) {
		o->stats.duplicates++;
		return;
	}
	if (number >= o->reach)
		o->reach = number + 1;
	if (number == o->next) {
		deliver(o, block, length, recovered);
		drain(o);
	} else {
		keep(o, number, block, length, recovered);
	}
}

void order_packet(struct order *o, const struct atr_mold_packet *p)
{
	uint64_t number = p->sequence;
	size_t at = 0;

	if (!o->started) {
		o->started = true;
		o->start = o->next = o->reach = o->from ? o->from : p->sequence;
	}
	reach(o, p->sequence);
	if (p->count == ATR_MOLD_COUNT_END) {
		o->ended = true;
		drain(o);
		return;
	}
	o->stats.heartbeats += p->count == 0;
	if (p->count > o->chunk)
		o->chunk = p->count;
	while (at < p->length) {
		size_t size =
			ATR_MOLD_LENGTH_SIZE + (size_t)(p->blocks[at] << 8 | p->blocks[at + 1]);

		message(o, number++, p->blocks + at, size);
		at += size;
	}
}

/* Gives up everything before the next message that has come. */
static void lose(struct order *o)
{
	uint64_t first = o->next, end = o->reach;

	if (o->kept)
		for (end = first + 1; !have(o, end);)
			end++;
	o->stats.lost += end - first;
	o->next = end;
	o->sink->lost(o->sink->context, o, first, end - first);
	drain(o);
}

/* Ranges shrink as their messages come; what is left of an answered one is asked for at once. */
static void shrink_asked(struct order *o, uint64_t now_ns)
{
	unsigned int left = 0;

	for (unsigned int i = 0; i < o->asking; i++) {
		struct asked a = o->asked[i];
		uint64_t before = a.first;

		while (a.first < a.end && have(o, a.first))
			a.first++;
		if (a.first == a.end)
			continue;
		if (a.first != before) {
			a.attempts = 0;
			a.due_ns = now_ns;
		}
		o->asked[left++] = a;
	}
	o->asking = left;
}

static void extend_asked(struct order *o, uint64_t now_ns)
{
	uint64_t limit =
		o->reach - o->next < o->params->buffer ? o->reach : o->next + o->params->buffer;

	if (o->asked_to < o->next)
		o->asked_to = o->next;
	while (o->asking < o->params->requests && o->asked_to < limit) {
		struct asked *a = &o->asked[o->asking];

		if (have(o, o->asked_to)) {
			o->asked_to++;
			continue;
		}
		*a = (struct asked){.first = o->asked_to, .due_ns = now_ns};
		while (o->asked_to < limit && o->asked_to - a->first < o->chunk &&
		       !have(o, o->asked_to))
			o->asked_to++;
		a->end = o->asked_to;
		o->asking++;
	}
}

static uint64_t ask(struct order *o, uint64_t now_ns)
{
	uint64_t due = ORDER_NEVER;

	shrink_asked(o, now_ns);
	extend_asked(o, now_ns);
	for (unsigned int i = 0; i < o->asking; i++) {
		struct asked *a = &o->asked[i];

		if (a->due_ns <= now_ns) {
			unsigned int shift = a->attempts < SHIFT_MAX ? a->attempts : SHIFT_MAX;

			o->stats.requests++;
			o->sink->request(o->sink->context, o, a->first,
					 (uint16_t)(a->end - a->first));
			a->due_ns = now_ns + (o->params->retry_ns << shift);
			a->attempts++;
		}
		if (a->due_ns < due)
			due = a->due_ns;
	}
	return due;
}

uint64_t order_tick(struct order *o, uint64_t now_ns)
{
	uint64_t due = ORDER_NEVER, end;

	while (o->next < o->reach) {
		if (o->stalled_since == ORDER_NEVER || o->stalled_at != o->next) {
			o->stalled_at = o->next;
			o->stalled_since = now_ns;
		}
		if (now_ns - o->stalled_since < o->params->timeout_ns)
			break;
		lose(o);
	}
	if (o->next == o->reach) {
		o->stalled_since = ORDER_NEVER;
		o->asking = 0;
		return ORDER_NEVER;
	}
	if (o->params->requests)
		due = ask(o, now_ns);
	end = o->stalled_since + o->params->timeout_ns;
	return due < end ? due : end;
}

const char *order_session(const struct order *o)
{
	return o->session;
}

const struct order_stats *order_stats(const struct order *o)
{
	return &o->stats;
}

uint64_t order_missing(const struct order *o)
{
	return o->reach - o->next - o->kept;
}

bool order_ended(const struct order *o)
{
	return o->told_end;
}
