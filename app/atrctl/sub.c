/* SPDX-License-Identifier: BSD-3-Clause */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "command.h"
#include "event_line.h"
#include "explain.h"
#include "option.h"
#include "session.h"
#include "term.h"

#define RECEIVE_BUFFER (8 << 20)
#define POLL_MS        100
#define FIRST_SEQUENCE 1 /* of every MoldUDP64 session */
#define SECONDS_MAX    (365 * 86400)

static const struct usage usage = {
	"sub --bind IP:PORT [--group IP [--interface IP]] [--plan FILE] ...",
	"Receives feeds (MoldUDP64) on a UDP port and prints one line an event; with --plan,\n"
	"names and engineering units instead of ids and bytes. Gaps and duplicates are\n"
	"reported a session as they are seen. Events that came in as frames carry no\n"
	"signature on a feed: the appliance has checked it, and sub takes its word.\n"
	"Envelopes carry theirs, and with --plan sub verifies it. A closing line sums up.\n"
	"Exit status 1 when messages are missing or a signature does not verify.",
	"  atrctl sub --bind 10.77.0.2:26501 --plan plan.json\n"
	"  atrctl sub --bind 0.0.0.0:26510 --group 239.1.2.3 --interface 10.77.0.2 --json\n"
	"  atrctl sub --bind 10.77.0.2:26501 --until-end --seconds 60",
};

struct sub {
	struct address bind, group, interface;
	struct option_u64 count, seconds;
	const char *plan_path;
	bool json, until_end, from_start, quiet, progress;
	struct atr_plan *plan;
	struct atr_json_parser *parser;
	struct sessions sessions;
	struct progress line;
	int fd;
	uint64_t events, malformed, envelopes, verified, unverified, packets;
};

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
	(void)number;
	interrupted = 1;
}

static int join_group(struct sub *sub)
{
	struct ip_mreq request = {.imr_multiaddr.s_addr = htonl(sub->group.ip),
				  .imr_interface.s_addr = htonl(sub->interface.ip)};

	if (!sub->group.given)
		return EXIT_OK;
	if (setsockopt(sub->fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &request, sizeof(request)) == 0)
		return EXIT_OK;
	return usage_error("sub", "--group: %s; name the interface's address with --interface",
			   strerror(errno));
}

static int open_socket(struct sub *sub)
{
	struct sockaddr_in at = {.sin_family = AF_INET,
				 .sin_port = htons(sub->bind.port),
				 .sin_addr.s_addr = htonl(sub->bind.ip)};
	int size = RECEIVE_BUFFER, on = 1;

	sub->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (sub->fd < 0)
		return usage_error("sub", "socket: %s", strerror(errno));
	/* Beyond the kernel's limit only root may ask; both calls are best effort. */
	if (setsockopt(sub->fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)))
		setsockopt(sub->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	if (sub->group.given)
		setsockopt(sub->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(sub->fd, (struct sockaddr *)&at, sizeof(at)))
		return usage_error("sub",
				   "--bind: %s; give an address of this machine and a free "
				   "port",
				   strerror(errno));
	return join_group(sub);
}

static void note(struct sub *sub, const struct session *s, const char *what, uint64_t first,
		 uint64_t count)
{
	json_t *o;

	if (!sub->json) {
		printf("-- session ");
		term_text(stdout, s->name, sizeof(s->name));
		printf(": %s", what);
		if (count)
			printf(" of %llu from %llu", (unsigned long long)count,
			       (unsigned long long)first);
		putchar('\n');
		return;
	}
	o = json_object();
	json_object_set_new(o, "note", json_string(what));
	json_object_set_new(o, "session", explain_bytes_json(s->name, sizeof(s->name)));
	if (count) {
		json_object_set_new(o, "first", json_integer((json_int_t)first));
		json_object_set_new(o, "messages", json_integer((json_int_t)count));
	}
	explain_print_json(o);
}

/* 1 verified, 0 not verified, -1 not looked at. */
static int verify_envelope(struct sub *sub, const struct atr_mold_event *event)
{
	struct atr_envelope envelope;
	uint8_t reason;

	sub->envelopes++;
	if (!sub->plan)
		return -1;
	if (atr_envelope_parse(sub->parser, (const char *)event->payload, event->payload_length,
			       &envelope) == ATR_OK &&
	    atr_envelope_canonical(&envelope, (const char *)event->payload,
				   event->payload_length) == ATR_OK &&
	    judge_envelope_signature(sub->plan, &envelope, now_unix_ns(), &reason)) {
		sub->verified++;
		return 1;
	}
	sub->unverified++;
	return 0;
}

static void show_event(struct sub *sub, const struct session *s, uint64_t number,
		       const struct atr_mold_event *event, bool late)
{
	const uint8_t *payload = event->payload ? event->payload : event->packet->payload;
	uint32_t length = event->payload ? event->payload_length : ATR_INLINE_MAX;
	int verified = -1;
	json_t *o;

	if (event->packet->flags & ATR_FLAG_ENVELOPE)
		verified = verify_envelope(sub, event);
	if (sub->quiet)
		return;
	if (!sub->json) {
		term_text(stdout, s->name, sizeof(s->name));
		printf(" %llu%s seq=%llu ", (unsigned long long)number, late ? " late" : "",
		       (unsigned long long)event->sequence);
		explain_event(stdout, sub->plan, event->packet, payload, length);
		puts(verified < 0 ? "" : verified ? " signature=ok" : " signature=BAD");
		return;
	}
	o = explain_event_json(sub->plan, event->packet, payload, length);
	json_object_set_new(o, "session", explain_bytes_json(s->name, sizeof(s->name)));
	json_object_set_new(o, "message", json_integer((json_int_t)number));
	json_object_set_new(o, "sequence", json_integer((json_int_t)event->sequence));
	if (late)
		json_object_set_new(o, "late", json_true());
	if (verified >= 0)
		json_object_set_new(o, "signature_ok", json_boolean(verified));
	explain_print_json(o);
}

static void take_messages(struct sub *sub, struct session *s, const struct atr_mold_packet *p)
{
	struct atr_mold_event event;
	uint64_t number = p->sequence;
	size_t cursor = 0;
	int more;

	while ((more = atr_mold_next(p, &cursor, &event)) == 1) {
		enum arrival arrival = session_message(s, number);

		if (arrival != ARRIVAL_DUPLICATE) {
			sub->events++;
			show_event(sub, s, number, &event, arrival == ARRIVAL_LATE);
		}
		number++;
	}
	if (more < 0)
		sub->malformed++;
}

static void take_packet(struct sub *sub, const uint8_t *data, size_t length)
{
	struct atr_mold_packet p;
	struct session *s;
	uint64_t lost, duplicates;

	sub->packets++;
	if (atr_mold_parse(data, length, &p) || p.sequence > UINT64_MAX - ATR_MOLD_COUNT_END) {
		sub->malformed++;
		return;
	}
	s = sessions_find(&sub->sessions, p.session);
	if (!s)
		return;
	if (sub->from_start && !s->started) {
		s->started = true;
		s->expected = FIRST_SEQUENCE;
	}
	lost = session_reach(s, p.sequence);
	if (lost)
		note(sub, s, "gap", p.sequence - lost, lost);
	if (p.count == ATR_MOLD_COUNT_END) {
		if (!s->ended)
			note(sub, s, "end of session", 0, 0);
		s->ended = true;
		return;
	}
	if (p.count == 0) {
		s->heartbeats++;
		return;
	}
	duplicates = s->duplicates;
	take_messages(sub, s, &p);
	if (s->duplicates > duplicates)
		note(sub, s, "duplicates", p.sequence, s->duplicates - duplicates);
}

static bool all_ended(const struct sessions *sessions)
{
	for (unsigned int i = 0; i < sessions->count; i++)
		if (!sessions->session[i]->ended)
			return false;
	return sessions->count > 0;
}

static void receive(struct sub *sub)
{
	struct pollfd p = {.fd = sub->fd, .events = POLLIN};
	uint64_t end = now_monotonic_ns() + sub->seconds.value * NS_PER_S;
	uint8_t data[UINT16_MAX + 1];

	while (!interrupted) {
		ssize_t n;

		if (sub->seconds.given && now_monotonic_ns() >= end)
			break;
		if (poll(&p, 1, POLL_MS) <= 0) {
			fflush(stdout);
			continue;
		}
		while ((n = recv(sub->fd, data, sizeof(data), MSG_DONTWAIT)) >= 0) {
			take_packet(sub, data, (size_t)n);
			if (interrupted || (sub->count.given && sub->events >= sub->count.value))
				return;
		}
		fflush(stdout);
		if (progress_due(&sub->line) && (sub->quiet || !isatty(STDOUT_FILENO)))
			progress_show(&sub->line, "received %llu events",
				      (unsigned long long)sub->events);
		if (sub->until_end && all_ended(&sub->sessions))
			break;
	}
}

struct sums {
	uint64_t missing, gaps, recovered, duplicates, heartbeats, ended;
};

static void summary_json(const struct sub *sub, const struct sums *t)
{
	json_t *o = json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
			      "note", "summary", "events", (json_int_t)sub->events, "gaps",
			      (json_int_t)t->gaps, "missing", (json_int_t)t->missing, "late",
			      (json_int_t)t->recovered, "duplicates", (json_int_t)t->duplicates,
			      "heartbeats", (json_int_t)t->heartbeats, "sessions",
			      (json_int_t)sub->sessions.count, "ended", (json_int_t)t->ended,
			      "envelopes", (json_int_t)sub->envelopes, "envelopes_verified",
			      (json_int_t)sub->verified, "envelopes_bad",
			      (json_int_t)sub->unverified, "malformed", (json_int_t)sub->malformed);

	explain_print_json(o);
}

static int summarise(const struct sub *sub)
{
	struct sums t = {0};

	for (unsigned int i = 0; i < sub->sessions.count; i++) {
		const struct session *s = sub->sessions.session[i];

		t.missing += s->missing;
		t.gaps += s->gaps_seen;
		t.recovered += s->recovered;
		t.duplicates += s->duplicates;
		t.heartbeats += s->heartbeats;
		t.ended += s->ended;
	}
	if (sub->json)
		summary_json(sub, &t);
	else
		printf("sub: events=%llu gaps=%llu missing=%llu late=%llu duplicates=%llu "
		       "heartbeats=%llu sessions=%u ended=%llu envelopes=%llu verified=%llu "
		       "bad=%llu malformed=%llu\n",
		       (unsigned long long)sub->events, (unsigned long long)t.gaps,
		       (unsigned long long)t.missing, (unsigned long long)t.recovered,
		       (unsigned long long)t.duplicates, (unsigned long long)t.heartbeats,
		       sub->sessions.count, (unsigned long long)t.ended,
		       (unsigned long long)sub->envelopes, (unsigned long long)sub->verified,
		       (unsigned long long)sub->unverified, (unsigned long long)sub->malformed);
	return t.missing || sub->unverified || sub->malformed ? EXIT_NEGATIVE : EXIT_OK;
}

static int run(struct sub *sub)
{
	struct sigaction action = {.sa_handler = on_signal};
	char error[ERROR_SIZE];
	int status;

	if (!sub->bind.given || sub->bind.port == 0)
		return usage_error("sub", "--bind IP:PORT is needed: where the feed arrives");
	if (sub->plan_path) {
		sub->plan = atr_plan_load_file(sub->plan_path, error, sizeof(error));
		if (!sub->plan)
			return usage_error("sub", "%s", error);
	}
	sub->parser = atr_json_parser_create();
	if (!sub->parser)
		return usage_error("sub", "out of memory");
	status = open_socket(sub);
	if (status)
		return status;
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	progress_start(&sub->line, sub->progress);
	if (!sub->json) {
		puts("-- listening; signatures of frames are not on a feed and not verified here");
		fflush(stdout);
	}
	receive(sub);
	progress_end(&sub->line);
	return summarise(sub);
}

int cmd_sub(int argc, char **argv)
{
	struct sub sub = {.fd = -1};
	const struct option table[] = {
		{"--bind", "IP:PORT", "address and port to receive on (0.0.0.0: any)",
		 OPTION_ADDRESS, &sub.bind, 0, 0},
		{"--group", "IP", "multicast group to join", OPTION_ADDRESS, &sub.group, 0, 0},
		{"--interface", "IP", "address of the interface to join it on", OPTION_ADDRESS,
		 &sub.interface, 0, 0},
		{"--plan", "FILE", "plan: names, units, keys of envelopes", OPTION_STRING,
		 &sub.plan_path, 0, 0},
		{"--json", NULL, "one JSON object a line", OPTION_FLAG, &sub.json, 0, 0},
		{"--quiet", NULL, "no line an event: only notes and the summary", OPTION_FLAG,
		 &sub.quiet, 0, 0},
		{"--count", "N", "stop after N events", OPTION_U64, &sub.count, 1, UINT64_MAX},
		{"--seconds", "S", "stop after S seconds", OPTION_U64, &sub.seconds, 1,
		 SECONDS_MAX},
		{"--until-end", NULL, "stop when every session seen has ended", OPTION_FLAG,
		 &sub.until_end, 0, 0},
		{"--from-start", NULL,
		 "count what came before the first packet of a session as missing, too",
		 OPTION_FLAG, &sub.from_start, 0, 0},
		{"--progress", NULL, "show progress also when stderr is no terminal", OPTION_FLAG,
		 &sub.progress, 0, 0},
		{NULL, NULL, NULL, OPTION_FLAG, NULL, 0, 0},
	};
	int status, err = options_parse(&usage, table, argc, argv);

	if (err)
		return err > 0 ? EXIT_OK : EXIT_USAGE;
	status = run(&sub);
	sessions_free(&sub.sessions);
	if (sub.fd >= 0)
		close(sub.fd);
	if (sub.parser)
		atr_json_parser_destroy(sub.parser);
	atr_plan_free(sub.plan);
	return status;
}
