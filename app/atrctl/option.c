/* SPDX-License-Identifier: BSD-3-Clause */
#include "option.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "command.h"
#include "term.h"

#define HELP_COLUMN             26
#define SENTENCE_MAX            4096
#define PER_MILLION             1000000u
#define PORT_MAX                65535u
#define PERCENT_FRACTION_DIGITS 4

/* A sentence may repeat names from a plan, an input line or a packet. */
static void say(const char *command, const char *lead, const char *format, va_list args)
{
	char text[SENTENCE_MAX];
	int length = vsnprintf(text, sizeof(text), format, args);

	fprintf(stderr, "atrctl %s: %s", command, lead);
	if (length > 0)
		term_text(stderr, text, strlen(text));
	fputc('\n', stderr);
}

int usage_error(const char *command, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(command, "", format, args);
	va_end(args);
	return EXIT_USAGE;
}

int failure(const char *command, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(command, "", format, args);
	va_end(args);
	return EXIT_NEGATIVE;
}

void warning(const char *command, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(command, "warning: ", format, args);
	va_end(args);
}

int parse_u64(const char *text, uint64_t min, uint64_t max, uint64_t *value)
{
	uint64_t v = 0;

	if (*text == '\0')
		return -EINVAL;
	for (; *text; text++) {
		if (*text < '0' || *text > '9' || __builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(*text - '0'), &v))
			return -EINVAL;
	}
	if (v < min || v > max)
		return -EINVAL;
	*value = v;
	return 0;
}

int parse_address(const char *text, struct address *address)
{
	const char *colon = strchr(text, ':');
	size_t length = colon ? (size_t)(colon - text) : strlen(text);
	char ip[INET_ADDRSTRLEN];
	struct in_addr parsed;
	uint64_t port = 0;

	if (length >= sizeof(ip))
		return -EINVAL;
	memcpy(ip, text, length);
	ip[length] = '\0';
	if (inet_pton(AF_INET, ip, &parsed) != 1)
		return -EINVAL;
	if (colon && parse_u64(colon + 1, 0, PORT_MAX, &port))
		return -EINVAL;
	address->ip = ntohl(parsed.s_addr);
	address->port = (uint16_t)port;
	address->given = true;
	return 0;
}

/* "12.5" percent as parts of a million. */
static int parse_percent(const char *text, uint32_t *per_million)
{
	uint64_t whole = 0, fraction = 0;
	const char *point = strchr(text, '.');
	char integer[4] = "";
	size_t length = point ? (size_t)(point - text) : strlen(text);
	unsigned int digits = 0;

	if (length >= sizeof(integer))
		return -EINVAL;
	memcpy(integer, text, length);
	integer[length] = '\0';
	if (parse_u64(integer, 0, 100, &whole))
		return -EINVAL;
	if (point) {
		digits = (unsigned int)strlen(point + 1);
		if (digits > PERCENT_FRACTION_DIGITS ||
		    parse_u64(point + 1, 0, UINT64_MAX, &fraction))
			return -EINVAL;
	}
	for (; digits < PERCENT_FRACTION_DIGITS; digits++)
		fraction *= 10;
	whole = whole * (PER_MILLION / 100) + fraction;
	if (whole > PER_MILLION)
		return -EINVAL;
	*per_million = (uint32_t)whole;
	return 0;
}

static int wrong(const char *command, const struct option *o, const char *value)
{
	if (o->kind == OPTION_U64)
		usage_error(command, "%s takes a number from %llu to %llu, not '%s'", o->name,
			    (unsigned long long)o->min, (unsigned long long)o->max, value);
	else if (o->kind == OPTION_LOSS)
		usage_error(command, "%s takes a percentage (0 to 100) and a seed, e.g. %s 5 42",
			    o->name, o->name);
	else
		usage_error(command, "%s takes an address such as 10.77.0.1:26400, not '%s'",
			    o->name, value);
	return -EINVAL;
}

static int set(const char *command, const struct option *o, char **values)
{
	struct option_loss *loss = o->target;
	struct option_u64 *number = o->target;
	struct option_list *list = o->target;

	switch (o->kind) {
	case OPTION_FLAG: *(bool *)o->target = true; return 0;
	case OPTION_STRING: *(const char **)o->target = values[0]; return 0;
	case OPTION_U64:
		if (parse_u64(values[0], o->min, o->max, &number->value))
			return wrong(command, o, values[0]);
		number->given = true;
		return 0;
	case OPTION_LOSS:
		if (parse_percent(values[0], &loss->per_million) ||
		    parse_u64(values[1], 0, UINT64_MAX, &loss->seed))
			return wrong(command, o, values[0]);
		loss->given = true;
		return 0;
	case OPTION_LIST:
		if (list->count == OPTION_LIST_MAX) {
			usage_error(command, "more than %d of %s", OPTION_LIST_MAX, o->metavar);
			return -EINVAL;
		}
		list->value[list->count++] = values[0];
		return 0;
	case OPTION_ADDRESS:
		return parse_address(values[0], o->target) ? wrong(command, o, values[0]) : 0;
	}
	return -EINVAL;
}

static void help(const struct usage *usage, const struct option *table)
{
	printf("usage: atrctl %s\n\n%s\n\noptions:\n", usage->synopsis, usage->about);
	for (const struct option *o = table; o->name; o++) {
		const char *line = o->help;
		char left[64];

		if (o->name[0] == '\0')
			snprintf(left, sizeof(left), "%s", o->metavar);
		else
			snprintf(left, sizeof(left), "%s%s%s", o->name, o->metavar ? " " : "",
				 o->metavar ? o->metavar : "");
		printf("  %-*s", HELP_COLUMN, left);
		if (strlen(left) >= HELP_COLUMN)
			printf("\n  %-*s", HELP_COLUMN, "");
		for (const char *end; (end = strchr(line, '\n')); line = end + 1)
			printf("%.*s\n  %-*s", (int)(end - line), line, HELP_COLUMN, "");
		printf("%s\n", line);
	}
	printf("  %-*s%s\n", HELP_COLUMN, "--help", "this text");
	printf("\nexamples:\n%s\n\nexit status: 0 yes, 1 no (refused, not found, not balanced) or "
	       "failed, 2 wrong usage\n",
	       usage->examples);
}

static const struct option *find(const struct option *table, const char *name, size_t length)
{
	for (const struct option *o = table; o->name; o++)
		if (strlen(o->name) == length && memcmp(o->name, name, length) == 0)
			return o;
	return NULL;
}

/* Handles the option at argv[*i]; moves *i to its last argument. */
static int take(const struct option *table, int argc, char **argv, int *i)
{
	const char *command = argv[0];
	char *text = argv[*i];
	char *equals = strchr(text, '=');
	const struct option *o;
	int wanted;

	o = find(table, text, equals ? (size_t)(equals - text) : strlen(text));
	if (!o) {
		usage_error(command, "no option %s; 'atrctl %s --help' lists them", text, command);
		return -EINVAL;
	}
	wanted = o->kind == OPTION_FLAG ? 0 : o->kind == OPTION_LOSS ? 2 : 1;
	if (equals) {
		char *value = equals + 1;

		if (wanted == 1)
			return set(command, o, &value);
		usage_error(command, "%s is not written with '='; see --help", o->name);
		return -EINVAL;
	}
	if (argc - *i - 1 < wanted) {
		usage_error(command, "%s needs %s", o->name, o->metavar);
		return -EINVAL;
	}
	*i += wanted;
	return set(command, o, argv + *i - wanted + 1);
}

int options_parse(const struct usage *usage, const struct option *table, int argc, char **argv)
{
	const struct option *positional = find(table, "", 0);

	for (int i = 1; i < argc; i++) {
		int err = 0;

		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
			help(usage, table);
			return 1;
		}
		if (argv[i][0] == '-' && argv[i][1] != '\0') {
			err = take(table, argc, argv, &i);
		} else if (positional) {
			err = set(argv[0], positional, &argv[i]);
			if (positional->kind != OPTION_LIST)
				positional = find(positional + 1, "", 0);
		} else {
			usage_error(argv[0], "'%s' is not expected; 'atrctl %s --help' teaches",
				    argv[i], argv[0]);
			return -EINVAL;
		}
		if (err)
			return err;
	}
	return 0;
}
