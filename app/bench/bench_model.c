/* SPDX-License-Identifier: BSD-3-Clause */
#include "bench_model.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define USUAL_TREE        256
#define USUAL_MTU         1500
#define TIER1             "tier1"
#define PAYLOAD           "payload"
#define TREE_NAMED        "tier3.tree"
#define BATCH_N           1000 /* scenario B */
#define NS                1e-9
#define NEAR              0.25 /* of a scenario's N */
#define N_MAX             1e9  /* more messages than a signature can have */
#define RATE_MIN          1e-3 /* a message in a quarter of an hour: no rate of anything here */
#define NS_MAX            1e12 /* as a quarter of an hour */
#define MESSAGES_PER_ROOT "messages_per_root"
#define BRIDGE_NAME       "bridge.t_marshal.1"
#define BRIDGE_NAMED      (sizeof(BRIDGE_NAME) - 1)

/* Rows of one data lcore and the smallest plan, so that they differ in the size of trees alone. */
static const char *const ones[] = {"topics", "rules", "sources", "feeds", "fanout", "data_lcores"};

static bool is_rate(const struct figure *f)
{
	return strstr(f->unit, "/s") && f->median >= RATE_MIN;
}

static bool is_tree_row(const struct figure *f)
{
	const json_t *p = f->parameters;

	if (strcmp(f->scope, "tier3-ceiling") != 0 || strcmp(f->unit, "msg/s") != 0 ||
	    figure_number(p, "tree", 0) < 1 || figure_number(p, "mtu", 0) != USUAL_MTU ||
	    figure_number(p, "mix", 0) != 0 || figure_number(p, "verifiers", 0) != 0)
		return false;
	for (size_t i = 0; i < sizeof(ones) / sizeof(ones[0]); i++)
		if (figure_number(p, ones[i], 1) != 1)
			return false;
	return is_rate(f) && figure_number(f->checks, "roots_per_second", 0) >= RATE_MIN;
}

static int by_n(const void *x, const void *y)
{
	double a = ((const struct model_row *)x)->n, b = ((const struct model_row *)y)->n;

	return (a > b) - (a < b);
}

static void add_row(struct model *model, const struct figure *f)
{
	double n =
		round(figure_number(f->checks, MESSAGES_PER_ROOT,
				    f->median / figure_number(f->checks, "roots_per_second", 0)));

	if (!(n >= 1 && n <= N_MAX))
		return;
	for (unsigned int i = 0; i < model->rows; i++) {
		if (model->row[i].n != n)
			continue;
		/* Trees of all sizes are measured one after the other: rather these. */
		if (strncmp(f->name, TREE_NAMED, strlen(TREE_NAMED)) == 0)
			model->row[i] = (struct model_row){f, n, f->median};
		return;
	}
	if (model->rows == MODEL_ROWS_MAX)
		return;
	model->row[model->rows++] = (struct model_row){f, n, f->median};
}

/* Envelopes a second, with the smallest payload. */
static const struct figure *find_tier1(const struct figures *figures)
{
	const struct figure *best = NULL;

	for (size_t i = 0; i < figures->count; i++) {
		const struct figure *f = &figures->figure[i];

		if (strcmp(f->bench, TIER1) == 0 && strcmp(f->scope, TIER1) == 0 && is_rate(f) &&
		    (!best || figure_number(f->parameters, PAYLOAD, 0) <
				      figure_number(best->parameters, PAYLOAD, 0)))
			best = f;
	}
	return best;
}

/* Signatures a second, measured beside these envelopes. */
static const struct figure *find_control(const struct figures *figures, const struct figure *tier1)
{
	for (unsigned int r = 0; tier1 && r < tier1->ratios; r++) {
		const struct figure *f = figures_find(figures, tier1->ratio[r].reference);

		if (f && strcmp(f->scope, "reference") == 0 && is_rate(f))
			return f;
	}
	return NULL;
}

static const struct figure *find_bridge(const struct figures *figures)
{
	for (size_t i = 0; i < figures->count; i++) {
		const struct figure *f = &figures->figure[i];

		if (strncmp(f->name, BRIDGE_NAME, BRIDGE_NAMED) == 0 &&
		    (f->name[BRIDGE_NAMED] == '\0' || f->name[BRIDGE_NAMED] == '.') &&
		    strncmp(f->unit, "ns", 2) == 0 && f->median > 0 && f->median <= NS_MAX)
			return f;
	}
	return NULL;
}

/* The row nearest to n, in the ratio of the two. */
static const struct model_row *nearest(const struct model *model, double n)
{
	const struct model_row *best = &model->row[0];

	for (unsigned int i = 1; i < model->rows; i++)
		if (fabs(log(model->row[i].n / n)) < fabs(log(best->n / n)))
			best = &model->row[i];
	return best;
}

static const struct model_row *usual_row(const struct model *model)
{
	for (unsigned int i = 0; i < model->rows; i++)
		if (figure_number(model->row[i].figure->parameters, "tree", 0) == USUAL_TREE)
			return &model->row[i];
	return &model->row[model->rows - 1];
}

/* What was measured at the N of a scenario, or near it. */
static void set_measured(struct model *model, struct model_scenario *scenario)
{
	const struct model_row *row = nearest(model, scenario->n);

	if (scenario->n == 1) {
		scenario->measured = model->tier1_from->median;
		scenario->from = model->tier1_from;
	} else if (fabs(row->n / scenario->n - 1) <= NEAR) {
		scenario->measured = row->rate;
		scenario->from = row->figure;
	}
}

static void scenarios(struct model *model)
{
	const struct atr_perf_terms *r = &atr_perf_reference, *m = &model->terms;

	model->scenario[0] = (struct model_scenario){
		"A", "a signature a message", 1, atr_perf_rate(r, 1), atr_perf_rate(m, 1), 0, NULL};
	model->scenario[1] = (struct model_scenario){"B",
						     "a signature for 1,000 messages",
						     BATCH_N,
						     atr_perf_rate(r, BATCH_N),
						     atr_perf_rate(m, BATCH_N),
						     0,
						     NULL};
	model->scenario[2] = (struct model_scenario){
		"C", "the data plane owns the loop", 0, atr_perf_limit(r), atr_perf_limit(m), 0,
		NULL};
	set_measured(model, &model->scenario[0]);
	set_measured(model, &model->scenario[1]);
}

static int missing(char *error, size_t size, const char *what)
{
	snprintf(error, size, "these results lack %s; measure with atr-bench all", what);
	return -ENODATA;
}

int model_make(struct model *model, const struct figures *figures, char *error, size_t error_size)
{
	double n[MODEL_ROWS_MAX], seconds[MODEL_ROWS_MAX];

	memset(model, 0, sizeof(*model));
	for (size_t i = 0; i < figures->count; i++)
		if (is_tree_row(&figures->figure[i]))
			add_row(model, &figures->figure[i]);
	model->tier1_from = find_tier1(figures);
	model->control_from = find_control(figures, model->tier1_from);
	model->bridge_from = find_bridge(figures);
	if (model->rows == 0)
		return missing(error, error_size, "tier3 at an MTU of 1,500");
	if (!model->control_from || !model->tier1_from)
		return missing(error, error_size, TIER1);
	if (!model->bridge_from)
		return missing(error, error_size, BRIDGE_NAME);
	qsort(model->row, model->rows, sizeof(model->row[0]), by_n);
	model->data_from = model->row[model->rows - 1].figure;
	model->tier1 = 1 / model->tier1_from->median;
	model->terms.control = 1 / model->control_from->median;
	model->terms.bridge_call = model->terms.bridge_batch = model->bridge_from->median * NS;
	model->terms.data = 1 / model->data_from->median;
	for (unsigned int i = 0; i < model->rows; i++) {
		n[i] = model->row[i].n;
		seconds[i] = 1 / model->row[i].rate;
	}
	model->fitted =
		atr_perf_fit(n, seconds, model->rows, &model->fit_data, &model->fit_batch) == 0;
	scenarios(model);
	model->usual = usual_row(model);
	model->share = atr_perf_share(&model->terms, model->tier1, model->usual->n);
	model->speed = atr_perf_speed(&model->terms, model->tier1, model->usual->n);
	return atr_perf_terms_valid(&model->terms) ? 0 : missing(error, error_size, "sound terms");
}

double model_error(double predicted, double measured)
{
	return predicted / measured - 1;
}
