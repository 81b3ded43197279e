/* SPDX-License-Identifier: BSD-3-Clause */
#include "perfmodel.h"

#include <errno.h>
#include <math.h>

#define SINGULAR 1e-12 /* of the determinant, relative: all n are the same */

const struct atr_perf_terms atr_perf_reference = {
	.control = 5e-6, .bridge_call = 0.5e-6, .bridge_batch = 50e-6, .data = 0.1e-6};

static bool term_valid(double term)
{
	return isfinite(term) && term >= 0;
}

bool atr_perf_terms_valid(const struct atr_perf_terms *terms)
{
	return term_valid(terms->control) && term_valid(terms->bridge_call) &&
	       term_valid(terms->bridge_batch) && term_valid(terms->data) && terms->data > 0;
}

/* What does not grow with the messages of a batch once it is large. */
static double before_data(const struct atr_perf_terms *terms, double n)
{
	return terms->control + fmin(n * terms->bridge_call, terms->bridge_batch);
}

double atr_perf_batch(const struct atr_perf_terms *terms, double n)
{
	return before_data(terms, n) + n * terms->data;
}

double atr_perf_rate(const struct atr_perf_terms *terms, double n)
{
	return n / atr_perf_batch(terms, n);
}

double atr_perf_rate_overlapped(const struct atr_perf_terms *terms, double n)
{
	return n / fmax(before_data(terms, n), n * terms->data);
}

double atr_perf_limit(const struct atr_perf_terms *terms)
{
	return 1 / terms->data;
}

double atr_perf_amdahl(double share, double speed)
{
	return 1 / (1 - share + share / speed);
}

double atr_perf_share(const struct atr_perf_terms *terms, double tier1, double n)
{
	return fmax(0, 1 - before_data(terms, n) / (n * tier1));
}

double atr_perf_speed(const struct atr_perf_terms *terms, double tier1, double n)
{
	return atr_perf_share(terms, tier1, n) * tier1 / terms->data;
}

int atr_perf_fit(const double *n, const double *seconds, size_t count, double *data, double *batch)
{
	double aa = 0, ab = 0, bb = 0, ya = 0, yb = 0, determinant;

	/* Divided by what was measured, each row reads 1 = data / t + batch / (n * t). */
	for (size_t i = 0; i < count; i++) {
		double a = 1 / seconds[i], b = 1 / (n[i] * seconds[i]);

		if (!isfinite(a) || !isfinite(b) || a <= 0 || b <= 0)
			return -EINVAL;
		aa += a * a;
		ab += a * b;
		bb += b * b;
		ya += a;
		yb += b;
	}
	determinant = aa * bb - ab * ab;
	if (!isfinite(determinant) || determinant <= SINGULAR * aa * bb)
		return -EINVAL;
	*data = (ya * bb - yb * ab) / determinant;
	*batch = (yb * aa - ya * ab) / determinant;
	return 0;
}
