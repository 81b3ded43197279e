/* SPDX-License-Identifier: BSD-3-Clause */
#include "pub.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "interrupt.h"

#define UNFIT_SHOWN 20

static FILE *open_named(const char *path)
{
	return strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
}

int pub_input_open(struct pub *pub, char *error)
{
	const struct pub_options *o = &pub->options;
	const char *path = o->jsonl ? o->jsonl : o->csv;

	if (!!o->jsonl + !!o->csv + o->generate.given != 1) {
		snprintf(error, ERROR_SIZE,
			 "give one of --jsonl FILE, --csv FILE and --generate COUNT");
		return -EINVAL;
	}
	if (o->generate.given)
		return pub_generate_open(pub, error);
	pub->in = open_named(path);
	if (!pub->in) {
		snprintf(error, ERROR_SIZE, "%s: %s; check the path", path, strerror(errno));
		return -EINVAL;
	}
	return o->csv ? pub_csv_open(pub, error) : 0;
}

void pub_input_close(struct pub *pub)
{
	pub_csv_close(pub);
	if (pub->in && pub->in != stdin)
		fclose(pub->in);
	free(pub->text);
}

void pub_unfit(struct pub *pub, const char *why)
{
	pub->unfit++;
	progress_end(&pub->progress);
	if (pub->unfit <= UNFIT_SHOWN)
		usage_error("pub", "%s %llu: %s", pub->in ? "line" : "generated event",
			    (unsigned long long)pub->line, why);
	if (pub->unfit == UNFIT_SHOWN)
		usage_error("pub", "more lines that do not fit are only counted");
}

static int jsonl_next(struct pub *pub, char *error)
{
	ssize_t n;

	do {
		n = getline(&pub->text, &pub->text_capacity, pub->in);
		if (n < 0)
			return 0;
		pub->line++;
		if (n && pub->text[n - 1] == '\n')
			n--;
	} while (n == 0);
	pub->text_length = (size_t)n;
	if ((size_t)n > EVENT_LINE_MAX) {
		snprintf(error, ERROR_SIZE, "line is longer than %d bytes", EVENT_LINE_MAX);
		return -EINVAL;
	}
	return 1;
}

static int text_next(struct pub *pub, char *error)
{
	if (pub->options.generate.given)
		return pub_generate_next(pub, error);
	return pub->csv ? pub_csv_next(pub, error) : jsonl_next(pub, error);
}

int pub_input_next(struct pub *pub, struct event_line *line, struct producer **producer)
{
	char error[ERROR_SIZE];
	int n;

	while (!interrupt_seen && (n = text_next(pub, error)) != 0) {
		if (n > 0)
			n = event_line_parse(pub->parser, pub->text, pub->text_length, line, error);
		if (n == 0)
			n = keyring_find(&pub->ring, line->source, producer, error);
		if (n == 0)
			return 1;
		if (n > 0)
			pub->filtered++;
		else
			pub_unfit(pub, error);
	}
	return 0;
}
