/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>
#include <string.h>

#include "../../lib/plan/plan.h"
#include "../../lib/reason/reason.h"
#include "command.h"
#include "event_line.h"
#include "explain.h"
#include "option.h"
#include "telemetry.h"
#include "term.h"

static const struct usage usage = {
	"stats [--feeds] [--sources] [--file-prefix NAME | --socket PATH] [--json]",
	"Prints a running appliance's two ledgers, of datagrams and of events\n"
	"  received = admitted + refused + duplicate + in flight\n"
	"and checks that they balance; then what was refused by reason, how each shard's log\n"
	"does, and what each stage of the packet path cost. --feeds lists feeds by class of\n"
	"durability. Exit status 1 if a ledger does not balance.",
	"  atrctl stats\n"
	"  atrctl stats --feeds --sources\n"
	"  atrctl stats --json | jq .ledger.events",
};

struct stats {
	struct telemetry_options where;
	bool json, feeds, sources;
	json_t *all;
};

static uint64_t sum(json_t *value)
{
	uint64_t total = 0;
	const char *name;
	json_t *part;

	if (json_is_integer(value))
		return (uint64_t)json_integer_value(value);
	json_object_foreach(value, name, part) total += sum(part);
	return total;
}

/* A ledger that lacks a member is none that balances. */
static bool balances(json_t *ledger)
{
	static const char *const parts[] = {"admitted", "refused", "duplicate", "in_flight"};
	uint64_t total = 0;

	if (!json_is_integer(json_object_get(ledger, "received")))
		return false;
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		json_t *part = json_object_get(ledger, parts[i]);

		if (!part)
			return false;
		total += sum(part);
	}
	return total == sum(json_object_get(ledger, "received"));
}

static void print_ledger(const char *what, json_t *ledger)
{
	json_t *value, *part;
	const char *name, *place;
	char number[32];

	printf("%s\n", what);
	json_object_foreach(ledger, name, value)
	{
		fputs("  ", stdout);
		term_text(stdout, name, strlen(name));
		printf("%*s%18s\n", strlen(name) < 20 ? 20 - (int)strlen(name) : 1, "",
		       term_grouped(sum(value), number));
		json_object_foreach(value, place, part)
		{
			fputs("    ", stdout);
			term_text(stdout, place, strlen(place));
			printf("%*s%18s\n", strlen(place) < 18 ? 18 - (int)strlen(place) : 1, "",
			       term_grouped(sum(part), number));
		}
	}
	printf("  %s\n", balances(ledger)
				 ? "balances: received = admitted + refused + duplicate + in flight"
				 : "DOES NOT BALANCE: received differs from admitted + refused + "
				   "duplicate + in flight");
}

static void print_reasons(json_t *reasons)
{
	const char *name;
	json_t *counts;
	char number[32];

	puts("refused by reason");
	if (json_object_size(reasons) == 0)
		puts("  nothing was refused");
	json_object_foreach(reasons, name, counts)
	{
		uint8_t reason = atr_reason_by_name(name);

		fputs("  ", stdout);
		term_text(stdout, name, strlen(name));
		printf("%*s", strlen(name) < 24 ? 24 - (int)strlen(name) : 1, "");
		printf("%-10s", reason ? atr_gate_name(atr_reason_gate(reason)) : "?");
		printf("%14s datagrams",
		       term_grouped(sum(json_object_get(counts, "datagrams")), number));
		printf("%14s events  %s\n",
		       term_grouped(sum(json_object_get(counts, "events")), number),
		       reason ? atr_reason_text(reason) : "");
	}
}

static int collect(struct stats *s, char *error)
{
	struct telemetry telemetry;
	const struct {
		const char *name, *command;
		bool wanted, paged;
	} parts[] = {
		{"ledger", "/atr/ledger", true, false},
		{"reasons", "/atr/reasons", true, true},
		{"log", "/atr/log", true, true},
		{"stages", "/atr/stages", true, false},
		{"feeds", "/atr/feeds", s->feeds, true},
		{"sources", "/atr/sources", s->sources, true},
	};
	int err = telemetry_open(&telemetry, &s->where, error);

	for (size_t i = 0; !err && i < sizeof(parts) / sizeof(parts[0]); i++) {
		json_t *part;

		if (!parts[i].wanted)
			continue;
		part = parts[i].paged ? telemetry_ask_pages(&telemetry, parts[i].command, error)
				      : telemetry_ask(&telemetry, parts[i].command, error);
		if (part)
			json_object_set_new(s->all, parts[i].name, part);
		else
			err = -1;
	}
	telemetry_close(&telemetry);
	return err;
}

static void print_feeds_of(json_t *feeds, const char *class)
{
	json_t *some = json_object(), *feed;
	const char *name;

	json_object_foreach(feeds, name, feed)
	{
		const char *durability = json_string_value(json_object_get(feed, "durability"));

		if (durability && strcmp(durability, class) == 0)
			json_object_set(some, name, feed);
	}
	if (json_object_size(some) > 0) {
		printf("feeds, durability %s\n", class);
		telemetry_render(stdout, some, 2);
	}
	json_decref(some);
}

static void print_feeds(json_t *feeds)
{
	for (int d = ATR_DURABILITY_COMMIT; d >= ATR_DURABILITY_NONE; d--)
		print_feeds_of(feeds, atr_durability_name((enum atr_durability)d));
}

static void print(const struct stats *s, json_t *ledger)
{
	static const char *const generic[] = {"stages", "sources"};
	json_t *link = json_object_get(ledger, "link");

	print_ledger("datagrams", json_object_get(ledger, "datagrams"));
	print_ledger("events", json_object_get(ledger, "events"));
	if (link) {
		puts("link");
		telemetry_render(stdout, link, 2);
	}
	print_reasons(json_object_get(s->all, "reasons"));
	telemetry_render_log(stdout, json_object_get(s->all, "log"));
	print_feeds(json_object_get(s->all, "feeds"));
	for (size_t i = 0; i < sizeof(generic) / sizeof(generic[0]); i++) {
		json_t *part = json_object_get(s->all, generic[i]);

		if (!part)
			continue;
		puts(generic[i]);
		telemetry_render(stdout, part, 2);
	}
}

int cmd_stats(int argc, char **argv)
{
	struct stats s = {0};
	const struct option table[] = {
		{"--feeds", NULL, "each feed, too", OPTION_FLAG, &s.feeds, 0, 0},
		{"--sources", NULL, "each source, too", OPTION_FLAG, &s.sources, 0, 0},
		TELEMETRY_OPTIONS(s.where),
		{"--json", NULL, "as one JSON object", OPTION_FLAG, &s.json, 0, 0},
		{NULL, NULL, NULL, OPTION_FLAG, NULL, 0, 0},
	};
	char error[ERROR_SIZE];
	json_t *ledger;
	bool balanced;
	int err = options_parse(&usage, table, argc, argv);

	if (err)
		return err > 0 ? EXIT_OK : EXIT_USAGE;
	s.all = json_object();
	if (collect(&s, error)) {
		usage_error("stats", "%s", error);
		json_decref(s.all);
		return EXIT_NEGATIVE;
	}
	ledger = json_object_get(s.all, "ledger");
	balanced = balances(json_object_get(ledger, "datagrams")) &&
		   balances(json_object_get(ledger, "events"));
	if (s.json) {
		json_object_set_new(s.all, "balanced", json_boolean(balanced));
		explain_print_json(s.all);
	} else {
		print(&s, ledger);
		json_decref(s.all);
	}
	return balanced ? EXIT_OK : EXIT_NEGATIVE;
}
