/* SPDX-License-Identifier: BSD-3-Clause */
/* Shared by the kinds of plots. */
#ifndef ATR_BENCH_SVG_INTERNAL_H
#define ATR_BENCH_SVG_INTERNAL_H

#include "svg.h"

#define SVG_ROW     16.0 /* height of a line of text */
#define SVG_BASE    4.0  /* from a line's lower edge to the foot of its letters */
#define SVG_LEFT    44.0 /* room for the labels of a y axis */
#define SVG_RIGHT   14.0
#define SVG_SWATCH  10.0
#define SVG_PLOT    150.0 /* height of a plot between its axes */
#define SVG_CHAR    6.3   /* width of a character, guessed widely */
#define SVG_SEGMENT 14.0  /* height of a bar */
#define SVG_DIGITS  3

enum svg_anchor { SVG_START, SVG_MIDDLE, SVG_END };

void svg_begin(FILE *out, const struct svg_head *head, double height);
void svg_end(FILE *out);

/* A text of at most width units with its foot at y. class may be NULL. */
void svg_write(FILE *out, double x, double y, enum svg_anchor anchor, double width,
	       const char *class, const char *text);

/* Grid lines and labels below a plot from y top to bottom, and the axis' label. */
void svg_x_axis(FILE *out, const struct svg_scale *x, double top, double bottom, const char *label);
/* The same left of a plot from x left to right; the label stands above it. */
void svg_y_axis(FILE *out, const struct svg_scale *y, double left, double right, const char *label);

/* A filled rectangle with what it stands for. */
void svg_rectangle(FILE *out, double x, double y, double width, double height, unsigned int colour,
		   const char *title);

#endif
