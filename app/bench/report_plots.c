/* SPDX-License-Identifier: BSD-3-Clause */
/* The page's parts that are drawn: time by stage, ratios, latency, growth, cores. */
#include <stdlib.h>
#include <string.h>

#include "report.h"
#include "svg.h"

#define STAGES_SHOWN 6 /* by name; the others together */
#define OTHERS       STAGES_SHOWN
#define BOUND        (STAGES_SHOWN + 1)
#define PARTS        (STAGES_SHOWN + 2)
#define STACKED_MAX  4
#define ROWS_EACH    (1 + FIGURE_RATIOS_MAX)
#define ROWS_MAX     (STACKED_MAX * ROWS_EACH)
#define BARS_MAX     40
#define HISTOGRAMS   6
#define ID_MAX       32
#define LABEL_MAX    (2 * FIGURE_TEXT_MAX + 8)
#define NS           1e9
#define PERCENT      100.0
#define GROWTH       "growth."
#define TREE         "tier3.tree"
#define CORES        "cores."
#define HASH_BOUND   "hash bound"
#define CORES_ONE    "cores.one."
#define ONE_OF_EACH  "one of each"

void report_figure(const char *heading, FILE *out)
{
	fputs("<figure><figcaption>", out);
	svg_escape(out, heading);
	fputs("</figcaption>\n", out);
}

void report_figure_end(FILE *out)
{
	fputs("</figure>\n", out);
}

void report_not_measured(const char *bench, FILE *out)
{
	fprintf(out, "<p class=\"soft\">Not in these results: atr-bench %s measures it.</p>\n",
		bench);
}

static bool starts(const struct figure *f, const char *prefix)
{
	return strncmp(f->name, prefix, strlen(prefix)) == 0;
}

/* Measured to see how it grows; its bounds are those of the others. */
static bool is_variation(const struct figure *f)
{
	return starts(f, GROWTH) || starts(f, TREE) || starts(f, CORES);
}

static bool is_rate(const struct figure *f)
{
	return strstr(f->unit, "/s") && f->median > 0;
}

/* The stages that take most of all figures, in the order of the first of them. */
struct stages {
	const struct figure *figure[STACKED_MAX];
	size_t figures;
	const char *name[PARTS];
	struct svg_stack_row row[ROWS_MAX];
	char label[ROWS_MAX][LABEL_MAX];
	double part[ROWS_MAX][PARTS];
	size_t rows;
};

static int by_time(const void *x, const void *y)
{
	double a = ((const struct figure_stage *)x)->ns, b = ((const struct figure_stage *)y)->ns;

	return (a < b) - (a > b);
}

static void name_parts(struct stages *s)
{
	struct figure_stage sorted[FIGURE_STAGES_MAX];
	const struct figure *f = s->figure[0];
	size_t named = 0;

	memcpy(sorted, f->stage, sizeof(sorted));
	qsort(sorted, f->stages, sizeof(sorted[0]), by_time);
	for (unsigned int i = 0; i < f->stages; i++) {
		for (unsigned int j = 0; j < STAGES_SHOWN && j < f->stages; j++) {
			if (named < STAGES_SHOWN && strcmp(f->stage[i].name, sorted[j].name) == 0) {
				s->name[named++] = f->stage[i].name;
				break;
			}
		}
	}
	while (named < STAGES_SHOWN)
		s->name[named++] = "";
	s->name[OTHERS] = "other stages";
	s->name[BOUND] = "hashing alone";
}

static double *new_row(struct stages *s, const char *name, const char *what)
{
	size_t r = s->rows++;

	snprintf(s->label[r], sizeof(s->label[r]), "%s: %s", name, what);
	s->row[r] = (struct svg_stack_row){s->label[r], s->part[r]};
	return s->part[r];
}

static void add_stages(struct stages *s, const struct figures *figures, const struct figure *f)
{
	double *part = new_row(s, f->name, "by stage");

	for (unsigned int i = 0; i < f->stages; i++) {
		size_t at = 0;

		while (at < STAGES_SHOWN && strcmp(s->name[at], f->stage[i].name) != 0)
			at++;
		part[at] += f->stage[i].ns;
	}
	for (unsigned int r = 0; r < f->ratios; r++) {
		const struct figure *bound = figures_find(figures, f->ratio[r].reference);

		if (strcmp(f->ratio[r].to, HASH_BOUND) == 0 && bound && is_rate(bound))
			new_row(s, f->name, f->ratio[r].to)[BOUND] = NS / bound->median;
	}
}

static const struct figure_stage *stage_of(const struct figure *f, const char *name)
{
	for (unsigned int i = 0; i < f->stages; i++)
		if (strcmp(f->stage[i].name, name) == 0)
			return &f->stage[i];
	return NULL;
}

static void stage_table(const struct stages *s, FILE *out)
{
	fputs("<div class=\"wide\"><table>\n<tr><th>stage, ns a message</th>", out);
	for (size_t i = 0; i < s->figures; i++) {
		fputs("<th class=\"n\">", out);
		svg_escape(out, s->figure[i]->name);
		fputs("</th>", out);
	}
	fputs("</tr>\n", out);
	for (unsigned int j = 0; j < s->figure[0]->stages; j++) {
		fputs("<tr><td>", out);
		svg_escape(out, s->figure[0]->stage[j].name);
		fputs("</td>", out);
		for (size_t i = 0; i < s->figures; i++) {
			const struct figure_stage *one =
				stage_of(s->figure[i], s->figure[0]->stage[j].name);

			fputs("<td class=\"n\">", out);
			if (one)
				fprintf(out, "%.2f, %.1f%%", one->ns, PERCENT * one->share);
			fputs("</td>", out);
		}
		fputs("</tr>\n", out);
	}
	fputs("</table></div>\n", out);
}

/* The two ceilings and class D; without these, the first that has stages. */
static void choose(struct stages *s, const struct figures *figures)
{
	static const char *const first[] = {"tier3.mtu1500", "tier3.mtu9000", "classd"};

	for (size_t i = 0; i < sizeof(first) / sizeof(first[0]); i++) {
		const struct figure *f = figures_find(figures, first[i]);

		if (f && f->stages > 0)
			s->figure[s->figures++] = f;
	}
	for (size_t i = 0; i < figures->count && s->figures == 0; i++)
		if (figures->figure[i].stages > 0)
			s->figure[s->figures++] = &figures->figure[i];
}

void report_stages(const struct figures *figures, FILE *out)
{
	struct stages *s = calloc(1, sizeof(*s));

	fputs("<h2>Time by stage</h2>\n", out);
	if (s)
		choose(s, figures);
	if (!s || s->figures == 0) {
		report_not_measured("tier3", out);
		free(s);
		return;
	}
	name_parts(s);
	for (size_t i = 0; i < s->figures; i++)
		add_stages(s, figures, s->figure[i]);
	fputs("<div class=\"grid\">\n", out);
	report_figure("Time of a message on the data lcore", out);
	svg_stack(out,
		  &(struct svg_stack){.head = {"plot-stages", "Time of a message on the data lcore",
					       "Nanoseconds a message, stage by stage, beside "
					       "what bounds them, measured in the same run."},
				      .x_label = "nanoseconds a message",
				      .name = s->name,
				      .parts = PARTS,
				      .row = s->row,
				      .rows = s->rows});
	report_figure_end(out);
	stage_table(s, out);
	fputs("</div>\n", out);
	free(s);
}

/* Bars that say what they are, until there is no more room. */
struct bars {
	struct svg_bar bar[BARS_MAX];
	char label[BARS_MAX][LABEL_MAX];
	size_t count;
};

static void add_bar(struct bars *bars, const char *name, const char *of, double value, double low,
		    double high)
{
	size_t i = bars->count;

	if (i == BARS_MAX)
		return;
	snprintf(bars->label[i], sizeof(bars->label[i]), "%s%s%s", name, of ? " of " : "",
		 of ? of : "");
	bars->bar[i] = (struct svg_bar){bars->label[i], value, low, high};
	bars->count++;
}

static void draw_bars(struct bars *bars, const struct svg_bars *like, FILE *out)
{
	struct svg_bars plot = *like;

	plot.bar = bars->bar;
	plot.count = bars->count;
	report_figure(plot.head.title, out);
	svg_bars(out, &plot);
	report_figure_end(out);
}

/* What a message takes beyond its bounds. */
static void gaps(const struct figures *figures, FILE *out)
{
	fputs("<div class=\"wide\"><table>\n<tr><th>bound, ns a message</th><th class=\"n\">"
	      "measured</th><th class=\"n\">bound</th><th class=\"n\">gap</th></tr>\n",
	      out);
	for (size_t i = 0; i < figures->count; i++) {
		const struct figure *f = &figures->figure[i];

		for (unsigned int r = 0; r < f->ratios && !is_variation(f); r++) {
			const struct figure *b = figures_find(figures, f->ratio[r].reference);

			if (!b || !is_rate(b) || !is_rate(f) || strcmp(b->unit, f->unit) != 0)
				continue;
			fputs("<tr><td>", out);
			svg_escape(out, f->name);
			fputs(", ", out);
			svg_escape(out, f->ratio[r].to);
			fprintf(out,
				"</td><td class=\"n\">%.1f</td><td class=\"n\">%.1f</td>"
				"<td class=\"n\">%.1f</td></tr>\n",
				NS / f->median, NS / b->median, NS / f->median - NS / b->median);
		}
	}
	fputs("</table></div>\n", out);
}

void report_ratios(const struct figures *figures, FILE *out)
{
	struct bars bars = {.count = 0};

	fputs("<h2>Against the physical bounds</h2>\n", out);
	for (size_t i = 0; i < figures->count; i++) {
		const struct figure *f = &figures->figure[i];

		for (unsigned int r = 0; r < f->ratios && !is_variation(f); r++)
			add_bar(&bars, f->name, f->ratio[r].to, f->ratio[r].value, 0, 0);
	}
	if (bars.count == 0) {
		report_not_measured("all", out);
		return;
	}
	fputs("<div class=\"grid\">\n", out);
	draw_bars(&bars,
		  &(struct svg_bars){.head = {"plot-ratios", "Share of what bounds it",
					      "Medians as a ratio to their bound in the same run."},
				     .x_label = "ratio of medians",
				     .mark = 1,
				     .mark_label = "the bound"},
		  out);
	gaps(figures, out);
	fputs("</div>\n", out);
}

static void latency_plot(const struct figure *f, unsigned int number, FILE *out)
{
	static const unsigned int shown[] = {0, 2, 3};
	struct svg_mark marks[sizeof(shown) / sizeof(shown[0])];
	char id[ID_MAX], x_label[LABEL_MAX];
	size_t count = 0;

	for (size_t q = 0; f->quantiles && q < sizeof(shown) / sizeof(shown[0]); q++)
		marks[count++] =
			(struct svg_mark){figure_quantile_names[shown[q]], f->quantile[shown[q]]};
	snprintf(id, sizeof(id), "plot-latency-%u", number);
	snprintf(x_label, sizeof(x_label), "%s, logarithmic", f->histogram->unit);
	report_figure(f->name, out);
	svg_histogram(out, &(struct svg_histogram){.head = {id, f->name, f->what},
						   .x_label = x_label,
						   .y_label = "percent of messages",
						   .edge = f->histogram->edge,
						   .count = f->histogram->count,
						   .buckets = f->histogram->buckets,
						   .mark = marks,
						   .marks = count});
	report_figure_end(out);
}

static void quantile_table(const struct figures *figures, FILE *out)
{
	fputs("<div class=\"wide\"><table>\n<tr><th>figure</th>", out);
	for (unsigned int q = 0; q < FIGURE_QUANTILES; q++)
		fprintf(out, "<th class=\"n\">%s</th>", figure_quantile_names[q]);
	fputs("<th>unit</th><th>scope</th></tr>\n", out);
	for (size_t i = 0; i < figures->count; i++) {
		const struct figure *f = &figures->figure[i];

		if (!f->quantiles)
			continue;
		fputs("<tr><td>", out);
		svg_escape(out, f->name);
		fputs("</td>", out);
		for (unsigned int q = 0; q < FIGURE_QUANTILES; q++) {
			fputs("<td class=\"n\">", out);
			report_number(f->quantile[q], f->unit, out);
			fputs("</td>", out);
		}
		fputs("<td>", out);
		svg_escape(out, f->unit);
		fputs("</td><td>", out);
		svg_escape(out, f->scope);
		fputs("</td></tr>\n", out);
	}
	fputs("</table></div>\n", out);
}

void report_latency(const struct figures *figures, FILE *out)
{
	unsigned int number = 0;
	bool any = false;

	fputs("<h2>Latency</h2>\n<div class=\"grid\">\n", out);
	for (size_t i = 0; i < figures->count; i++) {
		any = any || figures->figure[i].quantiles;
		if (figures->figure[i].histogram && number < HISTOGRAMS)
			latency_plot(&figures->figure[i], number++, out);
	}
	fputs("</div>\n", out);
	if (any)
		quantile_table(figures, out);
	else if (number == 0)
		report_not_measured("latency", out);
}

static const struct figure_ratio *growth_of(const struct figure *f)
{
	for (unsigned int r = 0; r < f->ratios; r++)
		if (strcmp(f->ratio[r].to, ONE_OF_EACH) == 0)
			return &f->ratio[r];
	return NULL;
}

static void growth(const struct figures *figures, FILE *out)
{
	struct bars bars = {.count = 0};

	for (size_t i = 0; i < figures->count; i++) {
		const struct figure *f = &figures->figure[i];
		const struct figure_ratio *ratio = growth_of(f);

		if (ratio)
			add_bar(&bars, f->name, NULL, ratio->value, 0, 0);
	}
	if (bars.count == 0) {
		report_not_measured("growth", out);
		return;
	}
	draw_bars(&bars,
		  &(struct svg_bars){.head = {"plot-growth", "Rate, relative to one of each",
					      "Rate with many rules, topics, sources, feeds and "
					      "larger trees as a ratio to one of each."},
				     .x_label = "ratio of medians",
				     .mark = 1,
				     .mark_label = ONE_OF_EACH},
		  out);
}

static void cores(const struct figures *figures, FILE *out)
{
	struct bars bars = {.count = 0};

	for (size_t i = 0; i < figures->count; i++) {
		const struct figure *f = &figures->figure[i];

		if (starts(f, CORES) && !starts(f, CORES_ONE) && is_rate(f) &&
		    strcmp(f->scope, "reference") != 0)
			add_bar(&bars, f->name, NULL, f->median, f->minimum, f->maximum);
	}
	if (bars.count == 0) {
		report_not_measured("cores", out);
		return;
	}
	draw_bars(&bars,
		  &(struct svg_bars){.head = {"plot-cores", "Rate over data lcores",
					      "Messages a second with one data lcore and more; "
					      "whiskers from minimum to maximum."},
				     .x_label = "messages a second"},
		  out);
}

void report_growth(const struct figures *figures, FILE *out)
{
	fputs("<h2>Growth and data lcores</h2>\n<div class=\"grid\">\n", out);
	growth(figures, out);
	cores(figures, out);
	fputs("</div>\n", out);
}
