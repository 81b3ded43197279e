/* SPDX-License-Identifier: BSD-3-Clause */
/* ZeroMQ's PUB and SUB over TCP. The publisher waits for a subscriber that is slow, where ZeroMQ
 * by itself would drop: nothing else here loses messages, either. */
#include <errno.h>
#include <stdio.h>
#include <zmq.h>

#include "peer.h"

#define ENDPOINT_SIZE 128
#define WAIT_MS       1000
#define QUEUE         100000 /* messages, each way and subscriber */
#define BURST         256    /* messages taken between two looks at the clock */

static void *context, *sock;

static void must(int result, const char *what)
{
	if (result < 0)
		peer_die("%s: %s", what, zmq_strerror(errno));
}

static void set(int option, int value)
{
	must(zmq_setsockopt(sock, option, &value, sizeof(value)), "option");
}

static void open_socket(const struct peer_options *options, int type, char *endpoint)
{
	context = zmq_ctx_new();
	sock = context ? zmq_socket(context, type) : NULL;
	if (!sock)
		peer_die("socket: %s", zmq_strerror(errno));
	snprintf(endpoint, ENDPOINT_SIZE, "tcp://%s", options->address);
}

/* XPUB is PUB that shows subscriptions: publishing begins when all are there. */
static void publisher(const struct peer_options *options)
{
	char endpoint[ENDPOINT_SIZE], subscription;

	open_socket(options, ZMQ_XPUB, endpoint);
	set(ZMQ_SNDHWM, QUEUE);
	set(ZMQ_XPUB_NODROP, 1);
	set(ZMQ_XPUB_VERBOSE, 1);
	must(zmq_bind(sock, endpoint), "bind");
	for (unsigned int n = 0; n < options->others; n++)
		must(zmq_recv(sock, &subscription, sizeof(subscription), 0), "subscription");
}

static void publish(const void *message, size_t length)
{
	must(zmq_send(sock, message, length, 0), "send");
}

/* Closing the context waits until everything has been sent. */
static void settle(void)
{
	zmq_close(sock);
	zmq_ctx_term(context);
}

static void subscriber(const struct peer_options *options)
{
	char endpoint[ENDPOINT_SIZE];

	open_socket(options, ZMQ_SUB, endpoint);
	set(ZMQ_RCVHWM, QUEUE);
	set(ZMQ_RCVTIMEO, WAIT_MS);
	must(zmq_setsockopt(sock, ZMQ_SUBSCRIBE, "", 0), "subscribe");
	must(zmq_connect(sock, endpoint), "connect");
}

static void receive(void)
{
	char message[PEER_MESSAGE_MAX];

	for (unsigned int i = 0; i < BURST && !peer_complete(); i++) {
		int length = zmq_recv(sock, message, sizeof(message), 0);

		if (length < 0 && errno == EAGAIN)
			return;
		must(length, "receive");
		peer_take(message, (size_t)length);
	}
}

const struct peer_system peer_zeromq = {.name = "zeromq",
					.publisher = publisher,
					.publish = publish,
					.settle = settle,
					.subscriber = subscriber,
					.receive = receive};
