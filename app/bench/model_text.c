/* SPDX-License-Identifier: BSD-3-Clause */
/* The model as text and as JSON. */
#include <math.h>

#include "bench_model.h"

#define US          1e6 /* in a second */
#define PERCENT     100.0
#define REFERENCE_P 0.95
#define REFERENCE_S 100

static void term(FILE *out, const char *name, double reference, double measured,
		 const struct figure *from)
{
	fprintf(out, "  %-9s %10.3f %10.3f   %s\n", name, reference * US, measured * US,
		from->name);
}

static void print_terms(const struct model *m, FILE *out)
{
	const struct atr_perf_terms *r = &atr_perf_reference;

	fprintf(out, "Terms, microseconds\n  %-9s %10s %10s   measured by\n", "", "reference",
		"measured");
	term(out, "T_control", r->control, m->terms.control, m->control_from);
	term(out, "T_bridge", r->bridge_call, m->terms.bridge_call, m->bridge_from);
	fprintf(out, "  %-9s %10.3f %10s   one request carries a batch of any size\n", " a batch",
		r->bridge_batch * US, "the same");
	term(out, "T_data", r->data, m->terms.data, m->data_from);
	fprintf(out, "  %-9s %10s %10.3f   %s\n", "T1", "", m->tier1 * US, m->tier1_from->name);
	if (m->fitted)
		fprintf(out,
			"Fitted to the rows below: %.1f ns a message and %.2f us a signature\n",
			m->fit_data * US * 1e3, m->fit_batch * US);
}

static void print_row(const struct model *m, double n, const struct model_row *row, FILE *out)
{
	double sum = atr_perf_rate(&m->terms, n), both = atr_perf_rate_overlapped(&m->terms, n);

	fprintf(out, "  %6.0f %12.0f %12.0f %12.0f", n, atr_perf_rate(&atr_perf_reference, n), sum,
		both);
	if (row)
		fprintf(out, " %12.0f %+7.1f%% %+7.1f%%", row->rate,
			PERCENT * model_error(sum, row->rate),
			PERCENT * model_error(both, row->rate));
	fputc('\n', out);
}

/* Powers of two and what was measured, in order. */
static void print_rows(const struct model *m, FILE *out)
{
	unsigned int r = 0;

	fprintf(out,
		"R(N), messages a second: N messages under a signature\n"
		"  %6s %12s %12s %12s %12s %8s %8s\n",
		"N", "reference", "in turn", "at once", "measured", "in turn", "at once");
	for (double n = 1; n <= MODEL_N_MAX; n *= 2) {
		for (; r < m->rows && m->row[r].n < n; r++)
			print_row(m, m->row[r].n, &m->row[r], out);
		print_row(m, n, r < m->rows && m->row[r].n == n ? &m->row[r] : NULL, out);
		if (r < m->rows && m->row[r].n == n)
			r++;
	}
	for (; r < m->rows; r++)
		print_row(m, m->row[r].n, &m->row[r], out);
}

static void print_scenarios(const struct model *m, FILE *out)
{
	fprintf(out, "Scenarios, messages a second\n  %-36s %12s %12s %12s\n", "", "reference",
		"our terms", "measured");
	for (unsigned int i = 0; i < MODEL_SCENARIOS; i++) {
		const struct model_scenario *s = &m->scenario[i];

		fprintf(out, "  %s: %-33s %12.0f %12.0f", s->name, s->what, floor(s->reference),
			floor(s->predicted));
		if (s->from)
			fprintf(out, " %12.0f  %s", s->measured, s->from->name);
		fputc('\n', out);
	}
}

void model_print(const struct model *m, FILE *out)
{
	print_terms(m, out);
	fputc('\n', out);
	print_rows(m, out);
	fputc('\n', out);
	print_scenarios(m, out);
	fprintf(out,
		"\nAmdahl\n"
		"  reference: P = %.2f, S = %d: %.2f times\n"
		"  here, N = %.0f: P = %.5f, S = %.0f: %.1f times tier 1; measured %.1f times\n",
		REFERENCE_P, REFERENCE_S, atr_perf_amdahl(REFERENCE_P, REFERENCE_S), m->usual->n,
		m->share, m->speed, atr_perf_amdahl(m->share, m->speed), m->usual->rate * m->tier1);
}

static json_t *terms_json(const struct atr_perf_terms *t)
{
	return json_pack("{s:f, s:f, s:f, s:f}", "t_control_us", t->control * US,
			 "t_bridge_call_us", t->bridge_call * US, "t_bridge_batch_us",
			 t->bridge_batch * US, "t_data_us", t->data * US);
}

static json_t *from_json(const struct model *m)
{
	return json_pack("{s:s, s:s, s:s, s:s}", "t_control", m->control_from->name, "t_bridge",
			 m->bridge_from->name, "t_data", m->data_from->name, "t1",
			 m->tier1_from->name);
}

/* A number that JSON does not have leaves a hole: nothing then. */
static json_t *whole(json_t *json, int failed)
{
	if (!failed)
		return json;
	json_decref(json);
	return NULL;
}

static json_t *predictions_json(const struct model *m)
{
	json_t *list = json_array();
	int rc = 0;

	for (double n = 1; n <= MODEL_N_MAX; n *= 2)
		rc |= json_array_append_new(
			list, json_pack("{s:f, s:f, s:f, s:f}", "n", n, "reference",
					atr_perf_rate(&atr_perf_reference, n), "in_turn",
					atr_perf_rate(&m->terms, n), "at_once",
					atr_perf_rate_overlapped(&m->terms, n)));
	return whole(list, rc);
}

static json_t *measured_json(const struct model *m)
{
	json_t *list = json_array();
	int rc = 0;

	for (unsigned int i = 0; i < m->rows; i++) {
		const struct model_row *r = &m->row[i];
		double sum = atr_perf_rate(&m->terms, r->n);
		double both = atr_perf_rate_overlapped(&m->terms, r->n);

		rc |= json_array_append_new(list,
					    json_pack("{s:s, s:f, s:f, s:f, s:f, s:f, s:f}", "name",
						      r->figure->name, "n", r->n, "measured",
						      r->rate, "in_turn", sum, "at_once", both,
						      "error_in_turn", model_error(sum, r->rate),
						      "error_at_once", model_error(both, r->rate)));
	}
	return whole(list, rc);
}

static json_t *scenarios_json(const struct model *m)
{
	json_t *object = json_object();
	int rc = 0;

	for (unsigned int i = 0; i < MODEL_SCENARIOS; i++) {
		const struct model_scenario *s = &m->scenario[i];
		json_t *one = json_pack("{s:s, s:f, s:f}", "what", s->what, "reference",
					s->reference, "our_terms", s->predicted);

		if (s->from) {
			rc |= json_object_set_new(one, "measured", json_real(s->measured));
			rc |= json_object_set_new(one, "measured_by", json_string(s->from->name));
		}
		rc |= json_object_set_new(object, s->name, one);
	}
	return whole(object, rc);
}

json_t *model_json(const struct model *m)
{
	json_t *model = json_pack("{s:i, s:{s:o, s:o}, s:f, s:o, s:o, s:o, s:o}", "atr_bench_model",
				  1, "terms", "reference", terms_json(&atr_perf_reference),
				  "measured", terms_json(&m->terms), "t1_us", m->tier1 * US,
				  "measured_by", from_json(m), "predicted", predictions_json(m),
				  "measured", measured_json(m), "scenarios", scenarios_json(m));
	int rc;

	rc = json_object_set_new(model, "amdahl",
				 json_pack("{s:{s:f, s:i, s:f}, s:{s:f, s:f, s:f, s:f, s:f}}",
					   "reference", "p", REFERENCE_P, "s", REFERENCE_S,
					   "speedup", atr_perf_amdahl(REFERENCE_P, REFERENCE_S),
					   "here", "n", m->usual->n, "p", m->share, "s", m->speed,
					   "speedup", atr_perf_amdahl(m->share, m->speed),
					   "measured", m->usual->rate * m->tier1));
	if (m->fitted)
		rc |= json_object_set_new(model, "fit",
					  json_pack("{s:f, s:f}", "ns_a_message", m->fit_data * 1e9,
						    "us_a_signature", m->fit_batch * US));
	return whole(model, rc);
}
