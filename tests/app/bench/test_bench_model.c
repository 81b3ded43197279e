/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "../../../app/bench/bench_model.h"

static char error[512];

static struct figures *sample(void)
{
	struct figures *f = figures_load(BENCH_RESULTS, error, sizeof(error));

	if (!f)
		fail_msg("%s", error);
	return f;
}

/* Terms come from the figures that measure them, and rows are the trees alone, in order. */
static void test_terms(void **state)
{
	struct figures *f = sample();
	struct model m;

	(void)state;
	assert_int_equal(model_make(&m, f, error, sizeof(error)), 0);
	assert_string_equal(m.control_from->name, "tier1.64.ed25519");
	assert_string_equal(m.tier1_from->name, "tier1.64");
	assert_string_equal(m.bridge_from->name, "bridge.t_marshal.1");
	assert_true(m.terms.control == 1 / m.control_from->median);
	assert_true(m.terms.bridge_call == m.terms.bridge_batch);
	assert_int_equal(m.rows, 6);
	/* A frame has the fewer events, the longer its proof is. */
	for (unsigned int i = 0; i < m.rows; i++) {
		double tree = figure_number(m.row[i].figure->parameters, "tree", 0);

		assert_true(tree == pow(4, i));
		assert_non_null(strstr(m.row[i].figure->name, "tier3.tree"));
		assert_true(m.row[i].n == (21 - i) * tree);
	}
	assert_true(m.terms.data == 1 / m.row[m.rows - 1].rate);
	assert_true(m.usual->n == 17 * 256);
	figures_free(f);
}

/* Scenarios with the reference terms are the contract's; with ours they follow from ours. */
static void test_scenarios(void **state)
{
	struct figures *f = sample();
	struct model m;

	(void)state;
	assert_int_equal(model_make(&m, f, error, sizeof(error)), 0);
	assert_int_equal((int64_t)m.scenario[0].reference, 178571);
	assert_int_equal((int64_t)m.scenario[1].reference, 6451612);
	assert_int_equal(llround(m.scenario[2].reference), 10000000);
	assert_true(m.scenario[0].predicted < m.scenario[1].predicted);
	assert_true(m.scenario[1].predicted < m.scenario[2].predicted);
	assert_ptr_equal(m.scenario[0].from, m.tier1_from);
	assert_true(m.scenario[0].measured == m.tier1_from->median);
	assert_string_equal(m.scenario[1].from->name, "tier3.tree64"); /* N = 1,152 */
	assert_true(m.scenario[1].measured == m.scenario[1].from->median);
	assert_null(m.scenario[2].from);
	assert_true(fabs(atr_perf_amdahl(m.share, m.speed) /
				 (atr_perf_rate(&m.terms, m.usual->n) * m.tier1) -
			 1) < 1e-9);
	figures_free(f);
}

/* Without one of its benches there is no model, and the missing one is named. */
static void test_missing(void **state)
{
	static const struct {
		const char *bench, *scope, *named;
	} cases[] = {{"tier3", "tier3-ceiling", "tier3"},
		     {"tier1", "tier1", "tier1"},
		     {"bridge", "bridge", "bridge.t_marshal.1"}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct figures *f = sample();
		struct model m;

		for (size_t j = 0; j < f->count; j++)
			if (strcmp(f->figure[j].bench, cases[i].bench) == 0 ||
			    strcmp(f->figure[j].scope, cases[i].scope) == 0)
				f->figure[j].name = f->figure[j].unit = "";
		assert_int_equal(model_make(&m, f, error, sizeof(error)), -ENODATA);
		assert_non_null(strstr(error, cases[i].named));
		figures_free(f);
	}
}

/* A rate or a cost beyond anything that can be measured is no result: no term is infinite. */
static void test_bounds(void **state)
{
	static const struct {
		const char *name;
		double median;
	} cases[] = {{"tier1.64", 1e-307},
		     {"tier1.64.ed25519", 1e-307},
		     {"bridge.t_marshal.1", 1e18},
		     {"tier3.tree1024", 1e-307}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct figures *f = sample();
		struct model m;
		json_t *json;
		int rc;

		for (size_t j = 0; j < f->count; j++)
			if (strcmp(f->figure[j].name, cases[i].name) == 0)
				f->figure[j].median = cases[i].median;
		rc = model_make(&m, f, error, sizeof(error));
		if (rc == 0) { /* from others, which are sound */
			json = model_json(&m);
			assert_non_null(json);
			json_decref(json);
			assert_true(m.terms.data < 1 && m.terms.control < 1 && m.tier1 < 1);
		} else {
			assert_int_equal(rc, -ENODATA);
		}
		figures_free(f);
	}
}

/* The error of a prediction is positive where it promised too much. */
static void test_error(void **state)
{
	(void)state;
	assert_true(fabs(model_error(11, 10) - 0.1) < 1e-12);
	assert_true(fabs(model_error(9, 10) + 0.1) < 1e-12);
}

/* The JSON has every power of two, and every measured row with both errors. */
static void test_json(void **state)
{
	struct figures *f = sample();
	const json_t *rows;
	struct model m;
	json_t *json;

	(void)state;
	assert_int_equal(model_make(&m, f, error, sizeof(error)), 0);
	json = model_json(&m);
	assert_non_null(json);
	assert_int_equal(json_array_size(json_object_get(json, "predicted")), 17);
	rows = json_object_get(json, "measured");
	assert_int_equal(json_array_size(rows), 6);
	for (size_t i = 0; i < 6; i++) {
		assert_true(
			json_is_real(json_object_get(json_array_get(rows, i), "error_in_turn")));
		assert_true(
			json_is_real(json_object_get(json_array_get(rows, i), "error_at_once")));
	}
	assert_non_null(json_object_get(json, "fit"));
	json_decref(json);
	figures_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_terms),   cmocka_unit_test(test_scenarios),
		cmocka_unit_test(test_missing), cmocka_unit_test(test_error),
		cmocka_unit_test(test_json),    cmocka_unit_test(test_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
