/* SPDX-License-Identifier: BSD-3-Clause */
#include "pub.h"

#include <string.h>

#include "command.h"

static bool is_frames(const struct pub *pub)
{
	return strcmp(pub->options.as, "frames") == 0;
}

static uint64_t refused(const struct pub *pub)
{
	uint64_t n = 0;

	for (unsigned int r = 1; r < ATR_DUPLICATE; r++)
		n += pub->outcome[r];
	return n;
}

static void set(json_t *o, const char *name, uint64_t value)
{
	json_object_set_new(o, name, json_integer((json_int_t)value));
}

static json_t *outcomes_json(const struct pub *pub)
{
	json_t *o = json_object(), *reasons = json_object();

	set(o, "admitted", pub->outcome[ATR_OK]);
	set(o, "duplicate", pub->outcome[ATR_DUPLICATE]);
	set(o, "refused", refused(pub));
	set(o, "unanswered", pub->unanswered);
	set(o, "retransmissions", pub->retransmissions);
	set(o, "extra_replies", pub->extra_replies);
	set(o, "foreign_replies", pub->foreign_replies);
	for (unsigned int r = 1; r < ATR_DUPLICATE; r++)
		if (pub->outcome[r])
			set(reasons, atr_reason_name((uint8_t)r), pub->outcome[r]);
	json_object_set_new(o, "reasons", reasons);
	return o;
}

static bool all_acknowledged(const struct pub *pub)
{
	return !pub->options.no_acks && !pub->acks.unsettled && !pub->acks.refused;
}

static json_t *acks_json(const struct atr_producer_stats *s)
{
	json_t *o = json_object(), *reasons = json_object();

	set(o, "admitted", s->admitted);
	set(o, "duplicate", s->duplicate);
	set(o, "refused", s->refused);
	for (unsigned int r = 1; r < ATR_DUPLICATE; r++)
		if (s->refused_by_reason[r])
			set(reasons, atr_reason_name((uint8_t)r), s->refused_by_reason[r]);
	json_object_set_new(o, "reasons", reasons);
	set(o, "frames_settled", s->settled);
	set(o, "frames_unacknowledged", s->unsettled);
	set(o, "frames_recovered", s->recovered);
	set(o, "resent", s->resent);
	set(o, "refused_for_now", s->retries);
	set(o, "datagrams", s->acks);
	set(o, "datagrams_bad", s->acks_bad);
	return o;
}

static void report_json(const struct pub *pub, uint64_t ns)
{
	const struct output *out = &pub->output;
	json_t *o = json_object();

	json_object_set_new(o, "as", json_string(pub->options.as));
	set(o, "events", pub->events);
	set(o, "lines_unfit", pub->unfit);
	set(o, "lines_of_other_sources", pub->filtered);
	if (is_frames(pub)) {
		set(o, "frames", pub->frames);
		set(o, "trees", pub->trees);
		json_object_set_new(o, "acknowledged", json_boolean(all_acknowledged(pub)));
		if (!pub->options.no_acks)
			json_object_set_new(o, "acknowledgements", acks_json(&pub->acks));
	} else {
		set(o, "envelopes", pub->envelopes);
		if (!pub->options.output.save)
			json_object_set_new(o, "replies", outcomes_json(pub));
	}
	if (pub->durability)
		json_object_set_new(o, "durability", json_string(pub->durability));
	set(o, "datagrams_sent", out->sent);
	set(o, "datagrams_lost_on_purpose", out->lost);
	set(o, "datagrams_failed", out->failed);
	set(o, "bytes_sent", out->bytes);
	set(o, "nanoseconds", ns);
	json_dumpf(o, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(o);
}

static void line(const char *what, uint64_t value, const char *unit)
{
	char grouped[32];

	printf("  %-22s%14s %s\n", what, term_grouped(value, grouped), unit);
}

static void report_replies(const struct pub *pub)
{
	char admitted[64];

	snprintf(admitted, sizeof(admitted), "envelopes (durability %s)",
		 pub->durability ? pub->durability : "not told");
	line("admitted", pub->outcome[ATR_OK], admitted);
	line("duplicate", pub->outcome[ATR_DUPLICATE], "envelopes");
	line("refused", refused(pub), "envelopes");
	for (unsigned int r = 1; r < ATR_DUPLICATE; r++)
		if (pub->outcome[r])
			printf("    %-20s%14llu  %s\n", atr_reason_name((uint8_t)r),
			       (unsigned long long)pub->outcome[r], atr_reason_text((uint8_t)r));
	line("unanswered", pub->unanswered, "envelopes");
	line("sent again", pub->retransmissions, "times");
	if (pub->extra_replies)
		line("further replies", pub->extra_replies, "to envelopes already answered");
	if (pub->foreign_replies)
		line("other datagrams", pub->foreign_replies, "that were no replies");
}

static void report_acks(const struct atr_producer_stats *s)
{
	line("acknowledged", s->admitted + s->duplicate, "events, durable");
	if (s->duplicate)
		line("  admitted before", s->duplicate, "events");
	line("refused", s->refused, "events");
	for (unsigned int r = 1; r < ATR_DUPLICATE; r++)
		if (s->refused_by_reason[r])
			printf("    %-20s%14llu  %s\n", atr_reason_name((uint8_t)r),
			       (unsigned long long)s->refused_by_reason[r],
			       atr_reason_text((uint8_t)r));
	line("sent again", s->resent, "frames");
	if (s->recovered)
		line("of earlier runs", s->recovered, "frames were in the outbox");
	line("unacknowledged", s->unsettled, "frames, kept in the outbox");
	if (s->acks_bad)
		line("other datagrams", s->acks_bad,
		     "that were no acknowledgements under --acks-key");
}

static void report_text(const struct pub *pub, uint64_t ns)
{
	const struct output *out = &pub->output;
	char rate[32], events_rate[32];
	double seconds = (double)(ns ? ns : 1) / (double)NS_PER_S;

	printf("published as %s%s%s\n", pub->options.as, pub->options.output.save ? " into " : "",
	       pub->options.output.save ? pub->options.output.save : "");
	line("events", pub->events, "events");
	if (pub->unfit)
		line("lines that do not fit", pub->unfit, "lines, not published");
	if (pub->filtered)
		line("other sources", pub->filtered, "lines, not published");
	if (is_frames(pub)) {
		line("frames", pub->frames, "frames");
		line("trees", pub->trees, "trees, one signature each");
	}
	line("sent", out->sent, "datagrams");
	line("sent bytes", out->bytes, "bytes of UDP payload");
	if (out->lost)
		line("lost on purpose", out->lost, "datagrams");
	if (out->failed)
		line("failed", out->failed, out->error);
	printf("  %-22s%14.3f s: %sdatagrams/s, %sevents/s\n", "time", seconds,
	       term_si((double)out->sent / seconds, rate),
	       term_si((double)pub->events / seconds, events_rate));
	if (pub->options.output.save)
		return;
	if (is_frames(pub) && pub->options.no_acks)
		puts("  Nothing was acknowledged (--no-acks): what was admitted is what 'atrctl "
		     "stats'\n  and the feeds show.");
	else if (is_frames(pub))
		report_acks(&pub->acks);
	else
		report_replies(pub);
}

int pub_report(struct pub *pub)
{
	const struct output *out = &pub->output;
	uint64_t ns = out->ended_ns > out->started_ns ? out->ended_ns - out->started_ns : 0;

	if (pub->options.json)
		report_json(pub, ns);
	else
		report_text(pub, ns);
	if (is_frames(pub) && !pub->options.no_acks && !all_acknowledged(pub))
		return EXIT_NEGATIVE;
	if (pub->unfit || out->failed || pub->unanswered || refused(pub))
		return EXIT_NEGATIVE;
	return EXIT_OK;
}
