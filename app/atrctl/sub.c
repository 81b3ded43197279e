/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <atr/atr.h>

#include "command.h"
#include "event_line.h"
#include "explain.h"
#include "option.h"
#include "snapshot_start.h"
#include "term.h"

#define POLL_MS         100
#define SEQUENCE_MAX    (UINT64_MAX >> 1)
#define GAP_TIMEOUT_MAX 3600000
#define SECONDS_MAX     (365 * 86400)

static const struct usage usage = {
	"sub --bind IP:PORT [--group IP [--interface IP]] [--request IP:PORT] ...",
	"Receives feeds (MoldUDP64) on a UDP port and prints one line an event, in the order\n"
	"of each session, every message once; with --plan, names and engineering units\n"
	"instead of ids and bytes. With --request, what is missing is asked for, from\n"
	"--from-sequence on if given. What does not come is reported as lost, and printing\n"
	"goes on behind it. With --from-snapshot the state in a snapshot is printed first, and\n"
	"then each event of class D behind it, none missing and none twice; --request is needed\n"
	"for that, since they are in the past. A snapshot of another log is refused as far as\n"
	"the realm (with --plan) and the session tell. Events that came in as frames carry no "
	"signature on "
	"a feed: the\n"
	"appliance has checked it, and sub takes its word. Envelopes carry theirs, and with\n"
	"--plan sub verifies it. A closing line sums up.\n"
	"Exit status 1 when messages are lost or a signature does not verify.",
	"  atrctl sub --bind 10.77.0.2:26501 --plan plan.json\n"
	"  atrctl sub --bind 10.77.0.2:26501 --request 10.77.0.1:26401 --from-sequence 1\n"
	"  atrctl sub --bind 10.77.0.2:26501 --request 10.77.0.1:26401 \\\n"
	"      --from-snapshot /var/lib/atr/log --json\n"
	"  atrctl sub --bind 0.0.0.0:26510 --group 239.1.2.3 --interface 10.77.0.2 --json\n"
	"  atrctl sub --bind 10.77.0.2:26501 --until-end --seconds 60",
};

struct sub {
	const char *bind, *group, *interface, *request, *session;
	struct option_u64 count, seconds, from, gap_timeout;
	const char *plan_path, *snapshot_path;
	struct snapshot_start *start; /* NULL: without a snapshot */
	bool json, until_end, quiet, progress;
	struct atr_plan *plan;
	struct atr_json_parser *parser;
	struct atr_subscriber *atr;
	struct progress line;
	char foreign[ATR_SUBSCRIBER_SESSION + 1]; /* session of another log than the snapshot */
	uint64_t events, envelopes, verified, unverified;
};

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
	(void)number;
	interrupted = 1;
}

static void on_note(void *context, const struct atr_subscriber_note *n)
{
	static const char *const what[] = {
		[ATR_SUBSCRIBER_GAP] = "gap",
		[ATR_SUBSCRIBER_LOST] = "lost",
		[ATR_SUBSCRIBER_SKIPPED] = "no event",
		[ATR_SUBSCRIBER_END] = "end of session",
	};
	const struct sub *sub = context;
	json_t *o;

	if (!sub->json) {
		printf("-- session ");
		term_text(stdout, n->session, ATR_SUBSCRIBER_SESSION);
		printf(": %s", what[n->kind]);
		if (n->count)
			printf(" of %llu from %llu", (unsigned long long)n->count,
			       (unsigned long long)n->first);
		putchar('\n');
		return;
	}
	o = json_object();
	json_object_set_new(o, "note", json_string(what[n->kind]));
	json_object_set_new(o, "session", explain_bytes_json(n->session, ATR_SUBSCRIBER_SESSION));
	if (n->count) {
		json_object_set_new(o, "first", json_integer((json_int_t)n->first));
		json_object_set_new(o, "messages", json_integer((json_int_t)n->count));
	}
	explain_print_json(o);
}

/* 1 verified, 0 not verified, -1 not looked at. */
static int verify_envelope(struct sub *sub, const struct atr_subscriber_message *m)
{
	struct atr_envelope envelope;
	uint8_t reason;

	sub->envelopes++;
	if (!sub->plan)
		return -1;
	if (atr_envelope_parse(sub->parser, (const char *)m->payload, m->length, &envelope) ==
		    ATR_OK &&
	    atr_envelope_canonical(&envelope, (const char *)m->payload, m->length) == ATR_OK &&
	    judge_envelope_signature(sub->plan, &envelope, now_unix_ns(), &reason)) {
		sub->verified++;
		return 1;
	}
	sub->unverified++;
	return 0;
}

static bool has_enough(const struct sub *sub)
{
	return sub->count.given && sub->events >= sub->count.value;
}

static void on_message(void *context, const struct atr_subscriber_message *m)
{
	const struct atr_packet *packet = (const struct atr_packet *)m->packet;
	struct sub *sub = context;
	int verified = -1;
	json_t *o;

	if (has_enough(sub) || sub->foreign[0])
		return;
	sub->events++;
	if (m->envelope)
		verified = verify_envelope(sub, m);
	if (sub->quiet)
		return;
	if (!sub->json) {
		term_text(stdout, m->session, ATR_SUBSCRIBER_SESSION);
		printf(" %llu%s seq=%llu ", (unsigned long long)m->number,
		       m->recovered ? " recovered" : "", (unsigned long long)m->sequence);
		explain_event(stdout, sub->plan, packet, m->payload, m->length);
		puts(verified < 0 ? "" : verified ? " signature=ok" : " signature=BAD");
		return;
	}
	o = explain_event_json(sub->plan, packet, m->payload, m->length);
	json_object_set_new(o, "session", explain_bytes_json(m->session, ATR_SUBSCRIBER_SESSION));
	json_object_set_new(o, "message", json_integer((json_int_t)m->number));
	json_object_set_new(o, "sequence", json_integer((json_int_t)m->sequence));
	if (m->recovered)
		json_object_set_new(o, "recovered", json_true());
	if (verified >= 0)
		json_object_set_new(o, "signature_ok", json_boolean(verified));
	explain_print_json(o);
}

static bool all_ended(const struct sub *sub)
{
	struct atr_subscriber_stats t;

	atr_subscriber_stats(sub->atr, &t, sizeof(t));
	return t.sessions > 0 && t.ended == t.sessions;
}

static int receive(struct sub *sub)
{
	uint64_t end = now_monotonic_ns() + sub->seconds.value * NS_PER_S;
	int n = 0;

	while (!interrupted && n >= 0 && !has_enough(sub) && !sub->foreign[0]) {
		if (sub->seconds.given && now_monotonic_ns() >= end)
			break;
		n = atr_subscriber_poll(sub->atr, POLL_MS);
		fflush(stdout);
		if (progress_due(&sub->line) && (sub->quiet || !isatty(STDOUT_FILENO)))
			progress_show(&sub->line, "received %llu events",
				      (unsigned long long)sub->events);
		if (sub->until_end && all_ended(sub))
			break;
	}
	return n < 0 ? failure("sub", "receiving failed: %s", strerror(-n)) : EXIT_OK;
}

static void summary_json(const struct sub *sub, const struct atr_subscriber_stats *t)
{
	const struct {
		const char *name;
		uint64_t value;
	} rows[] = {
		{"events", sub->events},
		{"gaps", t->gaps},
		{"recovered", t->recovered},
		{"lost", t->lost + t->missing},
		{"duplicates", t->duplicates},
		{"requests", t->requests},
		{"heartbeats", t->heartbeats},
		{"sessions", t->sessions},
		{"ended", t->ended},
		{"envelopes", sub->envelopes},
		{"envelopes_verified", sub->verified},
		{"envelopes_bad", sub->unverified},
		{"malformed", t->malformed},
	};
	json_t *o = json_object();

	json_object_set_new(o, "note", json_string("summary"));
	for (unsigned int i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		json_object_set_new(o, rows[i].name, json_integer((json_int_t)rows[i].value));
	explain_print_json(o);
}

static int summarise(const struct sub *sub)
{
	struct atr_subscriber_stats t;

	atr_subscriber_stats(sub->atr, &t, sizeof(t));
	if (sub->json)
		summary_json(sub, &t);
	else
		printf("sub: events=%llu gaps=%llu recovered=%llu lost=%llu duplicates=%llu "
		       "heartbeats=%llu sessions=%llu ended=%llu envelopes=%llu verified=%llu "
		       "bad=%llu malformed=%llu\n",
		       (unsigned long long)sub->events, (unsigned long long)t.gaps,
		       (unsigned long long)t.recovered, (unsigned long long)t.lost + t.missing,
		       (unsigned long long)t.duplicates, (unsigned long long)t.heartbeats,
		       (unsigned long long)t.sessions, (unsigned long long)t.ended,
		       (unsigned long long)sub->envelopes, (unsigned long long)sub->verified,
		       (unsigned long long)sub->unverified, (unsigned long long)t.malformed);
	return t.lost || t.missing || sub->unverified || t.malformed ? EXIT_NEGATIVE : EXIT_OK;
}

/* Sessions that the snapshot does not know are followed from where they are, and that is said. */
static uint64_t from_of(void *context, const char *session)
{
	struct sub *sub = context;
	uint64_t from;
	json_t *o;

	switch (snapshot_start_from(sub->start, session, &from)) {
	case SNAPSHOT_KNOWN: return from;
	case SNAPSHOT_FOREIGN: memcpy(sub->foreign, session, ATR_SUBSCRIBER_SESSION); return 0;
	case SNAPSHOT_UNKNOWN: break;
	}
	if (sub->json) {
		o = json_object();
		json_object_set_new(o, "note", json_string("not in the snapshot"));
		json_object_set_new(o, "session",
				    explain_bytes_json(session, ATR_SUBSCRIBER_SESSION));
		explain_print_json(o);
		return 0;
	}
	fputs("-- session ", stdout);
	term_text(stdout, session, ATR_SUBSCRIBER_SESSION);
	puts(": not in the snapshot, followed from where it is");
	return 0;
}

static int open_subscriber(struct sub *sub, char *error)
{
	const struct atr_subscriber_config config = {
		.size = sizeof(config),
		.bind = sub->bind,
		.group = sub->group,
		.interface = sub->interface,
		.request = sub->request,
		.session = sub->session,
		.feed = -1,
		.from = sub->from.value,
		.from_of = sub->start ? from_of : NULL,
		.gap_timeout_ms = (uint32_t)sub->gap_timeout.value,
		.message = on_message,
		.note = on_note,
		.context = sub,
	};

	sub->atr = atr_subscriber_open(&config, error, ERROR_SIZE);
	return sub->atr ? 0 : -EINVAL;
}

static int run(struct sub *sub)
{
	struct sigaction action = {.sa_handler = on_signal};
	char error[ERROR_SIZE];
	int status;

	if (!sub->bind)
		return usage_error("sub", "--bind IP:PORT is needed: where the feed arrives");
	if (sub->plan_path) {
		sub->plan = atr_plan_load_file(sub->plan_path, error, sizeof(error));
		if (!sub->plan)
			return usage_error("sub", "%s", error);
	}
	if (sub->snapshot_path && sub->from.given)
		return usage_error("sub", "--from-snapshot says where to begin: leave "
					  "--from-sequence out");
	if (sub->snapshot_path) {
		sub->start = snapshot_start_load(sub->snapshot_path, error);
		if (!sub->start ||
		    (sub->plan && snapshot_start_check(sub->start, sub->plan, error)))
			return usage_error("sub", "%s", error);
	}
	if (sub->start && !sub->request)
		warning("sub", "--from-snapshot without --request: what was published since the "
			       "snapshot cannot be asked for and counts as lost; give --request "
			       "the appliance's feed port");
	sub->parser = atr_json_parser_create();
	if (!sub->parser)
		return failure("sub", "out of memory");
	if (open_subscriber(sub, error))
		return usage_error("sub", "%s", error);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	if (sub->start)
		snapshot_start_print(sub->start, sub->json);
	progress_start(&sub->line, sub->progress);
	if (!sub->json) {
		puts("-- listening; signatures of frames are not on a feed and not verified here");
		fflush(stdout);
	}
	status = receive(sub);
	progress_end(&sub->line);
	if (sub->foreign[0])
		return failure("sub",
			       "session %s is of another log than the snapshot: give the snapshot "
			       "of the log that this appliance serves, or choose a --session",
			       sub->foreign);
	return status ? status : summarise(sub);
}

int cmd_sub(int argc, char **argv)
{
	struct sub sub = {0};
	const struct option table[] = {
		{"--bind", "IP:PORT", "address and port to receive on (0.0.0.0: any)",
		 OPTION_STRING, &sub.bind, 0, 0},
		{"--group", "IP", "multicast group to join", OPTION_STRING, &sub.group, 0, 0},
		{"--interface", "IP", "address of the interface to join it on", OPTION_STRING,
		 &sub.interface, 0, 0},
		{"--request", "IP:PORT",
		 "the appliance's feed port, which is asked for what is\n"
		 "missing; it answers to addresses that it sends the feed to",
		 OPTION_STRING, &sub.request, 0, 0},
		{"--from-sequence", "N",
		 "first message wanted of every session (1: all of it);\n"
		 "without --request, what came before is counted as lost",
		 OPTION_U64, &sub.from, 1, SEQUENCE_MAX},
		{"--from-snapshot", "PATH",
		 "a snapshot's file, or the log's directory (the newest of\n"
		 "each shard): print the state in it, then what came after",
		 OPTION_STRING, &sub.snapshot_path, 0, 0},
		{"--session", "NAME", "only this session (10 characters)", OPTION_STRING,
		 &sub.session, 0, 0},
		{"--gap-timeout", "MS",
		 "a gap without progress is lost (default 5000; 100\nwithout --request)",
		 OPTION_U64, &sub.gap_timeout, 1, GAP_TIMEOUT_MAX},
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
		{"--progress", NULL, "show progress also when stderr is no terminal", OPTION_FLAG,
		 &sub.progress, 0, 0},
		{NULL, NULL, NULL, OPTION_FLAG, NULL, 0, 0},
	};
	int status, err = options_parse(&usage, table, argc, argv);

	if (err)
		return err > 0 ? EXIT_OK : EXIT_USAGE;
	status = run(&sub);
	atr_subscriber_close(sub.atr);
	snapshot_start_free(sub.start);
	if (sub.parser)
		atr_json_parser_destroy(sub.parser);
	atr_plan_free(sub.plan);
	return status;
}
