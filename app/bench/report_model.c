/* SPDX-License-Identifier: BSD-3-Clause */
/* The page's part about the three-tier model. */
#include <math.h>

#include "report.h"
#include "svg.h"

#define POINTS  17  /* powers of two from 1 to MODEL_N_MAX */
#define US      1e6 /* in a second */
#define PERCENT 100.0

static void plot(const struct model *m, FILE *out)
{
	double n[POINTS], reference[POINTS], in_turn[POINTS], at_once[POINTS];
	double measured_n[MODEL_ROWS_MAX], measured[MODEL_ROWS_MAX];
	const struct svg_series series[] = {
		{"reference terms", SVG_LINE, 6, n, reference, POINTS},
		{"predicted, tiers in turn", SVG_DASHED, 0, n, in_turn, POINTS},
		{"predicted, tiers at once", SVG_LINE, 0, n, at_once, POINTS},
		{"measured", SVG_POINTS, 1, measured_n, measured, m->rows},
	};

	for (unsigned int i = 0; i < POINTS; i++) {
		n[i] = (double)(1u << i);
		reference[i] = atr_perf_rate(&atr_perf_reference, n[i]);
		in_turn[i] = atr_perf_rate(&m->terms, n[i]);
		at_once[i] = atr_perf_rate_overlapped(&m->terms, n[i]);
	}
	for (unsigned int i = 0; i < m->rows; i++) {
		measured_n[i] = m->row[i].n;
		measured[i] = m->row[i].rate;
	}
	report_figure("R(N), predicted and measured", out);
	svg_lines(out, &(struct svg_lines){.head = {"plot-model", "R(N), predicted and measured",
						    "Messages a second over messages that share a "
						    "signature; both axes logarithmic."},
					   .x_label = "N, messages under a signature",
					   .y_label = "messages a second",
					   .x_log = true,
					   .y_log = true,
					   .series = series,
					   .count = sizeof(series) / sizeof(series[0])});
	report_figure_end(out);
}

static void cell(FILE *out, double rate)
{
	fputs("<td class=\"n\">", out);
	report_number(rate, "msg/s", out);
	fputs("</td>", out);
}

static void terms(const struct model *m, FILE *out)
{
	const struct {
		const char *name;
		double reference, measured;
		const struct figure *from;
	} rows[] = {
		{"T_control, a signature", atr_perf_reference.control, m->terms.control,
		 m->control_from},
		{"T_bridge, a call", atr_perf_reference.bridge_call, m->terms.bridge_call,
		 m->bridge_from},
		{"T_bridge, a batch", atr_perf_reference.bridge_batch, m->terms.bridge_batch,
		 m->bridge_from},
		{"T_data, a message", atr_perf_reference.data, m->terms.data, m->data_from},
	};

	fputs("<div class=\"wide\"><table>\n<tr><th>term, microseconds</th>"
	      "<th class=\"n\">reference</th><th class=\"n\">measured</th></tr>\n",
	      out);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		fprintf(out, "<tr><td>%s<small>", rows[i].name);
		svg_escape(out, rows[i].from->name);
		fprintf(out,
			"</small></td><td class=\"n\">%.3f</td><td class=\"n\">%.3f</td></tr>\n",
			rows[i].reference * US, rows[i].measured * US);
	}
	fputs("</table></div>\n", out);
}

static void scenarios(const struct model *m, FILE *out)
{
	fputs("<div class=\"wide\"><table>\n<tr><th>scenario, messages a second</th>"
	      "<th class=\"n\">reference terms</th><th class=\"n\">measured terms</th>"
	      "<th class=\"n\">measured</th></tr>\n",
	      out);
	for (unsigned int i = 0; i < MODEL_SCENARIOS; i++) {
		const struct model_scenario *s = &m->scenario[i];

		fprintf(out, "<tr><td>%s: %s", s->name, s->what);
		if (s->from) {
			fputs("<small>", out);
			svg_escape(out, s->from->name);
			fputs("</small>", out);
		}
		/* In full, as the reference figures are known. */
		fprintf(out, "</td><td class=\"n\">%.0f</td><td class=\"n\">%.0f</td>",
			floor(s->reference), floor(s->predicted));
		fputs("<td class=\"n\">", out);
		if (s->from)
			fprintf(out, "%.0f", s->measured);
		fputs("</td></tr>\n", out);
	}
	fputs("</table></div>\n", out);
}

static void rows(const struct model *m, FILE *out)
{
	fputs("<div class=\"wide\"><table>\n<tr><th class=\"n\">N</th>"
	      "<th class=\"n\">in turn</th><th class=\"n\">at once</th>"
	      "<th class=\"n\">measured</th><th class=\"n\">error, in turn</th>"
	      "<th class=\"n\">error, at once</th></tr>\n",
	      out);
	for (unsigned int i = 0; i < m->rows; i++) {
		double n = m->row[i].n, rate = m->row[i].rate;
		double in_turn = atr_perf_rate(&m->terms, n);
		double at_once = atr_perf_rate_overlapped(&m->terms, n);

		fprintf(out, "<tr><td class=\"n\">%.0f</td>", n);
		cell(out, in_turn);
		cell(out, at_once);
		cell(out, rate);
		fprintf(out, "<td class=\"n\">%+.1f%%</td><td class=\"n\">%+.1f%%</td></tr>\n",
			PERCENT * model_error(in_turn, rate), PERCENT * model_error(at_once, rate));
	}
	fputs("</table></div>\n", out);
}

void report_model(const struct figures *figures, FILE *out)
{
	struct model m;
	char error[256];

	fputs("<h2>The three-tier model</h2>\n<p>A batch of N messages under one signature takes "
	      "T_control + T_bridge + N × T_data if the tiers work in turn. Control lcore and data "
	      "lcore work at once here, so that the slower of them sets the pace.</p>\n",
	      out);
	if (model_make(&m, figures, error, sizeof(error)) < 0) {
		fputs("<p class=\"soft\">No model: ", out);
		svg_escape(out, error);
		fputs(".</p>\n", out);
		return;
	}
	fputs("<div class=\"grid\">\n", out);
	plot(&m, out);
	fputs("<div>\n", out);
	terms(&m, out);
	scenarios(&m, out);
	fputs("</div></div>\n", out);
	rows(&m, out);
	fprintf(out,
		"<p>Amdahl at N = %.0f: batches take P = %.5f of the control plane's work from it, "
		"and the data lcore does that S = %.0f times faster, which makes %.0f times the "
		"rate of admission message by message. Measured: %.0f times.</p>\n",
		m.usual->n, m.share, m.speed, atr_perf_amdahl(m.share, m.speed),
		m.usual->rate * m.tier1);
	if (m.fitted)
		fprintf(out,
			"<p class=\"soft\">Least squares over the measured rows: %.1f ns a message "
			"and %.2f µs a signature.</p>\n",
			m.fit_data * US * 1e3, m.fit_batch * US);
}
