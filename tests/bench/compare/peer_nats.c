/* SPDX-License-Identifier: BSD-3-Clause */
/* NATS core and JetStream, by Debian's libnats. */
#include <nats/nats.h>
#include <stdbool.h>
#include <stdio.h>

#include "peer.h"

#define URL_SIZE         128
#define WAIT_MS          1000
#define SETTLE_MS        120000
#define UNACKED_MAX      4096 /* asynchronous publishes that JetStream has not acknowledged */
#define STREAM_NAME      "COMPARE"
#define BURST            256 /* messages taken between two looks at the clock */
#define NO_PENDING_LIMIT (-1)

static natsConnection *connection;
static natsSubscription *subscription;
static jsCtx *stream;

static void must(natsStatus status, const char *what)
{
	if (status != NATS_OK)
		peer_die("%s: %s", what, natsStatus_GetText(status));
}

static void dial(const struct peer_options *options)
{
	char url[URL_SIZE];

	snprintf(url, sizeof(url), "nats://%s", options->address);
	must(natsConnection_ConnectTo(&connection, url), "connect");
}

static void publish(const void *message, size_t length)
{
	must(natsConnection_Publish(connection, PEER_SUBJECT, message, (int)length), "publish");
}

static void settle(void)
{
	must(natsConnection_FlushTimeout(connection, SETTLE_MS), "flush");
}

static void subscriber(const struct peer_options *options)
{
	dial(options);
	must(natsConnection_SubscribeSync(&subscription, connection, PEER_SUBJECT), "subscribe");
	must(natsSubscription_SetPendingLimits(subscription, NO_PENDING_LIMIT, NO_PENDING_LIMIT),
	     "limits");
	must(natsConnection_FlushTimeout(connection, SETTLE_MS), "flush");
}

static void receive(void)
{
	for (unsigned int i = 0; i < BURST && !peer_complete(); i++) {
		natsMsg *message = NULL;
		natsStatus status = natsSubscription_NextMsg(&message, subscription, WAIT_MS);

		if (status == NATS_TIMEOUT)
			return;
		must(status, "receive");
		peer_take(natsMsg_GetData(message), (size_t)natsMsg_GetDataLength(message));
		natsMsg_Destroy(message);
	}
}

/* A publish that the server did not store. */
static void refused(jsCtx *js, jsPubAckErr *error, void *closure)
{
	(void)js;
	(void)closure;
	peer_die("publish: %s", error->ErrText ? error->ErrText : natsStatus_GetText(error->Err));
}

static void dial_stream(const struct peer_options *options)
{
	jsOptions js;

	dial(options);
	must(jsOptions_Init(&js), "options");
	js.PublishAsync.MaxPending = UNACKED_MAX;
	js.PublishAsync.StallWait = SETTLE_MS;
	js.PublishAsync.ErrHandler = refused;
	must(natsConnection_JetStream(&stream, connection, &js), "JetStream");
}

/* The stream is on disk and keeps everything. A second process finds it there. */
static void stream_make(void)
{
	const char *subject = PEER_SUBJECT;
	jsStreamConfig config;
	jsErrCode code = 0;

	must(jsStreamConfig_Init(&config), "stream");
	config.Name = STREAM_NAME;
	config.Subjects = &subject;
	config.SubjectsLen = 1;
	config.Storage = js_FileStorage;
	must(js_AddStream(NULL, stream, &config, NULL, &code), "stream");
}

static void publish_stream(const void *message, size_t length)
{
	must(js_PublishAsync(stream, PEER_SUBJECT, message, (int)length, NULL), "publish");
}

static void settle_stream(void)
{
	jsPubOptions wait;

	must(jsPubOptions_Init(&wait), "options");
	wait.MaxWait = SETTLE_MS;
	must(js_PublishAsyncComplete(stream, &wait), "acknowledgements");
}

static void subscriber_stream(const struct peer_options *options)
{
	jsErrCode code = 0;
	jsSubOptions how;

	dial_stream(options);
	stream_make();
	must(jsSubOptions_Init(&how), "options");
	how.Stream = STREAM_NAME;
	how.Ordered = true;
	must(js_SubscribeSync(&subscription, stream, PEER_SUBJECT, NULL, &how, &code), "subscribe");
	must(natsSubscription_SetPendingLimits(subscription, NO_PENDING_LIMIT, NO_PENDING_LIMIT),
	     "limits");
}

const struct peer_system peer_nats = {.name = "nats",
				      .publisher = dial,
				      .publish = publish,
				      .settle = settle,
				      .subscriber = subscriber,
				      .receive = receive};

const struct peer_system peer_jetstream = {.name = "jetstream",
					   .publisher = dial_stream,
					   .publish = publish_stream,
					   .settle = settle_stream,
					   .subscriber = subscriber_stream,
					   .receive = receive};
