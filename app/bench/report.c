/* SPDX-License-Identifier: BSD-3-Clause */
#include "report.h"

#include "source.h"
#include "svg.h"

#define EXIT_USAGE 2

static void head(const struct figures *figures, FILE *out)
{
	fputs("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
	      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
	      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
	      "style-src 'unsafe-inline'; img-src data:\">\n"
	      "<link rel=\"icon\" href=\"data:,\">\n<title>ATR, measured</title>\n<style>\n",
	      out);
	fputs(report_style, out);
	fputs("</style></head>\n<body><main>\n<h1>ATR, measured</h1>\n<p class=\"soft\">Begun ",
	      out);
	svg_escape(out, figures->began);
	fputs(". Medians, with the lowest and the highest of so many runs; each with its scope: "
	      "tier3-ceiling is data lcores from ring to ring with durability none, class-d the "
	      "same with every message written and synced before it is published, tier1 the "
	      "control lcore, bridge the rings between the two, reference what bounds them.</p>\n",
	      out);
}

void report_write(const struct figures *figures, FILE *out)
{
	head(figures, out);
	report_tiles(figures, out);
	report_model(figures, out);
	report_stages(figures, out);
	report_ratios(figures, out);
	report_latency(figures, out);
	report_growth(figures, out);
	report_results(figures, out);
	report_facts("Machine", figures->machine, out);
	report_facts("Build", figures->build, out);
	fputs("</main></body></html>\n", out);
}

static const char help[] = "usage: atr-bench report [options] -o FILE [-- EAL options]\n\n"
			   "Writes results as one HTML page, which needs nothing else.\n\n"
			   "  -o FILE         the page [standard output]\n";

int report_main(int argc, char **argv)
{
	static const struct source_bench everything[] = {{"all", 0}};
	struct source source;
	struct figures *figures;
	int rc = source_options(&source, argc, argv, help);
	FILE *out;

	if (rc != 0)
		return rc > 0 ? 0 : EXIT_USAGE;
	if (source.json) {
		fprintf(stderr, "atr-bench: report has no --json; a page goes to -o FILE\n");
		return EXIT_USAGE;
	}
	figures = source_figures(&source, everything, 1);
	if (!figures)
		return 1;
	out = source_open(&source);
	rc = 1;
	if (out) {
		report_write(figures, out);
		rc = source_close(&source, out);
	}
	figures_free(figures);
	return rc;
}
