/* SPDX-License-Identifier: BSD-3-Clause */
#include "svg_internal.h"

#include <math.h>
#include <string.h>

#define DECADE       10.0
#define SMALLEST     1e-18 /* what is less is nothing */
#define LINEAR_STEPS 5
#define THOUSAND     1000
#define ROUNDS_UP    0.9995
#define TICK_DIGITS  3
#define LOG_LABELS   7 /* decades beyond this are not all labelled */
#define ELLIPSIS     "…"
#define X_TICK_ROOM  40.0
#define ASCII_END    0x7F
#define CONTINUATION 0x80
#define CONTINUED    0xC0

/* 1, 2 or 5 times a power of ten, not below step. */
static double round_up(double step)
{
	double power = pow(DECADE, floor(log10(step)));

	for (unsigned int i = 0; i < 3; i++) {
		static const double nice[] = {1, 2, 5};

		if (nice[i] * power >= step * (1 - 1e-9))
			return nice[i] * power;
	}
	return DECADE * power;
}

struct svg_scale svg_scale_over(bool log, const double *values, size_t count, double from,
				double to)
{
	struct svg_scale scale = {log, HUGE_VAL, 0, from, to};
	double step;

	for (size_t i = 0; i < count; i++) {
		if (log && values[i] < SMALLEST)
			continue;
		scale.low = fmin(scale.low, values[i]);
		scale.high = fmax(scale.high, values[i]);
	}
	scale.high = fmax(scale.high, 0);
	if (log) {
		if (scale.high < SMALLEST)
			scale.low = scale.high = 1;
		scale.low = pow(DECADE, floor(log10(scale.low) + 1e-9));
		scale.high = pow(DECADE, ceil(log10(scale.high) - 1e-9));
		if (scale.high <= scale.low)
			scale.high = scale.low * DECADE;
	} else {
		step = round_up((scale.high >= SMALLEST ? scale.high : 1) / LINEAR_STEPS);
		scale.low = 0;
		scale.high = step * ceil(fmax(scale.high, step) / step - 1e-9);
	}
	return scale;
}

double svg_at(const struct svg_scale *s, double value)
{
	double part = s->log ? log(fmax(value, s->low) / s->low) / log(s->high / s->low)
			     : (value - s->low) / (s->high - s->low);

	return s->from + (s->to - s->from) * fmin(fmax(part, 0), 1);
}

unsigned int svg_ticks(const struct svg_scale *s, double ticks[SVG_TICKS_MAX])
{
	unsigned int count = 0;

	if (s->log) {
		double decades = round(log10(s->high / s->low));
		double step = pow(DECADE, ceil(fmax(decades, 1) / LOG_LABELS));

		for (double t = s->low; t <= s->high * 1.001 && count < SVG_TICKS_MAX; t *= step)
			ticks[count++] = t;
		return count;
	}
	for (double step = round_up(s->high / LINEAR_STEPS);
	     count * step <= s->high * 1.001 && count < SVG_TICKS_MAX; count++)
		ticks[count] = count * step;
	return count;
}

void svg_number(double value, int digits, char label[SVG_LABEL_MAX])
{
	static const struct {
		double unit;
		const char *prefix;
	} prefixes[] = {{1e9, "G"}, {1e6, "M"}, {1e3, "k"}, {1, ""}};
	unsigned int i = 0;

	/* What rounds up to a thousand belongs to the next prefix. */
	while (i < 3 && value < prefixes[i].unit * ROUNDS_UP)
		i++;
	if (value >= prefixes[0].unit * THOUSAND)
		snprintf(label, SVG_LABEL_MAX, "%.2e", value);
	else
		snprintf(label, SVG_LABEL_MAX, "%.*g%s", digits, value / prefixes[i].unit,
			 prefixes[i].prefix);
}

static void escape_byte(FILE *out, unsigned char byte)
{
	switch (byte) {
	case '<': fputs("&lt;", out); break;
	case '>': fputs("&gt;", out); break;
	case '&': fputs("&amp;", out); break;
	case '"': fputs("&quot;", out); break;
	case '\'': fputs("&#39;", out); break;
	default: fputc(byte < ' ' || byte == ASCII_END ? '?' : byte, out);
	}
}

void svg_escape(FILE *out, const char *text)
{
	for (; *text; text++)
		escape_byte(out, (unsigned char)*text);
}

static bool starts_character(char byte)
{
	return ((unsigned char)byte & CONTINUED) != CONTINUATION;
}

double svg_text_cut(FILE *out, const char *text, double width)
{
	size_t characters = 0, room = width > SVG_CHAR ? (size_t)(width / SVG_CHAR) : 1, at = 0;

	for (const char *c = text; *c; c++)
		characters += starts_character(*c);
	if (characters <= room) {
		svg_escape(out, text);
		return (double)characters * SVG_CHAR;
	}
	for (; *text && (at += starts_character(*text)) < room; text++)
		escape_byte(out, (unsigned char)*text);
	fputs(ELLIPSIS, out);
	return (double)room * SVG_CHAR;
}

void svg_begin(FILE *out, const struct svg_head *head, double height)
{
	fprintf(out,
		"<svg id=\"%s\" viewBox=\"0 0 %g %g\" role=\"img\" aria-labelledby=\"%s-t %s-d\">"
		"<title id=\"%s-t\">",
		head->id, SVG_WIDTH, height, head->id, head->id, head->id);
	svg_escape(out, head->title);
	fprintf(out, "</title><desc id=\"%s-d\">", head->id);
	svg_escape(out, head->description);
	fputs("</desc>\n", out);
}

void svg_end(FILE *out)
{
	fputs("</svg>\n", out);
}

void svg_write(FILE *out, double x, double y, enum svg_anchor anchor, double width,
	       const char *class, const char *text)
{
	static const char *const anchors[] = {"start", "middle", "end"};

	fprintf(out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\"", x, y, anchors[anchor]);
	if (class)
		fprintf(out, " class=\"%s\"", class);
	fputc('>', out);
	svg_text_cut(out, text, width);
	fputs("</text>\n", out);
}

void svg_x_axis(FILE *out, const struct svg_scale *x, double top, double bottom, const char *label)
{
	double ticks[SVG_TICKS_MAX];
	char text[SVG_LABEL_MAX];
	unsigned int count = svg_ticks(x, ticks);

	for (unsigned int i = 0; i < count; i++) {
		double at = svg_at(x, ticks[i]);

		fprintf(out, "<path class=\"%s\" d=\"M%.1f %.1fV%.1f\"/>", i ? "grid" : "axis", at,
			top, bottom);
		svg_number(ticks[i], TICK_DIGITS, text);
		svg_write(out, at, bottom + SVG_ROW - 1, SVG_MIDDLE, X_TICK_ROOM, "tick", text);
	}
	svg_write(out, (x->from + x->to) / 2, bottom + 2 * SVG_ROW - 1, SVG_MIDDLE,
		  2 * fmin((x->from + x->to) / 2, SVG_WIDTH - (x->from + x->to) / 2), "label",
		  label);
}

void svg_y_axis(FILE *out, const struct svg_scale *y, double left, double right, const char *label)
{
	double ticks[SVG_TICKS_MAX];
	char text[SVG_LABEL_MAX];
	unsigned int count = svg_ticks(y, ticks);

	for (unsigned int i = 0; i < count; i++) {
		double at = svg_at(y, ticks[i]);

		fprintf(out, "<path class=\"%s\" d=\"M%.1f %.1fH%.1f\"/>", i ? "grid" : "axis",
			left, at, right);
		svg_number(ticks[i], TICK_DIGITS, text);
		svg_write(out, left - SVG_BASE, at + SVG_BASE - 1, SVG_END, left - SVG_BASE, "tick",
			  text);
	}
	svg_write(out, SVG_BASE, SVG_ROW - SVG_BASE, SVG_START, SVG_WIDTH - SVG_BASE, "label",
		  label);
}

void svg_rectangle(FILE *out, double x, double y, double width, double height, unsigned int colour,
		   const char *title)
{
	fprintf(out,
		"<rect class=\"f%u\" x=\"%.2f\" y=\"%.1f\" width=\"%.2f\" height=\"%.1f\"><title>",
		colour % SVG_COLOURS, x, y, width, height);
	svg_escape(out, title);
	fputs("</title></rect>\n", out);
}
