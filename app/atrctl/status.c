/* SPDX-License-Identifier: BSD-3-Clause */
#include "command.h"
#include "event_line.h"
#include "explain.h"
#include "option.h"
#include "telemetry.h"

static const struct usage usage = {
	"status [--file-prefix NAME | --socket PATH] [--json]",
	"Prints what a running appliance is: version, plan in force, durability, lcores,\n"
	"shards and ports. Reads the DPDK telemetry socket; nothing is changed.",
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
	json_t *status;
	int err = options_parse(&usage, table, argc, argv);

	if (err)
		return err > 0 ? EXIT_OK : EXIT_USAGE;
	if (telemetry_open(&telemetry, &where, error)) {
		usage_error("status", "%s", error);
		return EXIT_NEGATIVE;
	}
	status = telemetry_ask(&telemetry, "/atr/status", error);
	telemetry_close(&telemetry);
	if (!status) {
		usage_error("status", "%s", error);
		return EXIT_NEGATIVE;
	}
	if (json) {
		explain_print_json(status);
		return EXIT_OK;
	}
	telemetry_render(stdout, status, 0);
	json_decref(status);
	return EXIT_OK;
}
