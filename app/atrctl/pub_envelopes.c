/* SPDX-License-Identifier: BSD-3-Clause */
/* Events as signed envelopes, one a datagram; replies awaited, the unanswered sent again as the
 * same bytes. */
#include "pub.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "exchange.h"
#include "interrupt.h"

/* --- the next envelope, from the input or from the shuffled rest of it --- */

struct queue {
	struct flight *items;
	size_t count, at, capacity;
};

static int next_built(struct pub *pub, struct flight *out)
{
	struct producer *producer;
	struct event_line line;
	char error[ERROR_SIZE];
	int n;

	while (pub_input_next(pub, &line, &producer)) {
		n = envelope_sign(pub->plan, producer, &line, pub->buffers, error);
		if (n < 0) {
			pub_unfit(pub, error);
			continue;
		}
		memset(out, 0, sizeof(*out));
		out->data = malloc((size_t)n);
		if (!out->data) {
			pub_unfit(pub, "out of memory");
			return 0;
		}
		memcpy(out->data, pub->buffers->text, (size_t)n);
		memcpy(out->uuid, pub->buffers->uuid, sizeof(out->uuid));
		out->length = (size_t)n;
		pub->events++;
		pub->envelopes++;
		return 1;
	}
	return 0;
}

static int queue_fill(struct pub *pub, struct queue *q, char *error)
{
	uint64_t state = pub->options.output.shuffle.value;
	struct flight item;

	while (next_built(pub, &item)) {
		if (q->count == q->capacity) {
			size_t capacity = q->capacity ? 2 * q->capacity : EXCHANGE_WINDOW;
			struct flight *larger = realloc(q->items, capacity * sizeof(*larger));

			if (!larger) {
				free(item.data);
				snprintf(error, ERROR_SIZE,
					 "out of memory; --shuffle keeps all "
					 "envelopes");
				return -ENOMEM;
			}
			q->items = larger;
			q->capacity = capacity;
		}
		q->items[q->count++] = item;
	}
	for (size_t i = q->count; i > 1; i--) {
		size_t k = random_next(&state) % i;
		struct flight swap = q->items[i - 1];

		q->items[i - 1] = q->items[k];
		q->items[k] = swap;
	}
	return 0;
}

static int queue_next(struct pub *pub, struct queue *q, struct flight *out)
{
	if (!pub->options.output.shuffle.given)
		return next_built(pub, out);
	if (q->at == q->count)
		return 0;
	*out = q->items[q->at++];
	return 1;
}

/* --- the conversation --- */

static void landed(void *ctx, const struct flight *flight, int outcome)
{
	struct pub *pub = ctx;

	(void)flight;
	if (outcome == EXCHANGE_UNANSWERED)
		pub->unanswered++;
	else
		pub->outcome[outcome]++;
}

static void show_progress(struct pub *pub, const struct exchange *x)
{
	if (progress_due(&pub->progress))
		progress_show(
			&pub->progress,
			"envelopes: sent %llu, admitted %llu, waiting for %u, sent again %llu",
			(unsigned long long)pub->envelopes,
			(unsigned long long)pub->outcome[ATR_OK], x->used,
			(unsigned long long)x->resent);
}

static void converse(struct pub *pub, struct exchange *x, struct queue *q)
{
	struct flight item;
	bool more = true;

	pub->output.progress = NULL;
	while ((more || x->used) && !interrupt_seen) {
		if (more && exchange_room(x)) {
			more = queue_next(pub, q, &item) == 1;
			if (more)
				exchange_launch(x, &item);
		}
		exchange_turn(x, !more || !exchange_room(x));
		show_progress(pub, x);
	}
	pub->unanswered += x->used;
	pub->retransmissions = x->resent;
	pub->extra_replies = x->extra;
	pub->foreign_replies = x->foreign;
	pub->durability = x->durability;
}

static void save_only(struct pub *pub)
{
	struct flight item;

	while (next_built(pub, &item)) {
		output_put(&pub->output, item.data, item.length);
		free(item.data);
	}
	output_flush(&pub->output);
}

int pub_envelopes_run(struct pub *pub, char *error)
{
	const struct pub_options *o = &pub->options;
	struct queue queue = {0};
	struct exchange x = {
		.output = &pub->output,
		.wait_ms = o->wait_ms,
		.retries = o->retries,
		.window = o->window,
		.final = atr_reason_is_final,
		.landed = landed,
		.ctx = pub,
	};
	int err;

	if (o->output.save) {
		save_only(pub);
		return 0;
	}
	err = exchange_open(&x);
	if (err)
		snprintf(error, ERROR_SIZE, "out of memory; lower --window");
	if (!err && o->output.shuffle.given)
		err = queue_fill(pub, &queue, error);
	if (!err)
		converse(pub, &x, &queue);
	exchange_close(&x);
	for (size_t i = queue.at; i < queue.count; i++)
		free(queue.items[i].data);
	free(queue.items);
	return err;
}
