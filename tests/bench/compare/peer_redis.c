/* SPDX-License-Identifier: BSD-3-Clause */
/* Redis Streams, by Debian's libhiredis: XADD in a pipeline, XREAD in blocks. */
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "peer.h"

#define BATCH       256  /* commands written at once */
#define UNACKED_MAX 2048 /* commands that have no reply yet */
#define ID_SIZE     64
#define HOST_SIZE   64
#define FIELDS      2 /* of an entry: name and value */

static redisContext *context;
static unsigned int waiting; /* commands without reply */
static char last[ID_SIZE] = "0";

static void dial(const struct peer_options *options)
{
	const char *colon = strrchr(options->address, ':');
	char host[HOST_SIZE];

	if (!colon || (size_t)(colon - options->address) >= sizeof(host))
		peer_die("%s is no HOST:PORT", options->address);
	snprintf(host, sizeof(host), "%.*s", (int)(colon - options->address), options->address);
	context = redisConnect(host, atoi(colon + 1));
	if (!context || context->err)
		peer_die("connect: %s", context ? context->errstr : "out of memory");
}

static redisReply *reply(void)
{
	void *answer = NULL;

	if (redisGetReply(context, &answer) != REDIS_OK)
		peer_die("reply: %s", context->errstr);
	return answer;
}

static void acknowledged(unsigned int most)
{
	while (waiting > most) {
		redisReply *answer = reply();

		if (answer->type != REDIS_REPLY_STRING)
			peer_die("XADD: %s", answer->str ? answer->str : "no id");
		freeReplyObject(answer);
		waiting--;
	}
}

static void flush(void)
{
	int done = 0;

	while (!done)
		if (redisBufferWrite(context, &done) != REDIS_OK)
			peer_die("write: %s", context->errstr);
}

static void publish(const void *message, size_t length)
{
	const char *words[] = {"XADD", PEER_SUBJECT, "*", "m", message};
	const size_t lengths[] = {4, strlen(PEER_SUBJECT), 1, 1, length};

	if (redisAppendCommandArgv(context, sizeof(words) / sizeof(*words), words, lengths) !=
	    REDIS_OK)
		peer_die("XADD: %s", context->errstr);
	if (++waiting % BATCH == 0) {
		flush();
		acknowledged(UNACKED_MAX - BATCH);
	}
}

static void settle(void)
{
	acknowledged(0);
}

static void entry(const redisReply *one)
{
	const redisReply *id, *fields;

	if (one->elements != 2)
		peer_die("an entry without id or fields");
	id = one->element[0];
	fields = one->element[1];
	if (fields->elements != FIELDS)
		peer_die("an entry of other fields");
	peer_take(fields->element[1]->str, (size_t)fields->element[1]->len);
	snprintf(last, sizeof(last), "%s", id->str);
}

static void receive(void)
{
	redisReply *answer = redisCommand(context, "XREAD COUNT 1000 BLOCK 1000 STREAMS %s %s",
					  PEER_SUBJECT, last);

	if (!answer || answer->type == REDIS_REPLY_ERROR)
		peer_die("XREAD: %s", answer ? answer->str : context->errstr);
	if (answer->type == REDIS_REPLY_ARRAY && answer->elements == 1) {
		const redisReply *entries = answer->element[0]->element[1];

		for (size_t i = 0; i < entries->elements; i++)
			entry(entries->element[i]);
	}
	freeReplyObject(answer);
}

const struct peer_system peer_redis = {.name = "redis",
				       .publisher = dial,
				       .publish = publish,
				       .settle = settle,
				       .subscriber = dial,
				       .receive = receive};
