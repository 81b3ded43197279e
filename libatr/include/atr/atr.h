/* SPDX-License-Identifier: BSD-3-Clause */
/* libatr: publish events to an ATR appliance, and follow its feeds.
 *
 * A producer batches events into frames and frames into signed trees, keeps the exact datagrams in
 * a durable outbox, and sends each again until the appliance has acknowledged it or has finally
 * refused it. It survives its own crash at any point without ever using a sequence for other bytes.
 * A subscriber delivers the messages of MoldUDP64 feeds in order, once, and asks the appliance for
 * those that were lost on the way. docs/libatr.md has whole programs.
 *
 * Threads: an object is used by one thread at a time; different objects are independent. The
 * library starts no thread and installs no signal handler. Callbacks run inside the functions that
 * say so and must not call functions of the same object, unless it says otherwise.
 *
 * Errors: functions return 0 or a count, or a negative errno. Where there is an error buffer it
 * receives one sentence (ATR_CLIENT_ERROR bytes suffice) that names the culprit and the remedy.
 *
 * Times are nanoseconds since 1970-01-01T00:00:00Z. Addresses are texts, "10.77.0.1:26400".
 */
#ifndef ATR_ATR_H
#define ATR_ATR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ATR_CLIENT_ERROR 512 /* bytes of an error buffer */

/* Reason codes of docs/wire-format.md, section 10. 0: admitted. 255: duplicate (admitted before).
 * Name ("stale") and sentence, static storage; NULL for codes that this library does not know. */
#define ATR_CLIENT_ADMITTED  0
#define ATR_CLIENT_DUPLICATE 255
const char *atr_client_reason_name(uint8_t reason);
const char *atr_client_reason_text(uint8_t reason);

/* ---- Producer ---- */

struct atr_producer;

enum atr_producer_outcome {
	ATR_PRODUCER_SETTLED = 1, /* every event was admitted, was admitted before, or was finally
				   * refused: the frame has left the outbox */
	ATR_PRODUCER_RETRY,       /* an event was refused for now; the frame is sent again later */
	ATR_PRODUCER_GIVEN_UP     /* attempts or time are used up. The frame stays in the outbox and
				   * is sent again when that is opened next */
};

/* What became of a frame. Valid during the callback. */
struct atr_producer_result {
	enum atr_producer_outcome outcome;
	uint64_t first_sequence; /* of its first event */
	uint16_t events;
	/* One code for all events: ATR_CLIENT_ADMITTED, ATR_CLIENT_DUPLICATE or a reason; the first
	 * refusal where events differ; the last reason known (or 0) when given up. */
	uint8_t reason;
	const uint8_t *reasons; /* events codes where they differ, else NULL */
	uint64_t position;      /* log index of the frame's record; UINT64_MAX: not told */
	uint32_t attempts;      /* times that it was sent by this object */
};

/* How datagrams leave and come, in place of a UDP socket of the library: for tests, captures,
 * pacing. Outlives the producer. */
struct atr_producer_transport {
	void *context;
	/* Sends one datagram: 0, -EAGAIN (not now; it is offered again), or another negative errno,
	 * which counts as lost on the way. */
	int (*send)(void *context, const void *datagram, size_t length);
	/* Takes one datagram that has arrived: its length; -EAGAIN if there is none. */
	int (*receive)(void *context, void *buffer, size_t size);
	int fd; /* readable when something has arrived; -1: none, waiting only sleeps */
};

/* Every text and structure is only read during atr_producer_open, except the transport. */
struct atr_producer_config {
	size_t size; /* sizeof(struct atr_producer_config) */
	uint64_t realm;
	uint32_t source, key; /* ids in the appliance's plan */
	/* The private key: a file of 'atrctl keygen', or 32 bytes. Exactly one. */
	const char *key_file;
	const uint8_t *seed;
	const char *to;   /* the appliance's address and ingress port; not with a transport */
	const char *from; /* "IP" or "IP:PORT" to send from; NULL: the kernel chooses */
	const struct atr_producer_transport *transport; /* NULL: a UDP socket */

	/* Directory of the outbox, made if missing, locked while open; one source each. NULL: fire
	 * and forget, for appliances without durability: frames are sent once, nothing is kept,
	 * acknowledgements are not awaited, and first_sequence and reserve take its place. */
	const char *outbox;
	/* Public key of the appliance's acknowledgements, 64 lowercase hexadecimal digits ('atrctl
	 * status' shows it): needed with an outbox, and only then. */
	const char *acks_key;
	/* Sequences begin here at the earliest, and otherwise where the outbox ends. 0: at 1.
	 * Without outbox: where they begin. */
	uint64_t first_sequence;
	/* Without outbox, optional: called before anything of a tree is sent, with the sequence
	 * after its last. Must make durable that sequences below are used. 0, or negative errno:
	 * then nothing is sent any more. */
	int (*reserve)(void *context, uint64_t next);

	/* Zero means the default in brackets. */
	uint32_t mtu;              /* bytes of the largest IP packet [1500] */
	uint32_t tree;             /* frames a signature, at most 65,536 [256] */
	uint32_t window;           /* sequences between the first unacknowledged event and the last
				    * one sent; at most the plan's window of the source [4096] */
	uint32_t queue;            /* frames kept in memory, at least a tree [4096] */
	uint32_t flush_ms;         /* an event waits so long for its tree to fill [10] */
	uint32_t first_backoff_ms; /* until a frame is sent again; doubled each time [200] */
	uint32_t max_backoff_ms;   /* [10000] */
	uint32_t attempts;         /* then the frame is given up [0: never] */
	uint32_t give_up_ms;       /* since it was first sent, likewise [0: never] */

	/* Called from atr_producer_poll and atr_producer_wait. May be NULL. */
	void (*result)(void *context, const struct atr_producer_result *result);
	void *context; /* of result and reserve */
};

/* Counts of this object. */
struct atr_producer_stats {
	uint64_t events, frames, trees; /* published */
	uint64_t recovered;             /* frames found unsettled in the outbox */
	uint64_t sent, resent;          /* datagrams; sent includes resent */
	uint64_t send_errors;
	uint64_t admitted, duplicate;        /* events */
	uint64_t refused;                    /* events, finally */
	uint64_t refused_by_reason[256];     /* of these */
	uint64_t settled, given_up, retries; /* frames; RETRY answers */
	uint64_t unsettled;                  /* frames kept now, given up ones included */
	uint64_t acks, acks_bad; /* datagrams: understood; malformed, or signature wrong */
	uint64_t
		acks_unmatched; /* entries for frames that are not kept any more, or are not ours */
	uint64_t floor;         /* the appliance's last word: sequences below are stale */
	uint64_t next_sequence; /* of the next event published */
};

/* Opens; reads the outbox and takes up what is unsettled in it (it is sent again, byte for byte, by
 * the first poll). NULL with a sentence in error: a configuration that cannot be, a key file or
 * socket that cannot be opened, an outbox that another process uses or that is damaged. */
struct atr_producer *atr_producer_open(const struct atr_producer_config *config, char *error,
				       size_t error_size);

/* Appends an event and returns 0; copies the payload. It is sent when its tree is full, by
 * atr_producer_flush, or by a poll after flush_ms. Its sequence is *sequence (if not NULL).
 * -EAGAIN: the queue is full; poll and publish again. -EMSGSIZE: does not fit a frame of the MTU.
 * -EINVAL: priority above 3. -ERANGE: sequences are used up. -ETIMEDOUT: the queue holds only
 * frames that were given up. -EIO: the outbox (or reserve) has failed, nothing is sent any more;
 * atr_producer_error says why, and opening again goes on. */
int atr_producer_publish(struct atr_producer *producer, uint32_t topic, uint32_t type,
			 uint64_t timestamp_ns, uint8_t priority, const void *payload,
			 size_t length, uint64_t *sequence);

/* Signs and sends what is waiting for its tree to fill. 0, or -EIO as above. */
int atr_producer_flush(struct atr_producer *producer);

/* Takes acknowledgements, sends what is due, calls result. Waits up to timeout_ms (0: not at all)
 * for something to happen. Returns the number of frames that are unsettled and not given up, or
 * -EIO as above. */
int atr_producer_poll(struct atr_producer *producer, int timeout_ms);

/* Flushes, then polls until nothing is unsettled but what was given up, or timeout_ms (-1: none)
 * have passed. Returns like atr_producer_poll. */
int atr_producer_wait(struct atr_producer *producer, int timeout_ms);

/* To be waited on by the caller's own loop: when it is readable, or after
 * atr_producer_timeout_ms, call atr_producer_poll. -1 if there is none. */
int atr_producer_fd(const struct atr_producer *producer);
/* Milliseconds until something is due; -1: nothing is. */
int atr_producer_timeout_ms(const struct atr_producer *producer);

/* Fills *stats (size bytes: sizeof(*stats)). */
void atr_producer_stats(const struct atr_producer *producer, struct atr_producer_stats *stats,
			size_t size);

/* The sentence of what made -EIO; "" if nothing did. Valid as long as the producer. */
const char *atr_producer_error(const struct atr_producer *producer);

/* Frees; NULL is allowed. Events that were published and not flushed are in no outbox and are lost:
 * flush first. What is unsettled stays in the outbox. */
void atr_producer_close(struct atr_producer *producer);

/* ---- Subscriber ---- */

struct atr_subscriber;

#define ATR_SUBSCRIBER_SESSION 10 /* characters of a session, not terminated */

/* A message of a feed. Valid during the callback. */
struct atr_subscriber_message {
	const char *session; /* 10 characters */
	uint64_t number;     /* of the message in its session, from 1 */
	bool recovered;      /* came after a later one, or on request */
	/* The event. */
	uint64_t sequence; /* the producer's; of an envelope its log position */
	uint32_t source, topic, type;
	uint64_t timestamp_ns;
	uint8_t priority;
	bool envelope; /* the payload is a signed JSON envelope */
	const uint8_t *payload;
	uint32_t length;       /* 36 for inline payloads: their length follows from the type */
	const uint8_t *packet; /* the 64 bytes of the packet as they were signed */
};

enum atr_subscriber_note_kind {
	ATR_SUBSCRIBER_GAP = 1, /* messages are missing; they may still come */
	ATR_SUBSCRIBER_LOST,    /* they are given up; delivery goes on behind them */
	ATR_SUBSCRIBER_SKIPPED, /* a message that is no event was passed over */
	ATR_SUBSCRIBER_END      /* the session has ended and all of it is delivered */
};

struct atr_subscriber_note {
	enum atr_subscriber_note_kind kind;
	const char *session; /* 10 characters */
	uint64_t first;      /* message number */
	uint64_t count;
};

struct atr_subscriber_config {
	size_t size;           /* sizeof(struct atr_subscriber_config) */
	const char *bind;      /* "IP:PORT" where the feed arrives; 0.0.0.0 for any address */
	const char *group;     /* multicast group to join, or NULL */
	const char *interface; /* address of the interface to join it on, or NULL */
	/* "IP:PORT" of the appliance's feed port, which answers gap requests; NULL: what is lost
	 * stays lost. Requests leave from the address of bind, from a port of their own. */
	const char *request;
	const char *session; /* 10 characters: only this one; NULL: all */
	int feed;            /* only sessions of this feed; -1: all */
	/* First message wanted of every session; earlier ones are not delivered, later ones are
	 * requested from there. 0: from wherever the stream is. */
	uint64_t from;
	/* The same of one session, asked when its first packet arrives; with 0 as answer, or where
	 * this is NULL, `from` holds. May be NULL. */
	uint64_t (*from_of)(void *context, const char *session);

	/* Zero means the default in brackets. */
	uint32_t buffer;         /* messages kept behind a gap, a session [16384] */
	uint32_t requests;       /* under way at once, a session, at most 64 [8] */
	uint32_t retry_ms;       /* until a request is sent again; doubled each time [50] */
	uint32_t gap_timeout_ms; /* without progress, then a gap is lost [5000; 100 without request]
				  */

	/* Called, like from_of, from atr_subscriber_poll; messages in the order of numbers in each
	 * session. note may be NULL. */
	void (*message)(void *context, const struct atr_subscriber_message *message);
	void (*note)(void *context, const struct atr_subscriber_note *note);
	void *context;
};

struct atr_subscriber_stats {
	uint64_t packets, malformed; /* datagrams; malformed includes messages that are no events */
	uint64_t messages;           /* delivered */
	uint64_t recovered;          /* of these, after later ones or on request */
	uint64_t duplicates;         /* messages that came again */
	uint64_t gaps, lost;         /* gaps seen; messages given up */
	uint64_t missing;            /* messages that are missing now */
	uint64_t overflows;          /* messages dropped for want of buffer; requested again */
	uint64_t heartbeats, requests;
	uint64_t sessions, ended;  /* ended: and delivered whole */
	uint64_t sessions_ignored; /* packets of sessions beyond 1,024 */
};

/* Opens the sockets. NULL with a sentence in error. */
struct atr_subscriber *atr_subscriber_open(const struct atr_subscriber_config *config, char *error,
					   size_t error_size);

/* Receives, requests, delivers; waits up to timeout_ms (0: not at all) for a packet. Returns the
 * number of messages delivered, of at most 64 packets and what was waiting for them; negative errno
 * when the socket fails. */
int atr_subscriber_poll(struct atr_subscriber *subscriber, int timeout_ms);

/* Readable when a feed packet has arrived. Poll in any case every retry_ms while something is
 * missing (stats). */
int atr_subscriber_fd(const struct atr_subscriber *subscriber);

/* Fills *stats (size bytes: sizeof(*stats)). */
void atr_subscriber_stats(const struct atr_subscriber *subscriber,
			  struct atr_subscriber_stats *stats, size_t size);

/* Frees; NULL is allowed. */
void atr_subscriber_close(struct atr_subscriber *subscriber);

#ifdef __cplusplus
}
#endif

#endif
