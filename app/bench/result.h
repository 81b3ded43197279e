/* SPDX-License-Identifier: BSD-3-Clause */
/* Results: JSON objects with scope, unit, repetitions, median, minimum and maximum. */
#ifndef ATR_BENCH_RESULT_H
#define ATR_BENCH_RESULT_H

#include <jansson.h>
#include <stdio.h>

#include "config.h"

struct result_spec {
	const char *bench, *name, *what, *scope, *unit;
};

/* Sorts values, appends a result of them to results and returns it (borrowed). */
json_t *result_add(json_t *results, const struct result_spec *spec, double *values,
		   unsigned int count, const struct bench_config *config);

/* Sorts values, ascending. */
void result_sort(double *values, unsigned int count);

/* Median of sorted values. */
double result_median(const double *values, unsigned int count);

/* Appends to a result: its ratio to another's median. */
void result_ratio(json_t *result, const char *to, const char *reference, double value);

/* What is known before anything is measured: when it began, machine and its load, build. A new
 * reference. */
json_t *result_head(const struct bench_config *config);

/* The whole document: head with results; both are stolen. Ends the process if a result holds what
 * JSON cannot say. */
json_t *result_document(json_t *head, json_t *results);

/* As text for people. */
void result_print(const json_t *document, FILE *out);

#endif
