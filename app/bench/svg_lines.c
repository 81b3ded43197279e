/* SPDX-License-Identifier: BSD-3-Clause */
/* Lines and points over two axes. */
#include <stdlib.h>
#include <string.h>

#include "svg_internal.h"

#define POINT  3.5
#define LEGEND 26.0 /* where the names begin; a piece of line stands before them */

static struct svg_scale scale_of(const struct svg_lines *plot, bool of_x, double from, double to)
{
	bool log = of_x ? plot->x_log : plot->y_log;
	size_t total = 0;
	double *all;
	struct svg_scale scale;

	for (size_t s = 0; s < plot->count; s++)
		total += plot->series[s].count;
	all = calloc(total + 1, sizeof(*all));
	if (!all)
		return svg_scale_over(log, NULL, 0, from, to);
	total = 0;
	for (size_t s = 0; s < plot->count; s++) {
		const struct svg_series *one = &plot->series[s];

		memcpy(all + total, of_x ? one->x : one->y, one->count * sizeof(*all));
		total += one->count;
	}
	scale = svg_scale_over(log, all, total, from, to);
	free(all);
	return scale;
}

static void draw_line(FILE *out, const struct svg_series *s, const struct svg_scale *x,
		      const struct svg_scale *y)
{
	char command = 'M';

	fprintf(out, "<path class=\"l%u%s\" d=\"", s->colour % SVG_COLOURS,
		s->look == SVG_DASHED ? " dashed" : "");
	for (size_t i = 0; i < s->count; i++) {
		if ((x->log && s->x[i] <= 0) || (y->log && s->y[i] <= 0))
			continue;
		fprintf(out, "%c%.1f %.1f", command, svg_at(x, s->x[i]), svg_at(y, s->y[i]));
		command = 'L';
	}
	fputs("\"/>\n", out);
}

static void draw_points(FILE *out, const struct svg_series *s, const struct svg_scale *x,
			const struct svg_scale *y)
{
	char at[SVG_LABEL_MAX], value[SVG_LABEL_MAX];

	for (size_t i = 0; i < s->count; i++) {
		if ((x->log && s->x[i] <= 0) || (y->log && s->y[i] <= 0))
			continue;
		svg_number(s->x[i], SVG_DIGITS, at);
		svg_number(s->y[i], SVG_DIGITS, value);
		fprintf(out,
			"<circle class=\"f%u\" cx=\"%.1f\" cy=\"%.1f\" r=\"%g\"><title>%s: %s"
			"</title></circle>\n",
			s->colour % SVG_COLOURS, svg_at(x, s->x[i]), svg_at(y, s->y[i]), POINT, at,
			value);
	}
}

static void legend(FILE *out, const struct svg_series *s, double y)
{
	if (s->look == SVG_POINTS)
		fprintf(out, "<circle class=\"f%u\" cx=\"%g\" cy=\"%.1f\" r=\"%g\"/>",
			s->colour % SVG_COLOURS, LEGEND / 2, y - SVG_BASE, POINT);
	else
		fprintf(out, "<path class=\"l%u%s\" d=\"M%g %.1fH%g\"/>", s->colour % SVG_COLOURS,
			s->look == SVG_DASHED ? " dashed" : "", SVG_BASE, y - SVG_BASE,
			LEGEND - SVG_BASE);
	svg_write(out, LEGEND, y, SVG_START, SVG_WIDTH - LEGEND, NULL, s->name);
}

void svg_lines(FILE *out, const struct svg_lines *plot)
{
	double top = 2 * SVG_ROW - SVG_BASE, bottom = top + SVG_PLOT;
	double right = SVG_WIDTH - SVG_RIGHT, y_of_legend = bottom + 3 * SVG_ROW;
	struct svg_scale x = scale_of(plot, true, SVG_LEFT, right);
	struct svg_scale y = scale_of(plot, false, bottom, top);

	svg_begin(out, &plot->head, y_of_legend + SVG_ROW * (double)plot->count);
	svg_y_axis(out, &y, SVG_LEFT, right, plot->y_label);
	svg_x_axis(out, &x, top, bottom, plot->x_label);
	for (size_t s = 0; s < plot->count; s++) {
		const struct svg_series *one = &plot->series[s];

		(one->look == SVG_POINTS ? draw_points : draw_line)(out, one, &x, &y);
		legend(out, one, y_of_legend + SVG_ROW * (double)s + SVG_ROW / 2);
	}
	svg_end(out);
}
