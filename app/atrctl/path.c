/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "command.h"
#include "event_line.h"
#include "explain.h"
#include "option.h"
#include "telemetry.h"
#include "term.h"

static const struct usage usage = {
	"path [--file-prefix NAME | --socket PATH] [--json]",
	"Draws the path of a packet through a running appliance, from the table of stages\n"
	"that drives it. Without an appliance there is nothing to draw: start one\n"
	"('atr ... -- --pipeline FILE'), or see docs/path.md.",
	"  atrctl path\n"
	"  atrctl path --file-prefix atr-demo",
};

/* A stage is a string, or an object with name and description. */
static void print_stage(json_t *stage)
{
	json_t *name = json_is_object(stage) ? json_object_get(stage, "name") : stage;
	json_t *about = json_object_get(stage, "description");
	size_t length = json_string_length(name);

	fputs("   [ ", stdout);
	term_text(stdout, json_is_string(name) ? json_string_value(name) : "?",
		  json_is_string(name) ? length : 1);
	printf("%*s ]", length < 14 ? 14 - (int)length : 0, "");
	if (json_is_string(about)) {
		fputs("  ", stdout);
		term_text(stdout, json_string_value(about), json_string_length(about));
	}
	putchar('\n');
}

static void draw(json_t *stages)
{
	const char *name;
	json_t *stage;
	size_t i;

	puts("   wire in");
	if (json_is_object(stages)) {
		json_object_foreach(stages, name, stage)
		{
			json_t *row = json_pack("{s:s,s:O}", "name", name, "description", stage);

			puts("      |\n      v");
			print_stage(row);
			json_decref(row);
		}
	}
	json_array_foreach(stages, i, stage)
	{
		puts("      |\n      v");
		print_stage(stage);
	}
	puts("      |\n      v\n   feeds out");
}

int cmd_path(int argc, char **argv)
{
	struct telemetry_options where = {0};
	bool json = false;
	const struct option table[] = {
		TELEMETRY_OPTIONS(where),
		{"--json", NULL, "as JSON", OPTION_FLAG, &json, 0, 0},
		{NULL, NULL, NULL, OPTION_FLAG, NULL, 0, 0},
	};
	struct telemetry telemetry;
	char error[ERROR_SIZE];
	json_t *stages = NULL;
	int err = options_parse(&usage, table, argc, argv);

	if (err)
		return err > 0 ? EXIT_OK : EXIT_USAGE;
	if (telemetry_open(&telemetry, &where, error) == 0)
		stages = telemetry_ask(&telemetry, "/atr/path", error);
	telemetry_close(&telemetry);
	if (!stages) {
		usage_error("path", "%s", error);
		fputs("The path is drawn from a running appliance: start it with\n"
		      "  atr [EAL options] -- --pipeline FILE\n"
		      "and run 'atrctl path' again.\n",
		      stderr);
		return EXIT_NEGATIVE;
	}
	if (json) {
		explain_print_json(stages);
		return EXIT_OK;
	}
	draw(stages);
	json_decref(stages);
	return EXIT_OK;
}
