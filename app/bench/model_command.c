/* SPDX-License-Identifier: BSD-3-Clause */
/* atr-bench model. */
#include "bench_model.h"
#include "source.h"

#define EXIT_USAGE 2
#define FORMAT     (JSON_INDENT(1) | JSON_REAL_PRECISION(9))

static const char help[] =
	"usage: atr-bench model [options] [-- EAL options]\n\n"
	"The terms of the three-tier model as measured, R(N) predicted from them beside R(N)\n"
	"measured, scenarios A, B and C, and Amdahl's share and speed.\n\n"
	"  --json[=FILE]   as JSON, to standard output or FILE\n"
	"  -o FILE         to FILE instead of standard output\n";

int model_main(int argc, char **argv)
{
	static const struct source_bench needed[] = {
		{"tier1", 0},  {"bridge", 0}, {"tier3", 1},   {"tier3", 4},
		{"tier3", 16}, {"tier3", 64}, {"tier3", 256}, {"tier3", 1024},
	};
	struct source source;
	struct figures *figures;
	struct model model;
	char error[256];
	json_t *json;
	int rc = source_options(&source, argc, argv, help);
	bool failed = false;
	FILE *out;

	if (rc != 0)
		return rc > 0 ? 0 : EXIT_USAGE;
	figures = source_figures(&source, needed, sizeof(needed) / sizeof(needed[0]));
	if (!figures)
		return 1;
	rc = 1;
	if (model_make(&model, figures, error, sizeof(error)) < 0)
		fprintf(stderr, "atr-bench: %s\n", error);
	else if ((out = source_open(&source))) {
		if (source.json) {
			json = model_json(&model);
			failed = !json || json_dumpf(json, out, FORMAT) < 0;
			if (failed)
				fprintf(stderr, "atr-bench: the model cannot be written as JSON; "
						"measure again with atr-bench all\n");
			fputc('\n', out);
			json_decref(json);
		} else {
			model_print(&model, out);
		}
		rc = source_close(&source, out) || failed;
	}
	figures_free(figures);
	return rc;
}
