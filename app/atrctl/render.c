/* SPDX-License-Identifier: BSD-3-Clause */
#include "telemetry.h"

#include <stdlib.h>
#include <string.h>

#include "term.h"

#define DEPTH_MAX   16
#define COLUMNS_MAX 32

static bool is_scalar(const json_t *value)
{
	return !json_is_object(value) && !json_is_array(value);
}

/* A scalar as text, owned by the caller. */
static char *scalar_text(json_t *value)
{
	char *text = NULL, number[32];
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return NULL;
	if (json_is_string(value))
		term_text(f, json_string_value(value), json_string_length(value));
	else if (json_is_integer(value) && json_integer_value(value) >= 0)
		fputs(term_grouped((uint64_t)json_integer_value(value), number), f);
	else if (json_is_integer(value))
		fprintf(f, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
	else if (json_is_real(value))
		fprintf(f, "%.3f", json_real_value(value));
	else if (json_is_boolean(value))
		fputs(json_is_true(value) ? "yes" : "no", f);
	else
		fputs("-", f);
	fclose(f);
	return text;
}

static void print_scalar(FILE *to, json_t *value, int width)
{
	char *text = scalar_text(value);

	if (text)
		fprintf(to, json_is_number(value) ? "%*s" : "%-*s", width, text);
	free(text);
}

static int scalar_width(json_t *value)
{
	char *text = scalar_text(value);
	int width = text ? (int)strlen(text) : 0;

	free(text);
	return width;
}

/* True if every element is an object of scalars with the first one's members: a table. */
static bool is_table(json_t *rows)
{
	json_t *first = json_array_get(rows, 0), *row, *cell;
	const char *name;
	size_t i;

	if (!json_is_object(first) || json_object_size(first) == 0 ||
	    json_object_size(first) > COLUMNS_MAX)
		return false;
	json_array_foreach(rows, i, row)
	{
		if (!json_is_object(row) || json_object_size(row) != json_object_size(first))
			return false;
		json_object_foreach(row, name, cell)
		{
			if (!is_scalar(cell) || !json_object_get(first, name))
				return false;
		}
	}
	return true;
}

/* Column names come from the other side, too. */
static void print_name(FILE *to, const char *name, int width)
{
	char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return;
	term_text(f, name, strlen(name));
	fclose(f);
	fprintf(to, "%-*s", width, text);
	free(text);
}

static void render_table(FILE *to, json_t *rows, int indent)
{
	json_t *first = json_array_get(rows, 0), *row, *cell;
	int width[COLUMNS_MAX], k = 0;
	const char *name;
	size_t i;

	json_object_foreach(first, name, cell)
	{
		width[k] = (int)strlen(name);
		json_array_foreach(rows, i, row)
		{
			int w = scalar_width(json_object_get(row, name));

			if (w > width[k])
				width[k] = w;
		}
		k++;
	}
	k = 0;
	fprintf(to, "%*s", indent, "");
	json_object_foreach(first, name, cell)
	{
		if (json_is_number(cell))
			fprintf(to, "%*s", width[k] - (int)strlen(name), "");
		print_name(to, name, json_is_number(cell) ? 0 : width[k]);
		fputs("  ", to);
		k++;
	}
	fputc('\n', to);
	json_array_foreach(rows, i, row)
	{
		k = 0;
		fprintf(to, "%*s", indent, "");
		json_object_foreach(first, name, cell)
		{
			print_scalar(to, json_object_get(row, name), width[k++]);
			fputs("  ", to);
		}
		fputc('\n', to);
	}
}

/* {"a":{..}, "b":{..}} with equal members as a table whose first column is the name. */
static json_t *rows_of(json_t *object)
{
	json_t *rows = json_array(), *value;
	const char *name;

	json_object_foreach(object, name, value)
	{
		json_t *row = json_object();

		json_object_set_new(row, "name", json_string(name));
		if (json_is_object(value))
			json_object_update_missing(row, value);
		json_array_append_new(rows, row);
	}
	return rows;
}

static bool holds_objects_only(json_t *object)
{
	const char *name;
	json_t *value;

	json_object_foreach(object, name, value)
	{
		if (!json_is_object(value))
			return false;
	}
	return json_object_size(object) > 1;
}

static void render(FILE *to, json_t *value, int indent, int depth);

static void render_object(FILE *to, json_t *object, int indent, int depth)
{
	json_t *rows = holds_objects_only(object) ? rows_of(object) : NULL, *value;
	int width = 0;
	const char *name;

	if (rows && is_table(rows)) {
		render_table(to, rows, indent);
		json_decref(rows);
		return;
	}
	json_decref(rows);
	json_object_foreach(object, name, value)
	{
		if (is_scalar(value) && (int)strlen(name) > width)
			width = (int)strlen(name);
	}
	json_object_foreach(object, name, value)
	{
		fprintf(to, "%*s", indent, "");
		if (is_scalar(value)) {
			print_name(to, name, width + 2);
			print_scalar(to, value, json_is_number(value) ? 14 : 0);
			fputc('\n', to);
		} else {
			print_name(to, name, 0);
			fputc('\n', to);
			render(to, value, indent + 2, depth + 1);
		}
	}
}

static void render(FILE *to, json_t *value, int indent, int depth)
{
	json_t *element;
	size_t i;

	if (depth > DEPTH_MAX)
		return;
	if (json_is_object(value)) {
		render_object(to, value, indent, depth);
	} else if (json_is_array(value) && is_table(value)) {
		render_table(to, value, indent);
	} else if (json_is_array(value)) {
		json_array_foreach(value, i, element)
		{
			if (is_scalar(element)) {
				fprintf(to, "%*s", indent, "");
				print_scalar(to, element, 0);
				fputc('\n', to);
			} else {
				render(to, element, indent + 2, depth + 1);
			}
		}
	} else {
		fprintf(to, "%*s", indent, "");
		print_scalar(to, value, 0);
		fputc('\n', to);
	}
}

void telemetry_render(FILE *to, json_t *value, int indent)
{
	render(to, value, indent, 0);
}
