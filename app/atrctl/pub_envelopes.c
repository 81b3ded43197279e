/* SPDX-License-Identifier: BSD-3-Clause */
/* Events as signed envelopes, one a datagram; replies awaited, the unanswered sent again as the
 * same bytes. */
#include "pub.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "../../lib/envelope/envelope.h"
#include "../../lib/wire/frame.h"

#define WAIT_DEFAULT_MS 500
#define RETRIES_DEFAULT 3
#define WINDOW_DEFAULT  256
#define BACKOFF_MAX     16 /* times the first wait */
#define POLL_MS         5
#define REPLY_VERSION   1

struct flight {
	bool used;
	uint8_t uuid[16];
	uint8_t *data;
	size_t length;
	unsigned int sent; /* times */
	uint8_t refusal;   /* last refusal that is worth a retry, or ATR_OK */
	uint64_t due_ns;
};

struct window {
	struct pub *pub;
	struct flight *flight;
	unsigned int size, used;
	uint64_t wait_ns, retries;
};

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
			size_t capacity = q->capacity ? 2 * q->capacity : WINDOW_DEFAULT;
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

/* --- replies --- */

static void land(struct window *w, struct flight *f, uint8_t outcome)
{
	w->pub->outcome[outcome]++;
	free(f->data);
	memset(f, 0, sizeof(*f));
	w->used--;
}

static struct flight *find(struct window *w, const uint8_t uuid[16])
{
	for (unsigned int i = 0; i < w->size; i++)
		if (w->flight[i].used && memcmp(w->flight[i].uuid, uuid, 16) == 0)
			return &w->flight[i];
	return NULL;
}

/* The outcome that a reply tells: ATR_OK, ATR_DUPLICATE or a reason. -EBADMSG if it is no reply. */
static int reply_outcome(const struct atr_json *root)
{
	const struct atr_json *version = atr_json_member(root, "atr");
	const struct atr_json *result = atr_json_member(root, "result");
	const struct atr_json *reason = atr_json_member(root, "reason");
	char name[NAME_SIZE];
	uint8_t code;

	if (!version || version->type != ATR_JSON_NUMBER || version->number != REPLY_VERSION ||
	    !result || result->type != ATR_JSON_STRING)
		return -EBADMSG;
	if (atr_json_string_is(result, "admitted"))
		return ATR_OK;
	if (atr_json_string_is(result, "duplicate"))
		return ATR_DUPLICATE;
	if (!atr_json_string_is(result, "refused") || !reason || reason->type != ATR_JSON_STRING ||
	    name_copy(reason, name))
		return -EBADMSG;
	code = atr_reason_by_name(name);
	return code ? code : -EBADMSG;
}

/* Every reply names the class that the appliance runs in. */
static void note_class(struct pub *pub, const struct atr_json *root)
{
	const struct atr_json *class = atr_json_member(root, "durability");

	for (int d = ATR_DURABILITY_NONE; class && d <= ATR_DURABILITY_COMMIT; d++)
		if (class->type == ATR_JSON_STRING &&
		    atr_json_string_is(class, atr_durability_name((enum atr_durability)d)))
			pub->durability = atr_durability_name((enum atr_durability)d);
}

static void take_reply(struct window *w, const char *text, size_t length)
{
	const struct atr_json *root, *id;
	struct flight *f;
	uint8_t uuid[16];
	int outcome;

	if (atr_json_parse(w->pub->reply_parser, text, length, &root, NULL) != ATR_OK ||
	    root->type != ATR_JSON_OBJECT || (outcome = reply_outcome(root)) < 0) {
		w->pub->foreign_replies++;
		return;
	}
	id = atr_json_member(root, "id");
	if (!id || id->type != ATR_JSON_STRING ||
	    atr_uuid7_parse(id->string, id->string_length, uuid)) {
		w->pub->foreign_replies++;
		return;
	}
	note_class(w->pub, root);
	f = find(w, uuid);
	if (!f)
		w->pub->extra_replies++;
	else if (outcome != ATR_OK && outcome != ATR_DUPLICATE &&
		 !atr_reason_is_final((uint8_t)outcome) && f->sent <= w->retries)
		f->refusal = (uint8_t)outcome;
	else
		land(w, f, (uint8_t)outcome);
}

static void take_replies(struct window *w, int wait_ms)
{
	struct pollfd p = {.fd = w->pub->output.fd, .events = POLLIN};
	char text[ATR_DATAGRAM_MAX];
	ssize_t n;

	if (wait_ms && poll(&p, 1, wait_ms) <= 0)
		return;
	/* A refused connection shows up here as an error; the retries will tell the user. */
	while ((n = recv(p.fd, text, sizeof(text), 0)) >= 0)
		take_reply(w, text, (size_t)n);
}

/* --- sending --- */

static void send_flight(struct window *w, struct flight *f)
{
	uint64_t factor = UINT64_C(1) << (f->sent < 4 ? f->sent : 4);

	output_send(&w->pub->output, f->data, f->length);
	if (f->sent++)
		w->pub->retransmissions++;
	f->due_ns = now_monotonic_ns() + w->wait_ns * (factor < BACKOFF_MAX ? factor : BACKOFF_MAX);
}

static void retransmit_due(struct window *w)
{
	uint64_t now = now_monotonic_ns();

	for (unsigned int i = 0; i < w->size; i++) {
		struct flight *f = &w->flight[i];

		if (!f->used || f->due_ns > now)
			continue;
		if (f->sent <= w->retries) {
			send_flight(w, f);
			continue;
		}
		if (f->refusal != ATR_OK) {
			land(w, f, f->refusal);
			continue;
		}
		w->pub->unanswered++;
		free(f->data);
		memset(f, 0, sizeof(*f));
		w->used--;
	}
}

static void launch(struct window *w, const struct flight *item)
{
	struct flight *f = w->flight;

	while (f->used)
		f++;
	*f = *item;
	f->used = true;
	w->used++;
	send_flight(w, f);
}

static void show_progress(struct window *w)
{
	struct pub *pub = w->pub;

	if (progress_due(&pub->progress))
		progress_show(
			&pub->progress,
			"envelopes: sent %llu, admitted %llu, waiting for %u, sent again %llu",
			(unsigned long long)pub->envelopes,
			(unsigned long long)pub->outcome[ATR_OK], w->used,
			(unsigned long long)pub->retransmissions);
}

static void converse(struct window *w, struct queue *q)
{
	struct flight item;
	bool more = true;

	w->pub->output.progress = NULL;
	while ((more || w->used) && !pub_interrupted) {
		if (more && w->used < w->size) {
			more = queue_next(w->pub, q, &item) == 1;
			if (more)
				launch(w, &item);
		}
		take_replies(w, more && w->used < w->size ? 0 : POLL_MS);
		retransmit_due(w);
		show_progress(w);
	}
	for (unsigned int i = 0; i < w->size; i++) {
		w->pub->unanswered += w->flight[i].used;
		free(w->flight[i].data);
	}
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
	struct window w = {
		.pub = pub,
		.size = o->window.given ? (unsigned int)o->window.value : WINDOW_DEFAULT,
		.wait_ns = (o->wait_ms.given ? o->wait_ms.value : WAIT_DEFAULT_MS) * NS_PER_MS,
		.retries = o->retries.given ? o->retries.value : RETRIES_DEFAULT,
	};
	int err = 0;

	if (o->output.save) {
		save_only(pub);
		return 0;
	}
	w.flight = calloc(w.size, sizeof(*w.flight));
	if (!w.flight) {
		snprintf(error, ERROR_SIZE, "out of memory; lower --window");
		return -ENOMEM;
	}
	if (o->output.shuffle.given)
		err = queue_fill(pub, &queue, error);
	if (!err)
		converse(&w, &queue);
	for (size_t i = queue.at; i < queue.count; i++)
		free(queue.items[i].data);
	free(queue.items);
	free(w.flight);
	return err;
}
