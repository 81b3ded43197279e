/* SPDX-License-Identifier: BSD-3-Clause */
/* The three-tier model (lib/perfmodel) over what was measured: its terms, R(N) predicted beside
 * R(N) measured, scenarios, and Amdahl's share and speed. docs/model.md says what each is. */
#ifndef ATR_BENCH_MODEL_H
#define ATR_BENCH_MODEL_H

#include <stdio.h>

#include "../../lib/perfmodel/perfmodel.h"
#include "figures.h"

#define MODEL_ROWS_MAX  32
#define MODEL_N_MAX     65536 /* R(N) is predicted for the powers of two up to here */
#define MODEL_SCENARIOS 3
#define MODEL_NAME_MAX  80 /* longer names are cut where they name an origin */

/* A measured tree size. */
struct model_row {
	const struct figure *figure;
	double n;    /* messages a signature */
	double rate; /* messages a second */
};

struct model_scenario {
	const char *name, *what;
	double n; /* 0: without end */
	double reference, predicted;
	double measured;           /* 0: nothing was measured near this N */
	const struct figure *from; /* what measured it, or NULL */
};

struct model {
	struct atr_perf_terms terms; /* measured */
	double tier1;                /* seconds a message that the control plane admits by itself */
	const struct figure *control_from, *bridge_from, *data_from, *tier1_from;
	struct model_row row[MODEL_ROWS_MAX]; /* ascending in n */
	unsigned int rows;
	bool fitted; /* two rows at least */
	double fit_data, fit_batch;
	struct model_scenario scenario[MODEL_SCENARIOS];
	const struct model_row *usual; /* trees of 256 frames, or the nearest measured */
	double share, speed;           /* P and S there */
};

/* 0, or -ENODATA after one sentence in error, which names the bench whose results are missing.
 * figures must outlive model. */
int model_make(struct model *model, const struct figures *figures, char *error, size_t error_size);

/* Relative error of a prediction: +0.1 where it promised 10% too much. */
double model_error(double predicted, double measured);

/* What model knows, for people and machines (a new reference, or NULL if it cannot be said in
 * JSON).
 */
void model_print(const struct model *model, FILE *out);
json_t *model_json(const struct model *model);

/* The command: atr-bench model [--from FILE] [--json[=FILE]]. Exit status. */
int model_main(int argc, char **argv);

#endif
