/* SPDX-License-Identifier: BSD-3-Clause */
/* Plots as SVG inside HTML: lines and points, bars, stacked bars, histograms. They scale with the
 * page, are drawn to be read from 360 pixels on, take their colours from the page's style (classes
 * c0..c7, grid, axis, mark) and carry title and description for who cannot see them. All text is
 * escaped here, and cut where it would leave the drawing. Nothing is refused: what cannot be drawn
 * (nothing above zero on a logarithmic axis) is left out. */
#ifndef ATR_BENCH_SVG_H
#define ATR_BENCH_SVG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define SVG_WIDTH     340.0 /* of every drawing, in its own units */
#define SVG_COLOURS   8
#define SVG_TICKS_MAX 16
#define SVG_LABEL_MAX 32

/* Maps data low..high to from..to. */
struct svg_scale {
	bool log;
	double low, high, from, to;
};

/* Covers the values (on a log scale those above zero, which need not be any); a linear scale starts
 * at 0 and ends at a round number, a log one spans whole decades. */
struct svg_scale svg_scale_over(bool log, const double *values, size_t count, double from,
				double to);
/* Clamped to from..to. */
double svg_at(const struct svg_scale *scale, double value);
/* Round values within the scale, ascending; at most SVG_TICKS_MAX. */
unsigned int svg_ticks(const struct svg_scale *scale, double ticks[SVG_TICKS_MAX]);
/* "12.5k", "3M": so many digits at most (3 or 4), and a prefix. */
void svg_number(double value, int digits, char label[SVG_LABEL_MAX]);

/* Text for element content and quoted attributes. What is no character of XML becomes '?'. */
void svg_escape(FILE *out, const char *text);
/* The same, ended with an ellipsis if it may be wider than width units. Returns its width, guessed
 * from the number of characters. */
double svg_text_cut(FILE *out, const char *text, double width);

struct svg_head {
	const char *id; /* of the page, unique; letters, digits and dashes */
	const char *title, *description;
};

enum svg_look { SVG_LINE, SVG_DASHED, SVG_POINTS };

struct svg_series {
	const char *name;
	enum svg_look look;
	unsigned int colour;
	const double *x, *y;
	size_t count;
};

struct svg_lines {
	struct svg_head head;
	const char *x_label, *y_label;
	bool x_log, y_log;
	const struct svg_series *series;
	size_t count;
};
void svg_lines(FILE *out, const struct svg_lines *plot);

struct svg_bar {
	const char *label;
	double value, low, high; /* low..high is drawn as a whisker if they differ */
};

struct svg_bars {
	struct svg_head head;
	const char *x_label;
	const struct svg_bar *bar;
	size_t count;
	double mark; /* a line across at this value; 0: none */
	const char *mark_label;
};
void svg_bars(FILE *out, const struct svg_bars *plot);

struct svg_stack_row {
	const char *label;
	const double *part; /* as many as there are names */
};

struct svg_stack {
	struct svg_head head;
	const char *x_label;
	const char *const *name; /* of parts, which take the colours in order */
	size_t parts;
	const struct svg_stack_row *row;
	size_t rows;
};
void svg_stack(FILE *out, const struct svg_stack *plot);

struct svg_mark {
	const char *label;
	double at;
};

struct svg_histogram {
	struct svg_head head;
	const char *x_label, *y_label;
	const double *edge, *count; /* buckets + 1 and buckets */
	size_t buckets;
	const struct svg_mark *mark;
	size_t marks;
};
/* Logarithmic in x; y is the share of all counts. */
void svg_histogram(FILE *out, const struct svg_histogram *plot);

#endif
