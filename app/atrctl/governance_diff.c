/* SPDX-License-Identifier: BSD-3-Clause */
#include "command.h"
#include "event_line.h"
#include "explain.h"
#include "governance.h"
#include "option.h"
#include "plan_diff.h"

static const struct usage usage = {
	"governance diff OLD NEW [--json]",
	"Prints what differs between two plans, by name: sources, keys, types, topics, rules,\n"
	"feeds, limits (rates), governance; + added, - removed, ~ changed. Rules are known by\n"
	"their names, all else by ids. Then whether NEW could take the place of OLD in flight:\n"
	"exit status 1 if not.",
	"  atrctl governance diff plan.json plan-5.json\n"
	"  atrctl governance diff plan.json plan-5.json --json",
};

static int print(const struct atr_plan *old, const struct atr_plan *new, bool json)
{
	char error[ERROR_SIZE] = "";
	json_t *changes = govern_diff(old, new), *summary;
	int err = govern_may_follow(old, new, error);

	if (!changes)
		return failure("governance diff", "out of memory");
	summary = plan_diff_summary(changes);
	if (json) {
		explain_print_json(json_pack("{s:o, s:o, s:O, s:O, s:b, s:s*}", "old",
					     govern_plan_json(old), "new", govern_plan_json(new),
					     "summary", summary, "changes", changes, "may_follow",
					     err == 0, "why_not", err ? error : NULL));
	} else {
		govern_print_plan("old", old);
		govern_print_plan("new", new);
		plan_diff_print(stdout, changes);
		plan_diff_print_summary(stdout, summary);
		putchar('\n');
	}
	json_decref(changes);
	json_decref(summary);
	if (err)
		return failure("governance diff", "not in flight: %s", error);
	return EXIT_OK;
}

int governance_diff(int argc, char **argv)
{
	const char *old_path = NULL, *new_path = NULL;
	struct atr_plan *old = NULL, *new = NULL;
	bool json = false;
	const struct option table[] = {
		{"--json", NULL, "one JSON object", OPTION_FLAG, &json, 0, 0},
		{"", "OLD", "a plan", OPTION_STRING, &old_path, 0, 0},
		{"", "NEW", "another plan", OPTION_STRING, &new_path, 0, 0},
		{NULL, NULL, NULL, OPTION_FLAG, NULL, 0, 0},
	};
	char error[ERROR_SIZE];
	int err = options_parse(&usage, table, argc, argv);

	if (err)
		return err > 0 ? EXIT_OK : EXIT_USAGE;
	if (!new_path)
		return usage_error("governance diff", "name two plans: OLD and NEW");
	old = atr_plan_load_file(old_path, error, sizeof(error));
	new = old ? atr_plan_load_file(new_path, error, sizeof(error)) : NULL;
	err = new ? print(old, new, json) : usage_error("governance diff", "%s", error);
	atr_plan_free(old);
	atr_plan_free(new);
	return err;
}
