/* SPDX-License-Identifier: BSD-3-Clause */
/* Events as frames: one producer of libatr a source, over one output. */
#include "pub.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "../../lib/encode/encode.h"
#include "../../lib/wire/frame.h"

#define QUEUE_MIN         4096 /* frames kept in memory, unless a tree has more */
#define TIMEOUT_DEFAULT_S 60
#define MS_PER_S          1000
#define IDLE_MS           1000
#define INBOX_MAX         64
#define EVENTS_A_PUMP     64 /* published between two looks at the acknowledgements */
#define REFUSALS_SHOWN    10
#define DIRECTORY_MODE    0700
#define PATH_SIZE         (PATH_MAX + 32)

/* Acknowledgements that have come, for every source to look through: all share a socket. */
struct inbox {
	unsigned int count;
	struct {
		uint16_t length;
		uint8_t datagram[ATR_DATAGRAM_MAX];
	} item[INBOX_MAX];
};

struct frames {
	struct pub *pub;
	struct producer *producer;
	struct inbox *inbox;
	unsigned int taken; /* of the inbox */
	struct atr_producer_transport transport;
	struct atr_producer *atr;
};

static int transport_send(void *context, const void *datagram, size_t length)
{
	struct output *output = &((struct frames *)context)->pub->output;

	output_put(output, datagram, length);
	return 0;
}

static int transport_receive(void *context, void *buffer, size_t size)
{
	struct frames *f = context;
	size_t length;

	if (f->taken == f->inbox->count)
		return -EAGAIN;
	length = f->inbox->item[f->taken].length;
	if (length > size)
		length = size;
	memcpy(buffer, f->inbox->item[f->taken++].datagram, length);
	return (int)length;
}

static int reserve(void *context, uint64_t next)
{
	struct frames *f = context;
	char error[ERROR_SIZE];
	int err;

	if (!f->pub->sequences)
		return 0;
	err = sequence_file_take(f->pub->sequences, f->producer->source->name, next);
	if (!err)
		err = sequence_file_commit(f->pub->sequences, error);
	return err;
}

static void on_result(void *context, const struct atr_producer_result *r)
{
	struct pub *pub = ((struct frames *)context)->pub;

	for (unsigned int i = 0; r->outcome == ATR_PRODUCER_SETTLED && i < r->events; i++) {
		uint8_t reason = r->reasons ? r->reasons[i] : r->reason;

		if (reason == ATR_CLIENT_ADMITTED || reason == ATR_CLIENT_DUPLICATE)
			continue;
		if (pub->refusals_shown++ >= REFUSALS_SHOWN)
			return;
		progress_end(&pub->progress);
		usage_error("pub", "source '%s', sequence %llu: refused as %s: %s",
			    ((struct frames *)context)->producer->source->name,
			    (unsigned long long)r->first_sequence + i,
			    atr_client_reason_name(reason), atr_client_reason_text(reason));
	}
}

/* A directory for each source below the one that was named; ids, since names may be anything. */
static int outbox_path(const struct pub_options *o, uint32_t source, char *path, char *error)
{
	if (mkdir(o->outbox, DIRECTORY_MODE) && errno != EEXIST) {
		snprintf(error, ERROR_SIZE, "--outbox %.300s: %s", o->outbox, strerror(errno));
		return -EINVAL;
	}
	if (snprintf(path, PATH_SIZE, "%s/source-%u", o->outbox, source) >= PATH_SIZE) {
		snprintf(error, ERROR_SIZE, "--outbox: the path is too long");
		return -EINVAL;
	}
	return 0;
}

static uint64_t first_sequence(const struct pub *pub, const struct producer *producer)
{
	return pub->sequences ? sequence_file_next(pub->sequences, producer->source->name)
			      : pub->options.first_sequence.value;
}

static struct frames *frames_open(struct pub *pub, struct producer *producer, struct inbox *inbox,
				  char *error)
{
	const struct pub_options *o = &pub->options;
	struct frames *f = calloc(1, sizeof(*f));
	char path[PATH_SIZE];
	struct atr_producer_config config = {
		.size = sizeof(config),
		.realm = pub->plan->realm,
		.source = producer->source->id,
		.key = producer->key_id,
		.key_file = producer->key_path,
		.outbox = o->no_acks ? NULL : path,
		.acks_key = o->acks_key,
		.first_sequence = first_sequence(pub, producer),
		.reserve = o->no_acks ? reserve : NULL,
		.mtu = (uint32_t)o->mtu.value,
		.tree = (uint32_t)o->tree.value,
		.queue = (uint32_t)(o->tree.value > QUEUE_MIN ? o->tree.value : QUEUE_MIN),
		.window = producer->source->window < producer->source->max_ahead
				  ? producer->source->window
				  : producer->source->max_ahead,
		.first_backoff_ms = (uint32_t)o->wait_ms.value,
		.attempts = o->retries.given ? (uint32_t)o->retries.value + 1 : 0,
		.give_up_ms = (uint32_t)(o->timeout.given ? o->timeout.value : TIMEOUT_DEFAULT_S) *
			      MS_PER_S,
		.result = on_result,
	};

	if (!f) {
		snprintf(error, ERROR_SIZE, "out of memory");
		return NULL;
	}
	f->pub = pub;
	f->producer = producer;
	f->inbox = inbox;
	f->transport = (struct atr_producer_transport){
		.context = f, .send = transport_send, .receive = transport_receive, .fd = -1};
	config.transport = &f->transport;
	config.context = f;
	if (o->no_acks || outbox_path(o, producer->source->id, path, error) == 0)
		f->atr = atr_producer_open(&config, error, ERROR_SIZE);
	if (f->atr)
		return f;
	free(f);
	return NULL;
}

static struct frames *frames_of(const struct pub *pub, uint32_t i)
{
	return pub->ring.producers[i].frames;
}

static int stopped(const struct frames *f, char *error)
{
	snprintf(error, ERROR_SIZE, "source '%s': %s", f->producer->source->name,
		 atr_producer_error(f->atr));
	return -EIO;
}

/* Waits for something to do, then does it for every source. Returns the number of frames that may
 * still be acknowledged, or -EIO with a sentence. */
static int pump(struct pub *pub, struct inbox *inbox, int timeout_ms, char *error)
{
	struct pollfd arrived = {.fd = pub->output.fd, .events = POLLIN};
	int left = 0;

	for (uint32_t i = 0; timeout_ms && i < pub->plan->source_slots; i++) {
		int due = frames_of(pub, i) ? atr_producer_timeout_ms(frames_of(pub, i)->atr) : -1;

		if (due >= 0 && due < timeout_ms)
			timeout_ms = due;
	}
	poll(&arrived, 1, timeout_ms);
	for (inbox->count = 0; inbox->count < INBOX_MAX; inbox->count++) {
		ssize_t n = output_receive(&pub->output, inbox->item[inbox->count].datagram,
					   sizeof(inbox->item[0].datagram));

		if (n < 0)
			break;
		inbox->item[inbox->count].length = (uint16_t)n;
	}
	for (uint32_t i = 0; i < pub->plan->source_slots; i++) {
		struct frames *f = frames_of(pub, i);
		int n;

		if (!f)
			continue;
		f->taken = 0;
		n = atr_producer_poll(f->atr, 0);
		if (n < 0)
			return stopped(f, error);
		left += n;
	}
	return left;
}

/* The event of a line; -EINVAL with a sentence if it does not fit the plan. */
static int encode(struct pub *pub, const struct event_line *line, struct producer *producer,
		  uint8_t *payload, struct atr_event *event, char *error)
{
	const struct atr_topic *topic =
		atr_plan_topic_named(pub->plan, line->topic->string, line->topic->string_length);
	const struct atr_type *type =
		atr_plan_type_named(pub->plan, line->type->string, line->type->string_length);
	int n;

	if (!topic || !type) {
		snprintf(error, ERROR_SIZE, "%s is not in the plan", topic ? "type" : "topic");
		return -EINVAL;
	}
	n = atr_encode_payload(type, line->payload, payload, error, ERROR_SIZE);
	if (n < 0)
		return n;
	event->topic_id = topic->id;
	event->type_id = type->id;
	event->timestamp_ns = line->timestamp_ns;
	event->priority = line->priority != PRIORITY_NOT_GIVEN ? line->priority
			  : producer->source->priority > topic->priority
				  ? producer->source->priority
				  : topic->priority;
	event->payload = payload;
	event->payload_length = (uint32_t)n;
	return 0;
}

static int publish(struct pub *pub, const struct event_line *line, struct producer *producer,
		   struct inbox *inbox, char *error)
{
	uint8_t payload[ATR_ENCODE_BUFFER];
	struct atr_event e;
	struct frames *f;
	int err;

	if (encode(pub, line, producer, payload, &e, error)) {
		pub_unfit(pub, error);
		return 0;
	}
	if (!producer->frames)
		producer->frames = frames_open(pub, producer, inbox, error);
	f = producer->frames;
	if (!f)
		return -EINVAL;
	do {
		err = atr_producer_publish(f->atr, e.topic_id, e.type_id, e.timestamp_ns,
					   e.priority, payload, e.payload_length, NULL);
	} while (err == -EAGAIN && pump(pub, inbox, IDLE_MS, error) >= 0);
	if (err == -EMSGSIZE) {
		pub_unfit(pub, "the event does not fit a frame; raise --mtu");
		return 0;
	}
	if (err == -EIO || err == -EAGAIN)
		return stopped(f, error);
	if (err)
		snprintf(error, ERROR_SIZE,
			 err == -ETIMEDOUT
				 ? "source '%s': nothing is acknowledged; what was read "
				   "is in the outbox, run again when the appliance is back"
			 : err == -ERANGE ? "sequences of source '%s' are used up"
					  : "source '%s': out of memory",
			 producer->source->name);
	pub->events += err == 0;
	return err;
}

/* Sends what is left, and waits for what is not acknowledged. */
static int finish(struct pub *pub, struct inbox *inbox, char *error)
{
	int left = 1;

	for (uint32_t i = 0; i < pub->plan->source_slots; i++)
		if (frames_of(pub, i) && atr_producer_flush(frames_of(pub, i)->atr))
			return stopped(frames_of(pub, i), error);
	for (int wait = 0; !pub->options.no_acks && left > 0; wait = IDLE_MS)
		left = pump(pub, inbox, wait, error);
	return left < 0 ? left : 0;
}

static void add_up(struct pub *pub, const struct frames *f)
{
	struct atr_producer_stats s, *sum = &pub->acks;

	atr_producer_stats(f->atr, &s, sizeof(s));
	pub->frames += s.frames;
	pub->trees += s.trees;
	sum->recovered += s.recovered;
	sum->resent += s.resent;
	sum->admitted += s.admitted;
	sum->duplicate += s.duplicate;
	sum->refused += s.refused;
	sum->unsettled += s.unsettled;
	sum->settled += s.settled;
	sum->retries += s.retries;
	sum->acks += s.acks;
	sum->acks_bad += s.acks_bad;
	for (unsigned int r = 0; r < ATR_REASON_SPACE; r++)
		sum->refused_by_reason[r] += s.refused_by_reason[r];
}

int pub_frames_run(struct pub *pub, char *error)
{
	struct inbox *inbox = calloc(1, sizeof(*inbox));
	struct producer *producer;
	struct event_line line;
	int err = inbox ? 0 : -ENOMEM;

	/* What an earlier run left in the outbox of the source goes out even without new events. */
	if (!err && !pub->options.no_acks && pub->ring.only) {
		err = keyring_find(&pub->ring, NULL, &producer, error);
		if (!err)
			producer->frames = frames_open(pub, producer, inbox, error);
		if (!err && !producer->frames)
			err = -EINVAL;
	}
	while (!err && pub_input_next(pub, &line, &producer)) {
		err = publish(pub, &line, producer, inbox, error);
		if (!err && !pub->options.no_acks && pub->events % EVENTS_A_PUMP == 0)
			err = pump(pub, inbox, 0, error) < 0 ? -EIO : 0;
	}
	if (!err)
		err = finish(pub, inbox, error);
	if (!err)
		output_flush(&pub->output);
	for (uint32_t i = 0; i < pub->plan->source_slots; i++) {
		if (!frames_of(pub, i))
			continue;
		add_up(pub, frames_of(pub, i));
		atr_producer_close(frames_of(pub, i)->atr);
		free(frames_of(pub, i));
		pub->ring.producers[i].frames = NULL;
	}
	free(inbox);
	return err;
}
