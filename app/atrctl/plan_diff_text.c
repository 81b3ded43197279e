/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "plan_diff.h"
#include "term.h"

#define DIGITS_SHORT 15  /* of a number: what people wrote, in most cases */
#define VALUE_SHOWN  300 /* bytes of a value in a line; --json has all of it */

static const char *text_of(const json_t *object, const char *member)
{
	const char *text = json_string_value(json_object_get(object, member));

	return text ? text : "";
}

char *plan_diff_value(const json_t *value, size_t flags)
{
	char *text = json_dumps(value, flags | JSON_REAL_PRECISION(DIGITS_SHORT));
	json_t *again = text ? json_loads(text, JSON_DECODE_ANY, NULL) : NULL;
	bool same = again && json_equal(again, value);

	json_decref(again);
	if (same)
		return text;
	free(text);
	return json_dumps(value, flags);
}

static void print_value(FILE *to, const json_t *value)
{
	char *text =
		value ? plan_diff_value(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_ENSURE_ASCII)
		      : NULL;
	size_t length = text ? strlen(text) : 0;

	if (!value)
		fputs("not given", to);
	else
		term_text(to, text ? text : "?",
			  length > VALUE_SHOWN ? VALUE_SHOWN : (text ? length : 1));
	if (length > VALUE_SHOWN)
		fprintf(to, "... (%zu bytes; --json shows all)", length);
	free(text);
}

static void print_head(FILE *to, const json_t *change)
{
	const json_t *id = json_object_get(change, "id");
	const char *kind = text_of(change, "change"), *name = text_of(change, "name");
	const char *of = text_of(change, "of"), *source = text_of(change, "source");

	fprintf(to, "%s %s",
		strcmp(kind, "added") == 0     ? "+"
		: strcmp(kind, "removed") == 0 ? "-"
					       : "~",
		text_of(change, "what"));
	if (*of)
		fprintf(to, " of %s", of);
	if (*source) {
		fprintf(to, " %lld of source '", (long long)json_integer_value(id));
		term_text(to, source, strlen(source));
		fputc('\'', to);
	} else if (*name) {
		fputs(" '", to);
		term_text(to, name, strlen(name));
		fputc('\'', to);
		if (id)
			fprintf(to, " (%lld)", (long long)json_integer_value(id));
	}
}

static void print_elements(FILE *to, const char *sign, const json_t *elements)
{
	for (size_t i = 0; i < json_array_size(elements); i++) {
		fprintf(to, " %s", sign);
		print_value(to, json_array_get(elements, i));
	}
}

static void print_member(FILE *to, const json_t *member)
{
	const char *name = text_of(member, "member");

	fputs("    ", to);
	term_text(to, name, strlen(name));
	fputc(':', to);
	if (json_object_get(member, "added")) {
		print_elements(to, "+", json_object_get(member, "added"));
		print_elements(to, "-", json_object_get(member, "removed"));
	} else {
		fputc(' ', to);
		print_value(to, json_object_get(member, "old"));
		fputs(" -> ", to);
		print_value(to, json_object_get(member, "new"));
	}
	fputc('\n', to);
}

void plan_diff_print(FILE *to, const json_t *changes)
{
	for (size_t i = 0; i < json_array_size(changes); i++) {
		const json_t *change = json_array_get(changes, i);
		const json_t *members = json_object_get(change, "members");

		print_head(to, change);
		if (!members) {
			fputs(": ", to);
			print_value(to, json_object_get(change, "value"));
		}
		fputc('\n', to);
		for (size_t m = 0; m < json_array_size(members); m++)
			print_member(to, json_array_get(members, m));
	}
}

void plan_diff_print_summary(FILE *to, json_t *summary)
{
	const char *what, *kind, *lead = "";
	json_t *counts, *count;

	json_object_foreach(summary, what, counts)
	{
		fprintf(to, "%s%s", lead, what);
		json_object_foreach(counts, kind, count)
		{
			if (json_integer_value(count))
				fprintf(to, " %lld %s", (long long)json_integer_value(count), kind);
		}
		lead = ", ";
	}
	if (!*lead)
		fputs("no difference", to);
}
