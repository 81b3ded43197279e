/* SPDX-License-Identifier: BSD-3-Clause */
#include "command.h"
#include "event_line.h"
#include "explain.h"
#include "option.h"
#include "telemetry.h"

static const struct usage usage = {
	"status [--file-prefix NAME | --socket PATH] [--json]",
	"Prints what a running appliance is: version, plan in force, durability, keys, lcores,\n"
	"shards and ports; for each shard its state of load and why (docs/overload.md), and how\n"
	"its log does. Reads the DPDK telemetry socket; nothing is changed.",
	"  atrctl status\n"
	"  atrctl status --file-prefix atr-demo --json",
};

int cmd_status(int argc, char **argv)
{
	struct telemetry_options where = {0};
	bool json = false;
	const struct option table[] = {
		TELEMETRY_OPTIONS(where),
		{"--json", NULL, "as one JSON object", OPTION_FLAG, &json, 0, 0},
		{NULL, NULL, NULL, OPTION_FLAG, NULL, 0, 0},
	};
	struct telemetry telemetry;
	char error[ERROR_SIZE];
	json_t *status, *logs = NULL, *loads = NULL;
	int err = options_parse(&usage, table, argc, argv);

	if (err)
		return err > 0 ? EXIT_OK : EXIT_USAGE;
	if (telemetry_open(&telemetry, &where, error)) {
		usage_error("status", "%s", error);
		return EXIT_NEGATIVE;
	}
	status = telemetry_ask(&telemetry, "/atr/status", error);
	if (status)
		loads = telemetry_ask_pages(&telemetry, "/atr/overload", error);
	if (loads)
		logs = telemetry_ask_pages(&telemetry, "/atr/log", error);
	telemetry_close(&telemetry);
	if (!logs) {
		json_decref(loads);
		json_decref(status);
		usage_error("status", "%s", error);
		return EXIT_NEGATIVE;
	}
	if (json) {
		json_object_set_new(status, "load", loads);
		json_object_set_new(status, "log", logs);
		explain_print_json(status);
		return EXIT_OK;
	}
	telemetry_render(stdout, status, 0);
	telemetry_render_load(stdout, loads);
	telemetry_render_log(stdout, logs);
	json_decref(loads);
	json_decref(logs);
	json_decref(status);
	return EXIT_OK;
}
