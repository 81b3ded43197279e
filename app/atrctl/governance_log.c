/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "../../lib/envelope/envelope.h"
#include "command.h"
#include "explain.h"
#include "governance.h"
#include "governance_history.h"
#include "option.h"
#include "plan_diff.h"
#include "term.h"

#define NAME      "governance log"
#define TIME_TEXT 32
#define UUID_TEXT 37

static const struct usage usage = {
	"governance log --log DIR [--json]",
	"Reads the log of every shard and prints every plan that was ever in force, oldest\n"
	"first: generation, version, digest, from which position of each shard on, when; who\n"
	"changed it and why; who approved; and what differs from the plan before, counted\n"
	"('governance show' and 'governance diff' have it in full). Approvals and changes that\n"
	"were refused are not in a log; the quarantine has them. Checks all that it reads,\n"
	"changes nothing, and may be run while the appliance writes.",
	"  atrctl governance log --log /var/lib/atr/log\n"
	"  atrctl governance log --log /var/lib/atr/log --json",
};

static const char *time_text(uint64_t ns, char out[TIME_TEXT])
{
	if (atr_time_format(ns, out) <= 0)
		snprintf(out, TIME_TEXT, "unknown");
	return out;
}

static void print_motion(const char *lead, const struct history_motion *m)
{
	char at[TIME_TEXT];

	printf("  %-11s%s, signed %s, shard %u position %" PRIu64, lead, m->source,
	       time_text(m->uuid_ms * NS_PER_MS, at), m->shard, m->leaf);
}

static void print_plan(const struct history *h, const struct history_plan *plan)
{
	const struct history_motion *change = history_change(h, plan), *approval;
	char hex[GOVERN_HEX], at[TIME_TEXT];
	size_t next = 0;

	atr_hex_encode(plan->digest, sizeof(plan->digest), hex);
	printf("generation %" PRIu64 ": %s version %u, digest %s\n", plan->generation, plan->name,
	       plan->version, hex);
	printf("  %-11s%s, behind", "in force", time_text(plan->committed_ns, at));
	for (uint32_t i = 0; i < plan->places; i++)
		printf("%s shard %u position %" PRIu64, i ? "," : "", plan->place[i].shard,
		       plan->place[i].leaf - 1);
	putchar('\n');
	if (!plan->summary) {
		printf("  %-11sthe log begins with it\n", "change");
		return;
	}
	if (change) {
		print_motion("change", change);
		printf("\n  %-11s", "why");
		term_text(stdout, change->why ? change->why : "",
			  change->why ? strlen(change->why) : 0);
		putchar('\n');
	} else {
		printf("  %-11snot in the log%s\n", "change",
		       h->pruned ? ": retention gave up such envelopes" : "");
	}
	while (change && (approval = history_approval(h, change, &next))) {
		print_motion("approved", approval);
		putchar('\n');
	}
	printf("  %-11s", "difference");
	plan_diff_print_summary(stdout, plan->summary);
	putchar('\n');
}

static json_t *motion_json(const struct history_motion *m)
{
	char uuid[UUID_TEXT], at[TIME_TEXT];
	json_t *o;

	atr_uuid_format(m->uuid, uuid);
	o = json_pack("{s:s, s:s, s:s, s:I, s:i, s:I}", "source", m->source, "id", uuid, "signed",
		      time_text(m->uuid_ms * NS_PER_MS, at), "received_ns", (json_int_t)m->rx_ns,
		      "shard", (int)m->shard, "position", (json_int_t)m->leaf);
	if (m->why)
		json_object_set_new(o, "why", explain_bytes_json(m->why, strlen(m->why)));
	return o;
}

static json_t *plan_json(const struct history *h, const struct history_plan *plan)
{
	const struct history_motion *change = history_change(h, plan), *approval;
	json_t *places = json_array(), *approvals = json_array();
	char hex[GOVERN_HEX];
	size_t next = 0;

	for (uint32_t i = 0; i < plan->places; i++)
		json_array_append_new(places,
				      json_pack("{s:i, s:I}", "shard", (int)plan->place[i].shard,
						"position", (json_int_t)plan->place[i].leaf));
	while (change && (approval = history_approval(h, change, &next)))
		json_array_append_new(approvals, motion_json(approval));
	atr_hex_encode(plan->digest, sizeof(plan->digest), hex);
	return json_pack("{s:I, s:s, s:I, s:s, s:I, s:I, s:o, s:o, s:o, s:O?}", "generation",
			 (json_int_t)plan->generation, "name", plan->name, "version",
			 (json_int_t)plan->version, "digest", hex, "document_bytes",
			 (json_int_t)plan->bytes, "committed_ns", (json_int_t)plan->committed_ns,
			 "in_force_from", places, "change",
			 change ? motion_json(change) : json_null(), "approvals", approvals,
			 "difference", plan->summary);
}

static void print(const struct history *h, bool json)
{
	json_t *plans = json ? json_array() : NULL;

	for (size_t i = 0; i < h->plans; i++) {
		if (json)
			json_array_append_new(plans, plan_json(h, &h->plan[i]));
		else
			print_plan(h, &h->plan[i]);
	}
	if (json)
		explain_print_json(json_pack("{s:i, s:o, s:I}", "shards", (int)h->shards, "plans",
					     plans, "envelopes_given_up", (json_int_t)h->pruned));
	else
		printf("%zu plans in the log of %u shards\n", h->plans, h->shards);
}

int governance_log(int argc, char **argv)
{
	struct history history = {0};
	const char *path = NULL;
	bool json = false;
	const struct option table[] = {
		{"--log", "DIR", "directory that holds shard-0", OPTION_STRING, &path, 0, 0},
		{"--json", NULL, "one JSON object", OPTION_FLAG, &json, 0, 0},
		{NULL, NULL, NULL, OPTION_FLAG, NULL, 0, 0},
	};
	int status = options_parse(&usage, table, argc, argv);
	struct progress progress;

	if (status)
		return status > 0 ? EXIT_OK : EXIT_USAGE;
	if (!path)
		return usage_error(NAME, "--log DIR is needed: the directory that holds shard-0");
	progress_start(&progress, false);
	status = history_read(&history, NAME, path, &progress);
	progress_end(&progress);
	if (status == 0)
		print(&history, json);
	history_free(&history);
	return status;
}
