/* SPDX-License-Identifier: BSD-3-Clause */
/* Parts of the page that are text: headline figures, every result, machine and build. */
#include <math.h>
#include <string.h>

#include "report.h"
#include "svg.h"

#define DIGITS      4
#define FOUR_DIGITS 1000
#define PERCENT     100.0

/* The figures that the contract asks for, as far as they were measured. */
static const struct {
	const char *name, *label;
} headlines[] = {
	{"tier3.mtu1500", "all gates, 1,500-byte MTU"},
	{"tier3.mtu9000", "all gates, 9,000-byte MTU"},
	{"tier3.feeds8", "into eight feeds, three for each message"},
	{"classd", "written and synced before published"},
	{"tier1.64", "signed JSON envelopes, 64-byte payloads"},
	{"tier1.1024", "signed JSON envelopes, 1 KiB payloads"},
	{"bridge.t_marshal.32", "over the bridge, in bursts of 32"},
	{"latency.50", "latency at half load"},
};

void report_number(double value, const char *unit, FILE *out)
{
	char text[SVG_LABEL_MAX];

	if (strstr(unit, "/s")) {
		svg_number(value, DIGITS, text);
		fputs(text, out);
	} else if (value >= FOUR_DIGITS) {
		fprintf(out, "%.0f", value);
	} else {
		fprintf(out, "%.*g", DIGITS, value);
	}
}

static void tile(const struct figure *f, const char *label, FILE *out)
{
	fputs("<div class=\"tile\"><span>", out);
	svg_escape(out, label);
	fputs("</span><b>", out);
	report_number(f->median, f->unit, out);
	fputs(" <small>", out);
	svg_escape(out, f->unit);
	fputs("</small></b><span>", out);
	report_number(f->minimum, f->unit, out);
	fputs(" to ", out);
	report_number(f->maximum, f->unit, out);
	fprintf(out, " in %.0f runs; scope ", f->repetitions);
	svg_escape(out, f->scope);
	fputs("</span>", out);
	for (unsigned int r = 0; r < f->ratios; r++) {
		fprintf(out, "<span>%.3g%% of ", PERCENT * f->ratio[r].value);
		svg_escape(out, f->ratio[r].to);
		fputs("</span>", out);
	}
	fputs("</div>\n", out);
}

void report_tiles(const struct figures *figures, FILE *out)
{
	fputs("<div class=\"tiles\">\n", out);
	for (size_t i = 0; i < sizeof(headlines) / sizeof(headlines[0]); i++) {
		const struct figure *f = figures_find(figures, headlines[i].name);

		if (f)
			tile(f, headlines[i].label, out);
	}
	fputs("</div>\n", out);
}

static void number_cell(double value, const struct figure *f, FILE *out)
{
	fputs("<td class=\"n\">", out);
	report_number(value, f->unit, out);
	fputs("</td>", out);
}

static void result_row(const struct figure *f, FILE *out)
{
	fputs("<tr><td>", out);
	svg_escape(out, f->name);
	fputs("<small>", out);
	svg_escape(out, f->what);
	for (unsigned int r = 0; r < f->ratios; r++) {
		fprintf(out, "; %.3f of ", f->ratio[r].value);
		svg_escape(out, f->ratio[r].to);
	}
	fputs("</small></td><td>", out);
	svg_escape(out, f->scope);
	fputs("</td>", out);
	number_cell(f->median, f, out);
	number_cell(f->minimum, f, out);
	number_cell(f->maximum, f, out);
	fputs("<td>", out);
	svg_escape(out, f->unit);
	fprintf(out, "</td><td class=\"n\">%.0f</td></tr>\n", f->repetitions);
}

void report_results(const struct figures *figures, FILE *out)
{
	fputs("<h2>Every figure</h2>\n<div class=\"wide\"><table>\n<tr><th>figure</th>"
	      "<th>scope</th><th class=\"n\">median</th><th class=\"n\">minimum</th>"
	      "<th class=\"n\">maximum</th><th>unit</th><th class=\"n\">runs</th></tr>\n",
	      out);
	for (size_t i = 0; i < figures->count; i++)
		result_row(&figures->figure[i], out);
	fputs("</table></div>\n", out);
}

static void fact(const json_t *value, FILE *out)
{
	const json_t *one;
	size_t i;

	if (json_is_string(value))
		svg_escape(out, json_string_value(value));
	else if (json_is_boolean(value))
		fputs(json_is_true(value) ? "yes" : "no", out);
	else if (json_is_number(value))
		fprintf(out, "%.10g", json_number_value(value));
	json_array_foreach(value, i, one)
	{
		if (i > 0)
			fputs(", ", out);
		svg_escape(out, json_string_value(one));
	}
}

void report_facts(const char *heading, const json_t *facts, FILE *out)
{
	const char *name;
	json_t *value;

	fprintf(out, "<h2>%s</h2>\n<div class=\"wide\"><table>\n", heading);
	json_object_foreach((json_t *)facts, name, value)
	{
		fputs("<tr><th>", out);
		svg_escape(out, name);
		fputs("</th><td>", out);
		fact(value, out);
		fputs("</td></tr>\n", out);
	}
	fputs("</table></div>\n", out);
}
