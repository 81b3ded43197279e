/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "../../lib/envelope/envelope.h"
#include "command.h"
#include "event_line.h"
#include "explain.h"
#include "governance.h"
#include "log_walk.h"
#include "option.h"
#include "rehearsal.h"

#define NAME      "governance rehearse"
#define UUID_TEXT 37

static const struct usage usage = {
	"governance rehearse --plan NEW --log DIR [--last N] [--json]",
	"Holds a plan that is not in force against the events of a log, and says which of them\n"
	"it would have judged or routed otherwise than the plan that was in force then: how\n"
	"many by reason and by feed, and the first of each kind with its identity\n"
	"('atrctl trace' tells its story). Judged as of the time of reception: schema, keys\n"
	"(unknown, revoked, not valid then), rules, levels, feeds. Not judged: limits (rates),\n"
	"identity, load; nor can a log tell what was refused as a whole: hold NEW against the\n"
	"quarantine's captures with 'atrctl inspect'.\n"
	"\n"
	"Reads all shards, changes nothing, and may be run while the appliance writes. With\n"
	"--last N only the last N events of each shard are judged, in whole records. Also said:\n"
	"whether NEW could take the place of the log's newest plan. Exit status 0 if it was\n"
	"rehearsed, whatever differs.",
	"  atrctl governance rehearse --plan plan-5.json --log /var/lib/atr/log\n"
	"  atrctl governance rehearse --plan plan-5.json --log LOG --last 1000000 --json",
};

struct rehearse {
	struct log_walk walk;
	struct rehearsal rehearsal;
	struct atr_plan *new;
	struct option_u64 last;
	uint64_t skip, seen;      /* events of this shard: not judged, so far */
	uint64_t unplanned;       /* records before the first plan */
	uint64_t given_up;        /* records whose bytes retention has taken */
	char why_not[ERROR_SIZE]; /* the new plan could not follow */
};

static int see_entry(struct log_walk *walk, const struct atr_record_hdr *record,
		     const uint8_t *body, const uint8_t *decisions)
{
	struct rehearse *run = walk->ctx;

	run->seen += record->events;
	if (run->seen <= run->skip)
		return 0;
	if (!body)
		run->given_up++;
	else if (!walk->track.plan)
		run->unplanned++;
	else
		rehearsal_record(&run->rehearsal, walk->track.plan, walk->shard, record, body,
				 decisions);
	if (progress_due(walk->progress))
		progress_show(walk->progress,
			      "shard %u: %" PRIu64 " events held against the plan, %" PRIu64
			      " judged otherwise, %" PRIu64 " routed otherwise",
			      walk->shard, run->rehearsal.events, run->rehearsal.otherwise,
			      run->rehearsal.rerouted);
	return 0;
}

static int see_plan(struct log_walk *walk)
{
	struct rehearse *run = walk->ctx;

	rehearsal_forget(&run->rehearsal);
	return 0;
}

/* Counts a shard's events, so that the second pass knows where the last ones begin. */
static int count_shard(struct rehearse *run, uint32_t shard, uint64_t *events)
{
	struct log_walk count = {
		.command = NAME, .path = run->walk.path, .progress = run->walk.progress};
	int status = log_walk_shard(&count, shard);

	*events = count.events;
	plan_track_free(&count.track);
	return status;
}

static int rehearse_shard(struct rehearse *run, uint32_t shard)
{
	uint64_t events = 0;
	int status = 0;

	run->skip = run->seen = 0;
	if (run->last.given)
		status = count_shard(run, shard, &events);
	if (status)
		return status;
	if (run->last.given && events > run->last.value)
		run->skip = events - run->last.value;
	rehearsal_forget(&run->rehearsal);
	status = log_walk_shard(&run->walk, shard);
	if (status == 0 && shard == 0 && run->walk.track.plan &&
	    !govern_may_follow(run->walk.track.plan, run->new, run->why_not))
		run->why_not[0] = '\0';
	return status;
}

static void identity(const struct rehearsal_kind *kind, char *out, size_t size)
{
	char uuid[UUID_TEXT];

	if (kind->by_uuid) {
		atr_uuid_format(kind->uuid, uuid);
		snprintf(out, size, "%s:%s", kind->source, uuid);
	} else {
		snprintf(out, size, "%s:%" PRIu64, kind->source, kind->sequence);
	}
}

static const char *feed_name(const struct rehearse *run, const struct rehearsal_kind *kind)
{
	const struct atr_plan *plans[] = {run->new, run->walk.track.plan};

	for (unsigned int i = 0; i < sizeof(plans) / sizeof(plans[0]); i++)
		if (plans[i] && (uint32_t)kind->feed < plans[i]->feed_slots &&
		    plans[i]->feeds[kind->feed].present)
			return plans[i]->feeds[kind->feed].name;
	return "";
}

static void print_kind(const struct rehearse *run, const struct rehearsal_kind *kind)
{
	char who[ATR_NAME_MAX + UUID_TEXT + 2], count[32];

	identity(kind, who, sizeof(who));
	printf("%14s  ", term_grouped(kind->count, count));
	if (kind->feed == REHEARSAL_NOFEED)
		printf("%s -> %s", kind->was == ATR_OK ? "admitted" : atr_reason_name(kind->was),
		       kind->now == ATR_OK ? "admitted" : atr_reason_name(kind->now));
	else
		printf("%s feed %d '%s'", kind->gained ? "also to" : "no more to", kind->feed,
		       feed_name(run, kind));
	printf("; first %s (shard %u, position %" PRIu64 ", event %u)\n", who, kind->shard,
	       kind->leaf, kind->event);
}

static void print_kinds(const struct rehearse *run, const char *title, uint64_t events, bool feeds)
{
	const struct rehearsal *r = &run->rehearsal;
	char count[32];

	printf("%s: %s events\n", title, term_grouped(events, count));
	for (unsigned int i = 0; i < r->kinds; i++)
		if ((r->kind[i].feed != REHEARSAL_NOFEED) == feeds)
			print_kind(run, &r->kind[i]);
}

static void print_text(const struct rehearse *run)
{
	const struct rehearsal *r = &run->rehearsal;
	char count[32];

	govern_print_plan("rehearsed", run->new);
	printf("%-13s%s events of %u shards%s\n", "held against", term_grouped(r->events, count),
	       run->walk.shards, run->last.given ? ", the last of each" : "");
	print_kinds(run, "judged otherwise", r->otherwise, false);
	print_kinds(run, "routed otherwise", r->rerouted, true);
	if (r->unnamed)
		printf("%" PRIu64 " differences more, of kinds not listed\n", r->unnamed);
	if (r->passed_over)
		printf("passed over: %" PRIu64
		       " events that were not admitted for a reason that no "
		       "plan knows (duplicate, rate, load)\n",
		       r->passed_over);
	if (run->given_up)
		printf("not there: %" PRIu64 " records that retention gave up\n", run->given_up);
	if (r->unreadable + run->unplanned)
		printf("unreadable: %" PRIu64
		       " events or records that contradict the plan of their "
		       "time\n",
		       r->unreadable + run->unplanned);
	puts("not judged: limits (rates), identity, load; what was refused as a whole is in no "
	     "log");
	printf("%s%s\n",
	       run->why_not[0] ? "could not follow the log's newest plan: "
			       : "could follow the log's newest plan",
	       run->why_not);
}

static json_t *kind_json(const struct rehearse *run, const struct rehearsal_kind *kind)
{
	char who[ATR_NAME_MAX + UUID_TEXT + 2];
	json_t *o;

	identity(kind, who, sizeof(who));
	o = json_pack("{s:I, s:s, s:i, s:I, s:i}", "count", (json_int_t)kind->count, "first", who,
		      "shard", (int)kind->shard, "position", (json_int_t)kind->leaf, "event",
		      (int)kind->event);
	if (kind->feed == REHEARSAL_NOFEED) {
		json_object_set_new(
			o, "was",
			json_string(kind->was == ATR_OK ? "admitted" : atr_reason_name(kind->was)));
		json_object_set_new(
			o, "would_be",
			json_string(kind->now == ATR_OK ? "admitted" : atr_reason_name(kind->now)));
	} else {
		json_object_set_new(o, "feed", json_string(feed_name(run, kind)));
		json_object_set_new(o, "change", json_string(kind->gained ? "also" : "no more"));
	}
	return o;
}

static void print_json(const struct rehearse *run)
{
	const struct rehearsal *r = &run->rehearsal;
	json_t *judged = json_array(), *routed = json_array();
	uint64_t unreadable = r->unreadable + run->unplanned;

	for (unsigned int i = 0; i < r->kinds; i++)
		json_array_append_new(r->kind[i].feed == REHEARSAL_NOFEED ? judged : routed,
				      kind_json(run, &r->kind[i]));
	explain_print_json(json_pack(
		"{s:o, s:i, s:I, s:I, s:o, s:I, s:o, s:I, s:I, s:I, s:I, s:[sss], s:b, s:s*}",
		"plan", govern_plan_json(run->new), "shards", (int)run->walk.shards, "events",
		(json_int_t)r->events, "judged_otherwise", (json_int_t)r->otherwise, "verdicts",
		judged, "routed_otherwise", (json_int_t)r->rerouted, "routes", routed,
		"differences_unlisted", (json_int_t)r->unnamed, "passed_over",
		(json_int_t)r->passed_over, "given_up", (json_int_t)run->given_up, "unreadable",
		(json_int_t)unreadable, "not_judged", "limits", "identity", "load", "may_follow",
		run->why_not[0] == '\0', "why_not", run->why_not[0] ? run->why_not : NULL));
}

static int rehearse(struct rehearse *run)
{
	int status = 0;

	if (rehearsal_open(&run->rehearsal, run->new))
		return failure(NAME, "out of memory");
	snprintf(run->why_not, sizeof(run->why_not), "shard 0 of the log has no plan");
	run->walk.shards = 1;
	for (uint32_t i = 0; i < run->walk.shards && status == 0; i++)
		status = rehearse_shard(run, i);
	return status;
}

int governance_rehearse(int argc, char **argv)
{
	struct rehearse *run = calloc(1, sizeof(*run));
	const char *plan = NULL, *none = NULL;
	struct option_u64 no = {0};
	bool json = false;
	const struct option table[] = {
		{"--plan", "NEW", "the plan to rehearse", OPTION_STRING, &plan, 0, 0},
		{"--log", "DIR", "directory that holds shard-0", OPTION_STRING,
		 run ? &run->walk.path : &none, 0, 0},
		{"--last", "N", "only the last N events of each shard", OPTION_U64,
		 run ? &run->last : &no, 1, UINT64_MAX},
		{"--json", NULL, "one JSON object", OPTION_FLAG, &json, 0, 0},
		{NULL, NULL, NULL, OPTION_FLAG, NULL, 0, 0},
	};
	char error[ERROR_SIZE];
	struct progress progress;
	int status;

	if (!run)
		return failure(NAME, "out of memory");
	status = options_parse(&usage, table, argc, argv);
	if (status) {
		free(run);
		return status > 0 ? EXIT_OK : EXIT_USAGE;
	}
	progress_start(&progress, false);
	run->walk = (struct log_walk){.command = NAME,
				      .path = run->walk.path,
				      .entry = see_entry,
				      .plan = see_plan,
				      .ctx = run,
				      .progress = &progress};
	if (plan && run->walk.path)
		run->new = atr_plan_load_file(plan, error, sizeof(error));
	if (!plan || !run->walk.path)
		status = usage_error(NAME, "--plan NEW and --log DIR are needed");
	else
		status = run->new ? rehearse(run) : usage_error(NAME, "%s", error);
	progress_end(&progress);
	if (status == 0 && json)
		print_json(run);
	else if (status == 0)
		print_text(run);
	rehearsal_close(&run->rehearsal);
	plan_track_free(&run->walk.track);
	atr_plan_free(run->new);
	free(run);
	return status;
}
