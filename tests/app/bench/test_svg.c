/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "../../../app/bench/svg.h"

/* What draw writes, as a string of the caller's. */
static char *written(void (*draw)(FILE *out))
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	draw(out);
	fclose(out);
	return text;
}

/* A linear scale begins at 0, holds every value, and maps its ends to the ends of the drawing, also
 * where these run upwards. */
static void test_linear(void **state)
{
	static const double values[] = {3, 17, 42};
	struct svg_scale s = svg_scale_over(false, values, 3, 100, 20);

	(void)state;
	assert_true(s.low == 0 && s.high == 50);
	assert_true(svg_at(&s, 0) == 100 && svg_at(&s, 50) == 20);
	assert_true(fabs(svg_at(&s, 25) - 60) < 1e-9);
}

/* A log scale spans whole decades, and equal factors are equal distances. */
static void test_log(void **state)
{
	static const double values[] = {0, 17, 4352, 900000};
	struct svg_scale s = svg_scale_over(true, values, 4, 0, 500);

	(void)state;
	assert_true(fabs(s.low - 10) < 1e-9 && fabs(s.high - 1e6) < 1e-3);
	assert_true(fabs(svg_at(&s, 100) - 100) < 1e-9);
	assert_true(fabs(svg_at(&s, 100000) - 400) < 1e-9);
}

/* No value leaves the drawing, whatever it is. */
static void test_clamped(void **state)
{
	static const double values[] = {1, 10};
	static const double odd[] = {-1e300, -1, 0, 1e-300, 11, 1e300};

	(void)state;
	for (int log = 0; log < 2; log++) {
		struct svg_scale s = svg_scale_over(log, values, 2, 10, 90);

		for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++)
			assert_true(svg_at(&s, odd[i]) >= 10 && svg_at(&s, odd[i]) <= 90);
	}
}

/* Ticks ascend within the scale, are at least two, and never more than there is room for: also for
 * nothing, one value, zeros, and a span of forty decades. */
static void test_ticks(void **state)
{
	static const double sets[][2] = {{0, 0},          {1, 1},           {1, 65536},
					 {1e-18, 1e18},   {1e-300, 1e-300}, {0.3, 0.31},
					 {9.99e17, 1e18}, {7, 1e9}};

	(void)state;
	for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
		for (int log = 0; log < 2; log++) {
			struct svg_scale s = svg_scale_over(log, sets[i], 2, 0, 100);
			double ticks[SVG_TICKS_MAX];
			unsigned int count = svg_ticks(&s, ticks);

			assert_in_range(count, 2, SVG_TICKS_MAX);
			for (unsigned int t = 0; t < count; t++) {
				assert_true(ticks[t] >= s.low);
				assert_true(ticks[t] <= s.high * 1.001);
				assert_true(t == 0 || ticks[t] > ticks[t - 1]);
			}
		}
	}
}

/* Numbers are short and round to the next prefix where they should. */
static void test_number(void **state)
{
	static const struct {
		double value;
		int digits;
		const char *text;
	} cases[] = {{0, 3, "0"},       {0.616, 3, "0.616"}, {999.4, 3, "999"},
		     {999.7, 3, "1k"},  {12345, 3, "12.3k"}, {18.1e6, 4, "18.1M"},
		     {999950, 4, "1M"}, {6.5e9, 3, "6.5G"},  {1e18, 3, "1.00e+18"},
		     {64, 3, "64"}};
	char text[SVG_LABEL_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		svg_number(cases[i].value, cases[i].digits, text);
		assert_string_equal(text, cases[i].text);
	}
}

static void draw_hostile(FILE *out)
{
	svg_escape(out, "<script>alert(\"1\")</script>&'\x01");
}

/* Text cannot become markup. */
static void test_escape(void **state)
{
	char *text = written(draw_hostile);

	(void)state;
	assert_string_equal(text, "&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;&amp;&#39;?");
	free(text);
}

static void draw_cut(FILE *out)
{
	svg_text_cut(out, "µµµµµµµµµµ", 50);
	fputc('|', out);
	svg_text_cut(out, "short", 50);
}

/* Text is cut between characters, never within one. */
static void test_cut(void **state)
{
	char *text = written(draw_cut);

	(void)state;
	assert_string_equal(text, "µµµµµµ…|short");
	free(text);
}

static void draw_nothing(FILE *out)
{
	static const double zero[] = {0, 0};
	static const struct svg_series series = {"none", SVG_LINE, 0, zero, zero, 2};

	svg_lines(out, &(struct svg_lines){{"a", "t", "d"}, "x", "y", true, true, &series, 1});
	svg_bars(out, &(struct svg_bars){{"b", "t", "d"}, "x", NULL, 0, 0, NULL});
	svg_stack(out, &(struct svg_stack){{"c", "t", "d"}, "x", NULL, 0, NULL, 0});
	svg_histogram(out,
		      &(struct svg_histogram){{"d", "t", "d"}, "x", "y", zero, zero, 1, NULL, 0});
}

/* Plots of nothing are plots, with numbers for coordinates. */
static void test_nothing(void **state)
{
	char *text = written(draw_nothing);

	(void)state;
	assert_null(strstr(text, "nan"));
	assert_null(strstr(text, "inf"));
	assert_non_null(strstr(text, "<svg id=\"d\""));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_linear),  cmocka_unit_test(test_log),
		cmocka_unit_test(test_clamped), cmocka_unit_test(test_ticks),
		cmocka_unit_test(test_number),  cmocka_unit_test(test_escape),
		cmocka_unit_test(test_cut),     cmocka_unit_test(test_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
