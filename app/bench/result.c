/* SPDX-License-Identifier: BSD-3-Clause */
#include "result.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "machine.h"

#define FORMAT_VERSION 1

static int by_value(const void *x, const void *y)
{
	double a = *(const double *)x, b = *(const double *)y;

	return (a > b) - (a < b);
}

void result_sort(double *values, unsigned int count)
{
	qsort(values, count, sizeof(values[0]), by_value);
}

double result_median(const double *values, unsigned int count)
{
	return count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

json_t *result_add(json_t *results, const struct result_spec *spec, double *values,
		   unsigned int count, const struct bench_config *config)
{
	json_t *result;

	result_sort(values, count);
	result = json_pack("{s:s, s:s, s:s, s:s, s:s, s:i, s:f, s:f, s:f}", "bench", spec->bench,
			   "name", spec->name, "what", spec->what, "scope", spec->scope, "unit",
			   spec->unit, "repetitions", (int)count, "median",
			   result_median(values, count), "minimum", values[0], "maximum",
			   values[count - 1]);
	if (!result)
		bench_die("a figure is no number");
	json_object_set_new(result, "parameters",
			    json_pack("{s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:b}", "mtu",
				      (int)config->mtu, "event", (int)config->event, "frames",
				      (int)config->frames, "tree", (int)config->tree, "topics",
				      (int)config->topics, "rules", (int)config->rules, "sources",
				      (int)config->sources, "feeds", (int)config->feeds, "fanout",
				      (int)config->fanout, "mix", (int)config->mix));
	json_array_append_new(results, result);
	return result;
}

void result_ratio(json_t *result, const char *to, const char *reference, double value)
{
	json_t *ratios = json_object_get(result, "ratios");

	if (!ratios) {
		ratios = json_array();
		json_object_set_new(result, "ratios", ratios);
	}
	json_array_append_new(ratios, json_pack("{s:s, s:s, s:f}", "to", to, "reference", reference,
						"value", value));
}

json_t *result_head(const struct bench_config *config)
{
	char began[32];
	time_t now = time(NULL);
	struct tm tm;

	gmtime_r(&now, &tm);
	strftime(began, sizeof(began), "%Y-%m-%dT%H:%M:%SZ", &tm);
	return json_pack("{s:i, s:s, s:o, s:o}", "atr_bench", FORMAT_VERSION, "began", began,
			 "machine", machine_describe(config), "build", machine_build());
}

json_t *result_document(json_t *head, json_t *results)
{
	if (!head || json_object_set_new(head, "results", results) < 0)
		bench_die("the results cannot be written as JSON");
	return head;
}

static const char *text(const json_t *object, const char *name)
{
	return json_string_value(json_object_get(object, name));
}

static double value(const json_t *object, const char *name)
{
	return json_number_value(json_object_get(object, name));
}

/* A number with the prefix that makes it readable. */
static void put(FILE *out, double number, const char *unit)
{
	if (number >= 1e9)
		fprintf(out, "%8.2f G %s", number / 1e9, unit);
	else if (number >= 1e6)
		fprintf(out, "%8.2f M %s", number / 1e6, unit);
	else if (number >= 1e4)
		fprintf(out, "%8.2f k %s", number / 1e3, unit);
	else
		fprintf(out, "%8.2f   %s", number, unit);
}

static void print_details(const json_t *result, FILE *out)
{
	const json_t *list = json_object_get(result, "stages"), *one;
	size_t i;

	json_array_foreach(list, i, one)
	{
		fprintf(out, "    %-14s %7.2f ns a message, %5.1f %%, %.0f a batch\n",
			text(one, "name"), value(one, "ns_per_message"), 100 * value(one, "share"),
			value(one, "items_per_batch"));
	}
	list = json_object_get(result, "quantiles");
	if (list)
		fprintf(out, "    p50 %.1f, p95 %.1f, p99 %.1f, p99.9 %.1f, longest %.1f %s\n",
			value(list, "p50"), value(list, "p95"), value(list, "p99"),
			value(list, "p99.9"), value(list, "max"), text(result, "unit"));
	list = json_object_get(result, "pass_quantiles");
	if (list)
		fprintf(out,
			"    medians over the passes: p50 %.1f, p95 %.1f, p99 %.1f, p99.9 %.1f, "
			"longest %.1f %s\n",
			value(list, "p50"), value(list, "p95"), value(list, "p99"),
			value(list, "p99.9"), value(list, "max"), text(result, "unit"));
	list = json_object_get(result, "checks");
	if (list)
		fprintf(out,
			"    checked: %.0f sent, %.0f admitted, %.0f delivered, %.0f refused as "
			"they should, "
			"%.0f duplicates; %.0f roots verified, %.0f a second\n",
			value(list, "sent"), value(list, "admitted"), value(list, "delivered"),
			value(list, "refused"), value(list, "duplicates"),
			value(list, "roots_verified"), value(list, "roots_per_second"));
	json_array_foreach(json_object_get(result, "ratios"), i, one)
	{
		fprintf(out, "    %.3f of %s (%s)\n", value(one, "value"), text(one, "to"),
			text(one, "reference"));
	}
}

void result_print(const json_t *document, FILE *out)
{
	const json_t *machine = json_object_get(document, "machine"), *one;
	const json_t *build = json_object_get(document, "build");
	size_t i;

	fprintf(out, "%s, %.0f cores, %s pages, %.0f-bit vectors, load %.1f; atr %s, %s, %s\n",
		text(machine, "cpu"), value(machine, "cores"), text(machine, "pages"),
		value(machine, "simd_bits"), value(machine, "load"), text(build, "version"),
		text(build, "type"), text(build, "dpdk"));
	json_array_foreach(json_object_get(document, "results"), i, one)
	{
		fprintf(out, "%-24s ", text(one, "name"));
		put(out, value(one, "median"), text(one, "unit"));
		fprintf(out, " (");
		put(out, value(one, "minimum"), "to");
		put(out, value(one, "maximum"), text(one, "unit"));
		fprintf(out, ", %.0f times) %s: %s\n", value(one, "repetitions"),
			text(one, "scope"), text(one, "what"));
		print_details(one, out);
	}
}
