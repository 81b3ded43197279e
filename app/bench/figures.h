/* SPDX-License-Identifier: BSD-3-Clause */
/* A file of results as atr-bench --json writes it, read back. Files are hostile: every member that
 * is looked at is checked, others are passed over. Strings are borrowed from the file's JSON, UTF-8
 * and as hostile as the file: escape them. */
#ifndef ATR_BENCH_FIGURES_H
#define ATR_BENCH_FIGURES_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define FIGURES_BYTES_MAX   (8u << 20)
#define FIGURES_MAX         2048
#define FIGURE_STAGES_MAX   32
#define FIGURE_RATIOS_MAX   16
#define FIGURE_BUCKETS_MAX  512
#define FIGURE_TEXT_MAX     256 /* bytes of any string */
#define FIGURE_QUANTILES    5
#define FIGURE_QUANTITY_MAX 1e18 /* nothing here is larger */

struct figure_stage {
	const char *name;
	double ns; /* a message */
	double items;
	double share; /* 0..1 */
};

struct figure_ratio {
	const char *to, *reference;
	double value;
};

/* Buckets i span edge[i]..edge[i + 1], which ascend. */
struct figure_histogram {
	const char *unit;
	unsigned int buckets;
	double edge[FIGURE_BUCKETS_MAX + 1], count[FIGURE_BUCKETS_MAX];
};

struct figure {
	const char *bench, *name, *what, *scope, *unit;
	double repetitions, median, minimum, maximum;
	const json_t *parameters, *checks; /* objects of numbers, strings and booleans, or NULL */
	unsigned int stages, ratios;
	struct figure_stage stage[FIGURE_STAGES_MAX];
	struct figure_ratio ratio[FIGURE_RATIOS_MAX];
	bool quantiles;
	double quantile[FIGURE_QUANTILES];  /* as figure_quantile_names says */
	struct figure_histogram *histogram; /* or NULL */
};

struct figures {
	json_t *document;
	const char *began;
	const json_t *machine, *build; /* objects of numbers, strings and lists of strings */
	size_t count;
	struct figure *figure;
};

extern const char *const figure_quantile_names[FIGURE_QUANTILES];

/* NULL after one sentence in error, which names the member. Free with figures_free. */
struct figures *figures_parse(const char *bytes, size_t length, char *error, size_t error_size);
struct figures *figures_load(const char *path, char *error, size_t error_size);
void figures_free(struct figures *figures);

/* By name; NULL if there is none. */
const struct figure *figures_find(const struct figures *figures, const char *name);

/* A number (or boolean) among its parameters or checks; otherwise if there is none. */
double figure_number(const json_t *object, const char *name, double otherwise);

#endif
