/* SPDX-License-Identifier: BSD-3-Clause */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "command.h"
#include "event_line.h"
#include "explain.h"
#include "option.h"
#include "telemetry.h"
#include "term.h"

#define LINES_DEFAULT 10
#define LINES_MAX     100000

static const struct usage usage = {
	"quarantine [--dir DIR] [--last N] [--file-prefix NAME | --socket PATH] [--json]",
	"Prints the counters of a running appliance's quarantine and, with --dir, the last\n"
	"lines of its audit (audit-NNNNNN.jsonl), made safe for a terminal. The packets\n"
	"themselves are in the pcapng files beside it: Wireshark shows each with its reason\n"
	"as comment, 'atrctl inspect' judges them again. With --dir it also works when no\n"
	"appliance runs.",
	"  atrctl quarantine\n"
	"  atrctl quarantine --dir quarantine --last 50",
};

static bool is_audit(const struct dirent *entry)
{
	size_t n = strlen(entry->d_name);

	return strncmp(entry->d_name, "audit-", 6) == 0 && n > 6 + 6 &&
	       strcmp(entry->d_name + n - 6, ".jsonl") == 0;
}

static int audit_filter(const struct dirent *entry)
{
	return is_audit(entry);
}

/* Longer numbers are later ones. */
static int audit_order(const struct dirent **a, const struct dirent **b)
{
	size_t x = strlen((*a)->d_name), y = strlen((*b)->d_name);

	return x != y ? (x < y ? -1 : 1) : strcmp((*a)->d_name, (*b)->d_name);
}

/* The last lines, as a ring. */
struct tail {
	char **line;
	uint64_t capacity, count;
};

static void read_audit(struct tail *tail, const char *path)
{
	char *text = NULL;
	size_t size = 0;
	ssize_t n;
	FILE *f = fopen(path, "re");

	if (!f)
		return; /* rotated away while we looked */
	while ((n = getline(&text, &size, f)) >= 0) {
		uint64_t slot = tail->count++ % tail->capacity;

		if (n && text[n - 1] == '\n')
			text[n - 1] = '\0';
		free(tail->line[slot]);
		tail->line[slot] = strdup(text);
	}
	free(text);
	fclose(f);
}

static void print_tail(struct tail *tail, bool json)
{
	uint64_t shown = tail->count < tail->capacity ? tail->count : tail->capacity;

	for (uint64_t i = tail->count - shown; i < tail->count; i++) {
		const char *line = tail->line[i % tail->capacity];
		json_t *parsed = json && line ? json_loads(line, 0, NULL) : NULL;

		if (parsed) {
			explain_print_json(parsed);
		} else if (line) {
			term_text(stdout, line, strlen(line));
			putchar('\n');
		}
	}
	for (uint64_t i = 0; i < tail->capacity; i++)
		free(tail->line[i]);
	free(tail->line);
}

static int print_audit(const char *directory, uint64_t last, bool json)
{
	struct tail tail = {.capacity = last};
	struct dirent **entries;
	char path[PATH_MAX];
	int n = scandir(directory, &entries, audit_filter, audit_order);

	if (n < 0)
		return usage_error("quarantine",
				   "%s: %s; give the appliance's quarantine directory", directory,
				   strerror(errno));
	tail.line = calloc(last, sizeof(*tail.line));
	for (int i = 0; i < n; i++) {
		if (tail.line && (size_t)snprintf(path, sizeof(path), "%s/%s", directory,
						  entries[i]->d_name) < sizeof(path))
			read_audit(&tail, path);
		free(entries[i]);
	}
	free(entries);
	if (!tail.line)
		return failure("quarantine", "out of memory; lower --last");
	if (!json && n == 0)
		printf("no audit files in %s\n", directory);
	print_tail(&tail, json);
	return EXIT_OK;
}

static int print_counters(const struct telemetry_options *where, bool json, char *error)
{
	struct telemetry telemetry;
	json_t *counters = NULL;

	if (telemetry_open(&telemetry, where, error) == 0)
		counters = telemetry_ask(&telemetry, "/atr/quarantine", error);
	telemetry_close(&telemetry);
	if (!counters)
		return EXIT_NEGATIVE;
	if (json) {
		explain_print_json(counters);
		return EXIT_OK;
	}
	telemetry_render(stdout, counters, 0);
	json_decref(counters);
	return EXIT_OK;
}

int cmd_quarantine(int argc, char **argv)
{
	struct telemetry_options where = {0};
	struct option_u64 last = {.value = LINES_DEFAULT};
	const char *directory = NULL;
	bool json = false;
	const struct option table[] = {
		{"--dir", "DIR", "the appliance's quarantine directory", OPTION_STRING, &directory,
		 0, 0},
		{"--last", "N", "lines of the audit to show (default 10)", OPTION_U64, &last, 1,
		 LINES_MAX},
		TELEMETRY_OPTIONS(where),
		{"--json", NULL, "counters and lines as JSON, one object a line", OPTION_FLAG,
		 &json, 0, 0},
		{NULL, NULL, NULL, OPTION_FLAG, NULL, 0, 0},
	};
	char error[ERROR_SIZE];
	int status, err = options_parse(&usage, table, argc, argv);

	if (err)
		return err > 0 ? EXIT_OK : EXIT_USAGE;
	status = print_counters(&where, json, error);
	if (status != EXIT_OK)
		usage_error("quarantine", "%s", error);
	if (!directory)
		return status;
	return print_audit(directory, last.value, json);
}
