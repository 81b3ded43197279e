/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <time.h>

#include "subscriber_internal.h"
#include "udp.h"

#define PACKETS_A_POLL 64
#define NS_PER_S       UINT64_C(1000000000)
#define NS_PER_MS      UINT64_C(1000000)

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

static void note(struct atr_subscriber *s, enum atr_subscriber_note_kind kind,
		 const struct order *order, uint64_t first, uint64_t count)
{
	struct atr_subscriber_note n = {
		.kind = kind, .session = order_session(order), .first = first, .count = count};

	if (s->config.note)
		s->config.note(s->config.context, &n);
}

static void deliver(void *context, const struct order *order, uint64_t number, const uint8_t *block,
		    size_t length, bool recovered)
{
	struct atr_subscriber *s = context;
	const struct atr_mold_packet one = {.count = 1, .blocks = block, .length = length};
	struct atr_subscriber_message m = {
		.session = order_session(order), .number = number, .recovered = recovered};
	struct atr_mold_event event;
	size_t cursor = 0;

	if (atr_mold_next(&one, &cursor, &event) != 1) {
		s->skipped++;
		note(s, ATR_SUBSCRIBER_SKIPPED, order, number, 1);
		return;
	}
	m.sequence = event.sequence;
	m.source = event.packet->sender_id;
	m.topic = event.packet->topic_id;
	m.type = event.packet->type_id;
	m.timestamp_ns = event.packet->timestamp_ns;
	m.priority = (event.packet->flags & ATR_FLAG_PRIORITY_MASK) >> ATR_FLAG_PRIORITY_SHIFT;
	m.envelope = event.packet->flags & ATR_FLAG_ENVELOPE;
	m.payload = event.payload ? event.payload : event.packet->payload;
	m.length = event.payload ? event.payload_length : ATR_INLINE_MAX;
	m.packet = (const uint8_t *)event.packet;
	s->config.message(s->config.context, &m);
}

static void on_gap(void *context, const struct order *order, uint64_t first, uint64_t count)
{
	note(context, ATR_SUBSCRIBER_GAP, order, first, count);
}

static void on_lost(void *context, const struct order *order, uint64_t first, uint64_t count)
{
	note(context, ATR_SUBSCRIBER_LOST, order, first, count);
}

static void on_end(void *context, const struct order *order, uint64_t next)
{
	note(context, ATR_SUBSCRIBER_END, order, next, 0);
}

static void request(void *context, const struct order *order, uint64_t first, uint16_t count)
{
	struct atr_subscriber *s = context;
	uint8_t datagram[ATR_MOLD_HDR_SIZE];

	atr_mold_hdr_write(datagram, order_session(order), first, count);
	/* One that is lost is sent again. */
	udp_send(s->request_fd, datagram, sizeof(datagram));
}

void subscriber_sink(struct atr_subscriber *s)
{
	s->sink = (struct order_sink){.deliver = deliver,
				      .gap = on_gap,
				      .lost = on_lost,
				      .end = on_end,
				      .request = request,
				      .context = s};
}

static bool is_wanted(const struct atr_subscriber *s, const char *session)
{
	uint32_t feed, shard, epoch;

	if (s->one_session && memcmp(session, s->session, sizeof(s->session)) != 0)
		return false;
	if (s->config.feed < 0)
		return true;
	return atr_mold_session_parse(session, &feed, &shard, &epoch) == 0 &&
	       feed == (uint32_t)s->config.feed;
}

static struct order *order_of(struct atr_subscriber *s, const char *session)
{
	struct order *o = NULL;

	for (unsigned int i = 0; i < s->count; i++)
		if (memcmp(order_session(s->order[i]), session, ATR_SUBSCRIBER_SESSION) == 0)
			return s->order[i];
	if (s->count < SUBSCRIBER_SESSIONS_MAX)
		o = order_create(session, &s->params, &s->sink);
	if (!o)
		return NULL;
	s->order[s->count++] = o;
	if (s->config.from_of)
		order_from(o, s->config.from_of(s->config.context, order_session(o)));
	return o;
}

static void take(struct atr_subscriber *s, const uint8_t *data, size_t length)
{
	struct atr_mold_packet p;
	struct order *o;

	s->packets++;
	if (atr_mold_parse(data, length, &p) || p.sequence > UINT64_MAX - ATR_MOLD_COUNT_END) {
		s->malformed++;
		return;
	}
	if (!is_wanted(s, p.session))
		return;
	o = order_of(s, p.session);
	if (o)
		order_packet(o, &p);
	else
		s->ignored++;
}

/* Takes what has come by one socket. Packets taken, or negative errno. */
static int receive(struct atr_subscriber *s, int fd)
{
	uint8_t data[UINT16_MAX + 1];
	int n = 0, length;

	while (fd >= 0 && n < PACKETS_A_POLL) {
		length = udp_receive(fd, data, sizeof(data));
		if (length == -EAGAIN)
			break;
		if (length < 0)
			return length;
		take(s, data, (size_t)length);
		n++;
	}
	return n;
}

/* Takes what has come; *due_ns is when to come again at the latest. */
static int step(struct atr_subscriber *s, uint64_t *due_ns)
{
	int live = receive(s, s->fd), asked = receive(s, s->request_fd);
	uint64_t now = now_ns();

	*due_ns = ORDER_NEVER;
	for (unsigned int i = 0; i < s->count; i++) {
		uint64_t due = order_tick(s->order[i], now);

		if (due < *due_ns)
			*due_ns = due;
	}
	return live < 0 ? live : asked < 0 ? asked : live + asked;
}

static uint64_t delivered(const struct atr_subscriber *s)
{
	uint64_t n = 0;

	for (unsigned int i = 0; i < s->count; i++)
		n += order_stats(s->order[i])->messages;
	return n;
}

int atr_subscriber_poll(struct atr_subscriber *s, int timeout_ms)
{
	struct pollfd p[2] = {{.fd = s->fd, .events = POLLIN},
			      {.fd = s->request_fd, .events = POLLIN}};
	uint64_t before = delivered(s), due, now, left;
	int n = step(s, &due);

	if (n == 0 && timeout_ms != 0 && delivered(s) == before) {
		now = now_ns();
		left = due <= now ? 0 : (due - now + NS_PER_MS - 1) / NS_PER_MS;
		if (due != ORDER_NEVER && (timeout_ms < 0 || left < (uint64_t)timeout_ms))
			timeout_ms = (int)left;
		poll(p, 2, timeout_ms);
		n = step(s, &due);
	}
	return n < 0 ? n : (int)(delivered(s) - before);
}

int atr_subscriber_fd(const struct atr_subscriber *s)
{
	return s->fd;
}

void atr_subscriber_stats(const struct atr_subscriber *s, struct atr_subscriber_stats *stats,
			  size_t size)
{
	struct atr_subscriber_stats t = {.packets = s->packets,
					 .malformed = s->malformed + s->skipped,
					 .sessions = s->count,
					 .sessions_ignored = s->ignored};

	for (unsigned int i = 0; i < s->count; i++) {
		const struct order_stats *o = order_stats(s->order[i]);

		t.messages += o->messages;
		t.recovered += o->recovered;
		t.duplicates += o->duplicates;
		t.gaps += o->gaps;
		t.lost += o->lost;
		t.missing += order_missing(s->order[i]);
		t.overflows += o->overflows;
		t.heartbeats += o->heartbeats;
		t.requests += o->requests;
		t.ended += order_ended(s->order[i]);
	}
	t.messages -= s->skipped;
	memset(stats, 0, size);
	memcpy(stats, &t, size < sizeof(t) ? size : sizeof(t));
}
