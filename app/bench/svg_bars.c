/* SPDX-License-Identifier: BSD-3-Clause */
/* Bars that lie, so that their names have room: plain and stacked. And histograms. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "svg_internal.h"

#define BAR_LEFT     4.0
#define VALUE_ROOM   54.0
#define LABEL_INSIDE 30.0 /* a part at least so wide says its value */
#define BUCKET_MIN   3.0  /* narrower buckets are drawn together */
#define BAR_STEP     (SVG_ROW + SVG_SEGMENT + 4)
#define LEGEND_COLS  2
#define TITLE_MAX    320
#define PERCENT      100.0

/* Values stand in a column of their own, where no bar, grid line or mark crosses them. */
#define BARS_RIGHT  (SVG_WIDTH - VALUE_ROOM - SVG_RIGHT)
#define VALUE_RIGHT (SVG_WIDTH - SVG_BASE)

static void whisker(FILE *out, const struct svg_scale *x, const struct svg_bar *bar, double y)
{
	double middle = y + SVG_SEGMENT / 2, low = svg_at(x, bar->low), high = svg_at(x, bar->high);

	if (bar->low >= bar->high)
		return;
	fprintf(out, "<path class=\"mark\" d=\"M%.1f %.1fH%.1fM%.1f %.1fv6M%.1f %.1fv6\"/>\n", low,
		middle, high, low, middle - 3, high, middle - 3);
}

static void one_bar(FILE *out, const struct svg_scale *x, const struct svg_bar *bar, double y)
{
	char value[SVG_LABEL_MAX];

	svg_number(bar->value, SVG_DIGITS, value);
	svg_write(out, BAR_LEFT, y + SVG_ROW - SVG_BASE, SVG_START,
		  SVG_WIDTH - BAR_LEFT - VALUE_ROOM, "halo", bar->label);
	svg_write(out, VALUE_RIGHT, y + SVG_ROW - SVG_BASE, SVG_END, VALUE_ROOM, "value", value);
	svg_rectangle(out, BAR_LEFT, y + SVG_ROW, svg_at(x, bar->value) - BAR_LEFT, SVG_SEGMENT, 0,
		      value);
	whisker(out, x, bar, y + SVG_ROW);
}

void svg_bars(FILE *out, const struct svg_bars *plot)
{
	double bottom = SVG_ROW + BAR_STEP * (double)plot->count, at;
	double *values = calloc(2 * plot->count + 1, sizeof(*values));
	struct svg_scale x;
	size_t n = 0;

	for (size_t i = 0; values && i < plot->count; i++) {
		values[n++] = plot->bar[i].value;
		values[n++] = plot->bar[i].high;
	}
	if (values)
		values[n++] = plot->mark;
	x = svg_scale_over(false, values, n, BAR_LEFT, BARS_RIGHT);
	free(values);
	svg_begin(out, &plot->head, bottom + 2 * SVG_ROW + SVG_BASE);
	svg_x_axis(out, &x, SVG_ROW, bottom, plot->x_label);
	for (size_t i = 0; i < plot->count; i++)
		one_bar(out, &x, &plot->bar[i], SVG_ROW + BAR_STEP * (double)i);
	if (plot->mark > 0) {
		at = svg_at(&x, plot->mark);
		fprintf(out, "<path class=\"mark dashed\" d=\"M%.1f %.1fV%.1f\"/>\n", at, SVG_ROW,
			bottom);
		if (at > SVG_WIDTH / 2)
			svg_write(out, at, SVG_ROW - SVG_BASE, SVG_END, at, "label",
				  plot->mark_label);
		else
			svg_write(out, at, SVG_ROW - SVG_BASE, SVG_START, SVG_WIDTH - at, "label",
				  plot->mark_label);
	}
	svg_end(out);
}

static double sum_of(const double *values, size_t count)
{
	double sum = 0;

	for (size_t i = 0; i < count; i++)
		sum += values[i];
	return sum;
}

static void stack_row(FILE *out, const struct svg_stack *plot, const struct svg_stack_row *row,
		      const struct svg_scale *x, double y)
{
	char value[SVG_LABEL_MAX], title[TITLE_MAX];
	double before = 0;

	svg_write(out, BAR_LEFT, y + SVG_ROW - SVG_BASE, SVG_START,
		  SVG_WIDTH - BAR_LEFT - VALUE_ROOM, "halo", row->label);
	svg_number(sum_of(row->part, plot->parts), SVG_DIGITS, value);
	svg_write(out, VALUE_RIGHT, y + SVG_ROW - SVG_BASE, SVG_END, VALUE_ROOM, "value", value);
	for (size_t p = 0; p < plot->parts; p++) {
		double from = svg_at(x, before), to = svg_at(x, before += row->part[p]);

		if (row->part[p] <= 0)
			continue;
		svg_number(row->part[p], SVG_DIGITS, value);
		snprintf(title, sizeof(title), "%s: %s", plot->name[p], value);
		svg_rectangle(out, from, y + SVG_ROW, to - from, SVG_SEGMENT, (unsigned int)p,
			      title);
		if (to - from >= LABEL_INSIDE)
			svg_write(out, (from + to) / 2, y + SVG_ROW + SVG_SEGMENT - SVG_BASE + 1,
				  SVG_MIDDLE, to - from, "inside", value);
	}
}

static void stack_legend(FILE *out, const struct svg_stack *plot, double y)
{
	for (size_t p = 0; p < plot->parts; p++) {
		double left = BAR_LEFT + (double)(p % LEGEND_COLS) * SVG_WIDTH / LEGEND_COLS;
		size_t line = p / LEGEND_COLS;
		double top = y + SVG_ROW * (double)line;

		svg_rectangle(out, left, top - SVG_SWATCH + 1, SVG_SWATCH, SVG_SWATCH,
			      (unsigned int)p, plot->name[p]);
		svg_write(out, left + SVG_ROW, top, SVG_START,
			  SVG_WIDTH / LEGEND_COLS - SVG_ROW - BAR_LEFT, NULL, plot->name[p]);
	}
}

void svg_stack(FILE *out, const struct svg_stack *plot)
{
	double bottom = SVG_BASE + BAR_STEP * (double)plot->rows;
	double legend = bottom + 3 * SVG_ROW, largest = 0;
	size_t lines = (plot->parts + LEGEND_COLS - 1) / LEGEND_COLS;
	struct svg_scale x;

	for (size_t r = 0; r < plot->rows; r++)
		largest = fmax(largest, sum_of(plot->row[r].part, plot->parts));
	x = svg_scale_over(false, &largest, 1, BAR_LEFT, BARS_RIGHT);
	svg_begin(out, &plot->head, legend + SVG_ROW * (double)lines);
	svg_x_axis(out, &x, SVG_BASE, bottom, plot->x_label);
	for (size_t r = 0; r < plot->rows; r++)
		stack_row(out, plot, &plot->row[r], &x, SVG_BASE + BAR_STEP * (double)r);
	stack_legend(out, plot, legend);
	svg_end(out);
}

/* Buckets from first to one before last that have anything in them. */
static void span(const struct svg_histogram *plot, size_t *first, size_t *last)
{
	*first = 0;
	*last = plot->buckets;
	while (*first + 1 < *last && plot->count[*first] <= 0)
		++*first;
	while (*last > *first + 1 && plot->count[*last - 1] <= 0)
		--*last;
}

struct columns {
	double from[(size_t)SVG_WIDTH], to[(size_t)SVG_WIDTH], share[(size_t)SVG_WIDTH];
	size_t count;
};

static void gather(const struct svg_histogram *plot, size_t first, size_t last,
		   const struct svg_scale *x, struct columns *columns)
{
	double total = sum_of(plot->count, plot->buckets), waiting = 0;
	double from = svg_at(x, plot->edge[first]);

	for (size_t i = first; i < last; i++) {
		double to = svg_at(x, plot->edge[i + 1]);

		waiting += total > 0 ? PERCENT * plot->count[i] / total : 0;
		if (to - from < BUCKET_MIN && i + 1 < last)
			continue;
		columns->from[columns->count] = from;
		columns->to[columns->count] = to;
		columns->share[columns->count++] = waiting;
		waiting = 0;
		from = to;
	}
}

/* Lines at the marks, and below the plot what they say, in the same order. */
static void marks(FILE *out, const struct svg_histogram *plot, const struct svg_scale *x,
		  double top, double bottom)
{
	char text[TITLE_MAX] = "", value[SVG_LABEL_MAX];
	size_t used = 0;

	for (size_t m = 0; m < plot->marks && used < sizeof(text); m++) {
		fprintf(out, "<path class=\"mark dashed\" d=\"M%.1f %.1fV%.1f\"/>\n",
			svg_at(x, plot->mark[m].at), top, bottom);
		svg_number(plot->mark[m].at, SVG_DIGITS, value);
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s %s",
					 m > 0 ? ", " : "dashed: ", plot->mark[m].label, value);
	}
	svg_write(out, SVG_LEFT, bottom + 3 * SVG_ROW, SVG_START, SVG_WIDTH - SVG_LEFT, NULL, text);
}

void svg_histogram(FILE *out, const struct svg_histogram *plot)
{
	double top = 2 * SVG_ROW - SVG_BASE, bottom = top + SVG_PLOT;
	double right = SVG_WIDTH - SVG_RIGHT;
	struct columns columns = {.count = 0};
	char title[SVG_LABEL_MAX];
	struct svg_scale x, y;
	size_t first, last;

	span(plot, &first, &last);
	x = svg_scale_over(true, plot->edge + first, last - first + 1, SVG_LEFT, right);
	gather(plot, first, last, &x, &columns);
	y = svg_scale_over(false, columns.share, columns.count, bottom, top);
	svg_begin(out, &plot->head, bottom + 3 * SVG_ROW + SVG_BASE);
	svg_y_axis(out, &y, SVG_LEFT, right, plot->y_label);
	svg_x_axis(out, &x, top, bottom, plot->x_label);
	for (size_t i = 0; i < columns.count; i++) {
		double height = bottom - svg_at(&y, columns.share[i]);

		snprintf(title, sizeof(title), "%.3g %%", columns.share[i]);
		svg_rectangle(out, columns.from[i], bottom - height,
			      columns.to[i] - columns.from[i], height, 0, title);
	}
	marks(out, plot, &x, top, bottom);
	svg_end(out);
}
