/* SPDX-License-Identifier: BSD-3-Clause */
/* ATR over sockets, by libatr: signed trees with an outbox, and gap fill. A message is an event:
 * 64 bytes of which 28 are its header, and behind them what does not fit. */
#include <atr/atr.h>
#include <errno.h>
#include <stdio.h>

#include "peer.h"

#define REALM       0xc0
#define SOURCE      1
#define KEY         1
#define TOPIC       1
#define TYPE        1
#define PACKET      64
#define INLINE      36
#define POLL_MS     1
#define RECEIVE_MS  100
#define SETTLE_MS   60000
#define POLL_EVERY  64
#define TIME_OF_ALL 1
#define WINDOW      65536 /* sequences under way: the plan allows no more */

static struct atr_producer *producer;
static struct atr_subscriber *subscription;
static char error[ATR_CLIENT_ERROR];

/* As the plan's type has it: two numbers, then text. */
static unsigned int payload(unsigned int size)
{
	return size <= PACKET ? INLINE : size - PACKET;
}

static void publisher(const struct peer_options *options)
{
	struct atr_producer_config config = {.size = sizeof(config),
					     .realm = REALM,
					     .source = SOURCE,
					     .key = KEY,
					     .key_file = options->key_file,
					     .to = options->address,
					     .outbox =
						     options->acks_key ? options->directory : NULL,
					     .acks_key = options->acks_key,
					     .window = options->acks_key ? WINDOW : 0,
					     .first_sequence = options->acks_key ? 0 : 1};

	producer = atr_producer_open(&config, error, sizeof(error));
	if (!producer)
		peer_die("%s", error);
}

static void publish(const void *message, size_t length)
{
	static unsigned int turn;
	int result;

	while ((result = atr_producer_publish(producer, TOPIC, TYPE, TIME_OF_ALL, 0, message,
					      length, NULL)) == -EAGAIN)
		if (atr_producer_poll(producer, POLL_MS) < 0)
			peer_die("%s", atr_producer_error(producer));
	if (result < 0)
		peer_die("publish: error %d %s", -result, atr_producer_error(producer));
	if (++turn % POLL_EVERY == 0)
		atr_producer_poll(producer, 0);
}

static void settle(void)
{
	struct atr_producer_stats stats;

	if (atr_producer_flush(producer) < 0 || atr_producer_wait(producer, SETTLE_MS) != 0)
		peer_die("not everything was acknowledged: %s", atr_producer_error(producer));
	atr_producer_stats(producer, &stats, sizeof(stats));
	if (stats.refused)
		peer_die("%llu events were refused", (unsigned long long)stats.refused);
	atr_producer_close(producer);
}

static void arrived(void *context, const struct atr_subscriber_message *message)
{
	(void)context;
	peer_take(message->payload, message->length);
}

static void subscriber(const struct peer_options *options)
{
	struct atr_subscriber_config config = {.size = sizeof(config),
					       .bind = options->bind,
					       .request = options->address,
					       .feed = -1,
					       .from = 1,
					       .message = arrived};

	subscription = atr_subscriber_open(&config, error, sizeof(error));
	if (!subscription)
		peer_die("%s", error);
}

static void receive(void)
{
	int result = atr_subscriber_poll(subscription, RECEIVE_MS);

	if (result < 0)
		peer_die("receive: error %d", -result);
}

const struct peer_system peer_atr = {.name = "atr",
				     .payload = payload,
				     .publisher = publisher,
				     .publish = publish,
				     .settle = settle,
				     .subscriber = subscriber,
				     .receive = receive};
