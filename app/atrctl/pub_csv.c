/* SPDX-License-Identifier: BSD-3-Clause */
/* CSV (RFC 4180) as event lines: columns topic, type, source, timestamp, priority and id are the
 * event's members, every other column is a member of its payload. */
#include "pub.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../../lib/encode/encode.h"

#define COLUMNS_MAX 256
#define RECORD_MAX  EVENT_LINE_MAX

struct csv {
	unsigned int columns;
	char *names[COLUMNS_MAX];
	/* The current record. */
	char bytes[RECORD_MAX];
	size_t used;
	unsigned int cells;
	size_t start[COLUMNS_MAX + 1];
	bool quoted[COLUMNS_MAX];
};

static bool put(struct csv *csv, int c)
{
	if (csv->used == sizeof(csv->bytes))
		return false;
	csv->bytes[csv->used++] = (char)c;
	return true;
}

/* Reads one cell; returns the character that ended it (',', '\n' or EOF), or -EINVAL - 1. */
#define CELL_BAD (-1000)
static int read_cell(struct pub *pub)
{
	struct csv *csv = pub->csv;
	int c = getc(pub->in);

	csv->start[csv->cells] = csv->used;
	csv->quoted[csv->cells] = c == '"';
	if (c == '"') {
		for (;;) {
			c = getc(pub->in);
			if (c == '"') {
				c = getc(pub->in);
				if (c != '"')
					break;
			}
			if (c == EOF || !put(csv, c))
				return CELL_BAD;
			pub->line += c == '\n';
		}
		if (c == '\r')
			c = getc(pub->in);
		return c == ',' || c == '\n' || c == EOF ? c : CELL_BAD;
	}
	for (; c != ',' && c != '\n' && c != EOF; c = getc(pub->in))
		if (!put(csv, c))
			return CELL_BAD;
	if (c != ',' && csv->used > csv->start[csv->cells] && csv->bytes[csv->used - 1] == '\r')
		csv->used--;
	return c;
}

/* 1, 0 at the end of the file, -EINVAL (the rest of the line is skipped). */
static int read_record(struct pub *pub, char *error)
{
	struct csv *csv = pub->csv;
	int c = getc(pub->in);

	if (c == EOF)
		return 0;
	ungetc(c, pub->in);
	pub->line++;
	csv->used = 0;
	csv->cells = 0;
	do {
		c = csv->cells < COLUMNS_MAX ? read_cell(pub) : CELL_BAD;
		if (c == CELL_BAD) {
			while ((c = getc(pub->in)) != EOF && c != '\n')
				;
			snprintf(error, ERROR_SIZE,
				 "no CSV: a quote is not closed, or there are more than %d cells "
				 "or %d bytes",
				 COLUMNS_MAX, RECORD_MAX);
			return -EINVAL;
		}
		csv->cells++;
	} while (c == ',');
	csv->start[csv->cells] = csv->used;
	return 1;
}

int pub_csv_open(struct pub *pub, char *error)
{
	struct csv *csv = pub->csv = calloc(1, sizeof(*csv));
	int n;

	if (!csv) {
		snprintf(error, ERROR_SIZE, "out of memory");
		return -EINVAL;
	}
	n = read_record(pub, error);
	if (n <= 0) {
		if (n == 0)
			snprintf(error, ERROR_SIZE, "CSV is empty; its first line names columns");
		return -EINVAL;
	}
	csv->columns = csv->cells;
	for (unsigned int i = 0; i < csv->columns; i++) {
		csv->names[i] =
			strndup(csv->bytes + csv->start[i], csv->start[i + 1] - csv->start[i]);
		if (!csv->names[i] || csv->names[i][0] == '\0') {
			snprintf(error, ERROR_SIZE, "CSV column %u has no name", i + 1);
			return -EINVAL;
		}
	}
	return 0;
}

void pub_csv_close(struct pub *pub)
{
	for (unsigned int i = 0; pub->csv && i < pub->csv->columns; i++)
		free(pub->csv->names[i]);
	free(pub->csv);
}

static bool is_text_member(const struct atr_type *type, const char *name)
{
	if (!type)
		return false;
	for (uint32_t i = 0; i < type->field_count; i++)
		if (strcmp(type->fields[i].name, name) == 0)
			return type->fields[i].kind == ATR_FIELD_TEXT;
	return type->tail_max && strcmp(type->tail_name, name) == 0;
}

static bool is_number(const char *text, size_t length)
{
	int64_t raw;
	int err = atr_decimal_parse(text, length, 0, false, &raw);

	return err == 0 || err == -EDOM || err == -ERANGE;
}

/* An unquoted cell that reads as number, true or false is one; an empty one is null. */
static json_t *cell_value(const struct csv *csv, unsigned int i, bool is_text)
{
	const char *text = csv->bytes + csv->start[i];
	size_t length = csv->start[i + 1] - csv->start[i];

	if (!csv->quoted[i] && length == 0)
		return json_null();
	if (!csv->quoted[i] && !is_text &&
	    (is_number(text, length) || (length == 4 && memcmp(text, "true", 4) == 0) ||
	     (length == 5 && memcmp(text, "false", 5) == 0)))
		return json_loadb(text, length, JSON_DECODE_ANY, NULL);
	return json_stringn(text, length);
}

static const char *const event_members[] = {"topic", "type",     "source",
					    "id",    "priority", "timestamp"};

static bool is_event_member(const char *name)
{
	for (size_t i = 0; i < sizeof(event_members) / sizeof(event_members[0]); i++)
		if (strcmp(name, event_members[i]) == 0)
			return true;
	return false;
}

static const struct atr_type *record_type(const struct pub *pub)
{
	const struct csv *csv = pub->csv;

	for (unsigned int i = 0; i < csv->columns; i++)
		if (strcmp(csv->names[i], "type") == 0)
			return atr_plan_type_named(pub->plan, csv->bytes + csv->start[i],
						   csv->start[i + 1] - csv->start[i]);
	return pub->options.type ? atr_plan_type_named(pub->plan, pub->options.type,
						       strlen(pub->options.type))
				 : NULL;
}

static json_t *record_event(const struct pub *pub, char *error)
{
	const struct csv *csv = pub->csv;
	const struct atr_type *type = record_type(pub);
	json_t *event = json_object(), *payload = json_object();

	for (unsigned int i = 0; i < csv->columns; i++) {
		const char *name = csv->names[i];
		bool member = is_event_member(name);
		json_t *value;

		value = cell_value(csv, i,
				   member ? strcmp(name, "priority") != 0
					  : is_text_member(type, name));
		if (!value) {
			snprintf(error, ERROR_SIZE, "cell '%s' is not valid UTF-8 or no number",
				 name);
			json_decref(event);
			json_decref(payload);
			return NULL;
		}
		if (!member || !json_is_null(value))
			json_object_set(member ? event : payload, name, value);
		json_decref(value);
	}
	if (pub->options.topic && !json_object_get(event, "topic"))
		json_object_set_new(event, "topic", json_string(pub->options.topic));
	if (pub->options.type && !json_object_get(event, "type"))
		json_object_set_new(event, "type", json_string(pub->options.type));
	json_object_set_new(event, "payload", payload);
	return event;
}

int pub_csv_next(struct pub *pub, char *error)
{
	json_t *event;
	int n = read_record(pub, error);

	if (n <= 0)
		return n;
	if (pub->csv->cells != pub->csv->columns) {
		snprintf(error, ERROR_SIZE, "%u cells, but %u columns", pub->csv->cells,
			 pub->csv->columns);
		return -EINVAL;
	}
	event = record_event(pub, error);
	if (!event)
		return -EINVAL;
	free(pub->text);
	pub->text = json_dumps(event, JSON_COMPACT | JSON_REAL_PRECISION(17));
	json_decref(event);
	if (!pub->text) {
		snprintf(error, ERROR_SIZE, "out of memory");
		return -EINVAL;
	}
	pub->text_length = pub->text_capacity = strlen(pub->text);
	return 1;
}
