/* SPDX-License-Identifier: BSD-3-Clause */
#include "exchange.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "../../lib/envelope/envelope.h"
#include "../../lib/reason/reason.h"
#include "../../lib/wire/frame.h"
#include "event_line.h"
#include "term.h"

#define BACKOFF_MAX   16 /* times the first wait */
#define BACKOFF_STEPS 4  /* doublings until then */
#define POLL_MS       5
#define REPLY_VERSION 1

static uint64_t given(const struct option_u64 *option, uint64_t otherwise)
{
	return option->given ? option->value : otherwise;
}

int exchange_open(struct exchange *x)
{
	x->size = (unsigned int)given(&x->window, EXCHANGE_WINDOW);
	x->wait_ns = given(&x->wait_ms, EXCHANGE_WAIT_MS) * NS_PER_MS;
	x->most = given(&x->retries, EXCHANGE_RETRIES);
	x->parser = atr_json_parser_create();
	x->flight = calloc(x->size, sizeof(*x->flight));
	return x->parser && x->flight ? 0 : -ENOMEM;
}

void exchange_close(struct exchange *x)
{
	for (unsigned int i = 0; x->flight && i < x->size; i++)
		free(x->flight[i].data);
	free(x->flight);
	x->flight = NULL;
	if (x->parser)
		atr_json_parser_destroy(x->parser);
	x->parser = NULL;
}

static void land(struct exchange *x, struct flight *f, int outcome)
{
	x->landed(x->ctx, f, outcome);
	free(f->data);
	memset(f, 0, sizeof(*f));
	x->used--;
}

static struct flight *find(struct exchange *x, const uint8_t uuid[EXCHANGE_UUID])
{
	for (unsigned int i = 0; i < x->size; i++)
		if (x->flight[i].used && memcmp(x->flight[i].uuid, uuid, EXCHANGE_UUID) == 0)
			return &x->flight[i];
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
static void note_class(struct exchange *x, const struct atr_json *root)
{
	const struct atr_json *class = atr_json_member(root, "durability");

	for (int d = ATR_DURABILITY_NONE; class && d <= ATR_DURABILITY_COMMIT; d++)
		if (class->type == ATR_JSON_STRING &&
		    atr_json_string_is(class, atr_durability_name((enum atr_durability)d)))
			x->durability = atr_durability_name((enum atr_durability)d);
}

static void take_reply(struct exchange *x, const char *text, size_t length)
{
	const struct atr_json *root, *id;
	struct flight *f;
	uint8_t uuid[EXCHANGE_UUID];
	int outcome;

	if (atr_json_parse(x->parser, text, length, &root, NULL) != ATR_OK ||
	    root->type != ATR_JSON_OBJECT || (outcome = reply_outcome(root)) < 0) {
		x->foreign++;
		return;
	}
	id = atr_json_member(root, "id");
	if (!id || id->type != ATR_JSON_STRING ||
	    atr_uuid7_parse(id->string, id->string_length, uuid)) {
		x->foreign++;
		return;
	}
	note_class(x, root);
	f = find(x, uuid);
	if (!f)
		x->extra++;
	else if (outcome != ATR_OK && outcome != ATR_DUPLICATE && !x->final((uint8_t)outcome) &&
		 f->sent <= x->most)
		f->refusal = (uint8_t)outcome;
	else
		land(x, f, outcome);
}

static void take_replies(struct exchange *x, int wait_ms)
{
	struct pollfd p = {.fd = x->output->fd, .events = POLLIN};
	char text[ATR_DATAGRAM_MAX];
	ssize_t n;

	if (wait_ms && poll(&p, 1, wait_ms) <= 0)
		return;
	/* A refused connection shows up here as an error; the retries will tell the user. */
	while ((n = recv(p.fd, text, sizeof(text), 0)) >= 0)
		take_reply(x, text, (size_t)n);
}

static void send_flight(struct exchange *x, struct flight *f)
{
	uint64_t factor = UINT64_C(1) << (f->sent < BACKOFF_STEPS ? f->sent : BACKOFF_STEPS);

	output_send(x->output, f->data, f->length);
	if (f->sent++)
		x->resent++;
	f->due_ns = now_monotonic_ns() + x->wait_ns * (factor < BACKOFF_MAX ? factor : BACKOFF_MAX);
}

static void resend_due(struct exchange *x)
{
	uint64_t now = now_monotonic_ns();

	for (unsigned int i = 0; i < x->size; i++) {
		struct flight *f = &x->flight[i];

		if (!f->used || f->due_ns > now)
			continue;
		if (f->sent <= x->most)
			send_flight(x, f);
		else
			land(x, f, f->refusal != ATR_OK ? f->refusal : EXCHANGE_UNANSWERED);
	}
}

void exchange_launch(struct exchange *x, const struct flight *item)
{
	struct flight *f = x->flight;

	while (f->used)
		f++;
	*f = *item;
	f->used = true;
	x->used++;
	send_flight(x, f);
}

void exchange_turn(struct exchange *x, bool wait)
{
	take_replies(x, wait ? POLL_MS : 0);
	resend_due(x);
}
