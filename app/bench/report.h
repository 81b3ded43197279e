/* SPDX-License-Identifier: BSD-3-Clause */
/* Results as one HTML page: no scripts, nothing from elsewhere, drawings in SVG. */
#ifndef ATR_BENCH_REPORT_H
#define ATR_BENCH_REPORT_H

#include <stdio.h>

#include "bench_model.h"
#include "figures.h"

/* The whole page. What was not measured is named as such. */
void report_write(const struct figures *figures, FILE *out);

/* The command: atr-bench report [--from FILE] [-o FILE]. Exit status. */
int report_main(int argc, char **argv);

/* Parts of the page. */
extern const char report_style[];
void report_tiles(const struct figures *figures, FILE *out);
void report_model(const struct figures *figures, FILE *out);
void report_stages(const struct figures *figures, FILE *out);
void report_ratios(const struct figures *figures, FILE *out);
void report_latency(const struct figures *figures, FILE *out);
void report_growth(const struct figures *figures, FILE *out);
void report_results(const struct figures *figures, FILE *out);
void report_facts(const char *heading, const json_t *facts, FILE *out);

/* A drawing's frame: its heading before, and behind it the frame's end. */
void report_figure(const char *heading, FILE *out);
void report_figure_end(FILE *out);
/* Rates with a prefix ("12.5M"), other quantities in full. */
void report_number(double value, const char *unit, FILE *out);
void report_not_measured(const char *bench, FILE *out);

#endif
