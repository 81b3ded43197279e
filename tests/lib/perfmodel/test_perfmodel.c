/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <cmocka.h>

#include "../../../lib/perfmodel/perfmodel.h"

#define CLOSE 1e-9 /* relative */

static void close_to(double got, double want)
{
	if (fabs(got - want) > CLOSE * fabs(want))
		fail_msg("%.12g is not %.12g", got, want);
}

/* The reference terms give the contract's figures to their last digit. */
static void test_reference_scenarios(void **state)
{
	const struct atr_perf_terms *r = &atr_perf_reference;

	(void)state;
	assert_int_equal((int64_t)atr_perf_rate(r, 1), 178571);
	assert_int_equal((int64_t)atr_perf_rate(r, 1000), 6451612);
	assert_int_equal(llround(atr_perf_limit(r)), 10000000);
	assert_true(atr_perf_terms_valid(r));
}

/* Amdahl's law gives 16.81 for 95% made a hundred times faster, and its two ends. */
static void test_amdahl(void **state)
{
	char text[16];

	(void)state;
	snprintf(text, sizeof(text), "%.2f", atr_perf_amdahl(0.95, 100));
	assert_string_equal(text, "16.81");
	close_to(atr_perf_amdahl(0, 100), 1);
	close_to(atr_perf_amdahl(1, 100), 100);
}

/* More messages under a signature never make it slower, and never faster than the data plane; work
 * at once lies between the sum and twice of it. */
static void test_order(void **state)
{
	static const struct atr_perf_terms measured = {46e-6, 0.3e-6, 0.3e-6, 45e-9};
	const struct atr_perf_terms *both[] = {&atr_perf_reference, &measured};

	(void)state;
	for (unsigned int i = 0; i < 2; i++) {
		double last = 0;

		for (double n = 1; n <= 65536; n *= 2) {
			double rate = atr_perf_rate(both[i], n);
			double overlapped = atr_perf_rate_overlapped(both[i], n);

			assert_true(rate > last && rate < atr_perf_limit(both[i]));
			assert_true(overlapped >= rate && overlapped <= 2 * rate);
			assert_true(overlapped <= atr_perf_limit(both[i]));
			close_to(n / rate, atr_perf_batch(both[i], n));
			last = rate;
		}
	}
}

/* Share and speed explain the whole gain over a control plane that does each message by itself. */
static void test_share_and_speed(void **state)
{
	static const struct atr_perf_terms terms = {46e-6, 0.3e-6, 0.3e-6, 45e-9};
	const double tier1 = 55e-6;

	(void)state;
	for (double n = 1; n <= 65536; n *= 4)
		close_to(atr_perf_amdahl(atr_perf_share(&terms, tier1, n),
					 atr_perf_speed(&terms, tier1, n)),
			 atr_perf_rate(&terms, n) * tier1);
	/* A control plane faster than the batch's own control work is relieved of nothing. */
	assert_true(atr_perf_share(&terms, 1e-6, 1) == 0);
}

/* A fit finds the terms that made the rows, and stands between rows that disagree. */
static void test_fit(void **state)
{
	static const double n[] = {17, 68, 272, 1088, 4352, 17408};
	double seconds[6], data, batch;

	(void)state;
	for (unsigned int i = 0; i < 6; i++)
		seconds[i] = 45e-9 + 46e-6 / n[i];
	assert_int_equal(atr_perf_fit(n, seconds, 6, &data, &batch), 0);
	close_to(data, 45e-9);
	close_to(batch, 46e-6);
	seconds[5] *= 1.1;
	assert_int_equal(atr_perf_fit(n, seconds, 6, &data, &batch), 0);
	assert_true(data > 45e-9 && data < 50e-9);
}

/* Rows that determine nothing are refused, and so is what is no time. */
static void test_fit_refuses(void **state)
{
	static const double same[] = {17, 17, 17}, n[] = {1, 2},
			    bad[][2] = {{0, 1}, {-1, 1}, {NAN, 1}, {INFINITY, 1}};
	static const double seconds[] = {1e-6, 2e-6, 3e-6};
	double data, batch;

	(void)state;
	assert_int_equal(atr_perf_fit(same, seconds, 3, &data, &batch), -EINVAL);
	assert_int_equal(atr_perf_fit(n, seconds, 1, &data, &batch), -EINVAL);
	assert_int_equal(atr_perf_fit(n, seconds, 0, &data, &batch), -EINVAL);
	for (unsigned int i = 0; i < 4; i++)
		assert_int_equal(atr_perf_fit(n, bad[i], 2, &data, &batch), -EINVAL);
}

/* Terms that no measurement gives are told from ones that it may. */
static void test_terms(void **state)
{
	static const struct atr_perf_terms bad[] = {
		{-1e-6, 0, 0, 1e-9}, {NAN, 0, 0, 1e-9}, {0, 0, INFINITY, 1e-9},
		{0, -1e-9, 0, 1e-9}, {1e-6, 0, 0, 0},
	};
	static const struct atr_perf_terms free_bridge = {0, 0, 0, 1e-9};

	(void)state;
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(atr_perf_terms_valid(&bad[i]));
	assert_true(atr_perf_terms_valid(&free_bridge));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reference_scenarios),
		cmocka_unit_test(test_amdahl),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_share_and_speed),
		cmocka_unit_test(test_fit),
		cmocka_unit_test(test_fit_refuses),
		cmocka_unit_test(test_terms),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
