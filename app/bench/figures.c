/* SPDX-License-Identifier: BSD-3-Clause */
#include "figures.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FORMAT_VERSION 1
#define MEMBERS_MAX    64

const char *const figure_quantile_names[FIGURE_QUANTILES] = {"p50", "p95", "p99", "p99.9", "max"};

static const char *const scopes[] = {"tier3-ceiling", "class-d", "tier1", "bridge", "reference"};

/* Where a reader is, and what is wrong there. */
struct reading {
	char where[64];
	char *error;
	size_t error_size;
};

static bool refuse(struct reading *r, const char *member, const char *what)
{
	snprintf(r->error, r->error_size,
		 "%s%s%s: %s; make the file with atr-bench all --json=FILE", r->where,
		 r->where[0] && member[0] ? "." : "", member, what);
	return false;
}

static bool good_text(const json_t *value)
{
	/* Jansson refuses U+0000 in strings, and what is no UTF-8. */
	return json_is_string(value) && json_string_length(value) <= FIGURE_TEXT_MAX;
}

static bool good_number(const json_t *value)
{
	double number = json_number_value(value);

	return json_is_number(value) && isfinite(number) && number >= 0 &&
	       number <= FIGURE_QUANTITY_MAX;
}

static bool text(struct reading *r, const json_t *object, const char *name, const char **out)
{
	const json_t *value = json_object_get(object, name);

	if (!good_text(value))
		return refuse(r, name, "not a string of at most 256 bytes");
	*out = json_string_value(value);
	return true;
}

static bool number(struct reading *r, const json_t *object, const char *name, double *out)
{
	const json_t *value = json_object_get(object, name);

	if (!good_number(value))
		return refuse(r, name, "not a number of 0 to 1e18");
	*out = json_number_value(value);
	return true;
}

static bool good_list(const json_t *list)
{
	const json_t *value;
	size_t i;

	if (!json_is_array(list) || json_array_size(list) > MEMBERS_MAX)
		return false;
	json_array_foreach(list, i, value) if (!good_text(value)) return false;
	return true;
}

/* An object whose members are simple; NULL in out where it is optional and missing. */
static bool facts(struct reading *r, json_t *object, const char *name, bool optional,
		  const json_t **out)
{
	json_t *facts = json_object_get(object, name), *value;
	const char *key;

	*out = NULL;
	if (!facts && optional)
		return true;
	if (!json_is_object(facts) || json_object_size(facts) > MEMBERS_MAX)
		return refuse(r, name, "not an object of at most 64 members");
	json_object_foreach(facts, key, value)
	{
		if (strlen(key) > FIGURE_TEXT_MAX || !(good_text(value) || good_number(value) ||
						       json_is_boolean(value) || good_list(value)))
			return refuse(r, name,
				      "a member is no short string, number, boolean or "
				      "list of strings");
	}
	*out = facts;
	return true;
}

/* An optional list of at most max members; its size in count. */
static bool list(struct reading *r, const json_t *object, const char *name, unsigned int max,
		 const json_t **out, unsigned int *count)
{
	*out = json_object_get(object, name);
	*count = (unsigned int)json_array_size(*out);
	if (*out && (!json_is_array(*out) || json_array_size(*out) > max))
		return refuse(r, name, "not a list, or a longer one than any bench makes");
	return true;
}

static bool stages(struct reading *r, const json_t *object, struct figure *f)
{
	const json_t *all, *one;
	size_t i;

	if (!list(r, object, "stages", FIGURE_STAGES_MAX, &all, &f->stages))
		return false;
	json_array_foreach(all, i, one)
	{
		struct figure_stage *s = &f->stage[i];

		if (!text(r, one, "name", &s->name) || !number(r, one, "ns_per_message", &s->ns) ||
		    !number(r, one, "items_per_batch", &s->items) ||
		    !number(r, one, "share", &s->share))
			return false;
	}
	return true;
}

static bool ratios(struct reading *r, const json_t *object, struct figure *f)
{
	const json_t *all, *one;
	size_t i;

	if (!list(r, object, "ratios", FIGURE_RATIOS_MAX, &all, &f->ratios))
		return false;
	json_array_foreach(all, i, one)
	{
		struct figure_ratio *ratio = &f->ratio[i];

		if (!text(r, one, "to", &ratio->to) ||
		    !text(r, one, "reference", &ratio->reference) ||
		    !number(r, one, "value", &ratio->value))
			return false;
	}
	return true;
}

static bool quantiles(struct reading *r, const json_t *object, struct figure *f)
{
	const json_t *all = json_object_get(object, "quantiles");

	if (!all)
		return true;
	for (unsigned int q = 0; q < FIGURE_QUANTILES; q++)
		if (!number(r, all, figure_quantile_names[q], &f->quantile[q]))
			return false;
	f->quantiles = true;
	return true;
}

/* Bounds are the upper ends of the buckets, or with one more the edges, or with one less the last
 * bucket is open and drawn as wide as the one before. */
static bool edges(struct reading *r, const json_t *bounds, struct figure_histogram *h)
{
	size_t count = json_array_size(bounds), first;

	if (!json_is_array(bounds) || count + 1 < h->buckets || count > h->buckets + 1)
		return refuse(r, "histogram.bounds", "not one bound for each count");
	first = count == h->buckets + 1 ? 0 : 1;
	for (size_t i = 0; i < count; i++) {
		const json_t *value = json_array_get(bounds, i);

		if (!good_number(value))
			return refuse(r, "histogram.bounds", "not all numbers of 0 to 1e18");
		h->edge[first + i] = json_number_value(value);
	}
	if (count + 1 == h->buckets)
		h->edge[h->buckets] =
			2 * h->edge[h->buckets - 1] - h->edge[h->buckets > 1 ? h->buckets - 2 : 0];
	for (unsigned int i = 0; i < h->buckets; i++)
		if (h->edge[i] > h->edge[i + 1])
			return refuse(r, "histogram.bounds", "not ascending");
	return true;
}

static bool histogram(struct reading *r, const json_t *object, struct figure *f)
{
	const json_t *h = json_object_get(object, "histogram"), *counts, *value;
	unsigned int buckets;
	size_t i;

	if (!h)
		return true;
	if (!list(r, h, "counts", FIGURE_BUCKETS_MAX, &counts, &buckets))
		return false;
	if (buckets == 0)
		return refuse(r, "histogram.counts", "empty");
	f->histogram = calloc(1, sizeof(*f->histogram));
	if (!f->histogram)
		return refuse(r, "histogram", "out of memory");
	f->histogram->buckets = buckets;
	json_array_foreach(counts, i, value)
	{
		if (!good_number(value))
			return refuse(r, "histogram.counts", "not all numbers of 0 to 1e18");
		f->histogram->count[i] = json_number_value(value);
	}
	return text(r, h, "unit", &f->histogram->unit) &&
	       edges(r, json_object_get(h, "bounds"), f->histogram);
}

static bool known_scope(const char *scope)
{
	for (size_t i = 0; i < sizeof(scopes) / sizeof(scopes[0]); i++)
		if (strcmp(scope, scopes[i]) == 0)
			return true;
	return false;
}

static bool result(struct reading *r, json_t *object, struct figure *f)
{
	if (!text(r, object, "bench", &f->bench) || !text(r, object, "name", &f->name) ||
	    !text(r, object, "what", &f->what) || !text(r, object, "scope", &f->scope) ||
	    !text(r, object, "unit", &f->unit) ||
	    !number(r, object, "repetitions", &f->repetitions) ||
	    !number(r, object, "median", &f->median) ||
	    !number(r, object, "minimum", &f->minimum) ||
	    !number(r, object, "maximum", &f->maximum))
		return false;
	if (!known_scope(f->scope))
		return refuse(r, "scope", "not one that figures here can have");
	if (f->minimum > f->median || f->median > f->maximum)
		return refuse(r, "median", "not between minimum and maximum");
	return facts(r, object, "parameters", true, &f->parameters) &&
	       facts(r, object, "checks", true, &f->checks) && stages(r, object, f) &&
	       ratios(r, object, f) && quantiles(r, object, f) && histogram(r, object, f);
}

static bool all_results(struct reading *r, struct figures *figures)
{
	json_t *results = json_object_get(figures->document, "results"), *one;
	size_t i;

	if (!json_is_array(results) || json_array_size(results) > FIGURES_MAX)
		return refuse(r, "results", "not a list of at most 2048");
	figures->figure = calloc(json_array_size(results) + 1, sizeof(struct figure));
	if (!figures->figure)
		return refuse(r, "results", "out of memory");
	figures->count = json_array_size(results);
	json_array_foreach(results, i, one)
	{
		snprintf(r->where, sizeof(r->where), "results[%zu]", i);
		if (!result(r, one, &figures->figure[i]))
			return false;
	}
	return true;
}

static bool document(struct reading *r, struct figures *figures)
{
	double version;

	if (!number(r, figures->document, "atr_bench", &version))
		return false;
	if (version != FORMAT_VERSION)
		return refuse(r, "atr_bench", "not version 1, which this program reads");
	return text(r, figures->document, "began", &figures->began) &&
	       facts(r, figures->document, "machine", false, &figures->machine) &&
	       facts(r, figures->document, "build", false, &figures->build) &&
	       all_results(r, figures);
}

struct figures *figures_parse(const char *bytes, size_t length, char *error, size_t error_size)
{
	struct reading reading = {.error = error, .error_size = error_size};
	struct figures *figures = calloc(1, sizeof(*figures));
	json_error_t why;

	if (!figures) {
		refuse(&reading, "", "out of memory");
		return NULL;
	}
	figures->document = json_loadb(bytes, length, JSON_REJECT_DUPLICATES, &why);
	if (!figures->document)
		snprintf(error, error_size,
			 "line %d: %s; make the file with atr-bench all --json=FILE", why.line,
			 why.text);
	if (!figures->document || !document(&reading, figures)) {
		figures_free(figures);
		return NULL;
	}
	return figures;
}

struct figures *figures_load(const char *path, char *error, size_t error_size)
{
	char *bytes = malloc(FIGURES_BYTES_MAX + 1), why[512];
	FILE *file = fopen(path, "rb");
	struct figures *figures = NULL;
	size_t length;

	if (!bytes || !file) {
		snprintf(error, error_size, "%s cannot be read: %s", path, strerror(errno));
		goto out;
	}
	length = fread(bytes, 1, FIGURES_BYTES_MAX + 1, file);
	if (ferror(file) || length > FIGURES_BYTES_MAX) {
		snprintf(error, error_size, "%s cannot be read, or is longer than 8 MiB", path);
		goto out;
	}
	figures = figures_parse(bytes, length, why, sizeof(why));
	if (!figures)
		snprintf(error, error_size, "%s: %s", path, why);
out:
	if (file)
		fclose(file);
	free(bytes);
	return figures;
}

void figures_free(struct figures *figures)
{
	if (!figures)
		return;
	for (size_t i = 0; i < figures->count; i++)
		free(figures->figure[i].histogram);
	free(figures->figure);
	json_decref(figures->document);
	free(figures);
}

const struct figure *figures_find(const struct figures *figures, const char *name)
{
	for (size_t i = 0; i < figures->count; i++)
		if (strcmp(figures->figure[i].name, name) == 0)
			return &figures->figure[i];
	return NULL;
}

double figure_number(const json_t *object, const char *name, double otherwise)
{
	const json_t *value = json_object_get(object, name);

	if (json_is_boolean(value))
		return json_is_true(value);
	return json_is_number(value) ? json_number_value(value) : otherwise;
}
